//! The Runs that pass through a tool: each learns what the tool was told, and is written again when more is known.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::clock::Clock;
use crate::ndjson::Writer;
use crate::record::{Job, JobStatus, Key, Kind, Record, Run, RunSpec, RunStatus, Timestamp};
use crate::secrets::Secrets;

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
        let run: Run = record.read()?;
        let mut tools = run.status.tools.clone();
        tools.insert(tool.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        record.update_spec(spec)?;
        write_status(&mut record, &RunStatus { tools, observed_at: Some(now), ..RunStatus::default() })?;
        out.record(&record)?;
        let clock = run.status.clock.as_ref().and_then(Clock::adopt);
        self.held.insert(record.key().clone(), record);
        Ok((run, clock))
    }

    /// The Runs as they were written last.
    pub fn latest(&self) -> impl Iterator<Item = Run> {
        // `pass` has read each of them.
        self.held.values().filter_map(|record| record.read().ok())
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

/// A run id that no other run has: runs may begin in the same second. Begins with the time, so that ids sort by it.
pub fn new_run_id(started: Timestamp) -> Result<String, Failure> {
    let mut random = [0; 3];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::input_output(format!("cannot get random numbers: {error}")))?;
    let [a, b, c] = random;
    Ok(format!("{}-{a:02x}{b:02x}{c:02x}", started.file_name()))
}

/// Strikes `secrets` out of what the Job in `record` has from the target: its message, its body, and the messages of its stages.
pub fn strike_secrets(record: &mut Record, secrets: &Secrets) -> Result<(), Failure> {
    if let (Kind::Job, Cow::Owned(_)) = (record.kind(), secrets.strike(record.text())) {
        let JobStatus { mut message, mut body, mut stages, unread_times, .. } = record.read::<Job>()?.status;
        let texts = [&mut message, &mut body].into_iter().chain(stages.iter_mut().map(|stage| &mut stage.message));
        texts.for_each(|text| secrets.strike_in(text));
        let patch = [
            message.map(|text| ("message", Value::from(text))),
            body.map(|text| ("body", Value::from(text))),
            (!stages.is_empty()).then(|| ("stages", json!(stages))),
            (!unread_times.is_empty()).then(|| ("unreadTimes", json!(struck(unread_times, secrets)))),
        ];
        write_status(record, &patch.into_iter().flatten().collect::<BTreeMap<_, _>>())?;
    }
    Ok(())
}

fn struck(texts: BTreeMap<String, String>, secrets: &Secrets) -> BTreeMap<String, String> {
    texts.into_iter().map(|(key, text)| (key, secrets.strike(&text).into_owned())).collect()
}

/// Writes the keys of `status` over the record's.
pub fn write_status(record: &mut Record, status: &impl Serialize) -> Result<(), Failure> {
    Ok(record.update_status(status, &[])?)
}
