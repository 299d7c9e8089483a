//! The spans of a job, and the Jaeger query API in both shapes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};
use common::{Rig, source, until};
use serde_json::{Value, json};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn rig(flags: &[&str]) -> Rig {
    Rig::new(&[&["--span-delay", "0ms"], flags].concat())
}

/// The spans of one trace in the older shape.
fn spans(rig: &Rig, trace: &str) -> Vec<Value> {
    let answer = rig.jaeger(&format!("/api/traces/{trace}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["data"][0]["spans"].as_array().unwrap().clone()
}

fn tag(span: &Value, key: &str) -> Value {
    let tags = span["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag["key"] == key).map_or(Value::Null, |tag| tag["value"].clone())
}

fn ids(answer: &Value) -> BTreeSet<String> {
    let traces = answer["data"].as_array().unwrap();
    traces.iter().map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect()
}

fn nanos(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

#[test]
fn one_job_is_one_trace_under_the_id_it_was_posted_with() {
    let rig = rig(&[]);
    let header = format!("00-{TRACE}-{PARENT}-01");
    let id = rig.try_post(&source(1), &[("traceparent", &header)]).unwrap().text("/job_id");
    rig.ended(&id);
    let spans = spans(&rig, TRACE);
    let by_name: BTreeMap<&str, &Value> =
        spans.iter().map(|span| (span["operationName"].as_str().unwrap(), span)).collect();
    let parent_of = |name: &str| by_name[name]["references"][0]["spanID"].as_str().unwrap();
    let id_of = |name: &str| by_name[name]["spanID"].as_str().unwrap();
    assert_eq!(parent_of("autorag.job.submit"), PARENT);
    for (stage, publisher) in [
        ("whisper", "autorag.job.submit"),
        ("l1", "autorag.stage.whisper"),
        ("decide", "autorag.stage.l1"),
        ("summarize_l1", "autorag.stage.l1"),
        ("l2", "autorag.stage.decide"),
        ("summarize_l2", "autorag.stage.l2"),
        ("persist", "autorag.stage.l0"),
    ] {
        let name = format!("autorag.stage.{stage}");
        assert_eq!(parent_of(&name), id_of(publisher), "{stage}");
        let span = by_name[name.as_str()];
        assert_eq!((tag(span, "job.id"), tag(span, "stage.name")), (json!(id), json!(stage)));
        assert_eq!((tag(span, "stage.attempt"), tag(span, "messaging.system")), (json!(1), json!("rabbitmq")));
        assert_eq!(tag(span, "messaging.destination.name"), json!(format!("stage.{stage}")));
        assert!(span["startTime"].is_u64() && span["duration"].is_u64());
    }
    assert!(parent_of("autorag.stage.l0").len() == 16);
    assert_eq!(parent_of("autorag.gpu.load"), id_of("autorag.gpu.acquire"));
    let submit = by_name["autorag.job.submit"];
    assert_eq!(tag(submit, "job.source"), json!("/data/fixtures/1.webm"));
    assert_eq!((tag(submit, "job.source_kind"), tag(submit, "job.session_id").is_string()), (json!("path"), true));
}

#[test]
fn each_attempt_is_a_span_and_a_failed_one_says_so() {
    let rig = rig(&["--fail", "l1:1"]);
    rig.ended(&rig.submit(1));
    let spans = spans(&rig, &rig.stats().jobs[0].trace);
    let l1: Vec<&Value> = spans.iter().filter(|span| span["operationName"] == "autorag.stage.l1").collect();
    let attempts: Vec<Value> = l1.iter().map(|span| tag(span, "stage.attempt")).collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(l1.iter().all(|span| tag(span, "error") == true && tag(span, "otel.status_code") == "ERROR"));
}

#[test]
fn services_are_listed_in_either_shape() {
    let rig = rig(&[]);
    rig.ended(&rig.submit(1));
    let names = json!(["autorag-api", "autorag-gpu-worker", "autorag-io-worker"]);
    let old = rig.jaeger("/api/services").json();
    assert_eq!(old, json!({"data": names, "total": 3, "limit": 0, "offset": 0, "errors": null}));
    assert_eq!(rig.jaeger("/api/v3/services").json(), json!({"services": names}));
}

#[test]
fn a_page_is_the_newest_traces_and_bisection_finds_the_rest() {
    let rig = rig(&["--jaeger-page", "4", "--time-scale", "0"]);
    for n in 1..=30 {
        rig.ended(&rig.submit(n));
    }
    let all: BTreeSet<String> = rig.stats().jobs.into_iter().map(|job| job.trace).collect();
    let search = |from: i64, to: i64| {
        rig.jaeger(&format!("/api/traces?service=autorag-api&start={from}&end={to}&limit=1000")).json()
    };
    let end = Utc::now().timestamp_micros();
    let newest = ids(&search(0, end));
    let last: BTreeSet<String> = rig.stats().jobs[26..].iter().map(|job| job.trace.clone()).collect();
    assert_eq!(newest, last);
    let mut found = BTreeSet::new();
    let mut windows = vec![(end - 60_000_000, end)];
    while let Some((from, to)) = windows.pop() {
        let page = ids(&search(from, to));
        if page.len() == 4 && from < to {
            let middle = from + (to - from) / 2;
            windows.extend([(from, middle), (middle + 1, to)]);
        }
        found.extend(page);
    }
    assert_eq!(found, all);
}

#[test]
fn search_finds_by_the_start_of_a_span_of_the_service() {
    let rig = rig(&[]);
    rig.ended(&rig.submit(1));
    let spans = spans(&rig, &rig.stats().jobs[0].trace);
    let persist = spans.iter().find(|span| span["operationName"] == "autorag.stage.persist").unwrap();
    let at = persist["startTime"].as_i64().unwrap();
    let found = |from: i64, to: i64| {
        let path = format!("/api/traces?service=autorag-io-worker&start={from}&end={to}");
        rig.jaeger(&path).json()["data"].as_array().unwrap().len()
    };
    assert_eq!((found(at, at), found(at - 5, at - 1), found(at + 1, at + 5)), (1, 0, 0));
    assert_eq!(rig.jaeger("/api/traces?service=nobody").json()["data"], json!([]));
}

#[test]
fn the_older_search_answers_errors_as_json_under_plain_text() {
    let rig = rig(&[]);
    let missing = rig.jaeger("/api/traces");
    assert_eq!(missing.status, 400);
    let error = json!([{"code": 400, "msg": "parameter 'service' is required"}]);
    assert_eq!(missing.json(), json!({"data": null, "total": 0, "limit": 0, "offset": 0, "errors": error}));
    assert!(missing.header("content-type").unwrap().starts_with("text/plain"));
    assert_eq!(rig.jaeger("/api/traces?service=x&limit=many").status, 400);
    assert_eq!(rig.jaeger("/api/traces?service=x&start=now").status, 400);
    assert_eq!(rig.jaeger("/api/traces/xyz").status, 400);
    let unknown = rig.jaeger(&format!("/api/traces/{TRACE}"));
    assert_eq!((unknown.status, unknown.text("/errors/0/msg").as_str()), (404, "trace not found"));
}

#[test]
fn the_newer_search_answers_otlp() {
    let rig = rig(&["--flaky", "l2:1"]);
    let start = Utc::now();
    rig.ended(&rig.submit(1));
    let window = |from: DateTime<Utc>, to: DateTime<Utc>| {
        format!("query.start_time_min={}&query.start_time_max={}&query.num_traces=10", nanos(from), nanos(to))
    };
    let now = Utc::now();
    let found = rig.jaeger(&format!("/api/v3/traces?query.service_name=autorag-api&{}", window(start, now)));
    assert_eq!(found.status, 200, "{}", found.body);
    let json = found.json();
    let resources = json["result"]["resourceSpans"].as_array().unwrap();
    let services: Vec<&Value> =
        resources.iter().map(|one| &one["resource"]["attributes"][0]["value"]["stringValue"]).collect();
    assert_eq!(services, ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"]);
    let spans: Vec<&Value> =
        resources.iter().flat_map(|one| one["scopeSpans"][0]["spans"].as_array().unwrap()).collect();
    assert!(spans.iter().all(|span| span["traceId"] == json!(rig.stats().jobs[0].trace)));
    let l2: Vec<&&Value> = spans.iter().filter(|span| span["name"] == "autorag.stage.l2").collect();
    assert_eq!((&l2[0]["status"]["code"], &l2[1]["status"]), (&json!(2), &json!({})));
    let begin: u128 = l2[0]["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    assert!(begin <= l2[0]["endTimeUnixNano"].as_str().unwrap().parse().unwrap());
    let by_id = rig.jaeger(&format!("/api/v3/traces/{}", rig.stats().jobs[0].trace)).json();
    assert_eq!(by_id, json);

    let none = rig.jaeger(&format!("/api/v3/traces?query.service_name=nobody&{}", window(start, now)));
    assert_eq!(none.status, 404);
    assert_eq!(none.json(), json!({"error": {"httpCode": 404, "message": "No traces found"}}));
    let window = window(start, now).replace("&query.num_traces=10", "");
    let deep = rig.jaeger(&format!("/api/v3/traces?query.service_name=autorag-api&{window}"));
    let message = "search depth must be greater than 0 and less than max traces";
    assert_eq!((deep.status, deep.json()), (500, json!({"error": {"httpCode": 500, "message": message}})));
    assert!(deep.header("content-type").unwrap().starts_with("text/plain"));
    for bad in [
        "",
        "query.service_name=x",
        "query.start_time_min=2000-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z",
    ] {
        assert_eq!(rig.jaeger(&format!("/api/v3/traces?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn an_old_and_a_new_server_lack_each_others_search() {
    for (api, there, lacking) in
        [("v1", "/api/services", "/api/v3/services"), ("v3", "/api/v3/services", "/api/services")]
    {
        let rig = rig(&["--jaeger-api", api]);
        assert_eq!(rig.jaeger(there).status, 200, "{api}");
        let search = if api == "v1" { "/api/v3/traces" } else { "/api/traces?service=x" };
        for path in [lacking, search] {
            let answer = rig.jaeger(path);
            assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{api} {path}");
            assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
        }
        rig.ended(&rig.submit(1));
        assert!(!spans(&rig, &rig.stats().jobs[0].trace).is_empty(), "{api}");
    }
}

#[test]
fn spans_are_found_only_after_their_delay() {
    let rig = Rig::new(&["--span-delay", "500ms"]);
    let start = Instant::now();
    rig.submit(1);
    let path = format!("/api/traces/{}", rig.stats().jobs[0].trace);
    until(|| (rig.jaeger(&path).status == 200).then_some(()));
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn lose_trace_loses_one_jobs_spans() {
    let rig = rig(&["--lose-trace", "1"]);
    rig.ended(&rig.submit(1));
    rig.ended(&rig.submit(2));
    let jobs = rig.stats().jobs;
    assert_eq!(rig.jaeger(&format!("/api/traces/{}", jobs[0].trace)).status, 404);
    assert_eq!(ids(&rig.jaeger("/api/traces?service=autorag-api").json()), BTreeSet::from([jobs[1].trace.clone()]));
}

#[test]
fn jaeger_down_refuses_connections() {
    let rig = rig(&["--jaeger-down"]);
    let refused = TcpStream::connect(rig.sim.jaeger_url().trim_start_matches("http://")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(rig.ended(&rig.submit(1))["status"], "done");
}
