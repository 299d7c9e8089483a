//! A submitting session: one loop that takes every event and is the only writer.

mod end;
mod input;
mod jobs;
mod output;
mod scheduler;
mod start;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::Args;
use super::lines;
use super::post::{Post, rejected};
use crate::cli::{Exit, Failure, Io, Outcome, Stop};
use crate::clock::{Clock, OffsetBounds, micro};
use crate::heartbeat::Heartbeat;
use crate::http::{BaseUrl, Connections};
use crate::input::{Input, Permits, announce_terminal, plain_lines, spawn};
use crate::ndjson::{Line, Read, Reader};
use crate::profile::Profile;
use crate::record::{Aborted, JobStatus, Kind, Phase, ReadSettings, Reason, Record, RunStatus, Shard, Timestamp};
use crate::runs::{new_run_id, write_status};
use crate::slots;
use crate::steps::StepsOutcome;
use crate::units;
use jobs::Jobs;
use output::Output;
use scheduler::{Finished, Scheduler, Task, Turn};
use start::Started;

/// The number of jobs in a row without a connection after which the target counts as gone.
const GONE_AFTER: usize = 3;
/// The most events that are handled before jobs whose turn it is are submitted.
const TOGETHER: usize = 256;
/// The longest silence of the input after a signal before the rest is given up.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The time in which a signal to the whole pipe has reached this tool, too.
const SIGNAL_SPREAD: Duration = Duration::from_millis(300);

/// Something that happened.
enum Event {
    Line(Input<Read>),
    Source(Input<Result<String, String>>),
    Slots(std::io::Result<slots::Event>),
    Posted(Box<Finished>),
    Started(Box<Started>),
    Stop,
}

impl Event {
    /// Returns true for all input except Runs. Runs pass at once; the fate of a job may depend on the session's start.
    fn waits_for_start(&self) -> bool {
        match self {
            Self::Line(Input::Item(Read::Line(Line::Record(record)))) => record.kind() != Kind::Run,
            Self::Line(_) | Self::Source(_) => true,
            Self::Slots(_) | Self::Posted(_) | Self::Started(_) | Self::Stop => false,
        }
    }
}

/// Runs the tool.
pub(super) fn run(args: &Args, mut io: Io<'_>) -> Outcome {
    let profile = Arc::new(args.target.profile()?);
    let base = args.target.base_url_or(&profile)?;
    let factory = args.target.clients(&profile, Some(&base), Connections::Fresh, &io.console)?.factory;
    if args.check {
        return Ok(Exit::Done);
    }
    let (client, heartbeat) = (factory.client(), factory.heartbeat());
    let (events, received) = channel();
    let (to_slots, to_posts, to_lines) = (events.clone(), events.clone(), events.clone());
    let (to_start, to_stop) = (events.clone(), events);
    announce_terminal(&io);
    let stdin = std::mem::replace(&mut io.stdin, Box::new(std::io::empty()));
    let (stop, stdout_fd) = (io.stop.clone(), io.stdout_fd);
    // After the session's end nobody receives the events any more, here and below.
    let deliver = move |finished| drop(to_posts.send(Event::Posted(Box::new(finished))));
    let output = Output::new(args, io)?;
    let scheduler = Scheduler::new(args, profile.clone(), factory, (output.console.clone(), stop.clone()), deliver);
    let earlier = output.journal.as_ref().map(|journal| journal.entries().records());
    let jobs = earlier.map_or_else(Jobs::default, |earlier| Jobs::with_earlier(earlier, &base));
    output.report_targets(&jobs.elsewhere, &base);
    let mut session = Session {
        args,
        profile,
        base,
        stop: stop.clone(),
        clock: Clock::system(),
        offset: OffsetBounds::default(),
        jobs,
        scheduler,
        output,
        settings: ReadSettings::default(),
        run_steps: StepsOutcome::default(),
        lines: (new_run_id(Clock::system().now())?, 0),
        heartbeat,
        input_ended: false,
        aborted: None,
        shard: None,
        begun: false,
        held: Some(Vec::new()),
        has_poller: args.slots.is_none(),
    };
    slots::listen(args.slots.as_deref(), args.slots_timeout, stdout_fd, move |event| {
        to_slots.send(Event::Slots(event)).is_ok()
    })?;
    session.start(client, move |started| drop(to_start.send(Event::Started(Box::new(started)))))?;
    let permits = if args.lines {
        spawn(stdin, plain_lines, move |source| drop(to_lines.send(Event::Source(source))))?
    } else {
        spawn(stdin, Reader::stdin, move |line| drop(to_lines.send(Event::Line(line))))?
    };
    stop.on_stop(move || drop(to_stop.send(Event::Stop)));
    match session.serve(&received, &permits) {
        Ok(()) => session.close(),
        Err(failure) => Err(session.outlive_reader(&received, failure)),
    }
}

