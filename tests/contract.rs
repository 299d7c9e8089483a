//! The record contract, for any input: folding has its laws, and what is unknown passes through byte for byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use proptest::prelude::*;
use stress_suite::ndjson::{Read, Reader};
use stress_suite::record::{Fold, JobStatus, Key, Kind, Parsed, Phase, Record, Timestamp};
use stress_suite::tools::{await_idle, poll_jobs, submit_jobs};

const PHASES: [&str; 10] = [
    "Staged",
    "Submitting",
    "Submitted",
    "TimedOut",
    "Lost",
    "Unknown",
    "Interrupted",
    "Succeeded",
    "Failed",
    "Rejected",
];

fn record(line: &str) -> Record {
    match Record::parse(line).unwrap() {
        Parsed::Record(record) => record,
        Parsed::Other => panic!("not ours: {line}"),
    }
}

/// Records of a few resources in any phase, at few moments, so that ties are common.
fn any_record() -> impl Strategy<Value = Record> {
    let job = (0..3_u8, 0..PHASES.len(), 0..3_u8, 0..3_u8).prop_map(|(name, phase, second, extra)| {
        let phase = PHASES[phase];
        record(&format!(
            r#"{{"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"j{name}","run":"r"}},"status":{{"phase":"{phase}","observedAt":"2026-01-01T00:00:0{second}Z"}},"x":{extra}}}"#
        ))
    });
    let run = (0..2_u8, 0..3_u8, 0..3_u8).prop_map(|(name, second, extra)| {
        record(&format!(
            r#"{{"apiVersion":"stress/v1","kind":"Run","metadata":{{"name":"s{name}","run":"r"}},"status":{{"observedAt":"2026-01-01T00:00:0{second}Z"}},"x":{extra}}}"#
        ))
    });
    prop_oneof![job, run]
}

fn fold(records: impl IntoIterator<Item = Record>) -> Vec<String> {
    let mut fold = Fold::default();
    fold.extend(records);
    fold.records().map(|record| record.text().to_owned()).collect()
}

/// JSON text whose spelling a careless reader would change.
fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1.10".to_owned()),
        Just("12345678901234567890123".to_owned()),
        Just("1e400".to_owned()),
        Just("-0.0".to_owned()),
        Just("null".to_owned()),
        Just(r#""\u00e9\/\ud83d\ude00""#.to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "[a-z\u{e4}\u{1f600} ]{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(("[a-z]{1,3}", inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_order_any_repetition_and_any_interleaving_fold_to_the_same(
        records in prop::collection::vec(any_record(), 0..12),
        seed in any::<u64>(),
    ) {
        let expected = fold(records.clone());
        let mut shuffled = records.clone();
        // Every element moves, and some stand twice.
        shuffled.rotate_left(usize::try_from(seed % 7).unwrap().min(records.len()));
        shuffled.reverse();
        shuffled.extend(records.iter().filter(|_| seed % 2 == 0).cloned());
        prop_assert_eq!(&fold(shuffled), &expected);
        // Folding what shards have folded already changes nothing.
        let (left, right) = records.split_at(records.len() / 2);
        let again = fold(right.to_vec()).into_iter().chain(fold(left.to_vec())).map(|line| record(&line));
        prop_assert_eq!(fold(again), expected);
    }

    #[test]
    fn folding_never_prefers_a_phase_that_says_less(records in prop::collection::vec(any_record(), 1..12)) {
        let mut kept = Fold::default();
        kept.extend(records.clone());
        for job in kept.jobs() {
            let key = Key { kind: Kind::Job, run: "r".into(), name: job.metadata.name.clone() };
            let ranks = records.iter().filter(|record| *record.key() == key);
            let highest = ranks.map(|record| record.read::<stress_suite::record::Job>().unwrap().status.phase.rank()).max();
            prop_assert_eq!(Some(job.status.phase.rank()), highest);
        }
    }

    #[test]
    fn an_update_leaves_every_foreign_byte_alone(extra in any_value(), inner in any_value(), key in "[a-z]{1,6}") {
        let line = format!(
            r#"{{"\u0078{key}":{extra},"apiVersion":"stress/v1","kind":"Job","metadata":{{"name":"a","q":{inner}}},"status":{{"z{key}":{inner},"phase":"Staged"}},"{key}Z":{inner}}}"#
        );
        let mut job = record(&line);
        let patch = JobStatus { phase: Phase::Submitted, ..JobStatus::default() };
        job.update_status(&patch, &["reason"]).unwrap();
        let expected = line.replacen(r#""phase":"Staged""#, r#""phase":"Submitted""#, 1);
        prop_assert_eq!(job.text(), expected);
    }

    #[test]
    fn tools_hand_on_what_they_do_not_know(value in any_value(), kind in "[A-Z][a-z]{3,8}") {
        let lines = format!(
            "{{\"foreign\": {value} }}\n{{\"apiVersion\":\"stress/v1\",\"kind\":\"X{kind}\",\"v\":{value}}}\n{{\"apiVersion\":\"stress/v1\",\"kind\":\"Series\",\"metadata\":{{\"name\":\"s\"}},\"v\":{value}}}\n"
        );
        let polled = support::tool(poll_jobs::run, &["--target", "http://127.0.0.1:1"], &lines);
        prop_assert_eq!(&polled.stdout, &lines);
        let awaited = support::tool(await_idle::run, &["--target", "http://127.0.0.1:1"], &lines);
        prop_assert_eq!(&awaited.stdout, &lines);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_lose_a_line(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        let lines: Vec<Vec<u8>> = lines.into_iter().map(|line| line.into_iter().filter(|byte| *byte != b'\n').collect()).collect();
        let mut bytes = lines.join(&b'\n');
        bytes.push(b'\n');
        let full = lines.iter().filter(|line| line.iter().any(|byte| !byte.is_ascii_whitespace())).count();
        let read: Vec<Read> = Reader::stdin(&bytes[..]).map(Result::unwrap).collect();
        prop_assert!(read.len() <= full && read.len() + 1 >= full, "{} of {full}", read.len());
    }

    #[test]
    fn times_are_read_as_they_were_written(micros in -62_135_596_800_000_000_i64..253_402_300_799_999_999) {
        let time = Timestamp::from_micros(micros);
        prop_assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
    }
}

#[test]
fn a_target_that_is_down_costs_no_line() {
    let lines = "{\"foreign\": 1.10 }\n{\"apiVersion\":\"stress/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"source\":\"s\"},\"n\":1e400}\n";
    let ran = support::tool(submit_jobs::run, &["--target", "http://127.0.0.1:1"], lines);
    assert_eq!((ran.code, ran.stdout.as_str()), (69, lines), "{}", ran.stderr);
}
