//! The state of one job that is polled: applies each answer to it and builds its record at the end.

use std::sync::Arc;
use std::time::Duration;

use super::stages::ObservedStages;
use crate::clock::micro;
use crate::http::{Answer, HttpError};
use crate::profile::{Observation, Profile, StatusMeaning, StatusReading};
use crate::record::{ClockOffset, Flag, Job, JobStatus, Key, Phase, Polls, Reason, Record, ServerTimes, Timestamp};
use crate::target::PollRequest;

/// The limits after which a job is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) lost_after: Duration,
}

/// A job that is polled. Small, because there may be ten thousand of them.
#[derive(Debug)]
pub(super) struct PolledJob {
    record: Record,
    pub(super) request: Arc<PollRequest>,
    /// The start of its latency.
    latency_from: Timestamp,
    /// The start of its age.
    submitted_at: Timestamp,
    /// The start of its deadline: the submission, or for a resumed job the start of this session.
    deadline_from: Timestamp,
    /// The phase in which an earlier session left a resumed job.
    earlier_phase: Option<Phase>,
    accepted_at: Timestamp,
    polls: Polls,
    /// The time of the last poll that saw the job's state.
    seen_at: Option<Timestamp>,
    not_ended_at: Option<Timestamp>,
    /// This session has understood an answer.
    understood: bool,
    /// The time at which the last answer came or was given up.
    received_at: Option<Timestamp>,
    unknown_since: Option<Timestamp>,
    /// The error of the last poll.
    last_error: Option<String>,
    /// The last answer had no status word, or one that the profile does not name.
    doubt: Option<StatusDoubt>,
    stages: ObservedStages,
    body: Box<str>,
    body_is_utf8: bool,
}

/// The reason why an answer gives no usable status.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StatusDoubt {
    reason: Reason,
    message: String,
}

/// The next step after an answer.
#[derive(Debug)]
pub(super) enum NextStep {
    /// Poll again, not before the target's `Retry-After` if there was one.
    Poll { not_before: Option<Duration> },
    /// Write this record and this message at once, then poll again.
    Report { record: Record, message: String },
    /// End the job in this phase.
    End(Phase),
}

/// The outcome of one poll.
#[derive(Debug)]
pub(super) struct PollOutcome {
    pub(super) answer: Result<Answer, HttpError>,
    pub(super) sent: Timestamp,
    pub(super) received: Timestamp,
}

impl PolledJob {
    /// Starts to poll `job`, which was submitted and has an id.
    pub(super) fn new(record: Record, job: &Job, request: PollRequest, now: Timestamp) -> Self {
        let status = &job.status;
        let submitted_at = status.submitted_at.or(status.accepted_at).unwrap_or(now);
        Self {
            record,
            request: request.into(),
            latency_from: status.due_at.unwrap_or(submitted_at),
            submitted_at,
            deadline_from: submitted_at,
            earlier_phase: None,
            accepted_at: status.accepted_at.unwrap_or(submitted_at),
            polls: Polls::default(),
            seen_at: None,
            not_ended_at: None,
            understood: false,
            received_at: None,
            unknown_since: None,
            last_error: None,
            doubt: None,
            stages: ObservedStages::default(),
            body: Box::default(),
            body_is_utf8: true,
        }
    }

    /// Starts to poll `job` again. The observations of the earlier session still bound its times. The deadline counts from
    /// `now`; otherwise an old job would be given up without a poll.
    pub(super) fn resumed(record: Record, job: &Job, request: PollRequest, now: Timestamp) -> Self {
        let status = &job.status;
        Self {
            deadline_from: now,
            earlier_phase: Some(status.phase),
            polls: status.polls.unwrap_or_default(),
            seen_at: status.not_ended_at,
            not_ended_at: status.not_ended_at,
            stages: ObservedStages::resumed(&status.stages),
            body: status.body.clone().unwrap_or_default().into(),
            body_is_utf8: !status.flags.contains(&Flag::BodyNotUtf8),
            ..Self::new(record, job, request, now)
        }
    }

    /// The key of its record.
    pub(super) fn key(&self) -> &Key {
        self.record.key()
    }

    /// The age of the job, in seconds.
    pub(super) fn age(&self, now: Timestamp) -> f64 {
        now.since(self.submitted_at).max(0.0)
    }

    /// The time until it is given up, in seconds; negative once that is overdue.
    pub(super) fn time_left(&self, now: Timestamp, limits: Limits) -> f64 {
        limits.deadline.as_secs_f64() - now.since(self.deadline_from).max(0.0)
    }

    /// The names of its running stages.
    pub(super) fn running_stages(&self) -> impl Iterator<Item = &str> {
        self.stages.running()
    }

