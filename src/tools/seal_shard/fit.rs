//! Shortens a line for stdout. Runtimes of containers cut lines of 16 KiB into parts, which log agents do not always join again.

use serde_json::value::RawValue;

use crate::digest::Digest;
use crate::record::raw::{RawObject, scalar};
use crate::record::{API_VERSION, Record};

/// The parts of a status and a spec that are never left out: readers need them for the account.
const KEPT: [&str; 11] = [
    "phase",
    "reason",
    "observedAt",
    "jobId",
    "submittedAt",
    "shard",
    "jobs",
    "prefix",
    "warmup",
    "bodySha256",
    "bodyBytes",
];

/// Returns `line` in at most `longest` bytes, with its line break. `record` is what it holds, if it is a record.
pub(super) fn fit(line: &[u8], record: Option<Record>, longest: usize) -> Vec<u8> {
    let fitted = record.and_then(|record| shorten(record.text(), line, longest - 1).ok().flatten());
    let text = fitted.unwrap_or_else(|| {
        let (hash, bytes) = (Digest::of(line), line.len());
        // Of a kind that no reader knows: it only tells that a line was here.
        format!(
            r#"{{"apiVersion":"{API_VERSION}","kind":"LongLine","metadata":{{}},"status":{{"lineSha256":"{hash}","lineBytes":{bytes}}}}}"#
        )
    });
    format!("{text}\n").into_bytes()
}

/// Returns the record without its body, and then without its largest parts, until it is short enough; none if it never is.
fn shorten(text: &str, line: &[u8], longest: usize) -> serde_json::Result<Option<String>> {
    let mut object = RawObject::parse(text)?;
    let part =
        |object: &RawObject, name| object.get(name).map_or(Ok(RawObject::default()), |raw| RawObject::parse(raw.get()));
    let mut status = part(&object, "status")?;
    if let Some(body) = status.get("body").and_then(scalar) {
        status.remove("body");
        status.overlay(measures("body", body.as_bytes())?);
        object.set("status", status.clone().into_raw()?)?;
    }
    if object.text().len() <= longest {
        return Ok(Some(object.text()));
    }
    status.overlay(measures("line", line)?);
    object.set("status", status.into_raw()?)?;
    while object.text().len() > longest {
        let (mut status, mut spec) = (part(&object, "status")?, part(&object, "spec")?);
        let largest = [("status", largest(&status)), ("spec", largest(&spec))];
        let largest = largest.into_iter().filter_map(|(name, found)| Some((name, found?)));
        let Some((name, (key, _))) = largest.max_by_key(|(_, (_, length))| *length) else { return Ok(None) };
        let holder = if name == "status" { &mut status } else { &mut spec };
        holder.remove(&key);
        object.set(name, holder.clone().into_raw()?)?;
    }
    Ok(Some(object.text()))
}

/// The digest and the length of what is left out, as members that begin with `name`.
fn measures(name: &str, bytes: &[u8]) -> serde_json::Result<RawObject> {
    let (hash, length) = (Digest::of(bytes), bytes.len());
    RawObject::parse(&format!(r#"{{"{name}Sha256":"{hash}","{name}Bytes":{length}}}"#))
}

/// The key of the largest member that may be left out, and the member's length.
fn largest(object: &RawObject) -> Option<(String, usize)> {
    let may_go = |key: &&str| !KEPT.contains(key) && !["lineSha256", "lineBytes"].contains(key);
    let keys = object.keys();
    let sizes = keys.iter().map(String::as_str).filter(may_go).map(|key| {
        let length = object.get(key).map_or(0, |value: &RawValue| value.get().len());
        (key.to_owned(), length)
    });
    sizes.max_by_key(|(_, length)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Job, Parsed};

    fn fitted(line: &str, longest: usize) -> String {
        let record = match Record::parse(line) {
            Ok(Parsed::Record(record)) => Some(record),
            _ => None,
        };
        let bytes = fit(format!("{line}\n").as_bytes(), record, longest);
        assert!(bytes.len() <= longest, "{}", bytes.len());
        String::from_utf8(bytes).unwrap().trim_end().to_owned()
    }

    fn job(status: &str) -> String {
        format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"a","run":"r"}},"spec":{{"source":"/data/a"}},"status":{{"phase":"Succeeded","jobId":"7",{status}}}}}"#
        )
    }

    #[test]
    fn a_long_body_gives_way_to_its_hash() {
        let body = format!("\"{}\n\"", "x".repeat(5000));
        let text = fitted(&job(&format!(r#""body":{}"#, serde_json::to_string(&body).unwrap())), 1024);
        let hash = Digest::of(body.as_bytes());
        assert_eq!(text, job(&format!(r#""bodySha256":"{hash}","bodyBytes":{}"#, body.len())));
    }

    #[test]
    fn the_largest_parts_go_first_and_the_account_stays() {
        let line = job(&format!(r#""stages":["{}"],"message":"{}""#, "s".repeat(3000), "m".repeat(300)));
        let line = line.replace(r#""stages":["#, r#""unknown":["#);
        let text = fitted(&line, 1024);
        let Parsed::Record(record) = Record::parse(&text).unwrap() else { panic!("{text}") };
        let job: Job = record.read().unwrap();
        assert_eq!((job.status.job_id.as_deref(), job.status.message.map(|text| text.len())), (Some("7"), Some(300)));
        assert!(text.contains(&Digest::of(format!("{line}\n").as_bytes())) && !text.contains("unknown"), "{text}");
    }

    #[test]
    fn any_other_line_leaves_a_trace() {
        for line in [format!("not a record {}", "x".repeat(2000)), job(&format!(r#""jobId":"{}""#, "7".repeat(2000)))] {
            let text = fitted(&line, 1024);
            assert!(matches!(Record::parse(&text), Ok(Parsed::Other)), "{text}");
            assert!(text.contains(&format!(r#""lineBytes":{}"#, line.len() + 1)), "{text}");
        }
    }
}
