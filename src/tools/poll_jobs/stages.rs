//! What polls saw of a job's stages: each start and end as an interval between two polls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::profile::StageSeen;
use crate::record::{Stage, StagePhase, TimesFrom, Timestamp};

/// Names that many jobs share, kept once: ten thousand jobs have the same eight stages.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.0.insert(name.clone());
        name
    }
}

/// One stage between polls.
#[derive(Clone, Debug)]
struct Mark {
    name: Arc<str>,
    running: bool,
    not_started_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    not_ended_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl Mark {
    fn unseen(name: Arc<str>) -> Self {
        Self { name, running: false, not_started_at: None, started_at: None, not_ended_at: None, ended_at: None }
    }
}

/// The stages of one job.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// What an earlier session saw of `stages`, for a job that is followed again.
    pub(super) fn resumed(stages: &[Stage], names: &mut Names) -> Self {
        let seen = stages.iter().filter(|stage| stage.times_from == Some(TimesFrom::Polls));
        let mark = |stage: &Stage| Mark {
            name: names.shared(&stage.name),
            running: stage.phase == StagePhase::Running,
            not_started_at: stage.not_started_at,
            started_at: stage.started_at,
            not_ended_at: stage.not_ended_at,
            ended_at: stage.ended_at,
        };
        Self(seen.map(mark).collect())
    }

    /// Takes note of an answer that came at `received`. `before` is when the poll before was sent that saw the job's state:
    /// what is new now had not happened then.
    pub(super) fn note(
        &mut self,
        seen: &[StageSeen],
        before: Option<Timestamp>,
        received: Timestamp,
        names: &mut Names,
    ) {
        for stage in seen {
            let known = self.0.iter().position(|mark| *mark.name == *stage.name);
            let index = known.unwrap_or_else(|| {
                self.0.push(Mark::unseen(names.shared(&stage.name)));
                self.0.len() - 1
            });
            let mark = &mut self.0[index];
            mark.running = stage.phase == StagePhase::Running;
            let ended = matches!(stage.phase, StagePhase::Done | StagePhase::Failed);
            if (mark.running || ended) && mark.started_at.is_none() {
                mark.not_started_at = before;
                mark.started_at = Some(received);
            }
            if ended && mark.ended_at.is_none() {
                mark.not_ended_at = before;
                mark.ended_at = Some(received);
            }
        }
    }

    /// The names of the stages that were running when the job was last seen.
    pub(super) fn running(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().filter(|mark| mark.running).map(|mark| &mark.name)
    }

    /// The stages as the record tells them: the server's times where it gave a start or an end, else the polls'.
    pub(super) fn stages(&self, seen: &[StageSeen]) -> Vec<Stage> {
        seen.iter().map(|stage| self.stage(stage)).collect()
    }

    fn stage(&self, seen: &StageSeen) -> Stage {
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
        match self.0.iter().find(|mark| *mark.name == *seen.name && mark.started_at.is_some()) {
            None => stage,
            Some(mark) => Stage {
                times_from: Some(TimesFrom::Polls),
                not_started_at: mark.not_started_at,
                started_at: mark.started_at,
                not_ended_at: mark.not_ended_at,
                ended_at: mark.ended_at,
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

    fn seen(name: &str, phase: StagePhase) -> StageSeen {
        StageSeen { name: name.into(), state: None, phase, attempt: None, times: ServerTimes::default() }
    }

    #[test]
    fn starts_and_ends_lie_between_two_polls() {
        let (mut marks, mut names) = (Marks::default(), Names::default());
        marks.note(&[seen("l1", StagePhase::Waiting)], None, at(1), &mut names);
        marks.note(&[seen("l1", StagePhase::Running)], Some(at(1)), at(2), &mut names);
        assert_eq!(marks.running().map(|name| &**name).collect::<Vec<_>>(), ["l1"]);
        let last = [seen("l1", StagePhase::Done), seen("l2", StagePhase::Done)];
        marks.note(&last, Some(at(2)), at(3), &mut names);
        marks.note(&last, Some(at(3)), at(4), &mut names);
        let stages = marks.stages(&last);
        let l1 = &stages[0];
        assert_eq!(
            (l1.not_started_at, l1.started_at, l1.not_ended_at, l1.ended_at),
            (Some(at(1)), Some(at(2)), Some(at(2)), Some(at(3)))
        );
        let l2 = &stages[1];
        assert_eq!(
            (l2.not_started_at, l2.started_at, l2.not_ended_at, l2.ended_at),
            (Some(at(2)), Some(at(3)), Some(at(2)), Some(at(3)))
        );
        assert_eq!(l2.times_from, Some(TimesFrom::Polls));
        assert_eq!(marks.running().count(), 0);
    }

    #[test]
    fn the_servers_times_come_first() {
        let (mut marks, mut names) = (Marks::default(), Names::default());
        let mut stage = seen("l1", StagePhase::Done);
        stage.times.started_at = Some(at(7));
        marks.note(std::slice::from_ref(&stage), None, at(9), &mut names);
        let told = &marks.stages(&[stage])[0];
        assert_eq!((told.times_from, told.started_at, told.ended_at), (Some(TimesFrom::Server), Some(at(7)), None));
    }
}
