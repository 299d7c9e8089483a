//! Counts for the progress line and the Run record: the ends of jobs and the cost of polling.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::job::PolledJob;
use crate::cli::Failure;
use crate::clock::micro;
use crate::figures::distribution::Statistic;
use crate::record::{AnswerTimes, Key, Phase, Polling, RunSpec};
use crate::units;

/// The counts of one session.
pub(super) struct SessionCounts {
    started: Instant,
    /// The number of jobs of each Run, warm-up jobs among them.
    asked: BTreeMap<Key, u64>,
    done: u64,
    failed: u64,
    given_up: u64,
    /// Resumed jobs of which nothing new was learned.
    pub(super) unchanged: u64,
    pub(super) polling: Polling,
    late: Histogram<u64>,
    answers: Histogram<u64>,
}

impl SessionCounts {
    pub(super) fn new() -> Result<Self, Failure> {
        let histogram =
            |digits| Histogram::new(digits).map_err(|error| Failure::input_output(format!("a histogram: {error}")));
        Ok(Self {
            started: Instant::now(),
            asked: BTreeMap::new(),
            done: 0,
            failed: 0,
            given_up: 0,
            unchanged: 0,
            polling: Polling::default(),
            late: histogram(2)?,
            answers: histogram(3)?,
        })
    }

    /// Records the number of jobs of a Run. A shard sees only its share, so its Run does not count.
    pub(super) fn expect_jobs(&mut self, run: Key, spec: &RunSpec) {
        if let (Some(jobs), None) = (spec.jobs, &spec.shard) {
            self.asked.insert(run, jobs + spec.warmup.unwrap_or_default());
        }
    }

    /// Counts a poll that was sent `late` after it was due, and that was answered after `answer`, if it was.
    pub(super) fn count_poll(&mut self, late: Duration, answer: Option<Duration>) {
        self.polling.sent += 1;
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        // The histograms grow by themselves; a value that they cannot hold would be centuries.
        let _ = self.late.record(microseconds(late));
        if let Some(answer) = answer {
            let _ = self.answers.record(microseconds(answer));
        }
    }

    /// Counts the end of a job.
    pub(super) fn count_end(&mut self, phase: Phase) {
        match phase {
            Phase::Succeeded => self.done += 1,
            Phase::Failed => self.failed += 1,
            _ => self.given_up += 1,
        }
    }

    /// The cost of polling; none if no poll was sent and no limit kept any from it.
    pub(super) fn polling(&self, threads: usize, limit: Option<&str>) -> Option<Polling> {
        let seconds = |microseconds: u64| Some(micro(microseconds as f64 / 1e6));
        (self.polling.sent > 0 || limit.is_some()).then(|| Polling {
            late_p99_seconds: seconds(self.late.value_at_quantile(0.99)),
            late_max_seconds: seconds(self.late.max()),
            answers: self.answer_times(),
            threads: threads as u64,
            limit: limit.map(str::to_owned),
            ..self.polling.clone()
        })
    }

    /// The times that answers took; none if there was none.
    fn answer_times(&self) -> Option<AnswerTimes> {
        let count = self.answers.len();
        let seconds = |microseconds: u64| micro(microseconds as f64 / 1e6);
        let at = |statistic: Statistic, quantile: f64| {
            (count >= statistic.needs() as u64).then(|| seconds(self.answers.value_at_quantile(quantile)))
        };
        (count > 0).then(|| AnswerTimes {
            count,
            median_seconds: seconds(self.answers.value_at_quantile(0.5)),
            p90_seconds: at(Statistic::P90, 0.9),
            p95_seconds: at(Statistic::P95, 0.95),
            p99_seconds: at(Statistic::P99, 0.99),
            max_seconds: seconds(self.answers.max()),
        })
    }

    /// The progress line, with the current stages of the jobs in flight.
    pub(super) fn progress_line<'a>(&self, in_flight: impl ExactSizeIterator<Item = &'a PolledJob>) -> String {
        let (running, mut stages) = (in_flight.len(), BTreeMap::<String, usize>::new());
        let mut waiting = 0;
        for job in in_flight {
            let mut running = job.running_stages().peekable();
            waiting += usize::from(running.peek().is_none());
            for name in running {
                *stages.entry(name.to_string()).or_default() += 1;
            }
        }
        let mut stages: Vec<_> = stages.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        // If no stage is ever seen, nobody knows that the jobs wait.
        stages.extend((waiting > 0 && !stages.is_empty()).then(|| format!("{waiting} waiting for a stage")));
        let given_up = if self.given_up > 0 { format!(", {} given up", self.given_up) } else { String::new() };
        let stages = if stages.is_empty() { String::new() } else { format!(": {}", stages.join(", ")) };
        let elapsed = units::whole(self.started.elapsed());
        let Self { done, failed, .. } = self;
        let asked = self.asked.values().sum::<u64>();
        let of = if asked > 0 { format!(" of {asked}") } else { String::new() };
        // Parts of changing length come last, so that the others keep their place.
        format!("{elapsed}, {done}{of} done, {failed} failed{given_up}, {running} running{stages}")
    }
}
