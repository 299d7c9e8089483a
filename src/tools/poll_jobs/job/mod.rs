//! The state of one job that is polled: applies each answer to it.

mod answers;
mod ending;
mod lag;
mod set_back;

use std::sync::Arc;
use std::time::Duration;

pub(super) use answers::Page;
pub(super) use lag::Lag;

use lag::Shown;

use super::issue::{Issue, OWN_LIMIT};
use super::stages::ObservedStages;
use crate::cookies::Cookie;
use crate::http::{Answer, HeaderMap, HttpError};
use crate::profile::{Document, Profile, Request};
use crate::record::{Cancel, Flag, Job, JobStatus, Key, Malformed, Phase, Polls, Record, StagePhase, Timestamp};
use crate::steps::StepsOutcome;

/// The limits after which a job is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) lost_after: Duration,
    /// The time for which the harness has stood still so far: no deadline counts it.
    pub(super) frozen: Duration,
}

/// The targets of a job that was submitted to one and is polled at another.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) from: String,
    pub(super) to: String,
}

/// A job that is polled. Small, because there may be ten thousand of them.
#[derive(Debug)]
pub(super) struct PolledJob {
    record: Record,
    id: Box<str>,
    /// The id by which it is polled, where an answer told another one.
    polled_as: Option<Box<str>>,
    /// The id by which it is to be polled from now on.
    next_id: Option<String>,
    pub(super) request: Arc<Request>,
    /// The number of its cookies in the file after answers to its polls changed them; none if they did not.
    cookies_saved: Option<u64>,
    /// When an answer that did not know the job replaced its cookies, one of which had expired.
    lapsed_at: Option<Timestamp>,
    /// The targets that it was submitted to and is polled at, if they differ.
    moved: Option<Box<Moved>>,
    /// The start of its latency.
    latency_from: Timestamp,
    /// The start of its age.
    submitted_at: Timestamp,
    /// When it was resumed, if the earlier session may have ended before it saved the newest of its cookies.
    doubted_at: Option<Timestamp>,
    /// The start of its deadline: the submission, or for a resumed job the start of this session.
    deadline_from: Timestamp,
    /// The time for which the harness had stood still before that.
    frozen_before: Duration,
    /// The phase in which an earlier session left a resumed job.
    earlier_phase: Option<Phase>,
    /// The seconds between its submission and a second one under the same idempotency key.
    resubmitted_seconds: f64,
    polls: Polls,
    /// The time of the last poll that the target answered with the job's document.
    seen_at: Option<Timestamp>,
    /// The time of the last poll that told the job's state: changes that a later one tells happened after it.
    state_at: Option<Timestamp>,
    /// The last poll that saw it not yet started, and the first that saw it started or ended.
    not_started_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    not_ended_at: Option<Timestamp>,
    /// This session has understood an answer.
    understood: bool,
    /// The state of which `body` tells; none if it tells none, or came in an earlier session.
    state: Option<StagePhase>,
    /// The time at which the last answer came or was given up.
    received_at: Option<Timestamp>,
    unknown_since: Option<Timestamp>,
    /// The number of answers since then that did not know it, and the HTTP status of the last one.
    unknown_answers: (u64, u16),
    /// The time and the HTTP status of the first answer that did not find the job, until a second one confirms it.
    absent_at: Option<(Timestamp, u16)>,
    /// The time of the first of the whole lists in a row from which it was missing.
    missed_since: Option<Timestamp>,
    /// No answer accepted it, so the target may never have had it.
    is_unaccepted: bool,
    /// A list that lacked it may have skipped it, or never showed anything: it may have ended unseen.
    is_doubtful: bool,
    /// The reason why the last poll told nothing.
    issue: Option<Issue>,
    /// The last issue with a reason, and by how many more polls had such issues than had others since the job's state was told.
    lasting_issue: Option<Box<(Issue, u64)>>,
    queueing: Queueing,
    /// The states that answers have shown, and the lag of those that went back; that once.
    shown: Shown,
    lag: Option<Lag>,
    /// The name of a stage in `body` whose state the profile does not name, and the target's word for that.
    stage_word: Option<Box<(String, String)>>,
    /// The kinds of issues of which a record was written.
    reported: Vec<String>,
    stages: ObservedStages,
    /// Between these times a stage started or ended, which only the polls tell.
    change: Option<(Timestamp, Timestamp)>,
    /// How far it was last seen to be, as a number that is the same for all jobs as far as that.
    progress: Option<u64>,
    /// Between these times it came as far as that.
    advance: Option<(Timestamp, Timestamp)>,
    /// The head of the answer that brought `body`.
    head: SeenHead,
    body: SeenBody,
}

