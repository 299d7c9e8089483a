//! One job that is followed: what each poll's answer means for it, and what is written when it ends.

use std::sync::Arc;
use std::time::Duration;

use super::stages::{Marks, Names};
use crate::clock::micro;
use crate::http::{Answer, Trouble};
use crate::profile::{Observation, Profile, Seen, Word};
use crate::record::{ClockOffset, Job, JobStatus, Key, Phase, Polls, Record, ServerTimes, Timestamp};
use crate::target::PollRequest;

/// The flag of a body in which bytes were replaced.
const NOT_UTF8: &str = "BodyNotUtf8";

/// When a job is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) lost_after: Duration,
}

/// A job and what was seen of it so far. Small: there may be ten thousand of them.
#[derive(Debug)]
pub(super) struct Followed {
    record: Record,
    pub(super) request: Arc<PollRequest>,
    /// From here its latency counts.
    counts_from: Timestamp,
    /// From here its age counts.
    submitted_at: Timestamp,
    /// From here its deadline counts; the submission, but for a job that is followed again.
    patience_from: Timestamp,
    /// For a job that is followed again: as what an earlier session left it.
    before: Option<Phase>,
    accepted_at: Timestamp,
    polls: Polls,
    /// When the last poll was sent that saw the job's state.
    seen_at: Option<Timestamp>,
    not_ended_at: Option<Timestamp>,
    /// An answer of this session was understood.
    heard: bool,
    /// When the last answer came, or was given up.
    received_at: Option<Timestamp>,
    unknown_since: Option<Timestamp>,
    /// Why the last poll brought nothing.
    trouble: Option<String>,
    /// The status word that the profile does not name, or that there is none.
    unnamed: Option<Problem>,
    marks: Marks,
    body: Box<str>,
    body_is_utf8: bool,
}

/// Why the last answer could not be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    reason: &'static str,
    message: String,
}

/// What is to be done after an answer.
#[derive(Debug)]
pub(super) enum Next {
    /// Poll again, not before the target's `Retry-After` where it named one.
    Again { not_before: Option<Duration> },
    /// As `Again`, and write this record first: something has to be said at once.
    Tell { record: Record, what: String },
    /// It has ended so.
    Ended(Phase),
}

/// An answer, or why there is none, and when it was asked for and came.
#[derive(Debug)]
pub(super) struct Polled {
    pub(super) outcome: Result<Answer, Trouble>,
    pub(super) sent: Timestamp,
    pub(super) received: Timestamp,
}

impl Followed {
    /// Begins to follow `job`, which was submitted and has an id.
    pub(super) fn new(record: Record, job: &Job, request: PollRequest, now: Timestamp) -> Self {
        let status = &job.status;
        let submitted_at = status.submitted_at.or(status.accepted_at).unwrap_or(now);
        Self {
            record,
            request: request.into(),
            counts_from: status.due_at.unwrap_or(submitted_at),
            submitted_at,
            patience_from: submitted_at,
            before: None,
            accepted_at: status.accepted_at.unwrap_or(submitted_at),
            polls: Polls::default(),
            seen_at: None,
            not_ended_at: None,
            heard: false,
            received_at: None,
            unknown_since: None,
            trouble: None,
            unnamed: None,
            marks: Marks::default(),
            body: Box::default(),
            body_is_utf8: true,
        }
    }

    /// Begins to follow `job` again, of which an earlier session knew something: what that saw still bounds when things
    /// happened. The deadline counts from `now`, for a job that is older than that would be given up unseen.
    pub(super) fn resumed(record: Record, job: &Job, request: PollRequest, now: Timestamp, names: &mut Names) -> Self {
        let status = &job.status;
        Self {
            patience_from: now,
            before: Some(status.phase),
            polls: status.polls.unwrap_or_default(),
            seen_at: status.not_ended_at,
            not_ended_at: status.not_ended_at,
            marks: Marks::resumed(&status.stages, names),
            body: status.body.clone().unwrap_or_default().into(),
            body_is_utf8: !status.flags.iter().any(|flag| flag == NOT_UTF8),
            ..Self::new(record, job, request, now)
        }
    }

    /// What tells it from other jobs.
    pub(super) fn key(&self) -> &Key {
        self.record.key()
    }

    /// How old the job is, in seconds.
    pub(super) fn age(&self, now: Timestamp) -> f64 {
        now.since(self.submitted_at).max(0.0)
    }

    /// How many seconds are left until it is given up; negative where that is overdue.
    pub(super) fn patience(&self, now: Timestamp, limits: Limits) -> f64 {
        limits.deadline.as_secs_f64() - now.since(self.patience_from).max(0.0)
    }

