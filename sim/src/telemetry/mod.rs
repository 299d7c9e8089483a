//! The pipeline's telemetry: metrics per service, and spans.

mod export;
mod metrics;
pub(crate) mod otlp;
mod recorder;
mod span;

pub(crate) use export::Exporter;
pub(crate) use metrics::Metrics;
pub(crate) use recorder::Recorder;
pub(crate) use span::{Span, SpanKind, SpanText, TagValue};
