//! `Run`: what a whole run was asked to do, and what the tools say about it. The first line of every stream.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::{Deserialize, Serialize};

use super::{Reason, Resource, Timestamp};
use crate::escape;
use crate::statistics::Bounds;

/// One run, or one shard's share of it. Made by `stage-fixtures`; each later tool adds its own settings and observations.
pub type Run = Resource<RunSpec, RunStatus>;

/// The request for the run.
#[apply(part!)]
pub struct RunSpec {
    /// `soak`, `ramp`, `ab`, or whatever a user calls it.
    pub scenario: Option<String>,
    /// Prefix of the names of its jobs.
    pub prefix: Option<String>,
    /// Number of jobs of the whole run, all shards together.
    pub jobs: Option<u64>,
    /// Number of jobs that run before those, in the whole run: they warm the target up and are left out of every figure.
    pub warmup: Option<u64>,
    /// The share of the jobs that this Run is about.
    pub shard: Option<Shard>,
    /// The base URL of the target.
    pub target: Option<String>,
    /// The name of the target's profile.
    pub profile: Option<String>,
    /// The stages that the profile names, in pipeline order.
    pub stages: Vec<StageSpec>,
    /// Closed model: how many jobs may be in flight, from submission to end.
    pub concurrency: Option<u64>,
    /// Burst: how many submissions may be under way at once; ended jobs are not waited for.
    pub max_posts: Option<u64>,
    /// Open model: submissions a second, on a fixed schedule.
    pub rate_per_second: Option<f64>,
    /// The common start of all shards: no job is submitted before it.
    pub start_at: Option<Timestamp>,
    /// The load of the whole run, all shards together, if this Run is about one shard: the fields above are its share.
    pub whole_load: Option<WholeLoad>,
    /// Pause between the end of the last warm-up job and the first counted job.
    pub rest_seconds: Option<f64>,
    /// Time after its submission at which a job is given up.
    pub deadline_seconds: Option<f64>,
    /// Time for which the target may not know an id before its job counts as lost.
    pub lost_after_seconds: Option<f64>,
    /// The goal of polling: the most by which the end of a job is to be uncertain, as a fraction of the job's age.
    pub precision: Option<f64>,
    /// The criteria that the report was asked to judge.
    pub expect: Option<Vec<String>>,
    /// True if the report was asked to judge only the jobs that were in its stream.
    pub subset: bool,
}

/// The load of all shards together, in the model that each shard's Run names.
#[apply(part!)]
#[derive(Copy)]
pub struct WholeLoad {
    /// Closed model: jobs in flight.
    pub concurrency: Option<u64>,
    /// Burst: submissions under way at once.
    pub max_posts: Option<u64>,
    /// Open model: submissions a second.
    pub rate_per_second: Option<f64>,
}

/// One of `count` shares of a run, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Shard {
    /// Index of the share, from 0.
    pub index: u64,
    /// Number of shares.
    pub count: u64,
}

/// One stage of the target's pipeline, as its profile describes it.
#[apply(part!)]
#[derive(Eq)]
pub struct StageSpec {
    /// Its name.
    pub name: String,
    /// The stages whose end it waits for; none for the first.
    pub after: Vec<String>,
    /// True if every job must have it.
    #[serde_with(skip_apply)]
    pub required: bool,
}

/// Returns the settings of which the target reports another value than the run's label of that name, a sentence each.
pub fn differences(labels: &BTreeMap<String, String>, settings: &BTreeMap<String, String>) -> Vec<String> {
    let pairs = settings.iter().filter_map(|(name, value)| Some((name, labels.get(name)?, value)));
    pairs
        .filter(|(_, label, value)| !is_same_value(label, value))
        .map(|(name, label, value)| {
            let value = escape::start(value, SHOWN);
            format!("labelled {name}={label}, but the target says that its {name} is {value}")
        })
        .collect()
}

/// The number of characters of a setting that a sentence shows.
const SHOWN: usize = 80;

/// Compares two values of a setting. Values that are equal as numbers are equal.
fn is_same_value(a: &str, b: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    a == b || number(a).is_some_and(|value| number(b) == Some(value))
}

impl Run {
    /// Returns true if this version of `tool` passed it on, and nothing says why the run was stopped: the tool has last words then.
    pub fn awaits_last_words_of(&self, tool: &str) -> bool {
        let version = self.status.tools.get(tool);
        version.is_some_and(|version| version == env!("CARGO_PKG_VERSION")) && self.status.aborted.is_none()
    }

