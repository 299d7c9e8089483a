//! The cookie file: a line for each change of a job's cookies. A job's last line counts.
//!
//! `submit-jobs` and `poll-jobs` append to it at the same time, each under a lock. `poll-jobs` compacts it when it has grown.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Cookie, text_of};
use crate::cli::{Failure, Stop};
use crate::private_file;

/// The longest wait for another process that has locked the file, the same after a signal, and the time from one attempt to the next.
const LOCKED_FOR: Duration = Duration::from_secs(5);
const LOCKED_BRIEFLY: Duration = Duration::from_millis(200);
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// The beginning of each line, which a line that was cut off shares.
const START: &[u8] = br#"{"run":""#;

/// The cookies of one job: a line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CookieLine {
    pub(super) run: String,
    pub(super) name: String,
    pub(super) cookies: Vec<Cookie>,
    /// An answer to a poll changed them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) polled: bool,
    /// They have a character for each byte. Earlier versions, which kept only cookies that were UTF-8, wrote those as such.
    #[serde(default)]
    latin1: bool,
}

impl CookieLine {
    pub(super) fn new(run: String, name: String, cookies: Vec<Cookie>, polled: bool) -> Self {
        Self { run, name, cookies, polled, latin1: true }
    }

    fn read(bytes: &[u8]) -> serde_json::Result<Self> {
        let mut line: Self = serde_json::from_slice(bytes)?;
        if !line.latin1 {
            line.cookies.iter_mut().for_each(|cookie| cookie.pair = text_of(cookie.pair.as_bytes()));
        }
        Ok(line)
    }

    /// Its line, with the newline.
    pub(super) fn to_line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// A line that was read.
pub(super) enum Line {
    Cookies(CookieLine),
    /// It holds no cookies, for this reason.
    Foreign(String),
}

impl Line {
    fn parse(bytes: &[u8]) -> Self {
        match CookieLine::read(bytes) {
            _ if bytes.is_empty() => Self::Foreign("empty".to_owned()),
            Ok(cookies) => Self::Cookies(cookies),
            // The position within a line says less than its number, and the line may hold secrets.
            Err(error) if error.is_data() => Self::Foreign("not a line that submit-jobs or poll-jobs wrote".to_owned()),
            Err(error) if error.is_eof() && is_torn(bytes) => Self::Foreign("cut off".to_owned()),
            Err(error) => Self::Foreign(format!("not JSON after {} bytes", error.column().saturating_sub(1))),
        }
    }
}

/// The text after the last line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    None,
    /// A line that is being written, or that its writer was killed while writing.
    Torn,
    /// Anything else, which counts as a line.
    Line,
}

/// Returns true if the incomplete line `bytes` begins as all lines do.
fn is_torn(bytes: &[u8]) -> bool {
    bytes.starts_with(START) || START.starts_with(bytes)
}

/// The file, which is opened once it is needed.
#[derive(Debug)]
pub(super) struct CookieFile {
    path: PathBuf,
    reader: Option<File>,
    writer: Option<File>,
    /// The whole lines that were read: their length in bytes, and their number.
    offset: u64,
    lines: u64,
    /// The length of the file when it ended in a line without a line end.
    unended: Option<u64>,
    /// Another process held the lock for too long.
    is_held: bool,
    /// The signal that ends a long wait for the lock.
    stop: Stop,
}

impl CookieFile {
    pub(super) fn new(path: &Path, stop: &Stop) -> Self {
        let (path, stop) = (path.to_owned(), stop.clone());
        Self { path, reader: None, writer: None, offset: 0, lines: 0, unended: None, is_held: false, stop }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The failure to read or write it.
    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        Failure::io(&format!("--cookies {}", self.path.display()), error)
    }

    /// Returns true if the file existed when its lines were read.
    pub(super) fn was_there(&self) -> bool {
        self.reader.is_some()
    }

