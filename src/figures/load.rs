//! Requested load against reached load: jobs in flight over time, the schedule's lag, jobs per minute.

use std::collections::BTreeMap;

use super::clock_skew::{longest, shortest};
use super::distribution::{Distribution, Measured, quantile};
use super::in_flight::{Level, in_flight, in_flight_from, last_heard, surely_in_flight};
use super::job_facts::JobFacts;
use super::names::{self, NamedFigures};
use super::outcome::Outcome;
use super::run_plan::RunPlan;
use super::tally::{JobEntry, JobTally};
use super::time_interval::TimeInterval;
use crate::record::{RunSpec, Timestamp, WholeLoad};
use crate::statistics::Bounds;

/// The window is cut into equal slices, one for every so many jobs.
const JOBS_PER_SLICE: usize = 5;
/// The smallest and the largest number of slices.
const SLICES: (i64, i64) = (12, 30);

/// The load that the run was asked to generate; sums over its shards.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// Number of jobs.
    pub jobs: u64,
    /// Closed model: how many may be in flight.
    pub concurrency: Option<u64>,
    /// Burst: how many submissions may be under way.
    pub max_posts: Option<u64>,
    /// Open model: submissions a second.
    pub rate_per_second: Option<f64>,
}

impl Asked {
    /// Returns the largest number of jobs that can be in flight: fewer jobs than a level's concurrency cannot reach it.
    pub fn reachable(&self) -> Option<u64> {
        self.concurrency.map(|concurrency| concurrency.min(self.jobs))
    }
}

/// A part of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// Its start.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Jobs in flight, averaged over its time.
    pub mean: f64,
    /// The most that were in flight at once.
    pub peak: u64,
    /// Number of jobs that succeeded in it, each at the best estimate of its end.
    pub succeeded: u64,
    /// Number of jobs that ended otherwise in it, or were given up.
    pub not_succeeded: u64,
    /// End to end, the median of those that succeeded in it.
    pub end_to_end: Option<Measured>,
}

impl Slice {
    /// Its length in seconds.
    pub fn seconds(&self) -> f64 {
        self.to.since(self.from)
    }

    /// Jobs that succeeded, a minute.
    pub fn jobs_per_minute(&self) -> f64 {
        self.succeeded as f64 * 60.0 / self.seconds()
    }
}

/// The lag of an open model's schedule, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lag {
    /// The median.
    pub p50: f64,
    /// The largest.
    pub max: f64,
}

/// The load that was requested and the load that was reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// The requested load.
    pub asked: Asked,
    /// The most jobs in flight at once.
    pub peak: u64,
    /// Bounds of `peak`: an end is known only as well as the polls saw it, and some jobs may have no record.
    pub peak_within: Bounds,
    /// Bounds of `mean_while_submitting`, for the same reasons; none if jobs have no record.
    pub mean_within: Option<Bounds>,
    /// The most jobs that were certainly in flight at once, and when: each between its acceptance and its last poll that saw it
    /// waiting or running.
    pub surely_in_flight: Option<(Timestamp, u64)>,
    /// Jobs in flight, averaged over the time from the first submission to the last.
    pub mean_while_submitting: Option<f64>,
    /// The first `submittedAt`.
    pub first_submitted: Option<Timestamp>,
    /// The last `submittedAt`.
    pub last_submitted: Option<Timestamp>,
    /// The last end that was seen.
    pub last_end: Option<Timestamp>,
    /// The last end lies between these two.
    pub last_end_bounds: Option<(Timestamp, Timestamp)>,
    /// Steps of the number of jobs in flight: the time of each change, and the number from then on.
    pub levels: Vec<(Timestamp, u64)>,
    /// The load over time.
    pub slices: Vec<Slice>,
    /// The lag of the schedule.
    pub lag: Option<Lag>,
    /// Submissions a second that were reached.
    pub rate_reached: Option<f64>,
    /// Bounds of `rate_reached`, if submissions were timed by the clocks of several hosts.
    pub rate_within: Option<Bounds>,
    /// The largest distance between those clocks in seconds; infinite if it is not known.
    pub clock_skew_seconds: f64,
    /// Number of jobs that succeeded.
    pub succeeded: u64,
    /// Bounds of the jobs that succeeded per second; none if the window is not known.
    pub succeeded_per_second: Option<Bounds>,
    /// Number of jobs without a known end: each may have succeeded, and may have kept the window open.
    pub open: u64,
}

