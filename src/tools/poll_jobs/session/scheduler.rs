//! Decides which job is polled when, and hands due polls to the worker threads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use schedule::{Schedule, Settings};

use super::super::Args;
use super::super::job::{FollowedUp, Limits, PollOutcome, PolledJob};
use super::super::threads::{BACKLOG_RETRY, Intervals, Timers};
use super::followup::FollowUp;
use super::lists::Lists;
use crate::cli::{Console, Failure};
use crate::clock::Clock;
use crate::http::{Client, ClientFactory, Turn};
use crate::own_limits;
use crate::profile::Request;
use crate::record::Timestamp;
use crate::thread_demand::{LONG_WAIT, ThreadDemand};
use crate::workers::Workers;

/// Enough for ten thousand polls a second at 50 ms each; the pool grows only as far as it must.
const MAX_THREADS: usize = 512;
/// So many threads may always poll.
const LEAST_THREADS: usize = 8;
/// The longest time between two looks at owed slots and at the progress line.
const TICK: Duration = Duration::from_millis(200);
/// The time that the poll at a job's deadline has to be answered.
const LAST_ANSWER: f64 = 0.5;
/// A poll that was sent this much after the deadline, in seconds, is the only one of a job that came late: it has its time.
const LATE_START: f64 = 1.0;

/// The least interval between two looks at a list, unless `--min-interval` names one.
const LIST_INTERVAL: Duration = Duration::from_millis(100);
/// The least interval between two polls of a job, unless `--min-interval` names one.
const JOB_INTERVAL: Duration = Duration::from_millis(5);

/// A poll that is due.
pub(super) struct DuePoll {
    job: usize,
    due: Instant,
    request: Arc<Request>,
}

/// Something for a worker thread to do.
pub(super) enum Task {
    /// Polls, one after the other, which were given to the worker at `since`.
    Polls { polls: Vec<DuePoll>, clock: Clock, since: Instant },
    /// The requests after a job's end, each in its turn.
    FollowUp { job: usize, follow_up: Box<FollowUp>, turn: Turn },
}

/// Something that a worker thread has done.
pub(super) struct Finished {
    pub(super) worker: usize,
    pub(super) work: Work,
}

/// The result of a worker thread's work.
pub(super) enum Work {
    /// The polls that were sent, and those that were not because the ones before them took too long.
    Polled {
        sent: Vec<Polled>,
        unsent: Vec<DuePoll>,
        since: Instant,
    },
    FollowedUp {
        job: usize,
        followed: Box<FollowedUp>,
    },
}

/// A poll that was sent.
pub(super) struct Polled {
    pub(super) job: usize,
    /// The delay between the due time and the sending.
    pub(super) late: Duration,
    pub(super) outcome: PollOutcome,
}

/// The schedule, for one access.
fn lock(schedule: &Mutex<Schedule>) -> MutexGuard<'_, Schedule> {
    schedule.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a poll.
fn send(poll: &DuePoll, client: &Client, clock: &Clock) -> Polled {
    let (late, sent) = (client.lateness(poll.due), clock.now());
    let answer = poll.request.send(client, clock);
    let sent = client.sent_at().filter(|at| *at >= sent).unwrap_or(sent);
    Polled { job: poll.job, late, outcome: PollOutcome { answer, sent, received: clock.now() } }
}

impl Task {
    /// The jobs that it polls.
    fn jobs(&self) -> impl Iterator<Item = usize> {
        let polls = if let Self::Polls { polls, .. } = self { &polls[..] } else { &[] };
        polls.iter().map(|poll| poll.job)
    }
}

