//! The binary: the wrapper's exit codes and signals, in a real shell, and the server in the foreground.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};

fn sim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipeline-sim"));
    command.stdin(Stdio::null());
    command
}

/// Runs a script against a stand-in.
fn wrapped(script: &str) -> Output {
    sim().args(["--", "bash", "-c", script]).output().unwrap()
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// A wrapper whose command has said that it is ready, and what it says afterwards.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(script: &str) -> Self {
        use std::os::unix::process::CommandExt;
        let mut command = sim();
        // A group of its own, as a shell with job control gives it.
        command.args(["--", "bash", "-c", script]).process_group(0);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self { child, stdout }
    }

    /// The rest of its stderr, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

#[test]
fn ends_with_the_commands_status() {
    for code in [0, 1, 3, 200] {
        assert_eq!(wrapped(&format!("exit {code}")).status.code(), Some(code));
    }
    assert_eq!(wrapped("kill -KILL $$").status.code(), Some(137));
    assert_eq!(wrapped("kill -TERM $$").status.code(), Some(143));
}

#[test]
fn a_command_that_cannot_be_started_is_127_or_126_and_one_line() {
    let missing = sim().args(["--", "no-such-command-here"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(127));
    assert!(last_line(&missing).starts_with("pipeline-sim: no-such-command-here: "), "{}", last_line(&missing));
    let barred = sim().args(["--", "/"]).output().unwrap();
    assert_eq!(barred.status.code(), Some(126));
    assert!(last_line(&barred).starts_with("pipeline-sim: /: "), "{}", last_line(&barred));
}

#[test]
fn the_command_finds_the_target_and_the_logs() {
    let output = wrapped(
        r#"exec 3<>"/dev/tcp/127.0.0.1/${TARGET##*:}"
           printf 'GET /health HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n' >&3
           cat <&3; echo; ls "$LOGS"; echo "$LOGS""#,
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{stdout}");
    let lines: Vec<&str> = stdout.lines().rev().take(4).collect();
    let health = r#"{"status":"ok","num_parallel":8}"#;
    assert_eq!(lines[1..], ["autorag-io-worker.log", "autorag-gpu-worker.log", health]);
    assert!(!std::path::Path::new(lines[0]).exists(), "the private logs are left at {}", lines[0]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("pipeline-sim: target http://127.0.0.1:"), "{stderr}");
}

#[test]
fn the_command_finds_the_observability() {
    let script = r#"for url in "$PROM_URL/-/ready" "$JAEGER_URL/api/services" "$METRICS_URL/rabbitmq/metrics"; do
        address=${url#http://}
        port=${address%%/*}
        exec 3<>"/dev/tcp/127.0.0.1/${port##*:}"
        printf 'GET /%s HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n' "${address#*/}" >&3
        cat <&3 | head -n 1
    done"#;
    let output = wrapped(script);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "HTTP/1.1 200 OK\r\n".repeat(3));
}

#[test]
fn stdin_and_stdout_are_the_commands_alone() {
    let mut command = sim();
    command.args(["--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"through\n").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"through\n");
}

#[test]
fn outlives_a_ctrl_c_until_the_command_has_ended() {
    let running = Running::start(
        "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 1 > /dev/null 2>&1 & wait $!; done",
    );
    kill_process_group(pid(&running.child), Signal::INT).unwrap();
    assert_eq!(running.end(), ("interrupted\n".to_owned(), Some(9)));
}

#[test]
fn a_ctrl_c_does_not_stop_the_target_before_the_command() {
    let running = Running::start(
        r#"trap 'exec 3<>"/dev/tcp/127.0.0.1/${TARGET##*:}" && echo reached; exit 0' INT
           echo ready; while :; do sleep 1 > /dev/null 2>&1 & wait $!; done"#,
    );
    kill_process_group(pid(&running.child), Signal::INT).unwrap();
    assert_eq!(running.end(), ("reached\n".to_owned(), Some(0)));
}

#[test]
fn a_sigterm_to_itself_is_passed_on_once() {
    let running = Running::start(
        "trap 'echo asked to stop; exit 4' TERM; echo ready; while :; do sleep 1 > /dev/null 2>&1 & wait $!; done",
    );
    kill_process(pid(&running.child), Signal::TERM).unwrap();
    assert_eq!(running.end(), ("asked to stop\n".to_owned(), Some(4)));
    let running = Running::start("echo ready; exec sleep 60");
    kill_process(pid(&running.child), Signal::TERM).unwrap();
    assert_eq!(running.end().1, Some(143));
}

#[test]
fn a_sigint_to_itself_alone_is_outlived() {
    let running = Running::start("trap 'echo interrupted' INT; echo ready; kill -INT $PPID; echo still here; exit 5");
    assert_eq!(running.end(), ("still here\n".to_owned(), Some(5)));
}

/// A stand-in in the foreground, with the lines it announces itself by.
fn foreground() -> (Child, BufReader<ChildStderr>, String) {
    announced(&mut sim(), &[])
}

/// The same, with what else stands on its command line.
fn announced(sim: &mut Command, command: &[&str]) -> (Child, BufReader<ChildStderr>, String) {
    let flags = ["--listen", "--metrics-listen", "--prom-listen", "--jaeger-listen"];
    let flags = flags.into_iter().flat_map(|flag| [flag, "127.0.0.1:0"]);
    let mut child = sim.args(flags).args(command).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let url = line.split_whitespace().nth(2).unwrap_or_default().to_owned();
    (child, stderr, url)
}

#[test]
fn in_the_foreground_it_serves_until_a_signal_and_ends_cleanly() {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut child, _stderr, url) = foreground();
        assert_eq!(common::agent(common::PATIENCE).get(format!("{url}/health")).call().unwrap().status(), 200);
        let served = pid(&child);
        kill_process(served, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(test_kill_process(served).is_err());
    }
}

#[test]
fn a_sigusr1_lets_go_what_is_held_whether_there_is_a_command_or_not() {
    for command in [&[][..], &["--", "sleep", "60"]] {
        let data = common::data();
        let (mut child, _stderr, url) =
            announced(sim().args(["--hold", "whisper:1", "--data", data.path().to_str().unwrap()]), command);
        let agent = common::agent(common::PATIENCE);
        let answer = agent.post(format!("{url}/jobs/audio")).content_type("application/json").send(common::source(1));
        let id = common::take_apart(answer.unwrap()).unwrap().text("/job_id");
        let job = || common::take_apart(agent.get(format!("{url}/jobs/{id}")).call().unwrap()).unwrap().json();
        common::until(|| job()["stage_states"]["whisper"]["started_at"].is_string().then_some(()));
        kill_process(pid(&child), Signal::USR1).unwrap();
        common::until(|| job()["stage_states"]["whisper"]["finished_at"].is_string().then_some(()));
        kill_process(pid(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(if command.is_empty() { 0 } else { 143 }));
    }
}

#[test]
fn errors_are_one_line_and_their_exit_code() {
    let (mut child, _stderr, url) = foreground();
    let taken =
        sim().args(["--prom-listen", "127.0.0.1:0", "--listen", url.trim_start_matches("http://")]).output().unwrap();
    assert_eq!(taken.status.code(), Some(74));
    let text = String::from_utf8(taken.stderr).unwrap();
    assert!(text.starts_with("pipeline-sim: listening on 127.0.0.1:") && text.lines().count() == 1, "{text}");
    // A gentle end, so that its private logs are removed.
    kill_process(pid(&child), Signal::TERM).unwrap();
    child.wait().unwrap();

    let usage = sim().args(["--fail", "l9:1"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8(usage.stderr).unwrap().contains("no stage is called 'l9'"));
    let unwritable = sim().args(["--logs", "/dev/null/logs", "--", "true"]).output().unwrap();
    assert_eq!(unwritable.status.code(), Some(74));
    assert!(last_line(&unwritable).starts_with("pipeline-sim: --logs /dev/null/logs: "));
}

#[test]
fn help_ends_with_examples_and_exit_codes() {
    let help = sim().arg("--help").output().unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    let (examples, codes) = (text.find("\nExamples:\n").unwrap(), text.find("\nExit codes:\n").unwrap());
    assert!(
        help.status.success()
            && examples < codes
            && text.contains("--num-parallel")
            && text.contains("OLLAMA_NUM_PARALLEL")
    );
}
