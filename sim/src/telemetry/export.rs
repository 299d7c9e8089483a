//! Sending spans to a collector by OTLP/HTTP, in JSON.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, iter};

use serde_json::Value;
use ureq::Agent;

use super::otlp::resource_spans;
use super::span::Span;

/// Spans in one request at most.
const BATCH: usize = 512;

/// The time that the first span of a batch waits for others.
const LINGER: Duration = Duration::from_millis(200);

/// The number of times that a batch is sent, and the pause after the first failure, which doubles each time.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// A thread that sends the spans it is given. Dropping it sends the rest and waits for that.
#[derive(Debug)]
pub(crate) struct Exporter {
    spans: Option<Sender<Arc<Span>>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Exports to `<base>/v1/traces`.
    pub(crate) fn start(base: &str) -> io::Result<Self> {
        let (spans, received) = mpsc::channel();
        let collector = Collector::new(base);
        let thread =
            thread::Builder::new().name("otlp".to_owned()).spawn(move || collector.send_until_closed(&received))?;
        Ok(Self { spans: Some(spans), thread: Some(thread) })
    }

    /// Hands over a span; false if the thread is gone.
    pub(super) fn send(&self, span: &Arc<Span>) -> bool {
        self.spans.as_ref().is_some_and(|spans| spans.send(Arc::clone(span)).is_ok())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.spans.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            crate::complain("the span exporter panicked");
        }
    }
}

struct Collector {
    agent: Agent,
    url: String,
}

impl Collector {
    fn new(base: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(10)))
            .build();
        Self { agent: agent.into(), url: format!("{}/v1/traces", base.trim_end_matches('/')) }
    }

    fn send_until_closed(&self, received: &Receiver<Arc<Span>>) {
        while let Ok(first) = received.recv() {
            let due = Instant::now() + LINGER;
            // The end of the wait and the end of the channel both end the batch.
            let more = iter::from_fn(|| received.recv_timeout(due.saturating_duration_since(Instant::now())).ok());
            let batch: Vec<Arc<Span>> = iter::once(first).chain(more.take(BATCH - 1)).collect();
            if let Err(reason) = self.send(&batch) {
                crate::complain(&format!("exporting {} spans to {}: {reason}", batch.len(), self.url));
            }
        }
    }

    /// Sends a batch, again if the collector may take it later.
    fn send(&self, batch: &[Arc<Span>]) -> Result<(), String> {
        let body = format!("{{\"resourceSpans\":{}}}", resource_spans([batch]));
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                // Only time makes a busy collector take more.
                thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
            }
            match self.post(&body) {
                Ok(()) => return Ok(()),
                Err(Rejection::Final(reason)) => return Err(reason),
                Err(Rejection::Temporary(found)) => reason = found,
            }
        }
        Err(format!("{reason}: given up after {ATTEMPTS} attempts"))
    }

    fn post(&self, body: &str) -> Result<(), Rejection> {
        let sent = self.agent.post(&self.url).content_type("application/json").send(body);
        let mut answer = sent.map_err(|error| Rejection::Temporary(error.to_string()))?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| Rejection::Final(error.to_string()))?;
        match status.as_u16() {
            200..=299 => check_complete(&text),
            // OTLP declares that these four are worth another try.
            429 | 502 | 503 | 504 => Err(Rejection::Temporary(format!("status {status}"))),
            _ => Err(Rejection::Final(format!("status {status}: {}", text.lines().next().unwrap_or_default()))),
        }
    }
}

enum Rejection {
    Temporary(String),
    Final(String),
}

/// Checks that a success is no partial one, which says how many spans it left out: as a string, or from some as a number.
fn check_complete(text: &str) -> Result<(), Rejection> {
    let answer: Value = serde_json::from_str(text).unwrap_or_default();
    let rejected = &answer["partialSuccess"]["rejectedSpans"];
    match rejected.as_str().map_or_else(|| rejected.to_string(), str::to_owned).as_str() {
        "0" | "null" => Ok(()),
        count => Err(Rejection::Final(format!("{count} spans were rejected"))),
    }
}
