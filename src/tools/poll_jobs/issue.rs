//! An answer, or the lack of one, that says nothing about the job.

use std::time::Duration;

use serde_json::Value;

use crate::escape;
use crate::http::{Answer, HttpError};
use crate::listing::Absence;
use crate::profile::{Document, Profile, spelled};
use crate::record::Reason;

/// The kind of polls that a limit of this host kept from being sent.
pub(super) const OWN_LIMIT: &str = "own limit";
/// The kind of answers that told the job's state, and that of a stage in a word that the profile does not name.
pub(super) const UNNAMED_STAGE_WORD: &str = "unnamed stage word";
/// The kind of answers that asked for a longer wait than the deadline left, whatever else they told.
pub(super) const LONG_PAUSE: &str = "Retry-After beyond the deadline";
/// The kind of polls for which the target took no connection.
pub(super) const NO_CONNECTION: &str = "no connection";
/// The kind of polls that cannot be sent, now or later.
pub(super) const UNSENDABLE: &str = "not a valid request";
/// The kind of polls for which no token could be had.
const NO_TOKEN: &str = "no token";

/// The kind of answers whose body cannot be read.
const UNREADABLE: &str = "unreadable body";

/// The reason why a poll said nothing about its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issue {
    /// The kind under which it is counted.
    pub(super) kind: String,
    /// The reason of the record that is written at once; none for an issue that is expected to pass.
    pub(super) reason: Option<Reason>,
    /// The sentence for the console and the record.
    pub(super) message: String,
    /// The body as it came, if it belongs on the record.
    pub(super) body: Option<Box<str>>,
    /// Bytes of the body were replaced, because they are not UTF-8.
    pub(super) is_replaced: bool,
    /// The poll counts as failed.
    pub(super) is_failure: bool,
}

impl Issue {
    fn failure(kind: impl Into<String>, reason: Option<Reason>, message: String, body: Option<&str>) -> Self {
        Self { kind: kind.into(), reason, message, body: body.map(Into::into), is_replaced: false, is_failure: true }
    }

    /// An issue for which `answer` is kept as it came.
    fn keeping(answer: &Answer, kind: impl Into<String>, reason: Reason, message: String) -> Self {
        let is_replaced = !answer.body_is_utf8;
        Self { is_replaced, ..Self::failure(kind, Some(reason), message, Some(&answer.shown_body())) }
    }

    /// No answer came, or none that could be read.
    pub(super) fn from_error(error: &HttpError) -> Self {
        let message = error.to_string();
        match error {
            HttpError::NotConnected { .. } => Self::failure(NO_CONNECTION, None, message, None),
            HttpError::OwnLimit { .. } => Self::own_limit(message),
            HttpError::NoCredentials(_) => Self::failure(NO_TOKEN, None, message, None),
            HttpError::NoAnswer(_) => Self::failure("no answer", None, message, None),
            HttpError::Invalid(_) => Self::failure(UNSENDABLE, Some(Reason::InvalidRequest), message, None),
            HttpError::Unreadable { came, broke_off, .. } => {
                let kind = if *broke_off { "truncated head" } else { "unreadable head" };
                let body = Some(came.as_str()).filter(|came| !came.is_empty());
                Self::failure(kind, Some(Reason::UnreadableAnswer), message, body)
            }
            HttpError::Truncated { part, broke_off, .. } => {
                let kind = if *broke_off { "truncated body" } else { UNREADABLE };
                Self::keeping(part, kind, Reason::UnreadableAnswer, message)
            }
        }
    }

    /// A limit of this host is the reason: the target has no part in it.
    pub(super) fn own_limit(limit: String) -> Self {
        Self { is_failure: false, ..Self::failure(OWN_LIMIT, None, limit, None) }
    }

    /// The poll was still unanswered at the deadline. If it waited for a token, `token_request` describes the request for one.
    pub(super) fn unanswered_at_deadline(token_request: Option<&str>) -> Self {
        match token_request {
            Some(what) => Self::failure(NO_TOKEN, None, format!("it had no token at the deadline: {what}"), None),
            None => Self::failure("no answer", None, "it was still unanswered at the deadline".to_owned(), None),
        }
    }

    /// The list lacks the job, which alone does not show that the job has ended.
    pub(super) fn missing(absence: Absence) -> Self {
        let message = match absence {
            Absence::Unproven => "the list lacks it, but may have skipped it: entries left the list while it was read",
            Absence::Direct | Absence::Proven => "the list lacks it",
        };
        Self { is_failure: false, ..Self::failure("not in the list", None, message.to_owned(), None) }
    }

    /// The list was not read to its end by the deadline: the answer of `place` was the next one.
    pub(super) fn unread_list(page: u64, place: &str) -> Self {
        let message = format!("the list was not read to its end by then: page {page}, {place}, was not answered");
        Self::failure("no answer", None, message, None)
    }

