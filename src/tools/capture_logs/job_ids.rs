//! The run's jobs that a text speaks of. Only ids that the run knows are looked for, in every spelling that loggers and
//! tracers give them; nothing is guessed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use crate::escape::RESERVED;
use crate::record::Job;

/// Ids shorter than this are also line numbers and counts, and beginnings of ids are also other words, so both count only
/// right behind a word that announces an id, or if they look like nothing else.
const SURE: usize = 8;
/// The least length of the beginning of an id.
const BEGINNING: usize = 7;
/// The least length of an id that holds a sign which is in no word, in bytes.
const SURE_WITH_SIGNS: usize = 5;
/// Greatest distance before such an id at which the announcing word may begin.
const NEAR: usize = 16;
/// The bytes of a spelling with signs by which it is looked up.
const KEY: usize = 6;
/// The signs that join the words of an id as its folded spelling has them.
const JOINTS: &[u8] = b"-_:.";
/// A query may keep these as they are, too.
const IN_QUERY: &AsciiSet = &RESERVED.remove(b'/').remove(b':');

/// The run's job ids, and the trace ids that lead to them.
#[derive(Clone, Debug, Default)]
pub(super) struct JobIds {
    /// The ids as they are spelt.
    exact: HashMap<String, String>,
    /// The ids in lower case, without their punctuation, and what tracers make of them; none if two jobs share one.
    folded: BTreeMap<String, Option<String>>,
    longest: usize,
    /// The spellings that hold other characters than words have, by their first bytes: each with its job.
    signed: HashMap<Vec<u8>, Vec<(String, String)>>,
    /// The lengths of those first bytes.
    keys: BTreeSet<usize>,
    /// The ids of warm-up jobs.
    warmups: HashSet<String>,
}

