//! The one HTTP client of the tools, and the distinction between its errors.
//!
//! Measurements decided how ureq is used: a timeout for each phase and none for the whole call (that costs a thread per
//! request), an agent for each thread (the pool of a shared one is a lock), small buffers, no proxy (a load test measures
//! the target, not a proxy that the environment happens to name).

mod addresses;
mod answer;
mod args;
mod authorize;
mod body;
mod buffers;
mod certificate;
mod coding;
mod connect;
mod crypto;
mod error;
mod given;
mod head;
mod identity;
mod patient;
mod pem;
mod stream;
mod tls;
mod url;
mod verifier;

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::{Request, Response};
use ureq::unversioned::transport::Connector as _;
use ureq::{Agent, SendBody};

use addresses::LookedUp;
use body::Timed;
use buffers::LONGEST_LINE;
use connect::{RacingConnector, WorkingAddresses};
use error::client_error;
use patient::{Exchange, PatientConnector};
use tls::TlsConnector;

use crate::cli::Console;
use crate::clock::Clock;
use crate::heartbeat::Heartbeat;
use crate::own_limits;
use crate::record::Timestamp;
use crate::secrets::Secrets;
use crate::units;

pub use answer::Answer;
pub use args::{HttpArgs, shell_quoted};
pub use authorize::{Authorize, Credentials, NoCredentials};
pub use body::{Body, Part};
pub use error::HttpError;
pub use given::{is_secret, why_not_given};
pub use head::Head;
pub use stream::{FORM, StreamedAnswer, form};
pub use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method};
pub use url::{BaseUrl, redirect_body, redirection, same_origin, shown};

/// The longest body that is read; a longer one is an error, so that a target cannot fill the memory.
const BODY_LIMIT: u64 = 10 * 1024 * 1024;
/// The HTTP status with which a target refuses credentials.
const UNAUTHORIZED: u16 = 401;
/// The room for a body of unknown length, in bytes.
const FIRST_READ: usize = 1024;
/// The part of a truncated body that is kept, in bytes.
const KEPT_OF_TRUNCATED: usize = 1024 * 1024;

/// The reuse of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Reused for the next request: for polls, which may be sent again.
    Kept,
    /// A new connection for each request. A reused one may die just as a request is sent, and then it is not known whether
    /// the request arrived; a submission must not risk that.
    Fresh,
}

/// Makes clients that share one configuration.
#[derive(Clone, Debug)]
pub struct ClientFactory {
    config: Config,
    tls: TlsConnector,
    looked_up: LookedUp,
    working: WorkingAddresses,
    headers: HeaderMap,
    authorize: Option<Arc<dyn Authorize>>,
    timeout: Duration,
    heartbeat: Heartbeat,
    secrets: Secrets,
}

/// Waits until a request may be sent, and counts it.
#[derive(Clone)]
pub struct Turn(Arc<dyn Fn() + Send + Sync>);

impl Turn {
    /// A turn for which `wait` waits.
    pub fn new(wait: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wait))
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

/// An HTTP client for one thread.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    headers: HeaderMap,
    authorize: Option<Arc<dyn Authorize>>,
    /// The cookies that it sends beside those that the user gave.
    cookies: Option<Vec<u8>>,
    /// What each request waits for before it is sent.
    turn: Option<Turn>,
    /// The time at which the last request was sent.
    sent_at: Arc<Mutex<Option<Timestamp>>>,
    timeout: Duration,
    /// The last request, and its answer as far as it came.
    exchange: Exchange,
    heartbeat: Heartbeat,
    secrets: Secrets,
}

impl ClientFactory {
    /// Sends `name: value` with every request, replacing any header of that name.
    pub fn insert_header(&mut self, name: HeaderName, mut value: HeaderValue, secret: bool) {
        value.set_sensitive(secret);
        self.headers.insert(name, value);
    }

    /// Authorizes every request to the target by `authorize`.
    pub fn authorize(&mut self, authorize: Arc<dyn Authorize>) {
        self.authorize = Some(authorize);
    }

    /// Puts the secrets that its clients learn into `secrets`.
    pub fn keep_secrets(&mut self, secrets: &Secrets) {
        self.secrets = secrets.clone();
    }

    /// The measurement of how long this process stands still.
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// A client for one thread.
    pub fn client(&self) -> Client {
        let (config, looked_up) = (self.config.clone(), self.looked_up.clone());
        let (exchange, heartbeat) = (Exchange::default(), self.heartbeat.clone());
        let patient = PatientConnector { heartbeat: heartbeat.clone(), exchange: exchange.clone() };
        let tcp = RacingConnector::new(&self.working, &exchange);
        let tls = self.tls.noting(&exchange);
        let agent = Agent::with_parts(config, tcp.chain(tls).chain(patient), looked_up);
        let (headers, authorize) = (self.headers.clone(), self.authorize.clone());
        let (timeout, secrets) = (self.timeout, self.secrets.clone());
        let (cookies, turn, sent_at) = (None, None, Arc::default());
        Client { agent, headers, authorize, cookies, turn, sent_at, timeout, exchange, heartbeat, secrets }
    }
}

