//! Running a command against a stand-in, as `env` and `dbus-run-session` run theirs.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::sim::Sim;

/// Runs the command with the stand-in's addresses in its environment and returns the code to exit with.
///
/// `signals` must have caught SIGCHLD since before the call, or the command's end could go unnoticed.
pub(crate) fn run(command: &[OsString], sim: &Sim, signals: &mut Signals) -> io::Result<u8> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no command"));
    };
    let started = Command::new(program)
        .args(arguments)
        .env("TARGET", sim.url())
        .env("LOGS", sim.logs())
        .env("PROM_URL", sim.prometheus_url())
        .env("JAEGER_URL", sim.jaeger_url())
        .env("METRICS_URL", sim.metrics_url())
        .spawn();
    match started {
        Ok(mut child) => outlive(&mut child, sim, signals).map(code),
        Err(error) => {
            crate::complain(&format!("{}: {error}", program.display()));
            Ok(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
        }
    }
}

/// Waits for the command's end through any number of signals.
///
/// A Ctrl-C reaches the command by itself, since it shares our process group and terminal. A SIGTERM may have been meant for us alone,
/// so the first one is passed on; once only, since for many programs a second one means to drop everything.
/// A SIGUSR1 is for the stand-in, and lets go what `--hold` holds up.
fn outlive(child: &mut Child, sim: &Sim, signals: &mut Signals) -> io::Result<ExitStatus> {
    let mut forwarded = false;
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    for signal in signals.forever() {
        if signal == SIGTERM && !forwarded {
            forwarded = true;
            forward(child)?;
        }
        if signal == SIGUSR1 {
            sim.release();
        }
        if signal == SIGCHLD
            && let Some(status) = child.try_wait()?
        {
            return Ok(status);
        }
    }
    child.wait()
}

/// The child has not been waited for, so its pid is its own still, even if it has ended.
fn forward(child: &Child) -> io::Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    match pid {
        Some(pid) => kill_process(pid, Signal::TERM).map_err(io::Error::from),
        None => Ok(()),
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
