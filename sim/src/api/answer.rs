//! Bodies: JSON, FastAPI's error detail, and answers that break off.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use tokio::task::yield_now;

pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// FastAPI's form of an error: `{"detail": "…"}`.
pub(super) fn detail(status: StatusCode, text: &str) -> Response {
    json(status, crate::job::json(&serde_json::json!({ "detail": text })))
}

/// An injected error status, with `Retry-After` where one is asked for.
pub(super) fn refusal(status: u16, retry_after: Option<u64>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = detail(status, status.canonical_reason().unwrap_or("injected fault"));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An answer that promises its whole body and breaks the connection half way through it.
pub(super) fn cut(status: StatusCode, body: &Bytes) -> Response {
    let parts = [Ok(body.slice(..body.len() / 2)), Err(io::Error::from(io::ErrorKind::ConnectionAborted))];
    let parts = stream::iter(parts).then(async |part| {
        // One turn without data lets the server write out what it has, so that the head and half the body really arrive.
        yield_now().await;
        part
    });
    let mut response = json(status, Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}
