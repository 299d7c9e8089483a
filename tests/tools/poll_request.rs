//! `poll-jobs`, its `--explain` and `await-idle` send the same poll, the one that the profile describes.

use std::fs;

use stress_suite::tools::{await_idle, poll_jobs};

use crate::server::{Reply, Server};
use crate::support::{Ran, tool};

type Poller = fn(&[&str], &str) -> Ran;

const JOB: &str = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"r1"},"spec":{"source":"/in/a.webm"},"status":{"phase":"Submitted","jobId":"j 7","submittedAt":"2026-01-01T00:00:00Z"}}"#;

const NEXT: &str =
    r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"r2"},"status":{"phase":"Staged"}}"#;

#[test]
fn its_headers_are_filled_for_each_job() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("profile.toml");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/autorag.toml")).unwrap();
    let headers = "\n[poll.headers]\n\"X-Asked\" = \"{run}/{name}/{source}/{id}\"\n\n[poll.words]\n";
    fs::write(&profile, text.replacen("\n[poll.words]\n", headers, 1)).unwrap();
    let target = Server::new(|_| Reply::json(r#"{"status":"done"}"#));
    let url = target.url();
    let to = ["--target", &url, "--profile", profile.to_str().unwrap()];
    let records = dir.path().join("records.ndjson");
    fs::write(&records, JOB.to_owned() + "\n").unwrap();
    let earlier = ["--earlier", records.to_str().unwrap(), "--prometheus", "", "--limit", "5s"];
    let poll: Poller = |argv, input| tool(poll_jobs::run, argv, input);
    let idle: Poller = |argv, input| tool(await_idle::run, argv, input);
    for (poller, flags, input, asked) in [
        (poll, &["--max-interval", "100ms"][..], JOB, "r1/soak-001//in/a.webm/j 7"),
        (poll, &["--resume", "--max-interval", "100ms"], JOB, "r1/soak-001//in/a.webm/j 7"),
        (poll, &["--explain", "j 7"], "", "///j 7"),
        (idle, &earlier, NEXT, "r1/soak-001//in/a.webm/j 7"),
    ] {
        let before = target.requests().len();
        let ran = poller(&[&to[..], flags].concat(), &format!("{input}\n"));
        assert_eq!(ran.code, 0, "{flags:?}: {}", ran.stderr);
        let seen = target.requests().split_off(before);
        let mut polls = seen.iter().filter(|request| request.path.ends_with("/j%207")).peekable();
        assert!(polls.peek().is_some(), "{flags:?}: {seen:?}");
        for poll in polls {
            assert_eq!(poll.headers.get("x-asked").map(String::as_str), Some(asked), "{flags:?}: {poll:?}");
        }
    }
}