impl Load {
    /// Computes the load from the jobs of `tally`.
    pub fn compute(tally: &JobTally) -> Self {
        let mut load = Self {
            asked: asked(tally),
            succeeded: tally.conservation.succeeded,
            clock_skew_seconds: tally.clock_skew_seconds(),
            ..Self::default()
        };
        let jobs = || tally.entries.iter().filter_map(|entry| entry.job.as_ref());
        let submitted = || jobs().filter_map(|job| job.submitted_at);
        (load.first_submitted, load.last_submitted) = (submitted().min(), submitted().max());
        let last = |part: fn(&TimeInterval) -> Timestamp| {
            tally.entries.iter().filter_map(|entry| entry.times.end.as_ref()).map(part).max()
        };
        load.last_end = last(|end| end.at);
        load.last_end_bounds = last(|end| end.low).zip(last(|end| end.high));
        load.find_rate(submitted().count());
        let mut lags: Vec<f64> = tally.entries.iter().filter_map(JobEntry::lag_seconds).collect();
        lags.sort_by(f64::total_cmp);
        load.lag = quantile(&lags, 0.5).zip(lags.last().copied()).map(|(p50, max)| Lag { p50, max });
        load.find_concurrency(&in_flight(tally, |end| end.at));
        load.count_ends(tally);
        load.surely_in_flight = surely_in_flight(tally, load.clock_skew_seconds);
        load.find_bounds(tally);
        load
    }

    /// From the first submission to the last end, in seconds.
    pub fn window_seconds(&self) -> Option<f64> {
        self.last_end.zip(self.first_submitted).map(|(end, start)| end.since(start)).filter(|seconds| *seconds > 0.0)
    }

    /// Bounds of [`Self::window_seconds`], in seconds; none where that is none.
    fn window_bounds(&self) -> Option<Bounds> {
        let (start, (low, high)) = self.first_submitted.zip(self.last_end_bounds)?;
        let skew = self.clock_skew_seconds;
        let bounds = Bounds { low: (low.since(start) - skew).max(0.0), high: high.since(start) + skew };
        self.window_seconds().map(|_| bounds)
    }

    /// Jobs that succeeded, a minute, over the window.
    pub fn jobs_per_minute(&self) -> Option<f64> {
        self.window_seconds().map(|seconds| self.succeeded as f64 * 60.0 / seconds)
    }

    /// Bounds of [`Self::jobs_per_minute`].
    pub fn jobs_per_minute_within(&self) -> Option<Bounds> {
        self.succeeded_per_second.map(|bounds| bounds.scaled(60.0))
    }

    /// The mean in flight while jobs were submitted, where it means something: in a burst, or with no more jobs than slots, it
    /// only reflects how long submitting took.
    pub fn mean_reported(&self) -> Option<f64> {
        let Asked { jobs, concurrency, rate_per_second, .. } = self.asked;
        let filled = concurrency.is_some_and(|slots| jobs > slots) || rate_per_second.is_some();
        let comparable = self.clock_skew_seconds <= 0.0 || self.mean_within.is_some();
        self.mean_while_submitting.filter(|_| filled && comparable)
    }

    /// Submissions per second, for an open model or a burst: in a closed model, the ends of jobs set the rate.
    pub fn rate_reported(&self) -> Option<f64> {
        self.rate_reached.filter(|_| self.asked.concurrency.is_none())
    }

    /// Adds the figures of the load.
    pub(super) fn put_into(&self, figures: &mut NamedFigures) {
        let (rate, window) = (self.jobs_per_minute_within(), self.window_bounds());
        figures.put(&names::JOBS_PER_MINUTE, self.jobs_per_minute());
        figures.put(&names::JOBS_PER_MINUTE_LOW, rate.map(|bounds| bounds.low));
        figures.put(&names::JOBS_PER_MINUTE_HIGH, rate.map(|bounds| bounds.high));
        figures.put(&names::WINDOW_SECONDS, self.window_seconds());
        figures.put(&names::WINDOW_LOW_SECONDS, window.map(|bounds| bounds.low));
        figures.put(&names::WINDOW_HIGH_SECONDS, window.map(|bounds| bounds.high));
        let peak = |peak: f64| self.first_submitted.map(|_| peak).filter(|peak| peak.is_finite());
        figures.put(&names::PEAK_CONCURRENCY, peak(self.peak as f64));
        figures.put(&names::PEAK_CONCURRENCY_LOW, peak(self.peak_within.low));
        figures.put(&names::PEAK_CONCURRENCY_HIGH, peak(self.peak_within.high));
        figures.put(&names::MEAN_CONCURRENCY, self.mean_reported());
        figures.put(&names::ASKED_CONCURRENCY, self.asked.concurrency.map(|jobs| jobs as f64));
        figures.put(&names::REACHABLE_CONCURRENCY, self.asked.reachable().map(|jobs| jobs as f64));
        figures.put(&names::ASKED_RATE, self.asked.rate_per_second);
        figures.put(&names::REACHED_RATE, self.rate_reported());
        figures.put(&names::REACHED_RATE_LOW, self.rate_reported().and(self.rate_within).map(|rate| rate.low));
        figures.put(&names::REACHED_RATE_HIGH, self.rate_reported().and(self.rate_within).map(|rate| rate.high));
        figures.put(&names::LAG_MEDIAN_SECONDS, self.lag.map(|lag| lag.p50));
        figures.put(&names::LAG_MAX_SECONDS, self.lag.map(|lag| lag.max));
    }

