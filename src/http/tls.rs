//! TLS: whom to trust, and the client certificate.

use std::io::{self, Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, OtherError, PeerMisbehaved, StreamOwned,
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter, time,
};

use super::certificate::Refusal;
use super::crypto::provider;
use super::identity::{CertificateRequest, Identity};
use super::patient::Exchange;
use super::verifier::{Unverified, Verifier};

/// The certificates of servers that are trusted.
#[derive(Debug)]
pub(super) enum Trust {
    /// Those that the system trusts.
    System,
    /// These, in DER form: authorities or, as with curl, a server's own.
    Given(Vec<CertificateDer<'static>>),
    /// Any (`--insecure`).
    Any,
}

type Configured = Result<Arc<ClientConfig>, Error>;

/// Connects by TLS, and notes in an exchange what the server wants of the client.
#[derive(derive_more::Debug, Clone)]
#[debug("TlsConnector")]
pub(super) struct TlsConnector {
    config: Arc<LazyLock<Configured, Box<dyn FnOnce() -> Configured + Send>>>,
    exchange: Exchange,
}

impl TlsConnector {
    /// A connector that trusts `trust` and presents `identity`. The error says why given certificates cannot be used.
    pub(super) fn new(trust: Trust, identity: Identity) -> Result<Self, String> {
        let algorithms = provider().signature_verification_algorithms;
        let verifier: Option<Arc<dyn ServerCertVerifier>> = match trust {
            Trust::System => None,
            Trust::Given(certificates) => {
                let verifier = Verifier::new(certificates, algorithms).map_err(|error| describe(&error))?;
                Some(Arc::new(verifier))
            }
            Trust::Any => Some(Arc::new(Unverified(algorithms))),
        };
        // The system's certificates are many: they are read if a connection needs them.
        let configure = || {
            let verifier = match verifier {
                Some(verifier) => verifier,
                None => Arc::new(SystemVerifier::new(provider())?),
            };
            let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
            let config = config.dangerous().with_custom_certificate_verifier(verifier);
            Ok(config.with_client_cert_resolver(Arc::new(identity)).into())
        };
        Ok(Self { config: Arc::new(LazyLock::new(Box::new(configure))), exchange: Exchange::default() })
    }

    /// The same for the client whose exchange is `exchange`.
    pub(super) fn noting(&self, exchange: &Exchange) -> Self {
        Self { config: self.config.clone(), exchange: exchange.clone() }
    }

    fn shake_hands<In: Transport>(
        &self,
        details: &ConnectionDetails<'_>,
        transport: In,
    ) -> Result<TlsTransport, ureq::Error> {
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| ureq::Error::Tls("the URL's host is neither a name nor an address"))?;
        let config = LazyLock::force(&self.config).clone()?;
        let mut connection = ClientConnection::new(config, name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        let (request, shaken) =
            CertificateRequest::during(|| shake_within(details.timeout, &mut connection, &mut socket));
        self.exchange.set_certificate_request(request);
        shaken.map_err(|error| alert_behind(error, &mut connection, &mut socket))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(TlsTransport { buffers, stream: StreamOwned::new(connection, socket) })
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let connected = self.shake_hands(details, transport);
        // However the handshake ended, the server has seen nothing of the request.
        connected.map(|transport| Some(Either::B(transport))).inspect_err(|_| self.exchange.note_unconnected())
    }
}

/// Makes the handshake. The whole of it has the time of `timeout`, however often a byte comes.
fn shake_within(
    timeout: NextTimeout,
    connection: &mut ClientConnection,
    socket: &mut TransportAdapter,
) -> io::Result<()> {
    let began = Instant::now();
    let limit = timeout.not_zero().map_or(Duration::MAX, |limit| *limit);
    while connection.is_handshaking() || connection.wants_write() {
        let left = limit.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, ureq::Error::Timeout(timeout.reason)));
        }
        socket.set_timeout(NextTimeout { after: time::Duration::Exact(left), ..timeout });
        if connection.wants_write() {
            connection.write_tls(socket)?;
        } else if connection.read_tls(socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        } else if let Err(error) = connection.process_new_packets() {
            // The server is told why; it may have gone.
            let _ = connection.write_tls(socket);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
    }
    socket.flush()
}

