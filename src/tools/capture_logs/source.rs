//! Where a log's bytes come from: a file, or the output of a command.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Opens the regular file at `path`; anything else, such as a FIFO that nobody writes, might never end.
pub(super) fn file(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// A command that is running. What it writes to stdout and to stderr is read as one stream, in the order in which it was
/// written: container engines print a worker's own stderr to theirs, and that is where Python logs.
///
/// It runs in a process group of its own, which is ended when the time is up or when this value is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    output: PipeReader,
    deadline: Instant,
    timeout: Duration,
    ended: bool,
}

impl Running {
    /// Starts `argv`, which must not be empty.
    pub(super) fn start(argv: &[String], timeout: Duration) -> io::Result<Self> {
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
        Ok(Self { child, output, deadline: Instant::now() + timeout, timeout, ended: false })
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
            let left = self.deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&left)) {
                Ok(0) => {
                    let after = crate::units::seconds(self.timeout.as_secs_f64());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, format!("not done after {after}")));
                }
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for(&self.output)?;
        self.output.read(buffer)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // The group's id stays the command's until it is waited for. Where it has gone already nothing is left to do.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(script: &str, timeout: Duration) -> Running {
        Running::start(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], timeout).unwrap()
    }

    #[test]
    fn both_streams_are_read_in_order_and_the_status_is_judged() {
        let mut command = running("echo a; echo b >&2; echo c; exit 3", Duration::from_secs(60));
        let mut text = String::new();
        command.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a\nb\nc\n");
        assert!(command.finish().unwrap_err().contains("exit status: 3"));
    }

    #[test]
    fn a_command_that_never_ends_is_ended() {
        let started = Instant::now();
        let mut command = running("echo a; sleep 1000 & sleep 1000", Duration::from_millis(50));
        let mut text = String::new();
        let error = command.read_to_string(&mut text).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "not done after 50 ms"));
        // The pipe's end means that the shell's child has gone too, for it holds the other end.
        let mut pipe = command.output.try_clone().unwrap();
        drop(command);
        pipe.read_to_string(&mut text).unwrap();
        assert!(started.elapsed() < Duration::from_secs(100), "it was waited for");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = Running::start(&["no-such-program-here".to_owned()], Duration::from_secs(1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
