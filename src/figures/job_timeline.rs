//! Where on one time axis each job waited and was worked on: all moments by the harness's clock.
//!
//! The server's times are brought to that clock by the offset that the Run states, and by nothing else: where it states none,
//! they have no place beside the harness's.

use super::job_times::TimeInterval;
use super::stages::{StageTimes, end_by_polls, predecessors, start_by_polls};
use super::tally::{JobEntry, RunPlan};
use crate::record::{ClockOffset, Job, Stage, StagePhase, TimesFrom, Timestamp};

/// One stage of one job. What is absent is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct StageInterval {
    /// The stage's name.
    pub stage: String,
    /// When the job began to wait for it.
    pub queued: Option<TimeInterval>,
    /// When work began.
    pub started: TimeInterval,
    /// When work ended.
    pub ended: Option<TimeInterval>,
    /// Whether it ended badly.
    pub failed: bool,
    /// Whether polls saw it, so that each of its moments lies anywhere between two of them.
    pub by_polls: bool,
    /// How long the wait and the work were.
    pub times: StageTimes,
}

/// One job that was submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct JobTimeline {
    /// Just before the submission was sent.
    pub submitted: Timestamp,
    /// When it ended.
    pub ended: Option<TimeInterval>,
    /// The last moment at which something was heard of it.
    pub heard: Timestamp,
    /// Its stages that began, in the target's order.
    pub stages: Vec<StageInterval>,
    /// How many more stages have times that cannot be brought to the harness's clock.
    pub elsewhere: usize,
}

impl JobTimeline {
    /// The timeline of `entry`, which belongs to `plan`; none where the job was never submitted.
    pub fn new(entry: &JobEntry, plan: Option<&RunPlan>) -> Option<Self> {
        let job = entry.job.as_ref()?;
        let status = &job.status;
        let submitted = status.submitted_at?;
        let last_words = if status.phase.is_terminal() { status.observed_at } else { None };
        let heard = [status.accepted_at, status.not_ended_at, status.ended_at, last_words].into_iter().flatten().max();
        let timed = || status.stages.iter().filter(|stage| stage.started_at.is_some());
        let stages: Vec<StageInterval> = timed().filter_map(|stage| placed(job, stage, plan)).collect();
        Some(Self {
            submitted,
            ended: entry.times.end,
            heard: heard.map_or(submitted, |heard| heard.max(submitted)),
            elsewhere: timed().count() - stages.len(),
            stages,
        })
    }

    /// The last moment that is known of it. Its stages have no say in that: what a server tells of them may lie anywhere.
    pub fn last(&self) -> Timestamp {
        self.ended.map_or(self.heard, |end| end.high.max(self.heard))
    }
}

fn placed(job: &Job, stage: &Stage, plan: Option<&RunPlan>) -> Option<StageInterval> {
    let (queued, started, ended) = match stage.times_from? {
        TimesFrom::Server => by_server(job, stage, plan, plan?.offset?)?,
        TimesFrom::Polls => by_polls(job, stage, plan)?,
    };
    let (by_polls, times) = (stage.times_from == Some(TimesFrom::Polls), StageTimes::compute(job, stage, plan));
    // Times that run backwards are named among the doubts, and no bar can show them.
    let ended = ended.filter(|ended| ended.high >= started.low);
    let queued = queued.filter(|queued| queued.low <= started.high);
    Some(StageInterval {
        stage: stage.name.clone(),
        queued,
        started,
        ended,
        failed: stage.phase == StagePhase::Failed,
        by_polls,
        times,
    })
}

type Times = (Option<TimeInterval>, TimeInterval, Option<TimeInterval>);

fn by_server(job: &Job, stage: &Stage, plan: Option<&RunPlan>, offset: ClockOffset) -> Option<Times> {
    let here = |time: Timestamp| TimeInterval::from_server(time, offset);
    let queued = if let Some(queued) = stage.queued_at {
        Some(here(queued))
    } else if stage.attempt.is_some_and(|attempt| attempt > 1) {
        None
    } else {
        match after(stage, plan) {
            Some([]) => job.status.accepted_at.map(certain),
            Some(names) => predecessors(job, names, TimesFrom::Server)
                .and_then(|before| before.iter().filter_map(|stage| stage.ended_at).max())
                .map(here),
            None => None,
        }
    };
    Some((queued, here(stage.started_at?), stage.ended_at.map(here)))
}

