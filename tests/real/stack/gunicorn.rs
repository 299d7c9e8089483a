//! The service in `stack/workers`: worker processes behind one address, each of which counts by itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::prometheus::Scraped;
use super::{ports, process::Process};
use crate::http;
use crate::support::root;

/// A running gunicorn.
pub struct Gunicorn {
    _process: Process,
    address: SocketAddr,
    _dir: TempDir,
}

impl Gunicorn {
    /// Starts it with so many worker processes.
    pub fn start(workers: usize) -> Self {
        let service = root().join("stack/workers");
        let venv = Command::new(root().join("stack/venv")).arg(service.join("requirements.txt")).output().unwrap();
        assert!(venv.status.success(), "stack/venv: {}", String::from_utf8_lossy(&venv.stderr));
        let python = PathBuf::from(String::from_utf8(venv.stdout).unwrap().trim_end());
        let (dir, address) = (tempfile::tempdir().unwrap(), ports::free());
        let mut process = Process::start("gunicorn", &python, dir.path(), |command| {
            command.args(["-m", "gunicorn", "--workers", &workers.to_string(), "--bind", &address.to_string()]);
            command.arg("--chdir").arg(&service).arg("app:app").env("PYTHONDONTWRITEBYTECODE", "1");
        });
        let metrics = format!("http://{address}/metrics");
        process.until("it answers", |_| http::is_ok(&metrics).then_some(()));
        Self { _process: process, address, _dir: dir }
    }

    /// Its metrics, for a Prometheus to scrape.
    pub fn scraped(&self) -> Scraped {
        Scraped { job: "workers", url: format!("http://{}/metrics", self.address) }
    }

    /// Lets one of its processes count an event.
    pub fn work(&self) {
        assert!(http::is_ok(&format!("http://{}/work", self.address)));
    }
}
