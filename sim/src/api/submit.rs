//! `POST /jobs/audio`.

use std::future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::{answer, source};
use crate::fault::{self, Kind};
use crate::job::Submission;
use crate::pipeline::{Accepted, Pipeline};
use crate::server::Connection;
use crate::trace::TraceParent;

pub(super) async fn submit(
    State(pipeline): State<Arc<Pipeline>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let post = pipeline.open_post();
    let mut response = answer_post(&pipeline, post.ordinal, &connection, &headers, &body).await;
    // It stays open while the answer is delayed on its way out.
    response.extensions_mut().insert(Arc::new(post));
    response
}

async fn answer_post(
    pipeline: &Pipeline,
    post: u64,
    connection: &Connection,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let faults = &pipeline.options.faults;
    if let Some(fault) = fault::first_status(&faults.refuse, pipeline.chance, Kind::Refuse, post) {
        pipeline.count(|counts| counts.refused += 1);
        return answer::refusal(fault.status, fault.retry_after);
    }
    let submission = match read(pipeline, headers, body) {
        Ok(submission) => submission,
        Err(refused) => {
            pipeline.count(|counts| counts.invalid += 1);
            return *refused;
        }
    };
    let Some(Accepted { id, status, ordinal }) = pipeline.accept(submission) else {
        return answer::refusal(503, Some(1));
    };

    let strikes = |flags, kind| fault::any(flags, pipeline.chance, kind, post);
    if strikes(&faults.no_answer, Kind::NoAnswer) {
        return future::pending().await;
    }
    let body = Bytes::from(crate::job::json(&json!({ "job_id": id, "status": status })));
    let mut response = if strikes(&faults.cut_post, Kind::CutPost) {
        answer::cut(StatusCode::ACCEPTED, &body)
    } else {
        answer::json(StatusCode::ACCEPTED, body)
    };
    if ordinal.is_some() && ordinal == faults.die_after {
        connection.last_answer.store(true, Ordering::Relaxed);
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn read(pipeline: &Pipeline, headers: &HeaderMap, body: &[u8]) -> Result<Submission, Box<Response>> {
    let received = Instant::now();
    let source = read_source(body).map_err(|detail| {
        let body = crate::job::json(&json!({ "detail": [detail] }));
        Box::new(answer::json(StatusCode::UNPROCESSABLE_ENTITY, body))
    })?;
    let bytes =
        source::locate(&pipeline.options, &source).map_err(|(status, text)| Box::new(answer::detail(status, &text)))?;
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Ok(Submission {
        source,
        bytes,
        key: header("idempotency-key").map(str::to_owned),
        parent: header("traceparent").and_then(TraceParent::parse),
        received,
    })
}

/// The body's `source`, or the one entry that FastAPI's validation error would list.
fn read_source(body: &[u8]) -> Result<String, Value> {
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        json!({"type": "json_invalid", "loc": ["body", error.column()], "msg": "JSON decode error", "input": {},
               "ctx": {"error": error.to_string()}})
    })?;
    let refused =
        |kind, message, input| json!({"type": kind, "loc": ["body", "source"], "msg": message, "input": input});
    match value.get("source") {
        Some(Value::String(source)) => Ok(source.clone()),
        Some(other) => Err(refused("string_type", "Input should be a valid string", other)),
        None => Err(refused("missing", "Field required", &value)),
    }
}
