//! A polling session: one loop that owns the jobs, takes every event, and is the only writer.

mod absences;
mod cookies;
mod ends;
mod errors;
mod followup;
mod lists;
mod output;
mod resume;
mod scheduler;
mod target;

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::Args;
use super::hidden_cache::HiddenCache;
use super::job::{Lag, Limits, NextStep, PollOutcome, PolledJob};
use crate::cli::{Exit, Failure, Io, Outcome, Stop};
use crate::clock::{Clock, OffsetBounds};
use crate::cookies::AnsweredAt;
use crate::heartbeat::Heartbeat;
use crate::http::{Answer, Connections, HttpError};
use crate::input::{self, Input, Permits};
use crate::ndjson::{Line, Read, Reader};
use crate::profile::{Profile, Request};
use crate::record::{Fold, Job, Key, Kind, Phase, Polling, Record, RunSpec, Timestamp};
use crate::staging::Claims;
use crate::target::TargetClients;
use absences::Absences;
use cookies::JobCookies;
use followup::Ending;
use lists::Lists;
use output::Output;
use scheduler::{Finished, Polled, Scheduler, Work};
use target::PollTarget;

enum Event {
    Line(Input<Read>),
    Worked(Finished),
    Stop,
}

/// Runs the tool.
pub(super) fn run(args: &Args, mut io: Io<'_>) -> Outcome {
    let profile = args.target.profile()?;
    let clients = args.target.clients(&profile, None, Connections::Kept, &io.console)?;
    if args.check {
        return args.target.base_url().map(|_| Exit::Done);
    }
    let stdin = input::take(&mut io)?;
    let (events, received) = channel();
    let (to_lines, to_polls, to_stop) = (events.clone(), events.clone(), events);
    // After the session's end nobody receives the events any more.
    let permits = input::spawn(stdin, Reader::stdin, move |line| drop(to_lines.send(Event::Line(line))))?;
    io.stop.on_stop(move || drop(to_stop.send(Event::Stop)));
    let deliver = move |finished| drop(to_polls.send(Event::Worked(finished)));
    let mut session = Session::new(args, profile, clients, io, deliver)?;
    session.serve(&received, &permits)?;
    session.close()
}

/// Adds the lag that answers about `job` showed to `known`.
fn note_lag(known: &mut Option<Lag>, job: &mut PolledJob) {
    if let Some(lag) = job.take_lag() {
        *known = Some(known.map_or(lag, |known| known.max(lag)));
    }
}

struct Session<'a, 'o> {
    args: &'a Args,
    target: PollTarget<'a>,
    scheduler: Scheduler,
    output: Output<'o>,
    stop: Stop,
    clock: Clock,
    offset: OffsetBounds,
    hidden_cache: HiddenCache,
    /// The lag of answers that went back to an earlier state of their job.
    lag: Option<Lag>,
    jobs: HashMap<usize, PolledJob>,
    /// Jobs that have ended, or were given up, and whose follow-up is under way.
    ending: HashMap<usize, Ending>,
    endings_checked_at: Instant,
    numbers: HashMap<Key, usize>,
    lists: Lists,
    absences: Absences,
    /// With `--resume`: the records read so far.
    to_resume: Option<Fold>,
    claims: Claims,
    cookies: JobCookies,
    /// The polling cost of earlier sessions.
    earlier_cost: Polling,
    /// With `--resume`: the target is unreachable, so nothing was polled.
    unreachable: bool,
    heartbeat: Heartbeat,
    input_ended: bool,
}