/// The alert with which the server ended the connection, if it lies unread behind `error` of a write; otherwise `error`.
fn alert_behind(error: io::Error, connection: &mut ClientConnection, socket: &mut TransportAdapter) -> io::Error {
    if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
        while matches!(connection.read_tls(socket), Ok(1..)) {
            if let Err(alert) = connection.process_new_packets() {
                return io::Error::new(io::ErrorKind::InvalidData, alert);
            }
        }
    }
    error
}

/// A connection by TLS.
#[derive(derive_more::Debug)]
#[debug("TlsTransport")]
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let written = self.stream.write_all(&self.buffers.output()[..amount]);
        let StreamOwned { conn, sock } = &mut self.stream;
        written.map_err(|error| alert_behind(error, conn, sock))?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Returns true if webpki refused the certificate because it is marked as an authority.
fn is_authority(error: &OtherError) -> bool {
    // webpki's own type is not exported by rustls; it prints the name of its variant.
    error.0.to_string() == "CaUsedAsEndEntity"
}

/// Returns true if webpki refused the certificate because it is of X.509 version 1 or 2.
fn is_old_version(error: &OtherError) -> bool {
    error.0.to_string() == "UnsupportedCertVersion"
}

/// The words of a variant's name, without what it holds: `unsupported critical extension`.
fn words(variant: &impl std::fmt::Debug) -> String {
    let name = format!("{variant:?}");
    let name = name.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
    let letters: Vec<char> = name.chars().collect();
    let is_capital = |at: usize| letters.get(at).is_some_and(char::is_ascii_uppercase);
    let mut words = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let (begins, is_of_acronym) = (at > 0 && is_capital(at) && !is_capital(at - 1), is_capital(at + 1));
        words.extend(begins.then_some(' '));
        words.push(if is_of_acronym || at > 0 && is_capital(at - 1) { *letter } else { letter.to_ascii_lowercase() });
    }
    words
}

/// The name of an alert, for a message.
fn name(alert: AlertDescription) -> String {
    if let AlertDescription::Unknown(number) = alert { format!("alert {number}") } else { words(&alert) }
}

/// Returns true if the server ended the handshake because of the client's certificate.
pub(super) fn refuses_certificate(error: &Error) -> bool {
    use AlertDescription as Alert;
    matches!(
        error,
        Error::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::UnknownCA
                | Alert::CertificateExpired
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::AccessDenied
        )
    )
}

/// Describes the end of a connection by `alert`, if there was one, after a `request` for a client certificate, in a sentence that says
/// what to do. None if the end may have another cause.
pub(super) fn describe_end(request: CertificateRequest, alert: Option<AlertDescription>) -> Option<String> {
    let why = match request {
        CertificateRequest::None => return None,
        CertificateRequest::Unanswered => "asks for a client certificate: name it with --cert and --key",
        CertificateRequest::OtherKind => {
            "asks for a client certificate, and takes none with the kind of key that --cert has"
        }
        CertificateRequest::Answered => "got the client certificate: check --cert and --key",
    };
    let how = alert.map(|alert| format!(" ({})", name(alert))).unwrap_or_default();
    Some(match request {
        CertificateRequest::Answered => format!("the server ended the TLS handshake{how} after it {why}"),
        _ => format!("the server {why}; it ended the connection without one{how}"),
    })
}

