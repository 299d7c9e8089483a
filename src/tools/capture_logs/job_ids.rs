//! The run's jobs that a text speaks of. Only ids that the run knows are looked for, in every spelling that loggers and
//! tracers give them; nothing is guessed.

use std::collections::{BTreeMap, HashMap};

use crate::record::Job;

/// Ids shorter than this are also line numbers and counts, and beginnings of ids are also other words, so both count only
/// right behind a word that announces an id.
const SURE: usize = 8;
/// The least length of the beginning of an id.
const BEGINNING: usize = 7;
/// Greatest distance before such an id at which the announcing word may begin.
const NEAR: usize = 16;

/// The run's job ids, and the trace ids that lead to them.
#[derive(Clone, Debug, Default)]
pub(super) struct JobIds {
    /// The ids as they are spelt.
    exact: HashMap<String, String>,
    /// The ids in lower case, without their punctuation, and what tracers make of them; none where two jobs share one.
    folded: BTreeMap<String, Option<String>>,
    longest: usize,
}

impl JobIds {
    pub(super) fn from_jobs(jobs: impl Iterator<Item = Job>) -> Self {
        let mut known = Self::default();
        for job in jobs {
            let Some(id) = job.status.job_id.filter(|id| !id.is_empty()) else { continue };
            let trace = job.status.trace_id.filter(|trace| !trace.is_empty());
            for word in trace.iter().chain([&id]) {
                known.exact.insert(word.clone(), id.clone());
                known.add(fold(word), &id);
            }
            for spelling in trace.iter().flat_map(|trace| trace_spellings(&fold(trace))) {
                known.add(spelling, &id);
            }
        }
        known
    }

    fn add(&mut self, spelling: String, id: &str) {
        if !spelling.is_empty() {
            self.longest = self.longest.max(spelling.len());
            let held = self.folded.entry(spelling).or_insert_with(|| Some(id.to_owned()));
            if held.as_deref() != Some(id) {
                *held = None;
            }
        }
    }

    /// The job whose id, or else whose trace's id, stands first in `text` as words of its own.
    pub(super) fn find(&self, text: &str) -> Option<&str> {
        let bytes = text.as_bytes();
        let starts = (0..bytes.len())
            .filter(|at| bytes[*at].is_ascii_alphanumeric() && (*at == 0 || !bytes[at - 1].is_ascii_alphanumeric()));
        starts.into_iter().find_map(|start| self.at(text, start))
    }

    /// The job whose id begins at `start`: the longest of the words there that make one together.
    fn at(&self, text: &str, start: usize) -> Option<&str> {
        let bytes = text.as_bytes();
        let (mut folded, mut found) = (String::new(), None);
        let announced = || is_announced(&bytes[start.saturating_sub(NEAR)..start]);
        for (offset, byte) in bytes[start..].iter().enumerate() {
            let end = start + offset + 1;
            if byte.is_ascii_alphanumeric() {
                folded.push(char::from(byte.to_ascii_lowercase()));
            } else if !b"-_:.".contains(byte) {
                break;
            }
            if folded.len() > self.longest {
                break;
            }
            let ends_word = byte.is_ascii_alphanumeric() && !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
            if !ends_word {
                continue;
            }
            let known = self.exact.get(&text[start..end]);
            let known = known.or_else(|| self.folded.get(&folded).and_then(Option::as_ref));
            if let Some(job) = known.filter(|_| folded.len() >= SURE || announced()) {
                found = Some(job.as_str());
            } else if found.is_none() && folded.len() >= BEGINNING && announced() {
                found = self.beginning(&folded);
            }
        }
        found
    }

    /// The only job of which `beginning` begins an id.
    fn beginning(&self, beginning: &str) -> Option<&str> {
        let mut jobs = self.folded.range(beginning.to_owned()..).take_while(|(id, _)| id.starts_with(beginning));
        let job = jobs.next()?.1.as_deref()?;
        jobs.all(|(_, other)| other.as_deref() == Some(job)).then_some(job)
    }
}

