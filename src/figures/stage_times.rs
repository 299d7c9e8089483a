//! The times of one stage of one job: when it was queued, started and ended, and how long it waited and worked.
//!
//! A server's times are intervals as wide as their resolution. They are held against the polls around them and against the
//! job's own beginning and end; a time that contradicts those is left out, and the polls' count in its place.

use super::contradictions::in_little_memory;
use super::distribution::{MaybeMeasured, Measured};
use super::time_interval::TimeInterval;
use crate::record::{ClockOffset, Job, ServerTimes, Stage, StagePhase, StageSpec, Timestamp, is_retry};

/// Servers round their times, so a wait may come out as this much less than nothing (seconds).
pub(super) const ROUNDING: f64 = 0.001;

/// The times of one stage of one job. A time that is absent is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    /// The beginning of the job's wait for the stage.
    pub queued: Option<TimeInterval>,
    /// The beginning of the work.
    pub started: Option<TimeInterval>,
    /// The end of the work.
    pub ended: Option<TimeInterval>,
    wait: MaybeMeasured,
    work: MaybeMeasured,
    /// A duration was negative by more than its error allows, and was left out.
    pub backwards: bool,
    /// The seconds by which the server's times contradict the polls; zero if they do not.
    contradicted: f32,
    /// The same for the queueing time alone.
    queued_contradicted: f32,
}

/// The part of the harness's time in which everything that a server tells of a job must lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) begin: Timestamp,
    pub(super) end: Timestamp,
}

impl Lifetime {
    /// From the submission to the poll that saw the end, or to the last that is known of the job.
    pub(super) fn of(job: &Job) -> Option<Self> {
        let status = &job.status;
        let begin = status.submitted_at.or(status.accepted_at)?;
        let end = status.ended_at.or(status.observed_at)?;
        (begin <= end).then_some(Self { begin, end })
    }

    pub(super) fn seconds(self) -> f64 {
        self.end.since(self.begin)
    }

    /// The longest that the job can have waited for a start that polls have `seen`, in seconds: from the submission to the poll
    /// that saw it, whatever the clocks of servers say.
    pub(super) fn longest_wait(self, start_seen: Option<TimeInterval>) -> f64 {
        start_seen.map_or(self.end, |seen| seen.high.min(self.end)).since(self.begin)
    }

    fn interval(self) -> TimeInterval {
        TimeInterval { at: self.begin, low: self.begin, high: self.end }
    }
}

/// A server's time as an interval of its own clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerInstant {
    pub(super) time: Timestamp,
    pub(super) resolution: f64,
}

impl ServerInstant {
    /// The seconds from another instant of the same clock to this one.
    pub(super) fn since(self, start: Self) -> Measured {
        let seconds = self.time.since(start.time);
        Measured::within(seconds, seconds - start.resolution, seconds + self.resolution)
    }

    pub(super) fn at(self, offset: ClockOffset) -> TimeInterval {
        TimeInterval::from_server(self.time, self.resolution, offset)
    }

    /// The instant by the harness's clock, within `lifetime` and what the polls have `seen` of it; none where no offset is known.
    ///
    /// # Errors
    /// The seconds by which it contradicts them.
    pub(super) fn held(
        self,
        offset: Option<ClockOffset>,
        lifetime: Option<Lifetime>,
        seen: Option<TimeInterval>,
    ) -> Result<Option<TimeInterval>, f64> {
        let Some(offset) = offset else { return Ok(None) };
        [lifetime.map(Lifetime::interval), seen].into_iter().flatten().try_fold(self.at(offset), cut).map(Some)
    }
}

/// The part of `at` that lies within `bounds`, or else the seconds between them.
fn cut(at: TimeInterval, bounds: TimeInterval) -> Result<TimeInterval, f64> {
    at.intersection(bounds).ok_or_else(|| at.seconds_apart(bounds))
}

