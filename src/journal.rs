//! The journal of submissions: every intent and every answer, on disk before the pipe can lose them.
//!
//! It is a stream of Job records. A job is appended with phase `Submitting` and synced before its POST, and appended again
//! with the outcome. Folded, the journal gives the last known state of each job that any session tried to submit.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::cli::Failure;
use crate::clock::micro;
use crate::escape;
use crate::record::{API_VERSION, Fold, Job, JournalCost, Key, Kind, Parsed, Phase, Record};

/// The last known states of the jobs of a journal.
#[derive(Debug, Default)]
pub struct Entries {
    records: Fold,
    /// The line of each job's last record with an id, or else of its first record.
    lines: HashMap<Key, usize>,
    /// The number of each job's intents, without those whose request was never sent.
    intents: HashMap<Key, usize>,
}

impl Entries {
    /// The last known state of every job.
    pub fn records(&self) -> &Fold {
        &self.records
    }

    /// The last known state of a job.
    pub fn state_of(&self, key: &Key) -> Option<&Record> {
        self.records.get(key)
    }

    /// The reason why `job` cannot be the job of the same name in the journal, as the middle of a sentence; none if it can.
    pub fn contradiction(&self, key: &Key, job: &Job) -> Option<String> {
        let known: Job = self.records.get(key)?.read().ok()?;
        let line = self.lines.get(key)?;
        let Difference { what, one, other } = difference(&known, job)?;
        Some(format!(
            "line {line} has {} of run {} with the {what} {one}, but its record has {other}",
            key.name, key.run
        ))
    }

    /// Adds a line. The error says what it contradicts.
    fn add(&mut self, number: usize, record: Record) -> Result<(), String> {
        let (key, job): (_, Job) = (record.key().clone(), record.read().map_err(|error| error.to_string())?);
        if let Some(known) = self.records.get(&key) {
            let known: Job = known.read().map_err(|error| error.to_string())?;
            if let (Some(Difference { what, one, other }), Some(line)) =
                (difference(&job, &known), self.lines.get(&key))
            {
                return Err(format!(
                    "{} of run {} has the {what} {one}, but {other} on line {line}",
                    key.name, key.run
                ));
            }
        }
        let intents = self.intents.entry(key.clone()).or_default();
        match job.status.phase {
            Phase::Submitting => *intents += 1,
            // The last intent came to nothing. One of an earlier session, or its outcome, stays.
            Phase::Staged => {
                *intents = intents.saturating_sub(1);
                if *intents == 0 && self.records.get(&key).is_some_and(is_intent) {
                    self.records.remove(&key);
                }
                return Ok(());
            }
            _ => {}
        }
        let is_told = job.status.job_id.is_some() || !self.lines.contains_key(&key);
        self.records.add(record);
        if is_told {
            self.lines.insert(key, number);
        }
        Ok(())
    }
}

/// Returns true if the record only says that the job was about to be submitted.
fn is_intent(record: &Record) -> bool {
    record.read::<Job>().is_ok_and(|job| job.status.phase == Phase::Submitting)
}

/// A field that differs between two records of the same name.
struct Difference {
    what: &'static str,
    one: String,
    other: String,
}

/// The first difference that shows that these are two jobs: in their ids or their inputs.
fn difference(one: &Job, other: &Job) -> Option<Difference> {
    let quoted = |text: &str| format!("\"{}\"", escape::start(text, 60));
    let differ = |what, one: &str, other: &str| {
        let are_two = !one.is_empty() && !other.is_empty() && one != other;
        are_two.then(|| Difference { what, one: quoted(one), other: quoted(other) })
    };
    let (a, b) = (&one.spec, &other.spec);
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    // The path of a source may differ each time the tool starts.
    let path = |job: &Job| if job.spec.source.is_empty() { text(&job.spec.path) } else { String::new() };
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
    let data = |job: &Job| serde_json::to_string(&job.spec.data).unwrap_or_default();
    differ("id", &text(&one.status.job_id), &text(&other.status.job_id))
        .or_else(|| differ("source", &a.source, &b.source))
        .or_else(|| differ("path", &path(one), &path(other)))
        .or_else(|| differ("size in bytes", &bytes(a.bytes), &bytes(b.bytes)))
        .or_else(|| differ("data", &data(one), &data(other)))
}

