//! Spans exported by OTLP/HTTP to a collector that the test plays.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::{self, JoinHandle};

use common::Rig;
use serde_json::Value;

/// Answers one request on each of so many connections with these statuses and returns the requests' paths and bodies.
fn collector(statuses: &'static [u16]) -> (String, JoinHandle<Vec<(String, Value)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = move || statuses.iter().map(|status| answer(&listener.accept().unwrap().0, *status)).collect();
    (url, thread::spawn(answering))
}

fn answer(stream: &TcpStream, status: u16) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line == "\r\n" {
            break;
        }
        head.push(line.to_ascii_lowercase());
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().trim().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    assert!(head.iter().any(|line| line == "content-type: application/json\r\n"), "{head:?}");
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}").unwrap();
    (head[0].clone(), serde_json::from_slice(&body).unwrap())
}

fn names(body: &Value) -> Vec<String> {
    let resources = body["resourceSpans"].as_array().unwrap().iter();
    let scopes = resources.flat_map(|resource| resource["scopeSpans"].as_array().unwrap());
    let spans = scopes.flat_map(|scope| scope["spans"].as_array().unwrap());
    spans.map(|span| span["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_span_is_sent_and_a_busy_collector_is_asked_again() {
    // One batch: the job ends within the time that the first span waits for others.
    let (url, collected) = collector(&[503, 200]);
    let rig = Rig::new(&["--otlp", &url, "--time-scale", "0"]);
    rig.ended(&rig.submit(1));
    // Ending it sends what is left.
    drop(rig);
    let requests = collected.join().unwrap();
    assert_eq!(requests[0], requests[1]);
    let (request, body) = &requests[1];
    assert_eq!(request, "post /v1/traces http/1.1\r\n");
    let sent: BTreeSet<String> = names(body).into_iter().collect();
    for name in ["job.submit", "stage.whisper", "stage.l0", "stage.persist", "gpu.acquire"] {
        assert!(sent.contains(&format!("autorag.{name}")), "{name}: {sent:?}");
    }
    let services: Vec<&Value> = body["resourceSpans"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| &resource["resource"]["attributes"][0]["value"]["stringValue"])
        .collect();
    assert_eq!(services, ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"]);
}

#[test]
fn what_cannot_be_sent_is_said() {
    for (statuses, reason) in [
        (&[400][..], "status 400 Bad Request: {}"),
        (&[503; 5], "status 503 Service Unavailable: given up after 5 attempts"),
        (&[], "given up after 5 attempts"),
    ] {
        let (url, collected) = collector(statuses);
        let data = common::data();
        let script = r#"exec 3<>"/dev/tcp/127.0.0.1/${TARGET##*:}"
            body='{"source": "/data/fixtures/1.webm"}'
            printf 'POST /jobs/audio HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s' \
                ${#body} "$body" >&3
            cat <&3 >/dev/null"#;
        let output = Command::new(env!("CARGO_BIN_EXE_pipeline-sim"))
            .args(["--hang", "whisper:1", "--otlp", &url, "--data", data.path().to_str().unwrap()])
            .args(["--", "bash", "-c", script])
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let start = format!("pipeline-sim: exporting 1 spans to {url}/v1/traces: ");
        let line = stderr.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{stderr}"));
        assert!(line.contains(reason), "{line}");
        assert_eq!(collected.join().unwrap().len(), statuses.len());
    }
}