/// The instants of one stage by one job's record, as the server and as the polls have them.
#[derive(Clone, Copy, Debug, Default)]
struct Instants {
    server_started: Option<ServerInstant>,
    server_ended: Option<ServerInstant>,
    /// The start as polls saw it, before the server's time is taken into account. None of a stage that was tried again: if the target
    /// counts attempts, polls saw the first one start, and the server gives the start of the last one.
    start_seen: Option<TimeInterval>,
    started: Option<TimeInterval>,
    ended: Option<TimeInterval>,
    contradicted: Option<f32>,
}

impl Instants {
    fn read(job: &Job, stage: &Stage, offset: Option<ClockOffset>) -> Self {
        let times = stage.server_times();
        let resolution = times.resolution_seconds.unwrap_or_default();
        let instant = |time: Option<Timestamp>| time.map(|time| ServerInstant { time, resolution });
        let (started, ended) = sightings(job, stage);
        let mut instants = Self {
            server_started: instant(times.started_at),
            server_ended: instant(times.ended_at),
            start_seen: started.filter(|_| stage.attempt.is_none_or(|attempt| attempt <= 1)),
            started,
            ended,
            contradicted: None,
        };
        instants.hold_against_polls(job, offset);
        instants
    }

    fn hold_against_polls(&mut self, job: &Job, offset: Option<ClockOffset>) {
        let (lifetime, start_seen) = (Lifetime::of(job), self.start_seen);
        if let Some(told) = self.server_started.zip(self.server_ended).map(|(started, ended)| ended.since(started)) {
            let seen = start_seen.zip(self.ended).map(|(started, ended)| ended.after(started));
            let too_long = lifetime.map(|lifetime| told.low - lifetime.seconds()).filter(|seconds| *seconds > ROUNDING);
            if let Some(seconds) = seconds_apart(Some(told), seen).or(too_long) {
                return self.contradict(seconds);
            }
        }
        let held = |server: Option<ServerInstant>, seen: Option<TimeInterval>| {
            server.map_or(Ok(None), |server| server.held(offset, lifetime, seen))
        };
        match (held(self.server_started, start_seen), held(self.server_ended, self.ended)) {
            (Ok(started), Ok(ended)) => (self.started, self.ended) = (started.or(self.started), ended.or(self.ended)),
            (Err(seconds), _) | (_, Err(seconds)) => self.contradict(seconds),
        }
    }

    /// Leaves the server's times out, which contradict the polls by `seconds`.
    fn contradict(&mut self, seconds: f64) {
        (self.server_started, self.server_ended, self.contradicted) = (None, None, Some(in_little_memory(seconds)));
    }

    /// The work: by the server's clock where it tells both ends, within what the polls allow.
    fn work(&self) -> Option<Measured> {
        let seen = self.started.zip(self.ended).map(|(started, ended)| ended.after(started));
        let told = self.server_started.zip(self.server_ended).map(|(started, ended)| ended.since(started));
        narrowest(told, seen)
    }
}

/// Returns the times at which polls saw a stage start and end.
fn sightings(job: &Job, stage: &Stage) -> (Option<TimeInterval>, Option<TimeInterval>) {
    let Some(seen) = stage.sightings() else { return (None, None) };
    let begin = job.status.submitted_at.or(job.status.accepted_at);
    let started = seen.started_at.zip(seen.not_started_at.or(begin));
    let started = started.map(|(seen, earliest)| TimeInterval::between_polls(earliest, seen));
    let earliest = seen.not_ended_at.or(started.map(|started| started.low));
    let ended = seen.ended_at.zip(earliest).map(|(seen, earliest)| TimeInterval::between_polls(earliest, seen));
    (started, ended)
}

impl StageTimes {
    /// The job's wait.
    pub fn wait(&self) -> Option<Measured> {
        self.wait.get()
    }

    /// Duration of the work, if the stage was done.
    pub fn work(&self) -> Option<Measured> {
        self.work.get()
    }

    /// The seconds by which, at least, the server's times contradict the polls; they were left out.
    pub fn contradicted(&self) -> Option<f32> {
        Some(self.contradicted).filter(|seconds| *seconds > 0.0)
    }

