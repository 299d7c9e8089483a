//! The summary on the terminal: one screen, plain text.

use std::path::Path;

use super::captures::Captures;
use super::facts;
use crate::escape::{start, terminal};
use crate::figures::Figures;
use crate::figures::outcome::conservation_line;
use crate::record::Report;

/// How many characters of the cause, and of a doubt, the screen shows.
const WIDE: usize = 400;
/// How many doubts the screen shows.
const DOUBTS: usize = 5;

/// The lines. `page` is where the report lies, as far as one could be written.
pub(super) fn summary(report: &Report, figures: &Figures, captures: &Captures, page: Option<&Path>) -> String {
    let status = &report.status;
    let title = super::page::title(report, figures);
    let mut lines =
        vec![format!("{}: {}: {}", terminal(&title), status.verdict, terminal(&start(&status.cause, WIDE)))];
    for (verdict, name, seen) in facts::strip(report) {
        lines.push(terminal(&format!("  {} {name}: {seen}", facts::mark(verdict))));
    }
    let page = page.map_or_else(|| "none could be written".to_owned(), |page| terminal(&page.display().to_string()));
    let mut put = |label: &str, text: &str| lines.push(format!("  {label:<15}{text}"));
    if !captures.alone {
        put("Jobs", &conservation_line(&status.conservation));
    }
    if figures.load.first_submitted.is_none() && figures.tally.runs().any(|run| run.status.aborted.is_some()) {
        // The cause says why; ten lines of what is therefore not known would hide it.
        put("Report", &page);
        lines.push(String::new());
        return lines.join("\n");
    }
    for (label, text) in facts::facts(figures, captures, terminal) {
        put(label, &text);
    }
    for doubt in status.doubts.iter().take(DOUBTS) {
        put("Doubtful", &terminal(&start(doubt, WIDE)));
    }
    if status.doubts.len() > DOUBTS {
        put("Doubtful", &format!("and {} more, see the report", status.doubts.len() - DOUBTS));
    }
    put("Report", &page);
    lines.push(String::new());
    lines.join("\n")
}
