//! The rows: the figures that are compared, their value in each setting, and their bounds.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use super::legs::{FinishedLeg, LegGroup, all_legs, labels_where};
use super::truncate;
use crate::clock::micro;
use crate::figures::distribution::Statistic;
use crate::figures::names::{self, Durations, FigureName, StageDuration};
use crate::record::{Better, Cell, Part, Role, RoleOf, Row, Unit};
use crate::statistics::Bounds;

/// The most stages, and the most queues, that become rows: their names are the target's, and may be many.
const NAMES: usize = 100;

/// The rows and the doubts about them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) doubts: Vec<String>,
}

/// The source of the bounds of a leg's true figure.
#[derive(Clone, Debug)]
enum BoundsSource {
    /// The bounds of the statistic in the report; without them its error either way.
    Reported(Durations, Statistic),
    /// The bounds of the window.
    Throughput,
    /// A counter with this role: the events of the widest gap between two samples may be missing, or come from before the
    /// window. On average that is the gap's share of the window; at least one.
    Counter(RoleOf),
    /// A queue's depth: higher by the messages that a queue gets on average in the widest gap, if each job sends it one; at
    /// least one.
    QueueDepth(RoleOf),
    /// A histogram's mean: the gap's share of the window, as a share of the mean.
    HistogramMean(RoleOf),
}

impl BoundsSource {
    fn bounds(&self, leg: &FinishedLeg, value: f64) -> Option<Bounds> {
        let window = leg.figure(&names::WINDOW_SECONDS).filter(|window| *window > 0.0);
        let share = |role: RoleOf| Some((leg.figure(&names::widest_gap(leg.query(role)?))? / window?).min(1.0));
        let either_way = |error: f64| (value - error, value + error);
        let (low, high) = match self {
            Self::Reported(durations, statistic) => {
                let bounds = leg.figure(&durations.low(*statistic)).zip(leg.figure(&durations.high(*statistic)));
                bounds.or_else(|| leg.figure(&durations.error(*statistic)).map(either_way))?
            }
            Self::Throughput => leg.scenario.jobs_per_minute_bounds().map(|Bounds { low, high }| (low, high))?,
            Self::Counter(role) => either_way((value * share(*role)?).max(1.0)),
            Self::QueueDepth(role) => (value, value + (leg.conservation().asked as f64 * share(*role)?).max(1.0)),
            Self::HistogramMean(role) => either_way(value * share(*role)?),
        };
        // Rounded figures may lie a millionth outside of their rounded bounds.
        (low.is_finite() && high.is_finite())
            .then(|| Bounds { low: micro(low.min(value)), high: micro(high.max(value)) })
    }
}

/// A figure to be compared.
#[derive(Clone, Debug)]
struct Figure {
    name: String,
    key: FigureName,
    unit: Unit,
    bounds: BoundsSource,
    /// The reason why a report may lack it.
    absent: &'static str,
}

impl Figure {
    fn row(self, groups: &[LegGroup]) -> Row {
        let Self { name, key, unit, bounds, absent } = self;
        let cells: Vec<Cell> = groups.iter().map(|group| cell(group, &key, &bounds)).collect();
        let without_figure = labels_where(all_legs(groups), |leg| leg.figure(&key).is_none())
            .map(|legs| format!("{name}: not in the report of {legs}: {absent}"));
        let unbounded = |leg: &FinishedLeg| leg.figure(&key).is_some_and(|value| bounds.bounds(leg, value).is_none());
        let without_bounds = labels_where(all_legs(groups), unbounded).map(|legs| {
            format!(
                "{name}: the report of {legs} does not give its error, so nothing is claimed about it; render the report again"
            )
        });
        let missing = without_figure.into_iter().chain(without_bounds).collect();
        let better = if unit == Unit::JobsPerMinute { Better::Higher } else { Better::Lower };
        Row { name, figure: key.as_str().to_owned(), unit, better, cells, missing, ..Row::default() }
    }
}

