//! Cookies: a job's polls and steps send what its submission and its polls set, a restart finds them, and no record holds them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stress_suite::tools::render_report;

use crate::odd_polls::{poll, submit, text, with_headers};
use crate::server::{Reply, Request, Server, text_of};
use crate::support::{Ran, tool};

const HEALTHY: &str = "{}";

/// A load balancer that finds a job's node by the cookie of its submission.
fn sticky() -> Server {
    let posts = AtomicUsize::new(0);
    Server::new(move |request| {
        let node = |job: usize| format!("LB=node-{job}");
        if request.method == "POST" {
            let job = posts.fetch_add(1, Ordering::SeqCst) + 1;
            let cookie = format!("{}; Path=/; HttpOnly", node(job));
            return with_headers(202, vec![("Set-Cookie", cookie)], &format!(r#"{{"job_id":"{job}"}}"#));
        }
        let Some(job) = request.path.strip_prefix("/jobs/") else { return Reply::json(HEALTHY) };
        let own = node(job.parse().unwrap());
        if request.headers.get("cookie") == Some(&own) {
            Reply::json(r#"{"status":"done"}"#)
        } else {
            Reply::new(404, "{}")
        }
    })
}

#[test]
fn where_cookies_cannot_be_kept_nothing_more_is_submitted_and_no_answer_is_lost() {
    let target = sticky();
    let refused = submit(&target, &["--cookies", "/nonexistent/cookies"], 3);
    assert_eq!(refused.code, 74);
    assert!(refused.stderr.contains("--cookies /nonexistent/cookies"), "{}", refused.stderr);
    assert_eq!(refused.stdout, "", "nothing was submitted");
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let removed = inner.clone();
    let target = Server::new(move |request| {
        let _again = std::fs::remove_dir_all(&removed);
        if request.method == "POST" { with_cookie(202, "LB=n1", r#"{"job_id":"1"}"#) } else { Reply::json(HEALTHY) }
    });
    let gone = submit(&target, &["--cookies", inner.join("cookies").to_str().unwrap()], 3);
    let job = gone.last("line-001");
    assert_eq!((gone.code, gone.phases("line-003")), (74, vec!["Staged".into()]), "{}", gone.stderr);
    assert_eq!((&job["status"]["phase"], &job["status"]["jobId"]), (&"Submitted".into(), &"1".into()));
    assert_eq!(job["status"]["flags"], json!(["CookieNotKept"]));
    assert!(
        gone.stderr.contains("No such file or directory (os error 2); nothing more is submitted"),
        "{}",
        gone.stderr
    );
}

#[test]
fn a_cookies_file_that_is_not_a_regular_file_or_is_the_journal_is_refused_and_left() {
    let (target, dir) = (sticky(), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name).display().to_string();
    assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let (fifo, socket, both) = (at("fifo"), at("socket"), at("both"));
    let refused = |ran: Ran, file: &str, why: &str| {
        let line = format!("--cookies {file}: {why}\n");
        assert!(ran.code == 2 && ran.stderr.ends_with(&line), "{file}: {} {}", ran.code, ran.stderr);
        assert_eq!((ran.stderr.lines().count(), ran.stdout.as_str()), (1, ""));
    };
    for odd in [&fifo, &socket] {
        let why = "not a regular file; name a file of cookies, or one that does not exist yet";
        refused(submit(&target, &["--cookies", odd], 1), odd, why);
        refused(poll(&target, &["--cookies", odd], ""), odd, why);
        refused(poll(&target, &["--resume", "--cookies", odd], ""), odd, why);
    }
    let twice = poll(&target, &["--resume", "--cookies", &both, "--journal", &both], "");
    refused(twice, &both, "also the file of --journal; name two files");
    assert!(target.requests().is_empty());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2, "nothing is deleted or made");
}

#[test]
fn a_load_balancers_cookie_goes_back_with_the_polls_of_its_job_and_into_no_record() {
    let (target, dir) = (sticky(), tempfile::tempdir().unwrap());
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 3);
    assert!(file.exists(), "{}", submitted.stderr);
    // Interrupted before the first poll: the resumed session needs the cookies.
    let ran = poll(&target, &cookies, &submitted.stdout);
    let phases: Vec<_> = ran.records().iter().map(|record| text(&record["status"], "phase").to_owned()).collect();
    assert_eq!(phases.iter().filter(|phase| *phase == "Succeeded").count(), 3, "{phases:?}");
    assert!(![submitted.stdout, submitted.stderr, ran.stdout, ran.stderr].concat().contains("node-"));
    assert!(!file.exists(), "all jobs have ended");
}

#[test]
fn a_job_that_is_not_found_without_its_cookie_is_unknown() {
    let target = sticky();
    let submitted = submit(&target, &[], 1);
    assert!(submitted.stderr.contains("cookie LB") && !submitted.stderr.contains("node-"), "{}", submitted.stderr);
    let ran = poll(&target, &["--lost-after", "30ms"], &submitted.stdout);
    let status = ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap()["status"].clone();
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("Unknown", "UnknownId"));
    assert!(text(&status, "message").contains("--cookies") && status["flags"][0] == "CookieNotKept", "{status}");
}

#[test]
fn a_resumed_session_names_a_cookies_file_that_is_gone_torn_or_of_another_run_and_loses_no_job_for_it() {
    let (target, dir) = (sticky(), tempfile::tempdir().unwrap());
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 2).stdout;
    let kept = std::fs::read_to_string(&file).unwrap();
    let run =
        submitted.lines().next().unwrap().split("\"run\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let resume =
        |argv: &[&str], records: &str| poll(&target, &[&["--resume", "--lost-after", "30ms"], argv].concat(), records);
    let torn = &kept[..kept.len() - 9];
    for (held, why, unknown) in [
        (None, "is missing", 2),
        (Some(torn.to_owned()), "ends in a line that was cut off", 1),
        (Some(kept.replace(&run, "other")), "holds no cookies of this run", 2),
    ] {
        let _none = std::fs::remove_file(&file);
        if let Some(held) = held {
            std::fs::write(&file, held).unwrap();
        }
        let ran = resume(&cookies, &submitted);
        let line = format!("--cookies {} {why}", file.display());
        assert_eq!(ran.stderr.matches(&line).count(), 1, "{why}: {}", ran.stderr);
        let phases = |ran: &Ran, word: &str| ran.stdout.matches(&format!("\"phase\":\"{word}\"")).count();
        assert_eq!((phases(&ran, "Lost"), phases(&ran, "Unknown")), (0, unknown), "{why}: {}", ran.stdout);
        assert_eq!(ran.stdout.matches("CookieNotKept").count(), unknown, "{why}: {}", ran.stdout);
        // With the file they are found again.
        std::fs::write(&file, &kept).unwrap();
        let found = resume(&cookies, &ran.stdout);
        assert_eq!(phases(&found, "Succeeded"), 2, "{why}: {}", found.stdout);
        assert!(!found.stdout.lines().any(|line| line.contains("Succeeded") && line.contains("CookieNotKept")));
    }
    let without = resume(&[], &submitted).stderr;
    assert!(without.contains("--cookies FILE is not given"), "{without}");
}

#[test]
fn a_cookies_file_of_another_run_is_not_deleted() {
    let (target, dir) = (sticky(), tempfile::tempdir().unwrap());
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 1).stdout;
    let own = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{}{own}", own.replace("\"run\":\"", "\"run\":\"other-"))).unwrap();
    let ran = poll(&target, &cookies, &submitted);
    assert!(ran.stdout.contains("\"Succeeded\"") && file.exists(), "{}", ran.stdout);
}

