//! Scenarios without what the target said and where it is, for a page that is to be sent.
//!
//! Why a scenario did not pass quotes messages, so it is told anew from what does not: its criteria and the account of its jobs.

use crate::figures::listed;
use crate::figures::outcome::{Outcome, count};
use crate::record::Report;
use crate::scenario::{REPORT, Scenario};

/// Takes out of a scenario what a page of the index would show of it.
pub(super) fn redact(scenario: &mut Scenario) {
    if let Some(report) = &mut scenario.report {
        report.status.cause = cause(report);
    }
    if scenario.unreadable {
        // What is wrong with it may be a word that stands in it.
        scenario.trouble = format!("its {REPORT} cannot be read");
    }
    for run in &mut scenario.runs {
        run.spec.target = None;
    }
}

/// `all-done is Failed: of 12 jobs 10 succeeded, 1 failed, 1 lost`.
fn cause(report: &Report) -> String {
    let status = &report.status;
    let worst = status.criteria.iter().filter(|criterion| criterion.verdict == status.verdict);
    let worst: Vec<String> = worst.map(|criterion| criterion.name.clone()).collect();
    let sums = &status.conservation;
    let counts = Outcome::ALL.into_iter().map(|outcome| (outcome, count(sums, outcome))).filter(|(_, jobs)| *jobs > 0);
    let counts: Vec<String> = counts.map(|(outcome, jobs)| format!("{jobs} {outcome}")).collect();
    let verb = if worst.len() == 1 { "is" } else { "are" };
    let judged = format!("{} {verb} {}", listed(&worst), status.verdict);
    if counts.is_empty() { judged } else { format!("{judged}: of {} jobs {}", sums.asked, counts.join(", ")) }
}
