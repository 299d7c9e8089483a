//! The FIFO by which `poll-jobs` tells `submit-jobs` that a job has ended: one byte frees one slot.
//!
//! The reader opens it `O_RDONLY|O_NONBLOCK`, the writer `O_RDWR|O_NONBLOCK`, so neither waits for the other and neither
//! dies of the other's death. On Linux a read of 0 bytes means "no writer now", whether it never came or has gone; "would
//! block" means that a writer is there. Only poll(2)'s POLLHUP means that the last writer has gone.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};

use crate::cli::Failure;

/// Makes the FIFO unless it is there, and opens it.
fn open(path: &Path, access: OFlags) -> Result<OwnedFd, Failure> {
    let failed = |what: &str, error: rustix::io::Errno| {
        Failure::io(&format!("--slots {}: {what}", path.display()), &error.into())
    };
    match rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(failed("cannot create the FIFO", error)),
    }
    let fd = rustix::fs::open(path, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| failed("cannot open it", error))?;
    let stat = rustix::fs::fstat(&fd).map_err(|error| failed("cannot inspect it", error))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Fifo {
        Ok(fd)
    } else {
        Err(Failure::usage(format!(
            "--slots {}: it exists and is not a FIFO: name a path where one can be created",
            path.display()
        )))
    }
}

/// The writing end, held by `poll-jobs`.
#[derive(Debug)]
pub struct Giver {
    fifo: File,
    owed: usize,
}

