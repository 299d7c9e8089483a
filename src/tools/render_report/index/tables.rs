//! What the pages of an index say in both languages: a row per level, a row per scenario, the comparisons; and `report.md`.

use std::fs;
use std::path::Path;

use super::super::{facts, files};
use super::ramp::{Level, Ramp};
use super::{CAUSE, Seen, WHY, clauses};
use crate::escape::start;
use crate::figures::names::{self, Durations};
use crate::figures::samples::Statistic;
use crate::page::{Page, Pen, dash};
use crate::record::Comparison;
use crate::scenario::{COMPARISON, Scenario};
use crate::units;

/// How many characters of the name of a ramp's level are shown.
const LEVEL: usize = 20;
/// Where a run keeps comparisons.
const COMPARISONS: [&str; 2] = ["ab", "comparison"];

/// The page in Markdown.
pub(super) fn page(seen: &Seen<'_>) -> String {
    let mut page = Page::new(Pen::Markdown);
    let (pen, status) = (page.pen, seen.status);
    let verdict = pen.strong(&status.verdict.to_string());
    let cause = pen.safe(status.cause.trim_end_matches('.'));
    if let Some(ramp) = seen.only_ramp() {
        page.title(&format!("{}: ramp", status.verdict));
        page.paragraph(&format!("{verdict}: {cause}."));
        let point = ramp.breaking_point().map_or_else(|| "not found".to_owned(), |l| format!("level {}", pen.safe(l)));
        page.paragraph(&format!("Breaking point: {point}."));
        levels(&mut page, ramp, seen.place);
        for note in ramp.same_loads() {
            page.paragraph(&format!("- {}", pen.safe(&note)));
        }
    } else {
        page.title(&format!("{}: {}", status.verdict, pen.safe(seen.name)));
        page.paragraph(&format!("{verdict}: {cause}."));
        scenarios(&mut page, seen);
        comparisons(&mut page, seen.place);
    }
    page.paragraph(&format!("The same with drawings: {}.", pen.link(files::HTML, files::HTML)));
    page.into_text()
}

/// A row per level, those that were not run among them.
pub(super) fn levels(page: &mut Page, ramp: &Ramp<'_>, place: &Path) {
    let pen = page.pen;
    let rows = ramp.levels.iter().map(|Level { name, scenario }| {
        let Some(scenario) = scenario else {
            let mut cells = vec![pen.safe(name), "not run".to_owned()];
            cells.resize_with(8, dash);
            return cells;
        };
        let peak = scenario.figure(&names::PEAK_CONCURRENCY);
        let mut cells = vec![
            pen.link(name, &report_of(pen, scenario, place)),
            pen.strong(&scenario.verdict().to_string()),
            scenario.asked().map_or_else(dash, |jobs| jobs.to_string()),
            peak.map_or_else(dash, |peak| format!("{peak:.0}")),
        ];
        cells.extend(figures(scenario));
        cells.push(scenario.not_succeeded().map_or_else(dash, |jobs| jobs.to_string()));
        cells
    });
    page.table(
        &["Level>", "Verdict", "Jobs>", "Peak in flight>", "Jobs/min>", "Median>", "Max>", "Not succeeded>"],
        rows.collect::<Vec<_>>(),
    );
    page.paragraph("Median and max are end to end, of the jobs that succeeded.");
}

