//! `capture-jaeger`: captures the traces of the run's window, whole, or reports what is missing.
//!
//! Jaeger's searches neither page nor admit that they left something out. So a window is split in two while an answer is full,
//! swept again with other splits until nothing more comes, and checked against the jobs: every job's trace must be among
//! the traces. All traces of a run are held in memory as the text that came, each once however many services share it; a
//! few hundred MB are fine.

mod api;
mod fields;
mod files;
mod judge;
mod limits;
mod model;
mod session;
mod sweep;
mod tenancies;
mod v1;
mod v3;

use std::time::Duration;

use crate::capture::{
    self, Backend, CaptureArgs, CaptureOutcome, CaptureRequest, Captured, RecordContext, StreamContext,
};
use crate::cli::{Failure, Io, Outcome};
use crate::http::{BaseUrl, Client, Connections, HttpArgs};
use crate::profile::Profile;
use crate::record::{CaptureResult, Kind, Malformed, Reason, Record, Traces, TracesStatus};
use crate::units;

pub use api::Api;
use api::Jaeger;
use model::Tags;
use session::Session;

/// Part of the warning in a trace that the server truncated (`max_trace_size` in Jaeger from 2.16 on).
const TRUNCATED: &str = " spans, showing first ";

/// Save every trace of the run's window, or report what is missing.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capture-jaeger", version, after_help = HELP)]
pub struct Args {
    /// Base URL of the Jaeger query server, with its path prefix; empty disables the capture [default: the profile's]
    #[arg(long, value_name = "URL", env = "JAEGER_URL", help_heading = "Jaeger")]
    pub jaeger: Option<String>,
    /// Capture this service instead of those in the profile (repeatable)
    #[arg(long = "service", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Jaeger")]
    pub services: Vec<String>,
    /// Use /api/v3/traces (v3), /api/traces (v1) or the one that answers, v3 if both do (auto)
    #[arg(
        long,
        value_name = "auto|v3|v1",
        default_value = "auto",
        value_enum,
        hide_possible_values = true,
        help_heading = "Jaeger"
    )]
    pub api: ApiChoice,
    /// Ask for this many traces at once; an answer with that many splits the window in two
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = page, help_heading = "Jaeger")]
    pub page: usize,
    /// Wait this long after the window ends before trusting a span count that has stopped growing; set it to the exporters'
    /// flush interval [default: the profile's]
    #[arg(long, value_name = "DURATION", value_parser = units::duration, help_heading = "Jaeger")]
    pub flush: Option<Duration>,
    /// The flags of all captures.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// The flags of the HTTP client.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// The API to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ApiChoice {
    /// The API that answers; `v3` if both do.
    Auto,
    /// `/api/v3/traces`.
    V3,
    /// `/api/traces`.
    V1,
}

const HELP: &str = "\
Input:
  a run's records, for its window, traces and clock; none with --start

Output:
  every record; DIR/jaeger/SERVICE.json, which the Jaeger UI can open; one
  Traces record per service, with result ok, empty, partial or error, and a
  reason unless it is ok (see docs/records.md)

Limits:
  A service's search ends after 1,000 requests, or 10 s after --settle has
  passed since the window's end or the start of the capture, whichever is later.
  The result is then partial (SearchLimit).

Examples:
  poll-jobs < submitted.ndjson | capture-jaeger --out runs/a \\
    | render-report --out runs/a
  capture-jaeger --jaeger http://localhost:16686 --start -5m --out adhoc \\
    < /dev/null | jq .status

Exit codes:
  0    done; inside a run even if traces are missing: their records say so
  2    usage error
  4    alone or with --require: the traces of a service are incomplete
  65   broken input lines
  69   alone or with --require: Jaeger is unreachable, or gave nothing usable
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM. The first signal ends the wait: the
       capture then has 10 s and one --timeout to save what is available, and
       the rest is Interrupted. A second signal exits at once.";

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let profile = Profile::load(args.capture.profile.as_deref())?;
    let services = if args.services.is_empty() { profile.jaeger.services.clone() } else { args.services.clone() };
    let url = args.jaeger.as_ref().or(profile.jaeger.url.as_ref()).filter(|url| !url.trim().is_empty());
    if url.is_none() && args.capture.require {
        return Err(Failure::usage("--require needs an address: give --jaeger URL"));
    }
    let base = url.map(|url| BaseUrl::parse(url, "--jaeger")).transpose()?;
    let client = args.http.client_factory(Connections::Kept)?.client();
    capture::run(&args.capture, &JaegerTraces { args: &args, profile: &profile, services, base, client }, io)
}

