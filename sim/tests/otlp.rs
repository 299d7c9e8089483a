//! Spans exported by OTLP/HTTP to a collector that the test plays.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use common::Rig;
use serde_json::Value;

/// A collector that answers the first requests, each on a connection of its own, with these statuses and whatever comes then
/// with 200, until it is asked for what it was sent.
struct Collector {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(String, Value)>>,
}

impl Collector {
    fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, ended) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let ended_there = Arc::clone(&ended);
        let statuses = statuses.iter().copied().chain(iter::repeat(200));
        let connections = move || listener.accept().ok().filter(|_| !ended_there.load(Ordering::SeqCst));
        let answering =
            || statuses.map_while(move |status| connections().map(|(stream, _)| answer(&stream, status))).collect();
        Self { address, ended, thread: thread::spawn(answering) }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The paths and bodies of the requests.
    fn requests(self) -> Vec<(String, Value)> {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread, which then ends.
        TcpStream::connect(self.address).unwrap();
        self.thread.join().unwrap()
    }
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
    let collector = Collector::start(&[503]);
    let rig = Rig::new(&["--otlp", &collector.url(), "--time-scale", "0"]);
    rig.ended(&rig.submit(1));
    // Ending it sends what is left.
    drop(rig);
    let requests = collector.requests();
    assert_eq!(requests[0], requests[1]);
    let (mut sent, mut services) = (Vec::new(), BTreeSet::new());
    // How many batches they come in depends on how long the job takes.
    for (request, body) in &requests[1..] {
        assert_eq!(request, "post /v1/traces http/1.1\r\n");
        sent.extend(names(body));
        let resources = body["resourceSpans"].as_array().unwrap().iter();
        services.extend(
            resources.map(|one| one["resource"]["attributes"][0]["value"]["stringValue"].as_str().unwrap().to_owned()),
        );
    }
    for name in ["job.submit", "stage.whisper", "stage.l0", "stage.persist"] {
        let name = format!("autorag.{name}");
        assert_eq!(sent.iter().filter(|one| **one == name).count(), 1, "{name}: {sent:?}");
    }
    assert!(sent.iter().any(|name| name == "autorag.gpu.acquire"), "{sent:?}");
    assert_eq!(Vec::from_iter(services), ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"]);
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn what_cannot_be_sent_is_said() {
    for (statuses, reason) in [
        (&[400][..], "status 400 Bad Request: {}"),
        (&[503; 5], "status 503 Service Unavailable: given up after 5 attempts"),
        (&[], "given up after 5 attempts"),
    ] {
        let listening = (!statuses.is_empty()).then(|| Collector::start(statuses));
        let url = listening.as_ref().map_or_else(nobody, Collector::url);
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
        assert_eq!(listening.map_or(0, |collector| collector.requests().len()), statuses.len());
    }
}
