//! A job's waits and stages on one time axis, by the harness's clock.
//!
//! The offset that the Run states brings the server's times to that clock, and nothing else does. Without an offset they
//! have no place beside the harness's times.

use super::job_facts::{SharedName, StageFacts};
use super::stage_times::StageTimes;
use super::tally::JobEntry;
use super::time_interval::TimeInterval;
use crate::record::{StagePhase, Timestamp};

/// One stage of one job whose start has a place on the harness's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct StageInterval {
    /// The stage's name.
    pub stage: SharedName,
    /// The time at which the job began to wait for it.
    pub queued: Option<TimeInterval>,
    /// The beginning of the work.
    pub started: TimeInterval,
    /// The end of the work.
    pub ended: Option<TimeInterval>,
    /// The stage ended badly.
    pub failed: bool,
    /// Polls saw it, so that each of its times lies anywhere between two of them.
    pub by_polls: bool,
    /// The times that it was made of.
    pub times: StageTimes,
}

impl StageInterval {
    fn new(stage: &StageFacts) -> Option<Self> {
        let times = stage.times;
        Some(Self {
            stage: stage.name.clone(),
            queued: times.queued,
            started: times.started?,
            ended: times.ended,
            failed: stage.phase == StagePhase::Failed,
            by_polls: times.contradicted().is_some() || !stage.has_server_start,
            times,
        })
    }
}

/// One job that was submitted.
#[derive(Clone, Debug, PartialEq)]
pub struct JobTimeline {
    /// Just before the submission was sent.
    pub submitted: Timestamp,
    /// The time at which it ended.
    pub ended: Option<TimeInterval>,
    /// The last moment at which anything was heard of it.
    pub heard: Timestamp,
    /// Its stages that began, in the target's order.
    pub stages: Vec<StageInterval>,
    /// Number of further stages whose times cannot be brought to the harness's clock.
    pub elsewhere: usize,
}

impl JobTimeline {
    /// The timeline of `entry`; none if the job was never submitted.
    pub fn new(entry: &JobEntry) -> Option<Self> {
        let job = entry.job.as_ref()?;
        let submitted = job.submitted_at?;
        let last_words = if job.phase.is_terminal() { job.observed_at } else { None };
        let heard = [job.accepted_at, job.not_ended_at, job.ended_at, last_words].into_iter().flatten().max();
        let timed = || job.stages.iter().filter(|stage| stage.has_start || stage.times.started.is_some());
        let stages: Vec<StageInterval> = timed().filter_map(StageInterval::new).collect();
        Some(Self {
            submitted,
            ended: entry.times.end,
            heard: heard.map_or(submitted, |heard| heard.max(submitted)),
            elsewhere: timed().count() - stages.len(),
            stages,
        })
    }

    /// The last moment that is known of it. Its stages do not count: the times that a server gives them may lie anywhere.
    pub fn last(&self) -> Timestamp {
        self.ended.map_or(self.heard, |end| end.high.max(self.heard))
    }
}

#[cfg(test)]
mod tests {
    use super::super::job_facts::SharedNames;
    use super::super::run_plan::RunPlan;
    use super::*;
    use crate::record::{ClockOffset, Job, StageSpec};

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
        let entry = JobEntry::new(&job, Some((0, &plan)), &mut SharedNames::default());
        JobTimeline::new(&entry).unwrap()
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
        assert_eq!(second(a.queued.unwrap()), (0.0, 1.0, 1.0), "the first stage is waited for from the arrival on");
        assert_eq!((second(a.started), second(a.ended.unwrap())), ((1.5, 2.0, 2.5), (3.5, 4.0, 4.5)));
        assert_eq!((second(b.queued.unwrap()), second(b.started), b.ended), ((3.5, 4.0, 4.5), (4.5, 5.0, 5.5), None));
        assert_eq!((track.elsewhere, second(TimeInterval::exact(track.last())).1), (0, 9.0));
    }

    #[test]
    fn without_an_offset_they_have_no_place() {
        let track = track(SERVER, None);
        assert_eq!((track.stages.len(), track.elsewhere), (0, 2));
    }

    #[test]
    fn what_polls_saw_are_intervals() {
        let track = track(
            r#"{"name":"a","phase":"Done","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:02Z","startedAt":"2026-01-01T00:00:03Z","notEndedAt":"2026-01-01T00:00:05Z","endedAt":"2026-01-01T00:00:06Z"},{"name":"b","phase":"Failed","timesFrom":"polls","notStartedAt":"2026-01-01T00:00:05Z","startedAt":"2026-01-01T00:00:07Z"}"#,
            None,
        );
        let (a, b) = (&track.stages[0], &track.stages[1]);
        assert_eq!((second(a.started), second(a.ended.unwrap())), ((2.0, 3.0, 3.0), (5.0, 6.0, 6.0)));
        assert_eq!((second(b.queued.unwrap()), b.failed), ((5.0, 6.0, 6.0), true));
    }
}