#[test]
fn a_second_start_that_ends_early_leaves_the_cookies_of_the_jobs_that_run() {
    let (target, dir) = (sticky(), tempfile::tempdir().unwrap());
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 2).stdout;
    let kept = std::fs::read_to_string(&file).unwrap();
    // The file gets the cookies of another run, whose job ends.
    let other = submit(&target, &cookies, 1).stdout;
    let one: String = submitted.split_inclusive('\n').filter(|line| !line.contains("line-002")).collect();
    for input in ["", &other, &one] {
        let ran = poll(&target, &cookies, input);
        assert_eq!((ran.code, ran.stdout.contains("\"Succeeded\"")), (0, !input.is_empty()), "{}", ran.stderr);
        assert!(std::fs::read_to_string(&file).unwrap().starts_with(&kept), "line-002 still runs");
    }
    std::fs::write(&file, &kept).unwrap();
    let ended = poll(&target, &cookies, &one).stdout;
    let second = submitted.lines().rfind(|line| line.contains("line-002")).unwrap();
    // The record of line-001 passes through with its verdict.
    let ran = poll(&target, &[&cookies[..], &["--resume"]].concat(), &format!("{ended}{second}\n"));
    assert!(ran.stdout.matches("\"Succeeded\"").count() == 2 && !file.exists(), "{} {}", ran.stdout, ran.stderr);
}

