//! The answers about a job that is polled: those to its own polls, and its entries in lists.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Limits, NextStep, PollOutcome, PolledJob, SeenBody, SeenHead};
use crate::http::{Answer, HttpError};
use crate::listing::Absence;
use crate::profile::{Document, Gone, Observation, PollAnswer, Profile, StageReading, StatusReading, unknown_coding};
use crate::record::{Phase, Reason, Record, StagePhase, Timestamp};
use crate::tools::poll_jobs::issue::{Issue, NO_CONNECTION, UNNAMED_STAGE_WORD, UNSENDABLE};
use crate::tools::poll_jobs::stages::progress;

/// The seconds between two whole lists that lack a job before it counts as missing: one replica may be behind another.
const MISSED_FOR: f64 = 1.0;

/// The end of the kind of answers that did not know a job whose absence would have ended it.
pub(in crate::tools::poll_jobs) const NOT_CONFIRMED: &str = "that the next poll did not confirm";

/// The reading of an answer about the job.
enum Reading {
    /// It tells the job's state.
    State(StagePhase),
    /// The target knows no such job.
    Unknown(Absent),
    /// It tells nothing.
    Nothing(Issue),
}

/// An answer that does not know the job.
pub(super) struct Absent {
    status: u16,
    /// The greatest age that it may have, in seconds.
    max_age: f64,
}

/// The name and the word of a stage in whose state the profile does not name the word.
fn unnamed_word(stages: &[StageReading]) -> Option<Box<(String, String)>> {
    let mut unnamed = stages.iter().filter(|stage| stage.phase == StagePhase::Unnamed);
    unnamed.find_map(|stage| Some((stage.name.clone(), stage.state.clone()?).into()))
}

/// The source of an answer about the job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A poll of its own: the answer may be about another job.
    Poll,
    /// Its entry in a list, on a page that may break the rules of JSON.
    List { is_lenient: bool },
}

/// A page of a list, with the times at which it was asked for and came.
pub(in crate::tools::poll_jobs) struct Page<'a> {
    pub(in crate::tools::poll_jobs) answer: &'a Answer,
    pub(in crate::tools::poll_jobs) sent: Timestamp,
    pub(in crate::tools::poll_jobs) received: Timestamp,
    /// It breaks the rules of JSON and was read all the same.
    pub(in crate::tools::poll_jobs) is_lenient: bool,
}

impl PolledJob {
    /// Applies the answer to a poll. Counts an answer that told nothing in `failures`.
    pub(in crate::tools::poll_jobs) fn handle(
        &mut self,
        outcome: PollOutcome,
        profile: &Profile,
        limits: Limits,
        failures: &mut BTreeMap<String, u64>,
    ) -> NextStep {
        let PollOutcome { answer, sent, received } = outcome;
        let not_before = HttpError::begun(&answer).and_then(|answer| answer.head.retry_after);
        let reading = match answer {
            Err(error) => Reading::Nothing(Issue::from_error(&error)),
            Ok(answer) => self.read(answer, (sent, received), profile, Source::Poll),
        };
        self.apply(reading, (sent, received), not_before, profile, limits, failures)
    }

    /// Applies its entry on a page of a list.
    pub(in crate::tools::poll_jobs) fn handle_entry(
        &mut self,
        entry: Result<String, String>,
        page: &Page<'_>,
        profile: &Profile,
        limits: Limits,
        failures: &mut BTreeMap<String, u64>,
    ) -> NextStep {
        let &Page { answer, sent, received, is_lenient } = page;
        let repeated = entry.as_ref().ok().and_then(|body| self.repeated(body, answer, (sent, received)));
        let reading = match (repeated, entry) {
            (Some(state), _) => Reading::State(state),
            (None, Err(cause)) => Reading::Nothing(Issue::unreadable(cause, answer)),
            (None, Ok(body)) => {
                let answer = Answer { body, uploaded_at: None, head: answer.head.clone(), ..*answer };
                self.read(answer, (sent, received), profile, Source::List { is_lenient })
            }
        };
        self.apply(reading, (sent, received), answer.head.retry_after, profile, limits, failures)
    }

