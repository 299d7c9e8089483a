//! `capture-jaeger` as a whole, against a small server in both API shapes: complete, or loud about what is not.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod bounds;
mod faults;
#[path = "../support/jaeger_server.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests in time")]
mod jaeger_server;
mod jobs;
mod settling;
mod spans;
#[path = "../support/mod.rs"]
mod support;
mod whole;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use jaeger_server::{Answer, HANG, Parameters, Server, Span, http, no_such_page, v1, v3};
use serde_json::{Value, json};
use stress_suite::cli::Stop;
use stress_suite::tools::capture_jaeger;
use support::{Ran, Target, tool, tool_until, wait_until};
use tempfile::TempDir;

/// 2026-05-20T22:30:00Z.
const START: i64 = 1_779_316_200_000_000;
const SECOND: i64 = 1_000_000;
const WINDOW: [&str; 4] = ["--start", "2026-05-20T22:30:00Z", "--end", "2026-05-20T22:31:00Z"];

/// The lines of stderr but those that tell how far a search has come, which a slow machine sees.
fn complaints(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| !line.contains(" traces, requests: ")).collect()
}

fn span(trace: u64, id: u64, parent: Option<u64>, service: &str, start: i64) -> Span {
    Span {
        trace: format!("{trace:032x}"),
        id: format!("{id:016x}"),
        parent: parent.map(|parent| format!("{parent:016x}")),
        service: service.to_owned(),
        start,
        job: None,
    }
}

/// `count` traces of two spans, `step` microseconds apart.
fn store(count: u64, step: i64) -> Vec<Span> {
    (0..count)
        .flat_map(|index| {
            let start = START + i64::try_from(index).unwrap() * step;
            [span(index + 1, 1, None, "api", start), span(index + 1, 2, Some(1), "worker", start + 5)]
        })
        .collect()
}

struct Rig {
    server: Server,
    out: TempDir,
}

impl Rig {
    fn new(spans: Vec<Span>, answer: impl Fn(&str, &Parameters, &[Span]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self { server: Server::start(spans, answer), out: tempfile::tempdir().unwrap() }
    }

    fn run(&self, more: &[&str], stdin: &str) -> Ran {
        let out = self.out.path().display().to_string();
        let common = ["--jaeger", self.server.url(), "--out", &out, "--flush", "0s"];
        tool(capture_jaeger::run, &[&common[..], more].concat(), stdin)
    }

    /// Alone, both services.
    fn alone(&self, more: &[&str]) -> Ran {
        self.run(&[&WINDOW[..], &["--service", "api", "--service", "worker"], more].concat(), "")
    }

    fn file(&self, service: &str) -> String {
        std::fs::read_to_string(self.out.path().join("jaeger").join(format!("{service}.json"))).unwrap()
    }
}

fn status(ran: &Ran, service: &str) -> Value {
    ran.last(service)["status"].clone()
}

/// The ids of the traces and the number of spans in a file of either shape.
fn held(file: &str) -> (BTreeSet<String>, usize) {
    let read: Value = serde_json::from_str(file).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ids: Vec<String> = if let Some(data) = read["data"].as_array() {
        data.iter().flat_map(|trace| trace["spans"].as_array().unwrap()).map(|span| text(&span["traceID"])).collect()
    } else {
        let scopes = read["resourceSpans"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
        scopes.flat_map(|scope| scope["spans"].as_array().unwrap()).map(|span| text(&span["traceId"])).collect()
    };
    (ids.iter().cloned().collect(), ids.len())
}

/// A Run and jobs, each with its trace, that ended long ago.
fn stream(jobs: &[(&str, &str)]) -> String {
    let mut stream =
        json!({"apiVersion": "stress/v1", "kind": "Run", "metadata": {"name": "soak", "run": "r"}}).to_string() + "\n";
    for (index, (id, trace)) in jobs.iter().enumerate() {
        let job = json!({
            "apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": format!("soak-{index:03}"), "run": "r"},
            "spec": {"source": "/x"},
            "status": {"phase": "Succeeded", "jobId": id, "traceId": trace, "spanId": "00000000000000aa",
                "submittedAt": "2026-05-20T22:30:00Z", "endedAt": "2026-05-20T22:31:00Z"},
        });
        stream += &job.to_string();
        stream.push('\n');
    }
    stream
}
