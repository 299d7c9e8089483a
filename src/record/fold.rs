//! Folding: from a stream of records, in which a resource appears again as it changes, to the last word on each.
//!
//! Of two records with the same [`Key`] the one that ranks higher stays: first by its phase (jobs only), then
//! by `observedAt`, then by its text. That is a maximum over a total order, so the order of the lines, repetitions and
//! the way in which shards were concatenated change nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Job, Key, Kind, Phase, Record, Run, Timestamp};

/// The amount of information in a record; compared in the order of the fields, the text last.
pub type Standing = (u8, Option<Timestamp>);

/// The last word on every resource that a stream spoke of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fold {
    records: BTreeMap<Key, (Standing, Record)>,
}

impl Fold {
    /// Takes one more record into account.
    pub fn add(&mut self, record: Record) {
        let standing = record.standing();
        match self.records.entry(record.key().clone()) {
            Entry::Vacant(entry) => {
                entry.insert((standing, record));
            }
            Entry::Occupied(mut entry) => {
                let (held, text) = (entry.get().0, entry.get().1.text());
                if (standing, record.text()) > (held, text) {
                    entry.insert((standing, record));
                }
            }
        }
    }

    /// Forgets every record that speaks of `key`.
    pub fn remove(&mut self, key: &Key) {
        self.records.remove(key);
    }

    /// The record that stayed of those that speak of `key`.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.records.get(key).map(|(_, record)| record)
    }

    /// The records that stayed, by kind, run and name.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values().map(|(_, record)| record)
    }

    /// The records of one kind, read as `T`.
    pub fn of_kind<T: serde::de::DeserializeOwned>(&self, kind: Kind) -> impl Iterator<Item = T> {
        // `add` only ever holds records whose fields were read once, so reading them again cannot fail.
        self.records().filter(move |record| record.kind() == kind).filter_map(|record| record.read().ok())
    }

    /// The jobs, by run and name.
    pub fn jobs(&self) -> impl Iterator<Item = Job> {
        self.of_kind(Kind::Job)
    }

    /// The runs, by run and name: several where shards were put together.
    pub fn runs(&self) -> impl Iterator<Item = Run> {
        self.of_kind(Kind::Run)
    }
}

/// The last record of every job, wherever the records are held.
pub trait Jobs {
    /// Hands each job to `each`, by run and name.
    fn for_each(&self, each: &mut dyn FnMut(Job) -> io::Result<()>) -> io::Result<()>;

    /// The job `name` of `run`, if any record speaks of it.
    fn find(&self, run: &str, name: &str) -> io::Result<Option<Job>>;
}

impl Jobs for Fold {
    fn for_each(&self, each: &mut dyn FnMut(Job) -> io::Result<()>) -> io::Result<()> {
        self.jobs().try_for_each(each)
    }

    fn find(&self, run: &str, name: &str) -> io::Result<Option<Job>> {
        let key = Key { kind: Kind::Job, run: run.to_owned(), name: name.to_owned() };
        self.get(&key).map(Record::read).transpose().map_err(io::Error::other)
    }
}

impl Extend<Record> for Fold {
    fn extend<I: IntoIterator<Item = Record>>(&mut self, records: I) {
        for record in records {
            self.add(record);
        }
    }
}

/// The amount of information in `record`, read from its text.
pub(super) fn standing(record: &Record) -> Standing {
    #[derive(serde::Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct StatusOutline {
        phase: Option<Box<RawValue>>,
        polled_target: Option<IgnoredAny>,
        observed_at: Option<Timestamp>,
    }
    #[derive(serde::Deserialize)]
    struct Outline {
        #[serde(default)]
        status: StatusOutline,
    }
    let Ok(Outline { status }) = record.read() else { return (0, None) };
    // Only a job's phase is ours to rank: what another kind calls by that name may be any JSON.
    let phase = status.phase.filter(|_| record.kind() == Kind::Job);
    let phase = phase.and_then(|raw| serde_json::from_str::<Phase>(raw.get()).ok());
    let rank = phase.map_or(0, |phase| phase.rank_polled(status.polled_target.is_some()));
    (rank, status.observed_at)
}