    fn find_rate(&mut self, submitted: usize) {
        let between = self.last_submitted.zip(self.first_submitted).map(|(last, first)| last.since(first));
        let between = between.filter(|seconds| *seconds > 0.0);
        // n submissions have n - 1 gaps between them.
        let gaps = submitted.saturating_sub(1) as f64;
        let skew = self.clock_skew_seconds;
        self.rate_reached = between.map(|seconds| gaps / seconds);
        self.rate_within = between
            .filter(|_| skew > 0.0)
            .map(|seconds| Bounds { low: gaps / (seconds + skew), high: gaps / (seconds - skew).max(0.0) });
    }

    /// Computes the bounds of the peak, the mean and the success rate. A job without a known end may have succeeded in the
    /// window, or have kept it open indefinitely: giving up on a job does not end it.
    fn find_bounds(&mut self, tally: &JobTally) {
        // If the requested number of jobs is uncertain, there is no upper bound.
        let unlimited = if tally.uncertain.is_some() { f64::INFINITY } else { 0.0 };
        let skew = self.clock_skew_seconds;
        let peak = |spans: &[_]| Level::of(spans).peak(i64::MIN, i64::MAX) as f64;
        let most = peak(&longest(in_flight(tally, |end| end.high), skew));
        // Count from the acceptance: before the answer, the target may not have received the job, or may have finished it.
        let certain_of = |entries: &mut dyn Iterator<Item = &JobEntry>| {
            let start = |job: &JobFacts| job.accepted_at.or(job.submitted_at);
            let mut certain = in_flight_from(tally, entries, start, |end| end.low);
            // Drop the spans that `in_flight_from` stretched to 1 µs: those jobs were not certainly in flight.
            certain.retain(|(start, end)| end.micros() - start.micros() > 1);
            certain
        };
        let missing = tally.entries.iter().filter(|entry| entry.job.is_none()).count() as f64;
        let mut at_least =
            peak(&shortest(certain_of(&mut tally.entries.iter()), skew)).max(if most > 0.0 { 1.0 } else { 0.0 });
        if skew > 0.0 {
            // The jobs of one shard are by one clock.
            at_least = by_shard(tally).map(|mut shard| peak(&certain_of(&mut shard))).fold(at_least, f64::max);
        }
        self.peak_within = Bounds { low: at_least, high: most + missing + unlimited };
        self.mean_within = self.mean_bounds(tally).filter(|_| missing + unlimited == 0.0);
        let entries = || tally.entries.iter();
        let ended = entries().filter_map(|entry| entry.times.end);
        let is_over =
            |entry: &JobEntry| matches!(entry.outcome, Outcome::Succeeded | Outcome::Failed | Outcome::Rejected);
        self.open = entries().filter(|entry| entry.times.end.is_none() && !is_over(entry)).count() as u64;
        let ended_untimed = entries().filter(|entry| entry.times.end.is_none() && is_over(entry));
        let earliest = ended.clone().map(|end| end.low).max();
        let latest = ended.map(|end| end.high).chain(ended_untimed.filter_map(last_heard)).max();
        let unknown = entries().filter(|entry| entry.outcome.is_open());
        let most_succeeded = self.succeeded as f64 + unknown.count() as f64 + unlimited;
        self.succeeded_per_second =
            self.first_submitted.zip(earliest.zip(latest)).filter(|_| self.window_seconds().is_some()).map(
                |(start, (earliest, latest))| Bounds {
                    low: if self.open > 0 || unlimited > 0.0 {
                        0.0
                    } else {
                        self.succeeded as f64 / (latest.since(start) + skew)
                    },
                    high: if earliest.since(start) > skew {
                        most_succeeded / (earliest.since(start) - skew)
                    } else {
                        f64::INFINITY
                    },
                },
            );
    }

    /// Bounds of the mean number of jobs in flight while jobs were submitted.
    fn mean_bounds(&self, tally: &JobTally) -> Option<Bounds> {
        let (first, last) = self.first_submitted.zip(self.last_submitted)?;
        let skew = self.clock_skew_seconds;
        let (length, half) = (last.since(first), skew / 2.0);
        if length <= skew {
            return None;
        }
        let low = shortest(in_flight(tally, |end| end.low), skew);
        let high = longest(in_flight(tally, |end| end.high), skew);
        let low = Level::of(&low).area(first.shifted(half).micros(), last.shifted(-half).micros());
        let high = Level::of(&high).area(first.shifted(-half).micros(), last.shifted(half).micros());
        Some(Bounds { low: low / 1e6 / (length + skew), high: high / 1e6 / (length - skew) })
    }

