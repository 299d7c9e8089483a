//! Decides which job is polled when, and hands due polls to the worker threads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Args;
use super::super::job::{FollowedUp, Limits, PollOutcome, PolledJob};
use super::super::schedule::{BACKLOG_RETRY, Intervals, ThreadDemand, Timers};
use super::followup::FollowUp;
use super::lists::Lists;
use crate::cli::{Console, Failure};
use crate::clock::Clock;
use crate::http::ClientFactory;
use crate::own_limits;
use crate::profile::Request;
use crate::record::Timestamp;
use crate::workers::Workers;

/// Enough for ten thousand polls a second at 50 ms each; the pool grows only as far as it must.
const MAX_THREADS: usize = 512;
/// The longest time between two looks at owed slots and at the progress line.
const TICK: Duration = Duration::from_millis(200);
/// The time that the poll at a job's deadline has to be answered.
const LAST_ANSWER: f64 = 0.5;
/// A poll that was sent this much after the deadline, in seconds, is the only one of a job that came late: it has its time.
const LATE_START: f64 = 1.0;

/// Something for a worker thread to do.
pub(super) enum Task {
    /// A poll.
    Poll { job: usize, due: Instant, request: Arc<Request>, clock: Clock },
    /// The requests after a job's end.
    FollowUp { job: usize, follow_up: Box<FollowUp> },
}

/// Something that a worker thread has done.
pub(super) struct Finished {
    pub(super) worker: usize,
    pub(super) job: usize,
    pub(super) work: Work,
}

/// The result of a worker thread's work.
pub(super) enum Work {
    /// `late` is the delay between the due time and the sending.
    Polled {
        late: Duration,
        outcome: Box<PollOutcome>,
    },
    FollowedUp(FollowedUp),
}

/// The timers of all jobs and the threads that poll.
pub(super) struct Scheduler {
    intervals: Intervals,
    timers: Timers,
    /// The jobs whose deadline ends their poll, while that is under way.
    in_flight: HashSet<usize>,
    /// The jobs that were given up while their poll was under way.
    given_up: HashSet<usize>,
    checked_at: Instant,
    /// Due polls that wait for a thread.
    backlog: VecDeque<(Instant, usize)>,
    demand: ThreadDemand,
    workers: Workers<Task, (usize, Work)>,
    /// Follow-ups that wait for a thread.
    follow_ups: VecDeque<(usize, Box<FollowUp>)>,
    /// The limit of this host that made polls wait, as a sentence.
    limit: Option<String>,
    console: Console,
}

impl Scheduler {
    /// A scheduler whose workers hand each finished poll to `deliver`.
    pub(super) fn new(
        args: &Args,
        factory: ClientFactory,
        console: Console,
        deliver: impl Fn(Finished) + Send + Sync + 'static,
    ) -> Self {
        let make = move || -> Box<dyn FnMut(Task) -> (usize, Work)> {
            let client = factory.client();
            Box::new(move |task: Task| match task {
                Task::Poll { job, due, request, clock } => {
                    let late = due.elapsed();
                    let sent = clock.now();
                    let answer = request.send(&client, &clock);
                    let sent = client.sent_at().filter(|at| *at >= sent).unwrap_or(sent);
                    (job, Work::Polled { late, outcome: Box::new(PollOutcome { answer, sent, received: clock.now() }) })
                }
                Task::FollowUp { job, follow_up } => (job, Work::FollowedUp(follow_up.run(&client))),
            })
        };
        let deliver = move |worker, (job, work)| deliver(Finished { worker, job, work });
        Self {
            intervals: Intervals { precision: args.precision, min: args.min_interval, max: args.max_interval },
            timers: Timers::default(),
            in_flight: HashSet::new(),
            given_up: HashSet::new(),
            checked_at: Instant::now(),
            backlog: VecDeque::new(),
            follow_ups: VecDeque::new(),
            demand: ThreadDemand::new(Instant::now()),
            workers: Workers::new(MAX_THREADS.min(own_limits::connections()), Arc::new(make), Arc::new(deliver)),
            limit: None,
            console,
        }
    }

    /// Hands every due poll of `jobs`, and every due page of `lists`, to a worker, as far as there are threads for them.
    pub(super) fn send_due(
        &mut self,
        jobs: &HashMap<usize, PolledJob>,
        lists: &mut Lists,
        clock: &Clock,
        limits: Limits,
    ) -> Result<(), Failure> {
        self.send_follow_ups()?;
        let now = Instant::now();
        while let Some(due) = self.timers.take_due(now) {
            self.backlog.push_back(due);
        }
        while let Some(&(due, number)) = self.backlog.front() {
            let request = match jobs.get(&number) {
                Some(job) => Some(job.request.clone()),
                None => lists.due_request(number, due, jobs)?,
            };
            if let Some(request) = request {
                if !self.workers.has_idle() && !self.demand.exceeds(self.workers.threads(), Instant::now()) {
                    return Ok(());
                }
                let task = Task::Poll { job: number, due, request, clock: clock.clone() };
                if self.workers.give(task).map_err(|error| Failure::thread(&error))?.is_some() {
                    let (threads, polls) = (self.workers.threads(), self.workers.threads() + self.backlog.len());
                    let polls = format!("{polls} polls at once");
                    self.report_limit(|| own_limits::describe(&polls, threads, MAX_THREADS));
                    return Ok(());
                }
                lists.sent(number);
                if jobs.get(&number).is_some_and(|job| job.time_left(clock.now(), limits) > -LATE_START) {
                    self.in_flight.insert(number);
                }
            }
            self.backlog.pop_front();
        }
        Ok(())
    }

