//! Decides when the next job is submitted, and hands due submissions to the worker threads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Args;
use super::super::admission::{Admission, Answer};
use super::super::post::{Gate, Post, Posted, Waits};
use super::super::warmup::{Held, Warmup};
use crate::cli::{Console, Failure, Stop};
use crate::clock::Clock;
use crate::http::ClientFactory;
use crate::own_limits;
use crate::profile::Profile;
use crate::record::{JobStatus, Key, Record, Timestamp};
use crate::thread_demand::ThreadDemand;
use crate::units;
use crate::workers::Workers;

/// The wait before another attempt to start a thread.
const NO_THREAD_WAIT: Duration = Duration::from_millis(200);
/// A start that is so much too late is reported at once.
const LATE_START: Duration = Duration::from_secs(1);
/// The open model must never wait for a thread while the system has one.
const MAX_THREADS: usize = 10_000;

/// In the closed model so many threads may always submit, and more where answers are slow. A model that says how many POSTs are
/// under way at once, or when each is due, has as many threads as it needs.
const LEAST_THREADS: usize = 16;
/// The wait before another look at whether more threads are needed.
const DEMAND_WAIT: Duration = Duration::from_millis(5);

/// A submission for a worker thread.
pub(super) struct Task {
    pub(super) record: Record,
    pub(super) post: Post,
    pub(super) clock: Clock,
}

/// The result of a task.
struct Sent {
    record: Record,
    posted: Posted,
    /// The time at which the task was handed to the worker.
    since: Instant,
    took: Duration,
}

/// A submission that a worker thread has finished.
pub(super) struct Finished {
    pub(super) worker: usize,
    since: Instant,
    took: Duration,
    pub(super) record: Record,
    pub(super) posted: Posted,
}

/// A job whose submission has no answer yet.
pub(super) struct UnderWay {
    pub(super) record: Record,
    /// The job's status until an answer comes.
    pub(super) intent: JobStatus,
    pub(super) gate: Gate,
}

/// The answer to "may this job be submitted now?".
pub(super) enum Turn {
    /// Yes. In the open model it was due at this time.
    Now { due_at: Option<Timestamp> },
    /// At this moment, or, without one, after the next event.
    Later(Option<Instant>),
}

/// The model of the load, the warm-up, and the threads that submit.
pub(super) struct Scheduler {
    pub(super) admission: Admission,
    pub(super) warmup: Warmup,
    rest: Duration,
    /// The common start of all shards, until it has come.
    start_at: Option<Timestamp>,
    /// Delay after the common start, once it has come.
    start_lag: Option<f64>,
    /// True if the wait for the start was announced.
    announced: bool,
    /// The start of the open model's schedule.
    began: Option<Timestamp>,
    workers: Workers<(Task, Instant), Sent>,
    demand: ThreadDemand,
    /// The jobs whose submission has no answer yet.
    under_way: HashMap<Key, UnderWay>,
    waits: Arc<Waits>,
    /// The beginning of the wait for a first thread.
    threadless_since: Option<Instant>,
    console: Console,
    limit: Option<String>,
}

impl Scheduler {
    /// A scheduler whose workers hand each finished submission to `deliver`.
    pub(super) fn new(
        args: &Args,
        profile: Arc<Profile>,
        factory: ClientFactory,
        (console, stop): (Console, Stop),
        deliver: impl Fn(Finished) + Send + Sync + 'static,
    ) -> Self {
        let waits = Arc::new(Waits::new(console.clone(), stop, args.deadline));
        let to_workers = waits.clone();
        let make = move || -> Box<dyn FnMut((Task, Instant)) -> Sent> {
            let client = factory.client();
            let (profile, waits) = (profile.clone(), to_workers.clone());
            Box::new(move |(task, since): (Task, Instant)| {
                let began = Instant::now();
                let posted = task.post.send(&client, &profile, &task.clock, &waits);
                Sent { record: task.record, posted, since, took: began.elapsed() }
            })
        };
        let deliver = move |worker, Sent { record, posted, since, took }| {
            deliver(Finished { worker, since, took, record, posted });
        };
        let limit = MAX_THREADS.min(own_limits::connections());
        Self {
            admission: Admission::new(args),
            warmup: Warmup::new(args.rest),
            rest: args.rest,
            start_at: args.start_at,
            start_lag: None,
            announced: false,
            began: None,
            workers: Workers::new(limit, Arc::new(make), Arc::new(deliver)),
            demand: ThreadDemand::new(Instant::now(), LEAST_THREADS),
            under_way: HashMap::new(),
            waits,
            threadless_since: None,
            console,
            limit: None,
        }
    }