    /// The answer has a status that is neither a success nor "no such job". `answered_before` is true if polls succeeded
    /// before.
    pub(super) fn from_status(answer: &Answer, answered_before: bool) -> Self {
        let (status, summary) = (answer.status, answer.summary());
        match status {
            304 => Self::failure(
                "HTTP 304",
                None,
                format!("{summary}: not modified, although the poll named no earlier answer"),
                None,
            ),
            300..=399 => Self::keeping(
                answer,
                format!("HTTP {status} (redirect)"),
                Reason::Redirected,
                format!("the poll was redirected, which is not followed: {summary}"),
            ),
            401 | 403 if answered_before => Self::failure(
                format!("HTTP {status}"),
                None,
                format!("{summary}; polls were answered before: has a login expired?"),
                None,
            ),
            _ => Self::failure(format!("HTTP {status}"), None, summary, None),
        }
    }

    /// A cache, not the target, says that there is no such job.
    pub(super) fn cached_unknown(answer: &Answer) -> Self {
        let age = cached_age(answer);
        let message = format!("a cache answered {}, {age}, although polls ask caches not to", answer.summary());
        Self::failure(format!("HTTP {} from a cache", answer.status), None, message, None)
    }

    /// A cache answered with an answer from before the submission: it is about an earlier job of this id, if about any.
    pub(super) fn older_than_job(answer: &Answer) -> Self {
        let age = cached_age(answer);
        let message = format!("a cache answered {}, {age} and so from before the submission", answer.summary());
        Self::failure("an answer from a cache, older than the job", None, message, None)
    }

    /// The body cannot be read.
    pub(super) fn unreadable(cause: String, answer: &Answer) -> Self {
        let coding = if answer.body_is_utf8 { "" } else { "; its bytes are not UTF-8" };
        let status = if answer.status == 200 { String::new() } else { format!("HTTP {}, but ", answer.status) };
        Self::keeping(answer, UNREADABLE, Reason::UnreadableAnswer, format!("{status}{cause}{coding}"))
    }

    /// The answer is about the job `other`.
    pub(super) fn other_job(other: &str, answer: &Answer, profile: &Profile) -> Self {
        let pointers = spelled(profile.poll_ids());
        let other = escape::start(other, 100);
        let message = format!(
            "the answer is about another job, {other}, according to {pointers}; if this is the same job, set poll.id in the profile to the place \
             of its id, or to [] if the answer spells the id in another form"
        );
        Self::keeping(answer, "another job's answer", Reason::OtherJob, message)
    }

    /// The answer tells a URL to poll next that is on another server.
    pub(super) fn next_elsewhere(why: String) -> Self {
        Self::failure("redirect to another server", Some(Reason::Redirected), why, None)
    }

    /// The profile does not name the status word.
    pub(super) fn unnamed_word(word: &str, answer: &Answer) -> Self {
        let word = escape::start(word, 60);
        let message = format!("the profile does not name the target's status \"{word}\": add it under [poll.words]");
        let kept = Self::keeping(answer, "unnamed status word", Reason::UnnamedStatus, message);
        Self { is_failure: false, ..kept }
    }

    /// The answer has no status word.
    pub(super) fn no_word(profile: &Profile, answer: &Answer) -> Self {
        let pointers = spelled(&profile.poll.status);
        let found = Document::of(answer).value(&profile.poll.status).map(|value| match value {
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
            _ => "a value that is no word",
        });
        let found = found.map_or("nothing".to_owned(), |what| format!("{what}, not a word,"));
        let message = format!("the target's answer has {found} at {pointers}: correct poll.status in the profile");
        Self { is_failure: false, ..Self::keeping(answer, "no status word", Reason::NoStatus, message) }
    }
}

/// The whole seconds for which caches have held an answer, at least.
fn cached_age(answer: &Answer) -> String {
    if answer.max_age().is_infinite() {
        return "of unknown age".to_owned();
    }
    format!("{} s old", answer.head.age.unwrap_or_else(|| Duration::from_secs_f64(answer.min_age())).as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_came_whole_is_not_counted_as_truncated() {
        let kind = |broke_off| {
            let cause = "the body cannot be decoded as gzip".to_owned();
            let part = Answer::for_tests(200, "{}").into();
            Issue::from_error(&HttpError::Truncated { part, cause, broke_off }).kind
        };
        assert_eq!((kind(true).as_str(), kind(false).as_str()), ("truncated body", "unreadable body"));
    }

    #[test]
    fn a_limit_of_this_host_is_no_failed_poll_of_the_target() {
        let own = Issue::from_error(&HttpError::OwnLimit { what: "no local port is free".to_owned(), was_sent: true });
        assert_eq!((own.kind.as_str(), own.is_failure, own.reason), (OWN_LIMIT, false, None));
        assert_eq!(own.message, "no local port is free");
        assert!(
            Issue::from_error(&HttpError::NotConnected { what: "connection refused".to_owned(), is_forbidden: false })
                .is_failure
        );
    }
}
