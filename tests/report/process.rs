//! `render-report` as a program: signals, full disks, readers that have gone.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::standin::wait_until;
use crate::support::{Scratch, good, text};

const TOOL: &str = env!("CARGO_BIN_EXE_render-report");

/// The content of records.ndjson, once it is as long as `expected`; the tool writes each line when it reads it.
fn wait_for_records(out: &Path, expected: &str) {
    let held = || std::fs::read_to_string(out.join("records.ndjson")).unwrap_or_default();
    wait_until(&format!("records as long as\n{expected}"), || held() == expected);
}

#[test]
fn a_signal_is_obeyed_at_the_end_of_the_input_and_after_the_report() {
    let scratch = Scratch::new();
    let mut tool = Command::new(TOOL)
        .arg("--out")
        .arg(scratch.out())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = tool.stdin.take().unwrap();
    input.write_all(text(&good()[..2]).as_bytes()).unwrap();
    wait_for_records(&scratch.out(), &text(&good()[..2]));
    let sent = Command::new("kill").args(["-TERM", &tool.id().to_string()]).status().unwrap();
    assert!(sent.success());
    // It goes on reading, for the tools before it are still saying what they know.
    input.write_all(text(&good()[2..]).as_bytes()).unwrap();
    wait_for_records(&scratch.out(), &text(&good()));
    drop(input);
    assert_eq!(tool.wait().unwrap().signal(), Some(15), "it ended by the signal itself");
    assert!(scratch.read("report.md").starts_with("# Passed: soak"));
}

#[test]
fn a_disk_that_fills_up_breaks_nobody_and_is_no_pass() {
    let scratch = Scratch::new();
    // The shell's limit on file size (in units of 1,024 bytes) is hit in the middle of the stream.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" --out \"$1\"";
    let mut tool = Command::new("bash")
        .args(["-c", script, TOOL])
        .arg(scratch.out())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = tool.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // Far more than a pipe holds: if the tool stopped reading this would fail or hang.
        for _ in 0..400 {
            input.write_all(text(&good()).as_bytes()).unwrap();
        }
    });
    let output = tool.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(74), "{stderr}");
    assert_eq!(stderr.matches("records.ndjson: ").count(), 1, "{stderr}");
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains(r#""verdict":"Passed""#) && report.contains(r#""asked":3"#), "{report}");
    assert!(!scratch.out().join("report.json").exists(), "no half-written file");
}

#[test]
fn a_reader_that_has_gone_does_not_turn_a_verdict_into_a_pass() {
    for (lines, code) in [(&good()[..], "0"), (&good()[..3], "4")] {
        let scratch = Scratch::new();
        let script = "\"$0\" --out \"$1\" 2>/dev/null | true; echo ${PIPESTATUS[0]}";
        let mut shell = Command::new("bash")
            .args(["-c", script, TOOL])
            .arg(scratch.out())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(text(lines).as_bytes()).unwrap();
        let said = BufReader::new(shell.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        shell.wait().unwrap();
        assert_eq!(said, code);
        assert!(scratch.out().join("report.json").exists());
    }
}

#[test]
fn usage_errors_are_one_line_and_help_ends_with_the_exit_codes() {
    let run = |args: &[&str]| Command::new(TOOL).args(args).stdin(Stdio::null()).output().unwrap();
    for args in [&[][..], &["--index", "a", "--out", "b"], &["--index", "a", "--replay"]] {
        let output = run(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    }
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let parts = ["Input:", "Output:", "Examples:", "Exit codes:"].map(|part| help.find(part).unwrap());
    assert!(parts.is_sorted(), "{help}");
}
