//! Everything that a session writes: records, freed slots, messages, progress.

use super::super::Args;
use super::super::counts::SessionCounts;
use super::super::job::PolledJob;
use crate::cli::{Console, Failure, Io};
use crate::ndjson::{Account, Writer};
use crate::record::{Phase, Record};
use crate::runs::Runs;
use crate::slots::Giver;

/// The outputs of a session.
pub(super) struct Output<'a> {
    pub(super) records: Writer<'a>,
    pub(super) runs: Runs,
    pub(super) console: Console,
    pub(super) counts: SessionCounts,
    pub(super) bad_lines: Account,
    slots: Option<Giver>,
    /// Polls fail at present, and the console has said so.
    polls_fail: bool,
}

impl<'a> Output<'a> {
    /// Opens the FIFO of `--slots`.
    pub(super) fn new(args: &Args, io: Io<'a>) -> Result<Self, Failure> {
        Ok(Self {
            records: Writer::new(io.stdout),
            runs: Runs::default(),
            console: io.console,
            counts: SessionCounts::new()?,
            bad_lines: Account::default(),
            slots: args.slots.as_deref().map(Giver::open).transpose()?,
            polls_fail: false,
        })
    }

    /// Writes the record of a job that ended, and frees its slot.
    pub(super) fn end(&mut self, phase: Phase, record: &Record) -> Result<(), Failure> {
        self.counts.count_end(phase);
        self.records.record(record)?;
        // After Ctrl-C a submit-jobs that has not noticed the signal yet would take the slot.
        if phase == Phase::Interrupted { Ok(()) } else { self.free_slot() }
    }

    /// Frees one slot for `submit-jobs`.
    pub(super) fn free_slot(&mut self) -> Result<(), Failure> {
        let Some(slots) = &mut self.slots else { return Ok(()) };
        slots.free_one().map_err(|error| Failure::io("--slots", &error))
    }

    /// Frees the slots that the FIFO could not take before.
    pub(super) fn free_owed_slots(&mut self) -> Result<(), Failure> {
        match &mut self.slots {
            Some(slots) if slots.owes() => slots.settle().map_err(|error| Failure::io("--slots", &error)),
            _ => Ok(()),
        }
    }

    /// Says once that polls fail, and once that they succeed again.
    pub(super) fn report_poll_error(&mut self, url: &str, error: Option<&str>) {
        match error {
            Some(error) if !self.polls_fail => {
                self.polls_fail = true;
                self.console.say(&format!("GET {url}: {error}; polling goes on"));
            }
            None if self.polls_fail => {
                self.polls_fail = false;
                self.console.say("polls are answered again");
            }
            _ => {}
        }
    }

    /// Draws the progress line. Without a job in flight another tool does the waiting, and draws.
    pub(super) fn draw_progress<'b>(&self, in_flight: impl ExactSizeIterator<Item = &'b PolledJob>) {
        if in_flight.len() > 0 {
            self.console.progress(|| self.counts.progress_line(in_flight));
        }
    }

    /// Says of how many jobs nothing new was learned.
    pub(super) fn report_unchanged(&self) {
        let (jobs, verb) = match self.counts.unchanged {
            0 => return,
            1 => ("1 job".to_owned(), "stays"),
            jobs => (format!("{jobs} jobs"), "stay"),
        };
        self.console.say(&format!("{jobs} {verb} as recorded before: no poll of this session brought a usable answer"));
    }
}
