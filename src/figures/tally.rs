//! The account of a run: which jobs were asked for, and where each of them has gone.
//!
//! The jobs asked for follow from the Runs alone (prefix and number), so that a job nobody ever spoke of is missing by
//! name. Runs of one run id and one prefix are shards of one run.

use std::collections::{BTreeMap, BTreeSet};

use super::clock_skew::{self, common_offset};
use super::job_times::JobTimes;
use super::listed;
use super::offset;
use super::outcome::{self, Outcome};
use super::stage_times::StageTimes;
use super::streams::Streams;
use crate::record::{
    Aborted, ClockOffset, Conservation, Fold, Job, Reason, Run, Stage, StagePhase, StageSpec, Timestamp, job_name,
    warmup_prefix,
};

/// More jobs than this are not named one by one: a number like that in a Run is a mistake, or an attack.
pub const NAMEABLE: u64 = 1_000_000;

/// More shards than this have no row of their own.
const SHARDS: u64 = 100_000;

/// One job of the account.
#[derive(Clone, Debug)]
pub struct JobEntry {
    /// The run's id.
    pub run: String,
    /// The job's name.
    pub name: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// The last word on it; none where it is missing.
    pub job: Option<Job>,
    /// The reason why it did not succeed, as one word.
    pub reason: Option<Reason>,
    /// The reason why it did not succeed, as a sentence.
    pub message: Option<String>,
    /// The plan that it belongs to, by its place in [`JobTally::plans`].
    pub plan: Option<usize>,
    /// Durations of the parts of its life.
    pub times: JobTimes,
    /// Times that it waited for each stage and was worked on in it, in the order of the job's stages.
    pub stage_times: Vec<StageTimes>,
}

