//! A job's stages as the polls saw them: each start and end as an interval between two polls.

use crate::profile::StageReading;
use crate::record::{Stage, StagePhase, StageSightings, TimesFrom, Timestamp};

/// One stage as the polls saw it.
#[derive(Clone, Debug)]
struct ObservedStage {
    name: Box<str>,
    running: bool,
    sightings: StageSightings,
}

impl ObservedStage {
    fn new(name: Box<str>) -> Self {
        Self { name, running: false, sightings: StageSightings::default() }
    }
}

/// The stages of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservedStages(Vec<ObservedStage>);

impl ObservedStages {
    /// The stages as an earlier session saw them, for a resumed job.
    pub(super) fn resumed(stages: &[Stage]) -> Self {
        let observed = |stage: &Stage| {
            let (name, running) = (stage.name.as_str().into(), stage.phase == StagePhase::Running);
            stage.sightings().map(|sightings| ObservedStage { name, running, sightings })
        };
        Self(stages.iter().filter_map(observed).collect())
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
            let held = &mut observed.sightings;
            if stage.phase == StagePhase::Waiting || (observed.running && held.ended_at.is_some()) {
                // Another attempt: the server's times are those of the last one, and so are these.
                *held = StageSightings::default();
            }
            if (observed.running || ended) && held.started_at.is_none() {
                (held.not_started_at, held.started_at) = (before, Some(received));
            }
            if ended && held.ended_at.is_none() {
                (held.not_ended_at, held.ended_at) = (before, Some(received));
            }
        }
    }

    /// The names of the stages that were running in the last answer.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|stage| stage.running).map(|stage| &*stage.name)
    }

    /// The stages for the record, with the server's times if it gave a start or an end, and with those of the polls.
    pub(super) fn to_stages(&self, seen: &[StageReading]) -> Vec<Stage> {
        seen.iter().map(|stage| self.to_stage(stage)).collect()
    }

    fn to_stage(&self, seen: &StageReading) -> Stage {
        let observed = self.0.iter().find(|observed| *observed.name == *seen.name);
        let sightings = observed.map(|observed| observed.sightings).filter(|held| held.started_at.is_some());
        let times = seen.times;
        let stage = Stage {
            name: seen.name.clone(),
            state: seen.state.clone(),
            phase: seen.phase,
            attempt: seen.attempt,
            queued_at: times.queued_at,
            resolution_seconds: times.resolution_seconds,
            ..Stage::default()
        };
        if times.started_at.is_some() || times.ended_at.is_some() {
            return Stage {
                times_from: Some(TimesFrom::Server),
                started_at: times.started_at,
                ended_at: times.ended_at,
                seen: sightings,
                ..stage
            };
        }
        let Some(held) = sightings else { return stage };
        Stage {
            times_from: Some(TimesFrom::Polls),
            not_started_at: held.not_started_at,
            started_at: held.started_at,
            not_ended_at: held.not_ended_at,
            ended_at: held.ended_at,
            ..stage
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

    #[test]
    fn another_attempt_is_seen_anew() {
        let mut stages = ObservedStages::default();
        let readings = [StagePhase::Running, StagePhase::Waiting, StagePhase::Running, StagePhase::Done];
        for (second, phase) in (1..).zip(readings) {
            let before = (second > 1).then(|| at(second - 1));
            stages.record(&[seen("l1", phase)], before, at(second));
        }
        let l1 = &stages.to_stages(&[seen("l1", StagePhase::Done)])[0];
        assert_eq!((l1.not_started_at, l1.started_at, l1.ended_at), (Some(at(2)), Some(at(3)), Some(at(4))));
    }
}
