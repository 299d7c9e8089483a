//! The learned schedule changes when polls are sent, and nothing about what they prove: every recorded interval holds the true
//! end, which the target knows.

use std::time::Duration;

use fastrand::Rng;
use stress_suite::record::Timestamp;
use stress_suite::tools::poll_jobs::run;

use crate::server::{Reply, Server};
use crate::support::{Ran, tool};

/// Polls jobs that end after `durations`, in seconds, and returns what ran with the true ends.
fn follow(durations: &[f64], argv: &[&str]) -> (Ran, Vec<Timestamp>, Server) {
    let began = Timestamp::system();
    let ends: Vec<Timestamp> = durations.iter().map(|seconds| began.shifted(*seconds)).collect();
    let known = ends.clone();
    let (ran, server) = poll(began, durations.len(), argv, move |job| {
        let word = if Timestamp::system() >= known[job] { "done" } else { "running" };
        format!(r#"{{"status":"{word}"}}"#)
    });
    (ran, ends, server)
}

/// Polls `jobs` jobs that were submitted at `began`. The server's answer about one is what `tell` returns.
fn poll(
    began: Timestamp,
    jobs: usize,
    argv: &[&str],
    tell: impl Fn(usize) -> String + Send + Sync + 'static,
) -> (Ran, Server) {
    let server = Server::new(move |request| {
        let job = request.path.rsplit('/').next().and_then(|id| id.parse::<usize>().ok());
        Reply::json(job.map_or("{}".to_owned(), &tell))
    });
    let line = |job: usize| {
        format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"j-{job}","run":"r"}},"status":{{"phase":"Submitted","jobId":"{job}","submittedAt":"{began}"}}}}"#
        ) + "\n"
    };
    let input: String = (0..jobs).map(line).collect();
    let url = server.url();
    let ran = tool(run, &[&["--target", &url], argv].concat(), &input);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    (ran, server)
}

#[test]
fn every_recorded_interval_holds_the_true_end() {
    let mut random = Rng::with_seed(7);
    // Two kinds, and a few that are shorter than any other.
    let durations: Vec<f64> = (0..120)
        .map(|job| match job % 40 {
            39 => 0.15,
            even if even % 2 == 0 => 0.6 + 0.1 * random.f64(),
            _ => 1.0 + 0.5 * random.f64(),
        })
        .collect();
    let (ran, ends, server) = follow(&durations, &[]);
    let mut late = 0.0;
    for (job, end) in ends.iter().enumerate() {
        let status = ran.last(&format!("j-{job}"))["status"].clone();
        assert_eq!(status["phase"], "Succeeded", "{status}");
        let time = |key: &str| status[key].as_str().map(|text| text.parse::<Timestamp>().unwrap());
        let (not_ended, ended) = (time("notEndedAt"), time("endedAt").unwrap());
        assert!(not_ended.is_none_or(|not_ended| not_ended <= *end), "{job}: {not_ended:?} after {end}");
        assert!(ended >= *end, "{job}: {ended} before {end}");
        late += ended.since(*end) / ends.len() as f64;
    }
    // Neither bound is missed on a busy machine, and both would be without learning.
    let polls = server.requests().len() as f64 / ends.len() as f64;
    assert!(late < 0.5 && polls < 60.0, "{late} s late at {polls} polls");
}

#[test]
fn a_ceiling_bounds_every_second() {
    let (_, ends, server) = follow(&[0.7; 12], &["--max-poll-rate", "20/s"]);
    let took = Timestamp::system().since(ends[0]) + 0.7;
    let most = 20.0 * took + 2.0;
    assert!((server.requests().len() as f64) <= most, "{} requests in {took} s", server.requests().len());
    assert!(
        Duration::from_secs_f64(took) >= Duration::from_millis(1200),
        "the ends of twelve jobs take twelve requests"
    );
}

/// The profile of a target whose jobs run until they are done.
const POLLED: &str = r#"
name = "polled"
target = "http://localhost:8000"
[health]
path = "/health"
[submit]
path = "/jobs"
id = ["/id"]
[poll]
path = "/jobs/{id}"
status = ["/status"]
[poll.words]
running = ["running"]
done = ["done"]
"#;

