//! The newer API: `/api/v3/services`, `/api/v3/traces`, `/api/v3/traces/{id}`, answering OTLP.
//!
//! As in Jaeger 1.76 every answer is JSON under the name of plain text, and a search without a depth is a server error.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use serde_json::json;

use super::search::{Trace, trace_id};
use super::{Jaeger, away};
use crate::params::Params;
use crate::telemetry::otlp::resource_spans;

pub(super) async fn services(State(jaeger): State<Arc<Jaeger>>) -> Response {
    plain(StatusCode::OK, json!({"services": jaeger.services()}).to_string())
}

pub(super) async fn search(State(jaeger): State<Arc<Jaeger>>, uri: Uri, headers: HeaderMap) -> Response {
    let params = Params::read(&uri, &headers, b"");
    let service = params.get("query.service_name");
    let window = match window(&params) {
        Ok(window) => window,
        Err(message) => return malformed(&message),
    };
    if service.is_empty() {
        return malformed("malformed parameter query.service_name: it is required");
    }
    let Ok(limit @ 1..) = params.get("query.num_traces").parse() else {
        let message = "search depth must be greater than 0 and less than max traces";
        return error(StatusCode::INTERNAL_SERVER_ERROR, message);
    };
    let service = service.to_owned();
    away(move || found(&jaeger.search(&service, &window, limit))).await
}

/// The window in microseconds; both ends are required.
fn window(params: &Params) -> Result<RangeInclusive<i64>, String> {
    let time = |name: &str| {
        let text = params.get(name);
        let time = DateTime::parse_from_rfc3339(text);
        time.map(|time| time.timestamp_micros()).map_err(|_| format!("malformed parameter {name}: '{text}'"))
    };
    Ok(time("query.start_time_min")?..=time("query.start_time_max")?)
}

pub(super) async fn by_id(State(jaeger): State<Arc<Jaeger>>, Path(id): Path<String>) -> Response {
    match trace_id(&id) {
        None => malformed("malformed parameter trace_id"),
        Some(id) => found(jaeger.trace(id).as_slice()),
    }
}

/// One `result` that holds all traces; a 404 of its own where there are none.
fn found(traces: &[Trace]) -> Response {
    if traces.is_empty() {
        return error(StatusCode::NOT_FOUND, "No traces found");
    }
    let spans = resource_spans(traces.iter().map(Vec::as_slice));
    plain(StatusCode::OK, format!("{{\"result\":{{\"resourceSpans\":{spans}}}}}"))
}

fn malformed(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

fn error(status: StatusCode, message: &str) -> Response {
    plain(status, format!("{}\n", json!({"error": {"httpCode": status.as_u16(), "message": message}})))
}

fn plain(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "text/plain; charset=utf-8")], body).into_response()
}
