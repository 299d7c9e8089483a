//! The services' metrics, named as an OpenTelemetry exporter names them in Prometheus, and the broker's queue gauges.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

use crate::stage::{Service, Stage, Tenant, Worker};

/// Upper bounds in seconds: OpenTelemetry's for durations, carried on to what a language model takes.
const BOUNDS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0, 100.0];

type Label = (&'static str, &'static str);
type Histograms = Family<[Label; 1], Histogram, fn() -> Histogram>;

/// Every instrument, and one registry per service.
pub(crate) struct Metrics {
    /// By service.
    registries: [Registry; 4],
    submitted: Counter,
    /// By worker.
    workers: [WorkerMetrics; 2],
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
        let mut registries: [Registry; 4] = Default::default();
        let [api, gpu, io, broker] = &mut registries;
        let (held, changes) = ("Time a tenant held the GPU", "Changes of the GPU's tenant");
        let is_ready = "Messages ready to be delivered to consumers";
        let is_unacked = "Messages delivered to consumers and not yet acknowledged";
        Self {
            submitted: registered(api, "autorag_jobs_submitted", "Jobs accepted", Counter::default()),
            workers: [WorkerMetrics::new(gpu), WorkerMetrics::new(io)],
            tenancy: registered(gpu, "autorag_gpu_tenancy_seconds", held, histograms()),
            transitions: registered(gpu, "autorag_gpu_tenancy_transitions", changes, Family::default()),
            ready: registered(broker, "rabbitmq_detailed_queue_messages_ready", is_ready, Family::default()),
            unacked: registered(broker, "rabbitmq_detailed_queue_messages_unacked", is_unacked, Family::default()),
            registries,
        }
    }

    pub(crate) fn submitted(&self) {
        self.submitted.inc();
    }

    pub(crate) fn waited(&self, stage: Stage, time: Duration) {
        let wait = &self.workers[stage.worker() as usize].wait;
        wait.get_or_create(&[("stage", stage.name())]).observe(time.as_secs_f64());
    }

    pub(crate) fn worked(&self, stage: Stage, time: Duration) {
        let duration = &self.workers[stage.worker() as usize].duration;
        duration.get_or_create(&[("stage", stage.name())]).observe(time.as_secs_f64());
    }

    /// A job ended in the hands of this worker; `status` is done or failed.
    pub(crate) fn completed(&self, worker: Worker, status: &'static str) {
        self.workers[worker as usize].completed.get_or_create(&[("status", status)]).inc();
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
        for stage in Stage::ALL.iter().filter(|_| service == Service::Broker) {
            let (ready, unacked) = depth(*stage);
            for (family, count) in [(&self.ready, ready), (&self.unacked, unacked)] {
                let gauge = family.get_or_create(&[("queue", stage.queue()), ("vhost", "/")]);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registries[service as usize])?;
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