/// The target's words on when it queued the job.
#[derive(Debug, Default)]
struct Queueing {
    /// The first time that an answer told, by the target's clock.
    at: Option<Timestamp>,
    /// An answer with that time showed the job waiting after it had started: it is tried again.
    is_retried: bool,
    /// Since the last answer that told its state, the target did not know it, or took no connection.
    was_away: bool,
    /// After that it waited, although it had started before.
    is_new: bool,
}

/// The last body that told of the job.
#[derive(Debug, Default)]
struct SeenBody {
    text: Box<str>,
    /// Bytes were replaced, because they are not UTF-8.
    is_replaced: bool,
    /// The answer broke the rules of JSON and was read all the same.
    is_lenient: bool,
    /// Only the head of the answer came whole, and it told all.
    is_cut: bool,
}

/// The parts of an answer's head that its meaning may depend on.
#[derive(Debug, Default)]
struct SeenHead {
    status: u16,
    /// None if the profile reads no header of a poll's answer.
    headers: Option<Box<HeaderMap>>,
    names_unknown_coding: bool,
}

impl SeenHead {
    fn of(answer: &Answer, profile: &Profile) -> Self {
        let headers = profile.reads_poll_headers().then(|| Box::new(answer.head.all.clone()));
        Self { status: answer.status, headers, names_unknown_coding: answer.head.unknown_coding.is_some() }
    }

    /// Returns true if `answer` means what the one with this head meant, as far as its head goes.
    fn is_same(&self, answer: &Answer) -> bool {
        self.status == answer.status && self.headers.as_deref().is_none_or(|headers| *headers == answer.head.all)
    }

    /// The document that `body` and this head make.
    fn document<'a>(&'a self, body: &'a str) -> Document<'a> {
        Document::new(body, self.status, self.headers.as_deref()).mislabelled(self.names_unknown_coding)
    }
}

/// The next step after an answer.
#[derive(Debug)]
pub(super) enum NextStep {
    /// Poll again, not before the target's `Retry-After` if there was one.
    Poll { not_before: Option<Duration> },
    /// Poll again after `wait`, whatever the pace.
    LookAgain { wait: Duration },
    /// Write this record at once, then poll again as above.
    Report { record: Record, not_before: Option<Duration> },
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

/// The outcome of the requests after the end of a job.
#[derive(Debug, Default)]
pub(super) struct FollowedUp {
    pub(super) steps: StepsOutcome,
    /// The progress of its cancelling, if it was cancelled.
    pub(super) cancel: Option<Cancel>,
}

impl PolledJob {
    /// Starts to poll `job`, which was submitted and has an id.
    pub(super) fn new(record: Record, job: &Job, request: Request, now: Timestamp) -> Self {
        let status = &job.status;
        let submitted_at = status.submitted_at.or(status.accepted_at).unwrap_or(now);
        Self {
            record,
            id: status.job_id.clone().unwrap_or_default().into(),
            polled_as: status.next_id.as_deref().map(Box::from),
            next_id: None,
            request: request.into(),
            cookies_saved: None,
            lapsed_at: None,
            moved: None,
            doubted_at: None,
            latency_from: status.due_at.unwrap_or(submitted_at),
            submitted_at,
            deadline_from: status.resubmitted_at.unwrap_or(submitted_at),
            frozen_before: Duration::ZERO,
            earlier_phase: None,
            resubmitted_seconds: status.resubmitted_at.map_or(0.0, |at| at.since(submitted_at).max(0.0)),
            polls: Polls::default(),
            seen_at: None,
            state_at: None,
            not_started_at: None,
            started_at: None,
            not_ended_at: None,
            understood: false,
            state: None,
            received_at: None,
            unknown_since: None,
            unknown_answers: (0, 0),
            absent_at: None,
            missed_since: None,
            is_unaccepted: false,
            is_doubtful: false,
            issue: None,
            lasting_issue: None,
            queueing: Queueing::default(),
            shown: Shown::default(),
            lag: None,
            stage_word: None,
            reported: Vec::new(),
            stages: ObservedStages::default(),
            change: None,
            progress: None,
            advance: None,
            head: SeenHead::default(),
            body: SeenBody::default(),
        }
    }

