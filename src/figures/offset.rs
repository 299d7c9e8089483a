//! The distance between the target's clock and the harness's, narrowed by the jobs' own times.
//!
//! What a server says of a job cannot lie outside of the polls around it, so each such time bounds the distance as a `Date`
//! header does. A few jobs whose times contradict the others do not count; see [`AllowedOffsets::narrow`]. Where no offset holds for
//! the whole run, the clock itself has moved; see [`AllowedOffsets::seconds_moved`].

use super::agreement::agreed;
use super::host_clocks::{self, HostClocks};
use super::moved_clock::{self, BoundAt, JobBounds};
use crate::record::{ClockOffset, Job, Phase, ServerTimes, StagePhase, Timestamp};
use crate::statistics::Bounds;

/// An offset that is known this well is left as it is: polls that are paced by a job's age seldom know an end better.
const WELL_KNOWN: f64 = 0.05;

/// A server may renew its dates this much too late without anybody's notice, in seconds.
const LATE_DATES: f64 = 0.5;

/// Two clocks on one host differ by this much, in seconds: a server reads its clock a little before or after the event.
const READING: f64 = 0.005;

/// Two clocks drift apart by this many seconds a second: a wall clock that NTP corrects against one that is not.
const DRIFT: f64 = 1e-4;

fn is_well_known(dates: Option<ClockOffset>) -> bool {
    dates.is_some_and(|offset| offset.bound_seconds <= WELL_KNOWN)
}

/// The offsets that the times of jobs allow, for jobs that come one by one.
#[derive(Clone, Debug, Default)]
pub struct AllowedOffsets {
    /// Those of each job, with the moments at which they hold.
    each: Vec<JobBounds>,
    /// The first and the last submission.
    submitted: Option<(Timestamp, Timestamp)>,
}

impl AllowedOffsets {
    /// Takes one more job into account.
    pub fn add(&mut self, job: &Job) {
        self.each.extend(bounds_of(job));
        if let Some(at) = job.status.submitted_at {
            let (first, last) = self.submitted.unwrap_or((at, at));
            self.submitted = Some((first.min(at), last.max(at)));
        }
    }

    /// A lower bound on how far the target's clock moved while the jobs ran, in seconds; none if nothing shows that it did.
    /// The clocks of the hosts that saw the jobs differ by up to `skew` seconds.
    pub fn seconds_moved(&self, skew: f64) -> Option<f64> {
        moved_clock::seconds_moved(&self.each, 2.0 * self.margin() + skew)
    }

    /// The difference between the clocks that the jobs' times come from, if there are several. `dates` is the offset that `Date` headers
    /// gave: a date is never ahead of its clock, so its lower bound holds.
    pub fn host_clocks(&self, dates: Option<ClockOffset>, skew: f64) -> Option<HostClocks> {
        host_clocks::find(&self.each, dates.map(|dates| dates.bounds().low), 2.0 * self.margin() + skew)
    }

    /// Two clocks that agree differ by up to this many seconds in the course of the run.
    fn margin(&self) -> f64 {
        READING + DRIFT * self.submitted.map_or(0.0, |(first, last)| last.since(first))
    }

    /// Narrows `dates`, the offset that `Date` headers gave, by the times of the jobs, all of which were seen by one host. Where
    /// both know something, the jobs know more: their times are the ones that the offset is for.
    ///
    /// Where all jobs agree, the bounds are cut with those of every job. Where some lie apart, as many as are seen to do so may
    /// do so unseen: then the bounds hold every offset that all but twice as many jobs allow. Nothing is narrowed where that
    /// would leave no majority, or contradict the dates' lower bound.
    pub fn narrow(&self, dates: Option<ClockOffset>) -> Option<ClockOffset> {
        if is_well_known(dates) {
            return dates;
        }
        let margin = self.margin();
        let by_dates = dates.map(|dates| {
            let Bounds { low, high } = dates.bounds();
            Bounds { low: low - LATE_DATES, high: high + LATE_DATES }
        });
        let within = |bounds: Bounds| by_dates.map_or(Some(bounds), |dates| bounds.intersection(dates));
        let each: Vec<Bounds> = self.each.iter().filter_map(|job| within(job.allowed()?)).collect();
        let enough = |counted: usize| {
            let apart = self.each.len() - counted;
            counted.checked_sub(apart).filter(|enough| *enough > 0)
        };
        let widened = |agreed: Bounds| Bounds { low: agreed.low - margin, high: agreed.high + margin };
        // No date is ahead of its clock.
        let is_possible = |found: &Bounds| dates.is_none_or(|dates| found.high >= dates.bounds().low);
        agreed(&each, enough).map(widened).filter(is_possible).map(ClockOffset::from_bounds).or(dates)
    }
}