/// The name of the `number`-th job (from 1) of `jobs`: as many digits as the last one needs, at least three.
///
/// It follows from the whole run's size, so every shard and every reader arrives at the same names.
pub fn job_name(prefix: &str, number: u64, jobs: u64) -> String {
    let width = jobs.to_string().len().max(3);
    format!("{prefix}-{number:0width$}")
}

/// Returns the prefix of the names of a run's warm-up jobs, given the `prefix` of its other jobs.
pub fn warmup_prefix(prefix: &str) -> String {
    format!("{prefix}-warmup")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Parsed;

    fn record(line: &str) -> Record {
        match Record::parse(line).unwrap() {
            Parsed::Record(record) => record,
            Parsed::Other => panic!("not ours: {line}"),
        }
    }

    fn job(status: &str) -> Record {
        record(&format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"a","run":"r"}},"status":{status}}}"#
        ))
    }

    #[test]
    fn the_phase_that_says_more_wins_whatever_the_time() {
        let mut fold = Fold::default();
        fold.add(job(r#"{"phase":"Succeeded","observedAt":"2026-01-01T00:00:00Z"}"#));
        fold.add(job(r#"{"phase":"TimedOut","observedAt":"2026-01-01T00:00:09Z"}"#));
        assert_eq!(fold.jobs().next().unwrap().status.phase, Phase::Succeeded);
    }

    #[test]
    fn a_verdict_of_another_target_replaces_none_of_the_jobs_own() {
        let own = r#"{"phase":"Failed","observedAt":"2026-01-01T00:00:00Z"}"#;
        let elsewhere = r#"{"polledTarget":"http://b","phase":"Succeeded","observedAt":"2026-01-01T00:00:09Z"}"#;
        let lost = r#"{"phase":"Lost","observedAt":"2026-01-01T00:00:10Z"}"#;
        let mut fold = Fold::default();
        for (status, phase) in
            [(lost, Phase::Lost), (elsewhere, Phase::Succeeded), (own, Phase::Failed), (elsewhere, Phase::Failed)]
        {
            let mut record = job(status);
            let standing = record.standing();
            record.update_status(&BTreeMap::<&str, &str>::new(), &[]).unwrap();
            assert_eq!(record.standing(), standing, "read anew it is the same");
            fold.add(record);
            assert_eq!(fold.jobs().next().unwrap().status.phase, phase);
        }
    }

    #[test]
    fn between_equals_the_later_observation_wins() {
        let mut fold = Fold::default();
        fold.add(job(r#"{"phase":"Lost","observedAt":"2026-01-01T00:00:09Z"}"#));
        fold.add(job(r#"{"phase":"Interrupted","observedAt":"2026-01-01T00:00:01Z"}"#));
        fold.add(job(r#"{"phase":"Unknown"}"#));
        assert_eq!(fold.jobs().next().unwrap().status.phase, Phase::Lost);
    }

    #[test]
    fn what_another_kind_calls_a_phase_does_not_hide_its_time() {
        let series = |time: &str, phase: &str| {
            record(&format!(
                r#"{{"apiVersion":"stress/v1","kind":"Series","metadata":{{"name":"a"}},"status":{{"phase":{phase},"observedAt":"2026-01-01T00:00:0{time}Z","file":"{time}"}}}}"#
            ))
        };
        let mut fold = Fold::default();
        fold.add(series("1", r#""Zebra""#));
        fold.add(series("2", r#"{"word":"Apple"}"#));
        assert!(fold.records().next().unwrap().text().contains(r#""file":"2""#));
    }

    #[test]
    fn names_have_the_digits_of_the_whole() {
        assert_eq!(job_name("soak", 7, 12), "soak-007");
        assert_eq!(job_name("soak", 7, 1000), "soak-0007");
    }
}
