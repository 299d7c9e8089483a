//! `Series`, `Traces` and `Logs`: the evidence that the captures brought from the pipeline's own observability, and its gaps.

use std::collections::BTreeMap;

use macro_rules_attribute::apply;
use serde::{Deserialize, Serialize};

use super::role::{MetricType, Part, Role, RoleOf, legacy_role};
use super::{ClockOffset, Reason, Resource, Timestamp, Window};

/// The result of a capture. The report names every result other than `ok`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CaptureResult {
    /// Complete, as far as the source can tell.
    Ok,
    /// The source answered and had nothing.
    Empty,
    /// The log exists and was read, and has no line in the window.
    Quiet,
    /// Partial: something is known or suspected to be missing.
    Partial,
    /// Nothing usable came.
    #[default]
    Error,
}

/// One named query against Prometheus over the window. Made by `capture-prom`.
pub type Series = Resource<SeriesSpec, SeriesStatus>;

/// The request to Prometheus.
#[apply(part!)]
pub struct SeriesSpec {
    /// The PromQL.
    pub query: String,
    /// The labels by which the report groups the sums of its series, as the profile names them.
    pub by: Vec<String>,
    /// The unit of its values, as the profile names it.
    pub unit: Option<String>,
    /// The measurement that it holds; without one, the name may show it (`profiles/legacy-roles.toml`).
    pub role: Option<Role>,
    /// The part of a histogram that it holds; without one, the metrics' names show it.
    pub part: Option<Part>,
    /// The type of the metric, as the profile names it; without one, metrics whose names end in `_total` are counters.
    #[serde(rename = "type")]
    pub metric_type: Option<MetricType>,
    /// The report draws it over time.
    pub draw: bool,
    /// The base URL of the Prometheus that was queried.
    pub server: Option<String>,
    /// The true window; `start` and `end` lie around it, by the padding and on the grid of the step.
    pub window: Option<Window>,
    /// First point asked for.
    pub start: Option<Timestamp>,
    /// Last point asked for.
    pub end: Option<Timestamp>,
    /// Distance between points.
    pub step_seconds: Option<f64>,
    /// Number of points that this makes for each series.
    pub points: Option<u64>,
}

impl Series {
    /// The role of the query, by its record or by its name.
    pub fn role(&self) -> Option<RoleOf> {
        let stated = self.spec.role.map(|role| RoleOf { role, part: self.spec.part });
        stated.or_else(|| legacy_role(&self.metadata.name))
    }
}

/// The answer from Prometheus.
#[apply(part!)]
pub struct SeriesStatus {
    /// The result.
    pub result: CaptureResult,
    /// The reason why it is not `ok`, as one documented CamelCase word.
    pub reason: Option<Reason>,
    /// The reason why it is not `ok`, as a sentence; and a note if queries were sent by GET because the server refused POST.
    pub message: Option<String>,
    /// The time at which this record was written.
    pub observed_at: Option<Timestamp>,
    /// The envelope's file, relative to the run directory.
    pub file: Option<String>,
    /// Number of series.
    pub series: Option<u64>,
    /// Number of samples, native histograms included.
    pub samples: Option<u64>,
    /// Number of samples that are not a number.
    pub not_a_number: Option<u64>,
    /// Number of samples that are infinite.
    pub infinite: Option<u64>,
    /// Number of samples that are native histograms.
    pub native_histograms: Option<u64>,
    /// The time of the earliest sample.
    pub first_sample_at: Option<Timestamp>,
    /// The time of the latest sample.
    pub last_sample_at: Option<Timestamp>,
    /// The metric names that the query matched; at most 20 of them.
    pub families: Vec<String>,
    /// The server's own envelopes, in order, where `file` was joined from several; relative to the run directory.
    pub chunks: Vec<String>,
    /// The file of the samples as they were scraped, where the query is a plain selector; relative to the run directory.
    pub raw_file: Option<String>,
    /// Number of samples in that file.
    pub raw_samples: Option<u64>,
    /// The same as a table (CSV); relative to the run directory.
    pub table: Option<String>,
    /// Warnings of the server in its own words, at most 2,000 characters of each.
    pub warnings: Vec<String>,
    /// Remarks of the server about the query, at most 2,000 characters of each.
    pub infos: Vec<String>,
    /// The evidence for the server's last scrapes: `targets`, `up`, or `waiting` if there was no such evidence and the
    /// tool waited for the whole settling time.
    pub settled_by: Option<String>,
    /// The earliest of the active targets' last scrapes, by the server's clock.
    pub scraped_until: Option<Timestamp>,
    /// The server's clock minus the harness's.
    pub clock_offset: Option<ClockOffset>,
    /// The unit of the metric, as the server's metadata names it.
    pub unit: Option<String>,
    /// The restarts of the processes behind the series; their counters restarted with them.
    pub restarts: Vec<ProcessRestart>,
    /// The changes to another process that had already been running beside the one that answered until then.
    pub takeovers: Vec<ProcessRestart>,
    /// The scrapes (`up` is 0) that failed at the addresses of counters that fell.
    pub failed_scrapes: Vec<ProcessRestart>,
    /// The processes behind the series by `process_start_time_seconds`, where there are several addresses or a counter fell.
    pub processes: Vec<SeenProcess>,
    /// Metric names that the server knows and that resemble a query which found nothing.
    pub near_names: Vec<String>,
}

/// A process behind an address, as long as its start time stayed the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SeenProcess {
    /// The label `job` of the scrape.
    pub job: String,
    /// The label `instance` of the scrape: the address.
    pub instance: String,
    /// The start time that the process reports.
    pub started_at: Timestamp,
    /// The time of its first sample.
    pub first_seen_at: Timestamp,
    /// The time of its last sample.
    pub last_seen_at: Timestamp,
}

