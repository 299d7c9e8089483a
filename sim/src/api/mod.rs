//! The job API of the target, as FastAPI would serve it.

mod answer;
mod poll;
mod source;
mod submit;

use std::future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use crate::clock::http_date;
use crate::pipeline::Pipeline;

/// The API's routes over a pipeline.
pub(crate) fn router(pipeline: Arc<Pipeline>) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/jobs/audio", post(submit::submit))
        .route("/jobs/{id}", get(poll::poll))
        .route("/jobs/{id}/result", get(poll::result))
        .fallback(async || answer::detail(StatusCode::NOT_FOUND, "Not Found"))
        .method_not_allowed_fallback(async || answer::detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        .layer(middleware::from_fn_with_state(Arc::clone(&pipeline), every_answer))
        .with_state(pipeline)
}

/// Adds to every answer the server's own clock in `Date`, `--delay`, and silence once `--die-after` has been reached.
async fn every_answer(State(pipeline): State<Arc<Pipeline>>, request: Request, next: Next) -> Response {
    if pipeline.is_doomed() {
        // The connection is about to be dropped, and this request with it.
        return future::pending().await;
    }
    let mut response = next.run(request).await;
    let delay = pipeline.options.faults.delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if let Ok(date) = HeaderValue::try_from(http_date(pipeline.clock.now())) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn health(State(pipeline): State<Arc<Pipeline>>) -> Response {
    if pipeline.options.faults.unhealthy {
        answer::json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"unavailable"}"#)
    } else {
        let num_parallel = pipeline.options.num_parallel;
        answer::json(StatusCode::OK, format!(r#"{{"status":"ok","num_parallel":{num_parallel}}}"#))
    }
}
