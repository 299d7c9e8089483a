//! Figures that follow from a folded stream: where every job has gone, how long things took and how certain that is,
//! what load was reached.
//!
//! Everything here is a function of the records alone: no clock is asked and no file is read, so the same stream always
//! gives the same figures.

mod agreement;
mod clock_skew;
pub mod contradictions;
pub mod counter_sources;
pub mod counters;
pub mod critical;
pub mod distribution;
pub mod gauges;
mod harness_doubts;
pub mod host_clocks;
mod in_flight;
pub mod interval;
pub mod job_facts;
pub mod job_timeline;
pub mod job_times;
pub mod load;
mod moved_clock;
pub mod names;
pub mod offset;
pub mod outcome;
mod poll_doubts;
pub mod requests;
pub mod resumed;
pub mod run_plan;
pub mod samples;
mod server_instants;
pub mod shards;
pub mod stage_sources;
pub mod stage_times;
pub mod stages;
pub mod streams;
pub mod tables;
pub mod tally;
mod tick;
pub mod time_interval;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;

use contradictions::ServerTime;
use distribution::{Distribution, Measured, Statistic};
use interval::SuccessRate;
use itertools::Itertools;
use load::Load;
use names::{Durations, NamedFigures, StageDuration};
use outcome::Outcome;
use requests::Requests;
use resumed::{GivenUp, Resumed};
use run_plan::RunPlan;
use shards::ShardFigures;
use stages::{Limiting, StageFigures};
use tally::{JobEntry, JobTally};

use crate::escape;
use crate::record::{Flag, Fold, Idle, Jobs};
use crate::units;

/// Number of names that a sentence lists before it counts the rest.
const LISTED: usize = 5;
/// The longest name that a sentence lists, in characters: a target names its stages as it likes.
const LONGEST_NAME: usize = 200;

/// All figures of a run.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The outcome of every job.
    pub tally: JobTally,
    /// The load.
    pub load: Load,
    /// The stages, in pipeline order.
    pub stages: Vec<StageFigures>,
    /// The stage that limits.
    pub limiting: Option<Limiting>,
    /// End to end, of the jobs that succeeded.
    pub end_to_end: Option<Distribution>,
    /// The HTTP requests.
    pub requests: Requests,
    /// The share of the requested jobs that succeeded; none if nobody knows how many were requested.
    pub success: Option<SuccessRate>,
    /// Facts about the resumption, if the run was resumed.
    pub resumed: Option<Resumed>,
    /// The shards, by index; none if the run has none.
    pub shards: Vec<ShardFigures>,
    /// Doubts, a sentence each.
    pub doubts: Vec<String>,
}

impl Figures {
    /// The figures of the Runs of `fold` and of `jobs`, of which those in `given_up` had been given up before. With `subset` only
    /// the jobs that are there count.
    pub fn compute(fold: &Fold, jobs: &dyn Jobs, subset: bool, given_up: &GivenUp) -> io::Result<Self> {
        let tally = JobTally::compute(fold, jobs, subset)?;
        let stages = stages::stages(&tally);
        let ended: Vec<Measured> = tally.with(Outcome::Succeeded).filter_map(|entry| entry.times.end_to_end).collect();
        let open = tally.entries.iter().filter(|entry| entry.outcome.is_open()).count() as u64;
        let success = SuccessRate::compute(tally.conservation.succeeded, open, tally.conservation.asked);
        let mut figures = Self {
            load: Load::compute(&tally),
            requests: Requests::compute(&tally),
            limiting: Limiting::find(&stages),
            end_to_end: Distribution::from_samples(&ended),
            success: success.filter(|_| tally.uncertain.is_none()),
            resumed: Resumed::find(&tally, given_up),
            shards: ShardFigures::compute(&tally),
            doubts: tally.doubts.clone(),
            tally,
            stages,
        };
        let doubts = [
            figures.run_doubts(),
            figures.load_doubts(),
            figures.warmup_doubt().into_iter().collect(),
            figures.time_doubts(),
            figures.word_doubts(),
        ];
        figures.doubts.extend(doubts.into_iter().flatten());
        Ok(figures)
    }

