//! The log of one service: its source, its file in the run directory, and its record.

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture;
use crate::cli::{Failure, STOPPED};
use crate::profile::LogsConfig;
use crate::record::{CaptureResult, LogsStatus, Reason, Window};

use super::command::{self, Interrupt, RunningCommand};
use super::window_filter::{LogSummary, WindowFilter};

/// The place where logs are read.
#[derive(Clone, Debug)]
pub(super) enum LogSource<'a> {
    /// `DIR/<service>.log`.
    Dir(PathBuf),
    /// The profile's command.
    Command { logs: &'a LogsConfig, timeout: Duration },
}

impl LogSource<'_> {
    /// The file of `service`, where the source is a directory.
    pub(super) fn file(&self, service: &str) -> Option<PathBuf> {
        match self {
            Self::Dir(dir) => Some(dir.join(format!("{}.log", capture::file_name(service)))),
            Self::Command { .. } => None,
        }
    }
}

/// Captures the log of `service` into `dir`, which is called `logs` in records.
pub(super) fn capture(
    service: &str,
    source: &LogSource<'_>,
    filter: &WindowFilter<'_>,
    dir: &Path,
    interrupt: &Interrupt,
) -> Result<LogsStatus, Failure> {
    if interrupt.grace().is_over() {
        let message = format!("{STOPPED} before the log was read");
        return Ok(status_with_reason(CaptureResult::Error, Reason::Interrupted, message));
    }
    let name = format!("{}.log", capture::file_name(service));
    let path = dir.join(&name);
    let failed = |error: io::Error| Failure::io(&path.display().to_string(), &error);
    let temporary = capture::temporary_file(dir).map_err(failed)?;
    let (summary, failure) = match read(service, source, filter, temporary.as_file(), interrupt).map_err(failed)? {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    let mut status = assess(service, &summary, failure, filter.window);
    if summary.lines > 0 {
        temporary.persist(&path).map_err(|error| failed(error.error))?;
        status.file = Some(format!("logs/{name}"));
    }
    Ok(status)
}

/// The end of a command that failed.
#[derive(Debug)]
struct CommandFailure {
    /// True if a signal left it no more time.
    is_signal: bool,
    message: String,
}

/// Reads the log into `file`, and returns beside its summary the failure of the command that printed it. The inner error is
/// the record of a log that could not be read at all.
fn read(
    service: &str,
    source: &LogSource<'_>,
    filter: &WindowFilter<'_>,
    file: &File,
    interrupt: &Interrupt,
) -> io::Result<Result<(LogSummary, Option<CommandFailure>), LogsStatus>> {
    let mut output = BufWriter::new(file);
    let none = |reason, message| status_with_reason(CaptureResult::Error, reason, message);
    match source {
        LogSource::Dir(_) => {
            let path = source.file(service).unwrap_or_default();
            let input = match command::open_regular(&path) {
                Ok(input) => BufReader::with_capacity(64 * 1024, interrupt.grace().bound(input)),
                Err(error) => return Ok(Err(none(Reason::NoLog, format!("{}: {error}", path.display())))),
            };
            Ok(Ok((filter.run(input, &mut output)?, None)))
        }
        LogSource::Command { logs, timeout } => {
            let (start, end) = (filter.window.start.to_string(), filter.window.end.to_string());
            let argv = logs.argv(service, &start, &end).unwrap_or_default();
            let program = argv.first().cloned().unwrap_or_default();
            let mut input = match RunningCommand::start(&argv, *timeout, interrupt) {
                Ok(running) => BufReader::with_capacity(64 * 1024, running),
                Err(error) => {
                    let message = format!(
                        "`{program}`: {error}; read the logs from a directory with --logs DIR, or waive them with --logs off"
                    );
                    return Ok(Err(none(Reason::CommandFailed, message)));
                }
            };
            let summary = filter.run(&mut input, &mut output)?;
            // One that was given up in the middle is ended, not waited for.
            let failure = match summary.broken.clone() {
                Some(why) => Some((why.clone(), format!("`{program}`: {why}"))),
                None => input.into_inner().finish().err().map(|why| {
                    let message = describe_failure(&program, &why, &summary);
                    (why, message)
                }),
            };
            let failure = failure.map(|(why, message)| CommandFailure { is_signal: why == STOPPED, message });
            Ok(Ok((summary, failure)))
        }
    }
}

/// The failure of a command, with the last lines that it printed without a time.
fn describe_failure(program: &str, how: &str, summary: &LogSummary) -> String {
    let words = summary.undated.join("; ");
    if words.is_empty() { format!("`{program}`: {how}") } else { format!("`{program}`: {how}: {words}") }
}

/// The status of a log that is not whole.
pub(super) fn status_with_reason(result: CaptureResult, reason: Reason, message: String) -> LogsStatus {
    LogsStatus { result, reason: Some(reason), message: Some(message), ..LogsStatus::default() }
}

/// The status of a log that is there and has no line in the window.
fn quiet(service: &str, message: &str) -> LogsStatus {
    let message = format!(
        "{message}; if {service} had nothing to do, set LOGS_QUIET={service} (--may-be-quiet {service}), or `quiet = true` \
         on it in the profile"
    );
    status_with_reason(CaptureResult::Quiet, Reason::NoLines, message)
}

/// The status of a log that was read.
fn assess(service: &str, summary: &LogSummary, failure: Option<CommandFailure>, window: Window) -> LogsStatus {
    let span = |held: Window| format!("{} to {}", held.start, held.end);
    let dated = summary.kept.is_some();
    let broken = |has_log, reason, message| {
        let result = if has_log { CaptureResult::Partial } else { CaptureResult::Error };
        status_with_reason(result, reason, message)
    };
    let interrupted = |message| broken(summary.lines > 0, Reason::Interrupted, message);
    let status = match (failure, &summary.broken, summary.seen) {
        (Some(CommandFailure { is_signal: true, message }), ..) => interrupted(message),
        // Lines without a time from a failed command are its error message, not a log.
        (Some(failure), ..) => broken(dated, Reason::CommandFailed, failure.message),
        (None, Some(why), _) if why == STOPPED => interrupted(why.clone()),
        (None, Some(why), _) => broken(dated, Reason::ReadFailed, why.clone()),
        (None, None, _) if summary.read == 0 => quiet(service, "the log is empty"),
        (None, None, None) => {
            let message = "no line has a time: the whole log is kept, and how much of it is in the window is unknown";
            status_with_reason(CaptureResult::Partial, Reason::NoTimes, message.to_owned())
        }
        // Nothing shows that the worker ran in the window: lines may have been rotated away, or the times may be in another zone.
        (None, None, Some(seen)) if !dated && seen.start > window.end => {
            let message = format!(
                "the log begins at {}, after the window, {}; if its times are not UTC, set --log-utc-offset, and if it was rotated, \
                 capture the older file",
                seen.start,
                span(window)
            );
            status_with_reason(CaptureResult::Empty, Reason::NoLines, message)
        }
        (None, None, Some(seen)) if !dated => {
            let message = format!(
                "the log has no line in the window, {}; its times ({} lines) reach from {}, and if they are not UTC, set \
                 --log-utc-offset",
                span(window),
                summary.read,
                span(seen)
            );
            quiet(service, &message)
        }
        _ => LogsStatus { result: CaptureResult::Ok, ..LogsStatus::default() },
    };
    LogsStatus {
        lines: Some(summary.lines),
        first_at: summary.kept.map(|kept| kept.start),
        last_at: summary.kept.map(|kept| kept.end),
        exceptions_found: Some(summary.count),
        exceptions: summary.exceptions.clone(),
        ..status
    }
}

/// One line about a log that is not whole, or has exceptions in it; none for any other.
pub(super) fn describe(service: &str, status: &LogsStatus) -> Option<String> {
    let is_expected =
        status.result == CaptureResult::Ok || (status.result == CaptureResult::Quiet && status.may_be_quiet);
    let shortfall = status.message.clone().filter(|_| !is_expected);
    let exceptions = match status.exceptions_found {
        None | Some(0) => None,
        Some(1) => Some("1 exception".to_owned()),
        Some(count) => Some(format!("{count} exceptions")),
    };
    let parts: Vec<String> = [shortfall, exceptions].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("{service}: {}", parts.join("; ")))
}
