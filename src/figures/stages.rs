//! The stages of a pipeline: the waits for each and the work in it, of all jobs together, and the stage that limits.

use std::collections::BTreeSet;

use itertools::Itertools;

use super::distribution::{Distribution, Measured};
use super::outcome::Outcome;
use super::tally::{JobEntry, JobTally};
use crate::record::{StagePhase, TimesFrom};

/// The figures of one stage, from all jobs together.
#[derive(Clone, Debug, Default)]
pub struct StageFigures {
    /// Its name.
    pub name: String,
    /// Its waits.
    pub wait: Option<Distribution>,
    /// Its work, of the jobs that finished it.
    pub work: Option<Distribution>,
    /// Number of jobs whose times came from the server.
    pub by_server: usize,
    /// Number of jobs whose times were seen by polls.
    pub by_polls: usize,
    /// Jobs whose times run backwards.
    pub backwards: Vec<String>,
    /// Jobs whose server times contradict the polls.
    pub contradicted: Vec<String>,
    /// By how many seconds they do at most.
    pub contradicted_seconds: f64,
    /// Jobs whose queueing times alone contradict the polls.
    pub queued_contradicted: Vec<String>,
    /// By how many seconds they do at most.
    pub queued_contradicted_seconds: f64,
    /// Largest number of times that jobs can have been in it, by what is known of them.
    pub entered_at_most: u64,
}

impl StageFigures {
    /// Returns the source of the times: `server`, `by polls`, or both; a dash if there are none.
    pub fn times_from(&self) -> &'static str {
        match (self.by_server, self.by_polls) {
            (0, 0) => "–",
            (_, 0) => "server",
            (0, _) => "by polls",
            _ => "server and by polls",
        }
    }
}

/// The figures of every stage that a job told of, in pipeline order where the Runs say it.
pub fn stages(tally: &JobTally) -> Vec<StageFigures> {
    let mut order: Vec<&str> = Vec::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let specs = tally.plans.iter().flat_map(|plan| &plan.stages).map(|spec| spec.name.as_str());
    let told = tally.entries.iter().flat_map(JobEntry::stages).map(|stage| stage.name.as_str());
    order.extend(specs.chain(told).filter(|name| known.insert(name)));
    // One after the other, so that the samples of one stage are in memory at a time.
    order.into_iter().map(|name| stage(tally, name)).collect()
}

fn stage(tally: &JobTally, name: &str) -> StageFigures {
    let mut figures =
        StageFigures { name: name.to_owned(), entered_at_most: entered(tally, name), ..StageFigures::default() };
    let (mut waits, mut works) = (Vec::new(), Vec::new());
    for entry in &tally.entries {
        for stage in entry.entries_of(name) {
            let times = stage.times;
            waits.extend(times.wait());
            works.extend(times.work());
            if times.wait().or(times.work()).is_some() {
                match stage.times_from.filter(|_| times.contradicted().is_none()) {
                    Some(TimesFrom::Server) => figures.by_server += 1,
                    Some(TimesFrom::Polls) | None => figures.by_polls += 1,
                }
            }
            let note = |jobs: &mut Vec<String>| {
                if jobs.last() != Some(&entry.name) {
                    jobs.push(entry.name.clone());
                }
            };
            if times.backwards {
                note(&mut figures.backwards);
            }
            if let Some(seconds) = times.contradicted() {
                note(&mut figures.contradicted);
                figures.contradicted_seconds = figures.contradicted_seconds.max(seconds.into());
            }
            if let Some(seconds) = times.queued_contradicted() {
                note(&mut figures.queued_contradicted);
                figures.queued_contradicted_seconds = figures.queued_contradicted_seconds.max(seconds.into());
            }
        }
    }
    figures.wait = Distribution::from_samples(&waits);
    figures.work = Distribution::from_samples(&works);
    figures
}

