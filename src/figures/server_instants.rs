//! The times that a server tells of one job, and which of them cannot be true.
//!
//! A time is wrong if it contradicts what the harness saw by itself. If the clocks are not compared well enough for that, only the
//! durations between two times can be held against the polls. Then the time that two wrong durations share is wrong; of one wrong
//! duration, either time may be.

use super::contradictions::{Contradictions, ServerTime};
use super::distribution::Measured;
use super::stage_times::{Lifetime, ROUNDING, ServerInstant, seconds_apart};
use super::time_interval::TimeInterval;
use crate::record::{ClockOffset, Job, Phase, Stage, Timestamp};

/// The server's times of a job; a start that it does not tell is that of the first stage.
pub(super) struct ServerInstants {
    pub(super) queued: Option<ServerInstant>,
    pub(super) started: Option<ServerInstant>,
    /// Its end, if its last answer showed that it had one.
    pub(super) ended: Option<ServerInstant>,
    /// Says which of the server's times `started` is.
    pub(super) start: ServerTime,
    /// The start of the same thing as the polls saw it. None if the target counts attempts and there were several: polls saw the first
    /// one start, and the server gives the start of the last one.
    start_seen: Option<TimeInterval>,
}

impl ServerInstants {
    /// Those of `job`.
    pub(super) fn of(job: &Job) -> Self {
        let status = &job.status;
        let times = status.server_times.unwrap_or_default();
        let instant = |time: Option<Timestamp>, resolution: Option<f64>| {
            time.map(|time| ServerInstant { time, resolution: resolution.unwrap_or_default() })
        };
        let told = |stage: &&Stage| stage.server_times().started_at;
        let first = status.stages.iter().filter(|stage| told(stage).is_some()).min_by_key(told);
        let by_stage = first.and_then(|stage| instant(told(&stage), stage.resolution_seconds));
        let started = instant(times.started_at, times.resolution_seconds);
        // Work may begin before the answer to the submission has arrived.
        let begin = status.submitted_at.or(status.accepted_at);
        let start_seen = match started {
            Some(_) => TimeInterval::seen(status.not_started_at.or(begin), status.started_at),
            None => first
                .and_then(Stage::sightings)
                .and_then(|seen| TimeInterval::seen(seen.not_started_at.or(begin), seen.started_at)),
        };
        let is_retried = status.stages.iter().any(|stage| stage.attempt.is_some_and(|attempt| attempt > 1));
        let has_ended = matches!(status.phase, Phase::Succeeded | Phase::Failed);
        Self {
            queued: instant(times.queued_at, times.resolution_seconds),
            start: if started.is_none() && by_stage.is_some() {
                ServerTime::FirstStageStarted
            } else {
                ServerTime::Started
            },
            started: started.or(by_stage),
            ended: instant(times.ended_at, times.resolution_seconds).filter(|_| has_ended),
            start_seen: start_seen.filter(|_| !is_retried),
        }
    }

    /// The start by the harness's clock, within what the polls saw.
    pub(super) fn started_at(&self, job: &Job, offset: Option<ClockOffset>) -> Option<TimeInterval> {
        self.started?.held(offset, Lifetime::of(job), self.start_seen).ok().flatten()
    }

    /// The queueing by the harness's clock, before the start.
    pub(super) fn queued_at(&self, job: &Job, offset: Option<ClockOffset>) -> Option<TimeInterval> {
        self.queued?.held(offset, self.before_start(job, offset), None).ok().flatten()
    }

    /// Before it is queued, a job cannot start.
    fn before_start(&self, job: &Job, offset: Option<ClockOffset>) -> Option<Lifetime> {
        Lifetime::of(job).map(|Lifetime { begin, end }| {
            let started = [self.start_seen, self.started_at(job, offset)].into_iter().flatten().map(|at| at.high).min();
            Lifetime { begin, end: started.map_or(end, |started| end.min(started.max(begin))) }
        })
    }

