//! The summary on the terminal: one screen, plain text.

use std::path::Path;

use super::evaluation::Evaluation;
use super::headline_figures::{criteria_lines, headline_figures, mark};
use crate::escape::start;
use crate::figures::outcome::short_conservation_line;

/// The longest part of the cause in a brief summary.
const CAUSE: usize = 160;
/// The longest part of the cause or of a doubt, in characters, that the screen shows.
const SENTENCE: usize = 400;
/// The number of doubts that the screen shows.
const DOUBTS: usize = 5;

/// The summary in one line.
pub(super) fn brief_summary(evaluation: &Evaluation, page: Option<&Path>) -> String {
    let status = &evaluation.report.status;
    let page = page.map_or_else(String::new, |page| format!(" ({})", page.display()));
    format!("{}: {}: {}{page}", evaluation.title(), status.verdict, start(&status.cause, CAUSE))
}

/// The lines. `page` is the path of the report, if one could be written.
pub(super) fn summary(evaluation: &Evaluation, page: Option<&Path>) -> Vec<String> {
    let Evaluation { report, figures, captures, .. } = evaluation;
    let status = &report.status;
    let mut lines = vec![format!("{}: {}: {}", evaluation.title(), status.verdict, start(&status.cause, SENTENCE))];
    for (verdict, name, actual) in criteria_lines(report) {
        lines.push(format!("  {} {name}: {actual}", mark(verdict)));
    }
    let page = page.map_or_else(|| "none could be written".to_owned(), |page| page.display().to_string());
    let mut put = |label: &str, text: &str| lines.push(format!("  {label:<15}{text}"));
    if !captures.alone {
        put("Jobs", &short_conservation_line(&status.conservation));
    }
    // If the run was aborted, the cause says why; ten lines of unknown figures would hide it.
    if figures.load.first_submitted.is_none() && figures.tally.runs().any(|run| run.status.aborted.is_some()) {
        put("Report", &page);
        return lines;
    }
    for (label, text) in headline_figures(evaluation) {
        put(label, &text);
    }
    for doubt in status.doubts.iter().take(DOUBTS) {
        put("Doubtful", &start(doubt, SENTENCE));
    }
    if status.doubts.len() > DOUBTS {
        put("Doubtful", &format!("and {} more, see the report", status.doubts.len() - DOUBTS));
    }
    put("Report", &page);
    lines
}