impl JobIds {
    pub(super) fn from_jobs(jobs: impl Iterator<Item = Job>) -> Self {
        let mut known = Self::default();
        for job in jobs {
            let is_warmup = job.is_warmup();
            let Some(id) = job.status.job_id.filter(|id| !id.is_empty()) else { continue };
            if is_warmup {
                known.warmups.insert(id.clone());
            }
            let trace = job.status.trace_id.filter(|trace| !trace.is_empty());
            for word in trace.iter().chain([&id]) {
                known.exact.insert(word.clone(), id.clone());
                known.add(fold(word), &id);
            }
            for spelling in trace.iter().flat_map(|trace| trace_spellings(&fold(trace))) {
                known.add(spelling, &id);
            }
            for spelling in signed_spellings(&id).into_iter().chain(trace.iter().flat_map(|trace| base64_of(trace))) {
                let key = spelling.as_bytes()[..spelling.len().min(KEY)].to_vec();
                known.keys.insert(key.len());
                known.signed.entry(key).or_default().push((spelling, id.clone()));
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

    /// Returns whether an id is a warm-up job's.
    pub(super) fn is_warmup(&self, id: &str) -> bool {
        self.warmups.contains(id)
    }

    /// The job whose id, or else whose trace's id, stands first in `text` as words of its own; a warm-up job only if no other one
    /// is named.
    pub(super) fn find(&self, text: &str) -> Option<&str> {
        let mut warmup = None;
        for (start, _) in text.char_indices() {
            let Some(job) = self.signed_at(text, start).or_else(|| self.at(text, start)) else { continue };
            if !self.is_warmup(job) {
                return Some(job);
            }
            warmup = warmup.or(Some(job));
        }
        warmup
    }

    /// The job of which a spelling with signs begins at `start`, the longest of several.
    fn signed_at(&self, text: &str, start: usize) -> Option<&str> {
        let rest = &text[start..];
        let keys = self.keys.iter().filter_map(|length| self.signed.get(rest.as_bytes().get(..*length)?));
        let is_whole = |spelling: &str| {
            let joins = |inner: Option<char>, outer: Option<char>| {
                inner.is_some_and(char::is_alphanumeric) && outer.is_some_and(char::is_alphanumeric)
            };
            let (before, behind) = (text[..start].chars().next_back(), rest[spelling.len()..].chars().next());
            !joins(spelling.chars().next(), before) && !joins(spelling.chars().next_back(), behind)
        };
        let is_sure = |spelling: &str| spelling.len() >= SURE_WITH_SIGNS || is_announced(text, start);
        let found = keys.flatten().filter(|(spelling, _)| rest.starts_with(spelling.as_str()));
        let found = found.filter(|(spelling, _)| is_whole(spelling) && is_sure(spelling));
        found.max_by_key(|(spelling, _)| spelling.len()).map(|(_, job)| job.as_str())
    }

    /// The job whose id begins at `start`: the longest of the words there that make one together.
    fn at(&self, text: &str, start: usize) -> Option<&str> {
        let bytes = text.as_bytes();
        let is_hexadecimal = text[..start].ends_with("0x") || text[..start].ends_with("0X");
        let is_inside = start > 0 && bytes[start - 1].is_ascii_alphanumeric() && !is_hexadecimal;
        if is_inside || !bytes[start].is_ascii_alphanumeric() {
            return None;
        }
        let (mut folded, mut found) = (String::new(), None);
        let announced = || is_announced(text, start);
        for (offset, byte) in bytes[start..].iter().enumerate() {
            let end = start + offset + 1;
            if byte.is_ascii_alphanumeric() {
                folded.push(char::from(byte.to_ascii_lowercase()));
            } else if !JOINTS.contains(byte) {
                break;
            }
            if folded.len() > self.longest {
                break;
            }
            let ends_word = byte.is_ascii_alphanumeric() && !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
            if !ends_word {
                continue;
            }
            let exact = self.exact.get(&text[start..end]);
            let known = exact.or_else(|| self.folded.get(&folded).and_then(Option::as_ref));
            let is_sure = |job: &&String| {
                folded.len() >= SURE || announced() || (exact.is_some() && self.is_distinct(job, text, start..end))
            };
            if let Some(job) = known.filter(is_sure) {
                found = Some(job.as_str());
            } else if found.is_none() && folded.len() >= BEGINNING && announced() {
                found = self.beginning(&folded);
            }
        }
        found
    }

    /// Returns whether a short id at `place` looks like nothing else: it is set off on both sides and has letters and digits, or
    /// is the value of a plain `id`. A warm-up job's never does: what names it is left out of the exceptions.
    fn is_distinct(&self, job: &str, text: &str, place: std::ops::Range<usize>) -> bool {
        let (before, id, behind) = (&text[..place.start], &text[place.clone()], &text[place.end..]);
        let has = |test: fn(&u8) -> bool| id.bytes().any(|byte| test(&byte));
        let is_mixed = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit) && id.len() > 3;
        let opens = before.is_empty() || before.ends_with(|c: char| c.is_whitespace() || "[({<=:,'\"/#".contains(c));
        let closes = behind.is_empty() || behind.starts_with(|c: char| c.is_whitespace() || "])}>:,;'\"/".contains(c));
        let name = before.trim_end_matches(['"', '\'', '\\', ' ']);
        let name = name.strip_suffix(['=', ':']).unwrap_or_default().trim_end_matches(['"', '\'', '\\', ' ']);
        let is_plain = |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || "_-.".contains(c));
        let is_id = name.strip_suffix("id").or(name.strip_suffix("ID")).is_some_and(is_plain);
        !self.is_warmup(job) && opens && closes && (is_mixed || is_id)
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

/// The spellings of an id that holds signs or letters beyond those of words: as it is, as a path, a query and a form encode it, and
/// as JSON escapes it. None for other ids.
fn signed_spellings(id: &str) -> Vec<String> {
    if id.bytes().all(|byte| byte.is_ascii_alphanumeric() || JOINTS.contains(&byte)) {
        return Vec::new();
    }
    let encoded = [RESERVED, IN_QUERY].map(|set| utf8_percent_encode(id, set).to_string());
    let form: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let lower = encoded.clone().map(|text| lower_escapes(&text));
    let all = [id.to_owned(), form, id.replace('/', "\\/"), json_escaped(id)].into_iter().chain(encoded).chain(lower);
    let all: BTreeSet<String> = all.filter(|spelling| !spelling.is_empty()).collect();
    all.into_iter().collect()
}

/// A percent-encoded text whose hexadecimal digits are in lower case.
fn lower_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at(part.len().min(2));
        text + "%" + &digits.to_ascii_lowercase() + rest
    })
}

/// A text as JSON libraries write it that keep to ASCII.
fn json_escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_ascii() {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    }
    escaped
}

/// The bytes of a trace id in base64, as OTLP/JSON spelt them once: in both alphabets.
fn base64_of(trace: &str) -> Vec<String> {
    let bytes = u128::from_str_radix(trace, 16).ok().filter(|_| trace.len() == 32).map(u128::to_be_bytes);
    let encoded = bytes.map(|bytes| [BASE64_STANDARD.encode(bytes), BASE64_URL_SAFE.encode(bytes)]);
    // One with padding begins with the one without.
    encoded.iter().flatten().map(|text| text.trim_end_matches('=').to_owned()).collect()
}

