//! Ctrl-C and SIGTERM: every tool finishes in order, and make ends by the signal.

use rustix::process::Signal;

use crate::shell::{Shell, lines_with};
use crate::support::wait_until;

#[test]
fn ctrl_c_reaches_the_whole_pipe_and_the_report_is_written() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let shell = Shell::new(&["--hang", "l1:1,2,3"]);
        let running = shell.start("JOBS=9 run out; exit");
        let records = shell.path("out/records.ndjson");
        wait_until("three jobs in flight", || lines_with(&records, "Submitted") == 3);
        running.signal(signal);
        let done = running.finish();
        assert_eq!(done.code, code, "{}", done.stderr);
        assert_eq!(shell.counted("out", "interrupted"), 3);
        assert_eq!(shell.counted("out", "notSubmitted") + shell.counted("out", "missing"), 6);
        let jobs = shell.json("out/jobs.json");
        let ids = jobs["items"].as_array().unwrap().iter().filter(|job| job["status"]["phase"] == "Interrupted");
        assert!(ids.map(|job| &job["status"]["jobId"]).all(serde_json::Value::is_string));
        assert_eq!(shell.json("out/report.json")["status"]["verdict"], "Incomplete");
    }
}

#[test]
fn a_dropped_terminal_ends_the_pipe_as_sigterm_does() {
    for (signal, code) in [(Signal::HUP, 129), (Signal::QUIT, 131)] {
        let shell = Shell::new(&["--hang", "l1:1,2,3"]);
        let running = shell.start("ulimit -c 0; trap : HUP QUIT; JOBS=4 run out; exit");
        let records = shell.path("out/records.ndjson");
        wait_until("three jobs in flight", || lines_with(&records, "Submitted") == 3);
        running.signal(signal);
        let done = running.finish();
        assert_eq!(done.code, code, "{}", done.stderr);
        assert_eq!(shell.counted("out", "interrupted"), 3, "{}", done.stderr);
    }
}

#[test]
fn sigterm_to_any_one_tool_ends_the_pipe_with_a_report() {
    for tool in ["submit-jobs", "poll-jobs", "capture-prom", "render-report"] {
        let shell = Shell::new(&["--hang", "l1:1,2,3"]);
        let running = shell.start(
            r#"mkdir out
            is() { echo $BASHPID > $1.pid; exec "$@"; }
            stage-fixtures --from $FIXTURES --into data/fixtures --jobs 90 --run r1 |
            (is submit-jobs --rate 20/s) | tee passed |
            (is poll-jobs --min-interval 5ms) |
            (is capture-prom --prometheus '' --out out) |
            (is render-report --out out) > /dev/null"#,
        );
        wait_until("three jobs in flight", || lines_with(&shell.path("out/records.ndjson"), "Submitted") >= 3);
        let pid = shell.read(&format!("{tool}.pid")).trim().to_owned();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let done = running.finish();
        let posts = shell.target.sim.stats().posts;
        assert!(posts < 90, "{tool}: {posts} submissions");
        assert!(shell.counted("out", "interrupted") > 0, "{tool}: {}", done.stderr);
        let page = shell.read("out/report.md");
        assert!(page.starts_with("# Incomplete") && page.contains("(Interrupted)"), "{tool}: {page}");
    }
}

#[test]
fn a_pipe_that_another_program_keeps_open_ends_with_the_signal() {
    let shell = Shell::new(&[]);
    let staged = shell.target.stage(1);
    std::fs::write(shell.path("staged"), staged).unwrap();
    let running = shell.start(
        r"mkdir out; mkfifo open; exec 9<> open; cat staged >&9
        (echo $BASHPID > pid; exec render-report --out out < open > /dev/null 9>&-); echo $?",
    );
    wait_until("a record", || lines_with(&shell.path("out/records.ndjson"), "Staged") > 0);
    let pid = shell.read("pid").trim().to_owned();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let done = running.finish();
    assert_eq!(done.stdout, "143\n", "{}", done.stderr);
    assert!(shell.path("out/report.md").exists(), "{}", done.stderr);
}

#[test]
fn a_second_ctrl_c_quits() {
    let shell = Shell::new(&["--no-answer", "1,2,3"]);
    // All jobs are staged beforehand: the signal would keep a slow `stage-fixtures` from staging the rest.
    let running = shell.start(
        r#"mkdir out
        stage-fixtures --from "$FIXTURES" --into data/fixtures --jobs 6 --run r1 > staged
        submit-jobs --max-posts 3 --timeout 60s < staged | poll-jobs | render-report --out out; exit"#,
    );
    wait_until("three submissions", || shell.target.sim.stats().posts == 3);
    // The Run has come through the whole pipe, so each tool listens for signals.
    wait_until("the Run", || lines_with(&shell.path("out/records.ndjson"), r#""kind":"Run""#) > 0);
    running.signal(Signal::INT);
    // submit-jobs waits for the three answers. It passes on the jobs that it will not submit.
    wait_until("the first signal", || lines_with(&shell.path("out/records.ndjson"), "Staged") > 0);
    running.signal(Signal::INT);
    let done = running.finish();
    assert_eq!(done.code, 130, "{}", done.stderr);
}