impl<'a, 'o> Session<'a, 'o> {
    fn new(
        args: &'a Args,
        profile: Profile,
        clients: TargetClients,
        io: Io<'o>,
        deliver: impl Fn(Finished) + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let TargetClients { factory, tokens } = clients;
        let heartbeat = factory.heartbeat();
        Ok(Self {
            args,
            target: PollTarget::new(args, profile, factory.client(), tokens)?,
            scheduler: Scheduler::new(args, factory, io.console.clone(), deliver),
            stop: io.stop.clone(),
            cookies: JobCookies::new(args.cookies.as_deref(), &io.stop),
            output: Output::new(args, io)?,
            clock: Clock::system(),
            offset: OffsetBounds::default(),
            hidden_cache: HiddenCache::default(),
            lag: None,
            jobs: HashMap::new(),
            ending: HashMap::new(),
            endings_checked_at: Instant::now(),
            numbers: HashMap::new(),
            lists: Lists::default(),
            absences: Absences::default(),
            claims: Claims::default(),
            to_resume: args.resume.then(Fold::default),
            earlier_cost: Polling::default(),
            unreachable: false,
            heartbeat,
            input_ended: false,
        })
    }

    fn serve(&mut self, events: &Receiver<Event>, permits: &Permits) -> Result<(), Failure> {
        let grace = self.stop.grace();
        // After a signal the tools before this one have as long to end; a pipe that goes on is left.
        while !(grace.is_over() || self.input_ended && self.jobs.is_empty() && self.ending.is_empty()) {
            let limits = self.limits();
            for number in self.scheduler.overdue(&self.jobs, &self.lists, self.clock.now(), limits) {
                self.expire(number)?;
            }
            self.expire_follow_ups()?;
            self.scheduler.send_due(&self.jobs, &mut self.lists, &self.clock, limits)?;
            self.output.draw_progress(self.jobs.values());
            match events.recv_timeout(self.scheduler.until_due()) {
                Ok(event) => self.handle(event, permits)?,
                Err(RecvTimeoutError::Timeout) => self.output.free_owed_slots()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // Events that have come meanwhile are handled before anything is sent: an answer frees a thread.
            while let Ok(event) = events.try_recv() {
                self.handle(event, permits)?;
            }
        }
        self.give_up_follow_ups()
    }

    fn handle(&mut self, event: Event, permits: &Permits) -> Result<(), Failure> {
        match event {
            Event::Line(Input::End) => {
                self.input_ended = true;
                let Some(mut records) = self.to_resume.take() else { return Ok(()) };
                if let Some(path) = &self.args.journal {
                    self.add_journal(&mut records, path)?;
                }
                self.resume(&records)
            }
            Event::Line(Input::Failed(error)) => Err(Failure::io("stdin", &error)),
            Event::Line(Input::Item(read)) => {
                permits.give();
                match self.output.bad_lines.take(read, &self.output.console) {
                    Some(line) => self.handle_line(line),
                    None => Ok(()),
                }
            }
            Event::Worked(finished) => {
                self.scheduler.free(finished.worker);
                match finished.work {
                    Work::Polled { sent, unsent, since } => {
                        self.scheduler.take_back(unsent, since);
                        sent.into_iter()
                            .try_for_each(|Polled { job, late, outcome }| self.handle_answer(job, late, outcome))
                    }
                    Work::FollowedUp { job, followed } => self.followed_up(job, &followed),
                }
            }
            Event::Stop => {
                let numbers: Vec<_> = self.jobs.keys().copied().collect();
                numbers.into_iter().try_for_each(|number| self.end(number, Phase::Interrupted))?;
                // submit-jobs sees the FIFO close and ends too, whichever of the two the signal was for.
                self.output.close_slots();
                Ok(())
            }
        }
    }

    fn handle_line(&mut self, line: Line) -> Result<(), Failure> {
        match (line, &mut self.to_resume) {
            (Line::Record(record), Some(records)) => {
                records.add(record);
                Ok(())
            }
            (Line::Record(record), None) if record.kind() == Kind::Job => self.handle_job(record),
            (Line::Record(record), None) if record.kind() == Kind::Run => self.handle_run(record),
            (line, _) => self.output.records.line(&line),
        }
    }

    fn handle_job(&mut self, record: Record) -> Result<(), Failure> {
        let job: Job = record.read()?;
        self.output.records.record(&record)?;
        let known = self.numbers.get(record.key()).copied();
        if job.status.phase.is_final() {
            self.cookies.note_end(record.key());
            // Later lines of a saved stream tell the end of a job that is being polled: no need to poll it.
            if let Some(number) = known.filter(|number| self.jobs.remove(number).is_some()) {
                self.scheduler.ended(number, None);
                self.output.free_slot()?;
            }
            return Ok(());
        }
        if job.status.phase != Phase::Submitted || known.is_some() {
            return Ok(());
        }
        let Some(id) = job.status.job_id.clone() else {
            let name = &job.metadata.name;
            self.output.console.say(&format!("{name}: Submitted without a status.jobId, so it cannot be polled"));
            return Ok(());
        };
        let request = self.request(&record, &job, &id)?;
        self.add(PolledJob::new(record, &job, request, self.clock.now()))
    }

    /// The request that polls `job`, with its cookies.
    fn request(&mut self, record: &Record, job: &Job, id: &str) -> Result<Request, Failure> {
        if let Some(path) = &job.spec.path {
            // Until the job ends, no other run may stage the same sources. Which run was first was for submit-jobs to say.
            let _other = self.claims.hold(Path::new(path), &job.metadata.run);
        }
        let mut request = self.target.request(job, id)?;
        self.cookies.add_to(&mut request, record.key(), &job.status, &self.output.console)?;
        Ok(request)
    }

    fn handle_run(&mut self, record: Record) -> Result<(), Failure> {
        let spec = RunSpec {
            deadline_seconds: Some(self.args.deadline.as_secs_f64()),
            lost_after_seconds: Some(self.args.lost_after.as_secs_f64()),
            precision: Some(self.args.precision),
            ..RunSpec::default()
        };
        let key = record.key().clone();
        let Output { runs, records, console, counts, .. } = &mut self.output;
        let (run, clock) = runs.pass(record, console.tool(), &spec, self.clock.now(), records)?;
        if let Some(clock) = clock {
            self.clock = clock;
        }
        counts.expect_jobs(key, &run.spec);
        if let Some(offset) = run.status.clock_offset {
            self.offset = OffsetBounds::from_offset(offset, run.status.clock_doubt.as_deref());
        }
        self.target.adopt(&run.metadata.run, &run.spec, console)
    }

    fn add(&mut self, mut job: PolledJob) -> Result<(), Failure> {
        let number = self.numbers.len();
        self.numbers.insert(job.key().clone(), number);
        let now = self.clock.now();
        job.note_frozen(self.heartbeat.lost(), now);
        let (age, left) = (job.age(now), self.time_left(&job));
        let (id, record) = (job.id().to_owned(), job.as_job()?);
        job.note_targets(self.target.moved(&record, &self.output.console));
        self.jobs.insert(number, job);
        if self.stop.signal().is_some() {
            return self.end(number, Phase::Interrupted);
        }
        if !self.add_to_list(number, &id, &record, age)? {
            self.scheduler.schedule_first(number, age, left);
        }
        Ok(())
    }

    fn handle_answer(&mut self, number: usize, late: Duration, mut outcome: PollOutcome) -> Result<(), Failure> {
        let took = outcome.received.since(outcome.sent);
        if self.scheduler.finished(number, took) {
            // It was counted as unanswered when its job was given up.
            return Ok(());
        }
        if !self.lists.contains(number) {
            outcome.answer = outcome.answer.or_else(|error| self.target.profile.told_by_head(error));
        }
        let answered = outcome.answer.is_ok().then(|| Duration::try_from_secs_f64(took).unwrap_or_default());
        self.output.counts.count_poll(late, answered);
        if let Ok(answer) = &mut outcome.answer {
            self.observe_date(number, answer, (outcome.sent, outcome.received));
        }
        if let Err(HttpError::OwnLimit { what: limit, .. }) = &outcome.answer {
            self.scheduler.note_limit(limit, self.jobs.len());
        }
        if self.lists.contains(number) {
            return self.handle_page(number, outcome);
        }
        self.lists.polled_alone(number);
        let limits = self.limits();
        // The answer for a job that was given up meanwhile comes too late.
        let Some(job) = self.jobs.get_mut(&number) else { return Ok(()) };
        let (set_cookies, date) = match &outcome.answer {
            Ok(answer) => (answer.head.cookies.clone(), answer.head.date),
            Err(_) => (Vec::new(), None),
        };
        let failed_before = job.polls().failed;
        let polling = &mut self.output.counts.polling;
        let next = job.handle(outcome, &self.target.profile, limits, &mut polling.failures);
        polling.failed += job.polls().failed - failed_before;
        note_lag(&mut self.lag, job);
        self.output.note_answer(&job.key().name, &job.request.url, job.issue());
        self.output.note_stage_word(&job.key().name, job.stage_word());
        if !set_cookies.is_empty() {
            let at = AnsweredAt { now: self.clock.now(), date };
            self.cookies.take(job, &set_cookies, at, &self.output.console);
        }
        if let Some(id) = job.take_next_id() {
            self.poll_as(number, &id)?;
        }
        self.advance(number, next)
    }

    /// Takes what the `Date` of an answer tells of the target's clock, and of the answer's age if a cache gave it.
    fn observe_date(&mut self, number: usize, answer: &mut Answer, (sent, received): (Timestamp, Timestamp)) {
        let head = &mut answer.head;
        let Some(date) = head.date else {
            let is_undated = head.is_from_cache && head.age.is_none();
            head.hidden_age = is_undated.then(|| self.hidden_cache.observe_undated());
            return;
        };
        let job_seconds = self.jobs.get(&number).map(|job| job.age(sent));
        let most_offset = self.offset.offset().map(|offset| offset.bounds().high);
        let dated = (date, head.is_from_cache);
        head.hidden_age = self.hidden_cache.observe(number, dated, (sent, received), job_seconds, most_offset);
        if !answer.is_cached() {
            self.offset.observe(date, sent, received);
        }
    }

    /// Polls the job `number` by another id from now on.
    fn poll_as(&mut self, number: usize, id: &str) -> Result<(), Failure> {
        let Some(record) = self.jobs.get(&number).map(|job| job.record().clone()) else { return Ok(()) };
        let request = self.request(&record, &record.read()?, id)?;
        if let Some(job) = self.jobs.get_mut(&number) {
            job.poll_as(id, request);
        }
        Ok(())
    }

    /// Makes the next step of the job `number` after an answer about it.
    fn advance(&mut self, number: usize, next: NextStep) -> Result<(), Failure> {
        let not_before = match next {
            NextStep::End(phase) => return self.end(number, phase),
            NextStep::LookAgain { wait } => {
                let left = self.jobs.get(&number).map(|job| self.time_left(job)).unwrap_or_default();
                self.lists.poll_alone(number);
                self.scheduler.schedule_at(number, Instant::now() + wait.min(left));
                return Ok(());
            }
            NextStep::Poll { not_before } => not_before.unwrap_or_default(),
            NextStep::Report { record, not_before } => {
                self.output.job(record)?;
                not_before.unwrap_or_default()
            }
        };
        let limits = self.limits();
        if self.lists.tell_of(number) {
            self.lists.hold(number, not_before);
        } else if let Some(job) = self.jobs.get_mut(&number) {
            if let Some(ages) = job.take_change() {
                self.scheduler.changed(ages);
            }
            if let Some((progress, ages)) = job.take_progress() {
                self.scheduler.entered(number, progress, ages);
            }
            let seen = job.seen_running_at();
            let left = job.time_left(self.clock.now(), limits);
            let left = Duration::try_from_secs_f64(left).unwrap_or_default();
            self.output.note_pause(&job.key().name, not_before, left);
            self.scheduler.schedule_next(number, seen, not_before, left);
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits { deadline: self.args.deadline, lost_after: self.args.lost_after, frozen: self.heartbeat.lost() }
    }

    fn time_left(&self, job: &PolledJob) -> Duration {
        Duration::try_from_secs_f64(job.time_left(self.clock.now(), self.limits())).unwrap_or_default()
    }
}
