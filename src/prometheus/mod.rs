//! A Prometheus that is asked: how it is called, what its refusals mean, and how its answers are read.

use std::time::Duration;

use crate::http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cli::{Grace, STOPPED, Stop};
use crate::clock::{Clock, OffsetBounds};
use crate::escape;
use crate::http::{Answer, BaseUrl, Client, FORM, HttpError, StreamedAnswer, form};
use crate::record::{ClockOffset, Reason, Timestamp};

/// Wait before a query that got no answer is sent once more.
const BACKOFF: Duration = Duration::from_millis(500);
/// A `Retry-After` beyond this is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a refusal is read.
const WORDS: u64 = 64 * 1024;
/// What makes servers that could answer in part, from caches or from thinned-out data answer whole: the first two are
/// VictoriaMetrics', the others Thanos'. Prometheus ignores them all.
const WHOLE: [(&str, &str); 4] =
    [("nocache", "1"), ("latency_offset", "1ms"), ("partial_response", "false"), ("dedup", "true")];

/// What a message says to do where the server wants credentials. A tool that takes them elsewhere says so in its place.
pub const CREDENTIALS: &str = "it may want a login: look at --header-file, --token-env, --user-env and --tenant";

/// What a signal came before, where a request was not begun.
pub const ASKED: &str = "it was asked for";

/// Why something that was asked for did not come, or not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// One word for the record.
    pub reason: Reason,
    /// A sentence for a person.
    pub message: String,
    /// Whether asking for less may help: the server understood the request and would not do that much.
    pub too_much: bool,
}

impl Problem {
    /// One that asking for less would not help.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), too_much: false }
    }

    /// A signal came before `what` could be done.
    pub fn interrupted(what: &str) -> Self {
        Self::new(Reason::Interrupted, format!("{STOPPED} before {what}"))
    }

    /// Whether it is a signal's doing.
    pub fn is_interrupted(&self) -> bool {
        self.reason == Reason::Interrupted
    }

    /// Whether nobody answered at all, so that the server itself is in doubt.
    pub fn is_silence(&self) -> bool {
        [Reason::Unreachable, Reason::NoAnswer, Reason::AnswerCut].contains(&self.reason)
    }

    /// Whether somebody else answered.
    pub fn is_foreign(&self) -> bool {
        self.reason == Reason::NotPrometheus
    }
}

/// One Prometheus.
#[derive(Debug)]
pub struct Server {
    base: BaseUrl,
    exchange: Client,
    clock: Clock,
    bounds: OffsetBounds,
    stop: Stop,
    grace: Grace,
}

/// An answer of the API that fits into memory.
#[derive(Debug, Deserialize)]
struct Small<T> {
    status: String,
    data: Option<T>,
}

impl Server {
    /// The one at `base`, asked through `exchange`; a signal ends its waits, and a while later its requests.
    pub fn new(base: BaseUrl, exchange: Client, clock: Clock, stop: Stop) -> Self {
        let grace = stop.grace();
        Self { base, exchange, clock, bounds: OffsetBounds::default(), stop, grace }
    }

    /// The server's clock minus ours, as its dates tell so far.
    pub fn offset(&self) -> Option<ClockOffset> {
        self.bounds.offset()
    }

    /// The time on the server's clock, as far as it is known to differ from ours.
    pub fn now(&self) -> Timestamp {
        let differs = |offset: &ClockOffset| offset.seconds.abs() > offset.bound_seconds;
        self.clock.now().shifted(self.offset().filter(differs).map_or(0.0, |offset| offset.seconds))
    }

    /// Whether the server is there and answers queries.
    pub fn ready(&mut self) -> Result<(), Problem> {
        let url = self.base.join("/-/ready");
        let ready = self.get(&url)?;
        if ready.status == 200 {
            return Ok(());
        }
        // Hosted ones have no such page, and answer queries all the same.
        let probe = self.ask("/api/v1/query", &[("query", "vector(1)")]);
        match probe.and_then(|answer| small::<serde::de::IgnoredAny>(&answer)) {
            Ok(_) => Ok(()),
            Err(problem) if ready.status == 503 => Err(Problem::new(
                Reason::NotReady,
                format!("GET {url}: {}; the query vector(1): {}", ready.summary(), problem.message),
            )),
            Err(problem) => Err(problem),
        }
    }

