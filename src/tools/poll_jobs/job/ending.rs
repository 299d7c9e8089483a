//! The end of a job that is polled: its record, the reason and the flags.

use std::time::Duration;

use super::{FollowedUp, Limits, Moved, PolledJob};
use crate::clock::micro;
use crate::cookies;
use crate::escape;
use crate::profile::{Document, Observation, Profile, StageReading, StatusReading};
use crate::record::{
    ClockOffset, Flag, JobStatus, Malformed, Phase, Reason, Record, ServerTimes, Stage, StagePhase, Timestamp,
};
use crate::tools::poll_jobs::issue::Issue;
use crate::units;

/// Two times at which one job was queued differ by no more than this beyond their resolution, in seconds.
const QUEUED_APART: f64 = 0.5;

impl PolledJob {
    /// The record of the job that ended, or was given up, in `phase`.
    pub(in crate::tools::poll_jobs) fn into_ended(
        mut self,
        phase: Phase,
        now: Timestamp,
        profile: &Profile,
        limits: Limits,
        offset: Option<ClockOffset>,
        followed: Option<&FollowedUp>,
    ) -> Result<Record, Malformed> {
        let mut observation = (self.understood || !self.body.text.is_empty())
            .then(|| profile.observe(&self.head.document(&self.body.text)));
        if let Some(observation) = &observation {
            // The answer to a step may tell less.
            self.stages.keep(&observation.stages);
        }
        if let (Some(observation), Some(followed)) = (&mut observation, followed) {
            for (told, answer) in &followed.steps.answers {
                profile.complete(observation, told, &Document::of(answer));
            }
        }
        if let Some(observation) = &mut observation {
            let ahead = offset.map_or(0.0, |offset| offset.bounds().high.max(0.0));
            observation.leave_out_future(now.shifted(ahead));
        }
        let has_verdict = matches!(phase, Phase::Succeeded | Phase::Failed);
        let (reason, message) = self.explain(phase, observation.as_ref(), limits);
        let mut status = JobStatus {
            phase,
            reason,
            message,
            observed_at: Some(now),
            not_started_at: self.not_started_at,
            started_at: self.started_at,
            not_ended_at: self.not_ended_at,
            polls: Some(self.polls),
            cookies_saved: self.cookies_saved.filter(|_| !has_verdict),
            next_id: self.polled_as.as_deref().map(str::to_owned),
            body: observation.is_some().then(|| self.body.text.to_string()),
            ..JobStatus::default()
        };
        let lasting = self.lasting_issue.as_ref().map(|lasting| &lasting.0);
        if let Some(issue) = lasting.or(self.issue.as_ref()).filter(|issue| !has_verdict && issue.body.is_some()) {
            status.body = issue.body.as_deref().map(str::to_owned);
            self.body.is_replaced = issue.is_replaced;
        }
        if has_verdict {
            let (ended, known_running) =
                (self.received_at.unwrap_or(now), self.not_ended_at.unwrap_or(self.submitted_at));
            status.ended_at = Some(ended);
            status.duration_seconds = Some(micro(ended.since(self.latency_from)));
            status.duration_error_seconds = Some(micro(ended.since(known_running).max(0.0) + self.resubmitted_seconds));
        }
        if let Some(observation) = observation {
            status.stages = self.stages.to_stages(&observation.stages, self.not_started_at);
            status.flags = self.flags(&observation, &status, offset);
            if status.flags.contains(&Flag::ErrorText) {
                status.message =
                    observation.message.map(|text| format!("the target calls it done and names an error: {text}"));
            }
            if let StatusReading::Status(_, word) = observation.status {
                status.target_status = Some(word);
            }
            status.unread_times = observation.unread_times;
            status.server_times = Some(observation.times).filter(|times| !times.is_empty());
        } else if self.body.is_replaced {
            status.flags = vec![Flag::BodyNotUtf8];
        }
        // A cookie that expired or was not saved matters only to a job that was not found.
        let is_missed = !has_verdict && (self.unknown_since.is_some() || phase == Phase::Unknown);
        status.flags.extend(self.missing_cookie().filter(|flag| is_missed || *flag == Flag::CookieNotKept));
        if let Some(Moved { from, to }) = self.moved.as_deref() {
            (status.target, status.polled_target) = (Some(from.clone()), Some(to.clone()));
        }
        if let Some(FollowedUp { steps, cancel }) = followed {
            // Those that the submission took stay: the record is written over as a whole.
            status.variables = self.as_job()?.status.variables;
            status.variables.extend(steps.recorded());
            status.cancel = *cancel;
            if let Some(failure) = &steps.failure {
                status.flags.push(Flag::StepFailed);
                let before = status.message.take().map(|message| format!("{message}; ")).unwrap_or_default();
                status.message = Some(format!("{before}{failure}"));
            }
        }
        // The flags of an earlier session belong to an answer that this one may have replaced.
        let stale: &[&str] = if self.earlier_phase.is_some() {
            &["reason", "message", "flags", "polledTarget"]
        } else {
            &["reason", "message"]
        };
        self.record.update_status(&status, stale)?;
        Ok(self.record)
    }

