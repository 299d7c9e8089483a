//! More traces than Jaeger gives at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::shell::{Shell, records};
use crate::spans;
use crate::stack::Jaeger;

const TRACES: u64 = 3000;
const PAGE: usize = 100;
/// Traces in one request.
const BATCH: u64 = 250;
/// The services that take part in each trace, and what they do there.
const SERVICES: [(&str, &str); 3] = [
    ("autorag-api", "autorag.job.submit"),
    ("autorag-gpu-worker", "autorag.stage.whisper"),
    ("autorag-io-worker", "autorag.stage.persist"),
];

fn id(trace: u64) -> String {
    format!("{:032x}", 0x5eed_0000_0000_u64 + trace)
}

/// The start of a trace, in microseconds after the first. Every third one belongs to a crowd: eighty in the same
/// microsecond, which is nearly a page.
fn begins(trace: u64) -> u64 {
    if trace.is_multiple_of(3) { trace / 240 * 20_000_000 } else { trace * 97_001 }
}

/// Spans of some traces in OTLP's JSON form.
fn otlp(first: u64, traces: std::ops::Range<u64>) -> String {
    let resources: Vec<Value> = (0_u64..)
        .zip(SERVICES)
        .map(|(place, (service, name))| {
            let spans: Vec<Value> = traces.clone().map(|trace| span(first, trace, place, name)).collect();
            let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": service}}]});
            json!({"resource": resource, "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}]})
        })
        .collect();
    json!({"resourceSpans": resources}).to_string()
}

fn span(first: u64, trace: u64, place: u64, name: &str) -> Value {
    let span_id = |place: u64| format!("{:016x}", (trace + 1) * 8 + place);
    let start = first + begins(trace) + place * 1000;
    let mut span = json!({
        "traceId": id(trace), "spanId": span_id(place), "name": name, "kind": 1,
        "startTimeUnixNano": (start * 1000).to_string(), "endTimeUnixNano": (start * 1000 + 900_000).to_string(),
        "attributes": [{"key": "job.id", "value": {"stringValue": format!("job-{trace}")}}],
    });
    if place > 0 {
        span["parentSpanId"] = span_id(place - 1).into();
    }
    span
}

#[test]
fn three_thousand_traces_are_captured_whole_in_pages_of_a_hundred() {
    let jaeger = Jaeger::start();
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    let last = (0..TRACES).map(begins).max().unwrap() + 1_000_000;
    // Over for some minutes, so that nothing is waited for.
    let first = now - last - 300_000_000;
    for from in (0..TRACES).step_by(usize::try_from(BATCH).unwrap()) {
        jaeger.push(&otlp(first, from..(from + BATCH).min(TRACES)));
    }
    // They are taken at once and found a moment later; this limit no store here reaches.
    let start = Instant::now();
    while SERVICES.iter().any(|(service, _)| jaeger.search(service, 50_000).len() < usize::try_from(TRACES).unwrap()) {
        assert!(start.elapsed() < Duration::from_secs(60), "the pushed traces do not appear");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(jaeger.search("autorag-api", PAGE).len(), PAGE, "a page is full, and silent about the rest");

    let shell = Shell::new(&[("JAEGER_URL", &jaeger.url())]);
    let expected: BTreeSet<String> = (0..TRACES).map(|trace| id(trace).trim_start_matches('0').to_owned()).collect();
    let window = [first, first + last].map(|micros| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
    for api in ["v3", "v1"] {
        let [start, end] = &window;
        let flags = format!("--api {api} --page {PAGE} --start {start} --end {end} --pad 0s --out {api}");
        let done = shell.run(&format!("capture-jaeger {flags} < /dev/null"));
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let records = records(&done.stdout, "Traces");
        assert_eq!(records.len(), SERVICES.len());
        for (record, (service, _)) in records.iter().zip(SERVICES) {
            let status = &record["status"];
            assert_eq!((&status["result"], &status["traces"]), (&"ok".into(), &TRACES.into()), "{record}");
            assert!(status["requests"].as_u64() > Some(TRACES / PAGE as u64), "no page holds more: {record}");
            // Every trace has a span of every service, so each file holds all of them.
            let file = shell.read(format!("{api}/jaeger/{service}.json"));
            let traces = if api == "v3" {
                jaeger.transform(&file)
            } else {
                serde_json::from_str::<Value>(&file).unwrap()["data"].as_array().unwrap().clone()
            };
            let spans = spans::of(&traces);
            let found: BTreeSet<String> =
                spans::ids(&spans).into_iter().map(|id| id.trim_start_matches('0').to_owned()).collect();
            assert!(found == expected, "{api} {service}: {} traces are missing", expected.difference(&found).count());
            assert_eq!(spans.len(), SERVICES.len() * usize::try_from(TRACES).unwrap(), "{api} {service}");
        }
    }
}
