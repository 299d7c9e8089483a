//! The records without the words of the target, its logs and its servers, for a page that can be shared.
//!
//! The page is made from these records as from the whole ones, so no removed text can come back in a sentence that quotes it.
//! Names of jobs, stages, queues and services, ids, labels, times, counts, documented reasons and queries stay.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::record::{
    End, Exception, Flag, Fold, Job, Jobs, Kind, Logs, Malformed, Pod, Reason, Record, Run, Series, ShardStream, Stage,
    Traces, differences,
};

/// The replacement of a removed text.
const REMOVED: &str = "(not shown)";

/// The jobs, each without the target's words.
pub(super) struct RedactedJobs<'a> {
    jobs: &'a dyn Jobs,
    /// The targets so far. A number stands for each: the same id of two targets is that of two jobs.
    targets: RefCell<Vec<String>>,
}

impl<'a> RedactedJobs<'a> {
    pub(super) fn new(jobs: &'a dyn Jobs) -> Self {
        Self { jobs, targets: RefCell::default() }
    }

    fn redact(&self, found: &mut Job) {
        job(found);
        for target in [&mut found.status.target, &mut found.status.polled_target].into_iter().flatten() {
            let mut targets = self.targets.borrow_mut();
            let known = targets.iter().position(|known| known == target).unwrap_or(targets.len());
            if known == targets.len() {
                targets.push(target.clone());
            }
            *target = format!("target {} {REMOVED}", known + 1);
        }
    }
}

impl Jobs for RedactedJobs<'_> {
    fn for_each(&self, each: &mut dyn FnMut(Job) -> io::Result<()>) -> io::Result<()> {
        self.jobs.for_each(&mut |mut found| {
            self.redact(&mut found);
            each(found)
        })
    }

    fn find(&self, run: &str, name: &str) -> io::Result<Option<Job>> {
        let mut found = self.jobs.find(run, name)?;
        if let Some(found) = &mut found {
            self.redact(found);
        }
        Ok(found)
    }
}

/// The records of `fold`, each without the target's words and without fields that this version does not know.
pub(super) fn redacted(fold: &Fold) -> Result<Fold, Malformed> {
    let mut clean = Fold::default();
    for record in fold.records() {
        let record = match record.kind() {
            Kind::Run => cleaned(record, run),
            Kind::Series => cleaned(record, series),
            Kind::Traces => cleaned(record, traces),
            Kind::Logs => cleaned(record, logs),
            Kind::End => cleaned::<End>(record, |_| {}),
            Kind::Shard => cleaned(record, shard),
            // Jobs are redacted as they are read, and another report is not shown.
            Kind::Job | Kind::Report => continue,
        }?;
        clean.add(record);
    }
    Ok(clean)
}

fn cleaned<T: serde::de::DeserializeOwned + Serialize>(
    record: &Record,
    clean: fn(&mut T),
) -> Result<Record, Malformed> {
    let mut resource = record.read::<T>()?;
    clean(&mut resource);
    Record::new(record.kind(), &resource)
}

fn reason(reason: &mut Reason) {
    if let Reason::Other(text) = reason {
        keep_word(text);
    }
}

fn flag(flag: &mut Flag) {
    if let Flag::Other(text) = flag {
        keep_word(text);
    }
}

/// A reason or a flag of another version is a word; a record made by hand may hold anything.
fn keep_word(word: &mut String) {
    if !word.chars().all(|c| c.is_ascii_alphabetic()) {
        REMOVED.clone_into(word);
    }
}

fn run(run: &mut Run) {
    run.spec.target = None;
    let status = &mut run.status;
    let labels = &run.metadata.labels;
    redact_settings(labels, &mut status.settings);
    status.settings_error.iter_mut().for_each(|error| REMOVED.clone_into(error));
    if let Some(after) = &mut status.settings_after {
        redact_settings(labels, &mut after.values);
        after.error.iter_mut().for_each(|error| REMOVED.clone_into(error));
    }
    if let Some(idle) = &mut status.idle {
        for sentence in [&mut idle.busy, &mut idle.unseen].into_iter().flatten() {
            REMOVED.clone_into(sentence);
        }
    }
    if let Some(aborted) = &mut status.aborted {
        reason(&mut aborted.reason);
        REMOVED.clone_into(&mut aborted.message);
    }
}

/// Keeps the settings that equal their labels, which say nothing new. Any other value is the target's own.
fn redact_settings(labels: &BTreeMap<String, String>, settings: &mut BTreeMap<String, String>) {
    settings.retain(|name, _| labels.contains_key(name));
    for (name, value) in settings {
        if labels.get(name) != Some(value)
            && !differences(labels, &BTreeMap::from([(name.clone(), value.clone())])).is_empty()
        {
            REMOVED.clone_into(value);
        }
    }
}

fn job(job: &mut Job) {
    job.spec.source.clear();
    job.spec.path = None;
    let status = &mut job.status;
    status.reason.iter_mut().for_each(reason);
    status.flags.iter_mut().for_each(flag);
    (status.message, status.body, status.target_status, status.idempotency_key) = (None, None, None, None);
    status.unread_times.values_mut().for_each(|value| REMOVED.clone_into(value));
    for Stage { state, .. } in &mut status.stages {
        *state = state.take().map(|_| REMOVED.to_owned());
    }
}

fn shard(shard: &mut ShardStream) {
    for Pod { name, node, phase, reason, message, .. } in &mut shard.status.pods {
        REMOVED.clone_into(name);
        *node = node.take().map(|_| REMOVED.to_owned());
        *message = None;
        for word in [phase, reason].into_iter().flatten() {
            keep_word(word);
        }
    }
    for attempt in &mut shard.status.attempts {
        // It may have the name of a pod.
        REMOVED.clone_into(&mut attempt.source);
    }
    // It names the files.
    shard.status.message = shard.status.message.take().map(|_| "not every line arrived".to_owned());
}

fn series(series: &mut Series) {
    series.spec.server = None;
    let status = &mut series.status;
    status.reason.iter_mut().for_each(reason);
    status.message = None;
    status.warnings.clear();
    status.infos.clear();
    status.near_names.clear();
}

fn traces(traces: &mut Traces) {
    traces.status.reason.iter_mut().for_each(reason);
    traces.status.message = None;
}

fn logs(logs: &mut Logs) {
    logs.status.reason.iter_mut().for_each(reason);
    logs.status.message = None;
    for Exception { first_line, traceback, .. } in &mut logs.status.exceptions {
        REMOVED.clone_into(first_line);
        *traceback = None;
    }
}
