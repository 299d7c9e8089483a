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

/// Store what Prometheus saw in the window.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capture-prom", version, after_help = HELP)]
pub struct Args {
    /// The flags of all captures.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// The Prometheus' base URL; by default the profile's; empty is off
    #[arg(long, value_name = "URL", env = "PROM_URL")]
    pub prometheus: Option<String>,
    /// Ask this beside the profile's queries; may be repeated
    #[arg(long = "query", value_name = "NAME=PROMQL", value_parser = query)]
    pub queries: Vec<Query>,
    /// The distance between two points
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = step)]
    pub step: Duration,
    /// Do not ask for the samples as they were scraped
    #[arg(long)]
    pub no_raw: bool,
    /// Write these formats beside the envelopes
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Json)]
    pub format: Format,
    /// The flags of the HTTP client.
    #[command(flatten)]
    pub http: HttpArgs,
    /// Ask as this tenant: sends X-Scope-OrgID
    #[arg(long, value_name = "ID", help_heading = "HTTP")]
    pub tenant: Option<String>,
    /// Log in with the `user:password` in the environment variable of this name (basic authentication)
    #[arg(long, value_name = "VARIABLE", help_heading = "HTTP", conflicts_with = "token_env")]
    pub user_env: Option<String>,
}

/// A format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The envelopes alone.
    Json,
    /// A table beside each: one row a sample, one column a label.
    Csv,
}

const HELP: &str = "\
Input:
  Run and Job records from poll-jobs; the window is their first submission to their last end.
  At a prompt --start and --end tell it

Output:
  every record that was read; one Series record a query: result ok, empty, partial or error
  DIR/prometheus/NAME.json            the server's own answer over the padded window
  DIR/prometheus/NAME.raw.json        the samples behind it as scraped, for plain selectors
  DIR/prometheus/NAME.chunk-001.json  the server's own answers where the window took several;
                                      NAME.json is then joined from them
  DIR/prometheus/NAME.csv             with --format csv

Examples:
  poll-jobs < submitted.ndjson | capture-prom --out run > captured.ndjson
  capture-prom --start -5m --out adhoc < /dev/null
  capture-prom --start -1h --end -30m --query 'load=node_load1' --out adhoc < /dev/null

Exit codes:
  0    done; inside a run also where something did not come, unless --require is given
  2    usage error
  4    alone or with --require: some query came empty, partial or not at all
  65   broken input lines
  69   alone or with --require: Prometheus is unreachable, or answered no query
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM: the first ends the waiting, and what there is is captured, for 10 s and one
       --timeout at the most; what is missing then is Interrupted. The second ends all";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    session::run(&args, io)
}

impl Args {
    fn client(&self) -> Result<ClientFactory, Failure> {
        let mut client = self.http.client_factory(Connections::Kept)?;
        if let Some(tenant) = &self.tenant {
            let value = HeaderValue::from_str(tenant);
            let value = value.map_err(|_| Failure::usage("--tenant: a header cannot carry it"))?;
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
            Ok(Query { name: name.trim().to_owned(), query: query.trim().to_owned(), by: Vec::new(), unit: None })
        }
        _ => Err(format!("`{text}` is not a named query: write NAME=PROMQL")),
    }
}

fn step(text: &str) -> Result<Duration, String> {
    let step = units::positive_duration(text)?;
    if step.subsec_nanos() % 1_000_000 == 0 {
        Ok(step)
    } else {
        Err(format!("`{text}` is finer than the millisecond, which is as fine as Prometheus knows time"))
    }
}
