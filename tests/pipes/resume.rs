//! `make resume`, and the pipe that it is: sudden deaths, torn lines, interruptions, and captures over the whole window.

use std::fs::OpenOptions;
use std::io::Write;

use rustix::process::Signal;

use crate::makefile::{make, run};
use crate::shell::{Shell, lines_with};
use crate::support::wait_until;

const RESUME: &str =
    "poll-jobs --resume --min-interval 5ms < out/records.ndjson | render-report --append --out out > report";

/// Six jobs, three at a time: everything is killed while none can go beyond `l1`, and then they go on.
fn killed() -> Shell {
    let shell = Shell::new(&["--hold", "l1:100%"]);
    let running = shell.start("run out");
    let records = shell.path("out/records.ndjson");
    wait_until("three jobs in flight", || lines_with(&records, "\"Submitted\"") >= 3);
    running.signal(Signal::KILL);
    assert_eq!(running.finish().code, 137);
    shell.target.sim.release();
    shell
}

#[test]
fn a_pipe_that_was_killed_is_gone_on_with_and_a_torn_line_swallows_nothing() {
    let shell = killed();
    let path = shell.path("out/records.ndjson");
    let before = shell.read("out/records.ndjson");
    let torn = r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-006""#;
    OpenOptions::new().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
    let posts = shell.target.sim.stats().posts;

    let done = shell.run(RESUME);
    assert_eq!(done.code, 4, "what was never submitted is no pass: {}", done.stderr);
    assert_eq!(shell.target.sim.stats().posts, posts, "nothing is submitted");
    let after = shell.read("out/records.ndjson");
    assert!(after.starts_with(&format!("{before}torn: {torn}\n{{")), "what there was stays, the new comes behind it");
    assert_eq!(shell.counted("out", "succeeded"), 3);
    assert_eq!(shell.counted("out", "asked"), 6);
    let again = shell.run("render-report --replay --out out > again; echo $?; cmp again report");
    assert_eq!(again.stdout, "4\n", "the torn line is no broken one: {}", again.stderr);
    assert!(again.stderr.contains("is not a record"), "{}", again.stderr);
}

