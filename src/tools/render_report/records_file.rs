//! `records.ndjson` while it is written: whole lines only, by one writer at a time. Lines that the disk has no room for are kept.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::run_dir::{self, RECORDS};
use crate::cli::{Console, Exit, Failure, Outcome};
use crate::ndjson::{self, Line};
use crate::record::Record;

/// The stream on disk.
#[derive(Debug)]
pub(super) struct RecordsFile {
    file: File,
    path: PathBuf,
    /// The length of the whole lines, in bytes.
    whole: u64,
    /// The bytes behind them: a line without its end, whose writer died.
    torn: Vec<u8>,
    /// Lines that could not be written yet, in order.
    waiting: Vec<Line>,
    /// The directories that were made for it, the innermost first.
    made: Vec<PathBuf>,
    /// With --append: the lines of the file that are no records of a known kind.
    other_lines: Option<HashSet<String>>,
}

impl RecordsFile {
    /// Makes the directory `out` for a new scenario and its `records.ndjson`. A directory that holds a scenario is refused.
    pub(super) fn create(out: &Path) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io(&out.display().to_string(), error);
        let missing = |place: &&Path| !place.as_os_str().is_empty() && place.symlink_metadata().is_err();
        let made: Vec<PathBuf> = out.ancestors().take_while(missing).map(Path::to_owned).collect();
        fs::create_dir_all(out).map_err(|error| failed(&error))?;
        refuse_existing(out)?;
        let path = out.join(RECORDS);
        let opened = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => occupied(out, RECORDS),
            _ => Failure::io(&path.display().to_string(), &error),
        })?;
        lock(&file, &path)?;
        Ok(Self { file, path, whole: 0, torn: Vec::new(), waiting: Vec::new(), made, other_lines: None })
    }

    /// Opens the `records.ndjson` of `out` to be added to, and gives its lines to `read`, which returns those that are no records
    /// of a known kind.
    pub(super) fn open<T>(
        out: &Path,
        read: impl FnOnce(File, &str) -> Result<(T, HashSet<String>), Failure>,
    ) -> Result<(Self, T), Failure> {
        let path = out.join(RECORDS);
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::io(&name, &error);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        lock(&file, &path)?;
        let (input, other_lines) = read(file.try_clone().map_err(failed)?, &name)?;
        let (whole, torn) = tail(&mut file).map_err(failed)?;
        let other_lines = Some(other_lines);
        Ok((Self { file, path, whole, torn, waiting: Vec::new(), made: Vec::new(), other_lines }, input))
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle to the file, to read from.
    pub(super) fn reader(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|error| Failure::io(&self.path.display().to_string(), &error))
    }

    /// Returns true if `line` stands in the file already and is, if it is a record, still the last word on its resource.
    pub(super) fn holds(
        &self,
        line: &Line,
        is_last_word: impl FnOnce(&Record) -> io::Result<bool>,
    ) -> io::Result<bool> {
        match (&self.other_lines, line) {
            (None, _) => Ok(false),
            (Some(_), Line::Record(record)) => is_last_word(record),
            (Some(other_lines), Line::Other(text)) => Ok(other_lines.contains(text)),
        }
    }

    /// Adds `line` and returns its place, or keeps it until there is room. A full disk is reported once.
    pub(super) fn add(&mut self, line: &Line, console: &Console) -> Option<Range<u64>> {
        let had_room = self.waiting.is_empty();
        self.waiting.push(line.clone());
        match self.write() {
            Ok(()) => Some(self.whole - line.text().len() as u64 - 1..self.whole),
            Err(error) => {
                if had_room {
                    let path = self.path.display();
                    console.say(&format!(
                        "{path}: {error}; writing is tried again later, and the report is written anyway"
                    ));
                }
                None
            }
        }
    }

    /// Writes the waiting lines.
    fn write(&mut self) -> io::Result<()> {
        if !self.torn.is_empty() {
            let mended = ndjson::mended(&self.torn);
            self.file.write_all_at(&mended, self.whole)?;
            self.whole += mended.len() as u64;
            self.torn.clear();
        }
        let mut written = 0;
        let outcome = self.waiting.iter().try_for_each(|line| {
            let bytes = format!("{}\n", line.text()).into_bytes();
            self.file.write_all_at(&bytes, self.whole).inspect_err(|_| {
                // A partial line would break the next one as well. If it cannot be cut off either, it stays the last one.
                let _ = self.file.set_len(self.whole);
            })?;
            self.whole += bytes.len() as u64;
            written += 1;
            Ok(())
        });
        self.waiting.drain(..written);
        outcome
    }

    /// Tries once more to write the waiting lines, and returns those that could not be written.
    pub(super) fn close(mut self, console: &Console) -> Vec<Line> {
        if !self.waiting.is_empty() && self.write().is_err() {
            console.say(&format!("{} lines could not be written and go to stdout", self.waiting.len()));
        }
        self.waiting
    }

    /// Leaves things as they were found, because not one record came.
    pub(super) fn discard(self, console: &Console) -> Outcome {
        let out = self.path.parent().unwrap_or(Path::new("")).display();
        if self.other_lines.is_some() {
            console.say(&format!("no record came in, so {out} is unchanged"));
            return Ok(Exit::Incomplete);
        }
        let failed = |path: &Path, error: &io::Error| Failure::io(&path.display().to_string(), error);
        fs::remove_file(&self.path).map_err(|error| failed(&self.path, &error))?;
        for directory in &self.made {
            match fs::remove_dir(directory) {
                Ok(()) => {}
                // Another program has put something there meanwhile.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => break,
                Err(error) => return Err(failed(directory, &error)),
            }
        }
        console.say(&format!("no record came in: there is nothing to report, and nothing is kept in {out}"));
        Ok(Exit::Incomplete)
    }
}

/// Checks, without doing it, that the `records.ndjson` of `out` can be made or added to.
pub(super) fn check(out: &Path, create: bool) -> Result<(), Failure> {
    if create {
        refuse_existing(out)?;
    }
    let there = out.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    run_dir::check_writable(there)
}

/// Refuses a directory that holds a scenario already.
fn refuse_existing(out: &Path) -> Result<(), Failure> {
    run_dir::existing_file(out).map_or(Ok(()), |name| Err(occupied(out, name)))
}

fn occupied(out: &Path, name: &str) -> Failure {
    let out = out.display();
    Failure::usage(format!(
        "--out {out}: it already holds {name}; name a new directory, or add --replay to rewrite this one's report"
    ))
}

/// Two writers would tear each other's lines. A file system that knows no locks has to do without.
fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    match file.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Failure::usage(format!(
            "{}: another render-report is writing to it: wait until it has finished",
            path.display()
        ))),
    }
}

/// The length of the lines of `file` that have an end, and the bytes behind them.
fn tail(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    const STEP: u64 = 64 * 1024;
    let length = file.seek(SeekFrom::End(0))?;
    let mut torn = Vec::new();
    let mut at = length;
    while at > 0 {
        let from = at.saturating_sub(STEP);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        Read::by_ref(file).take(at - from).read_to_end(&mut bytes)?;
        if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
            torn.splice(0..0, bytes[end + 1..].iter().copied());
            return Ok((from + end as u64 + 1, torn));
        }
        torn.splice(0..0, bytes);
        at = from;
    }
    Ok((0, torn))
}
