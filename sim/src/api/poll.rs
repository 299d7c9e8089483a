//! `GET /jobs/{id}` and `GET /jobs/{id}/result`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use crate::fault::{self, Kind};
use crate::job::Status;
use crate::pipeline::Pipeline;

pub(super) async fn poll(State(pipeline): State<Arc<Pipeline>>, Path(id): Path<String>) -> Response {
    let (ordinal, document) = pipeline.poll(&id);
    let faults = &pipeline.options.faults;
    if let Some(fault) = fault::first_status(&faults.poll_status, pipeline.chance, Kind::PollStatus, ordinal) {
        return answer::refusal(fault.status, fault.retry_after);
    }
    let Some(document) = document else {
        return unknown();
    };
    let strikes = |flags, kind| fault::any(flags, pipeline.chance, kind, ordinal);
    if strikes(&faults.cut, Kind::Cut) {
        answer::cut(StatusCode::OK, &document)
    } else if strikes(&faults.garble, Kind::Garble) {
        answer::json(StatusCode::OK, garbled(&document))
    } else {
        answer::json(StatusCode::OK, document)
    }
}

pub(super) async fn result(State(pipeline): State<Arc<Pipeline>>, Path(id): Path<String>) -> Response {
    let answer = pipeline.look(&id, |job| match job.status {
        Status::Done => answer::json(StatusCode::OK, job.result(&pipeline.options)),
        _ => answer::detail(StatusCode::CONFLICT, "job is not done"),
    });
    answer.unwrap_or_else(unknown)
}

fn unknown() -> Response {
    answer::detail(StatusCode::NOT_FOUND, "job not found")
}

/// A document that looks like one at first and is no JSON: a string is never closed, and bytes that are no UTF-8 follow.
fn garbled(document: &[u8]) -> Vec<u8> {
    let mut body = document[..document.len() / 3].to_vec();
    body.extend_from_slice(b"\"\xFF\xFE\x00,,");
    body
}
