//! `--resume`: the records of a run are read to their end, and the jobs that it left without a verdict are followed again.

use super::Session;
use crate::cli::Failure;
use crate::clock::OffsetBounds;
use crate::health;
use crate::http::BaseUrl;
use crate::ndjson::Writer;
use crate::record::{Fold, Job, Kind, Polling, Record, RunStatus};
use crate::tools::poll_jobs::follow::Followed;

impl Session<'_> {
    /// Hands on the last word on each record of `ledger` and follows again every job that has an id and no verdict.
    /// Where the target is not there every record is handed on as it was.
    pub(super) fn resume(&mut self, ledger: &Fold, out: &mut Writer<'_>) -> Result<(), Failure> {
        let open = ledger.jobs().filter(|job| job.open_id().is_some()).count();
        if open > 0
            && let Err(problem) = self.ask_health(ledger)?
        {
            self.unreachable = true;
            self.console.say(&format!(
                "{problem}; nothing was followed and the records stay as they were: resume again once the target is there, \
                 or name it by --target or TARGET"
            ));
            return ledger.records().try_for_each(|record| out.record(record));
        }
        self.console.say(&match open {
            0 => "nothing is left to follow: every job that has an id has its verdict".to_owned(),
            1 => "1 job is followed again".to_owned(),
            _ => format!("{open} jobs are followed again"),
        });
        let mut costs = ledger.runs().filter_map(|run| run.status.polling);
        if let (Some(spent), None) = (costs.next(), costs.next()) {
            self.spent = spent;
        }
        let mut resumed_at: Vec<_> = ledger.runs().flat_map(|run| run.status.resumed_at).collect();
        for record in ledger.records() {
            match record.kind() {
                // Where nothing is left to do there is nothing to add either.
                Kind::Run if open > 0 => self.hear_run(record.clone(), out)?,
                Kind::Job => self.hear_again(record, out)?,
                _ => out.record(record)?,
            }
        }
        resumed_at.push(self.clock.now());
        self.runs.again(&RunStatus { resumed_at, ..RunStatus::default() }, out)
    }

    /// Asks whether the target is there that the jobs are about to be asked for at. The inner error says that it is not.
    fn ask_health(&mut self, ledger: &Fold) -> Result<Result<(), String>, Failure> {
        if self.base.is_none()
            && let Some(target) = ledger.runs().find_map(|run| run.spec.target)
        {
            let theirs = BaseUrl::parse(&target, "the Run's spec.target")?;
            self.check_secrets(&theirs)?;
            self.base = Some(theirs);
        }
        let base = self.base()?.clone();
        // The distance of the clocks counts by the Run's clock, which is not adopted yet.
        let mut unused = OffsetBounds::default();
        Ok(health::check(&self.exchange, &base, &self.profile, &self.clock, &mut unused)
            .map(drop)
            .map_err(|unwell| unwell.message))
    }

    /// Says of how many jobs nothing new was learned.
    pub(super) fn tell_kept(&self) {
        let (jobs, keep) = match self.tally.kept {
            0 => return,
            1 => ("1 job".to_owned(), "stays"),
            kept => (format!("{kept} jobs"), "stay"),
        };
        self.console.say(&format!("{jobs} {keep} as recorded before: no poll of this session brought a usable answer"));
    }

    fn hear_again(&mut self, record: &Record, out: &mut Writer<'_>) -> Result<(), Failure> {
        out.record(record)?;
        let job: Job = record.read().map_err(|error| Failure::usage(error.to_string()))?;
        let Some(id) = job.open_id() else { return Ok(()) };
        let (request, now) = (self.request(&job, id)?, self.clock.now());
        let followed = Followed::resumed(record.clone(), &job, request, now, &mut self.names);
        self.follow(followed, out)
    }
}

/// What two sessions cost together. Of all their polls 99 % were at most as late as the worse of the two says.
pub(super) fn together(one: Polling, other: Polling) -> Polling {
    let worse = |a: Option<f64>, b: Option<f64>| [a, b].into_iter().flatten().reduce(f64::max);
    Polling {
        sent: one.sent + other.sent,
        failed: one.failed + other.failed,
        late_p99_seconds: worse(one.late_p99_seconds, other.late_p99_seconds),
        late_max_seconds: worse(one.late_max_seconds, other.late_max_seconds),
        threads: one.threads.max(other.threads),
    }
}
