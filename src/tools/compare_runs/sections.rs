//! The sections of the comparison, which `report.md` and `report.html` share. Made from the [`Comparison`] alone.

use super::judge::{format_value, shows_zero, sign, signed_percent};
use crate::figures::outcome::unsuccessful;
use crate::markup::{Column, Content, Format, Inline, NO_VALUE, capitalize, cell};
use crate::record::{Against, Claim, Comparison, Conservation, Difference, Row, Setting, Unit};

/// Returns the path to the report of a leg, by its label, if there is one.
pub(super) type ReportLink<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The whole comparison, for `report.md` and for stdout.
pub(super) fn content(comparison: &Comparison, report: ReportLink<'_>) -> Content {
    let mut page = Content::new(Format::Markdown);
    let status = &comparison.status;
    page.title(format!("Comparison: {}", comparison.metadata.name));
    for against in &status.against {
        page.paragraph(Inline::strong(heading(against)).then(format!(": {}.", against.sentence)));
    }
    conditions(&mut page, comparison);
    figures_table(&mut page, comparison);
    power(&mut page, comparison);
    legs_table(&mut page, comparison, report);
    if !status.doubts.is_empty() {
        page.heading("Missing or doubtful");
        status.doubts.iter().for_each(|doubt| page.item(doubt.as_str()));
    }
    page
}

/// Writes the verdict of the gate, and the allowed differences between the runs.
pub(super) fn conditions(page: &mut Content, comparison: &Comparison) {
    let status = &comparison.status;
    if let Some((gate, percent)) = status.gate.as_ref().zip(comparison.spec.fail_if_worse_percent) {
        let causes = gate.causes.join("; ");
        let verdict = Inline::strong(gate.verdict.to_string());
        page.paragraph(verdict.then(format!(" (fail if worse by {percent} %): {causes}.")));
    }
    if !status.different.is_empty() {
        let differences = status.different.join("; ");
        page.paragraph(Inline::strong("Compared although these runs differ").then(format!(": {differences}.")));
    }
}

/// The claim about a setting in a word or two.
pub(super) const fn heading(against: &Against) -> &'static str {
    match against.claim {
        Some(Claim::NoDifference) => "No difference shown",
        Some(Claim::Better) => "Better",
        Some(Claim::Worse) => "Worse",
        None if against.no_claim.is_empty() => "Not decided",
        None => "Described",
    }
}

/// Writes the table of all figures.
pub(super) fn figures_table(page: &mut Content, comparison: &Comparison) {
    let status = &comparison.status;
    let Some((reference, others)) = status.settings.split_first() else { return };
    let mut head = vec![Column::text("Figure")];
    head.extend(status.settings.iter().map(|setting| Column::number(&setting.name)));
    for against in &status.against {
        // With several settings each column names its own.
        let title = |title: &str| match others.len() {
            1 => capitalize(title),
            _ => format!("{}: {title}", against.setting),
        };
        head.extend(["difference", "ratio"].map(|name| Column::number(title(name))));
        if let Some(confidence) = against.confidence_percent {
            let interval = format!("{} % interval", floor_to_tenth(confidence));
            head.extend([interval.as_str(), "legs show"].map(|name| Column::text(title(name))));
        }
    }
    let mut rows = vec![job_counts(&status.settings, head.len())];
    rows.extend(status.rows.iter().map(|row| row_cells(row, &status.against)));
    page.heading("Side by side");
    page.table(head, rows);
    let whatever = if status.against.iter().any(|against| against.tested > 0) {
        " The intervals allow for that error in each leg."
    } else {
        ""
    };
    page.paragraph(format!(
        "Each figure is the mean over the setting's legs; differences and ratios are against {}. In brackets: the error of \
         the difference that polling or scraping can cause.{whatever} Lower is better, except for jobs per minute.",
        reference.name
    ));
    let missing: Vec<&String> = status.rows.iter().flat_map(|row| &row.missing).collect();
    if !missing.is_empty() {
        page.paragraph("A dash is a figure that is not known:");
        for reason in missing {
            page.item(reason.as_str());
        }
    }
}

/// Rounds a percentage down to a tenth: it is claimed to be at least that.
pub(super) fn floor_to_tenth(percent: f64) -> f64 {
    (percent * 10.0 + 1e-6).floor() / 10.0
}

fn job_counts(settings: &[Setting], columns: usize) -> Vec<Inline> {
    let mut cells = vec![Inline::from("jobs succeeded")];
    cells.extend(settings.iter().map(|setting| {
        let sum = |count: fn(&Conservation) -> u64| {
            setting.legs.iter().map(|leg| count(&leg.conservation)).fold(0, u64::saturating_add)
        };
        format!("{} of {}", sum(|jobs| jobs.succeeded), sum(|jobs| jobs.asked)).into()
    }));
    cells.resize(columns, NO_VALUE.into());
    cells
}

