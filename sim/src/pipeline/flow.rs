//! The workers' side of the pipeline: publishing, taking and finishing messages.

use std::time::{Duration, Instant};

use super::{Pipeline, World};
use crate::broker::{Receipt, Settlement};
use crate::chance::Purpose;
use crate::fault::{self, Kind};
use crate::job::Status;
use crate::message::Message;
use crate::stage::{Stage, Worker};

/// Share by which a stage's time varies from job to job.
const JITTER: f64 = 0.15;

/// The share by which a request slows down for each other one that runs beside it on the GPU.
const CONTENTION: f64 = 0.08;

/// Audio of this many bytes counts as one unit of size; twice the units add [`GROWTH`] to a stage's time.
const SIZE_UNIT: f64 = 65_536.0;
const GROWTH: f64 = 0.1;

/// The way in which the handling of a message will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    Raise,
    /// It never ends; the worker goes on without it.
    Hang,
}

/// The handling of one message: its time and its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handling {
    pub(crate) time: Duration,
    pub(crate) ending: Ending,
    /// True if it waits to be released before its time begins.
    pub(crate) held: bool,
    began: Instant,
}

impl Pipeline {
    /// Scales seconds of the pipeline to real time.
    pub(crate) fn scaled(&self, seconds: f64) -> Duration {
        // A factor beyond any use saturates instead of panicking.
        Duration::try_from_secs_f64(seconds * self.options.time_scale).unwrap_or(Duration::MAX)
    }

    /// Puts a stage's first message on its queue, once all its inputs are there.
    pub(super) fn publish(&self, world: &mut World, index: usize, stage: Stage, parent: u64) {
        let job = &mut world.jobs[index];
        if stage.inputs() > 1 {
            job.joined += 1;
            if job.joined < stage.inputs() {
                return;
            }
        }
        if fault::any_stage(&self.options.faults.drop, self.chance, Kind::Drop, stage, job.ordinal) {
            self.advance(world, index, stage, parent);
        } else {
            self.enqueue(world, Message { job: index, stage, attempt: 1, parent, published: Instant::now() });
        }
    }

    fn enqueue(&self, world: &mut World, message: Message) {
        let job = &mut world.jobs[message.job];
        job.queue_stage(message.stage, message.attempt, self.clock.now());
        if self.broker.publish(message, &job.id, job.trace) {
            self.make_ready(world, message);
        }
    }

    fn make_ready(&self, world: &mut World, message: Message) {
        world.queues[message.stage.index()].push_back(message);
        self.bells[message.stage.worker() as usize].notify_one();
    }

    /// Marks a message as ready to be fetched: the broker has confirmed it.
    pub(crate) fn message_confirmed(&self, message: Message) {
        self.make_ready(&mut self.world(), message);
    }

    /// Follows a finished stage: to the next ones, or to the end of the job.
    fn advance(&self, world: &mut World, index: usize, stage: Stage, parent: u64) {
        for next in stage.next() {
            self.publish(world, index, *next, parent);
        }
        if stage.next().is_empty() {
            world.jobs[index].end(Status::Done, None, self.clock.now());
            self.metrics.completed(stage.worker(), Status::Done.word());
            world.counts.done += 1;
            world.counts.unfinished -= 1;
        }
    }

    /// The stage furthest down the pipeline that has messages for this worker.
    pub(crate) fn furthest(&self, worker: Worker) -> Option<Stage> {
        let world = self.world();
        let mut stages = Stage::ALL.iter().rev().copied();
        stages.find(|stage| stage.worker() == worker && !world.queues[stage.index()].is_empty())
    }

    /// The message that would be taken next from a stage's queue.
    pub(crate) fn front(&self, stage: Stage) -> Option<Message> {
        self.world().queues[stage.index()].front().copied()
    }

    /// The number of messages that are ready on a stage's queue.
    pub(crate) fn ready(&self, stage: Stage) -> usize {
        self.world().queues[stage.index()].len()
    }

    /// Takes the next message off a stage's queue.
    pub(crate) async fn take(&self, stage: Stage) -> Option<(Message, Receipt)> {
        let (message, id) = {
            let mut world = self.world();
            let message = world.queues[stage.index()].pop_front()?;
            world.unacked[stage.index()] += 1;
            (message, world.jobs[message.job].id.clone())
        };
        let receipt = self.broker.fetch(message, &id).await;
        if receipt.is_none() {
            self.world().unacked[stage.index()] -= 1;
        }
        receipt.map(|receipt| (message, receipt))
    }