/// The bounds of the offset that one job's times allow; none of a job without times.
fn bounds_of(job: &Job) -> Option<JobBounds> {
    let status = &job.status;
    let submitted = status.submitted_at?;
    let known_until = status.ended_at.or(status.observed_at)?;
    let mut found: Option<JobBounds> = None;
    let mut cut = |time: Option<Timestamp>, resolution: f64, low: Timestamp, high: Timestamp, about: Timestamp| {
        let Some(time) = time else { return };
        // Most servers cut coarse times; some round them, up or to the nearest.
        let at = f64::midpoint(low.seconds(), about.seconds());
        let width = high.since(low) + 2.0 * resolution;
        let most = BoundAt { at, offset: time.since(low) + resolution, width };
        let least = BoundAt { at, offset: time.since(high) - resolution, width };
        found = Some(found.map_or(JobBounds { most, least }, |held| JobBounds {
            most: if most.offset < held.most.offset { most } else { held.most },
            least: if least.offset > held.least.offset { least } else { held.least },
        }));
    };
    // A job is queued about when its submission is answered, although nothing but its end bounds that.
    let arrived = status.accepted_at.unwrap_or(submitted);
    let times = status.server_times.unwrap_or_default();
    let resolution = times.resolution_seconds.unwrap_or_default();
    cut(times.queued_at, resolution, submitted, known_until, arrived);
    let seen_started = status.started_at.unwrap_or(known_until);
    cut(times.started_at, resolution, submitted, known_until, seen_started);
    if matches!(status.phase, Phase::Succeeded | Phase::Failed)
        && let Some(seen) = status.ended_at
    {
        let not_ended = status.not_ended_at.unwrap_or(submitted);
        cut(times.ended_at, resolution, not_ended.min(seen), seen, seen);
    }
    for stage in &status.stages {
        let ServerTimes { queued_at, started_at, ended_at, resolution_seconds } = stage.server_times();
        let (resolution, seen) = (resolution_seconds.unwrap_or_default(), stage.sightings().unwrap_or_default());
        let started_by = seen.started_at.unwrap_or(known_until);
        cut(queued_at, resolution, submitted, known_until, started_by);
        // Polls saw the first attempt start, and a server that counts them gives the start of the last one.
        let first = stage.attempt.is_none_or(|attempt| attempt <= 1);
        let (earliest, latest) = if first { (seen.not_started_at, started_by) } else { (None, known_until) };
        cut(started_at, resolution, earliest.unwrap_or(submitted), latest, started_by);
        if matches!(stage.phase, StagePhase::Done | StagePhase::Failed) {
            let ended_by = seen.ended_at.unwrap_or(known_until);
            cut(ended_at, resolution, seen.not_ended_at.unwrap_or(submitted), ended_by, ended_by);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::time_interval::TimeInterval;
    use super::*;

    fn job(offset: f64, submitted: f64, length: f64, late: f64, resolution: f64) -> Job {
        rounded_job(offset, submitted, length, late, resolution, f64::floor)
    }

    fn rounded_job(offset: f64, submitted: f64, length: f64, late: f64, resolution: f64, round: fn(f64) -> f64) -> Job {
        let at = |seconds: f64| Timestamp::from_seconds(1.8e9 + seconds).unwrap();
        let told = |seconds: f64| {
            let whole = round((1.8e9 + seconds + offset) / resolution) * resolution;
            Timestamp::from_seconds(whole).unwrap()
        };
        let end = submitted + length;
        let mut job = Job::default();
        job.status.phase = Phase::Succeeded;
        job.status.submitted_at = Some(at(submitted));
        job.status.accepted_at = Some(at(submitted + 0.01));
        job.status.not_ended_at = Some(at((end - 0.2).max(submitted)));
        job.status.ended_at = Some(at(end + late));
        job.status.server_times = Some(ServerTimes {
            queued_at: Some(told(submitted + 0.001)),
            ended_at: Some(told(end)),
            resolution_seconds: Some(resolution),
            ..ServerTimes::default()
        });
        job
    }

    fn found(jobs: &[Job], dates: Option<(f64, f64)>) -> Option<Bounds> {
        let dates = dates.map(|(low, high)| ClockOffset::from_bounds(Bounds { low, high }));
        let mut allowed = AllowedOffsets::default();
        for job in jobs {
            allowed.add(job);
        }
        allowed.narrow(dates).map(ClockOffset::bounds)
    }

    #[test]
    fn jobs_narrow_what_dates_left_open() {
        let jobs = [job(0.3, 0.0, 6.0, 0.1, 1e-6), job(0.3, 1.0, 6.0, 0.02, 1e-6)];
        let bounds = found(&jobs, Some((-0.7, 1.3))).unwrap();
        assert!(bounds.low <= 0.3 && 0.3 <= bounds.high && bounds.high - bounds.low < 0.05, "{bounds:?}");
        assert!(found(&jobs, None).is_some(), "jobs tell it without dates as well");
    }

    #[test]
    fn jobs_that_contradict_the_dates_or_the_others_do_not_count() {
        let mut jobs: Vec<Job> = (0..5).map(|n| job(0.0, f64::from(n), 6.0, 0.05, 1e-6)).collect();
        jobs.push(job(3600.0, 5.0, 6.0, 0.05, 1e-6));
        let bounds = found(&jobs, Some((-1.0, 1.0))).unwrap();
        assert!(bounds.low <= 0.0 && 0.0 <= bounds.high && bounds.high - bounds.low < 1.0, "{bounds:?}");
        let apart = [job(0.0, 0.0, 6.0, 0.05, 1e-6), job(3600.0, 0.0, 6.0, 0.05, 1e-6)];
        assert_eq!(found(&apart, None), None, "one against one is no majority");
        assert_eq!(found(&apart[1..], Some((-1.0, 1.0))), Some(Bounds { low: -1.0, high: 1.0 }));
        assert_eq!(found(&[], None), None);
    }

    proptest! {
        #[test]
        fn the_truth_lies_within_the_bounds(
            offset in -1000.0..1000.0f64,
            jobs in prop::collection::vec((0.0..100.0f64, 0.5..20.0f64, 0.0..0.5f64), 1..30),
            resolution in prop::sample::select(vec![1.0, 0.1, 1e-3, 1e-6]),
            round in prop::sample::select(vec![f64::floor as fn(f64) -> f64, f64::round, f64::ceil]),
        ) {
            let told: Vec<Job> = jobs
                .iter()
                .map(|(start, length, late)| rounded_job(offset, *start, *length, *late, resolution, round))
                .collect();
            let bounds = found(&told, None).unwrap();
            prop_assert!(bounds.low - 1e-5 <= offset && offset <= bounds.high + 1e-5, "{offset} {bounds:?}");
            for (job, (start, length, _)) in told.iter().zip(jobs) {
                let told = job.status.server_times.unwrap().ended_at.unwrap();
                let held = TimeInterval::from_server(told, resolution, ClockOffset::from_bounds(bounds));
                let end = Timestamp::from_seconds(1.8e9 + start + length).unwrap();
                prop_assert!(held.low.since(end) < 1e-5 && end.since(held.high) < 1e-5, "{end} {held:?}");
            }
        }
    }
}
