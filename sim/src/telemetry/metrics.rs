//! The services' metrics, named as an OpenTelemetry exporter names them in Prometheus, and the broker's queue gauges.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::stage::{Stage, Tenant, Worker};

/// A process that is scraped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Api,
    Worker(Worker),
    Broker,
}

/// Upper bounds in seconds: OpenTelemetry's for durations, carried on to what a language model takes.
const BOUNDS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0, 100.0];

type Label = (&'static str, &'static str);
type Histograms = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// Every instrument, and one registry per service.
pub(crate) struct Metrics {
    api: Registry,
    gpu: Registry,
    io: Registry,
    broker: Registry,
    submitted: Counter,
    gpu_worker: WorkerMetrics,
    io_worker: WorkerMetrics,
    tenancy: Histograms,
    transitions: Family<[Label; 2], Counter>,
    ready: Family<[Label; 2], Gauge>,
    unacked: Family<[Label; 2], Gauge>,
}

struct WorkerMetrics {
    duration: Histograms,
    wait: Histograms,
    completed: Family<[Label; 1], Counter>,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Api, Self::Worker(Worker::Gpu), Self::Worker(Worker::Io), Self::Broker];

    /// The service's name in traces, and its `job` label.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Api => "autorag-api",
            Self::Worker(worker) => worker.service(),
            Self::Broker => "rabbitmq",
        }
    }
}

impl WorkerMetrics {
    fn new(registry: &mut Registry) -> Self {
        let took = "Time a stage took, per attempt";
        let lay = "Time a message lay on its stage's queue";
        Self {
            duration: registered(registry, "autorag_stage_duration_seconds", took, histograms()),
            wait: registered(registry, "autorag_queue_wait_seconds", lay, histograms()),
            completed: registered(registry, "autorag_jobs_completed", "Jobs that ended", Family::default()),
        }
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let (mut api, mut gpu, mut io, mut broker) =
            (Registry::default(), Registry::default(), Registry::default(), Registry::default());
        let (held, changes) = ("Time a tenant held the GPU", "Changes of the GPU's tenant");
        let is_ready = "Messages ready to be delivered to consumers";
        let is_unacked = "Messages delivered to consumers and not yet acknowledged";
        Self {
            submitted: registered(&mut api, "autorag_jobs_submitted", "Jobs accepted", Counter::default()),
            gpu_worker: WorkerMetrics::new(&mut gpu),
            io_worker: WorkerMetrics::new(&mut io),
            tenancy: registered(&mut gpu, "autorag_gpu_tenancy_seconds", held, histograms()),
            transitions: registered(&mut gpu, "autorag_gpu_tenancy_transitions", changes, Family::default()),
            ready: registered(&mut broker, "rabbitmq_detailed_queue_messages_ready", is_ready, Family::default()),
            unacked: registered(&mut broker, "rabbitmq_detailed_queue_messages_unacked", is_unacked, Family::default()),
            api,
            gpu,
            io,
            broker,
        }
    }

    fn worker(&self, worker: Worker) -> &WorkerMetrics {
        match worker {
            Worker::Gpu => &self.gpu_worker,
            Worker::Io => &self.io_worker,
        }
    }

    pub(crate) fn submitted(&self) {
        self.submitted.inc();
    }

    pub(crate) fn waited(&self, stage: Stage, time: Duration) {
        let wait = &self.worker(stage.worker()).wait;
        wait.get_or_create(&[("stage", stage.name())]).observe(time.as_secs_f64());
    }

    pub(crate) fn worked(&self, stage: Stage, time: Duration) {
        let duration = &self.worker(stage.worker()).duration;
        duration.get_or_create(&[("stage", stage.name())]).observe(time.as_secs_f64());
    }

    /// A job ended in the hands of this worker; `status` is done or failed.
    pub(crate) fn completed(&self, worker: Worker, status: &'static str) {
        self.worker(worker).completed.get_or_create(&[("status", status)]).inc();
    }

    /// The GPU passed from one tenant, who had held it so long, to another.
    pub(crate) fn switched(&self, from: Option<Tenant>, to: Option<Tenant>, held: Duration) {
        let (from, to) = (Tenant::word(from), Tenant::word(to));
        self.transitions.get_or_create(&[("from", from), ("to", to)]).inc();
        self.tenancy.get_or_create(&[("tenant", from)]).observe(held.as_secs_f64());
    }

    /// The service's exposition in OpenMetrics text; `depth` tells how many messages of a stage are ready, and how many are
    /// being handled.
    pub(crate) fn expose(
        &self,
        service: Service,
        depth: impl Fn(Stage) -> (usize, usize),
    ) -> Result<String, fmt::Error> {
        let registry = match service {
            Service::Api => &self.api,
            Service::Worker(Worker::Gpu) => &self.gpu,
            Service::Worker(Worker::Io) => &self.io,
            Service::Broker => {
                for stage in Stage::ALL {
                    let (ready, unacked) = depth(*stage);
                    for (family, count) in [(&self.ready, ready), (&self.unacked, unacked)] {
                        let gauge = family.get_or_create(&[("queue", stage.queue()), ("vhost", "/")]);
                        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
                    }
                }
                &self.broker
            }
        };
        let mut text = String::new();
        encode(&mut text, registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// The metric, which the registry knows from now on.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

fn histograms() -> Histograms {
    Family::new_with_constructor(|| Histogram::new(BOUNDS))
}
