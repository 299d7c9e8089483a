//! The records without what the target, its logs and its servers said, for a page that is to be sent.
//!
//! Everything else is made from these records as from the whole ones, so nothing that was taken out can come back by way of a
//! sentence that quotes it. What stays: names of jobs, stages, queues and services, ids, labels, times, counts, documented
//! reasons, queries.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{
    Exception, Flag, Fold, Job, Kind, Logs, Malformed, Reason, Record, Run, Series, Stage, Traces, differences,
};

/// Stands where something was.
const GONE: &str = "(not shown)";

/// The records of `fold`, each without the target's words. Fields that this version does not know are taken out as well.
pub(super) fn redacted(fold: &Fold) -> Result<Fold, Malformed> {
    let mut clean = Fold::default();
    for record in fold.records() {
        let record = match record.kind() {
            Kind::Run => of(record, run),
            Kind::Job => of(record, job),
            Kind::Series => of(record, series),
            Kind::Traces => of(record, traces),
            Kind::Logs => of(record, logs),
            // A report of another reading is not shown.
            Kind::Report => continue,
        }?;
        clean.add(record);
    }
    Ok(clean)
}

fn of<T: serde::de::DeserializeOwned + Serialize>(record: &Record, clean: fn(&mut T)) -> Result<Record, Malformed> {
    let mut resource = record.read::<T>()?;
    clean(&mut resource);
    Record::new(record.kind(), &resource)
}

fn reason(reason: &mut Reason) {
    if let Reason::Other(text) = reason {
        word(text);
    }
}

fn flag(flag: &mut Flag) {
    if let Flag::Other(text) = flag {
        word(text);
    }
}

/// A reason or a flag of another version is a word; a record made by hand may hold anything.
fn word(word: &mut String) {
    if !word.chars().all(|c| c.is_ascii_alphabetic()) {
        GONE.clone_into(word);
    }
}

fn run(run: &mut Run) {
    run.spec.target = None;
    let status = &mut run.status;
    // A setting that is the label's is no news; any other word is the target's own.
    let labels = &run.metadata.labels;
    status.settings.retain(|name, _| labels.contains_key(name));
    for (name, told) in &mut status.settings {
        if labels.get(name) != Some(told)
            && !differences(labels, &BTreeMap::from([(name.clone(), told.clone())])).is_empty()
        {
            GONE.clone_into(told);
        }
    }
    if let Some(idle) = &mut status.idle {
        for sentence in [&mut idle.busy, &mut idle.unseen].into_iter().flatten() {
            GONE.clone_into(sentence);
        }
    }
    if let Some(aborted) = &mut status.aborted {
        reason(&mut aborted.reason);
        GONE.clone_into(&mut aborted.message);
    }
}

fn job(job: &mut Job) {
    job.spec.source.clear();
    job.spec.path = None;
    let status = &mut job.status;
    status.reason.iter_mut().for_each(reason);
    status.flags.iter_mut().for_each(flag);
    (status.message, status.body, status.target_status) = (None, None, None);
    for Stage { state, .. } in &mut status.stages {
        *state = state.take().map(|_| GONE.to_owned());
    }
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
        GONE.clone_into(first_line);
        *traceback = None;
    }
}
