//! A ramp drawn level by level, or scenarios side by side: throughput, end to end, and jobs that did not succeed.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::limits_of;
use super::ramp::{Level, Ramp};
use crate::escape::start;
use crate::figures::distribution::{Measured, Statistic};
use crate::figures::names::{self, Durations};
use crate::figures::outcome::counts;
use crate::html::components::{self, note};
use crate::html::scale::{Scale, count_label, ticks, time_label, time_ticks};
use crate::html::svg::{Anchor, PathData, Svg};
use crate::record::Verdict;
use crate::scenario::Scenario;
use crate::statistics::Bounds;
use crate::units::decimal;

/// The number of levels that are drawn.
const LEVELS: usize = 40;
/// The longest name of a level, in characters, that is shown.
const NAME: usize = 11;
const LEFT: f64 = 52.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 200.0;
const HEIGHT: f64 = 244.0;
/// The least width of the chart, and the width of a level.
const WIDTH: f64 = 360.0;
const BAND: f64 = 84.0;
const BAR: f64 = 40.0;

/// The kind of thing that has a band in a chart: its name in a sentence, and the beginning of the ids of the charts.
#[derive(Clone, Copy)]
struct Bands {
    one: &'static str,
    id: &'static str,
}

/// The charts of a ramp side by side, with a note.
pub(super) fn by_level(ramp: &Ramp<'_>) -> Markup {
    section(&ramp.levels, Bands { one: "level", id: "" })
}

/// The charts of scenarios side by side, with a note.
pub(super) fn by_scenario(scenarios: &[&Scenario]) -> Markup {
    let levels: Vec<Level<'_>> = band_names(scenarios)
        .into_iter()
        .zip(scenarios)
        .map(|(name, scenario)| Level { name, scenario: Some(scenario) })
        .collect();
    section(&levels, Bands { one: "scenario", id: "scenario-" })
}

/// The names of scenarios: their own, or those of their runs where several runs have a scenario of one name.
fn band_names(scenarios: &[&Scenario]) -> Vec<String> {
    let parts = |scenario: &&Scenario| {
        let (run, name) = scenario.path.rsplit_once('/').unwrap_or(("", &scenario.path));
        (run.rsplit('/').next().unwrap_or_default().to_owned(), name.to_owned())
    };
    let (runs, own): (Vec<String>, Vec<String>) = scenarios.iter().map(parts).unzip();
    let is_distinct = own.iter().collect::<BTreeSet<_>>().len() == own.len();
    if is_distinct { own } else { runs.iter().map(|run| moment(run)).collect() }
}

/// `05-20 22:30` for `2026-05-20T22-30-00Z`, the directory of a run; other names as they are.
fn moment(run: &str) -> String {
    let time = run.split('Z').next().map(|time| format!("{time}Z").replacen('T', " ", 1));
    let parsed = chrono::NaiveDateTime::parse_from_str(time.as_deref().unwrap_or_default(), "%Y-%m-%d %H-%M-%SZ");
    parsed.map_or_else(|_| run.to_owned(), |time| time.format("%m-%d %H:%M").to_string())
}

