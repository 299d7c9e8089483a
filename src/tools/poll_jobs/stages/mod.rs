//! A job's stages as the polls saw them: each start and end as an interval between two polls.
//!
//! An answer is evidence of the stages that it lists. One without stages, or with an empty list, tells nothing of any. One that lists
//! some stages and lacks another shows only that the other had not started, if it was never listed before, and only as long as the
//! server tells no time of it: some targets list a stage long after it has started.

mod observed;

use std::hash::{DefaultHasher, Hash, Hasher};

use itertools::Itertools;

use observed::{Counts, ObservedStage};

use crate::profile::StageReading;
use crate::record::{Stage, StagePhase, StageSightings, TimesFrom, Timestamp};

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
pub(super) struct ObservedStages {
    stages: Vec<ObservedStage>,
    /// The last answer that listed stages.
    listed_at: Option<Timestamp>,
    /// The last answer listed stages.
    is_listed: bool,
}

impl ObservedStages {
    /// The stages as an earlier session saw them, for a resumed job that `told_at` was the last to show waiting or running.
    pub(super) fn resumed(stages: &[Stage], told_at: Option<Timestamp>) -> Self {
        let mut observed = Self::default();
        for stage in stages {
            let reading = StageReading {
                name: stage.name.clone(),
                state: stage.state.clone(),
                phase: stage.phase,
                attempt: stage.attempt,
                times: stage.server_times(),
                unread: Vec::new(),
                message: stage.message.clone(),
                is_nameless: false,
            };
            // The answers of that session after the one that listed it may have been the last.
            let told_at = told_at.filter(|_| !stage.unlisted);
            let held = observed.get(&stage.name);
            held.kept = held.kept.iter().cloned().chain([reading]).collect();
            held.counts = Counts::of(held.kept.iter().map(|entry| entry.phase));
            held.attempt = held.attempt.max(stage.attempt.unwrap_or_default());
            held.running = held.running || stage.phase == StagePhase::Running;
            let is_clear = held.kept.iter().all(|entry| entry.phase != StagePhase::Unnamed);
            held.told_at = told_at.filter(|_| is_clear);
            // Entries of one name share their times, but an entry has only those of what it has come to.
            let mut seen = stage.sightings().unwrap_or_default();
            if stage.times_from == Some(TimesFrom::Polls) {
                // Such a bound may come from absence, and the record does not say so: it counts as that.
                held.unlisted_at = held.unlisted_at.max(seen.not_started_at);
                seen.not_ended_at = seen.not_ended_at.filter(|at| Some(*at) > seen.not_started_at);
                seen.not_started_at = None;
            }
            if seen.started_at.is_some() {
                (held.sightings.not_started_at, held.sightings.started_at) = (seen.not_started_at, seen.started_at);
            }
            if seen.ended_at.is_some() {
                (held.sightings.not_ended_at, held.sightings.ended_at) = (seen.not_ended_at, seen.ended_at);
            }
        }
        observed.listed_at = told_at.filter(|_| stages.iter().any(|stage| !stage.unlisted));
        observed
    }

    /// The stage called `name`, which may be new.
    fn get(&mut self, name: &str) -> &mut ObservedStage {
        let known = self.stages.iter().position(|observed| *observed.name == *name);
        let index = known.unwrap_or_else(|| {
            let unlisted_at = self.listed_at;
            self.stages.push(ObservedStage { name: name.into(), unlisted_at, ..ObservedStage::default() });
            self.stages.len() - 1
        });
        &mut self.stages[index]
    }

