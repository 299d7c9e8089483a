//! `capture-jaeger`: keeps the traces of the run's window, whole, or says what is missing.
//!
//! Jaeger's searches neither page nor tell that they left something out. So the window is cut in two while an answer is
//! full, swept again at other cuts until nothing more comes, and checked against the jobs: every job's trace must be
//! among the traces. All traces of a run are held in memory as the text that came, each once however many services share
//! it; some hundred MB of them are fine.

mod api;
mod files;
mod judge;
mod model;
mod session;
mod sweep;
mod tenancies;
mod v1;
mod v3;

use std::path::PathBuf;
use std::time::Duration;

use crate::capture::{self, Passed, WindowArgs, padded};
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::http::{BaseUrl, Connections, HttpArgs};
use crate::profile::Profile;
use crate::record::{CaptureResult, Kind, Metadata, Record, Traces, TracesStatus, WindowSpec};
use crate::units;

pub use api::Api;
use api::Jaeger;
use model::Tags;
use session::Session;

/// What a server's warning says on a trace that it cut (`max_trace_size` in Jaeger from 2.16 on).
const CUT: &str = " spans, showing first ";

/// Keep the traces of the run's window, whole, or say what is missing.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capture-jaeger", version, after_help = HELP)]
pub struct Args {
    /// The Jaeger query server's base URL, path prefix included; by default the profile's; empty is off
    #[arg(long, value_name = "URL", env = "JAEGER_URL")]
    pub jaeger: Option<String>,
    /// The run directory; traces go to DIR/jaeger/SERVICE.json, which the Jaeger UI opens by upload
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The target's profile; AutoRAG's audio pipeline by default (see docs/profile.md)
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Capture this service instead of the profile's; may be repeated
    #[arg(long = "service", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub services: Vec<String>,
    /// Ask for this many traces at once; an answer with as many is cut in two
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = page)]
    pub page: usize,
    /// Which of Jaeger's APIs to speak; by default the one that is there
    #[arg(long, value_name = "API", default_value = "auto", value_enum)]
    pub api: Choice,
    /// Take counts that stand still for final only this long after the window's end: what exporters may hold spans back;
    /// by default the profile's
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    pub flush: Option<Duration>,
    /// Fail where the traces of a service are not whole, also inside a run
    #[arg(long)]
    pub require: bool,
    /// Check the command line and what it names, and end: nothing is read, sent or written
    #[arg(long)]
    pub check: bool,
    /// Which window.
    #[command(flatten)]
    pub window: WindowArgs,
    /// How to reach it.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// Which API is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// Whichever is there; `v3` where both are.
    Auto,
    /// `/api/v3/traces`.
    V3,
    /// `/api/traces`.
    V1,
}

const HELP: &str = "\
Input:
  the records of a run, for its window, its jobs' traces and its clock; or none, with --start

Output:
  every record that was read, then one Traces record per service: result ok, empty, partial or error. What is
  not whole bears a reason, which docs/records.md explains

Examples:
  poll-jobs < submitted.ndjson | capture-jaeger --out stress-runs/a/soak | render-report --out stress-runs/a/soak
  capture-jaeger --jaeger http://localhost:16686 --start -5m --out adhoc < /dev/null | jq .status

Exit codes:
  0    done; inside a run also where traces are missing, which the records say
  2    usage error
  4    alone, or with --require: the traces of a service are not whole
  65   broken input lines
  69   alone, or with --require: Jaeger is unreachable, or gave nothing usable
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM, after what there was is written";

