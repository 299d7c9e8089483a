//! The HTTP requests of a run: submissions with their answers, and polls.

use std::collections::BTreeMap;

use itertools::Itertools;

use super::distribution::{Distribution, Statistic};
use super::names::{self, Durations, NamedFigures};
use super::tally::JobTally;
use crate::record::{AnswerTimes, Polling};
use crate::units;

/// The requests of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// Submissions by the status of their answer. Those without an answer have none, and stand first.
    pub statuses: BTreeMap<Option<u16>, u64>,
    /// From sending a submission to its answer.
    pub submit: Option<Distribution>,
    /// The cost of polling, warm-up jobs among it, of all shards together; none if no poll was sent.
    pub polling: Option<Polling>,
    /// The times that answers to polls took, if one session sent them all.
    pub poll: Option<AnswerTimes>,
    /// The ends that polls saw, against the precision that `poll-jobs` aimed for; none if no Run names one.
    pub precision: Option<Precision>,
}

/// The precision with which ends are known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Precision {
    /// The goal: the most by which an end may be uncertain, as a part of the job's age. The finest of several Runs.
    pub goal: f64,
    /// The ends that were seen.
    pub ends: u64,
    /// Those that are less certain than the goal.
    pub missed: u64,
}

impl Precision {
    /// Compares the ends of the jobs of `tally` with the goal of its Runs.
    fn compute(tally: &JobTally) -> Option<Self> {
        let goal = tally.runs().filter_map(|run| run.spec.precision).reduce(f64::min)?;
        let jobs = tally.entries.iter().filter_map(|entry| entry.job.as_ref());
        let ends = jobs.filter_map(|job| job.duration);
        Some(ends.fold(Self { goal, ..Self::default() }, |sum, (duration, error)| Self {
            ends: sum.ends + 1,
            missed: sum.missed + u64::from(error > goal * duration),
            ..sum
        }))
    }

    /// The share of ends that missed the goal, as a sentence; none if no end was seen.
    pub fn sentence(&self) -> Option<String> {
        let Self { goal, ends, missed } = *self;
        let share = missed as f64 * 100.0 / ends as f64;
        (ends > 0).then(|| {
            format!(
                "{missed} of {} ({share:.1} %) missed the goal of --precision: they are known less precisely than within {} % of the job's age.",
                units::counted(ends, "end", "ends"),
                goal * 100.0
            )
        })
    }
}

impl Requests {
    /// Computes them from the jobs and the Runs of `tally`.
    pub fn compute(tally: &JobTally) -> Self {
        let mut requests = Self::default();
        let mut times = Vec::new();
        let sent = tally.entries.iter().filter_map(|entry| Some((entry, entry.job.as_ref()?)));
        for (entry, job) in sent.filter(|(_, job)| job.submitted_at.is_some()) {
            *requests.statuses.entry(job.http_status).or_default() += 1;
            times.extend(entry.times.submit);
        }
        requests.submit = Distribution::from_samples(&times);
        requests.precision = Precision::compute(tally);
        for polling in tally.runs().filter_map(|run| run.status.polling.as_ref()) {
            let sum = requests.polling.get_or_insert_default();
            sum.sent += polling.sent;
            sum.failed += polling.failed;
            for (kind, count) in &polling.failures {
                *sum.failures.entry(kind.clone()).or_default() += count;
            }
            // The percentiles of several shards do not add up to one of all.
            requests.poll = polling.answers.filter(|_| tally.runs().count() == 1);
        }
        requests
    }

    /// Adds the figures of the requests.
    pub(super) fn put_into(&self, figures: &mut NamedFigures) {
        for (status, count) in &self.statuses {
            figures.put(&names::submit_status(*status), *count as f64);
        }
        figures.put(&names::POLLS_SENT, self.polling.as_ref().map(|polling| polling.sent as f64));
        figures.put(&names::POLLS_FAILED, self.polling.as_ref().map(|polling| polling.failed as f64));
        figures.put(&Durations::POLL.count(), self.poll.map(|of| of.count as f64));
        for statistic in Statistic::ALL {
            figures.put(&Durations::POLL.statistic(statistic), self.poll_seconds(statistic));
        }
    }

    /// A statistic of the times that answers to polls took, if it is known.
    pub fn poll_seconds(&self, statistic: Statistic) -> Option<f64> {
        let of = self.poll?;
        match statistic {
            Statistic::Mean => None,
            Statistic::P50 => Some(of.median_seconds),
            Statistic::P90 => of.p90_seconds,
            Statistic::P95 => of.p95_seconds,
            Statistic::P99 => of.p99_seconds,
            Statistic::Max => Some(of.max_seconds),
        }
    }

    /// The answers to the submissions: `202: 11, 503: 1, no answer: 1`.
    pub fn submit_answers(&self) -> String {
        let known = self.statuses.iter().filter_map(|(status, count)| Some(format!("{}: {count}", (*status)?)));
        let none = self.statuses.get(&None).map(|count| format!("no answer: {count}"));
        known.chain(none).join(", ")
    }

    /// The kinds of answers that said nothing, the most frequent first: `HTTP 500: 30`.
    pub fn poll_failures(polling: &Polling) -> Vec<String> {
        let mut kinds: Vec<(&String, &u64)> = polling.failures.iter().collect();
        // Of equals the first by name.
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        kinds.into_iter().map(|(kind, count)| format!("{kind}: {count}")).collect()
    }

    /// The outcomes of the polls: `1286 usable answers; HTTP 500: 30`.
    pub fn poll_answers(polling: &Polling) -> String {
        let usable = units::counted(polling.sent.saturating_sub(polling.failed), "usable answer", "usable answers");
        let kinds = Self::poll_failures(polling);
        if kinds.is_empty() { usable } else { format!("{usable}; {}", kinds.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_imprecise_ends_is_told() {
        let precision = Precision { goal: 0.05, ends: 200, missed: 3 };
        assert_eq!(
            precision.sentence().unwrap(),
            "3 of 200 ends (1.5 %) missed the goal of --precision: they are known less precisely than within 5 % of the job's age."
        );
        assert_eq!(Precision::default().sentence(), None);
    }
}
