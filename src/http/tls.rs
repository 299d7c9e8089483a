//! TLS with the certificates of `--cacert`, which may name an authority or, as with curl, the server's own certificate.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme, StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// Connects by TLS and trusts the given certificates only.
#[derive(Clone)]
pub(super) struct PinnedTls(Arc<ClientConfig>);

impl PinnedTls {
    /// A connector that trusts `certificates`, in DER form. The error says why they cannot be used.
    pub(super) fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
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
            .with_custom_certificate_verifier(Arc::new(Verifier { inner, trusted: certificates }))
            .with_no_client_auth();
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
/// marked as an authority, as `openssl req -x509` marks it, or that carries its name in the subject only.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
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
        // webpki checks the dates before it looks at the marks of an authority.
        let named = match cause {
            CertificateError::Other(other) if is_authority(other) => {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Err(Error::InvalidCertificate(cause.clone()))
            }
            _ => return verified,
        };
        named.or_else(|error| if common_name_is(end_entity, server_name) { Ok(()) } else { Err(error) })?;
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
        self.inner.verify_tls13_signature(message, certificate, signature)
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

/// Returns true if `certificate` has no alternative names and its common name is the server's, as curl accepts it.
fn common_name_is(certificate: &[u8], server_name: &ServerName<'_>) -> bool {
    /// The object identifiers 2.5.29.17 and 2.5.4.3 in DER form.
    const ALTERNATIVE_NAMES: [u8; 5] = [6, 3, 0x55, 0x1d, 0x11];
    const COMMON_NAME: [u8; 5] = [6, 3, 0x55, 4, 3];
    let name = server_name.to_str();
    let contains = |needle: &[u8]| certificate.windows(needle.len()).any(|window| window == needle);
    // A string follows the identifier: its tag, its length in one byte, its text.
    let has_name = |tag: u8| {
        let length = u8::try_from(name.len()).ok().filter(|length| *length < 128);
        length.is_some_and(|length| contains(&[&COMMON_NAME[..], &[tag, length], name.as_bytes()].concat()))
    };
    // UTF8String and PrintableString.
    !contains(&ALTERNATIVE_NAMES) && [0x0c, 0x13].into_iter().any(has_name)
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
            CertificateError::Other(other) if other.0.to_string() == "UnsupportedCertVersion" => {
                "the server's certificate is of X.509 version 1 or 2, which cannot be checked: issue it as version 3".to_owned()
            }
            CertificateError::BadSignature => {
                "the server's certificate is not signed by the trusted one, or its key is RSA of fewer than 2,048 bits".to_owned()
            }
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
        Error::AlertReceived(alert) => format!("the server ended the TLS handshake: {alert:?}"),
        other => format!("the TLS handshake failed: {other}"),
    }
}
