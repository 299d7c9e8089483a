//! `report.html` of a comparison: the same words and figures as `report.md`, with drawings. It knows the [`Comparison`] alone.

mod differences;
mod strips;

use super::judge::{percent, shown};
use super::page::{self, Way, signed, tenths};
use crate::escape;
use crate::figures::listed;
use crate::html::document::{Document, Section};
use crate::html::lead::{self, Card};
use crate::page::{Page, Pen, capital};
use crate::record::{Against, Comparison, Difference, Row, Setting, TenPercent, Word};

/// The file. `report` gives the way to the report of a leg, by its label, where there is one.
pub(super) fn page(comparison: &Comparison, report: Way<'_>) -> String {
    let status = &comparison.status;
    let section = |id, title, body| Section { id, title, body };
    let written = |write: &dyn Fn(&mut Page)| {
        let mut sheet = Page::section(Pen::Html);
        write(&mut sheet);
        sheet.into_text()
    };
    let table = written(&|sheet| page::side_by_side(sheet, comparison));
    let sections = vec![
        section("differences", "Differences", differences::section(comparison)),
        section("legs-drawn", "Leg by leg", strips::section(comparison)),
        section("side-by-side", "Side by side", format!("<div class=\"light\">{table}</div>\n")),
        section("shows", "What these legs can show", written(&|sheet| page::shows(sheet, comparison))),
        section("legs", "Legs", written(&|sheet| page::legs(sheet, comparison, report))),
    ];
    let mut heads: Vec<String> = status.against.iter().map(page::head).collect();
    heads.dedup();
    Document {
        title: format!("{}: {}", listed(&heads), comparison.metadata.name),
        banner: banner(comparison),
        first: first(comparison),
        sections: sections.into_iter().filter(|section| !section.body.is_empty()).collect(),
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
        let between = if first == last { String::new() } else { format!(" to {}", last.minute()) };
        parts.push(format!("{} legs, started {}{between} UTC", legs().count(), first.minute()));
    }
    parts.join(" · ")
}

/// How a claim looks: the class of its band, its mark, and its class as a text.
fn looks(against: &Against) -> (&'static str, &'static str) {
    match against.word {
        Some(Word::Better) => ("good", "✓"),
        Some(Word::Worse) => ("bad", "✕"),
        // The ring of the drawings: an equals sign would claim that there is none.
        Some(Word::NoDifference) => ("flat", "○"),
        None => ("open", "?"),
    }
}

fn first(comparison: &Comparison) -> String {
    let status = &comparison.status;
    let Some((reference, _)) = status.settings.split_first() else { return String::new() };
    let mut text = String::new();
    if let [only] = &status.against[..] {
        let (class, mark) = looks(only);
        text += &lead::band(class, mark, &page::head(only), &format!("{} against {}", only.setting, reference.name));
        text += &format!("<p class=\"cause\">{}.</p>\n", escape::html(&only.sentence));
    } else {
        let others: Vec<String> = status.against.iter().map(|against| against.setting.clone()).collect();
        text += &lead::band("flat", "↔", "Compared", &format!("{} against {}", listed(&others), reference.name));
        for against in &status.against {
            let (_, mark) = looks(against);
            let (head, sentence) = (page::head(against), escape::html(&against.sentence));
            text += &format!("<p class=\"cause\"><strong>{mark} {head}</strong>: {sentence}.</p>\n");
        }
    }
    let mut sheet = Page::html(Pen::Html, 2);
    page::conditions(&mut sheet, comparison);
    text += &sheet.into_text();
    text += &lead::cards(&cards(comparison));
    text + &lead::doubts(&status.doubts)
}

