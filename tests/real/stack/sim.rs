//! The stand-in as a process: its queues on the real broker, its spans sent to the real Jaeger, its metrics to be scraped.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{family::Member, jaeger::Jaeger, process::Process, prometheus::Scraped, rabbitmq::RabbitMq};
use crate::support::bin;

/// The services that show metrics of their own; the broker is asked itself.
pub const SERVICES: [&str; 3] = ["autorag-api", "autorag-gpu-worker", "autorag-io-worker"];

/// A running stand-in.
pub struct Simulated {
    process: Process,
    url: String,
    metrics: String,
    dir: TempDir,
}

impl Simulated {
    /// Starts it with `flags` more, and waits until it has said where it listens.
    pub fn start(broker: &RabbitMq, jaeger: &Jaeger, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Process::start("pipeline-sim", &bin().join("pipeline-sim"), dir.path(), |command| {
            // Its own Prometheus and Jaeger stay away: a capture that asked them would be found out.
            command.args(["--data", "data", "--logs", "logs", "--seed", "11", "--prom-down", "--jaeger-down"]);
            for listener in ["--listen", "--metrics-listen", "--prom-listen", "--jaeger-listen"] {
                command.args([listener, "127.0.0.1:0"]);
            }
            command.args(["--otlp", &jaeger.otlp()]).args(flags).env("PIPELINE_SIM_AMQP", broker.url());
        });
        let said = |process: &Process, what: &str| {
            let log = process.log();
            let line = log.lines().find_map(|line| line.strip_prefix("pipeline-sim: ")?.strip_prefix(what));
            line.and_then(|line| line.split_whitespace().next()).map(str::to_owned)
        };
        process.until("all its addresses are known", |process| said(process, "logs "));
        let url = said(&process, "target ").unwrap();
        let metrics = said(&process, "metrics ").unwrap();
        Self { process, url, metrics, dir }
    }

    /// Its processes.
    pub fn members(&self) -> Vec<Member> {
        self.process.members()
    }

    /// The base URL of its job API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A directory under its own: `data` is what its workers see, `logs` is where they log.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its complaints, without the lines that say where it listens and how to test it.
    pub fn complaints(&self) -> Vec<String> {
        let known = ["target", "metrics", "prometheus", "jaeger", "logs", "serving"];
        let word =
            |line: &str| line.strip_prefix("pipeline-sim: ").and_then(|line| line.split(' ').next()).map(str::to_owned);
        let log = self.process.log();
        let complaints = log.lines().filter(|line| !word(line).is_some_and(|word| known.contains(&word.as_str())));
        complaints.map(str::to_owned).collect()
    }

    /// Its services, for Prometheus.
    pub fn scraped(&self) -> impl Iterator<Item = Scraped> {
        SERVICES.iter().map(|service| Scraped { job: service, url: self.metrics.replace("SERVICE", service) })
    }
}
