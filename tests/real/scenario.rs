//! The whole pipe on the whole stack: what the captures stored is what the real servers hold.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde_json::Value;

use crate::queries::a_profile_of_ones_own_draws_and_judges_any_query;
use crate::replay::{Captured, Times};
use crate::shell::{Shell, records};
use crate::spans;
use crate::stack::{Jaeger, Opened, Prometheus, Stack};
use crate::viewers;

const JOBS: usize = 16;

/// The stages in pipeline order.
const STAGES: [&str; 8] = ["whisper", "l1", "decide", "summarize_l1", "l2", "summarize_l2", "l0", "persist"];

const SERVICES: [&str; 3] = ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"];

/// Every job is in flight at once, so that each stage's queue fills while the stage before it works, and slowly enough for
/// a scrape a second: language-model stages go two by two, and rows are written more slowly than they come.
const LOAD: [&str; 8] =
    ["--time-scale", "0.2", "--num-parallel", "2", "--stage-time", "whisper=2.5s", "--stage-time", "persist=9s"];

const PIPE: &str = r#"
stage-fixtures --from "$FIXTURES" --into "$DATA/fixtures" --jobs "$JOBS" --run r1 --scenario soak |
  submit-jobs --concurrency "$JOBS" --slots slots |
  poll-jobs --slots slots |
  capture-logs --out run |
  capture-prom --out run |
  capture-jaeger --out run |
  render-report --out run --expect all-done,all-stages,no-exceptions
"#;

#[test]
fn the_captures_of_a_run_are_what_the_servers_hold() {
    let stack = Stack::start(&LOAD);
    let path = |name| stack.sim.path(name).to_str().unwrap().to_owned();
    let shell = Shell::new(&[
        ("TARGET", stack.sim.url()),
        ("PROM_URL", &stack.prometheus.url()),
        ("JAEGER_URL", &stack.jaeger.url()),
        ("DATA", &path("data")),
        ("LOGS", &path("logs")),
        ("JOBS", &JOBS.to_string()),
    ]);
    let done = shell.run(PIPE);
    assert_eq!(
        done.code,
        Some(0),
        "{}\n{}\n{}",
        done.stderr,
        shell.read("run/report.md"),
        stack.sim.complaints().join("\n")
    );
    assert_eq!(shell.json("run/report.json")["status"]["verdict"], "Passed");
    assert_eq!(stack.sim.complaints(), Vec::<String>::new(), "the stand-in could use its broker and its Jaeger");

    let stream = shell.read("run/records.ndjson");
    let jobs = records(&stream, "Job");
    assert_eq!(jobs.len(), JOBS);
    let series = records(&stream, "Series");
    prometheus_holds_what_was_stored(&shell, &series, &stack.prometheus);
    a_replay_answers_as_prometheus_does(&shell, &series[0], &stack.prometheus);
    every_queue_rose_and_drained(&shell);
    a_profile_of_ones_own_draws_and_judges_any_query(&shell, &stack.prometheus);
    jaeger_holds_what_was_stored(&shell, &stream, &stack.jaeger);
    every_job_has_its_whole_trace(&shell, &jobs, &stack.jaeger);

    viewers::a_second_jaeger_serves_the_same_traces(&shell, &stack.jaeger, &SERVICES);
}

/// Seconds since the epoch of a time in a record.
pub fn seconds(time: &Value) -> f64 {
    let micros = DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap().timestamp_micros();
    micros as f64 / 1e6
}

fn prometheus_holds_what_was_stored(shell: &Shell, series: &[Value], prometheus: &Prometheus) {
    assert_eq!(series.len(), 10, "{series:?}");
    for Series { name, query, start, end, step, points } in series.iter().map(Series::of) {
        let stored = shell.read(format!("run/prometheus/{name}.json"));
        assert_eq!(stored, prometheus.range(query, start, end, step), "{name}");
        let length = (points * step * 1000.0).round();
        let raw = shell.read(format!("run/prometheus/{name}.raw.json"));
        assert_eq!(raw, prometheus.instant(&format!("{query}[{length}ms]"), end), "{name}");
        for text in [stored, raw] {
            let envelope: Value = serde_json::from_str(&text).unwrap();
            assert!(!envelope["data"]["result"].as_array().unwrap().is_empty(), "{name}");
        }
    }
}

/// Every series of the run, its rate and its increase, at the step of the scrapes and at two others. A scrape a second may be late or
/// missed on a busy machine, so such reasons are allowed, and no other ones.
fn a_replay_answers_as_prometheus_does(shell: &Shell, series: &Value, prometheus: &Prometheus) {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
    let captured = Captured::read(&shell.path("run"), (seconds(&series["spec"]["end"]) * 1e3) as i64);
    let opened = Opened::start("prometheus", &shell.path("run"));
    captured.compare(&prometheus.url(), &opened.url, Times::of_prometheus(1000, [1000, 1300, 7000]));
}

/// The status of the Series record of a query.
struct Series<'a> {
    name: &'a str,
    query: &'a str,
    start: f64,
    end: f64,
    step: f64,
    points: f64,
}

