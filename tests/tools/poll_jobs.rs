//! `poll-jobs`: every way in which a job ends, and the small cost of polling.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use stress_suite::cli::Stop;
use stress_suite::tools::poll_jobs::run;

use crate::support::{Ran, Target, tool, tool_until, wait_until};

/// Stages, submits and polls `jobs` against a stand-in with `faults`.
fn follow(jobs: u32, faults: &[&str], argv: &[&str]) -> (Target, Ran) {
    let target = Target::start(faults);
    let submitted = target.submit(&["--max-posts", "4"], &target.stage(jobs));
    let ran = target.poll(argv, &submitted.stdout);
    (target, ran)
}

fn end(ran: &Ran, name: &str) -> (String, String, String) {
    let status = ran.last(name)["status"].clone();
    let text = |key: &str| status[key].as_str().unwrap_or("").to_owned();
    (text("phase"), text("reason"), text("message"))
}

#[test]
fn every_job_is_handed_on_at_once_and_again_at_its_end() {
    let (target, ran) = follow(3, &[], &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.phases("soak-002"), ["Submitted", "Succeeded"]);
    let status = ran.last("soak-002")["status"].clone();
    assert_eq!(status["stages"].as_array().unwrap().len(), 8);
    assert_eq!(status["stages"][0]["timesFrom"], "server");
    let body: serde_json::Value = serde_json::from_str(status["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["job_id"], status["jobId"], "the last body is kept verbatim");
    let (duration, error) =
        (status["durationSeconds"].as_f64().unwrap(), status["durationErrorSeconds"].as_f64().unwrap());
    assert!(0.0 < error && error < duration, "{duration} {error}");
    let run = ran.last("soak");
    let polling = &run["status"]["polling"];
    assert_eq!(polling["sent"].as_u64().unwrap(), target.sim.stats().polls);
    assert_eq!(polling["answers"]["count"], polling["sent"], "each of them was answered");
    let [median, max] = ["medianSeconds", "maxSeconds"].map(|name| polling["answers"][name].as_f64().unwrap());
    assert!(0.0 < median && median <= max, "{polling}");
    assert_eq!(run["spec"]["deadlineSeconds"], 1800.0);
}

#[test]
fn a_failure_carries_the_targets_own_words() {
    let (_target, ran) = follow(3, &["--fail", "l2:2"], &[]);
    let (phase, reason, message) = end(&ran, "soak-002");
    // Which of four simultaneous submissions was accepted second is the target's to say.
    let failed = ran.records().into_iter().find(|record| record["status"]["phase"] == "Failed").unwrap();
    let name = failed["metadata"]["name"].as_str().unwrap();
    let (phase, reason, message) = if phase == "Failed" { (phase, reason, message) } else { end(&ran, name) };
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "TargetFailed"));
    assert!(message.contains("l2 failed after 3 attempts"), "{message}");
    assert_eq!(ran.records().iter().filter(|record| record["status"]["phase"] == "Succeeded").count(), 2);
}

#[test]
fn a_job_that_hangs_times_out_and_one_that_is_forgotten_is_lost() {
    let (_target, ran) = follow(1, &["--hang", "decide:1"], &["--deadline", "1s"]);
    let (phase, reason, message) = end(&ran, "soak-001");
    assert_eq!(
        (phase.as_str(), reason.as_str(), message.as_str()),
        ("TimedOut", "DeadlineExceeded", "did not end within 1.00 s")
    );
    let (_target, ran) = follow(1, &["--lose", "1"], &["--lost-after", "200ms"]);
    let (phase, reason, message) = end(&ran, "soak-001");
    assert_eq!((phase.as_str(), reason.as_str()), ("Lost", "UnknownId"));
    assert!(message.starts_with("the target has not known the id for 200 ms; "), "{message}");
}

#[test]
fn polls_that_bring_nothing_are_counted_and_never_fatal() {
    let faults = ["--poll-status", "500:1,2", "--cut", "3", "--garble", "4", "--poll-status", "429:5:1"];
    let (_target, ran) = follow(1, &faults, &[]);
    let status = ran.last("soak-001")["status"].clone();
    assert_eq!((&status["phase"], &status["polls"]["failed"]), (&"Succeeded".into(), &5.into()), "{status}");
    assert!(ran.stderr.contains("HTTP 500") && ran.stderr.contains("polls are answered again"), "{}", ran.stderr);
    assert!(status["durationSeconds"].as_f64().unwrap() > 1.0, "Retry-After: 1 was obeyed");
}