fn row_cells(row: &Row, against: &[Against]) -> Vec<Inline> {
    let name = row.name.as_str();
    let mut cells = vec![if row.headline { Inline::strong(name) } else { name.into() }];
    cells.extend(row.cells.iter().map(|values| cell(values.mean.map(|mean| format_value(row.unit, mean)))));
    for against in against {
        let found = row.difference(&against.setting);
        cells.push(cell(found.map(|found| format_difference(row.unit, found))));
        let ratio = found.and_then(|found| found.ratio);
        cells.push(cell(ratio.map(|ratio| format!("{ratio:.2} ({})", signed_percent(ratio - 1.0)))));
        if against.confidence_percent.is_some() {
            let interval = found
                .and_then(|found| found.test)
                .map(|test| format!("{} to {}", signed_value(row.unit, test.low), signed_value(row.unit, test.high)));
            cells.push(cell(interval));
            cells.push(match found.and_then(|found| found.claim) {
                Some(Claim::Better) => Inline::strong("better"),
                Some(Claim::Worse) => Inline::strong("worse"),
                Some(Claim::NoDifference) => "no difference".into(),
                None => NO_VALUE.into(),
            });
        }
    }
    cells
}

fn format_difference(unit: Unit, found: &Difference) -> String {
    let error = found.error.filter(|error| *error > 0.0).map(|error| format!(" (± {})", format_value(unit, error)));
    format!("{}{}", signed_value(unit, found.difference), error.unwrap_or_default())
}

/// Formats a difference with its sign; 0 without a sign if all the digits shown are 0.
fn signed_value(unit: Unit, value: f64) -> String {
    let text = format_value(unit, value.abs());
    if shows_zero(&text) { format_value(unit, 0.0) } else { format!("{}{text}", sign(value)) }
}

/// Writes how much the claims are worth, and how many legs it takes to claim more.
pub(super) fn power(page: &mut Content, comparison: &Comparison) {
    let status = &comparison.status;
    page.heading("What these legs can show");
    for against in &status.against {
        let name = &against.setting;
        if let Some((by_chance, confidence)) = against.by_chance.zip(against.confidence_percent) {
            page.item(format!(
                "{name}: {} rows were tested, each by all splits of the legs, with {} % confidence in its \
                 interval. If the setting changed nothing, up to {by_chance:.1} of them would be called better or worse by \
                 chance, on average; \"no difference\" means: no difference that these legs can show. The verdict rests only on the rows in bold.",
                against.tested,
                floor_to_tenth(confidence)
            ));
        } else {
            page.item(format!("{name}: no row was tested, so any difference may be chance."));
        }
        for row in status.headline() {
            if let Some(found) = row.difference(name) {
                let needed = &found.ten_percent.message;
                page.item(format!("{name}: to show a difference of 10 % in {}: {needed}.", row.name));
            }
        }
    }
}

/// Writes the table of the legs.
pub(super) fn legs_table(page: &mut Content, comparison: &Comparison, report: ReportLink<'_>) {
    let status = &comparison.status;
    let mut head: Vec<Column> = ["Leg", "Started (UTC)", "Verdict", "Jobs"].map(Column::text).into();
    head.extend(status.headline().map(|row| Column::number(capitalize(&row.name))));
    head.extend(["Doubts>?", "Directory"].map(Column::from));
    let mut rows = Vec::new();
    for (index, setting) in status.settings.iter().enumerate() {
        for leg in &setting.legs {
            let label = leg.label.as_str();
            let mut cells = vec![
                report(label).map_or_else(|| label.into(), |path| Inline::link(label, path)),
                cell(leg.started_at.map(|time| time.to_string())),
                Inline::strong(leg.verdict.to_string()),
                job_outcomes(&leg.conservation).into(),
            ];
            cells.extend(status.headline().map(|row| {
                let value = row.cells.get(index).and_then(|cell| cell.legs.get(label));
                cell(value.map(|value| format_value(row.unit, *value)))
            }));
            let doubts = Some(leg.doubts).filter(|doubts| *doubts > 0).map(|doubts| doubts.to_string());
            cells.extend([cell(doubts), leg.directory.as_str().into()]);
            rows.push(cells);
        }
    }
    page.heading("Legs");
    page.table(head, rows);
}

/// `10 of 12 succeeded, 2 failed`.
fn job_outcomes(jobs: &Conservation) -> String {
    let others = unsuccessful(jobs).map(|(outcome, jobs)| format!(", {jobs} {outcome}"));
    format!("{} of {} succeeded{}", jobs.succeeded, jobs.asked, others.collect::<String>())
}
