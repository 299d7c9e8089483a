//! The poll that a profile describes is the same whoever asks: `poll-jobs`, its `--explain` and `await-idle`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use stress_suite::tools::{await_idle, poll_jobs};

use crate::support::{Ran, tool};

type Asker = fn(&[&str], &str) -> Ran;

const JOB: &str = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"r1"},"spec":{"source":"/in/a.webm"},"status":{"phase":"Submitted","jobId":"j 7","submittedAt":"2026-01-01T00:00:00Z"}}"#;

const NEXT: &str =
    r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"r2"},"status":{"phase":"Staged"}}"#;

/// A target on which every job is done, and what it was asked with.
fn done() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = heads.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut reader) = (String::new(), BufReader::new(stream.try_clone().unwrap()));
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            kept.lock().unwrap().push(head);
            let body = r#"{"status":"done"}"#;
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").unwrap();
        }
    });
    (url, heads)
}

#[test]
fn its_headers_are_filled_for_each_job() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("profile.toml");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/profiles/autorag.toml")).unwrap();
    let headers = "\n[poll.headers]\n\"X-Asked\" = \"{run}/{name}/{source}/{id}\"\n\n[poll.words]\n";
    fs::write(&profile, text.replacen("\n[poll.words]\n", headers, 1)).unwrap();
    let (url, heads) = done();
    let to = ["--target", &url, "--profile", profile.to_str().unwrap()];
    let records = dir.path().join("records.ndjson");
    fs::write(&records, JOB.to_owned() + "\n").unwrap();
    let earlier = ["--earlier", records.to_str().unwrap(), "--prometheus", "", "--limit", "5s"];
    let poll: Asker = |argv, input| tool(poll_jobs::run, argv, input);
    let idle: Asker = |argv, input| tool(await_idle::run, argv, input);
    for (asker, flags, input, asked) in [
        (poll, &["--max-interval", "100ms"][..], JOB, "r1/soak-001//in/a.webm/j 7"),
        (poll, &["--resume", "--max-interval", "100ms"], JOB, "r1/soak-001//in/a.webm/j 7"),
        (poll, &["--explain", "j 7"], "", "///j 7"),
        (idle, &earlier, NEXT, "r1/soak-001//in/a.webm/j 7"),
    ] {
        heads.lock().unwrap().clear();
        let ran = asker(&[&to[..], flags].concat(), &format!("{input}\n"));
        assert_eq!(ran.code, 0, "{flags:?}: {}", ran.stderr);
        let heads = heads.lock().unwrap();
        let mut polls = heads.iter().filter(|head| head.contains("j%207 HTTP")).peekable();
        assert!(polls.peek().is_some(), "{flags:?}: {heads:?}");
        for poll in polls {
            assert!(poll.to_lowercase().contains(&format!("x-asked: {asked}\r\n")), "{flags:?}: {poll}");
        }
    }
}