#[test]
fn stage_times_of_a_target_that_gives_none_lie_between_polls() {
    let target = Target::start(&["--stage-shape", "string", "--hold", "whisper:100%"]);
    let submitted = target.submit(&[], &target.stage(2)).stdout;
    let ran = std::thread::scope(|scope| {
        // The second was sent when the first had been answered, and that saw whisper at work at the latest.
        scope.spawn(|| {
            let stats = || target.sim.stats();
            wait_until("two polls of each job", || stats().jobs.iter().all(|job| job.polls >= 2));
            target.sim.release();
        });
        target.poll(&["--min-interval", "1ms", "--precision", "0.01"], &submitted)
    });
    let stages = ran.last("soak-001")["status"]["stages"].clone();
    let whisper = &stages[0];
    assert_eq!(
        (&whisper["name"], &whisper["state"], &whisper["timesFrom"]),
        (&"whisper".into(), &"done".into(), &"polls".into())
    );
    assert!(whisper["notEndedAt"].as_str().unwrap() < whisper["endedAt"].as_str().unwrap());
}

#[test]
fn a_status_word_that_the_profile_does_not_name_is_said_at_once() {
    let (_target, ran) = follow(1, &["--status-word", "done=completed", "--time-scale", "0"], &["--deadline", "1s"]);
    assert!(
        ran.stderr.contains("soak-001: the profile does not name the target's status \"completed\""),
        "{}",
        ran.stderr
    );
    let reasons: Vec<_> =
        ran.records().iter().map(|record| record["status"]["reason"].as_str().unwrap_or("").to_owned()).collect();
    assert!(reasons.contains(&"UnnamedStatus".to_owned()), "the record says it before the end: {reasons:?}");
    let (phase, reason, message) = end(&ran, "soak-001");
    assert_eq!((phase.as_str(), reason.as_str()), ("TimedOut", "UnnamedStatus"));
    assert!(message.contains("completed"), "{message}");
}

#[test]
fn times_from_before_the_submission_are_flagged_and_a_wrong_clock_alone_is_not() {
    let (_target, ran) = follow(1, &["--stale", "1"], &[]);
    assert_eq!(ran.last("soak-001")["status"]["flags"], serde_json::json!(["StaleTimes"]));
    let (_target, ran) = follow(2, &["--clock-offset", "-90s"], &[]);
    assert_eq!(ran.last("soak-001")["status"]["flags"], serde_json::Value::Null);
    let offset = ran.last("soak")["status"]["clockOffset"].clone();
    let (seconds, bound) = (offset["seconds"].as_f64().unwrap(), offset["boundSeconds"].as_f64().unwrap());
    assert!((seconds + 90.0).abs() <= bound + 0.001 && bound <= 5.0, "{offset}");
}

#[test]
fn a_saved_stream_can_be_polled_later_and_what_has_ended_is_not_asked_for() {
    let (target, ran) = follow(2, &[], &[]);
    let polls = target.sim.stats().polls;
    let again = target.poll(&[], &ran.stdout);
    assert_eq!(target.sim.stats().polls, polls, "the stream itself tells how its jobs ended");
    assert_eq!(again.last("soak-001"), ran.last("soak-001"));
    let submitted: Vec<_> = ran.stdout.lines().filter(|line| line.contains("Submitted")).collect();
    let late = target.poll(&[], &submitted.join("\n"));
    assert_eq!(late.phases("soak-001"), ["Submitted", "Succeeded"]);
}

/// An input that stays open until the test lets it end.
struct Held(Receiver<Vec<u8>>, Vec<u8>);

impl Read for Held {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.1.is_empty() {
            match self.0.recv() {
                Ok(bytes) => self.1 = bytes,
                Err(_) => return Ok(0),
            }
        }
        let count = self.1.len().min(into.len());
        into[..count].copy_from_slice(&self.1[..count]);
        self.1.drain(..count);
        Ok(count)
    }
}

