//! Nothing of the stack survives the test that started it, however the test ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::stack::Stack;
use crate::stack::family::{self, Member};

const READY: &str = "the stack is up";

fn alive(members: &[Member]) -> Vec<&Member> {
    members.iter().filter(|member| member.is_alive()).collect()
}

fn is_whole(members: &[Member]) {
    for command in ["prometheus", "beam.smp", "epmd", "jaeger", "pipeline-sim"] {
        let seen = members.iter().any(|member| member.command.starts_with(command));
        assert!(seen, "{command} was not started: {members:?}");
    }
}

#[test]
fn nothing_survives_a_test_that_fails() {
    let mut seen = Vec::new();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let stack = Stack::start(&[]);
        seen = stack.members();
        assert_eq!(stack.sim.complaints(), Vec::<String>::new());
        std::panic::panic_any(READY);
    }));
    assert_eq!(ended.err().and_then(|why| why.downcast_ref::<&str>().copied()), Some(READY));
    is_whole(&seen);
    assert_eq!(alive(&seen), Vec::<&Member>::new());
}

/// Not a test: what the one below starts and kills.
#[test]
#[ignore = "waits until its input ends"]
fn a_stack_until_the_input_ends() {
    let _stack = Stack::start(&[]);
    writeln!(std::io::stdout(), "{READY}").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn nothing_survives_a_test_run_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "supervision::a_stack_until_the_input_ends"])
        .env("TMPDIR", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
    let ready = lines.take_while(|line| !line.starts_with("test result")).any(|line| line.ends_with(READY));
    let seen = family::whole(run.id());
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(ready, "the stack did not start");
    is_whole(&seen);
    let start = Instant::now();
    while !alive(&seen).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "still there: {:?}", alive(&seen));
        std::thread::sleep(Duration::from_millis(20));
    }
}
