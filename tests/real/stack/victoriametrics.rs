//! The VictoriaMetrics that `stack/victoriametrics/install` built.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::{ports, process::Process};
use crate::http;

/// A running VictoriaMetrics.
pub struct VictoriaMetrics {
    _process: Process,
    address: SocketAddr,
    _dir: TempDir,
}

/// The path of the program.
pub fn program() -> PathBuf {
    let program = std::env::var_os("VICTORIA_METRICS");
    PathBuf::from(program.expect("VICTORIA_METRICS names the program: run `make test-real`"))
}

impl VictoriaMetrics {
    /// Scrapes what a configuration of Prometheus names.
    pub fn scraping(config: &Value) -> Self {
        let (dir, address) = (tempfile::tempdir().unwrap(), ports::free());
        fs::write(dir.path().join("prometheus.yml"), config.to_string()).unwrap();
        let mut process = Process::start("victoria-metrics", &program(), dir.path(), |command| {
            command.args(["-storageDataPath=data", "-promscrape.config=prometheus.yml"]);
            command.arg(format!("-httpListenAddr={address}"));
        });
        let ready = format!("http://{address}/health");
        process.until("it is ready", |_| http::is_ok(&ready).then_some(()));
        Self { _process: process, address, _dir: dir }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
