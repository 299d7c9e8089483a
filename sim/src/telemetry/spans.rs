//! Spans: recorded when they end, visible to queries a little later.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// One ended span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    pub(crate) service: &'static str,
    pub(crate) kind: SpanKind,
    /// By the server's own clock.
    pub(crate) start: DateTime<Utc>,
    pub(crate) duration: Duration,
    pub(crate) tags: Vec<(&'static str, TagValue)>,
    /// What went wrong; an error status in either shape.
    pub(crate) error: Option<String>,
}

/// The part a span plays, as OpenTelemetry numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Internal = 1,
    Server = 2,
    Consumer = 5,
}

/// A tag's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TagValue {
    Text(String),
    Int(i64),
}

/// Where ended spans go: into memory, and to an exporter if there is one.
#[derive(Debug)]
pub(crate) struct Recorder {
    delay: Duration,
    kept: Mutex<Kept>,
    export: Option<Sender<Arc<Span>>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they ended.
    spans: Vec<(Instant, Arc<Span>)>,
    by_trace: HashMap<u128, Vec<usize>>,
}

impl Span {
    /// Start in microseconds since the epoch, the unit of Jaeger's older API and of every search.
    pub(crate) fn start_micros(&self) -> i64 {
        self.start.timestamp_micros()
    }

    pub(crate) fn duration_micros(&self) -> u64 {
        u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX)
    }
}

impl SpanKind {
    /// The word of the `span.kind` tag.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Consumer => "consumer",
        }
    }
}

impl Recorder {
    /// Spans become visible `delay` after they were recorded; each also goes to `export`.
    pub(crate) fn new(delay: Duration, export: Option<Sender<Arc<Span>>>) -> Self {
        Self { delay, kept: Mutex::default(), export }
    }

    /// Every change is complete before the lock is let go, so a poisoned one is taken over.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self, span: Span) {
        let span = Arc::new(span);
        if let Some(export) = &self.export
            && export.send(Arc::clone(&span)).is_err()
        {
            crate::complain("the span exporter has stopped: a span is not exported");
        }
        let mut kept = self.kept();
        let index = kept.spans.len();
        kept.by_trace.entry(span.trace).or_default().push(index);
        kept.spans.push((Instant::now() + self.delay, span));
    }

    /// Every span that has become visible.
    pub(crate) fn visible(&self) -> Vec<Arc<Span>> {
        let now = Instant::now();
        let kept = self.kept();
        // They become visible in the order in which they were recorded.
        let seen = kept.spans.partition_point(|(at, _)| *at <= now);
        kept.spans[..seen].iter().map(|(_, span)| Arc::clone(span)).collect()
    }

    /// The visible spans of one trace.
    pub(crate) fn of_trace(&self, trace: u128) -> Vec<Arc<Span>> {
        let now = Instant::now();
        let kept = self.kept();
        let indices = kept.by_trace.get(&trace).into_iter().flatten();
        let spans = indices.map(|index| &kept.spans[*index]).filter(|(at, _)| *at <= now);
        spans.map(|(_, span)| Arc::clone(span)).collect()
    }
}