    /// Decides whether the next job, a warm-up job or not, may be submitted while `chosen` others are about to be.
    pub(super) fn turn(&mut self, is_warmup: bool, chosen: usize, clock: &Clock) -> Turn {
        if let Some(moment) = self.until_start(clock) {
            return Turn::Later(Some(moment));
        }
        if self.admission.is_open() && self.began.is_none() {
            // Read before the schedule's own clock: the time between the two makes jobs late, never early.
            self.began = Some(clock.now());
        }
        let now = Instant::now();
        if !is_warmup {
            match self.warmup.holds(&self.admission, now) {
                Held::No => {}
                Held::Until { moment, begins } => {
                    if begins {
                        let rest = units::seconds(self.rest.as_secs_f64());
                        self.console.say(&format!("the warm-up has ended; resting for {rest}"));
                    }
                    return Turn::Later(Some(moment));
                }
                Held::UntilAnEnd { begins } => {
                    if begins {
                        self.console.say("warming up: the counted jobs wait until every warm-up job has ended");
                    }
                    return Turn::Later(None);
                }
            }
        }
        let due = match self.admission.ask(now) {
            Answer::Now { due } => due,
            Answer::At(moment) => return Turn::Later(Some(moment)),
            Answer::Later => return Turn::Later(None),
        };
        if self.admission.is_closed() && !self.demand.has_room(chosen, now) {
            return Turn::Later(Some(now + DEMAND_WAIT));
        }
        if !self.workers.reserve(chosen + 1) {
            self.report_limit(chosen);
            // Without any thread nothing else will happen that could be waited for.
            let has_none = self.workers.threads() == 0;
            if let (true, Some(limit)) = (has_none, self.limit.clone()) {
                self.waits.past_limit(&limit, *self.threadless_since.get_or_insert(now));
            }
            return Turn::Later(has_none.then(|| now + NO_THREAD_WAIT));
        }
        self.threadless_since = None;
        self.admission.submitted();
        if is_warmup {
            self.warmup.submitted();
        }
        Turn::Now { due_at: self.began.map(|began| began.plus(due)) }
    }

    /// The moment of the common start, if it has not come.
    fn until_start(&mut self, clock: &Clock) -> Option<Instant> {
        let (start, now) = (self.start_at?, Instant::now());
        let lag = clock.now().since(start);
        let distance = Duration::try_from_secs_f64(lag.abs()).unwrap_or_default();
        if lag < 0.0 {
            if !self.announced {
                self.announced = true;
                self.console.say(&format!("waiting {} for the start at {start}", units::whole(distance)));
            }
            return now.checked_add(distance);
        }
        if distance >= LATE_START {
            self.console.say(&format!("--start-at {start} was {} ago: starting at once", units::whole(distance)));
        }
        (self.start_at, self.start_lag) = (None, Some(lag));
        if self.admission.is_open() {
            self.began = Some(start);
            self.admission.start_at(now.checked_sub(distance).unwrap_or(now));
        }
        None
    }

    /// Delay of the first submission after the common start, once that has come.
    pub(super) fn start_lag(&self) -> Option<f64> {
        self.start_lag
    }

    /// Hands a submission that had its turn to a worker. Until an answer comes, `intent` is the job's status.
    pub(super) fn send(&mut self, task: Task, intent: JobStatus) -> Result<(), Failure> {
        let since = Instant::now();
        let under_way = UnderWay { record: task.record.clone(), intent, gate: task.post.gate.clone() };
        self.under_way.insert(task.record.key().clone(), under_way);
        let refused = self.workers.give((task, since)).map_err(|error| Failure::thread(&error))?;
        if refused.is_some() {
            return Err(Failure::input_output("a thread: the one that was reserved is gone"));
        }
        self.demand.give(since);
        Ok(())
    }

    /// Frees the worker of a finished submission.
    pub(super) fn finished(&mut self, Finished { worker, since, took, record, .. }: &Finished) {
        self.workers.done(*worker);
        self.demand.come_back(*since);
        self.demand.record(took.as_secs_f64(), Instant::now());
        self.under_way.remove(record.key());
    }

    /// Returns true if a submission has no answer yet.
    pub(super) fn has_work(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Waits for no answer any longer: returns the jobs whose submission has none.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = UnderWay> {
        self.under_way.drain().map(|(_, job)| job)
    }

    /// Keeps the open model's schedule when the session adopts another clock.
    pub(super) fn adopt_clock(&mut self, old: &Clock, new: &Clock) {
        self.began = self.began.map(|began| new.now().shifted(began.since(old.now())));
    }

    /// Says once that the harness, not the target, bounds the load.
    fn report_limit(&mut self, chosen: usize) {
        if self.limit.is_none() {
            let threads = self.workers.threads();
            let wanted = self.admission.at_once(self.under_way.len() + chosen);
            let limit = own_limits::describe(wanted, "submission", threads, MAX_THREADS);
            self.console.say(&limit);
            self.limit = Some(limit);
        }
    }

    /// The limit of this host that bounded the load.
    pub(super) fn limit(&self) -> Option<&str> {
        self.limit.as_deref().or(self.waits.limit())
    }

    /// The waits of the submissions.
    pub(super) fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }
}