impl JobEntry {
    /// The entry of the job `name` of `run`, which belongs to `plan`, of which `job` is the last record.
    pub fn new((run, name): (String, String), job: Option<Job>, plan: Option<(usize, &RunPlan)>) -> Self {
        let outcome = job.as_ref().map_or(Outcome::Missing, |job| Outcome::from_phase(job.status.phase));
        let (reason, message) =
            job.as_ref().map_or((None, None), |job| (job.status.reason.clone(), job.status.message.clone()));
        let (index, plan) = plan.unzip();
        let offset = plan.and_then(|plan| plan.offset);
        let specs = plan.map(|plan| plan.stages.as_slice()).unwrap_or_default();
        let times = job.as_ref().map(|job| JobTimes::compute(job, offset)).unwrap_or_default();
        let stages = job
            .iter()
            .flat_map(|job| job.status.stages.iter().map(move |stage| StageTimes::compute(job, stage, specs, offset)));
        let stage_times = stages.collect();
        Self { run, name, outcome, job, reason, message, plan: index, times, stage_times }
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

    /// The stages that the job's record tells of, with their times.
    pub fn stages(&self) -> impl Iterator<Item = (&Stage, &StageTimes)> {
        self.job.iter().flat_map(|job| &job.status.stages).zip(&self.stage_times)
    }

    /// The times of the stage `name`, if the job's record tells of it.
    pub fn times_in(&self, name: &str) -> Option<&StageTimes> {
        self.stages().find(|(stage, _)| stage.name == name).map(|(_, times)| times)
    }

    /// The time at which it ended, or was given up: the best estimate.
    pub fn ended_at(&self) -> Option<Timestamp> {
        let status = &self.job.as_ref()?.status;
        let given_up = status.observed_at.filter(|_| status.phase.is_terminal());
        self.times.end.map(|end| end.at).or(status.ended_at).or(given_up)
    }

    /// The stage at which it failed, where the target said so; else the one in which it was last seen, for a job that never
    /// came to an end.
    pub fn failed_stage(&self) -> Option<&str> {
        let stages = &self.job.as_ref()?.status.stages;
        let in_phase = |phase| stages.iter().rev().find(|stage| stage.phase == phase).map(|stage| stage.name.as_str());
        let open = matches!(self.outcome, Outcome::TimedOut | Outcome::Lost | Outcome::Interrupted);
        in_phase(StagePhase::Failed).or_else(|| in_phase(StagePhase::Running).filter(|_| open))
    }
}

/// One run as its Runs describe it: all shards together.
#[derive(Clone, Debug, Default)]
pub struct RunPlan {
    /// The run's id.
    pub run: String,
    /// Prefix of the names of its jobs.
    pub prefix: Option<String>,
    /// Number of jobs that were requested; the largest number if the shards disagree.
    pub jobs: Option<u64>,
    /// The Runs: one for each shard that spoke.
    pub runs: Vec<Run>,
    /// Number of shards; none if it has none, or too many to be real.
    pub shards: Option<u64>,
    /// The stages of the target's pipeline.
    pub stages: Vec<StageSpec>,
    /// The target's clock minus the harness's, wide enough for every shard's host.
    pub offset: Option<ClockOffset>,
    /// The largest distance between the clocks of two of its hosts, in seconds; infinite if it is not known.
    pub clock_skew_seconds: f64,
    /// True if one clock saw all jobs, so that their times may narrow the offset: a job does not say which shard's host saw it,
    /// and if the dates contradict each other, the target has no one clock that all jobs could tell of.
    pub has_one_clock: bool,
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
    /// The account of what `fold` holds. With `subset` only the jobs that are there count.
    pub fn from_fold(fold: &Fold, subset: bool) -> Self {
        let mut tally = Self { streams: Streams::read(fold), ..Self::default() };
        tally.read_plans(fold);
        let key = |job: &Job| (job.metadata.run.clone(), job.metadata.name.clone());
        let (warmups, counted): (Vec<Job>, Vec<Job>) = fold.jobs().partition(Job::is_warmup);
        tally.enter_warmups(warmups.into_iter().map(|job| (key(&job), job)).collect(), subset);
        let mut heard = counted.into_iter().map(|job| (key(&job), job)).collect();
        tally.enter_asked(&mut heard, subset);
        tally.enter_unasked(heard, subset);
        tally.entries.sort_by(|a, b| (&a.run, &a.name).cmp(&(&b.run, &b.name)));
        tally.collapse();
        if subset {
            // What the whole run was asked for is not judged then.
            tally.uncertain = None;
        }
        tally.conservation = sums(&tally.entries);
        tally
    }

    /// The entries that went to `outcome`.
    pub fn with(&self, outcome: Outcome) -> impl Iterator<Item = &JobEntry> {
        self.entries.iter().filter(move |entry| entry.outcome == outcome)
    }

    /// The plan of `entry`.
    pub fn plan(&self, entry: &JobEntry) -> Option<&RunPlan> {
        entry.plan.and_then(|index| self.plans.get(index))
    }

    /// Returns the tools that stopped before their work was done.
    pub fn aborted(&self) -> impl Iterator<Item = &Aborted> {
        self.runs().filter_map(|run| run.status.aborted.as_ref())
    }

    /// Number of shards of the plan at `index`; none if it has none, or too many to be real.
    pub fn shard_count(&self, index: usize) -> Option<u64> {
        self.plans.get(index)?.shards
    }

    /// The largest distance between the clocks of two hosts whose times are compared, in seconds; infinite if it is not known.
    pub fn clock_skew_seconds(&self) -> f64 {
        self.plans.iter().map(|plan| plan.clock_skew_seconds).fold(0.0, f64::max)
    }

    /// All Runs, by run, prefix and name.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.plans.iter().flat_map(|plan| &plan.runs)
    }

