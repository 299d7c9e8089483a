//! The errors of the HTTP client: what the server may have seen of a request, and sentences for people.

use std::io;

use rustls::{AlertDescription, Error};

use super::answer::Answer;
use super::authorize::NoCredentials;
use super::identity::CertificateRequest;
use super::{Client, tls};
use crate::escape;
use crate::own_limits;
use crate::units;

/// The end of a connection.
pub(super) const CLOSED: &str = "the connection was closed";

/// The reason why no answer came, by what the server may have seen of the request.
#[derive(Clone, Debug, PartialEq)]
pub enum HttpError {
    /// No connection was made: the server has seen nothing.
    NotConnected {
        /// The reason.
        what: String,
        /// A route or a firewall of this host forbids it, which says nothing about the server.
        is_forbidden: bool,
    },
    /// The request may have arrived, and no answer came.
    NoAnswer(String),
    /// An answer began whose head cannot be read, or is not whole.
    Unreadable {
        /// The reason.
        what: String,
        /// The answer as it came, without cookies; empty for a head that is too large.
        came: String,
        /// It broke off.
        broke_off: bool,
    },
    /// An answer began, and its body ended early or cannot be decoded.
    Truncated {
        /// The answer, with its whole head and the body up to its early end.
        part: Box<Answer>,
        /// The reason why no more of it was read.
        cause: String,
        /// False if the server sent it whole.
        broke_off: bool,
    },
    /// This host has run out of descriptors, ports or memory.
    OwnLimit {
        /// The limit.
        what: String,
        /// The request may have arrived: the limit kept its answer away.
        was_sent: bool,
    },
    /// The request cannot be sent: a header or the URL is not valid.
    Invalid(String),
    /// There are no credentials for it: nothing was sent, or the target refused those that there were.
    NoCredentials(NoCredentials),
}

impl HttpError {
    /// The answer in `outcome` whose head came whole, be it cut or not.
    pub fn begun(outcome: &Result<Answer, Self>) -> Option<&Answer> {
        match outcome {
            Ok(answer) => Some(answer),
            Err(Self::Truncated { part, .. }) => Some(part),
            Err(_) => None,
        }
    }
}

impl std::fmt::Display for HttpError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotConnected { what, .. }
            | Self::OwnLimit { what, .. }
            | Self::NoAnswer(what)
            | Self::Unreadable { what, .. }
            | Self::Invalid(what)
            | Self::NoCredentials(NoCredentials { why: what, .. }) => f.write_str(what),
            Self::Truncated { part, cause, broke_off: true } => {
                write!(f, "HTTP {}, then the answer broke off: {cause}", part.status)
            }
            Self::Truncated { part, cause, .. } => write!(f, "HTTP {}, but {cause}", part.status),
        }
    }
}