/// The requests after a job's end, and those that cancel it.
const STEPS: &str = r#"
[[steps]]
name = "log"
when = "end"
path = "/jobs/{id}/log"
[[steps]]
name = "cost"
when = "end"
path = "/jobs/{id}/cost"
[[steps]]
name = "cancel"
when = "cancel"
path = "/jobs/{id}/cancel"
"#;

#[test]
fn the_requests_after_an_end_count_under_the_ceiling() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("steps.toml");
    std::fs::write(&profile, format!("{POLLED}{STEPS}")).unwrap();
    let argv = ["--profile", profile.to_str().unwrap(), "--max-poll-rate", "20/s"];
    let began = Timestamp::system();
    let (ran, _, server) = follow(&[0.3; 12], &argv);
    let (took, requests) = (Timestamp::system().since(began), server.requests());
    let steps = requests.iter().filter(|request| request.path.matches('/').count() == 3).count();
    assert_eq!(steps, 24, "two for each job: {}", ran.stderr);
    assert!(requests.len() as f64 <= 20.0 * took + 2.0, "{} requests in {took} s", requests.len());
    // Jobs that are given up: one request cancels each, and several ask whether that had an effect.
    let began = Timestamp::system();
    let cancelling = ["--deadline", "300ms", "--cancel-on", "timedout"];
    let (ran, _, server) = follow(&[60.0; 6], &[&argv[..], &cancelling].concat());
    let (took, requests) = (Timestamp::system().since(began), server.requests());
    let cancelled = requests.iter().filter(|request| request.path.ends_with("/cancel")).count();
    assert_eq!(cancelled, 6, "{}", ran.stderr);
    assert!(requests.len() as f64 <= 20.0 * took + 2.0, "{} requests in {took} s", requests.len());
    assert_eq!(ran.last("j-0")["status"]["cancel"], "answered", "it went on for as long as was asked");
}

/// Two stages, whose times only the polls tell.
const STAGES: &str = r#"
[poll.stages]
at = ["/stages"]
name = ["/name"]
state = ["/state"]
words = { running = ["running"], done = ["done"] }
"#;

#[test]
fn every_change_of_stage_lies_in_its_interval_and_is_seen_soon() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("stages.toml");
    std::fs::write(&profile, format!("{POLLED}{STAGES}")).unwrap();
    let (began, mut random) = (Timestamp::system(), Rng::with_seed(11));
    // A stage of any length, and one of 0.4 s.
    let changes: Vec<Timestamp> = (0..120).map(|_| began.shifted(0.3 + 1.5 * random.f64())).collect();
    let known = changes.clone();
    let (ran, server) = poll(began, changes.len(), &["--profile", profile.to_str().unwrap()], move |job| {
        let (now, change) = (Timestamp::system(), known[job]);
        let (status, load, write) = match now {
            now if now < change => ("running", "running", "waiting"),
            now if now < change.shifted(0.4) => ("running", "done", "running"),
            _ => ("done", "done", "done"),
        };
        let stage = |name: &str, state: &str| format!(r#"{{"name":"{name}","state":"{state}"}}"#);
        format!(r#"{{"status":"{status}","stages":[{},{}]}}"#, stage("load", load), stage("write", write))
    });
    let mut late = 0.0;
    for (job, change) in changes.iter().enumerate() {
        let status = ran.last(&format!("j-{job}"))["status"].clone();
        let time = |value: &serde_json::Value| value.as_str().map(|text| text.parse::<Timestamp>().unwrap());
        let holds = |after: &serde_json::Value, until: &serde_json::Value, at: Timestamp| {
            let (after, until) = (time(after), time(until).unwrap());
            assert!(after.is_none_or(|after| after <= at) && at <= until, "{job}: {at} in {status}");
            until.since(at)
        };
        holds(&status["notEndedAt"], &status["endedAt"], change.shifted(0.4));
        let stages = status["stages"].as_array().unwrap();
        holds(&stages[0]["notEndedAt"], &stages[0]["endedAt"], *change);
        holds(&stages[1]["notEndedAt"], &stages[1]["endedAt"], change.shifted(0.4));
        late += holds(&stages[1]["notStartedAt"], &stages[1]["startedAt"], *change) / changes.len() as f64;
    }
    let polls = server.requests().len() as f64 / changes.len() as f64;
    assert!(late < 0.4 && polls < 60.0, "{late} s late at {polls} polls");
}
