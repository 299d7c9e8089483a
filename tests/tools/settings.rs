//! The target's settings are asked for again after the last job.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use stress_suite::tools::poll_jobs;

use crate::server::{Reply, Server};
use crate::support::{Ran, tool};

/// A run labelled `num_parallel=8` whose target told 8 before its one job was submitted.
fn stream(settings: &Value) -> String {
    let run = json!({"apiVersion": "stress/v1", "kind": "Run",
        "metadata": {"name": "ab", "run": "r1", "labels": {"num_parallel": "8"}},
        "spec": {"scenario": "ab", "prefix": "ab", "jobs": 1, "profile": "autorag"}, "status": {"settings": settings}});
    let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "ab-001", "run": "r1"},
        "spec": {"source": "/data/1.webm"},
        "status": {"phase": "Submitted", "jobId": "j7", "submittedAt": "2026-01-01T00:00:00Z"}});
    format!("{run}\n{job}\n")
}

/// Polls the job of `stream` at a target with this health answer.
fn polled(settings: &Value, health: Reply) -> (Ran, usize) {
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let target = Server::new(move |request| match request.path.as_str() {
        "/health" => {
            count.fetch_add(1, Ordering::SeqCst);
            health.clone()
        }
        _ => Reply::json(r#"{"status":"done"}"#),
    });
    let ran = tool(poll_jobs::run, &["--target", &target.url(), "--timeout", "2s"], &stream(settings));
    (ran, asked.load(Ordering::SeqCst))
}

#[test]
fn the_last_run_record_has_the_settings_after_the_last_job() {
    let before = json!({"num_parallel": "8"});
    let after = |health: Reply| {
        let (ran, asked) = polled(&before, health);
        assert_eq!((ran.code, asked), (0, 1), "{}", ran.stderr);
        ran.last("ab")["status"]["settingsAfter"].clone()
    };
    assert_eq!(after(Reply::json(r#"{"num_parallel":1}"#)), json!({"values": {"num_parallel": "1"}}));
    assert_eq!(after(Reply::json(r#"{"status":"ok"}"#)), json!({}));
    for (health, reason) in
        [(Reply::new(503, "{}"), "/health: HTTP 503"), (Reply::Close, "/health: "), (Reply::Hang, "2.00 s")]
    {
        let found = after(health);
        assert!(found["error"].as_str().is_some_and(|error| error.contains(reason)), "{reason}: {found}");
        assert!(found.get("values").is_none(), "{found}");
    }
}

#[test]
fn a_run_without_labels_and_settings_is_not_asked_about() {
    let run = stream(&json!({})).replace(r#""labels":{"num_parallel":"8"},"#, "");
    let target = Server::new(|request| {
        assert_ne!(request.path, "/health");
        Reply::json(r#"{"status":"done"}"#)
    });
    let ran = tool(poll_jobs::run, &["--target", &target.url()], &run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.last("ab")["status"].get("settingsAfter").is_none(), "{}", ran.stdout);
}
