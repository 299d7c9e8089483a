//! The end of a session: with everything submitted, by a signal, or because nobody reads its records any more.

use std::sync::mpsc::Receiver;

use super::super::post::{not_less, unsent};
use super::output::Output;
use super::scheduler::UnderWay;
use super::{Event, LAST_WORDS, Session, write_journalled};
use crate::cli::{Exit, Failure, Outcome};
use crate::journal::Journal;
use crate::record::{JobStatus, Phase, Reason, Record, RunStatus};
use crate::runs::write_status;

impl Session<'_, '_> {
    /// Records that nobody waits any longer for the answers to the submissions under way.
    pub(super) fn give_up_submissions(&mut self) -> Result<(), Failure> {
        for record in self.unanswered()? {
            write_journalled(self, &record)?;
        }
        Ok(())
    }

    /// The records of the submissions under way, as they are if nobody waits for the answers: each that was sent may have arrived.
    fn unanswered(&mut self) -> Result<Vec<Record>, Failure> {
        let now = self.clock.now();
        let given_up = |UnderWay { mut record, intent, gate }: UnderWay| {
            let status = if gate.close() {
                let why = "a step before the submission was still unanswered when the grace period ended".to_owned();
                not_less(unsent(Some(why), now), &intent)
            } else {
                JobStatus {
                    phase: Phase::Unknown,
                    reason: Some(Reason::NoAnswer),
                    message: Some("the submission was still unanswered when the grace period ended".to_owned()),
                    observed_at: Some(now),
                    ..intent
                }
            };
            write_status(&mut record, &status).map(|()| record)
        };
        self.scheduler.give_up().map(given_up).collect()
    }

    /// Waits for the answers to the submissions under way although nobody reads the records any more: the journal keeps them for
    /// `poll-jobs --resume`. Returns the failure that the tool ends with.
    pub(super) fn outlive_reader(mut self, events: &Receiver<Event>, failure: Failure) -> Failure {
        let has_work = self.scheduler.has_work() || !self.jobs.waiting.is_empty() || self.held.is_some();
        let grace = self.stop.grace();
        let mut kept = 0;
        while self.output.journal.is_some() && self.scheduler.has_work() {
            let left = grace.left_for_last_words().unwrap_or(LAST_WORDS);
            if left.is_zero() {
                break;
            }
            let Ok(Event::Posted(finished)) = events.recv_timeout(left) else { continue };
            match self.answered(*finished).and_then(|record| self.output.journal(&record)) {
                Ok(()) => kept += 1,
                Err(failure) => return failure,
            }
        }
        let unanswered = self.unanswered();
        if let Err(failure) =
            unanswered.and_then(|records| records.iter().try_for_each(|record| self.output.journal(record)))
        {
            return failure;
        }
        // A reader that has had enough is no failure of a list that is looked at; that of a run leaves jobs behind.
        let reader = match &self.args.slots {
            Some(slots) if self.has_poller => format!("--slots {}: poll-jobs has exited", slots.display()),
            None if self.output.journal.is_some() => "stdout: its reader has exited".to_owned(),
            _ => return failure,
        };
        if !has_work || failure.message().is_some() {
            return failure;
        }
        let rest = match kept {
            0 => String::new(),
            1 => "; the journal has the answer that came after that".to_owned(),
            kept => format!("; the journal has the {kept} answers that came after that"),
        };
        Failure::input_output(format!("{reader}: nothing more is submitted{rest}"))
    }

    /// Writes the Runs again, with the offset of the clocks and the reason why not all was submitted.
    pub(super) fn close(mut self) -> Outcome {
        let (exit, aborted) = self.aborted.take().map_or((None, None), |(exit, aborted)| (Some(exit), Some(aborted)));
        let now = self.clock.now();
        let status = RunStatus {
            observed_at: Some(now),
            submission_limit: self.scheduler.limit().map(str::to_owned),
            submission_ended_at: Some(now),
            journal: self.output.journal.as_ref().and_then(Journal::cost),
            clock_offset: self.offset.offset(),
            clock_doubt: self.offset.doubt(),
            frozen_seconds: self.heartbeat.frozen_seconds(),
            aborted,
            ..RunStatus::default()
        };
        let Output { runs, records, .. } = &mut self.output;
        runs.again(&status, records)?;
        self.output.close();
        Ok(match exit {
            Some(exit) => exit,
            None if self.output.bad_lines.broken() > 0 || self.output.bad_lines.is_all_foreign() => Exit::BrokenInput,
            None => Exit::Done,
        })
    }
}
