//! The shards of a run: what became of their jobs, when they began, and which limits they met.

use std::collections::BTreeMap;

use super::harness_doubts;
use super::outcome::{self, Outcome};
use super::tally::JobTally;
use crate::record::{Conservation, ReportShard, Run, Shard, ShardStream, ShardStreamStatus, StreamResult, Timestamp};

/// One shard of a run.
#[derive(Clone, Debug)]
pub struct ShardFigures {
    /// The shard.
    pub shard: Shard,
    /// What arrived of it; none if nothing compared its lines with its Ends.
    pub stream: Option<ShardStreamStatus>,
    /// The outcomes of its jobs.
    pub jobs: Conservation,
    /// Delay between the common start and its first submission, by its own clock, of its first attempt.
    pub start_lag_seconds: Option<f64>,
    /// Its first submission.
    pub first_submitted: Option<Timestamp>,
    /// The limits of its host that its tools met, a sentence each.
    pub limits: Vec<String>,
}

impl ShardFigures {
    /// The shards of `tally`, by index; none if the run has none.
    pub fn compute(tally: &JobTally) -> Vec<Self> {
        let mut runs: BTreeMap<(&str, u64), Vec<&Run>> = BTreeMap::new();
        for run in tally.runs() {
            if let Some(shard) = run.spec.shard {
                runs.entry((&run.metadata.run, shard.index)).or_default().push(run);
            }
        }
        let mut all = BTreeMap::new();
        for (index, plan) in tally.plans.iter().enumerate() {
            let count = plan.shards.unwrap_or_default();
            for shard in 0..count {
                let runs = runs.get(&(plan.run.as_str(), shard)).map(Vec::as_slice).unwrap_or_default();
                let stream = tally.streams.get(&plan.run, shard);
                all.insert((index, shard), Self::new(Shard { index: shard, count }, stream, runs));
            }
        }
        // If no shard has spoken there is no plan.
        let is_planned = |stream: &ShardStream| tally.plans.iter().any(|plan| plan.run == stream.metadata.run);
        for stream in tally.streams.iter().filter(|stream| !is_planned(stream)) {
            let shard = stream.spec.shard;
            all.insert((tally.plans.len(), shard.index), Self::new(shard, Some(stream), &[]));
        }
        for entry in &tally.entries {
            let Some(of) = tally.shard(entry).and_then(|shard| all.get_mut(&shard)) else { continue };
            of.jobs.asked += 1;
            *outcome::count_mut(&mut of.jobs, entry.outcome) += 1;
            let submitted = entry.job.as_ref().and_then(|job| job.submitted_at);
            of.first_submitted = [of.first_submitted, submitted].into_iter().flatten().min();
        }
        all.into_values().collect()
    }

    fn new(shard: Shard, stream: Option<&ShardStream>, runs: &[&Run]) -> Self {
        let stream = stream.map(|stream| stream.status.clone());
        let first = stream.iter().flat_map(|stream| &stream.attempts).find_map(|attempt| attempt.start_lag_seconds);
        Self {
            shard,
            stream,
            jobs: Conservation::default(),
            start_lag_seconds: first.or_else(|| runs.iter().find_map(|run| run.status.start_lag_seconds)),
            first_submitted: None,
            limits: runs.iter().flat_map(|run| harness_doubts::of_run(run, None)).collect(),
        }
    }

    /// Number of attempts, or of pods, if there were more of those; none if nothing tells.
    pub fn attempts(&self) -> Option<u64> {
        let stream = self.stream.as_ref()?;
        let numbers = stream.attempts.iter().filter_map(|attempt| attempt.number).max().unwrap_or_default();
        Some(numbers.max(stream.attempts.len() as u64).max(stream.pods.len() as u64))
    }

    /// As report.json has it.
    pub fn summary(&self) -> ReportShard {
        let stream = self.stream.clone().unwrap_or_default();
        ReportShard {
            shard: self.shard,
            result: self.stream.as_ref().map(|stream| stream.result),
            message: stream.message,
            attempts: self.attempts(),
            lines: stream.lines,
            missing_lines: stream.missing_lines,
            conservation: self.jobs,
            start_lag_seconds: self.start_lag_seconds,
            limits: self.limits.clone(),
            pods: stream.pods,
        }
    }

    /// Returns true if the shard is known not to have run as it was asked to: it is silent, cut short or was started again.
    pub fn is_notable(&self) -> bool {
        let stream = self.stream.as_ref();
        let is_broken =
            stream.is_some_and(|it| it.result != StreamResult::Whole || it.attempts.len() > 1 || it.pods.len() > 1);
        is_broken || outcome::count(&self.jobs, Outcome::Missing) > 0
    }
}