#[test]
fn a_signal_writes_every_job_in_flight_as_interrupted_with_its_id() {
    let target = Target::start(&["--hang", "l1:1,2"]);
    let submitted = target.submit(&[], &target.stage(2)).stdout;
    let (feed, input) = channel();
    feed.send(submitted.into_bytes()).unwrap();
    let (stop, url) = (Stop::default(), target.url());
    let trigger = stop.clone();
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("four polls", || target.sim.stats().polls >= 4);
            trigger.trigger(2);
            drop(feed);
        });
        tool_until(run, &["--target", &url, "--min-interval", "5ms"], Box::new(Held(input, Vec::new())), stop)
    });
    assert_eq!(ran.code, 130);
    let mut polled = 0;
    for name in ["soak-001", "soak-002"] {
        let status = ran.last(name)["status"].clone();
        assert_eq!((&status["phase"], &status["reason"]), (&"Interrupted".into(), &"Stopped".into()));
        assert!(status["jobId"].is_string() && status["endedAt"].is_null(), "{status}");
        let answers = status["polls"]["sent"].as_u64().unwrap();
        assert_eq!(status["notEndedAt"].is_string(), answers > 0, "{status}");
        polled += answers;
    }
    assert!(polled > 0, "of four polls one job's first was answered before its second");
}

#[test]
fn polls_cost_little_and_the_first_comes_before_the_input_ends() {
    let target = Target::start(&["--hang", "whisper:1"]);
    let submitted = target.submit(&[], &target.stage(1)).stdout;
    let (feed, input) = channel();
    feed.send(submitted.into_bytes()).unwrap();
    let url = target.url();
    let argv = ["--target", &url, "--max-poll-rate", "10/s", "--deadline", "2s"];
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("a poll before the input ends", || target.sim.stats().polls > 0);
            drop(feed);
        });
        tool_until(run, &argv, Box::new(Held(input, Vec::new())), Stop::default())
    });
    let polls = ran.last("soak-001")["status"]["polls"]["sent"].as_u64().unwrap();
    // Two seconds of at most ten requests, and the one at the deadline.
    assert!((5..=22).contains(&polls), "{polls}");
}

#[test]
fn an_unreachable_target_is_said_once_and_each_job_ends_at_its_deadline() {
    let target = Target::start(&["--die-after", "1"]);
    let submitted = target.submit(&[], &target.stage(1));
    let ran = target.poll(&["--deadline", "500ms"], &submitted.stdout);
    let (phase, reason, message) = end(&ran, "soak-001");
    assert_eq!((phase.as_str(), reason.as_str()), ("TimedOut", "NoAnswer"));
    assert!(message.contains("connection refused"), "{message}");
    assert_eq!(ran.stderr.matches("polling goes on").count(), 1, "{}", ran.stderr);
}

#[test]
fn explain_shows_what_each_pointer_finds() {
    let (target, ran) = follow(1, &["--drop", "decide:1"], &[]);
    let id = ran.last("soak-001")["status"]["jobId"].as_str().unwrap().to_owned();
    let explained = target.poll(&["--explain", &id], "");
    assert_eq!(explained.code, 0);
    for part in [
        "status: \"done\", which means Done",
        "poll.status              /status",
        "stages: 7",
        "decide                   missing",
    ] {
        assert!(explained.stdout.contains(part), "{part} in\n{}", explained.stdout);
    }
    let unknown = target.poll(&["--explain", "nope/../x"], "");
    assert!(
        unknown.stdout.contains("/jobs/nope%2F..%2Fx\nHTTP 404, which in the profile means \"no such job\""),
        "{}",
        unknown.stdout
    );
    let gone = tool(run, &["--target", "http://127.0.0.1:9", "--explain", "x"], "");
    assert_eq!((gone.code, gone.stderr.lines().count()), (69, 1));
}

#[test]
fn one_slot_is_freed_for_each_submitted_job_that_ended() {
    let target = Target::start(&["--same-id", "2"]);
    let submitted = target.submit(&[], &target.stage(4));
    let slots = target.dir.path().join("slots");
    let mut taker = stress_suite::slots::Taker::open(&slots, Duration::from_secs(10)).unwrap();
    target.poll(&["--slots", slots.to_str().unwrap()], &submitted.stdout);
    let mut freed = 0;
    while let stress_suite::slots::Event::Freed(count) = taker.wait(None).unwrap() {
        freed += count;
    }
    assert_eq!(freed, 3, "the collapsed one did not arrive Submitted: its slot is the submitter's to free");
}
