//! Evidence on the pipeline from the captures: durations of stages by spans and histograms, time of messages on queues,
//! tenants of the GPU, depth of the queues.
//!
//! The queries are found by the roles that their records state, the labels by what the records say. Missing evidence is a doubt, never a zero.

mod metrics;
mod reading;

use std::collections::BTreeMap;
use std::path::Path;

pub(super) use self::metrics::{Line, Metric};
use self::reading::{ARROW, Reading, duration_unit, from, joined, part_of, surely_inside, to, whole_of};
use super::captures::{CaptureKind, Captures};
use super::sampled::Sampled;
use crate::escape::start;
use crate::figures::Figures;
use crate::figures::any_listed;
use crate::figures::counter_sources::count_replicas;
use crate::figures::counters::{self, Bucketed, Growth};
use crate::figures::gauges::{self, Density};
use crate::figures::names::{self, NamedFigures};
use crate::figures::outcome::Outcome;
use crate::figures::stage_sources::{self, CapturedMeans, Mean, Means, StageSources};
use crate::record::{Fold, Kind, Part, Role, Series, Timestamp, Traces};
use crate::statistics::Bounds;
use crate::units;

/// Number of names of one sort that become figures: label values are the target's, and could be endless.
const NAMES: usize = 200;

/// One tenant's time on the GPU, of the tenancies that ended in the window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tenancy {
    /// Their sum in seconds, where the histogram's sum was captured.
    pub(super) seconds: Option<f64>,
    /// Their number and its bounds by the buckets.
    pub(super) bounds: Bucketed,
}

/// The highest depth of a queue.
#[derive(Clone, Debug)]
pub(super) struct Depth {
    pub(super) ready: f64,
    /// The time at which it was first seen, by Prometheus' clock.
    pub(super) at: Timestamp,
    /// Its sampling density: between two samples it may have been deeper.
    pub(super) density: Density,
    /// True if those are samples as scraped, not points that were evaluated at steps, which may repeat an older sample.
    pub(super) is_scraped: bool,
    /// The way in which several series were put together.
    pub(super) remark: Option<String>,
}

/// All that they tell.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) stages: Vec<StageSources>,
    /// Number of counters that had no sample before the window and were counted from zero.
    pub(super) born: usize,
    /// The widest distance between two points of each query in the window, in seconds.
    pub(super) gaps: BTreeMap<String, f64>,
    /// Tenants are left out because one tenancy on each resource, which may have begun before the window, does not fit into it.
    pub(super) left_out_tenancies: bool,
    /// The names of the queries that hold the measurements, by role and part: `stage-duration.sum`.
    pub(super) queries: BTreeMap<String, String>,
    /// By tenant.
    pub(super) tenancies: BTreeMap<String, Tenancy>,
    /// Number of times that the GPU passed from one to another, by the labels' values in the order of `by`.
    pub(super) transitions: BTreeMap<String, f64>,
    /// Bounds of the number of all transitions; none if there are none to count.
    pub(super) transitions_within: Option<Bounds>,
    /// Number of periods in which the load generator was throttled, by pod.
    pub(super) throttled: BTreeMap<String, f64>,
    /// By queue.
    pub(super) depths: BTreeMap<String, Depth>,
    /// Tenants of the GPU over time by the spans: those of each service that tells.
    pub(super) holds: Vec<Traces>,
    /// The same and the transitions over time.
    pub(super) sampled: Sampled,
    /// Queries over time.
    pub(super) metrics: Vec<Metric>,
    pub(super) doubts: Vec<String>,
}

