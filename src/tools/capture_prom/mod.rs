//! `capture-prom`: stores what Prometheus saw in the window of a run, and names what is missing.
//!
//! One file per query, as the server sent it. Each answer is parsed while it goes to disk, so memory does not grow with it. The
//! Series record and stderr name everything that is not known to be whole.

mod beginning;
mod evidence;
mod fetch;
mod files;
mod grid;
mod join;
mod judge;
mod lateness;
mod near;
mod session;
mod settle;
mod table;

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ureq::http::{HeaderName, HeaderValue, header};

use crate::capture::CaptureArgs;
use crate::cli::{Failure, Io, Outcome};
use crate::http::{ClientFactory, Connections, HttpArgs};
use crate::profile::Query;
use crate::units;

/// Save the profile's Prometheus queries over the run's window.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capture-prom", version, after_help = HELP)]
pub struct Args {
    /// Base URL of Prometheus; empty disables the capture [default: the profile's]
    #[arg(long, value_name = "URL", env = "PROM_URL", help_heading = "Prometheus")]
    pub prometheus: Option<String>,
    /// Run this query as well as the profile's (repeatable)
    #[arg(long = "query", value_name = "NAME=PROMQL", value_parser = query, help_heading = "Prometheus")]
    pub queries: Vec<Query>,
    /// Resolution of the range queries
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = step, help_heading = "Prometheus")]
    pub step: Duration,
    /// Also write each answer as a table (csv), or only as JSON
    #[arg(long, value_name = "json|csv", value_enum, default_value_t = Format::Json, hide_possible_values = true, help_heading = "Prometheus")]
    pub format: Format,
    /// Do not store the raw samples behind plain selectors
    #[arg(long, help_heading = "Prometheus")]
    pub no_raw: bool,
    /// The flags of all captures.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// The flags of the HTTP client.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Send this tenant as X-Scope-OrgID
    #[arg(long, value_name = "ID", help_heading = "HTTP")]
    pub tenant: Option<String>,
    /// Use basic authentication with the `user:password` in this environment variable
    #[arg(long, value_name = "VARIABLE", help_heading = "HTTP", conflicts_with = "token_env")]
    pub user_env: Option<String>,
}

/// A format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The envelopes alone.
    Json,
    /// A table beside each: one row per sample, one column per label.
    Csv,
}

const HELP: &str = "\
Input:
  Run and Job records from poll-jobs: the window runs from the first submission
  to the last end. Without a run, --start and --end give it.

Output:
  every record; one Series record per query, with result ok, empty, partial or
  error
  DIR/prometheus/NAME.json            the server's answer over the padded window
  DIR/prometheus/NAME.raw.json        the raw samples behind a plain selector
  DIR/prometheus/NAME.chunk-001.json  the server's answers, if the window took
                                      several; NAME.json joins them
  DIR/prometheus/NAME.csv             with --format csv: one row per sample, one
                                      column per label

Examples:
  poll-jobs < submitted.ndjson | capture-prom --out run > captured.ndjson
  capture-prom --start -5m --out adhoc < /dev/null
  capture-prom --start -1h --end -30m --query 'load=node_load1' \\
    --out adhoc < /dev/null

Exit codes:
  0    done; inside a run even if data is missing, unless --require is given
  2    usage error
  4    alone or with --require: the answer to a query is empty, partial or
       missing
  65   broken input lines
  69   alone or with --require: Prometheus is unreachable, or answered no query
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM. The first signal ends the wait: the
       capture then has 10 s and one --timeout to save what is available, and
       the rest is Interrupted. A second signal exits at once.";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    session::run(&args, io)
}

impl Args {
    fn client(&self) -> Result<ClientFactory, Failure> {
        let mut client = self.http.client_factory(Connections::Kept)?;
        if let Some(tenant) = &self.tenant {
            let value = HeaderValue::from_str(tenant);
            let value = value.map_err(|_| Failure::usage("--tenant: it is not valid in a header"))?;
            client.insert_header(HeaderName::from_static("x-scope-orgid"), value, false);
        }
        if let Some(variable) = &self.user_env {
            let refused =
                |what: &str| Failure::usage(format!("--user-env: the environment variable {variable} {what}"));
            let user = std::env::var(variable).map_err(|_| refused("is not set"))?;
            if !user.contains(':') {
                return Err(refused("does not hold `user:password`"));
            }
            let value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(user)));
            client.insert_header(header::AUTHORIZATION, value.map_err(|_| refused("cannot be sent"))?, true);
        }
        Ok(client)
    }
}

fn query(text: &str) -> Result<Query, String> {
    match text.split_once('=') {
        Some((name, query)) if !name.trim().is_empty() && !query.trim().is_empty() => {
            Ok(Query { name: name.trim().to_owned(), query: query.trim().to_owned(), ..Query::default() })
        }
        _ => Err(format!("`{text}` is not a named query: write NAME=PROMQL")),
    }
}

fn step(text: &str) -> Result<Duration, String> {
    let step = units::positive_duration(text)?;
    if step.subsec_nanos() % 1_000_000 == 0 {
        Ok(step)
    } else {
        Err(format!("`{text}` is finer than a millisecond, the resolution of Prometheus: give whole milliseconds"))
    }
}
