//! A session of polling: one loop that keeps the timers, hears every answer, and is the only one to write.

mod resume;
mod timers;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::Args;
use super::follow::{Followed, Limits, Next, Polled};
use super::schedule::{HELD_UP, Intervals, Jitter, Pace, Timers};
use super::stages::Names;
use super::tally::Tally;
use crate::cli::{Console, Exit, Failure, Io, Outcome, Stop};
use crate::clock::{Clock, OffsetBounds, micro};
use crate::http::{BaseUrl, Client, Connections, Exchange, Method};
use crate::input::{self, Input, Permits};
use crate::ndjson::{Account, Line, Read, Reader, Writer};
use crate::profile::Profile;
use crate::record::{Fold, Job, Key, Kind, Phase, Polling, Record, RunSpec, RunStatus};
use crate::runs::Runs;
use crate::slots::Giver;
use crate::target::PollRequest;
use crate::workers::Workers;

/// Enough for ten thousand polls a second at 50 ms each; the pool grows only as far as it must.
const MOST_THREADS: usize = 512;
/// How far the wall clock may drift against the run's before that is worth a word.
const STEP: f64 = 0.05;
/// How often owed slots are tried again, and progress is looked at.
const TICK: Duration = Duration::from_millis(200);

enum Event {
    Line(Input<Read>),
    Polled { worker: usize, job: usize, late: Duration, polled: Box<Polled> },
    Stop,
}

struct Task {
    job: usize,
    due: Instant,
    request: Arc<PollRequest>,
    clock: Clock,
}

/// Runs the tool.
pub(super) fn run(args: &Args, io: Io<'_>) -> Outcome {
    let profile = args.target.profile()?;
    let client = args.target.http.client(Connections::Kept)?;
    if args.check {
        return args.target.base_url().map(|_| Exit::Done);
    }
    let (events, happened) = channel();
    let mut session = Session::new(args, profile, client, &io, events.clone())?;
    let (to, stop) = (events.clone(), events);
    let permits = input::spawn(io.stdin, Reader::stdin, move |line| drop(to.send(Event::Line(line))))?;
    io.stop.on_stop(move || drop(stop.send(Event::Stop)));
    let mut out = Writer::new(io.stdout);
    session.serve(&happened, &permits, &mut out)?;
    session.close(&mut out)
}

struct Session<'a> {
    args: &'a Args,
    profile: Profile,
    limits: Limits,
    intervals: Intervals,
    base: Option<BaseUrl>,
    /// Targets of Runs that --target sends elsewhere, each said once.
    elsewhere: BTreeSet<String>,
    console: Console,
    stop: Stop,
    clock: Clock,
    workers: Workers<Task, (usize, Duration, Polled)>,
    giver: Option<Giver>,
    account: Account,
    offset: OffsetBounds,
    runs: Runs,
    names: Names,
    jitter: Jitter,
    timers: Timers,
    /// Due, and waiting for a thread.
    ready: VecDeque<(Instant, usize)>,
    pace: Pace,
    followed: HashMap<usize, Followed>,
    by_key: HashMap<Key, usize>,
    next_job: usize,
    /// With --resume: what was read so far of the records to resume.
    ledger: Option<Fold>,
    /// What following the jobs had cost before this session.
    spent: Polling,
    tally: Tally,
    /// Asks after the target's health.
    exchange: Exchange,
    /// With --resume: the target is not there, so nobody was asked for.
    unreachable: bool,
    input_ended: bool,
    in_trouble: bool,
}

