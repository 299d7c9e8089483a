//! `Series`, `Traces` and `Logs`: what the captures brought from the pipeline's own observability, and what they missed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClockOffset, Metadata, Reason, Timestamp, Window};

/// How a capture ended. Anything but `ok` is named in the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaptureResult {
    /// Whole, as far as the source can tell.
    Ok,
    /// The source answered and had nothing.
    Empty,
    /// A log that is there was read, and has no line in the window.
    Quiet,
    /// Something came, and something is known or suspected to be missing.
    Partial,
    /// Nothing usable came.
    #[default]
    Error,
}

/// One named query against Prometheus over the window. Made by `capture-prom`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Which query of which run.
    pub metadata: Metadata,
    /// What was asked.
    #[serde(default)]
    pub spec: SeriesSpec,
    /// What came.
    #[serde(default)]
    pub status: SeriesStatus,
}

/// What was asked of Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SeriesSpec {
    /// The PromQL.
    pub query: String,
    /// The labels by which the report adds up its series, as the profile names them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// The unit of the durations that it counts, as the profile names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The base URL of the Prometheus that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The true window; `start` and `end` lie around it, by the padding and on the grid of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// First point asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Last point asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// Distance between points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_seconds: Option<f64>,
    /// How many points of a series that makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub points: Option<u64>,
}

/// What came from Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SeriesStatus {
    /// How it ended.
    pub result: CaptureResult,
    /// Why it is not `ok`, as one documented CamelCase word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why it is not `ok`, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When this record was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// The envelope's file, relative to the run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<u64>,
    /// How many samples in all, native histograms included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// How many of them are not a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_a_number: Option<u64>,
    /// How many of them are infinite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infinite: Option<u64>,
    /// How many of them are native histograms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_histograms: Option<u64>,
    /// The time of the earliest sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_sample_at: Option<Timestamp>,
    /// The time of the latest sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sample_at: Option<Timestamp>,
    /// The metric names that the query matched; at most 20 of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub families: Vec<String>,
    /// The server's own envelopes, in order, where `file` was joined from several; relative to the run directory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<String>,
    /// The file of the samples as they were scraped, where the query is a plain selector; relative to the run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_file: Option<String>,
    /// How many samples that file holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_samples: Option<u64>,
    /// The same as a table (CSV); relative to the run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Warnings of the server in its own words, at most 2,000 characters of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Remarks of the server about the query, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub infos: Vec<String>,
    /// What the server's last scrapes were told by: `targets`, `up`, or `waiting` where nothing tells and the settling
    /// time was waited out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// The earliest of the active targets' last scrapes, by the server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scraped_until: Option<Timestamp>,
    /// The server's clock minus the harness's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<ClockOffset>,
    /// The unit of the metric, as the server's metadata names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The restarts of the processes whose counters fell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<ProcessRestart>,
    /// Metric names that the server knows and that resemble a query which found nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near_names: Vec<String>,
}

/// A restart of a process, as its `process_start_time_seconds` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRestart {
    /// The label `job` of the scrape.
    #[serde(default)]
    pub job: String,
    /// The label `instance` of the scrape.
    #[serde(default)]
    pub instance: String,
    /// The time of the first sample of the new process, by the server's clock.
    pub seen_at: Timestamp,
}

/// The traces of one service over the window. Made by `capture-jaeger`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Traces {
    /// Which service of which run.
    pub metadata: Metadata,
    /// What was asked.
    #[serde(default)]
    pub spec: WindowSpec,
    /// What came.
    #[serde(default)]
    pub status: TracesStatus,
}

/// A service and a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WindowSpec {
    /// The service.
    pub service: String,
    /// The server that was asked, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The true window; `start` and `end` lie around it, by the padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Where the window begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// Where it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// What came from Jaeger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TracesStatus {
    /// How it ended.
    pub result: CaptureResult,
    /// Why it is not `ok`, as one documented CamelCase word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why it is not `ok`, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When this record was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// The traces' file, relative to the run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<u64>,
    /// The number of spans, each counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spans: Option<u64>,
    /// The number of spans in the file beyond those: repetitions of a span, which count once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated_spans: Option<u64>,
    /// How many jobs have their trace among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs_matched: Option<u64>,
    /// What the service's own spans in the traces of the run's jobs say of the stages; of all traces where there are no
    /// jobs. Empty where the profile does not tell how a stage's span is named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageSpans>,
    /// When the GPU passed from one tenant to another, as the service's own spans tell; the first 1,000 in the order of time.
    /// Empty where the profile does not tell how such spans are named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenancies: Vec<Tenancy>,
    /// How many more there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenancies_left_out: Option<u64>,
    /// Trace ids of jobs that are nowhere to be found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// How many of the traces no search had brought, only asking for a job's trace by its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_by_id: Option<u64>,
    /// How many of the traces have spans whose parent is not among them, or were cut by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete_traces: Option<u64>,
    /// Which API answered: `v3` or `v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// What was asked for: spans `raw`, as they were reported, or `adjusted` where the server refuses raw ones. Servers
    /// before 1.65 give adjusted ones whatever is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// How many requests it took, for all services together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
}

/// The spans of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageSpans {
    /// The stage's name.
    pub name: String,
    /// How many spans: one an attempt.
    pub count: u64,
    /// How long they took on average.
    pub mean_seconds: f64,
}

/// One tenant's hold on the GPU, by the clock of the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tenancy {
    /// The tenant; absent where the span does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When the GPU began to pass to it.
    pub acquiring_at: Timestamp,
    /// From when on it held it.
    pub held_at: Timestamp,
    /// The last time that it is known to have held it still.
    pub seen_at: Timestamp,
    /// When it began to let it go, where a span tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_at: Option<Timestamp>,
}

/// The logs of one service over the window. Made by `capture-logs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Logs {
    /// Which service of which run.
    pub metadata: Metadata,
    /// What was asked.
    #[serde(default)]
    pub spec: WindowSpec,
    /// What came.
    #[serde(default)]
    pub status: LogsStatus,
}

/// What came from a service's log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LogsStatus {
    /// How it ended.
    pub result: CaptureResult,
    /// Why it is not `ok`, as one documented CamelCase word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Why it is not `ok`, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When this record was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
    /// The log's file, relative to the run directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Whether the user said by name that this log shall not be asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waived: bool,
    /// Whether the user said by name that this service may have no line in the window.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub may_be_quiet: bool,
    /// How many lines lie in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// The earliest time that a line in the window carries, by the worker's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_at: Option<Timestamp>,
    /// The latest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// How many exceptions there are in the window; more than are listed where there are very many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceptions_found: Option<u64>,
    /// The exceptions, the first thousand of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
}

/// One exception found in a log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Exception {
    /// Its first line; of a traceback that stands alone the line that names the exception, for its first says nothing.
    pub first_line: String,
    /// When it was logged, where the line says so, by the worker's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The id of the job that the text carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// The whole text without colours and container prefixes, where it is more than the first line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}
