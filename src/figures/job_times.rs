//! The way of one job: how long its submission, its wait, its run and the whole took.
//!
//! A job's end is known from polls as an interval, and often from the server as a moment of the server's clock. The two
//! are cut with each other, so that no figure claims more than either witness allows.

use super::distribution::Measured;
use crate::record::{ClockOffset, Job, Phase, TimesFrom, Timestamp};

/// A moment by the harness's clock that lies between two others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeInterval {
    /// The best estimate.
    pub at: Timestamp,
    /// Not earlier.
    pub low: Timestamp,
    /// Not later.
    pub high: Timestamp,
}

impl TimeInterval {
    /// A moment of the server's clock, as the harness's clock would have it.
    pub fn from_server(time: Timestamp, offset: ClockOffset) -> Self {
        let at = time.shifted(-offset.seconds);
        Self { at, low: at.shifted(-offset.bound_seconds), high: at.shifted(offset.bound_seconds) }
    }

    /// A moment between two polls; the later one is what was seen.
    pub fn between_polls(not_before: Timestamp, seen: Timestamp) -> Self {
        Self { at: seen, low: not_before.min(seen), high: seen }
    }

    /// What both allow; none where they contradict each other.
    pub fn cut(self, other: Self) -> Option<Self> {
        let (low, high) = (self.low.max(other.low), self.high.min(other.high));
        (low <= high).then(|| Self { at: self.at.max(low).min(high), low, high })
    }

    /// From a known moment to this one.
    pub fn since(self, start: Timestamp) -> Measured {
        Measured::within(self.at.since(start), self.low.since(start), self.high.since(start))
    }

    /// From another uncertain moment to this one.
    pub fn after(self, start: Self) -> Measured {
        Measured::within(self.at.since(start.at), self.low.since(start.high), self.high.since(start.low))
    }

    fn uncertainty(self) -> f64 {
        self.high.since(self.low)
    }
}

/// How long each part of a job's way took. Absent means that nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JobTimes {
    /// The POST, from sending to answer.
    pub submit_seconds: Option<f64>,
    /// From the answer, or the server's own queueing, to the start of work.
    pub queue: Option<Measured>,
    /// From the start of work to the end.
    pub run: Option<Measured>,
    /// From `dueAt`, or else `submittedAt`, to the end.
    pub end_to_end: Option<Measured>,
    /// When it ended.
    pub end: Option<TimeInterval>,
    /// How late after `dueAt` it was submitted.
    pub lag_seconds: Option<f64>,
    /// The server's end lies outside of what the polls saw.
    pub contradicted: bool,
    /// It ended before it began, by one of the clocks.
    pub backwards: bool,
}

impl JobTimes {
    /// The way of `job`, whose target's clock is `offset` from the harness's.
    pub fn compute(job: &Job, offset: Option<ClockOffset>) -> Self {
        let status = &job.status;
        let mut journey = Self {
            submit_seconds: difference(status.submitted_at, status.accepted_at).filter(|seconds| *seconds >= 0.0),
            lag_seconds: difference(status.due_at, status.submitted_at),
            ..Self::default()
        };
        // Only these two ends were seen; a job that was given up has none.
        let ended = matches!(status.phase, Phase::Succeeded | Phase::Failed);
        if ended {
            journey.find_end(job, offset);
        }
        let begun = status.due_at.or(status.submitted_at);
        journey.end_to_end = match (begun, journey.end) {
            (Some(begun), Some(end)) => Some(end.since(begun)),
            // A record made by hand, or by another tool, may state the duration alone.
            _ => status.duration_seconds.filter(|_| ended).map(|seconds| {
                Measured::within(seconds, seconds - status.duration_error_seconds.unwrap_or_default(), seconds)
            }),
        };
        if journey.end_to_end.is_some_and(|whole| whole.high < 0.0) {
            journey.backwards = true;
            journey.end_to_end = None;
        }
        journey.end_to_end = journey.end_to_end.map(not_negative);
        journey.find_parts(job, offset);
        journey
    }

    fn find_end(&mut self, job: &Job, offset: Option<ClockOffset>) {
        let status = &job.status;
        let earliest = status.not_ended_at.or(status.accepted_at).or(status.submitted_at);
        let by_polls = status.ended_at.map(|seen| TimeInterval::between_polls(earliest.unwrap_or(seen), seen));
        let told = status.server_times.and_then(|times| times.ended_at);
        let by_server = told.zip(offset).map(|(time, offset)| TimeInterval::from_server(time, offset));
        self.end = match (by_polls, by_server) {
            (Some(polls), Some(server)) => match server.cut(polls) {
                Some(both) if both.uncertainty() < polls.uncertainty() => Some(both),
                Some(_) => Some(polls),
                None => {
                    self.contradicted = true;
                    Some(polls)
                }
            },
            (polls, server) => polls.or(server),
        };
    }

