//! `capture-logs`: keeps the workers' logs of the run's window and finds the exceptions in them.
//!
//! One Logs record per service says what came and what did not: no log, or no line in the window, is never a pass. The
//! lines are kept as they came; colours and container prefixes are only looked through when exceptions are searched.

mod entry;
mod exceptions;
mod job_ids;
mod lines;
mod service;
mod sift;
mod source;
mod stamp;

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::capture::{self, Passed, WindowArgs, padded};
use crate::cli::{Exit, Failure, Io, Outcome};
use crate::profile::Profile;
use crate::record::{CaptureResult, Kind, Logs, LogsStatus, Metadata, Record, Window, WindowSpec};
use crate::units;

use job_ids::JobIds;
use service::Place;
use sift::Sieve;

/// Keep the workers' logs of the run's window and find the exceptions in them.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capture-logs", version, after_help = HELP)]
pub struct Args {
    /// The run directory; logs go to DIR/logs/SERVICE.log
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// The target's profile; AutoRAG's audio pipeline by default (see docs/profile.md)
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Read DIR/SERVICE.log instead of running the profile's command; `off` waives the logs by name
    #[arg(long, value_name = "DIR|off", env = "LOGS")]
    pub logs: Option<String>,
    /// Look at this service's log instead of the profile's; may be repeated
    #[arg(long = "service", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub services: Vec<String>,
    /// What the logs' times are ahead of UTC, where they name no zone
    #[arg(long, value_name = "OFFSET", default_value = "+00:00", value_parser = stamp::offset, allow_hyphen_values = true)]
    pub log_utc_offset: i32,
    /// End the profile's command after this long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::positive_duration)]
    pub timeout: Duration,
    /// Fail where a log is not whole, also inside a run
    #[arg(long)]
    pub require: bool,
    /// Check the command line and what it names, and end: nothing is read, sent or written
    #[arg(long)]
    pub check: bool,
    /// Which window.
    #[command(flatten)]
    pub window: WindowArgs,
}

const HELP: &str = "\
Input:
  the records of a run, for its window, its jobs' ids and its clock; or none, with --start

Output:
  every record that was read, then one Logs record per service: result ok, empty, partial or error, with the
  exceptions found (Python tracebacks, grave records, Rust panics, Java stack traces), each counted once.
  A line without a time belongs to the record before it. A log that is not whole bears a reason, which
  docs/records.md explains.

Examples:
  poll-jobs < submitted.ndjson | capture-logs --out stress-runs/a/soak | render-report --out stress-runs/a/soak
  capture-logs --logs /var/log/workers --start -5m --out adhoc < /dev/null | jq .status.exceptions
  LOGS=off make soak

Exit codes:
  0    done; inside a run also where logs are missing, which the records say
  2    usage error
  4    alone, or with --require: a log is not whole
  65   broken input lines
  69   alone, or with --require: no log could be read
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM, after the logs were captured";

/// How long the files must stand still before they are read, and how often they are looked at.
const QUIET: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);

/// Runs the tool.
pub fn run(args: Args, mut io: Io<'_>) -> Outcome {
    let profile = Profile::load(args.profile.as_deref())?;
    let services = if args.services.is_empty() { profile.logs.services.clone() } else { args.services.clone() };
    // A profile without logs must not break the pipe that it stands in.
    let place = if services.is_empty() { None } else { place(&args, &profile)? };
    args.window.check()?;
    if args.check {
        return Ok(Exit::Done);
    }
    let dir = capture::writable_dir(&args.out.join("logs"))?;

    let mut passed = capture::pass(&mut io, &args.window)?;
    let hard = args.require || !passed.in_run;
    // What was waived stays so, until somebody asks for it.
    let stays_waived = args.logs.is_none() && !args.require && passed.was_waived(Kind::Logs);
    let place = place.filter(|_| !stays_waived);
    if services.is_empty() {
        let what = format!("the profile {} names no services whose logs to look at", profile.name);
        // Waived by name, there is nothing that could be missing.
        let waived = args.logs.as_deref().is_some_and(|logs| logs.trim() == "off");
        if hard && (args.require || !waived) {
            return Err(Failure::usage(format!("{what}: use --service, or waive them by --logs off")));
        }
        io.console.say(&what);
        passed.nothing_asked = true;
    }
    if passed.window.is_none() && !passed.in_run {
        return Err(Failure::usage("no window: the input has no submitted job, and there is no --start"));
    }
    if let (Some(place), Some(_)) = (&place, passed.window) {
        settle(place, &services, passed.left_to_settle(args.window.settle), &io);
    }

    let jobs = JobIds::of(passed.jobs());
    let mut records = Vec::with_capacity(services.len());
    let mut ended = Vec::with_capacity(services.len());
    for service in &services {
        if place.is_some() && passed.has_whole(Kind::Logs, service, &args.out) {
            ended.push((CaptureResult::Ok, None));
            continue;
        }
        let status = match (&place, passed.window) {
            (None, _) => waived(),
            (_, None) => service::short(CaptureResult::Error, "NoWindow", "no job was submitted".to_owned()),
            (Some(place), Some(window)) => {
                io.console.progress(|| format!("reading the log of {service}"));
                let window = by_the_workers_clock(padded(window, args.window.pad), &passed);
                let sieve = Sieve { window, offset: args.log_utc_offset, jobs: &jobs };
                service::capture(service, place, &sieve, &dir).or_else(|failure| {
                    let message = failure.message().map(str::to_owned).ok_or(failure)?;
                    Ok(service::short(CaptureResult::Error, capture::NOT_WRITTEN, message))
                })?
            }
        };
        if let Some(line) = service::told(service, &status).filter(|_| passed.window.is_some()) {
            io.console.say(&line);
        }
        if !status.waived {
            ended.push((status.result, status.reason.clone()));
        }
        if passed.outdone(Kind::Logs, service, &args.out, status.result) {
            io.console.say(&format!("{service}: what was captured before is kept"));
        } else {
            records.push(record(service, status, &passed, &args)?);
        }
    }
    passed.finish(&records, &ended, hard, &mut io)
}