    /// The seconds by which, at least, the server's queueing time contradicts the polls; it was left out.
    pub fn queued_contradicted(&self) -> Option<f32> {
        Some(self.queued_contradicted).filter(|seconds| *seconds > 0.0)
    }

    /// Computes the times of `stage` of `job`, in a pipeline of `stages`, with the target's clock `offset` from the harness's.
    pub fn compute(job: &Job, stage: &Stage, stages: &[StageSpec], offset: Option<ClockOffset>) -> Self {
        let instants = Instants::read(job, stage, offset);
        let mut times = Self {
            started: instants.started,
            ended: instants.ended,
            contradicted: instants.contradicted.unwrap_or_default(),
            ..Self::default()
        };
        let wait = times.find_wait(job, stage, stages, offset, &instants);
        times.wait = wait.and_then(|wait| times.checked(wait)).into();
        if stage.phase == StagePhase::Done {
            times.work = instants.work().and_then(|work| times.checked(work)).into();
        }
        // Times that run backwards are named among the doubts, and no drawing can show them.
        times.ended = times.ended.filter(|ended| times.started.is_none_or(|started| ended.high >= started.low));
        times.queued = times.queued.filter(|queued| times.started.is_none_or(|started| queued.low <= started.high));
        times
    }

    fn find_wait(
        &mut self,
        job: &Job,
        stage: &Stage,
        stages: &[StageSpec],
        offset: Option<ClockOffset>,
        instants: &Instants,
    ) -> Option<Measured> {
        let ServerTimes { queued_at, resolution_seconds, .. } = stage.server_times();
        if let Some(time) = queued_at {
            let queued = ServerInstant { time, resolution: resolution_seconds.unwrap_or_default() };
            if let Some(wait) = self.wait_from_queue(job, queued, instants, offset) {
                return Some(wait);
            }
        }
        if may_be_retry(job, stage) {
            // What lies before the start of a later attempt is work as well as waiting.
            return None;
        }
        let spec = stages.iter().find(|spec| spec.name == stage.name)?;
        if spec.after.is_empty() {
            self.queued = TimeInterval::arrival(&job.status);
            return self.started.zip(self.queued).map(|(started, arrived)| started.after(arrived));
        }
        let before: Vec<Instants> =
            predecessors(job, &spec.after)?.into_iter().map(|stage| Instants::read(job, stage, offset)).collect();
        let ends: Option<Vec<TimeInterval>> = before.iter().map(|stage| stage.ended).collect();
        self.queued = ends.and_then(|ends| ends.into_iter().reduce(TimeInterval::later));
        // The stage cannot have begun before the other ended, so intervals that overlap still give a wait of at least 0.
        let seen = self.started.zip(self.queued).map(|(started, queued)| started.after(queued));
        let ends: Option<Vec<ServerInstant>> = before.iter().map(|stage| stage.server_ended).collect();
        let last = ends.and_then(|ends| ends.into_iter().max_by_key(|end| end.time));
        narrowest(instants.server_started.zip(last).map(|(started, ended)| started.since(ended)), seen)
    }

    /// The wait since the server's own queueing. None where that contradicts what the harness saw.
    fn wait_from_queue(
        &mut self,
        job: &Job,
        queued: ServerInstant,
        instants: &Instants,
        offset: Option<ClockOffset>,
    ) -> Option<Measured> {
        let lifetime = Lifetime::of(job);
        let told = instants.server_started.map(|started| started.since(queued));
        let most = lifetime.map(|lifetime| lifetime.longest_wait(instants.start_seen));
        let excess = told.zip(most).map(|(told, most)| told.low - most);
        let at = match (queued.held(offset, lifetime, None), excess.filter(|seconds| *seconds > ROUNDING)) {
            (Ok(at), None) => at,
            (Err(seconds), _) | (_, Some(seconds)) => {
                // The start and the end agree with the polls.
                self.queued_contradicted = in_little_memory(seconds);
                return None;
            }
        };
        self.queued = at;
        let seen = self.started.zip(self.queued).map(|(started, queued)| started.after(queued));
        narrowest(told, seen)
    }

