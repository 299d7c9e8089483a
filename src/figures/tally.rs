//! The account of a run: which jobs were asked for, and where each of them has gone.
//!
//! The jobs asked for follow from the Runs alone (prefix and number), so that a job nobody ever spoke of is missing by
//! name. Runs of one run id and one prefix are shards of one run.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use itertools::Itertools;

use super::job_facts::{JobFacts, SharedName, SharedNames, StageFacts};
use super::job_times::JobTimes;
use super::outcome::{self, Outcome};
use super::run_plan::{NAMEABLE, RunPlan};
use super::streams::Streams;
use super::{any_listed, listed};
use crate::escape;
use crate::record::{
    Aborted, Conservation, Fold, Job, Jobs, Reason, Run, StagePhase, Timestamp, canonical_id, job_name, warmup_prefix,
};

/// One job of the account.
#[derive(Clone, Debug)]
pub struct JobEntry {
    /// The run's id.
    pub run: SharedName,
    /// The job's name.
    pub name: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Facts from the last word on it; none where it is missing.
    pub job: Option<JobFacts>,
    /// The reason why it did not succeed, as one word.
    pub reason: Option<Reason>,
    /// The reason why it did not succeed, as a sentence.
    pub message: Option<String>,
    /// The plan that it belongs to, by its place in [`JobTally::plans`].
    pub plan: Option<u32>,
    /// Durations of the parts of its life.
    pub times: JobTimes,
}

impl JobEntry {
    /// The entry of `job`, which belongs to `plan`.
    pub fn new(job: &Job, plan: Option<(usize, &RunPlan)>, names: &mut SharedNames) -> Self {
        let (index, plan) = plan.unzip();
        let job = &*plan.map_or(Cow::Borrowed(job), |plan| plan.believed(job));
        let offset = plan.and_then(|plan| plan.offset);
        let specs = plan.map(|plan| plan.stages.as_slice()).unwrap_or_default();
        Self {
            run: names.get(&job.metadata.run),
            name: job.metadata.name.clone(),
            outcome: Outcome::from_phase(job.status.phase),
            reason: job.status.reason.clone(),
            message: job.status.message.clone(),
            plan: index.and_then(|index| u32::try_from(index).ok()),
            times: JobTimes::compute(job, offset),
            job: Some(JobFacts::new(job, specs, offset, names)),
        }
    }

    /// The entry of the job `name` of `run`, which `plan` asked for and of which nothing was heard.
    pub fn missing(run: SharedName, name: String, plan: usize) -> Self {
        Self {
            run,
            name,
            outcome: Outcome::Missing,
            job: None,
            reason: None,
            message: None,
            plan: u32::try_from(plan).ok(),
            times: JobTimes::default(),
        }
    }

    /// Makes it unknown what became of a job that was last seen staged or submitted: later records of it may be lost.
    fn forget_last_sight(&mut self) {
        if matches!(self.outcome, Outcome::NotSubmitted | Outcome::Unfinished) {
            let last = self.outcome;
            self.outcome = Outcome::Unknown;
            self.reason = Some(Reason::ShardLost);
            self.message = Some(format!("the stream of its shard is not whole: it was last seen {last}"));
        }
    }

    /// The place of its plan in [`JobTally::plans`].
    pub fn plan_index(&self) -> Option<usize> {
        self.plan.map(|index| index as usize)
    }

    /// Delay of its submission after `dueAt`, in seconds.
    pub fn lag_seconds(&self) -> Option<f64> {
        let job = self.job.as_ref()?;
        Some(job.submitted_at?.since(job.due_at?))
    }

    /// The part of that delay for which it did not wait for a token, in seconds.
    pub fn own_lag_seconds(&self) -> Option<f64> {
        let waited = self.job.as_ref()?.rare().token_wait.unwrap_or_default();
        self.lag_seconds().map(|lag| lag - waited)
    }

    /// The stages that the job's record tells of.
    pub fn stages(&self) -> &[StageFacts] {
        self.job.as_ref().map(|job| &*job.stages).unwrap_or_default()
    }

    /// The entries of the stage `name`: more than one if it was tried again, or if instances of it ran side by side.
    pub fn entries_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a StageFacts> {
        self.stages().iter().filter(move |stage| *stage.name == name)
    }

