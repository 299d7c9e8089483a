//! The summary at the head of the page: verdict and cause, the ends of the jobs, the figures, the first failures, the doubts.

use maud::{Markup, html};

use crate::figures::outcome::{Outcome, conservation_line, counts};
use crate::html::components::{self, Card};
use crate::html::svg::Svg;
use crate::record::{Conservation, Verdict};
use crate::tools::render_report::headline_figures::{headline_figures, mark, split_headline, unsuccessful_jobs};
use crate::tools::render_report::scene::Scene;
use crate::tools::render_report::sections;

/// The figures whose headline is shown large.
const CARDS: [&str; 4] = ["Throughput", "End to end", "Limiting stage", "Success rate"];
/// The width of the bar, which is stretched to the page.
const BAR: f64 = 1000.0;

/// The class and the mark of a verdict; neither colour nor shape alone says it.
pub(in crate::tools::render_report) fn verdict_look(verdict: Verdict) -> (&'static str, &'static str) {
    let class = match verdict {
        Verdict::Passed => "good",
        Verdict::Failed => "bad",
        Verdict::Incomplete => "open",
    };
    (class, mark(verdict))
}

pub(super) fn summary(scene: &Scene<'_>) -> Markup {
    let evaluation = scene.evaluation;
    let status = &evaluation.report.status;
    let (class, mark) = verdict_look(status.verdict);
    let criteria = scene.content(|content| sections::criteria_list(content, &evaluation.report)).to_html(2);
    let failures = scene.content(|content| sections::failures(content, &evaluation.figures)).to_html(2);
    html! {
        (components::verdict_band(class, mark, &status.verdict.to_string(), &evaluation.title()))
        p class="cause" { (status.cause.trim_end_matches('.')) "." } "\n"
        @if !criteria.0.is_empty() { div class="criteria" { (criteria) } "\n" }
        @if !evaluation.captures.alone {
            (bar(&status.conservation))
            p class="sum" { (with_quiet_zeros(&conservation_line(&status.conservation))) } "\n"
        }
        @if let Some(jobs) = unsuccessful_jobs(&evaluation.figures).filter(|_| failures.0.is_empty()) {
            p { "Not succeeded: " (jobs) "." } "\n"
        }
        (figures(scene))
        @if !failures.0.is_empty() { div class="failures" { (failures) } "\n" }
        (components::doubts(&status.doubts))
    }
}

/// The conservation line with its empty terms in a quiet colour.
fn with_quiet_zeros(line: &str) -> Markup {
    html! {
        @for (index, term) in line.split(" + ").enumerate() {
            @if index > 0 { " + " }
            @if term.starts_with("0 ") { span class="none" { (term) } } @else { (term) }
        }
    }
}

/// A bar with a part for each outcome.
fn bar(sums: &Conservation) -> Markup {
    let mut svg = Svg::new(BAR, 12.0);
    let mut from = 0.0;
    for (outcome, jobs) in counts(sums) {
        // A single job among thousands must still be seen.
        let width = (BAR * jobs as f64 / sums.asked as f64).max(3.0);
        let classes: &[&str] = match outcome {
            Outcome::Succeeded => &["good"],
            outcome if outcome.is_bad() => &["bad", "bad-hatch"],
            _ => &["open"],
        };
        svg.titled(&format!("{jobs} {outcome}"), |svg| {
            for class in classes {
                svg.rect(class, (from, 0.0), ((width - 1.5).max(1.0), 12.0));
            }
        });
        from += width;
    }
    html! {
        svg class="conservation" role="img" aria-labelledby="sum-t sum-d" width="100%" height="12"
            viewBox=(format!("0 0 {:.1} 12", from.max(BAR))) preserveAspectRatio="none" {
            title id="sum-t" { "Where the jobs went" }
            desc id="sum-d" { (conservation_line(sums)) }
            (svg.into_shapes())
        }
        "\n"
    }
}

fn figures(scene: &Scene<'_>) -> Markup {
    let card = |(label, text): &(&str, String)| {
        // The load in asked and reached belongs together in one sentence, and so does the warm-up.
        let wide = !CARDS.contains(label);
        let (headline, detail) = if wide { ("", text.as_str()) } else { split_headline(text) };
        Card { wide, ..Card::new(label, headline.to_owned(), Some(detail.to_owned())) }
    };
    let mut cards: Vec<Card> = headline_figures(scene.evaluation).iter().map(card).collect();
    cards.sort_by_key(|card| card.wide);
    components::cards(&cards)
}
