//! The Runs that pass through a tool: each learns what the tool was told, and is written again when more is known.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::Failure;
use crate::clock::Clock;
use crate::ndjson::Writer;
use crate::record::{Key, Record, Run, RunSpec, RunStatus, Timestamp};

/// The Runs that a tool has seen.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    held: BTreeMap<Key, Record>,
}

impl Runs {
    /// Takes a Run that passes `tool`: adds `spec` and the tool's version, writes it, and keeps it. Gives the Run as it
    /// came, and the run's clock where this machine has it.
    pub fn pass(
        &mut self,
        mut record: Record,
        tool: &str,
        spec: &RunSpec,
        now: Timestamp,
        out: &mut Writer<'_>,
    ) -> Result<(Run, Option<Clock>), Failure> {
        let run: Run = record.read().map_err(|error| Failure::usage(error.to_string()))?;
        let mut tools = run.status.tools.clone();
        tools.insert(tool.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        record.update_spec(spec).map_err(|error| Failure::usage(error.to_string()))?;
        write_status(&mut record, &RunStatus { tools, observed_at: Some(now), ..RunStatus::default() })?;
        out.record(&record)?;
        let clock = run.status.clock.as_ref().and_then(Clock::adopt);
        self.held.insert(record.key().clone(), record);
        Ok((run, clock))
    }

    /// Returns true if a Run says anything about the target's settings: by a label, or by the target's own answer.
    pub fn mention_settings(&self, is_setting: impl Fn(&str) -> bool) -> bool {
        let mut runs = self.held.values().filter_map(|record| record.read::<Run>().ok());
        runs.any(|run| !run.status.settings.is_empty() || run.metadata.labels.keys().any(|label| is_setting(label)))
    }

    /// Writes every Run again with `status` over what it said before.
    pub fn again(&mut self, status: &RunStatus, out: &mut Writer<'_>) -> Result<(), Failure> {
        for record in self.held.values_mut() {
            write_status(record, status)?;
            out.record(record)?;
        }
        Ok(())
    }
}

/// Writes the keys of `status` over the record's.
pub fn write_status(record: &mut Record, status: &impl Serialize) -> Result<(), Failure> {
    record.update_status(status, &[]).map_err(|error| Failure::usage(error.to_string()))
}
