//! The source of a log's bytes: a file, or the output of a command.

use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::cli::{Grace, STOPPED, Stop};

/// Opens the regular file at `path`; anything else, such as a FIFO that nobody writes, might never end.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// A signal, which ends the reading a while after it came.
#[derive(Debug)]
pub(super) struct Interrupt {
    grace: Grace,
    /// Can be read from the moment of the signal on; nothing ever reads it.
    came: PipeReader,
}

impl Interrupt {
    pub(super) fn new(stop: &Stop) -> io::Result<Self> {
        let (came, tell) = io::pipe()?;
        // Nobody has the other end once the capture is over, and that is fine.
        stop.on_stop(move || drop((&tell).write_all(b".")));
        Ok(Self { grace: stop.grace(), came })
    }

    pub(super) fn grace(&self) -> &Grace {
        &self.grace
    }
}

/// A command that is running. Its stdout and stderr are read as one stream, in the order in which it was
/// written: container engines print a worker's own stderr to theirs, and that is where Python logs.
///
/// It runs in a process group of its own, so that Ctrl-C is not its end. It is ended when the time is up, also the time after
/// a signal, or when this value is dropped.
#[derive(Debug)]
pub(super) struct RunningCommand<'a> {
    child: Child,
    output: PipeReader,
    deadline: Instant,
    timeout: Duration,
    interrupt: &'a Interrupt,
    ended: bool,
}

impl<'a> RunningCommand<'a> {
    /// Starts `argv`, which must not be empty.
    pub(super) fn start(argv: &[String], timeout: Duration, interrupt: &'a Interrupt) -> io::Result<Self> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(io::Error::other("an empty command"));
        };
        let (output, into) = io::pipe()?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(into.try_clone()?)
            .stderr(into)
            .process_group(0)
            .spawn()?;
        Ok(Self { child, output, deadline: Instant::now() + timeout, timeout, interrupt, ended: false })
    }

    /// Waits for the end of the command after its output has ended. `Err` says how it failed.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let pid = Pid::from_child(&self.child);
        let waited = pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|ended| self.wait_for(&ended))
            .and_then(|()| self.child.wait());
        let status = waited.map_err(|error| error.to_string())?;
        self.ended = true;
        if status.success() { Ok(()) } else { Err(status.to_string()) }
    }

    /// Waits until `fd` can be read, or has ended.
    fn wait_for(&self, fd: &impl AsFd) -> io::Result<()> {
        loop {
            let after_signal = self.interrupt.grace.left();
            let left = self.deadline.saturating_duration_since(Instant::now());
            let left = after_signal.map_or(left, |grace| left.min(grace));
            let patience = Timespec::try_from(left).map_err(io::Error::other)?;
            let mut watched = [PollFd::new(fd, PollFlags::IN), PollFd::new(&self.interrupt.came, PollFlags::IN)];
            // Once the signal has come it is only the time that it leaves that is waited for.
            let watched = if after_signal.is_some() { &mut watched[..1] } else { &mut watched[..] };
            match poll(watched, Some(&patience)) {
                Ok(_) if !watched[0].revents().is_empty() => return Ok(()),
                Ok(0) if left.is_zero() => return self.in_time(),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Fails once the time is over, and says which time it was.
    fn in_time(&self) -> io::Result<()> {
        if self.interrupt.grace.is_over() {
            return Err(io::Error::other(STOPPED));
        }
        if Instant::now() < self.deadline {
            return Ok(());
        }
        let after = crate::units::seconds(self.timeout.as_secs_f64());
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("not finished after {after}")))
    }
}

impl Read for RunningCommand<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A command that always has something to say would never be waited for.
        self.in_time()?;
        self.wait_for(&self.output)?;
        self.output.read(buffer)
    }
}

impl Drop for RunningCommand<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The group's id stays the command's until it is waited for. If the group has gone already, nothing is left to do.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running<'a>(script: &str, timeout: Duration, interrupt: &'a Interrupt) -> RunningCommand<'a> {
        RunningCommand::start(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], timeout, interrupt).unwrap()
    }

    fn silence() -> Interrupt {
        Interrupt::new(&Stop::default()).unwrap()
    }

    #[test]
    fn both_streams_are_read_in_order_and_the_status_is_judged() {
        let interrupt = silence();
        let mut command = running("echo a; echo b >&2; echo c; exit 3", Duration::from_secs(60), &interrupt);
        let mut text = String::new();
        command.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb\nc\n");
        assert!(command.finish().unwrap_err().contains("exit status: 3"));
    }

    #[test]
    fn a_command_that_never_ends_is_ended() {
        let started = Instant::now();
        let interrupt = silence();
        let mut command = running("echo a; sleep 1000 & sleep 1000", Duration::from_millis(50), &interrupt);
        let mut text = String::new();
        let error = command.read_to_string(&mut text).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "not finished after 50 ms"));
        // The pipe's end means that the shell's child has gone too, for it holds the other end.
        let mut pipe = command.output.try_clone().unwrap();
        drop(command);
        pipe.read_to_string(&mut text).unwrap();
        assert!(started.elapsed() < Duration::from_secs(100), "it was waited for");
    }

    #[test]
    fn a_command_that_never_stops_writing_is_ended() {
        let interrupt = silence();
        let mut command = running("exec yes", Duration::from_millis(50), &interrupt);
        let error = io::copy(&mut command, &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "not finished after 50 ms");
    }

    #[test]
    fn a_signal_ends_what_would_go_on_once_its_time_is_over() {
        let hour = Duration::from_secs(3600);
        for script in ["exec yes", "echo a; exec sleep 1000", "exec >&-; exec 2>&-; exec sleep 1000"] {
            let stop = Stop::with_grace(Duration::ZERO);
            let interrupt = Interrupt::new(&stop).unwrap();
            let mut command = running(script, hour, &interrupt);
            let mut first = [0];
            let more = command.read(&mut first).unwrap();
            stop.trigger(2);
            let error = match more {
                0 => command.finish().unwrap_err(),
                _ => io::copy(&mut command, &mut io::sink()).unwrap_err().to_string(),
            };
            assert_eq!(error, STOPPED, "{script}");
        }
    }

    #[test]
    fn a_command_that_waits_is_told_of_a_signal_that_comes_meanwhile() {
        let (stop, hour) = (Stop::with_grace(Duration::ZERO), Duration::from_secs(3600));
        let interrupt = Interrupt::new(&stop).unwrap();
        let mut command = running("echo a; exec sleep 1000", hour, &interrupt);
        command.read_exact(&mut [0, 0]).unwrap();
        let error = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| command.read(&mut [0]).unwrap_err());
            stop.trigger(2);
            waiting.join().unwrap()
        });
        assert_eq!(error.to_string(), STOPPED);
    }

    #[test]
    fn a_command_that_ends_in_time_is_not_disturbed_by_a_signal() {
        let stop = Stop::with_grace(Duration::from_secs(3600));
        stop.trigger(2);
        let interrupt = Interrupt::new(&stop).unwrap();
        let mut command = running("echo a", Duration::from_secs(3600), &interrupt);
        let mut text = String::new();
        command.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), command.finish()), ("a\n", Ok(())));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = RunningCommand::start(&["no-such-program-here".to_owned()], Duration::from_secs(1), &silence())
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
