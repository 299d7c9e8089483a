//! The problems that keep a Prometheus from answering, or from answering whole.

use serde::Deserialize;

use crate::cli::STOPPED;
use crate::escape;
use crate::http::{HttpError, redirect_body, redirection};
use crate::record::Reason;

/// The hint for a server that wants credentials. A tool that takes them elsewhere replaces it.
pub const CREDENTIALS: &str = "it may require a login: check --header-file, --token-env, --user-env and --tenant";

/// A shortcoming of an answer, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One word for the record.
    pub reason: Reason,
    /// A sentence for a person.
    pub message: String,
    /// True if asking for less may help: the server understood the request and would not do that much.
    pub too_much: bool,
}

impl Problem {
    /// A problem that asking for less would not solve.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), too_much: false }
    }

    /// The problem of a signal that came before `what` could be done.
    pub fn interrupted(what: &str) -> Self {
        Self::new(Reason::Interrupted, format!("{STOPPED} before {what}"))
    }

    /// Returns whether a signal caused it.
    pub fn is_interrupted(&self) -> bool {
        self.reason == Reason::Interrupted
    }

    /// Returns whether nobody answered at all, so that the server itself is in doubt.
    pub fn is_silence(&self) -> bool {
        [Reason::Unreachable, Reason::NoAnswer, Reason::AnswerCut].contains(&self.reason)
    }

    /// Returns whether something else than a Prometheus answered.
    pub fn is_foreign(&self) -> bool {
        self.reason == Reason::NotPrometheus
    }
}

/// The problem of a request to `url` that was not answered.
pub(super) fn silence(method: &str, url: &str, error: &HttpError) -> Problem {
    let (reason, hint) = match error {
        HttpError::NotConnected { .. } => (Reason::Unreachable, "; is Prometheus up, and is --prometheus its address?"),
        HttpError::NoAnswer(_) => (Reason::NoAnswer, "; a longer --timeout may help"),
        HttpError::Truncated { .. } | HttpError::Unreadable { broke_off: true, .. } => (Reason::AnswerCut, ""),
        HttpError::Unreadable { .. } => (Reason::NotPrometheus, "; is --prometheus the address of a Prometheus?"),
        HttpError::Invalid(_) => (Reason::InvalidRequest, ""),
        HttpError::NoCredentials(_) => (Reason::Unauthorized, ""),
        HttpError::OwnLimit { .. } => (Reason::OwnLimit, " (a limit of this host)"),
    };
    Problem::new(reason, format!("{method} {url}: {error}{hint}"))
}

/// The problem of an answer with status 200 that is not Prometheus' answer.
pub fn foreign(body: &str) -> Problem {
    let looks = if body.trim_start().starts_with('<') { "an HTML page, perhaps a login" } else { "something else" };
    let start = escape::start(body.trim(), 120);
    Problem::new(
        Reason::NotPrometheus,
        format!("not a Prometheus answer but {looks}: {start}; is --prometheus its address?"),
    )
}

/// The problem that an answer with another status than 200 means.
pub(super) fn refused(status: u16, location: Option<&str>, body: &str) -> Problem {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Refusal {
        error_type: String,
        error: String,
    }
    let said: Refusal = serde_json::from_str(body).unwrap_or_default();
    let words = if said.error.is_empty() { body.trim() } else { &said.error };
    let kind = &said.error_type;
    // By the status and the type of the error: the words change from version to version.
    let (reason, hint) = match status {
        300..=399 => (Reason::Redirected, CREDENTIALS),
        400 if kind == "bad_data" || kind.is_empty() => (Reason::BadQuery, "check the query and --step"),
        401 | 403 => (Reason::Unauthorized, CREDENTIALS),
        404 => (Reason::NotFound, "if the API has a path prefix such as /prometheus, add it to --prometheus"),
        422 => (Reason::QueryFailed, "use a longer --step, a shorter window or a narrower query"),
        429 => (Reason::Overloaded, "try again when the server is less busy"),
        503 if kind == "timeout" => (Reason::QueryTimeout, "use a longer --step or a narrower query"),
        502..=504 => (Reason::Unavailable, "the server, or a proxy in front of it, is not available now"),
        _ => (Reason::Refused, "the server's log may say more"),
    };
    let to = redirection(location);
    let kind = if kind.is_empty() { String::new() } else { format!(" {}", escape::start(kind, 50)) };
    let words = redirect_body(words, location);
    let words = if words.is_empty() { String::new() } else { format!(": {}", escape::start(&words, 500)) };
    Problem {
        too_much: status == 400 || status == 422,
        ..Problem::new(reason, format!("HTTP {status}{to}{kind}{words}; {hint}"))
    }
}

/// The problem of an answer with status 200 whose own status is not success.
pub fn failed(error_type: Option<&str>, error: Option<&str>) -> Problem {
    let (kind, words) = (error_type.unwrap_or("an error"), error.unwrap_or("without a message"));
    Problem::new(
        Reason::QueryFailed,
        format!("HTTP 200 with status {}: {}", escape::start(kind, 50), escape::start(words, 500)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_named_by_status_and_type_and_keeps_the_servers_words() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"1:8: parse error: unclosed left parenthesis"}"#;
        let problem = refused(400, None, body);
        assert_eq!((problem.reason, problem.too_much), (Reason::BadQuery, true));
        assert_eq!(
            problem.message,
            "HTTP 400 bad_data: 1:8: parse error: unclosed left parenthesis; check the query and --step"
        );
        for (status, body, reason) in [
            (422, r#"{"errorType":"execution"}"#, "QueryFailed"),
            (503, r#"{"errorType":"timeout"}"#, "QueryTimeout"),
            (503, "Service Unavailable", "Unavailable"),
            (302, "", "Redirected"),
            (401, "no", "Unauthorized"),
            (404, "404 page not found", "NotFound"),
            (418, "", "Refused"),
        ] {
            assert_eq!(refused(status, None, body).reason.as_str(), reason, "{status} {body}");
        }
        let login = "http://me:T0K@login/?t=T0K";
        assert!(
            refused(302, Some(login), login).message.starts_with("HTTP 302 to http://login/?t=…: http://login/?t=…; ")
        );
        assert!(foreign(" <!DOCTYPE html>").message.contains("login"));
    }
}
