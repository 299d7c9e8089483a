//! A session of submitting: one loop that hears of everything that happens and is the only one to write.

mod intake;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::Args;
use super::admission::{Admission, Answer};
use super::lines;
use super::post::{Post, Posted, collapsed};
use super::warmup::{Held, Warmup};
use crate::cli::{Console, Exit, Failure, Io, Outcome, Stop};
use crate::clock::{Clock, OffsetBounds};
use crate::cookies::{self, CookieWriter};
use crate::health;
use crate::http::{BaseUrl, Client, ClientFactory, Connections};
use crate::input::{self, Input, Permits};
use crate::ndjson::{Account, Read, Reader, Writer};
use crate::profile::Profile;
use crate::record::{Aborted, Flag, Job, JobStatus, Key, Kind, Phase, Reason, Record, RunStatus, Timestamp};
use crate::runs::{Runs, write_status};
use crate::slots;
use crate::units;
use crate::workers::Workers;

/// So many connections in a row that could not be made mean that the target has gone.
const GONE_AFTER: usize = 3;
/// The open model must never wait for a thread while the system has one.
const MOST_THREADS: usize = 10_000;
/// How long input may be silent, once a signal asked for the end, before the rest is given up.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Something that happened.
enum Event {
    Line(Input<Read>),
    Source(Input<Result<String, String>>),
    Slots(std::io::Result<slots::Event>),
    Posted { worker: usize, record: Record, posted: Box<Posted> },
    Stop,
}

struct Task {
    record: Record,
    post: Post,
    clock: Clock,
}

/// Runs the tool.
pub(super) fn run(args: &Args, io: Io<'_>) -> Outcome {
    let profile = Arc::new(args.target.profile()?);
    let base = args.target.base_url_or(&profile)?;
    let client = args.target.http.client_factory(Connections::Fresh)?;
    if args.check {
        return Ok(Exit::Done);
    }
    let exchange = client.client();
    let cookies = args.cookies.as_deref().map(CookieWriter::new);
    let (events, happened) = channel();
    let mut session = Session::new(args, profile, base, client, &io, cookies, events.clone());
    let tell = events.clone();
    slots::listen(args.slots.as_deref(), args.slots_timeout, io.stdout_fd, move |event| {
        tell.send(Event::Slots(event)).is_ok()
    })?;
    session.check_health(&exchange);
    let (to, stop) = (events.clone(), events);
    let permits = if args.lines {
        input::spawn(io.stdin, input::plain_lines, move |source| drop(to.send(Event::Source(source))))?
    } else {
        input::spawn(io.stdin, Reader::stdin, move |line| drop(to.send(Event::Line(line))))?
    };
    io.stop.on_stop(move || drop(stop.send(Event::Stop)));
    let mut out = Writer::new(io.stdout);
    session.serve(&happened, &permits, &mut out)?;
    session.close(&mut out)
}

struct Session<'a> {
    args: &'a Args,
    profile: Arc<Profile>,
    base: BaseUrl,
    console: Console,
    stop: Stop,
    clock: Clock,
    workers: Workers<Task, (Record, Posted)>,
    admission: Admission,
    /// When the open model's schedule began.
    schedule: Option<Timestamp>,
    warmup: Warmup,
    /// What the target's health answer told of its settings.
    settings: BTreeMap<String, String>,
    /// How labels of the Runs differ from that, as it was said.
    said: HashSet<String>,
    account: Account,
    offset: OffsetBounds,
    runs: Runs,
    waiting: VecDeque<(Record, Job)>,
    submitted: HashSet<(String, String)>,
    sources: HashSet<String>,
    ids: HashMap<String, String>,
    cookies: Option<CookieWriter>,
    lines_run: String,
    lines: u64,
    under_way: usize,
    handed_on: u64,
    unconnected: usize,
    input_ended: bool,
    aborted: Option<(Exit, Aborted)>,
}

