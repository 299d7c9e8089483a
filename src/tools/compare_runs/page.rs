//! The comparison as Markdown, and the sections that both pages share. Made from the [`Comparison`] alone.

use super::judge::{format_value, signed_percent};
use crate::figures::outcome::{Outcome, count};
use crate::page::{Page, Pen, capital, dash};
use crate::record::{Against, Claim, Comparison, Conservation, Difference, Row, Setting, Unit};

/// Returns the path to the report of a leg, by its label, if there is one.
pub(super) type ReportLink<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Renders `report.md`.
pub(super) fn page(comparison: &Comparison, report: ReportLink<'_>) -> String {
    let mut page = Page::new(Pen::Markdown);
    let status = &comparison.status;
    page.title(&format!("Comparison: {}", page.pen.safe(&comparison.metadata.name)));
    for against in &status.against {
        let (head, sentence) = (page.pen.strong(&heading(against)), page.pen.safe(&against.sentence));
        page.paragraph(&format!("{head}: {sentence}."));
    }
    conditions(&mut page, comparison);
    figures_table(&mut page, comparison);
    power(&mut page, comparison);
    legs_table(&mut page, comparison, report);
    if !status.doubts.is_empty() {
        page.heading("Missing or doubtful");
        for doubt in &status.doubts {
            page.item(&page.pen.safe(doubt));
        }
    }
    page.into_text()
}

/// Writes the verdict of the gate, and the allowed differences between the runs.
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

/// The claim about a setting in a word or two.
pub(super) fn heading(against: &Against) -> String {
    match against.claim {
        Some(Claim::NoDifference) => "Not told apart".to_owned(),
        Some(Claim::Better) => "Better".to_owned(),
        Some(Claim::Worse) => "Worse".to_owned(),
        None if against.no_claim.is_empty() => "Not decided".to_owned(),
        None => "Described".to_owned(),
    }
}

/// Writes the table of all figures.
pub(super) fn figures_table(page: &mut Page, comparison: &Comparison) {
    let (status, pen) = (&comparison.status, page.pen);
    let Some((reference, others)) = status.settings.split_first() else { return };
    let mut head: Vec<String> = vec!["Figure".to_owned()];
    head.extend(status.settings.iter().map(|setting| format!("{}>", head_text(pen, &setting.name))));
    for against in &status.against {
        // With several settings each column names its own.
        let title = |title: &str| match others.len() {
            1 => capital(title),
            _ => format!("{}: {title}", head_text(pen, &against.setting)),
        };
        head.extend([title("difference>"), title("ratio>")]);
        if let Some(confidence) = against.confidence_percent {
            head.extend([title(&format!("{} % interval", floor_to_tenth(confidence))), title("legs show")]);
        }
    }
    let mut rows = vec![job_counts(&status.settings, head.len())];
    rows.extend(status.rows.iter().map(|row| row_cells(pen, row, &status.against)));
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

/// A setting's name at the head of a column: HTML tables take plain text there, Markdown tables take markup.
fn head_text(pen: Pen, name: &str) -> String {
    match pen {
        Pen::Markdown => pen.safe(name),
        Pen::Html | Pen::Sent => name.to_owned(),
    }
}

/// Rounds a percentage down to a tenth: it is claimed to be at least that.
pub(super) fn floor_to_tenth(percent: f64) -> f64 {
    (percent * 10.0 + 1e-6).floor() / 10.0
}

fn job_counts(settings: &[Setting], columns: usize) -> Vec<String> {
    let mut cells = vec!["jobs succeeded".to_owned()];
    cells.extend(settings.iter().map(|setting| {
        let sum = |count: fn(&Conservation) -> u64| {
            setting.legs.iter().map(|leg| count(&leg.conservation)).fold(0, u64::saturating_add)
        };
        format!("{} of {}", sum(|jobs| jobs.succeeded), sum(|jobs| jobs.asked))
    }));
    cells.resize(columns, dash());
    cells
}

fn row_cells(pen: Pen, row: &Row, against: &[Against]) -> Vec<String> {
    let name = pen.safe(&row.name);
    let mut cells = vec![if row.headline { pen.strong(&name) } else { name }];
    cells.extend(row.cells.iter().map(|cell| cell.mean.map_or_else(dash, |mean| format_value(row.unit, mean))));
    for against in against {
        let found = row.difference(&against.setting);
        cells.push(found.map_or_else(dash, |found| difference_cell(row.unit, found)));
        let ratio = found.and_then(|found| found.ratio);
        cells.push(ratio.map_or_else(dash, |ratio| format!("{ratio:.2} ({})", signed_percent(ratio - 1.0))));
        if against.confidence_percent.is_some() {
            let test = found.and_then(|found| found.test);
            let between =
                |low: f64, high: f64| format!("{} to {}", signed_value(row.unit, low), signed_value(row.unit, high));
            cells.push(test.map_or_else(dash, |test| between(test.low, test.high)));
            cells.push(match found.and_then(|found| found.claim) {
                Some(Claim::Better) => pen.strong("better"),
                Some(Claim::Worse) => pen.strong("worse"),
                Some(Claim::NoDifference) => "no difference".to_owned(),
                None => dash(),
            });
        }
    }
    cells
}

fn difference_cell(unit: Unit, found: &Difference) -> String {
    let error = found.error.filter(|error| *error > 0.0).map(|error| format!(" (± {})", format_value(unit, error)));
    format!("{}{}", signed_value(unit, found.difference), error.unwrap_or_default())
}

/// Formats a difference with its sign; 0 without a sign if all the digits shown are 0.
fn signed_value(unit: Unit, value: f64) -> String {
    let text = format_value(unit, value.abs());
    match value {
        _ if !text.contains(|character: char| ('1'..='9').contains(&character)) => match unit {
            Unit::Seconds => format_value(unit, 0.0),
            Unit::JobsPerMinute | Unit::Count => "0".to_owned(),
        },
        value if value > 0.0 => format!("+{text}"),
        value if value < 0.0 => format!("−{text}"),
        _ => text,
    }
}

/// Writes how much the claims are worth, and how many legs it takes to claim more.
pub(super) fn power(page: &mut Page, comparison: &Comparison) {
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
                floor_to_tenth(confidence)
            ));
        } else {
            page.item(&format!("{name}: no row was tested; what differs may be chance."));
        }
        for row in status.headline() {
            if let Some(found) = row.difference(&against.setting) {
                page.item(&format!(
                    "{name}: to show a difference of 10 % in {}: {}.",
                    pen.safe(&row.name),
                    pen.safe(&found.ten_percent.message)
                ));
            }
        }
    }
}