    fn checked(&mut self, measured: Measured) -> Option<Measured> {
        if measured.high < -ROUNDING {
            self.backwards = true;
            return None;
        }
        Some(not_negative(measured))
    }
}

/// Returns the seconds by which a duration that was `told` by one clock cannot be the one that was `seen` from outside.
pub(super) fn seconds_apart(told: Option<Measured>, seen: Option<Measured>) -> Option<f64> {
    let apart = told.zip(seen).map(|(told, seen)| (told.low - seen.high).max(seen.low - told.high));
    apart.filter(|seconds| *seconds > ROUNDING)
}

/// The duration that was `told` by one clock, cut with the one that was `seen` from outside. If they lie apart by no more than
/// rounding, or if both are negative, the one that was told counts.
pub(super) fn narrowest(told: Option<Measured>, seen: Option<Measured>) -> Option<Measured> {
    let Some(told) = told else { return seen.map(not_negative) };
    let cut = seen.map(|seen| (told.low.max(seen.low), told.high.min(seen.high)));
    let (low, high) = cut.filter(|(low, high)| low <= high).unwrap_or((told.low, told.high));
    Some(Measured::within(told.seconds, low, high))
}

/// A duration is never negative: if its bounds reach below zero, the truth lies above it. An estimate below zero gives way to
/// the middle of what is left.
pub fn not_negative(measured: Measured) -> Measured {
    let (low, high) = (measured.low.max(0.0), measured.high.max(0.0));
    let seconds = if measured.seconds < 0.0 { f64::midpoint(low, high) } else { measured.seconds };
    Measured::within(seconds, low, high)
}

/// Returns true if an attempt of the same stage may have come before this one. Polls alone do not tell attempts from instances that ran
/// side by side.
fn may_be_retry(job: &Job, stage: &Stage) -> bool {
    let stages = || job.status.stages.iter().enumerate().filter(|(_, other)| other.name == stage.name);
    let is_untold = stage.server_times().started_at.is_none() && stages().count() > 1;
    let place = stages().find(|(_, other)| std::ptr::eq(*other, stage)).map_or(0, |(place, _)| place);
    stage.attempt.is_some_and(|attempt| attempt > 1)
        || is_untold
        || stages().any(|other| is_retry(other, (place, stage)))
}