    /// Passes each line added since the last call to `take`, with its number and text. A line that is not whole is left for the next
    /// call, unless it cannot be the beginning of one: then it is passed, and again once its line end has come.
    pub(super) fn read_new_lines(&mut self, take: &mut dyn FnMut(u64, Line, &[u8])) -> io::Result<Tail> {
        if self.reader.is_none() {
            match File::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tail::None),
                Ok(file) if !file.metadata()?.is_file() => return Err(io::Error::other("not a regular file")),
                opened => self.reader = Some(opened?),
            }
        }
        let Some(file) = &mut self.reader else { return Ok(Tail::None) };
        if self.unended.is_some_and(|length| file.metadata().is_ok_and(|now| now.len() == length)) {
            return Ok(Tail::Line);
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (whole, tail) = bytes.split_at(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            self.lines += 1;
            take(self.lines, Line::parse(line.trim_ascii_end()), line);
        }
        self.offset += whole.len() as u64;
        match CookieLine::read(tail) {
            _ if tail.is_empty() => Ok(Tail::None),
            Err(error) if error.is_eof() && is_torn(tail) => Ok(Tail::Torn),
            _ => {
                self.unended = Some(self.offset + tail.len() as u64);
                take(self.lines + 1, Line::parse(tail), &[]);
                Ok(Tail::Line)
            }
        }
    }

    /// Opens it for writing, with mode 0600, and makes other writers wait.
    pub(super) fn lock(&mut self) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let longest = if self.stop.signal().is_some() { LOCKED_BRIEFLY } else { LOCKED_FOR };
            let file = self
                .writer
                .take()
                .map_or_else(|| private_file::open(OpenOptions::new().read(true).append(true), &self.path), Ok)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(error),
                // A process that holds the lock for so long once is not waited for again.
                Err(TryLockError::WouldBlock) if self.is_held || began.elapsed() > longest => {
                    self.is_held = true;
                    return Err(io::Error::other(
                        "another process keeps it locked: end that process (fuser names it), or name another file",
                    ));
                }
                Err(TryLockError::WouldBlock) => {
                    self.writer = Some(file);
                    std::thread::sleep(LOCK_INTERVAL);
                    continue;
                }
            }
            self.is_held = false;
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            let identity = |of: &fs::Metadata| (of.dev(), of.ino());
            // It may have been replaced or deleted before it was locked.
            if self.path.metadata().map_or(true, |now| identity(&now) != identity(&metadata)) {
                continue;
            }
            let reader = self.reader.as_ref().map(File::metadata).transpose()?;
            if reader.is_some_and(|reader| identity(&reader) != identity(&metadata)) {
                (self.reader, self.unended, self.offset, self.lines) = (None, None, 0, 0);
            }
            self.writer = Some(file);
            return Ok(());
        }
    }

    /// Lets other writers write.
    pub(super) fn unlock(&self) -> io::Result<()> {
        self.writer.as_ref().map_or(Ok(()), File::unlock)
    }

    /// Passes the lines that were added to `take` and appends `line`, under the lock. A line that was cut off is removed first.
    pub(super) fn write(&mut self, line: &str, take: &mut dyn FnMut(u64, Line, &[u8])) -> io::Result<()> {
        let tail = self.read_new_lines(take)?;
        let Some(file) = &mut self.writer else { return Err(io::Error::other("not open")) };
        match tail {
            Tail::None => {}
            Tail::Torn => file.set_len(self.offset)?,
            Tail::Line => {
                file.write_all(b"\n")?;
                self.read_new_lines(take)?;
            }
        }
        let Some(file) = &mut self.writer else { return Err(io::Error::other("not open")) };
        file.write_all(line.as_bytes())?;
        (self.offset, self.lines) = (self.offset + line.len() as u64, self.lines + 1);
        Ok(())
    }

    /// Deletes it, under the lock. A symbolic link is kept, and the file that it points to is deleted.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        fs::remove_file(fs::canonicalize(&self.path)?)
    }

    /// Replaces it, under the lock, with a file of these lines, and counts them as read. If killed, it leaves either the old or the new.
    pub(super) fn replace(&mut self, text: &[u8]) -> io::Result<()> {
        // A symbolic link is kept, and the file that it points to is replaced.
        let path = fs::canonicalize(&self.path)?;
        let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text)?;
        file.sync_data()?;
        fs::rename(&new, &path)?;
        // Those that wait for the lock of the old one find that it was replaced.
        (self.reader, self.writer, self.unended) = (Some(File::open(&path)?), None, None);
        self.offset = text.len() as u64;
        self.lines = text.split_inclusive(|byte| *byte == b'\n').count() as u64;
        Ok(())
    }
}
