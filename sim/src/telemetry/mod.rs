//! What the pipeline tells about itself: metrics per service, and spans.

pub(crate) mod export;
pub(crate) mod metrics;
pub(crate) mod otlp;
pub(crate) mod spans;

pub(crate) use export::Exporter;
pub(crate) use metrics::{Metrics, Service};
pub(crate) use spans::{Recorder, Span, TagValue};
