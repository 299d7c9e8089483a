//! The errors of the HTTP client: what the server may have seen of a request, and sentences for people.

use std::io;

use super::authorize::NoCredentials;
use super::{Client, tls};
use crate::own_limits;
use crate::units;

/// The reason why no answer came, by what the server may have seen of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// No connection was made: the server has seen nothing.
    NotConnected(String),
    /// The request may have arrived, and no answer came.
    NoAnswer(String),
    /// An answer came whose head cannot be read.
    Unreadable(String),
    /// An answer with this status began, and its body ended early or cannot be decoded.
    Truncated {
        /// The HTTP status.
        status: u16,
        /// The body up to its early end.
        body: String,
        /// The reason why no more of it was read.
        cause: String,
        /// False if the server sent it whole.
        broke_off: bool,
    },
    /// This host has run out of descriptors, ports or memory: nothing was sent.
    OwnLimit(String),
    /// The request cannot be sent: a header or the URL is not valid.
    Invalid(String),
    /// There are no credentials for it: nothing was sent, or the target refused those that there were.
    NoCredentials(NoCredentials),
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConnected(what)
            | Self::OwnLimit(what)
            | Self::NoAnswer(what)
            | Self::Unreadable(what)
            | Self::Invalid(what)
            | Self::NoCredentials(NoCredentials { why: what, .. }) => f.write_str(what),
            Self::Truncated { status, cause, broke_off: true, .. } => {
                write!(f, "HTTP {status}, then the answer broke off: {cause}")
            }
            Self::Truncated { status, cause, .. } => write!(f, "HTTP {status}, but {cause}"),
        }
    }
}

impl Client {
    pub(super) fn http_error(&self, error: &ureq::Error) -> HttpError {
        let what = self.describe(error);
        match error {
            ureq::Error::Io(cause) if tls_error(cause).is_some() => HttpError::NotConnected(what),
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => HttpError::Unreadable(what),
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect)
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_) => HttpError::NotConnected(what),
            ureq::Error::Io(cause) if own_limits::is_exhausted(cause) => {
                HttpError::OwnLimit(own_limits::describe_error(cause))
            }
            ureq::Error::Io(cause) if never_connected(cause) => HttpError::NotConnected(what),
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => HttpError::Invalid(what),
            _ => HttpError::NoAnswer(what),
        }
    }

    pub(super) fn describe(&self, error: &ureq::Error) -> String {
        let waited = units::seconds(self.timeout.as_secs_f64());
        match error {
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                "the connection was closed before an answer came".to_owned()
            }
            ureq::Error::Io(cause) => tls_error(cause).map_or_else(|| cause.to_string(), tls::describe),
            ureq::Error::Rustls(cause) => tls::describe(cause),
            ureq::Error::Protocol(cause) if cause.to_string().contains("too many headers") => {
                "the answer's head has more than 128 header fields".to_owned()
            }
            ureq::Error::Protocol(cause) => {
                let place = self.received.fault_of_head().map(|fault| format!(": {fault}")).unwrap_or_default();
                format!("the answer is not valid HTTP: {cause}{place}")
            }
            ureq::Error::LargeResponseHeader(..) => "the answer's head is larger than 64 KiB".to_owned(),
            ureq::Error::Decompress(coding, cause) => format!("the body cannot be decoded as {coding}: {cause}"),
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

/// The HTTP client's error inside of an I/O error.
pub(super) fn client_error(error: &io::Error) -> Option<&ureq::Error> {
    error.get_ref()?.downcast_ref()
}

/// The TLS error inside of an I/O error.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Returns true for errors that only connecting can cause. A reset or an early end may also happen later, so they do not count.
fn never_connected(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionRefused | Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NotFound)
}
