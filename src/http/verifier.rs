//! Trust in the certificates of `--cacert`: they may be authorities or, as with curl, the server's own certificate.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, RootCertStore, SignatureScheme};

use super::certificate::{Certificate, Refusal};

/// Verifies certificates that the trusted ones signed as webpki does, and accepts a server certificate that is itself trusted:
/// webpki refuses one that is marked as an authority, as `openssl req -x509` marks it, that carries its name in the subject
/// only, or that is of X.509 version 1, as `openssl x509 -req` makes it.
#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    trusted: Vec<CertificateDer<'static>>,
    /// Those of the trusted ones that may sign others, as webpki wants them and parsed.
    authorities: RootCertStore,
    issuers: Vec<Certificate>,
    /// A trusted one limits the names in the certificates that it signs.
    constrains_names: bool,
}

impl Verifier {
    /// A verifier that trusts the certificates in DER form, and knows `algorithms`.
    pub(super) fn new(
        trusted: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<Self, Error> {
        let (mut authorities, mut issuers, mut constrains_names) = (RootCertStore::empty(), Vec::new(), false);
        for der in &trusted {
            let certificate = Certificate::parse(der)?;
            constrains_names |= certificate.constrains_names();
            if certificate.may_sign() {
                authorities.add(der.clone())?;
                issuers.push(certificate);
            }
        }
        Ok(Self { algorithms, trusted, authorities, issuers, constrains_names })
    }

    /// Refuses a certificate that no trusted one signed.
    fn verify_chain(
        &self,
        certificate: &Certificate,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if certificate.is_version3() {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            let (roots, algorithms) = (&self.authorities, self.algorithms.all);
            return match verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms) {
                Err(_) if certificate.is_self_signed() => Err(Refusal::NOT_IN_FILE.into()),
                verified => verified,
            };
        }
        certificate.check_dates(now)?;
        if !self.issuers.iter().any(|issuer| certificate.is_signed_by(issuer, self.algorithms.all)) {
            return Err(Refusal::VERSION.into());
        }
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = Certificate::parse(end_entity)?;
        let is_trusted = self.trusted.contains(end_entity);
        if is_trusted {
            certificate.check_dates(now)?;
            certificate.check_critical_extensions()?;
        } else {
            self.verify_chain(&certificate, end_entity, intermediates, now)?;
        }
        certificate.check_purpose()?;
        // webpki holds alternative names against the constraints of authorities, and not the common name.
        let constrains = |der: &CertificateDer<'_>| !Certificate::parse(der).is_ok_and(|it| !it.constrains_names());
        let by_common_name = is_trusted || !(self.constrains_names || intermediates.iter().any(constrains));
        certificate.check_name(server_name, by_common_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let mut mapping = self.algorithms.mapping.iter();
        let (_, algorithms) = mapping
            .find(|(scheme, _)| *scheme == signature.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        Certificate::parse(certificate)?.verify(algorithms.iter().copied(), message, signature.signature())?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = Certificate::parse(certificate)?.public_key()?;
        match verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms) {
            Err(Error::InvalidCertificate(CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                ..
            })) => Err(Refusal::KEY.into()),
            verified => verified,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Trusts any server (`--insecure`), so it checks no signature either.
#[derive(Debug)]
pub(super) struct Unverified(pub(super) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let others = [SignatureScheme::RSA_PKCS1_SHA1, SignatureScheme::ED448];
        self.0.supported_schemes().into_iter().chain(others).collect()
    }
}
