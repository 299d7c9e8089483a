//! `poll-jobs` against targets and caches that answer oddly: what can be read is read, and what cannot is named at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stress_suite::tools::{poll_jobs, submit_jobs};

use crate::server::{Reply, Request, Server};
use crate::support::{Ran, root, tool};

const HEALTHY: &str = "{}";

/// A target that accepts each job and answers its polls by `polled`, which is given the number of polls before.
pub(crate) fn target(polled: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Server {
    let (posts, polls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Server::new(move |request| match (request.method.as_str(), request.path.starts_with("/jobs/")) {
        ("POST", _) => Reply::new(202, format!(r#"{{"job_id":"j-{}"}}"#, posts.fetch_add(1, Ordering::SeqCst) + 1)),
        (_, true) => polled(polls.fetch_add(1, Ordering::SeqCst), request),
        _ => Reply::json(HEALTHY),
    })
}

pub(crate) fn submit(target: &Server, argv: &[&str], jobs: usize) -> Ran {
    let url = target.url();
    let sources = (1..=jobs).map(|job| format!("/data/{job}.webm")).collect::<Vec<_>>().join("\n");
    tool(submit_jobs::run, &[&["--lines", "--target", &url], argv].concat(), &sources)
}

pub(crate) fn poll(target: &Server, argv: &[&str], records: &str) -> Ran {
    let url = target.url();
    tool(
        poll_jobs::run,
        &[&["--target", &url, "--min-interval", "10ms", "--max-interval", "50ms"], argv].concat(),
        records,
    )
}

/// Submits one job and polls it; returns the run of poll-jobs and the job's last status.
pub(crate) fn follow(target: &Server, argv: &[&str]) -> (Ran, Value) {
    let ran = poll(target, argv, &submit(target, &[], 1).stdout);
    let last = ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap();
    (ran, last["status"].clone())
}

pub(crate) fn text<'a>(status: &'a Value, key: &str) -> &'a str {
    status[key].as_str().unwrap_or_default()
}

pub(crate) fn running() -> Reply {
    Reply::json(r#"{"status":"running"}"#)
}

pub(crate) fn with_headers(status: u16, headers: Vec<(&'static str, String)>, body: &str) -> Reply {
    Reply::Whole(status, headers, body.to_owned())
}

#[test]
fn nan_and_a_byte_order_mark_do_not_hide_the_end() {
    for body in [r#"{"status":"done","wer":NaN,"logprob":-Infinity}"#, "\u{feff}{\"status\":\"done\"}"] {
        let target = target(move |_, _| Reply::json(body));
        let (_, status) = follow(&target, &[]);
        assert_eq!((text(&status, "phase"), &status["body"]), ("Succeeded", &json!(body)), "{status}");
        assert_eq!(status["flags"], json!(["LenientJson"]));
    }
}

#[test]
fn codings_have_no_case_and_json_is_read_whatever_coding_its_head_names() {
    let coded = |coding: &str, body: Vec<u8>| {
        let head = format!("HTTP/1.1 200 A\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\r\n", body.len());
        Reply::Bytes([head.into_bytes(), body].concat())
    };
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let json = r#"{"job_id":"j-1","status":"done"}"#;
    for (coding, body, flags) in [
        ("GZIP", gzip(json), Value::Null),
        ("x-gzip", gzip(json), Value::Null),
        ("utf-8", json.into(), json!(["LenientJson"])),
        ("aws-chunked", json.into(), json!(["LenientJson"])),
    ] {
        let (coded_there, body_there) = (coding.to_owned(), body.clone());
        let target = target(move |_, _| coded(&coded_there, body_there.clone()));
        let (_, status) = follow(&target, &["--deadline", "5s"]);
        assert_eq!((text(&status, "phase"), &status["flags"]), ("Succeeded", &flags), "{coding}: {status}");
        let (coded_there, body_there) = (coding.to_owned(), body.clone());
        let target = Server::new(move |request| match &*request.method {
            "POST" => coded(&coded_there, body_there.clone()),
            _ => Reply::json(HEALTHY),
        });
        let dir = tempfile::tempdir().unwrap();
        let profile = dir.path().join("p.toml");
        let autorag = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
        std::fs::write(&profile, autorag.replacen("accepted = [202]", "accepted = [200]", 1)).unwrap();
        let status = submit(&target, &["--profile", profile.to_str().unwrap()], 1).last("line-001")["status"].clone();
        assert_eq!((text(&status, "phase"), text(&status, "jobId")), ("Submitted", "j-1"), "{coding}: {status}");
        assert_eq!(status["flags"], flags, "{coding}");
    }
    let damaged = target(move |_, _| coded("GZIP", json.into()));
    let (_, status) = follow(&damaged, &["--deadline", "600ms"]);
    assert!(text(&status, "message").contains("cannot be decoded as gzip"), "{status}");
    assert_eq!(text(&status, "body"), json, "as it came");
}

type MakeReply = Box<dyn Fn() -> Reply + Send + Sync>;

#[test]
fn an_unreadable_answer_is_named_at_once_and_kept_as_it_came() {
    let coded = || with_headers(200, vec![("Content-Encoding", "zstd".to_owned())], "(/X");
    let gzip = || with_headers(200, vec![("Content-Encoding", "gzip".to_owned())], r#"{"status":"done"}"#);
    let fields = |count: usize| (0..count).map(|_| ("X-Field", "v".to_owned())).collect::<Vec<_>>();
    let long = || with_headers(200, vec![("X-Long", "v".repeat(70_000))], r#"{"status":"done"}"#);
    let cases: Vec<(MakeReply, &str, Option<&str>)> = vec![
        (Box::new(|| Reply::json("<html>503 busy</html>")), "not JSON", Some("<html>503 busy</html>")),
        (Box::new(|| Reply::json("")), "is empty", Some("")),
        (Box::new(|| Reply::new(204, "")), "HTTP 204, but the answer is empty", Some("")),
        (Box::new(coded), "Content-Encoding: zstd", Some("(/X")),
        (Box::new(gzip), "cannot be decoded as gzip", Some(r#"{"status":"done"}"#)),
        (Box::new(|| Reply::Cut(r#"{"status":"do"#.to_owned())), "broke off", Some(r#"{"status":"do"#)),
        (
            Box::new(move || with_headers(200, fields(200), r#"{"status":"done"}"#)),
            "(`HTTP/1.1 200 X`) has more than 128 header fields, so its body was not read",
            None,
        ),
        (Box::new(long), "larger than 64 KiB", None),
    ];
    for (reply, named, body) in cases {
        let target = target(move |_, _| reply());
        let (ran, status) = follow(&target, &["--deadline", "600ms"]);
        assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "UnreadableAnswer"), "{status}");
        assert!(
            text(&status, "message").contains(named) && ran.stderr.contains(named),
            "{named}: {status}\n{}",
            ran.stderr
        );
        assert_eq!(status["body"].as_str(), body, "{named}");
        let early = ran.records().into_iter().find(|record| record["status"]["reason"] == "UnreadableAnswer").unwrap();
        assert_eq!(
            (text(&early["status"], "phase"), early["status"]["body"].as_str()),
            ("Submitted", body),
            "said at once"
        );
    }
}

#[test]
fn a_head_of_sixty_kilobytes_and_a_hundred_fields_is_read() {
    let target = target(|_, _| {
        let fields = (0..100).map(|_| ("X-Field", "v".repeat(580)));
        with_headers(200, fields.collect(), r#"{"status":"done"}"#)
    });
    assert_eq!(text(&follow(&target, &[]).1, "phase"), "Succeeded");
}

#[test]
fn a_redirect_is_named_with_its_target_and_not_followed() {
    let target = target(|polls, _| match polls {
        0 => running(),
        _ => with_headers(303, vec![("Location", "/results/j-1".to_owned())], ""),
    });
    let (ran, status) = follow(&target, &["--deadline", "500ms"]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "Redirected"), "{status}");
    assert!(text(&status, "message").contains("/results/j-1") && ran.stderr.contains("/results/j-1"), "{status}");
    assert!(target.requests().iter().all(|request| !request.path.starts_with("/results")));
    assert!(status["polls"]["failed"].as_u64().unwrap() > 0, "{status}");
}

#[test]
fn an_answer_about_another_job_is_no_evidence() {
    let target = target(|_, _| Reply::json(r#"{"job_id":"j-99","status":"done"}"#));
    let (ran, status) = follow(&target, &["--deadline", "300ms"]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "OtherJob"), "{status}");
    assert!(ran.stderr.contains("j-99") && ran.stderr.contains("poll.id"), "{}", ran.stderr);
}

#[test]
fn a_lost_job_says_what_it_was_last_seen_doing() {
    let target = target(|polls, _| match polls {
        0..3 => Reply::json(r#"{"status":"running","stage_states":{"whisper":"done","l1":"running"}}"#),
        _ => Reply::new(404, "{}"),
    });
    let (_, status) = follow(&target, &["--lost-after", "50ms"]);
    assert_eq!(text(&status, "phase"), "Lost");
    let message = text(&status, "message");
    assert!(message.contains("last seen \"running\" in l1") && message.contains("after its submission"), "{message}");
}

#[test]
fn the_deadline_ends_a_poll_that_hangs() {
    let target = target(|_, _| Reply::Hang);
    let began = Instant::now();
    let (_, status) = follow(&target, &["--deadline", "300ms"]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "NoAnswer"), "{status}");
    assert!(text(&status, "message").contains("unanswered at the deadline"), "{status}");
    assert_eq!((&status["polls"]["sent"], &status["polls"]["failed"]), (&json!(1), &json!(1)), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "the timeout of 30 s did not have to pass: {:?}",
        began.elapsed()
    );
}

#[test]
fn a_stream_that_is_older_than_the_deadline_is_polled_all_the_same() {
    let target = target(|_, _| {
        // Longer than the last poll of a job that was in time may take.
        std::thread::sleep(Duration::from_millis(900));
        Reply::json(r#"{"status":"done"}"#)
    });
    let old = submit(&target, &[], 2).stdout.replace("\"submittedAt\":\"20", "\"submittedAt\":\"19");
    let ran = poll(&target, &["--deadline", "1s"], &old);
    assert_eq!(ran.stdout.matches("\"Succeeded\"").count(), 2, "{}", ran.stdout);
}

#[test]
fn every_kind_of_failure_is_counted_on_the_run() {
    let run = r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"s","run":"r"},"spec":{"jobs":1}}"#;
    let job = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"s-1","run":"r"},"status":{"phase":"Submitted","jobId":"j-1"}}"#;
    let target = target(|polls, _| match polls {
        0..2 => Reply::new(404, "{}"),
        2 => running(),
        3..5 => Reply::new(401, "{}"),
        5 => Reply::json("no JSON"),
        6 => Reply::json(r#"{"status":"paused"}"#),
        7 => Reply::Close,
        _ => Reply::json(r#"{"status":"done"}"#),
    });
    let ran = poll(&target, &[], &format!("{run}\n{job}\n"));
    let failures = ran.last("s")["status"]["polling"]["failures"].clone();
    let expected = json!({"HTTP 401": 2, "HTTP 404 before the first sight of the job": 2, "unreadable body": 1, "unnamed status word": 1});
    for (kind, count) in expected.as_object().unwrap() {
        assert_eq!(&failures[kind], count, "{failures}");
    }
    assert!(ran.stderr.contains("has a login expired?"), "{}", ran.stderr);
    assert_eq!(ran.last("s-1")["status"]["phase"], "Succeeded");
}

#[test]
fn a_done_job_with_a_failed_stage_or_an_error_text_is_flagged() {
    let failed = target(|_, _| Reply::json(r#"{"status":"done","stage_states":{"whisper":"done","l2":"failed"}}"#));
    assert_eq!(follow(&failed, &[]).1["flags"], json!(["FailedStage"]));
    let error = target(|_, _| Reply::json(r#"{"status":"done","error":"3 of 4 parts failed"}"#));
    let status = follow(&error, &[]).1;
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(["ErrorText"])));
    assert!(text(&status, "message").contains("3 of 4 parts failed"));
    let clean = target(|_, _| Reply::json(r#"{"status":"done","error":null}"#));
    assert_eq!(follow(&clean, &[]).1["flags"], Value::Null);
}

#[test]
fn a_redirect_of_the_submission_is_followed_where_the_profile_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    let autorag = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    // The answer of the place that a 303 names is a plain 200.
    let followed = autorag.replacen("[submit]", "[submit]\nfollow_redirects = true", 1);
    std::fs::write(&profile, followed.replacen("accepted = [202]", "accepted = [200, 202]", 1)).unwrap();
    let elsewhere = Server::new(|_| Reply::new(202, r#"{"job_id":"stolen"}"#));
    let other_origin = elsewhere.url();
    let redirected = |status: u16, location: &str| {
        let location = location.to_owned();
        let target = Server::new(move |request| match (&*request.method, &*request.path) {
            ("POST", "/jobs/audio") => with_headers(status, vec![("Location", location.clone())], ""),
            ("POST", "/jobs/audio/") => Reply::new(
                202,
                format!(r#"{{"job_id":"{}"}}"#, request.headers.get("content-length").map_or("0", String::as_str)),
            ),
            ("POST", "/full") => Reply::new(503, "busy"),
            ("GET", "/jobs/7") => Reply::json(r#"{"job_id":"7","status":"queued"}"#),
            ("GET", "/jobs/8") => Reply::new(404, "{}"),
            _ => Reply::json(HEALTHY),
        });
        let ran = submit(&target, &["--profile", profile.to_str().unwrap()], 1);
        ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap()["status"].clone()
    };
    let again = redirected(307, "/jobs/audio/");
    assert_eq!(text(&again, "phase"), "Submitted", "{again}");
    assert_ne!(text(&again, "jobId"), "0", "the body went along: {again}");
    for location in ["7", "/jobs/7"] {
        let status = redirected(303, location);
        assert_eq!((text(&status, "phase"), text(&status, "jobId")), ("Submitted", "7"), "{location}: {status}");
    }
    for location in ["/jobs/8", &format!("{other_origin}/jobs/7")] {
        let status = redirected(303, location);
        assert_eq!(
            (text(&status, "phase"), text(&status, "reason")),
            ("Unknown", "Redirected"),
            "{location}: {status}"
        );
    }
    // The first hop may have made the job, whatever the second one says of it.
    let refused = redirected(307, "/full");
    assert_eq!((text(&refused, "phase"), text(&refused, "reason")), ("Unknown", "Redirected"), "{refused}");
    assert!(text(&refused, "message").contains("/full: HTTP 503: busy"), "{refused}");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_redirect_of_the_submission_is_followed_with_the_cookies_that_it_sets() {
    let dir = tempfile::tempdir().unwrap();
    let (profile, file) = (dir.path().join("p.toml"), dir.path().join("cookies"));
    let autorag = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    std::fs::write(&profile, autorag.replacen("[submit]", "[submit]\nfollow_redirects = true", 1)).unwrap();
    for (status, set, then) in [
        (307, "LB=n1; Path=/", Some("LB=n1")),
        (308, "LB=n1; HttpOnly", Some("LB=n1")),
        (307, "LB=n1; Path=/jobs/audio; Max-Age=60", Some("LB=n1")),
        (307, "LB=n1; Path=/other", None),
        (307, "LB=n1; Path=/; Secure", None),
        (307, "LB=n1; Path=/; Max-Age=0", None),
        (307, "LB=n1; Path=/; Domain=example.org", None),
    ] {
        // The second redirect replaces nothing, and sets a cookie of its own for the directory of its path.
        let target = Server::new(move |request| match (&*request.method, &*request.path) {
            ("POST", "/jobs/audio") => {
                let headers = vec![("Location", "/jobs/audio/new".to_owned()), ("Set-Cookie", set.to_owned())];
                with_headers(status, headers, "")
            }
            ("POST", "/jobs/audio/new") => {
                let headers = vec![("Location", "last".to_owned()), ("Set-Cookie", "hop=2".to_owned())];
                with_headers(308, headers, "")
            }
            ("POST", "/jobs/audio/last") => Reply::new(202, r#"{"job_id":"7"}"#),
            _ => Reply::json(HEALTHY),
        });
        let _old = std::fs::remove_file(&file);
        let argv = ["--profile", profile.to_str().unwrap(), "--cookies", file.to_str().unwrap()];
        let job = submit(&target, &argv, 1).last("line-001");
        assert_eq!(text(&job["status"], "phase"), "Submitted", "{set}: {job}");
        let sent = |path: &str| {
            let request = target.requests().into_iter().find(|request| request.path == path).unwrap();
            assert!(request.body.contains("/data/1.webm"), "the same request: {}", request.body);
            request.headers.get("cookie").cloned()
        };
        assert_eq!((sent("/jobs/audio"), sent("/jobs/audio/new").as_deref()), (None, then), "{set}");
        let last = [Some("hop=2"), then].into_iter().flatten().collect::<Vec<_>>();
        let sent_last = sent("/jobs/audio/last").unwrap();
        let mut sent_last: Vec<&str> = sent_last.split("; ").collect();
        sent_last.sort_by_key(|pair| !pair.starts_with("hop"));
        assert_eq!(sent_last, last, "{set}");
        let kept = std::fs::read_to_string(&file).unwrap();
        assert!(kept.contains(r#""pair":"hop=2","path":"/jobs/audio""#), "for the polls: {kept}");
    }
}

#[test]
fn a_body_that_came_whole_is_not_said_to_have_broken_off() {
    let lie = || with_headers(202, vec![("Content-Encoding", "gzip".to_owned())], r#"{"job_id":"j-1"}"#);
    let target = Server::new(move |request| if request.method == "POST" { lie() } else { Reply::json(HEALTHY) });
    let ran = submit(&target, &[], 1);
    let status = ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap()["status"].clone();
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("Unknown", "UnreadableAnswer"), "{status}");
    let message = text(&status, "message");
    assert!(message.contains("HTTP 202, but the body cannot be decoded as gzip"), "{message}");
}
