//! The jobs that were requested of a run, by its Run records, and the clocks of its hosts and of its target.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::clock_skew::{self, common_offset};
use super::host_clocks::HostClocks;
use super::offset::AllowedOffsets;
use super::streams::Streams;
use super::tick::Ticks;
use crate::clock::is_contradiction;
use crate::record::{ClockOffset, Fold, Job, Run, StageSpec, job_name, warmup_prefix};
use crate::units;

/// More jobs than this are not named one by one: a number like that in a Run is a mistake, or an attack.
pub const NAMEABLE: u64 = 1_000_000;

/// More shards than this have no row of their own.
const SHARDS: u64 = 100_000;

/// One run as its Runs describe it: all shards together.
#[derive(Clone, Debug, Default)]
pub struct RunPlan {
    /// The run's id.
    pub run: String,
    /// Prefix of the names of its jobs.
    pub prefix: Option<String>,
    /// Number of jobs that were requested; the largest number if the shards disagree.
    pub jobs: Option<u64>,
    /// Number of warm-up jobs that were requested; the largest number if the shards disagree.
    pub warmup: Option<u64>,
    /// The Runs: one for each shard that spoke.
    pub runs: Vec<Run>,
    /// Number of shards; none if it has none, or too many to be real.
    pub shards: Option<u64>,
    /// The stages of the target's pipeline.
    pub stages: Vec<StageSpec>,
    /// The target's clock minus the harness's, wide enough for every shard's host.
    pub offset: Option<ClockOffset>,
    /// The least number of seconds by which the target's clock moved while jobs ran. Then no offset holds, and its times are not used.
    pub clock_moved_seconds: Option<f64>,
    /// The resolution of the target's clock, in seconds, if it ticks more coarsely than it prints.
    pub tick_seconds: Option<f64>,
    /// The clocks of the target's hosts, if its times come from several. Each time may be off by the difference.
    pub host_clocks: Option<HostClocks>,
    /// The largest distance between the clocks of two of the run's hosts, in seconds; infinite if it is not known.
    pub clock_skew_seconds: f64,
}

/// Returns true if answers to polls of one of `runs` went back to earlier states of their jobs.
fn lags(runs: &[Run]) -> bool {
    runs.iter().any(|run| run.status.polling.as_ref().is_some_and(|polling| polling.lag_seconds.is_some()))
}

impl RunPlan {
    /// The plans of the Runs of `fold`, whose shards have these `streams`. The times of the jobs, which `for_each_job` hands out,
    /// narrow the offset of the target's clock.
    pub fn all<E>(
        fold: &Fold,
        streams: &Streams,
        for_each_job: impl Fn(&mut dyn FnMut(Job) -> Result<(), E>) -> Result<(), E>,
    ) -> Result<Vec<Self>, E> {
        let mut plans: BTreeMap<(String, Option<String>), Vec<Run>> = BTreeMap::new();
        for run in fold.runs() {
            plans.entry((run.metadata.run.clone(), run.spec.prefix.clone())).or_default().push(run);
        }
        let mut runs_of_one_host: BTreeMap<String, usize> = BTreeMap::new();
        for ((run, _), runs) in &plans {
            *runs_of_one_host.entry(run.clone()).or_default() += runs.len();
        }
        let plan = |((run, prefix), runs): ((String, Option<String>), Vec<Run>)| {
            let mut offset = common_offset(&runs, streams);
            let is_contradictory = |run: &Run| run.status.clock_doubt.as_deref().is_some_and(is_contradiction);
            let contradictory = runs.iter().any(|run| is_contradictory(run) && run.status.clock_offset.is_some());
            let has_all_runs = runs_of_one_host.get(&run) == Some(&runs.len());
            // One clock saw all jobs, so their times may narrow the offset: a job does not say which shard's host saw it, and if
            // the dates contradict each other, the target has no one clock that all jobs could tell of.
            let has_one_clock = has_all_runs && runs.len() == 1 && !contradictory;
            let clock_skew_seconds = clock_skew::between_hosts(&runs, streams);
            let (mut clock_moved_seconds, mut tick_seconds, mut host_clocks) = (None, None, None);
            if has_all_runs && clock_skew_seconds.is_finite() {
                let lags = lags(&runs);
                let each_of_run = |take: &mut dyn FnMut(&mut Job)| {
                    for_each_job(&mut |mut job| {
                        if job.metadata.run == run {
                            if lags {
                                job.status.forget_sightings_before();
                            }
                            take(&mut job);
                        }
                        Ok(())
                    })
                };
                let (mut allowed, mut ticks) = (AllowedOffsets::default(), Ticks::default());
                each_of_run(&mut |job| {
                    allowed.add(job);
                    ticks.add(job);
                })?;
                tick_seconds = ticks.seconds();
                if let Some(tick) = tick_seconds {
                    allowed = AllowedOffsets::default();
                    each_of_run(&mut |job| {
                        job.status.coarsen_server_times(tick);
                        allowed.add(job);
                    })?;
                }
                clock_moved_seconds = allowed.seconds_moved(clock_skew_seconds);
                host_clocks = allowed.host_clocks(offset, clock_skew_seconds);
                offset = match clock_moved_seconds {
                    Some(_) => None,
                    None if has_one_clock => {
                        let narrowed = allowed.narrow(offset);
                        let dates = offset.filter(|_| host_clocks.is_some_and(|clocks| clocks.are_behind_dates));
                        let hull = |one: ClockOffset, other: ClockOffset| one.bounds().hull(other.bounds());
                        let both = dates.zip(narrowed).map(|(dates, narrowed)| hull(dates, narrowed));
                        both.map(ClockOffset::from_bounds).or(narrowed)
                    }
                    None => offset,
                };
            }
            let stages = runs.iter().map(|run| &run.spec.stages).find(|stages| !stages.is_empty()).cloned();
            let shards = runs.iter().filter_map(|run| run.spec.shard).map(|shard| shard.count).max();
            Ok(Self {
                jobs: runs.iter().filter_map(|run| run.spec.jobs).max(),
                warmup: runs.iter().filter_map(|run| run.spec.warmup).max(),
                stages: stages.unwrap_or_default(),
                clock_moved_seconds,
                tick_seconds,
                host_clocks,
                clock_skew_seconds,
                shards: shards.filter(|count| (1..=SHARDS).contains(count)),
                run,
                prefix,
                runs,
                offset,
            })
        };
        plans.into_iter().map(plan).collect()
    }