/// A row per scenario and per ramp, by their directories.
pub(super) fn scenarios(page: &mut Page, seen: &Seen<'_>) {
    let pen = page.pen;
    let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
    for scenario in seen.others {
        let first = if seen.place.join(&scenario.path).exists() {
            pen.link(&scenario.path, &report_of(pen, scenario, seen.place))
        } else {
            pen.safe(&scenario.path)
        };
        let jobs = scenario.asked().map_or_else(dash, |jobs| jobs.to_string());
        let mut cells = vec![first, pen.strong(&scenario.verdict().to_string()), jobs];
        cells.extend(figures(scenario));
        cells.push(pen.safe(&clauses(&scenario.cause(), WHY)));
        rows.push((&scenario.path, cells));
    }
    for ramp in seen.ramps {
        let label = if ramp.path.is_empty() { "ramp" } else { &ramp.path };
        // Its page is another index, which may not have been made yet; one in this directory is this page.
        let report = file_of(pen, &ramp.path, seen.place).filter(|_| !ramp.path.is_empty());
        let first = report.map_or_else(|| pen.safe(label), |report| pen.link(label, &report));
        let jobs = ramp.levels.iter().filter_map(|level| level.scenario?.asked()).sum::<u64>();
        let mut cells = vec![first, pen.strong(&ramp.verdict().to_string()), jobs.to_string()];
        match ramp.best().and_then(|(level, _)| Some((level, figures(level.scenario?)))) {
            Some((level, [rate, median, max])) => {
                cells.extend([format!("{rate} at level {}", pen.safe(&start(&level.name, LEVEL))), median, max]);
            }
            None => cells.resize_with(6, dash),
        }
        cells.push(pen.safe(&clauses(&ramp.cause(), WHY)));
        rows.push((&ramp.path, cells));
    }
    rows.sort_by_key(|(path, _)| *path);
    page.table(
        &["Scenario", "Verdict", "Jobs>", "Jobs/min>", "Median>", "Max>", "Why"],
        rows.into_iter().map(|(_, cells)| cells),
    );
    let of_ramps = if seen.ramps.is_empty() {
        ""
    } else {
        " The figures of a ramp are those of its level with the highest throughput of those that passed."
    };
    page.paragraph(&format!("Median and max are end to end, of the jobs that succeeded.{of_ramps}"));
}

/// What comparisons of legs in this directory say, with their pages.
pub(super) fn comparisons(page: &mut Page, place: &Path) {
    let pen = page.pen;
    let found: Vec<&str> = COMPARISONS.into_iter().filter(|name| place.join(name).join(COMPARISON).is_file()).collect();
    if found.is_empty() {
        return;
    }
    page.heading("Comparisons");
    for name in found {
        let report = file_of(pen, name, place);
        let first = report.map_or_else(|| pen.safe(name), |report| pen.link(name, &report));
        let told = match sentences(&place.join(name).join(COMPARISON)) {
            Ok(sentences) => sentences.iter().map(|text| pen.safe(&start(text, CAUSE))).collect::<Vec<_>>().join("; "),
            // Why may quote it.
            Err(_) if pen == Pen::Sent => format!("{COMPARISON} cannot be read"),
            Err(why) => pen.safe(&format!("{COMPARISON} cannot be read: {why}")),
        };
        page.item(&format!("{first}: {told}."));
    }
}

/// What each setting of a comparison shows against the reference.
fn sentences(file: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(file).map_err(|error| crate::cli::cause(&error))?;
    let comparison: Comparison = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(comparison.status.against.into_iter().map(|against| against.sentence).collect())
}

/// Jobs per minute, median and max.
fn figures(scenario: &Scenario) -> [String; 3] {
    let seconds =
        |statistic| scenario.figure(&Durations::END_TO_END.statistic(statistic)).map_or_else(dash, units::seconds);
    [
        scenario.figure(&names::JOBS_PER_MINUTE).map_or_else(dash, facts::decimal),
        seconds(Statistic::P50),
        seconds(Statistic::Max),
    ]
}

/// The page of a scenario; its directory where it has none.
fn report_of(pen: Pen, scenario: &Scenario, place: &Path) -> String {
    if scenario.report.is_none() {
        return format!("{}/", scenario.path);
    }
    file_of(pen, &scenario.path, place).unwrap_or_else(|| format!("{}/{}", scenario.path, files::PAGE))
}

/// The page in the directory `path` that the page in this language leads to; none where there is none yet.
fn file_of(pen: Pen, path: &str, place: &Path) -> Option<String> {
    let names: &[&str] = if pen == Pen::Markdown { &[files::PAGE] } else { &[files::HTML, files::PAGE] };
    let name = names.iter().find(|name| place.join(path).join(name).is_file())?;
    Some(format!("{path}/{name}"))
}