impl<'a> Session<'a> {
    fn new(
        args: &'a Args,
        profile: Arc<Profile>,
        base: BaseUrl,
        client: ClientFactory,
        io: &Io<'_>,
        cookies: Option<CookieWriter>,
        events: Sender<Event>,
    ) -> Self {
        let (clock, stop) = (Clock::system(), io.stop.clone());
        let (of_profile, of_stop) = (profile.clone(), stop.clone());
        let make = move || -> Box<dyn FnMut(Task) -> (Record, Posted)> {
            let (exchange, profile, stop) = (client.client(), of_profile.clone(), of_stop.clone());
            Box::new(move |task: Task| {
                let posted = task.post.send(&exchange, &profile, &task.clock, &stop);
                (task.record, posted)
            })
        };
        let deliver = move |worker, (record, posted)| {
            // Nobody listens after the session's end.
            drop(events.send(Event::Posted { worker, record, posted: Box::new(posted) }));
        };
        Self {
            args,
            profile,
            base,
            console: io.console.clone(),
            stop,
            lines_run: clock.now().file_name(),
            clock,
            workers: Workers::new(MOST_THREADS, Arc::new(make), Arc::new(deliver)),
            admission: Admission::of(args),
            schedule: None,
            warmup: Warmup::new(args.rest),
            settings: BTreeMap::new(),
            said: HashSet::new(),
            account: Account::default(),
            offset: OffsetBounds::default(),
            runs: Runs::default(),
            waiting: VecDeque::new(),
            submitted: HashSet::new(),
            sources: HashSet::new(),
            ids: HashMap::new(),
            cookies,
            lines: 0,
            under_way: 0,
            handed_on: 0,
            unconnected: 0,
            input_ended: false,
            aborted: None,
        }
    }

    /// Asks the target whether it is well; where it is not, nothing will be submitted.
    fn check_health(&mut self, exchange: &Client) {
        match health::probe_with_hint(exchange, &self.base, &self.profile, &self.clock, &mut self.offset) {
            Ok(settings) => self.settings = settings,
            Err(unhealthy) => {
                let reason = if unhealthy.is_unreachable { Reason::TargetAbsent } else { Reason::TargetUnhealthy };
                self.abort(Exit::Unreachable, reason, unhealthy.message);
            }
        }
    }

    /// Nothing more will be submitted; the first reason is the one that counts.
    fn abort(&mut self, exit: Exit, reason: Reason, message: String) {
        if self.aborted.is_some() {
            return;
        }
        if !matches!(exit, Exit::Signal(_)) {
            self.console.say(&message);
        }
        let by = self.console.tool().to_owned();
        self.aborted = Some((exit, Aborted { by, reason, message, at: self.clock.now() }));
    }

    fn interrupt(&mut self) {
        let signal = self.stop.signal().unwrap_or_default();
        self.abort(Exit::Signal(signal), Reason::Interrupted, "a signal asked for the end".to_owned());
    }

