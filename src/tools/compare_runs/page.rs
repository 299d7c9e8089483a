//! The comparison as Markdown, and its sections as both pages have them. They know the [`Comparison`] alone.

use super::judge::{percent, shown};
use crate::figures::outcome::{Outcome, count};
use crate::page::{Page, Pen, capital, dash};
use crate::record::{Against, Comparison, Conservation, Difference, Row, Setting, Unit, Word};

/// The way to the report of a leg, by its label, where there is one.
pub(super) type Way<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The page.
pub(super) fn page(comparison: &Comparison, report: Way<'_>) -> String {
    let mut page = Page::new(Pen::Markdown);
    let status = &comparison.status;
    page.title(&format!("Comparison: {}", page.pen.safe(&comparison.metadata.name)));
    for against in &status.against {
        let (head, sentence) = (page.pen.strong(&head(against)), page.pen.safe(&against.sentence));
        page.paragraph(&format!("{head}: {sentence}."));
    }
    conditions(&mut page, comparison);
    side_by_side(&mut page, comparison);
    shows(&mut page, comparison);
    legs(&mut page, comparison, report);
    if !status.doubts.is_empty() {
        page.heading("Missing or doubtful");
        for doubt in &status.doubts {
            page.item(&page.pen.safe(doubt));
        }
    }
    page.into_text()
}

/// What came of the gate, and in what the runs were allowed to differ.
pub(super) fn conditions(page: &mut Page, comparison: &Comparison) {
    let (status, pen) = (&comparison.status, page.pen);
    let joined = |parts: &[String]| parts.iter().map(|part| pen.safe(part)).collect::<Vec<_>>().join("; ");
    if let Some((gate, percent)) = status.gate.as_ref().zip(comparison.spec.fail_if_worse_percent) {
        let verdict = pen.strong(&gate.verdict.to_string());
        page.paragraph(&format!("{verdict} (fail if worse by {percent} %): {}.", joined(&gate.causes)));
    }
    if !status.different.is_empty() {
        let what = pen.strong("Compared although these runs are not alike");
        page.paragraph(&format!("{what}: {}.", joined(&status.different)));
    }
}

/// What the headline figures of a setting show together, in a word or two.
pub(super) fn head(against: &Against) -> String {
    match against.word {
        Some(Word::NoDifference) => "Not told apart".to_owned(),
        Some(word) => capital(words(word)),
        None if against.no_claim.is_empty() => "Not decided".to_owned(),
        None => "Described".to_owned(),
    }
}

fn words(word: Word) -> &'static str {
    match word {
        Word::Better => "better",
        Word::Worse => "worse",
        Word::NoDifference => "no difference that these legs can show",
    }
}

pub(super) fn side_by_side(page: &mut Page, comparison: &Comparison) {
    let (status, pen) = (&comparison.status, page.pen);
    let Some((reference, others)) = status.settings.split_first() else { return };
    let mut head: Vec<String> = vec!["Figure".to_owned()];
    head.extend(status.settings.iter().map(|setting| format!("{}>", head_text(pen, &setting.name))));
    for against in &status.against {
        // Of several settings each column says whose it is.
        let whose = if others.len() > 1 { format!("{}: ", head_text(pen, &against.setting)) } else { String::new() };
        head.extend(["difference>", "ratio>"].map(|what| cased(&whose, what)));
        if let Some(confidence) = against.confidence_percent {
            head.push(cased(&whose, &format!("{} % interval", tenths(confidence))));
            head.push(cased(&whose, "legs show"));
        }
    }
    let mut rows = vec![jobs(status.settings.as_slice(), head.len())];
    rows.extend(status.rows.iter().map(|row| cells(pen, row, &status.against)));
    page.heading("Side by side");
    page.table(&head.iter().map(String::as_str).collect::<Vec<_>>(), rows);
    page.paragraph(&format!(
        "Each figure is the mean over the setting's legs; differences and ratios are against {}. In brackets: what polling \
         or scraping alone may have made of the difference.{} Less is better, but for jobs per minute.",
        pen.safe(&reference.name),
        if status.against.iter().any(|against| against.tested > 0) { " The intervals hold whatever it made of each leg." } else { "" }
    ));
    let missing: Vec<&String> = status.rows.iter().flat_map(|row| &row.missing).collect();
    if !missing.is_empty() {
        page.paragraph("A dash is a figure that is not known:\n");
        for why in missing {
            page.item(&pen.safe(why));
        }
    }
}

/// A setting's name at the head of a column. HTML's tables take plain text there, Markdown's take markup.
fn head_text(pen: Pen, name: &str) -> String {
    match pen {
        Pen::Markdown => pen.safe(name),
        Pen::Html | Pen::Sent => name.to_owned(),
    }
}

/// A percentage to a tenth, rounded down: it is claimed to be at least that.
pub(super) fn tenths(percent: f64) -> f64 {
    (percent * 10.0 + 1e-6).floor() / 10.0
}

fn cased(whose: &str, what: &str) -> String {
    if whose.is_empty() { capital(what) } else { format!("{whose}{what}") }
}

fn jobs(settings: &[Setting], columns: usize) -> Vec<String> {
    let mut cells = vec!["jobs succeeded".to_owned()];
    cells.extend(settings.iter().map(|setting| {
        let sum = |of: fn(&Conservation) -> u64| {
            setting.legs.iter().map(|leg| of(&leg.conservation)).fold(0, u64::saturating_add)
        };
        format!("{} of {}", sum(|jobs| jobs.succeeded), sum(|jobs| jobs.asked))
    }));
    cells.resize(columns, dash());
    cells
}

