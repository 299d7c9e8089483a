//! The older API: `/api/services`, `/api/traces`, `/api/traces/{id}`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::search::{Trace, trace_id};
use super::{Jaeger, away, json};
use crate::params::Params;
use crate::stage::Service;
use crate::telemetry::{Span, TagValue};

/// Traces in an answer where no limit is asked for.
const DEFAULT_LIMIT: i64 = 100;

pub(super) async fn services(State(jaeger): State<Arc<Jaeger>>) -> Response {
    let services = jaeger.services();
    let (total, data) = (services.len(), json!(services));
    json(StatusCode::OK, format!(r#"{{"data":{data},"total":{total},"limit":0,"offset":0,"errors":null}}"#))
}

pub(super) async fn search(State(jaeger): State<Arc<Jaeger>>, uri: Uri, headers: HeaderMap) -> Response {
    let params = Params::read(&uri, &headers, b"");
    let service = params.get("service");
    if service.is_empty() {
        return refused("parameter 'service' is required");
    }
    let (window, limit) = match window(&params) {
        Ok(window) => window,
        Err(message) => return refused(&message),
    };
    // The memory store takes a limit of nothing for no limit.
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let service = service.to_owned();
    away(move || {
        let found = jaeger.search(&service, &window, limit);
        json(StatusCode::OK, envelope(&found))
    })
    .await
}

/// From `start` to `end` in microseconds, by default the last two days; and `limit`.
fn window(params: &Params) -> Result<(RangeInclusive<i64>, i64), String> {
    let number = |name: &str, default: i64| match params.get(name) {
        "" => Ok(default),
        text => text.parse().map_err(|error| format!("unable to parse param '{name}': {error}")),
    };
    let now = Utc::now();
    let start = number("start", (now - TimeDelta::days(2)).timestamp_micros())?;
    Ok((start..=number("end", now.timestamp_micros())?, number("limit", DEFAULT_LIMIT)?))
}

pub(super) async fn by_id(State(jaeger): State<Arc<Jaeger>>, Path(id): Path<String>) -> Response {
    match trace_id(&id) {
        None => refused(&format!("cannot parse trace ID: {id}")),
        Some(number) => match jaeger.trace(number) {
            Some(trace) => json(StatusCode::OK, envelope(&[trace])),
            None => error(StatusCode::NOT_FOUND, "trace not found"),
        },
    }
}

/// `total` and `limit` say nothing, as in Jaeger.
fn envelope(traces: &[Trace]) -> String {
    let data = traces.iter().map(trace).collect::<Vec<_>>().join(",");
    format!(r#"{{"data":[{data}],"total":0,"limit":0,"offset":0,"errors":null}}"#)
}

fn refused(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

/// Jaeger's errors are JSON under the name of plain text.
fn error(status: StatusCode, message: &str) -> Response {
    let error = json!({"code": status.as_u16(), "msg": message});
    let body = format!(r#"{{"data":null,"total":0,"limit":0,"offset":0,"errors":[{error}]}}"#);
    (status, [("content-type", "text/plain; charset=utf-8")], format!("{body}\n")).into_response()
}

fn trace(spans: &Trace) -> String {
    let id = spans.first().map_or(0, |span| span.trace);
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service).collect();
    let processes = services.into_iter().map(|service| (process(service), json!({"serviceName": service, "tags": []})));
    let processes = Value::Object(processes.collect());
    let spans: Vec<&str> =
        spans.iter().map(|one| one.text.jaeger.get_or_init(|| span(one).to_string()).as_str()).collect();
    format!(r#"{{"traceID":"{id:032x}","spans":[{}],"processes":{processes},"warnings":null}}"#, spans.join(","))
}

/// The id of a service's process, the same in every trace.
fn process(service: &str) -> String {
    let place = service.parse().map_or(0, |known: Service| known as usize + 1);
    format!("p{place}")
}

fn span(span: &Span) -> Value {
    let id = format!("{:032x}", span.trace);
    let parent =
        span.parent.map(|parent| json!({"refType": "CHILD_OF", "traceID": id, "spanID": format!("{parent:016x}")}));
    let mut tags: Vec<Value> = span.tags.iter().map(|(key, value)| tag(key, value)).collect();
    tags.push(json!({"key": "otel.scope.name", "type": "string", "value": "autorag"}));
    tags.push(json!({"key": "span.kind", "type": "string", "value": span.kind.to_string()}));
    if let Some(message) = &span.error {
        tags.push(json!({"key": "error", "type": "bool", "value": true}));
        tags.push(json!({"key": "otel.status_code", "type": "string", "value": "ERROR"}));
        tags.push(json!({"key": "otel.status_description", "type": "string", "value": message}));
    }
    json!({
        "traceID": id,
        "spanID": format!("{:016x}", span.id),
        "operationName": span.name,
        "references": parent.into_iter().collect::<Vec<_>>(),
        "startTime": span.start_micros(),
        "duration": span.duration_micros(),
        "tags": tags,
        "logs": [],
        "processID": process(span.service),
        "warnings": null,
    })
}

fn tag(key: &str, value: &TagValue) -> Value {
    match value {
        TagValue::Text(text) => json!({"key": key, "type": "string", "value": text}),
        TagValue::Int(number) => json!({"key": key, "type": "int64", "value": number}),
    }
}
