//! A small Jaeger query server over spans that the test supplies. It enforces limits, and misbehaves on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A span in the store; times in microseconds since the epoch.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: Option<String>,
    pub service: String,
    pub start: i64,
    pub job: Option<String>,
}

/// A request's query, decoded.
pub type Parameters = [(String, String)];

/// Returns a whole HTTP answer for a request's path and parameters, given the spans in the store.
pub type Answer = fn(&str, &Parameters, &[Span]) -> Vec<u8>;

type AnyAnswer = Box<dyn Fn(&str, &Parameters, &[Span]) -> Vec<u8> + Send + Sync>;

/// The server, which runs until it is dropped.
pub struct Server {
    url: String,
    address: std::net::SocketAddr,
    pub spans: Arc<Mutex<Vec<Span>>>,
    /// Every request's path and query.
    pub asked: Arc<Mutex<Vec<String>>>,
    thread: Option<thread::JoinHandle<()>>,
    closing: Arc<std::sync::atomic::AtomicBool>,
}

impl Server {
    pub fn start(
        spans: Vec<Span>,
        answer: impl Fn(&str, &Parameters, &[Span]) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (spans, asked) = (Arc::new(Mutex::new(spans)), Arc::new(Mutex::new(Vec::new())));
        let closing = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (store, log, over): (_, _, _) = (spans.clone(), asked.clone(), closing.clone());
        let answer: Arc<AnyAnswer> = Arc::new(Box::new(answer));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                let (answer, store, log) = (answer.clone(), store.clone(), log.clone());
                thread::spawn(move || serve(stream.unwrap(), &answer, &store, &log));
            }
        });
        Self { url: format!("http://{address}"), address, spans, asked, thread: Some(thread), closing }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.closing.store(true, std::sync::atomic::Ordering::SeqCst);
        // One more connection wakes the thread, which then sees the flag.
        drop(TcpStream::connect(self.address));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(stream: TcpStream, answer: &AnyAnswer, store: &Mutex<Vec<Span>>, log: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    if reader.read_line(&mut request).unwrap_or(0) == 0 {
        return;
    }
    let mut header = String::from("x");
    while !header.trim().is_empty() {
        header.clear();
        if reader.read_line(&mut header).unwrap_or(0) == 0 {
            return;
        }
    }
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let parameters: Vec<(String, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (decode_form(key), decode_form(value)))
        .collect();
    log.lock().unwrap().push(target.clone());
    let bytes = answer(path, &parameters, &store.lock().unwrap());
    if bytes == HANG {
        // Blocks until the client gives up and closes.
        let _ = reader.read_line(&mut header);
        return;
    }
    // The client may have closed the connection, which is no error of the server.
    let _ = (&stream).write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
}

/// The answer that never comes.
pub const HANG: &[u8] = b"hang";