    /// Begins a message in a batch of `crowd`.
    pub(crate) fn begin(&self, message: Message, crowd: usize) -> Handling {
        self.metrics.waited(message.stage, message.published.elapsed());
        let mut world = self.world();
        world.counts.largest_batch = world.counts.largest_batch.max(crowd);
        let job = &mut world.jobs[message.job];
        job.start_stage(message.stage, self.clock.now());

        let (ordinal, stage, attempt) = (job.ordinal, message.stage, message.attempt);
        let faults = &self.options.faults;
        let strikes = |flags, kind| fault::any_stage(flags, self.chance, kind, stage, ordinal);
        let ending = if strikes(&faults.hang, Kind::Hang) {
            Ending::Hang
        } else if strikes(&faults.fail, Kind::Fail) || attempt == 1 && strikes(&faults.flaky, Kind::Flaky) {
            Ending::Raise
        } else {
            Ending::Done
        };

        let by_hand = self.options.stage_time.iter().rfind(|(of, _)| *of == stage);
        let seconds = by_hand.map_or(stage.seconds(), |(_, seconds)| *seconds);
        let size = 1.0 + GROWTH * (1.0 + job.submission.bytes as f64 / SIZE_UNIT).log2();
        let crowded = 1.0 + CONTENTION * (crowd.saturating_sub(1)) as f64;
        let key = [ordinal, stage as u64, u64::from(attempt)];
        let jitter = self.chance.jitter(Purpose::StageTime, key, JITTER);
        let whole = self.scaled(seconds * size * crowded * jitter);
        // A stage that raises does so half way.
        let time = if ending == Ending::Raise { whole / 2 } else { whole };
        let held = strikes(&faults.hold, Kind::Hold);
        Handling { time, ending, held, began: Instant::now() }
    }

    /// Ends a message that did not hang: on to the next stage, to another attempt, or to the dead letters.
    pub(crate) fn finish(&self, message: Message, handling: Handling) -> Settlement {
        let Message { job: index, stage, attempt, .. } = message;
        let took = handling.began.elapsed();
        self.metrics.worked(stage, took);
        let now = self.clock.now();
        let mut guard = self.world();
        let world = &mut *guard;
        world.unacked[stage.index()] -= 1;
        let id = world.jobs[index].id.clone();
        let what = format!("job={id} stage={stage} attempt={attempt}");
        // The other branch of a job that has failed meanwhile still runs, but leads nowhere.
        let alive = !world.jobs[index].status.ended();
        if handling.ending == Ending::Done {
            world.jobs[index].end_stage(stage, Status::Done, now);
            let job = &world.jobs[index];
            let span = self.stage_span(job.ordinal, stage, attempt);
            self.trace_stage(job, message, took, None);
            if alive {
                self.advance(world, index, stage, span);
            }
            drop(guard);
            let seconds = took.as_secs_f64();
            self.logs.info(stage.worker(), &format!("{what} done in {seconds:.3}s"));
            return Settlement::Acknowledged;
        }

        let error = format!("injected fault: {stage} of job {id} raised at attempt {attempt}");
        world.jobs[index].end_stage(stage, Status::Failed, now);
        self.trace_stage(&world.jobs[index], message, took, Some(error.clone()));
        let last = attempt >= self.options.max_attempts;
        if last {
            world.counts.dead_letters += 1;
            if alive {
                let text = format!("{stage} failed after {attempt} attempts: RuntimeError: {error}");
                world.jobs[index].end(Status::Failed, Some(text), now);
                self.metrics.completed(stage.worker(), Status::Failed.word());
                world.counts.failed += 1;
                world.counts.unfinished -= 1;
            }
        } else if alive {
            world.counts.retries += 1;
            self.enqueue(world, Message { attempt: attempt + 1, published: Instant::now(), ..message });
        }
        drop(guard);
        let then = match (last, alive) {
            (true, _) => "dead-lettered",
            (false, true) => "published again",
            (false, false) => "given up, as the job has failed",
        };
        self.logs.exception(stage.worker(), &format!("{what} failed, {then}"), &error);
        if last { Settlement::Rejected } else { Settlement::Acknowledged }
    }
}