/// Jaeger as a back end.
struct JaegerTraces<'a> {
    args: &'a Args,
    profile: &'a Profile,
    services: Vec<String>,
    /// The address of the command line or the profile; none if it is empty.
    base: Option<BaseUrl>,
    client: Client,
}

impl Backend for JaegerTraces<'_> {
    const KIND: Kind = Kind::Traces;
    const DIRECTORY: &'static str = "jaeger";
    // The services share their traces, and a job's trace may be found in any of them.
    const SEARCHES_ALL: bool = true;
    type Item = String;
    type Source = BaseUrl;
    type Captured = TracesStatus;

    fn items(&self) -> &[String] {
        &self.services
    }

    fn name(service: &String) -> &str {
        service
    }

    fn no_items(&self) -> (String, &'static str) {
        (
            format!("the profile {} names no services to capture traces of", self.profile.name),
            "use --service, or switch the capture off with --jaeger ''",
        )
    }

    fn source(&self, stream: &mut StreamContext) -> Result<Option<BaseUrl>, Failure> {
        stream.choose_server(Kind::Traces, self.args.jaeger.is_some(), self.base.clone(), self.args.http.has_secrets())
    }

    fn switched_off(&self) -> (TracesStatus, &'static str) {
        let message = "the Jaeger address is empty".to_owned();
        let status = TracesStatus::shortfall(CaptureResult::Error, Reason::Off, message);
        (status, "no traces are captured: the Jaeger address is empty")
    }

    fn capture(
        &self,
        base: BaseUrl,
        services: &[&String],
        request: &CaptureRequest<'_>,
        io: &Io<'_>,
    ) -> Result<Vec<TracesStatus>, Failure> {
        let api = match self.args.api {
            ApiChoice::Auto => None,
            ApiChoice::V3 => Some(Api::V3),
            ApiChoice::V1 => Some(Api::V1),
        };
        let tags = Tags::from_profile(&self.profile.jaeger);
        let clock = request.stream.clock.clone();
        let jaeger = Jaeger::new(self.client.clone(), base, clock, tags, api, io.stop.grace(), io.console.clone());
        let services: Vec<String> = services.iter().map(|service| (*service).clone()).collect();
        let mut session = Session::new(self.args.page, &services, jaeger, request, io.console.clone());
        let flush = self.args.flush.unwrap_or_else(|| self.profile.jaeger.flush());
        session.capture(request, flush, &io.stop);
        let statuses = judge::statuses(&mut session, &services, &self.profile.jaeger, request);
        for (service, status) in services.iter().zip(&statuses) {
            if let Some(message) = &status.message {
                io.console.say(&format!("{service}: {message}"));
            }
        }
        Ok(statuses)
    }

    fn record(&self, service: &String, status: TracesStatus, context: RecordContext) -> Result<Record, Malformed> {
        let spec = context.window_spec(service);
        let status = TracesStatus { observed_at: Some(context.observed_at), ..status };
        Record::new(Kind::Traces, &Traces { metadata: context.metadata, spec, status })
    }
}

impl Captured for TracesStatus {
    fn shortfall(result: CaptureResult, reason: Reason, message: String) -> Self {
        Self { result, reason: Some(reason), message: Some(message), ..Self::default() }
    }

    fn outcome(&self) -> CaptureOutcome {
        CaptureOutcome { jobs: self.jobs_matched, ..CaptureOutcome::new(self.result, self.reason.as_ref()) }
    }
}

fn page(text: &str) -> Result<usize, String> {
    let value = text.parse().ok().filter(|page: &usize| (2..=100_000).contains(page));
    value.ok_or_else(|| format!("`{text}` is not a number from 2 to 100000"))
}