/// Writes the table of the legs.
pub(super) fn legs_table(page: &mut Page, comparison: &Comparison, report: ReportLink<'_>) {
    let (status, pen) = (&comparison.status, page.pen);
    let headline: Vec<&Row> = status.headline().collect();
    let mut head = vec!["Leg", "Started (UTC)", "Verdict", "Jobs"];
    let names: Vec<String> = headline.iter().map(|row| format!("{}>", capital(&row.name))).collect();
    head.extend(names.iter().map(String::as_str));
    head.extend(["Doubts>", "Directory"]);
    let rows = status.settings.iter().enumerate().flat_map(|(index, setting)| {
        let headline = &headline;
        setting.legs.iter().map(move |leg| {
            let link = report(&leg.label).map_or_else(|| pen.safe(&leg.label), |path| pen.link(&leg.label, &path));
            let mut cells = vec![
                link,
                leg.started_at.map_or_else(dash, |time| pen.safe(&time.to_string())),
                pen.strong(&leg.verdict.to_string()),
                job_outcomes(&leg.conservation),
            ];
            cells.extend(headline.iter().map(|row| {
                let value = row.cells.get(index).and_then(|cell| cell.legs.get(&leg.label));
                value.map_or_else(dash, |value| format_value(row.unit, *value))
            }));
            cells.extend([leg.doubts.to_string(), pen.safe(&leg.directory)]);
            cells
        })
    });
    page.heading("Legs");
    page.table(&head, rows);
}

/// `10 of 12 succeeded, 2 failed`.
fn job_outcomes(jobs: &Conservation) -> String {
    let mut parts = vec![format!("{} of {} succeeded", jobs.succeeded, jobs.asked)];
    let others = Outcome::ALL[1..].iter().map(|outcome| (count(jobs, *outcome), outcome)).filter(|(jobs, _)| *jobs > 0);
    parts.extend(others.map(|(jobs, outcome)| format!("{jobs} {outcome}")));
    parts.join(", ")
}
