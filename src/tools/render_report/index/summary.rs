//! The summary of an index on the terminal: a line for each level or scenario, with its headline figures.

use itertools::Itertools;

use super::ramp::Ramp;
use super::{Contents, tables};
use crate::scenario::Scenario;

/// The number of lines that the screen shows.
const LINES: usize = 12;

/// A label for each line, and its text.
pub(super) fn lines(contents: &Contents<'_>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    if let Some(ramp) = contents.only_ramp() {
        let point = ramp.breaking_point().map_or_else(|| "not found".to_owned(), |level| format!("level {level}"));
        lines.push(("Breaking point".to_owned(), point));
        for level in &ramp.levels {
            let text = level.scenario.map_or_else(|| "not run".to_owned(), figures);
            lines.push((format!("Level {}", level.with_load()), text));
        }
    } else {
        lines.extend(contents.others.iter().map(|scenario| (scenario.path.clone(), figures(scenario))));
        let result = |ramp: &Ramp<'_>| ramp.result().unwrap_or_else(|| ramp.verdict().to_string());
        lines.extend(contents.ramps.iter().map(|ramp| (ramp.name().to_owned(), result(ramp))));
        lines.sort();
    }
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push((String::new(), format!("and {more} more, see the report")));
    }
    lines
}

/// `Passed: 157 jobs/min, median 1.32 s, limiting stage whisper`. A figure that was not measured is not there.
fn figures(scenario: &Scenario) -> String {
    let limiting = scenario.report.as_ref().and_then(|report| report.status.limiting_stage.as_ref());
    let [rate, median, ..] = tables::figures(scenario);
    let known = [
        rate.map(|rate| format!("{rate} jobs/min")),
        median.map(|median| format!("median {median}")),
        limiting.map(|stage| format!("limiting stage {stage}")),
        scenario.not_succeeded().filter(|count| *count > 0).map(|count| format!("{count} did not succeed")),
    ];
    let (verdict, known) = (scenario.verdict(), known.into_iter().flatten().join(", "));
    if known.is_empty() { verdict.to_string() } else { format!("{verdict}: {known}") }
}
