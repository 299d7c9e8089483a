//! The last record of every job of a stream, left on disk: memory holds the place of each, not its record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::record::{Job, Jobs, Record, Standing, Timestamp};

/// A job's last record: the amount of information in it, and the place of its text. There may be a million of them.
#[derive(Clone, Copy, Debug)]
struct Held {
    rank: u8,
    observed_at: Option<Timestamp>,
    /// The length of its line in the file, with its end; zero if it is one of the texts in memory.
    length: u32,
    /// The place of the line in the file, or the index of the text.
    start: u64,
}

impl Held {
    fn standing(&self) -> Standing {
        (self.rank, self.observed_at)
    }
}

/// The number of a run in the order in which the stream names them, and the job's name.
type JobKey = (u32, Box<str>);

/// The jobs of a stream whose lines a file holds.
#[derive(Debug, Default)]
pub struct StoredJobs {
    file: Option<File>,
    /// The runs by name, with their numbers.
    runs: BTreeMap<String, u32>,
    jobs: BTreeMap<JobKey, Held>,
    /// Texts for which the disk had no room.
    texts: Vec<String>,
}

impl StoredJobs {
    /// No jobs yet; `file` holds the lines of those that [`add`](Self::add) is given the place of.
    pub fn in_file(file: File) -> Self {
        Self { file: Some(file), ..Self::default() }
    }

    /// Returns true if no job was added.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Takes one more record of a job into account, whose line the file holds at `place`; none if it does not hold it.
    pub fn add(&mut self, record: &Record, place: Option<Range<u64>>) -> io::Result<()> {
        let key = record.key();
        let count = u32::try_from(self.runs.len()).map_err(io::Error::other)?;
        let run = match self.runs.get(&key.run) {
            Some(run) => *run,
            None => *self.runs.entry(key.run.clone()).or_insert(count),
        };
        let (key, standing) = ((run, key.name.as_str().into()), record.standing());
        let is_better = match self.jobs.get(&key) {
            None => true,
            Some(known) if known.standing() == standing => self.text(known)?.as_str() < record.text(),
            Some(known) => known.standing() < standing,
        };
        if is_better {
            let place = place.unwrap_or_else(|| {
                self.texts.push(record.text().to_owned());
                let index = self.texts.len() as u64 - 1;
                index..index
            });
            let length = u32::try_from(place.end - place.start).map_err(io::Error::other)?;
            let (rank, observed_at) = standing;
            self.jobs.insert(key, Held { rank, observed_at, length, start: place.start });
        }
        Ok(())
    }

    /// The text of the last record of the job `name` of `run`, if any record speaks of it.
    pub fn text_of(&self, run: &str, name: &str) -> io::Result<Option<String>> {
        let held = self.runs.get(run).and_then(|run| self.jobs.get(&(*run, name.into())));
        held.map(|held| self.text(held)).transpose()
    }

    /// Hands the text of each job's last record to `each`, by run and name.
    pub fn for_each_text(&self, each: &mut dyn FnMut(&str) -> io::Result<()>) -> io::Result<()> {
        for run in self.runs.values() {
            for (_, held) in self.jobs.range((*run, Box::from(""))..).take_while(|((of, _), _)| of == run) {
                each(&self.text(held)?)?;
            }
        }
        Ok(())
    }

    fn text(&self, held: &Held) -> io::Result<String> {
        if held.length == 0 {
            let text = usize::try_from(held.start).ok().and_then(|index| self.texts.get(index));
            return text.cloned().ok_or_else(changed);
        }
        text_at(self.file.as_ref().ok_or_else(changed)?, held.start, held.length)
    }
}

/// The text of the record whose line of `length` bytes begins at `start` of `file`.
pub fn text_at(file: &File, start: u64, length: u32) -> io::Result<String> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, start)?;
    let mut text = String::from_utf8(bytes).map_err(|_| changed())?;
    text.truncate(text.trim_end().len());
    // A file may begin with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

impl Jobs for StoredJobs {
    fn for_each(&self, each: &mut dyn FnMut(Job) -> io::Result<()>) -> io::Result<()> {
        self.for_each_text(&mut |text| each(parse(text)?))
    }

    fn find(&self, run: &str, name: &str) -> io::Result<Option<Job>> {
        self.text_of(run, name)?.map(|text| parse(&text)).transpose()
    }
}

/// The job in `text`, which was read as a record before.
pub fn parse(text: &str) -> io::Result<Job> {
    serde_json::from_str(text).map_err(|_| changed())
}

/// Every text was read once before.
fn changed() -> io::Error {
    io::Error::other("it changed while it was read; try again")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::record::{Fold, Parsed};

    fn record(run: &str, name: &str, status: &str) -> Record {
        let line = format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"{name}","run":"{run}"}},"status":{status}}}"#
        );
        match Record::parse(&line).unwrap() {
            Parsed::Record(record) => record,
            Parsed::Other => panic!("not ours: {line}"),
        }
    }

    #[test]
    fn the_jobs_are_those_of_a_fold_in_memory() {
        let (mut file, mut fold) = (tempfile::tempfile().unwrap(), Fold::default());
        let mut stored = StoredJobs::in_file(file.try_clone().unwrap());
        let lines = [
            record("z", "b", r#"{"phase":"Submitted"}"#),
            record("a", "b", r#"{"phase":"Succeeded","observedAt":"2026-01-01T00:00:01Z"}"#),
            record("z", "a", r#"{"phase":"Lost","observedAt":"2026-01-01T00:00:02Z"}"#),
            record("z", "a", r#"{"phase":"TimedOut","observedAt":"2026-01-01T00:00:02Z"}"#),
            record("z", "a", r#"{"phase":"Lost","observedAt":"2026-01-01T00:00:01Z"}"#),
            record("z", "b", r#"{"phase":"Staged"}"#),
        ];
        let mut at = 0;
        for (index, record) in lines.into_iter().enumerate() {
            let line = format!("{}{}\r\n", if index == 0 { "\u{feff}" } else { "" }, record.text());
            file.write_all(line.as_bytes()).unwrap();
            let place = at..at + line.len() as u64;
            at = place.end;
            stored.add(&record, (index % 3 != 2).then_some(place)).unwrap();
            fold.add(record);
        }
        let mut texts = Vec::new();
        let mut push = |text: &str| {
            texts.push(text.to_owned());
            Ok(())
        };
        stored.for_each_text(&mut push).unwrap();
        assert_eq!(texts, fold.records().map(Record::text).collect::<Vec<_>>());
        assert_eq!(stored.find("z", "a").unwrap(), Jobs::find(&fold, "z", "a").unwrap());
        assert_eq!(stored.find("z", "c").unwrap(), None);
    }

    #[test]
    fn a_file_that_changed_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        let record = record("r", "a", r#"{"phase":"Lost"}"#);
        file.write_all(record.text().replace('{', "[").as_bytes()).unwrap();
        let mut stored = StoredJobs::in_file(file);
        stored.add(&record, Some(0..record.text().len() as u64)).unwrap();
        assert!(stored.find("r", "a").unwrap_err().to_string().contains("changed"));
    }
}
