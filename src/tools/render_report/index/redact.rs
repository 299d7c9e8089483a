//! Scenarios without the words and the address of the target, for a page that can be shared.
//!
//! The cause of a verdict quotes messages, so it is written anew from the criteria and the tally of the jobs, which do not.

use crate::figures::listed;
use crate::figures::outcome::{Outcome, count};
use crate::record::Report;
use crate::scenario::{REPORT, Scenario};

/// Removes from a scenario everything that a page of the index would show.
pub(super) fn redact(scenario: &mut Scenario) {
    if let Some(report) = &mut scenario.report {
        report.status.cause = cause(report);
    }
    if scenario.unreadable {
        // The trouble may quote the file.
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