    fn run_doubts(&self) -> Vec<String> {
        let clocks = self.tally.plans.iter().filter_map(RunPlan::clock_doubt);
        let mut doubts: Vec<String> = clocks.collect();
        for run in self.tally.runs() {
            if let Some(aborted) = &run.status.aborted {
                doubts.push(format!(
                    "{} stopped at {} UTC before its work was done: {} ({})",
                    aborted.by,
                    aborted.at.time_of_day(),
                    aborted.message,
                    aborted.reason
                ));
            }
            if let Some(Idle { idle: Some(false), busy, waited_seconds, .. }) = &run.status.idle {
                doubts.push(format!(
                    "{} began on a target that was still busy after {}: {}",
                    run.metadata.name,
                    units::seconds(*waited_seconds),
                    busy.as_deref().unwrap_or("what kept it busy is not known")
                ));
            }
            doubts.extend(run.setting_doubts().iter().map(|doubt| format!("{}: {doubt}", run.metadata.name)));
            let clock = run.status.clock_doubt.as_ref();
            doubts.extend(clock.map(|doubt| format!("the target's clock is in doubt: {doubt}")));
            doubts.extend(poll_doubts::failed_polls(run));
            doubts.extend(poll_doubts::unnamed_stage_words(run));
            doubts.extend(poll_doubts::long_pauses(run));
            doubts.extend(poll_doubts::hidden_cache(run));
            doubts.extend(poll_doubts::lag(run));
            doubts.extend(harness_doubts::of_run(run, self.end_to_end));
            let of_run = |outcome| {
                let entries = self.tally.with(outcome).filter(|entry| *entry.run == run.metadata.run);
                entries.map(|entry| entry.name.as_str())
            };
            doubts.extend(harness_doubts::of_lost_poller(run, of_run(Outcome::Unfinished)));
            // Of a shard it is said which lines or records are missing.
            if self.shards.is_empty() {
                doubts.extend(harness_doubts::of_lost_records(run, of_run(Outcome::Missing)));
            }
            if let Some(step) = run.status.clock_stepped_seconds {
                let step = units::seconds(step);
                doubts.push(format!(
                    "the wall clock moved by {step} while {} ran; durations are not affected",
                    run.metadata.name
                ));
            }
        }
        doubts
    }

    /// More in flight than the closed model was asked for: given up jobs that ran on, or a submitter beside this one. Or fewer
    /// submissions than the open model's schedule wanted.
    fn load_doubts(&self) -> Vec<String> {
        let entries = || self.tally.entries.iter();
        let lag = entries().filter_map(JobEntry::own_lag_seconds).reduce(f64::max);
        let waited = entries().filter_map(|entry| Some((entry.name.as_str(), entry.job.as_ref()?.rare().token_wait?)));
        let is_skewed = self.load.first_submitted.is_some() && self.tally.clock_skew_seconds().is_infinite();
        let skew = "the jobs ran on several hosts, and the clock of one was not compared with the target's: no figure over several hosts \
                    is certain";
        let above = self.load.surely_in_flight.zip(self.load.asked.concurrency);
        let above = above.filter(|((_, jobs), asked)| jobs > asked).map(|((at, jobs), asked)| {
            let why = if self.resumed.is_some() { "; jobs that had been given up kept running" } else { "" };
            let at = at.time_of_day();
            format!(
                "at least {jobs} jobs were in flight at {at} UTC, more than the requested concurrency of {asked}{why}"
            )
        });
        let doubts = [harness_doubts::of_schedule(lag), harness_doubts::of_token(waited)];
        doubts.into_iter().chain([is_skewed.then(|| skew.to_owned()), above]).flatten().collect()
    }

    /// A target that did not do its warm-up may not be warm.
    fn warmup_doubt(&self) -> Option<String> {
        let cold = self.tally.warmups.iter().filter(|entry| entry.outcome != Outcome::Succeeded);
        let cold = any_listed(cold.map(|entry| format!("{} {}", entry.name, entry.outcome)))?;
        Some(format!("the target may not have been warm, because not all warm-up jobs succeeded: {cold}"))
    }

