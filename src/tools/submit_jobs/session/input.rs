//! The records that are read: Runs learn what was asked, jobs are queued, everything else is handed on.

use super::{Session, write_journalled};
use crate::cli::{Exit, Failure};
use crate::escape;
use crate::input::Permits;
use crate::ndjson::{Line, Read};
use crate::record::{Job, JobStatus, Key, Kind, Phase, ReadSettings, Reason, Record, Run, RunSpec, RunStatus, Shard};
use crate::runs::write_status;
use crate::tools::submit_jobs::admission::Admission;
use crate::tools::submit_jobs::post::Post;

/// The message of a job whose intent alone is in the journal.
const LEFT_UNANSWERED: &str = "an earlier submit-jobs ended while it submitted the job; the job may run";

impl Session<'_, '_> {
    pub(super) fn handle_line(&mut self, read: Read, permits: &Permits) -> Result<(), Failure> {
        match self.output.bad_lines.take(read, &self.output.console) {
            Some(Line::Record(record)) if record.kind() == Kind::Job => return self.add_job(record, permits),
            Some(Line::Record(record)) if record.kind() == Kind::Run => self.handle_run(record)?,
            Some(line) => self.output.records.line(&line)?,
            None => {}
        }
        permits.give();
        Ok(())
    }

    fn handle_run(&mut self, mut record: Record) -> Result<(), Failure> {
        let mut spec = RunSpec {
            target: Some(self.base.as_str().to_owned()),
            profile: Some(self.profile.name.clone()),
            stages: self.profile.stage_specs(),
            ..RunSpec::default()
        };
        let Run { metadata, spec: asked, .. } = record.read()?;
        Admission::describe(self.args, asked.shard, &mut spec);
        spec.start_at = self.args.start_at;
        self.take_share(asked.shard);
        if asked.warmup.is_some() {
            self.require_slots();
            spec.rest_seconds = Some(self.args.rest.as_secs_f64());
        }
        let ReadSettings { values: settings, error: settings_error } = self.settings_for(&metadata.labels);
        // A Run comes again as more is known of it; a doubt is reported once, before anything is submitted.
        self.output.report_settings(&metadata.labels, &settings, settings_error.as_deref());
        // They are written now, if they are known: a tool that is killed has no last words.
        write_status(&mut record, &RunStatus { settings, settings_error, ..RunStatus::default() })?;
        let tool = self.output.console.tool();
        let (_, clock) = self.output.runs.pass(record, tool, &spec, self.clock.now(), &mut self.output.records)?;
        if let Some(clock) = clock {
            self.scheduler.adopt_clock(&self.clock, &clock);
            self.clock = clock;
        }
        Ok(())
    }

    /// Takes the shard's share of the load; a Run that comes again changes nothing.
    fn take_share(&mut self, shard: Option<Shard>) {
        let Some(shard) = shard.filter(|_| self.shard.is_none()) else { return };
        self.shard = Some(shard);
        if let Err(message) = self.scheduler.admission.share(self.args, shard) {
            self.abort(Exit::Usage, Reason::NoShare, message);
        }
    }

    /// Aborts where nobody would report the end of a warm-up job, so that it could not be kept apart from the counted ones.
    fn require_slots(&mut self) {
        if !self.scheduler.admission.is_closed() {
            let message = "warm-up jobs need --concurrency, which waits until they have ended: use `submit-jobs --concurrency N --slots FIFO | \
                 poll-jobs --slots FIFO`, or stage without --warmup";
            self.abort(Exit::Usage, Reason::NoSlots, message.to_owned());
        }
    }

    /// Queues a job, or hands it on if there is nothing to submit.
    pub(super) fn add_job(&mut self, mut record: Record, permits: &Permits) -> Result<(), Failure> {
        let mut job: Job = record.read()?;
        if job.status.phase != Phase::Staged || self.jobs.contains(record.key()) {
            permits.give();
            if job.status.phase == Phase::Staged && !self.jobs.is_repeated(&job) {
                let broken = format!("{} is staged a second time, with another input", job.metadata.name);
                self.output.bad_lines.take(Read::Broken(broken), &self.output.console);
                return Ok(());
            }
            return self.hand_on(&record, &job);
        }
        self.jobs.add_input(&job);
        self.output.report_lack_of_run(&job, &self.profile);
        let is_own = self.check_journal(&record, &job);
        if let Some(earlier) = self.journalled(record.key()).filter(|_| is_own)
            && let (earlier, state) = (earlier.clone(), earlier.read::<Job>()?)
        {
            let is_unanswered =
                matches!(state.status.phase, Phase::Submitting | Phase::Unknown) && state.status.job_id.is_none();
            let again = if is_unanswered { self.may_send_again(&job, &state.status) } else { Err(String::new()) };
            if let Err(why_not) = again {
                permits.give();
                return self.hand_on_journalled(earlier, &state, &why_not);
            }
            // The target may have made the job at the first submission.
            job.status =
                JobStatus { submitted_at: state.status.submitted_at, due_at: state.status.due_at, ..job.status };
        } else {
            job.status.submitted_at = None;
        }
        self.jobs.add(record.key());
        if job.is_warmup() {
            self.require_slots();
        }
        if let Some((reason, message)) = self.jobs.unfit(&job, self.profile.needs_source()) {
            permits.give();
            let status = JobStatus {
                phase: Phase::Rejected,
                reason: Some(reason),
                message: Some(message),
                observed_at: Some(self.clock.now()),
                ..JobStatus::default()
            };
            write_status(&mut record, &status)?;
            return self.output.records.record(&record);
        }
        if !job.spec.source.is_empty() && !self.jobs.add_source(&job.spec.source) {
            self.output.console.say(&format!(
                "{}: an earlier job has the same source; the target may collapse the two",
                job.metadata.name
            ));
        }
        self.jobs.waiting.push_back((record, job));
        Ok(())
    }

