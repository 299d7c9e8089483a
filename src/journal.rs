//! The journal of submissions: every intent and every answer, on disk before the pipe can lose them.
//!
//! It is a stream of Job records. A job is appended with phase `Submitting` and synced before its POST, and appended again
//! with the outcome. Folded, the journal gives the last known state of each job that any session tried to submit.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::Failure;
use crate::clock::micro;
use crate::record::{Fold, JournalCost, Key, Kind, Parsed, Record};

/// A journal that is open for appending. One process writes it at a time.
#[derive(Debug)]
pub struct Journal {
    name: String,
    file: File,
    records: Fold,
    failed: bool,
    /// The beginning of the first sync, the number of syncs, and the time that they took.
    syncs: Option<(Instant, u64, Duration)>,
}

impl Journal {
    /// Opens the journal at `path`, makes it if it is missing, and reads what earlier sessions wrote.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let name = format!("--journal {}", path.display());
        let failed = |error: io::Error| Failure::io(&name, &error);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Failure::usage(format!(
                "{name}: not a regular file: name one that can be created or appended to"
            )));
        }
        match file.try_lock() {
            Ok(()) => {}
            // Two writers would each submit what the other has submitted.
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::usage(format!(
                    "{name}: another submit-jobs is writing to it: wait until it has finished"
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let (records, whole) = read(&mut file, &name)?;
        // A torn line was never synced, so its POST was never sent.
        file.set_len(whole).map_err(failed)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        file.sync_all().and_then(|()| File::open(dir)?.sync_all()).map_err(failed)?;
        Ok(Self { name, file, records, failed: false, syncs: None })
    }

    /// The last known state of every job in the journal.
    pub fn records(&self) -> &Fold {
        &self.records
    }

    /// The last known state of a job.
    pub fn state_of(&self, key: &Key) -> Option<&Record> {
        self.records.get(key)
    }

    /// Appends a record. After an error nothing more is appended: a line that was cut off would spoil the next one.
    pub fn append(&mut self, record: &Record) -> Result<(), Failure> {
        let mut line = record.text().to_owned();
        line.push('\n');
        let written = self.file.write_all(line.as_bytes());
        self.checked(written)
    }

    /// Returns once everything that was appended is on disk.
    pub fn sync(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let synced = self.file.sync_data();
        let (_, count, took) = self.syncs.get_or_insert((began, 0, Duration::ZERO));
        (*count, *took) = (*count + 1, *took + began.elapsed());
        self.checked(synced)
    }

    /// The cost of its syncs until now; none if it was never synced.
    pub fn cost(&self) -> Option<JournalCost> {
        let (first, syncs, took) = self.syncs?;
        let (sync_seconds, window_seconds) = (micro(took.as_secs_f64()), micro(first.elapsed().as_secs_f64()));
        Some(JournalCost { syncs, sync_seconds, window_seconds })
    }

    fn checked(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        let result = if self.failed { Err(io::Error::other("an earlier write failed")) } else { result };
        self.failed |= result.is_err();
        result.map_err(|error| Failure::io(&self.name, &error))
    }
}

/// Reads the journal at `path`, which another process may be writing.
pub fn read_journal(path: &Path) -> Result<Fold, Failure> {
    let name = format!("--journal {}", path.display());
    let mut file = File::open(path).map_err(|error| Failure::io(&name, &error))?;
    read(&mut file, &name).map(|(records, _)| records)
}

/// The folded records, and the length of the whole lines in bytes.
fn read(file: &mut File, name: &str) -> Result<(Fold, u64), Failure> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| Failure::io(name, &error))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut records = Fold::default();
    for (index, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
        let spoilt = |why: &str| Failure::usage(format!("{name} line {}: {why}: nothing is submitted", index + 1));
        match std::str::from_utf8(line).map_err(|error| spoilt(&error.to_string()))? {
            "" => {}
            text => match Record::parse(text).map_err(|error| spoilt(&error.to_string()))? {
                Parsed::Record(record) if record.kind() == Kind::Job => records.add(record),
                _ => return Err(spoilt("not a Job record of this version")),
            },
        }
    }
    Ok((records, whole as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(phase: &str) -> Record {
        let line = format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"a","run":"r"}},"status":{{"phase":"{phase}"}}}}"#
        );
        match Record::parse(&line).unwrap() {
            Parsed::Record(record) => record,
            Parsed::Other => panic!("not a record"),
        }
    }

    #[test]
    fn a_torn_line_is_cut_off_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&job("Submitting")).unwrap();
        assert_eq!(journal.cost(), None);
        journal.sync().unwrap();
        let cost = journal.cost().unwrap();
        assert!(cost.syncs == 1 && cost.sync_seconds > 0.0 && cost.window_seconds >= cost.sync_seconds, "{cost:?}");
        drop(journal);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(br#"{"apiVersion":"stress/v1","ki"#).unwrap();
        assert_eq!(read_journal(&path).unwrap().jobs().count(), 1);
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&job("Submitted")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(read_journal(&path).unwrap().records().next(), Some(&job("Submitted")));
    }

    #[test]
    fn a_second_writer_and_a_spoilt_line_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        assert!(Journal::open(&path).unwrap_err().message().unwrap().contains("another submit-jobs"));
        drop(journal);
        std::fs::write(&path, "{\"half\":\n").unwrap();
        let failure = Journal::open(&path).unwrap_err();
        assert!(failure.message().unwrap().contains("line 1"), "{failure:?}");
        assert_eq!(failure.exit().code(), 2);
    }
}