impl Observed {
    /// Reads the evidence of `captures`, those of `fold`, whose files lie in `directory`.
    pub(super) fn read(fold: &Fold, figures: &Figures, captures: &Captures, directory: &Path) -> Self {
        let warm_until = warm_until(figures);
        let mut reading = Reading::new(fold, captures, directory, warm_until);
        let longest = longest_job(figures);
        let histograms = reading.means(Role::StageDuration, longest);
        let queued = reading.means(Role::QueueWait, longest);
        let spans = spans(fold).filter(|_| !captures.any_early(CaptureKind::Traces));
        let spans = spans.map(|means| reading.drop_impossible(means, "the spans", "", longest));
        reading.spans_without_duration();
        reading.tenancies(figures.load.peak_within.high);
        reading.transitions();
        reading.throttling();
        reading.depths();
        reading.metrics();
        let mut told = reading.finish();
        let heard = CapturedMeans { spans, histograms, queued };
        told.stages = stage_sources::side_by_side(&figures.stages, &heard);
        told.holds = fold.of_kind(Kind::Traces).filter(|traces: &Traces| !traces.status.tenancies.is_empty()).collect();
        told.doubts.extend(stage_sources::doubts(&told.stages, &heard));
        told.stages.truncate(NAMES);
        told
    }

    /// The name of the query that holds a role without parts.
    pub(super) fn query(&self, role: Role) -> Option<&str> {
        self.queries.get(role.word()).map(String::as_str)
    }

    /// The figures by name. A figure whose capture ends before the last job did is only a lower bound and is left out:
    /// anyone who reads it elsewhere would take it for the whole.
    pub(super) fn by_name(&self, captures: &Captures) -> BTreeMap<String, f64> {
        let whole = |query: &str| !captures.is_early(CaptureKind::Series, query);
        let is_whole = |role: Role| self.query(role).is_some_and(whole);
        let mut figures = NamedFigures::default();
        stage_sources::put_into(&self.stages, &mut figures);
        for (query, gap) in self.gaps.iter().filter(|(query, _)| whole(query)) {
            figures.put(&names::widest_gap(query), *gap);
        }
        for (tenant, tenancy) in self.tenancies.iter().take(NAMES) {
            let Tenancy { seconds, bounds } = *tenancy;
            let mean = seconds.map(|seconds| seconds / bounds.count);
            for (name, value) in
                names::tenancies(tenant).iter().zip([Some(bounds.count), seconds, mean, Some(bounds.low), bounds.high])
            {
                figures.put(name, value);
            }
        }
        if is_whole(Role::Transitions) && !self.transitions.is_empty() {
            figures.put(&names::TRANSITIONS, self.transitions.values().sum::<f64>());
            for (way, count) in self.transitions.iter().take(NAMES) {
                figures.put(&names::transitions(&way.replace(ARROW, ".")), *count);
            }
        }
        if is_whole(Role::QueueDepth) {
            for (queue, depth) in self.depths.iter().take(NAMES) {
                figures.put(&names::queue_depth(queue), depth.ready);
            }
            figures.put(&names::QUEUES_DEPTH_MAX, self.depths.values().map(|depth| depth.ready).reduce(f64::max));
        }
        let is_usable = |metric: &&Metric| !metric.is_counter || metric.increase.is_some();
        let listed = self.metrics.iter().filter(|metric| metric.is_listed && whole(&metric.name));
        for metric in listed.filter(is_usable).take(NAMES) {
            let lines = || metric.lines.iter();
            figures.put(&names::query_statistic(&metric.name, "max"), lines().map(|line| line.max).reduce(f64::max));
            figures.put(&names::query_statistic(&metric.name, "min"), lines().map(|line| line.min).reduce(f64::min));
        }
        figures.into_map()
    }
}

/// The record of the spans, of all services together; none where no traces came.
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

/// The time at which the last warm-up job was seen to end, or was last observed.
fn warm_until(figures: &Figures) -> Option<f64> {
    let jobs = figures.tally.warmups.iter().filter_map(|entry| entry.job.as_ref());
    jobs.filter_map(|job| job.ended_at.or(job.observed_at)).max().map(Timestamp::seconds)
}