/// Computes the mean over a setting's legs. If one leg lacks the figure the setting has none: a mean of the others would be
/// that of the legs that ran well.
fn cell(group: &LegGroup, key: &FigureName, source: &BoundsSource) -> Cell {
    let values = || group.legs.iter().filter_map(|leg| Some((leg, leg.figure(key)?)));
    let legs: BTreeMap<String, f64> = values().map(|(leg, value)| (leg.label.clone(), value)).collect();
    let bounds: BTreeMap<String, Bounds> =
        values().filter_map(|(leg, value)| Some((leg.label.clone(), source.bounds(leg, value)?))).collect();
    let all = group.legs.len();
    let mean = |values: &mut dyn ExactSizeIterator<Item = f64>| {
        (values.len() == all).then(|| micro(values.sum::<f64>() / all as f64))
    };
    Cell {
        mean: mean(&mut legs.values().copied()),
        low: mean(&mut bounds.values().map(|bounds| bounds.low)),
        high: mean(&mut bounds.values().map(|bounds| bounds.high)),
        legs,
        bounds,
    }
}

/// Makes all rows, the headline figures first.
pub(super) fn rows(groups: &[LegGroup]) -> Rows {
    let mut found = Rows::default();
    let headline = [
        Figure {
            name: "jobs per minute".to_owned(),
            key: names::JOBS_PER_MINUTE,
            unit: Unit::JobsPerMinute,
            bounds: BoundsSource::Throughput,
            absent: "no job's end was seen",
        },
        end_to_end("median", Statistic::P50),
    ];
    found.rows.extend(headline.map(|figure| Row { headline: true, ..figure.row(groups) }));
    // A percentile that one leg has too few jobs for is no row: nothing is missing.
    let in_all = |of: &Statistic| {
        let key = Durations::END_TO_END.statistic(*of);
        all_legs(groups).all(|leg| leg.figure(&key).is_some())
    };
    let percentiles = [Statistic::P90, Statistic::P95, Statistic::P99].into_iter().filter(in_all);
    let others = [Statistic::Mean].into_iter().chain(percentiles).chain([Statistic::Max]);
    found.rows.extend(others.map(|of| end_to_end(of.name(), of).row(groups)));
    stages(groups, &mut found);
    let transitions = Figure {
        name: "GPU transitions".to_owned(),
        key: names::TRANSITIONS,
        unit: Unit::Count,
        bounds: BoundsSource::Counter(RoleOf { role: Role::Transitions, part: None }),
        absent: "no query of transitions returned one, or its capture ended before the last job did",
    };
    found.rows.push(transitions.row(groups));
    queues(groups, &mut found);
    found
}

fn end_to_end(name: &str, statistic: Statistic) -> Figure {
    Figure {
        name: format!("end to end, {name}"),
        key: Durations::END_TO_END.statistic(statistic),
        unit: Unit::Seconds,
        bounds: BoundsSource::Reported(Durations::END_TO_END, statistic),
        absent: "no job is known to have succeeded",
    }
}

/// One part of a stage, with its two sources: the job documents, and histograms with this role.
struct StagePart {
    name: &'static str,
    documents: StageDuration,
    histograms: (StageDuration, Role),
}

const WORK: StagePart = StagePart {
    name: "work",
    documents: StageDuration::Work,
    histograms: (StageDuration::Histogram, Role::StageDuration),
};
const WAIT: StagePart =
    StagePart { name: "wait", documents: StageDuration::Wait, histograms: (StageDuration::QueueWait, Role::QueueWait) };

