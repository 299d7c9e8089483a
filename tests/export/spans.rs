//! Spans as OTLP: each once, as they were captured, written or sent.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::run::{Scenario, job, unix};

/// A file of `capture-jaeger` with so many spans of `service`, a second each.
pub fn otlp_file(service: &str, spans: u64) -> Value {
    let spans: Vec<Value> = (0..spans).map(|number| span(service, number)).collect();
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = json!({"attributes": [attribute("service.name", service), attribute("service.instance.id", "w-1")]});
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]}]})
}

fn span(service: &str, number: u64) -> Value {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a year after 1970")]
    let nanos = |seconds: f64| format!("{}000", (unix(seconds) * 1e6).round() as u64);
    json!({"traceId": format!("{number:032x}"), "spanId": format!("{:016x}", number + service.len() as u64),
        "name": format!("work {number}"), "startTimeUnixNano": nanos(1.0), "endTimeUnixNano": nanos(2.0), "kind": 1})
}

/// Adds a capture of the traces of `service`.
pub fn with_traces(scenario: Scenario, service: &str, file: &Value, tenancies: &Value) -> Scenario {
    let name = format!("jaeger/{service}.json");
    scenario.with_file(&name, file).with(json!({"apiVersion": "stress/v1", "kind": "Traces",
        "metadata": {"name": service, "run": "r"}, "spec": {"service": service},
        "status": {"result": "ok", "file": name, "tenancies": tenancies}}))
}

/// The spans of requests, each with its service, sorted.
fn spans(requests: &[Value]) -> Vec<String> {
    let mut spans = Vec::new();
    for resource in requests.iter().flat_map(|request| request["resourceSpans"].as_array().unwrap()) {
        let service = &resource["resource"]["attributes"][0]["value"]["stringValue"];
        for scope in resource["scopeSpans"].as_array().unwrap() {
            spans.extend(
                scope["spans"].as_array().unwrap().iter().map(|span| format!("{service} {} {span}", scope["scope"])),
            );
        }
    }
    spans.sort();
    spans
}

/// Two services whose traces are in each other's files, and a third one without a file.
fn scenario() -> (Scenario, Vec<String>) {
    let parts = ["api", "worker", "foreign"].map(|service| otlp_file(service, 700));
    let all: Vec<Value> = parts.iter().map(|part| part["resourceSpans"][0].clone()).collect();
    let whole = json!({"resourceSpans": all});
    let scenario = Scenario::new(1).with(job("soak-001", 0.0, 4.0));
    let scenario = with_traces(with_traces(scenario, "api", &whole, &json!([])), "worker", &whole, &json!([]));
    (scenario.write(), spans(&[whole]))
}

#[test]
fn every_span_is_written_once_and_as_it_was() {
    let (scenario, expected) = scenario();
    let ran = scenario.export(&["--as", "otlp"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let requests: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(requests.len() > 3, "a request is bounded");
    assert_eq!(spans(&requests), expected);
    assert_eq!(expected.len(), 2100);
}

#[test]
fn a_span_that_two_scenarios_captured_is_written_once() {
    let file = otlp_file("api", 3);
    let scenario = |run: &str| {
        let scenario = with_traces(Scenario::new(1).with(job("soak-001", 0.0, 4.0)), "api", &file, &json!([])).write();
        let path = scenario.directory.join("records.ndjson");
        let text = std::fs::read_to_string(&path).unwrap().replace("\"run\":\"r\"", &format!("\"run\":\"{run}\""));
        std::fs::write(&path, text).unwrap();
        scenario
    };
    let (first, second) = (scenario("a"), scenario("b"));
    let ran = crate::run::export(&[&first.directory, &second.directory], &["--as", "otlp"]);
    let requests: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(spans(&requests), spans(&[file]));
}

#[test]
fn an_endpoint_gets_the_same_spans_and_its_refusal_is_an_error() {
    let (scenario, expected) = scenario();
    let received = |answer: &'static str| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let mut requests = Vec::new();
            let mut bodies = 0;
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                while let Some((head, body)) = request(&mut connection) {
                    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
                    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
                    let request: Value = serde_json::from_str(&body).unwrap();
                    bodies += spans(std::slice::from_ref(&request)).len();
                    requests.push(request);
                    let status = if answer.is_empty() { "500 Broken" } else { "200 OK" };
                    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())
                        .unwrap();
                    if bodies == 2100 || answer != "{}" {
                        return requests;
                    }
                }
            }
            requests
        });
        let ran = scenario.export(&["--as", "otlp", "--to", &url]);
        (ran, server.join().unwrap())
    };
    let (ran, requests) = received("{}");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    assert_eq!(spans(&requests), expected);
    let (ran, _) = received(r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"full"}}"#);
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains("3 spans were rejected") && ran.stderr.contains("full"), "{}", ran.stderr);
    let (ran, _) = received("");
    assert_eq!(ran.code, 69);
    assert!(ran.stderr.contains("HTTP 500") && ran.stderr.contains("0 spans had been sent before"), "{}", ran.stderr);
}