#[test]
fn cookies_stay_for_a_resumed_session_while_a_job_is_open() {
    let (target, dir) = (sticky(), tempfile::tempdir().unwrap());
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 1).stdout;
    let gone = target_gone();
    let lost = poll(&gone, &[&cookies[..], &["--lost-after", "30ms"]].concat(), &submitted);
    assert!(lost.stdout.contains("\"Lost\"") && file.exists(), "{}", lost.stdout);
    let resumed = poll(&target, &[&cookies[..], &["--resume"]].concat(), &lost.stdout);
    assert!(resumed.stdout.contains("\"Succeeded\"") && !file.exists(), "{}", resumed.stdout);
}

#[test]
fn a_cookie_that_expires_while_its_job_runs_is_sent_until_then() {
    let polls = Arc::new(Mutex::new(Vec::new()));
    let seen = polls.clone();
    let target = Server::new(move |request| {
        if request.method == "POST" {
            return with_headers(202, vec![("Set-Cookie", "LB=1; Max-Age=1".to_owned())], r#"{"job_id":"1"}"#);
        }
        if !request.path.starts_with("/jobs/") {
            return Reply::json(HEALTHY);
        }
        let cookie = request.headers.get("cookie").cloned();
        // The job ends once a poll comes without the cookie.
        let state = if cookie.is_some() { "running" } else { "done" };
        seen.lock().unwrap().push(cookie);
        Reply::json(json!({"status": state}).to_string())
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let ran = poll(&target, &cookies, &submit(&target, &cookies, 1).stdout);
    let phase = ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap()["status"]["phase"].clone();
    assert_eq!((phase, &polls.lock().unwrap()[0]), (json!("Succeeded"), &Some("LB=1".to_owned())), "{}", ran.stderr);
}

#[test]
fn an_expiry_by_the_targets_clock_keeps_and_deletes_the_cookie_whatever_ours_shows() {
    // The target's clock is years behind, or years ahead.
    for year in [2001, 2091] {
        let dated = move |status, cookie: &str, body: &str| {
            let date = format!("Fri, 01 Jun {year} 10:00:00 GMT");
            with_headers(status, vec![("Date", date), ("Set-Cookie", cookie.replace("YEAR", &year.to_string()))], body)
        };
        let polls = AtomicUsize::new(0);
        let target = Server::new(move |request| {
            let (later, before) = ("01 Jun YEAR 10:10:00 GMT", "01 Jun YEAR 09:50:00 GMT");
            match (request.method.as_str(), polls.load(Ordering::SeqCst), cookies_of(request)) {
                ("POST", ..) => dated(202, &format!("LB=n1; Path=/; Expires=Fri, {later}"), r#"{"job_id":"1"}"#),
                _ if !request.path.starts_with("/jobs/") => Reply::json(HEALTHY),
                (_, 0, "LB=n1") => {
                    polls.store(1, Ordering::SeqCst);
                    dated(200, &format!("LB=; Path=/; Expires=Fri, {before}"), RUNNING)
                }
                (_, 1, "") => Reply::json(DONE),
                _ => Reply::new(404, "{}"),
            }
        });
        let (_, ran, status) = follow(&target, &["--lost-after", "200ms"]);
        assert_eq!(text(&status, "phase"), "Succeeded", "{year}: {status} {}", ran.stderr);
    }
}

#[test]
fn a_job_whose_newest_cookie_may_be_lost_with_a_killed_poll_jobs_is_unknown() {
    let is_found = Arc::new(AtomicBool::new(false));
    let finds = is_found.clone();
    let target = balancer(move |polls, cookies| match cookies {
        "LB=n1" => with_cookie(200, "LB=n2; Path=/", RUNNING),
        "LB=n2" if polls < 2 || finds.swap(false, Ordering::SeqCst) => Reply::json(RUNNING),
        _ => Reply::new(404, "{}"),
    });
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cookies");
    let cookies = ["--lost-after", "200ms", "--cookies", file.to_str().unwrap()];
    // Its records are those of a killed session: the job's last word is its submission.
    let submitted = submit(&target, &cookies[2..], 1).stdout;
    let untouched = std::fs::read(&file).unwrap();
    let lost = |argv: &[&str]| status_of(&poll(&target, &[&cookies[..], argv].concat(), &submitted));
    let status = lost(&[]);
    assert_eq!(text(&status, "phase"), "Lost", "this session took all cookies: {status}");
    let resumed = poll(&target, &[&cookies[..], &["--resume"]].concat(), &submitted);
    let status = status_of(&resumed);
    assert_eq!((text(&status, "phase"), &status["flags"]), ("Unknown", &json!(["CookieUnsaved"])), "{status}");
    assert!(
        text(&status, "message").contains("a new cookie that the earlier poll-jobs did not save before it ended"),
        "{status}"
    );
    assert_doubted(&resumed, "a new cookie that the earlier poll-jobs did not save before it ended: line-001");
    is_found.store(true, Ordering::SeqCst);
    assert_eq!(text(&lost(&["--resume"]), "phase"), "Lost", "an answer showed that the cookie is the right one");
    std::fs::write(&file, String::from_utf8(untouched).unwrap().replace("n1", "n3")).unwrap();
    assert_eq!(text(&lost(&["--resume"]), "phase"), "Lost", "no poll ever changed it");
}

/// Expects the report to say `what` under "Missing or doubtful".
fn assert_doubted(ran: &Ran, what: &str) {
    let dir = tempfile::tempdir().unwrap();
    let report = tool(render_report::run, &["--out", dir.path().to_str().unwrap()], &ran.stdout);
    let page = std::fs::read_to_string(dir.path().join("report.md")).unwrap();
    let doubts = page.split("Missing or doubtful").nth(1).unwrap();
    assert!(report.code == 4 && doubts.contains(what), "{} {page}", report.code);
}

/// A target that knows no job.
fn target_gone() -> Server {
    Server::new(|request| Reply::new(if request.path.starts_with("/jobs/") { 404 } else { 200 }, "{}"))
}

/// A target that sets `LB=n1` with the submission, and answers the polls of its job by `polled`, which is given the number of polls
/// before and the cookies.
fn balancer(polled: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Server {
    let polls = AtomicUsize::new(0);
    Server::new(move |request| match (request.method.as_str(), request.path.starts_with("/jobs/")) {
        ("POST", _) => with_cookie(202, "LB=n1; Path=/", r#"{"job_id":"1"}"#),
        (_, true) => polled(polls.fetch_add(1, Ordering::SeqCst), cookies_of(request)),
        _ => Reply::json(HEALTHY),
    })
}

fn with_cookie(status: u16, cookie: &str, body: &str) -> Reply {
    with_headers(status, vec![("Set-Cookie", cookie.to_owned())], body)
}

fn cookies_of(request: &Request) -> &str {
    request.headers.get("cookie").map_or("", String::as_str)
}

fn status_of(ran: &Ran) -> Value {
    ran.records().into_iter().rfind(|record| record["kind"] == "Job").unwrap()["status"].clone()
}

const RUNNING: &str = r#"{"status":"running"}"#;
const DONE: &str = r#"{"status":"done"}"#;

/// Submits a job and polls it with a file of cookies; returns both, with the job's last status.
fn follow(target: &Server, argv: &[&str]) -> (tempfile::TempDir, Ran, Value) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(target, &cookies, 1).stdout;
    let ran = poll(target, &[&cookies[..], argv].concat(), &submitted);
    let status = status_of(&ran);
    (dir, ran, status)
}

#[test]
fn a_job_that_its_balancer_moves_is_found_by_the_cookie_that_a_poll_sets() {
    for (status, set, then) in [
        (200, "LB=n2; Path=/", "LB=n2"),
        // Without a path it is for /jobs alone: a server takes the first of two.
        (200, "LB=n2", "LB=n2; LB=n1"),
        (200, "LB=nœud-2; Path=/", "LB=nœud-2"),
        // The node that has taken over does not know the job yet.
        (404, "LB=n2; Path=/", "LB=n2"),
        (503, "LB=n2; Path=/; Max-Age=3600", "LB=n2"),
        (200, "LB=; Path=/; Max-Age=0", ""),
        (200, "LB=n1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", ""),
        (200, "LB=n2; Path=/admin", "LB=n1"),
        (200, "LB=n2; Path=/; Secure", ""),
        (200, "LB=n2; Path=/; Domain=example.org", "LB=n1"),
    ] {
        let set = set.to_owned();
        let target = balancer(move |polls, cookies| match (polls, cookies) {
            (0, "LB=n1") => with_cookie(status, &set, RUNNING),
            (_, cookies) if cookies == then => Reply::json(DONE),
            _ => Reply::new(404, "{}"),
        });
        let (dir, ran, status) = follow(&target, &["--lost-after", "200ms"]);
        assert_eq!(text(&status, "phase"), "Succeeded", "{then}: {status} {}", ran.stderr);
        assert!(!ran.stdout.contains("LB=") && std::fs::read_dir(&dir).unwrap().count() == 0, "{}", ran.stdout);
    }
}

#[test]
fn cookies_of_any_bytes_go_back_as_they_came_from_a_submission_and_from_a_poll() {
    // Not UTF-8; UTF-8 that ends in a byte which is a space of Latin-1; no character of Latin-1.
    for value in [&b"n\xff\x80\xe9"[..], "\u{85}à".as_bytes(), "nœud".as_bytes(), b"\xa0n1\x85"] {
        let setting = |value: &[u8], body: &str| {
            let length = body.len();
            let head = format!("HTTP/1.1 202 X\r\nContent-Length: {length}\r\nSet-Cookie: LB=");
            Reply::Bytes([head.as_bytes(), value, b"; Path=/\r\n\r\n", body.as_bytes()].concat())
        };
        let sent = |value: &[u8]| text_of([b"LB=", value].concat());
        let (given, changed) = (value.to_vec(), [value, b"\xfe"].concat());
        let target = Server::new(move |request| match (request.method.as_str(), cookies_of(request)) {
            ("POST", _) => setting(&given, r#"{"job_id":"1"}"#),
            _ if !request.path.starts_with("/jobs/") => Reply::json(HEALTHY),
            (_, cookies) if cookies == sent(&given) => setting(&changed, RUNNING),
            (_, cookies) if cookies == sent(&changed) => Reply::json(DONE),
            _ => Reply::new(404, "{}"),
        });
        let (_dir, ran, status) = follow(&target, &["--lost-after", "200ms"]);
        assert_eq!(text(&status, "phase"), "Succeeded", "{value:?}: {status} {}", ran.stderr);
    }
}

#[test]
fn a_cookies_file_of_an_earlier_version_is_read_and_no_line_of_a_file_adds_a_header() {
    let target = balancer(|_, cookies| Reply::new(if cookies == "LB=nœud-é" { 200 } else { 404 }, DONE));
    let file = tempfile::NamedTempFile::new().unwrap();
    let flags = ["--cookies", file.path().to_str().unwrap()];
    let submitted = submit(&target, &flags, 1).stdout;
    let kept = std::fs::read_to_string(&file).unwrap();
    for (pair, phase) in [("LB=nœud-é", "Succeeded"), ("LB=n1\\r\\nX-Added: 1", "Unknown"), ("LB=\\u0000", "Unknown")]
    {
        let earlier = kept.replace("LB=n1", pair).replace(",\"latin1\":true", "");
        assert!(earlier.contains(pair) && !earlier.contains("latin1"), "{earlier}");
        std::fs::write(&file, earlier).unwrap();
        let ran = poll(&target, &[&flags[..], &["--deadline", "300ms"]].concat(), &submitted);
        let status = status_of(&ran);
        assert_eq!(text(&status, "phase"), phase, "{pair}: {status} {}", ran.stderr);
        assert_eq!(ran.stderr.contains("the value of cookie is not valid in a header"), phase == "Unknown");
    }
    assert!(target.requests().iter().all(|request| !request.headers.contains_key("x-added")));
}

#[test]
fn a_resumed_session_sends_the_cookie_that_a_poll_set() {
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let target = balancer(move |polls, cookies| match (polls, cookies) {
        (0, "LB=n1") => with_cookie(200, "LB=n2-SECRET; Path=/", RUNNING),
        (_, "LB=n2-SECRET") if ends.load(Ordering::SeqCst) => Reply::json(DONE),
        (_, "LB=n2-SECRET") => Reply::json(RUNNING),
        _ => Reply::new(404, "{}"),
    });
    let (dir, ran, status) = follow(&target, &["--deadline", "1s"]);
    is_over.store(true, Ordering::SeqCst);
    assert_eq!((text(&status, "phase"), &status["cookiesSaved"]), ("TimedOut", &json!(1)), "{}", ran.stderr);
    let file = dir.path().join("cookies");
    assert!(std::fs::read_to_string(&file).unwrap().contains("LB=n2-SECRET"));
    let resumed = poll(&target, &["--resume", "--cookies", file.to_str().unwrap()], &ran.stdout);
    assert_eq!(text(&status_of(&resumed), "phase"), "Succeeded", "{}", resumed.stderr);
    assert!(!format!("{}{}{}", ran.stdout, ran.stderr, resumed.stdout).contains("SECRET") && !file.exists());
}

#[test]
fn what_a_node_sets_that_does_not_have_the_job_makes_up_for_no_cookie_that_has_expired() {
    let target = Server::new(|request| match (request.method.as_str(), cookies_of(request)) {
        ("POST", _) => with_cookie(202, "LB=n1; Path=/; Max-Age=1", r#"{"job_id":"1"}"#),
        _ if !request.path.starts_with("/jobs/") => Reply::json(HEALTHY),
        (_, "LB=n1") => Reply::json(RUNNING),
        // Any node may answer, and makes itself the one to ask.
        _ => with_cookie(404, "LB=n2; Path=/", "{}"),
    });
    let (_dir, ran, status) = follow(&target, &["--lost-after", "100ms"]);
    assert_eq!(text(&status, "phase"), "Unknown", "{status} {}", ran.stderr);
    assert!(
        text(&status, "message").contains("did not send a cookie that the target set (it has expired)"),
        "{status}"
    );
    assert_eq!(status["flags"], json!(["CookieExpired"]), "{status}");
    assert_doubted(&ran, "after a cookie from the target had expired: line-001");
    // A job that is not known although all was sent that it should be is lost.
    let forgetful =
        balancer(|polls, _| with_cookie(if polls == 0 { 200 } else { 404 }, &format!("s={polls}"), RUNNING));
    assert_eq!(text(&follow(&forgetful, &["--lost-after", "50ms"]).2, "phase"), "Lost");
}

#[test]
fn a_poll_that_sets_a_cookie_without_a_file_for_it_leaves_its_job_unknown_and_not_lost() {
    let target = Server::new(|request| match (request.method.as_str(), request.path.starts_with("/jobs/")) {
        ("POST", _) => Reply::new(202, r#"{"job_id":"1"}"#),
        (_, true) => with_cookie(404, "LB=n2-SECRET; Path=/", "{}"),
        _ => Reply::json(HEALTHY),
    });
    let ran = poll(&target, &["--lost-after", "50ms"], &submit(&target, &[], 1).stdout);
    let status = status_of(&ran);
    assert_eq!((text(&status, "phase"), &status["flags"]), ("Unknown", &json!(["CookieNotKept"])), "{status}");
    assert_eq!(ran.stderr.matches("the answer to a poll sets the cookie LB,").count(), 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("SECRET"));
}

#[test]
fn a_file_that_cannot_be_written_any_more_costs_no_job_and_is_named() {
    let dir = Arc::new(Mutex::new(None::<std::path::PathBuf>));
    let to_remove = dir.clone();
    let target = balancer(move |polls, cookies| {
        if let Some(dir) = to_remove.lock().unwrap().take() {
            std::fs::remove_dir_all(dir).unwrap();
        }
        match (polls, cookies) {
            (0, "LB=n1") => with_cookie(200, "LB=n2; Path=/", RUNNING),
            (_, "LB=n2") => Reply::json(DONE),
            _ => Reply::new(404, "{}"),
        }
    });
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let file = inner.join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 1).stdout;
    *dir.lock().unwrap() = Some(inner.clone());
    let ran = poll(&target, &cookies, &submitted);
    assert_eq!((text(&status_of(&ran), "phase"), ran.code), ("Succeeded", 74), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("No such file") && ran.stderr.contains("a resumed session will not have them"),
        "{}",
        ran.stderr
    );
}

#[test]
fn lines_that_hold_no_cookies_are_named_once_and_cost_no_job() {
    let target = sticky();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cookies");
    let cookies = ["--cookies", file.to_str().unwrap()];
    let submitted = submit(&target, &cookies, 3).stdout;
    let kept = std::fs::read_to_string(&file).unwrap();
    let first = kept.lines().next().unwrap();
    for (held, line, unknown) in [
        ("hello\n".to_owned(), 1, 3),
        (format!("{first}\n\u{1}\u{2}\nmore of it\n"), 2, 2),
        (kept.replacen("\"cookies\":[", "\"cookies\":7,\"c\":[", 1), 1, 1),
        (format!("{kept}# a remark\n"), 4, 0),
        (format!("{kept}# a remark"), 4, 0),
        (kept.replacen(first, &first[..first.len() / 2], 1), 1, 1),
    ] {
        std::fs::write(&file, &held).unwrap();
        let ran = poll(&target, &[&cookies[..], &["--lost-after", "30ms"]].concat(), &submitted);
        let named = format!("--cookies {} line {line}: ", file.display());
        assert_eq!((ran.stderr.matches(&named).count(), ran.code), (1, 65), "{}", ran.stderr);
        let count = |phase: &str| ran.stdout.matches(&format!("\"phase\":\"{phase}\"")).count();
        assert_eq!((count("Unknown"), count("Succeeded"), count("Lost")), (unknown, 3 - unknown, 0), "{}", ran.stdout);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), held, "it is left as it was");
        let posts = target.requests().iter().filter(|request| request.method == "POST").count();
        let refused = submit(&target, &cookies, 1);
        assert!(refused.code == 65 && refused.stderr.contains(&named), "{}", refused.stderr);
        assert_eq!(target.requests().iter().filter(|request| request.method == "POST").count(), posts);
    }
}

#[test]
fn steps_after_a_jobs_end_send_its_newest_cookie_and_take_what_they_are_set() {
    let profile = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["/state"]
        words = { running = ["busy"], done = ["ok"] }
        [[steps]]
        name = "first"
        when = "WHEN"
        path = "/jobs/{id}/first"
        [[steps]]
        name = "second"
        when = "WHEN"
        path = "/other/second"
        [[steps]]
        name = "elsewhere"
        when = "WHEN"
        path = "ELSEWHERE/x"
    "#;
    let elsewhere = Server::new(|_| Reply::json("{}"));
    for (when, argv) in [("end", &[][..]), ("cancel", &["--deadline", "1s", "--cancel-on", "timedout"][..])] {
        let is_end = when == "end";
        let text = profile.replace("WHEN", when).replace("ELSEWHERE", &elsewhere.url());
        let mut rig = crate::profiles::Rig::new(&text, move |request| match request.path.as_str() {
            "/jobs" => with_cookie(200, "LB=n1; Path=/", r#"{"id":"7"}"#),
            "/jobs/7" => {
                with_cookie(200, "LB=n2; Path=/", if is_end { r#"{"state":"ok"}"# } else { r#"{"state":"busy"}"# })
            }
            "/jobs/7/first" => with_cookie(200, "LB=n3; Path=/", "{}"),
            _ => Reply::json("{}"),
        });
        let file = rig.dir.path().join("cookies");
        rig.flags = vec!["--cookies".to_owned(), file.display().to_string()];
        let ran = rig.poll(&rig.submit(&crate::profiles::job(&json!({}))).stdout, argv);
        let sent = |path: &str| {
            let requests = rig.requests();
            requests.iter().find(|request| request.path == path).map(|request| cookies_of(request).to_owned())
        };
        assert_eq!(sent("/jobs/7/first").as_deref(), Some("LB=n2"), "{when}: {} {}", ran.stdout, ran.stderr);
        assert_eq!(sent("/other/second").as_deref(), Some("LB=n3"), "{when}: {}", ran.stderr);
    }
    let seen: Vec<String> = elsewhere.requests().iter().map(|request| cookies_of(request).to_owned()).collect();
    assert_eq!(seen, ["", ""], "another server sees no cookie of the target");
}

#[test]
fn a_cookie_of_a_list_goes_with_its_pages_and_with_no_job() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let rig = crate::lists::Rig::new(
        "path = \"/jobs/{id}\"",
        "path = \"/jobs\"\nat = [\"/jobs\"]\nid = [\"/id\"]",
        move |request| {
            let mut seen = seen.lock().unwrap();
            seen.push((request.path.clone(), cookies_of(request).to_owned()));
            if request.path == "/jobs" {
                // The second job is in no list.
                let state = if seen.len() < 6 { "busy" } else { "done" };
                let body = json!({"jobs": [{"id": "a", "state": state.replace("busy", "running")}]}).to_string();
                return with_cookie(200, "page=P1; Path=/", &body);
            }
            let state = if seen.len() < 6 { "running" } else { "done" };
            with_cookie(200, "job=J1; Path=/", &json!({"id": "b", "state": state}).to_string())
        },
    );
    let file = rig.dir.path().join("cookies");
    let ran = rig.poll(&["a", "b"], &["--cookies", file.to_str().unwrap()]);
    assert_eq!(ran.stdout.matches("\"Succeeded\"").count(), 2, "{} {}", ran.stdout, ran.stderr);
    let asked = asked.lock().unwrap();
    for (path, first, next) in [("/jobs", "", "page=P1"), ("/jobs/b", "", "job=J1")] {
        let sent: Vec<&str> = asked.iter().filter(|(of, _)| of == path).map(|(_, cookies)| cookies.as_str()).collect();
        assert!(
            sent.len() > 1 && sent[0] == first && sent[1..].iter().all(|cookies| *cookies == next),
            "{path}: {sent:?}"
        );
    }
}
