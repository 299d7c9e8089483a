//! What the captures tell of the pipeline: how long stages took by spans and histograms, how long messages lay on queues,
//! who held the GPU, how deep the queues were.
//!
//! The queries are found by the names of the specification (`stage_duration_sum` and so on), the labels by what their
//! records say. Whatever is not there is a doubt, never a zero.

use std::collections::BTreeMap;
use std::path::Path;

use super::captures::{CaptureKind, Captures, is_inside};
use super::envelope;
use super::sampled::Sampled;
use crate::figures::Figures;
use crate::figures::counters::{self, Bucketed, Growth};
use crate::figures::gauges::{self, Density};
use crate::figures::listed;
use crate::figures::names::{self, DEPTHS_QUERY as DEPTHS, NamedFigures, TRANSITIONS_QUERY as TRANSITIONS};
use crate::figures::stage_sources::{self, CapturedMeans, Mean, Means, StageSources};
use crate::record::{CaptureResult, Fold, Kind, Series, Tenancy as TenancySpan, Timestamp, Traces};
use crate::statistics::Bounds;

/// How many names of one sort become figures: label values are the target's, and could be endless.
const NAMES: usize = 200;
/// Stands between the values of several labels: `none→whisper`.
const ARROW: &str = "→";

/// How long one tenant held the GPU, of the tenancies that ended in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenancy {
    /// How many there were.
    pub(super) count: f64,
    /// Their sum in seconds, where the histogram's sum was captured.
    pub(super) seconds: Option<f64>,
    /// What the buckets say of it.
    pub(super) bounds: Bucketed,
}

/// The highest depth of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) ready: f64,
    /// When it was first seen, by Prometheus' clock.
    pub(super) at: Timestamp,
    /// How densely it was sampled: between two samples it may have been deeper.
    pub(super) density: Density,
}

/// Who held the GPU, by the spans of one service.
#[derive(Clone, Debug)]
pub(super) struct Holds {
    pub(super) service: String,
    pub(super) tenancies: Vec<TenancySpan>,
    /// How many more there were.
    pub(super) left_out: u64,
}

/// All that they tell.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) stages: Vec<StageSources>,
    /// How many counters had no sample before the window and were counted from zero.
    pub(super) born: usize,
    /// The widest distance between two points of each query in the window, in seconds.
    pub(super) gaps: BTreeMap<String, f64>,
    /// By tenant.
    pub(super) tenancies: BTreeMap<String, Tenancy>,
    /// How often the GPU passed from one to another, by the labels' values in the order of `by`.
    pub(super) transitions: BTreeMap<String, f64>,
    /// Between what the number of all transitions lies; none where there are none to count.
    pub(super) transitions_within: Option<Bounds>,
    /// By queue.
    pub(super) depths: BTreeMap<String, Depth>,
    /// Who held the GPU when, by the spans: a lane for each service that tells.
    pub(super) holds: Vec<Holds>,
    /// The same and the transitions over time.
    pub(super) sampled: Sampled,
    pub(super) doubts: Vec<String>,
}

impl Observed {
    /// What `captures`, those of `fold`, tell, whose files lie in `directory`.
    pub(super) fn read(fold: &Fold, figures: &Figures, captures: &Captures, directory: &Path) -> Self {
        let warm_until = warm_until(figures);
        let mut reading = Reading { fold, captures, directory, warm_until, mixed: false, told: Self::default() };
        let histograms = reading.means("stage_duration");
        let queued = reading.means("queue_wait");
        reading.tenancies();
        reading.transitions();
        reading.depths();
        let mut told = reading.told;
        let spans = spans(fold).filter(|_| !captures.any_early(CaptureKind::Traces));
        let heard = CapturedMeans { spans, histograms, queued };
        told.stages = stage_sources::side_by_side(&figures.stages, &heard);
        told.holds = holds(fold);
        told.doubts.extend(stage_sources::doubts(&told.stages, &heard));
        told.stages.truncate(NAMES);
        told
    }