/// Runs the tool.
pub fn run(args: Args, mut io: Io<'_>) -> Outcome {
    let profile = Profile::load(args.profile.as_deref())?;
    let services = if args.services.is_empty() { profile.jaeger.services.clone() } else { args.services.clone() };
    let base = base(&args, &profile)?;
    let exchange = args.http.client(Connections::Kept)?.exchange();
    args.window.check()?;
    if args.check {
        return Ok(Exit::Done);
    }
    let dir = capture::writable_dir(&args.out.join("jaeger"))?;

    let mut passed = capture::pass(&mut io, &args.window)?;
    let hard = args.require || !passed.in_run;
    let base = passed.choose_server(Kind::Traces, args.jaeger.is_some(), base, args.http.has_secrets())?;
    let server = base.as_ref().map(|base| base.as_str().to_owned());
    if services.is_empty() {
        let what = format!("the profile {} names no services whose traces to capture", profile.name);
        // Switched off by name, there is nothing that could be missing.
        if hard && base.is_some() {
            return Err(Failure::usage(format!("{what}: use --service, or switch it off by --jaeger ''")));
        }
        io.console.say(&what);
        passed.nothing_asked = true;
    }
    if passed.window.is_none() && !passed.in_run {
        return Err(Failure::usage("no window: the input has no submitted job, and there is no --start"));
    }

    let is_whole = |service: &String| passed.has_whole(Kind::Traces, service, &args.out);
    if base.is_some() && !services.is_empty() && services.iter().all(is_whole) {
        return passed.finish(&[], &[], false, &mut io);
    }
    let statuses = match (base, passed.window) {
        _ if passed.nothing_asked => Vec::new(),
        (None, _) => {
            io.console.say("no traces are captured: the Jaeger address is empty");
            services.iter().map(|_| short(capture::OFF, CaptureResult::Error, "the Jaeger address is empty")).collect()
        }
        (_, None) => services.iter().map(|_| short("NoWindow", CaptureResult::Error, "no job was submitted")).collect(),
        (Some(base), Some(window)) => {
            let api = match args.api {
                Choice::Auto => None,
                Choice::V3 => Some(Api::V3),
                Choice::V1 => Some(Api::V1),
            };
            let tags = Tags::of(&profile.jaeger);
            let jaeger = Jaeger::new(exchange, base, passed.clock.clone(), tags, api);
            let mut session = Session::new(&args, &services, jaeger, &passed, window, io.console.clone());
            let flush = args.flush.unwrap_or_else(|| profile.jaeger.flush());
            session.capture(&passed, args.window.settle, flush, &io.stop);
            let shelf = judge::Shelf {
                dir: &dir,
                outdone: &|service, result| passed.outdone(Kind::Traces, service, &args.out, result),
            };
            judge::statuses(&mut session, &services, &profile.jaeger, &shelf)
        }
    };

    let mut records = Vec::with_capacity(services.len());
    let mut ended = Vec::with_capacity(services.len());
    for (service, status) in services.iter().zip(statuses) {
        let off = status.reason.as_deref() == Some(capture::OFF);
        if let Some(message) = status.message.as_ref().filter(|_| !off && passed.window.is_some()) {
            io.console.say(&format!("{service}: {message}"));
        }
        if !off {
            ended.push((status.result, status.reason.clone()));
        }
        if passed.outdone(Kind::Traces, service, &args.out, status.result) {
            io.console.say(&format!("{service}: what was captured before is kept"));
        } else {
            records.push(record(service, status, server.clone(), &passed, &args)?);
        }
    }
    passed.finish(&records, &ended, hard, &mut io)
}

/// The server that was asked for; none where that is off.
fn base(args: &Args, profile: &Profile) -> Result<Option<BaseUrl>, Failure> {
    let url = args.jaeger.clone().or_else(|| profile.jaeger.url.clone()).filter(|url| !url.trim().is_empty());
    if url.is_none() && args.require {
        return Err(Failure::usage("--require needs an address: say --jaeger URL"));
    }
    url.map(|url| BaseUrl::parse(&url, "--jaeger")).transpose()
}

fn short(reason: &str, result: CaptureResult, message: &str) -> TracesStatus {
    TracesStatus {
        result,
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        ..TracesStatus::default()
    }
}

fn record(
    service: &str,
    status: TracesStatus,
    server: Option<String>,
    passed: &Passed,
    args: &Args,
) -> Result<Record, Failure> {
    let window = passed.window.map(|window| padded(window, args.window.pad));
    let traces = Traces {
        metadata: Metadata { name: service.to_owned(), ..passed.metadata.clone() },
        spec: WindowSpec {
            service: service.to_owned(),
            server,
            window: passed.window,
            start: window.map(|window| window.start),
            end: window.map(|window| window.end),
        },
        status: TracesStatus { observed_at: Some(passed.clock.now()), ..status },
    };
    Record::new(Kind::Traces, &traces).map_err(|error| Failure::input_output(format!("a Traces record: {error}")))
}

fn page(text: &str) -> Result<usize, String> {
    let value = text.parse().ok().filter(|page: &usize| (2..=100_000).contains(page));
    value.ok_or_else(|| format!("`{text}` is not a number from 2 to 100000"))
}
