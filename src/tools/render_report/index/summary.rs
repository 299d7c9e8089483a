//! The summary of an index on the terminal: a line for each level or scenario, with its headline figures.

use super::limits_of;
use super::ramp::Ramp;
use crate::figures::distribution::Statistic;
use crate::figures::names::{self, Durations};
use crate::scenario::Scenario;

/// The number of lines that the screen shows.
const LINES: usize = 12;

/// A label for each line, and its text.
pub(super) fn lines(ramps: &[Ramp<'_>], others: &[&Scenario]) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if let ([ramp], []) = (ramps, others) {
        let point = ramp.breaking_point().map_or_else(|| "not found".to_owned(), |level| format!("level {level}"));
        lines.push(("Breaking point".to_owned(), point));
        for level in &ramp.levels {
            lines.push((format!("Level {}", level.with_load()), level.scenario.map_or_else(not_run, figures)));
        }
    } else {
        lines.extend(others.iter().map(|scenario| (scenario.path.clone(), figures(scenario))));
        for ramp in ramps {
            let label = if ramp.path.is_empty() { "ramp" } else { &ramp.path };
            lines.push((label.to_owned(), ramp.result().unwrap_or_else(|| ramp.verdict().to_string())));
        }
        lines.sort();
    }
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push((String::new(), format!("and {more} more, see the report")));
    }
    lines
}

fn not_run() -> String {
    "not run".to_owned()
}

/// `Passed: 157 jobs/min, median 1.32 s, limiting stage whisper`. A figure that was not measured is not there.
fn figures(scenario: &Scenario) -> String {
    let limiting = scenario.report.as_ref().and_then(|report| report.status.limiting_stage.as_ref());
    let limits = limits_of(scenario);
    let known = [
        scenario.figure(&names::JOBS_PER_MINUTE).map(|rate| format!("{} jobs/min", limits.jobs_per_minute(rate))),
        scenario
            .figure(&Durations::END_TO_END.statistic(Statistic::P50))
            .map(|median| format!("median {}", limits.end_to_end_seconds(Statistic::P50, median))),
        limiting.map(|stage| format!("limiting stage {stage}")),
        scenario.not_succeeded().filter(|count| *count > 0).map(|count| format!("{count} did not succeed")),
    ];
    let known: Vec<String> = known.into_iter().flatten().collect();
    let verdict = scenario.verdict();
    if known.is_empty() { verdict.to_string() } else { format!("{verdict}: {}", known.join(", ")) }
}
