//! A window without jobs: what its report says, and when it passes.

use crate::support::{Scratch, good, text};

fn capture(kind: &str, name: &str, status: &str) -> String {
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"{kind}","metadata":{{"name":"{name}"}},"spec":{{"service":"{name}","query":"{name}","window":{{"start":"2026-05-20T22:30:00Z","end":"2026-05-20T22:35:00Z"}}}},"status":{status}}}"#
    )
}

fn whole() -> Vec<String> {
    vec![
        capture("Series", "jobs_completed", r#"{"result":"ok","file":"prometheus/jobs_completed.json","series":0}"#),
        capture("Traces", "api", r#"{"result":"ok","file":"jaeger/api.json","traces":2}"#),
        capture("Logs", "worker", r#"{"result":"ok","file":"logs/worker.log","lines":9}"#),
    ]
}

#[test]
fn its_report_tells_the_window_and_the_captures_and_of_no_jobs() {
    let scratch = Scratch::new();
    let ran = scratch.report(&whole(), &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let page = scratch.read("report.md");
    assert!(page.starts_with("# Passed: capture\n\n**Passed**: every capture is complete.\n"), "{page}");
    let window = "2026-05-20T22:30:00.000000Z to 2026-05-20T22:35:00.000000Z, 5 m 00 s";
    for said in [window, "3 of 3 are complete: 1 series, traces of 1 service, logs of 1", "| captured | **Passed** |"] {
        assert!(page.contains(said) && (!said.starts_with("20") || ran.stderr.contains(said)), "{said} in\n{page}");
    }
    for noise in ["asked", "## Jobs", "## Stages", "Throughput", "jobs.csv", "no Run"] {
        assert!(!page.contains(noise) && !ran.stderr.contains(noise), "{noise} in\n{page}{}", ran.stderr);
    }
    let html = scratch.read("report.html");
    let banner =
        "<header class=\"banner\">capture of 2026-05-20T22:30:00.000000Z to 2026-05-20T22:35:00.000000Z</header>";
    assert!(html.contains(banner), "{html}");
    for file in ["jobs.csv", "jobs.json", "manifest.json", "stages.csv"] {
        assert!(!scratch.out().join(file).exists(), "{file}");
    }
}

#[test]
fn captured_passes_on_nothing_but_whole_captures() {
    let judged = |lines: &[String]| {
        let scratch = Scratch::new();
        let ran = scratch.report(lines, &["--expect", "captured"]);
        (ran.code, ran.report().status.cause)
    };
    let with = |status: &str| [whole(), vec![capture("Traces", "io", status)]].concat();
    assert_eq!(
        judged(&with(r#"{"result":"partial"}"#)),
        (4, "not everything was captured: traces io is partial".into())
    );
    assert_eq!(judged(&with(r#"{"result":"error","reason":"Off"}"#)).0, 4);
    let waived = [whole(), vec![capture("Logs", "io", r#"{"result":"empty","waived":true}"#)]].concat();
    assert_eq!(judged(&waived), (0, "every capture is complete".into()));
    let only = vec![capture("Logs", "io", r#"{"result":"empty","waived":true}"#)];
    assert_eq!(judged(&only), (4, "nothing was captured".into()));
    assert_eq!(judged(&good()), (4, "nothing was captured".into()), "jobs alone are no capture");
}

#[test]
fn captures_that_end_before_the_last_job_are_a_part() {
    let scratch = Scratch::new();
    // The jobs of the good run end later than a window that ended the day before they began.
    let early = |line: String| line.replace("2026-05-20T22:3", "2020-05-20T22:3");
    let lines = [good(), whole().into_iter().map(early).collect()].concat();
    let ran = scratch.report(&lines, &["--expect", "all-done,captured,no-exceptions"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let status = ran.report().status;
    let verdicts: Vec<String> = status.criteria.iter().map(|criterion| criterion.verdict.to_string()).collect();
    assert_eq!(verdicts, ["Passed", "Incomplete", "Incomplete"]);
    let doubt = status.doubts.iter().find(|doubt| doubt.contains("ends before the last job did")).unwrap();
    assert!(doubt.contains(": jobs_completed, api, worker; no means are computed from it"), "{doubt}");
    assert!(status.cause.contains("worker (it ends before the last job did)"), "{}", status.cause);
}

#[test]
fn more_can_be_added_to_a_report_that_was_made() {
    let scratch = Scratch::new();
    scratch.report(&good(), &[]);
    let later = [good(), whole()].concat();
    let ran = crate::support::tool(
        &["--append", "--out", scratch.out().to_str().unwrap()],
        std::io::Cursor::new(text(&later).into_bytes()),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(scratch.read("records.ndjson"), text(&later), "what stood there is not written again");
    assert!(scratch.read("report.md").contains("## Captures"));
    let missing = Scratch::new();
    let ran = crate::support::tool(&["--append", "--out", missing.out().to_str().unwrap()], std::io::empty());
    assert_eq!(ran.code, 74, "{}", ran.stderr);
    assert!(!missing.out().exists());
}