    /// The figures by name. What is only a lower bound, since its capture ends before the last job did, is none: whoever
    /// reads it elsewhere would take it for the whole.
    pub(super) fn by_name(&self, captures: &Captures) -> BTreeMap<String, f64> {
        let whole = |query: &str| !captures.is_early(CaptureKind::Series, query);
        let mut figures = NamedFigures::default();
        stage_sources::put_into(&self.stages, &mut figures);
        for (query, gap) in self.gaps.iter().filter(|(query, _)| whole(query)) {
            figures.put(&names::widest_gap(query), *gap);
        }
        for (tenant, tenancy) in self.tenancies.iter().take(NAMES) {
            let mut put = |figure, value: Option<f64>| figures.put(&names::tenancy(tenant, figure), value);
            put(names::Tenancy::Count, Some(tenancy.count));
            put(names::Tenancy::Sum, tenancy.seconds);
            put(names::Tenancy::Mean, tenancy.seconds.map(|seconds| seconds / tenancy.count));
            put(names::Tenancy::Low, Some(tenancy.bounds.low));
            put(names::Tenancy::High, tenancy.bounds.high);
        }
        if whole(TRANSITIONS) && !self.transitions.is_empty() {
            figures.put(&names::TRANSITIONS, self.transitions.values().sum::<f64>());
            for (way, count) in self.transitions.iter().take(NAMES) {
                figures.put(&names::transitions(&way.replace(ARROW, ".")), *count);
            }
        }
        if whole(DEPTHS) {
            for (queue, depth) in self.depths.iter().take(NAMES) {
                figures.put(&names::queue_depth(queue), depth.ready);
            }
            figures.put(&names::QUEUES_DEPTH_MAX, self.depths.values().map(|depth| depth.ready).reduce(f64::max));
        }
        figures.into_map()
    }
}

/// What the spans tell, of all services together; none where no traces came.
fn spans(fold: &Fold) -> Option<Means> {
    let mut heard = false;
    let mut sums: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for Traces { status, .. } in fold.of_kind(Kind::Traces) {
        heard |= status.traces.is_some_and(|traces| traces > 0);
        for stage in status.stages {
            let (count, sum) = sums.entry(stage.name).or_default();
            *count += stage.count;
            *sum += stage.mean_seconds * stage.count as f64;
        }
    }
    let mean = |(name, (count, sum)): (String, (u64, f64))| {
        (count > 0).then(|| (name, Mean { count, seconds: sum / count as f64, error: 0.0 }))
    };
    heard.then(|| sums.into_iter().filter_map(mean).collect())
}

/// When the last warm-up job was seen to end, or was last heard of.
fn warm_until(figures: &Figures) -> Option<f64> {
    let status = figures.tally.warmups.iter().filter_map(|entry| entry.job.as_ref()).map(|job| &job.status);
    status.filter_map(|status| status.ended_at.or(status.observed_at)).max().map(Timestamp::seconds)
}

fn holds(fold: &Fold) -> Vec<Holds> {
    let of = |traces: Traces| Holds {
        service: traces.spec.service,
        left_out: traces.status.tenancies_left_out.unwrap_or_default(),
        tenancies: traces.status.tenancies,
    };
    fold.of_kind(Kind::Traces).map(of).filter(|holds| !holds.tenancies.is_empty()).collect()
}

struct Reading<'a> {
    fold: &'a Fold,
    captures: &'a Captures,
    directory: &'a Path,
    /// When the warm-up was over, by the harness's clock.
    warm_until: Option<f64>,
    /// It has been said that counters may hold some of the warm-up.
    mixed: bool,
    told: Observed,
}