/// Describes a TLS error in a sentence that says what to do.
pub(super) fn describe(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(cause) => match cause {
            CertificateError::UnknownIssuer => {
                "no trusted authority issued the server's certificate: name the authority, or the \
                                                certificate itself, with --cacert"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet: is this machine's clock right?".to_owned()
            }
            CertificateError::NotValidForName => "the server's certificate is for another host".to_owned(),
            CertificateError::NotValidForNameContext { expected, presented } => {
                // As in `DnsName("localhost")`.
                let names: Vec<&str> = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)).collect();
                let presented = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
                format!("the server's certificate is not for {}: it names {presented}", expected.to_str())
            }
            CertificateError::Other(other) if is_authority(other) => {
                "the server presents the certificate of an authority as its own: name that certificate with --cacert"
                    .to_owned()
            }
            CertificateError::Other(other) if is_old_version(other) => {
                "the server's certificate is of X.509 version 1 or 2: name the certificate itself with --cacert, or issue it as \
                 version 3"
                    .to_owned()
            }
            CertificateError::BadEncoding => "a certificate cannot be read: is it damaged?".to_owned(),
            CertificateError::Other(other) if other.0.is::<Refusal>() => other.0.to_string(),
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                "the server's certificate is signed in a way, or by a kind of key, that is not known here: name the certificate \
                 itself with --cacert"
                    .to_owned()
            }
            CertificateError::BadSignature => {
                "the server's certificate is not signed by the trusted one, or a key is RSA of fewer than 2,048 or more than 8,192 bits".to_owned()
            }
            // webpki's errors print the names of their variants.
            CertificateError::Other(other) => format!("the server's certificate is not valid: {}", words(&other.0)),
            other => format!("the server's certificate is not valid: {}", words(other)),
        },
        Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port: is it http:// instead of https://?".to_owned()
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion)
        | Error::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => {
            "server and client have no algorithm of TLS 1.2 or TLS 1.3 in common; the server's key must be RSA of 2,048 to 8,192 \
             bits, ECDSA on P-256, P-384 or P-521, Ed25519, or, over TLS 1.3, RSA-PSS"
                .to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate: name it with --cert and --key".to_owned()
        }
        Error::AlertReceived(alert) if refuses_certificate(error) => {
            format!("the server refused the client certificate ({}): check --cert and --key", name(*alert))
        }
        Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {}", name(*alert)),
        Error::PeerIncompatible(why) => format!("the TLS handshake failed: {}", words(why)),
        Error::PeerMisbehaved(why) => format!("the TLS handshake failed: the server misbehaved: {}", words(why)),
        other => format!("the TLS handshake failed: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::{Connections, HttpArgs, HttpError, Method};
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn the_names_of_alerts_are_words() {
        for (alert, expected) in [
            (AlertDescription::UnknownCA, "unknown CA"),
            (AlertDescription::HandshakeFailure, "handshake failure"),
            (AlertDescription::Unknown(200), "alert 200"),
        ] {
            assert_eq!(name(alert), expected);
        }
    }

    #[test]
    fn a_handshake_that_comes_byte_by_byte_ends_with_the_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let dripping = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The head of a record of 16 KiB, and then as much of it as the client waits for.
            let mut bytes = [0x16, 3, 3, 0x40, 0].into_iter().chain(std::iter::repeat(0));
            (0..2000).position(|_| {
                std::thread::sleep(Duration::from_millis(50));
                stream.write_all(&[bytes.next().unwrap()]).is_err()
            })
        });
        let args = HttpArgs { insecure: true, ..HttpArgs::for_tests() };
        let client = args.client_factory(Connections::Fresh).unwrap().client();
        let error = client.send(&Method::GET, &url, &[], None, &Clock::system()).unwrap_err();
        assert!(matches!(error, HttpError::NotConnected { .. }), "{error:?}");
        assert!(dripping.join().unwrap().is_some(), "it ended long before the server's 100 s");
    }

    #[test]
    fn a_handshake_that_the_server_breaks_off_is_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let closing = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        });
        let args = HttpArgs { insecure: true, ..HttpArgs::for_tests() };
        let client = args.client_factory(Connections::Fresh).unwrap().client();
        let error = client.send(&Method::POST, &url, &[], None, &Clock::system()).unwrap_err();
        closing.join().unwrap();
        assert!(matches!(error, HttpError::NotConnected { .. }), "the server has seen no request: {error:?}");
    }
}
