//! `report.html` of a comparison: the conclusion, one chart, and the tables of `report.md`. Made from the [`Comparison`] alone.

use maud::{Markup, html};

use super::difference_chart;
use super::sections::{self, ReportLink};
use crate::figures::listed;
use crate::html::components::{doubts, verdict_band};
use crate::html::shell::{Document, Section};
use crate::markup::{Content, Format, Inline};
use crate::record::{Against, Claim, Comparison};

/// Renders the file. `report` gives the path to the report of a leg, by its label, if there is one.
pub(super) fn page(comparison: &Comparison, report: ReportLink<'_>) -> String {
    let section = |id, title, write: &dyn Fn(&mut Content)| {
        let mut content = Content::new(Format::Html);
        write(&mut content);
        Section { id, title, body: content.to_section() }
    };
    let chart = difference_chart::section(&comparison.status);
    let mut table = section("side-by-side", "Side by side", &|content| sections::figures_table(content, comparison));
    table.body = html! { div class="light" { (table.body) } };
    let mut headings: Vec<String> =
        comparison.status.against.iter().map(|against| sections::heading(against).to_owned()).collect();
    headings.dedup();
    Document {
        title: format!("{}: {}", listed(&headings), comparison.metadata.name),
        banner: banner(comparison),
        summary: conclusion(comparison),
        sections: vec![
            Section { id: "differences", title: "Differences", body: chart },
            table,
            section("shows", "What these legs can show", &|content| sections::power(content, comparison)),
            section("legs", "Legs", &|content| sections::legs_table(content, comparison, report)),
        ],
        footer: html! {
            "Made by compare-runs " (env!("CARGO_PKG_VERSION")) " of stress-suite from the reports of the legs; times are \
             UTC. The data is in comparison.json."
        },
    }
    .render()
}

fn banner(comparison: &Comparison) -> Markup {
    let legs = || comparison.status.settings.iter().flat_map(|setting| &setting.legs);
    let started = || legs().filter_map(|leg| leg.started_at);
    html! {
        "comparison of " b { (comparison.metadata.name) }
        @if let Some((first, last)) = started().min().zip(started().max()) {
            " · " (legs().count()) " legs, started " (first.minute())
            @if first != last { " to " (last.minute()) }
            " UTC"
        }
    }
}

/// The class and the mark of a claim.
const fn style(against: &Against) -> (&'static str, &'static str) {
    match against.claim {
        Some(Claim::Better) => ("good", "✓"),
        Some(Claim::Worse) => ("bad", "✕"),
        // The ring of the chart: an equals sign would claim that there is no difference.
        Some(Claim::NoDifference) => ("flat", "○"),
        None => ("open", "?"),
    }
}

fn conclusion(comparison: &Comparison) -> Markup {
    let status = &comparison.status;
    let reference = status.settings.first().map(|setting| setting.name.as_str()).unwrap_or_default();
    let mut content = Content::new(Format::Html);
    let band = if let [only] = &status.against[..] {
        let (class, mark) = style(only);
        content.paragraph(format!("{}.", only.sentence));
        verdict_band(class, mark, sections::heading(only), &format!("{} against {reference}", only.setting))
    } else {
        let others: Vec<String> = status.against.iter().map(|against| against.setting.clone()).collect();
        for against in &status.against {
            let claim = Inline::strong(format!("{} {}", style(against).1, sections::heading(against)));
            content.paragraph(claim.then(format!(": {}.", against.sentence)));
        }
        verdict_band("flat", "↔", "Compared", &format!("{} against {reference}", listed(&others)))
    };
    sections::conditions(&mut content, comparison);
    html! { (band) (content.to_html(2)) (doubts(&status.doubts)) }
}