/// Returns the largest number of times that jobs can have been in the stage `name`: its attempts if a job finished it. A job
/// whose document does not name it may have been in it unseen, before it was lost or after another stage failed.
fn entered(tally: &JobTally, name: &str) -> u64 {
    let shown = |entry: &'_ JobEntry| {
        let attempts = || entry.entries_of(name).map(|stage| u64::from(stage.attempts));
        let is_done = entry.entries_of(name).any(|stage| stage.phase == StagePhase::Done);
        // Entries with the same number are instances that ran side by side, each with attempts of its own.
        let most = if attempts().all_unique() { attempts().max() } else { Some(attempts().sum()) };
        most.map(|most| (most.max(attempts().count() as u64), is_done))
    };
    let most = tally.entries.iter().filter_map(shown).map(|(attempts, _)| attempts).max().unwrap_or(1);
    let ran = tally.entries.iter().filter(|entry| entry.outcome != Outcome::Rejected);
    ran.map(|entry| shown(entry).filter(|(_, is_done)| *is_done).map_or(most, |(attempts, _)| attempts))
        .fold(0, u64::saturating_add)
}

/// The stage that holds the others up.
#[derive(Clone, Debug, PartialEq)]
pub struct Limiting {
    /// Its name.
    pub stage: String,
    /// The mean wait for it, where waits are known.
    pub wait: Option<Measured>,
    /// The mean work in it.
    pub work: Option<Measured>,
    /// True if it was chosen for its wait, false for its work.
    pub by_wait: bool,
    /// The stage with the next longest mean wait: where it is nearly as long, another run may name that one.
    pub next: Option<(String, Measured)>,
}

impl Limiting {
    /// The stage with the largest mean wait; where no job is known to have waited, the one with the largest mean work.
    pub fn find(stages: &[StageFigures]) -> Option<Self> {
        let largest = |part: fn(&StageFigures) -> Option<Distribution>| {
            let means = stages.iter().filter_map(|stage| Some((stage, part(stage)?.mean)));
            let mut means: Vec<_> = means.filter(|(_, mean)| mean.seconds > 0.0).collect();
            means.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
            means.into_iter()
        };
        let mut by_wait = largest(|stage| stage.wait);
        let longest = by_wait.next();
        let (stage, _) = longest.or_else(|| largest(|stage| stage.work).next())?;
        Some(Self {
            stage: stage.name.clone(),
            wait: stage.wait.map(|wait| wait.mean),
            work: stage.work.map(|work| work.mean),
            by_wait: longest.is_some(),
            next: by_wait.next().map(|(stage, mean)| (stage.name.clone(), mean)),
        })
    }

    /// The reason why this stage limits, without its name: `jobs waited 8.20 s for it against 2.10 s of work, on average; next l1:
    /// 3.10 s`.
    pub fn text(&self) -> String {
        let mean = |part: Option<Measured>| part.map_or_else(|| "an unknown time".to_owned(), Measured::text);
        match (self.by_wait, self.wait) {
            (true, _) => {
                let next = self.next.as_ref().map(|(stage, wait)| format!("; next {stage}: {}", wait.text()));
                format!(
                    "jobs waited {} for it against {} of work, on average{}",
                    mean(self.wait),
                    mean(self.work),
                    next.unwrap_or_default()
                )
            }
            (false, Some(_)) => format!("{} of work on average; no stage was waited for", mean(self.work)),
            (false, None) => format!("{} of work on average; how long jobs waited is not known", mean(self.work)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_limits_and_work_where_waits_are_unknown() {
        let figures = |name: &str, wait: Option<f64>, work: f64| StageFigures {
            name: name.into(),
            wait: wait.and_then(|wait| Distribution::from_samples(&[Measured::exact(wait)])),
            work: Distribution::from_samples(&[Measured::exact(work)]),
            ..StageFigures::default()
        };
        let limiting = Limiting::find(&[figures("a", Some(1.0), 9.0), figures("b", Some(8.2), 2.1)]).unwrap();
        assert_eq!(limiting.stage, "b");
        let text = "jobs waited 8.20 s for it against 2.10 s of work, on average; next a: 1.00 s";
        assert_eq!(limiting.text(), text);
        let limiting = Limiting::find(&[figures("a", Some(0.0), 9.0), figures("b", Some(8.2), 2.1)]).unwrap();
        assert_eq!(limiting.text(), "jobs waited 8.20 s for it against 2.10 s of work, on average");
        let limiting = Limiting::find(&[figures("a", None, 9.0), figures("b", None, 2.1)]).unwrap();
        assert_eq!(limiting.text(), "9.00 s of work on average; how long jobs waited is not known");
        let limiting = Limiting::find(&[figures("a", Some(0.0), 9.0), figures("b", Some(0.0), 2.1)]).unwrap();
        assert_eq!(limiting.text(), "9.00 s of work on average; no stage was waited for");
        assert_eq!(Limiting::find(&[]), None);
    }
}