impl Client {
    pub(super) fn http_error(&self, error: &ureq::Error) -> HttpError {
        let what = self.describe(error);
        match error {
            ureq::Error::Io(cause) if own_limits::is_exhausted(cause) || cause.kind() == io::ErrorKind::WouldBlock => {
                self.own_limit(cause)
            }
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                let came = if is_too_large(error) { None } else { self.exchange.part_of_head() };
                HttpError::Unreadable { what, came: came.unwrap_or_default(), broke_off: false }
            }
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => HttpError::Invalid(what),
            error
                if refuses_certificate(error)
                    || self.exchange.is_unconnected()
                    || !self.exchange.was_sent() && is_about_connecting(error) =>
            {
                HttpError::NotConnected { what, is_forbidden: is_forbidden(error) }
            }
            _ => match self.exchange.part_of_head() {
                Some(came) => {
                    let start = first_line(&came);
                    let cause = match error {
                        ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => CLOSED.to_owned(),
                        ureq::Error::Timeout(_) => {
                            format!("no more data for {}", units::seconds(self.timeout.as_secs_f64()))
                        }
                        _ => what,
                    };
                    let what = format!("the answer broke off in its head, which begins with `{start}`: {cause}");
                    HttpError::Unreadable { what, came, broke_off: true }
                }
                None => HttpError::NoAnswer(what),
            },
        }
    }

    /// This host has run out of something, as `cause` says.
    pub(super) fn own_limit(&self, cause: &io::Error) -> HttpError {
        // A thread that cannot be started has the same error, and another limit.
        let what = if cause.kind() == io::ErrorKind::WouldBlock {
            "this host cannot open another connection now (EAGAIN): open fewer at a time, or widen net.ipv4.ip_local_port_range"
                .to_owned()
        } else {
            own_limits::describe_error(cause)
        };
        HttpError::OwnLimit { what, was_sent: self.exchange.was_sent() }
    }

    /// Describes an end of the connection that may be due to the client certificate, or to its lack.
    fn describe_certificate(&self, error: &ureq::Error) -> Option<String> {
        let request = self.exchange.certificate_request();
        let has_one = request == CertificateRequest::Answered;
        // A server that begins to answer has let the client in.
        if self.exchange.part_of_head().is_some() || has_one && !self.exchange.is_unconnected() {
            return None;
        }
        let alert = match (error, tls_error(error)) {
            // Other alerts have sentences of their own.
            (_, Some(Error::AlertReceived(AlertDescription::CertificateRequired))) => return None,
            (_, Some(Error::AlertReceived(alert))) if !has_one || *alert == AlertDescription::HandshakeFailure => {
                Some(*alert)
            }
            (ureq::Error::Io(cause), None) if ENDS.contains(&cause.kind()) => None,
            _ => return None,
        };
        tls::describe_end(request, alert)
    }

    fn describe_large_head(&self, what: &str) -> String {
        let start = self.exchange.part_of_head().map(|head| format!(" (`{}`)", first_line(&head))).unwrap_or_default();
        format!("the answer's head{start} {what}, so its body was not read")
    }

    pub(super) fn describe(&self, error: &ureq::Error) -> String {
        let of_tls = || tls_error(error).map(tls::describe);
        if let Some(what) = self.describe_certificate(error).or_else(of_tls) {
            return what;
        }
        let waited = units::seconds(self.timeout.as_secs_f64());
        match error {
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => {
                "connection refused".to_owned()
            }
            ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                format!("{CLOSED} before an answer came")
            }
            ureq::Error::Io(cause) => cause.to_string(),
            ureq::Error::Protocol(_) if is_too_large(error) => {
                self.describe_large_head("has more than 128 header fields")
            }
            ureq::Error::Protocol(cause) => {
                let begins = |part: String| format!("it begins with `{}`", first_line(&part));
                let place = self.exchange.fault_of_head().or_else(|| self.exchange.part_of_head().map(begins));
                let place = place.map(|place| format!(": {place}")).unwrap_or_default();
                format!("the answer is not valid HTTP: {cause}{place}")
            }
            ureq::Error::LargeResponseHeader(..) => self.describe_large_head("is larger than 64 KiB"),
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

/// The kinds of an end of a connection by the other side.
const ENDS: [io::ErrorKind; 4] = [
    io::ErrorKind::BrokenPipe,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::UnexpectedEof,
];

/// The first line of `text`, for a message.
fn first_line(text: &str) -> String {
    escape::start(text.lines().next().unwrap_or_default(), 60)
}

/// Returns true for a head that is valid and has too much in it.
fn is_too_large(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Protocol(cause) => cause.to_string().contains("too many headers"),
        error => matches!(error, ureq::Error::LargeResponseHeader(..)),
    }
}

/// The HTTP client's error inside of an I/O error.
pub(super) fn client_error(error: &io::Error) -> Option<&ureq::Error> {
    error.get_ref()?.downcast_ref()
}

/// The TLS error that `error` is.
fn tls_error(error: &ureq::Error) -> Option<&Error> {
    match error {
        ureq::Error::Rustls(cause) => Some(cause),
        ureq::Error::Io(cause) => cause.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Returns true for an error (EACCES, EPERM) by which a host refuses to send what one of its own processes asks it to.
fn is_forbidden(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(cause) if cause.kind() == io::ErrorKind::PermissionDenied && cause.raw_os_error().is_some())
}

/// Returns true for an error that says, before anything was sent, that there is no address or no TLS. A reset or an early end does
/// not: the server may have read what came before it.
fn is_about_connecting(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect)
        | ureq::Error::Tls(_) => true,
        error => tls_error(error).is_some(),
    }
}

/// Returns true if the server refused the client's certificate. In TLS 1.3 that comes after the request was sent, and the server has
/// not read it.
fn refuses_certificate(error: &ureq::Error) -> bool {
    tls_error(error).is_some_and(tls::refuses_certificate)
}

