//! A soak recorded by an earlier version renders to the verdict, the criteria and the figures that it had then.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Scratch, tool};

/// The files of a scenario directory beside those that captures write.
const FILES: [&str; 9] = [
    "jobs.csv",
    "jobs.json",
    "junit.xml",
    "manifest.json",
    "records.ndjson",
    "report.html",
    "report.json",
    "report.md",
    "stages.csv",
];

/// The figures that versions since then have added, beside the 90th percentiles of the stages.
const ADDED: [(&str, f64); 14] = [
    ("endToEndP90ErrorSeconds", 0.003_364),
    ("endToEndP90HighSeconds", 1.278_994),
    ("endToEndP90LowSeconds", 1.272_267),
    ("endToEndP90Seconds", 1.275_631),
    ("peakConcurrencyHigh", 4.0),
    ("peakConcurrencyLow", 4.0),
    ("pollsFailed", 0.0),
    ("pollsSent", 528.0),
    ("submitCount", 12.0),
    ("submitMaxSeconds", 0.015_003),
    ("submitMeanSeconds", 0.004_914),
    ("submitMedianSeconds", 0.002_997),
    ("submitP90Seconds", 0.009_155),
    ("submitStatus.202", 12.0),
];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_recorded_soak_renders_to_the_same_verdict_figures_and_files() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recorded-soak");
    let scratch = Scratch::new();
    copy(&recorded, &scratch.out());
    let then: Value = serde_json::from_str(&scratch.read("report.json")).unwrap();
    fs::remove_file(scratch.out().join("report.json")).unwrap();
    let ran = tool(&["--out", &scratch.out().display().to_string(), "--replay"], std::io::empty());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let now: Value = serde_json::from_str(&scratch.read("report.json")).unwrap();
    for part in ["/status/verdict", "/status/conservation"] {
        assert_eq!(now.pointer(part), then.pointer(part), "{part}");
    }
    let criteria = |report: &Value| -> Vec<[Value; 2]> {
        let criteria = report["status"]["criteria"].as_array().unwrap();
        criteria.iter().map(|it| [it["name"].clone(), it["verdict"].clone()]).collect()
    };
    assert_eq!(criteria(&now), criteria(&then));
    let [then, now] = [then, now].map(|mut report| report["status"]["figures"].take());
    let (then, now) = (then.as_object().unwrap(), now.as_object().unwrap());
    assert!(then.len() > 100, "the recording has figures to compare");
    for (name, value) in then {
        assert_eq!(now.get(name), Some(value), "{name}");
    }
    let added = now.iter().filter(|(name, _)| !then.contains_key(*name) && !name.starts_with("stages."));
    let added: Vec<(&str, f64)> = added.map(|(name, value)| (name.as_str(), value.as_f64().unwrap())).collect();
    assert_eq!(added, ADDED);
    let files: BTreeSet<String> = fs::read_dir(scratch.out())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, FILES.map(str::to_owned).into());
}
