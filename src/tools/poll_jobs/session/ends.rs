//! The ends of jobs, and of the session.

use super::super::job::{FollowedUp, Lag, PolledJob};
use super::output::Output;
use super::{Session, resume};
use crate::cli::{Exit, Failure, Outcome};
use crate::clock::micro;
use crate::record::{Aborted, ClockOffset, Phase, Polling, Reason, Run, RunStatus};

/// The drift of the wall clock against the run's from which it is recorded, in seconds.
const MIN_STEP: f64 = 0.05;

/// A job's times may be this much too early without being another run's, in seconds and as a share of its age: the target's clock may
/// tick coarsely, and an NTP client may slew it.
const CLOCK_SLACK: f64 = 0.5;
const CLOCK_SLEW: f64 = 0.1;

impl Session<'_, '_> {
    /// Gives up a job whose deadline has passed without an answer to its last poll.
    pub(super) fn expire(&mut self, number: usize) -> Result<(), Failure> {
        let Some(job) = self.jobs.get_mut(&number) else { return Ok(()) };
        // Without a thread for its poll, that was never sent.
        if self.scheduler.give_up(number) {
            let polling = &mut self.output.counts.polling;
            job.expire(self.target.awaited_token(&self.clock).as_deref(), &mut polling.failures);
            polling.sent += 1;
            polling.failed += 1;
            if let Some(limit) = self.scheduler.limit() {
                job.note_own_limit(limit);
                return self.end(number, Phase::Interrupted);
            }
        } else if let Some((page, place)) = self.lists.unread(number) {
            job.note_unread_list(page, &place);
        }
        self.end(number, Phase::TimedOut)
    }

    /// Ends a job in `phase`, after what follows its end.
    pub(super) fn end(&mut self, number: usize, phase: Phase) -> Result<(), Failure> {
        let Some(job) = self.jobs.remove(&number) else { return Ok(()) };
        self.hidden_cache.forget(number);
        let has_verdict = matches!(phase, Phase::Succeeded | Phase::Failed);
        self.scheduler.ended(number, has_verdict.then(|| job.age(self.clock.now())));
        if job.learned_nothing(phase) {
            self.output.counts.unchanged += 1;
            return Ok(());
        }
        match self.follow_up(number, job, phase)? {
            Some(job) => self.record_end(number, job, phase, None),
            None => Ok(()),
        }
    }

    /// Writes the end of a job, with what came of the requests after it.
    pub(super) fn record_end(
        &mut self,
        number: usize,
        mut job: PolledJob,
        phase: Phase,
        followed: Option<&FollowedUp>,
    ) -> Result<(), Failure> {
        if phase.is_final() {
            self.cookies.note_end(job.key());
        }
        if let Some(failure) = followed.and_then(|followed| followed.steps.failure.as_deref()) {
            self.output.note_step_failure(&job.key().name, failure);
        }
        let now = self.clock.now();
        let lag = self.lag.map(Lag::doubted_seconds);
        if let Some(seconds) = [lag, self.hidden_cache.doubted_seconds()].into_iter().flatten().reduce(f64::max) {
            job.set_sightings_back(seconds);
        }
        // A clock that was slewed since the submission, or that ticks coarsely, does not make a job's times those of another run.
        let slack = CLOCK_SLACK + CLOCK_SLEW * job.age(now);
        let offset = self.offset.offset();
        let offset = offset.map(|offset| ClockOffset { bound_seconds: offset.bound_seconds + slack, ..offset });
        let record = job.into_ended(phase, now, &self.target.profile, self.limits(), offset, followed)?;
        self.absences.ended(number, &record);
        self.output.end(phase, record)
    }

    /// Records that submit-jobs, which passed a Run on, ended without its last words: only a kill or a crash does that.
    fn report_killed_submitter(&mut self) -> Result<(), Failure> {
        let is_silent = |run: Run| run.awaits_last_words_of("submit-jobs") && run.status.submission_ended_at.is_none();
        let was_killed = self.output.runs.latest().any(is_silent);
        if !was_killed || self.args.resume || self.stop.signal().is_some() {
            return Ok(());
        }
        let message = "submit-jobs was killed or crashed before it had passed on all jobs".to_owned();
        self.output.console.say(&message);
        let aborted =
            Aborted { by: "submit-jobs".to_owned(), reason: Reason::SubmitterGone, message, at: self.clock.now() };
        let Output { runs, records, .. } = &mut self.output;
        runs.again(&RunStatus { aborted: Some(aborted), ..RunStatus::default() }, records)
    }

    /// Ends the session: writes each Run once more, with what is known of all polls.
    pub(super) fn close(mut self) -> Outcome {
        self.report_killed_submitter()?;
        let polling = self.output.counts.polling(self.scheduler.threads(), self.scheduler.limit());
        let hidden_age_seconds = self.hidden_cache.seconds().map(micro);
        let lag_seconds = self.lag.map(|lag| micro(lag.least));
        let polling = polling.map(|polling| Polling { hidden_age_seconds, lag_seconds, ..polling });
        let earlier_freeze = self.output.runs.latest().filter_map(|run| run.status.frozen_seconds).reduce(f64::max);
        let status = RunStatus {
            settings_after: self.settings_after(),
            observed_at: Some(self.clock.now()),
            clock_offset: self.offset.offset(),
            clock_doubt: self.offset.doubt(),
            frozen_seconds: [self.heartbeat.frozen_seconds(), earlier_freeze].into_iter().flatten().reduce(f64::max),
            clock_stepped_seconds: Some(micro(self.clock.wall_step())).filter(|step| step.abs() > MIN_STEP),
            polling: polling.map(|polling| resume::add_costs(polling, self.earlier_cost)),
            ..RunStatus::default()
        };
        let Output { runs, records, bad_lines, console, .. } = &mut self.output;
        runs.again(&status, records)?;
        let exit = match bad_lines.broken() {
            _ if self.unreachable => Exit::Unreachable,
            _ if self.cookies.is_unsaved() => Exit::InputOutput,
            0 if !self.cookies.has_foreign_lines() => Exit::Done,
            _ => Exit::BrokenInput,
        };
        bad_lines.close(console);
        self.output.report_end();
        self.cookies.delete()?;
        self.target.delete_token()?;
        Ok(self.stop.exit_or(exit))
    }
}