    /// The time at which it ended, or was given up: the best estimate.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let job = self.job.as_ref()?;
        let given_up = job.observed_at.filter(|_| job.phase.is_terminal());
        self.times.end.map(|end| end.at).or(job.ended_at).or(given_up)
    }

    /// The stage at which it failed, where the target said so; else the one in which it was last seen, for a job that never
    /// came to an end.
    pub fn failed_stage(&self) -> Option<&str> {
        let in_phase = |phase| {
            let stages = || self.stages().iter().rev().filter(|stage| stage.phase == phase);
            stages().find(|stage| !stage.unlisted).or_else(|| stages().next()).map(|stage| stage.name.as_str())
        };
        let open = matches!(self.outcome, Outcome::TimedOut | Outcome::Lost | Outcome::Interrupted);
        in_phase(StagePhase::Failed).or_else(|| in_phase(StagePhase::Running).filter(|_| open))
    }
}

/// Every job of a stream and every job that it should have had. Warm-up jobs are kept apart.
#[derive(Clone, Debug, Default)]
pub struct JobTally {
    /// The runs that were asked for.
    pub plans: Vec<RunPlan>,
    /// The jobs, by run and name.
    pub entries: Vec<JobEntry>,
    /// The warm-up jobs, by run and name: in no figure, no sum and no criterion.
    pub warmups: Vec<JobEntry>,
    /// The streams of the shards.
    pub streams: Streams,
    /// The sums.
    pub conservation: Conservation,
    /// The explanation if the requested number of jobs is uncertain: then no criterion can pass on it.
    pub uncertain: Option<String>,
    /// Doubts, a sentence each.
    pub doubts: Vec<String>,
}

impl JobTally {
    /// The account of what the Runs of `fold` asked for and what became of `jobs`. With `subset` only the jobs that are there
    /// count.
    pub fn compute(fold: &Fold, jobs: &dyn Jobs, subset: bool) -> io::Result<Self> {
        let streams = Streams::read(fold);
        let plans = RunPlan::all(fold, &streams, |each| jobs.for_each(each))?;
        let mut tally = Self { plans, streams, ..Self::default() };
        for index in 0..tally.plans.len() {
            tally.check(index);
        }
        let names = &mut SharedNames::default();
        let asked = tally.enter_heard(jobs, subset, names)?;
        if !subset {
            tally.enter_missing(&asked, names);
        }
        let order = |a: &JobEntry, b: &JobEntry| (&a.run, &a.name).cmp(&(&b.run, &b.name));
        tally.entries.sort_unstable_by(order);
        tally.warmups.sort_unstable_by(order);
        tally.collapse(|job| job.job_id.as_deref(), ["the target gave it the id", "it had given to"]);
        tally.collapse(|job| job.rare().next_id.as_deref(), ["poll.next led its polls to the id", "is also that of"]);
        if subset {
            // What the whole run was asked for is not judged then.
            tally.uncertain = None;
        }
        tally.conservation = sums(&tally.entries);
        Ok(tally)
    }