    fn explain(
        &self,
        phase: Phase,
        observation: Option<&Observation>,
        limits: Limits,
    ) -> (Option<Reason>, Option<String>) {
        let seconds = |duration: Duration| units::seconds(duration.as_secs_f64());
        let deadline =
            seconds(limits.deadline) + if self.earlier_phase.is_some() { " of the resumed session" } else { "" };
        let (reason, message) = match phase {
            Phase::Succeeded => return (None, None),
            Phase::Failed => {
                let of_stage = |observation: &Observation| {
                    let failed = observation.stages.iter().filter(|stage| stage.phase == StagePhase::Failed);
                    failed.into_iter().find_map(|stage| Some(format!("{}: {}", stage.name, stage.message.as_ref()?)))
                };
                let text =
                    observation.and_then(|observation| observation.message.clone().or_else(|| of_stage(observation)));
                (
                    Reason::TargetFailed,
                    text.unwrap_or_else(|| "the target reports a failure without a reason".to_owned()),
                )
            }
            Phase::Lost => (Reason::UnknownId, self.explain_loss(observation, limits)),
            Phase::Unknown if self.issue.as_ref().is_some_and(|issue| issue.reason == Some(Reason::InvalidRequest)) => {
                let why = self.issue.as_ref().map_or("", |issue| &issue.message);
                (Reason::InvalidRequest, format!("the job cannot be polled: {why}; it may still run"))
            }
            Phase::Unknown => {
                let loss = self.explain_loss(observation, limits);
                let why = if self.issue.is_none() && self.missing_cookie().is_some() {
                    "so a node that does not have the job may have answered"
                } else if self.state_at.is_some() {
                    "the profile says that this does not show how the job ended"
                } else if self.is_unaccepted {
                    "its submission was not accepted, so the target may never have had it"
                } else {
                    "earlier lists may have skipped it, or never showed any job, so it may have ended unseen"
                };
                (Reason::UnknownId, format!("{loss}; {why}"))
            }
            Phase::Interrupted if self.is_unpolled() => {
                let limit = self.issue.as_ref().map_or("", |issue| issue.message.as_str());
                (
                    Reason::OwnLimit,
                    format!(
                        "a limit of this host prevented or delayed the last poll before the deadline ({deadline}): {limit}"
                    ),
                )
            }
            Phase::Interrupted => (Reason::Stopped, "the harness was stopped while the job was in flight".to_owned()),
            _ => match &self.issue {
                None => {
                    let cookie = self.unknown_since.map(|_| self.explain_cookie()).unwrap_or_default();
                    let unknown = self.unknown_since.map(|since| {
                        let (count, status) = self.unknown_answers;
                        let age = seconds(Duration::try_from_secs_f64(self.age(since)).unwrap_or_default());
                        let answers = units::counted(count, "answer", "answers");
                        format!(
                            "; from {age} after the submission on, the target did not know the id ({answers} with HTTP {status})"
                        )
                    });
                    let absent = self.absent_at.map(|(_, status)| {
                        format!("; the last poll was answered with HTTP {status}, and no second poll confirmed that before the deadline")
                    });
                    (
                        Reason::DeadlineExceeded,
                        format!("did not end within {deadline}{}{cookie}", absent.or(unknown).unwrap_or_default()),
                    )
                }
                Some(Issue { reason: Some(reason), message, .. }) => {
                    (reason.clone(), format!("was not seen to end within {deadline}: {message}"))
                }
                Some(Issue { message, .. }) => {
                    let lasting = self.lasting_issue.as_ref().map(|lasting| &lasting.0);
                    let reason = lasting.and_then(|lasting| lasting.reason.clone()).unwrap_or(Reason::NoAnswer);
                    let before = lasting.map(|lasting| format!(": {}", lasting.message)).unwrap_or_default();
                    (reason, format!("was not seen to end within {deadline}{before}; the last poll: {message}"))
                }
            },
        };
        (Some(reason), Some(message))
    }

    /// Describes a loss: what the job was last seen doing, and what may have kept the target from finding it.
    fn explain_loss(&self, observation: Option<&Observation>, limits: Limits) -> String {
        let seconds = units::seconds(limits.lost_after.as_secs_f64());
        let last = match (self.seen_at, observation) {
            (Some(seen_at), Some(observation)) => {
                let word = match &observation.status {
                    StatusReading::Status(_, word) => format!("\"{}\"", escape::start(word, 60)),
                    _ => "without a status".to_owned(),
                };
                let running: Vec<&str> = self.running_stages().collect();
                let stages = if running.is_empty() { String::new() } else { format!(" in {}", running.join(", ")) };
                let age = units::seconds(seen_at.since(self.submitted_at).max(0.0));
                format!("it was last seen {word}{stages}, {age} after its submission")
            }
            _ => "no poll ever found it".to_owned(),
        };
        format!("the target has not known the id for {seconds}; {last}{}", self.explain_cookie())
    }