    /// Starts to poll `job` again. The observations of the earlier session still bound its times. The deadline counts from
    /// `now`; otherwise an old job would be given up without a poll.
    pub(super) fn resumed(record: Record, job: &Job, request: Request, now: Timestamp) -> Self {
        let status = &job.status;
        Self {
            deadline_from: now,
            earlier_phase: Some(status.phase),
            is_unaccepted: status.accepted_at.is_none() && status.phase != Phase::Submitted,
            polls: status.polls.unwrap_or_default(),
            seen_at: status.not_ended_at,
            state_at: status.not_ended_at,
            not_started_at: status.not_started_at,
            started_at: status.started_at,
            not_ended_at: status.not_ended_at,
            queueing: Queueing { at: status.server_times.and_then(|times| times.queued_at), ..Queueing::default() },
            stages: ObservedStages::resumed(&status.stages, status.not_ended_at),
            body: SeenBody {
                text: status.body.clone().unwrap_or_default().into(),
                is_replaced: status.flags.contains(&Flag::BodyNotUtf8),
                is_lenient: status.flags.contains(&Flag::LenientJson),
                is_cut: status.flags.contains(&Flag::HeadOnly),
            },
            ..Self::new(record, job, request, now)
        }
    }

    /// Its id at the target.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The id by which it is polled, which an answer may have told.
    pub(super) fn polled_id(&self) -> &str {
        self.polled_as.as_deref().unwrap_or(&self.id)
    }

    /// The id that the last answer told for its next polls; once.
    pub(super) fn take_next_id(&mut self) -> Option<String> {
        self.next_id.take()
    }

    /// Polls it by `request`, as `id`, from now on.
    pub(super) fn poll_as(&mut self, id: &str, mut request: Request) {
        request.lacks_cookies |= self.request.lacks_cookies;
        (self.polled_as, self.request) = (Some(id.into()), request.into());
    }

    /// The record that it was read from, as it is.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The record that it was read from.
    pub(super) fn as_job(&self) -> Result<Job, Malformed> {
        self.record.read()
    }

    /// The key of its record.
    pub(super) fn key(&self) -> &Key {
        self.record.key()
    }

    /// The age of the job, in seconds.
    pub(super) fn age(&self, now: Timestamp) -> f64 {
        now.since(self.submitted_at).max(0.0)
    }

    /// The age at which it was last seen not to have ended, in seconds.
    pub(super) fn seen_running_at(&self) -> Option<f64> {
        self.not_ended_at.map(|seen| self.age(seen))
    }

    /// The ages between which a stage was last seen to start or to end, if only the polls tell; once.
    pub(super) fn take_change(&mut self) -> Option<(f64, f64)> {
        let (after, until) = self.change.take()?;
        Some((self.age(after), self.age(until)))
    }

    /// How far it was last seen to be, and the ages between which it came as far as that; once.
    pub(super) fn take_progress(&mut self) -> Option<(u64, (f64, f64))> {
        let (after, until) = self.advance.take()?;
        Some((self.progress?, (self.age(after), self.age(until))))
    }

    /// Notes that the harness has stood still for `frozen` when the job is added, after its deadline began to count for the last part
    /// of that at most.
    pub(super) fn note_frozen(&mut self, frozen: Duration, now: Timestamp) {
        let age = Duration::try_from_secs_f64(now.since(self.deadline_from)).unwrap_or_default();
        self.frozen_before = frozen.saturating_sub(age);
    }

    /// The lag of the answers that went back to an earlier state, if any showed one since the last call.
    pub(super) fn take_lag(&mut self) -> Option<Lag> {
        self.lag.take()
    }

    /// The time until it is given up, in seconds; negative once that is overdue.
    pub(super) fn time_left(&self, now: Timestamp, limits: Limits) -> f64 {
        let frozen = limits.frozen.saturating_sub(self.frozen_before);
        (limits.deadline + frozen).as_secs_f64() - now.since(self.deadline_from).max(0.0)
    }

    /// Returns true if a limit of this host kept the last poll from being sent, so that nothing shows how the job is.
    fn is_unpolled(&self) -> bool {
        self.issue.as_ref().is_some_and(|issue| issue.kind == OWN_LIMIT)
    }

