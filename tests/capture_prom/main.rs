//! `capture-prom` against servers that answer as real ones were seen to answer, and as none should.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod again;
mod beginning;
mod chunks;
mod exits;
mod late;
mod proxy;
mod results;
#[path = "../support/server.rs"]
mod server;
mod settling;
mod standin;
#[path = "../support/mod.rs"]
mod support;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use stress_suite::cli::Stop;
use stress_suite::tools::capture_prom;
use tempfile::TempDir;

use server::{Reply, Request};

/// The default profile's queries, which are the files of the specification.
pub(crate) const NAMES: [&str; 10] = [
    "stage_duration_bucket",
    "stage_duration_count",
    "stage_duration_sum",
    "queue_wait_bucket",
    "queue_wait_count",
    "queue_wait_sum",
    "gpu_tenancy_bucket",
    "gpu_tenancy_transitions",
    "jobs_completed",
    "rabbitmq_queue_ready",
];

/// A profile with no queries of its own: the test's are the only ones.
pub(crate) const BARE: &str = r#"
name = "test"
target = "http://localhost:8000"
[health]
path = "/health"
[submit]
path = "/jobs"
id = ["/id"]
[poll]
path = "/jobs/{id}"
status = ["/status"]
[poll.words]
done = ["done"]
"#;

/// A job of one minute, as a stream.
pub(crate) const JOB: &str = concat!(
    r#"{"apiVersion":"stress/v1","kind":"Run","metadata":{"name":"r","run":"r","labels":{"scenario":"soak"}}}"#,
    "\n",
    r#"{"apiVersion":"stress/v1","kind":"Job","metadata":{"name":"soak-001","run":"r"},"status":{"phase":"Succeeded","submittedAt":"2023-11-14T22:13:20Z","endedAt":"2023-11-14T22:14:20Z"}}"#,
    "\n"
);

/// The result of a run of the tool.
pub(crate) struct Done {
    /// The exit code.
    pub(crate) code: i32,
    /// The Series records by name.
    pub(crate) series: BTreeMap<String, Value>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) dir: TempDir,
}

impl Done {
    /// A member of a record's status.
    pub(crate) fn status(&self, name: &str, key: &str) -> &Value {
        &self.series[name]["status"][key]
    }

    pub(crate) fn result(&self, name: &str) -> (&str, &str) {
        (self.status(name, "result").as_str().unwrap(), self.status(name, "reason").as_str().unwrap_or(""))
    }

    pub(crate) fn message(&self, name: &str) -> &str {
        self.status(name, "message").as_str().unwrap()
    }

    /// A file that a record names.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// All files in `prometheus/`.
    pub(crate) fn files(&self) -> Vec<String> {
        listing(&self.dir.path().join("prometheus"))
    }
}

pub(crate) fn listing(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Runs the tool on `stdin` with `flags`, in a directory of its own.
pub(crate) fn capture(flags: &[&str], stdin: &str) -> Done {
    capture_until(flags, stdin, &Stop::default())
}

/// As [`capture`], with the queries that the flags name and no others.
pub(crate) fn bare(flags: &[&str], stdin: &str) -> Done {
    let profile = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(profile.path(), BARE).unwrap();
    capture(&[&["--profile", profile.path().to_str().unwrap()], flags].concat(), stdin)
}

pub(crate) fn capture_until(flags: &[&str], stdin: &str, stop: &Stop) -> Done {
    let dir = tempfile::tempdir().unwrap();
    let argv = [&["--out", dir.path().to_str().unwrap()], flags].concat();
    let stdin = Box::new(std::io::Cursor::new(stdin.to_owned()));
    let ran = support::tool_until(capture_prom::run, &argv, stdin, stop.clone());
    let series = ran.records().into_iter().filter(|record| record["kind"] == "Series");
    let series = series.map(|record| (record["metadata"]["name"].as_str().unwrap().to_owned(), record)).collect();
    Done { code: ran.code, series, stdout: ran.stdout, stderr: ran.stderr, dir }
}

/// The answers of every healthy server besides queries: it is ready, and scraped its one target a while after the window.
pub(crate) fn healthy(request: &Request) -> Reply {
    match request.path.split('?').next().unwrap() {
        "/-/ready" => Reply::json("Prometheus Server is Ready.\n"),
        "/api/v1/targets" => Reply::json(targets("2033-01-01T00:00:00Z")),
        "/api/v1/label/__name__/values" => {
            Reply::json(r#"{"status":"success","data":["up","stage_durations_seconds"]}"#)
        }
        _ => Reply::new(404, "404 page not found"),
    }
}

/// The answer about one target that was last scraped then.
pub(crate) fn targets(last_scrape: &str) -> String {
    format!(
        r#"{{"status":"success","data":{{"activeTargets":[{{"labels":{{"job":"rig","instance":"a:1"}},"lastScrape":"{last_scrape}","scrapeInterval":"5s","health":"up","lastError":""}}]}}}}"#
    )
}

/// A server that is healthy and answers queries so, but does not tell its time.
pub(crate) fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> server::Server {
    server::Server::new(move |request| match request.form.get("query") {
        _ if request.form.is_empty() => healthy(request),
        Some(query) if query == "time()" => Reply::new(400, "unknown function"),
        _ => answer(request),
    })
}

/// A matrix in an envelope.
pub(crate) fn envelope(result: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{result}]}}}}"#)
}

/// One series of one sample at the window's start.
pub(crate) const ONE: &str = r#"{"metric":{"__name__":"up"},"values":[[1700000000,"1"]]}"#;

/// The window in which [`ONE`] lies, as flags.
pub(crate) const WINDOW: [&str; 4] = ["--start", "1700000000", "--end", "1700000060"];
