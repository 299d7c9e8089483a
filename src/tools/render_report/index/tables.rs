//! The sections of an index, for `report.md` and `report.html`: a row per level, a row per scenario, the comparisons; and the whole
//! of `report.md`.

use std::fs;
use std::path::Path;

use super::super::criteria::Times;
use super::super::{run_dir, sections};
use super::ramp::{Level, Ramp};
use super::{CAUSE, Contents, WHY, clauses, limits_of};
use crate::escape::start;
use crate::figures::distribution::Statistic;
use crate::figures::names::{self, Durations};
use crate::markup::{Content, Format, Inline, NO_VALUE, capitalize, cell};
use crate::record::{Comparison, Criterion};
use crate::scenario::{COMPARISON, Scenario};

/// The longest name of a level, in characters, that is shown.
const LEVEL: usize = 20;
/// The note on the times in a table.
const END_TO_END: &str = "Times are end to end, of the jobs that succeeded.";
/// The directories in which a run keeps comparisons.
const COMPARISONS: [&str; 2] = ["ab", "comparison"];

/// The page in Markdown.
pub(super) fn page(contents: &Contents<'_>) -> String {
    let mut page = Content::new(Format::Markdown);
    let status = &contents.status;
    let ramp = contents.only_ramp();
    let name = if ramp.is_some() { "ramp" } else { contents.name };
    let (cause, result) = (status.cause.trim_end_matches('.'), contents.result());
    let word = result.as_ref().map_or_else(|| status.verdict.to_string(), |result| capitalize(result));
    let rest =
        result.and_then(|result| cause.strip_prefix(&result)).map_or_else(|| format!(": {cause}"), str::to_owned);
    page.title(format!("{word}: {name}"));
    page.paragraph(Inline::strong(word).then(format!("{rest}.")));
    criteria(&mut page, contents);
    if let Some(ramp) = ramp {
        let point = ramp.breaking_point().map_or_else(|| "not found".to_owned(), |level| format!("level {level}"));
        page.paragraph(format!("Breaking point: {point}."));
        levels(&mut page, ramp, contents.directory);
        for note in ramp.unreached_levels() {
            page.item(note);
        }
    } else {
        scenarios(&mut page, contents);
        comparisons(&mut page, contents.directory);
    }
    page.paragraph(Inline::from("With charts: ").then(Inline::link(run_dir::HTML, run_dir::HTML)).then("."));
    page.to_markdown()
}

/// The criteria on ramps in a line each.
pub(super) fn criteria(page: &mut Content, contents: &Contents<'_>) {
    for Criterion { verdict, name, actual, .. } in &contents.status.criteria {
        sections::criterion(page, *verdict, name, actual);
    }
}

fn count(jobs: Option<u64>) -> Inline {
    cell(jobs.map(|jobs| jobs.to_string()))
}

/// A row per level, those that were not run among them.
pub(super) fn levels(page: &mut Content, ramp: &Ramp<'_>, directory: &Path) {
    let format = page.format();
    let rows = ramp.levels.iter().map(|level| {
        let Level { name, scenario } = level;
        let Some(scenario) = scenario else {
            let mut cells = vec![name.as_str().into(), "not run".into()];
            cells.resize_with(11, || NO_VALUE.into());
            return cells;
        };
        let mut cells = vec![
            Inline::link(name.as_str(), report_of(format, scenario, directory)),
            Inline::strong(scenario.verdict().to_string()),
            count(scenario.asked()),
            cell(level.peak_text()),
        ];
        cells.extend(figures(scenario).map(cell));
        cells.push(count(scenario.not_succeeded()));
        cells
    });
    page.table(
        [
            "Level>",
            "Verdict",
            "Jobs>",
            "Peak in flight>",
            "Jobs/min>",
            "Median>",
            "p90>?",
            "p95>?",
            "p99>?",
            "Max>",
            "Not succeeded>",
        ],
        rows,
    );
    page.paragraph(END_TO_END);
}

/// A row per scenario and per ramp, by their directories.
pub(super) fn scenarios(page: &mut Content, contents: &Contents<'_>) {
    let (format, directory) = (page.format(), contents.directory);
    let mut rows: Vec<(&str, Vec<Inline>)> = Vec::new();
    for scenario in &contents.others {
        let name = if directory.join(&scenario.path).exists() {
            Inline::link(scenario.path.as_str(), report_of(format, scenario, directory))
        } else {
            scenario.path.as_str().into()
        };
        let mut cells = vec![name, Inline::strong(scenario.verdict().to_string()), count(scenario.asked())];
        cells.extend(figures(scenario).map(cell));
        cells.push(clauses(&scenario.cause(), WHY).into());
        rows.push((&scenario.path, cells));
    }
    rows.extend(contents.ramps.iter().map(|ramp| (ramp.path.as_str(), ramp_row(ramp, format, directory))));
    rows.sort_by_key(|(path, _)| *path);
    page.table(
        ["Scenario", "Verdict", "Jobs>", "Jobs/min>", "Median>", "p90>?", "p95>?", "p99>?", "Max>", "Why"],
        rows.into_iter().map(|(_, cells)| cells),
    );
    let of_ramps = if contents.ramps.is_empty() {
        ""
    } else {
        " A ramp's figures are those of its passing level with the highest throughput."
    };
    page.paragraph(format!("{END_TO_END}{of_ramps}"));
}