#[test]
fn a_whole_last_line_without_its_end_counts() {
    let shell = Shell::new(&[]);
    assert_eq!(shell.run("run out").code, 0);
    let text = shell.read("out/records.ndjson");
    std::fs::write(shell.path("out/records.ndjson"), text.trim_end()).unwrap();
    let done = shell.run(&format!("{RESUME}; printf '{{\"kind\":\"Other\"}}\\n' | render-report --append --out out"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(shell.read("out/records.ndjson"), format!("{text}{{\"kind\":\"Other\"}}\n"));
    let done = shell.run("printf '{\"kind\":\"Other\"}\\n' | render-report --append --out out > /dev/null");
    assert_eq!((done.code, shell.read("out/records.ndjson").lines().count()), (0, text.lines().count() + 1));
}

#[test]
fn where_nothing_is_left_nothing_changes() {
    let shell = Shell::new(&["--fail", "l2:2"]);
    assert_eq!(shell.run("run out").code, 3);
    let (records, report) = (shell.read("out/records.ndjson"), shell.read("out/report.json"));
    for _ in 0..2 {
        let done = shell.run(RESUME);
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert!(done.stderr.contains("no job is left to poll"), "{}", done.stderr);
        assert_eq!(
            (shell.read("out/records.ndjson"), shell.read("out/report.json")),
            (records.clone(), report.clone())
        );
    }
}

#[test]
fn a_resumption_that_is_interrupted_is_resumed() {
    let shell = Shell::new(&["--hold", "l1:100%"]);
    assert_eq!(shell.run("JOBS=3 POLL='--deadline 500ms' run out").code, 3);
    let records = shell.path("out/records.ndjson");
    let running = shell.start(&format!("{RESUME}; exit"));
    wait_until("the resumption", || lines_with(&records, "resumedAt") > 0);
    running.signal(Signal::INT);
    let done = running.finish();
    assert_eq!(done.code, 130, "{}", done.stderr);
    // Whether a poll was answered before the signal came is a matter of luck; a job without any keeps what was known.
    let open = ["interrupted", "timedOut"].map(|term| shell.counted("out", term));
    assert_eq!(open.iter().sum::<u64>(), 3, "{}", done.stderr);
    shell.target.sim.release();
    let done = shell.run(RESUME);
    assert_eq!((done.code, shell.counted("out", "succeeded")), (0, 3), "{}", done.stderr);
    let page = shell.read("out/report.md");
    assert!(page.contains("Polling resumed at"), "{page}");
}

#[test]
fn records_have_one_writer_at_a_time() {
    let shell = Shell::new(&[]);
    assert_eq!(shell.run("run out").code, 0);
    let records = shell.read("out/records.ndjson");
    let held = OpenOptions::new().append(true).open(shell.path("out/records.ndjson")).unwrap();
    held.lock().unwrap();
    let done = shell.run(RESUME);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("another render-report is writing to it"), "{}", done.stderr);
    assert_eq!(shell.read("out/records.ndjson"), records);
}

#[test]
fn make_resume_ends_a_suite_and_captures_it_whole() {
    // No gate here: jobs of the soak that still ran beside the ramp's would leave traces that lack spans.
    let shell = Shell::new(&["--stage-time", "l1=60s", "--scrape-interval", "100ms"]);
    let done = run(&shell, "suite JOBS=3 LEVELS=2 RAMP_JOBS=2 POLL_FLAGS='--min-interval 5ms --deadline 200ms'");
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_eq!(shell.json("run/index.json")["status"]["verdict"], "Failed");
    let posts = shell.target.sim.stats().posts;

    let done = run(&shell, &format!("resume RUN={}", shell.path("run").display()));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(shell.target.sim.stats().posts, posts, "nothing is submitted");
    assert_eq!(shell.json("run/index.json")["status"]["verdict"], "Passed");
    assert_eq!(shell.json("run/ramp/index.json")["status"]["verdict"], "Passed");
    for scenario in ["run/soak", "run/ramp/by-concurrency/lvl-02"] {
        let report = shell.json(&format!("{scenario}/report.json"));
        assert_eq!(report["status"]["verdict"], "Passed", "{scenario}");
        assert!(!report["status"]["doubts"].to_string().contains("before the last job did"), "{report}");
        let traces = shell.json(&format!("{scenario}/jaeger/autorag-api.json"));
        assert_eq!(traces.as_object().unwrap().len(), 1, "the traces were captured anew");
        // The last word of each capture is on the window that ends with the last job.
        let window = shell.json(&format!("{scenario}/manifest.json"))["status"]["window"].clone();
        let replay = shell.run(&format!(
            "jq -c 'select(.kind == \"Series\" or .kind == \"Traces\" or .kind == \"Logs\") | .spec.window' {scenario}/records.ndjson | tail -1"
        ));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&replay.stdout).unwrap(), window, "{}", replay.stderr);
    }
    // A scenario's own directory is enough, and what lies above it hears of it.
    let done = run(&shell, &format!("resume RUN={}", shell.path("run/soak").display()));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("no job is left to poll"), "{}", done.stderr);
    assert!(done.stderr.contains("run: Passed"), "{}", done.stderr);
    let nothing = run(&shell, &format!("resume RUN={}", shell.path("data").display()));
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("holds no records: name the directory"), "{}", nothing.stderr);
}

#[test]
fn make_resume_follows_what_only_the_journal_knows() {
    let shell = Shell::new(&["--hold", "l1:100%", "--scrape-interval", "100ms"]);
    let done = run(&shell, "soak JOBS=3 POLL_FLAGS='--min-interval 5ms --deadline 500ms'");
    assert_eq!(done.code, 2, "{}", done.stderr);
    shell.target.sim.release();
    let posts = shell.target.sim.stats().posts;
    // A power cut takes what was never synced.
    std::fs::remove_file(shell.path("run/soak/records.ndjson")).unwrap();
    let done = run(&shell, &format!("resume RUN={}", shell.path("run").display()));
    assert!(!done.stderr.contains("holds no records"), "{}", done.stderr);
    assert_eq!((shell.counted("run/soak", "succeeded"), shell.target.sim.stats().posts), (3, posts), "{}", done.stderr);
}

