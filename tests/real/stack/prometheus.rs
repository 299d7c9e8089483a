//! Debian's Prometheus over a private directory, scraping once a second what `targets.json` names.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{family::Member, ports, process::Process};
use crate::http;

/// A running Prometheus.
pub struct Prometheus {
    process: Process,
    address: SocketAddr,
    _dir: TempDir,
}

/// Something to scrape.
pub struct Scraped {
    /// Its `job` label.
    pub job: &'static str,
    /// The whole URL of its metrics.
    pub url: String,
}

impl Prometheus {
    /// Scrapes `targets`; the first samples come some seconds later.
    pub fn start(targets: &[Scraped]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), include_str!("../../../stack/prometheus.yml")).unwrap();
        let targets: Vec<Value> = targets.iter().map(Scraped::group).collect();
        fs::write(dir.path().join("targets.json"), Value::from(targets).to_string()).unwrap();
        Self::serve(dir)
    }

    /// Scrapes nothing, and serves the samples in `openmetrics`, which promtool writes into blocks first.
    pub fn backfilled(openmetrics: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("prometheus.yml"), "global: {}\n").unwrap();
        fs::write(dir.path().join("samples.om"), openmetrics).unwrap();
        let written = std::process::Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics", "samples.om", "data"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(written.status.success(), "promtool: {}", String::from_utf8_lossy(&written.stderr));
        Self::serve(dir)
    }

    /// Scrapes the series of `job` from other servers, as one that puts a pair together does: each server's series bear a label
    /// `replica`.
    pub fn federating(servers: &[&Self], job: &str) -> Self {
        let server = |(index, server): (usize, &&Self)| json!({"targets": [server.address], "labels": {"replica": index.to_string()}});
        let servers: Vec<Value> = servers.iter().enumerate().map(server).collect();
        Self::configured(&json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "900ms"},
            "scrape_configs": [{
                "job_name": "federate", "honor_labels": true, "metrics_path": "/federate",
                "params": {"match[]": [format!("{{job=\"{job}\"}}")]}, "static_configs": servers,
            }],
        }))
    }

    /// Runs with this configuration.
    pub fn configured(config: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // YAML takes JSON as it is.
        fs::write(dir.path().join("prometheus.yml"), config.to_string()).unwrap();
        Self::serve(dir)
    }

    fn serve(dir: TempDir) -> Self {
        let address = ports::free();
        let mut process = Process::start("prometheus", Path::new("prometheus"), dir.path(), |command| {
            command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=warn"]);
            command.arg(format!("--web.listen-address={address}"));
        });
        let ready = format!("http://{address}/-/ready");
        process.until("it is ready", |_| http::is_ok(&ready).then_some(()));
        Self { process, address, _dir: dir }
    }

    /// Its processes.
    pub fn members(&self) -> Vec<Member> {
        self.process.members()
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until each of `jobs` was scraped with success.
    pub fn until_up(&mut self, jobs: &[&str]) {
        let url = format!("{}/api/v1/query?query=up%3D%3D1", self.url());
        self.process.until("every target is up", |_| {
            let answer = http::get(&url).ok()?.json();
            let up = answer["data"]["result"].as_array()?.clone();
            jobs.iter().all(|job| up.iter().any(|series| series["metric"]["job"] == *job)).then_some(())
        });
    }

    /// Waits until `ready` accepts the result of a query.
    pub fn until_result(&mut self, query: &str, mut ready: impl FnMut(&[Value]) -> bool) {
        let url = format!("{}/api/v1/query", self.url());
        self.process.until(query, |_| {
            let answer = http::post_form(&url, &[("query", query)]).json();
            ready(answer["data"]["result"].as_array()?).then_some(())
        });
    }

    /// Its answer to a range query, to the byte; times in seconds since the epoch.
    pub fn range(&self, query: &str, start: f64, end: f64, step: f64) -> String {
        let [start, end] = [start, end].map(|time| format!("{time:.3}"));
        self.answer("query_range", &[("query", query), ("start", &start), ("end", &end), ("step", &step.to_string())])
    }

    /// Its answer to a query at one moment, to the byte.
    pub fn instant(&self, query: &str, time: f64) -> String {
        self.answer("query", &[("query", query), ("time", &format!("{time:.3}"))])
    }

    fn answer(&self, endpoint: &str, form: &[(&str, &str)]) -> String {
        let answer = http::post_form(&format!("{}/api/v1/{endpoint}", self.url()), form);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }
}

impl Scraped {
    fn group(&self) -> Value {
        let rest = self.url.strip_prefix("http://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut labels = json!({"job": self.job, "__metrics_path__": format!("/{path}")});
        if let Some((name, value)) = query.split_once('=') {
            labels[format!("__param_{name}")] = value.into();
        }
        json!({"targets": [address], "labels": labels})
    }
}
