//! `--resume`: reads the records of a run to their end and polls the jobs without a verdict again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::super::job::PolledJob;
use super::Session;
use crate::cli::Failure;
use crate::figures::listed;
use crate::journal::read_journal;
use crate::record::{AnswerTimes, Fold, Job, Kind, Polling, Record, RunStatus};
use crate::units;

/// The observations that a job takes from its target: those of another target may be about another job.
const TOLD_BY_TARGET: [&str; 10] = [
    "polledTarget",
    "nextId",
    "notStartedAt",
    "startedAt",
    "notEndedAt",
    "targetStatus",
    "serverTimes",
    "unreadTimes",
    "stages",
    "body",
];

impl Session<'_, '_> {
    /// Writes the last state of each of `records` and polls every job that has an id and no verdict. If the target is
    /// unreachable every record is written unchanged.
    pub(super) fn resume(&mut self, records: &Fold) -> Result<(), Failure> {
        let open = records.jobs().filter(|job| job.open_id().is_some()).count();
        if open > 0
            && let Err(cause) = self.target.check_health(
                records
                    .runs()
                    .filter_map(|run| run.spec.target)
                    .chain(records.jobs().filter_map(|job| job.status.target)),
                &self.clock,
                &self.output.console,
                &self.stop,
            )?
        {
            self.unreachable = true;
            self.output.console.say(&format!(
                "{cause}; no job was polled and the records are unchanged: resume again once the target is up, or name it with \
                 --target or TARGET"
            ));
            return records.records().try_for_each(|record| self.output.records.record(record));
        }
        self.output.console.say(&match open {
            0 => "no job is left to poll: every job that has an id has its verdict".to_owned(),
            1 => "polling 1 job again".to_owned(),
            _ => format!("polling {open} jobs again"),
        });
        let mut costs = records.runs().filter_map(|run| run.status.polling);
        if let (Some(cost), None) = (costs.next(), costs.next()) {
            self.earlier_cost = cost;
        }
        let mut resumed_at: Vec<_> = records.runs().flat_map(|run| run.status.resumed_at).collect();
        for record in records.records() {
            match record.kind() {
                // If no job is left to poll the Run has nothing to add either.
                Kind::Run if open > 0 => self.handle_run(record.clone())?,
                Kind::Job => self.resume_job(record)?,
                _ => self.output.records.record(record)?,
            }
        }
        resumed_at.push(self.clock.now());
        self.output.runs.again(&RunStatus { resumed_at, ..RunStatus::default() }, &mut self.output.records)
    }

    /// Adds to `records` what only the journal knows of their runs; without records, of every run.
    pub(super) fn add_journal(&self, records: &mut Fold, path: &Path) -> Result<(), Failure> {
        let journal = read_journal(path)?;
        let runs: HashSet<String> = records.records().map(|record| record.key().run.clone()).collect();
        let (own, other): (Vec<&Record>, Vec<&Record>) =
            journal.records().records().partition(|record| runs.is_empty() || runs.contains(&record.key().run));
        let others: BTreeSet<&str> = other.iter().map(|record| record.key().run.as_str()).collect();
        if !others.is_empty() {
            self.output.console.say(&format!(
                "--journal {}: {} of other runs than the records on stdin ({}): ignored",
                path.display(),
                units::counted(other.len() as u64, "job", "jobs"),
                listed(others)
            ));
        }
        for record in records.records().filter(|record| record.kind() == Kind::Job) {
            if let Some(contradiction) = journal.contradiction(record.key(), &record.read()?) {
                return Err(Failure::usage(format!(
                    "--journal {} {contradiction}: nothing is polled, and the records stay as they are; name the journal of these records, \
                     or none",
                    path.display()
                )));
            }
        }
        records.extend(own.into_iter().cloned());
        Ok(())
    }

    fn resume_job(&mut self, record: &Record) -> Result<(), Failure> {
        self.output.records.record(record)?;
        let mut job: Job = record.read()?;
        if job.status.phase.is_final() {
            self.cookies.note_end(record.key());
        }
        if job.open_id().is_none() {
            return Ok(());
        }
        let mut record = record.clone();
        if job.status.polled_target.as_ref().is_some_and(|target| self.target.is_other(target)) {
            record.update_status(&BTreeMap::<&str, &str>::new(), &TOLD_BY_TARGET)?;
            job = record.read()?;
        }
        let Some(id) = job.open_id() else { return Ok(()) };
        let request = self.request(&record, &job, job.status.next_id.as_deref().unwrap_or(id))?;
        let is_polled = self.cookies.are_polled(record.key());
        let mut resumed = PolledJob::resumed(record, &job, request, self.clock.now());
        if is_polled {
            resumed.doubt_cookie(self.clock.now());
        }
        self.add(resumed)
    }
}

/// The cost of two sessions together. 99 % of all their polls were at most as late as the worse of the two quantiles says.
pub(super) fn add_costs(one: Polling, other: Polling) -> Polling {
    let worse = |a: Option<f64>, b: Option<f64>| [a, b].into_iter().flatten().reduce(f64::max);
    Polling {
        sent: one.sent + other.sent,
        failed: one.failed + other.failed,
        late_p99_seconds: worse(one.late_p99_seconds, other.late_p99_seconds),
        late_max_seconds: worse(one.late_max_seconds, other.late_max_seconds),
        answers: match (one.answers, other.answers) {
            (Some(one), Some(other)) => Some(AnswerTimes {
                count: one.count + other.count,
                median_seconds: one.median_seconds.max(other.median_seconds),
                p90_seconds: worse(one.p90_seconds, other.p90_seconds),
                p95_seconds: worse(one.p95_seconds, other.p95_seconds),
                p99_seconds: worse(one.p99_seconds, other.p99_seconds),
                max_seconds: one.max_seconds.max(other.max_seconds),
            }),
            (one, other) => one.or(other),
        },
        threads: one.threads.max(other.threads),
        limit: one.limit.or(other.limit),
        hidden_age_seconds: worse(one.hidden_age_seconds, other.hidden_age_seconds),
        lag_seconds: worse(one.lag_seconds, other.lag_seconds),
        failures: other.failures.into_iter().fold(one.failures, |mut sum, (kind, count)| {
            *sum.entry(kind).or_default() += count;
            sum
        }),
    }
}
