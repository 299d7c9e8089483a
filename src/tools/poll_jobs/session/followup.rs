//! The requests that follow a job's end: the profile's steps, and the cancelling of a job that was given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::job::{FollowedUp, PolledJob};
use super::Session;
use crate::cli::Failure;
use crate::clock::Clock;
use crate::http::{BaseUrl, Client};
use crate::profile::{Document, PollAnswer, Profile, Request, StatusReading, StepTime, TemplateValues};
use crate::record::{Cancel, Phase, StagePhase};
use crate::steps;

/// The time in which a cancelled job has to show its end.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);
/// The time between two polls of a cancelled job.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(100);

/// The requests after a job's end, for a worker thread.
pub(super) struct FollowUp {
    when: StepTime,
    profile: Arc<Profile>,
    base: BaseUrl,
    values: TemplateValues,
    request: Arc<Request>,
    clock: Clock,
}

impl FollowUp {
    /// Makes them.
    pub(super) fn run(&self, client: &Client) -> FollowedUp {
        let Self { profile, base, values, clock, .. } = self;
        let steps = steps::run(self.when, profile, base, values, client, clock, &mut |_, _| {});
        let cancel = (self.when == StepTime::Cancel).then(|| match steps.failure {
            Some(_) => Cancel::Asked,
            None if self.is_confirmed(client) => Cancel::Confirmed,
            None => Cancel::Answered,
        });
        FollowedUp { steps, cancel }
    }

    /// Polls a cancelled job until it has ended or the target has forgotten it.
    fn is_confirmed(&self, client: &Client) -> bool {
        let began = Instant::now();
        loop {
            if let Ok(answer) = self.request.send(client, &self.clock) {
                let ended = match self.profile.poll_answer(&answer) {
                    PollAnswer::Unknown => true,
                    PollAnswer::Document => matches!(
                        self.profile.observe(&Document::of(&answer)).status,
                        StatusReading::Status(StagePhase::Done | StagePhase::Failed, _)
                    ),
                    PollAnswer::Other => false,
                };
                if ended {
                    return true;
                }
            }
            if began.elapsed() + CONFIRM_INTERVAL > CONFIRMED_WITHIN {
                return false;
            }
            std::thread::sleep(CONFIRM_INTERVAL);
        }
    }
}

impl Session<'_, '_> {
    /// Begins what follows the end of the job `number` in `phase`. Gives the job back where nothing does.
    pub(super) fn follow_up(
        &mut self,
        number: usize,
        job: PolledJob,
        phase: Phase,
    ) -> Result<Option<PolledJob>, Failure> {
        let when = match phase {
            Phase::Succeeded | Phase::Failed => StepTime::End,
            _ if self.args.cancel_on.iter().any(|word| word.phase() == phase) => StepTime::Cancel,
            _ => return Ok(Some(job)),
        };
        if !self.target.profile.has_steps(when) {
            return Ok(Some(job));
        }
        let values = TemplateValues::of_set(&self.args.target.set).with_job(&job.as_job()?).with_id(job.id());
        let follow_up = FollowUp {
            when,
            profile: self.target.profile.clone(),
            base: self.target.base()?,
            values,
            request: job.request.clone(),
            clock: self.clock.clone(),
        };
        self.scheduler.follow_up(number, follow_up)?;
        self.ending.insert(number, (job, phase));
        Ok(None)
    }

    /// Records the end of a job whose follow-up has come back.
    pub(super) fn followed_up(&mut self, number: usize, followed: &FollowedUp) -> Result<(), Failure> {
        let Some((job, phase)) = self.ending.remove(&number) else { return Ok(()) };
        self.record_end(job, phase, Some(followed))
    }

    /// Records the ends of the jobs whose follow-up has not come back in time.
    pub(super) fn give_up_follow_ups(&mut self) -> Result<(), Failure> {
        for (_, (job, phase)) in std::mem::take(&mut self.ending) {
            self.record_end(job, phase, Some(&FollowedUp::unanswered(phase)))?;
        }
        Ok(())
    }
}
