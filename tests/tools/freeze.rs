//! A harness that stands still while its target answers.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::server::{Reply, Server};
use crate::support::{Target, bin, wait_until};

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
    let process = Pid::from_child(&submit);
    kill_process(process, Signal::STOP).unwrap();
    let status = format!("/proc/{}/status", submit.id());
    let is_stopped = || std::fs::read_to_string(&status).unwrap().contains("State:\tT");
    wait_until("the harness to stop", is_stopped);
    release.send(()).unwrap();
    // The time itself is what the test is about: longer than the timeout.
    std::thread::sleep(Duration::from_millis(1600));
    kill_process(process, Signal::CONT).unwrap();
    let output = submit.wait_with_output().unwrap();
    let records: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = |kind: &str| &records.iter().rfind(|record| record["kind"] == kind).unwrap()["status"];
    assert_eq!((&last("Job")["phase"], &last("Job")["jobId"]), (&"Submitted".into(), &"j1".into()), "{records:?}");
    for frozen in [&last("Job")["frozenSeconds"], &last("Run")["frozenSeconds"]] {
        assert!(frozen.as_f64().is_some_and(|seconds| seconds > 1.0), "{records:?}");
    }
}
