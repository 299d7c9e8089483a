//! `Report`: the verdict on a run. Made by `render-report`, on stdout and as `report.json`.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::{Deserialize, Serialize};

use super::{Pod, Resource, Shard, StreamResult};

/// The verdict on one run.
pub type Report = Resource<ReportSpec, ReportStatus>;

/// The request to the report: what to judge by.
#[apply(part!)]
pub struct ReportSpec {
    /// The criteria, by name.
    #[serde_with(skip_apply)]
    pub expect: Vec<String>,
    /// True if only the jobs in the stream were judged, not those that the Run asked for.
    pub subset: bool,
}

/// The findings of the report.
#[apply(part!)]
pub struct ReportStatus {
    /// The worst verdict of all criteria.
    pub verdict: Verdict,
    /// The verdict's cause in one sentence.
    pub cause: String,
    /// Each criterion, with what was expected and what was seen.
    #[serde_with(skip_apply)]
    pub criteria: Vec<Criterion>,
    /// The outcomes of all jobs that were requested.
    pub conservation: Conservation,
    /// The shards of the run, by index.
    pub shards: Vec<ReportShard>,
    /// The figures of the run by name, each in the unit that its name ends in.
    #[serde_with(skip_apply)]
    pub figures: BTreeMap<String, f64>,
    /// The queries behind the figures, by the role and the part of a histogram that they hold: `stage-duration.sum`.
    pub queries: BTreeMap<String, String>,
    /// The limiting stage, if it is known.
    pub limiting_stage: Option<String>,
    /// Missing or doubtful evidence, a sentence each.
    pub doubts: Vec<String>,
    /// The files written beside the report, relative to the run directory.
    pub files: Vec<String>,
}

/// One shard of the run.
#[apply(part!)]
pub struct ReportShard {
    /// The shard.
    pub shard: Shard,
    /// True if its stream is whole; absent if its lines were not compared with their End records.
    pub result: Option<StreamResult>,
    /// The missing part of its stream, as a sentence.
    pub message: Option<String>,
    /// Number of its attempts or pods.
    pub attempts: Option<u64>,
    /// Number of lines that arrived.
    pub lines: u64,
    /// Number of lines that are known to be missing.
    pub missing_lines: Option<u64>,
    /// The outcomes of its jobs.
    pub conservation: Conservation,
    /// Delay between the common start and its first submission, by its own clock.
    pub start_lag_seconds: Option<f64>,
    /// The limits of its host that its tools met, a sentence each.
    pub limits: Vec<String>,
    /// Its pods.
    pub pods: Vec<Pod>,
}

/// The verdict on a criterion or on a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::Display)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verdict {
    /// The criterion is met.
    Passed,
    /// No data, or not known. Not a pass.
    #[default]
    Incomplete,
    /// Something is known to be wrong.
    Failed,
}

/// One criterion and its verdict.
#[apply(part!)]
pub struct Criterion {
    /// As it was asked for: `all-done`.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The expectation.
    pub expected: String,
    /// The observation.
    pub actual: String,
    /// The jobs that keep it from passing, by name.
    pub jobs: Vec<String>,
}

/// The outcomes of all jobs. `asked` is the sum of all the others.
#[apply(part!)]
#[derive(Copy, Eq)]
pub struct Conservation {
    /// Jobs that the run was asked for.
    pub asked: u64,
    /// Ended well.
    pub succeeded: u64,
    /// Ended badly.
    pub failed: u64,
    /// Not ended at the deadline.
    pub timed_out: u64,
    /// Forgotten by the target.
    pub lost: u64,
    /// Sent, and no usable answer came.
    pub unknown: u64,
    /// Running when the harness was stopped.
    pub interrupted: u64,
    /// Refused.
    pub rejected: u64,
    /// Last known as submitted.
    pub unfinished: u64,
    /// Last known as staged.
    pub not_submitted: u64,
    /// Without a record.
    pub missing: u64,
}