impl Client {
    /// The same, on the same connections, without the headers and the credentials that it sends with every request.
    #[must_use]
    pub fn without_headers(&self) -> Self {
        Self { headers: HeaderMap::new(), authorize: None, cookies: None, ..self.clone() }
    }

    /// The same, on the same connections, with this `Cookie` header beside the cookies that the user gave.
    #[must_use]
    pub fn with_cookies(&self, header: Vec<u8>) -> Self {
        Self { cookies: Some(header), ..self.clone() }
    }

    /// The same, on the same connections, with each request sent in its `turn`.
    #[must_use]
    pub fn in_turn(&self, turn: Turn) -> Self {
        Self { turn: Some(turn), ..self.clone() }
    }

    /// The secrets that must not appear in what is told of its answers.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Makes sure that there are credentials for the next request.
    pub fn authorize(&self, clock: &Clock) -> Result<(), NoCredentials> {
        self.authorize.as_ref().map_or(Ok(()), |authorize| authorize.credentials(clock).map(drop))
    }

    /// The delay of a request that was due at `due` and is sent now, without the time for which requests waited for credentials.
    pub fn lateness(&self, due: Instant) -> Duration {
        let now = Instant::now();
        let waited = self.authorize.as_ref().map_or(Duration::ZERO, |authorize| authorize.waited(due, now));
        now.saturating_duration_since(due).saturating_sub(waited)
    }

