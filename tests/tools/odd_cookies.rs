//! Cookies of unusual length, number, form and use, and requests that are too long to be sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::odd_polls::{poll, submit, text, with_headers};
use crate::server::{Reply, Server};
use crate::support::{Ran, root};

/// A target whose submission sets these cookies and whose answer about a job is by `polled`, which is given the `Cookie` header.
fn target(set: Vec<String>, polled: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Server {
    Server::new(move |request| match (request.method.as_str(), request.path.starts_with("/jobs/")) {
        ("POST", _) => {
            with_headers(202, set.iter().map(|set| ("Set-Cookie", set.clone())).collect(), r#"{"job_id":"j1"}"#)
        }
        (_, true) => polled(request.headers.get("cookie").map_or("", String::as_str)),
        _ => Reply::json("{}"),
    })
}

/// Submits one job and polls it, both with `--cookies`; returns both runs and the job's last status.
fn follow(target: &Server, argv: &[&str]) -> (Ran, Ran, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(target, &cookies, 1);
    let ran = poll(target, &[&cookies, &["--deadline", "5s"], argv].concat(), &submitted.stdout);
    let status = ran.last("line-001")["status"].clone();
    (submitted, ran, status)
}

fn found_by(cookie: &str) -> impl Fn(&str) -> Reply + use<> {
    let cookie = cookie.to_owned();
    move |sent| if sent.contains(&cookie) { Reply::json(r#"{"status":"done"}"#) } else { Reply::new(404, "{}") }
}

#[test]
fn cookies_as_long_and_as_many_as_browsers_keep_are_sent() {
    let long = format!("node={}", "k".repeat(7000));
    let many = |length: usize| (0..40).map(move |at| format!("c{at:02}={}", "v".repeat(length)));
    for (set, needed) in [
        (vec![long.clone()], long.as_str()),
        (many(1000).chain(["node=a".to_owned()]).collect(), "node=a"),
        ((0..120).map(|at| format!("n{at:03}=1")).collect(), "n000=1"),
    ] {
        let (_, ran, status) = follow(&target(set, found_by(needed)), &[]);
        assert_eq!((text(&status, "phase"), ran.stderr.as_str()), ("Succeeded", ""), "{status}");
    }
}

#[test]
fn a_cookie_that_is_too_long_to_be_kept_is_named_and_loses_no_job() {
    let long = format!("node={}; Path=/", "k".repeat(17_000));
    let (submitted, ran, status) = follow(&target(vec![long.clone()], found_by("node=")), &["--lost-after", "20ms"]);
    assert_eq!((text(&status, "phase"), &status["flags"]), ("Unknown", &json!(["CookieNotKept"])), "{status}");
    for told in [&submitted.stderr, &text(&status, "message").to_owned()] {
        assert!(
            told.contains(
                "cookies that the target set are not sent, because their Set-Cookie header is longer than 16384"
            ),
            "{told}"
        );
    }
    assert!(!ran.stdout.contains("kkkk"));
    // Set by a poll, and by one more than there may be.
    let polls = AtomicUsize::new(0);
    let by_poll = target(Vec::new(), move |_| match polls.fetch_add(1, Ordering::SeqCst) {
        0 => with_headers(200, vec![("Set-Cookie", long.clone())], r#"{"status":"running"}"#),
        _ => Reply::new(404, "{}"),
    });
    let (_, ran, status) = follow(&by_poll, &["--lost-after", "20ms"]);
    assert_eq!((text(&status, "phase"), &status["flags"]), ("Unknown", &json!(["CookieNotKept"])), "{status}");
    assert!(ran.stderr.contains("cookies that the target set are not sent, because"), "{}", ran.stderr);
}

#[test]
fn polls_that_are_too_long_to_be_sent_end_their_job_at_once() {
    let large = |numbers: std::ops::Range<u32>| numbers.map(|at| format!("c{at}={}", "v".repeat(8000)));
    let polls = AtomicUsize::new(0);
    let more = move |_: &str| match polls.fetch_add(1, Ordering::SeqCst) {
        0 => with_headers(200, large(6..10).map(|set| ("Set-Cookie", set)).collect(), r#"{"status":"running"}"#),
        _ => Reply::json(r#"{"status":"done"}"#),
    };
    let (_, ran, status) = follow(&target(large(0..6).collect(), more), &[]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("Unknown", "InvalidRequest"), "{status}");
    let why = "cannot be polled: cookie has 80054 bytes, and at most 49152 can be sent";
    assert_eq!(text(&status, "message"), format!("the job {why}; it may still run"));
    assert_eq!(ran.stderr.matches(why).count(), 1, "{}", ran.stderr);
}

#[test]
fn a_long_id_is_polled_and_messages_show_its_beginning() {
    // Each character takes six bytes in a URL.
    let id = "ß".repeat(2048);
    let jobs = Server::new(move |request| match (request.method.as_str(), request.path.starts_with("/jobs/")) {
        ("POST", _) => Reply::new(202, json!({"job_id": id}).to_string()),
        (_, true) if request.path.len() > 12_000 => Reply::new(500, "busy"),
        (_, true) => panic!("another id: {}", request.path),
        _ => Reply::json("{}"),
    });
    let ran = poll(&jobs, &["--deadline", "200ms"], &submit(&jobs, &[], 1).stdout);
    let status = ran.last("line-001")["status"].clone();
    assert!(text(&status, "message").contains("HTTP 500: busy"), "{status}");
    assert!(ran.stderr.lines().all(|line| line.chars().count() < 400), "{}", ran.stderr);
    // An id that an answer tells may have any length.
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    let autorag = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    std::fs::write(&profile, autorag.replacen("[poll]", "[poll]\nnext = [\"/next\"]", 1)).unwrap();
    let next = json!({"status": "running", "next": "n".repeat(50_000)}).to_string();
    let told = target(Vec::new(), move |_| Reply::json(next.clone()));
    let ran = poll(&told, &["--profile", profile.to_str().unwrap()], &submit(&told, &[], 1).stdout);
    let status = ran.last("line-001")["status"].clone();
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("Unknown", "InvalidRequest"), "{status}");
    assert!(text(&status, "message").contains("the URL of the request has 50006 bytes"), "{status}");
    assert!(ran.stderr.lines().all(|line| line.chars().count() < 400), "{}", ran.stderr);
}

#[test]
fn expired_cookies_are_not_sent_whatever_form_their_date_has() {
    let past = ["Tue, 02-Jan-1990 03:04:05 GMT", "Tue, 02 Jan 1990 03:04:05", "Tue, 02 Jan 1990 03:04:05 UTC"];
    let set = past.iter().enumerate().map(|(at, past)| format!("old{at}=1; Expires={past}"));
    let set = set.chain(["new=1; Path=/; Expires=Tue, 02-Jan-2035 03:04:05 GMT".to_owned()]).collect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = seen.clone();
    let target = target(set, move |sent| {
        let mut all = all.lock().unwrap();
        all.push(sent.to_owned());
        if all.len() > 1 {
            return Reply::json(r#"{"status":"done"}"#);
        }
        let gone = "new=; expires=Thu, 01-Jan-1970 00:00:10 GMT; path=/".to_owned();
        with_headers(200, vec![("Set-Cookie", gone)], r#"{"status":"running"}"#)
    });
    assert_eq!(text(&follow(&target, &[]).2, "phase"), "Succeeded");
    assert_eq!(*seen.lock().unwrap(), ["new=1", ""]);
}

#[test]
fn a_cookie_that_the_target_tells_is_in_no_record_and_no_message() {
    let polls = AtomicUsize::new(0);
    let set = vec!["session=\"c00kie/v4lue+1\"; Path=/".to_owned(), "node=j1; Path=/".to_owned()];
    let target = target(set, move |sent| match polls.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(500, format!("<pre>HTTP_COOKIE {sent}</pre>")),
        1 => Reply::json(json!({"state": sent}).to_string()),
        2 => with_headers(
            200,
            vec![("Set-Cookie", "session=r0t4ted-value; Path=/".to_owned())],
            r#"{"status":"running","session":"r0t4ted-value"}"#,
        ),
        _ => Reply::json(
            json!({"status": "failed", "error": format!("Cookie: {sent}"), "url": "/x?s=c00kie%2Fv4lue%2B1",
                "stage_states": {"l1": {"state": "failed", "error": sent}}, "job": "j1"})
            .to_string(),
        ),
    });
    let (submitted, ran, status) = follow(&target, &[]);
    assert_eq!(text(&status, "phase"), "Failed", "{status}");
    assert!(text(&status, "message").contains("session=(secret)") && text(&status, "body").contains("\"job\":\"j1\""));
    let all = [submitted.stdout, submitted.stderr, ran.stdout, ran.stderr].concat();
    assert!(!all.contains("v4lue") && !all.contains("r0t4ted"), "{all}");
    // The answer to a submission.
    let set = ("Set-Cookie", "session=n3w-s3ssion".to_owned());
    let refusing = Server::new(move |request| match request.method.as_str() {
        "POST" => with_headers(422, vec![set.clone()], r#"{"session":"n3w-s3ssion"}"#),
        _ => Reply::json("{}"),
    });
    let submitted = submit(&refusing, &[], 1);
    let status = submitted.last("line-001")["status"].clone();
    assert_eq!(text(&status, "body"), r#"{"session":"(secret)"}"#, "{status}");
    assert!(!submitted.stdout.contains("s3ssion") && !submitted.stderr.contains("s3ssion"), "{}", submitted.stderr);
}
