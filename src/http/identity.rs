//! The client certificate of `--cert` and `--key`, with which the tools show a server who they are.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::crypto::provider;
use super::pem::certificates;
use crate::cli::Failure;

/// A certificate with its chain and its key; none if none was given. The server alone reads the certificate, which may be of X.509
/// version 1: rustls and webpki would not take that.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity(Option<Arc<CertifiedKey>>);

/// The server's wish for a client certificate in a handshake, and what it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CertificateRequest {
    /// It did not ask for one.
    #[default]
    None,
    /// It asked, and there is none.
    Unanswered,
    /// It asked, and does not take a key of the kind of the one that there is.
    OtherKind,
    /// It got one.
    Answered,
}

thread_local! {
    /// The request in the latest handshake of this thread.
    static LATEST: Cell<CertificateRequest> = const { Cell::new(CertificateRequest::None) };
}

impl CertificateRequest {
    /// The request in the handshake that `shake` makes on this thread, and the result.
    pub(super) fn during<T>(shake: impl FnOnce() -> T) -> (Self, T) {
        LATEST.set(Self::None);
        let result = shake();
        (LATEST.get(), result)
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let suitable = self.0.clone().filter(|certified| certified.key.choose_scheme(schemes).is_some());
        LATEST.set(match (&suitable, &self.0) {
            (Some(_), _) => CertificateRequest::Answered,
            (None, Some(_)) => CertificateRequest::OtherKind,
            (None, None) => CertificateRequest::Unanswered,
        });
        suitable
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

impl Identity {
    /// Reads the chain from `cert`, and the key from `key`, or from `cert` as well. Refuses a key that others can read, and one
    /// that is not the certificate's.
    pub(super) fn read(cert: &Path, key: Option<&Path>) -> Result<Self, Failure> {
        let chain = certificates("--cert", cert)?;
        let (flag, file) = key.map_or(("--cert", cert), |key| ("--key", key));
        let failure = |error: &dyn std::fmt::Display| Failure::usage(format!("{flag} {}: {error}", file.display()));
        let bytes = std::fs::read(file).map_err(|error| failure(&error))?;
        let der = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
            let what = if String::from_utf8_lossy(&bytes).contains("ENCRYPTED") {
                "the key is encrypted: decrypt it with `openssl pkey -in FILE -out NEW`"
            } else if flag == "--cert" {
                "it has no PEM private key: name the key's file with --key"
            } else {
                "it has no private key in PEM form"
            };
            failure(&what)
        })?;
        let mode = file.metadata().map_err(|error| failure(&error))?.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            let what = format!(
                "every user can read this key (mode {mode:04o}): `chmod o= FILE`, or in Kubernetes a defaultMode of 0440"
            );
            return Err(failure(&what));
        }
        let key = provider().key_provider.load_private_key(der).map_err(|_| {
            failure(
                &"this key cannot be used: it must be RSA of 2,048 to 4,096 bits, ECDSA on P-256 or P-384, or Ed25519",
            )
        })?;
        let certificate = chain.first().and_then(|own| Certificate::parse(own).and_then(|own| own.public_key()).ok());
        let certificate = certificate.ok_or_else(|| {
            Failure::usage(format!("--cert {}: its first certificate cannot be read: is it damaged?", cert.display()))
        })?;
        if key.public_key().is_some_and(|own| own != certificate) {
            return Err(failure(&format!("this is not the key of the certificate in --cert {}", cert.display())));
        }
        Ok(Self(Some(CertifiedKey::new(chain, key).into())))
    }
}