    fn time_doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for time in ServerTime::ALL {
            let entries = self.tally.entries.iter();
            let wrong = entries.filter_map(|entry| Some((&entry.name, entry.times.contradictions.seconds(time)?)));
            let (jobs, seconds): (Vec<_>, Vec<_>) = wrong.unzip();
            let Some(most) = seconds.into_iter().reduce(f64::max) else { continue };
            let instead =
                if time == ServerTime::Ended { "so the times from the polls are used" } else { "and are not used" };
            doubts.push(format!(
                "the server's {} contradict what the harness saw by up to {}, {instead}: {}",
                time.plural(),
                units::seconds(most),
                listed(jobs)
            ));
        }
        let backwards = self.tally.entries.iter().filter(|entry| entry.times.backwards).map(|entry| &entry.name);
        let no_duration = |jobs| format!("ended before they began, so there is no duration: {jobs}");
        doubts.extend(any_listed(backwards).map(no_duration));
        doubts.extend(self.stages.iter().filter_map(|stage| {
            let jobs = any_listed(&stage.backwards)?;
            let name = escape::start(&stage.name, LONGEST_NAME);
            Some(format!("times of stage {name} run backwards and were left out: {jobs}"))
        }));
        doubts.extend(self.stages.iter().filter_map(|stage| {
            let (jobs, seconds) = (any_listed(&stage.contradicted)?, units::seconds(stage.contradicted_seconds));
            let name = escape::start(&stage.name, LONGEST_NAME);
            Some(format!(
                "the server's times of stage {name} (poll.stages.times) contradict what the harness saw by up to {seconds}, so the times \
                 from the polls are used: {jobs}"
            ))
        }));
        doubts.extend(self.stages.iter().filter_map(|stage| {
            let jobs = any_listed(&stage.queued_contradicted)?;
            let (name, seconds) =
                (escape::start(&stage.name, LONGEST_NAME), units::seconds(stage.queued_contradicted_seconds));
            Some(format!(
                "the server's queueing times of stage {name} (poll.stages.times.queued) contradict what the harness saw by up to \
                 {seconds}, and are not used: {jobs}"
            ))
        }));
        doubts
    }

    /// Adds doubts about jobs that the tools flagged, and about status words that the profile does not list.
    fn word_doubts(&self) -> Vec<String> {
        let jobs = || self.tally.entries.iter().filter_map(|entry| Some((entry.name.as_str(), entry.job.as_ref()?)));
        let failed_step = self.tally.entries.iter().find(|entry| {
            entry.job.as_ref().is_some_and(|job| job.flags.contains(&Flag::StepFailed)) && entry.message.is_some()
        });
        let mut doubts = poll_doubts::flagged_jobs(jobs(), failed_step.and_then(|entry| entry.message.as_deref()));
        doubts.extend(poll_doubts::moved(jobs()));
        doubts.extend(poll_doubts::unconfirmed(jobs()));
        doubts.extend(poll_doubts::unread_times(jobs()));
        let mut words: BTreeMap<(&str, Option<&str>), Vec<&str>> = BTreeMap::new();
        for (name, job) in jobs() {
            for (stage, word) in &job.rare().unnamed_states {
                words.entry((stage, word.as_deref())).or_default().push(name);
            }
        }
        doubts.extend(words.into_iter().map(|((stage, word), jobs)| {
            let (stage, jobs) = (escape::start(stage, LONGEST_NAME), listed(jobs));
            match word {
                Some(word) => format!("the profile does not list the state \"{word}\" of stage {stage}: {jobs}"),
                None => format!("the last answer that lists stage {stage} has no state for it: {jobs}"),
            }
        }));
        doubts
    }

    /// The figures by name, each in the unit that its name ends in, as a Report record carries them.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let mut figures = NamedFigures::default();
        self.load.put_into(&mut figures);
        // Where no job has a known end, there is no rate.
        if let Some(rate) = self.success.filter(|rate| rate.open < rate.of) {
            figures.put(&names::SUCCESS_RATE, rate.rate());
            figures.put(&names::SUCCESS_RATE_LOW, rate.rate());
            figures.put(&names::SUCCESS_RATE_HIGH, rate.most());
            figures.put(&names::SUCCESS_CONFIDENCE_LOW, rate.low);
            figures.put(&names::SUCCESS_CONFIDENCE_HIGH, rate.high);
        }
        if let Some(whole) = self.end_to_end {
            let durations = Durations::END_TO_END;
            put_distribution(&mut figures, &durations, &whole);
            for (statistic, of) in statistics(&whole) {
                figures.put(&durations.error(statistic), of.error());
                figures.put(&durations.low(statistic), of.low);
                figures.put(&durations.high(statistic), of.high);
            }
        }
        if let Some(submit) = self.requests.submit {
            put_distribution(&mut figures, &Durations::SUBMIT, &submit);
        }
        self.requests.put_into(&mut figures);
        for stage in &self.stages {
            for (source, of) in [(StageDuration::Wait, stage.wait), (StageDuration::Work, stage.work)] {
                if let Some(of) = of {
                    let durations = Durations::of_stage(&stage.name, source);
                    put_distribution(&mut figures, &durations, &of);
                    for (statistic, of) in statistics(&of) {
                        figures.put(&durations.error(statistic), of.error());
                    }
                }
            }
        }
        figures.into_map()
    }
}

/// Adds the count and the statistics of `durations`.
fn put_distribution(figures: &mut NamedFigures, durations: &Durations, of: &Distribution) {
    figures.put(&durations.count(), of.count as f64);
    for (statistic, measured) in statistics(of) {
        figures.put(&durations.statistic(statistic), measured.seconds);
    }
}

/// The statistics that a distribution has.
fn statistics(of: &Distribution) -> impl Iterator<Item = (Statistic, Measured)> {
    let all = Statistic::ALL.into_iter();
    all.filter_map(|statistic| Some((statistic, of.statistic(statistic)?)))
}

/// `1 job`, `12 jobs`.
pub fn jobs(count: u64) -> String {
    units::counted(count, "job", "jobs")
}

/// The first few of `names`, and how many more there are: `a, b, c, d, e and 7 more`.
pub fn listed(names: impl IntoIterator<Item = impl Display>) -> String {
    let mut names = names.into_iter();
    let first = names.by_ref().take(LISTED).map(|name| escape::start(&name.to_string(), LONGEST_NAME)).join(", ");
    match names.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// The items by their keys, in the order in which the keys first came.
pub fn in_groups<K: Ord + Clone, T>(items: impl IntoIterator<Item = (K, T)>) -> Vec<(K, Vec<T>)> {
    let (mut groups, mut places) = (Vec::<(K, Vec<T>)>::new(), BTreeMap::new());
    for (key, item) in items {
        let place = *places.entry(key.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(item);
    }
    groups
}

/// As [`listed`]; none if there are no names.
pub fn any_listed(names: impl IntoIterator<Item = impl Display>) -> Option<String> {
    let mut names = names.into_iter().peekable();
    names.peek()?;
    Some(listed(names))
}