#[test]
fn what_was_captured_is_not_given_up_for_a_backend_that_has_gone() {
    let shell = Shell::new(&["--hold", "l1:100%", "--scrape-interval", "100ms"]);
    let done = run(&shell, "soak JOBS=3 POLL_FLAGS='--min-interval 5ms --deadline 500ms'");
    assert_eq!(done.code, 2, "{}", done.stderr);
    shell.target.sim.release();
    let name = "prometheus/stage_duration_count.json";
    let (series, traces) = (shell.read(&format!("run/soak/{name}")), shell.read("run/soak/jaeger/autorag-api.json"));
    let logs = shell.path("none").display().to_string();
    let resume = make(&shell, &format!("resume RUN={}", shell.path("run").display()));
    let done = shell.run(&format!("{resume} PROM_URL=http://127.0.0.1:9 JAEGER_URL=http://127.0.0.1:9 LOGS={logs}"));
    assert_eq!(done.code, 2, "the logs do not reach to the end, so nobody knows of exceptions: {}", done.stderr);
    assert!(done.stderr.contains("keeping the earlier capture"), "{}", done.stderr);
    assert_eq!(shell.read(&format!("run/soak/{name}")), series);
    assert_eq!(shell.read("run/soak/jaeger/autorag-api.json"), traces);
    let report = shell.json("run/soak/report.json");
    assert_eq!(shell.counted("run/soak", "succeeded"), 3);
    let cause = report["status"]["cause"].as_str().unwrap();
    assert!(cause.contains("autorag-gpu-worker (it ends before the last job did)"), "{cause}");
    let doubts = report["status"]["doubts"].to_string();
    assert!(doubts.contains("the captured data ends before the last job did"), "{doubts}");
}

#[test]
fn a_target_that_has_gone_leaves_the_records_as_they_were() {
    let shell = Shell::new(&["--hold", "l1:100%", "--scrape-interval", "100ms"]);
    let done = run(&shell, "soak JOBS=3 POLL_FLAGS='--min-interval 5ms --deadline 500ms'");
    assert_eq!(done.code, 2, "{}", done.stderr);
    shell.target.sim.release();
    let of_jobs = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("\"kind\":\"Job\"")).map(str::to_owned).collect()
    };
    let (before, report) = (shell.read("run/soak/records.ndjson"), shell.json("run/soak/report.json"));
    let resume = make(&shell, &format!("resume RUN={}", shell.path("run").display()));
    let done = shell.run(&format!("{resume} TARGET=http://127.0.0.1:9"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("Error 69"), "the verdict does not hide that nobody was asked: {}", done.stderr);
    assert!(done.stderr.contains("resume again once the target is up"), "{}", done.stderr);
    let after = shell.read("run/soak/records.ndjson");
    assert_eq!(of_jobs(&after), of_jobs(&before));
    assert!(!after.contains("resumedAt"), "{after}");
    assert_eq!(shell.json("run/soak/report.json")["status"]["conservation"], report["status"]["conservation"]);
    let done = shell.run(&resume);
    assert_eq!((done.code, shell.counted("run/soak", "succeeded")), (0, 3), "{}", done.stderr);
}

#[test]
fn thresholds_do_not_pass_on_captures_that_end_before_the_last_job() {
    let shell = Shell::new(&["--hold", "l1:100%", "--scrape-interval", "100ms"]);
    let expect = "EXPECT='queue.stage.l1.max<1000,gpu.transitions<1000'";
    let done = run(&shell, &format!("soak JOBS=3 {expect} POLL_FLAGS='--min-interval 5ms --deadline 500ms'"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    shell.target.sim.release();
    let resume = make(&shell, &format!("resume RUN={}", shell.path("run").display()));
    let done = shell.run(&format!("{resume} PROM_URL=http://127.0.0.1:9 JAEGER_URL=http://127.0.0.1:9"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    let report = shell.json("run/soak/report.json");
    let verdicts = |report: &serde_json::Value| -> Vec<String> {
        let criteria = report["status"]["criteria"].as_array().unwrap();
        let compared = criteria.iter().filter(|one| one["name"].as_str().unwrap().contains('<'));
        compared.map(|one| one["verdict"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(verdicts(&report), ["Incomplete", "Incomplete"], "{report}");
    let figures = report["status"]["figures"].as_object().unwrap();
    assert!(!figures.keys().any(|name| name.starts_with("gpu.") || name.starts_with("queues.")), "{report}");
}
