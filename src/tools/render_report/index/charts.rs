//! A ramp drawn level by level, or scenarios side by side: throughput, end to end, and jobs that did not succeed.

use std::collections::BTreeSet;

use itertools::Itertools;
use maud::{Markup, html};

use super::super::criteria::Times;
use super::super::html::verdict_look;
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

/// The kinds of things that have a band in a chart, by their names in a sentence.
const LEVEL: &str = "level";
const SCENARIO: &str = "scenario";

/// The charts of a ramp side by side, with a note.
pub(super) fn by_level(ramp: &Ramp<'_>) -> Markup {
    section(&ramp.levels, LEVEL)
}

/// The charts of scenarios side by side, with a note.
pub(super) fn by_scenario(scenarios: &[&Scenario]) -> Markup {
    let levels: Vec<Level<'_>> = band_names(scenarios)
        .into_iter()
        .zip(scenarios)
        .map(|(name, scenario)| Level { name, scenario: Some(scenario) })
        .collect();
    section(&levels, SCENARIO)
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

fn section(all: &[Level<'_>], kind: &'static str) -> Markup {
    let levels = &all[..all.len().min(LEVELS)];
    let all_succeeded = levels.iter().all(|level| level.scenario.is_some_and(|of| of.not_succeeded() == Some(0)));
    let mut panels =
        vec![("Throughput".to_owned(), throughput(levels, kind)), ("End to end".to_owned(), end_to_end(levels, kind))];
    if !all_succeeded {
        panels.push(("Jobs that did not succeed".to_owned(), failures(levels, kind)));
    }
    let panels = components::panels(panels);
    let mut notes =
        vec!["Vertical lines span the error of polling. End to end covers the jobs that succeeded.".to_owned()];
    if levels.iter().any(|level| level.verdict() == Some(Verdict::Failed)) {
        notes.push(format!("A red frame marks a {kind} that Failed."));
    }
    if levels.iter().any(|level| frame(level) == Some("unknown")) {
        notes.push(format!("A dashed frame marks a {kind} that is Incomplete or was not run."));
    }
    if all.len() > LEVELS {
        notes.push(format!("{LEVELS} of {} are drawn; the table has them all.", all.len()));
    }
    html! { (panels) (note(&notes.join(" "))) }
}

/// A chart in the making: one band for each level.
struct Chart<'a> {
    svg: Svg,
    levels: &'a [Level<'a>],
    kind: &'static str,
    band: f64,
    y: Scale,
    /// The value of a level in words; none if it is not known.
    text: fn(&Scenario) -> Option<String>,
}

/// A level with the values that a chart shows of it.
struct Shown<'a, T> {
    middle: f64,
    scenario: &'a Scenario,
    value: T,
    /// Shown when its marks are pointed at.
    title: String,
}

impl<'a> Chart<'a> {
    /// Grid, frames and names; values from 0 to `most` with these ticks.
    fn new(
        (levels, kind): (&'a [Level<'a>], &'static str),
        (most, ticks): (f64, &[f64]),
        label: fn(f64) -> String,
        text: fn(&Scenario) -> Option<String>,
    ) -> Self {
        let width = WIDTH.max(LEFT + BAND * levels.len() as f64);
        let band = (width - LEFT) / levels.len().max(1) as f64;
        let (svg, y) = (Svg::new(width, HEIGHT), Scale::new((0.0, most), (BOTTOM, TOP)));
        let mut chart = Self { svg, levels, kind, band, y, text };
        chart.svg.grid(&chart.y, ticks, (LEFT, width), label);
        chart.svg.line("base", (LEFT, BOTTOM), (width, BOTTOM));
        if kind == LEVEL {
            chart.svg.text("tick", (0.0, BOTTOM + 17.0), Anchor::Start, kind);
        }
        for (index, level) in levels.iter().enumerate() {
            let (x, middle) = (LEFT + band * index as f64, chart.middle(index));
            let (class, word) = word(level);
            if let Some(frame) = frame(level) {
                chart.svg.rect(frame, (x + 3.0, 3.0), (band - 6.0, HEIGHT - 6.0));
            }
            chart.svg.text("strong", (middle, BOTTOM + 17.0), Anchor::Middle, &start(&level.name, NAME));
            chart.svg.text(&class, (middle, BOTTOM + 33.0), Anchor::Middle, &word);
        }
        chart
    }