impl Reading<'_> {
    /// The means of the histograms with this role. A mean longer than the longest job shows that the unit is wrong.
    fn means(&mut self, role: Role, longest: Option<f64>) -> Option<Means> {
        let parts = [Part::Sum, Part::Count].map(|part| part_of(role, part));
        // A mean of the jobs before a moment is not that of all, and the two may even end at different ones.
        if parts.iter().any(|part| self.is_early(*part)) {
            return None;
        }
        let (sums, counts) = match parts.map(|part| self.growth(part)) {
            [Some(sums), Some(counts)] => (sums, counts.1),
            [Some((name, _)), None] => {
                return self.unusable(format!("no means are computed from {name}: the histogram's count is missing"));
            }
            [None, Some((name, _))] => {
                return self.unusable(format!("no means are computed from {name}: the histogram's sum is missing"));
            }
            [None, None] => return None,
        };
        let (name, sums) = sums;
        let mean = |(stage, count): (String, Growth)| {
            let sum = sums.get(&stage)?.value;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
            let whole = count.value.round() as u64;
            (whole > 0).then(|| (stage, Mean { count: whole, seconds: sum / count.value, error: 0.0 }))
        };
        let means = counts.into_iter().filter_map(mean).take(NAMES).collect();
        let hint = "; if the metric counts milliseconds, set unit = \"ms\" in the profile's query";
        Some(self.drop_impossible(means, &name, hint, longest))
    }

    /// Drops and doubts the means that are longer than the longest job, because no part of a job can take longer.
    fn drop_impossible(&mut self, means: Means, source: &str, hint: &str, longest: Option<f64>) -> Means {
        let Some(longest) = longest else { return means };
        let (possible, impossible): (Means, Means) = means.into_iter().partition(|(_, mean)| mean.seconds <= longest);
        let shown =
            impossible.iter().map(|(stage, mean)| format!("{} {}", start(stage, 80), units::seconds(mean.seconds)));
        if let Some(shown) = any_listed(shown) {
            let longest = units::seconds(longest);
            self.doubt(format!(
                "the means of {source} are longer than the longest job ({longest}) and are not shown: {shown}{hint}"
            ));
        }
        possible
    }

    /// Doubts the spans that have no duration, and so are in no mean.
    fn spans_without_duration(&mut self) {
        let mut without: BTreeMap<String, u64> = BTreeMap::new();
        for Traces { status, .. } in self.fold.of_kind(Kind::Traces) {
            for (stage, count) in status.stages_without_duration {
                *without.entry(stage).or_default() += count;
            }
        }
        if let Some(shown) = any_listed(without.iter().map(|(stage, count)| format!("{count} of {}", start(stage, 80))))
        {
            self.doubt(format!(
                "spans that have no end, or end before they begin, are not counted and are in no mean: {shown}"
            ));
        }
    }

    /// Reads the tenancies of a run that had at most `in_flight` jobs in flight.
    fn tenancies(&mut self, in_flight: f64) {
        let [in_buckets, in_sums] = [Part::Bucket, Part::Sum].map(|part| part_of(Role::ResourceTenancy, part));
        if self.is_early(in_buckets) {
            return;
        }
        let Some(counters) = self.counters(in_buckets) else { return };
        let (record, series) = (&counters.record, counters.with_restarts());
        self.look_for_warmup(record, &series);
        let buckets = counters::bucketed(&series, &record.spec.by, from(record), duration_unit(record));
        self.note(&record.metadata.name, buckets.values().map(|bucketed| &bucketed.growth));
        let sums = if self.is_early(in_sums) { None } else { self.growth(in_sums) };
        for (key, bounds) in buckets {
            let tenant = joined(&key);
            let seconds = sums.as_ref().and_then(|(_, sums)| sums.get(&tenant)).map(|sum| sum.value);
            self.told.tenancies.insert(tenant, Tenancy { seconds, bounds });
        }
        self.drop_impossible_tenancies(record, (count_replicas(&series, &record.spec.by).0 as f64).max(in_flight));
    }

    /// Drops and doubts the tenancies that do not fit into the time of `record`. In the mean none is longer than that, and all of
    /// a tenant's together are no longer than that on each of its GPUs, which are at most `gpus`.
    fn drop_impossible_tenancies(&mut self, record: &Series, gpus: f64) {
        let until = record.spec.end.map_or(to(record), |end| end.seconds().max(to(record)));
        let longest = until - from(record) + record.spec.step_seconds.unwrap_or_default();
        let fits = |tenancy: &Tenancy| {
            let seconds = tenancy.seconds.map_or(tenancy.bounds.low, |seconds| seconds.max(tenancy.bounds.low));
            seconds <= longest * tenancy.bounds.count.min(gpus)
        };
        let all = std::mem::take(&mut self.told.tenancies);
        let (possible, impossible): (BTreeMap<_, _>, BTreeMap<_, _>) = all.into_iter().partition(|(_, it)| fits(it));
        self.told.tenancies = possible;
        let began_before = |tenancy: &Tenancy| tenancy.bounds.count <= gpus;
        self.told.left_out_tenancies = impossible.values().any(began_before);
        let impossible = impossible.iter().filter(|(_, tenancy)| !began_before(tenancy));
        if let Some(tenants) = any_listed(impossible.map(|(tenant, _)| start(tenant, 80))) {
            self.doubt(format!(
                "the tenancies of the GPU by {} do not fit into the {} of the window and \
                 are not shown: {tenants}; if the metric counts milliseconds, set unit = \"ms\" in the profile's query; the other possible cause is a tenancy that began long before the window",
                record.metadata.name,
                units::seconds(longest)
            ));
        }
    }

    fn transitions(&mut self) {
        // The sum of all transitions needs every one of them.
        let Some(counters) = self.counters(whole_of(Role::Transitions)).filter(|counters| counters.is_whole) else {
            return;
        };
        let (record, series) = (&counters.record, counters.with_restarts());
        let grown = counters::growth(&series, &record.spec.by, from(record), None);
        self.note(&record.metadata.name, grown.values());
        self.told.transitions = grown.into_iter().map(|(key, growth)| (joined(&key), growth.value)).collect();
        let labelled: Vec<_> = series.into_iter().filter(|one| one.key(&record.spec.by).is_some()).collect();
        self.told.transitions_within = counters::growth_bounds(&labelled, from(record), surely_inside(record));
        self.told.sampled.take_passings(record, &counters.series, joined);
    }

    fn throttling(&mut self) {
        if let Some((_, grown)) = self.growth(whole_of(Role::Throttling)) {
            self.told.throttled = grown.into_iter().take(NAMES).map(|(pod, growth)| (pod, growth.value)).collect();
        }
    }

    fn depths(&mut self) {
        let Some((record, series)) = self.series(whole_of(Role::QueueDepth)) else { return };
        let (by, from, to) = (&record.spec.by, from(&record), to(&record));
        let samples = self.samples(&record);
        // A point that was evaluated may repeat a sample from before the window.
        let is_sampled = |key: &[String]| {
            let is_inside = |one: &counters::Series| one.points.iter().any(|(at, _)| (from..=to).contains(at));
            let of_key = |one: &&counters::Series| one.key(by).is_some_and(|held| held == key);
            samples.as_ref().is_none_or(|samples| samples.iter().filter(of_key).any(is_inside))
        };
        let is_scraped = samples.is_some();
        let (added_up, mut remarks) = gauges::add_up_nodes(&series, by);
        self.told.sampled.take_queues(&record, &added_up, joined);
        let highest = gauges::highest(&added_up, by, from, to);
        for (key, (at, ready)) in highest.into_iter().filter(|(key, _)| is_sampled(key)) {
            let density = gauges::density(&series, by, &key, from, to);
            if let Some((at, density)) = Timestamp::from_seconds(at).zip(density) {
                let remark = remarks.remove(&key);
                self.told.depths.insert(joined(&key), Depth { ready, at, density, is_scraped, remark });
            }
        }
        if self.told.depths.is_empty() {
            self.doubt("no queue's depth was sampled in the window".to_owned());
        }
    }
}

/// The time in seconds from the submission to the end of the longest job, or as long as it is known to have run. None if a job may have
/// run on unseen.
fn longest_job(figures: &Figures) -> Option<f64> {
    let mut entries = figures.tally.entries.iter().chain(&figures.tally.warmups);
    if entries.clone().any(|entry| entry.outcome == Outcome::Unfinished) {
        return None;
    }
    let jobs = entries.by_ref().filter_map(|entry| entry.job.as_ref());
    let lengths = jobs.filter_map(|job| Some(job.ended_at.or(job.observed_at)?.since(job.submitted_at?)));
    lengths.reduce(f64::max)
}
