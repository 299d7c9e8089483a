//! The last record of every job, by run and name, found in memory that does not grow with the number of jobs: the records stay in
//! their file, and their places are sorted on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::sorter::{Sorted, Sorter};
use crate::cli::Failure;
use crate::record::{Job, Record, Timestamp};
use crate::stored_jobs;

/// The place of one record of a job: sorted by the job's name, the record that knows the most last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Place {
    name: Box<str>,
    rank: u8,
    /// Microseconds since the epoch; none sorts first.
    observed_at: Option<i64>,
    start: u64,
    length: u32,
}

impl Place {
    fn is_equal_to(&self, other: &Self) -> bool {
        (self.rank, self.observed_at) == (other.rank, other.observed_at)
    }
}

/// The places of records as they are read.
#[derive(Debug)]
pub(super) struct Indexer {
    shown: String,
    file: File,
    runs: BTreeMap<String, Sorter<Place>>,
}

impl Indexer {
    /// No places yet of `file`, which messages call `shown`.
    pub(super) fn new(file: File, shown: &str) -> Self {
        Self { shown: shown.to_owned(), file, runs: BTreeMap::new() }
    }

    /// Takes the record of a job into account, whose line stands at `place`.
    pub(super) fn add(&mut self, record: &Record, place: &Range<u64>) -> Result<(), Failure> {
        let key = record.key();
        let (rank, observed_at) = record.standing();
        let place = Place {
            name: key.name.as_str().into(),
            rank,
            observed_at: observed_at.map(Timestamp::micros),
            start: place.start,
            length: u32::try_from(place.end - place.start)
                .map_err(|_| Failure::input_output(format!("{}: {} has too long a line", self.shown, key.name)))?,
        };
        self.runs.entry(key.run.clone()).or_default().push(place)
    }

    /// Sorts the places.
    pub(super) fn finish(self) -> JobIndex {
        let runs = self.runs.into_iter().map(|(run, places)| (run, places.finish())).collect();
        JobIndex { shown: self.shown, file: self.file, runs }
    }
}

/// The last records of the jobs of a file.
#[derive(Debug)]
pub(super) struct JobIndex {
    shown: String,
    file: File,
    runs: BTreeMap<String, Sorted<Place>>,
}

impl JobIndex {
    /// Hands the last record of each job to `each`, by run and name.
    pub(super) fn for_each(&self, each: &mut dyn FnMut(Job) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut each =
            |place: &Place| each(stored_jobs::parse(&self.text(place)?).map_err(|error| self.failure(&error))?);
        self.runs.values().try_for_each(|run| self.for_each_last(run, &mut each))
    }

    /// Hands those of `names`, in their order, to `each` of which the file has no job of `run`.
    pub(super) fn for_each_missing(
        &self,
        run: &str,
        names: impl Iterator<Item = String>,
        each: &mut dyn FnMut(String) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut names = names.peekable();
        if let Some(places) = self.runs.get(run) {
            places.for_each(|place| {
                while let Some(name) = names.next_if(|name| **name <= *place.name) {
                    if *name != *place.name {
                        each(name)?;
                    }
                }
                Ok(())
            })?;
        }
        names.try_for_each(each)
    }

    /// Hands the place of each job's last record to `each`. Of two that know as much the one whose text sorts last stays.
    fn for_each_last(
        &self,
        run: &Sorted<Place>,
        each: &mut dyn FnMut(&Place) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut last: Option<Place> = None;
        run.for_each(|place| {
            match &last {
                Some(held) if held.name != place.name => each(held)?,
                Some(held) if held.is_equal_to(&place) && self.text(held)? > self.text(&place)? => return Ok(()),
                _ => {}
            }
            last = Some(place);
            Ok(())
        })?;
        last.iter().try_for_each(each)
    }

    fn text(&self, place: &Place) -> Result<String, Failure> {
        stored_jobs::text_at(&self.file, place.start, place.length).map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        Failure::io(&self.shown, error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::record::{Fold, Parsed};

    #[test]
    fn the_jobs_are_those_of_a_fold_in_memory() {
        let mut file = tempfile::tempfile().unwrap();
        let mut indexer = Indexer::new(file.try_clone().unwrap(), "records.ndjson");
        let (mut fold, mut at) = (Fold::default(), 0);
        let lines = [
            ("z", "s-2", r#"{"phase":"Submitted"}"#),
            ("a", "s-2", r#"{"phase":"Succeeded","observedAt":"2026-01-01T00:00:01Z"}"#),
            ("z", "s-1", r#"{"phase":"Lost","observedAt":"2026-01-01T00:00:02Z"}"#),
            ("z", "s-1", r#"{"phase":"TimedOut","observedAt":"2026-01-01T00:00:02Z"}"#),
            ("z", "s-1", r#"{"phase":"Lost","observedAt":"2026-01-01T00:00:01Z"}"#),
            ("z", "s-2", r#"{"phase":"Staged"}"#),
            ("z", "s-4", r#"{"phase":"Staged","note":"b"}"#),
            ("z", "s-4", r#"{"phase":"Staged","note":"a"}"#),
        ];
        for (run, name, status) in lines {
            let line = format!(
                r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"{name}","run":"{run}"}},"status":{status}}}"#
            );
            let Ok(Parsed::Record(record)) = Record::parse(&line) else { panic!("not ours: {line}") };
            file.write_all(format!("{line}\n").as_bytes()).unwrap();
            let place = at..at + line.len() as u64 + 1;
            at = place.end;
            indexer.add(&record, &place).unwrap();
            fold.add(record);
        }
        let index = indexer.finish();
        let mut found = Vec::new();
        let all = index.for_each(&mut |job| {
            found.push(job);
            Ok(())
        });
        assert_eq!((all.is_ok(), found), (true, fold.jobs().collect()));
        let mut missing = Vec::new();
        let names = ["s-0", "s-1", "s-2", "s-3", "s-4", "s-5"].map(str::to_owned);
        let all = index.for_each_missing("z", names.into_iter(), &mut |name| {
            missing.push(name);
            Ok(())
        });
        assert_eq!((all.is_ok(), missing), (true, vec!["s-0".to_owned(), "s-3".to_owned(), "s-5".to_owned()]));
    }
}
