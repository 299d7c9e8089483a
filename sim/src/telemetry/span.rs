//! One span, in the words of OpenTelemetry.

use std::sync::OnceLock;
use std::time::Duration;

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
    /// The error, if any; an error status in either shape.
    pub(crate) error: Option<String>,
    pub(crate) text: SpanText,
}

/// A span as JSON in either shape, once somebody asked for it: a search that bisects asks for the same spans again and again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SpanText {
    pub(crate) jaeger: OnceLock<String>,
    pub(crate) otlp: OnceLock<String>,
}

/// The part a span plays, as OpenTelemetry numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
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

impl Span {
    /// Start in microseconds since the epoch, the unit of Jaeger's older API and of every search.
    pub(crate) fn start_micros(&self) -> i64 {
        self.start.timestamp_micros()
    }

    pub(crate) fn duration_micros(&self) -> u64 {
        u64::try_from(self.duration.as_micros()).unwrap_or(u64::MAX)
    }
}