    /// The error of the last poll.
    pub(super) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// The number of its polls.
    pub(super) fn polls(&self) -> Polls {
        self.polls
    }

    /// Applies an answer.
    pub(super) fn handle(&mut self, outcome: PollOutcome, profile: &Profile, limits: Limits) -> NextStep {
        let PollOutcome { answer, sent, received } = outcome;
        self.polls.sent += 1;
        self.received_at = Some(received);
        let mut not_before = None;
        let mut message = None;
        match answer {
            Err(error) => self.fail_poll(error.to_string()),
            Ok(answer) if profile.poll.unknown.contains(&answer.status) => {
                self.last_error = None;
                let since = *self.unknown_since.get_or_insert(sent);
                if received.since(since) >= limits.lost_after.as_secs_f64() {
                    return NextStep::End(Phase::Lost);
                }
            }
            Ok(answer) if !(200..300).contains(&answer.status) => {
                not_before = answer.retry_after;
                self.fail_poll(answer.summary());
            }
            Ok(answer) => {
                not_before = answer.retry_after;
                match self.understand(answer, sent, received, profile) {
                    Some(StatusMeaning::Done) => return NextStep::End(Phase::Succeeded),
                    Some(StatusMeaning::Failed) => return NextStep::End(Phase::Failed),
                    Some(StatusMeaning::Unnamed) => message = self.doubt.as_ref().map(|doubt| doubt.message.clone()),
                    Some(StatusMeaning::Waiting | StatusMeaning::Running) | None => {}
                }
            }
        }
        if self.time_left(received, limits) <= 0.0 {
            return NextStep::End(Phase::TimedOut);
        }
        match message.map(|message| (self.doubtful(received), message)) {
            Some((Some(record), message)) => NextStep::Report { record, message },
            _ => NextStep::Poll { not_before },
        }
    }

    fn fail_poll(&mut self, error: String) {
        self.polls.failed += 1;
        self.last_error = Some(error);
    }

    /// Reads an answer's body. Returns `Unnamed` only for a word that the poll before did not bring.
    fn understand(
        &mut self,
        answer: Answer,
        sent: Timestamp,
        received: Timestamp,
        profile: &Profile,
    ) -> Option<StatusMeaning> {
        self.unknown_since = None;
        let previous = self.seen_at;
        if *self.body == *answer.body && self.understood {
            // Byte for byte the answer of the poll before, which did not end the job.
            (self.seen_at, self.not_ended_at, self.last_error) = (Some(sent), Some(sent), None);
            return None;
        }
        let Observation { status, stages, .. } = profile.observe(&answer.body);
        if status == StatusReading::NotJson {
            let start = crate::escape::start(answer.body.trim(), 100);
            self.fail_poll(format!("the answer is not JSON: {start}"));
            return None;
        }
        self.last_error = None;
        self.stages.record(&stages, previous, received);
        (self.body, self.body_is_utf8) = (answer.body.into(), answer.body_is_utf8);
        (self.seen_at, self.understood) = (Some(sent), true);
        let (meaning, doubt) = match status {
            StatusReading::Status(StatusMeaning::Unnamed, word) => (StatusMeaning::Unnamed, Some(unnamed_word(&word))),
            StatusReading::Status(meaning, _) => (meaning, None),
            StatusReading::NoStatus | StatusReading::NotJson => (StatusMeaning::Unnamed, Some(no_word(profile))),
        };
        if !matches!(meaning, StatusMeaning::Done | StatusMeaning::Failed) {
            self.not_ended_at = Some(sent);
        }
        let is_new = doubt.is_some() && doubt != self.doubt;
        self.doubt = doubt;
        (meaning != StatusMeaning::Unnamed || is_new).then_some(meaning)
    }

    /// The record of a job that has not ended, with its doubt.
    fn doubtful(&self, now: Timestamp) -> Option<Record> {
        let doubt = self.doubt.as_ref()?;
        let mut record = self.record.clone();
        let status = JobStatus {
            phase: Phase::Submitted,
            reason: Some(doubt.reason.clone()),
            message: Some(doubt.message.clone()),
            observed_at: Some(now),
            ..JobStatus::default()
        };
        // The record was read as a Job before, so its parts are objects and can be written over.
        record.update_status(&status, &[]).ok().map(|()| record)
    }

    /// Returns true if ending it in `phase` would replace the earlier session's knowledge with less: that session gave the
    /// job up, and this one has understood no answer.
    pub(super) fn learned_nothing(&self, phase: Phase) -> bool {
        let was_given_up = self.earlier_phase.is_some_and(|before| before != Phase::Submitted);
        was_given_up && !self.understood && matches!(phase, Phase::TimedOut | Phase::Interrupted)
    }

