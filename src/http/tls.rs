//! TLS with the certificates of `--cacert`, which may name an authority or, as with curl, the server's own certificate.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Error, OtherError, PeerMisbehaved, StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::certificate::Refusal;
use super::crypto::provider;
use super::identity::Identity;
use super::verifier::Verifier;

/// Connects by TLS and trusts the given certificates only.
#[derive(derive_more::Debug, Clone)]
#[debug("PinnedTls")]
pub(super) struct PinnedTls(Arc<ClientConfig>);

impl PinnedTls {
    /// A connector that trusts `certificates`, in DER form, and presents `identity`. The error says why they cannot be used.
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>, identity: Option<&Identity>) -> Result<Self, String> {
        let provider = provider();
        let verifier = Verifier::new(certificates, provider.signature_verification_algorithms);
        let verifier = verifier.map_err(|error| describe(&error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| describe(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match identity {
            Some(Identity { chain, key, .. }) => {
                config.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| describe(&error))?
            }
            None => config.with_no_client_auth(),
        };
        Ok(Self(config.into()))
    }
}

impl<In: Transport> Connector<In> for PinnedTls {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| ureq::Error::Tls("the URL's host is neither a name nor an address"))?;
        let mut connection = ClientConnection::new(self.0.clone(), name)?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, socket) })))
    }
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
        self.stream.write_all(&self.buffers.output()[..amount])?;
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

/// The words of a variant's name: `unsupported critical extension`.
fn words(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(character.to_ascii_lowercase());
    }
    words
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
            CertificateError::Other(other) => format!("the server's certificate is not valid: {}", words(&other.0.to_string())),
            other => format!("the server's certificate is not valid: {other}"),
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
        Error::AlertReceived(alert) if refuses_certificate(error) => format!("the server refused the client certificate ({alert:?}): check --cert and --key"),
        Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        other => format!("the TLS handshake failed: {other}"),
    }
}