fn cards(comparison: &Comparison) -> Vec<Card> {
    let status = &comparison.status;
    let mut cards: Vec<Card> = Vec::new();
    for (index, against) in status.against.iter().enumerate() {
        let whose = |text: &str| {
            if status.against.len() > 1 { format!("{}: {text}", against.setting) } else { capital(text) }
        };
        for row in status.rows.iter().filter(|row| row.headline) {
            cards.push(headline(row, whose(&row.name), against, index + 1));
        }
    }
    let legs = |setting: &Setting| format!("{} of {}", setting.legs.len(), setting.name);
    let sums = status.settings.iter().flat_map(|setting| &setting.legs).map(|leg| leg.conservation);
    let (succeeded, asked) =
        sums.fold((0, 0), |(succeeded, asked): (u64, u64), jobs| (succeeded + jobs.succeeded, asked + jobs.asked));
    cards.push(Card {
        label: "Legs".to_owned(),
        lead: listed(&status.settings.iter().map(legs).collect::<Vec<_>>()),
        rest: format!("{succeeded} of {asked} jobs succeeded"),
        ..Card::default()
    });
    cards.extend(status.against.iter().filter_map(|against| ten_percent(comparison, against)));
    cards
}

/// How many legs would show a difference of 10 % in the headline figures.
fn ten_percent(comparison: &Comparison, against: &Against) -> Option<Card> {
    let status = &comparison.status;
    let headline = status.rows.iter().filter(|row| row.headline);
    let found: Vec<(&str, &TenPercent)> = headline
        .filter_map(|row| {
            let found = row.differences.iter().find(|found| found.setting == against.setting)?;
            Some((row.name.as_str(), &found.ten_percent))
        })
        .collect();
    let most = found.iter().map(|(_, needed)| needed.legs).collect::<Option<Vec<u64>>>();
    let lead = match most.and_then(|most| most.into_iter().max()) {
        Some(legs) => format!("{legs} legs of each"),
        None => "not known".to_owned(),
    };
    let whose = if status.against.len() > 1 { format!("{}: to", against.setting) } else { "To".to_owned() };
    let rest: Vec<String> = found.iter().map(|(name, needed)| format!("{name}: {}", needed.message)).collect();
    let label = format!("{whose} show a difference of 10 %");
    (!found.is_empty()).then(|| Card { label, lead, rest: rest.join("; "), ..Card::default() })
}

/// A headline figure: how it differs, what was seen, what the legs show of it.
fn headline(row: &Row, label: String, against: &Against, index: usize) -> Card {
    let mean = |index: usize| row.cells.get(index).and_then(|cell| cell.mean);
    let Some(found) = row.differences.iter().find(|found| found.setting == against.setting) else {
        return Card { label, lead: "not known".to_owned(), rest: row.missing.join("; "), ..Card::default() };
    };
    let change = found.ratio.map_or_else(|| signed(row.unit, found.difference), |ratio| percent(ratio - 1.0));
    let mut rest = Vec::new();
    let (class, lead) = match found.word {
        Some(Word::Better) => ("good-ink", format!("✓ {change}")),
        Some(Word::Worse) => ("bad-ink", format!("✕ {change}")),
        // A change that chance may have made is not shown large.
        Some(Word::NoDifference) => {
            rest.push(format!("{change} was seen"));
            ("", "not told apart".to_owned())
        }
        None => ("", change),
    };
    if let Some((theirs, ours)) = mean(index).zip(mean(0)) {
        rest.push(format!("{} instead of {}", shown(row.unit, theirs), shown(row.unit, ours)));
    }
    rest.push(told(found));
    if let Some((test, confidence)) = found.test.zip(against.confidence_percent) {
        let (low, high) = (signed(row.unit, test.low), signed(row.unit, test.high));
        rest.push(format!("{} % interval of the difference {low} to {high}", tenths(confidence)));
    }
    Card { label, class, lead, rest: rest.join("; "), ..Card::default() }
}

/// What the legs show of a figure, in words.
fn told(found: &Difference) -> String {
    match found.word {
        Some(Word::Better) => "better".to_owned(),
        Some(Word::Worse) => "worse".to_owned(),
        Some(Word::NoDifference) => "no difference that these legs can show".to_owned(),
        None => "described, not claimed".to_owned(),
    }
}