/// Where the logs are read; none where they are waived.
fn place<'a>(args: &Args, profile: &'a Profile) -> Result<Option<Place<'a>>, Failure> {
    match args.logs.as_deref().map(str::trim).filter(|logs| !logs.is_empty()) {
        Some("off") if args.require => Err(Failure::usage("--logs off and --require contradict each other")),
        Some("off") => Ok(None),
        Some(dir) => Ok(Some(Place::Dir(PathBuf::from(dir)))),
        None if profile.logs.command.is_empty() => Err(Failure::usage(format!(
            "the profile {} has no command that prints logs: say --logs DIR, or --logs off",
            profile.name
        ))),
        None => Ok(Some(Place::Command { logs: &profile.logs, timeout: args.timeout })),
    }
}

fn waived() -> LogsStatus {
    let message = "the logs were waived by --logs off".to_owned();
    LogsStatus { waived: true, ..service::short(CaptureResult::Empty, "Waived", message) }
}

/// The window as the workers' clock sees it, as wide as the doubt about that clock asks for.
fn by_the_workers_clock(window: Window, passed: &Passed) -> Window {
    let offset = passed.offset.unwrap_or_default();
    Window {
        start: window.start.shifted(offset.seconds - offset.bound_seconds),
        end: window.end.shifted(offset.seconds + offset.bound_seconds),
    }
}

/// Waits until the log files stand still, for what happened last may not be written yet; `most` at the most. A command is
/// asked once: what it prints is what its engine has.
fn settle(place: &Place<'_>, services: &[String], most: Duration, io: &Io<'_>) {
    let files: Vec<PathBuf> = services.iter().filter_map(|service| place.file(service)).collect();
    let sizes = || -> Vec<Option<u64>> {
        files.iter().map(|file| file.metadata().ok().map(|metadata| metadata.len())).collect()
    };
    if files.is_empty() || most.is_zero() {
        return;
    }
    let (stop, stopped) = channel();
    io.stop.on_stop(move || {
        // Nobody listens once the wait is over.
        let _ = stop.send(());
    });
    let began = Instant::now();
    let (mut last, mut since) = (sizes(), Instant::now());
    while since.elapsed() < QUIET && began.elapsed() < most && io.stop.signal().is_none() {
        // Woken early only by a signal; the loop's condition sees it.
        let _ = stopped.recv_timeout(LOOK);
        let now = sizes();
        if now != last {
            (last, since) = (now, Instant::now());
            io.console.progress(|| {
                format!("the logs still grow; {} left", units::whole(most.saturating_sub(began.elapsed())))
            });
        }
    }
    io.console.clear_progress();
}

fn record(service: &str, status: LogsStatus, passed: &Passed, args: &Args) -> Result<Record, Failure> {
    let window = passed.window.map(|window| padded(window, args.window.pad));
    let logs = Logs {
        metadata: Metadata { name: service.to_owned(), ..passed.metadata.clone() },
        spec: WindowSpec {
            service: service.to_owned(),
            server: None,
            window: passed.window,
            start: window.map(|window| window.start),
            end: window.map(|window| window.end),
        },
        status: LogsStatus { observed_at: Some(passed.clock.now()), ..status },
    };
    Record::new(Kind::Logs, &logs).map_err(|error| Failure::input_output(format!("a Logs record: {error}")))
}
