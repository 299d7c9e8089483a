//! Real servers that are spoken to by a profile alone: aria2 (JSON-RPC by POST), pygeoapi (OGC API - Processes) and Prefect (flow runs of
//! a deployment). What they know themselves of their jobs lies inside the intervals of the records.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

use serde_json::Value;
use stress_suite::record::Timestamp;

use crate::support::{bin, root};

/// A download's last byte is written a moment before aria2 calls it complete, and a poll may come between the two.
const BEFORE_COMPLETE: f64 = 0.1;

/// pygeoapi and Prefect's worker take the time of an end before they store it, and a poll may come between the two.
const BEFORE_STORED: f64 = 1.0;

/// Runs `script` beside the example's server and returns the directory that it ran in.
fn run(example: &str, script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let make = "make() { command make --no-print-directory -C \"$ROOT\" CARGO=true BIN=\"$TOOLS\" OUT=\"$DIR/run\" LOGS=off PROM_URL= JAEGER_URL= \"$@\"; }";
    let script = format!("set -euo pipefail\ncd \"$DIR\"\n{make}\n{script}\n");
    let path = format!("{}:{}", bin().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(root().join(format!("examples/{example}/start")));
    command
        .args(["bash", "-c", &script])
        .env("PATH", path)
        .env("DIR", dir.path())
        .env("TOOLS", bin())
        .env("ROOT", root());
    let ran = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{example}: {stdout}{stderr}");
    dir
}

/// The jobs of a finished soak, with their last statuses.
fn jobs(dir: &Path) -> Vec<Value> {
    let jobs: Value = serde_json::from_str(&std::fs::read_to_string(dir.join("run/soak/jobs.json")).unwrap()).unwrap();
    jobs["items"].as_array().unwrap().clone()
}

/// The times between which the records say that a job ended, in Unix seconds.
fn end_of(job: &Value) -> (f64, f64) {
    let time = |key: &str| job["status"][key].as_str().map(|text| text.parse::<Timestamp>().unwrap().seconds());
    (time("notEndedAt").or_else(|| time("submittedAt")).unwrap(), time("endedAt").unwrap())
}

#[test]
fn aria2_downloads_by_json_rpc() {
    // It takes connections and never answers: such a download is at work until it is cancelled.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("http://{}", silent.local_addr().unwrap());
    let dir = run(
        "aria2",
        &format!(
            "make soak JOBS=8 SOAK_EXPECT=all-done,all-stages
             cp -a \"$DOWNLOADS\" downloads
             printf '%s\\n' {source}/1 {source}/2 | submit-jobs --lines --profile \"$PROFILE\" --max-posts 2 \\
               | poll-jobs --profile \"$PROFILE\" --deadline 300ms --cancel-on timedout > given-up
             curl -fsS -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"aria2.tellActive\"}}' \"$TARGET/jsonrpc\" > active"
        ),
    );
    let jobs = jobs(dir.path());
    assert_eq!(jobs.len(), 8);
    for job in &jobs {
        let name =
            format!("{}-{}", job["metadata"]["run"].as_str().unwrap(), job["metadata"]["name"].as_str().unwrap());
        let file = std::fs::metadata(dir.path().join("downloads").join(&name)).unwrap();
        assert_eq!(file.len(), job["spec"]["bytes"].as_u64().unwrap(), "{name}");
        let written = file.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let (from, to) = end_of(job);
        assert!((from - BEFORE_COMPLETE..=to).contains(&written), "{name}: {written} is not between {from} and {to}");
    }
    let given_up = std::fs::read_to_string(dir.path().join("given-up")).unwrap();
    assert_eq!(given_up.matches("\"cancel\":\"confirmed\"").count(), 2, "{given_up}");
    let active: Value = serde_json::from_str(&std::fs::read_to_string(dir.path().join("active")).unwrap()).unwrap();
    assert_eq!(active["result"], serde_json::json!([]), "nothing is left at work");
}

#[test]
fn pygeoapi_tells_the_id_in_a_location() {
    let dir = run(
        "pygeoapi",
        "make soak JOBS=8 SOAK_EXPECT=all-done TARGET_FLAGS='--set seconds=0.5'
         cp \"$JOBS_FILE\" truth
         stage-fixtures --from \"$ROOT/fixtures\" --into staged --jobs 1 --prefix failing \
           | submit-jobs --profile \"$PROFILE\" --set seconds=-1 \\
           | poll-jobs --profile \"$PROFILE\" > failing",
    );
    let truth: Value = serde_json::from_str(&std::fs::read_to_string(dir.path().join("truth")).unwrap()).unwrap();
    let truth: BTreeMap<&str, &Value> =
        truth["_default"].as_object().unwrap().values().map(|job| (job["identifier"].as_str().unwrap(), job)).collect();
    let jobs = jobs(dir.path());
    assert_eq!((jobs.len(), truth.len()), (8, 8));
    let page = std::fs::read_to_string(dir.path().join("run/soak/report.md")).unwrap();
    let doubts = page.lines().find(|line| line.contains("contradict")).unwrap_or_default();
    for job in &jobs {
        let known = truth[job["status"]["jobId"].as_str().unwrap()];
        let ended = known["finished"].as_str().unwrap().parse::<Timestamp>().unwrap().seconds();
        let (from, to) = end_of(job);
        assert!((from - BEFORE_STORED..=to).contains(&ended), "{ended} is not between {from} and {to}: {job}");
        // The report says so of a job that was still called running after the time that was stored as its end, and of no other.
        let named = doubts.contains(job["metadata"]["name"].as_str().unwrap());
        assert!(!named || ended < from, "{doubts}: {ended} is not before {from}");
    }
    let failing = std::fs::read_to_string(dir.path().join("failing")).unwrap();
    assert!(failing.contains("\"phase\":\"Failed\"") && failing.contains("no time is left"), "{failing}");
}

#[test]
fn prefect_looks_a_deployment_up_and_tells_stages_by_a_second_request() {
    let dir = run(
        "prefect",
        "make soak JOBS=8 SOAK_EXPECT=all-done,all-stages TARGET_FLAGS='--set seconds:=0.5'
         api() { curl -fsS -H 'Content-Type: application/json' -d \"$2\" \"$TARGET/api/$1\"; }
         api flow_runs/filter '{}' > truth
         api task_runs/filter '{}' > tasks
         stage-fixtures --from \"$ROOT/fixtures\" --into staged --jobs 1 --prefix failing \\
           | submit-jobs --profile \"$PROFILE\" --set seconds:=-1 \\
           | poll-jobs --profile \"$PROFILE\" > failing
         stage-fixtures --from \"$ROOT/fixtures\" --into staged --jobs 1 --prefix long \\
           | submit-jobs --profile \"$PROFILE\" --set seconds:=600 \\
           | poll-jobs --profile \"$PROFILE\" --deadline 2s --cancel-on timedout > given-up",
    );
    let read = |name: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(dir.path().join(name)).unwrap()).unwrap()
    };
    let (truth, tasks, jobs) = (read("truth"), read("tasks"), jobs(dir.path()));
    let seconds = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap().seconds();
    assert_eq!((jobs.len(), truth.as_array().unwrap().len()), (8, 8));
    for job in &jobs {
        let id = &job["status"]["jobId"];
        let known = truth.as_array().unwrap().iter().find(|run| run["id"] == *id).unwrap();
        let (from, to) = end_of(job);
        let ended = seconds(&known["end_time"]);
        assert!((from - BEFORE_STORED..=to).contains(&ended), "{ended} is not between {from} and {to}: {job}");
        for stage in job["status"]["stages"].as_array().unwrap() {
            let name = stage["name"].as_str().unwrap();
            let mut own = tasks.as_array().unwrap().iter().filter(|task| task["flow_run_id"] == *id);
            let task = own.find(|task| task["name"].as_str().unwrap().starts_with(name)).unwrap();
            assert_eq!(seconds(&stage["endedAt"]).to_bits(), seconds(&task["end_time"]).to_bits(), "{name}: {job}");
        }
    }
    let page = std::fs::read_to_string(dir.path().join("run/soak/report.md")).unwrap();
    assert!(page.contains("digest"), "{page}");
    let polling = read("run/soak/manifest.json")["status"]["polling"].clone();
    assert_eq!(polling["failures"], Value::Null, "{polling}");
    let seen: u64 = jobs.iter().map(|job| job["status"]["polls"]["sent"].as_u64().unwrap()).sum();
    assert!(polling["sent"].as_u64().unwrap() < seen, "one request told of several jobs: {polling}, {seen}");
    let failing = std::fs::read_to_string(dir.path().join("failing")).unwrap();
    assert!(failing.contains("\"phase\":\"Failed\"") && failing.contains("no time is left"), "{failing}");
    let given_up = std::fs::read_to_string(dir.path().join("given-up")).unwrap();
    assert!(given_up.contains("\"cancel\":\"confirmed\""), "{given_up}");
}