fn section(all: &[Level<'_>], bands: Bands) -> Markup {
    let levels = &all[..all.len().min(LEVELS)];
    let all_succeeded = levels.iter().all(|level| level.scenario.is_some_and(|of| of.not_succeeded() == Some(0)));
    let mut panels = vec![
        ("Throughput".to_owned(), throughput(levels, bands)),
        ("End to end".to_owned(), end_to_end(levels, bands)),
    ];
    if !all_succeeded {
        panels.push(("Jobs that did not succeed".to_owned(), failures(levels, bands)));
    }
    let panels = components::panels(panels);
    let mut notes =
        vec!["Vertical lines span the error of polling. End to end covers the jobs that succeeded.".to_owned()];
    if levels.iter().any(|level| level.verdict() == Some(Verdict::Failed)) {
        notes.push(format!("A red frame marks a {} that Failed.", bands.one));
    }
    if levels.iter().any(|level| frame(level) == Some("unknown")) {
        notes.push(format!("A dashed frame marks a {} that is Incomplete or was not run.", bands.one));
    }
    if all.len() > LEVELS {
        notes.push(format!("{LEVELS} of {} are drawn; the table has them all.", all.len()));
    }
    html! { (panels) (note(&notes.join(" "))) }
}

/// A chart in the making: one band for each level.
struct Chart {
    svg: Svg,
    band: f64,
    y: Scale,
}

impl Chart {
    /// Grid, frames and names; values from 0 to `most` with these ticks.
    fn new(levels: &[Level<'_>], bands: Bands, most: f64, ticks: &[f64], label: fn(f64) -> String) -> Self {
        let width = WIDTH.max(LEFT + BAND * levels.len() as f64);
        let band = (width - LEFT) / levels.len().max(1) as f64;
        let mut chart = Self { svg: Svg::new(width, HEIGHT), band, y: Scale::new((0.0, most), (BOTTOM, TOP)) };
        chart.svg.grid(&chart.y, ticks, (LEFT, width), label);
        chart.svg.line("base", (LEFT, BOTTOM), (width, BOTTOM));
        if bands.id.is_empty() {
            chart.svg.text("tick", (0.0, BOTTOM + 17.0), Anchor::Start, bands.one);
        }
        for (index, level) in levels.iter().enumerate() {
            let (x, middle) = (LEFT + band * index as f64, chart.middle(index));
            let (class, word) = word(level);
            if let Some(frame) = frame(level) {
                chart.svg.rect(frame, (x + 3.0, 3.0), (band - 6.0, HEIGHT - 6.0));
            }
            chart.svg.text("strong", (middle, BOTTOM + 17.0), Anchor::Middle, &start(&level.name, NAME));
            chart.svg.text(class, (middle, BOTTOM + 33.0), Anchor::Middle, &word);
        }
        chart
    }

    fn middle(&self, index: usize) -> f64 {
        LEFT + self.band * (index as f64 + 0.5)
    }

    /// Marks a missing value; a level that was not run is marked below its band already.
    fn no_value(&mut self, index: usize, level: &Level<'_>) {
        if level.scenario.is_some() {
            self.svg.text("quiet", (self.middle(index), BOTTOM - 8.0), Anchor::Middle, "not known");
        }
    }

    /// The error of a value as a whisker.
    fn error(&mut self, at: f64, low: f64, high: f64) {
        let (from, to) = (self.y.at(low), self.y.at(high));
        if from - to > 1.0 {
            self.svg.line("whisker", (at, from), (at, to));
            for end in [from, to] {
                self.svg.line("whisker", (at - 4.0, end), (at + 4.0, end));
            }
        }
    }
}

/// The class and the words of a level's verdict.
fn word(level: &Level<'_>) -> (&'static str, String) {
    match level.verdict() {
        Some(Verdict::Passed) => ("good-text", "✓ Passed".to_owned()),
        Some(Verdict::Failed) => ("bad-text", "✕ Failed".to_owned()),
        Some(Verdict::Incomplete) => ("open-text", "? Incomplete".to_owned()),
        None => ("quiet", "not run".to_owned()),
    }
}

fn frame(level: &Level<'_>) -> Option<&'static str> {
    match level.verdict() {
        Some(Verdict::Passed) => None,
        Some(Verdict::Failed) => Some("bad-edge"),
        Some(Verdict::Incomplete) | None => Some("unknown"),
    }
}

/// `level 8: 157 jobs/min (± 2), Passed`, for each level.
fn finding(levels: &[Level<'_>], one: &str, of: impl Fn(&Scenario) -> Option<String>) -> String {
    let parts = levels.iter().map(|level| {
        let (name, verdict) = (start(&level.name, NAME), level.verdict());
        match level.scenario.zip(verdict) {
            None => format!("{one} {name}: not run"),
            Some((scenario, verdict)) => {
                format!("{one} {name}: {}, {verdict}", of(scenario).unwrap_or_else(|| "not known".to_owned()))
            }
        }
    });
    format!("{}.", parts.collect::<Vec<_>>().join("; "))
}

fn rate(scenario: &Scenario) -> Option<f64> {
    scenario.figure(&names::JOBS_PER_MINUTE)
}

fn highest(levels: &[Level<'_>], of: impl Fn(&Scenario) -> Option<f64>) -> f64 {
    levels.iter().filter_map(|level| of(level.scenario?)).fold(0.0, f64::max)
}

fn throughput(levels: &[Level<'_>], bands: Bands) -> Markup {
    let most = highest(levels, |scenario| {
        Some(scenario.jobs_per_minute_bounds().map_or(rate(scenario)?, |bounds| bounds.high))
    });
    let mut chart = Chart::new(levels, bands, most, &ticks(0.0, most, 4), count_label);
    for (index, level) in levels.iter().enumerate() {
        let Some((scenario, rate)) = level.scenario.and_then(|scenario| Some((scenario, rate(scenario)?))) else {
            chart.no_value(index, level);
            continue;
        };
        let (middle, y) = (chart.middle(index), chart.y.at(rate));
        // The jobs that the bar counts succeeded, whatever became of the level; its label has the verdict.
        let title = format!("{} {}: {}", bands.one, start(&level.name, NAME), rate_sentence(scenario, rate));
        chart.svg.titled(&title, |svg| {
            svg.rect("dot-0", (middle - BAR / 2.0, y), (BAR, BOTTOM - y));
        });
        let mut top = y;
        if let Some(Bounds { low, high }) = scenario.jobs_per_minute_bounds() {
            chart.error(middle, low, high);
            top = chart.y.at(high).min(y);
        }
        chart.svg.text("", (middle, top - 5.0), Anchor::Middle, &decimal(rate));
    }
    let finding = finding(levels, bands.one, |scenario| Some(rate_sentence(scenario, rate(scenario)?)));
    let chart = chart.svg.into_figure(
        &format!("{}throughput-chart", bands.id),
        &format!("Jobs per minute by {}", bands.one),
        &finding,
    );
    html! { (note("Jobs that succeeded per minute")) (chart) }
}

fn rate_sentence(scenario: &Scenario, rate: f64) -> String {
    let bounds = scenario.jobs_per_minute_bounds().filter(|Bounds { low, high }| high > low);
    let between = bounds
        .map(|Bounds { low, high }| format!(" (between {} and {})", decimal(low), decimal(high)))
        .unwrap_or_default();
    format!("{} jobs/min{between}", decimal(rate))
}

/// A statistic of end to end with its bounds.
fn measured(scenario: &Scenario, statistic: Statistic) -> Option<Measured> {
    let seconds = scenario.figure(&Durations::END_TO_END.statistic(statistic))?;
    let [low, high] = [Durations::END_TO_END.low(statistic), Durations::END_TO_END.high(statistic)]
        .map(|name| scenario.figure(&name).unwrap_or(seconds));
    Some(Measured::within(seconds, low, high))
}

fn end_to_end(levels: &[Level<'_>], bands: Bands) -> Markup {
    let most = highest(levels, |scenario| measured(scenario, Statistic::Max).map(|max| max.high));
    let mut chart = Chart::new(levels, bands, most, &time_ticks(0.0, most, 4), time_label);
    for (index, level) in levels.iter().enumerate() {
        let found = level.scenario.and_then(|of| Some((measured(of, Statistic::P50)?, measured(of, Statistic::Max)?)));
        let Some((median, max)) = found else {
            chart.no_value(index, level);
            continue;
        };
        let middle = chart.middle(index);
        let (low, high) = (chart.y.at(median.seconds), chart.y.at(max.seconds));
        // Between the two lie half of the jobs.
        chart.svg.line("span", (middle, low), (middle, high));
        for of in [median, max] {
            chart.error(middle, of.low, of.high);
        }
        let limits = level.scenario.map(limits_of).unwrap_or_default();
        let title = format!(
            "{} {}: median {}, max {}",
            bands.one,
            start(&level.name, NAME),
            limits.end_to_end(Statistic::P50, median),
            limits.end_to_end(Statistic::Max, max)
        );
        chart.svg.titled(&title, |svg| {
            svg.circle("dot-0", (middle, low), 5.0);
            svg.shape("hollow", &PathData::diamond((middle, high), 5.0));
        });
        chart.svg.text(
            "",
            (middle, high - 9.0),
            Anchor::Middle,
            &limits.end_to_end_seconds(Statistic::Max, max.seconds),
        );
        // The median stands below its point, or beside it where the axis is too close.
        let (at, anchor) = if low + 18.0 < BOTTOM {
            ((middle, low + 18.0), Anchor::Middle)
        } else {
            ((middle + 9.0, low), Anchor::Start)
        };
        chart.svg.text("strong", at, anchor, &limits.end_to_end_seconds(Statistic::P50, median.seconds));
    }
    let finding = finding(levels, bands.one, |scenario| {
        let limits = limits_of(scenario);
        Some(format!(
            "median {}, max {}",
            limits.end_to_end(Statistic::P50, measured(scenario, Statistic::P50)?),
            limits.end_to_end(Statistic::Max, measured(scenario, Statistic::Max)?)
        ))
    });
    let chart = chart.svg.into_figure(
        &format!("{}end-to-end-chart", bands.id),
        &format!("End to end by {}", bands.one),
        &finding,
    );
    html! { (note("● median, ◇ max")) (chart) }
}

fn failures(levels: &[Level<'_>], bands: Bands) -> Markup {
    let mut chart = Chart::new(levels, bands, 1.0, &ticks(0.0, 1.0, 4), |part| format!("{:.0} %", part * 100.0));
    for (index, level) in levels.iter().enumerate() {
        let Some(sums) = level.scenario.and_then(|of| of.report.as_ref()).map(|report| report.status.conservation)
        else {
            chart.no_value(index, level);
            continue;
        };
        let bad: u64 = counts(&sums).filter(|(outcome, _)| outcome.is_bad()).map(|(_, jobs)| jobs).sum();
        let not = sums.asked.saturating_sub(sums.succeeded);
        let middle = chart.middle(index);
        let share = |jobs: u64| if sums.asked == 0 { 0.0 } else { jobs as f64 / sums.asked as f64 };
        let (known, all) = (chart.y.at(share(bad.min(not))), chart.y.at(share(not)));
        let name = start(&level.name, NAME);
        chart.svg.titled(&format!("{} {name}: {not} of {} jobs did not succeed", bands.one, sums.asked), |svg| {
            if bad > 0 {
                for class in ["bad", "bad-hatch"] {
                    svg.rect(class, (middle - BAR / 2.0, known), (BAR, BOTTOM - known));
                }
            }
            if not > bad {
                svg.rect("open", (middle - BAR / 2.0, all), (BAR, known - all));
            }
        });
        chart.svg.text("", (middle, all - 5.0), Anchor::Middle, &format!("{not} of {}", sums.asked));
    }
    let finding = finding(levels, bands.one, |scenario| {
        Some(format!("{} of {} jobs", scenario.not_succeeded()?, scenario.asked()?))
    });
    let chart = chart.svg.into_figure(
        &format!("{}failures-chart", bands.id),
        &format!("Jobs that did not succeed by {}", bands.one),
        &finding,
    );
    html! { (note("Hatched: failed; plain: not known to have ended well")) (chart) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_of_one_name_are_told_apart_by_their_runs() {
        let named = |paths: &[&str]| {
            let scenarios: Vec<Scenario> = paths.iter().map(|path| Scenario::not_run(path)).collect();
            band_names(&scenarios.iter().collect::<Vec<_>>())
        };
        assert_eq!(named(&["soak", "ramp/lvl-04"]), ["soak", "lvl-04"]);
        assert_eq!(
            named(&["2026-05-20T22-30-00Z/soak", "2026-05-21T08-05-00Z/soak", "mine/soak"]),
            ["05-20 22:30", "05-21 08:05", "mine"]
        );
    }
}
