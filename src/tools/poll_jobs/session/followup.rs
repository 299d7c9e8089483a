//! The requests that follow a job's end: the profile's steps, and the cancelling of a job that was given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::job::{FollowedUp, PolledJob};
use super::Session;
use crate::cli::Failure;
use crate::clock::Clock;
use crate::http::{BaseUrl, Client};
use crate::listing::{Listing, Sight, look_up};
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
    /// The list that alone tells of the job, with the job's id.
    listing: Option<(Listing, String)>,
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
            if self.has_ended(client) {
                return true;
            }
            if began.elapsed() + CONFIRM_INTERVAL > CONFIRMED_WITHIN {
                return false;
            }
            std::thread::sleep(CONFIRM_INTERVAL);
        }
    }

    /// Returns true if an answer about the job, or its absence, says that it has ended.
    fn has_ended(&self, client: &Client) -> bool {
        let answer = match &self.listing {
            None => self.request.send(client, &self.clock).ok(),
            Some((listing, id)) => match look_up(listing.clone(), id, client, &self.clock, &mut |_, _| {}) {
                Ok(Sight::Missing) => return true,
                Ok(Sight::Told(answer)) => Some(*answer),
                Err(_) => None,
            },
        };
        match answer.map(|answer| self.profile.poll_answer(&Document::of(&answer))) {
            Some(PollAnswer::Unknown) => true,
            Some(PollAnswer::Document(observation)) => {
                matches!(observation.status, StatusReading::Status(StagePhase::Done | StagePhase::Failed, _))
            }
            Some(PollAnswer::Other) | None => false,
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
        let (base, record) = (self.target.base()?, job.as_job()?);
        let values = TemplateValues::of_set(&self.args.target.set).with_job(&record).with_id(job.id());
        let profile = self.target.profile.clone();
        let listing = Listing::new(profile.clone(), base.clone(), &self.args.target.set, &record);
        let follow_up = FollowUp {
            when,
            listing: listing.filter(|_| !profile.polls_each()).map(|listing| (listing, job.id().to_owned())),
            profile,
            base,
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
        self.record_end(number, job, phase, Some(followed))
    }

    /// Records the ends of the jobs whose follow-up has not come back in time.
    pub(super) fn give_up_follow_ups(&mut self) -> Result<(), Failure> {
        for (number, (job, phase)) in std::mem::take(&mut self.ending) {
            self.record_end(number, job, phase, Some(&FollowedUp::unanswered(phase)))?;
        }
        Ok(())
    }
}