    /// Returns true if no answer has listed a stage.
    pub(super) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Records the stages `seen` in an answer that told of the job as it was at `as_of`, or later, and came at `received`.
    ///
    /// Returns true if a start or an end was seen whose time only the polls tell.
    pub(super) fn record(&mut self, seen: &[StageReading], as_of: Option<Timestamp>, received: Timestamp) -> bool {
        self.is_listed = !seen.is_empty();
        for stage in &mut self.stages {
            (stage.is_listed, stage.is_clear) = (false, false);
            stage.running &= !self.is_listed;
        }
        let mut is_news = false;
        // The name of one without a name is its place in the list, and another one may have that in the next answer.
        for name in seen.iter().filter(|stage| !stage.is_nameless).map(|stage| &stage.name).unique() {
            let entries: Vec<&StageReading> = seen.iter().filter(|stage| stage.name == *name).collect();
            let is_told = |entry: &&StageReading| entry.times.started_at.is_some() || entry.times.ended_at.is_some();
            let has_changed = self.get(name).see(&entries, as_of, received);
            is_news |= has_changed && !entries.iter().any(is_told);
        }
        if self.is_listed {
            self.listed_at = self.listed_at.max(as_of);
        }
        is_news
    }

    /// Records that the last answer came again, as of `as_of`.
    pub(super) fn repeat(&mut self, as_of: Option<Timestamp>) {
        if self.is_listed {
            self.listed_at = self.listed_at.max(as_of);
        }
        for stage in self.stages.iter_mut().filter(|stage| stage.is_clear) {
            stage.told_at = stage.told_at.max(as_of);
        }
    }

    /// Returns true if the last answer listed a stage that is not among those `seen` in a new one.
    pub(super) fn would_lose(&self, seen: &[StageReading]) -> bool {
        let mut listed = self.stages.iter().filter(|stage| stage.is_listed);
        listed.any(|stage| !seen.iter().any(|seen| *seen.name == *stage.name))
    }

    /// Keeps what the last answer told, which listed the stages `last`.
    pub(super) fn keep(&mut self, last: &[StageReading]) {
        for stage in self.stages.iter_mut().filter(|stage| stage.is_listed) {
            stage.kept = last.iter().filter(|seen| *seen.name == *stage.name).cloned().collect();
        }
    }

    /// The times of the polls that did not yet see a start or an end.
    pub(super) fn unchanged_since(&mut self) -> impl Iterator<Item = &mut Option<Timestamp>> {
        self.stages.iter_mut().flat_map(|stage| {
            let StageSightings { not_started_at, not_ended_at, .. } = &mut stage.sightings;
            [not_started_at, not_ended_at, &mut stage.unlisted_at]
        })
    }

    /// The names of the stages that were running in the last answer that listed stages.
    pub(super) fn running(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().filter(|stage| stage.running).map(|stage| &*stage.name)
    }

    /// The stages for the record, with the server's times if it gave a start or an end, and with those of the polls: those `seen` in the
    /// last answer, and those that only earlier ones listed. `not_started_at` is the last poll that saw the job waiting.
    pub(super) fn to_stages(&self, seen: &[StageReading], not_started_at: Option<Timestamp>) -> Vec<Stage> {
        let of_name = |name: &str| self.stages.iter().find(|observed| *observed.name == *name);
        let listed = seen.iter().map(|entry| to_stage(entry, of_name(&entry.name), not_started_at));
        let unlisted = self.stages.iter().filter(|stage| !seen.iter().any(|seen| *seen.name == *stage.name));
        let unlisted = unlisted
            .flat_map(|stage| stage.kept.iter().map(move |entry| (stage, entry)))
            .map(|(stage, entry)| Stage { unlisted: true, ..to_stage(entry, Some(stage), not_started_at) });
        listed.chain(unlisted).collect()
    }
}

