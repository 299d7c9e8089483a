//! `capture-logs`: keeps the workers' logs of the run's window and finds the exceptions in them.
//!
//! One Logs record per service tells the result: no log, or no line in the window, is never a pass by itself. The lines
//! are kept as they came; colours, prefixes and envelopes are only looked through in the search for exceptions.

mod command;
mod exceptions;
mod job_ids;
mod json_line;
mod level;
mod lines;
mod log_line;
mod open_exception;
mod pattern;
mod prefix;
mod service;
mod shapes;
mod stamp;
mod window_filter;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::capture::{
    self, Backend, CaptureArgs, CaptureOutcome, CaptureRequest, Captured, RecordContext, StreamContext,
};
use crate::cli::{Failure, Io, Outcome};
use crate::profile::{LogService, Profile};
use crate::record::{CaptureResult, Kind, Logs, LogsStatus, Malformed, Reason, Record};
use crate::units;

use command::Interrupt;
use job_ids::JobIds;
use service::LogSource;
use window_filter::WindowFilter;

/// Save the workers' logs of the run's window and find the exceptions in them.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "capture-logs", version, after_help = HELP)]
pub struct Args {
    /// Read DIR/SERVICE.log instead of running the profile's command; `off` waives the logs
    #[arg(long, value_name = "DIR|off", env = "LOGS", help_heading = "Logs")]
    pub logs: Option<String>,
    /// Read this service's log instead of those in the profile (repeatable)
    #[arg(long = "service", value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Logs")]
    pub services: Vec<String>,
    /// Accept that these services log nothing in the window (separated by commas)
    #[arg(long, value_name = "SERVICE,…", value_delimiter = ',', env = "LOGS_QUIET", help_heading = "Logs")]
    pub may_be_quiet: Vec<String>,
    /// UTC offset of log timestamps that carry no time zone
    #[arg(long, value_name = "OFFSET", default_value = "+00:00", value_parser = stamp::offset, allow_hyphen_values = true, help_heading = "Logs")]
    pub log_utc_offset: i32,
    /// Stop the profile's command after this long
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::positive_duration, help_heading = "Logs")]
    pub timeout: Duration,
    /// The flags of all captures.
    #[command(flatten)]
    pub capture: CaptureArgs,
}

const HELP: &str = "\
Input:
  a run's records, for its window, job ids and clock; none with --start

Output:
  every record; DIR/logs/SERVICE.log; one Logs record per service, with result
  ok, quiet, empty, partial or error, a reason unless it is ok (see
  docs/records.md), and the exceptions found. `quiet` means that the log exists
  and has no line in the window. docs/artifacts.md lists the kinds of exceptions
  that are found. A line without a time belongs to the record before it.

Examples:
  poll-jobs < submitted.ndjson | capture-logs --out runs/a \\
    | render-report --out runs/a
  capture-logs --logs /var/log/workers --start -5m --out adhoc < /dev/null
  LOGS=off make soak
  LOGS_QUIET=autorag-io-worker make soak

Exit codes:
  0    done; inside a run even if logs are missing: their records say so
  2    usage error
  4    alone or with --require: a log is incomplete
  65   broken input lines
  69   alone or with --require: no log could be read
  74   reading or writing failed
  130  ended by Ctrl-C, 143 by SIGTERM. The first signal ends the wait: the
       capture then has 10 s to save what is available, and the rest is
       Interrupted. A second signal exits at once.";

/// Time for which the files must stand still before they are read, and between two looks at them.
const QUIET: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(50);

/// Runs the tool.
pub fn run(args: Args, io: Io<'_>) -> Outcome {
    let profile = Profile::load(args.capture.profile.as_deref())?;
    let services = services(&args, &profile)?;
    let has_command = !profile.logs.command.is_empty();
    let source = match args.logs.as_deref().map(str::trim).filter(|logs| !logs.is_empty()) {
        Some("off") if args.capture.require => {
            return Err(Failure::usage("--logs off and --require contradict each other: leave one out"));
        }
        Some("off") => None,
        Some(dir) => Some(LogSource::Dir(PathBuf::from(dir))),
        None if !has_command && !services.is_empty() => {
            return Err(Failure::usage(format!(
                "the profile {} has no command that prints logs: give --logs DIR or --logs off",
                profile.name
            )));
        }
        None => Some(LogSource::Command { logs: &profile.logs, timeout: args.timeout }),
    };
    if args.capture.check
        && let Some(missing) = source.as_ref().and_then(missing)
    {
        io.console.say(&missing);
    }
    capture::run(&args.capture, &WorkerLogs { args: &args, profile: &profile, services, source }, io)
}

/// The logs of the workers as a back end.
struct WorkerLogs<'a> {
    args: &'a Args,
    profile: &'a Profile,
    services: Vec<LogService>,
    /// None if the logs are waived.
    source: Option<LogSource<'a>>,
}

impl<'a> Backend for WorkerLogs<'a> {
    const KIND: Kind = Kind::Logs;
    const DIRECTORY: &'static str = "logs";
    type Item = LogService;
    type Source = LogSource<'a>;
    type Captured = LogsStatus;

    fn items(&self) -> &[LogService] {
        &self.services
    }

    fn name(service: &LogService) -> &str {
        &service.name
    }

    fn no_items(&self) -> (String, &'static str) {
        (
            format!("the profile {} names no services to read the logs of", self.profile.name),
            "use --service, or waive them with --logs off",
        )
    }

