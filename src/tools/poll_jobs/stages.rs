//! A job's stages as the polls saw them: each start and end as an interval between two polls.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::profile::StageReading;
use crate::record::{Stage, StagePhase, StageSightings, TimesFrom, Timestamp};

/// One stage as the polls saw it.
#[derive(Clone, Debug)]
struct ObservedStage {
    name: Box<str>,
    running: bool,
    sightings: StageSightings,
    /// The last answer told no state of it that the profile names.
    is_unclear: bool,
    /// While it is unclear: the last poll before that which told its state.
    clear_at: Option<Timestamp>,
}

impl ObservedStage {
    fn new(name: Box<str>) -> Self {
        Self { name, running: false, sightings: StageSightings::default(), is_unclear: false, clear_at: None }
    }
}

/// How far a job is in an answer, as a number that is the same for all jobs as far as that: by its state and by the stages that have
/// begun or ended.
pub(super) fn progress(state: StagePhase, stages: &[StageReading]) -> u64 {
    let mut begun: Vec<_> = stages
        .iter()
        .filter(|stage| !matches!(stage.phase, StagePhase::Waiting | StagePhase::Unnamed))
        .map(|stage| (stage.name.as_str(), stage.phase == StagePhase::Running))
        .collect();
    // An answer may name them in any order.
    begun.sort_unstable();
    let mut hasher = DefaultHasher::new();
    (state == StagePhase::Waiting, begun).hash(&mut hasher);
    hasher.finish()
}

/// The stages of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservedStages(Vec<ObservedStage>);

impl ObservedStages {
    /// The stages as an earlier session saw them, for a resumed job.
    pub(super) fn resumed(stages: &[Stage]) -> Self {
        let observed = |stage: &Stage| {
            let is_unclear = stage.phase == StagePhase::Unnamed;
            let sightings = stage.sightings().or(is_unclear.then(StageSightings::default))?;
            let running = stage.phase == StagePhase::Running;
            Some(ObservedStage { running, sightings, is_unclear, ..ObservedStage::new(stage.name.as_str().into()) })
        };
        Self(stages.iter().filter_map(observed).collect())
    }

    /// Records an answer that came at `received`. `before` is the time of the previous poll that saw the job's state:
    /// changes since then happened in between. A stage whose state was not understood then may have changed before it.
    ///
    /// Returns true if a start or an end was seen whose time only the polls tell.
    pub(super) fn record(&mut self, seen: &[StageReading], before: Option<Timestamp>, received: Timestamp) -> bool {
        let mut is_news = false;
        for stage in seen {
            let is_told = stage.times.started_at.is_some() || stage.times.ended_at.is_some();
            let known = self.0.iter().position(|observed| *observed.name == *stage.name);
            let index = known.unwrap_or_else(|| {
                self.0.push(ObservedStage::new(stage.name.as_str().into()));
                self.0.len() - 1
            });
            let observed = &mut self.0[index];
            if stage.phase == StagePhase::Unnamed {
                if !std::mem::replace(&mut observed.is_unclear, true) {
                    observed.clear_at = before;
                }
                observed.running = false;
                continue;
            }
            let before = if std::mem::take(&mut observed.is_unclear) { observed.clear_at } else { before };
            observed.running = stage.phase == StagePhase::Running;
            let ended = matches!(stage.phase, StagePhase::Done | StagePhase::Failed);
            let held = &mut observed.sightings;
            if stage.phase == StagePhase::Waiting || (observed.running && held.ended_at.is_some()) {
                // Another attempt: the server's times are those of the last one, and so are these.
                *held = StageSightings::default();
            }
            if (observed.running || ended) && held.started_at.is_none() {
                (held.not_started_at, held.started_at) = (before, Some(received));
                is_news |= !is_told;
            }
            if ended && held.ended_at.is_none() {
                (held.not_ended_at, held.ended_at) = (before, Some(received));
                is_news |= !is_told;
            }
        }
        is_news
    }

    /// The times of the polls that did not yet see a start or an end.
    pub(super) fn unchanged_since(&mut self) -> impl Iterator<Item = &mut Option<Timestamp>> {
        self.0.iter_mut().flat_map(|stage| [&mut stage.sightings.not_started_at, &mut stage.sightings.not_ended_at])
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
            message: seen.message.clone(),
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
        StageReading {
            name: name.into(),
            state: None,
            phase,
            attempt: None,
            times: ServerTimes::default(),
            unread: Vec::new(),
            message: None,
        }
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
    fn jobs_are_as_far_whatever_the_order_of_their_stages() {
        let (done, running) = (seen("l1", StagePhase::Done), seen("l2", StagePhase::Running));
        let far = |stages: &[StageReading]| progress(StagePhase::Running, stages);
        let both = far(&[done.clone(), running.clone()]);
        assert_eq!(both, far(&[running.clone(), seen("l3", StagePhase::Waiting), done.clone()]));
        assert_ne!(both, far(std::slice::from_ref(&done)));
        assert_ne!(both, far(&[done, seen("l2", StagePhase::Done)]));
        assert_ne!(progress(StagePhase::Waiting, &[]), far(&[]));
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

    #[test]
    fn a_state_that_the_profile_does_not_name_bounds_nothing() {
        let mut stages = ObservedStages::default();
        let readings =
            [StagePhase::Waiting, StagePhase::Unnamed, StagePhase::Unnamed, StagePhase::Running, StagePhase::Unnamed];
        for (second, phase) in (1..).zip(readings) {
            stages.record(&[seen("l1", phase)], (second > 1).then(|| at(second - 1)), at(second));
        }
        let unclear = stages.to_stages(&[seen("l1", StagePhase::Unnamed)]);
        let done = [seen("l1", StagePhase::Done)];
        stages.record(&done, Some(at(5)), at(6));
        let l1 = &stages.to_stages(&done)[0];
        assert_eq!((l1.not_started_at, l1.started_at), (Some(at(1)), Some(at(4))));
        assert_eq!((l1.not_ended_at, l1.ended_at), (Some(at(4)), Some(at(6))));
        // A resumed session does not know since when.
        let mut resumed = ObservedStages::resumed(&unclear);
        resumed.record(&done, Some(at(5)), at(6));
        let l1 = &resumed.to_stages(&done)[0];
        assert_eq!((l1.started_at, l1.not_ended_at, l1.ended_at), (Some(at(4)), None, Some(at(6))));
    }
}
