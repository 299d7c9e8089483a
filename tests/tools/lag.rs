//! Replicas that lag: answers that show a job in a state that an earlier answer showed to be over.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use stress_suite::clock::Clock;
use stress_suite::record::Timestamp;
use stress_suite::tools::render_report;

use crate::profiles::{Rig, job};
use crate::server::Reply;
use crate::support::tool;

const PROFILE: &str = r#"
    [submit]
    path = "/jobs"
    id = ["/id"]
    [poll]
    path = "/jobs/{id}"
    status = ["/state"]
    times = { started = ["/started"], ended = ["/ended"] }
    words = { waiting = ["queued"], running = ["running"], done = ["done"] }
    [poll.stages]
    at = ["/stages"]
    name = ["/name"]
    state = ["/state"]
    attempt = ["/attempt"]
    words = { waiting = ["queued"], running = ["running"], done = ["done"] }
    times = { started = ["/started"], ended = ["/ended"] }
    [[stages]]
    name = "a"
"#;

/// A run of one job.
struct Followed {
    run: Value,
    status: Value,
    page: String,
    /// When the target started it, and when it first said so.
    started: Timestamp,
    shown: Timestamp,
}

/// Follows a job that starts as soon as it is submitted, and ends with the last of `answers`, each of which is a state and an attempt.
/// With `is_told`, running answers tell the start.
fn follow(answers: &[(&'static str, u64)], is_told: bool) -> Followed {
    let times = Arc::new(Mutex::new((None, None)));
    let (polls, clock, answers, noted) = (AtomicUsize::new(0), Clock::system(), answers.to_vec(), times.clone());
    let rig = Rig::new(PROFILE, move |request| {
        let now = clock.now();
        let mut times = noted.lock().unwrap();
        let (started, shown) = &mut *times;
        if request.method == "POST" {
            *started = Some(now);
            return Reply::new(201, r#"{"id":"7"}"#);
        }
        let number = polls.fetch_add(1, SeqCst).min(answers.len() - 1);
        let (state, attempt) = answers[number];
        let start = started.filter(|_| state != "queued").map(|at| at.to_string());
        if start.is_some() {
            shown.get_or_insert(now);
        }
        let start = start.filter(|_| is_told);
        let end = Some(now.to_string()).filter(|_| state == "done" && is_told);
        let only = json!({"name": "a", "state": state, "attempt": attempt, "started": start, "ended": end});
        Reply::json(json!({"id": "7", "state": state, "started": start, "ended": end, "stages": [only]}).to_string())
    });
    let run = json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "j", "run": "r1"}, "spec": {"prefix": "j", "jobs": 1, "stages": [{"name": "a"}]}});
    let submitted = rig.submit(&job(&json!({}))).stdout.replace(r#""name":"j""#, r#""name":"j-001""#);
    let ran = rig.poll(&format!("{run}\n{submitted}"), &["--deadline", "20s"]);
    let out = rig.dir.path().join("out");
    let argv = ["--out", out.to_str().unwrap(), "--expect", "all-done"];
    tool(render_report::run, &argv, &ran.stdout);
    let (started, shown) = *times.lock().unwrap();
    Followed {
        run: ran.last("j")["status"].clone(),
        status: ran.last("j-001")["status"].clone(),
        page: std::fs::read_to_string(out.join("report.md")).unwrap(),
        started: started.unwrap(),
        shown: shown.unwrap(),
    }
}

const OLD: &[(&str, u64)] =
    &[("queued", 1), ("running", 1), ("queued", 1), ("running", 1), ("queued", 1), ("running", 1), ("done", 1)];

#[test]
fn answers_of_a_replica_that_lags_do_not_outweigh_the_servers_times() {
    let Followed { run, status, page, started, .. } = follow(OLD, true);
    assert_eq!(status["phase"], "Succeeded", "{status}");
    assert!(run["polling"]["lagSeconds"].as_f64().is_some_and(|lag| lag > 0.0), "{run}");
    assert!(page.contains("showed earlier states of their jobs than") && page.contains("replicas lag"), "{page}");
    assert!(!page.contains("contradict"), "the server's times are right: {page}");
    assert_eq!(status["serverTimes"]["startedAt"], started.to_string(), "{status}");
}

#[test]
fn sightings_of_a_replica_that_lags_are_moved_back() {
    let Followed { status, shown, run, .. } = follow(OLD, false);
    assert_eq!(status["phase"], "Succeeded", "{status}");
    assert!(run["polling"]["lagSeconds"].is_number(), "{run}");
    for not_yet in [&status["notStartedAt"], &status["stages"][0]["notStartedAt"]] {
        let not_yet = not_yet.as_str().map(|at| at.parse::<Timestamp>().unwrap());
        assert!(not_yet.is_none_or(|at| at < shown), "{status}");
    }
}

#[test]
fn a_retry_is_no_lag() {
    let once = &[("running", 1), ("queued", 1), ("running", 1), ("done", 1)];
    let counted = &[("running", 1), ("queued", 2), ("running", 2), ("queued", 3), ("running", 3), ("done", 3)];
    for answers in [&once[..], counted] {
        let Followed { run, page, .. } = follow(answers, false);
        assert_eq!(run["polling"]["lagSeconds"], Value::Null, "{run}");
        assert!(!page.contains("went back"), "{page}");
    }
}
