//! Debian's RabbitMQ in a private directory, with a port mapper (epmd) of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use tempfile::TempDir;

use super::{family::Member, ports, process::Process, prometheus::Scraped};
use crate::http;

/// The package's own start script; the one on the PATH changes to a user that cannot read the private directory.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A running broker. The fields are dropped in their order: the broker before the port mapper that it is registered with.
pub struct RabbitMq {
    broker: Process,
    mapper: Process,
    amqp: SocketAddr,
    metrics: SocketAddr,
    _dir: TempDir,
}

impl RabbitMq {
    /// Starts it and waits until it takes connections.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let [epmd, amqp, distribution, metrics] = std::array::from_fn(|_| ports::free());

        // Left to itself the broker starts one as a daemon, which outlives it.
        let mut mapper = Process::start("epmd", Path::new("epmd"), dir.path(), |command| {
            command.args(["-address", "127.0.0.1", "-port", &epmd.port().to_string()]);
        });
        mapper.until("it listens", |_| TcpStream::connect(epmd).ok());

        fs::write(at("enabled_plugins"), include_str!("../../../stack/enabled_plugins")).unwrap();
        // Of two lines with the same key the later one counts.
        let ports = format!("listeners.tcp.1 = {amqp}\nprometheus.tcp.port = {}\n", metrics.port());
        fs::write(at("rabbitmq.conf"), include_str!("../../../stack/rabbitmq.conf").to_owned() + &ports).unwrap();
        fs::write(at("empty.conf"), "").unwrap();
        let mut broker = Process::start("rabbitmq", Path::new(SERVER), dir.path(), |command| {
            command
                // The script then becomes the broker instead of staying between.
                .env("RUNNING_UNDER_SYSTEMD", "true")
                .env("RABBITMQ_NODENAME", "stress@localhost")
                .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
                .env("RABBITMQ_LOG_BASE", at("log"))
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
                .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
                .env("RABBITMQ_CONF_ENV_FILE", at("empty.conf"))
                .env("RABBITMQ_PID_FILE", at("pid"))
                .env("RABBITMQ_DIST_PORT", distribution.port().to_string())
                .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
                .env("ERL_EPMD_ADDRESS", "127.0.0.1")
                .env("ERL_EPMD_PORT", epmd.port().to_string());
        });
        let url = format!("http://{metrics}/metrics");
        broker.until("it takes connections and shows its metrics", |_| {
            (TcpStream::connect(amqp).is_ok() && http::is_ok(&url)).then_some(())
        });
        Self { broker, mapper, amqp, metrics, _dir: dir }
    }

    /// Its processes.
    pub fn members(&self) -> Vec<Member> {
        [self.broker.members(), self.mapper.members()].concat()
    }

    /// The URL for AMQP.
    pub fn url(&self) -> String {
        format!("amqp://{}", self.amqp)
    }

    /// The depth of each queue, for Prometheus.
    pub fn scraped(&self) -> Scraped {
        let url = format!("http://{}/metrics/detailed?family=queue_coarse_metrics", self.metrics);
        Scraped { job: "rabbitmq", url }
    }
}