/// Returns an answer with this status and content type.
pub fn http(status: u16, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn no_such_page() -> Vec<u8> {
    http(404, "text/plain; charset=utf-8", "404 page not found\n")
}

/// Answers as a server of the older API does, with at most `max` traces whatever limit is asked for.
pub fn v1(path: &str, parameters: &Parameters, spans: &[Span], max: usize) -> Vec<u8> {
    let envelope = |traces: &[Vec<Span>]| {
        let data: Vec<String> = traces.iter().map(|trace| v1_trace(trace)).collect();
        http(
            200,
            "application/json",
            &format!(r#"{{"data":[{}],"total":0,"limit":0,"offset":0,"errors":null}}"#, data.join(",")),
        )
    };
    if path == "/api/services" {
        return http(200, "application/json", &json!({"data": services(spans), "total": 1}).to_string());
    }
    if let Some(id) = path.strip_prefix("/api/traces/") {
        let trace: Vec<Span> = spans.iter().filter(|span| span.trace == id).cloned().collect();
        if trace.is_empty() {
            return http(404, "text/plain", include_str!("../data/jaeger-v1.20-trace-404.json"));
        }
        return envelope(&[trace]);
    }
    if path != "/api/traces" {
        return no_such_page();
    }
    let number = |key: &str| value(parameters, key).parse::<i64>().unwrap();
    let limit = usize::try_from(number("limit")).unwrap().min(max);
    envelope(&search(spans, &value(parameters, "service"), (number("start"), number("end")), limit))
}

/// Answers as a server of the stable API does, with at most `max` traces whatever limit is asked for.
pub fn v3(path: &str, parameters: &Parameters, spans: &[Span], max: usize) -> Vec<u8> {
    let result = |traces: &[Vec<Span>]| {
        http(200, "application/json", &json!({"result": {"resourceSpans": v3_resources(traces)}}).to_string())
    };
    if path == "/api/v3/services" {
        return http(200, "application/json", &json!({"services": services(spans)}).to_string());
    }
    let nothing = || http(404, "application/json", r#"{"error":{"httpCode":404,"message":"No traces found"}}"#);
    if let Some(id) = path.strip_prefix("/api/v3/traces/") {
        let trace: Vec<Span> = spans.iter().filter(|span| span.trace == id).cloned().collect();
        return if trace.is_empty() { nothing() } else { result(&[trace]) };
    }
    if path != "/api/v3/traces" {
        return no_such_page();
    }
    let micros = |key: &str| {
        let time = value(parameters, key);
        // The store's spans have microseconds, so further digits do not matter.
        let time: stress_suite::record::Timestamp = time.parse().unwrap();
        time.micros()
    };
    let limit = value(parameters, "query.num_traces").parse::<usize>().unwrap().min(max);
    let window = (micros("query.start_time_min"), micros("query.start_time_max"));
    match search(spans, &value(parameters, "query.service_name"), window, limit) {
        traces if traces.is_empty() => nothing(),
        traces => result(&traces),
    }
}

/// Returns whole traces in which a span of the service starts in the window, the newest `limit` of them.
fn search(spans: &[Span], service: &str, (start, end): (i64, i64), limit: usize) -> Vec<Vec<Span>> {
    let matches = |span: &&Span| span.service == service && (start..=end).contains(&span.start);
    let ids: BTreeSet<&str> = spans.iter().filter(matches).map(|span| span.trace.as_str()).collect();
    let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans.iter().filter(|span| ids.contains(span.trace.as_str())) {
        traces.entry(&span.trace).or_default().push(span);
    }
    let mut found: Vec<Vec<&Span>> = traces.into_values().collect();
    found.sort_by_key(|trace| std::cmp::Reverse(trace.iter().map(|span| span.start).max()));
    found.truncate(limit);
    found.into_iter().map(|trace| trace.into_iter().cloned().collect()).collect()
}

fn services(spans: &[Span]) -> Vec<&str> {
    let mut names: Vec<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Returns a trace as JSON, with numbers that a careless reader would change.
fn v1_trace(trace: &[Span]) -> String {
    let spans: Vec<String> = trace
        .iter()
        .map(|span| {
            let references = span.parent.iter().map(|parent| json!({"refType": "CHILD_OF", "traceID": span.trace, "spanID": parent}));
            let references: Vec<Value> = references.collect();
            let job = span.job.as_ref().map(|job| format!(r#",{{"key":"job.id","type":"string","value":"{job}"}}"#)).unwrap_or_default();
            format!(
                r#"{{"traceID":"{}","spanID":"{}","operationName":"o","references":{},"startTime":{},"duration":1.50,"tags":[{{"key":"big","type":"int64","value":12345678901234567890}}{job}],"processID":"{}"}}"#,
                span.trace, span.id, json!(references), span.start, span.service
            )
        })
        .collect();
    let processes: serde_json::Map<String, Value> =
        trace.iter().map(|span| (span.service.clone(), json!({"serviceName": span.service}))).collect();
    format!(r#"{{"traceID":"{}","spans":[{}],"processes":{}}}"#, trace[0].trace, spans.join(","), json!(processes))
}

fn v3_resources(traces: &[Vec<Span>]) -> Vec<Value> {
    let spans = traces.iter().flatten().map(|span| {
        let job = span.job.iter().map(|job| json!({"key": "job.id", "value": {"stringValue": job}})).collect::<Vec<_>>();
        json!({
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": span.service}}]},
            "scopeSpans": [{"scope": {"name": "s"}, "spans": [{
                "traceId": span.trace, "spanId": span.id, "parentSpanId": span.parent.clone().unwrap_or_default(), "kind": 2,
                "startTimeUnixNano": format!("{}999", span.start), "attributes": job,
            }]}],
        })
    });
    spans.collect()
}

fn value(parameters: &Parameters, key: &str) -> String {
    let found = parameters.iter().find(|(held, _)| held == key);
    found.unwrap_or_else(|| panic!("no {key} in {parameters:?}")).1.clone()
}

fn decode_form(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
        out.push(escaped.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).unwrap()
}
