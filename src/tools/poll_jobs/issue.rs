//! An answer, or the lack of one, that says nothing about the job.

use crate::escape;
use crate::http::{Answer, HttpError};
use crate::profile::Profile;
use crate::record::Reason;

/// The reason why a poll told nothing about its job.
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
    /// The poll counts as failed.
    pub(super) is_failure: bool,
}

impl Issue {
    fn failure(kind: impl Into<String>, reason: Option<Reason>, message: String, body: Option<&str>) -> Self {
        Self { kind: kind.into(), reason, message, body: body.map(Into::into), is_failure: true }
    }

    /// No answer came, or none that could be read.
    pub(super) fn from_error(error: &HttpError) -> Self {
        let message = error.to_string();
        match error {
            HttpError::NotConnected(_) => Self::failure("no connection", None, message, None),
            HttpError::NoAnswer(_) | HttpError::Invalid(_) | HttpError::OwnLimit(_) => {
                Self::failure("no answer", None, message, None)
            }
            HttpError::Unreadable(_) => Self::failure("unreadable head", Some(Reason::UnreadableAnswer), message, None),
            HttpError::Truncated { body, .. } => {
                Self::failure("truncated body", Some(Reason::UnreadableAnswer), message, Some(body))
            }
        }
    }

    /// The poll was still unanswered at the deadline.
    pub(super) fn unanswered_at_deadline() -> Self {
        Self::failure("no answer", None, "it was still unanswered at the deadline".to_owned(), None)
    }

    /// The answer has a status that is neither a success nor "no such job". `answered_before` is true if polls succeeded
    /// before.
    pub(super) fn from_status(answer: &Answer, answered_before: bool) -> Self {
        let (status, summary) = (answer.status, answer.summary());
        match status {
            300..=399 => Self::failure(
                format!("HTTP {status} (redirect)"),
                Some(Reason::Redirected),
                format!("the poll was redirected, which is not followed: {summary}"),
                Some(&answer.body),
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
        let age = answer.head.age.unwrap_or_default().as_secs();
        let message = format!("a cache answered {}, {age} s old, although polls ask caches not to", answer.summary());
        Self::failure(format!("HTTP {} from a cache", answer.status), None, message, None)
    }

    /// A cache answered with an answer from before the submission: it is about an earlier job of this id, if about any.
    pub(super) fn older_than_job(answer: &Answer) -> Self {
        let age = answer.head.age.unwrap_or_default().as_secs();
        let message = format!("a cache answered {}, {age} s old and so from before the submission", answer.summary());
        Self::failure("an answer from a cache, older than the job", None, message, None)
    }

    /// The body cannot be read.
    pub(super) fn unreadable(cause: String, answer: &Answer) -> Self {
        let coding = if answer.body_is_utf8 { "" } else { "; its bytes are not UTF-8" };
        Self::failure("unreadable body", Some(Reason::UnreadableAnswer), format!("{cause}{coding}"), Some(&answer.body))
    }

    /// The answer is about the job `other`.
    pub(super) fn other_job(other: &str, body: &str, profile: &Profile) -> Self {
        let pointers = profile.poll.id.as_ref().unwrap_or(&profile.submit.id).join(", ");
        let other = escape::start(other, 60);
        Self::failure(
            "another job's answer",
            Some(Reason::OtherJob),
            format!(
                "the answer is about another job, {other}, by {pointers}; if the id is elsewhere set poll.id in the profile"
            ),
            Some(body),
        )
    }

    /// The profile does not name the status word.
    pub(super) fn unnamed_word(word: &str) -> Self {
        let word = escape::start(word, 60);
        Self {
            is_failure: false,
            ..Self::failure(
                "unnamed status word",
                Some(Reason::UnnamedStatus),
                format!("the profile does not name the target's status \"{word}\": add it under [poll.words]"),
                None,
            )
        }
    }

    /// The answer has no status word.
    pub(super) fn no_word(profile: &Profile) -> Self {
        let pointers = profile.poll.status.join(", ");
        Self {
            is_failure: false,
            ..Self::failure(
                "no status word",
                Some(Reason::NoStatus),
                format!("the target's answer has nothing at {pointers}: correct poll.status in the profile"),
                None,
            )
        }
    }
}
