//! The requests that follow a job's end: the profile's steps, and the cancelling of a job that was given up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::job::{FollowedUp, PolledJob};
use super::Session;
use crate::cli::{Failure, Stop};
use crate::clock::Clock;
use crate::cookies::Cookie;
use crate::http::{BaseUrl, Client};
use crate::listing::{Listing, Sight, look_up};
use crate::profile::{Document, PollAnswer, Profile, Request, StatusReading, StepTime, TemplateValues};
use crate::record::{Cancel, Phase, StagePhase};
use crate::steps::{self, Patience, StepsOutcome};
use crate::units;

/// The time in which a cancelled job has to show its end.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);
/// The time from the first poll of a cancelled job to the second; it doubles from poll to poll.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(100);

/// The most time that the steps after a job's end have; `--deadline` may leave them less.
const STEPS_WITHIN: Duration = Duration::from_secs(30);
/// The time after that in which the last answer may still come.
const LAST_ANSWER: Duration = Duration::from_millis(500);

/// A job whose follow-up is under way.
pub(super) struct Ending {
    job: PolledJob,
    phase: Phase,
    when: StepTime,
    progress: Progress,
}

/// How far a follow-up has come.
#[derive(Clone, Default)]
struct Progress(Arc<Mutex<(Option<Instant>, StepsOutcome)>>);

impl Progress {
    fn with<T>(&self, work: impl FnOnce(&mut (Option<Instant>, StepsOutcome)) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The time at which its first request was sent; that is now if nothing was sent yet.
    fn begin(&self) -> Instant {
        self.with(|(began, _)| *began.get_or_insert_with(Instant::now))
    }

    fn began(&self) -> Option<Instant> {
        self.with(|(began, _)| *began)
    }
}

impl Ending {
    /// What is known of a follow-up that did not come back, for the reason `why`. Its optional steps need not have been made.
    fn given_up(&self, profile: &Profile, why: &str) -> FollowedUp {
        let (began, mut steps) = self.progress.with(|(began, steps)| (*began, steps.clone()));
        let mut left = profile.steps_at(self.when).skip(steps.made);
        if let (None, Some(next)) = (&steps.failure, left.next()) {
            let unanswered = began.map(|_| format!("step {} was not answered {why}", next.name));
            let required = if next.optional { left.find(|step| !step.optional) } else { Some(next) };
            steps.failure = required.map(|step| match unanswered {
                Some(unanswered) if std::ptr::eq(step, next) => unanswered,
                Some(unanswered) => format!("step {} did not run: {unanswered}", step.name),
                None => format!("step {} did not run {why}", step.name),
            });
        }
        let is_answered = steps.failure.is_none() && steps.made == profile.steps_at(self.when).count();
        let asked = if is_answered { Cancel::Answered } else { Cancel::Asked };
        FollowedUp { steps, cancel: (self.when == StepTime::Cancel && began.is_some()).then_some(asked) }
    }
}

/// The requests after a job's end, for a worker thread.
pub(super) struct FollowUp {
    when: StepTime,
    profile: Arc<Profile>,
    base: BaseUrl,
    values: TemplateValues,
    request: Arc<Request>,
    /// The job's id, and the one by which it is polled.
    ids: [String; 2],
    /// The cookies of the job, as its last answer left them; none without `--cookies`.
    cookies: Option<Vec<Cookie>>,
    /// The list that alone tells of the job.
    listing: Option<Listing>,
    clock: Clock,
    /// The time that its steps have from their beginning on.
    within: Duration,
    progress: Progress,
    stop: Stop,
}

impl FollowUp {
    /// Makes them.
    pub(super) fn run(&self, client: &Client) -> FollowedUp {
        let Self { profile, base, values, clock, .. } = self;
        let until = self.progress.begin() + self.within;
        let patience = Patience::Passing { until, stop: &self.stop };
        let mut cookies = self.cookies.clone();
        let sent = cookies.as_mut();
        let steps =
            steps::run(self.when, Some(patience), profile, base, values, sent, client, clock, &mut |step, made| {
                // A copy for a follow-up that does not come back.
                let _is_last = self.progress.with(|(_, steps)| steps.add(step, made.clone()));
            });
        let cancel = (self.when == StepTime::Cancel).then(|| match steps.failure {
            Some(_) => Cancel::Asked,
            None if self.is_confirmed(cookies.as_mut(), client) => Cancel::Confirmed,
            None => Cancel::Answered,
        });
        FollowedUp { steps, cancel }
    }

    /// Polls a cancelled job until it has ended or the target has forgotten it.
    fn is_confirmed(&self, mut cookies: Option<&mut Vec<Cookie>>, client: &Client) -> bool {
        let (began, mut interval) = (Instant::now(), CONFIRM_INTERVAL);
        loop {
            if self.has_ended(cookies.as_deref_mut(), client) {
                return true;
            }
            let left = CONFIRMED_WITHIN.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(interval.min(left));
            interval *= 2;
        }
    }

