//! Each criterion's three verdicts, the conservation line, and the sentence that says why.

use crate::support::{RUN, good, job, judged, succeeded};
use stress_suite::figures::outcome::conservation_line;
use stress_suite::record::Verdict;

fn with(status: &str) -> Vec<String> {
    let mut lines = good();
    lines[3] = job("soak-003", status);
    lines
}

#[test]
fn all_done_passes_only_if_every_job_that_was_asked_for_succeeded() {
    let ran = judged(&good(), &["--expect", "all-done"]);
    assert_eq!((ran.code, ran.cause().as_str()), (0, "3 of 3 jobs succeeded"));
    let criterion = &ran.report().status.criteria[0];
    assert_eq!((criterion.name.as_str(), criterion.verdict), ("all-done", Verdict::Passed));
}

#[test]
fn a_job_that_ended_badly_fails_the_run_and_is_named_with_its_stage() {
    let failed = r#"{"phase":"Failed","reason":"TargetFailed","message":"RuntimeError: out of memory","stages":[{"name":"whisper","phase":"Done"},{"name":"l0","phase":"Failed"}]}"#;
    let ran = judged(&with(failed), &[]);
    assert_eq!(ran.code, 3);
    assert_eq!(ran.cause(), "1 of 3 jobs did not succeed: soak-003 failed at l0 (RuntimeError: out of memory)");
    let mut lines = with(r#"{"phase":"TimedOut","message":"did not end within 4.00 s"}"#);
    lines[1] = job("soak-001", r#"{"phase":"TimedOut","message":"did not end within 4.00 s"}"#);
    lines[2] = job("soak-002", r#"{"phase":"Lost"}"#);
    assert_eq!(
        judged(&lines, &[]).cause(),
        "3 of 3 jobs did not succeed: soak-001, soak-003 timed out (did not end within 4.00 s), soak-002 lost"
    );
    for (phase, word) in [("TimedOut", "timed out"), ("Lost", "lost"), ("Rejected", "rejected")] {
        let ran = judged(&with(&format!(r#"{{"phase":"{phase}"}}"#)), &[]);
        assert_eq!((ran.code, ran.cause()), (3, format!("1 of 3 jobs did not succeed: soak-003 {word}")));
    }
}

#[test]
fn a_job_without_a_known_end_leaves_the_run_incomplete() {
    for (phase, words) in [
        ("Unknown", "unknown"),
        ("Interrupted", "interrupted"),
        ("Submitted", "unfinished"),
        ("Staged", "not submitted"),
    ] {
        let ran = judged(&with(&format!(r#"{{"phase":"{phase}"}}"#)), &[]);
        let cause = format!("1 of 3 jobs has no known end: 1 {words} (soak-003)");
        assert_eq!((ran.code, ran.cause()), (4, cause));
    }
    let ran = judged(&good()[..3], &[]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "1 of 3 jobs has no known end: 1 missing (soak-003)"));
}

#[test]
fn without_jobs_or_without_a_run_nothing_passes() {
    assert_eq!(judged(&[], &[]).code, 4);
    assert_eq!(judged(&[], &["--subset"]).code, 4);
    let ran = judged(&good()[1..], &[]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "no Run says how many jobs were asked for"));
    let countless = RUN.replace(r#","jobs":3"#, "").replace("r1", "r2");
    let ran = judged(&[good(), vec![countless]].concat(), &[]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "a Run of r2 does not say how many jobs it was asked for"));
    assert_eq!(judged(&good()[1..], &["--subset"]).code, 0);
    assert_eq!(judged(&good()[..2], &["--subset"]).code, 0, "with --subset the others are not asked for");
}

#[test]
fn why_submission_stopped_is_part_of_the_cause() {
    let aborted = r#"],"x":0},"status":{"aborted":{"by":"submit-jobs","reason":"TargetUnhealthy","message":"GET /health: 503","at":"2026-05-20T22:30:00Z"}}}"#;
    let (head, _) = RUN.split_once(r#"]},"status""#).unwrap();
    let staged = ["soak-001", "soak-002", "soak-003"].map(|name| job(name, r#"{"phase":"Staged"}"#));
    let ran = judged(&[vec![format!("{head}{aborted}")], staged.to_vec()].concat(), &[]);
    assert_eq!(ran.code, 4);
    assert_eq!(
        ran.cause(),
        "3 of 3 jobs have no known end: 3 not submitted (soak-001, soak-002, soak-003); submit-jobs stopped: GET /health: 503"
    );
    let doubts = ran.report().status.doubts;
    assert_eq!(
        doubts,
        ["submit-jobs stopped at 22:30:00.000 UTC before its work was done: GET /health: 503 (TargetUnhealthy)"]
    );
}

#[test]
fn all_stages_wants_every_required_stage_of_every_job() {
    let ran = judged(&good(), &["--expect", "all-stages"]);
    assert_eq!((ran.code, ran.cause().as_str()), (0, "all 3 jobs finished every required stage"));

    let without =
        r#"{"phase":"Succeeded","stages":[{"name":"whisper","phase":"Done"},{"name":"l0","phase":"Waiting"}]}"#;
    let ran = judged(&with(without), &["--expect", "all-stages"]);
    let cause = "1 of 3 jobs lacks a required stage: soak-003 (succeeded) without l0";
    assert_eq!((ran.code, ran.cause().as_str()), (3, cause));
    assert_eq!(ran.report().status.criteria[0].jobs, ["soak-003"]);

    let shown = |phase: &str, whisper: &str| {
        let stages = format!(r#"{whisper},{{"name":"l0","phase":"Done"}}"#);
        let ran = judged(&with(&format!(r#"{{"phase":"{phase}","stages":[{stages}]}}"#)), &["--expect", "all-stages"]);
        (ran.code, ran.cause())
    };
    let unknown = "1 of 3 jobs has a required stage whose end is unknown: soak-003 (whisper)".to_owned();
    for whisper in [
        r#"{"name":"whisper","phase":"Running"}"#,
        r#"{"name":"whisper","phase":"Unnamed"}"#,
        r#"{"name":"whisper","phase":"Waiting","unlisted":true}"#,
        r#"{"name":"whisper","phase":"Failed","unlisted":true}"#,
        r#"{"name":"whisper","phase":"Done"},{"name":"whisper","phase":"Running"}"#,
    ] {
        assert_eq!(shown("Succeeded", whisper), (4, unknown.clone()), "{whisper}");
    }
    assert_eq!(shown("Failed", r#"{"name":"whisper","phase":"Running","unlisted":true}"#), (4, unknown));
    for whisper in [
        r#"{"name":"whisper","phase":"Done","unlisted":true}"#,
        r#"{"name":"whisper","phase":"Running","attempt":1},{"name":"whisper","phase":"Done","attempt":2}"#,
    ] {
        assert_eq!(shown("Succeeded", whisper).0, 0, "{whisper}");
    }
    for (phase, whisper) in [("Failed", "Running"), ("Failed", "Waiting"), ("Succeeded", "Failed")] {
        let (code, cause) = shown(phase, &format!(r#"{{"name":"whisper","phase":"{whisper}"}}"#));
        assert!(code == 3 && cause.ends_with("without whisper"), "{phase} {whisper}: {cause}");
    }
    let unlisted = r#"{"phase":"Succeeded","stages":[{"name":"whisper","phase":"Done","unlisted":true}]}"#;
    for (status, named) in
        [(unlisted, "no answer showed the stage"), (r#"{"phase":"Succeeded"}"#, "no answer showed the stage")]
    {
        let ran = judged(&with(status), &["--expect", "all-stages"]);
        assert!(ran.code == 4 && ran.cause().contains(named), "no list is no word on a stage: {}", ran.cause());
    }

    let open = r#"{"phase":"Submitted","stages":[{"name":"whisper","phase":"Done"}]}"#;
    let ran = judged(&with(open), &["--expect", "all-stages"]);
    let cause = "1 of 3 jobs is missing required stages, and not finished: soak-003";
    assert_eq!((ran.code, ran.cause().as_str()), (4, cause));

    let unnamed = good()[0].replace(r#""required":true"#, r#""required":false"#);
    let ran = judged(&[vec![unnamed], good()[1..].to_vec()].concat(), &["--expect", "all-stages"]);
    assert_eq!((ran.code, ran.cause().as_str()), (4, "no Run names the stages that are required"));
}

fn logs(service: &str, status: &str) -> String {
    format!(
        r#"{{"apiVersion":"stress/v1","kind":"Logs","metadata":{{"name":"{service}","run":"r1"}},"spec":{{"service":"{service}"}},"status":{status}}}"#
    )
}

#[test]
fn no_exceptions_passes_on_whole_logs_only() {
    let with_logs = |status: &str| {
        let lines = [good(), vec![logs("gpu", r#"{"result":"ok","lines":10}"#), logs("io", status)]].concat();
        judged(&lines, &["--expect", "no-exceptions"])
    };
    assert_eq!(with_logs(r#"{"result":"ok","lines":3}"#).code, 0);
    let ran = with_logs(r#"{"result":"ok","lines":3,"exceptions":[{"firstLine":"ValueError: no","jobId":"id-6"}]}"#);
    assert_eq!((ran.code, ran.cause().as_str()), (3, "1 exception in the worker logs: io: ValueError: no"));
    assert_eq!(ran.report().status.criteria[0].jobs, ["soak-003"]);
    for short in [
        r#"{"result":"ok","lines":0}"#,
        r#"{"result":"empty"}"#,
        r#"{"result":"partial","lines":3}"#,
        r#"{"result":"error","message":"no such file"}"#,
        "{}",
    ] {
        assert_eq!(with_logs(short).code, 4, "{short}");
    }
    let quiet = with_logs(r#"{"result":"quiet","lines":0}"#);
    assert_eq!((quiet.code, quiet.cause().contains("LOGS_QUIET=io")), (4, true), "{}", quiet.cause());
    let allowed = with_logs(r#"{"result":"quiet","lines":0,"mayBeQuiet":true}"#);
    let actual = &allowed.report().status.criteria[0].actual;
    assert_eq!((allowed.code, actual.as_str()), (0, "none in 10 lines of 1 logs; io quiet, which was allowed"));
    assert_eq!(judged(&good(), &["--expect", "no-exceptions"]).cause(), "no worker log was captured");
}

#[test]
fn the_worst_criterion_is_the_verdict() {
    let lines = with(r#"{"phase":"Lost"}"#);
    let ran = judged(&lines, &["--expect", "no-exceptions,all-done", "--expect", "all-stages"]);
    let report = ran.report();
    let verdicts: Vec<_> = report.status.criteria.iter().map(|c| (c.name.as_str(), c.verdict)).collect();
    assert_eq!(
        verdicts,
        [("no-exceptions", Verdict::Incomplete), ("all-done", Verdict::Failed), ("all-stages", Verdict::Incomplete)]
    );
    assert_eq!((ran.code, report.status.cause.as_str()), (3, "1 of 3 jobs did not succeed: soak-003 lost"));
}

#[test]
fn what_follows_from_a_cause_is_not_said_again() {
    let staged = r#"{"phase":"Staged"}"#;
    let ran = judged(&with(staged), &["--expect", "all-done,all-stages"]);
    assert_eq!(ran.cause(), "1 of 3 jobs has no known end: 1 not submitted (soak-003)");
    let mut lines = with(r#"{"phase":"Failed","jobId":"7"}"#);
    let log = logs("io", r#"{"result":"ok","lines":3,"exceptions":[{"firstLine":"ValueError: no","jobId":"7"}]}"#);
    let ran = judged(&[lines.clone(), vec![log]].concat(), &["--expect", "all-done,no-exceptions"]);
    assert!(ran.cause().ends_with("; 1 exception in the worker logs: io: ValueError: no"), "{}", ran.cause());
    lines[2] = job("soak-002", r#"{"phase":"Succeeded","stages":[{"name":"whisper","phase":"Done"}]}"#);
    let ran = judged(&lines, &["--expect", "all-done,all-stages"]);
    assert_eq!(
        ran.cause(),
        "1 of 3 jobs did not succeed: soak-003 failed; 2 of 3 jobs lack a required stage: soak-002 (succeeded) without \
         l0, soak-003 (failed) without whisper, l0"
    );
}

#[test]
fn every_job_is_somewhere_on_the_conservation_line() {
    let run = RUN.replace(r#""jobs":3"#, r#""jobs":11"#);
    let phases = [
        "Succeeded",
        "Failed",
        "TimedOut",
        "Lost",
        "Unknown",
        "Interrupted",
        "Rejected",
        "Submitted",
        "Staged",
        "Succeeded",
    ];
    let jobs = phases
        .iter()
        .enumerate()
        .map(|(index, phase)| job(&format!("soak-{:03}", index + 1), &format!(r#"{{"phase":"{phase}"}}"#)));
    let ran = judged(&[run].into_iter().chain(jobs).collect::<Vec<_>>(), &[]);
    let sums = ran.report().status.conservation;
    assert_eq!(
        conservation_line(&sums),
        "11 asked = 2 succeeded + 1 failed + 1 timed out + 1 lost + 1 unknown + 1 interrupted + 1 rejected + 1 unfinished \
         + 1 not submitted + 1 missing"
    );
    let parts = [sums.succeeded, sums.failed, sums.timed_out, sums.lost, sums.unknown, sums.interrupted];
    let rest = [sums.rejected, sums.unfinished, sums.not_submitted, sums.missing];
    assert_eq!(parts.iter().chain(&rest).sum::<u64>(), sums.asked);
    assert!(ran.stderr.contains("11 asked = 2 succeeded"));
}

#[test]
fn a_job_that_nobody_asked_for_counts_and_is_doubtful() {
    let ran = judged(&[good(), vec![job("soak-099", &succeeded(20.0, 5.0))]].concat(), &[]);
    let report = ran.report();
    assert_eq!((ran.code, report.status.conservation.asked), (0, 4));
    assert_eq!(report.status.doubts, ["1 job is in the stream though no Run asked for it: soak-099"]);
}

#[test]
fn a_number_of_jobs_that_cannot_be_is_not_counted_up_to() {
    let run = RUN.replace(r#""jobs":3"#, r#""jobs":18446744073709551615"#);
    let ran = judged(&[vec![run], good()[1..].to_vec()].concat(), &[]);
    assert_eq!(ran.code, 4);
    assert!(ran.cause().contains("asks for 18446744073709551615 jobs"), "{}", ran.cause());
}
