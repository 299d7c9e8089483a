//! `End` and `Shard`: the proof that the stream of a shard is whole.
//!
//! Each start of a shard's pipe is an attempt. `seal-shard` ends the stream of an attempt with an `End`, which counts and hashes
//! the lines; `merge-shards` compares that with the lines that arrived and writes a `Shard`.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::{Deserialize, Serialize};

use super::{ClockOffset, Phase, Resource, Shard, Timestamp};

/// The last line of one attempt of a shard.
pub type End = Resource<EndSpec, EndStatus>;

/// An attempt of a shard.
#[apply(part!)]
#[derive(Eq)]
pub struct EndSpec {
    /// The shard, as its Run names it; absent if no Run came.
    pub shard: Option<Shard>,
    /// Number of the attempt, from 1. Without a directory that outlives the pod, every attempt is the first.
    pub attempt: u64,
}

/// The lines of an attempt, without its End.
#[apply(part!)]
#[derive(Eq)]
pub struct EndStatus {
    /// The time at which the input ended.
    pub observed_at: Option<Timestamp>,
    /// Number of lines that came.
    pub records: u64,
    /// Number of jobs by the last phase that this attempt saw.
    pub jobs: BTreeMap<Phase, u64>,
    /// SHA-256 of the lines on stdout that begin with `{`, with their line breaks, in hexadecimal.
    pub stdout_sha256: String,
    /// Number of those lines.
    pub stdout_lines: u64,
    /// SHA-256 of the file before this line, earlier attempts included; absent if the file could not be written.
    pub file_sha256: Option<String>,
    /// Length of that in bytes.
    pub file_bytes: u64,
}

/// What arrived of one shard.
pub type ShardStream = Resource<ShardStreamSpec, ShardStreamStatus>;

/// The shard whose stream it was.
#[apply(part!)]
#[derive(Eq)]
pub struct ShardStreamSpec {
    /// The shard.
    pub shard: Shard,
}

/// The lines that arrived of a shard, and its pods.
#[apply(part!)]
pub struct ShardStreamStatus {
    /// True if every attempt's lines are proven to be there.
    pub result: StreamResult,
    /// The missing part, as a sentence without the shard's name.
    pub message: Option<String>,
    /// Number of lines that arrived.
    pub lines: u64,
    /// Number of lines that are known to be missing.
    pub missing_lines: Option<u64>,
    /// Number of jobs by phase, as the last attempt counted them.
    pub jobs: BTreeMap<Phase, u64>,
    /// True if the journal of submissions arrived, so that no submission can be unknown.
    pub journal: bool,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
    /// The pods, in the order of their creation.
    pub pods: Vec<Pod>,
}

/// The result of comparing a shard's lines with its Ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StreamResult {
    /// Every attempt's lines are there.
    Whole,
    /// Lines are missing, or nothing proves that they are there.
    Incomplete,
    /// Not one record arrived.
    #[default]
    Silent,
}

/// The way in which an attempt's lines arrived and were proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// The file of `seal-shard --out`.
    File,
    /// The standard output of the pod.
    Stdout,
}

/// One attempt of a shard.
#[apply(part!)]
pub struct Attempt {
    /// Its number; absent if its stream has no End.
    pub number: Option<u64>,
    /// The file that its lines came from.
    pub source: String,
    /// The way that proves its lines; absent if they are not proven.
    pub proven_by: Option<Way>,
    /// Number of lines that arrived.
    pub lines: u64,
    /// Number of lines by its End; absent if there is no End.
    pub expected_lines: Option<u64>,
    /// Delay between the common start and the first submission, by this host's clock.
    pub start_lag_seconds: Option<f64>,
    /// The boot of the host that it ran on: attempts with the same one share a clock.
    pub boot_id: Option<String>,
    /// The target's clock minus this host's.
    pub clock_offset: Option<ClockOffset>,
}

/// A pod of a shard, as `kubectl get pods --output json` describes it.
#[apply(part!)]
#[derive(Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// The node that it ran on; absent if it was never scheduled.
    pub node: Option<String>,
    /// Its phase: `Succeeded`, `Failed`, `Pending`.
    pub phase: Option<String>,
    /// The reason why it did not succeed, in Kubernetes' word, such as `Evicted`, `OOMKilled` or `Unschedulable`.
    pub reason: Option<String>,
    /// The reason as a sentence.
    pub message: Option<String>,
    /// The exit code of its container.
    pub exit_code: Option<i64>,
}

impl Pod {
    /// Returns true if it did not succeed, as far as is known.
    pub fn has_problem(&self) -> bool {
        self.phase.as_deref() != Some("Succeeded") || self.exit_code.is_some_and(|code| code != 0)
    }
}