/// The shorter spellings of a trace id of 32 hexadecimal digits: without leading zeros (Jaeger), and its lower half (B3,
/// Datadog) in hexadecimal and in decimal digits; and all of it in decimal digits.
fn trace_spellings(trace: &str) -> Vec<String> {
    let Some(half) = trace.len().checked_sub(16).and_then(|start| trace.get(start..)) else { return Vec::new() };
    let decimal = u64::from_str_radix(half, 16).ok().filter(|number| *number > 0).map(|number| number.to_string());
    let whole = u128::from_str_radix(trace, 16).ok().filter(|number| *number > 0).map(|number| number.to_string());
    let stripped = |digits: &str| digits.trim_start_matches('0').to_owned();
    [Some(half.to_owned()), Some(stripped(trace)), Some(stripped(half)), decimal, whole].into_iter().flatten().collect()
}

/// Returns whether the text before an id at `start` ends in a word that announces one.
fn is_announced(text: &str, start: usize) -> bool {
    let before = &text.as_bytes()[start.saturating_sub(NEAR)..start];
    let word = ["job", "trace", "task"]
        .iter()
        .filter_map(|word| before.windows(word.len()).rposition(|window| window.eq_ignore_ascii_case(word.as_bytes())));
    // Between the word and the id there may be `_id=`, `.id": "`, ` number `, but no other number.
    word.max().is_some_and(|at| !before[at..].iter().any(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{JobStatus, Metadata};

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

    #[test]
    fn trace_ids_are_found_in_the_spellings_of_other_encodings() {
        let ids = known(&[("j", "00000000000000ab4bf92f3577b34da6")]);
        for text in [
            "trace_id=0x00000000000000ab4bf92f3577b34da6",
            "trace_id=0Xab4bf92f3577b34da6 x",
            "trace_id=3159867695333066886566",
            "trace_id=AAAAAAAAAKtL+S81d7NNpg==",
            "\"traceId\":\"AAAAAAAAAKtL-S81d7NNpg\"",
        ] {
            assert_eq!(ids.find(text), Some("j"), "{text}");
        }
        assert_eq!(ids.find("x0xab4bf92f3577b34da60"), None);
    }

    #[test]
    fn ids_with_signs_are_found_in_each_encoding() {
        for (id, texts) in [
            (
                "ab+cd/ef==12",
                &["w ab+cd/ef==12 failed", "GET /jobs/ab%2Bcd%2Fef%3D%3D12", "/ab%2bcd%2fef%3d%3d12?x"][..],
            ),
            ("soak/10", &["job soak/10 failed", "[soak/10]", "soak%2F10", "{\"job\":\"soak\\/10\"}"]),
            ("r\u{e9}sum\u{e9}-1", &["w r\u{e9}sum\u{e9}-1 failed", "r%C3%A9sum%C3%A9-1", "\"r\\u00e9sum\\u00e9-1\""]),
            ("a/b c", &["w a/b c failed", "a%2Fb%20c", "q=a%2Fb+c"]),
        ] {
            let ids = known(&[(id, ""), ("soak/1", "")]);
            for text in texts {
                assert_eq!(ids.find(text), Some(id), "{text}");
            }
            assert_eq!(ids.find(&format!("x{id}0")), None, "{id}");
        }
    }

    #[test]
    fn short_ids_that_look_like_nothing_else_are_found() {
        for (id, text) in [
            ("job-12", "job-12: failed"),
            ("job-12", "[job-12] failed"),
            ("7f3a", "w 7f3a failed"),
            ("j-1-9", "w id=j-1-9 failed"),
            ("42", "Job(id=42) failed"),
            ("42", "{\"id\": \"42\"}"),
        ] {
            assert_eq!(known(&[(id, "")]).find(text), Some(id), "{text}");
        }
        for (id, text) in
            [("42", "pid=42"), ("42", "worker_id=42"), ("42", "after 42 s"), ("7f3a", "0x7f3a00"), ("run", "in run")]
        {
            assert_eq!(known(&[(id, "")]).find(text), None, "{text}");
        }
    }

    #[test]
    fn a_warm_up_job_counts_only_if_no_other_is_named() {
        let job = |id: &str, warmup: bool| Job {
            metadata: Metadata {
                labels: warmup.then(|| ("warmup".to_owned(), "true".to_owned())).into_iter().collect(),
                ..Metadata::default()
            },
            status: JobStatus { job_id: Some(id.into()), ..JobStatus::default() },
            ..Job::default()
        };
        let ids = JobIds::from_jobs([job("aaaa1111", true), job("bbbb2222", false), job("w-12", true)].into_iter());
        assert_eq!(ids.find("job=aaaa1111 after job=bbbb2222 failed"), Some("bbbb2222"));
        assert_eq!(ids.find("job=aaaa1111 failed"), Some("aaaa1111"));
        assert_eq!(ids.find("[w-12] failed"), None, "a worker may have the same name");
    }
}
