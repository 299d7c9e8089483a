//! Headline figures of jobs whose end is not known, and shares that are compared without rounding.

use stress_suite::record::Verdict;

use crate::support::{RUN, Scratch, good, job, judged, succeeded, text, tool};

const OPEN: &str = r#"{"phase":"Interrupted","submittedAt":"2026-05-20T22:30:02Z","acceptedAt":"2026-05-20T22:30:02.1Z","notEndedAt":"2026-05-20T22:30:09Z","observedAt":"2026-05-20T22:30:09Z"}"#;

/// Two that succeeded within 8 s, and one whose last word is `status`.
fn with(status: &str) -> Vec<String> {
    [good()[..3].to_vec(), vec![job("soak-003", status)]].concat()
}

#[test]
fn no_throughput_is_proven_while_a_job_may_keep_the_window_open() {
    let staged = r#"{"phase":"Staged"}"#;
    let given_up = ["TimedOut", "Lost", "Unknown", "Submitted"].map(|phase| OPEN.replace("Interrupted", phase));
    for status in given_up.iter().map(String::as_str).chain([OPEN, staged]) {
        let report = judged(&with(status), &["--expect", "throughput>1/h,throughput<1000/min"]).report();
        let verdicts: Vec<_> = report.status.criteria.iter().map(|criterion| criterion.verdict).collect();
        assert_eq!(verdicts, [Verdict::Incomplete, Verdict::Passed], "{status}");
        assert!(report.status.figures["jobsPerMinuteLow"].abs() < 1e-9, "{status}");
    }
    // It ended, badly: the window is closed.
    let failed = r#"{"phase":"Failed","submittedAt":"2026-05-20T22:30:02Z","notEndedAt":"2026-05-20T22:30:03Z","endedAt":"2026-05-20T22:30:04Z"}"#;
    let refused = r#"{"phase":"Rejected","submittedAt":"2026-05-20T22:30:02Z","observedAt":"2026-05-20T22:30:02.1Z"}"#;
    for status in [failed, refused] {
        assert_eq!(judged(&with(status), &["--expect", "throughput>1/h"]).code, 0, "{status}");
    }
}

#[test]
fn throughput_carries_its_error_on_every_page_and_in_the_report() {
    let scratch = Scratch::new();
    let ran = scratch.report(&good(), &[]);
    let said = "13.8 jobs/min (+0.2 / −0)";
    assert!(ran.stderr.contains(&format!("Throughput     {said}: 3 succeeded in 13.0 s")), "{}", ran.stderr);
    assert!(scratch.read("report.md").contains(said));
    assert!(scratch.read("report.html").contains("13.8\u{a0}jobs/min (+0.2\u{a0}/\u{a0}−0)"));
    let figures = ran.report().status.figures;
    for (name, value) in [("jobsPerMinuteLow", 180.0 / 13.0), ("jobsPerMinuteHigh", 180.0 / 12.8)] {
        assert!((figures[name] - value).abs() < 1e-6, "{name}: {}", figures[name]);
    }
    let open = judged(&with(OPEN), &[]);
    let said = "18.5 jobs/min (+10.1 / −18.5): 2 succeeded in 6.50 s, from the first submission to the last end; 1 job was not seen to end, so the rate may be as low as 0\n";
    assert!(open.stderr.contains(said), "{}", open.stderr);
}

