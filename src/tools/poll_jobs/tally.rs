//! What the progress line and the Run's last words tell: how the jobs ended, and what polling them cost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::follow::Followed;
use crate::cli::Failure;
use crate::clock::micro;
use crate::record::{Key, Phase, Polling, RunSpec};
use crate::units;

/// The counts of one session.
pub(super) struct Tally {
    started: Instant,
    /// How many jobs the Runs have, warm-up jobs among them.
    asked: BTreeMap<Key, u64>,
    done: u64,
    failed: u64,
    given_up: u64,
    /// Jobs followed again of which nothing new was learned.
    pub(super) kept: u64,
    pub(super) polls: Polling,
    late: Histogram<u64>,
}

impl Tally {
    pub(super) fn new() -> Result<Self, Failure> {
        let late = Histogram::new(2).map_err(|error| Failure::input_output(format!("a histogram: {error}")))?;
        Ok(Self {
            started: Instant::now(),
            asked: BTreeMap::new(),
            done: 0,
            failed: 0,
            given_up: 0,
            kept: 0,
            polls: Polling::default(),
            late,
        })
    }

    /// Takes note of how many jobs a Run has. What others do of it is not seen here.
    pub(super) fn expects(&mut self, run: Key, spec: &RunSpec) {
        if let (Some(jobs), None) = (spec.jobs, &spec.shard) {
            self.asked.insert(run, jobs + spec.warmup.unwrap_or_default());
        }
    }

    /// Takes note of a poll that was sent so long after it was due.
    pub(super) fn note(&mut self, late: Duration) {
        self.polls.sent += 1;
        // The histogram grows by itself; a value that it cannot hold would be a poll that is centuries late.
        let _ = self.late.record(u64::try_from(late.as_micros()).unwrap_or(u64::MAX));
    }

    /// Takes note of a job's end.
    pub(super) fn ended(&mut self, phase: Phase) {
        match phase {
            Phase::Succeeded => self.done += 1,
            Phase::Failed => self.failed += 1,
            _ => self.given_up += 1,
        }
    }

    /// What polling cost; none where no poll was sent.
    pub(super) fn polling(&self, threads: usize) -> Option<Polling> {
        let seconds = |microseconds: u64| Some(micro(microseconds as f64 / 1e6));
        (self.polls.sent > 0).then(|| Polling {
            late_p99_seconds: seconds(self.late.value_at_quantile(0.99)),
            late_max_seconds: seconds(self.late.max()),
            threads: threads as u64,
            ..self.polls
        })
    }

    /// The progress line, with the stages that the jobs in flight are in.
    pub(super) fn line<'a>(&self, in_flight: impl ExactSizeIterator<Item = &'a Followed>) -> String {
        let (running, mut stages) = (in_flight.len(), BTreeMap::<String, usize>::new());
        let mut waiting = 0;
        for followed in in_flight {
            let mut running = followed.stages_running().peekable();
            waiting += usize::from(running.peek().is_none());
            for name in running {
                *stages.entry(name.to_string()).or_default() += 1;
            }
        }
        let mut stages: Vec<_> = stages.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        // Where no stage is ever seen, all of them would be waiting, and that is not known.
        stages.extend((waiting > 0 && !stages.is_empty()).then(|| format!("{waiting} in none")));
        let given_up = if self.given_up > 0 { format!(", {} given up", self.given_up) } else { String::new() };
        let stages = if stages.is_empty() { String::new() } else { format!(": {}", stages.join(", ")) };
        let elapsed = units::whole(self.started.elapsed());
        let Self { done, failed, .. } = self;
        let asked = self.asked.values().sum::<u64>();
        let of = if asked > 0 { format!(" of {asked}") } else { String::new() };
        // What grows and shrinks stands last, so that the rest keeps its place.
        format!("{elapsed}, {done}{of} done, {failed} failed{given_up}, {running} running{stages}")
    }
}