#[test]
fn a_busy_endpoint_is_asked_again_and_gets_every_span_once() {
    let (scenario, expected) = scenario();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut taken, mut busy) = (Vec::new(), ["429 Slow", "503 Busy", "502 Gone"].into_iter());
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            while let Some((_, body)) = request(&mut connection) {
                // The second request is the one that meets a busy server.
                let refusal = if taken.len() == 1 { busy.next() } else { None };
                let status = refusal.unwrap_or("200 OK");
                write!(connection, "HTTP/1.1 {status}\r\nRetry-After: 0\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
                taken.extend(refusal.is_none().then(|| serde_json::from_str::<Value>(&body).unwrap()));
                if spans(&taken).len() == 2100 {
                    return taken;
                }
            }
        }
        taken
    });
    let ran = scenario.export(&["--as", "otlp", "--to", &url]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(spans(&server.join().unwrap()), expected);
}

/// The head and the body of the next request; none if the client has closed.
fn request(connection: &mut std::net::TcpStream) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") {
        if connection.read(&mut byte).unwrap() == 0 {
            return None;
        }
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    Some((head, String::from_utf8(body).unwrap()))
}

#[test]
fn traces_of_the_older_api_are_converted() {
    let span = json!({"traceID": "ab", "spanID": "1", "operationName": "work", "startTime": 1_795_424_738_000_001_u64,
        "duration": 1500, "processID": "p1", "references": [], "tags": [{"key": "n", "type": "int64", "value": 7}], "logs": []});
    let file =
        json!({"data": [{"traceID": "ab", "spans": [span], "processes": {"p1": {"serviceName": "api", "tags": []}}}]});
    let scenario = with_traces(Scenario::new(1).with(job("soak-001", 0.0, 4.0)), "api", &file, &json!([])).write();
    let ran = scenario.export(&["--as", "otlp"]);
    let request: Value = serde_json::from_str(&ran.stdout).unwrap();
    let span = &request["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(
        (span["spanId"].as_str(), span["endTimeUnixNano"].as_str()),
        (Some("0000000000000001"), Some("1795424738001501000"))
    );
    assert_eq!(span["attributes"], json!([{"key": "n", "value": {"intValue": "7"}}]));
}

#[test]
fn flags_that_fit_no_spans_are_refused() {
    let (scenario, _) = scenario();
    for (argv, said) in [
        (&["--as", "otlp", "--align"][..], "--align"),
        (&["--as", "csv", "--table", "jobs", "--to", "http://h"], "--to"),
        (&["--as", "otlp", "--to", "h"], "--to"),
    ] {
        let ran = scenario.export(argv);
        assert_eq!(ran.code, 2, "{argv:?}");
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
}
