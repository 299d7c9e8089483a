//! `report.html` of a comparison: the conclusion, one chart, and the tables of `report.md`. Made from the [`Comparison`] alone.

mod difference_chart;

use super::page::{self, ReportLink};
use crate::escape;
use crate::figures::listed;
use crate::html::document::{Document, Section};
use crate::html::lead;
use crate::page::{Page, Pen};
use crate::record::{Against, Claim, Comparison};

/// Renders the file. `report` gives the path to the report of a leg, by its label, if there is one.
pub(super) fn page(comparison: &Comparison, report: ReportLink<'_>) -> String {
    let section = |id, title, body| Section { id, title, body };
    let markup = |write: &dyn Fn(&mut Page)| {
        let mut sheet = Page::section(Pen::Html);
        write(&mut sheet);
        sheet.into_text()
    };
    let table = markup(&|sheet| page::figures_table(sheet, comparison));
    let mut headings: Vec<String> = comparison.status.against.iter().map(page::heading).collect();
    headings.dedup();
    Document {
        title: format!("{}: {}", listed(&headings), comparison.metadata.name),
        banner: banner(comparison),
        first: conclusion(comparison),
        sections: vec![
            section("differences", "Differences", difference_chart::section(&comparison.status)),
            section("side-by-side", "Side by side", format!("<div class=\"light\">{table}</div>\n")),
            section("shows", "What these legs can show", markup(&|sheet| page::power(sheet, comparison))),
            section("legs", "Legs", markup(&|sheet| page::legs_table(sheet, comparison, report))),
        ],
        footer: format!(
            "Made by compare-runs {} of stress-suite from the reports of the legs; times are UTC. The same as data is in \
             comparison.json.",
            env!("CARGO_PKG_VERSION")
        ),
    }
    .text()
}

fn banner(comparison: &Comparison) -> String {
    let legs = || comparison.status.settings.iter().flat_map(|setting| &setting.legs);
    let started = || legs().filter_map(|leg| leg.started_at);
    let mut parts = vec![format!("comparison of <b>{}</b>", escape::html(&comparison.metadata.name))];
    if let Some((first, last)) = started().min().zip(started().max()) {
        let until = if first == last { String::new() } else { format!(" to {}", last.minute()) };
        parts.push(format!("{} legs, started {}{until} UTC", legs().count(), first.minute()));
    }
    parts.join(" · ")
}

/// The class and the mark of a claim.
fn style(against: &Against) -> (&'static str, &'static str) {
    match against.claim {
        Some(Claim::Better) => ("good", "✓"),
        Some(Claim::Worse) => ("bad", "✕"),
        // The ring of the chart: an equals sign would claim that there is no difference.
        Some(Claim::NoDifference) => ("flat", "○"),
        None => ("open", "?"),
    }
}

fn conclusion(comparison: &Comparison) -> String {
    let status = &comparison.status;
    let Some((reference, _)) = status.settings.split_first() else { return String::new() };
    let mut sheet = Page::html(Pen::Html, 2);
    let band = if let [only] = &status.against[..] {
        let (class, mark) = style(only);
        sheet.paragraph(&format!("{}.", escape::html(&only.sentence)));
        lead::band(class, mark, &page::heading(only), &format!("{} against {}", only.setting, reference.name))
    } else {
        let others: Vec<String> = status.against.iter().map(|against| against.setting.clone()).collect();
        for against in &status.against {
            let (head, sentence) = (page::heading(against), escape::html(&against.sentence));
            sheet.paragraph(&format!("<strong>{} {head}</strong>: {sentence}.", style(against).1));
        }
        lead::band("flat", "↔", "Compared", &format!("{} against {}", listed(&others), reference.name))
    };
    page::conditions(&mut sheet, comparison);
    format!("{band}{}{}", sheet.into_text(), lead::doubts(&status.doubts))
}
