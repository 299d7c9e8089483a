//! Queries over time: what is drawn and listed, and what `query.NAME.STATISTIC` judges.
//!
//! A gauge shows the samples of each of its lines, a counter its growth a second. A line is one combination of the labels `by`.

use super::reading::{Reading, bounded, from, joined, process_changes, to};
use crate::figures::counter_sources::{CounterSources, differing_labels};
use crate::figures::counters;
use crate::figures::gauges::{self, Density};
use crate::record::{CaptureResult, ClockOffset, Kind, MetricType, Series};
use crate::statistics::Bounds;

/// The most lines of one query: labels are the target's, and could be endless.
const LINES: usize = 200;

/// A query over time.
#[derive(Clone, Debug)]
pub(in crate::tools::render_report) struct Metric {
    /// The query's name.
    pub(in crate::tools::render_report) name: String,
    /// The unit of what is shown.
    pub(in crate::tools::render_report) unit: Option<String>,
    /// The profile asks for a drawing.
    pub(in crate::tools::render_report) draw: bool,
    /// True if no other part of the report shows it.
    pub(in crate::tools::render_report) is_listed: bool,
    /// The highest first.
    pub(in crate::tools::render_report) lines: Vec<Line>,
    /// The number of lines that were left out.
    pub(in crate::tools::render_report) left_out: usize,
    /// The sampling density of the sparsest line.
    pub(in crate::tools::render_report) density: Density,
    /// True if the points are samples as scraped, not points that were evaluated at steps.
    pub(in crate::tools::render_report) is_scraped: bool,
    /// Bounds of the growth of a counter in the window; none for a gauge.
    pub(in crate::tools::render_report) increase: Option<Bounds>,
}

impl Metric {
    /// Returns true if the growth a second is shown.
    pub(in crate::tools::render_report) fn is_counter(&self) -> bool {
        self.increase.is_some()
    }
}

/// One line of a query: its points by the harness's clock, and its statistics in the window.
#[derive(Clone, Debug)]
pub(in crate::tools::render_report) struct Line {
    /// The values of the labels; empty if the query has only one line.
    pub(in crate::tools::render_report) name: String,
    pub(in crate::tools::render_report) samples: Vec<(f64, f64)>,
    pub(in crate::tools::render_report) min: f64,
    pub(in crate::tools::render_report) mean: f64,
    pub(in crate::tools::render_report) max: f64,
}

impl Line {
    /// The line over `samples` by the server's clock, which is ahead of the harness's by `offset`; none if nothing was sampled
    /// between `from` and `to`.
    fn new(name: String, samples: Vec<(f64, f64)>, (from, to): (f64, f64), offset: f64) -> Option<Self> {
        let finite = || samples.iter().filter(|(at, value)| value.is_finite() && (from..=to).contains(at));
        let values: Vec<f64> = finite().map(|(_, value)| *value).collect();
        let min = values.iter().copied().reduce(f64::min)?;
        let max = values.iter().copied().reduce(f64::max)?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let samples = samples.into_iter().map(|(at, value)| (at - offset, value)).collect();
        Some(Self { name, samples, min, mean, max })
    }
}

impl Reading<'_> {
    /// Reads every query that is drawn, and those that belong to no histogram.
    pub(super) fn metrics(&mut self) {
        let records: Vec<Series> = self.fold.of_kind(Kind::Series).collect();
        for record in &records {
            let is_histogram = record.role().is_some_and(|of| of.role.is_duration());
            let is_once = records.iter().filter(|other| other.metadata.name == record.metadata.name).count() == 1;
            let has_samples = matches!(record.status.result, CaptureResult::Ok | CaptureResult::Partial);
            if has_samples && is_once && (record.spec.draw || !is_histogram) {
                let metric = self.metric(record);
                self.told.metrics.extend(metric);
            }
        }
    }

    fn metric(&mut self, record: &Series) -> Option<Metric> {
        let all = self.series_of(record)?;
        let by = if record.spec.by.is_empty() {
            differing_labels(&all.iter().collect::<Vec<_>>()).into_iter().collect()
        } else {
            record.spec.by.clone()
        };
        if record.role().is_none() {
            self.note_unlabelled(record, &all, &by);
        }
        let is_counter = is_counter(record, &all);
        let is_scraped = record.status.raw_file.is_some();
        let (from, to) = (from(record), to(record));
        let (lines, increase) = if is_counter {
            let series = without_repeated(record, all.clone(), &by);
            let inside = record.spec.window.filter(|_| is_scraped).map_or((f64::MAX, f64::MIN), |window| {
                (window.start.seconds() + bounded(record, 1.0), window.end.seconds() + bounded(record, -1.0))
            });
            (gauges::rates_over_time(&series, &by), counters::growth_bounds(&series, from, inside))
        } else {
            (gauges::highest_over_time(&all, &by), None)
        };
        let offset = record.status.clock_offset.map_or(0.0, ClockOffset::known_seconds);
        let densities = lines.keys().filter_map(|key| gauges::density(&all, &by, key, from, to));
        let density = densities.reduce(|one, other| if other.longest_gap > one.longest_gap { other } else { one });
        let lines = lines.into_iter().filter_map(|(key, samples)| Line::new(joined(&key), samples, (from, to), offset));
        let mut lines: Vec<Line> = lines.collect();
        lines.sort_by(|one, other| other.max.total_cmp(&one.max).then_with(|| one.name.cmp(&other.name)));
        let left_out = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        let is_drawn = !lines.is_empty();
        is_drawn.then(|| Metric {
            name: record.metadata.name.clone(),
            unit: record.spec.unit.clone(),
            draw: record.spec.draw,
            is_listed: record.spec.draw || record.role().is_none(),
            lines,
            left_out,
            density: density.unwrap_or_default(),
            is_scraped,
            increase,
        })
    }
}

/// The counters without those that two scrapes of one process show twice.
fn without_repeated(record: &Series, all: Vec<counters::Series>, by: &[String]) -> Vec<counters::Series> {
    let mut sources = CounterSources::default();
    sources.add(&all, by, from(record), &process_changes(record), record.status.raw_file.is_some());
    sources.without_repeated(all, by).0
}

/// Returns true if the query holds counters: by its record, or because the names of all its metrics end in `_total`.
fn is_counter(record: &Series, all: &[counters::Series]) -> bool {
    let is_total = |one: &counters::Series| one.labels.get("__name__").is_some_and(|name| name.ends_with("_total"));
    match record.spec.metric_type {
        Some(stated) => stated == MetricType::Counter,
        None => all.iter().all(is_total),
    }
}