    /// The names of the stages that it was last seen in.
    pub(super) fn stages_running(&self) -> impl Iterator<Item = &Arc<str>> {
        self.marks.running()
    }

    /// Why the last poll brought nothing.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How many polls followed it.
    pub(super) fn polls(&self) -> Polls {
        self.polls
    }

    /// Takes an answer into account.
    pub(super) fn hear(&mut self, polled: Polled, profile: &Profile, names: &mut Names, limits: Limits) -> Next {
        let Polled { outcome, sent, received } = polled;
        self.polls.sent += 1;
        self.received_at = Some(received);
        let mut not_before = None;
        let mut tell = None;
        match outcome {
            Err(trouble) => self.failed(trouble.to_string()),
            Ok(answer) if profile.poll.unknown.contains(&answer.status) => {
                self.trouble = None;
                let since = *self.unknown_since.get_or_insert(sent);
                if received.since(since) >= limits.lost_after.as_secs_f64() {
                    return Next::Ended(Phase::Lost);
                }
            }
            Ok(answer) if !(200..300).contains(&answer.status) => {
                not_before = answer.retry_after;
                self.failed(answer.summary());
            }
            Ok(answer) => {
                not_before = answer.retry_after;
                match self.understand(answer, sent, received, profile, names) {
                    Some(Word::Done) => return Next::Ended(Phase::Succeeded),
                    Some(Word::Failed) => return Next::Ended(Phase::Failed),
                    Some(Word::Unnamed) => tell = self.unnamed.as_ref().map(|problem| problem.message.clone()),
                    Some(Word::Waiting | Word::Running) | None => {}
                }
            }
        }
        if self.patience(received, limits) <= 0.0 {
            return Next::Ended(Phase::TimedOut);
        }
        match tell.map(|what| (self.doubtful(received), what)) {
            Some((Some(record), what)) => Next::Tell { record, what },
            _ => Next::Again { not_before },
        }
    }

    fn failed(&mut self, trouble: String) {
        self.polls.failed += 1;
        self.trouble = Some(trouble);
    }

    /// Reads an answer's body. `Unnamed` is only given for a word that was not there at the poll before.
    fn understand(
        &mut self,
        answer: Answer,
        sent: Timestamp,
        received: Timestamp,
        profile: &Profile,
        names: &mut Names,
    ) -> Option<Word> {
        self.unknown_since = None;
        let before = self.seen_at;
        if *self.body == *answer.body && self.heard {
            // To the byte what the poll before saw, which did not end the job: it still stands so.
            (self.seen_at, self.not_ended_at, self.trouble) = (Some(sent), Some(sent), None);
            return None;
        }
        let Observation { seen, stages, .. } = profile.observe(&answer.body);
        if seen == Seen::NotJson {
            let start = crate::escape::start(answer.body.trim(), 100);
            self.failed(format!("the answer is not JSON: {start}"));
            return None;
        }
        self.trouble = None;
        self.marks.note(&stages, before, received, names);
        (self.body, self.body_is_utf8) = (answer.body.into(), answer.body_is_utf8);
        (self.seen_at, self.heard) = (Some(sent), true);
        let (word, problem) = match seen {
            Seen::Status(Word::Unnamed, word) => (Word::Unnamed, Some(unnamed_word(&word))),
            Seen::Status(word, _) => (word, None),
            Seen::NoStatus | Seen::NotJson => (Word::Unnamed, Some(no_word(profile))),
        };
        if !matches!(word, Word::Done | Word::Failed) {
            self.not_ended_at = Some(sent);
        }
        let news = problem.is_some() && problem != self.unnamed;
        self.unnamed = problem;
        (word != Word::Unnamed || news).then_some(word)
    }

    /// The record as it stands, with what is doubtful about it.
    fn doubtful(&self, now: Timestamp) -> Option<Record> {
        let problem = self.unnamed.as_ref()?;
        let mut record = self.record.clone();
        let status = JobStatus {
            phase: Phase::Submitted,
            reason: Some(problem.reason.to_owned()),
            message: Some(problem.message.clone()),
            observed_at: Some(now),
            ..JobStatus::default()
        };
        // The record was read as a Job before, so its parts are objects and can be written over.
        record.update_status(&status, &[]).ok().map(|()| record)
    }

