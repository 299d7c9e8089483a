//! Whole runs against a target in which something goes wrong: each ends by itself, accounts for every job, and its report
//! names the cause.

use crate::shell::Shell;

/// The expectations of a run of six jobs.
struct Case<'a> {
    faults: &'a [&'a str],
    script: &'a str,
    code: i32,
    /// Terms of the conservation line that are not zero.
    account: &'a [(&'a str, u64)],
    /// Words that the verdict's cause, or the report around it, must contain.
    said: &'a [&'a str],
}

fn check(case: &Case<'_>) {
    let shell = Shell::new(case.faults);
    let done = shell.run(case.script);
    let faults = case.faults;
    assert_eq!(done.code, case.code, "{faults:?}: {}", done.stderr);
    let report = shell.json("out/report.json");
    let terms = report["status"]["conservation"].as_object().unwrap();
    let told: Vec<_> = terms.iter().filter(|(term, count)| *term != "asked" && **count != 0).collect();
    let sum: u64 = told.iter().map(|(_, count)| count.as_u64().unwrap()).sum();
    assert_eq!((terms["asked"].as_u64(), sum), (Some(6), 6), "{faults:?}: {terms:?}");
    for (term, count) in case.account {
        assert_eq!(terms[*term].as_u64(), Some(*count), "{faults:?}: {term} in {terms:?}");
    }
    let page = shell.read("out/report.md").replace('\\', "");
    for said in case.said {
        assert!(page.contains(said), "{faults:?}: `{said}` in\n{page}");
    }
}

#[test]
fn a_job_that_fails_at_a_stage() {
    check(&Case {
        faults: &["--fail", "l2:3"],
        script: "run out",
        code: 3,
        account: &[("succeeded", 5), ("failed", 1)],
        said: &["l2 failed after 3 attempts", "TargetFailed"],
    });
}

#[test]
fn a_stage_that_never_appears() {
    check(&Case {
        faults: &["--drop", "decide:2"],
        script: "run out",
        code: 3,
        account: &[("succeeded", 6)],
        said: &["decide", "all-stages | **Failed**", "all-done | **Passed**"],
    });
}

#[test]
fn a_lost_job() {
    check(&Case {
        faults: &["--lose", "2"],
        script: "POLL='--lost-after 200ms' run out",
        code: 3,
        account: &[("succeeded", 5), ("lost", 1)],
        said: &["UnknownId", "has not known the id for 200 ms"],
    });
}

#[test]
fn a_hung_job() {
    check(&Case {
        // The others take next to no time, and the deadline is far beyond that.
        faults: &["--hang", "l1:2", "--time-scale", "0"],
        script: "POLL='--deadline 4s' run out",
        code: 3,
        account: &[("succeeded", 5), ("timedOut", 1)],
        said: &["DeadlineExceeded", "did not end within 4.00 s"],
    });
}

#[test]
fn a_submission_that_is_never_answered() {
    check(&Case {
        faults: &["--no-answer", "4"],
        script: "SUBMIT='--timeout 3s' run out",
        code: 4,
        account: &[("succeeded", 5), ("unknown", 1)],
        said: &["NoAnswer", "no answer within 3.00 s; the job may run"],
    });
}

#[test]
fn two_jobs_with_one_id() {
    check(&Case {
        faults: &["--same-id", "2"],
        script: "run out",
        code: 3,
        account: &[("succeeded", 5), ("failed", 1)],
        said: &["Collapsed", "which it had already given to"],
    });
}

#[test]
fn a_target_that_dies_after_the_third_job() {
    check(&Case {
        faults: &["--die-after", "3", "--hold", "whisper:100%"],
        script: "POLL='--deadline 1s' run out",
        code: 3,
        account: &[("succeeded", 0)],
        said: &["connection refused"],
    });
}

#[test]
fn a_target_that_was_never_up() {
    check(&Case {
        faults: &[],
        script: "TARGET=http://127.0.0.1:9 run out",
        code: 4,
        account: &[("notSubmitted", 6)],
        said: &["GET http://127.0.0.1:9/health: connection refused"],
    });
}

#[test]
fn answers_that_are_late_broken_or_refusals_cost_nothing_but_time() {
    check(&Case {
        faults: &["--cut", "20%", "--garble", "10%", "--poll-status", "500:10%", "--delay", "5ms"],
        script: "run out",
        code: 0,
        account: &[("succeeded", 6)],
        said: &["6 of 6 jobs succeeded"],
    });
}

#[test]
fn a_status_word_that_nobody_named() {
    check(&Case {
        faults: &["--status-word", "done=completed", "--time-scale", "0"],
        script: "POLL='--deadline 1s' run out",
        code: 3,
        account: &[("timedOut", 6)],
        said: &["UnnamedStatus", "completed"],
    });
}

#[test]
fn a_capacity_that_is_too_small() {
    check(&Case {
        // The first two take long enough to be unfinished when the last comes.
        faults: &["--capacity", "2", "--time-scale", "0.05"],
        script: "CONCURRENCY=6 run out",
        code: 3,
        account: &[],
        said: &["HTTP 503", "Refused"],
    });
}