#[cfg(test)]
mod tests {
    use CertificateRequest::{Answered, OtherKind, Unanswered};

    use super::super::patient::Exchange;
    use super::super::{Connections, HttpArgs};
    use super::*;

    /// The error that `error` is before the request was sent, and after.
    fn before_and_after(error: impl Fn() -> ureq::Error) -> [HttpError; 2] {
        let client = HttpArgs::for_tests().client_factory(Connections::Fresh).unwrap().client();
        [false, true].map(|was_sent| {
            let exchange = Exchange::default();
            exchange.note_unconnected();
            exchange.set_sent(was_sent);
            Client { exchange, ..client.clone() }.http_error(&error())
        })
    }

    #[test]
    fn an_error_after_the_request_was_sent_never_says_that_it_was_not() {
        for code in [12, 105, 24, 99] {
            let errors = before_and_after(|| io::Error::from_raw_os_error(code).into());
            let sent = errors.map(|error| match error {
                HttpError::OwnLimit { was_sent, .. } => Some(was_sent),
                _ => None,
            });
            assert_eq!(sent, [Some(false), Some(true)], "{code}");
        }
        // A router may tell of a network that is gone while the answer is awaited, and a TLS peer of a damaged record.
        // A route or a firewall of this host may forbid the connection (EACCES, EPERM), or lead nowhere (EINVAL).
        for code in [111, 113, 101, 13, 1, 22, 100] {
            let [before, after] = before_and_after(|| io::Error::from_raw_os_error(code).into());
            let by_this_host = [13, 1].contains(&code);
            assert!(
                matches!(before, HttpError::NotConnected { is_forbidden, .. } if is_forbidden == by_this_host),
                "{code}: {before:?}"
            );
            assert!(matches!(after, HttpError::NoAnswer(_)), "{code}: {after:?}");
        }
        let alert = |alert: AlertDescription| {
            before_and_after(|| io::Error::other(rustls::Error::AlertReceived(alert)).into())
                .map(|error| matches!(error, HttpError::NotConnected { .. }))
        };
        assert_eq!(alert(AlertDescription::BadRecordMac), [true, false]);
        assert_eq!(alert(AlertDescription::CertificateRequired), [true, true], "TLS 1.3 tells it after the request");
    }

    #[test]
    fn an_end_of_the_connection_after_a_request_for_a_certificate_names_it() {
        let client = HttpArgs::for_tests().client_factory(Connections::Fresh).unwrap().client();
        let described = |request, error: ureq::Error, in_handshake: bool| {
            let exchange = Exchange::default();
            exchange.set_certificate_request(request);
            exchange.set_sent(!in_handshake);
            exchange.note_unconnected();
            Client { exchange, ..client.clone() }.describe(&error)
        };
        let reset = || ureq::Error::from(io::Error::from_raw_os_error(104));
        let pipe = || ureq::Error::from(io::Error::from_raw_os_error(32));
        let alert = |alert| ureq::Error::Rustls(Error::AlertReceived(alert));
        let (failure, bad) = (AlertDescription::HandshakeFailure, AlertDescription::BadCertificate);
        for (request, error, in_handshake, part) in [
            (Unanswered, pipe(), true, "asks for a client certificate: name it with --cert and --key; it ended"),
            (Unanswered, reset(), false, "asks for a client certificate: name it with --cert and --key; it ended"),
            (Unanswered, alert(failure), true, "it ended the connection without one (handshake failure)"),
            // As Go sends it.
            (Unanswered, alert(bad), true, "it ended the connection without one (bad certificate)"),
            (
                Unanswered,
                alert(AlertDescription::CertificateRequired),
                false,
                "the server asks for a client certificate",
            ),
            (OtherKind, alert(failure), true, "takes none with the kind of key that --cert has"),
            (
                Answered,
                alert(failure),
                true,
                "ended the TLS handshake (handshake failure) after it got the client certificate",
            ),
            (Answered, pipe(), true, "ended the TLS handshake after it got the client certificate: check --cert"),
            (Answered, reset(), false, "Connection reset"),
            (Answered, alert(bad), true, "refused the client certificate (bad certificate)"),
            (CertificateRequest::None, alert(failure), true, "no algorithm of TLS"),
            (CertificateRequest::None, pipe(), true, "Broken pipe"),
        ] {
            let described = described(request, error, in_handshake);
            assert!(described.contains(part), "{part}: {described}");
        }
    }
}
