//! The jobs of a session: which were read, which wait for their submission, and which ids the target gave them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use super::super::post::collapsed;
use crate::http::BaseUrl;
use crate::record::{Fold, Job, JobStatus, Key, Phase, Reason, Record, canonical_id};
use crate::staging::Claims;

/// The jobs of a session.
#[derive(Default)]
pub(super) struct Jobs {
    pub(super) waiting: VecDeque<(Record, Job)>,
    seen: HashSet<Key>,
    /// Hashes of the names and inputs of the jobs that were staged.
    inputs: HashSet<u64>,
    sources: HashSet<String>,
    claims: Claims,
    /// The runs that the journal knows, until a job of one of them comes.
    earlier_runs: HashSet<String>,
    /// The number of jobs that the journal says were submitted to each other target.
    pub(super) elsewhere: BTreeMap<String, u64>,
    /// The job that each id belongs to, by its canonical spelling.
    ids: HashMap<String, String>,
    /// The number of jobs without a connection since the last one with one.
    unconnected: usize,
}

impl Jobs {
    /// Knows the runs of earlier sessions, and the ids that the target at `base` gave them.
    pub(super) fn with_earlier(records: &Fold, base: &BaseUrl) -> Self {
        let mut jobs = Self::default();
        for Job { metadata, status, .. } in records.jobs() {
            if let Some(other) = status.target.as_deref().and_then(|target| base.other(target)) {
                *jobs.elsewhere.entry(other).or_default() += 1;
            } else if status.reason != Some(Reason::Collapsed) {
                jobs.ids.extend(status.job_id.map(|id| (canonical_id(&id).into_owned(), metadata.name)));
            }
        }
        jobs.earlier_runs.extend(records.records().map(|record| record.key().run.clone()));
        jobs
    }

    /// The runs that the journal knows, if the first job that is to be submitted is of none of them.
    pub(super) fn other_runs(&mut self, run: &str) -> Option<String> {
        if self.earlier_runs.contains(run) {
            self.earlier_runs.clear();
        }
        let mut runs: Vec<&str> = self.earlier_runs.iter().map(String::as_str).collect();
        runs.sort_unstable();
        (!runs.is_empty()).then(|| runs.join(", "))
    }

    /// Returns true the first time that it is called for a job.
    pub(super) fn add(&mut self, key: &Key) -> bool {
        self.seen.insert(key.clone())
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.seen.contains(key)
    }

    /// Notes the input of a staged job.
    pub(super) fn add_input(&mut self, job: &Job) {
        self.inputs.insert(input(job));
    }

    /// Returns true if a job of this name and input was staged before.
    pub(super) fn is_repeated(&self, job: &Job) -> bool {
        self.inputs.contains(&input(job))
    }

    /// The reason why a staged job cannot be submitted, if there is one.
    pub(super) fn unfit(&mut self, job: &Job, needs_source: bool) -> Option<(Reason, String)> {
        if needs_source && job.spec.source.is_empty() {
            return Some((Reason::NoSource, "the record has no spec.source".to_owned()));
        }
        let path = job.spec.path.as_deref()?;
        let other = self.claims.hold(Path::new(path), &job.metadata.run).err()?;
        let message = format!(
            "{path}: run {other} has staged into the same directory and has not ended; the target could confuse the jobs of the two runs: stage again with another --prefix"
        );
        Some((Reason::SourceInUse, message))
    }

    /// Returns true the first time that it is called for a source.
    pub(super) fn add_source(&mut self, source: &str) -> bool {
        self.sources.insert(source.to_owned())
    }

    /// The status of an answered submission, in which an id that another job has is a collapse.
    pub(super) fn checked_id(&mut self, name: &str, status: JobStatus) -> JobStatus {
        match (status.phase, &status.job_id) {
            (Phase::Submitted, Some(id)) => {
                let canonical = canonical_id(id);
                if let Some(owner) = self.ids.get(&*canonical).filter(|owner| *owner != name) {
                    collapsed(status, owner)
                } else {
                    self.ids.insert(canonical.into_owned(), name.to_owned());
                    status
                }
            }
            _ => status,
        }
    }

    /// Counts a submission; returns how many in a row could not be connected.
    pub(super) fn count_unconnected(&mut self, status: &JobStatus) -> usize {
        self.unconnected = if status.reason == Some(Reason::NotConnected) { self.unconnected + 1 } else { 0 };
        self.unconnected
    }
}

/// A hash of the job's name and input.
fn input(job: &Job) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&job.metadata.run, &job.metadata.name, serde_json::to_string(&job.spec).unwrap_or_default()).hash(&mut hasher);
    hasher.finish()
}
