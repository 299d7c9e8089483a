//! One way to make an HTTP agent, to exchange a request for an answer, and to tell errors apart.
//!
//! ureq is used with what was measured of it in mind: a timeout for each phase and never one for the whole call (that
//! costs a thread a request), an agent for each thread (the pool of a shared one is a lock), small buffers, no proxy
//! (a load test measures the target, not a proxy that the environment happens to name).

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
pub use stream::{FORM, Streamed, form};
pub use ureq::http::Method;
pub use url::BaseUrl;

/// Bodies beyond this are an error, so that a target cannot fill the memory.
const BODY_LIMIT: u64 = 10 * 1024 * 1024;

/// Whether an agent keeps its connections for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Kept: for polls, which may be sent again.
    Kept,
    /// A fresh one for each request. A kept connection may die in the moment in which a request is sent on it, and then
    /// nobody knows whether the request arrived; a submission must not be put into that doubt.
    Fresh,
}

/// Makes agents that all behave alike.
#[derive(Clone, Debug)]
pub struct Client {
    config: Config,
    headers: HeaderMap,
    timeout: Duration,
}

/// An answer with a body that was read whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; bytes that are not UTF-8 are replaced, which `body_is_utf8` tells.
    pub body: String,
    /// Whether the body is what the server sent, to the byte.
    pub body_is_utf8: bool,
    /// The server's `Date`.
    pub date: Option<Timestamp>,
    /// How long `Retry-After` asks to wait.
    pub retry_after: Option<Duration>,
    /// Where a redirect points.
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

/// Why an exchange brought no answer, told apart by what the server may have seen of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection was made: the server has seen nothing.
    NotConnected(String),
    /// The request may have arrived, and no answer came.
    NoAnswer(String),
    /// An answer with this status began and its body did not come whole.
    Cut(u16, String),
    /// The request cannot be sent: a header or the URL is not valid.
    Invalid(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConnected(what) | Self::NoAnswer(what) | Self::Invalid(what) => f.write_str(what),
            Self::Cut(status, what) => write!(f, "HTTP {status}, then the answer broke off: {what}"),
        }
    }
}

/// One agent, for one thread.
#[derive(Clone, Debug)]
pub struct Exchange {
    agent: Agent,
    headers: HeaderMap,
    timeout: Duration,
}

impl Client {
    /// Sends `name: value` with every request, in place of what was sent so far under that name.
    pub fn insert_header(&mut self, name: HeaderName, mut value: HeaderValue, secret: bool) {
        value.set_sensitive(secret);
        self.headers.insert(name, value);
    }

    /// An agent for one thread.
    pub fn exchange(&self) -> Exchange {
        Exchange { agent: self.config.new_agent(), headers: self.headers.clone(), timeout: self.timeout }
    }
}

impl Exchange {
    /// Sends a request and reads the whole answer. `extra` headers replace the client's of the same name.
    pub fn send(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
        clock: &Clock,
    ) -> Result<Answer, Trouble> {
        let request = self.request(method, url, extra, body)?;
        let response = self.agent.run(request).map_err(|error| self.trouble(&error))?;
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        let bytes = body.with_config().limit(BODY_LIMIT).read_to_vec();
        let bytes = bytes.map_err(|error| Trouble::Cut(status, self.describe(&error)))?;
        let Head { date, retry_after, location, .. } = Head::of(&parts, clock);
        let (body, body_is_utf8) = match String::from_utf8(bytes) {
            Ok(body) => (body, true),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
        };
        Ok(Answer { status, body, body_is_utf8, date, retry_after, location })
    }

    fn request(
        &self,
        method: &Method,
        url: &str,
        extra: &[(String, String)],
        body: Option<&str>,
    ) -> Result<Request<String>, Trouble> {
        let invalid = |error: &dyn std::fmt::Display| Trouble::Invalid(error.to_string());
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

    fn trouble(&self, error: &ureq::Error) -> Trouble {
        let what = self.describe(error);
        match error {
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect)
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_) => Trouble::NotConnected(what),
            ureq::Error::Io(cause) if never_connected(cause) => Trouble::NotConnected(what),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Trouble::Invalid(what),
            _ => Trouble::NoAnswer(what),
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

/// Errors that can only come from making a connection. A reset or an early end may come from either, so they are not here.
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