    /// Returns the doubts about the settings in force, a sentence each: before the jobs the target reported another value than
    /// the label or could not be understood, or after them it reported another one than before, or none, or was not asked.
    pub fn setting_doubts(&self) -> Vec<String> {
        let (labels, before) = (&self.metadata.labels, &self.status.settings);
        let mut doubts = differences(labels, before);
        let unread =
            |when: &str, error: &String| format!("the target's settings {when} the jobs are not known: {error}");
        doubts.extend(self.status.settings_error.as_ref().map(|error| unread("before", error)));
        let unchecked =
            ReadSettings { error: Some("poll-jobs ended before it could check".to_owned()), ..ReadSettings::default() };
        let after = self.status.settings_after.as_ref();
        if before.is_empty() && self.status.settings_error.is_none() {
            doubts.extend(after.and_then(|after| after.error.as_ref()).map(|error| unread("after", error)));
        }
        let ReadSettings { values, error } = after.unwrap_or(&unchecked);
        for (name, value) in values {
            let shown = escape::start(value, SHOWN);
            match (before.get(name), labels.get(name)) {
                (Some(earlier), _) if !is_same_value(earlier, value) => {
                    let earlier = escape::start(earlier, SHOWN);
                    doubts.push(format!("the target's {name} changed from {earlier} to {shown} while the jobs ran"));
                }
                (None, Some(label)) if !is_same_value(label, value) => doubts.push(format!(
                    "labelled {name}={label}, but after the jobs the target says that its {name} is {shown}"
                )),
                _ => {}
            }
        }
        let reason = error.as_deref().unwrap_or("its health answer no longer shows it");
        doubts.extend(before.iter().filter(|(name, _)| !values.contains_key(*name)).map(|(name, earlier)| {
            let earlier = escape::start(earlier, SHOWN);
            format!("it is not known whether the target's {name} was still {earlier} after the jobs: {reason}")
        }));
        doubts
    }
}

/// The target's settings as one health answer shows them.
#[apply(part!)]
#[derive(Eq)]
pub struct ReadSettings {
    /// The values that the health answer reported, by the names of the labels.
    pub values: BTreeMap<String, String>,
    /// The reason why the settings are not known.
    pub error: Option<String>,
}

/// Observations of the run.
#[apply(part!)]
pub struct RunStatus {
    /// The time at which this record was written.
    pub observed_at: Option<Timestamp>,
    /// The time at which staging began.
    pub started_at: Option<Timestamp>,
    /// The tools that it passed, with their versions.
    pub tools: BTreeMap<String, String>,
    /// The clock that all tools on one host share; see [`crate::clock`].
    pub clock: Option<ClockAnchor>,
    /// Distance by which the wall clock had moved against that clock when polling ended, if it is more than 50 ms.
    pub clock_stepped_seconds: Option<f64>,
    /// The target's clock minus the harness's, as its `Date` headers show.
    pub clock_offset: Option<ClockOffset>,
    /// The reason why that is in doubt, or unknown: the fault of the `Date` headers.
    pub clock_doubt: Option<String>,
    /// Longest time for which submit-jobs or poll-jobs stood still (stopped, suspended, or without a CPU), if it was more than
    /// half a second: times that they took may be that much too late.
    pub frozen_seconds: Option<f64>,
    /// State of the target before the first job of this run: idle or not.
    pub idle: Option<Idle>,
    /// The target's own settings, as its health answer states them, by the names of the labels that state the same for the run.
    pub settings: BTreeMap<String, String>,
    /// The reason why the target's settings are not known, if a label names one of them: the health answer could not be read.
    pub settings_error: Option<String>,
    /// The same after the last job; absent if no tool asked for them.
    pub settings_after: Option<ReadSettings>,
    /// Times at which its jobs were followed again after it had ended.
    pub resumed_at: Vec<Timestamp>,
    /// The limit of this host that `submit-jobs` met and that delayed submissions, as a sentence.
    pub submission_limit: Option<String>,
    /// The cost of the journal of `submit-jobs`.
    pub journal: Option<JournalCost>,
    /// Delay between `startAt` and the moment at which the first job could be submitted.
    pub start_lag_seconds: Option<f64>,
    /// The time at which `submit-jobs` had passed on everything that it read.
    pub submission_ended_at: Option<Timestamp>,
    /// Cost and punctuality of polling.
    pub polling: Option<Polling>,
    /// Captures for which the profile names nothing to query: they leave no record of their own.
    pub unasked: Vec<String>,
    /// The reason why not all jobs were submitted.
    pub aborted: Option<Aborted>,
    /// From the first `submittedAt` to the last `endedAt`: the window of the captures, before any padding.
    pub window: Option<Window>,
}