    /// `job` without the polls before the server's times if answers to polls lagged, without server times if the target's clock moved,
    /// with the clock's true resolution if it ticks coarsely, and with the difference between the clocks of its hosts.
    pub fn believed<'a>(&self, job: &'a Job) -> Cow<'a, Job> {
        let mut job = Cow::Borrowed(job);
        if lags(&self.runs) {
            job.to_mut().status.forget_sightings_before();
        }
        if let Some(tick) = self.tick_seconds {
            job.to_mut().status.coarsen_server_times(tick);
        }
        if let Some(HostClocks { difference, are_behind_dates, .. }) = self.host_clocks {
            let status = &mut job.to_mut().status;
            status.blur_server_times(difference);
            if are_behind_dates {
                // If the clocks are one, the answers were as old as the offset of the times lies below that of the dates.
                status.set_sightings_back(self.offset.map_or(difference, |offset| 2.0 * offset.bound_seconds));
            }
        }
        if self.clock_moved_seconds.is_some() {
            job.to_mut().status.forget_server_times();
        }
        job
    }

    /// The doubt about a target's clock that moved while jobs ran, or about its clocks, if they differ.
    pub(super) fn clock_doubt(&self) -> Option<String> {
        let of = self.prefix.as_deref().unwrap_or(&self.run);
        if let Some(moved) = self.clock_moved_seconds {
            let moved = units::seconds(moved);
            return Some(format!(
                "the target's clock moved by at least {moved} against the harness's while jobs of {of} ran (it was slewed or set), or \
                 the target's times come from several clocks; the figures use the times from the polls instead"
            ));
        }
        let HostClocks { jobs, contradiction, difference, .. } = self.host_clocks?;
        let (contradiction, difference) = (units::seconds(contradiction), units::seconds(difference));
        let jobs = units::counted(jobs as u64, "job", "jobs");
        Some(format!(
            "the server's times of {of} come from several clocks, or are noted before answers show them: those of {jobs} contradict \
             the polls, the other jobs' times, or the Date headers, by up to {contradiction}; the errors of all times allow for {difference}"
        ))
    }

    /// The place in `plans` of the one that `job` belongs to, and the job's number among those that were asked for. The clock and the
    /// stages of its run hold for a job that nobody asked for, too, if there is only one plan it can be of.
    pub fn find(plans: &[Self], job: &Job) -> Option<(usize, Option<u64>)> {
        let is_warmup = job.is_warmup();
        let of_run = || plans.iter().enumerate().filter(|(_, plan)| plan.run == job.metadata.run);
        let asked = of_run().find_map(|(index, plan)| Some((index, Some(plan.number(&job.metadata.name, is_warmup)?))));
        let only = || of_run().next().filter(|_| !is_warmup && of_run().nth(1).is_none());
        asked.or_else(|| only().map(|(index, _)| (index, None)))
    }

    /// The number of the job or warm-up job `name` among those that were asked for, from 1; none if it is not one of them.
    pub fn number(&self, name: &str, is_warmup: bool) -> Option<u64> {
        let prefix = self.prefix.as_ref().filter(|prefix| name.starts_with(prefix.as_str()))?;
        let (prefix, asked) =
            if is_warmup { (warmup_prefix(prefix), self.warmup?) } else { (prefix.clone(), self.jobs?) };
        let number = name.strip_prefix(prefix.as_str())?.strip_prefix('-')?.parse().ok()?;
        let is_asked = asked <= NAMEABLE && (1..=asked).contains(&number) && job_name(&prefix, number, asked) == name;
        is_asked.then_some(number)
    }
}
