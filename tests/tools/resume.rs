//! `poll-jobs --resume`: which jobs it polls again, which observations of an earlier session it keeps, and that it submits nothing.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;
use stress_suite::cli::Stop;
use stress_suite::tools::poll_jobs::run;

use crate::server::{Reply, Server};
use crate::support::{Ran, Target, tool_until};

/// A run of `jobs` that was given up while the first was held at `l1`; that is let go afterwards.
fn given_up(jobs: u32, faults: &[&str], argv: &[&str]) -> (Target, Ran) {
    let target = Target::start(&[&["--hold", "l1:100%"], faults].concat());
    let submitted = target.submit(&["--max-posts", "4"], &target.stage(jobs));
    target.busy("l1");
    let ran = target.poll(argv, &submitted.stdout);
    target.sim.release();
    (target, ran)
}

fn time(record: &Value, key: &str) -> f64 {
    let text = record["status"][key].as_str().unwrap_or_else(|| panic!("{key} in {record}"));
    text.parse::<stress_suite::record::Timestamp>().unwrap().seconds()
}

#[test]
fn jobs_that_were_given_up_are_followed_to_their_end_and_the_doubt_is_honest() {
    let (target, before) = given_up(2, &[], &["--deadline", "200ms"]);
    assert_eq!(before.last("soak-001")["status"]["phase"], "TimedOut");
    let posts = target.sim.stats().posts;
    let ran = target.poll(&["--resume"], &before.stdout);
    assert_eq!((ran.code, target.sim.stats().posts), (0, posts), "{}", ran.stderr);
    assert!(ran.stderr.contains("polling 2 jobs again"), "{}", ran.stderr);
    for name in ["soak-001", "soak-002"] {
        assert_eq!(ran.phases(name), ["TimedOut", "Succeeded"], "each record once as it stood, then the news");
        let (was, is) = (before.last(name), ran.last(name));
        assert!(is["status"]["reason"].is_null() && is["status"]["message"].is_null(), "{is}");
        assert!(time(&is, "notEndedAt") >= time(&was, "notEndedAt"));
        let error = is["status"]["durationErrorSeconds"].as_f64().unwrap();
        assert!((time(&is, "endedAt") - time(&is, "notEndedAt") - error).abs() < 1e-5, "{is}");
        let polls = |record: &Value| record["status"]["polls"]["sent"].as_u64().unwrap();
        assert!(polls(&is) > polls(&was), "the polls of both sessions count");
    }
    let (was, is) = (before.last("soak"), ran.last("soak"));
    let sent = |record: &Value| record["status"]["polling"]["sent"].as_u64().unwrap();
    assert_eq!(sent(&is), target.sim.stats().polls, "and so do they on the Run");
    assert!(was["status"]["resumedAt"].is_null() && is["status"]["resumedAt"].as_array().unwrap().len() == 1);
}

#[test]
fn an_end_that_came_while_nobody_looked_lies_between_the_last_poll_and_the_first_new_one() {
    let (target, before) = given_up(1, &[], &["--deadline", "200ms"]);
    let id = before.last("soak-001")["status"]["jobId"].as_str().unwrap().to_owned();
    // The end comes now, unseen by the records.
    let unseen = target.poll(&[], &submitted(&before, &id));
    assert_eq!(unseen.last("soak-001")["status"]["phase"], "Succeeded");
    let ran = target.poll(&["--resume"], &before.stdout);
    let (was, is) = (before.last("soak-001"), ran.last("soak-001"));
    assert_eq!(is["status"]["phase"], "Succeeded");
    assert_eq!(is["status"]["notEndedAt"], was["status"]["notEndedAt"], "no later poll saw it running");
    let error = is["status"]["durationErrorSeconds"].as_f64().unwrap();
    assert!((time(&is, "endedAt") - time(&was, "notEndedAt") - error).abs() < 1e-5, "{is}");
    assert!(time(&is, "endedAt") > time(&unseen.last("soak-001"), "endedAt"), "it is known no better than that: {is}");
}

/// The job as it was submitted.
fn submitted(ran: &Ran, id: &str) -> String {
    let found = ran.stdout.lines().find(|line| line.contains("\"Submitted\"") && line.contains(id));
    format!("{}\n", found.unwrap())
}

