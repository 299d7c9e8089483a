//! The real services and the stand-in among them: all on loopback, in private directories, stopped when dropped.

pub mod family;
mod gunicorn;
mod jaeger;
mod metrics_page;
mod opened;
mod ports;
pub mod process;
mod prometheus;
mod rabbitmq;
mod sim;
mod victoriametrics;

pub use gunicorn::Gunicorn;
pub use jaeger::Jaeger;
pub use metrics_page::MetricsPage;
pub use opened::Opened;
pub use prometheus::Prometheus;
pub use rabbitmq::RabbitMq;
pub use sim::Simulated;
pub use victoriametrics::VictoriaMetrics;

use family::Member;

/// Everything. The fields are dropped in their order: whoever asks or sends before whoever answers or receives.
pub struct Stack {
    pub prometheus: Prometheus,
    pub sim: Simulated,
    pub jaeger: Jaeger,
    broker: RabbitMq,
}

impl Stack {
    /// Starts all four, the stand-in with `flags`, and waits until Prometheus has scraped the other ones.
    pub fn start(flags: &[&str]) -> Self {
        let broker = RabbitMq::start();
        let jaeger = Jaeger::start();
        let sim = Simulated::start(&broker, &jaeger, flags);
        let targets: Vec<_> = sim.scraped().chain([broker.scraped()]).collect();
        let mut prometheus = Prometheus::start(&targets);
        prometheus.until_up(&targets.iter().map(|target| target.job).collect::<Vec<_>>());
        Self { prometheus, sim, jaeger, broker }
    }

    /// Every process of it.
    pub fn members(&self) -> Vec<Member> {
        let all = [self.prometheus.members(), self.sim.members(), self.jaeger.members(), self.broker.members()];
        all.concat()
    }
}
