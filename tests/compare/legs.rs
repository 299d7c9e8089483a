//! Legs on disk, made of literal figures, and the tool run on them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use stress_suite::tools::compare_runs;

use crate::standin::{Ran, tool};

/// A finished leg that passed.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    pub(crate) label: String,
    pub(crate) report: Value,
    pub(crate) run: Value,
    /// The items of its `jobs.json`; none if it has no such file.
    pub(crate) jobs: Option<Vec<Value>>,
}

/// The jobs of a leg whose files have these sizes.
pub(crate) fn jobs(label: &str, sizes: &[u64]) -> Vec<Value> {
    let job = |(index, bytes): (usize, &u64)| {
        json!({"apiVersion": "stress/v1", "kind": "Job",
            "metadata": {"name": format!("ab-{label}-{:03}", index + 1), "run": "r"},
            "spec": {"source": format!("/data/ab-{label}/{:03}.webm", index + 1), "bytes": bytes}, "status": {"phase": "Succeeded"}})
    };
    sizes.iter().enumerate().map(job).collect()
}

/// The leg of this label that started so many minutes after 22:00 and whose jobs took `median` seconds.
pub(crate) fn leg(label: &str, started: u64, median: f64) -> Leg {
    let window = 3.0 * median;
    let figures = json!({
        "jobsPerMinute": 12.0 * 60.0 / window, "windowSeconds": window, "windowLowSeconds": window - 0.01, "windowHighSeconds": window,
        "endToEndMeanSeconds": median, "endToEndMeanLowSeconds": median - 0.01, "endToEndMeanHighSeconds": median,
        "endToEndMedianSeconds": median, "endToEndMedianLowSeconds": median - 0.01, "endToEndMedianHighSeconds": median,
        "endToEndMaxSeconds": median * 1.5, "endToEndMaxLowSeconds": median * 1.5 - 0.01, "endToEndMaxHighSeconds": median * 1.5,
        "stages.l1.workMeanSeconds": 2.0, "stages.l1.workMeanErrorSeconds": 0.0,
        "stages.l1.waitMeanSeconds": median - 2.0, "stages.l1.waitMeanErrorSeconds": 0.0,
        "gpu.transitions": 14.0, "samples.gpu_tenancy_transitions.widestGapSeconds": 1.0,
        "queues.stage.l1.readyMax": 4.0, "samples.rabbitmq_queue_ready.widestGapSeconds": 1.0,
    });
    let started_at = format!("2026-05-20T22:{started:02}:00.000000Z");
    let metadata = json!({"name": "ab", "run": format!("r{started}"), "labels": {"scenario": "ab", "leg": label}});
    Leg {
        label: label.to_owned(),
        report: json!({
            "apiVersion": "stress/v1", "kind": "Report", "metadata": metadata, "spec": {"expect": ["all-done"]},
            "status": {"verdict": "Passed", "cause": "12 of 12 jobs succeeded", "criteria": [],
                "conservation": {"asked": 12, "succeeded": 12}, "figures": figures},
        }),
        run: json!({
            "apiVersion": "stress/v1", "kind": "Run", "metadata": metadata,
            "spec": {"scenario": "ab", "prefix": "ab", "jobs": 12, "concurrency": 4, "profile": "autorag",
                "stages": [{"name": "l1", "required": true}]},
            "status": {"startedAt": started_at},
        }),
        jobs: Some(jobs(label, &[100_000; 12])),
    }
}

impl Leg {
    pub(crate) fn figures(&mut self) -> &mut Map<String, Value> {
        self.report["status"]["figures"].as_object_mut().unwrap()
    }

    /// The same leg with this value in its report or Run: `with("/status/verdict", …)`.
    pub(crate) fn report_with(mut self, pointer: &str, value: Value) -> Self {
        *self.report.pointer_mut(pointer).unwrap() = value;
        self
    }

    pub(crate) fn run_with(mut self, part: &str, key: &str, value: Value) -> Self {
        self.run[part][key] = value;
        self
    }

    pub(crate) fn without(mut self, figure: &str) -> Self {
        self.figures().remove(figure).unwrap();
        self
    }

    pub(crate) fn write(&self, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("report.json"), format!("{}\n", self.report)).unwrap();
        fs::write(directory.join("manifest.json"), format!("{}\n", self.run)).unwrap();
        if let Some(jobs) = &self.jobs {
            let list = json!({"apiVersion": "stress/v1", "kind": "List", "items": jobs});
            fs::write(directory.join("jobs.json"), format!("{list}\n")).unwrap();
        }
    }
}

/// Three legs of np-8 and three of np-4, in turns, with these medians.
pub(crate) fn in_turns(ours: [f64; 3], theirs: [f64; 3]) -> Vec<Leg> {
    let legs = |name: &str, medians: [f64; 3], starts: [u64; 3]| -> Vec<Leg> {
        (0..3).map(|at| leg(&format!("{name}.{}", at + 1), starts[at], medians[at])).collect()
    };
    [legs("np-8", ours, [0, 3, 4]), legs("np-4", theirs, [1, 2, 5])].concat()
}

/// A scratch directory with `ab/LABEL` for each leg.
pub(crate) struct LegsOnDisk {
    directory: tempfile::TempDir,
    legs: Vec<Leg>,
}

impl LegsOnDisk {
    pub(crate) fn write(legs: Vec<Leg>) -> Self {
        let disk = Self { directory: tempfile::tempdir().unwrap(), legs };
        for leg in &disk.legs {
            leg.write(&disk.path("ab").join(&leg.label));
        }
        disk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Compares all legs, by their labels, with these flags.
    pub(crate) fn compare(&self, flags: &[&str]) -> Ran {
        let legs: Vec<String> = self
            .legs
            .iter()
            .map(|leg| format!("{}={}", leg.label, self.path("ab").join(&leg.label).display()))
            .collect();
        let argv: Vec<&str> = flags.iter().copied().chain(legs.iter().map(String::as_str)).collect();
        tool(compare_runs::run, &argv, "")
    }

    /// The Comparison of all legs.
    pub(crate) fn json(&self, flags: &[&str]) -> Value {
        let ran = self.compare(&[&["--json"], flags].concat());
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
    }
}

/// The Comparison of these legs.
pub(crate) fn compared(legs: Vec<Leg>) -> Value {
    LegsOnDisk::write(legs).json(&[])
}

/// The row of this name.
pub(crate) fn row<'a>(comparison: &'a Value, name: &str) -> &'a Value {
    let rows = comparison["status"]["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}: {rows:?}"))
}

/// The claim in the row of this name; empty if nothing is claimed.
pub(crate) fn word(comparison: &Value, name: &str) -> String {
    row(comparison, name)["differences"][0]["word"].as_str().unwrap_or_default().to_owned()
}

/// The sentence about the first other setting.
pub(crate) fn sentence(comparison: &Value) -> &str {
    comparison["status"]["against"][0]["sentence"].as_str().unwrap()
}
