//! Jobs in flight: the span of each, and how many there are at each moment.

use super::clock_skew::shortest;
use super::job_facts::JobFacts;
use super::outcome::Outcome;
use super::tally::{JobEntry, JobTally};
use super::time_interval::TimeInterval;
use crate::record::{Reason, Timestamp};

/// The last moment at which anything is known of a job.
pub(super) fn last_heard(entry: &JobEntry) -> Option<Timestamp> {
    let job = entry.job.as_ref()?;
    let times = [job.ended_at, job.not_ended_at, job.accepted_at, job.submitted_at, job.observed_at];
    times.into_iter().flatten().max()
}

/// The span in which each submitted job was in flight; `part` picks the best, lowest or highest estimate of its end.
pub(super) fn in_flight(tally: &JobTally, part: fn(TimeInterval) -> Timestamp) -> Vec<(Timestamp, Timestamp)> {
    in_flight_from(tally, &mut tally.entries.iter(), |job| job.submitted_at, part)
}

/// As [`in_flight`], but only for `entries`, each from its time `start`.
pub(super) fn in_flight_from(
    tally: &JobTally,
    entries: &mut dyn Iterator<Item = &JobEntry>,
    start: fn(&JobFacts) -> Option<Timestamp>,
    part: fn(TimeInterval) -> Timestamp,
) -> Vec<(Timestamp, Timestamp)> {
    // A job without a known end was in flight until the last observation of any job.
    let last = tally.entries.iter().filter_map(last_heard).max();
    let spans = entries.filter_map(|entry| {
        let job = entry.job.as_ref()?;
        let start = job.submitted_at.and(start(job))?;
        if entry.outcome == Outcome::Rejected {
            // A job that the target refused put no load on its pipeline.
            return None;
        }
        let is_collapsed = entry.reason == Some(Reason::Collapsed);
        let end = entry.times.end.map(part).or(job.ended_at);
        let end = end.or(if is_collapsed { job.accepted_at.or(Some(start)) } else { None });
        let end = end.or(if job.phase.is_terminal() { job.observed_at } else { None }).or(last)?;
        // A span lasts at least 1 µs: one of no length would not count in the peak, and one that ended before it began would
        // underflow in `Level::of`.
        Some((start, end.max(Timestamp::from_micros(start.micros().saturating_add(1)))))
    });
    spans.collect()
}

pub(super) fn surely_in_flight(tally: &JobTally, skew: f64) -> Option<(Timestamp, u64)> {
    let spans = tally.entries.iter().filter_map(|entry| {
        let job = entry.job.as_ref()?;
        // A collapsed job got the id of another job, which counts already.
        let ran = entry.outcome != Outcome::Rejected && entry.reason != Some(Reason::Collapsed);
        job.accepted_at.zip(job.not_ended_at).filter(|(accepted, seen)| ran && seen > accepted)
    });
    let level = Level::of(&shortest(spans.collect(), skew));
    // On a tie, take the first.
    level.steps().into_iter().rev().max_by_key(|step| step.1)
}

/// The number of jobs in flight from each moment on, in microseconds.
pub(super) struct Level(Vec<(i64, u64)>);

impl Level {
    pub(super) fn of(spans: &[(Timestamp, Timestamp)]) -> Self {
        let mut starts: Vec<i64> = spans.iter().map(|span| span.0.micros()).collect();
        let mut ends: Vec<i64> = spans.iter().map(|span| span.1.micros()).collect();
        starts.sort_unstable();
        ends.sort_unstable();
        let mut moments: Vec<i64> = starts.iter().chain(&ends).copied().collect();
        moments.sort_unstable();
        moments.dedup();
        let (mut begun, mut ended) = (0, 0);
        let level = |moment: i64| {
            begun += starts[begun..].partition_point(|start| *start <= moment);
            ended += ends[ended..].partition_point(|end| *end <= moment);
            (moment, (begun - ended) as u64)
        };
        Self(moments.into_iter().map(level).collect())
    }

    /// The moments at which the level changes, with the level from then on.
    pub(super) fn steps(&self) -> Vec<(Timestamp, u64)> {
        self.0.iter().map(|(at, level)| (Timestamp::from_micros(*at), *level)).collect()
    }

    /// The time-weighted mean level from `from` to `to`; none if no time passes.
    pub(super) fn mean(&self, from: i64, to: i64) -> Option<f64> {
        let length = to.checked_sub(from).filter(|length| *length > 0)?;
        Some(self.area(from, to) / length as f64)
    }

    /// The sum of the levels from `from` to `to`, each times the microseconds that it lasted.
    pub(super) fn area(&self, from: i64, to: i64) -> f64 {
        let mut area = 0.0;
        for (index, (start, level)) in self.0.iter().enumerate() {
            let end = self.0.get(index + 1).map_or(i64::MAX, |next| next.0);
            let (start, end) = ((*start).max(from), end.min(to));
            if end > start {
                area += (end - start) as f64 * *level as f64;
            }
        }
        area
    }

    /// The highest level from `from` on and before `to`, including the level at `from`.
    pub(super) fn peak(&self, from: i64, to: i64) -> u64 {
        let before = self.0.partition_point(|step| step.0 <= from).saturating_sub(1);
        self.0[before..].iter().take_while(|step| step.0 < to).map(|step| step.1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_weighted_with_time() {
        let at = |seconds: f64| Timestamp::from_seconds(1e9 + seconds).unwrap();
        let micros = |seconds: f64| at(seconds).micros();
        // One job from 0 to 10, a second from 5 to 10, a third that begins when both end.
        let level = Level::of(&[(at(0.0), at(10.0)), (at(5.0), at(10.0)), (at(10.0), at(12.0))]);
        assert_eq!(level.peak(i64::MIN, i64::MAX), 2, "an end frees its place before the next begins");
        assert_eq!(level.mean(micros(0.0), micros(10.0)), Some(1.5));
        assert_eq!(level.mean(micros(0.0), micros(0.0)), None);
        assert_eq!(level.peak(micros(0.0), micros(5.0)), 1);
        assert_eq!(level.peak(micros(6.0), micros(9.0)), 2);
        assert_eq!(Level::of(&[]).peak(0, 1), 0);
    }
}