/// A stretch of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Window {
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
}

impl Window {
    /// The shortest window that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A moment on two clocks of one host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClockAnchor {
    /// The boot of a host for which alone the seconds below mean anything.
    pub boot_id: String,
    /// Seconds since boot.
    pub boot_seconds: f64,
    /// The wall clock at the same moment, in seconds since the Unix epoch.
    pub unix_seconds: f64,
}

/// The target's clock minus the harness's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClockOffset {
    /// The best estimate.
    pub seconds: f64,
    /// Largest distance between the truth and the offset, either way.
    pub bound_seconds: f64,
}

impl ClockOffset {
    /// The offset in the middle of `bounds`.
    pub fn from_bounds(bounds: Bounds) -> Self {
        let Bounds { low, high } = bounds;
        Self { seconds: f64::midpoint(low, high), bound_seconds: (high - low) / 2.0 }
    }

    /// The offset in seconds, or zero if its bound does not exclude that.
    pub fn known_seconds(self) -> f64 {
        if self.seconds.abs() > self.bound_seconds { self.seconds } else { 0.0 }
    }

    /// The bounds of the offset.
    pub fn bounds(self) -> Bounds {
        Bounds { low: self.seconds - self.bound_seconds, high: self.seconds + self.bound_seconds }
    }
}

/// Observations of the target before the run's first job was let through.
#[apply(part!)]
pub struct Idle {
    /// True if the stage queues were seen empty and no earlier job was unfinished; false if the target was still busy at the
    /// end of the wait; absent if neither is known.
    pub idle: Option<bool>,
    /// Time for which the first job was held back to find that out.
    pub waited_seconds: f64,
    /// The work that the target still had to do, as a sentence.
    pub busy: Option<String>,
    /// The part that could not be observed and the reason, as a sentence.
    pub unseen: Option<String>,
}

/// Cost and punctuality of polling.
#[apply(part!)]
pub struct Polling {
    /// Polls sent.
    pub sent: u64,
    /// Polls without a usable answer.
    pub failed: u64,
    /// 99 % of the polls were sent at most this long after they were due.
    pub late_p99_seconds: Option<f64>,
    /// The latest poll.
    pub late_max_seconds: Option<f64>,
    /// The time from sending a poll to its answer, of the polls that were answered.
    pub answers: Option<AnswerTimes>,
    /// Number of HTTP threads.
    pub threads: u64,
    /// The limit of this host that `poll-jobs` met and that delayed polls, as a sentence.
    pub limit: Option<String>,
    /// A lower bound, from its `Date`, on the age of the oldest answer that came from a cache and had no `Age`, or too small a one;
    /// zero if none has a `Date` that tells.
    pub hidden_age_seconds: Option<f64>,
    /// A lower bound on the age of the oldest answer that showed an earlier state of its job than answers before it.
    pub lag_seconds: Option<f64>,
    /// The polls that said nothing about their job, by kind, such as `HTTP 500`, `no answer` or `unreadable body`.
    pub failures: BTreeMap<String, u64>,
}

/// The time that submissions spent waiting for the disk of the journal. A resumed `submit-jobs` tells its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct JournalCost {
    /// Number of times that the journal was synced to disk, each before one or more submissions.
    pub syncs: u64,
    /// Time that these syncs took together; nothing was submitted meanwhile.
    pub sync_seconds: f64,
    /// Time from the beginning of the first sync to the end of `submit-jobs`.
    pub window_seconds: f64,
}

/// The time from sending a request to its answer, in seconds. Each percentile is read from a histogram: the truth is at most 0.1 %
/// less. For several sessions together, each value is the longest of theirs, so the truth is not more.
#[apply(part!)]
#[derive(Copy)]
pub struct AnswerTimes {
    /// Number of answers.
    pub count: u64,
    /// The median.
    pub median_seconds: f64,
    /// The 90th percentile, of 10 answers or more.
    pub p90_seconds: Option<f64>,
    /// The 95th percentile, of 20 answers or more.
    pub p95_seconds: Option<f64>,
    /// The 99th percentile, of 100 answers or more.
    pub p99_seconds: Option<f64>,
    /// The longest.
    pub max_seconds: f64,
}

/// The reason why a tool stopped before its work was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Aborted {
    /// The tool that stopped.
    pub by: String,
    /// The reason, as one documented CamelCase word.
    pub reason: Reason,
    /// The reason, as a sentence.
    pub message: String,
    /// The time at which it stopped.
    pub at: Timestamp,
}
