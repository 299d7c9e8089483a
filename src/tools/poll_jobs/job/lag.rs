//! Answers that go back to a state which an earlier answer showed to be over: a replica of the target that lags behind the others, or a
//! cache that says nothing, gave them.
//!
//! Such an answer is at least as old as the first one that showed the later state. A job that is tried again goes back too. The target's
//! own words tell that (a higher attempt, or a later time of queueing or starting), or else that it does not come back to where it was:
//! without words, only a job that goes back twice shows a lag.

use crate::profile::StageReading;
use crate::record::{ServerTimes, StagePhase, Timestamp};

/// By how much answers lag behind the state that earlier answers showed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::tools::poll_jobs) struct Lag {
    /// A lower bound on the age of the oldest answer, in seconds.
    pub(in crate::tools::poll_jobs) least: f64,
    /// The longest time between the two answers around those that went back, in seconds.
    around: f64,
}

impl Lag {
    /// The greater of two.
    pub(in crate::tools::poll_jobs) fn max(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), around: self.around.max(other.around) }
    }

    /// The seconds by which other answers may have been older than they seemed. Nothing bounds that: this is a generous guess.
    pub(in crate::tools::poll_jobs) fn doubted_seconds(self) -> f64 {
        2.0 * self.least + self.around
    }
}

/// The states that answers about one job have shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// When an answer first showed that it had started.
    started: Option<Timestamp>,
    queued_at: Option<Timestamp>,
    stages: Vec<ShownStage>,
    /// The starts that the target told in the last answer that did not go back, and when that was sent.
    starts: Vec<Timestamp>,
    at: Option<Timestamp>,
    spell: Option<Spell>,
    spells: u32,
    worst: Lag,
    is_certain: bool,
}

/// The states of one stage that answers have shown.
#[derive(Debug)]
struct ShownStage {
    name: Box<str>,
    attempt: Option<u64>,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
}

/// Answers in a row that went back.
#[derive(Debug)]
struct Spell {
    /// When an answer first showed the state that these do not.
    from: Timestamp,
    least: f64,
    /// One of them lacks a start that the target had told.
    lacks_start: bool,
}

impl Shown {
    /// Takes an answer that was sent at `as_of`, came at `received` and tells the job's `state`, its `stages` and its `times`. Returns the
    /// lag of the target's answers, if it shows one.
    pub(super) fn observe(
        &mut self,
        (state, stages, times): (StagePhase, &[StageReading], ServerTimes),
        (as_of, received): (Timestamp, Timestamp),
    ) -> Option<Lag> {
        // Several entries of one name may be instances that run side by side.
        let is_single = |stage: &&StageReading| stages.iter().filter(|other| other.name == stage.name).count() == 1;
        let stages: Vec<&StageReading> = stages.iter().filter(is_single).collect();
        let told = stages.iter().map(|stage| stage.times).chain([times]);
        let starts: Vec<Timestamp> = told.filter_map(|times| times.started_at).collect();
        if self.is_retried(&stages, times) {
            *self = Self { worst: self.worst, is_certain: self.is_certain, ..Self::default() };
        }
        let is_told = |start: &Timestamp| starts.contains(start);
        if let Some(over) = self.over_since(state, &stages).filter(|over| *over < as_of) {
            let spell = self.spell.get_or_insert(Spell { from: over, least: 0.0, lacks_start: false });
            spell.from = spell.from.min(over);
            spell.least = spell.least.max(as_of.since(over));
            spell.lacks_start |= !self.starts.iter().all(is_told);
            return None;
        }
        let mut found = None;
        if let Some(spell) = self.spell.take() {
            self.spells += 1;
            let around = self.at.map_or(0.0, |at| received.since(at));
            self.worst = self.worst.max(Lag { least: spell.least, around });
            self.is_certain |= self.spells > 1 || spell.lacks_start && self.starts.iter().all(is_told);
            found = Some(self.worst).filter(|_| self.is_certain);
        }
        (self.starts, self.at) = (starts, Some(as_of));
        self.queued_at = times.queued_at.or(self.queued_at);
        self.advance(state, &stages, received);
        found
    }

    /// Takes an answer that is the last one again.
    pub(super) fn repeat(&mut self, as_of: Timestamp) {
        match &mut self.spell {
            Some(spell) => spell.least = spell.least.max(as_of.since(spell.from)),
            None => self.at = self.at.max(Some(as_of)),
        }
    }

    /// Returns true if its answers certainly lag.
    pub(super) fn lags(&self) -> bool {
        self.is_certain
    }

    fn stage(&self, stage: &StageReading) -> Option<&ShownStage> {
        self.stages.iter().find(|shown| *shown.name == *stage.name)
    }

    /// Returns true if the target says that the job, or one of its stages, is tried again.
    fn is_retried(&self, stages: &[&StageReading], times: ServerTimes) -> bool {
        let latest = self.starts.iter().max();
        let told = stages.iter().map(|stage| stage.times).chain([times]).filter_map(|times| times.started_at);
        // A stage that starts later than all others is the next one, unless it is the same.
        let has_more = told.clone().count() > self.starts.len();
        let is_later = !has_more && told.max().as_ref() > latest && latest.is_some();
        let is_queued_later = self.queued_at.is_some() && times.queued_at > self.queued_at;
        let is_later_attempt = |stage: &&StageReading| {
            self.stage(stage).is_some_and(|shown| shown.attempt.is_some() && stage.attempt > shown.attempt)
        };
        is_later || is_queued_later || stages.iter().any(is_later_attempt)
    }