impl Giver {
    /// Opens the FIFO at `path`.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self { fifo: File::from(open(path, OFlags::RDWR)?), owed: 0 })
    }

    /// Frees one slot. A FIFO that is full keeps the slot owed until the next call.
    pub fn free_one(&mut self) -> io::Result<()> {
        self.owed += 1;
        self.settle()
    }

    /// Writes what is owed, as far as the FIFO takes it.
    pub fn settle(&mut self) -> io::Result<()> {
        while self.owed > 0 {
            let bytes = [b'.'; 256];
            match self.fifo.write(&bytes[..self.owed.min(bytes.len())]) {
                Ok(written) => self.owed -= written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns true if slots are owed that the FIFO had no room for.
    pub fn owes(&self) -> bool {
        self.owed > 0
    }
}

/// A message from the FIFO, or a change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The writer has come.
    WriterCame,
    /// This many slots were freed.
    Freed(usize),
    /// The writer has gone.
    WriterGone,
    /// No writer came in time.
    NoWriter,
    /// The reader of standard output has gone.
    OutputGone,
}

/// The reading end, held by `submit-jobs`.
#[derive(Debug)]
pub struct Taker {
    fifo: File,
    deadline: Instant,
    writer_seen: bool,
}

impl Taker {
    /// Opens the FIFO at `path`; a writer must come within `patience`.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, Failure> {
        let fifo = File::from(open(path, OFlags::RDONLY)?);
        // Two that take from one FIFO would take each other's slots.
        if rustix::fs::flock(&fifo, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK) {
            let path = path.display();
            return Err(Failure::usage(format!(
                "--slots {path}: another submit-jobs is reading from it: name another FIFO"
            )));
        }
        Ok(Self { fifo, deadline: Instant::now() + patience, writer_seen: false })
    }

    /// Waits for the next event, watching `output`, where there is one, for its reader's going.
    pub fn wait(&mut self, output: Option<BorrowedFd<'_>>) -> io::Result<Event> {
        /// Interval at which to check whether a writer has come: poll(2) does not report it.
        const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };
        loop {
            if let Some(event) = self.look()? {
                return Ok(event);
            }
            let mut watched = vec![PollFd::from_borrowed_fd(self.fifo.as_fd(), PollFlags::IN)];
            watched.extend(output.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::empty())));
            match poll(&mut watched, if self.writer_seen { None } else { Some(&LOOK) }) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (fifo, output) = (watched[0].revents(), watched.get(1).map(PollFd::revents));
            if output.is_some_and(|events| events.intersects(PollFlags::ERR | PollFlags::HUP)) {
                return Ok(Event::OutputGone);
            }
            if fifo.contains(PollFlags::HUP) && !fifo.contains(PollFlags::IN) {
                return Ok(Event::WriterGone);
            }
        }
    }

    /// Reads what is there, and learns from what is not whether a writer is.
    fn look(&mut self) -> io::Result<Option<Event>> {
        let mut bytes = [0; 4096];
        match self.fifo.read(&mut bytes) {
            Ok(0) if self.writer_seen || Instant::now() < self.deadline => Ok(None),
            Ok(0) => Ok(Some(Event::NoWriter)),
            Ok(count) => {
                self.writer_seen = true;
                Ok(Some(Event::Freed(count)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok((!std::mem::replace(&mut self.writer_seen, true)).then_some(Event::WriterCame))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Waits for events at the FIFO `path`, where there is one, in a thread of its own, until one is the last or `tell` wants no
/// more.
pub fn listen(
    path: Option<&Path>,
    patience: Duration,
    output: Option<BorrowedFd<'static>>,
    tell: impl Fn(io::Result<Event>) -> bool + Send + 'static,
) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let mut taker = Taker::open(path, patience)?;
    let hear = move || {
        loop {
            let event = taker.wait(output);
            let last = !matches!(event, Ok(Event::WriterCame | Event::Freed(_)));
            if !tell(event) || last {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("slots".to_owned()).spawn(hear);
    thread.map(drop).map_err(|error| Failure::thread(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slots");
        (dir, path)
    }

    #[test]
    fn bytes_free_slots_and_the_writers_end_is_seen() {
        let (_dir, path) = fifo();
        let mut taker = Taker::open(&path, Duration::from_secs(10)).unwrap();
        let mut giver = Giver::open(&path).unwrap();
        giver.free_one().unwrap();
        giver.free_one().unwrap();
        assert_eq!(taker.wait(None).unwrap(), Event::Freed(2));
        drop(giver);
        assert_eq!(taker.wait(None).unwrap(), Event::WriterGone);
    }

    #[test]
    fn slots_given_before_the_taker_came_are_not_lost() {
        let (_dir, path) = fifo();
        let mut giver = Giver::open(&path).unwrap();
        giver.free_one().unwrap();
        let mut taker = Taker::open(&path, Duration::from_secs(10)).unwrap();
        assert_eq!(taker.wait(None).unwrap(), Event::Freed(1));
    }

    #[test]
    fn a_full_fifo_owes_and_pays_later() {
        let (_dir, path) = fifo();
        let mut giver = Giver::open(&path).unwrap();
        let mut count_given = 0;
        while !giver.owes() {
            giver.free_one().unwrap();
            count_given += 1;
        }
        let mut taker = Taker::open(&path, Duration::from_secs(10)).unwrap();
        let mut count_taken = 0;
        while count_taken < count_given {
            match taker.wait(None).unwrap() {
                Event::Freed(count) => count_taken += count,
                other => panic!("{other:?}"),
            }
            giver.settle().unwrap();
        }
        assert_eq!(count_taken, count_given);
    }

    #[test]
    fn no_writer_is_an_event_and_no_hang() {
        let (_dir, path) = fifo();
        let mut taker = Taker::open(&path, Duration::from_millis(30)).unwrap();
        assert_eq!(taker.wait(None).unwrap(), Event::NoWriter);
    }

    #[test]
    fn the_end_of_the_output_is_seen() {
        let (_dir, path) = fifo();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut taker = Taker::open(&path, Duration::from_secs(10)).unwrap();
        drop(reader);
        assert_eq!(taker.wait(Some(writer.as_fd())).unwrap(), Event::OutputGone);
    }

    #[test]
    fn two_takers_do_not_share_a_fifo() {
        let (_dir, path) = fifo();
        let first = Taker::open(&path, Duration::from_secs(10)).unwrap();
        let failure = Taker::open(&path, Duration::from_secs(10)).unwrap_err();
        assert!(failure.message().unwrap().contains("another submit-jobs"), "{failure:?}");
        drop(first);
        Taker::open(&path, Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn a_file_that_is_no_fifo_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = Giver::open(file.path()).unwrap_err();
        assert!(failure.message().unwrap().contains("not a FIFO"), "{failure:?}");
    }
}
