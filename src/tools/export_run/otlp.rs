//! Spans as OTLP's JSON form: an `ExportTraceServiceRequest` a line, or each sent to an endpoint.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::otlp_span::OtlpSpan;
use super::sink::Out;
use crate::cli::{Failure, Stop};
use crate::clock::Clock;
use crate::digest;
use crate::http::{BaseUrl, Body, Client, Method};
use crate::record::raw;
use crate::units;

/// Number of spans, and of bytes, from which on a request is complete.
const SPANS: usize = 512;
const BYTES: usize = 1 << 20;

/// The waits before a busy server is asked again, unless it says for how long it wants to be left alone.
const BACKOFF: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// No server is waited for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The receiver of the requests.
pub(super) enum Destination<'a> {
    /// A file or standard output.
    Lines(Out<'a>),
    /// An OTLP/HTTP endpoint.
    Endpoint { client: Client, url: String, stop: Stop },
}

impl Destination<'_> {
    /// The endpoint at `base`: the path of OTLP/HTTP below it, unless it has that already.
    pub(super) fn endpoint(base: &BaseUrl, client: Client, stop: Stop) -> Self {
        const PATH: &str = "/v1/traces";
        let url = if base.as_str().ends_with(PATH) { base.as_str().to_owned() } else { base.join(PATH) };
        Self::Endpoint { client, url, stop }
    }
}

/// The spans that were not sent yet, by resource and scope.
pub(super) struct Requests<'a> {
    destination: Destination<'a>,
    held: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    spans: usize,
    bytes: usize,
    /// The number of the scenario that is read, and for each span the scenario from which it was added: the captures of two
    /// scenarios may overlap. Nothing is kept if there is only one.
    scenario: u32,
    added: Option<HashMap<u64, u32>>,
    /// Number of spans that were written or sent.
    pub(super) sent: u64,
}

impl<'a> Requests<'a> {
    /// Requests to `destination` with the spans of so many scenarios.
    pub(super) fn new(destination: Destination<'a>, scenarios: usize) -> Self {
        let added = (scenarios > 1).then(HashMap::new);
        Self { destination, held: BTreeMap::new(), spans: 0, bytes: 0, scenario: 0, added, sent: 0 }
    }

    /// Begins the next scenario.
    pub(super) fn next_scenario(&mut self) {
        self.scenario += 1;
    }

    /// Adds a span, unless an earlier scenario had it.
    pub(super) fn add(&mut self, span: &OtlpSpan<'_>) -> Result<(), Failure> {
        let hash = digest::hash((span.resource, span.scope, span.span));
        if self.added.as_mut().is_some_and(|added| *added.entry(hash).or_insert(self.scenario) != self.scenario) {
            return Ok(());
        }
        let scopes = self.held.entry(span.resource.to_owned()).or_default();
        // One request is one line.
        let text = span.span.replace(['\n', '\r'], " ");
        self.bytes += text.len();
        self.spans += 1;
        scopes.entry(span.scope.to_owned()).or_default().push(text);
        if self.spans >= SPANS || self.bytes >= BYTES { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), Failure> {
        if self.spans == 0 {
            return Ok(());
        }
        let scopes = |scopes: &BTreeMap<String, Vec<String>>| {
            let each = scopes.iter().map(|(scope, spans)| with_list(scope, "spans", &spans.join(",")));
            each.collect::<Vec<_>>().join(",")
        };
        let resources = self.held.iter().map(|(resource, of)| with_list(resource, "scopeSpans", &scopes(of)));
        let request = format!("{{\"resourceSpans\":[{}]}}", resources.collect::<Vec<_>>().join(","));
        match &mut self.destination {
            Destination::Lines(out) => writeln!(out, "{request}")?,
            Destination::Endpoint { client, url, stop } => post(client, url, request, stop).map_err(|cause| {
                Failure::unreachable(format!(
                    "--to: POST {url}: {cause}; {} had been sent before",
                    units::counted(self.sent, "span", "spans")
                ))
            })?,
        }
        self.sent += self.spans as u64;
        (self.spans, self.bytes) = (0, 0);
        self.held.clear();
        Ok(())
    }

    /// Sends the rest. Returns the number of all spans.
    pub(super) fn finish(mut self) -> Result<u64, Failure> {
        self.send()?;
        if let Destination::Lines(out) = self.destination {
            out.finish()?;
        }
        Ok(self.sent)
    }
}

/// Sends one request. A server that is only busy, as OTLP's specification lists the statuses, is asked again.
fn post(client: &Client, url: &str, request: String, stop: &Stop) -> Result<(), String> {
    const BUSY: [u16; 4] = [429, 502, 503, 504];
    let (body, mut backoff) = (Body::json(request), BACKOFF.into_iter());
    let answer = loop {
        let answer = client.send(&Method::POST, url, &[], Some(&body), &Clock::system());
        let answer = answer.map_err(|error| error.to_string())?;
        let next = backoff.next().filter(|_| BUSY.contains(&answer.status) && stop.signal().is_none());
        let Some(wait) = next else { break answer };
        stop.wait(answer.head.retry_after.unwrap_or(wait).min(LONGEST_WAIT));
    };
    if !(200..300).contains(&answer.status) {
        return Err(answer.summary());
    }
    let rejected = raw::pointer(&answer.body, "/partialSuccess/rejectedSpans").and_then(raw::scalar);
    match rejected.filter(|count| count != "0") {
        Some(count) => Err(format!("{count} spans were rejected: {}", answer.summary())),
        None => Ok(()),
    }
}

/// The object `text` with the list `key` as its last member.
fn with_list(text: &str, key: &str, items: &str) -> String {
    format!("{}{items}]}}", raw::open_list(&text.replace(['\n', '\r'], " "), key))
}