/// The timers of all jobs and the threads that poll.
pub(super) struct Scheduler {
    /// The polls of jobs, and the budget of all requests; shared with the threads that follow jobs up.
    schedule: Arc<Mutex<Schedule>>,
    /// The moment from which the schedule counts.
    began: Instant,
    /// The intervals and the timers of lists, and of polls of jobs that lists lack.
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
    /// No polls are handed out before that.
    next_send: Instant,
    workers: Workers<Task, Work>,
    /// Follow-ups that wait for a thread.
    follow_ups: VecDeque<(usize, Box<FollowUp>)>,
    /// The last request that was handed out was a follow-up's, so a poll that is due comes first.
    polls_next: bool,
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
        let make = move || -> Box<dyn FnMut(Task) -> Work> {
            let client = factory.client();
            Box::new(move |task: Task| match task {
                Task::Polls { mut polls, clock, since } => {
                    let began = Instant::now();
                    let in_time = |sent: &Vec<Polled>| sent.is_empty() || began.elapsed() < LONG_WAIT;
                    let mut sent = Vec::with_capacity(polls.len());
                    while in_time(&sent)
                        && let Some(poll) = polls.get(sent.len())
                    {
                        sent.push(send(poll, &client, &clock));
                    }
                    let unsent = polls.split_off(sent.len());
                    Work::Polled { sent, unsent, since }
                }
                Task::FollowUp { job, follow_up, turn } => {
                    Work::FollowedUp { job, followed: Box::new(follow_up.run(&client.in_turn(turn))) }
                }
            })
        };
        let deliver = move |worker, work| deliver(Finished { worker, work });
        let least = |default: Duration| args.min_interval.unwrap_or(default).min(args.max_interval);
        let settings = Settings {
            precision: args.precision,
            min: least(JOB_INTERVAL).as_secs_f64(),
            max: args.max_interval.as_secs_f64(),
            ceiling: args.max_poll_rate,
        };
        Self {
            schedule: Arc::new(Mutex::new(Schedule::new(settings, fastrand::Rng::new()))),
            began: Instant::now(),
            intervals: Intervals { precision: args.precision, min: least(LIST_INTERVAL), max: args.max_interval },
            timers: Timers::default(),
            in_flight: HashSet::new(),
            given_up: HashSet::new(),
            checked_at: Instant::now(),
            backlog: VecDeque::new(),
            follow_ups: VecDeque::new(),
            polls_next: false,
            demand: ThreadDemand::new(Instant::now(), LEAST_THREADS),
            next_send: Instant::now(),
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
        if now < self.next_send {
            return Ok(());
        }
        self.next_send = now + self.demand.pause();
        let at = self.seconds(now);
        while lock(&self.schedule).affords_at(at) <= at
            && let Some(due) = self.timers.take_due(now)
        {
            lock(&self.schedule).spend(at);
            self.polls_next = false;
            self.backlog.push_back(due);
        }
        // Polls that wait for a thread wait in the schedule, which knows what is most urgent.
        if self.backlog.is_empty() {
            let most = self.demand.batch() * MAX_THREADS;
            while self.backlog.len() < most
                && let Some((due, job)) = lock(&self.schedule).take_due(at)
            {
                self.polls_next = false;
                self.backlog.push_back((self.began + Duration::try_from_secs_f64(due).unwrap_or_default(), job));
            }
        }
        while !self.backlog.is_empty() {
            let since = Instant::now();
            if !self.demand.has_room(0, since) {
                return Ok(());
            }
            let polls = self.next_batch(jobs, lists)?;
            if polls.is_empty() {
                continue;
            }
            let task = Task::Polls { polls, clock: clock.clone(), since };
            let sent: Vec<usize> = task.jobs().collect();
            if let Some(Task::Polls { polls, .. }) = self.workers.give(task).map_err(|error| Failure::thread(&error))? {
                polls.into_iter().rev().for_each(|poll| self.backlog.push_front((poll.due, poll.job)));
                let (threads, polls) = (self.workers.threads(), self.workers.threads() + self.backlog.len());
                self.report_limit(|| own_limits::describe(polls, "poll", threads, MAX_THREADS));
                return Ok(());
            }
            self.demand.give(since);
            for number in sent {
                lists.sent(number);
                if jobs.get(&number).is_some_and(|job| job.time_left(clock.now(), limits) > -LATE_START) {
                    self.in_flight.insert(number);
                }
            }
        }
        Ok(())
    }

    /// Takes the next polls for one worker out of the backlog.
    fn next_batch(&mut self, jobs: &HashMap<usize, PolledJob>, lists: &mut Lists) -> Result<Vec<DuePoll>, Failure> {
        let mut polls = Vec::new();
        let size = self.demand.batch();
        while polls.len() < size
            && let Some((due, number)) = self.backlog.pop_front()
        {
            if let Some(job) = jobs.get(&number) {
                polls.push(DuePoll { job: number, due, request: job.request.clone() });
            } else if !polls.is_empty() {
                // A page of a list goes alone: it is never given back.
                self.backlog.push_front((due, number));
                break;
            } else if let Some(request) = lists.due_request(number, due, jobs)? {
                polls.push(DuePoll { job: number, due, request });
                break;
            }
        }
        Ok(polls)
    }

    /// Takes polls back that were not sent, from a worker that was given them at `since`.
    pub(super) fn take_back(&mut self, polls: Vec<DuePoll>, since: Instant) {
        self.demand.come_back(since);
        for poll in polls.into_iter().rev() {
            self.in_flight.remove(&poll.job);
            // Its job was given up before it was sent.
            if !self.given_up.remove(&poll.job) {
                self.backlog.push_front((poll.due, poll.job));
            }
        }
    }