    fn serve(&mut self, happened: &Receiver<Event>, permits: &Permits, out: &mut Writer<'_>) -> Result<(), Failure> {
        loop {
            let due = self.submit(permits, out)?;
            if self.under_way == 0 && self.waiting.is_empty() && self.input_ended {
                return Ok(());
            }
            let stopping = self.stop.signal().is_some();
            let wake = if stopping && !self.input_ended { Some(Instant::now() + LAST_WORDS) } else { due };
            let event = match wake {
                None => happened.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(moment) => happened.recv_timeout(moment.saturating_duration_since(Instant::now())),
            };
            match event {
                Ok(event) => self.hear(event, permits, out)?,
                Err(RecvTimeoutError::Timeout) if stopping => self.input_ended = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Submits what may be submitted now. Gives the moment at which to look again, where the model knows one.
    fn submit(&mut self, permits: &Permits, out: &mut Writer<'_>) -> Result<Option<Instant>, Failure> {
        // What comes first, the signal or the next job, is not left to which thread wakes up first.
        if self.stop.signal().is_some() {
            self.interrupt();
        }
        while let Some((record, job)) = self.waiting.front() {
            if self.aborted.is_some() {
                out.record(record)?;
                self.waiting.pop_front();
                permits.give();
                continue;
            }
            if self.admission.is_open() && self.schedule.is_none() {
                // Read before the schedule's own clock: what comes between the two makes jobs late, never early.
                self.schedule = Some(self.clock.now());
            }
            let now = Instant::now();
            if !job.is_warmup() {
                match self.warmup.holds(&self.admission, now) {
                    Held::No => {}
                    Held::Until { moment, begins } => {
                        if begins {
                            let rest = units::seconds(self.args.rest.as_secs_f64());
                            self.console.say(&format!("the warm-up has ended; resting for {rest}"));
                        }
                        return Ok(Some(moment));
                    }
                    Held::UntilAnEnd => return Ok(None),
                }
            }
            let due = match self.admission.ask(now) {
                Answer::Now { due } => due,
                Answer::At(moment) => return Ok(Some(moment)),
                Answer::Later => return Ok(None),
            };
            if !self.workers.has_room() {
                return Ok(None);
            }
            let Some((mut record, job)) = self.waiting.pop_front() else { break };
            permits.give();
            if let Some(began) = self.schedule {
                write_status(&mut record, &DueAt { due_at: began.plus(due) })?;
            }
            let (post, is_warmup) = (Post::of(&self.profile, &self.base, &job)?, job.is_warmup());
            match self.workers.give(Task { record, post, clock: self.clock.clone() }) {
                Ok(None) => {}
                // The system had no thread left after all: the job goes back and waits for one.
                Ok(Some(task)) => {
                    self.waiting.push_front((task.record, job));
                    return Ok(None);
                }
                Err(error) => return Err(Failure::io("a thread", &error)),
            }
            self.admission.submitted();
            if is_warmup {
                self.warmup.submitted();
            }
            self.under_way += 1;
        }
        Ok(None)
    }

    fn hear(&mut self, event: Event, permits: &Permits, out: &mut Writer<'_>) -> Result<(), Failure> {
        match event {
            Event::Line(Input::End) | Event::Source(Input::End) => self.input_ended = true,
            // What is under way is waited for: its records must not be lost with the rest of the input.
            Event::Line(Input::Failed(error)) | Event::Source(Input::Failed(error)) => {
                self.input_ended = true;
                let message = format!("stdin: {error}; nothing more is submitted");
                self.abort(Exit::InputOutput, Reason::InputFailed, message);
            }
            Event::Source(Input::Item(Err(broken))) => {
                self.account.take(Read::Broken(broken), &self.console);
                permits.give();
            }
            Event::Source(Input::Item(Ok(source))) => {
                self.lines += 1;
                let job = lines::job(&self.lines_run, self.lines, source);
                let record = Record::new(Kind::Job, &job).map_err(|error| Failure::usage(error.to_string()))?;
                self.admit(record, permits, out)?;
            }
            Event::Line(Input::Item(read)) => self.hear_line(read, permits, out)?,
            Event::Slots(event) => self.hear_slot(event)?,
            Event::Posted { worker, record, posted } => self.hear_answer(worker, record, *posted, out)?,
            Event::Stop => self.interrupt(),
        }
        Ok(())
    }

    fn hear_slot(&mut self, event: std::io::Result<slots::Event>) -> Result<(), Failure> {
        let slots = self.args.slots.as_deref().unwrap_or_else(|| std::path::Path::new("")).display().to_string();
        match event.map_err(|error| Failure::io(&format!("--slots {slots}"), &error))? {
            slots::Event::Freed(count) => self.admission.freed(count),
            // Nobody reads what is written: a quiet end, as for any broken pipe.
            slots::Event::OutputGone => return Err(Failure::output("stdout", &std::io::ErrorKind::BrokenPipe.into())),
            slots::Event::WriterGone => {
                self.abort(
                    Exit::InputOutput,
                    Reason::PollerGone,
                    format!("--slots {slots}: poll-jobs is gone, nobody tells when a job ends"),
                );
            }
            slots::Event::NoWriter => {
                let waited = units::seconds(self.args.slots_timeout.as_secs_f64());
                let what = format!(
                    "--slots {slots}: no poll-jobs opened it within {waited}: pipe into `poll-jobs --slots {slots}`"
                );
                self.abort(Exit::InputOutput, Reason::NoPoller, what);
            }
        }
        Ok(())
    }

    fn hear_answer(
        &mut self,
        worker: usize,
        mut record: Record,
        posted: Posted,
        out: &mut Writer<'_>,
    ) -> Result<(), Failure> {
        self.workers.done(worker);
        self.under_way -= 1;
        if let Some((date, sent, received)) = posted.date {
            self.offset.observe(date, sent, received);
        }
        let mut status = posted.status;
        if let (Phase::Submitted, Some(id)) = (status.phase, &status.job_id) {
            let name = &record.key().name;
            if let Some(other) = self.ids.get(id).cloned() {
                status = collapsed(status, &other);
            } else {
                self.ids.insert(id.clone(), name.clone());
            }
        }
        self.keep_cookies(record.key(), &posted.cookies, &posted.url, &mut status)?;
        self.admission.answered(status.phase == Phase::Submitted);
        self.unconnected = if status.reason == Some(Reason::NotConnected) { self.unconnected + 1 } else { 0 };
        if self.unconnected == GONE_AFTER {
            let message = format!(
                "{}; {GONE_AFTER} jobs in a row: the target is gone",
                status.message.as_deref().unwrap_or_default()
            );
            self.abort(Exit::Unreachable, Reason::TargetGone, message);
        }
        write_status(&mut record, &status)?;
        out.record(&record)
    }

    /// Keeps the cookies that came with a job's id for its polls; without `--cookies` the job is flagged.
    fn keep_cookies(
        &mut self,
        job: &Key,
        headers: &[String],
        url: &str,
        status: &mut JobStatus,
    ) -> Result<(), Failure> {
        let names = cookies::names(headers, url, &self.clock);
        if names.is_empty() || status.job_id.is_none() {
            return Ok(());
        }
        if let Some(writer) = &mut self.cookies {
            return writer.keep(job, headers, url, &self.clock);
        }
        status.flags.push(Flag::CookieNotKept);
        let names = names.join(", ");
        if self.said.insert(format!("cookie {names}")) {
            self.console.say(&format!(
                "the target sets the cookie {names} with a submission, and polls do not send it: if jobs are not found, give \
                 --cookies FILE to submit-jobs and poll-jobs"
            ));
        }
        Ok(())
    }

    /// The last words: the Runs again, with the offset of the clocks and why not all was submitted.
    fn close(&mut self, out: &mut Writer<'_>) -> Outcome {
        let (exit, aborted) = self.aborted.take().map_or((None, None), |(exit, aborted)| (Some(exit), Some(aborted)));
        let status = RunStatus {
            observed_at: Some(self.clock.now()),
            clock_offset: self.offset.offset(),
            settings: std::mem::take(&mut self.settings),
            aborted,
            ..RunStatus::default()
        };
        self.runs.again(&status, out)?;
        self.account.close(&self.console);
        if self.handed_on > 0 {
            self.console.say(&format!("{} jobs had been submitted before: handed on untouched", self.handed_on));
        }
        Ok(match exit {
            Some(exit) => exit,
            None if self.account.broken() > 0 => Exit::BrokenInput,
            None => Exit::Done,
        })
    }
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DueAt {
    due_at: Timestamp,
}