    fn read_plans(&mut self, fold: &Fold) {
        let mut plans: BTreeMap<(String, Option<String>), Vec<Run>> = BTreeMap::new();
        for run in fold.runs() {
            plans.entry((run.metadata.run.clone(), run.spec.prefix.clone())).or_default().push(run);
        }
        let mut runs_of_one_host: BTreeMap<String, usize> = BTreeMap::new();
        for ((run, _), runs) in &plans {
            *runs_of_one_host.entry(run.clone()).or_default() += runs.len();
        }
        for ((run, prefix), runs) in plans {
            let jobs = runs.iter().filter_map(|run| run.spec.jobs).max();
            let stages = runs.iter().map(|run| &run.spec.stages).find(|stages| !stages.is_empty()).cloned();
            let mut offset = common_offset(&runs, &self.streams);
            let contradictory =
                runs.iter().any(|run| run.status.clock_doubt.is_some() && run.status.clock_offset.is_some());
            let has_one_clock = runs_of_one_host.get(&run) == Some(&1) && !contradictory;
            if has_one_clock {
                let seen: Vec<Job> = fold.jobs().filter(|job| job.metadata.run == run).collect();
                offset = offset::narrow(offset, seen.iter());
            }
            let stages = stages.unwrap_or_default();
            let clock_skew_seconds = clock_skew::between_hosts(&runs, &self.streams);
            let shards = runs.iter().filter_map(|run| run.spec.shard).map(|shard| shard.count).max();
            let shards = shards.filter(|count| (1..=SHARDS).contains(count));
            let plan = RunPlan { run, prefix, jobs, runs, shards, stages, offset, clock_skew_seconds, has_one_clock };
            self.check(&plan);
            self.plans.push(plan);
        }
    }

    fn check(&mut self, plan: &RunPlan) {
        let name = plan.prefix.as_deref().unwrap_or(&plan.run);
        let mut told: Vec<u64> = plan.runs.iter().filter_map(|run| run.spec.jobs).collect();
        told.sort_unstable();
        told.dedup();
        if let [first, .., last] = told[..] {
            let doubt = format!("the shards of {name} disagree on how many jobs it has: from {first} to {last}");
            self.uncertain.get_or_insert_with(|| doubt.clone());
            self.doubts.push(doubt);
        }
        if let Some(jobs) = plan.jobs.filter(|jobs| *jobs > NAMEABLE) {
            let doubt = format!("{name} asks for {jobs} jobs, more than the {NAMEABLE} that a report names");
            self.uncertain.get_or_insert_with(|| doubt.clone());
            self.doubts.push(doubt);
        }
        let shards: Vec<_> = plan.runs.iter().filter_map(|run| run.spec.shard).collect();
        let Some(count) = shards.iter().map(|shard| shard.count).max() else { return };
        if shards.iter().any(|shard| shard.count != count) {
            self.doubts.push(format!("the shards of {name} disagree on how many shards there are"));
        }
        if self.streams.unverified {
            let doubt =
                format!("the lines of the shards of {name} were not compared with their Ends: use merge-shards");
            self.doubts.push(doubt);
        }
        let heard: BTreeSet<u64> = shards.iter().map(|shard| shard.index).collect();
        let silent: Vec<String> = (0..count.min(NAMEABLE))
            .filter(|index| !heard.contains(index))
            .map(|index| format!("{index}/{count}"))
            .collect();
        if !silent.is_empty() {
            self.doubts
                .push(format!("no record came from these shards of {name} (counted from 0): {}", listed(&silent)));
        }
    }

    /// Those that were asked for and those that were heard of.
    fn enter_warmups(&mut self, mut heard: BTreeMap<(String, String), Job>, subset: bool) {
        for (index, plan) in self.plans.iter().enumerate().filter(|_| !subset) {
            let asked = plan.prefix.as_ref().zip(plan.runs.iter().filter_map(|run| run.spec.warmup).max());
            let Some((prefix, asked)) = asked.filter(|(_, asked)| *asked <= NAMEABLE) else { continue };
            for number in 1..=asked {
                let key = (plan.run.clone(), job_name(&warmup_prefix(prefix), number, asked));
                let job = heard.remove(&key);
                self.warmups.push(JobEntry::new(key, job, Some((index, plan))));
            }
        }
        self.warmups.extend(heard.into_iter().map(|(key, job)| JobEntry::new(key, Some(job), None)));
        self.warmups.sort_by(|a, b| (&a.run, &a.name).cmp(&(&b.run, &b.name)));
    }