/// The entries of the stages named in `after`, if the job's record tells of all of them and all of them ended.
pub(super) fn predecessors<'a>(job: &'a Job, after: &[String]) -> Option<Vec<&'a Stage>> {
    let has_ended = |stage: &&Stage| stage.ended_at.or(stage.sightings().and_then(|seen| seen.ended_at)).is_some();
    let mut found = Vec::new();
    for name in after {
        let entries = || job.status.stages.iter().filter(|stage| stage.name == *name);
        if entries().next().is_none() || !entries().all(|stage| has_ended(&stage)) {
            return None;
        }
        found.extend(entries());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::super::run_plan::RunPlan;
    use super::*;

    fn plan(offset: Option<ClockOffset>) -> RunPlan {
        let spec = |name: &str, after: &[&str]| StageSpec {
            name: name.into(),
            after: after.iter().map(ToString::to_string).collect(),
            required: true,
        };
        RunPlan {
            stages: vec![spec("a", &[]), spec("b", &["a"]), spec("c", &["a", "b"])],
            offset,
            ..RunPlan::default()
        }
    }

    fn times(stages: &str, offset: Option<ClockOffset>) -> Vec<StageTimes> {
        let job: Job = serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"j"}},"status":{{"phase":"Succeeded","acceptedAt":"2026-01-01T00:00:00Z","stages":[{stages}]}}}}"#
        ))
        .unwrap();
        let plan = plan(offset);
        job.status.stages.iter().map(|stage| StageTimes::compute(&job, stage, &plan.stages, plan.offset)).collect()
    }

    fn server(name: &str, start: &str, end: &str) -> String {
        format!(
            r#"{{"name":"{name}","phase":"Done","timesFrom":"server","startedAt":"2026-01-01T00:00:{start}Z","endedAt":"2026-01-01T00:00:{end}Z"}}"#
        )
    }

    fn exact(measured: Option<Measured>) -> f64 {
        let measured = measured.unwrap();
        assert!(measured.error() < 1e-9, "{measured:?}");
        measured.seconds
    }

    #[test]
    fn a_stage_waits_from_the_latest_end_before_it() {
        let stages = [server("a", "10", "12"), server("b", "13", "20"), server("c", "21.5", "22")].join(",");
        let found = times(&stages, None);
        assert!(found[0].wait().is_none(), "two hosts are not compared without an offset");
        assert!((exact(found[1].wait()) - 1.0).abs() < 1e-9);
        assert!((exact(found[2].wait()) - 1.5).abs() < 1e-9);
        assert!((exact(found[1].work()) - 7.0).abs() < 1e-9);
        let retried = stages.replace(r#""name":"b","#, r#""name":"b","attempt":2,"#);
        assert!(times(&retried, None)[1].wait().is_none(), "what came before the last attempt was not all waiting");
        let offset = ClockOffset { seconds: 8.0, bound_seconds: 0.25 };
        assert_eq!(times(&stages, Some(offset))[0].wait(), Some(Measured { seconds: 2.0, low: 1.75, high: 2.25 }));
    }

    #[test]
    fn a_wait_below_zero_is_the_middle_of_what_its_bound_leaves_and_doubtful_beyond() {
        let first = server("a", "10", "12");
        let within = ClockOffset { seconds: 10.2, bound_seconds: 0.25 };
        let wait = times(&first, Some(within))[0].wait().unwrap();
        assert!((wait.seconds - 0.025).abs() < 1e-6 && wait.low == 0.0 && (wait.high - 0.05).abs() < 1e-6, "{wait:?}");
        let beyond = times(&first, Some(ClockOffset { seconds: 11.0, bound_seconds: 0.25 }))[0];
        assert!(beyond.wait().is_none() && beyond.backwards && beyond.work().is_some());
    }

    #[test]
    fn a_wrong_queueing_time_leaves_the_start_and_the_end_of_its_stage() {
        let queued =
            server("a", "10", "12").replace(r#""startedAt""#, r#""queuedAt":"2025-12-31T00:00:00Z","startedAt""#);
        let job = format!(
            r#"{{"metadata":{{"name":"j"}},"status":{{"phase":"Succeeded","submittedAt":"2026-01-01T00:00:00Z","acceptedAt":"2026-01-01T00:00:00Z","endedAt":"2026-01-01T00:00:09Z","stages":[{queued}]}}}}"#
        );
        let job: Job = serde_json::from_str(&job).unwrap();
        let plan = plan(Some(ClockOffset { seconds: 8.0, bound_seconds: 0.25 }));
        let found = StageTimes::compute(&job, &job.status.stages[0], &plan.stages, plan.offset);
        assert!(found.queued_contradicted().is_some() && found.contradicted().is_none(), "{found:?}");
        assert!((exact(found.work()) - 2.0).abs() < 1e-9);
        assert_eq!(found.wait(), Some(Measured { seconds: 2.0, low: 1.75, high: 2.25 }));
    }

    #[test]
    fn polls_give_intervals() {
        let stages = r#"{"name":"a","phase":"Done","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:01Z","startedAt":"2026-01-01T00:00:02Z","notEndedAt":"2026-01-01T00:00:05Z","endedAt":"2026-01-01T00:00:06Z"},
            {"name":"b","phase":"Done","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:06Z","startedAt":"2026-01-01T00:00:08Z","notEndedAt":"2026-01-01T00:00:08Z","endedAt":"2026-01-01T00:00:09Z"}"#;
        let found = times(stages, None);
        assert_eq!(found[0].wait(), Some(Measured { seconds: 2.0, low: 1.0, high: 2.0 }));
        assert_eq!(found[0].work(), Some(Measured { seconds: 4.0, low: 3.0, high: 5.0 }));
        assert_eq!(found[1].wait(), Some(Measured { seconds: 2.0, low: 0.0, high: 3.0 }));
    }
}
