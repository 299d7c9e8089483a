//! `junit.xml`: the criteria as CI systems read them, one test suite for the scenario and one test case for each criterion.
//!
//! Failed is a failure and Incomplete an error: neither may count as passed or skipped. All times are the run's own, so that the
//! same records always make the same file.

use std::io;
use std::time::Duration;

use chrono::DateTime;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::evaluation::Evaluation;
use crate::escape::xml;
use crate::figures::listed;
use crate::record::{Criterion, Verdict};

/// The file's bytes.
pub(super) fn junit(evaluation: &Evaluation) -> io::Result<Vec<u8>> {
    let Evaluation { report, figures, .. } = evaluation;
    let title = xml(&evaluation.title());
    let mut suite = TestSuite::new(title.clone());
    let started = figures.tally.runs().filter_map(|run| run.status.started_at).min();
    if let Some(time) =
        started.or(figures.load.first_submitted).and_then(|at| DateTime::from_timestamp_micros(at.micros()))
    {
        suite.set_timestamp(time);
    }
    if let Some(time) = figures.load.window_seconds().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        suite.set_time(time);
    }
    suite.add_property(("run".to_owned(), xml(&report.metadata.run)));
    for (label, value) in &report.metadata.labels {
        suite.add_property((format!("label.{}", xml(label)), xml(value)));
    }
    for criterion in &report.status.criteria {
        let mut case = TestCase::new(xml(&criterion.name), status(criterion));
        case.set_classname(title.clone());
        suite.add_test_case(case);
    }
    let mut document = Document::new("stress-suite");
    document.add_test_suite(suite);
    document.to_string().map(String::into_bytes).map_err(io::Error::other)
}

fn status(criterion: &Criterion) -> TestCaseStatus {
    let kind = match criterion.verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        Verdict::Failed => NonSuccessKind::Failure,
        Verdict::Incomplete => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(criterion.verdict.to_string()).set_message(xml(&criterion.actual));
    let mut text = format!("expected: {}\nseen: {}", xml(&criterion.expected), xml(&criterion.actual));
    if !criterion.jobs.is_empty() {
        text = format!("{text}\njobs responsible: {}", xml(&listed(&criterion.jobs)));
    }
    status.set_description(text);
    status
}
