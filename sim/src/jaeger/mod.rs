//! A Jaeger query API over the stand-in's own spans, in both shapes.
//!
//! `/api/traces` is what servers up to 2.20 search under, `/api/v3` what newer ones have instead; `--jaeger-api` chooses which of them
//! this server is. Search has no pagination in either: a page that is full is the only sign that there may be more.

mod search;
mod v1;
mod v3;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::options::JaegerApi;
use crate::pipeline::Pipeline;

/// The data behind the query API.
#[derive(Debug)]
pub(crate) struct Jaeger {
    pipeline: Arc<Pipeline>,
    /// The most traces in one answer, whatever limit was asked for.
    page: usize,
}

/// The routes of the API that was chosen.
pub(crate) fn router(pipeline: Arc<Pipeline>) -> Router {
    let observe = &pipeline.options.observe;
    let (page, api) = (observe.jaeger_page, observe.jaeger_api);
    // A trace by its id in the older shape was kept when the search went.
    let mut router = Router::new().route("/api/traces/{id}", get(v1::by_id));
    if api != JaegerApi::V3 {
        router = router.route("/api/services", get(v1::services)).route("/api/traces", get(v1::search));
    }
    if api != JaegerApi::V1 {
        router = router
            .route("/api/v3/services", get(v3::services))
            .route("/api/v3/traces", get(v3::search))
            .route("/api/v3/traces/{id}", get(v3::by_id));
    }
    router
        .fallback(async || {
            (StatusCode::NOT_FOUND, [("content-type", "text/plain; charset=utf-8")], "404 page not found\n")
        })
        .with_state(Arc::new(Jaeger { pipeline, page }))
}

/// Answers away from the thread that serves and works: a page of a thousand traces must not hold up the pipeline.
async fn away(answer: impl FnOnce() -> Response + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(answer).await {
        Ok(answer) => answer,
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [("content-type", "application/json")], body).into_response()
}
