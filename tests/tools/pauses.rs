//! `Retry-After` beyond the deadline: it is said at once, costs no job its last poll, and stands under "Missing or doubtful".

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::json;
use stress_suite::tools::render_report;

use super::lists::{self, page};
use super::odd_polls::{poll, target, text};
use crate::profiles::with_header;
use crate::server::Reply;
use crate::support::{Ran, tool};

const RUN: &str = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"s","run":"r"},"spec":{"jobs":1}}"#;
const JOB: &str = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"s-1","run":"r"},"status":{"phase":"Submitted","jobId":"j-1"}}"#;

/// The doubts of a report about the records.
fn doubts(ran: &Ran) -> String {
    let dir = tempfile::tempdir().unwrap();
    tool(render_report::run, &["--out", dir.path().to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let page = std::fs::read_to_string(dir.path().join("report.md")).unwrap();
    page.lines().filter(|line| line.contains("Retry-After")).map(str::to_owned).collect()
}

#[test]
fn a_pause_beyond_the_deadline_is_said_and_the_job_is_polled_at_its_deadline() {
    let date = "Fri, 01 Jan 2100 00:00:00 GMT";
    for (status, wait, body) in
        [(429, "3600", "quota"), (503, date, ""), (200, "3600", r#"{"status":"running"}"#), (302, "7200", "")]
    {
        let target = target(move |polls, _| match polls {
            0 => with_header(status, "Retry-After", wait, body),
            _ => Reply::json(r#"{"status":"done"}"#),
        });
        let ran = poll(&target, &["--deadline", "700ms"], &format!("{RUN}\n{JOB}\n"));
        let job = &ran.last("s-1")["status"];
        assert_eq!((text(job, "phase"), &job["polls"]["sent"]), ("Succeeded", &json!(2)), "HTTP {status}: {job}");
        let failures = &ran.last("s")["status"]["polling"]["failures"];
        assert_eq!(failures["Retry-After beyond the deadline"], 1, "HTTP {status}: {failures}");
        let said = ran.stderr.lines().filter(|line| line.contains("s-1: Retry-After asks for a wait of ")).count();
        assert_eq!(said, 1, "{}", ran.stderr);
        assert!(
            doubts(&ran).contains("in 1 answer to polls of s, Retry-After asked for a longer wait"),
            "HTTP {status}"
        );
    }
}

#[test]
fn the_pause_counts_whatever_became_of_the_body() {
    let cut = |field: &str| Reply::Begun(format!("HTTP/1.1 429 X\r\n{field}Content-Length: 99\r\n\r\n{{").into_bytes());
    let target = target(move |polls, _| match polls {
        0 => cut(""),
        1 => cut("Retry-After: 3600\r\n"),
        _ => Reply::json(r#"{"status":"done"}"#),
    });
    let ran = poll(&target, &["--deadline", "700ms"], &format!("{RUN}\n{JOB}\n"));
    let job = &ran.last("s-1")["status"];
    assert_eq!((text(job, "phase"), &job["polls"]["sent"]), ("Succeeded", &json!(3)), "{job}");
    let failures = &ran.last("s")["status"]["polling"]["failures"];
    assert_eq!(failures, &json!({"HTTP 429": 2, "Retry-After beyond the deadline": 1}), "{failures}");
}

#[test]
fn a_list_is_asked_for_again_at_the_deadline_of_a_job_whatever_it_asked_for() {
    let waiting = || page(&[("a", "running")]).to_string();
    for (status, body) in [(200, waiting()), (429, "quota".to_owned())] {
        let count = AtomicUsize::new(0);
        let rig = lists::Rig::new("", "path = \"/jobs\"\nat = [\"\"]\n", move |_| match count.fetch_add(1, SeqCst) {
            0 => with_header(status, "Retry-After", "3600", &body),
            _ => Reply::json(page(&[("a", "done")]).to_string()),
        });
        let ran = rig.poll(&["a"], &["--deadline", "700ms"]);
        let phase = &ran.last("a")["status"]["phase"];
        assert_eq!((rig.requests("/jobs").len(), phase), (2, &json!("Succeeded")), "HTTP {status}: {}", ran.stdout);
        assert!(ran.stderr.contains("Retry-After asks for a wait of 1 h"), "{}", ran.stderr);
        assert!(
            doubts(&ran).contains("in 1 answer to polls of r1, Retry-After asked for a longer wait"),
            "HTTP {status}"
        );
    }
}