    /// Whether to end it as `phase` would put less in place of what an earlier session knew: it was given up before, and
    /// this session, which has no answer of its own, has nothing to add.
    pub(super) fn learned_nothing(&self, phase: Phase) -> bool {
        let was_given_up = self.before.is_some_and(|before| before != Phase::Submitted);
        was_given_up && !self.heard && matches!(phase, Phase::TimedOut | Phase::Interrupted)
    }

    /// The record of the job's end, or of its being given up, as `phase`.
    pub(super) fn ended(
        mut self,
        phase: Phase,
        now: Timestamp,
        profile: &Profile,
        limits: Limits,
        offset: Option<ClockOffset>,
    ) -> Result<Record, crate::record::Malformed> {
        let observation = (self.heard || !self.body.is_empty()).then(|| profile.observe(&self.body));
        let ended_well_or_badly = matches!(phase, Phase::Succeeded | Phase::Failed);
        let (reason, message) = self.why(phase, observation.as_ref(), limits);
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
        if ended_well_or_badly {
            let (ended, known_running) =
                (self.received_at.unwrap_or(now), self.not_ended_at.unwrap_or(self.accepted_at));
            status.ended_at = Some(ended);
            status.duration_seconds = Some(micro(ended.since(self.counts_from)));
            status.duration_error_seconds = Some(micro(ended.since(known_running).max(0.0)));
        }
        if let Some(Observation { seen, times, stages, .. }) = observation {
            if let Seen::Status(_, word) = seen {
                status.target_status = Some(word);
            }
            status.stages = self.marks.stages(&stages);
            status.flags = self.flags(times, &status, offset);
            status.server_times = Some(times).filter(|times| !times.is_empty());
        }
        // What an earlier session flagged was about an answer that this one may have replaced.
        let stale: &[&str] =
            if self.before.is_some() { &["reason", "message", "flags"] } else { &["reason", "message"] };
        self.record.update_status(&status, stale)?;
        Ok(self.record)
    }

    fn why(&self, phase: Phase, observation: Option<&Observation>, limits: Limits) -> (Option<String>, Option<String>) {
        let seconds = |duration: Duration| crate::units::seconds(duration.as_secs_f64());
        let patience = seconds(limits.deadline) + if self.before.is_some() { " of being followed again" } else { "" };
        let (reason, message) = match phase {
            Phase::Succeeded => return (None, None),
            Phase::Failed => {
                let said = observation.and_then(|observation| observation.message.clone());
                ("TargetFailed", said.unwrap_or_else(|| "the target says that it failed, and not why".to_owned()))
            }
            Phase::Lost => ("UnknownId", format!("the target has not known the id for {}", seconds(limits.lost_after))),
            Phase::Interrupted => ("Stopped", "the harness was stopped while it was in flight".to_owned()),
            _ => match (&self.unnamed, &self.trouble) {
                (Some(problem), _) => (problem.reason, format!("not ended within {patience}: {}", problem.message)),
                (None, Some(trouble)) => {
                    ("NoAnswer", format!("not seen to end within {patience}; the last poll: {trouble}"))
                }
                (None, None) => ("DeadlineExceeded", format!("not ended within {patience}")),
            },
        };
        (Some(reason.to_owned()), Some(message))
    }

    fn flags(&self, times: ServerTimes, status: &JobStatus, offset: Option<ClockOffset>) -> Vec<String> {
        let mut flags = Vec::new();
        let stage_times =
            status.stages.iter().filter(|stage| stage.times_from == Some(crate::record::TimesFrom::Server));
        let all = [times.queued_at, times.started_at, times.ended_at].into_iter();
        let earliest = all
            .chain(stage_times.flat_map(|stage| [stage.queued_at, stage.started_at, stage.ended_at]))
            .flatten()
            .min();
        if let (Some(earliest), Some(offset)) = (earliest, offset) {
            // By the harness's clock, and as late as the two clocks allow: still before the submission means stale.
            let at_the_latest = earliest.shifted(offset.bound_seconds - offset.seconds);
            if at_the_latest < self.submitted_at {
                flags.push("StaleTimes".to_owned());
            }
        }
        if !self.body_is_utf8 {
            flags.push(NOT_UTF8.to_owned());
        }
        flags
    }
}

fn unnamed_word(word: &str) -> Problem {
    let shown = crate::escape::start(word, 60);
    Problem {
        reason: "UnnamedStatus",
        message: format!("the target says \"{shown}\", which the profile does not name: add it under [poll.words]"),
    }
}

fn no_word(profile: &Profile) -> Problem {
    let pointers = profile.poll.status.join(", ");
    Problem {
        reason: "NoStatus",
        message: format!("nothing stands at {pointers} in the target's answer: mend poll.status in the profile"),
    }
}
