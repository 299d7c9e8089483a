//! The pipeline's state under one lock: jobs, queues and counts.
//!
//! Nothing awaits while the lock is held, and no file is touched. [`submission`] is the HTTP API's side of it, [`flow`] the workers'
//! side, and [`traces`] makes the spans of both.

mod flow;
mod submission;
mod traces;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::broker::Broker;
use crate::chance::SeededChance;
use crate::clock::Clock;
use crate::job::Job;
use crate::log::Logs;
use crate::message::Message;
use crate::options::Options;
use crate::stage::{Service, Worker};
use crate::stats::{JobStats, Stats};
use crate::telemetry::{Metrics, Recorder};

pub(crate) use flow::Ending;
pub(crate) use submission::Accepted;
pub(crate) use traces::Switch;

/// The whole pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) options: Options,
    pub(crate) chance: SeededChance,
    pub(crate) clock: Clock,
    pub(crate) logs: Logs,
    pub(crate) metrics: Metrics,
    pub(crate) recorder: Recorder,
    broker: Broker,
    world: Mutex<World>,
    /// Rung when something was published, by worker.
    bells: [Notify; 2],
    /// True once the jobs that `--hold` holds up were released.
    released: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct World {
    jobs: Vec<Job>,
    by_id: HashMap<String, usize>,
    by_session: HashMap<String, usize>,
    by_key: HashMap<String, usize>,
    queues: [VecDeque<Message>; 8],
    /// Messages that a worker has and did not settle yet, by stage.
    unacked: [usize; 8],
    posts_open: usize,
    /// The counts; its `jobs` stay empty until somebody asks.
    counts: Stats,
}

impl Pipeline {
    pub(crate) fn new(
        options: Options,
        logs: Logs,
        clock: Clock,
        seed: u64,
        recorder: Recorder,
        broker: Broker,
    ) -> Self {
        Self {
            chance: SeededChance::new(seed),
            clock,
            logs,
            metrics: Metrics::new(),
            recorder,
            broker,
            world: Mutex::default(),
            bells: Default::default(),
            released: watch::Sender::new(false),
            options,
        }
    }

    /// A panic elsewhere leaves counts at worst one short, so a poisoned lock is taken over.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something was published for this worker since it last waited.
    pub(crate) async fn wait(&self, worker: Worker) {
        self.bells[worker as usize].notified().await;
    }

    /// Releases the jobs that `--hold` holds up, now and from now on.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    /// Waits until the jobs that are held up were released.
    pub(crate) async fn released(&self) {
        // The sender is ours, so the wait cannot end any other way.
        let mut released = self.released.subscribe();
        let _released = released.wait_for(|released| *released).await;
    }

    /// Returns true once `--die-after` has been reached: nothing more is answered.
    pub(crate) fn is_doomed(&self) -> bool {
        let die_after = self.options.faults.die_after;
        die_after.is_some_and(|last| self.world().counts.accepted >= last)
    }

    /// A service's metrics as they stand, in OpenMetrics text.
    pub(crate) fn expose(&self, service: Service) -> Result<String, fmt::Error> {
        self.metrics.expose(service, |stage| {
            let world = self.world();
            (world.queues[stage.index()].len(), world.unacked[stage.index()])
        })
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.world().counts);
    }

    pub(crate) fn stats(&self) -> Stats {
        let world = self.world();
        let jobs = world.jobs.iter().map(|job| JobStats {
            id: job.id.clone(),
            source: job.submission.source.clone(),
            session_id: job.session.clone(),
            status: job.status.word(),
            polls: job.polls,
            idempotency_key: job.submission.key.clone(),
            trace_id: job.submission.parent.map(|parent| format!("{:032x}", parent.trace)),
            trace: format!("{:032x}", job.trace),
        });
        Stats { jobs: jobs.collect(), ..world.counts.clone() }
    }
}