    /// The entries that went to `outcome`.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &JobEntry> {
        self.entries.iter().filter(move |entry| entry.outcome == outcome)
    }

    /// The plan of `entry`.
    pub fn plan(&self, entry: &JobEntry) -> Option<&RunPlan> {
        entry.plan_index().and_then(|index| self.plans.get(index))
    }

    /// Returns the tools that stopped before their work was done.
    pub fn aborted(&self) -> impl Iterator<Item = &Aborted> {
        self.runs().filter_map(|run| run.status.aborted.as_ref())
    }

    /// The place of the plan of `entry`, and the shard that it belongs to, as `stage-fixtures --shard` deals jobs out: by their numbers.
    pub fn shard(&self, entry: &JobEntry) -> Option<(usize, u64)> {
        let (plan, (_, number)) = (entry.plan_index()?, entry.name.rsplit_once('-')?);
        let shard = number.parse::<u64>().ok()?.checked_sub(1)?.checked_rem(self.plans.get(plan)?.shards?)?;
        Some((plan, shard))
    }

    /// The largest distance between the clocks of two hosts whose times are compared, in seconds; infinite if it is not known.
    pub fn clock_skew_seconds(&self) -> f64 {
        self.plans.iter().map(|plan| plan.clock_skew_seconds).fold(0.0, f64::max)
    }

    /// All Runs, by run, prefix and name.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.plans.iter().flat_map(|plan| &plan.runs)
    }

    fn check(&mut self, index: usize) {
        let plan = &self.plans[index];
        let name = plan.prefix.as_deref().unwrap_or(&plan.run);
        let told = plan.runs.iter().filter_map(|run| run.spec.jobs).minmax().into_option();
        let disagreement = told.filter(|(first, last)| first < last).map(|(first, last)| {
            format!("the shards of {name} disagree on how many jobs it has: from {first} to {last}")
        });
        let too_many = plan
            .jobs
            .filter(|jobs| *jobs > NAMEABLE)
            .map(|jobs| format!("{name} asks for {jobs} jobs, more than the {NAMEABLE} that a report names"));
        for doubt in [disagreement, too_many].into_iter().flatten() {
            self.uncertain.get_or_insert_with(|| doubt.clone());
            self.doubts.push(doubt);
        }
        let shards: Vec<_> = plan.runs.iter().filter_map(|run| run.spec.shard).collect();
        let Some(count) = shards.iter().map(|shard| shard.count).max() else { return };
        if shards.iter().any(|shard| shard.count != count) {
            self.doubts.push(format!("the shards of {name} disagree on how many shards there are"));
        }
        if self.streams.unverified {
            self.doubts.push(format!(
                "the lines of the shards of {name} were not compared with their End records: use merge-shards"
            ));
        }
        let heard: BTreeSet<u64> = shards.iter().map(|shard| shard.index).collect();
        let silent = (0..count.min(NAMEABLE)).filter(|index| !heard.contains(index));
        let silent = any_listed(silent.map(|index| format!("{index}/{count}")));
        let sentence = |silent| format!("no record came from these shards of {name} (counted from 0): {silent}");
        self.doubts.extend(silent.map(sentence));
    }

    /// Enters the jobs that were heard of. Returns, for each plan, which of the jobs and of the warm-up jobs that it asked for are
    /// among them.
    fn enter_heard(&mut self, jobs: &dyn Jobs, subset: bool, names: &mut SharedNames) -> io::Result<Vec<Heard>> {
        let mut heard: Vec<Heard> = self.plans.iter().map(|plan| Heard::of(plan, subset)).collect();
        let (mut strangers, mut entries, mut warmups) = (Vec::new(), Vec::new(), Vec::new());
        entries.reserve_exact(heard.iter().map(|heard| heard.jobs.len()).sum());
        jobs.for_each(&mut |job| {
            let is_warmup = job.is_warmup();
            let plan = RunPlan::find(&self.plans, &job);
            let mut entry = JobEntry::new(&job, plan.map(|(index, _)| (index, &self.plans[index])), names);
            let asked = plan.and_then(|(index, number)| Some((index, number?)));
            if let Some((index, number)) = asked {
                heard[index].note(number, is_warmup);
                if !is_warmup
                    && let Some(count) = self.plans[index].shards
                    && self.streams.may_have_gone_on(&job.metadata.run, (number - 1) % count)
                {
                    entry.forget_last_sight();
                }
            }
            if is_warmup {
                warmups.push(entry);
            } else {
                if asked.is_none() {
                    strangers.push(entry.name.clone());
                }
                entries.push(entry);
            }
            Ok(())
        })?;
        (self.entries, self.warmups) = (entries, warmups);
        self.doubt_unasked(&strangers, subset);
        Ok(heard)
    }

    /// Enters the jobs that were asked for and not heard of.
    fn enter_missing(&mut self, heard: &[Heard], names: &mut SharedNames) {
        for (index, (plan, heard)) in self.plans.iter().zip(heard).enumerate() {
            let Some(prefix) = &plan.prefix else { continue };
            let run = names.get(&plan.run);
            let missing = |heard: &[bool], prefix: &str, entries: &mut Vec<JobEntry>| {
                let unheard = (1..).zip(heard).filter(|(_, heard)| !**heard);
                let names = unheard.map(|(number, _)| job_name(prefix, number, heard.len() as u64));
                entries.extend(names.map(|name| JobEntry::missing(run.clone(), name, index)));
            };
            missing(&heard.jobs, prefix, &mut self.entries);
            missing(&heard.warmups, &warmup_prefix(prefix), &mut self.warmups);
        }
    }

    fn doubt_unasked(&mut self, strangers: &[String], subset: bool) {
        let is_counted = |plan: &RunPlan| plan.prefix.is_some() && plan.jobs.is_some();
        let counted = self.plans.iter().any(is_counted);
        let uncounted = self.plans.iter().find(|plan| !is_counted(plan)).map(|plan| plan.run.clone());
        let why = match uncounted {
            _ if !counted => Some("no Run says how many jobs were asked for".to_owned()),
            Some(run) => Some(format!("a Run of {run} does not say how many jobs it was asked for")),
            None => None,
        };
        if let Some(why) = why.filter(|_| !subset) {
            self.doubts.push(why.clone());
            self.uncertain.get_or_insert(why);
        }
        if counted && !subset && !strangers.is_empty() {
            let (verb, whom) = if strangers.len() == 1 { ("job is", "it") } else { ("jobs are", "them") };
            let count = strangers.len();
            self.doubts
                .push(format!("{count} {verb} in the stream though no Run asked for {whom}: {}", listed(strangers)));
        }
    }

    /// Shards cannot know each other's ids, and polls may lead two jobs to one: of two jobs with one `id` at one target, the one that
    /// was accepted later never ran on its own. `how` says how a job came to its id, and the first one before it.
    fn collapse(&mut self, id: fn(&JobFacts) -> Option<&str>, how: [&str; 2]) {
        type Place<'a> = (&'a SharedName, Option<&'a SharedName>, Cow<'a, str>);
        fn place_of(entry: &JobEntry, id: fn(&JobFacts) -> Option<&str>) -> Option<Place<'_>> {
            let job = entry.job.as_ref()?;
            Some((&entry.run, job.target.as_ref(), canonical_id(id(job)?)))
        }
        let warm = self.warmups.iter().filter_map(|entry| Some((place_of(entry, id)?, &entry.name)));
        let warm: BTreeMap<Place<'_>, &String> = warm.collect();
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.reason != Some(Reason::Collapsed));
        let holders = entries.filter_map(|(index, entry)| Some((place_of(entry, id)?, index)));
        let holders: Vec<(Place<'_>, usize)> = holders.sorted_unstable().collect();
        let mut collapsed: Vec<(usize, String)> = Vec::new();
        for alike in holders.chunk_by(|(one, _), (other, _)| one == other) {
            let (key, _) = &alike[0];
            // Warm-up jobs come before all others.
            let warm = warm.get(key);
            if alike.len() == 1 && warm.is_none() {
                continue;
            }
            let accepted = |index: &usize| {
                let entry = &self.entries[*index];
                let at = entry.job.as_ref().and_then(|job| job.accepted_at.or(job.submitted_at));
                (at.is_none(), at, &entry.name)
            };
            let mut indices: Vec<usize> = alike.iter().map(|(_, index)| *index).collect();
            indices.sort_by(|one, other| accepted(one).cmp(&accepted(other)));
            let first = warm.copied().unwrap_or(&self.entries[indices[0]].name);
            let message = |index: usize| {
                let id = self.entries[index].job.as_ref().and_then(id).unwrap_or_default();
                format!("{} {}, which {} {first}", how[0], escape::start(id, 100), how[1])
            };
            let later = indices.iter().skip(usize::from(warm.is_none()));
            collapsed.extend(later.map(|index| (*index, message(*index))));
        }
        for (index, message) in collapsed {
            let entry = &mut self.entries[index];
            (entry.outcome, entry.reason, entry.message) = (Outcome::Failed, Some(Reason::Collapsed), Some(message));
        }
    }
}

/// The jobs and the warm-up jobs that a plan asked for, by number: true for those that were heard of.
struct Heard {
    jobs: Vec<bool>,
    warmups: Vec<bool>,
}

impl Heard {
    fn of(plan: &RunPlan, subset: bool) -> Self {
        let count = |asked: Option<u64>| {
            let asked = asked.filter(|asked| *asked <= NAMEABLE && plan.prefix.is_some() && !subset);
            asked.and_then(|asked| usize::try_from(asked).ok()).unwrap_or_default()
        };
        Self { jobs: vec![false; count(plan.jobs)], warmups: vec![false; count(plan.warmup)] }
    }

    fn note(&mut self, number: u64, is_warmup: bool) {
        let heard = if is_warmup { &mut self.warmups } else { &mut self.jobs };
        if let Some(heard) = usize::try_from(number - 1).ok().and_then(|index| heard.get_mut(index)) {
            *heard = true;
        }
    }
}

/// The numbers of `entries` by outcome.
pub fn sums(entries: &[JobEntry]) -> Conservation {
    let mut sums = Conservation { asked: entries.len() as u64, ..Conservation::default() };
    for entry in entries {
        *outcome::count_mut(&mut sums, entry.outcome) += 1;
    }
    sums
}