    /// Hands what follows the end of the job `number` to a worker.
    pub(super) fn follow_up(&mut self, number: usize, follow_up: FollowUp) -> Result<(), Failure> {
        self.follow_ups.push_back((number, Box::new(follow_up)));
        self.send_follow_ups()
    }

    fn send_follow_ups(&mut self) -> Result<(), Failure> {
        while let Some((job, follow_up)) = self.follow_ups.pop_front() {
            let refused = self.workers.give(Task::FollowUp { job, follow_up });
            if let Some(Task::FollowUp { job, follow_up }) = refused.map_err(|error| Failure::thread(&error))? {
                self.follow_ups.push_front((job, follow_up));
                break;
            }
        }
        Ok(())
    }

    /// The time until something is due.
    pub(super) fn until_due(&self) -> Duration {
        let now = Instant::now();
        let tick = now + if self.backlog.is_empty() { TICK } else { BACKLOG_RETRY };
        self.timers.next_due().map_or(tick, |due| due.min(tick)).saturating_duration_since(now)
    }

    /// Records that `worker` has nothing to do.
    pub(super) fn free(&mut self, worker: usize) {
        self.workers.done(worker);
    }

    /// Records that a poll of the job `number` came back after `seconds`. Returns true if its job was given up before.
    pub(super) fn finished(&mut self, number: usize, seconds: f64) -> bool {
        self.in_flight.remove(&number);
        self.demand.record(seconds, Instant::now());
        self.given_up.remove(&number)
    }

    /// Gives up the job `number`. Returns true if its poll is under way.
    pub(super) fn give_up(&mut self, number: usize) -> bool {
        let is_under_way = self.in_flight.remove(&number);
        is_under_way && self.given_up.insert(number)
    }

    /// The jobs whose poll is still unanswered although their deadline has passed.
    pub(super) fn overdue(
        &mut self,
        jobs: &HashMap<usize, PolledJob>,
        lists: &Lists,
        now: Timestamp,
        limits: Limits,
    ) -> Vec<usize> {
        if self.checked_at.elapsed() < TICK / 2 {
            return Vec::new();
        }
        self.checked_at = Instant::now();
        let is_overdue = |number: &usize| jobs.get(number).is_some_and(|job| job.time_left(now, limits) < -LAST_ANSWER);
        // Without any thread no poll will ever be sent.
        let backlog = self.backlog.iter().filter(|_| self.workers.threads() == 0).map(|(_, number)| number);
        let unlisted = self.in_flight.iter().chain(backlog).copied().filter(is_overdue);
        let overdue: HashSet<usize> = unlisted.chain(lists.overdue(is_overdue)).collect();
        overdue.into_iter().collect()
    }

    /// Schedules the first poll of a job anywhere within the first interval: a saved stream brings thousands of jobs in one
    /// moment, and they must not all be due in one moment too.
    pub(super) fn schedule_first(&mut self, number: usize, age: f64, left: Duration) {
        let wait = self.first_wait(age);
        let wait = if left.is_zero() { wait } else { wait.min(left) };
        self.timers.set(Instant::now() + wait, number);
    }

    /// A time within the first interval of a job that is `age` seconds old.
    pub(super) fn first_wait(&self, age: f64) -> Duration {
        self.interval(age).mul_f64(fastrand::f64())
    }

    /// Schedules a poll, or a page of a list, at this time.
    pub(super) fn schedule_at(&mut self, number: usize, due: Instant) {
        self.timers.set(due, number);
    }

    /// Schedules the next poll of a job that is `age` seconds old: not before `not_before`, and in `left` at the latest.
    pub(super) fn schedule_next(&mut self, number: usize, age: f64, not_before: Duration, left: Duration) {
        let wait = self.interval(age).max(not_before).min(left);
        self.timers.set(Instant::now() + wait, number);
    }

    /// Records that this host ran out of something before a poll was sent, with so many `jobs` to poll; the first such limit
    /// counts.
    pub(super) fn note_limit(&mut self, limit: &str, jobs: usize) {
        self.report_limit(|| {
            let need = if jobs == 1 { "a connection".to_owned() } else { format!("up to {jobs} connections at once") };
            format!("polling takes {need}: {limit}")
        });
    }

    /// Says once that a limit of this host makes polls wait.
    fn report_limit(&mut self, describe: impl FnOnce() -> String) {
        if self.limit.is_none() {
            let limit = describe();
            self.console.say(&limit);
            self.limit = Some(limit);
        }
    }

    /// The limit of this host that made polls wait.
    pub(super) fn limit(&self) -> Option<&str> {
        self.limit.as_deref()
    }

    /// The number of threads that were started.
    pub(super) fn threads(&self) -> usize {
        self.workers.threads()
    }

    /// The interval between two looks at a job that is `age` seconds old.
    pub(super) fn interval(&self, age: f64) -> Duration {
        self.intervals.next(Duration::try_from_secs_f64(age).unwrap_or(Duration::MAX / 2), fastrand::f64())
    }
}