/// A change of the process behind an address, as `process_start_time_seconds` shows it, or a sign of one in `up`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProcessRestart {
    /// The label `job` of the scrape.
    #[serde(default)]
    pub job: String,
    /// The label `instance` of the scrape.
    #[serde(default)]
    pub instance: String,
    /// The time of the first sample of the new process, or of the scrape that failed, by the server's clock.
    pub seen_at: Timestamp,
}

/// The traces of one service over the window. Made by `capture-jaeger`.
pub type Traces = Resource<WindowSpec, TracesStatus>;

/// A service and a window.
#[apply(part!)]
pub struct WindowSpec {
    /// The service.
    pub service: String,
    /// The server that was queried, if any.
    pub server: Option<String>,
    /// The true window; `start` and `end` lie around it, by the padding.
    pub window: Option<Window>,
    /// Start of the window.
    pub start: Option<Timestamp>,
    /// End of the window.
    pub end: Option<Timestamp>,
}

/// The answer from Jaeger.
#[apply(part!)]
pub struct TracesStatus {
    /// The result.
    pub result: CaptureResult,
    /// The reason why it is not `ok`, as one documented CamelCase word.
    pub reason: Option<Reason>,
    /// The reason why it is not `ok`, as a sentence.
    pub message: Option<String>,
    /// The time at which this record was written.
    pub observed_at: Option<Timestamp>,
    /// The traces' file, relative to the run directory.
    pub file: Option<String>,
    /// Number of traces.
    pub traces: Option<u64>,
    /// The number of spans, each counted once.
    pub spans: Option<u64>,
    /// The number of spans in the file beyond those: repetitions of a span, which count once.
    pub repeated_spans: Option<u64>,
    /// Number of jobs whose traces are among them.
    pub jobs_matched: Option<u64>,
    /// Stage durations by the service's own spans in the traces of the run's jobs, or in all traces if there are no jobs.
    /// Empty if the profile does not give the names of a stage's spans.
    pub stages: Vec<StageSpans>,
    /// Number of further spans of each stage that have no end, or end before they begin, and so have no duration.
    pub stages_without_duration: BTreeMap<String, u64>,
    /// Times at which the GPU passed from one tenant to another, by the service's own spans: the first 1,000 in the order of time.
    /// Empty if the profile does not give the names of such spans.
    pub tenancies: Vec<Tenancy>,
    /// Number of tenancies beyond those.
    pub tenancies_left_out: Option<u64>,
    /// Trace ids of jobs whose traces were not found.
    pub missing: Vec<String>,
    /// Number of traces that no search found, only a request for a job's trace by its id.
    pub found_by_id: Option<u64>,
    /// Number of traces with spans whose parent is not among them, or that the server truncated.
    pub incomplete_traces: Option<u64>,
    /// The API that answered: `v3` or `v1`.
    pub api: Option<String>,
    /// The kind of spans that were requested: `raw`, as they were reported, or `adjusted` if the server refuses raw ones. Servers
    /// before 1.65 always give adjusted ones.
    pub values: Option<String>,
    /// Number of requests, for all services together.
    pub requests: Option<u64>,
}

/// The spans of one stage.
#[apply(part!)]
pub struct StageSpans {
    /// The stage's name.
    pub name: String,
    /// Number of spans: one per attempt.
    pub count: u64,
    /// Their mean duration.
    pub mean_seconds: f64,
}

/// One tenant's hold on the GPU, by the clock of the service.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Tenancy {
    /// The tenant; absent where the span does not name it.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The time at which it began to acquire the GPU.
    pub acquiring_at: Timestamp,
    /// The time from which it held the GPU.
    pub held_at: Timestamp,
    /// The last time at which it is known to have held the GPU.
    pub seen_at: Timestamp,
    /// The time at which it began to release the GPU, if a span shows it.
    #[serde(default)]
    pub released_at: Option<Timestamp>,
}

/// The logs of one service over the window. Made by `capture-logs`.
pub type Logs = Resource<WindowSpec, LogsStatus>;

/// The evidence from a service's log.
#[apply(part!)]
pub struct LogsStatus {
    /// The result.
    pub result: CaptureResult,
    /// The reason why it is not `ok`, as one documented CamelCase word.
    pub reason: Option<Reason>,
    /// The reason why it is not `ok`, as a sentence.
    pub message: Option<String>,
    /// The time at which this record was written.
    pub observed_at: Option<Timestamp>,
    /// The log's file, relative to the run directory.
    pub file: Option<String>,
    /// True if the user named this service as one whose log must not be captured.
    pub waived: bool,
    /// True if the user named this service as one that may have no line in the window.
    pub may_be_quiet: bool,
    /// Number of lines in the window.
    pub lines: Option<u64>,
    /// The earliest time that a line in the window carries, by the worker's clock.
    pub first_at: Option<Timestamp>,
    /// The latest one.
    pub last_at: Option<Timestamp>,
    /// Number of exceptions in the window. It may be more than are listed.
    pub exceptions_found: Option<u64>,
    /// The exceptions, the first thousand of them.
    pub exceptions: Vec<Exception>,
}

/// One exception found in a log.
#[apply(part!)]
pub struct Exception {
    /// Its first line. For a traceback that stands alone, the line that names the exception.
    pub first_line: String,
    /// The time at which it was logged, by the worker's clock, if the line carries one.
    pub at: Option<Timestamp>,
    /// The id of the job that the text carries.
    pub job_id: Option<String>,
    /// The whole text without colours and container prefixes, where it is more than the first line.
    pub traceback: Option<String>,
}
