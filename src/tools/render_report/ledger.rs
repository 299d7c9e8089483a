//! `records.ndjson` while it is written: whole lines only, by one writer at a time, and what the disk has no room for is kept.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::intake::{self, Intake, RECORDS};
use crate::cli::{Console, Exit, Failure, Outcome};
use crate::ndjson::Line;
use crate::record::{Fold, Record};

/// What a torn line begins with once it was found: no `{`, so that readers pass over it and its text is still there.
const TORN: &[u8] = b"torn: ";

/// The stream on disk.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    path: PathBuf,
    /// How many bytes of whole lines there are.
    whole: u64,
    /// Bytes behind them: a line that lacks at least its end, for its writer died.
    torn: Vec<u8>,
    /// Lines that could not be written yet, in their order.
    waiting: Vec<Line>,
    /// The directories that were made for it, the innermost first.
    made: Vec<PathBuf>,
    /// With --append: the lines that are there and are no records of a kind that we know.
    others: Option<HashSet<String>>,
}

impl Ledger {
    /// Makes the directory `out` for a new scenario and its `records.ndjson`. What holds a scenario already is refused.
    pub(super) fn create(out: &Path) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io(&out.display().to_string(), error);
        let missing = |place: &&Path| !place.as_os_str().is_empty() && place.symlink_metadata().is_err();
        let made: Vec<PathBuf> = out.ancestors().take_while(missing).map(Path::to_owned).collect();
        fs::create_dir_all(out).map_err(|error| failed(&error))?;
        refuse_taken(out)?;
        let path = out.join(RECORDS);
        let opened = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = opened.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => occupied(out, RECORDS),
            _ => Failure::io(&path.display().to_string(), &error),
        })?;
        lock(&file, &path)?;
        Ok(Self { file, path, whole: 0, torn: Vec::new(), waiting: Vec::new(), made, others: None })
    }

    /// Opens the `records.ndjson` of `out` to be added to, and reads what it holds.
    pub(super) fn open(out: &Path, console: &Console) -> Result<(Self, Intake), Failure> {
        let path = out.join(RECORDS);
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::io(&name, &error);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
        lock(&file, &path)?;
        let mut others = HashSet::new();
        let again = file.try_clone().map_err(failed)?;
        let mut other = |text| {
            others.insert(text);
        };
        let intake = intake::read(again, &name, console, &mut other)?;
        let (whole, torn) = tail(&mut file).map_err(failed)?;
        let ledger = Self { file, path, whole, torn, waiting: Vec::new(), made: Vec::new(), others: Some(others) };
        Ok((ledger, intake))
    }

    /// Whether `line` need not be added, for it stands there already and is still the last word, which `fold` has.
    pub(super) fn holds(&self, line: &Line, fold: &Fold) -> bool {
        match (&self.others, line) {
            (None, _) => false,
            (Some(_), Line::Record(record)) => fold.get(record.key()).map(Record::text) == Some(record.text()),
            (Some(others), Line::Other(text)) => others.contains(text),
        }
    }

    /// Adds `line`, or keeps it until there is room. That there is none is said once.
    pub(super) fn add(&mut self, line: &Line, console: &Console) {
        let had_room = self.waiting.is_empty();
        self.waiting.push(line.clone());
        if let Err(error) = self.write()
            && had_room
        {
            let path = self.path.display();
            console.say(&format!(
                "{path}: {error}; what cannot be written is tried again, and the report is made all the same"
            ));
        }
    }

    /// Writes what waits.
    fn write(&mut self) -> io::Result<()> {
        if !self.torn.is_empty() {
            let whole = std::str::from_utf8(&self.torn).is_ok_and(|text| Record::parse(text).is_ok());
            let mended = [if whole { b"" } else { TORN }, &self.torn, b"\n"].concat();
            self.file.write_all_at(&mended, self.whole)?;
            self.whole += mended.len() as u64;
            self.torn.clear();
        }
        let mut written = 0;
        let outcome = self.waiting.iter().try_for_each(|line| {
            let bytes = format!("{}\n", line.text()).into_bytes();
            self.file.write_all_at(&bytes, self.whole).inspect_err(|_| {
                // Half a line would make a broken one of it and the next. Where even that fails it stays the last.
                let _ = self.file.set_len(self.whole);
            })?;
            self.whole += bytes.len() as u64;
            written += 1;
            Ok(())
        });
        self.waiting.drain(..written);
        outcome
    }

    /// Tries once more to write what waits, and gives what could not be written.
    pub(super) fn close(mut self, console: &Console) -> Vec<Line> {
        if !self.waiting.is_empty() && self.write().is_err() {
            console.say(&format!("{} lines could not be written: they go to stdout", self.waiting.len()));
        }
        self.waiting
    }

    /// Leaves things as they were found, for not one record came.
    pub(super) fn forget(self, console: &Console) -> Outcome {
        let out = self.path.parent().unwrap_or(Path::new("")).display();
        if self.others.is_some() {
            console.say(&format!("not one record came in, so {out} stays as it is"));
            return Ok(Exit::Incomplete);
        }
        let failed = |path: &Path, error: &io::Error| Failure::io(&path.display().to_string(), error);
        fs::remove_file(&self.path).map_err(|error| failed(&self.path, &error))?;
        for directory in &self.made {
            match fs::remove_dir(directory) {
                Ok(()) => {}
                // Somebody else has put something there meanwhile.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => break,
                Err(error) => return Err(failed(directory, &error)),
            }
        }
        console.say(&format!("not one record came in: there is nothing to report, and nothing is kept in {out}"));
        Ok(Exit::Incomplete)
    }
}

/// Whether the `records.ndjson` of `out` could be made, or be added to, as far as can be told without doing it.
pub(super) fn check(out: &Path, create: bool) -> Result<(), Failure> {
    if create {
        refuse_taken(out)?;
    }
    let there = out.ancestors().find(|place| place.exists()).unwrap_or(Path::new("."));
    super::files::check_writable(there)
}

/// What holds a scenario already is refused.
fn refuse_taken(out: &Path) -> Result<(), Failure> {
    let taken = super::files::OURS.iter().find(|name| out.join(name).symlink_metadata().is_ok());
    taken.map_or(Ok(()), |name| Err(occupied(out, name)))
}

fn occupied(out: &Path, name: &str) -> Failure {
    let out = out.display();
    Failure::usage(format!(
        "--out {out}: it holds {name} already, and scenarios are not mixed; name a new directory, or add --replay to \
         make this one's report again"
    ))
}

/// Two writers would tear each other's lines. A file system that knows no locks has to do without.
fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    match file.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Failure::usage(format!(
            "{}: another render-report is writing it: wait until that has ended",
            path.display()
        ))),
    }
}

/// How long the lines of `file` are that have an end, and what stands behind them.
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
