//! A harness that stands still while its target answers.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::profiles::{Rig, job};
use crate::server::{Reply, Server};
use crate::support::{Target, bin, wait_until};

/// Stops `child` for so long, which is itself what the tests are about, and does `meanwhile` first.
fn stand_still(child: &Child, time: Duration, meanwhile: impl FnOnce()) {
    let process = Pid::from_child(child);
    kill_process(process, Signal::STOP).unwrap();
    let status = format!("/proc/{}/status", child.id());
    wait_until("the harness to stop", || std::fs::read_to_string(&status).unwrap().contains("State:\tT"));
    meanwhile();
    std::thread::sleep(time);
    kill_process(process, Signal::CONT).unwrap();
}

#[test]
fn an_answer_that_came_while_the_harness_stood_still_is_read() {
    let (posted, arrived) = channel();
    let (release, gate) = channel::<()>();
    let (posted, gate) = (Mutex::new(posted), Mutex::new(gate));
    let server = Server::new(move |request| {
        if request.method != "POST" {
            return Reply::json("{}");
        }
        posted.lock().unwrap().send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        Reply::new(202, r#"{"job_id":"j1"}"#)
    });
    let mut submit = Command::new(bin().join("submit-jobs"))
        .args(["--timeout", "1s", "--target", &server.url()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    submit.stdin.take().unwrap().write_all(Target::start(&[]).stage(1).as_bytes()).unwrap();
    arrived.recv().unwrap();
    stand_still(&submit, Duration::from_millis(1600), || release.send(()).unwrap());
    let output = submit.wait_with_output().unwrap();
    let records: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = |kind: &str| &records.iter().rfind(|record| record["kind"] == kind).unwrap()["status"];
    assert_eq!((&last("Job")["phase"], &last("Job")["jobId"]), (&"Submitted".into(), &"j1".into()), "{records:?}");
    for frozen in [&last("Job")["frozenSeconds"], &last("Run")["frozenSeconds"]] {
        assert!(frozen.as_f64().is_some_and(|seconds| seconds > 1.0), "{records:?}");
    }
}

#[test]
fn a_job_is_given_up_neither_by_an_answer_from_before_a_pause_nor_by_the_pause() {
    const PROFILE: &str = r#"
        [submit]
        path = "/jobs"
        id = ["/id"]
        [poll]
        path = "/jobs/{id}"
        status = ["/state"]
        words = { running = ["busy"], done = ["ok"] }
    "#;
    for first in [Reply::new(404, "{}"), Reply::json(r#"{"state":"busy"}"#)] {
        let (polled, arrived) = channel();
        let (release, gate) = channel::<()>();
        let (polled, gate, polls) = (Mutex::new(polled), Mutex::new(gate), AtomicUsize::new(0));
        let rig = Rig::new(PROFILE, move |request| match (request.method.as_str(), polls.load(SeqCst)) {
            ("POST", _) => Reply::json(r#"{"id":"7"}"#),
            (_, 0) => {
                polls.fetch_add(1, SeqCst);
                polled.lock().unwrap().send(()).unwrap();
                gate.lock().unwrap().recv().unwrap();
                first.clone()
            }
            _ => Reply::json(r#"{"state":"ok"}"#),
        });
        let mut poll = Command::new(bin().join("poll-jobs"))
            .args(rig.argv(&["--lost-after", "1s", "--deadline", "3s"]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        poll.stdin.take().unwrap().write_all(rig.submit(&job(&json!({}))).stdout.as_bytes()).unwrap();
        arrived.recv().unwrap();
        // Longer than either limit.
        stand_still(&poll, Duration::from_millis(3200), || release.send(()).unwrap());
        let output = poll.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(r#""phase":"Succeeded""#), "{text}");
    }
}
