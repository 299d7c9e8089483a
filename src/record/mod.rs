//! The record contract: one envelope, one type per kind, one way to fold a stream of them.
//!
//! A line is one resource, shaped as Kubernetes shapes its objects:
//!
//! ```json
//! {"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"2026-05-20T22-30-00Z"},"spec":{},"status":{}}
//! ```
//!
//! A [`Record`] keeps the exact text of its line. Tools read the parts they know as types ([`Job`], [`Run`] …), write
//! their own keys over it with [`Record::update_spec`] and [`Record::update_status`], and hand the rest on unchanged.

/// Makes a type a part of a resource: in JSON its names are in camel case, and what is absent, empty or false is left out and has
/// its default when it is read.
macro_rules! part {
    ($($item:tt)*) => {
        #[serde_with::apply(
            Option => #[serde(skip_serializing_if = "Option::is_none")],
            Vec => #[serde(skip_serializing_if = "Vec::is_empty")],
            BTreeMap => #[serde(skip_serializing_if = "BTreeMap::is_empty")],
            bool => #[serde(skip_serializing_if = "std::ops::Not::not")],
        )]
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase", default)]
        $($item)*
    };
}

mod captures;
mod comparison;
mod fold;
mod ids;
mod job;
pub mod raw;
mod reason;
mod report;
mod role;
mod run;
mod shards;
mod time;

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

pub use captures::{
    CaptureResult, Exception, Logs, LogsStatus, ProcessRestart, SeenProcess, Series, SeriesSpec, SeriesStatus,
    StageSpans, Tenancy, Traces, TracesStatus, WindowSpec,
};
pub use comparison::{
    Against, Better, Cell, Claim, Comparison, ComparisonSpec, ComparisonStatus, Difference, Gate, Leg, Row, Setting,
    TenPercent, Test, Unit,
};
pub use fold::{Fold, Jobs, Standing, job_name, warmup_prefix};
pub use ids::{canonical_id, id_key, is_same_id};
pub use job::{
    Cancel, Job, JobSpec, JobStatus, Phase, Polls, ServerTimes, Stage, StagePhase, StageSightings, TimesFrom, WARMUP,
    is_retry,
};
use raw::RawObject;
pub use reason::{Flag, Reason};
pub use report::{Conservation, Criterion, Report, ReportShard, ReportSpec, ReportStatus, Verdict};
pub use role::{MetricType, Part, Role, RoleOf, legacy_name, legacy_role};
pub use run::{
    Aborted, AnswerTimes, ClockAnchor, ClockOffset, Idle, JournalCost, Polling, ReadSettings, Run, RunSpec, RunStatus,
    Shard, StageSpec, WholeLoad, Window, differences,
};
pub use shards::{
    Attempt, End, EndSpec, EndStatus, Pod, ShardStream, ShardStreamSpec, ShardStreamStatus, StreamResult, Way,
};
pub use time::Timestamp;

/// A resource: who it is, what was asked for, and what was observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        bound = "Spec: Default + Serialize + schemars::JsonSchema, Status: Default + Serialize + schemars::JsonSchema"
    )
)]
pub struct Resource<Spec, Status> {
    /// The name, the run and the labels.
    pub metadata: Metadata,
    /// The request.
    #[serde(default)]
    pub spec: Spec,
    /// The observation.
    #[serde(default)]
    pub status: Status,
}

/// The contract's version, in every record's `apiVersion`.
pub const API_VERSION: &str = "stress/v1";

/// The resource that a record is about, and its run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metadata {
    /// Unique among the records of its kind in its run, shards included.
    pub name: String,
    /// The run's id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// Labels that tell it apart: `scenario`, `level`, a leg's setting.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A JSON document of a kind that is not handed on between tools, on one line, with its version and kind.
pub fn document(
    kind: &'static str,
    metadata: &Metadata,
    spec: &impl Serialize,
    status: &impl Serialize,
) -> serde_json::Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Document<'a, Spec, Status> {
        api_version: &'static str,
        kind: &'static str,
        metadata: &'a Metadata,
        spec: &'a Spec,
        status: &'a Status,
    }
    serde_json::to_string(&Document { api_version: API_VERSION, kind, metadata, spec, status })
}

/// The kinds of this contract's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumString, strum::IntoStaticStr)]
pub enum Kind {
    /// The request for a run.
    Run,
    /// One job.
    Job,
    /// One captured query.
    Series,
    /// One service's traces.
    Traces,
    /// One service's logs.
    Logs,
    /// The end of one attempt of a shard.
    End,
    /// What arrived of one shard.
    Shard,
    /// The verdict.
    Report,
}