    /// Records that a whole list lacks it, whose last page was asked for at `began` and came by `received`. An answer that was
    /// asked for this job alone counts at once, a list that may have skipped it never, and any other only after another one. A
    /// list that never showed anything (not `is_telling`) does not show that the job is lost. Counts it in `failures`, unless absence is
    /// how a job ends.
    pub(in crate::tools::poll_jobs) fn miss(
        &mut self,
        (absence, is_telling): (Absence, bool),
        (began, received): (Timestamp, Timestamp),
        profile: &Profile,
        limits: Limits,
        failures: &mut BTreeMap<String, u64>,
    ) -> NextStep {
        let ends_it = self.state_at.is_some() && profile.poll.gone == Gone::Done;
        if !ends_it {
            *failures.entry(format!("not in the list {} the first sight of the job", self.when())).or_default() += 1;
        }
        self.received_at = Some(received);
        self.issue = Some(Issue::missing(absence));
        self.queueing.was_away |= absence != Absence::Unproven;
        // The lists of the session before a resumption are not known any more.
        self.is_doubtful |= absence == Absence::Unproven || !is_telling || self.earlier_phase.is_some();
        if absence == Absence::Unproven {
            return self.go_on(received, limits, None);
        }
        let since = *self.unknown_since.get_or_insert(began);
        let missed_since = *self.missed_since.get_or_insert(began);
        if (absence == Absence::Proven || ends_it) && began.since(missed_since) < MISSED_FOR {
            return self.go_on(received, limits, None);
        }
        if ends_it {
            return NextStep::End(Phase::Succeeded);
        }
        // Lists are asked for without cookies, whatever the submissions set.
        self.be_unknown(true, (since, began), received, None, profile, limits)
    }

