//! TLS with the certificates of `--cacert`, which may name an authority or, as with curl, the server's own certificate.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme, StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use super::certificate::Certificate;
use super::identity::Identity;

/// Connects by TLS and trusts the given certificates only.
#[derive(Clone)]
pub(super) struct PinnedTls(Arc<ClientConfig>);

impl PinnedTls {
    /// A connector that trusts `certificates`, in DER form, and presents `identity`. The error says why they cannot be used.
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>, identity: Option<&Identity>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|error| describe(&error))?;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build();
        let inner = verifier.map_err(|error| error.to_string())?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| describe(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { inner, algorithms, trusted: certificates }));
        let config = match identity {
            Some(Identity { chain, key, .. }) => {
                config.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(|error| describe(&error))?
            }
            None => config.with_no_client_auth(),
        };
        Ok(Self(config.into()))
    }
}

impl fmt::Debug for PinnedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedTls").finish_non_exhaustive()
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
pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
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

/// Verifies as webpki does, and also accepts a server certificate that is itself in the file: webpki refuses one that is
/// marked as an authority, as `openssl req -x509` marks it, that carries its name in the subject only, or that is of X.509
/// version 1, as `openssl x509 -req -signkey` makes it.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    algorithms: WebPkiSupportedAlgorithms,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(Error::InvalidCertificate(cause)) = &verified else { return verified };
        if !self.trusted.contains(end_entity) {
            return verified;
        }
        let certificate = Certificate::parse(end_entity)?;
        // webpki checks the dates before it looks at the marks of an authority.
        let named = match cause {
            CertificateError::Other(other) if is_old_version(other) => {
                certificate.check_dates(now)?;
                Err(Error::InvalidCertificate(CertificateError::NotValidForName))
            }
            CertificateError::Other(other) if is_authority(other) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Err(Error::InvalidCertificate(cause.clone()))
            }
            _ => return verified,
        };
        named.or_else(|error| if certificate.common_name_is(server_name) { Ok(()) } else { Err(error) })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.inner.verify_tls13_signature(message, certificate, signature) {
            Err(Error::InvalidCertificate(CertificateError::Other(cause))) if is_old_version(&cause) => {
                let key = Certificate::parse(certificate)?.public_key()?;
                verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
            }
            verified => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
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
                "the server's certificate is of X.509 version 1 or 2: name the certificate itself with --cacert and let the server \
                 speak TLS 1.3, or issue it as version 3"
                    .to_owned()
            }
            CertificateError::BadSignature => {
                "the server's certificate is not signed by the trusted one, or its key is RSA of fewer than 2,048 bits".to_owned()
            }
            CertificateError::Other(other) => format!("the server's certificate is not valid: {}", words(&other.0.to_string())),
            other => format!("the server's certificate is not valid: {other}"),
        },
        Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port: is it http:// instead of https://?".to_owned()
        }
        Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "the server ended the TLS handshake: it found no algorithm in common; its key must be RSA of 2,048 bits or more, ECDSA on \
             P-256 or P-384, or Ed25519"
                .to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server asks for a client certificate: name it with --cert and --key".to_owned()
        }
        Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied),
        ) => format!("the server does not accept the client certificate (--cert): {alert:?}"),
        Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        other => format!("the TLS handshake failed: {other}"),
    }
}