    fn middle(&self, index: usize) -> f64 {
        LEFT + self.band * (index as f64 + 0.5)
    }

    /// The levels whose value is known. Those whose value is missing are marked, but for a level that was not run: it is
    /// marked below its band already.
    fn known<T>(&mut self, value: impl Fn(&Scenario) -> Option<T>) -> Vec<Shown<'a, T>> {
        let mut known = Vec::new();
        for (index, level) in self.levels.iter().enumerate() {
            let (Some(scenario), middle) = (level.scenario, self.middle(index)) else { continue };
            match value(scenario).zip((self.text)(scenario)) {
                Some((value, text)) => {
                    let title = format!("{} {}: {text}", self.kind, start(&level.name, NAME));
                    known.push(Shown { middle, scenario, value, title });
                }
                None => self.svg.text("quiet", (middle, BOTTOM - 8.0), Anchor::Middle, "not known"),
            }
        }
        known
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

    /// The finished chart below its note; `title` is its own, without the kind of its bands.
    fn panel(self, id: &str, title: &str, text: &str) -> Markup {
        let Self { svg, levels, kind, text: of, .. } = self;
        let parts = levels.iter().map(|level| {
            let name = start(&level.name, NAME);
            match level.scenario.zip(level.verdict()) {
                None => format!("{kind} {name}: not run"),
                Some((scenario, verdict)) => {
                    format!("{kind} {name}: {}, {verdict}", of(scenario).unwrap_or_else(|| "not known".to_owned()))
                }
            }
        });
        let finding = format!("{}.", parts.collect_vec().join("; "));
        let id = if kind == LEVEL { id.to_owned() } else { format!("{kind}-{id}") };
        html! { (note(text)) (svg.into_figure(&id, &format!("{title} by {kind}"), &finding)) }
    }
}

/// The class and the words of a level's verdict.
fn word(level: &Level<'_>) -> (String, String) {
    let not_run = || ("quiet".to_owned(), "not run".to_owned());
    level.verdict().map_or_else(not_run, |verdict| {
        let (class, mark) = verdict_look(verdict);
        (format!("{class}-text"), format!("{mark} {verdict}"))
    })
}