/// A run of `asked` jobs of which the first `succeeded` did, and the rest failed.
fn shares(asked: u32, succeeded: u32) -> Vec<String> {
    let run = RUN.replace(r#""jobs":3"#, &format!(r#""jobs":{asked}"#));
    let width = asked.to_string().len().max(3);
    let phase = |number| if number <= succeeded { "Succeeded" } else { "Failed" };
    let jobs = (1..=asked)
        .map(|number| job(&format!("soak-{number:0width$}"), &format!(r#"{{"phase":"{}"}}"#, phase(number))));
    std::iter::once(run).chain(jobs).collect()
}

#[test]
fn a_share_that_is_just_reached_holds() {
    for (asked, succeeded, typed) in [(1000, 999, "99.9"), (250, 246, "98.4"), (500, 497, "99.4"), (1000, 568, "56.8")]
    {
        let expect = ["--expect", &format!("success>={typed}%,success<={typed}%")];
        let ran = judged(&shares(asked, succeeded), &expect);
        assert_eq!(ran.code, 0, "{succeeded} of {asked}: {}", ran.cause());
        let beyond = format!("success>{typed}%,success<{typed}%");
        let report = judged(&shares(asked, succeeded), &["--expect", &beyond]).report();
        assert!(report.status.criteria.iter().all(|one| one.verdict == Verdict::Failed), "{succeeded} of {asked}");
    }
}

#[test]
fn the_success_rate_is_of_what_was_asked_for() {
    let run = RUN.replace(r#""jobs":3"#, r#""jobs":12"#);
    let done = (1..=4).map(|number| job(&format!("soak-{number:03}"), &succeeded(f64::from(number), 5.0)));
    let cut = (5..=8).map(|number| job(&format!("soak-{number:03}"), OPEN));
    let lines: Vec<String> = std::iter::once(run).chain(done).chain(cut).collect();
    let ran = judged(&lines, &["--expect", "success>=90%"]);
    let said = "4 of 12 jobs (33 %); 8 have no known end, so the true value lies between 33 % and 100 %";
    assert!(ran.stderr.contains(&format!("  Success rate   {said}\n")), "{}", ran.stderr);
    let report = ran.report();
    assert_eq!(report.status.criteria[0].actual, format!("{said}: not certain enough"));
    let figures = report.status.figures;
    for (name, value) in [("successRate", 1.0 / 3.0), ("successRateLow", 1.0 / 3.0), ("successRateHigh", 1.0)] {
        assert!((figures[name] - value).abs() < 1e-6, "{name}: {}", figures[name]);
    }
    assert!(figures["successConfidenceLow"] < 0.11 && figures["successConfidenceHigh"] > 0.99, "{figures:?}");
}

#[test]
fn a_share_close_to_a_threshold_is_told_apart_from_it() {
    let report = judged(&shares(10_000, 9896), &["--expect", "success>=99%"]).report();
    let said = "9896 of 10000 jobs (98.96 %); 95 % interval 98.7 % to 99.1 %";
    assert_eq!((report.status.verdict, report.status.criteria[0].actual.as_str()), (Verdict::Failed, said));
}

#[test]
fn a_mean_in_flight_is_told_where_there_are_more_jobs_than_slots() {
    for (slots, told) in [(2, true), (3, false), (4, false)] {
        let run = RUN.replace(r#""concurrency":2"#, &format!(r#""concurrency":{slots}"#));
        let ran = judged(&[vec![run], good()[1..].to_vec()].concat(), &[]);
        assert_eq!(ran.stderr.contains(" in flight from the first submission to the last"), told, "{}", ran.stderr);
        let figures = ran.report().status.figures;
        assert_eq!(figures.contains_key("meanConcurrency"), told, "{slots}");
        assert!(!figures.contains_key("reachedRatePerSecond"), "a closed model has no rate of its own");
    }
    let one = RUN.replace(r#""jobs":3"#, r#""jobs":1"#);
    let ran = judged(&[one, good()[1].clone()], &["--expect", "all-done,concurrency.peak>=1"]);
    assert!(ran.stderr.contains("; 2 could not be reached: there was only 1 job\n"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("1 jobs"), "{}", ran.stderr);
}

#[test]
fn the_summary_names_a_page_that_is_there() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.out().join("report.html/in the way")).unwrap();
    std::fs::write(scratch.out().join("records.ndjson"), text(&good())).unwrap();
    let out = scratch.out().display().to_string();
    let ran = tool(&["--out", &out, "--replay"], std::io::empty());
    assert_eq!(ran.code, 74, "{}", ran.stderr);
    let there = format!("  Report         {}\n", scratch.out().join("report.md").display());
    assert!(ran.stderr.contains(&there), "{}", ran.stderr);
}