    /// The state of a job when the journal was opened.
    fn journalled(&self, key: &Key) -> Option<&Record> {
        self.output.journal.as_ref()?.entries().state_of(key)
    }

    /// Returns true if the journal may be that of `job`. If it cannot be, nothing more is submitted.
    fn check_journal(&mut self, record: &Record, job: &Job) -> bool {
        let (Some(journal), Some(path)) = (&self.output.journal, &self.args.journal) else { return true };
        let (path, run) = (path.display(), &job.metadata.run);
        // A job of a run that is staged again under a new id would be submitted twice.
        let message = if let Some(runs) = self.jobs.other_runs(run) {
            format!(
                "--journal {path} belongs to run {runs}, and the jobs are of run {run}: nothing is submitted; to go on with the former, \
                 stage it with --run {runs}; for a new run, name another file"
            )
        } else if let Some(contradiction) = journal.entries().contradiction(record.key(), job) {
            format!(
                "--journal {path} {contradiction}: nothing more is submitted; stage it as before; for a new run, name another run and \
                 another file"
            )
        } else {
            return true;
        };
        self.abort(Exit::Usage, Reason::JournalFailed, message);
        false
    }

    /// Hands on a job that was submitted before. `poll-jobs` follows it as any other, and frees a slot at its end.
    fn hand_on(&mut self, record: &Record, job: &Job) -> Result<(), Failure> {
        self.output.handed_on += 1;
        let runs = job.status.phase == Phase::Submitted && job.open_id().is_some();
        if runs && self.jobs.add(record.key()) {
            self.scheduler.admission.taken();
            if job.is_warmup() {
                self.scheduler.warmup.submitted();
            }
        }
        self.output.records.record(record)
    }

    /// Returns an error unless the target recognises `job`, which an earlier session sent without an answer, if it is sent again. The
    /// error is the reason; empty if the profile has no key to recognise jobs by.
    fn may_send_again(&self, job: &Job, earlier: &JobStatus) -> Result<(), String> {
        let values = Post::values(job, &self.args.target.set, &self.run_steps);
        let Some(key) = self.profile.submit.idempotency_key(&values) else { return Err(String::new()) };
        let other = earlier.target.as_deref().and_then(|target| self.base.other(target));
        let why = match (earlier.idempotency_key.as_deref(), other) {
            (None, _) => "the journal does not say whether it was sent with an idempotency key".to_owned(),
            (Some(""), _) => "it was sent without an idempotency key".to_owned(),
            (Some(sent), _) if sent != key => "it was sent with another idempotency key".to_owned(),
            (_, Some(other)) => format!("it was sent to another target, {}", escape::start(&other, 200)),
            _ => return Ok(()),
        };
        Err(format!("it is not submitted again, because {why}"))
    }

    /// Hands on a job that an earlier session submitted, as the journal knows it. Without an answer it may run, and `why_not` tells
    /// why it is not submitted again.
    fn hand_on_journalled(&mut self, mut record: Record, job: &Job, why_not: &str) -> Result<(), Failure> {
        let JobStatus { phase, reason, message, .. } = &job.status;
        let mut message = message.clone().unwrap_or_else(|| LEFT_UNANSWERED.to_owned());
        if !message.ends_with(why_not) {
            message = format!("{message}; {why_not}");
        } else if *phase != Phase::Submitting {
            return self.hand_on(&record, job);
        }
        self.jobs.add(record.key());
        let status = JobStatus {
            phase: Phase::Unknown,
            reason: reason.clone().or(Some(Reason::AnswerLost)),
            message: Some(message),
            observed_at: Some(self.clock.now()),
            ..JobStatus::default()
        };
        write_status(&mut record, &status)?;
        write_journalled(self, &record)
    }
}