    /// Leaves out the times that contradict what the harness saw, of the end `end_seen`, and returns by how much they do.
    pub(super) fn leave_out_wrong(
        &mut self,
        job: &Job,
        end_seen: Option<TimeInterval>,
        offset: Option<ClockOffset>,
    ) -> Contradictions {
        let mut found = Contradictions::default();
        let (start, start_seen, lifetime) = (self.start, self.start_seen, Lifetime::of(job));
        let mut keep = |time: ServerTime, held: &dyn Fn(ServerInstant) -> Result<Option<TimeInterval>, f64>| {
            let instant = self.instant(time);
            *instant = instant.filter(|instant| found.unless(time, held(*instant)).is_some());
        };
        keep(ServerTime::Ended, &|time| time.held(offset, None, end_seen));
        keep(start, &|time| time.held(offset, lifetime, start_seen));
        keep(ServerTime::Queued, &|time| time.held(offset, lifetime, None));
        for (time, seconds) in self.wrong_by_durations(lifetime, end_seen) {
            found.note(time, seconds);
            *self.instant(time) = None;
        }
        let (started, before_start) = (self.started, self.before_start(job, offset));
        self.queued = self.queued.filter(|queued| {
            let after_start = started.map(|started| -started.since(*queued).high).filter(|seconds| *seconds > ROUNDING);
            let held = after_start.map_or_else(|| queued.held(offset, before_start, None), Err);
            found.unless(ServerTime::Queued, held).is_some()
        });
        found
    }

    fn instant(&mut self, time: ServerTime) -> &mut Option<ServerInstant> {
        match time {
            ServerTime::Queued => &mut self.queued,
            ServerTime::Started | ServerTime::FirstStageStarted => &mut self.started,
            ServerTime::Ended => &mut self.ended,
        }
    }

    /// The times that are wrong by the durations between them, with the seconds by which those are.
    fn wrong_by_durations(&self, lifetime: Option<Lifetime>, end_seen: Option<TimeInterval>) -> Vec<(ServerTime, f64)> {
        let told =
            |from: Option<ServerInstant>, to: Option<ServerInstant>| from.zip(to).map(|(from, to)| to.since(from));
        let by_more_than_rounding = |seconds: &f64| *seconds > ROUNDING;
        let excess = |told: Option<Measured>, most: Option<f64>| {
            told.zip(most).map(|(told, most)| told.low - most).filter(by_more_than_rounding)
        };
        let backwards = |told: Option<Measured>| told.map(|told| -told.high).filter(by_more_than_rounding);
        let (waited, ran, lived) =
            (told(self.queued, self.started), told(self.started, self.ended), told(self.queued, self.ended));
        let wait = excess(waited, lifetime.map(|lifetime| lifetime.longest_wait(self.start_seen)));
        let run = seconds_apart(ran, self.start_seen.zip(end_seen).map(|(started, end)| end.after(started)));
        let whole = excess(lived, lifetime.map(Lifetime::seconds)).or(backwards(lived));
        // A start before the queueing is no evidence against the start by itself, and a whole that is a little too long may come from
        // clocks that drift apart.
        let wait = wait.or(backwards(waited).filter(|_| run.is_some() || whole.is_some()));
        let whole = whole.filter(|_| wait.is_some() || run.is_some());
        // A time is wrong if both of its durations are, or if one is and nothing says that the time at the other end is wrong.
        let by = |time: ServerTime, durations: [Option<f64>; 2], opposite: Option<f64>| {
            let is_wrong = durations.iter().all(Option::is_some) || opposite.is_none();
            let most = durations.into_iter().flatten().reduce(f64::max)?;
            is_wrong.then_some((time, most))
        };
        let wrong = [
            by(ServerTime::Queued, [wait, whole], run),
            by(self.start, [wait, run], whole),
            by(ServerTime::Ended, [run, whole], wait),
        ];
        wrong.into_iter().flatten().collect()
    }
}
