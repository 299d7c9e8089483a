//! A job's stages as the polls saw them: each start and end as an interval between two polls.

use crate::profile::StageReading;
use crate::record::{Stage, StagePhase, TimesFrom, Timestamp};

/// One stage as the polls saw it.
#[derive(Clone, Debug)]
struct ObservedStage {
    name: Box<str>,
    running: bool,
    not_started_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    not_ended_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl ObservedStage {
    fn new(name: Box<str>) -> Self {
        Self { name, running: false, not_started_at: None, started_at: None, not_ended_at: None, ended_at: None }
    }
}

/// The stages of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservedStages(Vec<ObservedStage>);

impl ObservedStages {
    /// The stages as an earlier session saw them, for a resumed job.
    pub(super) fn resumed(stages: &[Stage]) -> Self {
        let seen = stages.iter().filter(|stage| stage.times_from == Some(TimesFrom::Polls));
        let observed = |stage: &Stage| ObservedStage {
            name: stage.name.as_str().into(),
            running: stage.phase == StagePhase::Running,
            not_started_at: stage.not_started_at,
            started_at: stage.started_at,
            not_ended_at: stage.not_ended_at,
            ended_at: stage.ended_at,
        };
        Self(seen.map(observed).collect())
    }

    /// Records an answer that came at `received`. `before` is the time of the previous poll that saw the job's state:
    /// changes since then happened in between.
    pub(super) fn record(&mut self, seen: &[StageReading], before: Option<Timestamp>, received: Timestamp) {
        for stage in seen {
            let known = self.0.iter().position(|observed| *observed.name == *stage.name);
            let index = known.unwrap_or_else(|| {
                self.0.push(ObservedStage::new(stage.name.as_str().into()));
                self.0.len() - 1
            });
            let observed = &mut self.0[index];
            observed.running = stage.phase == StagePhase::Running;
            let ended = matches!(stage.phase, StagePhase::Done | StagePhase::Failed);
            if (observed.running || ended) && observed.started_at.is_none() {
                observed.not_started_at = before;
                observed.started_at = Some(received);
            }
            if ended && observed.ended_at.is_none() {
                observed.not_ended_at = before;
                observed.ended_at = Some(received);
            }
        }
    }

    /// The names of the stages that were running in the last answer.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|stage| stage.running).map(|stage| &*stage.name)
    }

    /// The stages for the record, with the server's times if it gave a start or an end, else with those of the polls.
    pub(super) fn to_stages(&self, seen: &[StageReading]) -> Vec<Stage> {
        seen.iter().map(|stage| self.to_stage(stage)).collect()
    }

    fn to_stage(&self, seen: &StageReading) -> Stage {
        let stage = Stage {
            name: seen.name.clone(),
            state: seen.state.clone(),
            phase: seen.phase,
            attempt: seen.attempt,
            queued_at: seen.times.queued_at,
            ..Stage::default()
        };
        if seen.times.started_at.is_some() || seen.times.ended_at.is_some() {
            return Stage {
                times_from: Some(TimesFrom::Server),
                started_at: seen.times.started_at,
                ended_at: seen.times.ended_at,
                ..stage
            };
        }
        match self.0.iter().find(|observed| *observed.name == *seen.name && observed.started_at.is_some()) {
            None => stage,
            Some(observed) => Stage {
                times_from: Some(TimesFrom::Polls),
                not_started_at: observed.not_started_at,
                started_at: observed.started_at,
                not_ended_at: observed.not_ended_at,
                ended_at: observed.ended_at,
                ..stage
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ServerTimes;

    fn at(second: u32) -> Timestamp {
        Timestamp::from_seconds(f64::from(second)).unwrap()
    }

    fn seen(name: &str, phase: StagePhase) -> StageReading {
        StageReading { name: name.into(), state: None, phase, attempt: None, times: ServerTimes::default() }
    }

    #[test]
    fn starts_and_ends_lie_between_two_polls() {
        let mut stages = ObservedStages::default();
        stages.record(&[seen("l1", StagePhase::Waiting)], None, at(1));
        stages.record(&[seen("l1", StagePhase::Running)], Some(at(1)), at(2));
        assert_eq!(stages.running().collect::<Vec<_>>(), ["l1"]);
        let last = [seen("l1", StagePhase::Done), seen("l2", StagePhase::Done)];
        stages.record(&last, Some(at(2)), at(3));
        stages.record(&last, Some(at(3)), at(4));
        let last = stages.to_stages(&last);
        let l1 = &last[0];
        assert_eq!(
            (l1.not_started_at, l1.started_at, l1.not_ended_at, l1.ended_at),
            (Some(at(1)), Some(at(2)), Some(at(2)), Some(at(3)))
        );
        let l2 = &last[1];
        assert_eq!(
            (l2.not_started_at, l2.started_at, l2.not_ended_at, l2.ended_at),
            (Some(at(2)), Some(at(3)), Some(at(2)), Some(at(3)))
        );
        assert_eq!(l2.times_from, Some(TimesFrom::Polls));
        assert_eq!(stages.running().count(), 0);
    }

    #[test]
    fn the_servers_times_come_first() {
        let mut stages = ObservedStages::default();
        let mut stage = seen("l1", StagePhase::Done);
        stage.times.started_at = Some(at(7));
        stages.record(std::slice::from_ref(&stage), None, at(9));
        let last = &stages.to_stages(&[stage])[0];
        assert_eq!((last.times_from, last.started_at, last.ended_at), (Some(TimesFrom::Server), Some(at(7)), None));
    }
}
