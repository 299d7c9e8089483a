//! The Jaeger that `stack/install` built, with its spans in memory.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::{family::Member, ports, process::Process};
use crate::http;

/// A running Jaeger.
pub struct Jaeger {
    process: Process,
    query: SocketAddr,
    otlp: SocketAddr,
    _dir: TempDir,
}

impl Jaeger {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let binary = std::env::var_os("STRESS_SUITE_JAEGER");
        let binary = PathBuf::from(binary.expect("STRESS_SUITE_JAEGER names Jaeger's binary: run `make test-real`"));
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("jaeger.yaml");
        std::fs::write(&config, include_str!("../../../stack/jaeger.yaml")).unwrap();
        let [query, grpc, otlp] = std::array::from_fn(|_| ports::free());
        let mut process = Process::start("jaeger", &binary, dir.path(), |command| {
            command
                .arg("--config")
                .arg(&config)
                .env("JAEGER_QUERY_HTTP", query.to_string())
                .env("JAEGER_QUERY_GRPC", grpc.to_string())
                .env("JAEGER_OTLP_HTTP", otlp.to_string());
        });
        let services = format!("http://{query}/api/v3/services");
        process.until("it answers and takes spans", |_| {
            let takes_spans = || http::post_json(&format!("http://{otlp}/v1/traces"), "{}").is_ok();
            (http::is_ok(&services) && takes_spans()).then_some(())
        });
        Self { process, query, otlp, _dir: dir }
    }

    /// Its processes.
    pub fn members(&self) -> Vec<Member> {
        self.process.members()
    }

    /// The base URL of its query APIs.
    pub fn url(&self) -> String {
        format!("http://{}", self.query)
    }

    /// The base URL of its OTLP/HTTP receiver, without the path.
    pub fn otlp(&self) -> String {
        format!("http://{}", self.otlp)
    }

    /// Hands it spans in OTLP's JSON form.
    pub fn push(&self, spans: &str) {
        let answer = http::post_json(&format!("{}/v1/traces", self.otlp()), spans).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["partialSuccess"].get("rejectedSpans"), None, "{}", answer.text);
    }

    /// The trace of this id as it has it, unadjusted, in the older form; none if it does not know the id.
    pub fn trace(&self, id: &str) -> Option<Value> {
        let answer = http::get(&format!("{}/api/traces/{id}?raw=true", self.url())).unwrap();
        (answer.status != 404).then(|| answer.json()["data"][0].clone())
    }

    /// The traces of one service that one search gives, of all times.
    pub fn search(&self, service: &str, limit: usize) -> Vec<Value> {
        let query = format!("service={service}&start=0&limit={limit}");
        let answer = http::get(&format!("{}/api/traces?{query}", self.url())).unwrap().json();
        answer["data"].as_array().cloned().unwrap_or_default()
    }

    /// Its reading of a document in OTLP's JSON form: the traces that its UI would show after an upload.
    pub fn transform(&self, document: &str) -> Vec<Value> {
        let answer = http::post_json(&format!("{}/api/transform", self.url()), document).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["data"].as_array().unwrap().clone()
    }
}
