//! Finding traces, as Jaeger's memory store does.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Jaeger;
use crate::telemetry::Span;

/// The spans of one trace, by their start.
pub(super) type Trace = Vec<Arc<Span>>;

impl Jaeger {
    /// Whole traces with a span of the service that starts in the window, in microseconds since the epoch: the most recent first by the
    /// start of their last span, at most a page of them.
    pub(super) fn search(&self, service: &str, window: &RangeInclusive<i64>, limit: usize) -> Vec<Trace> {
        let matches = |span: &Span| span.service == service && window.contains(&span.start_micros());
        self.pipeline.recorder.newest_with(limit.min(self.page), matches).into_iter().map(sorted).collect()
    }

    /// One trace; none for an id that has no visible span.
    pub(super) fn trace(&self, id: u128) -> Option<Trace> {
        let spans = self.pipeline.recorder.of_trace(id);
        (!spans.is_empty()).then(|| sorted(spans))
    }

    /// The services that have visible spans.
    pub(super) fn services(&self) -> BTreeSet<&'static str> {
        self.pipeline.recorder.services()
    }
}

/// Reads a trace id: up to 32 hexadecimal digits, leading zeros may be missing.
pub(super) fn trace_id(text: &str) -> Option<u128> {
    let plain = (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u128::from_str_radix(text, 16).ok() } else { None }
}

fn sorted(mut trace: Trace) -> Trace {
    trace.sort_by_key(|span| span.start);
    trace
}