fn by_polls(job: &Job, stage: &Stage, plan: Option<&RunPlan>) -> Option<Times> {
    let started = start_by_polls(job, stage)?;
    let queued = match after(stage, plan) {
        Some([]) => job.status.accepted_at.map(certain),
        Some(names) => predecessors(job, names, TimesFrom::Polls).and_then(|before| {
            let ends = before.into_iter().filter_map(|stage| end_by_polls(stage, start_by_polls(job, stage)?));
            ends.max_by_key(|end| end.at)
        }),
        None => None,
    };
    Some((queued, started, end_by_polls(stage, started)))
}

fn after<'a>(stage: &Stage, plan: Option<&'a RunPlan>) -> Option<&'a [String]> {
    plan?.stages.iter().find(|spec| spec.name == stage.name).map(|spec| spec.after.as_slice())
}

fn certain(at: Timestamp) -> TimeInterval {
    TimeInterval { at, low: at, high: at }
}

#[cfg(test)]
mod tests {
    use super::super::job_times::JobTimes;
    use super::super::outcome::Outcome;
    use super::*;
    use crate::record::StageSpec;

    fn track(stages: &str, offset: Option<f64>) -> JobTimeline {
        let job: Job = serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"j"}},"status":{{"phase":"TimedOut","submittedAt":"2026-01-01T00:00:00Z","acceptedAt":"2026-01-01T00:00:01Z","notEndedAt":"2026-01-01T00:00:09Z","stages":[{stages}]}}}}"#
        ))
        .unwrap();
        let spec = |name: &str, after: &[&str]| StageSpec {
            name: name.into(),
            after: after.iter().map(ToString::to_string).collect(),
            required: true,
        };
        let plan = RunPlan {
            stages: vec![spec("a", &[]), spec("b", &["a"])],
            offset: offset.map(|seconds| ClockOffset { seconds, bound_seconds: 0.5 }),
            ..RunPlan::default()
        };
        let entry = JobEntry {
            run: String::new(),
            name: "j".into(),
            outcome: Outcome::TimedOut,
            job: Some(job),
            reason: None,
            message: None,
            plan: Some(0),
            times: JobTimes::default(),
            stage_times: Vec::new(),
        };
        JobTimeline::new(&entry, Some(&plan)).unwrap()
    }

    fn second(moment: TimeInterval) -> (f64, f64, f64) {
        let zero: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        (moment.low.since(zero), moment.at.since(zero), moment.high.since(zero))
    }

    const SERVER: &str = r#"{"name":"a","phase":"Done","timesFrom":"server","startedAt":"2026-01-01T00:01:02Z","endedAt":"2026-01-01T00:01:04Z"},{"name":"b","phase":"Running","timesFrom":"server","startedAt":"2026-01-01T00:01:05Z"},{"name":"c","phase":"Waiting"}"#;

    #[test]
    fn the_servers_times_come_to_the_harness_by_the_offset_alone() {
        let track = track(SERVER, Some(60.0));
        let (a, b) = (&track.stages[0], &track.stages[1]);
        assert_eq!(second(a.queued.unwrap()), (1.0, 1.0, 1.0), "the first stage is waited for from the acceptance on");
        assert_eq!((second(a.started), second(a.ended.unwrap())), ((1.5, 2.0, 2.5), (3.5, 4.0, 4.5)));
        assert_eq!((second(b.queued.unwrap()), second(b.started), b.ended), ((3.5, 4.0, 4.5), (4.5, 5.0, 5.5), None));
        assert_eq!((track.elsewhere, second(certain(track.last())).1), (0, 9.0));
    }

    #[test]
    fn without_an_offset_they_have_no_place() {
        let track = track(SERVER, None);
        assert_eq!((track.stages.len(), track.elsewhere), (0, 2));
    }

    #[test]
    fn what_polls_saw_are_intervals() {
        let track = track(
            r#"{"name":"a","phase":"Done","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:02Z","startedAt":"2026-01-01T00:00:03Z","notEndedAt":"2026-01-01T00:00:05Z","endedAt":"2026-01-01T00:00:06Z"},{"name":"b","phase":"Failed","attempt":2,"timesFrom":"polls","notStartedAt":"2026-01-01T00:00:05Z","startedAt":"2026-01-01T00:00:07Z"}"#,
            None,
        );
        let (a, b) = (&track.stages[0], &track.stages[1]);
        assert_eq!((second(a.started), second(a.ended.unwrap())), ((2.0, 3.0, 3.0), (5.0, 6.0, 6.0)));
        assert_eq!((second(b.queued.unwrap()), b.failed), ((5.0, 6.0, 6.0), true));
    }
}