impl<'a> Session<'a> {
    fn new(
        args: &'a Args,
        profile: Profile,
        client: Client,
        io: &Io<'_>,
        events: Sender<Event>,
    ) -> Result<Self, Failure> {
        let asking = client.exchange();
        let make = move || -> Box<dyn FnMut(Task) -> (usize, Duration, Polled)> {
            let exchange = client.exchange();
            Box::new(move |task: Task| {
                let late = task.due.elapsed();
                let sent = task.clock.now();
                let outcome = exchange.send(&Method::GET, &task.request.url, &task.request.headers, None, &task.clock);
                (task.job, late, Polled { outcome, sent, received: task.clock.now() })
            })
        };
        let deliver = move |worker, (job, late, polled)| {
            // Nobody listens after the session's end.
            drop(events.send(Event::Polled { worker, job, late, polled: Box::new(polled) }));
        };
        let mut seed = [0; 4];
        getrandom::fill(&mut seed).map_err(|error| Failure::input_output(format!("no random numbers: {error}")))?;
        Ok(Self {
            args,
            limits: Limits { deadline: args.deadline, lost_after: args.lost_after },
            intervals: Intervals { precision: args.precision, min: args.min_interval, max: args.max_interval },
            base: args.target.base_url()?,
            elsewhere: BTreeSet::new(),
            profile,
            console: io.console.clone(),
            stop: io.stop.clone(),
            clock: Clock::system(),
            workers: Workers::new(MOST_THREADS, Arc::new(make), Arc::new(deliver)),
            giver: args.slots.as_deref().map(Giver::open).transpose()?,
            account: Account::default(),
            offset: OffsetBounds::default(),
            runs: Runs::default(),
            names: Names::default(),
            jitter: Jitter::seeded(u32::from_ne_bytes(seed)),
            timers: Timers::default(),
            ready: VecDeque::new(),
            pace: Pace::new(Instant::now()),
            followed: HashMap::new(),
            by_key: HashMap::new(),
            next_job: 0,
            ledger: args.resume.then(Fold::default),
            spent: Polling::default(),
            tally: Tally::new()?,
            exchange: asking,
            unreachable: false,
            input_ended: false,
            in_trouble: false,
        })
    }