#[test]
fn stages_keep_what_polls_saw_of_them() {
    let shape = ["--stage-shape", "string"];
    let (target, before) = given_up(1, &shape, &["--deadline", "300ms", "--min-interval", "2ms"]);
    let ran = target.poll(&["--resume"], &before.stdout);
    let stage = |ran: &Ran, name: &str| -> Value {
        let job = ran.last("soak-001");
        job["status"]["stages"].as_array().unwrap().iter().find(|stage| stage["name"] == name).unwrap().clone()
    };
    let (was, is) = (stage(&before, "whisper"), stage(&ran, "whisper"));
    assert!(was["endedAt"].is_string(), "{was}");
    assert_eq!(is, was, "what was seen before is not overwritten by later glances");
    let l1 = stage(&ran, "l1");
    assert_eq!(l1["startedAt"], stage(&before, "l1")["startedAt"]);
    assert!(l1["notEndedAt"].is_string() && l1["endedAt"].is_string(), "{l1}");
}

#[test]
fn the_deadline_counts_anew() {
    let (target, before) = given_up(1, &["--hang", "decide:1"], &["--deadline", "200ms"]);
    let began = Instant::now();
    let ran = target.poll(&["--resume", "--deadline", "400ms"], &before.stdout);
    assert!(began.elapsed() >= Duration::from_millis(400), "it was not given up at once: {:?}", began.elapsed());
    let is = ran.last("soak-001");
    assert_eq!(is["status"]["phase"], "TimedOut");
    assert_eq!(is["status"]["message"], "did not end within 400 ms of the resumed session");
}

#[test]
fn where_nothing_is_left_the_records_come_as_they_were() {
    let target = Target::start(&["--cut-post", "2"]);
    let before = target.poll(&[], &target.submit(&["--max-posts", "4"], &target.stage(2)).stdout);
    let polls = target.sim.stats().polls;
    let ran = target.poll(&["--resume"], &before.stdout);
    assert_eq!((ran.code, target.sim.stats().polls), (0, polls));
    assert!(ran.stderr.contains("no job is left to poll"), "{}", ran.stderr);
    let last: Vec<String> = ["soak", "soak-001"]
        .map(|name| before.stdout.lines().rfind(|line| line.contains(&format!("\"name\":\"{name}\""))).unwrap())
        .map(str::to_owned)
        .to_vec();
    for line in last {
        assert!(ran.stdout.lines().any(|held| held == line), "{line}\n{}", ran.stdout);
    }
}

#[test]
fn resumed_and_interrupted_it_can_be_resumed_again() {
    let (target, before) = given_up(2, &["--hang", "decide:1,2"], &["--deadline", "200ms"]);
    let stop = Stop::default();
    stop.trigger(2);
    let url = target.url();
    let interrupted =
        tool_until(run, &["--target", &url, "--resume"], Box::new(std::io::Cursor::new(before.stdout.clone())), stop);
    assert_eq!(interrupted.code, 130);
    let both = before.stdout + &interrupted.stdout;
    let mut fold = stress_suite::record::Fold::default();
    for line in both.lines() {
        if let Ok(stress_suite::record::Parsed::Record(record)) = stress_suite::record::Record::parse(line) {
            fold.add(record);
        }
    }
    let phases: Vec<_> = fold.jobs().map(|job| job.status.phase.to_string()).collect();
    assert_eq!(phases, ["TimedOut", "TimedOut"], "nobody was asked, so what was known stays");
    assert!(interrupted.stderr.contains("2 jobs stay as recorded before"), "{}", interrupted.stderr);
    let again = target.poll(&["--resume", "--deadline", "100ms"], &both);
    assert!(again.stderr.contains("polling 2 jobs again"), "{}", again.stderr);
    assert_eq!(again.last("soak")["status"]["resumedAt"].as_array().unwrap().len(), 2);
}

