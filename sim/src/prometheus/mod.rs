//! A Prometheus-compatible query API over the stand-in's own scrapes.
//!
//! Grid, lookback, order, spelling of numbers and errors are those of Prometheus 2.42; what is evaluated is plain selectors.

mod error;
mod exposition;
mod query;
mod scrape;
mod selector;
mod store;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::params::Params;
use crate::stage::Service;
use error::{QueryError, bad_data};
use query::Grid;
pub(crate) use scrape::Prometheus;
use selector::Selector;

type Shared = State<Arc<Prometheus>>;

/// The query API's routes.
pub(crate) fn router(prometheus: Arc<Prometheus>) -> Router {
    Router::new()
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/-/ready", get(async || "Prometheus Server is Ready.\n"))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .with_state(prometheus)
}

/// The services' own expositions: `/<service>/metrics`.
pub(crate) fn metrics_router(prometheus: Arc<Prometheus>) -> Router {
    Router::new().route("/{service}/metrics", get(metrics)).with_state(prometheus)
}

async fn metrics(State(prometheus): Shared, Path(name): Path<String>) -> Response {
    let Ok(service) = name.parse() else {
        return (StatusCode::NOT_FOUND, "no such service\n").into_response();
    };
    match prometheus.pipeline.expose(service) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([("content-type", kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn query_range(State(prometheus): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let params = Params::read(&uri, &headers, &body);
    evaluate(move || {
        let grid = Grid::parse(params.get("start"), params.get("end"), params.get("step"))?;
        let selector = Selector::parse(params.get("query"))?;
        if selector.range.is_some() {
            return Err(bad_data(
                "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
            ));
        }
        Ok(write::matrix(&query::range(&prometheus.store, &selector, &grid)))
    })
    .await
}

async fn instant(State(prometheus): Shared, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let params = Params::read(&uri, &headers, &body);
    evaluate(move || {
        let at = optional_time(&params, "time")?.unwrap_or_else(|| Utc::now().timestamp_millis());
        if params.get("query") == "time()" {
            let seconds = format!("{}.{:03}", at / 1000, at % 1000);
            return Ok(json!({"resultType": "scalar", "result": [at as f64 / 1000.0, seconds]}).to_string());
        }
        let selector = Selector::parse(params.get("query"))?;
        let matches = |labels: &store::Labels| selector.matches(labels);
        match selector.range {
            Some(range) => Ok(write::matrix(&prometheus.store.select(matches, at.saturating_sub(range), at))),
            None => Ok(write::vector(&prometheus.store.select(matches, at - query::LOOKBACK, at), at)),
        }
    })
    .await
}

async fn label_values(State(prometheus): Shared, Path(label): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let params = Params::read(&uri, &headers, b"");
    evaluate(move || {
        let from = optional_time(&params, "start")?.unwrap_or(i64::MIN);
        let to = optional_time(&params, "end")?.unwrap_or(i64::MAX);
        Ok(json!(prometheus.store.values(&label, from, to)).to_string())
    })
    .await
}

async fn targets(State(prometheus): Shared, uri: Uri, headers: HeaderMap) -> Response {
    let params = Params::read(&uri, &headers, b"");
    let wants_active = matches!(params.get("state"), "" | "any" | "active");
    let services = Service::ALL.iter().filter(|_| wants_active);
    let active: Vec<Value> = services.map(|service| target(&prometheus, *service)).collect();
    success(&json!({"activeTargets": active, "droppedTargets": []}).to_string())
}

fn target(prometheus: &Prometheus, service: Service) -> Value {
    let last = prometheus.last(service);
    let at = last
        .as_ref()
        .map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |last| last.at.to_rfc3339_opts(SecondsFormat::Nanos, true));
    let health = match &last {
        None => "unknown",
        Some(last) if last.error.is_some() => "down",
        Some(_) => "up",
    };
    let (name, instance) = (service.name(), &prometheus.instance);
    let url = format!("http://{instance}/{name}/metrics");
    json!({
        "labels": {"instance": instance, "job": name},
        "scrapeUrl": url,
        "lastError": last.as_ref().and_then(|last| last.error.clone()).unwrap_or_default(),
        "lastScrape": at,
        "lastScrapeDuration": last.map_or(0.0, |last| last.seconds),
        "health": health,
        "scrapeInterval": format!("{}ms", prometheus.interval.as_millis()),
    })
}

fn optional_time(params: &Params, name: &str) -> Result<Option<i64>, QueryError> {
    match params.get(name) {
        "" => Ok(None),
        text => query::parameter(name, text, "timestamp", query::time).map(Some),
    }
}

/// Evaluates away from the thread that serves and works: a long answer must not hold up the pipeline.
async fn evaluate(query: impl FnOnce() -> Result<String, QueryError> + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(query).await {
        Ok(Ok(data)) => success(&data),
        Ok(Err(error)) => failure(&error),
        Err(error) => failure(&QueryError { status: 500, kind: "internal", text: error.to_string() }),
    }
}

fn success(data: &str) -> Response {
    envelope(200, format!("{{\"status\":\"success\",\"data\":{data}}}"))
}

fn failure(error: &QueryError) -> Response {
    let (kind, text) = (Value::from(error.kind), Value::from(error.text.as_str()));
    let body = format!("{{\"status\":\"error\",\"errorType\":{kind},\"error\":{text}}}");
    envelope(error.status, body)
}

fn envelope(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/json")], body).into_response()
}