fn ramp_row(ramp: &Ramp<'_>, format: Format, directory: &Path) -> Vec<Inline> {
    let label = ramp.name();
    // Its page is another index, which may not have been made yet; one in this directory is this page.
    let report = file_of(format, &ramp.path, directory).filter(|_| !ramp.path.is_empty());
    let name = report.map_or_else(|| label.into(), |report| Inline::link(label, report));
    let jobs = ramp.levels.iter().filter_map(|level| level.scenario?.asked()).sum::<u64>();
    // One that found its breaking point is no plain pass.
    let broke = ramp.result().and(ramp.breaking_point()).map(|level| format!("Breaks at {}", start(level, LEVEL)));
    let verdict = broke.unwrap_or_else(|| ramp.verdict().to_string());
    let mut cells = vec![name, Inline::strong(verdict), jobs.to_string().into()];
    match ramp.best().and_then(|(level, _)| Some((level, figures(level.scenario?)))) {
        Some((level, [rate, times @ ..])) => {
            let level = start(&level.with_load(), 2 * LEVEL);
            cells.push(cell(rate.map(|rate| format!("{rate} at level {level}"))));
            cells.extend(times.map(cell));
        }
        None => cells.resize_with(9, || NO_VALUE.into()),
    }
    cells.push(clauses(&ramp.cause(), WHY).into());
    cells
}

/// The comparisons in this directory, with their pages.
pub(super) fn comparisons(page: &mut Content, directory: &Path) {
    let format = page.format();
    let found: Vec<&str> =
        COMPARISONS.into_iter().filter(|name| directory.join(name).join(COMPARISON).is_file()).collect();
    if found.is_empty() {
        return;
    }
    page.heading("Comparisons");
    for name in found {
        let report = file_of(format, name, directory);
        let link = report.map_or_else(|| name.into(), |report| Inline::link(name, report));
        let result = match sentences(&directory.join(name).join(COMPARISON)) {
            Ok(sentences) => sentences.iter().map(|text| start(text, CAUSE)).collect::<Vec<_>>().join("; "),
            // The reason may quote the file.
            Err(_) if format == Format::RedactedHtml => format!("{COMPARISON} cannot be read"),
            Err(why) => format!("{COMPARISON} cannot be read: {why}"),
        };
        page.item(link.then(format!(": {result}.")));
    }
}

/// The sentence of a comparison on each setting against the reference.
fn sentences(file: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(file).map_err(|error| crate::cli::cause(&error))?;
    let comparison: Comparison = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(comparison.status.against.into_iter().map(|against| against.sentence).collect())
}

/// Jobs per minute, and the median, the percentiles and the maximum of end to end, as far as they are known.
pub(super) fn figures(scenario: &Scenario) -> [Option<String>; 6] {
    let limits = limits_of(scenario);
    let time = |statistic| {
        let seconds = scenario.figure(&Durations::END_TO_END.statistic(statistic));
        seconds.map(|seconds| limits.seconds(Times::EndToEnd, statistic, seconds))
    };
    let [p50, p90, p95, p99, max] =
        [Statistic::P50, Statistic::P90, Statistic::P95, Statistic::P99, Statistic::Max].map(time);
    let rate = scenario.figure(&names::JOBS_PER_MINUTE).map(|rate| limits.jobs_per_minute(rate));
    [rate, p50, p90, p95, p99, max]
}

/// The page of a scenario, or its directory where it has none.
fn report_of(format: Format, scenario: &Scenario, directory: &Path) -> String {
    if scenario.report.is_none() {
        return format!("{}/", scenario.path);
    }
    file_of(format, &scenario.path, directory).unwrap_or_else(|| format!("{}/{}", scenario.path, run_dir::PAGE))
}

/// The page in the directory `path` that a page in this format links to, if there is one.
fn file_of(format: Format, path: &str, directory: &Path) -> Option<String> {
    let names: &[&str] = if format == Format::Markdown { &[run_dir::PAGE] } else { &[run_dir::HTML, run_dir::PAGE] };
    let name = names.iter().find(|name| directory.join(path).join(name).is_file())?;
    Some(format!("{path}/{name}"))
}
