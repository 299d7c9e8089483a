//! The job that an answer is about: answers about other jobs are no evidence.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::{Value, json};
use stress_suite::tools::{poll_jobs, render_report};

use crate::odd_polls::{follow, target, text};
use crate::profiles::{Rig, job, with_header};
use crate::server::Reply;
use crate::support::tool;

/// A queue item becomes a build.
const QUEUE: &str = r#"
    [submit]
    path = "/queue"
    id = ["/id"]
    [poll]
    path = "/{id:path}"
    next = ["/build"]
    status = ["/state"]
    words = { waiting = ["queued"], running = ["running"], done = ["done"] }
    [[steps]]
    name = "cancel"
    when = "cancel"
    method = "POST"
    path = "/{id:path}/cancel"
"#;

/// A target whose queue item q1 becomes the build b1, with `build` as the answer to polls of that.
fn queue(profile: &str, build: &'static str) -> Rig {
    let polls = AtomicUsize::new(0);
    Rig::new(profile, move |request| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/queue") => Reply::new(201, r#"{"id":"q1"}"#),
        ("POST", _) => Reply::new(204, ""),
        // Another job's item does not lead to its build.
        (_, "/q1") if polls.fetch_add(1, SeqCst) == 0 => Reply::json(r#"{"id":"q9","state":"queued","build":"b9"}"#),
        (_, "/q1") => Reply::json(r#"{"id":"q1","state":"queued","build":"b1"}"#),
        (_, "/b1") => Reply::json(build),
        (_, path) => panic!("{path} is not asked for"),
    })
}

#[test]
fn after_a_hop_an_answer_has_the_jobs_id_or_the_one_asked_for() {
    let spelt_out = QUEUE.replace("next =", "id = [\"/id\"]\n    next =");
    for profile in [QUEUE, &spelt_out] {
        for own in [r#"{"id":"b1","state":"done"}"#, r#"{"id":"q1","state":"done"}"#, r#"{"state":"done"}"#] {
            let status = queue(profile, own).run();
            assert_eq!((&status["phase"], &status["nextId"]), (&json!("Succeeded"), &json!("b1")), "{own}: {status}");
        }
        for foreign in [r#"{"id":"b9","state":"done"}"#, r#"{"id":["b1"],"state":"done"}"#] {
            let rig = queue(profile, foreign);
            let submitted = rig.submit(&job(&json!({}))).stdout;
            let ran = rig.poll(&submitted, &["--deadline", "300ms", "--cancel-on", "timedout"]);
            let status = &ran.last("j")["status"];
            assert_eq!((&status["phase"], &status["reason"]), (&json!("TimedOut"), &json!("OtherJob")), "{status}");
            assert_eq!(status["cancel"], "answered", "another job's end confirms nothing: {status}");
        }
    }
}

#[test]
fn an_id_that_is_neither_a_text_nor_a_number_is_no_id_of_the_job() {
    for id in [r#"["j-1"]"#, r#"{"$oid":"j-1"}"#, "true"] {
        let target = target(move |_, _| Reply::json(format!(r#"{{"job_id":{id},"status":"done"}}"#)));
        let (ran, status) = follow(&target, &["--deadline", "300ms"]);
        assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "OtherJob"), "{status}");
        assert!(ran.stderr.contains(&format!("{id}, which is neither a text nor a number")), "{}", ran.stderr);
    }
}

/// The last status of a job with the id `own` about which the first poll is answered with the end of the job `found`, and the next ones
/// with its own.
fn first_about(own: &'static str, found: &'static str) -> Value {
    let polls = AtomicUsize::new(0);
    let profile = QUEUE.replace("/{id:path}", "/api/{id:path}");
    let rig = Rig::new(&profile, move |request| match request.method.as_str() {
        "POST" => Reply::new(201, format!(r#"{{"id":"{own}"}}"#)),
        _ if polls.fetch_add(1, SeqCst) == 0 => Reply::json(format!(r#"{{"id":"{found}","state":"done"}}"#)),
        _ => Reply::json(format!(r#"{{"id":"{own}","state":"done"}}"#)),
    });
    rig.run()
}

#[test]
fn a_path_before_an_id_is_part_of_it_unless_the_polls_url_has_it() {
    for (own, found) in
        [("9", "tenant-b/9"), ("runs/9/attempts/1", "1"), ("runs/9", "9"), ("9", "http://elsewhere/api/9")]
    {
        let status = first_about(own, found);
        assert_eq!(status["polls"], json!({"sent": 2, "failed": 1}), "{found} is not {own}: {status}");
    }
    for (own, found) in [("9", "/api/9"), ("9", "api/9"), ("runs/9", "/api/runs/9/"), ("/runs/9", "9")] {
        let status = first_about(own, found);
        assert_eq!(status["polls"], json!({"sent": 1, "failed": 0}), "{found} is {own}: {status}");
    }
}

/// The profile of a target that tells when it queued a job.
const QUEUED: &str = r#"
    [submit]
    path = "/jobs"
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    times = { queued = ["/queued"] }
    words = { waiting = ["retry"], running = ["busy"], done = ["ok"] }
    [poll.stages]
    at = ["/stages"]
    name = ["/name"]
    state = ["/state"]
    attempt = ["/attempt"]
    words = { done = ["ok"] }
"#;

/// The last status of a job about which polls are answered with `answers`, by a target whose clock stands at midnight, and the verdict
/// and the report of its run.
fn queued(answers: &[&'static str]) -> (Value, i32, String) {
    let polls = AtomicUsize::new(0);
    let answers = answers.to_vec();
    let rig = Rig::new(QUEUED, move |request| {
        let body = match (request.method.as_str(), polls.load(SeqCst)) {
            ("POST", _) => r#"{"id":"7"}"#,
            (_, count) => {
                polls.store(count + 1, SeqCst);
                answers[count.min(answers.len() - 1)]
            }
        };
        let code = if body.is_empty() { 404 } else { 200 };
        with_header(code, "Date", "Wed, 02 Dec 2026 00:00:00 GMT", body)
    });
    let ran = rig.poll(&rig.submit(&job(&json!({}))).stdout, &["--deadline", "3s"]);
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "j", "run": "r1"}, "spec": {"prefix": "j", "jobs": 1}});
    let records = ran.stdout.replace(r#""name":"j""#, r#""name":"j-001""#);
    let out = rig.dir.path().join("out");
    let argv = ["--out", out.to_str().unwrap(), "--expect", "all-done"];
    let code = tool(render_report::run, &argv, &format!("{run}\n{records}")).code;
    (ran.last("j")["status"].clone(), code, std::fs::read_to_string(out.join("report.md")).unwrap())
}

#[test]
fn a_job_that_was_queued_at_another_time_may_be_another_one() {
    const BEFORE: &str = r#"{"id":"7","state":"busy","queued":"2026-12-02T00:00:00Z"}"#;
    const AFTER: &str = r#"{"id":"7","state":"ok","queued":"2026-12-02T00:00:04Z"}"#;
    let (status, code, page) = queued(&[BEFORE, AFTER]);
    assert_eq!((&status["flags"], code), (&json!(["QueuedAgain"]), 4), "{status}");
    assert!(page.contains("queued again according to later answers, which may be about other jobs: j-001"), "{page}");
    assert!(page.contains("may be about other jobs with the same ids: j-001 (QueuedAgain)"), "{page}");
    let attempt =
        r#"{"id":"7","state":"ok","queued":"2026-12-02T00:00:04Z","stages":[{"name":"a","state":"ok","attempt":2}]}"#;
    let retry = r#"{"id":"7","state":"retry","queued":"2026-12-02T00:00:00Z"}"#;
    let retries: [&[&str]; 2] = [&[BEFORE, attempt], &[BEFORE, retry, AFTER]];
    for answers in retries {
        let (status, code, _) = queued(answers);
        assert_eq!((&status["flags"], code), (&Value::Null, 0), "a retry: {status}");
    }
}

/// The flags of a job about which polls are answered with `answers` (404 for an empty one), and the exit code of the report of its run.
fn flags_after(answers: &[&'static str]) -> (Value, i32) {
    let (status, code, _) = queued(answers);
    assert_eq!(status["phase"], "Succeeded", "{status}");
    (status["flags"].clone(), code)
}

#[test]
fn a_job_that_waits_again_after_the_target_did_not_know_it_may_be_another_one() {
    const BUSY: &str = r#"{"id":"7","state":"busy"}"#;
    const WAITS: &str = r#"{"id":"7","state":"retry"}"#;
    const OK: &str = r#"{"id":"7","state":"ok"}"#;
    assert_eq!(flags_after(&[WAITS, BUSY, "", "", WAITS, OK]), (json!(["QueuedAgain"]), 4));
    assert_eq!(flags_after(&[WAITS, BUSY, "", WAITS, BUSY, OK]), (json!(["QueuedAgain"]), 4));
    assert_eq!(flags_after(&[WAITS, BUSY, WAITS, OK]), (Value::Null, 0), "a retry");
    assert_eq!(flags_after(&["", WAITS, "", BUSY, "", OK]), (Value::Null, 0), "it goes on where it was");
    assert_eq!(
        flags_after(&[BUSY, "", BUSY, WAITS, BUSY, OK]),
        (Value::Null, 0),
        "a retry after it was found as before"
    );
    let attempt = r#"{"id":"7","state":"ok","stages":[{"name":"a","state":"ok","attempt":2}]}"#;
    assert_eq!(flags_after(&[BUSY, "", WAITS, attempt]), (Value::Null, 0), "its attempts are counted");
    let lagging = [WAITS, BUSY, "", WAITS, BUSY, WAITS, BUSY, OK];
    assert_eq!(flags_after(&lagging), (Value::Null, 0), "one of the target's replicas lags");
}

#[test]
fn a_job_that_was_queued_long_after_its_acceptance_is_doubted() {
    const BEFORE: &str = r#"{"id":"7","state":"busy"}"#;
    let (status, code, page) = queued(&[BEFORE, r#"{"id":"7","state":"ok","queued":"2026-12-02T00:00:08Z"}"#]);
    assert_eq!((&status["flags"], code), (&json!(["QueuedLate"]), 0), "{status}");
    assert!(
        page.contains("queued after their submissions were answered") && page.contains("j-001 (QueuedLate)"),
        "{page}"
    );
    let (status, ..) = queued(&[BEFORE, r#"{"id":"7","state":"ok","queued":"2026-12-02T00:00:00.9Z"}"#]);
    assert_eq!(status["flags"], Value::Null, "the clocks may differ by as much: {status}");
}

/// An unsolicited answer follows the first one while the connection is idle.
#[test]
fn a_connection_on_which_bytes_come_unasked_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let mut requests = Vec::new();
        for (connection, stream) in listener.incoming().take(2).enumerate() {
            let mut stream = stream.unwrap();
            assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
            let state = if connection == 0 { "running" } else { "failed" };
            for state in [state, "done"] {
                let body = format!(r#"{{"status":"{state}"}}"#);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).unwrap();
                stream.flush().unwrap();
                // The answer has been read before the second one is sent, and that has come before the next poll is.
                std::thread::sleep(Duration::from_millis(100));
            }
            requests.push(stream.read(&mut [0; 4096]).unwrap_or_default());
        }
        requests
    });
    let job = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"s-1","run":"r"},"status":{"phase":"Submitted","jobId":"j-1"}}"#;
    let argv = ["--target", &url, "--min-interval", "1s", "--max-interval", "1s", "--deadline", "10s"];
    let ran = tool(poll_jobs::run, &argv, &format!("{job}\n"));
    assert_eq!(ran.last("s-1")["status"]["phase"], "Failed", "{}\n{}", ran.stdout, ran.stderr);
    assert_eq!(server.join().unwrap(), [0, 0], "nothing more was sent on either connection");
}