    fn enter_asked(&mut self, heard: &mut BTreeMap<(String, String), Job>, subset: bool) {
        for (index, plan) in self.plans.iter().enumerate() {
            let (Some(prefix), Some(jobs)) = (&plan.prefix, plan.jobs.filter(|jobs| *jobs <= NAMEABLE)) else {
                continue;
            };
            for number in 1..=jobs {
                let key = (plan.run.clone(), job_name(prefix, number, jobs));
                let job = heard.remove(&key);
                if job.is_some() || !subset {
                    let mut entry = JobEntry::new(key, job, Some((index, plan)));
                    if plan.shards.is_some_and(|count| self.streams.may_have_gone_on(&plan.run, (number - 1) % count)) {
                        entry.forget_last_sight();
                    }
                    self.entries.push(entry);
                }
            }
        }
    }

    fn enter_unasked(&mut self, heard: BTreeMap<(String, String), Job>, subset: bool) {
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
        let strangers: Vec<String> = heard.keys().map(|(_, name)| name.clone()).collect();
        if counted && !subset && !strangers.is_empty() {
            let (verb, whom) = if strangers.len() == 1 { ("job is", "it") } else { ("jobs are", "them") };
            let count = strangers.len();
            self.doubts
                .push(format!("{count} {verb} in the stream though no Run asked for {whom}: {}", listed(&strangers)));
        }
        for (key, job) in heard {
            // Its run's clock and stages hold for it, if there is only one plan it can be of.
            let mut plans = self.plans.iter().enumerate().filter(|(_, plan)| plan.run == key.0);
            let plan = plans.next().filter(|_| plans.next().is_none());
            self.entries.push(JobEntry::new(key, Some(job), plan));
        }
    }

    /// Shards cannot know each other's ids: of two jobs with one id the one that was accepted later never ran on its own.
    fn collapse(&mut self) {
        let mut holders: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
        let warm = |entry: &JobEntry| {
            Some(((entry.run.clone(), entry.job.as_ref()?.status.job_id.clone()?), entry.name.clone()))
        };
        let warm: BTreeMap<_, _> = self.warmups.iter().filter_map(warm).collect();
        for (index, entry) in self.entries.iter().enumerate() {
            let id = entry.job.as_ref().and_then(|job| job.status.job_id.as_ref());
            if let Some(id) = id.filter(|_| entry.reason != Some(Reason::Collapsed)) {
                holders.entry((entry.run.clone(), id.clone())).or_default().push(index);
            }
        }
        for ((run, id), mut indices) in holders {
            let accepted = |index: &usize| {
                let entry = &self.entries[*index];
                let at = entry.job.as_ref().and_then(|job| job.status.accepted_at.or(job.status.submitted_at));
                (at.is_none(), at, entry.name.clone())
            };
            indices.sort_by_key(accepted);
            // Warm-up jobs come before all others.
            let warm = warm.get(&(run, id.clone()));
            let first = warm.unwrap_or(&self.entries[indices[0]].name).clone();
            for index in indices.into_iter().skip(usize::from(warm.is_none())) {
                let entry = &mut self.entries[index];
                entry.outcome = Outcome::Failed;
                entry.reason = Some(Reason::Collapsed);
                entry.message = Some(format!("the target gave it the id {id}, which it had given to {first}"));
            }
        }
    }
}

fn sums(entries: &[JobEntry]) -> Conservation {
    let mut sums = Conservation { asked: entries.len() as u64, ..Conservation::default() };
    for entry in entries {
        *outcome::count_mut(&mut sums, entry.outcome) += 1;
    }
    sums
}