    /// GETs a small page.
    fn get(&mut self, url: &str) -> Result<Answer, Problem> {
        self.may_ask()?;
        let sent = self.clock.now();
        let answer = self.exchange.send(&Method::GET, url, &[], None, &self.clock);
        let answer = answer.map_err(|trouble| silence("GET", url, &trouble))?;
        self.note(answer.date, sent);
        Ok(answer)
    }

    /// The data of a small answer to a GET.
    pub fn data<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Problem> {
        let url = self.base.join(path);
        self.get(&url).and_then(|answer| small(&answer))
    }

    /// The data of an instant query whose answer is small.
    pub fn instant<T: DeserializeOwned>(&mut self, query: &str) -> Result<T, Problem> {
        self.ask("/api/v1/query", &[("query", query)]).and_then(|answer| small(&answer))
    }

    /// The data of an instant query at `time`, where its answer is small.
    pub fn instant_at<T: DeserializeOwned>(&mut self, query: &str, time: Timestamp) -> Result<T, Problem> {
        let time = time.to_string();
        self.ask("/api/v1/query", &[("query", query), ("time", &time)]).and_then(|answer| small(&answer))
    }

    /// A POST whose answer is small.
    fn ask(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Problem> {
        self.may_ask()?;
        let (url, body) = (self.base.join(path), form(&[parameters, &WHOLE].concat()));
        let sent = self.clock.now();
        let answer = self.exchange.send(&Method::POST, &url, &content_type(), Some(&body), &self.clock);
        let answer = answer.map_err(|trouble| silence("POST", &url, &trouble))?;
        self.note(answer.date, sent);
        Ok(answer)
    }

    /// POSTs a query whose answer may be of any size. A query changes nothing, so one that got no answer is sent once more.
    pub fn query(&mut self, path: &str, parameters: &[(&str, &str)]) -> Result<StreamedAnswer, Problem> {
        let (url, body) = (self.base.join(path), form(&[parameters, &WHOLE].concat()));
        let mut again = true;
        loop {
            self.may_ask()?;
            let sent = self.clock.now();
            let answer = self.exchange.open(&Method::POST, &url, &content_type(), Some(&body), &self.clock);
            let again = std::mem::take(&mut again) && self.stop.signal().is_none();
            let wait = match answer {
                Ok(answer) if answer.status == 200 => {
                    self.note(answer.date, sent);
                    return Ok(answer);
                }
                Ok(answer) => match answer.retry_after.filter(|wait| again && *wait <= PATIENCE) {
                    Some(wait) => wait,
                    None => return Err(refusal(answer)),
                },
                Err(HttpError::NotConnected(_) | HttpError::NoAnswer(_)) if again => BACKOFF,
                Err(trouble) => return Err(silence("POST", &url, &trouble)),
            };
            // That a signal came is as good a reason to go on as that the time is over.
            self.stop.wait(wait);
        }
    }

    /// Refuses to begin a request once the time after a signal is over.
    fn may_ask(&self) -> Result<(), Problem> {
        if self.grace.is_over() { Err(Problem::interrupted(ASKED)) } else { Ok(()) }
    }

    /// The time after a signal, which bounds what is read, too.
    pub fn grace(&self) -> &Grace {
        &self.grace
    }

    fn note(&mut self, date: Option<Timestamp>, sent: Timestamp) {
        if let Some(date) = date {
            self.bounds.observe(date, sent, self.clock.now());
        }
    }
}

fn content_type() -> [(String, String); 1] {
    [("content-type".to_owned(), FORM.to_owned())]
}

fn silence(method: &str, url: &str, trouble: &HttpError) -> Problem {
    let (reason, hint) = match trouble {
        HttpError::NotConnected(_) => (Reason::Unreachable, "; is Prometheus up, and is --prometheus its address?"),
        HttpError::NoAnswer(_) => (Reason::NoAnswer, "; a longer --timeout may help"),
        HttpError::Truncated { .. } => (Reason::AnswerCut, ""),
        HttpError::Unreadable(_) => (Reason::NotPrometheus, "; is --prometheus the address of a Prometheus?"),
        HttpError::Invalid(_) => (Reason::InvalidRequest, ""),
    };
    Problem::new(reason, format!("{method} {url}: {trouble}{hint}"))
}

fn small<T: DeserializeOwned>(answer: &Answer) -> Result<T, Problem> {
    if answer.status != 200 {
        return Err(refused(answer.status, answer.location.as_deref(), &answer.body));
    }
    match serde_json::from_str::<Small<T>>(&answer.body) {
        Ok(Small { status, data: Some(data) }) if status == "success" => Ok(data),
        _ => Err(foreign(&answer.body)),
    }
}

/// What a 200 is that is not Prometheus' answer.
pub fn foreign(body: &str) -> Problem {
    let looks = if body.trim_start().starts_with('<') { "an HTML page, perhaps a login" } else { "something else" };
    let start = escape::start(body.trim(), 120);
    Problem::new(
        Reason::NotPrometheus,
        format!("not a Prometheus answer but {looks}: {start}; is --prometheus its address?"),
    )
}

/// What an answer with another status than 200 means.
fn refusal(answer: StreamedAnswer) -> Problem {
    let (status, location) = (answer.status, answer.location.clone());
    refused(status, location.as_deref(), &answer.start(WORDS))
}

fn refused(status: u16, location: Option<&str>, body: &str) -> Problem {
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
        400 if kind == "bad_data" || kind.is_empty() => (Reason::BadQuery, "look at the query and at --step"),
        401 | 403 => (Reason::Unauthorized, CREDENTIALS),
        404 => (Reason::NotFound, "if the API stands below a path, add that to --prometheus, such as /prometheus"),
        422 => (Reason::QueryFailed, "a longer --step, a shorter window or a narrower query asks for less"),
        429 => (Reason::Overloaded, "try again when the server has less to do"),
        503 if kind == "timeout" => (Reason::QueryTimeout, "a longer --step or a narrower query asks for less"),
        502..=504 => (Reason::Unavailable, "the server, or what stands before it, is not up to it now"),
        _ => (Reason::Refused, "the server's log may say more"),
    };
    let to = location.map(|to| format!(" to {}", escape::start(to, 200))).unwrap_or_default();
    let kind = if kind.is_empty() { String::new() } else { format!(" {}", escape::start(kind, 50)) };
    let words = if words.is_empty() { String::new() } else { format!(": {}", escape::start(words, 500)) };
    Problem {
        too_much: status == 400 || status == 422,
        ..Problem::new(reason, format!("HTTP {status}{to}{kind}{words}; {hint}"))
    }
}

/// What a 200 says whose own status is not success.
pub fn failed(error_type: Option<&str>, error: Option<&str>) -> Problem {
    let (kind, words) = (error_type.unwrap_or("an error"), error.unwrap_or("without a word"));
    Problem::new(
        Reason::QueryFailed,
        format!("HTTP 200 that says {}: {}", escape::start(kind, 50), escape::start(words, 500)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_status_and_type_and_keep_the_servers_words() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"1:8: parse error: unclosed left parenthesis"}"#;
        let problem = refused(400, None, body);
        assert_eq!((problem.reason, problem.too_much), (Reason::BadQuery, true));
        assert_eq!(
            problem.message,
            "HTTP 400 bad_data: 1:8: parse error: unclosed left parenthesis; look at the query and at --step"
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
        assert!(refused(302, Some("http://login"), "").message.starts_with("HTTP 302 to http://login; "));
        assert!(foreign(" <!DOCTYPE html>").message.contains("login"));
    }
}