fn frame(level: &Level<'_>) -> Option<&'static str> {
    match level.verdict() {
        Some(Verdict::Passed) => None,
        Some(Verdict::Failed) => Some("bad-edge"),
        Some(Verdict::Incomplete) | None => Some("unknown"),
    }
}

fn rate(scenario: &Scenario) -> Option<f64> {
    scenario.figure(&names::JOBS_PER_MINUTE)
}

fn highest(levels: &[Level<'_>], of: impl Fn(&Scenario) -> Option<f64>) -> f64 {
    levels.iter().filter_map(|level| of(level.scenario?)).fold(0.0, f64::max)
}

fn throughput(levels: &[Level<'_>], kind: &'static str) -> Markup {
    let most = highest(levels, |scenario| {
        Some(scenario.jobs_per_minute_bounds().map_or(rate(scenario)?, |bounds| bounds.high))
    });
    let mut chart = Chart::new((levels, kind), (most, &ticks(0.0, most, 4)), count_label, rate_text);
    for Shown { middle, scenario, value: rate, title } in chart.known(rate) {
        let y = chart.y.at(rate);
        // The jobs that the bar counts succeeded, whatever became of the level; its label has the verdict.
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
    chart.panel("throughput-chart", "Jobs per minute", "Jobs that succeeded per minute")
}

fn rate_text(scenario: &Scenario) -> Option<String> {
    let bounds = scenario.jobs_per_minute_bounds().filter(|Bounds { low, high }| high > low);
    let between = bounds.map(|Bounds { low, high }| format!(" (between {} and {})", decimal(low), decimal(high)));
    Some(format!("{} jobs/min{}", decimal(rate(scenario)?), between.unwrap_or_default()))
}

/// The median and the maximum of end to end, with their bounds.
fn median_and_max(scenario: &Scenario) -> Option<[Measured; 2]> {
    let measured = |statistic| {
        let seconds = scenario.figure(&Durations::END_TO_END.statistic(statistic))?;
        let [low, high] = [Durations::END_TO_END.low(statistic), Durations::END_TO_END.high(statistic)]
            .map(|name| scenario.figure(&name).unwrap_or(seconds));
        Some(Measured::within(seconds, low, high))
    };
    Some([measured(Statistic::P50)?, measured(Statistic::Max)?])
}

fn end_to_end_text(scenario: &Scenario) -> Option<String> {
    let ([median, max], limits) = (median_and_max(scenario)?, limits_of(scenario));
    let (median, max) = (limits.end_to_end(Statistic::P50, median), limits.end_to_end(Statistic::Max, max));
    Some(format!("median {median}, max {max}"))
}

fn end_to_end(levels: &[Level<'_>], kind: &'static str) -> Markup {
    let most = highest(levels, |scenario| median_and_max(scenario).map(|[_, max]| max.high));
    let mut chart = Chart::new((levels, kind), (most, &time_ticks(0.0, most, 4)), time_label, end_to_end_text);
    for Shown { middle, scenario, value: [median, max], title } in chart.known(median_and_max) {
        let (low, high) = (chart.y.at(median.seconds), chart.y.at(max.seconds));
        // Between the two lie half of the jobs.
        chart.svg.line("span", (middle, low), (middle, high));
        for of in [median, max] {
            chart.error(middle, of.low, of.high);
        }
        chart.svg.titled(&title, |svg| {
            svg.circle("dot-0", (middle, low), 5.0);
            svg.shape("hollow", &PathData::diamond((middle, high), 5.0));
        });
        let limits = limits_of(scenario);
        let text = limits.seconds(Times::EndToEnd, Statistic::Max, max.seconds);
        chart.svg.text("", (middle, high - 9.0), Anchor::Middle, &text);
        // The median stands below its point, or beside it where the axis is too close.
        let (at, anchor) = if low + 18.0 < BOTTOM {
            ((middle, low + 18.0), Anchor::Middle)
        } else {
            ((middle + 9.0, low), Anchor::Start)
        };
        chart.svg.text("strong", at, anchor, &limits.seconds(Times::EndToEnd, Statistic::P50, median.seconds));
    }
    chart.panel("end-to-end-chart", "End to end", "● median, ◇ max")
}

fn failures_text(scenario: &Scenario) -> Option<String> {
    Some(format!("{} of {} jobs", scenario.not_succeeded()?, scenario.asked()?))
}

fn failures(levels: &[Level<'_>], kind: &'static str) -> Markup {
    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    let mut chart = Chart::new((levels, kind), (1.0, &ticks(0.0, 1.0, 4)), percent, failures_text);
    let sums = |scenario: &Scenario| scenario.report.as_ref().map(|report| report.status.conservation);
    for Shown { middle, value: sums, title, .. } in chart.known(sums) {
        let bad: u64 = counts(&sums).filter(|(outcome, _)| outcome.is_bad()).map(|(_, jobs)| jobs).sum();
        let not = sums.asked.saturating_sub(sums.succeeded);
        let share = |jobs: u64| if sums.asked == 0 { 0.0 } else { jobs as f64 / sums.asked as f64 };
        let (known, all) = (chart.y.at(share(bad.min(not))), chart.y.at(share(not)));
        chart.svg.titled(&title, |svg| {
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
    let note = "Hatched: failed; plain: not known to have ended well";
    chart.panel("failures-chart", "Jobs that did not succeed", note)
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