    /// The time at which the last request was sent: after its credentials were renewed, and for the second time if the first was
    /// refused for them.
    pub fn sent_at(&self) -> Option<Timestamp> {
        *self.sent_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` with this client. After a few seconds it says on `console` which `place` it waits for, and how long at most.
    pub fn announced<T>(
        &self,
        console: &Console,
        place: impl FnOnce() -> String + Send,
        work: impl FnOnce() -> T,
    ) -> T {
        let limit = units::whole(self.timeout);
        console.while_waiting(move || format!("waiting for {}, {limit} at most", place()), work)
    }

    /// The time that this process has stood still so far.
    pub fn lost(&self) -> Duration {
        self.heartbeat.lost()
    }

    /// Sends a request and reads the whole answer. `extra` headers replace the client's of the same name. If the target refuses
    /// the credentials (401), the request is sent once more with renewed ones.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&Body>,
        clock: &Clock,
    ) -> Result<Answer, HttpError> {
        let Some(authorize) = &self.authorize else { return self.send_once(method, url, extra, body, clock) };
        let send = |credentials: &Credentials| {
            let mut client = self.clone();
            for (name, value) in &credentials.headers {
                client.headers.insert(name.clone(), value.clone());
            }
            client.send_once(method, url, extra, body, clock)
        };
        let credentials = authorize.credentials(clock).map_err(HttpError::NoCredentials)?;
        let outcome = send(&credentials);
        if HttpError::begun(&outcome).is_none_or(|answer| answer.status != UNAUTHORIZED) {
            return outcome;
        }
        match authorize.renewed(&credentials, clock) {
            Ok(Some(renewed)) => send(&renewed),
            Ok(None) => outcome,
            Err(none) => Err(HttpError::NoCredentials(NoCredentials {
                why: format!("HTTP {UNAUTHORIZED}, and then {none}"),
                ..none
            })),
        }
    }

    fn send_once(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&Body>,
        clock: &Clock,
    ) -> Result<Answer, HttpError> {
        if let Some(Turn(wait)) = &self.turn {
            wait();
        }
        *self.sent_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock.now());
        let ended_at = Arc::default();
        let response = self.run(method, url, extra, body, clock, &ended_at)?;
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let length = body.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(FIRST_READ);
        let mut bytes = Vec::with_capacity(length.min(KEPT_OF_TRUNCATED));
        let body = body.into_with_config().limit(BODY_LIMIT).reader();
        // The limit on what is sent does not limit what that is decoded to.
        let read = coding::decoded(&parts.headers, body).take(BODY_LIMIT + 1).read_to_end(&mut bytes);
        let too_long = || std::io::Error::other(ureq::Error::BodyExceedsLimit(BODY_LIMIT));
        let read = read.and_then(|length| if length as u64 > BODY_LIMIT { Err(too_long()) } else { Ok(length) });
        let uploaded_at = *ended_at.lock().unwrap_or_else(PoisonError::into_inner);
        let head = Head::from_parts(parts, clock);
        if let Err(error) = read {
            if own_limits::is_exhausted(&error) {
                return Err(self.own_limit(&error));
            }
            bytes.truncate(KEPT_OF_TRUNCATED);
            let cause = self.describe_read_error(&error);
            let is_malformed =
                matches!(client_error(&error), Some(ureq::Error::Protocol(_) | ureq::Error::Decompress(..)));
            if is_malformed && bytes.is_empty() {
                // A body that cannot be read from its first byte on is shown as it came.
                bytes = self.exchange.body();
            }
            let broke_off = !matches!(
                client_error(&error),
                Some(ureq::Error::Decompress(..) | ureq::Error::BodyExceedsLimit(_) | ureq::Error::Protocol(_))
            );
            let part = Answer { is_cut: true, ..Answer::new(status, head, bytes, uploaded_at) };
            return Err(HttpError::Truncated { part: part.into(), cause, broke_off });
        }
        Ok(Answer::new(status, head, bytes, uploaded_at))
    }

    /// Sends a request. `ended_at` becomes the time at which the last byte of a file in its body was taken.
    fn run(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&Body>,
        clock: &Clock,
        ended_at: &Arc<Mutex<Option<Timestamp>>>,
    ) -> Result<Response<ureq::Body>, HttpError> {
        self.exchange.begin();
        let invalid = |what: String| HttpError::Invalid(what);
        let boundary = body.map(|_| format!("{:032x}", fastrand::u128(..))).unwrap_or_default();
        let content_type = body.map(|body| body.content_type(&boundary));
        let text = match body {
            Some(body) if body.reads_files() => None,
            Some(Body::Text { text, .. }) => Some(text.clone()),
            Some(other) => Some(other.read(&boundary).map_err(invalid)?),
            None => Some(String::new()),
        };
        let response = match (text, body) {
            (None, Some(body)) => {
                let (reader, left) = body.open(&boundary).map_err(invalid)?;
                let mut request = self.request(method, url, extra, content_type.as_deref(), ())?;
                request.headers_mut().insert("content-length", left.into());
                let timed = Timed { reader, left, clock: clock.clone(), ended_at: ended_at.clone() };
                self.agent.run(request.map(|()| SendBody::from_owned_reader(timed)))
            }
            (text, _) => {
                self.agent.run(self.request(method, url, extra, content_type.as_deref(), text.unwrap_or_default())?)
            }
        };
        response.map_err(|error| self.http_error(&error))
    }

    fn request<B>(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        content_type: Option<&str>,
        body: B,
    ) -> Result<Request<B>, HttpError> {
        let invalid = |error: &dyn std::fmt::Display| HttpError::Invalid(error.to_string());
        let mut request = Request::builder().method(method).uri(url).body(body);
        let headers = request.as_mut().map_err(|error| invalid(error))?.headers_mut();
        headers.extend(self.headers.clone());
        if let Some(content_type) = content_type.filter(|_| !headers.contains_key("content-type")) {
            headers.insert("content-type", HeaderValue::from_str(content_type).map_err(|error| invalid(&error))?);
        }
        if method == Method::GET {
            // An old answer would be worse than none: caches shall pass the request on.
            headers.entry("cache-control").or_insert(HeaderValue::from_static("no-cache"));
        }
        let extra = extra.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        for (name, value) in extra.chain(self.cookies.as_deref().map(|cookies| ("cookie", cookies))) {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(&format!("`{name}` is not a valid header name")))?;
            let given = headers.get(&name).filter(|_| name == "cookie").map(HeaderValue::as_bytes);
            let value = HeaderValue::from_bytes(&given.into_iter().chain([value]).collect::<Vec<_>>().join(&b"; "[..]));
            let value = value.map_err(|_| invalid(&format!("the value of {name} is not valid in a header")))?;
            headers.insert(name, value);
        }
        let request = request.map_err(|error| invalid(&error))?;
        self.exchange.set_line(longest_line(&request)?);
        Ok(request)
    }
}

/// The length of the longest line of a request. Fails if it cannot be sent: the HTTP client would blame the answer for it.
fn longest_line<B>(request: &Request<B>) -> Result<usize, HttpError> {
    let check = |what: &str, length: usize| {
        let message = || format!("{what} has {length} bytes, and at most {LONGEST_LINE} can be sent");
        if length > LONGEST_LINE { Err(HttpError::Invalid(message())) } else { Ok(length) }
    };
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let mut headers = request.headers().iter();
    headers.try_fold(check("the URL of the request", path)?, |longest, (name, value)| {
        Ok(longest.max(check(name.as_str(), name.as_str().len() + value.len())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_to_be_sent_is_named() {
        let error = |path: usize, value: usize| {
            let request =
                Request::builder().uri(format!("http://h/{}", "a".repeat(path))).header("cookie", "b".repeat(value));
            longest_line(&request.body(()).unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(error(8000, 18_000), Ok(18_006));
        assert!(error(49_152, 1).unwrap_err().starts_with("the URL of the request has 49153 bytes"));
        assert!(error(1, 49_147).unwrap_err().starts_with("cookie has 49153 bytes"));
    }
}