fn fold(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The shorter spellings of a trace id of 32 hexadecimal digits: without leading zeros (Jaeger), and its lower half (B3,
/// Datadog) in hexadecimal and in decimal digits.
fn trace_spellings(trace: &str) -> Vec<String> {
    let Some(half) = trace.len().checked_sub(16).and_then(|start| trace.get(start..)) else { return Vec::new() };
    let decimal = u64::from_str_radix(half, 16).ok().filter(|number| *number > 0).map(|number| number.to_string());
    let stripped = |digits: &str| digits.trim_start_matches('0').to_owned();
    [Some(half.to_owned()), Some(stripped(trace)), Some(stripped(half)), decimal].into_iter().flatten().collect()
}

/// Returns whether the text before an id ends in a word that announces one.
fn is_announced(before: &[u8]) -> bool {
    let word = ["job", "trace", "task"]
        .iter()
        .filter_map(|word| before.windows(word.len()).rposition(|window| window.eq_ignore_ascii_case(word.as_bytes())));
    // Between the word and the id there may be `_id=`, `.id": "`, ` number `, but no other number.
    word.max().is_some_and(|at| !before[at..].iter().any(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::JobStatus;

    fn known(ids: &[(&str, &str)]) -> JobIds {
        JobIds::from_jobs(ids.iter().map(|(id, trace)| Job {
            status: JobStatus { job_id: Some((*id).into()), trace_id: Some((*trace).into()), ..JobStatus::default() },
            ..Job::default()
        }))
    }

    #[test]
    fn ids_are_found_as_whole_words() {
        let ids = known(&[("0af7-51916cd4", "4bf92f3577b34da6a3ce929d0e0e4736"), ("379bb927167e", "")]);
        assert_eq!(ids.find("job=379bb927167e stage=l2"), Some("379bb927167e"));
        assert_eq!(ids.find("job-0af7-51916cd4: ü"), Some("0af7-51916cd4"));
        assert_eq!(ids.find("ü trace_id=4bf92f3577b34da6a3ce929d0e0e4736"), Some("0af7-51916cd4"));
        assert_eq!(ids.find("x379bb927167e 379bb927167e0"), None);
    }

    #[test]
    fn ids_are_found_in_every_spelling() {
        let uuid = "0af7651916cd43dd8448eb211c80319c";
        let ids =
            known(&[(uuid, "00000000000000000000000000ABC001"), ("other-0001", "4bf92f3577b34da6a3ce929d0e0e4736")]);
        for text in [
            "job 0AF76519-16CD-43DD-8448-EB211C80319C failed",
            "task {0af7651916cd43dd8448eb211c80319c}",
            "job=0af76519 failed",
            "trace=abc001",
            "dd.trace_id=0000000000abc001 x",
            "traceparent 00-00000000000000000000000000abc001-00f067aa0ba902b7-01",
        ] {
            assert_eq!(ids.find(text), Some(uuid), "{text}");
        }
        for text in ["trace_id=A3CE929D0E0E4736", "dd.trace_id=11803532876627986230", "trace 4bf92f35", "x OTHER_0001"]
        {
            assert_eq!(ids.find(text), Some("other-0001"), "{text}");
        }
        for text in ["abc001", "commit 0af76519", "x0af7651916cd43dd8448eb211c80319c", "trace=4bf9", "job 0af76510"] {
            assert_eq!(ids.find(text), None, "{text}");
        }
        let twins = known(&[("ab12cd34", ""), ("AB12CD34", "")]);
        assert_eq!((twins.find("AB12CD34"), twins.find("Ab12cD34")), (Some("AB12CD34"), None));
    }

    #[test]
    fn short_ids_need_the_word_job() {
        let ids = known(&[("7", "")]);
        assert_eq!(ids.find("line 7, in run"), None);
        assert_eq!(ids.find("{\"job_id\": \"7\"}"), Some("7"));
        assert_eq!(ids.find("Job 12 at line 7"), None);
    }
}
