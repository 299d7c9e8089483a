//! Facts about a resumed run: jobs that had been given up and were followed again.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools;

use super::listed;
use super::outcome::Outcome;
use super::tally::JobTally;
use crate::record::{Job, Key, Kind, Phase, Record, Timestamp};
use crate::units;

/// The jobs of a stream that were given up at some time, whatever became of them.
#[derive(Clone, Debug, Default)]
pub struct GivenUp {
    /// By job: when, and how.
    jobs: BTreeMap<Key, Vec<(Option<Timestamp>, Outcome)>>,
}

impl GivenUp {
    /// Takes one more record of the stream into account.
    pub fn note(&mut self, record: &Record) {
        let phases = [Phase::TimedOut, Phase::Lost, Phase::Interrupted];
        // Most records are of jobs that went well, and reading them all again would take as long as all else.
        if record.kind() != Kind::Job || record.standing().0 != Phase::Lost.rank() {
            return;
        }
        if let Ok(job) = record.read::<Job>()
            && phases.contains(&job.status.phase)
        {
            let told = (job.status.observed_at, Outcome::from_phase(job.status.phase));
            self.jobs.entry(record.key().clone()).or_default().push(told);
        }
    }
}

/// Facts about the resumption of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resumed {
    /// The time of each resumption.
    pub at: Vec<Timestamp>,
    /// Outcomes of the jobs that had been given up before the last resumption.
    pub given_up: BTreeMap<Outcome, u64>,
    /// Number of those jobs that have ended since.
    pub ended: u64,
}

impl Resumed {
    /// The resumption that the Runs of `account` and the jobs `given_up` show; none if no Run was resumed.
    pub fn find(tally: &JobTally, given_up: &GivenUp) -> Option<Self> {
        let at: BTreeSet<Timestamp> = tally.runs().flat_map(|run| run.status.resumed_at.iter().copied()).collect();
        let last = *at.last()?;
        let mut resumed = Self { at: at.into_iter().collect(), ..Self::default() };
        for entry in &tally.entries {
            let key = Key { kind: Kind::Job, run: entry.run.to_string(), name: entry.name.clone() };
            let before = given_up.jobs.get(&key).into_iter().flatten().filter(|(at, _)| at.is_some_and(|at| at < last));
            let Some((_, outcome)) = before.max_by_key(|(at, _)| *at) else { continue };
            *resumed.given_up.entry(*outcome).or_default() += 1;
            resumed.ended += u64::from(matches!(entry.outcome, Outcome::Succeeded | Outcome::Failed));
        }
        Some(resumed)
    }

    /// In words: `once, at 2026-05-20T22:40:00Z: 4 jobs had been given up before (4 timed out), 3 have ended since`.
    pub fn text(&self) -> String {
        let often = match self.at.len() {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let count: u64 = self.given_up.values().sum();
        let before = match count {
            0 => "no job is recorded as given up before".to_owned(),
            _ => format!(
                "{} been given up before ({}), {} ended since",
                units::counted(count, "job had", "jobs had"),
                self.given_up.iter().map(|(outcome, count)| format!("{count} {outcome}")).join(", "),
                units::counted(self.ended, "has", "have")
            ),
        };
        format!("{often}, at {}: {before}", listed(&self.at))
    }
}