    /// The earliest time at which an answer had shown that the state that this one shows was over.
    fn over_since(&self, state: StagePhase, stages: &[&StageReading]) -> Option<Timestamp> {
        let of_job = self.started.filter(|_| state == StagePhase::Waiting);
        let of_stages = stages.iter().filter_map(|stage| {
            let shown = self.stage(stage)?;
            match stage.phase {
                StagePhase::Waiting => shown.started,
                StagePhase::Running => shown.ended,
                _ => None,
            }
        });
        of_job.into_iter().chain(of_stages).min()
    }

    fn advance(&mut self, state: StagePhase, stages: &[&StageReading], received: Timestamp) {
        if state != StagePhase::Waiting {
            self.started.get_or_insert(received);
        }
        for stage in stages.iter().filter(|stage| stage.phase != StagePhase::Unnamed) {
            let known = self.stages.iter().position(|shown| *shown.name == *stage.name);
            let index = known.unwrap_or_else(|| {
                let name = stage.name.as_str().into();
                self.stages.push(ShownStage { name, attempt: None, started: None, ended: None });
                self.stages.len() - 1
            });
            let shown = &mut self.stages[index];
            shown.attempt = shown.attempt.max(stage.attempt);
            if stage.phase != StagePhase::Waiting {
                shown.started.get_or_insert(received);
            }
            if matches!(stage.phase, StagePhase::Done | StagePhase::Failed) {
                shown.ended.get_or_insert(received);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use StagePhase::{Done, Running, Waiting};

    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_seconds(1.8e9 + seconds).unwrap()
    }

    /// An answer that was sent at the first of these seconds and came 10 ms later: the job's state, its start as the target tells it, and
    /// the state and the attempt of its only stage.
    type Told = (f64, StagePhase, Option<f64>, Option<(StagePhase, Option<u64>)>);

    fn lag(answers: &[Told]) -> Option<Lag> {
        let mut shown = Shown::default();
        answers.iter().fold(None, |found, (sent, state, start, stage)| {
            let times = ServerTimes { started_at: start.map(at), ..ServerTimes::default() };
            let stage = stage.map(|(phase, attempt)| StageReading {
                name: "a".into(),
                state: None,
                phase,
                attempt,
                times: ServerTimes::default(),
                unread: Vec::new(),
                message: None,
                is_nameless: false,
            });
            let told = (*state, &Vec::from_iter(stage)[..], times);
            shown.observe(told, (at(*sent), at(sent + 0.01))).or(found)
        })
    }

    #[test]
    fn answers_that_go_back_and_return_are_as_old_as_the_state_that_they_hide() {
        let near = |found: Option<Lag>, least: f64, around: f64| {
            let found = found.unwrap();
            assert!((found.least - least).abs() < 1e-3 && (found.around - around).abs() < 1e-3, "{found:?}");
        };
        let (waiting, running) = (|sent| (sent, Waiting, None, None), |sent| (sent, Running, None, None));
        let twice = [waiting(1.0), running(2.0), waiting(2.5), running(3.0), waiting(3.5), running(3.7)];
        near(lag(&twice), 1.49, 1.01);
        // The same start is told again.
        let told = |sent| (sent, Running, Some(1.5), None);
        near(lag(&[waiting(1.0), told(2.0), waiting(2.5), waiting(3.0), told(3.5)]), 0.99, 1.51);
        let stage = |sent, phase| (sent, Running, None, Some((phase, Some(1))));
        let stages =
            [stage(1.0, Running), stage(2.0, Done), stage(2.5, Running), stage(3.0, Done), stage(3.1, Running)];
        near(lag(&[&stages[..], &[(3.2, Done, None, None)]].concat()), 1.09, 1.01);
    }

    #[test]
    fn a_job_that_is_tried_again_does_not_lag() {
        let waiting = |sent| (sent, Waiting, None, None);
        let running = |sent, start| (sent, Running, start, None);
        assert_eq!(lag(&[waiting(1.0), running(2.0, None), waiting(3.0), running(4.0, None)]), None, "once");
        let (first, second) = (Some(1.9), Some(3.9));
        assert_eq!(lag(&[running(2.0, first), waiting(3.0), running(4.0, second)]), None, "it starts later");
        let stage = |sent, phase, attempt| (sent, Running, None, Some((phase, Some(attempt))));
        let attempts = (1..5).flat_map(|n| [stage(n as f64, Running, n), stage(n as f64 + 0.5, Waiting, n + 1)]);
        assert_eq!(lag(&attempts.collect::<Vec<_>>()), None, "its attempts are counted");
        assert_eq!(lag(&[running(2.0, first), running(3.0, None), running(4.0, first)]), None, "no state goes back");
    }
}
