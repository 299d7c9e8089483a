//! Scenarios without the words and the address of the target, for a page that can be shared.
//!
//! The cause of a verdict quotes messages, so it is written anew from the criteria and the tally of the jobs, which do not.

use crate::figures::listed;
use crate::figures::outcome::counts_text;
use crate::record::{Conservation, Report};
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
    let verb = if worst.clone().count() == 1 { "is" } else { "are" };
    let judged = format!("{} {verb} {}", listed(worst.map(|criterion| &criterion.name)), status.verdict);
    match status.conservation {
        Conservation { asked: 0, .. } => judged,
        sums => format!("{judged}: of {} jobs {}", sums.asked, counts_text(&sums)),
    }
}
