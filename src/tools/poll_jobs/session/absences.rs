//! Jobs that ended by their absence from a list, and come back.

use std::collections::HashMap;

use super::super::job::Page;
use super::Session;
use crate::cli::Failure;
use crate::escape;
use crate::http::Answer;
use crate::profile::{Document, PollAnswer, StatusReading};
use crate::record::{Flag, Job, JobStatus, Phase, Record, StagePhase};

/// The jobs of a session that ended by their absence.
#[derive(Default)]
pub(super) struct Absences {
    /// The records of their ends; none where the end is not recorded yet.
    ends: HashMap<usize, Option<Record>>,
    /// A job came back.
    is_reported: bool,
}

impl Absences {
    /// Records that the job `number` ends by its absence.
    pub(super) fn expect(&mut self, number: usize) {
        self.ends.insert(number, None);
    }

    /// Keeps the record of the end of the job `number`, if that ended by its absence.
    pub(super) fn ended(&mut self, number: usize, record: &Record) {
        if let Some(end) = self.ends.get_mut(&number) {
            *end = Some(record.clone());
        }
    }
}

impl Session<'_, '_> {
    /// Flags the job `number`, if it ended by its absence and its entry on a page contradicts that.
    pub(super) fn notice_return(
        &mut self,
        number: usize,
        entry: Result<String, String>,
        page: &Page<'_>,
    ) -> Result<(), Failure> {
        let (Some(Some(record)), Ok(body)) = (self.absences.ends.get(&number), entry) else { return Ok(()) };
        let answer = Answer { body, uploaded_at: None, head: page.answer.head.clone(), ..*page.answer };
        let PollAnswer::Document(observation) = self.target.profile.poll_answer(&Document::of(&answer)) else {
            return Ok(());
        };
        let StatusReading::Status(state, word) = observation.status else { return Ok(()) };
        let Job { status, metadata, .. } = record.read()?;
        let agrees = state == StagePhase::Done && status.phase == Phase::Succeeded;
        if agrees || state == StagePhase::Unnamed || answer.is_cached() {
            return Ok(());
        }
        let word = escape::start(&word, 60);
        let message = format!("it ended by its absence from the list, and a later list called it \"{word}\"");
        let mut record = record.clone();
        let patch = JobStatus {
            phase: status.phase,
            message: Some(message.clone()),
            observed_at: Some(self.clock.now()),
            flags: status.flags.into_iter().chain([Flag::CameBack]).collect(),
            ..JobStatus::default()
        };
        record.update_status(&patch, &[])?;
        self.output.job(record)?;
        self.absences.ends.remove(&number);
        if !std::mem::replace(&mut self.absences.is_reported, true) {
            self.output.console.say(&format!("{}: {message}; such jobs are flagged {}", metadata.name, Flag::CameBack));
        }
        Ok(())
    }
}
