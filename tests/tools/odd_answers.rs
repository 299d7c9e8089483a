//! `submit-jobs` with odd input and odd answers.

use serde_json::json;
use stress_suite::tools::submit_jobs::run;

use crate::server::{Reply, Server};
use crate::support::{Ran, Target, tool};

/// The phase, reason and id of a job whose submission a healthy target answers with `status` and an id.
fn submitted(status: u16) -> (String, String, Option<String>) {
    let target = Target::start(&[]);
    let odd = Server::new(move |request| {
        Reply::new(if request.method == "POST" { status } else { 200 }, r#"{"job_id":"j1"}"#)
    });
    let ran: Ran = tool(run, &["--target", &odd.url()], &target.stage(1));
    let job = ran.last("soak-001")["status"].clone();
    let text = |key: &str| job[key].as_str().map(str::to_owned);
    (text("phase").unwrap(), text("reason").unwrap_or_default(), text("jobId"))
}

#[test]
fn only_an_answer_that_refuses_says_that_nothing_runs() {
    for status in [500, 502, 504, 408, 208] {
        assert_eq!(submitted(status), ("Unknown".into(), "NotAccepted".into(), Some("j1".into())), "{status}");
    }
    for status in [400, 429, 501, 503] {
        assert_eq!(submitted(status), ("Rejected".into(), "Refused".into(), None), "{status}");
    }
    assert_eq!(submitted(202).0, "Submitted");
}

/// The status of a job whose submission is answered by `bytes`, from the status line on.
fn answered_by(bytes: &'static [u8]) -> serde_json::Value {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            // A connection that brings nothing is the client's own affair.
            if std::io::Read::read(&mut stream, &mut request).is_ok_and(|count| count > 0) {
                let healthy = b"HTTP/1.1 200 A\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let answer = if request.starts_with(b"POST") { bytes } else { healthy };
                let _ = std::io::Write::write_all(&mut stream, answer);
                // With something unread the end would be a reset, which may overtake the answer.
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
            }
        }
    });
    tool(run, &["--target", &url], &Target::start(&[]).stage(1)).last("soak-001")["status"].clone()
}

#[test]
fn what_cannot_be_parsed_is_kept_as_it_came_and_its_fault_has_a_place() {
    let chunks = answered_by(
        b"HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{\"job_id\":\"a\"}\r\n0\r\n\r\n",
    );
    assert_eq!((&chunks["phase"], &chunks["reason"]), (&json!("Unknown"), &json!("UnreadableAnswer")), "{chunks}");
    assert_eq!(chunks["body"], "zz\r\n{\"job_id\":\"a\"}\r\n0\r\n\r\n", "{chunks}");
    let head = answered_by(b"HTTP/1.1 202 A\r\nContent-Length: 14\r\nBad Header : x\r\n\r\n{\"job_id\":\"a\"}");
    assert_eq!((&head["phase"], &head["reason"]), (&json!("Unknown"), &json!("UnreadableAnswer")), "{head}");
    assert!(head["message"].as_str().unwrap().contains("header field 2 has the name `Bad Header `"), "{head}");
    let junk = answered_by(b"SSH-2.0-OpenSSH_9.2\r\n");
    assert_eq!((&junk["reason"], &junk["body"]), (&json!("UnreadableAnswer"), &json!("SSH-2.0-OpenSSH_9.2\r\n")));
    assert!(junk["message"].as_str().unwrap().contains("it begins with `SSH-2.0-OpenSSH_9.2"), "{junk}");
}

#[test]
fn an_id_whose_bytes_are_no_text_is_not_polled() {
    let job = answered_by(
        b"HTTP/1.1 202 A\r\nContent-Length: 29\r\nConnection: close\r\n\r\n{\"status\":\"ok\",\"job_id\":\"j\xe9\"}",
    );
    assert_eq!((&job["phase"], &job["reason"]), (&json!("Unknown"), &json!("UnreadableAnswer")), "{job}");
    assert_eq!((&job["flags"], &job["jobId"]), (&json!(["BodyNotUtf8"]), &json!(null)), "{job}");
    assert!(job["body"].as_str().unwrap().contains("job_id"), "{job}");
}

#[test]
fn a_line_that_is_no_text_is_named_and_the_others_are_submitted() {
    let target = Target::start(&[]);
    target.stage(2);
    let lines = b"/data/fixtures/soak/001.webm\nc\xff\n/data/fixtures/soak/002.webm\n".to_vec();
    let input = Box::new(std::io::Cursor::new(lines));
    let url = target.url();
    let argv = ["--lines", "--target", &url];
    let ran = crate::support::tool_until(run, &argv, input, stress_suite::cli::Stop::default());
    assert_eq!(ran.code, 65, "{}", ran.stderr);
    assert!(ran.stderr.contains("stdin line 2: invalid UTF-8 after 1 bytes: dropped"), "{}", ran.stderr);
    assert_eq!((ran.records().len(), target.sim.stats().posts), (2, 2));
}

/// Gives two jobs and then fails, as a disk that breaks.
struct Breaks(std::io::Cursor<Vec<u8>>);

impl std::io::Read for Breaks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(std::io::Error::other("it broke")),
            count => Ok(count),
        }
    }
}

#[test]
fn an_input_that_breaks_loses_no_job_that_is_under_way() {
    let target = Target::start(&["--delay", "100ms"]);
    let staged = target.stage(2);
    let input = Box::new(Breaks(std::io::Cursor::new(staged.into_bytes())));
    let url = target.url();
    let ran = crate::support::tool_until(run, &["--target", &url], input, stress_suite::cli::Stop::default());
    assert_eq!(ran.code, 74, "{}", ran.stderr);
    assert!(ran.stderr.contains("stdin: it broke; nothing more is submitted"), "{}", ran.stderr);
    let submitted =
        ["soak-001", "soak-002"].into_iter().filter(|name| ran.last(name)["status"]["phase"] == "Submitted");
    assert_eq!(submitted.count() as u64, target.sim.stats().posts);
    assert_eq!(ran.last("soak")["status"]["aborted"]["reason"], "InputFailed");
}

#[test]
fn a_head_that_breaks_off_is_an_answer_that_was_cut_and_is_kept_without_its_cookies() {
    let cut = answered_by(b"HTTP/1.1 202 Accepted\r\nSet-Cookie: a=SECRET\r\nContent-Le");
    assert_eq!((&cut["phase"], &cut["reason"]), (&json!("Unknown"), &json!("AnswerCut")), "{cut}");
    let message = cut["message"].as_str().unwrap();
    assert!(message.contains("broke off in its head, which begins with `HTTP/1.1 202 Accepted"), "{message}");
    assert!(message.contains("the connection was closed; the job may run"), "{message}");
    assert_eq!(cut["body"], "HTTP/1.1 202 Accepted\r\nSet-Cookie: (not kept)\nContent-Le");
    let none = answered_by(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    assert_eq!(none["reason"], "NoAnswer", "{none}");
    assert!(none["message"].as_str().unwrap().contains("closed before an answer came"), "{none}");
}