    fn find_concurrency(&mut self, spans: &[(Timestamp, Timestamp)]) {
        let level = Level::of(spans);
        self.peak = level.peak(i64::MIN, i64::MAX);
        self.levels = level.steps();
        let (Some(first), Some(last)) = (self.first_submitted, self.last_submitted) else { return };
        self.mean_while_submitting = level.mean(first.micros(), last.micros());
        let Some(end) = self.levels.last().map(|step| step.0.micros()) else { return };
        let (start, length) = (first.micros(), end - first.micros());
        let count = i64::try_from(spans.len() / JOBS_PER_SLICE).unwrap_or(i64::MAX).clamp(SLICES.0, SLICES.1);
        let edge = |index: i64| start + length / count * index + length % count * index / count;
        self.slices = (0..count)
            .filter_map(|index| {
                let (from, to) = (edge(index), edge(index + 1));
                Some(Slice {
                    from: Timestamp::from_micros(from),
                    to: Timestamp::from_micros(to),
                    mean: level.mean(from, to)?,
                    peak: level.peak(from, to),
                    succeeded: 0,
                    not_succeeded: 0,
                    end_to_end: None,
                })
            })
            .collect();
    }

    /// Counts in each slice the jobs that ended there. A job outside all slices counts in the nearest one.
    fn count_ends(&mut self, tally: &JobTally) {
        let mut samples: Vec<Vec<Measured>> = vec![Vec::new(); self.slices.len()];
        for entry in &tally.entries {
            let Some(at) = entry.ended_at() else { continue };
            let place = self.slices.partition_point(|slice| slice.from <= at).saturating_sub(1);
            let Some(slice) = self.slices.get_mut(place) else { return };
            if entry.outcome == Outcome::Succeeded {
                slice.succeeded += 1;
                samples[place].extend(entry.times.end_to_end);
            } else {
                slice.not_succeeded += 1;
            }
        }
        for (slice, samples) in self.slices.iter_mut().zip(samples) {
            slice.end_to_end = Distribution::from_samples(&samples).map(|of| of.p50);
        }
    }
}

fn asked(tally: &JobTally) -> Asked {
    // Prefer the whole load that any shard states: a sum of shares would lack those of missing shards.
    let requested = |plan: &RunPlan, part: fn(&WholeLoad) -> Option<u64>, share: fn(&RunSpec) -> Option<u64>| {
        let stated = plan.runs.iter().filter_map(|run| run.spec.whole_load.as_ref().and_then(part)).max();
        stated.or_else(|| plan.runs.iter().filter_map(|run| share(&run.spec)).reduce(u64::saturating_add))
    };
    let sum = |part: fn(&WholeLoad) -> Option<u64>, share: fn(&RunSpec) -> Option<u64>| {
        tally.plans.iter().filter_map(|plan| requested(plan, part, share)).reduce(u64::saturating_add)
    };
    let rates = tally.plans.iter().filter_map(|plan| {
        let wholes = plan.runs.iter().filter_map(|run| run.spec.whole_load?.rate_per_second);
        let sum = || plan.runs.iter().filter_map(|run| run.spec.rate_per_second).reduce(|sum, rate| sum + rate);
        wholes.reduce(f64::max).or_else(sum)
    });
    Asked {
        jobs: tally.conservation.asked,
        concurrency: sum(|whole| whole.concurrency, |spec| spec.concurrency),
        max_posts: sum(|whole| whole.max_posts, |spec| spec.max_posts),
        rate_per_second: rates.reduce(|sum, rate| sum + rate),
    }
}

/// The jobs of each shard.
fn by_shard(tally: &JobTally) -> impl Iterator<Item = impl Iterator<Item = &JobEntry>> {
    let mut shards: BTreeMap<(usize, u64), Vec<&JobEntry>> = BTreeMap::new();
    for entry in &tally.entries {
        if let Some(shard) = tally.shard(entry) {
            shards.entry(shard).or_default().push(entry);
        }
    }
    shards.into_values().map(IntoIterator::into_iter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1e9 + seconds).unwrap()
    }

    #[test]
    fn slices_cover_the_window() {
        let mut load = Load { first_submitted: Some(at(0.0)), last_submitted: Some(at(6.0)), ..Load::default() };
        load.find_concurrency(&[(at(0.0), at(12.0)), (at(6.0), at(12.0))]);
        let levels: Vec<_> = load.slices.iter().map(|slice| (slice.mean, slice.peak)).collect();
        assert_eq!(levels, [[(1.0, 1); 6], [(2.0, 2); 6]].concat());
        assert_eq!(load.mean_while_submitting, Some(1.0));
    }
}