    fn find_parts(&mut self, job: &Job, offset: Option<ClockOffset>) {
        let status = &job.status;
        let of_stages = |whose: TimesFrom| {
            let stages = status.stages.iter().filter(move |stage| stage.times_from == Some(whose));
            stages.filter(|stage| stage.started_at.is_some()).min_by_key(|stage| stage.started_at)
        };
        let server = status.server_times.unwrap_or_default();
        let started = server.started_at.or_else(|| of_stages(TimesFrom::Server).and_then(|stage| stage.started_at));
        if let Some(started) = started {
            let queued = server.queued_at.map(|queued| Measured::exact(started.since(queued)));
            let accepted = status.accepted_at.zip(offset);
            let across = accepted.map(|(accepted, offset)| TimeInterval::from_server(started, offset).since(accepted));
            self.queue = queued.or(across);
            self.run = server.ended_at.map(|ended| Measured::exact(ended.since(started))).or_else(|| {
                let offset = offset?;
                Some(self.end?.after(TimeInterval::from_server(started, offset)))
            });
        } else if let Some(stage) = of_stages(TimesFrom::Polls) {
            let earliest = stage.not_started_at.or(status.accepted_at).or(status.submitted_at);
            let started = stage.started_at.map(|seen| TimeInterval::between_polls(earliest.unwrap_or(seen), seen));
            self.queue = started.zip(status.accepted_at).map(|(started, accepted)| started.since(accepted));
            self.run = started.zip(self.end).map(|(started, end)| end.after(started));
        }
        self.queue = self.queue.filter(|part| part.high >= 0.0).map(not_negative);
        self.run = self.run.filter(|part| part.high >= 0.0).map(not_negative);
    }
}

/// A duration is never negative: where its bounds reach below zero the truth lies above it.
pub fn not_negative(measured: Measured) -> Measured {
    Measured::within(measured.seconds.max(0.0), measured.low.max(0.0), measured.high.max(0.0))
}

fn difference(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<f64> {
    from.zip(to).map(|(from, to)| to.since(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journey(status: &str, offset: Option<(f64, f64)>) -> JobTimes {
        let job: Job = serde_json::from_str(&format!(r#"{{"metadata":{{"name":"a"}},"status":{status}}}"#)).unwrap();
        JobTimes::compute(&job, offset.map(|(seconds, bound_seconds)| ClockOffset { seconds, bound_seconds }))
    }

    const POLLED: &str = r#""phase":"Succeeded","submittedAt":"2026-01-01T00:00:00Z","acceptedAt":"2026-01-01T00:00:00.1Z","notEndedAt":"2026-01-01T00:00:09Z","endedAt":"2026-01-01T00:00:10Z""#;

    fn near(found: Option<Measured>, seconds: f64, low: f64, high: f64) {
        let found = found.unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        assert!(close(found.seconds, seconds) && close(found.low, low) && close(found.high, high), "{found:?}");
    }

    #[test]
    fn by_polls_alone_the_end_lies_between_two_of_them() {
        near(journey(&format!("{{{POLLED}}}"), None).end_to_end, 10.0, 9.0, 10.0);
    }

    #[test]
    fn the_servers_end_counts_where_it_is_tighter_and_within_the_polls() {
        let ended = |time: &str| format!(r#"{{{POLLED},"serverTimes":{{"endedAt":"2026-01-01T00:{time}Z"}}}}"#);
        // The target's clock is 5 minutes ahead, give or take 50 ms.
        near(journey(&ended("05:09.5"), Some((300.0, 0.05))).end_to_end, 9.5, 9.45, 9.55);
        // Near the edge the polls cut the interval.
        near(journey(&ended("05:10.02"), Some((300.0, 0.05))).end_to_end, 10.0, 9.97, 10.0);
        // An offset that is known less well than the polls know the end is of no use.
        near(journey(&ended("05:09.5"), Some((300.0, 4.0))).end_to_end, 10.0, 9.0, 10.0);
        // Without an offset the server's time says nothing at all.
        near(journey(&ended("05:09.5"), None).end_to_end, 10.0, 9.0, 10.0);
        let contradicted = journey(&ended("05:30"), Some((300.0, 0.05)));
        assert!(contradicted.contradicted);
        near(contradicted.end_to_end, 10.0, 9.0, 10.0);
    }

    #[test]
    fn latency_counts_from_the_schedule() {
        let late = journey(&format!(r#"{{{POLLED},"dueAt":"2025-12-31T23:59:58Z"}}"#), None);
        near(late.end_to_end, 12.0, 11.0, 12.0);
        assert_eq!(late.lag_seconds, Some(2.0));
    }

    #[test]
    fn an_end_before_the_beginning_is_no_duration() {
        let status = r#"{"phase":"Succeeded","submittedAt":"2026-01-01T00:00:10Z","endedAt":"2026-01-01T00:00:00Z"}"#;
        let backwards = journey(status, None);
        assert!(backwards.backwards && backwards.end_to_end.is_none());
    }

    #[test]
    fn queue_and_run_come_from_one_clock_where_they_can() {
        let times = r#""serverTimes":{"queuedAt":"2026-01-01T00:05:00Z","startedAt":"2026-01-01T00:05:03Z","endedAt":"2026-01-01T00:05:09.5Z"}"#;
        let parts = journey(&format!("{{{POLLED},{times}}}"), None);
        near(parts.queue, 3.0, 3.0, 3.0);
        near(parts.run, 6.5, 6.5, 6.5);
        let times = r#""serverTimes":{"startedAt":"2026-01-01T00:05:03Z"}"#;
        let parts = journey(&format!("{{{POLLED},{times}}}"), Some((300.0, 0.5)));
        near(parts.queue, 2.9, 2.4, 3.4);
        near(parts.run, 7.0, 5.5, 7.5);
    }
}