#[test]
fn ids_go_to_another_target_only_with_a_word() {
    let (target, before) = given_up(1, &[], &["--deadline", "200ms"]);
    let other = Target::start(&[]);
    let ran = other.poll(&["--resume", "--lost-after", "100ms"], &before.stdout);
    let said = format!("jobs were submitted to {} and are polled at {}", target.url(), other.url());
    assert_eq!(ran.stderr.matches(&said).count(), 1, "{}", ran.stderr);
    assert_eq!(ran.last("soak-001")["status"]["phase"], "Lost");
    // Without --target the Run says where to ask; a job that was Lost elsewhere is found again.
    let mut both = String::new();
    write!(both, "{}{}", before.stdout, ran.stdout).unwrap();
    let argv = ["--resume", "--min-interval", "5ms"];
    let found = tool_until(run, &argv, Box::new(std::io::Cursor::new(both)), Stop::default());
    assert_eq!(found.last("soak-001")["status"]["phase"], "Succeeded", "{}", found.stderr);
    assert!(!found.stderr.contains("are polled at"), "{}", found.stderr);
}

#[test]
fn records_of_another_boot_are_followed_by_a_clock_of_its_own() {
    let (target, before) = given_up(1, &[], &["--deadline", "200ms"]);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let elsewhere = before.stdout.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
    assert_ne!(elsewhere, before.stdout, "the Run names its boot");
    let ran = target.poll(&["--resume"], &elsewhere);
    let is = ran.last("soak-001");
    assert_eq!(is["status"]["phase"], "Succeeded");
    let (duration, error) =
        (is["status"]["durationSeconds"].as_f64().unwrap(), is["status"]["durationErrorSeconds"].as_f64().unwrap());
    assert!(0.2 < duration && 0.0 < error && error <= duration, "{duration} {error}");
}

/// A run of two jobs of which one is Lost and one was only submitted when everything died.
fn lost_and_submitted() -> String {
    let (target, before) = given_up(2, &[], &["--deadline", "200ms"]);
    let other = Target::start(&[]);
    let lost = other.poll(&["--resume", "--lost-after", "50ms", "--min-interval", "5ms"], &before.stdout);
    assert_eq!(lost.last("soak-001")["status"]["phase"], "Lost", "{}", lost.stderr);
    drop(target);
    let of_first = |line: &&str| !line.contains("\"name\":\"soak-002\"");
    let kept: Vec<&str> = lost.stdout.lines().filter(of_first).collect();
    let id = before.last("soak-002")["status"]["jobId"].as_str().unwrap().to_owned();
    format!("{}\n{}", kept.join("\n"), submitted(&before, &id))
}

#[test]
fn what_was_known_of_a_job_is_not_given_up_for_silence() {
    let before = lost_and_submitted();
    // A target whose health is good and that tells nothing of any job.
    let target = Server::new(|request| Reply::new(if request.path.starts_with("/jobs/") { 503 } else { 200 }, "{}"));
    let ran = tool_until(
        run,
        &["--resume", "--target", &target.url(), "--deadline", "100ms", "--min-interval", "10ms"],
        Box::new(std::io::Cursor::new(before.clone())),
        Stop::default(),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lost = before.lines().rfind(|line| line.contains("\"name\":\"soak-001\"")).unwrap();
    let said: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("\"name\":\"soak-001\"")).collect();
    assert_eq!(said, [lost], "handed on once, as it was");
    assert_eq!(ran.phases("soak-002"), ["Submitted", "TimedOut"]);
    let status = &ran.last("soak-002")["status"];
    assert_eq!(status["reason"], "NoAnswer", "{status}");
    let kept = "1 job stays as recorded before: no poll of this session got a usable answer";
    assert_eq!(ran.stderr.matches(kept).count(), 1, "{}", ran.stderr);
}

#[test]
fn where_the_target_is_not_there_nothing_is_followed_and_everything_handed_on() {
    let before = lost_and_submitted();
    let resume = |url: &str, records: &str| {
        let input = Box::new(std::io::Cursor::new(records.to_owned()));
        tool_until(run, &["--resume", "--target", url], input, Stop::default())
    };
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let ran = resume(&dead, &before);
    assert_eq!(ran.code, 69, "{}", ran.stderr);
    assert!(ran.stderr.contains("no job was polled and the records are unchanged"), "{}", ran.stderr);
    let mut fold = stress_suite::record::Fold::default();
    for line in before.lines() {
        if let Ok(stress_suite::record::Parsed::Record(record)) = stress_suite::record::Record::parse(line) {
            fold.add(record);
        }
    }
    let last: Vec<String> = fold.records().map(|record| record.text().to_owned()).collect();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), last, "the last word on each, and no other");
}
