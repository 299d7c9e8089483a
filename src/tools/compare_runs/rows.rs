//! The rows: which figures are compared, what each setting has of them, and how far measuring may have missed.

use std::collections::BTreeMap;

use super::legs::{Group, Run};
use super::short;
use crate::clock::micro;
use crate::figures::listed;
use crate::figures::names::{self, Durations, FigureName, StageDuration};
use crate::figures::samples::Statistic;
use crate::record::{Better, Cell, Row, Unit};
use crate::statistics::Bounds;

/// How many stages and queues become rows: their names are the target's, and could be endless.
const NAMES: usize = 100;

/// The rows, and what is doubtful about them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    pub(super) doubts: Vec<String>,
}

/// How far a leg's figure may be off, and so between which bounds the truth lies.
#[derive(Clone, Debug)]
enum Margin {
    /// The bounds of the statistic in the report, or else its error either way.
    Reported(Durations, Statistic),
    /// As the bounds of the window have it.
    Throughput,
    /// Had the events of the widest gap between two samples of this query been missed, or come from before the window: on
    /// average so many as the gap's share of the window has; at least one.
    Counted(&'static str),
    /// Higher by as many messages as a queue gets on average in the widest gap, if each job sends it one; at least one.
    Depth(&'static str),
    /// By the gap's share of the window, as a part of the mean.
    Mean(&'static str),
}

impl Margin {
    fn bounds(&self, run: &Run, value: f64) -> Option<Bounds> {
        let window = run.figure(&names::WINDOW_SECONDS).filter(|window| *window > 0.0);
        let share = |query: &str| {
            let gap = run.figure(&names::widest_gap(query))?;
            Some((gap / window?).min(1.0))
        };
        let around = |error: f64| (value - error, value + error);
        let (low, high) = match self {
            Self::Reported(of, statistic) => {
                let bounds = run.figure(&of.low(*statistic)).zip(run.figure(&of.high(*statistic)));
                bounds.or_else(|| run.figure(&of.error(*statistic)).map(around))?
            }
            Self::Throughput => run.scenario.jobs_per_minute_bounds().map(|Bounds { low, high }| (low, high))?,
            Self::Counted(query) => around((value * share(query)?).max(1.0)),
            Self::Depth(query) => (value, value + (run.conservation().asked as f64 * share(query)?).max(1.0)),
            Self::Mean(query) => around(value * share(query)?),
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
    margin: Margin,
    /// Why a report may not have it.
    absent: &'static str,
}

impl Figure {
    fn row(self, groups: &[Group]) -> Row {
        let Self { name, key, unit, margin, absent } = self;
        let cells: Vec<Cell> = groups.iter().map(|group| cell(group, &key, &margin)).collect();
        let mut missing = Vec::new();
        let without = |has: &dyn Fn(&Run) -> bool| -> Vec<String> {
            groups.iter().flat_map(|group| &group.runs).filter(|run| !has(run)).map(|run| short(&run.label)).collect()
        };
        let silent = without(&|run| run.figure(&key).is_some());
        if !silent.is_empty() {
            missing.push(format!("{name}: not in the report of {}: {absent}", listed(&silent)));
        }
        let unsure = without(&|run| run.figure(&key).is_none_or(|value| margin.bounds(run, value).is_some()));
        if !unsure.is_empty() {
            let whose = listed(&unsure);
            missing.push(format!(
                "{name}: the report of {whose} does not say how far it may be off, so nothing is claimed of it; make \
                 the report again"
            ));
        }
        let better = if unit == Unit::JobsPerMinute { Better::Higher } else { Better::Lower };
        Row { name, figure: key.to_string(), unit, better, cells, missing, ..Row::default() }
    }
}

/// The mean over a setting's legs. One leg without the figure leaves the setting without: a mean of the others would be
/// that of the legs that went well.
fn cell(group: &Group, key: &FigureName, margin: &Margin) -> Cell {
    let told = || group.runs.iter().filter_map(|run| Some((run, run.figure(key)?)));
    let legs: BTreeMap<String, f64> = told().map(|(run, value)| (run.label.clone(), value)).collect();
    let bounds: BTreeMap<String, Bounds> =
        told().filter_map(|(run, value)| Some((run.label.clone(), margin.bounds(run, value)?))).collect();
    let all = group.runs.len();
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

/// All rows, the headline figures first.
pub(super) fn rows(groups: &[Group]) -> Rows {
    let mut found = Rows::default();
    let headline = [
        Figure {
            name: "jobs per minute".to_owned(),
            key: names::JOBS_PER_MINUTE,
            unit: Unit::JobsPerMinute,
            margin: Margin::Throughput,
            absent: "no job's end was seen",
        },
        end_to_end("median", Statistic::P50),
    ];
    found.rows.extend(headline.map(|figure| Row { headline: true, ..figure.row(groups) }));
    let others = [end_to_end("mean", Statistic::Mean), end_to_end("max", Statistic::Max)];
    found.rows.extend(others.map(|figure| figure.row(groups)));
    stages(groups, &mut found);
    let transitions = Figure {
        name: "GPU transitions".to_owned(),
        key: names::TRANSITIONS,
        unit: Unit::Count,
        margin: Margin::Counted(names::TRANSITIONS_QUERY),
        absent: "the query gpu_tenancy_transitions brought none, or not to the last job's end",
    };
    found.rows.push(transitions.row(groups));
    queues(groups, &mut found);
    found
}

fn end_to_end(what: &str, statistic: Statistic) -> Figure {
    Figure {
        name: format!("end to end, {what}"),
        key: Durations::END_TO_END.statistic(statistic),
        unit: Unit::Seconds,
        margin: Margin::Reported(Durations::END_TO_END, statistic),
        absent: "no job is known to have succeeded",
    }
}

/// What one part of a stage is called by its two witnesses.
struct Part {
    what: &'static str,
    documents: StageDuration,
    histograms: StageDuration,
    query: &'static str,
}

const PARTS: [Part; 2] = [
    Part {
        what: "work",
        documents: StageDuration::Work,
        histograms: StageDuration::Histogram,
        query: names::STAGE_DURATION_QUERY,
    },
    Part {
        what: "wait",
        documents: StageDuration::Wait,
        histograms: StageDuration::QueueWait,
        query: names::QUEUE_WAIT_QUERY,
    },
];

fn stages(groups: &[Group], found: &mut Rows) {
    let names = limited(stage_names(groups), "stages", found);
    if names.is_empty() {
        found.doubts.push("no report has times of any stage".to_owned());
    }
    // A column must not be of two witnesses: the histograms stand in only where they do so for every leg.
    let sources = PARTS.map(|part| {
        let tells = |run: &Run, source| names.iter().any(|name| run.figure(&mean_of(name, source)).is_some());
        let all = |source| groups.iter().flat_map(|group| &group.runs).all(|run| tells(run, source));
        let by_histograms = !all(part.documents) && all(part.histograms);
        if by_histograms {
            found.doubts.push(format!(
                "the job documents of some leg tell no stage's {}, so the histograms' means are compared",
                part.what
            ));
        }
        (part, by_histograms)
    });
    for name in &names {
        for (part, by_histograms) in &sources {
            let Part { what, documents, histograms, query } = part;
            let figure = if *by_histograms {
                Figure {
                    name: format!("{}, mean {what} by histograms", short(name)),
                    key: mean_of(name, *histograms),
                    unit: Unit::Seconds,
                    margin: Margin::Mean(query),
                    absent: "its histogram counted nothing, or was not captured to the last job's end",
                }
            } else {
                Figure {
                    name: format!("{}, mean {what}", short(name)),
                    key: mean_of(name, *documents),
                    unit: Unit::Seconds,
                    margin: Margin::Reported(Durations::of_stage(name, *documents), Statistic::Mean),
                    absent: "no job document tells it",
                }
            };
            found.rows.push(figure.row(groups));
        }
    }
}

/// The mean duration of the stage `name` by one source.
fn mean_of(name: &str, source: StageDuration) -> FigureName {
    Durations::of_stage(name, source).statistic(Statistic::Mean)
}

/// The stages that some report has times of: first those that a Run names, in pipeline order, then the others by name.
fn stage_names(groups: &[Group]) -> Vec<String> {
    let runs = || groups.iter().flat_map(|group| &group.runs);
    let sources: Vec<StageDuration> = PARTS.iter().flat_map(|part| [part.documents, part.histograms]).collect();
    let stage = |name: &String| sources.iter().find_map(|source| source.stage_of_mean(name)).map(str::to_owned);
    let mut told: Vec<String> = runs().flat_map(figures).filter_map(stage).collect();
    told.sort();
    told.dedup();
    let mut names: Vec<String> = Vec::new();
    for stage in runs().flat_map(|run| &run.scenario.runs).flat_map(|run| &run.spec.stages) {
        if let Some(at) = told.iter().position(|name| *name == stage.name) {
            names.push(told.remove(at));
        }
    }
    names.extend(told);
    names
}

fn queues(groups: &[Group], found: &mut Rows) {
    let figure = |name: String, key: FigureName| Figure {
        name,
        key,
        unit: Unit::Count,
        margin: Margin::Depth(names::DEPTHS_QUERY),
        absent: "the query rabbitmq_queue_ready has no sample of it in the window, or was not captured to the last job's end",
    };
    let mut names: Vec<String> = groups
        .iter()
        .flat_map(|group| &group.runs)
        .flat_map(figures)
        .filter_map(|name| names::queue_of_depth(name).map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    let names = limited(names, "queues", found);
    if names.is_empty() {
        found.rows.push(figure("highest queue depth".to_owned(), names::QUEUES_DEPTH_MAX).row(groups));
    }
    for name in names {
        let row = figure(format!("queue {}, highest depth", short(&name)), names::queue_depth(&name));
        found.rows.push(row.row(groups));
    }
}

fn figures(run: &Run) -> impl Iterator<Item = &String> {
    run.scenario.report.iter().flat_map(|report| report.status.figures.keys())
}

fn limited(mut names: Vec<String>, what: &str, found: &mut Rows) -> Vec<String> {
    if names.len() > NAMES {
        found.doubts.push(format!("{} more {what} are not compared", names.len() - NAMES));
        names.truncate(NAMES);
    }
    names
}
