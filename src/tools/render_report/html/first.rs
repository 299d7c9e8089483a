//! What is to be seen first: verdict and cause, where the jobs went, the figures, the first failures, what is doubtful.

use std::fmt::Write;

use super::Scene;
use crate::escape;
use crate::figures::outcome::{Outcome, conservation_line, count};
use crate::html::lead::{self, Card};
use crate::html::svg::number;
use crate::record::{Conservation, Verdict};
use crate::tools::render_report::facts;
use crate::tools::render_report::page::{self, Page};

/// The figures whose first part is shown large.
const CARDS: [&str; 4] = ["Throughput", "End to end", "Limiting stage", "Success rate"];
/// How wide the bar is drawn; it is stretched to the page.
const BAR: f64 = 1000.0;

/// The class and the mark of a verdict: neither colour nor shape alone tells it.
pub(in crate::tools::render_report) fn looks(verdict: Verdict) -> (&'static str, &'static str) {
    let class = match verdict {
        Verdict::Passed => "good",
        Verdict::Failed => "bad",
        Verdict::Incomplete => "open",
    };
    (class, facts::mark(verdict))
}

pub(super) fn screen(scene: &Scene<'_>, name: &str) -> String {
    let status = &scene.report.status;
    let (class, mark) = looks(status.verdict);
    let mut text = lead::band(class, mark, &status.verdict.to_string(), name);
    let _ = writeln!(text, "<p class=\"cause\">{}.</p>", escape::html(status.cause.trim_end_matches('.')));
    let mut strip = Page::html(scene.pen(), 2);
    page::strip(&mut strip, scene.report);
    let strip = strip.into_text();
    if !strip.is_empty() {
        let _ = writeln!(text, "<div class=\"criteria\">{strip}</div>");
    }
    if !scene.captures.alone {
        text += &bar(&status.conservation);
        let _ = writeln!(text, "<p class=\"sum\">{}</p>", faded(&conservation_line(&status.conservation)));
    }
    if let Some(others) = facts::others(scene.figures, scene.pen().escape()) {
        let _ = writeln!(text, "<p>Not succeeded: {others}.</p>");
    }
    text += &figures(scene);
    let mut failures = Page::html(scene.pen(), 2);
    page::failures(&mut failures, scene.figures);
    let failures = failures.into_text();
    if !failures.is_empty() {
        let _ = writeln!(text, "<div class=\"failures\">{failures}</div>");
    }
    text + &lead::doubts(&status.doubts)
}

/// The conservation line with its empty terms quiet.
fn faded(line: &str) -> String {
    let quiet = |term: &str| {
        let term = escape::html(term);
        if term.starts_with("0 ") { format!("<span class=\"none\">{term}</span>") } else { term }
    };
    line.split(" + ").map(quiet).collect::<Vec<_>>().join(" + ")
}

fn bar(sums: &Conservation) -> String {
    let mut shapes = String::new();
    let mut from = 0.0;
    for outcome in Outcome::ALL {
        let jobs = count(sums, outcome);
        if jobs == 0 || sums.asked == 0 {
            continue;
        }
        // A single job among thousands must still be seen.
        let width = (BAR * jobs as f64 / sums.asked as f64).max(3.0);
        let (class, over) = match outcome {
            Outcome::Succeeded => ("good", None),
            outcome if outcome.is_bad() => ("bad", Some("bad-hatch")),
            _ => ("open", None),
        };
        let _ = write!(shapes, "<g><title>{jobs} {outcome}</title>");
        for class in [Some(class), over].into_iter().flatten() {
            let _ = write!(
                shapes,
                "<rect class=\"{class}\" x=\"{}\" y=\"0\" width=\"{}\" height=\"12\"/>",
                number(from),
                number((width - 1.5).max(1.0))
            );
        }
        shapes.push_str("</g>");
        from += width;
    }
    let from = from.max(BAR);
    let line = escape::html(&conservation_line(sums));
    format!(
        "<svg class=\"conservation\" role=\"img\" aria-labelledby=\"sum-t sum-d\" viewBox=\"0 0 {} 12\" \
         preserveAspectRatio=\"none\"><title id=\"sum-t\">Where the jobs went</title><desc id=\"sum-d\">{line}</desc>{shapes}</svg>\n",
        number(from)
    )
}

fn figures(scene: &Scene<'_>) -> String {
    let facts = facts::facts(scene.figures, scene.captures, str::to_owned);
    let card = |(label, text): &(&str, String)| {
        // What was asked and what was reached belong together in one sentence; so does what the warm-up did.
        let wide = !CARDS.contains(label);
        let (lead, rest) = if wide { ("", text.as_str()) } else { facts::lead(text) };
        Card { label: (*label).to_owned(), lead: lead.to_owned(), rest: rest.to_owned(), wide, ..Card::default() }
    };
    let mut cards: Vec<Card> = facts.iter().map(card).collect();
    cards.sort_by_key(|card| card.wide);
    lead::cards(&cards)
}
