//! The cookie file: a line for each change of a job's cookies. A job's last line counts.
//!
//! `submit-jobs` and `poll-jobs` append to it at the same time, each under a lock. `poll-jobs` compacts it when it has grown.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Cookie;
use crate::cli::Failure;

/// The cookies of one job: a line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JobCookies {
    pub(super) run: String,
    pub(super) name: String,
    pub(super) cookies: Vec<Cookie>,
}

impl JobCookies {
    /// Its line, with the newline.
    pub(super) fn to_line(&self) -> io::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// A line that was read.
pub(super) enum Line {
    Cookies(JobCookies),
    /// Its writer was killed while writing it.
    Torn,
    /// It holds no cookies, for this reason.
    Foreign(String),
}

impl Line {
    fn parse(bytes: &[u8]) -> Self {
        match serde_json::from_slice(bytes) {
            Ok(cookies) => Self::Cookies(cookies),
            Err(error) if error.is_eof() => Self::Torn,
            // The position within a line says less than its number, and the line may hold secrets.
            Err(error) if error.is_data() => Self::Foreign("not a line that submit-jobs or poll-jobs wrote".to_owned()),
            Err(error) => Self::Foreign(format!("not JSON after {} bytes", error.column().saturating_sub(1))),
        }
    }
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
}

impl CookieFile {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), reader: None, writer: None, offset: 0, lines: 0 }
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

    /// Passes each whole line added since the last call to `take`, with its number and text. Returns true if an unfinished line follows.
    pub(super) fn read_new_lines(&mut self, take: &mut dyn FnMut(u64, Line, &[u8])) -> io::Result<bool> {
        if self.reader.is_none() {
            match File::open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Ok(file) if !file.metadata()?.is_file() => return Err(io::Error::other("not a regular file")),
                opened => self.reader = Some(opened?),
            }
        }
        let Some(file) = &mut self.reader else { return Ok(false) };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
            self.lines += 1;
            take(self.lines, Line::parse(line.trim_ascii_end()), line);
        }
        self.offset += whole as u64;
        Ok(whole < bytes.len())
    }

    /// Opens it for writing, with mode 0600, and makes other writers wait.
    pub(super) fn lock(&mut self) -> io::Result<()> {
        loop {
            let file = self.writer.take().map_or_else(|| open(&self.path), Ok)?;
            file.lock()?;
            let metadata = file.metadata()?;
            let identity = |of: &fs::Metadata| (of.dev(), of.ino());
            // It may have been replaced or deleted before it was locked.
            if metadata.is_file() && self.path.metadata().map_or(true, |now| identity(&now) != identity(&metadata)) {
                continue;
            }
            let reader = self.reader.as_ref().map(File::metadata).transpose()?;
            if reader.is_some_and(|reader| identity(&reader) != identity(&metadata)) {
                (self.reader, self.offset, self.lines) = (None, 0, 0);
            }
            self.writer = Some(file);
            return Ok(());
        }
    }

    /// Lets other writers write.
    pub(super) fn unlock(&self) -> io::Result<()> {
        self.writer.as_ref().map_or(Ok(()), File::unlock)
    }

    /// Appends `line`, under the lock, and counts it as read, with all lines before it.
    pub(super) fn write(&mut self, line: &str) -> io::Result<()> {
        let Some(file) = &mut self.writer else { return Err(io::Error::other("not open")) };
        let metadata = file.metadata()?;
        let mut last = [b'\n'];
        if metadata.is_file() && metadata.len() > 0 {
            file.read_exact_at(&mut last, metadata.len() - 1)?;
        }
        // A line that a killed process left in the middle ends here.
        let end = if last == *b"\n" { "" } else { "\n" };
        let text = format!("{end}{line}");
        file.write_all(text.as_bytes())?;
        (self.offset, self.lines) = (metadata.len() + text.len() as u64, self.lines + 1 + end.len() as u64);
        Ok(())
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
        (self.reader, self.writer) = (Some(File::open(&path)?), None);
        self.offset = text.len() as u64;
        self.lines = text.split_inclusive(|byte| *byte == b'\n').count() as u64;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    // A file that existed before keeps its mode, so others may be able to read it.
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o077 != 0 && metadata.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}
