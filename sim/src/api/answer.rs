//! Bodies: JSON, FastAPI's error detail, and answers that break off.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame};

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
    let half = body.slice(..body.len() / 2);
    let mut response = json(status, Body::new(CutBody { rest: vec![Step::Break, Step::Flush, Step::Send(half)] }));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

/// A body that fails; its steps are taken from the end.
struct CutBody {
    rest: Vec<Step>,
}

enum Step {
    Send(Bytes),
    /// One turn without data lets the server write out what it has, so that the head and half the body really arrive.
    Flush,
    Break,
}

impl HttpBody for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.rest.pop() {
            Some(Step::Send(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Step::Flush) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Step::Break) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into()))),
            None => Poll::Ready(None),
        }
    }
}