impl Kind {
    /// All of them, in the order in which a stream usually shows them.
    pub const ALL: [Self; 8] =
        [Self::Run, Self::Job, Self::End, Self::Shard, Self::Series, Self::Traces, Self::Logs, Self::Report];

    /// As it is spelt in a record.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The identity of a resource: two records with equal keys are about the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// The run's id; empty where a record made by hand names none.
    pub run: String,
    /// Its name.
    pub name: String,
}

/// One record of a known kind, with the exact text of its line.
#[derive(Clone, Debug)]
pub struct Record {
    key: Key,
    text: String,
    /// The amount of information in it, where reading the line told that.
    standing: Option<Standing>,
}

/// The line is all there is to a record.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Record {}

/// The reason why a line that is a JSON object of this contract's version cannot be used.
#[derive(Debug, derive_more::Display, derive_more::Error)]
pub struct Malformed(#[error(not(source))] String);

/// The result of parsing a JSON object.
#[derive(Debug)]
pub enum Parsed {
    /// A record of a kind that this version knows, whose known fields have the right types.
    Record(Record),
    /// A JSON object of another kind, another version or no contract at all: not ours to judge.
    Other,
}

impl Record {
    /// Reads one line. `Err` where the line is not JSON, or says that it is one of our kinds and is not.
    pub fn parse(line: &str) -> Result<Parsed, Malformed> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Header {
            api_version: Option<Box<serde_json::value::RawValue>>,
            kind: Option<Box<serde_json::value::RawValue>>,
        }
        if let Some(job) = line.starts_with(JOB).then(|| job_line(line)).flatten()
            && !job.metadata.name.is_empty()
        {
            let rank = job.status.phase.rank_polled(job.status.polled_target.is_some());
            let standing = Some((rank, job.status.observed_at));
            let key = Key { kind: Kind::Job, run: job.metadata.run, name: job.metadata.name };
            return Ok(Parsed::Record(Self { key, text: line.to_owned(), standing }));
        }
        let header: Header = serde_json::from_str(line).map_err(|error| malformed(&error))?;
        let word = |raw: Option<Box<serde_json::value::RawValue>>| raw.and_then(|raw| raw::scalar(&raw));
        if word(header.api_version).as_deref() != Some(API_VERSION) {
            return Ok(Parsed::Other);
        }
        let Some(kind) = word(header.kind).and_then(|kind| kind.parse().ok()) else {
            return Ok(Parsed::Other);
        };
        let metadata = match kind {
            Kind::Run => read::<Run>(line)?.metadata,
            Kind::Job => read::<Job>(line)?.metadata,
            Kind::Series => read::<Series>(line)?.metadata,
            Kind::Traces => read::<Traces>(line)?.metadata,
            Kind::Logs => read::<Logs>(line)?.metadata,
            Kind::End => read::<End>(line)?.metadata,
            Kind::Shard => read::<ShardStream>(line)?.metadata,
            Kind::Report => read::<Report>(line)?.metadata,
        };
        if metadata.name.is_empty() {
            return Err(Malformed(format!("a {} without metadata.name", kind.as_str())));
        }
        let key = Key { kind, run: metadata.run, name: metadata.name };
        Ok(Parsed::Record(Self { key, text: line.to_owned(), standing: None }))
    }

    /// The version that a JSON object claims where it is another one of this contract.
    pub fn other_version(line: &str) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Header {
            api_version: String,
        }
        let Header { api_version } = serde_json::from_str(line).ok()?;
        (api_version.starts_with("stress/") && api_version != API_VERSION).then_some(api_version)
    }

    /// A new record of `kind` whose parts are those that `resource` serializes to.
    pub fn new(kind: Kind, resource: &impl Serialize) -> Result<Self, Malformed> {
        let mut object = RawObject::parse(&format!(r#"{{"apiVersion":"{API_VERSION}","kind":"{}"}}"#, kind.as_str()))
            .map_err(|error| malformed(&error))?;
        object.overlay(RawObject::of(resource).map_err(|error| malformed(&error))?);
        match Self::parse(&object.text())? {
            Parsed::Record(record) => Ok(record),
            Parsed::Other => Err(Malformed("not a record of this version".to_owned())),
        }
    }

    /// Returns its key, the identity of its resource.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.key.kind
    }

    /// The line, without its end.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The amount of information in it. Of two records of one resource with equal ones, the greater text stays.
    pub fn standing(&self) -> Standing {
        self.standing.unwrap_or_else(|| fold::standing(self))
    }

    /// The record as the type of its kind, or any other type that its JSON fits.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Malformed> {
        read(&self.text)
    }

    /// Writes the keys of `patch` over those of `status`, after taking `stale` ones out. Everything else stays as spelt.
    pub fn update_status(&mut self, patch: &impl Serialize, stale: &[&str]) -> Result<(), Malformed> {
        self.update("status", patch, stale)
    }

    /// Writes the keys of `patch` over those of `spec`. Everything else stays as spelt.
    pub fn update_spec(&mut self, patch: &impl Serialize) -> Result<(), Malformed> {
        self.update("spec", patch, &[])
    }

    fn update(&mut self, part: &str, patch: &impl Serialize, stale: &[&str]) -> Result<(), Malformed> {
        let edit = || -> serde_json::Result<String> {
            let mut object = RawObject::parse(&self.text)?;
            let mut inner = match object.get(part) {
                Some(raw) => RawObject::parse(raw.get())?,
                None => RawObject::default(),
            };
            for key in stale {
                inner.remove(key);
            }
            inner.overlay(RawObject::of(patch)?);
            object.set(part, inner.into_raw()?)?;
            Ok(object.text())
        };
        self.text = edit().map_err(|error| malformed(&error))?;
        self.standing = None;
        Ok(())
    }
}

