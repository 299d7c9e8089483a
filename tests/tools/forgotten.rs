//! Targets that forget jobs that ended well (`gone = "done"`): one answer that does not find a job is not its end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stress_suite::record::Timestamp;
use stress_suite::tools::{poll_jobs, render_report};

use crate::lists;
use crate::odd_polls::{text, with_headers};
use crate::profiles::{Rig, job};
use crate::server::{Reply, Request};
use crate::support::{Ran, tool};

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    gone = "done"
    [poll.words]
    running = ["busy"]
"#;

const NOT_CONFIRMED: &str = "HTTP 404 that the next poll did not confirm";

/// A target whose polls are answered by `polled`, which is given the number of polls before.
fn target(polled: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Rig {
    let polls = AtomicUsize::new(0);
    Rig::new(PROFILE, move |request| match request.method.as_str() {
        "POST" => Reply::json(r#"{"id":"7"}"#),
        _ => polled(polls.fetch_add(1, SeqCst), request),
    })
}

fn busy() -> Reply {
    Reply::json(r#"{"state":"busy"}"#)
}

fn absent() -> Reply {
    Reply::new(404, "{}")
}

/// Submits a job and polls it; returns the job's last status, and the Run's count of the polls that said nothing.
fn follow(rig: &Rig, argv: &[&str]) -> (Ran, Value, Value) {
    let run =
        json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "r1", "run": "r1"}, "spec": {"jobs": 1}});
    let ran = rig.poll(&format!("{run}\n{}", rig.submit(&job(&json!({}))).stdout), argv);
    let (status, failures) = (ran.last("j")["status"].clone(), ran.last("r1")["status"]["polling"]["failures"].clone());
    (ran, status, failures)
}

fn seconds(status: &Value, key: &str) -> f64 {
    text(status, key).parse::<Timestamp>().unwrap_or_else(|_| panic!("{key} of {status}")).seconds()
}

#[test]
fn a_host_that_does_not_know_the_job_ends_it_not_and_the_report_names_its_answers() {
    // One answer in five; the job ends after the fortieth.
    let rig = target(|polls, _| if polls < 40 && polls % 5 != 4 { busy() } else { absent() });
    let (ran, status, failures) = follow(&rig, &["--deadline", "60s"]);
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone"])), "{status}");
    assert_eq!((&status["polls"]["sent"], &status["polls"]["failed"]), (&json!(41), &json!(7)), "{status}");
    assert_eq!(failures, json!({NOT_CONFIRMED: 7}));
    let out = rig.dir.path().join("out");
    tool(render_report::run, &["--out", out.to_str().unwrap(), "--expect", "all-done"], &ran.stdout);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    let doubt = format!("7 of 41 polls of r1 failed ({NOT_CONFIRMED}: 7)");
    assert!(page.contains(&doubt), "{page}");
}

#[test]
fn the_second_look_comes_at_once_and_the_end_lies_before_the_first() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let seen = sent.clone();
    let rig = target(move |polls, _| {
        seen.lock().unwrap().push(Instant::now());
        if polls == 2 {
            // The second look is answered late, which says nothing about the end.
            std::thread::sleep(Duration::from_millis(300));
        }
        if polls == 0 { busy() } else { absent() }
    });
    let submitted = rig.submit(&job(&json!({}))).stdout;
    let argv = rig.argv(&["--min-interval", "2s", "--max-interval", "2s"]);
    let ran = tool(poll_jobs::run, &argv.iter().map(String::as_str).collect::<Vec<_>>(), &submitted);
    let status = ran.last("j")["status"].clone();
    assert_eq!((text(&status, "phase"), sent.lock().unwrap().len()), ("Succeeded", 3), "{status}");
    let gaps: Vec<f64> = sent.lock().unwrap().windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps[0] > 1.5 && gaps[1] < 1.0, "{gaps:?}");
    let (last_seen, end, told) =
        (seconds(&status, "notEndedAt"), seconds(&status, "endedAt"), seconds(&status, "observedAt"));
    assert!(told - end >= 0.3 && end - last_seen > gaps[0] - 0.1, "{gaps:?}: {status}");
    assert!((status["durationErrorSeconds"].as_f64().unwrap() - (end - last_seen)).abs() < 1e-3, "{status}");
}