fn cells(pen: Pen, row: &Row, against: &[Against]) -> Vec<String> {
    let name = pen.safe(&row.name);
    let mut cells = vec![if row.headline { pen.strong(&name) } else { name }];
    cells.extend(row.cells.iter().map(|cell| cell.mean.map_or_else(dash, |mean| shown(row.unit, mean))));
    for against in against {
        let found = row.differences.iter().find(|difference| difference.setting == against.setting);
        cells.push(found.map_or_else(dash, |found| difference(row.unit, found)));
        let ratio = found.and_then(|found| found.ratio);
        cells.push(ratio.map_or_else(dash, |ratio| format!("{ratio:.2} ({})", percent(ratio - 1.0))));
        if against.confidence_percent.is_some() {
            let test = found.and_then(|found| found.test);
            let between = |low: f64, high: f64| format!("{} to {}", signed(row.unit, low), signed(row.unit, high));
            cells.push(test.map_or_else(dash, |test| between(test.low, test.high)));
            cells.push(match found.and_then(|found| found.word) {
                Some(word @ (Word::Better | Word::Worse)) => pen.strong(words(word)),
                Some(Word::NoDifference) => "no difference".to_owned(),
                None => dash(),
            });
        }
    }
    cells
}

fn difference(unit: Unit, found: &Difference) -> String {
    let error = found.error.filter(|error| *error > 0.0).map(|error| format!(" (± {})", shown(unit, error)));
    format!("{}{}", signed(unit, found.difference), error.unwrap_or_default())
}

/// A difference with its sign; one that the shown digits do not tell from none has none, and is 0.
pub(super) fn signed(unit: Unit, value: f64) -> String {
    let text = shown(unit, value.abs());
    match value {
        _ if !text.contains(|character: char| ('1'..='9').contains(&character)) => match unit {
            Unit::Seconds => shown(unit, 0.0),
            Unit::JobsPerMinute | Unit::Count => "0".to_owned(),
        },
        value if value > 0.0 => format!("+{text}"),
        value if value < 0.0 => format!("−{text}"),
        _ => text,
    }
}

/// How much the claims are worth.
pub(super) fn shows(page: &mut Page, comparison: &Comparison) {
    let (status, pen) = (&comparison.status, page.pen);
    page.heading("What these legs can show");
    for against in &status.against {
        let name = pen.safe(&against.setting);
        if let Some((by_chance, confidence)) = against.by_chance.zip(against.confidence_percent) {
            page.item(&format!(
                "{name}: {} rows were tested, each by all splits of the legs, with {} % confidence in its \
                 interval. If the setting changed nothing, up to {by_chance:.1} of them would be called better or worse by \
                 chance, on average; \"no difference\" stands for: no difference that these legs can show. The verdict \
                 rests on the rows in bold alone.",
                against.tested,
                tenths(confidence)
            ));
        } else {
            page.item(&format!("{name}: no row was tested; what differs may be chance."));
        }
        for row in status.rows.iter().filter(|row| row.headline) {
            if let Some(found) = row.differences.iter().find(|found| found.setting == against.setting) {
                page.item(&format!(
                    "{name}: to show a difference of 10 % in {}: {}.",
                    pen.safe(&row.name),
                    pen.safe(&found.ten_percent.message)
                ));
            }
        }
    }
}

pub(super) fn legs(page: &mut Page, comparison: &Comparison, report: Way<'_>) {
    let (status, pen) = (&comparison.status, page.pen);
    let headline: Vec<&Row> = status.rows.iter().filter(|row| row.headline).collect();
    let mut head = vec!["Leg", "Started (UTC)", "Verdict", "Jobs"];
    let names: Vec<String> = headline.iter().map(|row| format!("{}>", capital(&row.name))).collect();
    head.extend(names.iter().map(String::as_str));
    head.extend(["Doubts>", "Directory"]);
    let rows = status.settings.iter().enumerate().flat_map(|(index, setting)| {
        let headline = &headline;
        setting.legs.iter().map(move |leg| {
            let shown_name =
                report(&leg.label).map_or_else(|| pen.safe(&leg.label), |path| pen.link(&leg.label, &path));
            let mut cells = vec![
                shown_name,
                leg.started_at.map_or_else(dash, |time| pen.safe(&time.to_string())),
                pen.strong(&leg.verdict.to_string()),
                account(&leg.conservation),
            ];
            cells.extend(headline.iter().map(|row| {
                let value = row.cells.get(index).and_then(|cell| cell.legs.get(&leg.label));
                value.map_or_else(dash, |value| shown(row.unit, *value))
            }));
            cells.extend([leg.doubts.to_string(), pen.safe(&leg.directory)]);
            cells
        })
    });
    page.heading("Legs");
    page.table(&head, rows);
}

/// `10 of 12 succeeded, 2 failed`.
fn account(jobs: &Conservation) -> String {
    let mut parts = vec![format!("{} of {} succeeded", jobs.succeeded, jobs.asked)];
    let others = Outcome::ALL[1..].iter().map(|outcome| (count(jobs, *outcome), outcome)).filter(|(jobs, _)| *jobs > 0);
    parts.extend(others.map(|(jobs, outcome)| format!("{jobs} {outcome}")));
    parts.join(", ")
}
