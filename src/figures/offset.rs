//! The distance between the target's clock and the harness's, narrowed by the jobs' own times.
//!
//! What a server says of a job cannot lie outside of the polls around it, so each such time bounds the distance as a `Date`
//! header does. A few jobs whose times contradict the others do not count; see [`AllowedOffsets::narrow`]. Where no offset holds for
//! the whole run, the clock itself has moved; see [`AllowedOffsets::seconds_moved`].

use super::moved_clock::{self, BoundAt, JobBounds};
use crate::record::{ClockOffset, Job, Phase, ServerTimes, StagePhase, Timestamp};
use crate::statistics::Bounds;

/// An offset that is known this well is left as it is: polls that are paced by a job's age seldom know an end better.
const WELL_KNOWN: f64 = 0.05;

/// A server may renew its dates this much too late without anybody's notice, in seconds.
const LATE_DATES: f64 = 0.5;

/// Two clocks on one host differ by this much, in seconds: a server reads its clock a little before or after the event.
const READING: f64 = 0.005;

/// Some servers note an end this long before their answers show it, in seconds; the clocks of two hosts that differ by less look alike.
const NOTED_EARLY: f64 = 0.1;

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

    /// The seconds by which the clock of most jobs' times is at least behind the one of the `Date` headers, from which `dates` comes;
    /// none if it may be the same one. A date is never ahead of its clock, so the lower bound of `dates` holds. Times that are further
    /// behind than [`Self::narrow`] allows are held against the dates one by one.
    pub fn seconds_behind(&self, dates: Option<ClockOffset>) -> Option<f64> {
        let behind = dates?.bounds().low - agreed(&self.bounds())?.high;
        (NOTED_EARLY + self.margin()..=LATE_DATES).contains(&behind).then_some(behind)
    }

    /// The bounds by each job; none by a job whose times contradict each other.
    fn bounds(&self) -> Vec<Option<Bounds>> {
        let bounds = |job: &JobBounds| Bounds { low: job.least.offset, high: job.most.offset };
        self.each.iter().map(bounds).map(|bounds| Some(bounds).filter(|bounds| bounds.low <= bounds.high)).collect()
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
    /// would leave no majority.
    pub fn narrow(&self, dates: Option<ClockOffset>) -> Option<ClockOffset> {
        if is_well_known(dates) {
            return dates;
        }
        let by_dates = dates.map(|dates| {
            let Bounds { low, high } = dates.bounds();
            Bounds { low: low - LATE_DATES, high: high + LATE_DATES }
        });
        let within = |bounds: Option<Bounds>| match by_dates {
            Some(dates) => bounds?.intersection(dates),
            None => bounds,
        };
        let each: Vec<Option<Bounds>> = self.bounds().into_iter().map(within).collect();
        let margin = self.margin();
        let widened = |agreed: Bounds| Bounds { low: agreed.low - margin, high: agreed.high + margin };
        agreed(&each).map(widened).map(ClockOffset::from_bounds).or(dates)
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
        let most = BoundAt { at, offset: time.since(low) + resolution };
        let least = BoundAt { at, offset: time.since(high) - resolution };
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
        cut(started_at, resolution, seen.not_started_at.unwrap_or(submitted), started_by, started_by);
        if matches!(stage.phase, StagePhase::Done | StagePhase::Failed) {
            let ended_by = seen.ended_at.unwrap_or(known_until);
            cut(ended_at, resolution, seen.not_ended_at.unwrap_or(submitted), ended_by, ended_by);
        }
    }
    found
}

/// The bounds on which the jobs agree; none where no majority does.
fn agreed(each: &[Option<Bounds>]) -> Option<Bounds> {
    let known: Vec<Bounds> = each.iter().copied().flatten().collect();
    let sorted = |part: fn(&Bounds) -> f64| {
        let mut ends: Vec<f64> = known.iter().map(part).collect();
        ends.sort_by(f64::total_cmp);
        ends
    };
    let (lows, highs) = (sorted(|bounds| bounds.low), sorted(|bounds| bounds.high));
    let covered =
        |at: f64| lows.partition_point(|low| *low <= at).saturating_sub(highs.partition_point(|high| *high < at));
    // The cover changes only at an end, so the first and the last end with enough cover are the bounds.
    let mut cover: Vec<(f64, usize)> = lows.iter().chain(&highs).map(|end| (*end, covered(*end))).collect();
    cover.sort_by(|one, other| one.0.total_cmp(&other.0));
    let counted = cover.iter().map(|(_, here)| *here).max().unwrap_or_default();
    let apart = each.len() - counted;
    let enough = counted.checked_sub(apart).filter(|enough| *enough > 0 && 2 * counted > each.len())?;
    let mut within = cover.iter().filter(|(_, here)| *here >= enough).map(|(end, _)| *end);
    let low = within.next()?;
    Some(Bounds { low, high: within.next_back().unwrap_or(low) })
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

    #[test]
    fn times_of_a_clock_behind_the_one_of_the_dates_are_recognised() {
        let behind = |offset: f64, dates: (f64, f64)| {
            let mut allowed = AllowedOffsets::default();
            (0..6).for_each(|n| allowed.add(&job(offset, f64::from(n), 6.0, 0.05, 1e-6)));
            allowed.seconds_behind(Some(ClockOffset::from_bounds(Bounds { low: dates.0, high: dates.1 })))
        };
        let found = behind(-0.4, (-0.01, 1.2)).unwrap();
        assert!((0.3..=0.4).contains(&found), "{found}");
        // Dates that are old say nothing of a clock that is ahead, and a clock that is one with theirs is within their bounds.
        for (offset, dates) in [
            (0.4, (-0.01, 1.2)),
            (0.0, (-0.01, 1.2)),
            (-0.1, (-0.01, 1.2)),
            (-0.4, (-1.0, 1.2)),
            (-3600.0, (-0.01, 1.2)),
        ] {
            assert_eq!(behind(offset, dates), None, "{offset} {dates:?}");
        }
        assert_eq!(AllowedOffsets::default().seconds_behind(None), None);
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