    /// The names of its running stages.
    pub(super) fn running_stages(&self) -> impl Iterator<Item = &str> {
        self.stages.running()
    }

    /// The reason why the last poll told nothing.
    pub(super) fn issue(&self) -> Option<&Issue> {
        self.issue.as_ref()
    }

    /// The name of a stage whose state the profile does not name, and the target's word for that, by the last answer.
    pub(super) fn stage_word(&self) -> Option<&(String, String)> {
        self.stage_word.as_deref()
    }

    /// The number of its polls.
    pub(super) fn polls(&self) -> Polls {
        self.polls
    }

    /// The record of a job that has not ended, if its issue has to be reported at once and is the first of its kind.
    fn report(&mut self, issue: &Issue, now: Timestamp) -> Option<Record> {
        let reason = issue.reason.clone()?;
        if self.reported.contains(&issue.kind) {
            return None;
        }
        self.reported.push(issue.kind.clone());
        let mut record = self.record.clone();
        let flags = [(self.request.lacks_cookies, Flag::CookieNotKept), (issue.is_replaced, Flag::BodyNotUtf8)];
        let status = JobStatus {
            phase: Phase::Submitted,
            reason: Some(reason),
            message: Some(issue.message.clone()),
            observed_at: Some(now),
            flags: flags.into_iter().filter_map(|(is_set, flag)| is_set.then_some(flag)).collect(),
            body: issue.body.as_deref().map(str::to_owned),
            ..JobStatus::default()
        };
        // The record was read as a Job before, so its parts are objects and can be written over.
        record.update_status(&status, &[]).ok().map(|()| record)
    }

    /// Records that it is polled at another target than it was submitted to.
    pub(super) fn note_targets(&mut self, moved: Option<Moved>) {
        self.moved = moved.map(Box::new);
    }

    /// Sends `cookies`, which the last answer left, with its polls from now on.
    pub(super) fn send_cookies(&mut self, cookies: Vec<Cookie>) {
        if self.has_expired_cookie() && self.unknown_since.is_some() {
            self.lapsed_at = self.received_at;
        }
        Arc::make_mut(&mut self.request).cookies = cookies;
    }

    /// Records the number of cookies that answers to its polls left in the file.
    pub(super) fn note_saved_cookies(&mut self, count: usize) {
        self.cookies_saved = Some(count as u64);
    }

    /// Records that an answer to a poll set a cookie that later polls do not send.
    pub(super) fn lack_cookies(&mut self) {
        Arc::make_mut(&mut self.request).lacks_cookies = true;
    }

    /// Records that answers to the polls of an earlier session changed its cookies, so that the last change may be lost with it.
    pub(super) fn doubt_cookie(&mut self, now: Timestamp) {
        self.doubted_at = Some(now);
    }

    fn has_expired_cookie(&self) -> bool {
        self.received_at.is_some_and(|at| self.request.cookies.iter().any(|cookie| cookie.has_expired(at)))
    }

    /// The reason why its polls went without a cookie that the target set: a node that does not have the job may have answered
    /// them, so an answer that does not know it shows nothing. If a node that does not have the job replaced an expired cookie, the
    /// new cookie does not lead to the job's node.
    fn missing_cookie(&self) -> Option<Flag> {
        if self.request.lacks_cookies {
            return Some(Flag::CookieNotKept);
        }
        let unseen_since = |at: Timestamp| self.state_at.is_none_or(|seen| seen < at);
        // An answer that knows the job shows that the cookies are the right ones.
        if self.doubted_at.is_some_and(unseen_since) {
            return Some(Flag::CookieUnsaved);
        }
        let has_lapsed = self.lapsed_at.is_some_and(unseen_since);
        (has_lapsed || self.has_expired_cookie()).then_some(Flag::CookieExpired)
    }

    /// Returns true if ending it in `phase` would replace the earlier session's knowledge with less: that session gave the
    /// job up, and this one has understood no answer.
    pub(super) fn learned_nothing(&self, phase: Phase) -> bool {
        let was_given_up = self.earlier_phase.is_some_and(|before| before != Phase::Submitted);
        let tells_nothing = match phase {
            Phase::Unknown => self.missing_cookie().is_some(),
            _ => matches!(phase, Phase::TimedOut | Phase::Interrupted),
        };
        was_given_up && !self.understood && tells_nothing
    }
}