fn to_stage(entry: &StageReading, observed: Option<&ObservedStage>, not_started_at: Option<Timestamp>) -> Stage {
    let seen = observed.and_then(|observed| observed.seen(entry.phase));
    let times = entry.times;
    let stage = Stage {
        name: entry.name.clone(),
        state: entry.state.clone(),
        phase: entry.phase,
        attempt: entry.attempt,
        message: entry.message.clone(),
        queued_at: times.queued_at,
        resolution_seconds: times.resolution_seconds,
        ..Stage::default()
    };
    if times.started_at.is_some() || times.ended_at.is_some() {
        return Stage {
            times_from: Some(TimesFrom::Server),
            started_at: times.started_at,
            ended_at: times.ended_at,
            seen,
            ..stage
        };
    }
    let Some(seen) = seen else { return stage };
    // Without the server's times, absence from a list counts, and so does the job's own state.
    let unlisted_at = observed.and_then(|observed| observed.unlisted_at);
    let not_started_at =
        seen.not_started_at.max(unlisted_at).max(not_started_at.filter(|at| Some(*at) <= seen.started_at));
    Stage {
        times_from: Some(TimesFrom::Polls),
        not_started_at,
        started_at: seen.started_at,
        not_ended_at: seen.not_ended_at.max(not_started_at.filter(|_| seen.ended_at.is_some())),
        ended_at: seen.ended_at,
        ..stage
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
            is_nameless: false,
        }
    }

    #[test]
    fn starts_and_ends_lie_between_two_polls() {
        let mut stages = ObservedStages::default();
        stages.record(&[seen("l1", StagePhase::Waiting)], Some(at(1)), at(1));
        stages.record(&[seen("l1", StagePhase::Running)], Some(at(2)), at(2));
        assert_eq!(stages.running().collect::<Vec<_>>(), ["l1"]);
        let last = [seen("l1", StagePhase::Done), seen("l2", StagePhase::Done)];
        stages.record(&last, Some(at(3)), at(3));
        stages.record(&last, Some(at(4)), at(4));
        let last = stages.to_stages(&last, None);
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
        stages.record(std::slice::from_ref(&stage), Some(at(9)), at(9));
        let last = &stages.to_stages(&[stage], None)[0];
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
            stages.record(&[seen("l1", phase)], Some(at(second)), at(second));
        }
        let l1 = &stages.to_stages(&[seen("l1", StagePhase::Done)], None)[0];
        assert_eq!((l1.not_started_at, l1.started_at, l1.ended_at), (Some(at(2)), Some(at(3)), Some(at(4))));
    }

    #[test]
    fn a_state_that_the_profile_does_not_name_bounds_nothing() {
        let mut stages = ObservedStages::default();
        let readings =
            [StagePhase::Waiting, StagePhase::Unnamed, StagePhase::Unnamed, StagePhase::Running, StagePhase::Unnamed];
        for (second, phase) in (1..).zip(readings) {
            stages.record(&[seen("l1", phase)], Some(at(second)), at(second));
        }
        let unclear = stages.to_stages(&[seen("l1", StagePhase::Unnamed)], None);
        let done = [seen("l1", StagePhase::Done)];
        stages.record(&done, Some(at(6)), at(6));
        let l1 = &stages.to_stages(&done, None)[0];
        assert_eq!((l1.not_started_at, l1.started_at), (Some(at(1)), Some(at(4))));
        assert_eq!((l1.not_ended_at, l1.ended_at), (Some(at(4)), Some(at(6))));
        // A resumed session does not know since when.
        let mut resumed = ObservedStages::resumed(&unclear, Some(at(5)));
        resumed.record(&done, Some(at(6)), at(6));
        let l1 = &resumed.to_stages(&done, None)[0];
        assert_eq!((l1.started_at, l1.not_ended_at, l1.ended_at), (Some(at(4)), Some(at(1)), Some(at(6))));
    }

    #[test]
    fn answers_that_list_no_stages_are_no_evidence_and_those_that_list_others_only_without_the_servers_times() {
        let mut stages = ObservedStages::default();
        stages.record(&[], Some(at(1)), at(1));
        stages.record(&[seen("l1", StagePhase::Running)], Some(at(2)), at(2));
        stages.record(&[], Some(at(3)), at(3));
        stages.repeat(Some(at(4)));
        let last = [seen("l1", StagePhase::Done), seen("l2", StagePhase::Running)];
        stages.record(&last, Some(at(5)), at(5));
        stages.repeat(Some(at(6)));
        let found = stages.to_stages(&last, None);
        assert_eq!(
            (found[0].not_started_at, found[0].not_ended_at, found[0].ended_at),
            (None, Some(at(2)), Some(at(5)))
        );
        assert_eq!((found[1].not_started_at, found[1].started_at), (Some(at(2)), Some(at(5))));
        assert_eq!(stages.to_stages(&last, Some(at(1)))[0].not_started_at, Some(at(1)), "the job waited until then");
        let mut told = last[1].clone();
        told.times.started_at = Some(at(1));
        let told = &stages.to_stages(&[told], None)[0];
        assert_eq!((told.started_at, told.seen.unwrap().not_started_at), (Some(at(1)), None), "{told:?}");
    }

    #[test]
    fn absence_from_a_list_stays_no_evidence_against_the_server_after_a_resumption() {
        let mut stages = ObservedStages::default();
        stages.record(&[seen("l1", StagePhase::Running)], Some(at(1)), at(1));
        let last = [seen("l1", StagePhase::Done), seen("l2", StagePhase::Done)];
        stages.record(&last, Some(at(2)), at(3));
        let kept = stages.to_stages(&last, None);
        assert_eq!((kept[1].not_started_at, kept[1].not_ended_at), (Some(at(1)), Some(at(1))));
        let resumed = ObservedStages::resumed(&kept, Some(at(2)));
        assert_eq!(resumed.to_stages(&last, None), kept, "by the polls alone it counts as before");
        let mut told = last[1].clone();
        (told.times.started_at, told.times.ended_at) = (Some(at(0)), Some(at(1)));
        let told = resumed.to_stages(&[told], None).remove(0);
        let sightings = told.seen.unwrap();
        assert_eq!((sightings.not_started_at, sightings.not_ended_at), (None, None), "{sightings:?}");
        assert_eq!((sightings.started_at, sightings.ended_at), (Some(at(3)), Some(at(3))));
    }

    #[test]
    fn entries_of_one_name_share_the_widest_times() {
        use StagePhase::{Done, Failed, Running, Waiting};
        let lists: [&[StagePhase]; 7] = [
            &[Waiting, Waiting],
            &[Running, Waiting],
            &[Running, Running],
            &[Failed, Running],
            &[Failed, Running, Running],
            &[Done, Running, Failed],
            &[Done, Failed, Done],
        ];
        let mut stages = ObservedStages::default();
        let mut last = Vec::new();
        for (second, phases) in (1..).zip(lists) {
            last = phases.iter().map(|phase| seen("l1", *phase)).collect();
            stages.record(&last, Some(at(second)), at(second));
        }
        for stage in stages.to_stages(&last, None) {
            assert_eq!((stage.not_started_at, stage.started_at), (Some(at(1)), Some(at(5))), "the third one came then");
            assert_eq!((stage.not_ended_at, stage.ended_at), (Some(at(3)), Some(at(7))));
        }
        // Once fewer are listed, nothing tells which ones.
        stages.record(&last[..1], Some(at(8)), at(8));
        let stage = &stages.to_stages(&last[..1], None)[0];
        assert_eq!((stage.started_at, stage.not_ended_at, stage.ended_at), (Some(at(8)), Some(at(3)), Some(at(8))));
    }

    #[test]
    fn a_higher_number_is_another_attempt() {
        let numbered = |attempt, phase| StageReading { attempt: Some(attempt), ..seen("l1", phase) };
        let mut stages = ObservedStages::default();
        let readings = [(0, StagePhase::Running), (1, StagePhase::Running), (2, StagePhase::Done)];
        for (second, (attempt, phase)) in (1..).zip(readings) {
            let last = [numbered(attempt, phase)];
            stages.record(&last, Some(at(second)), at(second));
            let stage = &stages.to_stages(&last, None)[0];
            // Some targets count attempts once they have begun.
            let expected = if attempt < 2 { (None, Some(at(1))) } else { (Some(at(2)), Some(at(3))) };
            assert_eq!((stage.not_started_at, stage.started_at), expected, "{attempt}");
        }
    }
}