    /// The record of the job that ended, or was given up, in `phase`.
    pub(super) fn into_ended(
        mut self,
        phase: Phase,
        now: Timestamp,
        profile: &Profile,
        limits: Limits,
        offset: Option<ClockOffset>,
    ) -> Result<Record, crate::record::Malformed> {
        let observation = (self.understood || !self.body.is_empty()).then(|| profile.observe(&self.body));
        let has_verdict = matches!(phase, Phase::Succeeded | Phase::Failed);
        let (reason, message) = self.explain(phase, observation.as_ref(), limits);
        let mut status = JobStatus {
            phase,
            reason,
            message,
            observed_at: Some(now),
            not_ended_at: self.not_ended_at,
            polls: Some(self.polls),
            body: observation.is_some().then(|| self.body.to_string()),
            ..JobStatus::default()
        };
        if has_verdict {
            let (ended, known_running) =
                (self.received_at.unwrap_or(now), self.not_ended_at.unwrap_or(self.accepted_at));
            status.ended_at = Some(ended);
            status.duration_seconds = Some(micro(ended.since(self.latency_from)));
            status.duration_error_seconds = Some(micro(ended.since(known_running).max(0.0)));
        }
        if let Some(Observation { status: reading, times, stages, .. }) = observation {
            if let StatusReading::Status(_, word) = reading {
                status.target_status = Some(word);
            }
            status.stages = self.stages.to_stages(&stages);
            status.flags = self.flags(times, &status, offset);
            status.server_times = Some(times).filter(|times| !times.is_empty());
        }
        // The flags of an earlier session belong to an answer that this one may have replaced.
        let stale: &[&str] =
            if self.earlier_phase.is_some() { &["reason", "message", "flags"] } else { &["reason", "message"] };
        self.record.update_status(&status, stale)?;
        Ok(self.record)
    }

    fn explain(
        &self,
        phase: Phase,
        observation: Option<&Observation>,
        limits: Limits,
    ) -> (Option<Reason>, Option<String>) {
        let seconds = |duration: Duration| crate::units::seconds(duration.as_secs_f64());
        let deadline =
            seconds(limits.deadline) + if self.earlier_phase.is_some() { " of the resumed session" } else { "" };
        let (reason, message) = match phase {
            Phase::Succeeded => return (None, None),
            Phase::Failed => {
                let text = observation.and_then(|observation| observation.message.clone());
                (
                    Reason::TargetFailed,
                    text.unwrap_or_else(|| "the target reports a failure without a reason".to_owned()),
                )
            }
            Phase::Lost => {
                (Reason::UnknownId, format!("the target has not known the id for {}", seconds(limits.lost_after)))
            }
            Phase::Interrupted => (Reason::Stopped, "the harness was stopped while the job was in flight".to_owned()),
            _ => match (&self.doubt, &self.last_error) {
                (Some(doubt), _) => (doubt.reason.clone(), format!("not ended within {deadline}: {}", doubt.message)),
                (None, Some(error)) => {
                    (Reason::NoAnswer, format!("not seen to end within {deadline}; the last poll: {error}"))
                }
                (None, None) => (Reason::DeadlineExceeded, format!("not ended within {deadline}")),
            },
        };
        (Some(reason), Some(message))
    }

    fn flags(&self, times: ServerTimes, status: &JobStatus, offset: Option<ClockOffset>) -> Vec<Flag> {
        let mut flags = Vec::new();
        let stage_times =
            status.stages.iter().filter(|stage| stage.times_from == Some(crate::record::TimesFrom::Server));
        let all = [times.queued_at, times.started_at, times.ended_at].into_iter();
        let earliest = all
            .chain(stage_times.flat_map(|stage| [stage.queued_at, stage.started_at, stage.ended_at]))
            .flatten()
            .min();
        if let (Some(earliest), Some(offset)) = (earliest, offset) {
            // The latest time by the harness's clock that the offset allows: before the submission, it is stale.
            let at_the_latest = earliest.shifted(offset.bound_seconds - offset.seconds);
            if at_the_latest < self.submitted_at {
                flags.push(Flag::StaleTimes);
            }
        }
        if !self.body_is_utf8 {
            flags.push(Flag::BodyNotUtf8);
        }
        flags
    }
}

fn unnamed_word(word: &str) -> StatusDoubt {
    let shown = crate::escape::start(word, 60);
    StatusDoubt {
        reason: Reason::UnnamedStatus,
        message: format!("the profile does not name the target's status \"{shown}\": add it under [poll.words]"),
    }
}

fn no_word(profile: &Profile) -> StatusDoubt {
    let pointers = profile.poll.status.join(", ");
    StatusDoubt {
        reason: Reason::NoStatus,
        message: format!("the target's answer has nothing at {pointers}: correct poll.status in the profile"),
    }
}
