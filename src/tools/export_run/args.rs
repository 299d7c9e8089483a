//! The command line.

use std::path::PathBuf;

use super::tables::Table;
use crate::http::HttpArgs;

const AFTER_HELP: &str = "\
Input:
  The records.ndjson of finished scenarios and the files that it names; stdin is
  not read. If DIR is not a scenario, all scenarios below it are exported. Every
  series, row and track has the labels run, scenario, level and leg.

Formats:
  openmetrics  captured samples at the times of their scrapes, and the series of
               the harness: stress_jobs_in_flight, stress_jobs_submitted_total,
               stress_jobs_ended_total, stress_job_end_to_end_seconds,
               stress_stage_wait_seconds, stress_stage_work_seconds, stress_jobs
               and stress_verdict. VictoriaMetrics imports the text, and so does
               `promtool tsdb create-blocks-from openmetrics`.
  perfetto     a trace for ui.perfetto.dev and chrome://tracing: tracks of jobs,
               stages, workers and tenants, and counters
  otlp         the captured spans, one OTLP/JSON request per line; with --to,
               they are sent instead
  csv          the tables jobs, stages and samples, in three files in --out; or
               only the one that --table names
  parquet      the same as Apache Parquet, if the tool was built with it
  grafana      a dashboard for the exported series, with provisioning files, in
               the directory --out
  vmui         the same for VictoriaMetrics' VMUI
  links        links to the pages that show the runs, one per line
  summary      what a script needs to serve the runs, as one line of JSON

Output:
  stdout or --out. stderr names what a format cannot carry: native histograms,
  the ends of series, missed scrapes. A file is written under a temporary name
  and renamed.

Examples:
  export-run stress-runs/latest --as openmetrics --out run.om
  export-run runs/a/soak runs/b/soak --align --as openmetrics > both.om
  export-run runs/a --as otlp --to http://localhost:4318
  export-run runs/a --as csv --table jobs | duckdb -c \\
    \"select phase, count(*) from read_csv('/dev/stdin') group by 1\"

Exit codes:
  0    exported
  2    usage error: no such directory, nothing to export, or two scenarios that
       have the same labels
  65   exported, but broken lines of records.ndjson were left out
  69   --to: the endpoint is unreachable or refuses spans
  74   reading or writing failed; what could be read is exported";

/// Export finished runs to Prometheus, Grafana, Perfetto, Jaeger or tables.
#[derive(Debug, Clone, clap::Parser)]
#[command(name = "export-run", version, after_help = AFTER_HELP)]
pub struct Args {
    /// A finished run, or one of its scenarios
    #[arg(value_name = "DIR", required = true)]
    pub runs: Vec<PathBuf>,
    /// Write this format
    #[arg(long = "as", value_name = "FORMAT", hide_possible_values = true)]
    pub format: Format,
    /// Write to this file instead of stdout; with csv, parquet, grafana and vmui, write files to this directory
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Write only this table: jobs, stages or samples
    #[arg(long, value_name = "TABLE", hide_possible_values = true)]
    pub table: Option<Table>,
    /// Shift all scenarios in time so that they begin when the first one does
    #[arg(long)]
    pub align: bool,
    /// With --as links, link to graphs in the Prometheus at this base URL
    #[arg(long, value_name = "URL", env = "PROMETHEUS_UI", help_heading = "Links")]
    pub prometheus_ui: Option<String>,
    /// With --as links, link to the dashboard in the VMUI at this base URL
    #[arg(long, value_name = "URL", help_heading = "Links")]
    pub vmui: Option<String>,
    /// With --as links, link to the dashboard in the Grafana at this base URL
    #[arg(long, value_name = "URL", env = "GRAFANA", help_heading = "Links")]
    pub grafana: Option<String>,
    /// With --as links, link to the traces in the Jaeger UI at this base URL
    #[arg(long, value_name = "URL", env = "JAEGER_UI", help_heading = "Links")]
    pub jaeger_ui: Option<String>,
    /// Send the spans of --as otlp to the OTLP/HTTP endpoint at this base URL
    #[arg(long, value_name = "URL", help_heading = "HTTP")]
    pub to: Option<String>,
    /// The HTTP flags.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// The format to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Samples as `OpenMetrics` text.
    Openmetrics,
    /// A trace in the JSON form of Chromium.
    Perfetto,
    /// Spans as OTLP's JSON.
    Otlp,
    /// Tables as comma-separated values.
    Csv,
    /// Tables as Apache Parquet.
    Parquet,
    /// Grafana's dashboard.
    Grafana,
    /// The dashboard of `VictoriaMetrics`.
    Vmui,
    /// Addresses of pages.
    Links,
    /// Facts for scripts.
    Summary,
}
