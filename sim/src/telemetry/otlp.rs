//! Spans in OTLP's JSON form, as Jaeger's `/api/v3` answers them and as OTLP/HTTP sends them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::span::{Span, TagValue};

/// The array `resourceSpans`, an entry per trace and service; ids in hexadecimal, times in nanoseconds as strings.
pub(crate) fn resource_spans<'a>(traces: impl IntoIterator<Item = &'a [Arc<Span>]>) -> String {
    let entries = traces.into_iter().flat_map(|trace| {
        let mut spans = trace.to_vec();
        // Stable: within a service the spans stay in their order.
        spans.sort_by_key(|span| span.service);
        spans.chunk_by(|one, next| one.service == next.service).map(resource).collect::<Vec<_>>()
    });
    format!("[{}]", entries.collect::<Vec<_>>().join(","))
}

fn resource(spans: &[Arc<Span>]) -> String {
    let service = spans.first().map_or("", |span| span.service);
    let service = attribute("service.name", &TagValue::Text(service.to_owned()));
    let spans: Vec<&str> =
        spans.iter().map(|span| span.text.otlp.get_or_init(|| one(span).to_string()).as_str()).collect();
    format!(
        r#"{{"resource":{{"attributes":[{service}]}},"scopeSpans":[{{"scope":{{"name":"autorag"}},"spans":[{}]}}]}}"#,
        spans.join(",")
    )
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
