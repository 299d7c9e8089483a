//! The two workers, as tasks that drain the stage queues.

use std::panic;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::broker::Receipt;
use crate::chance::Purpose;
use crate::message::Message;
use crate::pipeline::{Ending, Pipeline, Switch};
use crate::stage::{Stage, Tenant, Worker};

/// Pipeline seconds after which an idle GPU is emptied.
const IDLE_SECONDS: f64 = 30.0;

/// Rows that the IO worker writes at once.
const PERSIST_PARALLEL: usize = 4;

/// Share by which a tenancy switch varies.
const SWITCH_JITTER: f64 = 0.1;

/// The IO worker: persists whatever arrives.
pub(crate) async fn io(pipeline: Arc<Pipeline>) {
    loop {
        match pipeline.furthest(Worker::Io) {
            Some(stage) => drain(&pipeline, stage, PERSIST_PARALLEL).await,
            None => pipeline.wait(Worker::Io).await,
        }
    }
}

/// The GPU worker: always drains the queue furthest down the pipeline, so that jobs flow to completion before new whisper work starts.
pub(crate) async fn gpu(pipeline: Arc<Pipeline>) {
    let mut arbiter = Arbiter { resident: None, since: Instant::now(), switches: 0 };
    loop {
        if let Some(stage) = pipeline.furthest(Worker::Gpu) {
            arbiter.acquire(&pipeline, stage.tenant(), pipeline.front(stage)).await;
            let parallel = match stage {
                Stage::Whisper => 1,
                _ => pipeline.options.num_parallel,
            };
            drain(&pipeline, stage, parallel).await;
        } else if arbiter.resident.is_none() {
            pipeline.wait(Worker::Gpu).await;
        } else if timeout(pipeline.scaled(IDLE_SECONDS), pipeline.wait(Worker::Gpu)).await.is_err() {
            arbiter.acquire(&pipeline, None, None).await;
        }
    }
}

/// The residency of the GPU: none, whisper or llm. Changing it costs time.
struct Arbiter {
    resident: Option<Tenant>,
    since: Instant,
    switches: u64,
}

impl Arbiter {
    /// Makes a tenant resident, on behalf of the message that needs it.
    async fn acquire(&mut self, pipeline: &Pipeline, wanted: Option<Tenant>, wanting: Option<Message>) {
        if self.resident == wanted {
            return;
        }
        let held = self.since.elapsed();
        let (from, to) = (Tenant::word(self.resident), Tenant::word(wanted));
        self.switches += 1;
        let jitter = pipeline.chance.jitter(Purpose::SwitchTime, [self.switches, 0, 0], SWITCH_JITTER);
        let unload = self.resident.map_or(0.0, |tenant| tenant.seconds().1) * jitter;
        let load = wanted.map_or(0.0, |tenant| tenant.seconds().0) * jitter;
        let (start, began) = (pipeline.clock.now(), Instant::now());
        sleep(pipeline.scaled(unload)).await;
        let unload = began.elapsed();
        sleep(pipeline.scaled(load)).await;
        let load = began.elapsed().saturating_sub(unload);
        pipeline.metrics.switched(self.resident, wanted, held);
        if let Some(message) = wanting {
            let ordinal = self.switches;
            let switch = Switch { ordinal, from: self.resident, to: wanted, start, unload, load };
            pipeline.trace_switch(switch, message);
        }
        self.resident = wanted;
        self.since = Instant::now();
        pipeline.count(|counts| counts.switches += 1);
        let message = format!("gpu tenancy {from} -> {to} after {:.3}s", held.as_secs_f64());
        pipeline.logs.info(Worker::Gpu, &message);
    }
}

/// Handles what is on a stage's queue at this moment, `parallel` messages at once. A message that is published meanwhile waits for the next look
/// at all queues, so that a stage upstream cannot starve those below it.
async fn drain(pipeline: &Arc<Pipeline>, stage: Stage, parallel: usize) {
    let mut left = pipeline.ready(stage);
    let crowd = left.min(parallel);
    let mut running = JoinSet::new();
    loop {
        while left > 0 && running.len() < parallel {
            left -= 1;
            let Some((message, receipt)) = pipeline.take(stage).await else { break };
            running.spawn(handle(Arc::clone(pipeline), message, receipt, crowd));
        }
        match running.join_next().await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => match error.try_into_panic() {
                Ok(reason) => panic::resume_unwind(reason),
                Err(_cancelled) => return,
            },
        }
    }
}

async fn handle(pipeline: Arc<Pipeline>, message: Message, receipt: Receipt, crowd: usize) {
    let handling = pipeline.begin(message, crowd);
    if handling.ending != Ending::Hang {
        if handling.held {
            pipeline.released().await;
        }
        // A stage scaled to nothing still yields, so that polls are answered between two of them.
        sleep(handling.time.max(Duration::from_micros(1))).await;
        receipt.settle(pipeline.finish(message, handling)).await;
    }
}
