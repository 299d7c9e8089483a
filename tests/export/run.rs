//! Finished runs on disk, made of literal records and answers of Prometheus.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stress_suite::tools::export_run;

use crate::support::{Ran, tool};

/// A scenario's directory below a temporary one.
pub struct Scenario {
    pub root: tempfile::TempDir,
    pub directory: PathBuf,
    records: Vec<Value>,
}

/// The moment `seconds` after the scenario's begin.
pub fn at(seconds: f64) -> String {
    let begin: stress_suite::record::Timestamp = "2026-05-20T22:30:00Z".parse().unwrap();
    begin.shifted(seconds).to_string()
}

/// The same moment in Unix seconds.
pub fn unix(seconds: f64) -> f64 {
    at(seconds).parse::<stress_suite::record::Timestamp>().unwrap().seconds()
}

fn record(kind: &str, name: &str, labels: &Value, spec: &Value, status: &Value) -> Value {
    json!({"apiVersion": "stress/v1", "kind": kind, "metadata": {"name": name, "run": "r", "labels": labels},
        "spec": spec, "status": status})
}

/// A job that was submitted at `start` and took `seconds`: 0.1 until its answer, 1 of waiting for its only stage.
pub fn job(name: &str, start: f64, seconds: f64) -> Value {
    let end = start + seconds;
    let stage = json!({"name": "l1", "phase": "Done", "timesFrom": "polls", "notStartedAt": at(start + 1.0),
        "startedAt": at(start + 1.1), "notEndedAt": at(end - 0.1), "endedAt": at(end)});
    record(
        "Job",
        name,
        &json!({}),
        &json!({"source": "/data/1.webm"}),
        &json!({
        "phase": "Succeeded", "jobId": name, "submittedAt": at(start), "acceptedAt": at(start + 0.1),
        "notEndedAt": at(end - 0.1), "endedAt": at(end), "observedAt": at(end), "stages": [stage], "body": "{}"}),
    )
}

impl Scenario {
    /// A soak of `jobs` jobs, of which none has a record yet.
    pub fn new(jobs: u64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("soak");
        let labels = json!({"scenario": "soak"});
        let spec = json!({"scenario": "soak", "prefix": "soak", "jobs": jobs,
            "stages": [{"name": "l1", "required": true}]});
        let run = record("Run", "soak", &labels, &spec, &json!({"startedAt": at(0.0)}));
        Self { root, directory, records: vec![run] }
    }

    /// Adds a record.
    pub fn with(mut self, record: Value) -> Self {
        self.records.push(record);
        self
    }

    /// Adds a query whose raw samples are those of `result`, series in Prometheus' form.
    pub fn with_samples(self, name: &str, query: &str, result: &Value) -> Self {
        let file = format!("prometheus/{name}.raw.json");
        let last = result.as_array().unwrap().iter().filter_map(|one| one["values"].as_array()?.last()?[0].as_f64());
        let last = last.reduce(f64::max).map(|last| stress_suite::record::Timestamp::from_seconds(last).unwrap());
        let metrics = || result.as_array().unwrap().iter().map(|one| &one["metric"]);
        let families: std::collections::BTreeSet<&str> =
            metrics().filter_map(|metric| metric["__name__"].as_str()).collect();
        let by = if metrics().any(|metric| metric.get("queue").is_some()) { &["queue"][..] } else { &[] };
        let status = json!({"result": "ok", "rawFile": file, "file": file, "lastSampleAt": last, "families": families});
        self.with_file(&file, &json!({"status": "success", "data": {"resultType": "matrix", "result": result}}))
            .with(record("Series", name, &json!({}), &json!({"query": query, "by": by}), &status))
    }

    /// Adds a file.
    pub fn with_file(self, name: &str, content: &Value) -> Self {
        let path = self.directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.to_string()).unwrap();
        self
    }

    /// Writes the records.
    pub fn write(self) -> Self {
        fs::create_dir_all(&self.directory).unwrap();
        let text: String = self.records.iter().map(|record| record.to_string() + "\n").collect();
        fs::write(self.directory.join("records.ndjson"), text).unwrap();
        self
    }

    /// Exports it.
    pub fn export(&self, argv: &[&str]) -> Ran {
        export(&[&self.directory], argv)
    }
}

/// Exports `directories`.
pub fn export(directories: &[&Path], argv: &[&str]) -> Ran {
    let directories = directories.iter().map(|directory| directory.to_str().unwrap());
    tool(export_run::run, &directories.chain(argv.iter().copied()).collect::<Vec<_>>(), "")
}
