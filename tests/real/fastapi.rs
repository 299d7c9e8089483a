//! An application in `FastAPI` on uvicorn: a target whose jobs take a known time. The record of the server's monotonic clock lies inside every
//! interval that the report prints.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::{bin, root};

const JOBS: usize = 200;
/// The server reads its clocks one after the other, and a loaded machine may stop it between them.
const BETWEEN_CLOCKS: f64 = 0.02;

/// The rows of a table, by its first line.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

fn compare(flags: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "set -euo pipefail\ncd \"$DIR\"\nstage-fixtures --from \"$ROOT/fixtures\" --into staged --jobs {JOBS} \
         | submit-jobs --profile \"$PROFILE\" --concurrency 24 --slots slots | poll-jobs --profile \"$PROFILE\" --slots slots \
         | render-report --out run --expect all-done"
    );
    let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(root().join("examples/fastapi/start"));
    command.args(flags).args(["bash", "-c", &script]).env("PATH", path).env("DIR", dir.path()).env("ROOT", root());
    command.env("TRUTH", dir.path().join("truth"));
    let ran = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{stderr}");
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let truth: BTreeMap<String, Value> = read("truth")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|truth| (truth["id"].as_str().unwrap().to_owned(), truth))
        .collect();
    let jobs = rows(&read("run/jobs.csv"));
    assert_eq!((jobs.len(), truth.len()), (JOBS, JOBS), "{stderr}");
    let mut compared = 0;
    for job in &jobs {
        let truth = &truth[&job["jobId"]];
        let submitted: stress_suite::record::Timestamp = job["submittedAt"].parse().unwrap();
        let whole = truth["ended"].as_f64().unwrap() - submitted.seconds();
        let parts = [("queue", truth["wait"].as_f64().unwrap()), ("run", truth["run"].as_f64().unwrap())];
        for (part, real) in parts.into_iter().chain([("endToEnd", whole)]) {
            let number = |name: String| job[&name].parse::<f64>().ok();
            let printed = number(format!("{part}Seconds"));
            let error = number(format!("{part}ErrorSeconds")).unwrap_or_default();
            let printed = printed.unwrap_or_else(|| panic!("no {part} of {job:?}"));
            assert!(
                (printed - real).abs() <= error + BETWEEN_CLOCKS,
                "{part} of {}: {real} is not {printed} ± {error}",
                job["name"]
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 3 * JOBS);
    let page = read("run/report.md");
    for doubt in ["contradict", "StaleTimes", "backwards"] {
        assert!(!page.contains(doubt), "{doubt}: {page}");
    }
}

#[test]
fn the_truth_lies_inside_every_interval() {
    compare(&[]);
}

#[test]
fn so_it_does_where_times_are_whole_seconds() {
    compare(&["--whole-seconds"]);
}
