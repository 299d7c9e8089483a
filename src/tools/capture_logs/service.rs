//! The log of one service: where it is read, where it is kept, and what its record says.

use std::fs::{File, Permissions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture;
use crate::cli::{Failure, STOPPED};
use crate::profile::LogsConfig;
use crate::record::{CaptureResult, LogsStatus, Reason, Window};

use super::sift::{Sieve, Sifted};
use super::source::{self, Interrupt, Running};

/// Where the logs are read.
#[derive(Clone, Debug)]
pub(super) enum Place<'a> {
    /// `DIR/<service>.log`.
    Dir(PathBuf),
    /// The profile's command.
    Command { logs: &'a LogsConfig, timeout: Duration },
}

impl Place<'_> {
    /// The file of `service`, where the place is a directory.
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
    place: &Place<'_>,
    sieve: &Sieve<'_>,
    dir: &Path,
    interrupt: &Interrupt,
) -> Result<LogsStatus, Failure> {
    if interrupt.grace().is_over() {
        let message = format!("{STOPPED} before the log was read");
        return Ok(short(CaptureResult::Error, Reason::Interrupted, message));
    }
    let name = format!("{}.log", capture::file_name(service));
    let path = dir.join(&name);
    let failed = |error: io::Error| Failure::io(&path.display().to_string(), &error);
    let temporary = tempfile::Builder::new()
        .prefix(".capture-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .map_err(failed)?;
    let (sifted, trouble) = match read(service, place, sieve, temporary.as_file(), interrupt).map_err(failed)? {
        Ok(read) => read,
        Err(status) => return Ok(status),
    };
    let mut status = judged(&sifted, trouble, sieve.window);
    if sifted.lines > 0 {
        temporary.persist(&path).map_err(|error| failed(error.error))?;
        status.file = Some(format!("logs/{name}"));
    }
    Ok(status)
}

/// What went wrong with a command.
#[derive(Debug)]
struct HttpError {
    /// It was a signal that left it no more time.
    is_signal: bool,
    message: String,
}

/// Reads the log into `file`. The inner error is the record of a log that could not be read at all; beside what was read
/// stands what went wrong with a command.
fn read(
    service: &str,
    place: &Place<'_>,
    sieve: &Sieve<'_>,
    file: &File,
    interrupt: &Interrupt,
) -> io::Result<Result<(Sifted, Option<HttpError>), LogsStatus>> {
    let mut output = BufWriter::new(file);
    match place {
        Place::Dir(_) => {
            let path = place.file(service).unwrap_or_default();
            match source::file(&path) {
                Ok(input) => {
                    let input = BufReader::with_capacity(64 * 1024, interrupt.grace().bound(input));
                    Ok(Ok((sieve.sift(input, &mut output)?, None)))
                }
                Err(error) => {
                    Ok(Err(short(CaptureResult::Error, Reason::NoLog, format!("{}: {error}", path.display()))))
                }
            }
        }
        Place::Command { logs, timeout } => {
            let (start, end) = (sieve.window.start.to_string(), sieve.window.end.to_string());
            let argv = logs.argv(service, &start, &end).unwrap_or_default();
            let program = argv.first().cloned().unwrap_or_default();
            match Running::start(&argv, *timeout, interrupt) {
                Ok(running) => {
                    let mut input = BufReader::with_capacity(64 * 1024, running);
                    let sifted = sieve.sift(&mut input, &mut output)?;
                    // One that was given up in the middle is ended, not waited for.
                    let trouble = match &sifted.broken {
                        Some(why) => {
                            Some(HttpError { is_signal: why == STOPPED, message: format!("`{program}`: {why}") })
                        }
                        None => input
                            .into_inner()
                            .finish()
                            .err()
                            .map(|why| HttpError { is_signal: why == STOPPED, message: said(&program, &why, &sifted) }),
                    };
                    Ok(Ok((sifted, trouble)))
                }
                Err(error) => {
                    let message = format!(
                        "`{program}`: {error}; read the logs elsewhere with --logs DIR, or waive them with --logs off"
                    );
                    Ok(Err(short(CaptureResult::Error, Reason::CommandFailed, message)))
                }
            }
        }
    }
}

/// How a command failed, and what it said last.
fn said(program: &str, how: &str, sifted: &Sifted) -> String {
    let words = sifted.undated.join("; ");
    if words.is_empty() { format!("`{program}`: {how}") } else { format!("`{program}`: {how}: {words}") }
}

/// A record of a log that is not whole.
pub(super) fn short(result: CaptureResult, reason: Reason, message: String) -> LogsStatus {
    LogsStatus { result, reason: Some(reason), message: Some(message), ..LogsStatus::default() }
}

/// What the record says of a log that was read.
fn judged(sifted: &Sifted, trouble: Option<HttpError>, window: Window) -> LogsStatus {
    let span = |held: Window| format!("{} to {}", held.start, held.end);
    let dated = sifted.kept.is_some();
    let interrupted = |message| {
        let result = if sifted.lines > 0 { CaptureResult::Partial } else { CaptureResult::Error };
        short(result, Reason::Interrupted, message)
    };
    let status = match (trouble, &sifted.broken, sifted.seen) {
        (Some(HttpError { is_signal: true, message }), ..) => interrupted(message),
        // What a failed command printed without a time is its complaint, not a log.
        (Some(trouble), ..) => short(
            if dated { CaptureResult::Partial } else { CaptureResult::Error },
            Reason::CommandFailed,
            trouble.message,
        ),
        (None, Some(why), _) if why == STOPPED => interrupted(why.clone()),
        (None, Some(broken), _) => {
            short(if dated { CaptureResult::Partial } else { CaptureResult::Error }, Reason::ReadFailed, broken.clone())
        }
        (None, None, _) if sifted.read == 0 => {
            short(CaptureResult::Empty, Reason::NoLines, "the log is empty".to_owned())
        }
        (None, None, None) => {
            let message =
                "no line carries a time: the log is kept whole, and how much of it lies in the window is not known";
            short(CaptureResult::Partial, Reason::NoTimes, message.to_owned())
        }
        (None, None, Some(seen)) if !dated => {
            let message = format!(
                "the log's {} lines date from {}, and none lies in the window, {}; if its times are not UTC, say --log-utc-offset",
                sifted.read,
                span(seen),
                span(window)
            );
            short(CaptureResult::Empty, Reason::NoLines, message)
        }
        _ => LogsStatus { result: CaptureResult::Ok, ..LogsStatus::default() },
    };
    LogsStatus {
        lines: Some(sifted.lines),
        first_at: sifted.kept.map(|kept| kept.start),
        last_at: sifted.kept.map(|kept| kept.end),
        exceptions_found: Some(sifted.count),
        exceptions: sifted.exceptions.clone(),
        ..status
    }
}

/// One line about a log that is not whole, or has exceptions in it; none where all is well.
pub(super) fn told(service: &str, status: &LogsStatus) -> Option<String> {
    let short = status.message.clone().filter(|_| status.result != CaptureResult::Ok);
    let exceptions = match status.exceptions_found {
        None | Some(0) => None,
        Some(1) => Some("1 exception".to_owned()),
        Some(count) => Some(format!("{count} exceptions")),
    };
    let parts: Vec<String> = [short, exceptions].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("{service}: {}", parts.join("; ")))
}
