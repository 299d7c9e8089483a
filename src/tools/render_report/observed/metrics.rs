//! Queries over time: what is drawn and listed, and what `query.NAME.STATISTIC` judges.
//!
//! A gauge shows the samples of each of its lines, a counter its growth a second. A line is one combination of the labels `by`.

use std::collections::BTreeMap;

use super::reading::{Reading, from, joined, surely_inside, to};
use crate::figures::counter_sources::differing_labels;
use crate::figures::counters;
use crate::figures::gauges::{self, Density};
use crate::record::{CaptureResult, ClockOffset, Kind, Series};
use crate::statistics::Bounds;

/// The most lines of one query: labels are the target's, and could be endless.
const LINES: usize = 200;

/// Samples by the values of the labels that tell lines apart.
type Samples = BTreeMap<Vec<String>, Vec<(f64, f64)>>;

/// A query over time.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about the query by itself")]
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
    /// The query holds counters.
    pub(in crate::tools::render_report) is_counter: bool,
    /// Bounds of the growth of its counters in the window; none for gauges, and where no counter or not all of them can be used.
    pub(in crate::tools::render_report) increase: Option<Bounds>,
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
        // An infinite value is one; NaN says that there is none.
        let inside = samples.iter().filter(|(at, value)| !value.is_nan() && (from..=to).contains(at));
        let values: Vec<f64> = inside.map(|(_, value)| *value).collect();
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
        let is_counter = counters::are(record, &all);
        let (from, to) = (from(record), to(record));
        let (lines, increase) = if is_counter {
            self.grown(record, all.clone(), &by)
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
            is_scraped: record.status.raw_file.is_some(),
            is_counter,
            increase,
        })
    }

    /// The growth of the counters `all` a second, by the labels `by`, and the bounds of their growth in the window.
    fn grown(&mut self, record: &Series, all: Vec<counters::Series>, by: &[String]) -> (Samples, Option<Bounds>) {
        let counters = self.steady(record.clone(), all.clone(), by);
        let lines = gauges::rates_over_time(&counters.series, by);
        if !counters.is_whole {
            return (lines, None);
        }
        let growth = |series: &[counters::Series]| counters::growth_bounds(series, from(record), surely_inside(record));
        let increase = growth(&counters.with_restarts());
        if !record.spec.by.is_empty() {
            return (lines, increase);
        }
        // Without `by`, nobody says whether series that count alike are one counter seen twice, or two.
        let once = self.once(record, all);
        let least = growth(&once.with_restarts());
        (lines, increase.zip(least).map(|(all, once)| Bounds { low: all.low.min(once.low), high: all.high }))
    }
}