    fn explain_cookie(&self) -> String {
        if let (Some(why), Some(Flag::CookieNotKept)) =
            (cookies::why_unkept(&self.request.cookies), self.missing_cookie())
        {
            return format!("; {why}");
        }
        let why = match self.missing_cookie() {
            None => return String::new(),
            Some(Flag::CookieUnsaved) => {
                "the target may have set a new cookie that the earlier poll-jobs did not save before it ended"
            }
            Some(Flag::CookieExpired) => "its polls did not send a cookie that the target set (it has expired)",
            Some(_) => {
                "its polls did not send a cookie that the target set (--cookies FILE was not given, or the file does not hold it)"
            }
        };
        format!("; {why}")
    }

    /// The doubt that the document with this id is about another job: answers told two times at which it was queued, without another
    /// attempt, or showed it waiting after it had started and the target had not known it, or one that lies after its acceptance by more
    /// than the clocks may differ.
    fn doubt_queueing(&self, observation: &Observation, offset: Option<ClockOffset>) -> Option<Flag> {
        let ServerTimes { queued_at, resolution_seconds, .. } = observation.times;
        let is_later_attempt = |stage: &StageReading| stage.attempt.is_some_and(|attempt| attempt > 1);
        if self.queueing.is_new && !self.shown.lags() && !observation.stages.iter().any(is_later_attempt) {
            return Some(Flag::QueuedAgain);
        }
        let (queued_at, first) = (queued_at?, self.queueing.at.or(queued_at)?);
        if self.queueing.is_retried || observation.stages.iter().any(is_later_attempt) {
            return None;
        }
        if queued_at.since(first) > QUEUED_APART + resolution_seconds.unwrap_or_default() {
            return Some(Flag::QueuedAgain);
        }
        let status = self.as_job().ok()?.status;
        let accepted_at = status.resubmitted_at.max(status.accepted_at)?;
        let ClockOffset { seconds, bound_seconds } = offset?;
        (queued_at.shifted(-seconds - bound_seconds) > accepted_at).then_some(Flag::QueuedLate)
    }

    fn flags(&self, observation: &Observation, status: &JobStatus, offset: Option<ClockOffset>) -> Vec<Flag> {
        let times = observation.times;
        let mut flags = Vec::new();
        let all = std::iter::once(times).chain(status.stages.iter().map(Stage::server_times));
        // As late as their resolution allows.
        let latest = |times: ServerTimes| {
            let earliest = [times.queued_at, times.started_at, times.ended_at].into_iter().flatten().min()?;
            Some(earliest.shifted(times.resolution_seconds.unwrap_or_default()))
        };
        let earliest = all.filter_map(latest).min();
        if let (Some(earliest), Some(offset)) = (earliest, offset) {
            // The latest time by the harness's clock that the offset allows: before the submission, it is stale.
            let at_the_latest = earliest.shifted(offset.bound_seconds - offset.seconds);
            if at_the_latest < self.submitted_at {
                flags.push(Flag::StaleTimes);
            }
        }
        flags.extend(self.doubt_queueing(observation, offset));
        if self.body.is_replaced {
            flags.push(Flag::BodyNotUtf8);
        }
        if observation.is_lenient || self.body.is_lenient {
            flags.push(Flag::LenientJson);
        }
        if self.body.is_cut {
            flags.push(Flag::HeadOnly);
        }
        // The word is not the whole truth.
        if status.phase == Phase::Succeeded && !status.failed_stages().is_empty() {
            flags.push(Flag::FailedStage);
        }
        if status.phase == Phase::Succeeded && !status.running_stages().is_empty() {
            flags.push(Flag::RunningStage);
        }
        if status.phase == Phase::Succeeded && observation.message.is_some() {
            flags.push(Flag::ErrorText);
        }
        // Only the target's forgetting ends a job that no answer calls done.
        let is_gone = status.phase == Phase::Succeeded && self.state != Some(StagePhase::Done);
        flags.extend(is_gone.then_some(Flag::GoneIsDone));
        let has_verdict = matches!(status.phase, Phase::Succeeded | Phase::Failed);
        let has_vanished = |stage: &Stage| stage.phase.has_vanished(stage.unlisted, status.phase);
        if has_verdict && observation.lacks_stages {
            flags.push(Flag::StagesUnknown);
        } else if has_verdict && status.stages.iter().any(has_vanished) {
            flags.push(Flag::VanishedStage);
        }
        flags
    }
}
