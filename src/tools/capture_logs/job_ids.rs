//! Which of the run's jobs a text speaks of. Only ids that the run knows are looked for; nothing is guessed.

use std::collections::{BTreeSet, HashMap};

use crate::record::Job;

/// Ids shorter than this are also line numbers and counts, so they only count right behind the word `job`.
const SURE: usize = 8;
/// How far before a short id the word `job` may begin.
const NEAR: usize = 16;

/// The run's job ids, and the trace ids that lead to them.
#[derive(Clone, Debug, Default)]
pub(super) struct JobIds {
    ids: HashMap<String, String>,
    lengths: BTreeSet<usize>,
}

impl JobIds {
    pub(super) fn of(jobs: impl Iterator<Item = Job>) -> Self {
        let mut known = Self::default();
        for job in jobs {
            let Some(id) = job.status.job_id.filter(|id| !id.is_empty()) else { continue };
            for word in job.status.trace_id.into_iter().filter(|trace| !trace.is_empty()).chain([id.clone()]) {
                known.lengths.insert(word.len());
                known.ids.insert(word, id.clone());
            }
        }
        known
    }

    /// The job whose id, or else whose trace's id, stands first in `text` as a word of its own.
    pub(super) fn find(&self, text: &str) -> Option<&str> {
        let bytes = text.as_bytes();
        let word_ends = |at: usize| at == 0 || at == bytes.len() || !bytes[at].is_ascii_alphanumeric();
        let starts = (0..bytes.len())
            .filter(|at| text.is_char_boundary(*at) && (*at == 0 || !bytes[at - 1].is_ascii_alphanumeric()));
        starts.flat_map(|at| self.lengths.iter().map(move |length| (at, at + length))).find_map(|(at, end)| {
            let word = text.get(at..end).filter(|_| word_ends(end))?;
            let job = self.ids.get(word)?;
            (word.len() >= SURE || speaks_of_a_job(&bytes[at.saturating_sub(NEAR)..at])).then_some(job.as_str())
        })
    }
}

fn speaks_of_a_job(before: &[u8]) -> bool {
    let word = before.windows(3).rposition(|three| three.eq_ignore_ascii_case(b"job"));
    // Between the word and the id there may be `_id=`, `.id": "`, ` number `, but no other number.
    word.is_some_and(|at| !before[at..].iter().any(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::JobStatus;

    fn known(ids: &[(&str, &str)]) -> JobIds {
        JobIds::of(ids.iter().map(|(id, trace)| Job {
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
    fn short_ids_need_the_word_job() {
        let ids = known(&[("7", "")]);
        assert_eq!(ids.find("line 7, in run"), None);
        assert_eq!(ids.find("{\"job_id\": \"7\"}"), Some("7"));
        assert_eq!(ids.find("Job 12 at line 7"), None);
    }
}