/// A journal that is open for appending. One process writes it at a time.
#[derive(Debug)]
pub struct Journal {
    name: String,
    file: File,
    entries: Entries,
    /// The length of the whole lines in bytes, until a line is appended to them.
    torn_at: Option<u64>,
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
        let (entries, whole) = read(&mut file, &name, "nothing is submitted")?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        file.sync_all().and_then(|()| File::open(dir)?.sync_all()).map_err(failed)?;
        Ok(Self { name, file, entries, torn_at: Some(whole), failed: false, syncs: None })
    }

    /// Its flag and its path, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last known state of every job in the journal when it was opened.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Appends a record. After an error nothing more is appended: a line that was cut off would spoil the next one.
    pub fn append(&mut self, record: &Record) -> Result<(), Failure> {
        let mut line = record.text().to_owned();
        line.push('\n');
        // A torn line was never synced, so its POST was never sent.
        let written = self.torn_at.take().map_or(Ok(()), |whole| self.file.set_len(whole));
        let written = written.and_then(|()| self.file.write_all(line.as_bytes()));
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

/// Reads the journal at `path`, which another process may be writing, for `poll-jobs`.
pub fn read_journal(path: &Path) -> Result<Entries, Failure> {
    let name = format!("--journal {}", path.display());
    // Opening a FIFO would wait for its writer.
    let is_file = path.metadata().map_err(|error| Failure::io(&name, &error))?.is_file();
    if !is_file {
        return Err(Failure::usage(format!("{name}: not a regular file: name the journal that submit-jobs wrote")));
    }
    let mut file = File::open(path).map_err(|error| Failure::io(&name, &error))?;
    read(&mut file, &name, "nothing is polled, and the records stay as they are").map(|(entries, _)| entries)
}

/// The entries, and the length of the whole lines in bytes. The failure's message says the `outcome` for the caller.
fn read(file: &mut File, name: &str, outcome: &str) -> Result<(Entries, u64), Failure> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|error| Failure::io(name, &error))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    let mut entries = Entries::default();
    if whole == 0 && !may_be_torn_record(&bytes) {
        return Err(Failure::usage(format!("{name} is not a journal: {outcome}; name another file")));
    }
    for (index, line) in bytes[..whole].split(|byte| *byte == b'\n').enumerate() {
        let spoilt = |why: &str| {
            Failure::usage(format!(
                "{name} line {}: {why}: {outcome}; restore the file, or name another one",
                index + 1
            ))
        };
        match std::str::from_utf8(line).map_err(|error| spoilt(&error.to_string()))? {
            "" => {}
            text => match Record::parse(text).map_err(|error| spoilt(&error.to_string()))? {
                Parsed::Record(record) if record.kind() == Kind::Job => {
                    entries.add(index + 1, record).map_err(|why| spoilt(&why))?;
                }
                _ => return Err(spoilt("not a Job record of this version")),
            },
        }
    }
    Ok((entries, whole as u64))
}

/// Returns true if `bytes` may be what a crash left of the first line of a journal: its beginning, with zeros where nothing reached the disk.
fn may_be_torn_record(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let head = format!("{{\"apiVersion\":\"{API_VERSION}\"");
    bytes[..end].iter().zip(head.as_bytes()).all(|(byte, expected)| byte == expected)
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
        assert_eq!(read_journal(&path).unwrap().records().jobs().count(), 1);
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&job("Submitted")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(read_journal(&path).unwrap().records().records().next(), Some(&job("Submitted")));
    }

    #[test]
    fn an_intent_whose_request_was_never_sent_is_none() {
        let state = |phases: &[&str]| {
            let mut entries = Entries::default();
            for (index, phase) in phases.iter().enumerate() {
                entries.add(index + 1, job(phase)).unwrap();
            }
            entries.records().jobs().next().map(|job| job.status.phase)
        };
        assert_eq!(state(&["Submitting", "Staged"]), None);
        assert_eq!(state(&["Submitting", "Staged", "Submitting"]), Some(Phase::Submitting));
        assert_eq!(
            state(&["Submitting", "Submitting", "Staged"]),
            Some(Phase::Submitting),
            "the first may have arrived"
        );
        assert_eq!(state(&["Submitting", "Unknown", "Submitting", "Staged"]), Some(Phase::Unknown));
        assert_eq!(state(&["Submitting", "Staged", "Submitting", "Submitted"]), Some(Phase::Submitted));
    }

    #[test]
    fn a_second_writer_and_a_spoilt_line_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        assert!(Journal::open(&path).unwrap_err().message().unwrap().contains("another submit-jobs"));
        drop(journal);
        for (text, named) in
            [("{\"half\":\n", "line 1"), ("notes of somebody", "not a journal"), ("{\"a\":1}", "not a journal")]
        {
            std::fs::write(&path, text).unwrap();
            let failure = Journal::open(&path).unwrap_err();
            assert!(failure.message().unwrap().contains(named) && failure.exit().code() == 2, "{failure:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let failure = read_journal(dir.path()).unwrap_err();
        assert!(failure.message().unwrap().contains("not a regular file") && failure.exit().code() == 2);
        for torn in ["", "{\"apiVers", "{\"apiVersion\":\"stress/v1\",\"kind\":\"Jo", "\0\0\0", "{\"api\0\0"] {
            std::fs::write(&path, torn).unwrap();
            assert!(Journal::open(&path).is_ok(), "{torn:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), torn, "it stays until something is appended");
        }
    }
}
