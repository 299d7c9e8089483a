//! The criteria in a line each, at the head of everything that is read first.

use crate::markup::visible_text;
use crate::support::{RUN, Scratch, good, job, judged};

const LOG: &str = r#"{"apiVersion":"stress/v1","kind":"Logs","metadata":{"name":"gpu","run":"r1"},"spec":{"service":"gpu"},"status":{"result":"ok","lines":10,"exceptions":[EXCEPTIONS]}}"#;

fn failing() -> Vec<String> {
    let failed = r#"{"phase":"Failed","message":"no","submittedAt":"2026-05-20T22:30:06Z","notEndedAt":"2026-05-20T22:30:08Z","endedAt":"2026-05-20T22:30:09Z","stages":[{"name":"whisper","phase":"Failed"}]}"#;
    let exception = |attempt: u32, stage: &str| {
        format!(
            r#"{{"firstLine":"RuntimeError: fault in {stage} of 0dbf097d9be329321e at attempt {attempt}, {}"}}"#,
            "long ".repeat(60)
        )
    };
    let all = [exception(1, "l2"), exception(2, "l2"), exception(3, "l2"), exception(1, "l0")].join(",");
    [good()[..3].to_vec(), vec![job("soak-003", failed), LOG.replace("EXCEPTIONS", &all)]].concat()
}

#[test]
fn every_criterion_is_on_the_first_screen_worst_first() {
    let scratch = Scratch::new();
    let ran = scratch
        .report(&failing(), &["--expect", "success<=100%,e2e.p95<1m,all-done,no-exceptions,throughput>3000/min"]);
    let lines: Vec<&str> = ran.stderr.lines().skip(1).take(5).collect();
    for (line, begins) in lines.iter().zip([
        "  ✕ all-done: 2 of 3 succeeded, 1 failed",
        "  ✕ no-exceptions: 4 exceptions",
        "  ✕ throughput>3000/min: 15.0 jobs/min, 2 succeeded",
        "  ? e2e.p95<1m: p95 needs 20 jobs, and 2 have one",
        "  ✓ success<=100%: 2 of 3 jobs (67 %)",
    ]) {
        assert!(line.starts_with(begins), "{line}: {}", ran.stderr);
    }
    let md = scratch.read("report.md");
    let (head, _) = md.split_once("3 asked = ").unwrap();
    let (first, last) = ("- ✕ **all\\-done**: 2 of 3 succeeded", "✓ **success");
    assert!(head.replace("all-done", "all\\-done").contains(first) && head.contains(last), "{head}");
    let page = visible_text(&scratch.read("report.html"));
    assert!(page.contains("The critical path of the slowest job that succeeded"), "{page}");
    let (head, _) = page.split_once("3 asked = ").unwrap();
    assert!(
        head.contains("✕ throughput>3000/min : 15.0 jobs/min") || head.contains("✕ throughput>3000/min: 15.0 jobs/min"),
        "{head}"
    );
    assert!(head.contains("? e2e.p95<1m"), "{head}");
}

#[test]
fn exceptions_that_are_alike_are_said_once() {
    let cause = judged(&failing(), &["--expect", "no-exceptions"]).cause();
    assert!(cause.starts_with("4 exceptions in the worker logs: gpu: RuntimeError: fault in l2 of 0dbf"), "{cause}");
    assert!(cause.contains("… × 3, gpu: RuntimeError: fault in l0"), "{cause}");
    assert!(cause.chars().count() < 250, "{cause}");
}

#[test]
fn where_the_cause_says_it_all_there_is_no_strip() {
    for expect in ["all-done,all-stages", "all-done", "e2e.p50<20s"] {
        let ran = judged(&good(), &["--expect", expect]);
        assert!(!ran.stderr.contains("  ✓ "), "{}", ran.stderr);
    }
    let asked = judged(&good(), &["--expect", "all-done,e2e.p50<20s"]);
    assert!(asked.stderr.contains("\n  ✓ all-done: 3 of 3 succeeded\n  ✓ e2e.p50<20s: 6.00 s"), "{}", asked.stderr);
}

#[test]
fn the_cause_and_the_criterion_count_the_same_jobs_without_a_stage() {
    let lacking = r#"{"phase":"Succeeded","stages":[{"name":"whisper","phase":"Done"}]}"#;
    let lines =
        vec![RUN.to_owned(), good()[1].clone(), job("soak-002", lacking), job("soak-003", r#"{"phase":"Lost"}"#)];
    let report = judged(&lines, &["--expect", "all-stages"]).report();
    assert_eq!(
        report.status.criteria[0].actual,
        "1 of 3 jobs finished every required stage, 1 lacks a stage, 1 has not finished"
    );
    assert_eq!(
        report.status.cause,
        "1 of 3 jobs lacks a required stage: soak-002 (succeeded) without l0; 1 of 3 jobs has not finished"
    );
}
