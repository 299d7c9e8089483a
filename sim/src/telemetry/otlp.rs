//! Spans in OTLP's JSON form, as Jaeger's `/api/v3` answers them and as OTLP/HTTP sends them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::spans::{Span, TagValue};

/// The entries of `resourceSpans`, one per service; ids in hexadecimal, times in nanoseconds as strings.
pub(crate) fn resource_spans(spans: &[Arc<Span>]) -> Vec<Value> {
    let mut spans = spans.to_vec();
    // Stable: within a service the spans stay in their order.
    spans.sort_by_key(|span| span.service);
    spans.chunk_by(|one, next| one.service == next.service).map(resource).collect()
}

fn resource(spans: &[Arc<Span>]) -> Value {
    let service = spans.first().map_or("", |span| span.service);
    json!({
        "resource": {"attributes": [attribute("service.name", &TagValue::Text(service.to_owned()))]},
        "scopeSpans": [{
            "scope": {"name": "autorag"},
            "spans": spans.iter().map(|span| one(span)).collect::<Vec<_>>(),
        }],
    })
}

fn one(span: &Span) -> Value {
    let start = i128::from(span.start_micros()) * 1000;
    let end = start + i128::from(span.duration_micros()) * 1000;
    let tags = span.tags.iter().map(|(key, value)| attribute(key, value));
    let mut json = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": span.kind as u8,
        "startTimeUnixNano": start.to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": tags.collect::<Vec<_>>(),
        "status": match &span.error {
            None => json!({}),
            Some(message) => json!({"code": 2, "message": message}),
        },
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = Value::from(format!("{parent:016x}"));
    }
    json
}

fn attribute(key: &str, value: &TagValue) -> Value {
    let value = match value {
        TagValue::Text(text) => json!({"stringValue": text}),
        // OTLP writes 64-bit integers as strings.
        TagValue::Int(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": key, "value": value})
}