    /// Says whether an answer comes before or after the first one that showed the job.
    fn when(&self) -> &'static str {
        if self.seen_at.is_none() { "before" } else { "after" }
    }

    /// Records that the request which should have told of it brought nothing.
    pub(in crate::tools::poll_jobs) fn note_failure(
        &mut self,
        issue: &Issue,
        received: Timestamp,
        limits: Limits,
    ) -> NextStep {
        self.received_at = Some(received);
        self.queueing.was_away |= issue.kind == NO_CONNECTION;
        let report = self.report(issue, received);
        self.note_issue(issue.clone());
        self.go_on_with(report, received, limits, None)
    }

    fn read(&mut self, answer: Answer, times: (Timestamp, Timestamp), profile: &Profile, source: Source) -> Reading {
        if let Some(state) = self.repeated(&answer.body, &answer, times) {
            return Reading::State(state);
        }
        let document = Document::of(&answer);
        let read = match profile.poll_answer(&document) {
            PollAnswer::Unknown if answer.is_cached() => Err(Issue::cached_unknown(&answer)),
            PollAnswer::Unknown => {
                return Reading::Unknown(Absent { status: answer.status, max_age: answer.max_age() });
            }
            PollAnswer::Other => Err(Issue::from_status(&answer, self.seen_at.is_some())),
            PollAnswer::Document(mut observation) => {
                observation.is_lenient |= source == Source::List { is_lenient: true };
                let is_poll = source == Source::Poll;
                let ids = [&self.id, self.polled_id()];
                let other = profile.other_job(&document, ids, &self.request.url).filter(|_| is_poll);
                let is_own = is_poll && other.is_none() && !self.is_from_before(&answer, times.1);
                let next = profile.next_id(&document, &self.request.url, self.polled_id()).filter(|_| is_own);
                drop(document);
                let read = self.understand(answer, *observation, other.as_deref(), times, profile);
                match next {
                    None => read,
                    Some(_) if matches!(read, Ok(StagePhase::Done | StagePhase::Failed)) => read,
                    Some(Err(why)) => {
                        // The same answer is no better when it comes again.
                        self.state = None;
                        Err(Issue::next_elsewhere(why))
                    }
                    Some(Ok(next)) => {
                        self.next_id = Some(next);
                        read
                    }
                }
            }
        };
        read.map_or_else(Reading::Nothing, Reading::State)
    }

    fn apply(
        &mut self,
        reading: Reading,
        (sent, received): (Timestamp, Timestamp),
        not_before: Option<Duration>,
        profile: &Profile,
        limits: Limits,
        failures: &mut BTreeMap<String, u64>,
    ) -> NextStep {
        self.polls.sent += 1;
        self.received_at = Some(received);
        self.issue = None;
        self.queueing.was_away |= match &reading {
            Reading::Unknown(_) => true,
            Reading::Nothing(issue) => issue.kind == NO_CONNECTION,
            Reading::State(_) => false,
        };
        let is_proof = self.missing_cookie().is_none();
        let ends_it = is_proof && self.state_at.is_some() && profile.poll.gone == Gone::Done;
        if !(ends_it && matches!(reading, Reading::Unknown(_)))
            && let Some((_, status)) = self.absent_at.take()
        {
            self.polls.failed += 1;
            *failures.entry(format!("HTTP {status} {NOT_CONFIRMED}")).or_default() += 1;
        }
        if !matches!(reading, Reading::Nothing(_)) {
            self.lasting_issue = None;
        }
        if matches!(reading, Reading::State(_)) && self.stage_word.is_some() {
            *failures.entry(UNNAMED_STAGE_WORD.to_owned()).or_default() += 1;
        }
        let issue = match reading {
            Reading::State(StagePhase::Done) => return NextStep::End(Phase::Succeeded),
            Reading::State(StagePhase::Failed) => return NextStep::End(Phase::Failed),
            Reading::State(_) => return self.go_on(received, limits, not_before),
            Reading::Unknown(absent) => {
                let before = self.unknown_since.map_or(0, |_| self.unknown_answers.0);
                self.unknown_answers = (before + 1, absent.status);
                let since = *self.unknown_since.get_or_insert(sent);
                if ends_it {
                    return self.be_absent(&absent, (sent, received), not_before, limits);
                }
                let when = self.when();
                *failures.entry(format!("HTTP {} {when} the first sight of the job", absent.status)).or_default() += 1;
                return self.be_unknown(is_proof, (since, sent), received, not_before, profile, limits);
            }
            Reading::Nothing(issue) => issue,
        };
        self.polls.failed += u64::from(issue.is_failure);
        *failures.entry(issue.kind.clone()).or_default() += 1;
        if issue.kind == UNSENDABLE {
            self.note_issue(issue);
            return NextStep::End(Phase::Unknown);
        }
        let report = self.report(&issue, received);
        self.note_issue(issue);
        self.go_on_with(report, received, limits, not_before)
    }

    /// The next step of a job that was seen, if its absence ends it. One answer may come from a host that never knew the job, so a second
    /// poll follows at once. If the answer may come from a cache, the second poll waits until the next answer cannot be the same.
    fn be_absent(
        &mut self,
        absent: &Absent,
        (sent, received): (Timestamp, Timestamp),
        not_before: Option<Duration>,
        limits: Limits,
    ) -> NextStep {
        let (first, _) = *self.absent_at.get_or_insert((received, absent.status));
        if sent.shifted(-absent.max_age) >= first {
            self.received_at = Some(first);
            return NextStep::End(Phase::Succeeded);
        }
        let wait = Duration::try_from_secs_f64(absent.max_age).unwrap_or_default();
        match self.go_on(received, limits, not_before) {
            NextStep::Poll { not_before } => NextStep::LookAgain { wait: wait.max(not_before.unwrap_or_default()) },
            next => next,
        }
    }

    /// The next step of a job that the target did not know from `since` until the poll that was `sent` last, however late its answer
    /// was read; with `is_proof`, an answer that knows it would have come.
    fn be_unknown(
        &self,
        is_proof: bool,
        (since, sent): (Timestamp, Timestamp),
        received: Timestamp,
        not_before: Option<Duration>,
        profile: &Profile,
        limits: Limits,
    ) -> NextStep {
        let was_seen = self.state_at.is_some();
        if sent.since(since) < limits.lost_after.as_secs_f64() {
            return self.go_on(received, limits, not_before);
        }
        let may_have_ended =
            if was_seen { profile.poll.gone == Gone::Unknown } else { self.is_doubtful || self.is_unaccepted };
        NextStep::End(if may_have_ended || !is_proof { Phase::Unknown } else { Phase::Lost })
    }

    /// Keeps the issue of the last poll, and one with a reason as long as most polls since the job's state was told have had such.
    fn note_issue(&mut self, issue: Issue) {
        let excess = self.lasting_issue.as_ref().map_or(0, |lasting| lasting.1);
        if issue.reason.is_some() {
            self.lasting_issue = Some(Box::new((issue.clone(), excess + 1)));
        } else if let Some(lasting) = self.lasting_issue.as_mut().filter(|_| excess > 0) {
            lasting.1 -= 1;
        } else {
            self.lasting_issue = None;
        }
        self.issue = Some(issue);
    }

    /// Writes `report`, if there is one, and polls again, unless the deadline has passed.
    fn go_on_with(
        &self,
        report: Option<Record>,
        now: Timestamp,
        limits: Limits,
        not_before: Option<Duration>,
    ) -> NextStep {
        match (self.go_on(now, limits, not_before), report) {
            (NextStep::Poll { not_before }, Some(record)) => NextStep::Report { record, not_before },
            (next, _) => next,
        }
    }

    /// Polls again, unless the deadline has passed.
    fn go_on(&self, now: Timestamp, limits: Limits, not_before: Option<Duration>) -> NextStep {
        if self.time_left(now, limits) > 0.0 {
            return NextStep::Poll { not_before };
        }
        NextStep::End(if self.is_unpolled() { Phase::Interrupted } else { Phase::TimedOut })
    }

    /// Records that the deadline passed before the last poll was answered, or before the token request that it waited for was.
    /// Counts that poll in `failures`.
    pub(in crate::tools::poll_jobs) fn expire(
        &mut self,
        token_request: Option<&str>,
        failures: &mut BTreeMap<String, u64>,
    ) {
        let issue = Issue::unanswered_at_deadline(token_request);
        self.polls.sent += 1;
        self.polls.failed += 1;
        *failures.entry(issue.kind.clone()).or_default() += 1;
        self.note_issue(issue);
    }

    /// Records that its deadline passed before the list that should have told of it was read to the end.
    pub(in crate::tools::poll_jobs) fn note_unread_list(&mut self, page: u64, place: &str) {
        self.issue = Some(Issue::unread_list(page, place));
    }

    /// Records that its deadline passed before the last poll was answered, and that the `limit` of this host had made polls wait: nothing
    /// tells whether the poll was late or the answer.
    pub(in crate::tools::poll_jobs) fn note_own_limit(&mut self, limit: &str) {
        self.issue = Some(Issue::own_limit(limit.to_owned()));
    }

    /// Its state, if an answer is byte for byte the last one that was understood, which did not end the job.
    fn repeated(
        &mut self,
        body: &str,
        answer: &Answer,
        (sent, received): (Timestamp, Timestamp),
    ) -> Option<StagePhase> {
        let state = self.state.filter(|_| *self.body.text == *body && self.head.is_same(answer))?;
        if self.is_from_before(answer, received) || unknown_coding(answer).is_some() {
            return None;
        }
        let as_of = sent.shifted(-answer.max_age());
        self.shown.repeat(as_of);
        self.stages.repeat(self.bound(as_of));
        self.see(as_of, state, received);
        Some(state)
    }

    /// Returns true if a cache held the answer before the job was submitted.
    fn is_from_before(&self, answer: &Answer, received: Timestamp) -> bool {
        answer.min_age() > received.since(self.submitted_at)
    }

    /// Takes what a document tells of the job, unless it is about the job `other`.
    fn understand(
        &mut self,
        answer: Answer,
        observation: Observation,
        other: Option<&str>,
        (sent, received): (Timestamp, Timestamp),
        profile: &Profile,
    ) -> Result<StagePhase, Issue> {
        if self.is_from_before(&answer, received) {
            return Err(Issue::older_than_job(&answer));
        }
        (self.unknown_since, self.missed_since) = (None, None);
        if let Some(cause) = unknown_coding(&answer) {
            return Err(Issue::unreadable(cause, &answer));
        }
        if let Some(other) = other {
            return Err(Issue::other_job(other, &answer, profile));
        }
        // The answer tells the state at this time, or later.
        let as_of = sent.shifted(-answer.max_age());
        let is_old = self.seen_at.is_some_and(|seen| as_of < seen);
        let Observation { status, stages, times, is_lenient, .. } = observation;
        let state = match status {
            StatusReading::Unreadable(cause) => return Err(Issue::unreadable(cause, &answer)),
            StatusReading::NoStatus => Err(Issue::no_word(profile, &answer)),
            StatusReading::Status(StagePhase::Unnamed, word) => Err(Issue::unnamed_word(&word, &answer)),
            StatusReading::Status(state, _) => Ok(state),
        };
        if is_old && !matches!(state, Ok(StagePhase::Done | StagePhase::Failed)) {
            // A cache repeats a state that an earlier poll has already seen, or one before it.
            return state;
        }
        // A document without a status may tell of an error; it does not replace one that told the job's state.
        let is_error_document = state.as_ref().is_err_and(|issue| issue.reason == Some(Reason::NoStatus));
        if !is_error_document || self.state_at.is_none() {
            let between = (self.state_at.and_then(|at| self.bound(at)).unwrap_or(self.submitted_at), received);
            if self.stages.would_lose(&stages) {
                self.stages.keep(&profile.observe(&self.head.document(&self.body.text)).stages);
            }
            if self.stages.record(&stages, self.bound(as_of), received) {
                self.change = Some(between);
            }
            if let Ok(state) = state {
                self.lag = self.shown.observe((state, &stages, times), (as_of, received)).or(self.lag);
            }
            let is_telling = !stages.is_empty() || self.stages.is_empty();
            let progress = state.as_ref().ok().filter(|_| is_telling).map(|state| progress(*state, &stages));
            if progress.is_some() && progress != self.progress {
                (self.progress, self.advance) = (progress, Some(between));
            }
            self.queueing.at = self.queueing.at.or(times.queued_at);
            let is_waiting = matches!(state, Ok(StagePhase::Waiting)) && times.queued_at == self.queueing.at;
            self.queueing.is_retried |= is_waiting && self.started_at.is_some();
            // A time tells whether it is the same job.
            let is_untimed = is_waiting && times.queued_at.is_none();
            self.queueing.is_new |= self.queueing.was_away && is_untimed && self.started_at.is_some();
            self.stage_word = unnamed_word(&stages);
            self.head = SeenHead::of(&answer, profile);
            let is_replaced = !answer.body_is_utf8;
            self.body = SeenBody { text: answer.body.into(), is_replaced, is_lenient, is_cut: answer.is_cut };
            self.seen_at = self.seen_at.max(Some(as_of));
            self.state = state.as_ref().ok().copied();
        }
        if let Ok(state) = state {
            self.understood = true;
            self.see(as_of, state, received);
        }
        state
    }

    /// The time `at`, unless it lies before the submission: then it bounds nothing.
    fn bound(&self, at: Timestamp) -> Option<Timestamp> {
        Some(at).filter(|at| *at >= self.submitted_at)
    }

    /// Records an answer that came at `received` and told the job's `state` at `as_of`.
    fn see(&mut self, as_of: Timestamp, state: StagePhase, received: Timestamp) {
        (self.unknown_since, self.missed_since) = (None, None);
        self.queueing.was_away = false;
        self.seen_at = self.seen_at.max(Some(as_of));
        self.state_at = self.state_at.max(Some(as_of));
        let bound = self.bound(as_of);
        if self.started_at.is_none() {
            if state == StagePhase::Waiting {
                self.not_started_at = self.not_started_at.max(bound);
            } else {
                self.started_at = Some(received);
            }
        }
        if matches!(state, StagePhase::Waiting | StagePhase::Running) {
            self.not_ended_at = self.not_ended_at.max(bound);
        }
    }
}