impl Reading<'_> {
    /// The record and the series of the query `name`; none where nothing came of it, which is said where the captures
    /// are, or where what came cannot be used, which is said here.
    fn series(&mut self, name: &str) -> Option<(Series, Vec<counters::Series>)> {
        let fold = self.fold;
        let mut found = fold.of_kind::<Series>(Kind::Series).filter(|series| series.metadata.name == name);
        let record = found.next()?;
        let more = found.count();
        let status = &record.status;
        let Some(file) = status.file.clone() else {
            if status.result == CaptureResult::Ok {
                self.doubt(format!("no figures are made of {name}: its record names no file"));
            }
            return None;
        };
        if ![Some(&file), status.raw_file.as_ref()].into_iter().flatten().all(|file| is_inside(file)) {
            self.doubt(format!("no figures are made of {name}: its record names a file outside of the run directory"));
            return None;
        }
        if status.series == Some(0) {
            return None;
        }
        if more > 0 {
            self.doubt(format!("{name} was captured {} times, and no figures are made of several captures", more + 1));
            return None;
        }
        if record.spec.by.is_empty() {
            self.doubt(format!("no figures are made of {name}: its record names no labels to add it up by"));
            return None;
        }
        if status.families.len() > 1 {
            let families = listed(&status.families);
            self.doubt(format!("{name} matches several metrics, which are added together: {families}"));
        }
        let mut series = self.read(&file)?;
        if let Some(samples) = status.raw_file.as_ref().and_then(|raw| self.read(raw)) {
            series = counters::spliced(series, samples);
        }
        let without = series.iter().filter(|one| one.key(&record.spec.by).is_none()).count();
        if without > 0 {
            let labels = record.spec.by.join(", ");
            let all = series.len();
            self.doubt(format!("{without} of {all} series of {name} lack the label {labels} and were left out"));
        }
        if let Some(gap) = gauges::widest_gap(&series, from(&record), to(&record)) {
            self.told.gaps.insert(name.to_owned(), gap);
        }
        Some((record, series))
    }

    fn read(&mut self, file: &str) -> Option<Vec<counters::Series>> {
        envelope::read(self.directory, file).map_err(|why| self.doubt(why)).ok()
    }

    fn doubt(&mut self, doubt: String) {
        self.told.doubts.push(doubt);
    }

    /// How much the counters of the query `name` grew.
    fn growth(&mut self, name: &str, duration: bool) -> Option<BTreeMap<String, Growth>> {
        let (record, series) = self.series(name)?;
        self.look_for_warmup(&record, &series);
        let grown = counters::growth(&series, &record.spec.by, from(&record), duration);
        self.note(name, grown.values());
        Some(grown.into_iter().map(|(key, growth)| (joined(&key), growth)).collect())
    }

    /// What counters grew by begins at the last sample before the window. Only one that was scraped after the warm-up keeps
    /// the two apart.
    fn look_for_warmup(&mut self, record: &Series, series: &[counters::Series]) {
        let Some(warm_until) = self.warm_until.filter(|_| !self.mixed) else { return };
        let between = (warm_until + bounded(record, 1.0))..=from(record);
        if !series.iter().any(|one| one.points.iter().any(|(at, _)| between.contains(at))) {
            self.mixed = true;
            self.doubt(format!(
                "histograms and counters may hold some of the warm-up: no sample of {} was scraped between its end and the \
                 window's beginning; a longer rest (submit-jobs --rest), or wider padding of the capture, tells them apart",
                record.metadata.name
            ));
        }
    }

    fn note<'a>(&mut self, name: &str, grown: impl Iterator<Item = &'a Growth>) {
        let (born, resets) = grown.fold((0, 0), |(born, resets), one| (born + one.born, resets + one.resets));
        self.told.born += born;
        if resets > 0 {
            let often = if resets == 1 { "once".to_owned() } else { format!("{resets} times") };
            self.doubt(format!(
                "counters of {name} began again in the window, {often}: what they counted just before is lost"
            ));
        }
    }

    /// The means of the histogram whose sum and count the queries `<name>_sum` and `<name>_count` are.
    fn means(&mut self, name: &str) -> Option<Means> {
        let queries = ["sum", "count"].map(|part| format!("{name}_{part}"));
        // A mean of the jobs before a moment is not that of all, and the two may even end at different ones.
        if queries.iter().any(|query| self.is_early(query)) {
            return None;
        }
        let [sums, counts] = [self.growth(&queries[0], true), self.growth(&queries[1], false)];
        if sums.is_some() != counts.is_some() {
            let (here, lacking) = if sums.is_some() { ("sum", "count") } else { ("count", "sum") };
            self.doubt(format!("no means are made of {name}_{here}, for {name}_{lacking} is not there"));
        }
        let (sums, counts) = sums.zip(counts)?;
        let mean = |(stage, count): (String, Growth)| {
            let sum = sums.get(&stage)?.value;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
            let whole = count.value.round() as u64;
            (whole > 0).then(|| (stage, Mean { count: whole, seconds: sum / count.value, error: 0.0 }))
        };
        Some(counts.into_iter().filter_map(mean).take(NAMES).collect())
    }

    fn is_early(&self, query: &str) -> bool {
        self.captures.is_early(CaptureKind::Series, query)
    }

    fn tenancies(&mut self) {
        if self.is_early("gpu_tenancy_bucket") {
            return;
        }
        let Some((record, series)) = self.series("gpu_tenancy_bucket") else { return };
        self.look_for_warmup(&record, &series);
        let buckets = counters::bucketed(&series, &record.spec.by, from(&record));
        self.note("gpu_tenancy_bucket", buckets.values().map(|bucketed| &bucketed.growth));
        let sums = if self.is_early("gpu_tenancy_sum") { None } else { self.growth("gpu_tenancy_sum", true) };
        for (key, bounds) in buckets {
            let tenant = joined(&key);
            let seconds = sums.as_ref().and_then(|sums| sums.get(&tenant)).map(|sum| sum.value);
            self.told.tenancies.insert(tenant, Tenancy { count: bounds.count, seconds, bounds });
        }
    }

    fn transitions(&mut self) {
        let Some((record, series)) = self.series(TRANSITIONS) else { return };
        let grown = counters::growth(&series, &record.spec.by, from(&record), false);
        self.note(TRANSITIONS, grown.values());
        self.told.transitions = grown.into_iter().map(|(key, growth)| (joined(&key), growth.value)).collect();
        let labelled: Vec<_> = series.into_iter().filter(|one| one.key(&record.spec.by).is_some()).collect();
        // Points that were evaluated at steps show samples late, so what lies inside is only certain of samples.
        let inside = record.status.raw_file.as_ref().and(record.spec.window).map_or((f64::MAX, f64::MIN), |window| {
            (window.start.seconds() + bounded(&record, 1.0), window.end.seconds() + bounded(&record, -1.0))
        });
        self.told.transitions_within = counters::growth_bounds(&labelled, from(&record), inside);
        self.told.sampled.take_passings(&record, &labelled, joined);
    }

    fn depths(&mut self) {
        let Some((record, series)) = self.series(DEPTHS) else { return };
        self.told.sampled.take_queues(&record, &series, joined);
        let (by, from, to) = (&record.spec.by, from(&record), to(&record));
        for (key, (at, ready)) in gauges::highest(&series, by, from, to) {
            let density = gauges::density(&series, by, &key, from, to);
            if let Some((at, density)) = Timestamp::from_seconds(at).zip(density) {
                self.told.depths.insert(joined(&key), Depth { ready, at, density });
            }
        }
        if self.told.depths.is_empty() {
            self.doubt("no queue's depth was sampled in the window".to_owned());
        }
    }
}

fn joined(key: &[String]) -> String {
    key.join(ARROW)
}

/// The window's beginning by the server's clock: nothing of the run came before it. Where the capture began later, that.
fn from(record: &Series) -> f64 {
    let start = record.spec.window.map(|window| window.start.seconds() + bounded(record, -1.0));
    let first = record.spec.start.map(Timestamp::seconds);
    [start, first].into_iter().flatten().reduce(f64::max).unwrap_or(f64::MIN)
}

/// The window's end by the server's clock: nothing of the run came after it.
fn to(record: &Series) -> f64 {
    record.spec.window.map_or(f64::MAX, |window| window.end.seconds() + bounded(record, 1.0))
}

/// The offset of the server's clock, with its bound to that side.
fn bounded(record: &Series, side: f64) -> f64 {
    record.status.clock_offset.map_or(0.0, |offset| offset.seconds + side * offset.bound_seconds)
}