    fn source(&self, stream: &mut StreamContext) -> Result<Option<LogSource<'a>>, Failure> {
        // A waiver holds until somebody asks for the logs.
        let stays_waived = self.args.logs.is_none() && !self.args.capture.require && stream.was_waived(Kind::Logs);
        Ok(self.source.clone().filter(|_| !stays_waived))
    }

    fn switched_off(&self) -> (LogsStatus, &'static str) {
        let message = "the logs were waived with --logs off";
        let status = service::status_with_reason(CaptureResult::Empty, Reason::Waived, message.to_owned());
        (LogsStatus { waived: true, ..status }, message)
    }

    fn capture(
        &self,
        source: LogSource<'a>,
        services: &[&LogService],
        request: &CaptureRequest<'_>,
        io: &Io<'_>,
    ) -> Result<Vec<LogsStatus>, Failure> {
        settle(&source, services, request.stream.left_to_settle(request.settle()), io);
        let jobs = JobIds::from_jobs(request.stream.jobs());
        let interrupt = Interrupt::new(&io.stop).map_err(|error| Failure::io("a pipe", &error))?;
        let window = request.by_the_services_clock();
        let filter = WindowFilter { window, utc_offset: self.args.log_utc_offset, jobs: &jobs };
        let capture_service = |service: &&LogService| {
            let LogService { name, quiet } = service;
            io.console.progress(|| format!("reading the log of {name}"));
            let status = service::capture(name, &source, &filter, request.dir, &interrupt).or_else(|failure| {
                let message = failure.message().map(str::to_owned).ok_or(failure)?;
                Ok::<_, Failure>(service::status_with_reason(CaptureResult::Error, Reason::NotWritten, message))
            })?;
            let status = LogsStatus { may_be_quiet: *quiet, ..status };
            if let Some(line) = service::describe(name, &status) {
                io.console.say(&line);
            }
            Ok(status)
        };
        services.iter().map(capture_service).collect()
    }

    fn record(&self, service: &LogService, status: LogsStatus, context: RecordContext) -> Result<Record, Malformed> {
        let spec = context.window_spec(&service.name);
        let status = LogsStatus { observed_at: Some(context.observed_at), ..status };
        Record::new(Kind::Logs, &Logs { metadata: context.metadata, spec, status })
    }
}

impl Captured for LogsStatus {
    fn shortfall(result: CaptureResult, reason: Reason, message: String) -> Self {
        service::status_with_reason(result, reason, message)
    }

    fn outcome(&self) -> CaptureOutcome {
        CaptureOutcome::new(self.result, self.reason.as_ref())
    }

    fn is_accepted(&self) -> bool {
        self.result == CaptureResult::Quiet && self.may_be_quiet
    }
}

/// The sentence about a source that is not there. It may still come, so it is no error before the run.
fn missing(source: &LogSource<'_>) -> Option<String> {
    match source {
        LogSource::Dir(dir) if !dir.is_dir() => Some(format!(
            "--logs {}: there is no such directory, so no logs will be captured unless it appears",
            dir.display()
        )),
        LogSource::Command { logs, .. } => {
            let program = logs.command.first().filter(|program| !program.contains('/'))?;
            let path = std::env::var_os("PATH").unwrap_or_default();
            let is_there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
            (!is_there).then(|| {
                format!("{program}, which prints the worker logs, is not installed: give --logs DIR, or waive them with --logs off")
            })
        }
        LogSource::Dir(_) => None,
    }
}

/// The services whose logs are read, and whether they may be quiet. Each name in --may-be-quiet must be one of theirs.
fn services(args: &Args, profile: &Profile) -> Result<Vec<LogService>, Failure> {
    let mut services = profile.logs.services.clone();
    if !args.services.is_empty() {
        let quiet = |name: &String| services.iter().any(|service| service.name == *name && service.quiet);
        services = args.services.iter().map(|name| LogService { name: name.clone(), quiet: quiet(name) }).collect();
    }
    for name in args.may_be_quiet.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let known = services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(service) = services.iter_mut().find(|service| service.name == name) else {
            return Err(Failure::usage(format!(
                "--may-be-quiet: `{name}` is not one of the services whose logs are read: {known}"
            )));
        };
        service.quiet = true;
    }
    Ok(services)
}

/// Waits until the log files stand still, for what happened last may not be written yet; `most` at the most. A command is
/// asked once: what it prints is what its engine has.
fn settle(source: &LogSource<'_>, services: &[&LogService], most: Duration, io: &Io<'_>) {
    let files: Vec<PathBuf> = services.iter().filter_map(|service| source.file(&service.name)).collect();
    let sizes = || -> Vec<Option<u64>> {
        files.iter().map(|file| file.metadata().ok().map(|metadata| metadata.len())).collect()
    };
    if files.is_empty() || most.is_zero() {
        return;
    }
    let began = Instant::now();
    let (mut last, mut since) = (sizes(), Instant::now());
    while since.elapsed() < QUIET && began.elapsed() < most && io.stop.signal().is_none() {
        // The loop's condition sees the signal.
        io.stop.wait(LOOK);
        let now = sizes();
        if now != last {
            (last, since) = (now, Instant::now());
            io.console.progress(|| {
                format!("the logs are still growing; {} left", units::whole(most.saturating_sub(began.elapsed())))
            });
        }
    }
    io.console.clear_progress();
}