    /// The time of the schedule.
    fn seconds(&self, at: Instant) -> f64 {
        at.saturating_duration_since(self.began).as_secs_f64()
    }

    /// Hands what follows the end of the job `number` to a worker.
    pub(super) fn follow_up(&mut self, number: usize, follow_up: FollowUp) -> Result<(), Failure> {
        self.follow_ups.push_back((number, Box::new(follow_up)));
        self.send_follow_ups()
    }

    fn send_follow_ups(&mut self) -> Result<(), Failure> {
        let (schedule, at) = (self.schedule.clone(), self.seconds(Instant::now()));
        // While it is held, the worker cannot ask for its second turn.
        let mut schedule = lock(&schedule);
        while schedule.allows_at() <= at
            && !(self.polls_next && schedule.next_due(at).is_some_and(|due| due <= at))
            && let Some((job, follow_up)) = self.follow_ups.pop_front()
        {
            let refused = self.workers.give(Task::FollowUp { job, follow_up, turn: self.turn() });
            if let Some(Task::FollowUp { job, follow_up, .. }) = refused.map_err(|error| Failure::thread(&error))? {
                self.follow_ups.push_front((job, follow_up));
                break;
            }
            schedule.spend(at);
            self.polls_next = schedule.allows_at() > at;
        }
        Ok(())
    }

    /// The turns of one follow-up's requests, all of which count; the first has come.
    fn turn(&self) -> Turn {
        let (schedule, began, is_first) = (self.schedule.clone(), self.began, AtomicBool::new(true));
        Turn::new(move || {
            if !is_first.swap(false, Ordering::Relaxed) {
                let now = began.elapsed().as_secs_f64();
                let at = lock(&schedule).spend(now);
                std::thread::sleep(Duration::try_from_secs_f64(at - now).unwrap_or_default());
            }
        })
    }

    /// The time until something is due.
    pub(super) fn until_due(&mut self) -> Duration {
        let now = Instant::now();
        let tick = now + if self.backlog.is_empty() { TICK } else { BACKLOG_RETRY };
        let (at, began) = (self.seconds(now), self.began);
        let moment = |seconds: f64| Duration::try_from_secs_f64(seconds).map_or(tick, |after| began + after);
        let mut schedule = lock(&self.schedule);
        let timer = self.timers.next_due().map(|due| due.max(moment(schedule.affords_at(at))));
        let poll = schedule.next_due(at).filter(|_| self.backlog.is_empty()).map(moment);
        // One whose turn has come waits for a thread.
        let follow_up = moment(schedule.allows_at()).max(now + BACKLOG_RETRY);
        let follow_up = Some(follow_up).filter(|_| !self.follow_ups.is_empty());
        let next = [timer, poll, follow_up].into_iter().flatten().fold(tick, Instant::min);
        next.max(self.next_send).saturating_duration_since(now)
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

    /// Schedules the first poll of a job that is `age` seconds old.
    pub(super) fn schedule_first(&mut self, number: usize, age: f64, left: Duration) {
        let now = self.seconds(Instant::now());
        lock(&self.schedule).add(number, age, left.as_secs_f64(), now);
    }

    /// A time within the first interval of a job that is `age` seconds old.
    pub(super) fn first_wait(&self, age: f64) -> Duration {
        self.interval(age).mul_f64(fastrand::f64())
    }

    /// Schedules a poll, or a page of a list, at this time.
    pub(super) fn schedule_at(&mut self, number: usize, due: Instant) {
        self.timers.set(due, number);
    }

    /// Schedules the next poll of a job that was last seen running at the age `seen`: not before `not_before`, and in `left` at
    /// the latest.
    pub(super) fn schedule_next(&mut self, number: usize, seen: Option<f64>, not_before: Duration, left: Duration) {
        let now = self.seconds(Instant::now());
        lock(&self.schedule).running(number, seen, not_before.as_secs_f64(), left.as_secs_f64(), now);
    }

    /// Records that something worth seeing happened in a job between two ages.
    pub(super) fn changed(&mut self, (after, until): (f64, f64)) {
        lock(&self.schedule).changed(after, until);
    }

    /// Records that the job `number` was seen to have come as far as `stage` between two ages.
    pub(super) fn entered(&mut self, number: usize, stage: u64, ages: (f64, f64)) {
        lock(&self.schedule).entered(number, stage, ages);
    }

    /// Records that a job was seen to have ended at `age`, or that it is polled no more.
    pub(super) fn ended(&mut self, number: usize, age: Option<f64>) {
        let now = self.seconds(Instant::now());
        match age {
            Some(age) => lock(&self.schedule).ended(number, age, now),
            None => lock(&self.schedule).remove(number, now),
        }
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