fn stages(groups: &[LegGroup], found: &mut Rows) {
    let names = limited(stage_names(groups), "stages", found);
    if names.is_empty() {
        found.doubts.push("no report has times of any stage".to_owned());
    }
    // A column must not mix two sources: the histograms replace the documents only if they do so for every leg.
    let all_have =
        |source| all_legs(groups).all(|leg| names.iter().any(|name| leg.figure(&mean(name, source)).is_some()));
    let parts = [WORK, WAIT].map(|part| (!all_have(part.documents) && all_have(part.histograms.0), part));
    found.doubts.extend(parts.iter().filter(|(by_histograms, _)| *by_histograms).map(|(_, StagePart { name, .. })| {
        format!("the job documents of some leg show no stage's {name}, so the histograms' means are compared")
    }));
    for (stage, (by_histograms, part)) in names.iter().cartesian_product(&parts) {
        found.rows.push(part.figure(stage, *by_histograms).row(groups));
    }
}

/// The mean duration of a stage by one source.
fn mean(stage: &str, source: StageDuration) -> FigureName {
    Durations::of_stage(stage, source).statistic(Statistic::Mean)
}

impl StagePart {
    fn figure(&self, stage: &str, by_histograms: bool) -> Figure {
        let Self { name, documents, histograms: (histogram, role) } = *self;
        let name = format!("{}, mean {name}", truncate(stage));
        let bounds = BoundsSource::Reported(Durations::of_stage(stage, documents), Statistic::Mean);
        let (key, absent) = (mean(stage, documents), "no job document shows it");
        let by_documents = Figure { name, key, unit: Unit::Seconds, bounds, absent };
        if !by_histograms {
            return by_documents;
        }
        Figure {
            name: format!("{} by histograms", by_documents.name),
            key: mean(stage, histogram),
            bounds: BoundsSource::HistogramMean(RoleOf { role, part: Some(Part::Sum) }),
            absent: "its histogram counted nothing, or its capture ended before the last job did",
            ..by_documents
        }
    }
}

/// The stages of which some report has times: those that a Run names in pipeline order, then the others by name.
fn stage_names(groups: &[LegGroup]) -> Vec<String> {
    let sources = [WORK, WAIT].map(|part| [part.documents, part.histograms.0]);
    let stage =
        |figure: &str| sources.as_flattened().iter().find_map(|source| source.stage_of_mean(figure)).map(str::to_owned);
    let mut timed = names_in_figures(groups, stage);
    let mut names: Vec<String> = Vec::new();
    for stage in all_legs(groups).flat_map(|leg| &leg.scenario.runs).flat_map(|run| &run.spec.stages) {
        if timed.remove(&stage.name) {
            names.push(stage.name.clone());
        }
    }
    names.extend(timed);
    names
}

/// The names that `parse` finds in the figure names of all reports.
fn names_in_figures(groups: &[LegGroup], parse: impl Fn(&str) -> Option<String>) -> BTreeSet<String> {
    let reports = all_legs(groups).filter_map(|leg| leg.scenario.report.as_ref());
    reports.flat_map(|report| report.status.figures.keys()).filter_map(|figure| parse(figure)).collect()
}

fn queues(groups: &[LegGroup], found: &mut Rows) {
    let figure = |name: String, key: FigureName| Figure {
        name,
        key,
        unit: Unit::Count,
        bounds: BoundsSource::QueueDepth(RoleOf { role: Role::QueueDepth, part: None }),
        absent: "no query of queue depths has a sample of it in the window, or its capture ended before the last job did",
    };
    let names = names_in_figures(groups, |figure| names::queue_of_depth(figure).map(str::to_owned));
    let names = limited(names.into_iter().collect(), "queues", found);
    if names.is_empty() {
        found.rows.push(figure("highest queue depth".to_owned(), names::QUEUES_DEPTH_MAX).row(groups));
    }
    for name in names {
        let row = figure(format!("queue {}, highest depth", truncate(&name)), names::queue_depth(&name));
        found.rows.push(row.row(groups));
    }
}

fn limited(mut names: Vec<String>, kind: &str, found: &mut Rows) -> Vec<String> {
    if names.len() > NAMES {
        found.doubts.push(format!("{} more {kind} are not compared", names.len() - NAMES));
        names.truncate(NAMES);
    }
    names
}