struct Session<'a, 'o> {
    args: &'a Args,
    profile: Arc<Profile>,
    base: BaseUrl,
    stop: Stop,
    clock: Clock,
    offset: OffsetBounds,
    jobs: Jobs,
    scheduler: Scheduler,
    output: Output<'o>,
    /// The settings that the target's health answer reported.
    settings: ReadSettings,
    /// The values that the steps before the first submission took.
    run_steps: StepsOutcome,
    /// With `--lines`: the run's id and the number of lines read.
    lines: (String, u64),
    heartbeat: Heartbeat,
    input_ended: bool,
    aborted: Option<(Exit, Aborted)>,
    /// The shard whose share of the load this is.
    shard: Option<Shard>,
    /// True once a job was submitted.
    begun: bool,
    /// The events that wait for the session's start; none once it has come.
    held: Option<Vec<Event>>,
    /// Something is there that will report the ends of jobs, or none is asked for.
    has_poller: bool,
}

impl Session<'_, '_> {
    /// Ends the submitting. The first reason counts.
    fn abort(&mut self, exit: Exit, reason: Reason, message: String) {
        if self.aborted.is_some() {
            return;
        }
        if !matches!(exit, Exit::Signal(_)) {
            self.output.console.say(&message);
        }
        let by = self.output.console.tool().to_owned();
        self.aborted = Some((exit, Aborted { by, reason, message, at: self.clock.now() }));
    }

    fn interrupt(&mut self) {
        let signal = self.stop.signal().unwrap_or_default();
        self.abort(Exit::Signal(signal), Reason::Interrupted, "stopped by a signal".to_owned());
    }

