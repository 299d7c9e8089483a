//! The one HTTP client of the tools, and the distinction between its errors.
//!
//! Measurements decided how ureq is used: a timeout for each phase and none for the whole call (that costs a thread per
//! request), an agent for each thread (the pool of a shared one is a lock), small buffers, no proxy (a load test measures
//! the target, not a proxy that the environment happens to name).

mod args;
mod head;
mod stream;
mod url;

use std::io;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Request};

use crate::clock::Clock;
use crate::escape;
use crate::record::Timestamp;
use crate::units;

pub use args::{HttpArgs, is_secret, shell_quoted};
use head::Head;
pub use stream::{FORM, StreamedAnswer, form};
pub use ureq::http::Method;
pub use url::BaseUrl;

/// The longest body that is read; a longer one is an error, so that a target cannot fill the memory.
const BODY_LIMIT: u64 = 10 * 1024 * 1024;

/// The reuse of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Reused for the next request: for polls, which may be sent again.
    Kept,
    /// A new connection for each request. A reused one may die just as a request is sent, and then nobody knows if the
    /// request arrived; a submission must not risk that.
    Fresh,
}

/// Makes clients that share one configuration.
#[derive(Clone, Debug)]
pub struct ClientFactory {
    config: Config,
    headers: HeaderMap,
    timeout: Duration,
}

/// An answer whose body was read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; bytes that are not UTF-8 are replaced, and then `body_is_utf8` is false.
    pub body: String,
    /// True if the body is byte for byte as the server sent it.
    pub body_is_utf8: bool,
    /// The time that a cache has held the answer (`Age`); zero if it came from the server itself.
    pub age: Duration,
    /// The server's `Date`.
    pub date: Option<Timestamp>,
    /// The wait that `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The target of a redirect.
    pub location: Option<String>,
}

impl Answer {
    /// The status and the start of the body, for a message.
    pub fn summary(&self) -> String {
        let start = escape::start(self.body.trim(), 200);
        let redirect = self.location.as_ref().map(|to| format!(" to {}", escape::start(to, 200))).unwrap_or_default();
        if start.is_empty() {
            format!("HTTP {}{redirect}", self.status)
        } else {
            format!("HTTP {}{redirect}: {start}", self.status)
        }
    }
}

/// The reason why no answer came, by what the server may have seen of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// No connection was made: the server has seen nothing.
    NotConnected(String),
    /// The request may have arrived, and no answer came.
    NoAnswer(String),
    /// An answer with this status began, and its body ended early.
    Truncated(u16, String),
    /// The request cannot be sent: a header or the URL is not valid.
    Invalid(String),
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConnected(what) | Self::NoAnswer(what) | Self::Invalid(what) => f.write_str(what),
            Self::Truncated(status, what) => write!(f, "HTTP {status}, then the answer broke off: {what}"),
        }
    }
}

/// An HTTP client for one thread.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
    headers: HeaderMap,
    timeout: Duration,
}

impl ClientFactory {
    /// Sends `name: value` with every request, replacing any header of that name.
    pub fn insert_header(&mut self, name: HeaderName, mut value: HeaderValue, secret: bool) {
        value.set_sensitive(secret);
        self.headers.insert(name, value);
    }

    /// A client for one thread.
    pub fn client(&self) -> Client {
        Client { agent: self.config.new_agent(), headers: self.headers.clone(), timeout: self.timeout }
    }
}

impl Client {
    /// Sends a request and reads the whole answer. `extra` headers replace the client's of the same name.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
        clock: &Clock,
    ) -> Result<Answer, HttpError> {
        let request = self.request(method, url, extra, body)?;
        let response = self.agent.run(request).map_err(|error| self.http_error(&error))?;
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        let bytes = body.with_config().limit(BODY_LIMIT).read_to_vec();
        let bytes = bytes.map_err(|error| HttpError::Truncated(status, self.describe(&error)))?;
        let Head { age, date, retry_after, location, .. } = Head::from_parts(&parts, clock);
        let (body, body_is_utf8) = match String::from_utf8(bytes) {
            Ok(body) => (body, true),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
        };
        Ok(Answer { status, body, body_is_utf8, age, date, retry_after, location })
    }

    fn request(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
    ) -> Result<Request<String>, HttpError> {
        let invalid = |error: &dyn std::fmt::Display| HttpError::Invalid(error.to_string());
        let mut request = Request::builder().method(method).uri(url).body(body.unwrap_or_default().to_owned());
        let headers = request.as_mut().map_err(|error| invalid(error))?.headers_mut();
        headers.extend(self.headers.clone());
        if body.is_some() && !headers.contains_key("content-type") {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        for (name, value) in extra {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| invalid(&format!("`{name}` is not a header's name")))?;
            let value = HeaderValue::from_str(value);
            headers.insert(
                name.clone(),
                value.map_err(|_| invalid(&format!("a header cannot carry the value of {name}")))?,
            );
        }
        request.map_err(|error| invalid(&error))
    }

    fn http_error(&self, error: &ureq::Error) -> HttpError {
        let what = self.describe(error);
        match error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect)
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_) => HttpError::NotConnected(what),
            ureq::Error::Io(cause) if never_connected(cause) => HttpError::NotConnected(what),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => HttpError::Invalid(what),
            _ => HttpError::NoAnswer(what),
        }
    }

    fn describe(&self, error: &ureq::Error) -> String {
        let waited = units::seconds(self.timeout.as_secs_f64());
        match error {
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                "the connection was closed before an answer came".to_owned()
            }
            ureq::Error::Io(cause) => cause.to_string(),
            ureq::Error::HostNotFound => "host not found".to_owned(),
            ureq::Error::Timeout(ureq::Timeout::Connect) => format!("no connection within {waited}"),
            ureq::Error::Timeout(ureq::Timeout::RecvResponse) => format!("no answer within {waited}"),
            ureq::Error::Timeout(ureq::Timeout::RecvBody) => format!("the answer did not end within {waited}"),
            ureq::Error::Timeout(phase) => format!("timeout after {waited} ({phase})"),
            ureq::Error::BodyExceedsLimit(_) => "the answer is larger than 10 MiB".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Returns true for errors that only connecting can cause. A reset or an early end may also happen later, so they do not count.
fn never_connected(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::AddrNotAvailable
            | Kind::NotFound
    )
}
