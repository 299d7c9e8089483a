//! Everything that a session writes: records, freed slots, messages, progress.

use std::time::{Duration, Instant};

use super::super::Args;
use super::super::counts::SessionCounts;
use super::super::issue::{Issue, LONG_PAUSE};
use super::super::job::PolledJob;
use super::errors::PollErrors;
use crate::cli::{Console, Failure, Io};
use crate::escape;
use crate::ndjson::{BadLines, Writer};
use crate::record::{Flag, Phase, Record};
use crate::runs::{Runs, strike_secrets};
use crate::slots::Giver;
use crate::units;

/// The outputs of a session.
pub(super) struct Output<'a> {
    pub(super) records: Writer<'a>,
    pub(super) runs: Runs,
    pub(super) console: Console,
    pub(super) counts: SessionCounts,
    pub(super) bad_lines: BadLines,
    slots: Option<Giver>,
    errors: PollErrors,
    /// The failure of a step was reported.
    has_said_step: bool,
    /// A word for a stage's state that the profile does not name was reported.
    has_said_word: bool,
}

impl<'a> Output<'a> {
    /// Opens the FIFO of `--slots`.
    pub(super) fn new(args: &Args, io: Io<'a>) -> Result<Self, Failure> {
        Ok(Self {
            records: Writer::new(io.stdout),
            runs: Runs::default(),
            console: io.console,
            counts: SessionCounts::new()?,
            bad_lines: BadLines::default(),
            slots: args.slots.as_deref().map(Giver::open).transpose()?,
            errors: PollErrors::new(Instant::now()),
            has_said_step: false,
            has_said_word: false,
        })
    }

    /// Writes the record of a job, without secrets.
    pub(super) fn job(&mut self, mut record: Record) -> Result<(), Failure> {
        strike_secrets(&mut record, self.console.secrets())?;
        self.records.record(&record)
    }

    /// Writes the record of a job that ended, and frees its slot.
    pub(super) fn end(&mut self, phase: Phase, record: Record) -> Result<(), Failure> {
        self.counts.count_end(phase);
        self.job(record)?;
        // After Ctrl-C a submit-jobs that has not noticed the signal yet would take the slot.
        if phase == Phase::Interrupted { Ok(()) } else { self.free_slot() }
    }

    /// Closes the FIFO: no slot is freed any more, and submit-jobs is told so.
    pub(super) fn close_slots(&mut self) {
        self.slots = None;
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

    /// Reports on the console how polls fail, without a line for each: the answer from `url` about the job `name` had this
    /// issue, or none.
    pub(super) fn note_answer(&mut self, name: &str, url: &str, issue: Option<&Issue>) {
        if let Some(line) = self.errors.note(name, url, issue, Instant::now()) {
            self.console.say(&line);
        }
    }

    /// Reports the first failure of a step after the end of a job, that of the job `name`.
    pub(super) fn note_step_failure(&mut self, name: &str, failure: &str) {
        if !std::mem::replace(&mut self.has_said_step, true) {
            self.console.say(&format!("{name}: {failure}; jobs with such a failure are flagged {}", Flag::StepFailed));
        }
    }

    /// Reports the first word for a stage's state that the profile does not name, in an answer about the job `name`.
    pub(super) fn note_stage_word(&mut self, name: &str, word: Option<&(String, String)>) {
        let Some((stage, word)) = word.filter(|_| !self.has_said_word) else { return };
        self.has_said_word = true;
        let (stage, word) = (escape::start(stage, 60), escape::start(word, 60));
        self.console.say(&format!(
            "{name}: the profile does not list the state \"{word}\" of stage {stage}: add it under [poll.stages.words]; later cases are only counted"
        ));
    }

    /// Counts an answer about `name` that asked for a longer `wait` than what is `left` until the deadline, and reports the first.
    pub(super) fn note_pause(&mut self, name: &str, wait: Duration, left: Duration) {
        if wait <= left {
            return;
        }
        let count = self.counts.polling.failures.entry(LONG_PAUSE.to_owned()).or_default();
        *count += 1;
        if *count == 1 {
            let [wait, left] = [wait, left].map(|time| units::seconds(time.as_secs_f64()));
            self.console.say(&format!(
                "{name}: Retry-After asks for a wait of {wait}, but the deadline leaves {left}: set a longer --deadline; later cases are only counted"
            ));
        }
    }

    /// Draws the progress line. Without a job in flight another tool does the waiting, and draws.
    pub(super) fn draw_progress<'b>(&self, in_flight: impl ExactSizeIterator<Item = &'b PolledJob>) {
        if in_flight.len() > 0 {
            self.console.progress(|| self.counts.progress_line(in_flight));
        }
    }

    /// Reports the recovery of polls, and how many jobs are unchanged.
    pub(super) fn report_end(&mut self) {
        if let Some(line) = self.errors.close(Instant::now()) {
            self.console.say(&line);
        }
        let (jobs, verb) = match self.counts.unchanged {
            0 => return,
            1 => ("1 job".to_owned(), "stays"),
            jobs => (format!("{jobs} jobs"), "stay"),
        };
        self.console.say(&format!("{jobs} {verb} as recorded before: no poll of this session got a usable answer"));
    }
}
