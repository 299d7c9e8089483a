//! The target's settings are asked for again after the last job.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use stress_suite::cli::Stop;
use stress_suite::tools::{poll_jobs, submit_jobs};

use crate::odd_polls::with_headers;
use crate::server::{Reply, Server};
use crate::support::{Ran, root, tool, tool_until};

/// A run labelled `num_parallel=8` whose target told 8 before its one job was submitted.
fn stream(settings: &Value) -> String {
    let run = json!({"apiVersion": "stress/v1", "kind": "Run",
        "metadata": {"name": "ab", "run": "r1", "labels": {"num_parallel": "8"}},
        "spec": {"scenario": "ab", "prefix": "ab", "jobs": 1, "profile": "autorag"}, "status": {"settings": settings}});
    let job = json!({"apiVersion": "stress/v1", "kind": "Job", "metadata": {"name": "ab-001", "run": "r1"},
        "spec": {"source": "/data/1.webm"},
        "status": {"phase": "Submitted", "jobId": "j7", "submittedAt": Utc::now().to_rfc3339()}});
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

#[test]
fn a_health_answer_is_read_as_leniently_as_others_or_named() {
    let submitted = |health: Reply, labels: &str| {
        let target = Server::new(move |request| match request.path.as_str() {
            "/health" => health.clone(),
            _ => Reply::json(r#"{"id":"j7"}"#),
        });
        let run = stream(&json!({})).replace(r#""labels":{"num_parallel":"8"}"#, labels);
        let ran = tool(submit_jobs::run, &["--target", &target.url()], run.lines().next().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        (ran.last("ab")["status"].clone(), ran.stderr)
    };
    let label = r#""labels":{"num_parallel":"8"}"#;
    for body in ["\u{feff}{\"num_parallel\":4}", r#"{"num_parallel":4,"load":NaN}"#] {
        let (status, stderr) = submitted(Reply::json(body), label);
        assert_eq!(status["settings"], json!({"num_parallel": "4"}), "{body}");
        assert!(stderr.contains("labelled num_parallel=8, but the target says that its num_parallel is 4"), "{stderr}");
    }
    for body in [r#"{"num_parallel":8"#, "<html>ok</html>", ""] {
        let (status, stderr) = submitted(Reply::json(body), label);
        let error = status["settingsError"].as_str().unwrap();
        assert!(error.contains("/health: the answer is"), "{error}");
        let line = format!("the target's settings are not known, so no label is checked: {error}");
        assert_eq!(stderr.matches(&line).count(), 1, "{stderr}");
        let (status, stderr) = submitted(Reply::json(body), r#""labels":{"scenario":"soak"}"#);
        assert_eq!((status.get("settingsError"), stderr.as_str()), (None, ""), "nobody says what they should be");
    }
    let (status, stderr) = submitted(Reply::json(r#"{"status":"ok"}"#), label);
    assert_eq!((&status["settings"], status.get("settingsError"), stderr.as_str()), (&json!({}), None, ""));
}

#[test]
fn settings_that_a_signal_left_unchecked_are_named() {
    let target = Server::new(|_| Reply::json(r#"{"status":"running"}"#));
    let after = |settings: &Value| {
        let stop = Stop::default();
        stop.trigger(15);
        let ran =
            tool_until(poll_jobs::run, &["--target", &target.url()], Box::new(Cursor::new(stream(settings))), stop);
        ran.last("ab")["status"]["settingsAfter"].clone()
    };
    assert_eq!(after(&json!({"num_parallel": "8"})), json!({"error": "poll-jobs was stopped by a signal"}));
    assert_eq!(after(&json!({})), Value::Null, "they were not known before, either");
}

#[test]
fn the_settings_of_a_share_without_jobs_are_checked_too() {
    let without_job = |settings: &Value, argv: &[&str]| {
        let target = Server::new(|_| Reply::json(r#"{"num_parallel":8}"#));
        let stream = stream(settings);
        let url = target.url();
        let argv = [argv, &["--target", &url]].concat();
        let ran = tool(poll_jobs::run, &argv, stream.lines().next().unwrap());
        ran.last("ab")["status"]["settingsAfter"].clone()
    };
    let known = json!({"num_parallel": "8"});
    assert_eq!(without_job(&known, &[]), json!({"values": known}));
    assert_eq!(without_job(&json!({}), &[]), Value::Null, "nothing was submitted, and the target may be gone");
    assert_eq!(without_job(&known, &["--resume"]), Value::Null, "by now it may be another target");
}

#[test]
fn an_answer_of_a_cache_confirms_no_setting() {
    let http_date = |ago: i64| (Utc::now() - TimeDelta::seconds(ago)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let caches = |ago: i64| {
        [
            (vec![("Age", "45".to_owned()), ("X-Cache", "Hit from edge".to_owned())], "(Age: 45 s)"),
            (vec![("CF-Cache-Status", "HIT".to_owned())], "(age unknown)"),
            (vec![("Date", http_date(ago))], " old by its Date"),
        ]
    };
    let settings = r#"{"num_parallel":8}"#;
    let target = |headers: Vec<(&'static str, String)>| {
        Server::new(move |request| match request.path.as_str() {
            "/health" => {
                assert_eq!(request.headers["cache-control"], "no-cache");
                with_headers(200, headers.clone(), settings)
            }
            _ => with_headers(200, vec![("Date", http_date(0))], r#"{"id":"j7","status":"done"}"#),
        })
    };
    let before = stream(&json!({}));
    for (headers, age) in caches(600) {
        let is_dated = age.ends_with("Date");
        let target = target(headers);
        let told = tool(poll_jobs::run, &["--target", &target.url()], &stream(&json!({"num_parallel": "8"})));
        let after = told.last("ab")["status"]["settingsAfter"].clone();
        assert!(after["error"].as_str().is_some_and(|error| error.contains(age)), "{age}: {after}");
        assert_eq!(after.get("values"), None, "{after}");
        // Before the jobs there is no other date to compare with.
        let ran = tool(submit_jobs::run, &["--target", &target.url()], before.lines().next().unwrap());
        let status = ran.last("ab")["status"].clone();
        let error = status["settingsError"].as_str().unwrap_or_default();
        let is_unknown = status["settings"] == json!({});
        assert_eq!((error.contains(age), is_unknown), (!is_dated, !is_dated), "{age}: {status}");
    }
    for own in [vec![("Age", "0".to_owned()), ("X-Cache", "Miss".to_owned())], vec![]] {
        let target = target(own);
        let told = tool(poll_jobs::run, &["--target", &target.url()], &stream(&json!({"num_parallel": "8"})));
        assert_eq!(told.last("ab")["status"]["settingsAfter"], json!({"values": {"num_parallel": "8"}}));
    }
}

#[test]
fn a_setting_that_is_a_list_is_named_and_the_others_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let profile = dir.path().join("p.toml");
    let autorag = std::fs::read_to_string(root().join("profiles/autorag.toml")).unwrap();
    let text = autorag.replace("[health.settings]", "[health.settings]\nbatch = [\"/batch\"]");
    std::fs::write(&profile, text).unwrap();
    let target = Server::new(|_| Reply::json(r#"{"num_parallel":[4],"batch":16}"#));
    let argv = ["--target", &target.url(), "--profile", profile.to_str().unwrap()];
    let run = stream(&json!({})).replace(r#""num_parallel":"8""#, r#""num_parallel":"8","batch":"32""#);
    let ran = tool(submit_jobs::run, &argv, run.lines().next().unwrap());
    let status = ran.last("ab")["status"].clone();
    assert_eq!(status["settings"], json!({"batch": "16"}));
    let cause =
        format!("GET {}/health: the answer has a list at /num_parallel, not a string, number or boolean", target.url());
    assert_eq!(status["settingsError"], json!(cause));
    assert!(ran.stderr.contains(&format!("not all of the target's settings are known: {cause}")), "{}", ran.stderr);
    assert!(ran.stderr.contains("labelled batch=32, but the target says that its batch is 16"), "{}", ran.stderr);
}