#[test]
fn only_two_absences_in_a_row_that_no_cache_tells_end_the_job() {
    let (cached, zero) = (("Age", "7".to_owned()), ("Age", "0".to_owned()));
    let began = Instant::now();
    let rig = target(move |polls, _| match polls {
        0 | 3 | 6 | 8 | 9 => busy(),
        // No answer about the job; a cache's answer.
        2 => Reply::new(503, "{}"),
        5 => with_headers(404, vec![cached.clone()], "{}"),
        // A cache may repeat the answer for a second.
        10.. if began.elapsed() < Duration::from_millis(1500) => busy(),
        10.. => with_headers(404, vec![zero.clone()], "{}"),
        _ => absent(),
    });
    let (_, status, failures) = follow(&rig, &["--lost-after", "0s"]);
    assert_eq!((&status["phase"], &status["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone"])), "{status}");
    assert_eq!(failures, json!({NOT_CONFIRMED: 3, "HTTP 503": 1, "HTTP 404 from a cache": 1}));
    assert!(seconds(&status, "observedAt") - seconds(&status, "endedAt") >= 1.0, "{status}");
}

#[test]
fn a_deadline_before_the_second_look_is_no_success() {
    let rig = target(|polls, _| match polls {
        0 => busy(),
        1 => absent(),
        _ => Reply::Hang,
    });
    let (_, status, _) = follow(&rig, &["--deadline", "700ms", "--lost-after", "0s"]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "NoAnswer"), "{status}");
    // The poll at the deadline is the first that does not find it.
    let first = Mutex::new(None);
    let rig = target(move |_, _| {
        let first = *first.lock().unwrap().get_or_insert_with(Instant::now);
        if first.elapsed() < Duration::from_secs(1) {
            return busy();
        }
        // After the deadline, and before its last answer is given up.
        std::thread::sleep(Duration::from_millis(1700).saturating_sub(first.elapsed()));
        absent()
    });
    let (_, status, _) = follow(&rig, &["--deadline", "1500ms"]);
    assert_eq!((text(&status, "phase"), text(&status, "reason")), ("TimedOut", "DeadlineExceeded"), "{status}");
    assert!(
        text(&status, "message").contains("HTTP 404, and no second poll confirmed that before the deadline"),
        "{status}"
    );
}

#[test]
fn a_session_that_is_resumed_between_the_two_looks_twice_itself() {
    let (is_back, polls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (back, count) = (is_back.clone(), polls.clone());
    let rig = target(move |polls, _| {
        count.fetch_add(1, SeqCst);
        match polls {
            0 => busy(),
            // The first session gets no second poll.
            2 => Reply::Hang,
            _ if back.load(SeqCst) => busy(),
            _ => absent(),
        }
    });
    let (ran, status, _) = follow(&rig, &["--deadline", "500ms"]);
    assert_eq!((text(&status, "phase"), polls.load(SeqCst)), ("TimedOut", 3), "{status}");
    let gone = rig.poll(&ran.stdout, &["--resume", "--deadline", "20s"]).last("j")["status"].clone();
    assert_eq!((text(&gone, "phase"), polls.load(SeqCst)), ("Succeeded", 5), "{gone}");
    assert_eq!(gone["notEndedAt"], status["notEndedAt"], "the last poll that saw it: {gone}");
    is_back.store(true, SeqCst);
    let found = rig.poll(&ran.stdout, &["--resume", "--deadline", "300ms"]).last("j")["status"].clone();
    assert_eq!(text(&found, "phase"), "TimedOut", "{found}");
}

#[test]
fn one_list_without_a_job_that_was_asked_for_by_its_id_is_not_its_end() {
    let asked = AtomicUsize::new(0);
    let list = "path = \"/jobs?id={ids}\"\nat = [\"/jobs\"]\n";
    let began = Mutex::new(None);
    let rig = lists::Rig::new("gone = \"done\"", list, move |_| {
        let began = *began.lock().unwrap().get_or_insert_with(Instant::now);
        let is_there = began.elapsed() < Duration::from_millis(500) && asked.fetch_add(1, SeqCst) % 5 != 4;
        Reply::json(json!({"jobs": if is_there { lists::page(&[("a", "running")]) } else { json!([]) }}).to_string())
    });
    let a = lists::status(&rig.poll(&["a"], &[]), "a");
    assert_eq!((&a["phase"], &a["flags"]), (&json!("Succeeded"), &json!(["GoneIsDone"])), "{a}");
    assert!(seconds(&a, "notEndedAt") - seconds(&a, "submittedAt") > 0.3, "{a}");
}