impl<'a> Series<'a> {
    fn of(record: &'a Value) -> Self {
        let (spec, status) = (&record["spec"], &record["status"]);
        assert_eq!(status["result"], "ok", "{record}");
        assert_eq!(status["settledBy"], "targets", "{record}");
        Self {
            name: record["metadata"]["name"].as_str().unwrap(),
            query: spec["query"].as_str().unwrap(),
            start: seconds(&spec["start"]),
            end: seconds(&spec["end"]),
            step: spec["stepSeconds"].as_f64().unwrap(),
            points: spec["points"].as_f64().unwrap(),
        }
    }
}

/// The samples as they were scraped show each stage's queue empty, then not, then empty again.
fn every_queue_rose_and_drained(shell: &Shell) {
    let raw = shell.json("run/prometheus/rabbitmq_queue_ready.raw.json");
    let depths: BTreeMap<&str, Vec<u64>> = raw["data"]["result"].as_array().unwrap().iter().map(depths).collect();
    for stage in STAGES {
        let queue = format!("stage.{stage}");
        let depths = depths.get(queue.as_str()).unwrap_or_else(|| panic!("no {queue} in {depths:?}"));
        let peak = depths.iter().max().unwrap();
        assert!(*peak >= 2, "{queue} never held two messages: {depths:?}");
        assert_eq!((depths.first(), depths.last()), (Some(&0), Some(&0)), "{queue}: {depths:?}");
    }
    assert!(depths["dead-letters"].iter().all(|depth| *depth == 0));
}

/// A queue and how deep it was, scrape by scrape.
fn depths(series: &Value) -> (&str, Vec<u64>) {
    let values = series["values"].as_array().unwrap().iter();
    let depths = values.map(|value| value[1].as_str().unwrap().parse().unwrap());
    (series["metric"]["queue"].as_str().unwrap(), depths.collect())
}

/// Both forms of the files, that of `/api/v3` from the run and the older one captured afterwards, hold for each service all
/// spans of its traces as the server gives them trace by trace.
fn jaeger_holds_what_was_stored(shell: &Shell, stream: &str, jaeger: &Jaeger) {
    let again = shell.run("capture-jaeger --api v1 --out older < run/records.ndjson > older.ndjson");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let older = shell.read("older.ndjson");
    for (stream, api) in [(stream, "v3"), (older.as_str(), "v1")] {
        let records = records(stream, "Traces");
        assert_eq!(records.len(), 3);
        for record in records {
            let status = &record["status"];
            assert_eq!((&status["result"], &status["api"]), (&"ok".into(), &api.into()), "{status}");
        }
    }
    for service in SERVICES {
        let uploaded = jaeger.transform(&shell.read(format!("run/jaeger/{service}.json")));
        let older = shell.json(format!("older/jaeger/{service}.json"));
        let stored = spans::of(&uploaded);
        let ids: Vec<Value> = spans::ids(&stored).iter().map(|id| jaeger.trace(id).unwrap()).collect();
        let held = spans::of(&ids);
        assert!(held.values().any(|span| span["process"]["serviceName"] == service));
        assert_eq!(spans::ids(&stored).len(), JOBS, "{service}");
        assert_eq!(stored, held, "{service}, as /api/v3 gave it");
        assert_eq!(spans::of(older["data"].as_array().unwrap()), held, "{service}, as /api/traces gave it");
    }
}

/// The submission, each stage once, and nothing whose cause is missing but the submission, which the harness caused.
fn every_job_has_its_whole_trace(shell: &Shell, jobs: &[Value], jaeger: &Jaeger) {
    let stored = spans::of(&jaeger.transform(&shell.read("run/jaeger/autorag-api.json")));
    for job in jobs {
        let trace = job["status"]["traceId"].as_str().unwrap();
        let id = job["status"]["jobId"].as_str().unwrap();
        let of_job = || stored.iter().filter(|((of, _), _)| of == trace).map(|(_, span)| span);
        let names = of_job().filter(|span| spans::tag(span, "job.id") == Some(id));
        let mut names: Vec<&str> = names.map(|span| span["operationName"].as_str().unwrap()).collect();
        names.retain(|name| !name.starts_with("autorag.gpu."));
        names.sort_unstable();
        let mut expected: Vec<String> = STAGES.iter().map(|stage| format!("autorag.stage.{stage}")).collect();
        expected.push("autorag.job.submit".to_owned());
        expected.sort_unstable();
        assert_eq!(names, expected, "{job}");

        let known: BTreeSet<&str> = of_job().map(|span| span["spanID"].as_str().unwrap()).collect();
        let orphans: Vec<&Value> =
            of_job().filter(|span| !spans::parent(span).is_some_and(|id| known.contains(id))).collect();
        let orphans: Vec<&str> = orphans.iter().map(|span| span["operationName"].as_str().unwrap()).collect();
        assert_eq!(orphans, ["autorag.job.submit"], "{job}");
    }
}