    fn serve(&mut self, happened: &Receiver<Event>, permits: &Permits, out: &mut Writer<'_>) -> Result<(), Failure> {
        while !(self.input_ended && self.followed.is_empty()) {
            self.send_what_is_due()?;
            self.tell_progress();
            let tick = Instant::now() + if self.ready.is_empty() { TICK } else { HELD_UP };
            let wake = self.timers.next_due().map_or(tick, |due| due.min(tick));
            match happened.recv_timeout(wake.saturating_duration_since(Instant::now())) {
                Ok(event) => self.hear(event, permits, out)?,
                Err(RecvTimeoutError::Timeout) => self.settle_slots()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // What has come meanwhile is heard before anything is sent: an answer frees a thread.
            while let Ok(event) = happened.try_recv() {
                self.hear(event, permits, out)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, event: Event, permits: &Permits, out: &mut Writer<'_>) -> Result<(), Failure> {
        match event {
            Event::Line(Input::End) => {
                self.input_ended = true;
                if let Some(ledger) = self.ledger.take() {
                    self.resume(&ledger, out)?;
                }
            }
            Event::Line(Input::Failed(error)) => return Err(Failure::io("stdin", &error)),
            Event::Line(Input::Item(read)) => {
                permits.give();
                match self.account.take(read, &self.console) {
                    Some(Line::Record(record)) if self.ledger.is_some() => {
                        self.ledger.get_or_insert_default().add(record);
                    }
                    Some(Line::Record(record)) if record.kind() == Kind::Job => self.hear_job(record, out)?,
                    Some(Line::Record(record)) if record.kind() == Kind::Run => self.hear_run(record, out)?,
                    Some(line) => out.line(&line)?,
                    None => {}
                }
            }
            Event::Polled { worker, job, late, polled } => {
                self.workers.done(worker);
                self.hear_answer(job, late, *polled, out)?;
            }
            Event::Stop => {
                let jobs: Vec<_> = self.followed.keys().copied().collect();
                for job in jobs {
                    self.end(job, Phase::Interrupted, out)?;
                }
            }
        }
        Ok(())
    }

    fn hear_run(&mut self, record: Record, out: &mut Writer<'_>) -> Result<(), Failure> {
        let spec = RunSpec {
            deadline_seconds: Some(self.args.deadline.as_secs_f64()),
            lost_after_seconds: Some(self.args.lost_after.as_secs_f64()),
            precision: Some(self.args.precision),
            ..RunSpec::default()
        };
        let (run, clock) = self.runs.pass(record, self.console.tool(), &spec, self.clock.now(), out)?;
        if let Some(clock) = clock {
            self.clock = clock;
        }
        if let Some(offset) = run.status.clock_offset {
            self.offset = OffsetBounds::from_offset(offset);
        }
        if let Some(target) = &run.spec.target {
            let theirs = BaseUrl::parse(target, "the Run's spec.target")?;
            match &self.base {
                None => {
                    self.check_secrets(&theirs)?;
                    self.base = Some(theirs);
                }
                Some(ours) if ours.as_str() != theirs.as_str() && self.elsewhere.insert(target.clone()) => {
                    self.console.say(&format!(
                        "the jobs were submitted to {} and are asked for at {}, as --target or TARGET says",
                        theirs.as_str(),
                        ours.as_str()
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(name) = run.spec.profile.filter(|name| *name != self.profile.name) {
            let own = &self.profile.name;
            self.console.say(&format!(
                "the jobs were submitted through the profile {name} and are polled through {own}: is --profile missing?"
            ));
        }
        Ok(())
    }

    /// Whoever wrote the stream must not choose who is told the secrets.
    pub(super) fn check_secrets(&self, theirs: &BaseUrl) -> Result<(), Failure> {
        if !self.args.target.http.has_secrets() || theirs.as_str() == self.profile.target.trim_end_matches('/') {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "the jobs were submitted to {}, as the stream says: name it by --target or TARGET, for the headers of --header-file or \
             --token-env go with every poll",
            theirs.as_str()
        )))
    }

    fn hear_job(&mut self, record: Record, out: &mut Writer<'_>) -> Result<(), Failure> {
        let job: Job = record.read().map_err(|error| Failure::usage(error.to_string()))?;
        out.record(&record)?;
        let known = self.by_key.get(record.key()).copied();
        if job.status.phase.rank() == 3 {
            // A saved stream goes on to tell how a job ended that is being followed: no need to ask.
            if known.is_some_and(|number| self.followed.remove(&number).is_some()) {
                self.free_slot()?;
            }
            return Ok(());
        }
        if job.status.phase != Phase::Submitted || known.is_some() {
            return Ok(());
        }
        let Some(id) = job.status.job_id.clone() else {
            self.console
                .say(&format!("{}: Submitted, and has no status.jobId: it cannot be followed", job.metadata.name));
            return Ok(());
        };
        let request = self.request(&job, &id)?;
        let followed = Followed::new(record, &job, request, self.clock.now());
        self.follow(followed, out)
    }

    fn request(&mut self, job: &Job, id: &str) -> Result<PollRequest, Failure> {
        let base = self.base()?.clone();
        Ok(PollRequest::of(job, id, &self.profile, &base))
    }

    fn follow(&mut self, followed: Followed, out: &mut Writer<'_>) -> Result<(), Failure> {
        let number = self.next_job;
        self.next_job += 1;
        self.by_key.insert(followed.key().clone(), number);
        let first = self.first_wait(followed.age(self.clock.now()));
        self.followed.insert(number, followed);
        if self.stop.signal().is_some() {
            return self.end(number, Phase::Interrupted, out);
        }
        self.timers.set(Instant::now() + first, number);
        Ok(())
    }

    fn base(&mut self) -> Result<&BaseUrl, Failure> {
        if self.base.is_none() {
            self.base = Some(self.args.target.base_url_or(&self.profile)?);
        }
        self.base.as_ref().ok_or_else(|| Failure::usage("no target"))
    }

    fn hear_answer(&mut self, job: usize, late: Duration, polled: Polled, out: &mut Writer<'_>) -> Result<(), Failure> {
        self.tally.note(late);
        self.pace.note(polled.received.since(polled.sent), Instant::now());
        if let Ok(answer) = &polled.outcome
            && let Some(date) = answer.date
        {
            self.offset.observe(date, polled.sent, polled.received);
        }
        // A job that was given up meanwhile: its answer comes too late.
        let Some(followed) = self.followed.get_mut(&job) else { return Ok(()) };
        let failed_before = followed.polls().failed;
        let next = followed.hear(polled, &self.profile, &mut self.names, self.limits);
        self.tally.polls.failed += followed.polls().failed - failed_before;
        let (request, trouble) = (followed.request.clone(), followed.trouble().map(str::to_owned));
        self.tell_trouble(&request.url, trouble.as_deref());
        let wait = match next {
            Next::Ended(phase) => return self.end(job, phase, out),
            Next::Again { not_before } => not_before.unwrap_or_default(),
            Next::Tell { record, what } => {
                self.console.say(&format!("{}: {what}", record.key().name));
                out.record(&record)?;
                Duration::ZERO
            }
        };
        self.set_timer(job, wait);
        Ok(())
    }

    /// Says once that polls fail, and once that they do no longer.
    fn tell_trouble(&mut self, url: &str, trouble: Option<&str>) {
        match trouble {
            Some(trouble) if !self.in_trouble => {
                self.in_trouble = true;
                self.console.say(&format!("GET {url}: {trouble}; polling goes on"));
            }
            None if self.in_trouble => {
                self.in_trouble = false;
                self.console.say("polls are answered again");
            }
            _ => {}
        }
    }

    fn end(&mut self, job: usize, phase: Phase, out: &mut Writer<'_>) -> Result<(), Failure> {
        let Some(followed) = self.followed.remove(&job) else { return Ok(()) };
        if followed.learned_nothing(phase) {
            self.tally.kept += 1;
            return Ok(());
        }
        self.tally.ended(phase);
        let ended = followed.ended(phase, self.clock.now(), &self.profile, self.limits, self.offset.offset());
        out.record(&ended.map_err(|error| Failure::usage(error.to_string()))?)?;
        // A slot that Ctrl-C frees would be taken by a submit-jobs that has not heard of the signal yet.
        if phase == Phase::Interrupted { Ok(()) } else { self.free_slot() }
    }

    fn free_slot(&mut self) -> Result<(), Failure> {
        let Some(giver) = &mut self.giver else { return Ok(()) };
        giver.free_one().map_err(|error| Failure::io("--slots", &error))
    }

    fn settle_slots(&mut self) -> Result<(), Failure> {
        match &mut self.giver {
            Some(giver) if giver.owes() => giver.settle().map_err(|error| Failure::io("--slots", &error)),
            _ => Ok(()),
        }
    }

    fn tell_progress(&self) {
        // Without a job in flight it is another tool that does the waiting, and draws.
        if !self.followed.is_empty() {
            self.console.progress(|| self.tally.line(self.followed.values()));
        }
    }

    fn close(mut self, out: &mut Writer<'_>) -> Outcome {
        let polling = self.tally.polling(self.workers.threads()).map(|polling| resume::together(polling, self.spent));
        let status = RunStatus {
            observed_at: Some(self.clock.now()),
            clock_offset: self.offset.offset(),
            clock_stepped_seconds: Some(micro(self.clock.wall_step())).filter(|step| step.abs() > STEP),
            polling,
            ..RunStatus::default()
        };
        self.runs.again(&status, out)?;
        self.tell_kept();
        self.account.close(&self.console);
        let exit = match self.account.broken() {
            _ if self.unreachable => Exit::Unreachable,
            0 => Exit::Done,
            _ => Exit::BrokenInput,
        };
        Ok(self.stop.exit_or(exit))
    }
}