    fn serve(&mut self, events: &Receiver<Event>, permits: &Permits) -> Result<(), Failure> {
        let grace = self.stop.grace();
        loop {
            let due = self.submit(permits)?;
            if !self.scheduler.has_work() && self.jobs.waiting.is_empty() && self.input_ended {
                return Ok(());
            }
            let stopping = self.stop.signal().is_some();
            let left = grace.left_for_last_words();
            if left.is_some_and(|left| left.is_zero()) {
                return self.give_up_submissions();
            }
            let patience = if self.input_ended { left } else { left.map(|left| left.min(LAST_WORDS)) };
            let wake = patience.map(|patience| Instant::now() + patience).or(due);
            let event = match wake {
                None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(moment) => events.recv_timeout(moment.saturating_duration_since(Instant::now())),
            };
            match event {
                // Everything that has come is handled before anything is sent: jobs that come together share one sync of the
                // journal.
                Ok(event) => {
                    self.handle(event, permits)?;
                    events.try_iter().take(TOGETHER).try_for_each(|event| self.handle(event, permits))?;
                }
                // The next look finds that the time is over, or waits for the submissions alone.
                Err(RecvTimeoutError::Timeout) if stopping => self.input_ended = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    /// Submits every job whose turn it is: their intents share one sync. Returns the moment at which to look again, if the
    /// model of the load knows one.
    fn submit(&mut self, permits: &Permits) -> Result<Option<Instant>, Failure> {
        // The order of the signal and the next job does not depend on which thread wakes up first.
        if self.stop.signal().is_some() {
            self.interrupt();
        }
        if let Some(limit) = self.scheduler.waits().given_up().map(str::to_owned) {
            self.abort(Exit::InputOutput, Reason::OwnLimit, limit);
        }
        if self.aborted.is_some() {
            self.release(permits)?;
        }
        let (mut due, mut tasks) = (None, Vec::new());
        while self.aborted.is_none()
            && self.has_poller
            && let Some((_, job)) = self.jobs.waiting.front()
        {
            let due_at = match self.scheduler.turn(job.is_warmup(), tasks.len(), &self.clock) {
                Turn::Now { due_at } => due_at,
                Turn::Later(moment) => {
                    due = moment;
                    break;
                }
            };
            let Some((mut record, job)) = self.jobs.waiting.pop_front() else { break };
            permits.give();
            let earlier = job.status.due_at.filter(|_| job.status.submitted_at.is_some());
            if let Some(due_at) = earlier.or(due_at) {
                write_status(&mut record, &DueAt { due_at })?;
            }
            let post = match Post::new(&self.profile, &self.base, &job, &self.args.target.set, &self.run_steps) {
                Ok(post) => post,
                Err(failure) => {
                    self.scheduler.admission.answered(false);
                    self.reject(record, &failure)?;
                    continue;
                }
            };
            tasks.push(Task { record, post, clock: self.clock.clone() });
        }
        if !tasks.is_empty() && !std::mem::replace(&mut self.begun, true) {
            self.report_start()?;
        }
        self.send(tasks)?;
        while self.aborted.is_some()
            && let Some((record, _)) = self.jobs.waiting.pop_front()
        {
            permits.give();
            self.output.records.record(&record)?;
        }
        Ok(due)
    }

    /// Writes the Runs of a shard again when its first job is submitted. A pod that is killed has told when it began then, and by
    /// which clock.
    fn report_start(&mut self) -> Result<(), Failure> {
        let lag = self.scheduler.start_lag();
        if lag.is_none() && self.shard.is_none() {
            return Ok(());
        }
        let status = RunStatus {
            start_lag_seconds: lag.map(micro),
            clock_offset: self.offset.offset(),
            clock_doubt: self.offset.doubt(),
            ..RunStatus::default()
        };
        self.output.runs.again(&status, &mut self.output.records)
    }

    /// Hands on a job whose request cannot be made of the profile.
    fn reject(&mut self, mut record: Record, failure: &Failure) -> Result<(), Failure> {
        let message = failure.message().unwrap_or_default().to_owned();
        let status = rejected(Reason::InvalidRequest, message, self.clock.now());
        write_status(&mut record, &status)?;
        self.output.records.record(&record)
    }

    /// Sends each task once its intent is on disk. If the journal cannot be written nothing is sent.
    fn send(&mut self, tasks: Vec<Task>) -> Result<(), Failure> {
        let now = self.clock.now();
        let intents: Vec<JobStatus> = tasks.iter().map(|task| task.post.intent(now)).collect();
        if self.output.journal.is_some() && !tasks.is_empty() {
            let mut records = Vec::with_capacity(tasks.len());
            for (task, intent) in tasks.iter().zip(&intents) {
                let mut record = task.record.clone();
                write_status(&mut record, intent)?;
                records.push(record);
            }
            if let Err(failure) = self.output.record_intents(records.iter()) {
                self.journal_failed(&failure);
                for task in tasks {
                    self.scheduler.admission.answered(false);
                    self.output.records.record(&task.record)?;
                }
                return Ok(());
            }
        }
        tasks.into_iter().zip(intents).try_for_each(|(task, intent)| self.scheduler.send(task, intent))
    }

    fn journal_failed(&mut self, failure: &Failure) {
        let cause = failure.message().unwrap_or_default();
        self.abort(Exit::InputOutput, Reason::JournalFailed, format!("{cause}; nothing more is submitted"));
    }

    fn handle(&mut self, event: Event, permits: &Permits) -> Result<(), Failure> {
        if let (Some(held), true) = (&mut self.held, event.waits_for_start()) {
            held.push(event);
            return Ok(());
        }
        match event {
            Event::Started(started) => {
                if self.held.is_some() {
                    self.take_start(*started)?;
                    self.release(permits)?;
                }
            }
            Event::Line(Input::End) | Event::Source(Input::End) => self.input_ended = true,
            // Submissions under way are waited for: their records must not be lost with the rest of the input.
            Event::Line(Input::Failed(error)) | Event::Source(Input::Failed(error)) => {
                self.input_ended = true;
                let message = format!("stdin: {error}; nothing more is submitted");
                self.abort(Exit::InputOutput, Reason::InputFailed, message);
            }
            Event::Source(Input::Item(Err(broken))) => {
                self.output.bad_lines.take(Read::Broken(broken), &self.output.console);
                permits.give();
            }
            Event::Source(Input::Item(Ok(source))) => {
                self.lines.1 += 1;
                let job = lines::job(&self.lines.0, self.lines.1, source);
                self.add_job(Record::new(Kind::Job, &job)?, permits)?;
            }
            Event::Line(Input::Item(read)) => self.handle_line(read, permits)?,
            Event::Slots(event) => self.handle_slots(event)?,
            Event::Posted(finished) => self.handle_answer(*finished)?,
            Event::Stop => self.interrupt(),
        }
        Ok(())
    }

    /// Handles the events that waited for the session's start.
    fn release(&mut self, permits: &Permits) -> Result<(), Failure> {
        let held = self.held.take().unwrap_or_default();
        held.into_iter().try_for_each(|event| self.handle(event, permits))
    }

    fn handle_slots(&mut self, event: std::io::Result<slots::Event>) -> Result<(), Failure> {
        let slots = self.args.slots.as_deref().unwrap_or_else(|| std::path::Path::new("")).display().to_string();
        match event.map_err(|error| Failure::io(&format!("--slots {slots}"), &error))? {
            slots::Event::WriterCame => self.has_poller = true,
            slots::Event::Freed(count) => {
                self.has_poller = true;
                self.scheduler.admission.freed(count);
            }
            // Nobody reads what is written: a quiet end, as for any broken pipe.
            slots::Event::OutputGone => return Err(Failure::output("stdout", &std::io::ErrorKind::BrokenPipe.into())),
            // poll-jobs closes the FIFO when a signal ends it, and the signal may be on its way here as well.
            slots::Event::WriterGone if self.stop.wait(SIGNAL_SPREAD) => self.interrupt(),
            slots::Event::WriterGone => {
                self.abort(
                    Exit::InputOutput,
                    Reason::PollerGone,
                    format!("--slots {slots}: poll-jobs has exited, so nothing reports ended jobs"),
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

    fn handle_answer(&mut self, finished: Finished) -> Result<(), Failure> {
        let record = self.answered(finished)?;
        write_journalled(self, &record)
    }

    /// The record of a job whose submission was answered.
    fn answered(&mut self, finished: Finished) -> Result<Record, Failure> {
        self.scheduler.finished(&finished);
        let Finished { mut record, posted, .. } = finished;
        if let Some((date, sent, received)) = posted.date {
            self.offset.observe(date, sent, received);
        }
        let mut status = self.jobs.checked_id(&record.key().name, posted.status);
        let kept = self.output.keep_cookies(record.key(), posted.cookies, &mut status);
        if let Err(failure) = kept {
            // The answer counts all the same.
            let cause = failure.message().unwrap_or_default();
            self.abort(Exit::InputOutput, Reason::CookiesFailed, format!("{cause}; nothing more is submitted"));
        }
        self.scheduler.admission.answered(status.phase == Phase::Submitted);
        if self.jobs.count_unconnected(&status) == GONE_AFTER {
            let message = format!(
                "{}; {GONE_AFTER} jobs in a row: the target is gone",
                status.message.as_deref().unwrap_or_default()
            );
            self.abort(Exit::Unreachable, Reason::TargetGone, message);
        }
        write_status(&mut record, &status)?;
        Ok(record)
    }
}

/// Writes the outcome of a submission; where the journal does not take it, the session submits nothing more.
fn write_journalled(session: &mut Session<'_, '_>, record: &Record) -> Result<(), Failure> {
    if let Err(failure) = session.output.outcome(record)? {
        session.journal_failed(&failure);
    }
    Ok(())
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DueAt {
    due_at: Timestamp,
}