    /// Returns true if an answer about the job, or its absence, says that it has ended.
    fn has_ended(&self, cookies: Option<&mut Vec<Cookie>>, client: &Client) -> bool {
        let [id, polled_id] = &self.ids;
        let answer = match &self.listing {
            None => self.request.send_with(cookies, client, &self.clock).ok(),
            Some(listing) => match look_up(listing.clone(), id, client, &self.clock, &mut |_, _| {}) {
                Ok(Sight::Missing) => return true,
                Ok(Sight::Told(answer)) => Some(*answer),
                Err(_) => None,
            },
        };
        let Some(answer) = answer else { return false };
        let document = Document::of(&answer);
        match self.profile.poll_answer(&document) {
            PollAnswer::Unknown => true,
            PollAnswer::Document(observation) => {
                let other = || self.profile.other_job(&document, [id, polled_id], &self.request.url);
                let is_own = self.listing.is_some() || other().is_none();
                is_own && matches!(observation.status, StatusReading::Status(StagePhase::Done | StagePhase::Failed, _))
            }
            PollAnswer::Other => false,
        }
    }
}

fn has_verdict(phase: Phase) -> bool {
    matches!(phase, Phase::Succeeded | Phase::Failed)
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
            phase if has_verdict(phase) => StepTime::End,
            _ if self.args.cancel_on.iter().any(|word| word.phase() == phase) => StepTime::Cancel,
            _ => return Ok(Some(job)),
        };
        if self.target.profile.steps_at(when).next().is_none() {
            return Ok(Some(job));
        }
        let (base, record) = (self.target.base()?, job.as_job()?);
        let values = TemplateValues::of_set(&self.args.target.set).with_job(&record).with_id(job.polled_id());
        let profile = self.target.profile.clone();
        let listing = Listing::new(profile.clone(), base.clone(), &self.args.target.set, &record);
        let follow_up = FollowUp {
            when,
            listing: listing.filter(|_| !profile.polls_each()),
            profile,
            base,
            values,
            request: job.request.clone(),
            ids: [job.id(), job.polled_id()].map(str::to_owned),
            cookies: self.cookies.of(job.key()),
            clock: self.clock.clone(),
            within: self.steps_within(),
            progress: Progress::default(),
            // A signal is what a job may be cancelled for.
            stop: if when == StepTime::End { self.stop.clone() } else { Stop::default() },
        };
        self.ending.insert(number, Ending { job, phase, when, progress: follow_up.progress.clone() });
        self.scheduler.follow_up(number, follow_up)?;
        Ok(None)
    }

    /// The time that the steps after a job's end have.
    fn steps_within(&self) -> Duration {
        STEPS_WITHIN.min(self.args.deadline)
    }

    /// Records the ends of the jobs whose steps have used up their time, although a request of theirs is still unanswered.
    pub(super) fn expire_follow_ups(&mut self) -> Result<(), Failure> {
        if self.endings_checked_at.elapsed() < LAST_ANSWER / 5 {
            return Ok(());
        }
        self.endings_checked_at = Instant::now();
        let within = self.steps_within();
        let is_over = |ending: &Ending| {
            let most = within + LAST_ANSWER + if has_verdict(ending.phase) { Duration::ZERO } else { CONFIRMED_WITHIN };
            ending.progress.began().is_some_and(|began| began.elapsed() > most)
        };
        let over: Vec<usize> =
            self.ending.iter().filter(|(_, ending)| is_over(ending)).map(|(number, _)| *number).collect();
        for number in over {
            let Some(ending) = self.ending.remove(&number) else { continue };
            let why = format!("within {}", units::seconds(within.as_secs_f64()));
            let followed = ending.given_up(&self.target.profile, &why);
            self.record_end(number, ending.job, ending.phase, Some(&followed))?;
        }
        Ok(())
    }

    /// Records the end of a job whose follow-up has come back.
    pub(super) fn followed_up(&mut self, number: usize, followed: &FollowedUp) -> Result<(), Failure> {
        let Some(Ending { job, phase, .. }) = self.ending.remove(&number) else { return Ok(()) };
        self.record_end(number, job, phase, Some(followed))
    }

    /// Records the ends of the jobs whose follow-up has not come back in time.
    pub(super) fn give_up_follow_ups(&mut self) -> Result<(), Failure> {
        for (number, ending) in std::mem::take(&mut self.ending) {
            let followed = ending.given_up(&self.target.profile, "before the session ended");
            self.record_end(number, ending.job, ending.phase, Some(&followed))?;
        }
        Ok(())
    }
}