/// The beginning of the lines that the tools write for jobs.
const JOB: &str = r#"{"apiVersion":"stress/v1","kind":"Job","#;

/// Reads a line that begins with [`JOB`] in one go; none if anything is wrong with it, a second `kind` among others.
fn job_line(line: &str) -> Option<Job> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct JobLine {
        #[serde(rename = "apiVersion")]
        _api_version: IgnoredAny,
        #[serde(rename = "kind")]
        _kind: IgnoredAny,
        metadata: Metadata,
        #[serde(default)]
        spec: JobSpec,
        #[serde(default)]
        status: JobStatus,
    }
    let JobLine { metadata, spec, status, .. } = serde_json::from_str(line).ok()?;
    Some(Job { metadata, spec, status })
}

fn read<T: DeserializeOwned>(line: &str) -> Result<T, Malformed> {
    serde_json::from_str(line).map_err(|error| malformed(&error))
}

/// serde names a place as "at line 1 column 7"; every record is one line, so only the column tells anything.
fn malformed(error: &serde_json::Error) -> Malformed {
    Malformed(error.to_string().replace("at line 1 column", "at column"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Record {
        match Record::parse(line).unwrap() {
            Parsed::Record(record) => record,
            Parsed::Other => panic!("not ours: {line}"),
        }
    }

    #[test]
    fn an_update_touches_only_the_keys_that_it_names() {
        let line = r#"{"apiVersion":"stress/v1","x":1.10,"kind":"Job","metadata":{"name":"a","y":12345678901234567890123},"status":{"reason":"Old","z":1e400,"phase":"Staged"},"\u0077":[ 1 ]}"#;
        let mut job = record(line);
        let patch = JobStatus { phase: Phase::Submitted, ..JobStatus::default() };
        job.update_status(&patch, &["reason"]).unwrap();
        assert_eq!(
            job.text(),
            r#"{"apiVersion":"stress/v1","x":1.10,"kind":"Job","metadata":{"name":"a","y":12345678901234567890123},"status":{"z":1e400,"phase":"Submitted"},"\u0077":[ 1 ]}"#
        );
    }

    #[test]
    fn other_kinds_versions_and_plain_objects_are_not_ours() {
        for line in [
            r#"{"a":1}"#,
            r#"{"apiVersion":"stress/v2","kind":"Job"}"#,
            r#"{"apiVersion":"stress/v1","kind":"Pod"}"#,
            r#"{"apiVersion":null,"kind":7}"#,
        ] {
            assert!(matches!(Record::parse(line), Ok(Parsed::Other)), "{line}");
        }
    }

    #[test]
    fn a_record_of_ours_with_wrong_fields_is_malformed() {
        for line in [
            r#"{"apiVersion":"stress/v1","kind":"Job"}"#,
            r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":""}}"#,
            r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"a"},"kind":"Run"}"#,
            r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"a"},"status":{"phase":"Dancing"}}"#,
            r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"a"},"status":{"endedAt":"yesterday"}}"#,
        ] {
            assert!(Record::parse(line).is_err(), "{line}");
        }
    }
}
