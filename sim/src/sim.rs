//! A running stand-in: started, asked, and stopped by being dropped.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::broker::{Broker, Courier};
use crate::clock::Clock;
use crate::log::Logs;
use crate::options::Options;
use crate::pipeline::Pipeline;
use crate::prometheus::Prometheus;
use crate::server::Endpoint;
use crate::stats::Stats;
use crate::telemetry::{Exporter, Recorder};
use crate::{api, jaeger, prometheus, workers};

/// A stand-in pipeline, serving on loopback from a thread of its own until it is dropped.
#[derive(Debug)]
pub struct Sim {
    addresses: PerServer<SocketAddr>,
    logs: PathBuf,
    /// The last hold on it once the thread has ended: with it the export of spans ends, when all have been sent or given up.
    pipeline: Arc<Pipeline>,
    seed: u64,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Outlives the thread that writes into it, and removes the private log directory.
    _private: Option<TempDir>,
}

/// One value for each of the stand-in's servers.
#[derive(Debug)]
struct PerServer<T> {
    api: T,
    metrics: T,
    prometheus: T,
    jaeger: T,
}

impl Sim {
    /// Binds the addresses that the options name, free ports of 127.0.0.1 for the others, and starts to serve.
    ///
    /// Not to be called from asynchronous code: it blocks until all of that is done.
    ///
    /// Errors: an address is taken, the log directory cannot be made, or the broker is not there; the message names which.
    pub fn start(options: Options) -> io::Result<Self> {
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let endpoints = bind(&runtime, &options)?;
        let addresses = PerServer {
            api: endpoints.api.address()?,
            metrics: endpoints.metrics.address()?,
            prometheus: endpoints.prometheus.address()?,
            jaeger: endpoints.jaeger.address()?,
        };
        let instance = addresses.metrics.to_string();
        let (logs, private) = log_directory(options.logs.as_deref())?;
        let clock = Clock::new(options.faults.clock_offset);
        let writers = Logs::open(&logs, clock)?;
        let exporter = options.observe.otlp.as_deref().map(Exporter::start).transpose()?;
        let (broker, courier) = runtime.block_on(Broker::connect(&options))?;
        let recorder = Recorder::new(options.observe.span_delay, exporter);
        let pipeline = Arc::new(Pipeline::new(options, writers, clock, seed, recorder, broker));

        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&pipeline);
        let thread = std::thread::Builder::new().name("pipeline-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    // A message or the end of the sender means stop.
                    _stop = stopped => {}
                    () = run(served, endpoints, instance, courier) => {}
                }
            });
        })?;
        Ok(Self { addresses, logs, pipeline, seed, stop: Some(stop), thread: Some(thread), _private: private })
    }

    /// The address of the job API: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses.api)
    }

    /// The address of the services' metrics, each under `/<service>/metrics`.
    pub fn metrics_url(&self) -> String {
        format!("http://{}", self.addresses.metrics)
    }

    /// The address of the Prometheus query API. Nobody listens there with `--prom-down`.
    pub fn prometheus_url(&self) -> String {
        format!("http://{}", self.addresses.prometheus)
    }

    /// The address of the Jaeger query API. Nobody listens there with `--jaeger-down`.
    pub fn jaeger_url(&self) -> String {
        format!("http://{}", self.addresses.jaeger)
    }

    /// The directory of the worker logs, one `<service>.log` per worker.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// The seed in use, given or drawn: the same one repeats ids, times and faults.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Releases the jobs that `--hold` holds up, now and from now on, as a SIGUSR1 does for the binary.
    pub fn release(&self) {
        self.pipeline.release();
    }

    /// The counts so far.
    pub fn stats(&self) -> Stats {
        self.pipeline.stats()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            crate::complain("the serving thread panicked");
        }
    }
}

fn bind(runtime: &Runtime, options: &Options) -> io::Result<PerServer<Endpoint>> {
    let _inside = runtime.enter();
    let (observe, faults) = (&options.observe, &options.faults);
    Ok(PerServer {
        api: Endpoint::bind(options.listen, true)?,
        metrics: Endpoint::bind(observe.metrics_listen, true)?,
        prometheus: Endpoint::bind(observe.prom_listen, !faults.prom_down)?,
        jaeger: Endpoint::bind(observe.jaeger_listen, !faults.jaeger_down)?,
    })
}

/// Serves and works until dropped. All but the job API go on after `--die-after`, as separate processes would.
async fn run(pipeline: Arc<Pipeline>, endpoints: PerServer<Endpoint>, instance: String, courier: Courier) {
    let interval = pipeline.options.observe.scrape_interval;
    let prom = Arc::new(Prometheus::new(Arc::clone(&pipeline), instance, interval));
    let unseen = || {};
    let connected = || pipeline.count(|counts| counts.connections += 1);
    tokio::join!(
        endpoints.api.serve(api::router(Arc::clone(&pipeline)), connected),
        endpoints.metrics.serve(prometheus::metrics_router(Arc::clone(&prom)), unseen),
        endpoints.prometheus.serve(prometheus::router(Arc::clone(&prom)), unseen),
        endpoints.jaeger.serve(jaeger::router(Arc::clone(&pipeline)), unseen),
        prom.scrape_forever(),
        courier.run(|message| pipeline.message_confirmed(message)),
        workers::gpu(Arc::clone(&pipeline)),
        workers::io(Arc::clone(&pipeline)),
    );
}

fn log_directory(asked: Option<&Path>) -> io::Result<(PathBuf, Option<TempDir>)> {
    let Some(dir) = asked else {
        let dir = tempfile::Builder::new().prefix("pipeline-sim-").tempdir()?;
        return Ok((dir.path().to_owned(), Some(dir)));
    };
    match std::fs::create_dir_all(dir).and_then(|()| dir.canonicalize()) {
        Ok(whole) => Ok((whole, None)),
        Err(error) => {
            let message = format!("--logs {}: {error}", dir.display());
            Err(io::Error::new(error.kind(), message))
        }
    }
}
