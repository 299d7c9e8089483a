//! The client certificate of `--cert` and `--key`, with which the tools show a server who they are.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, Error, InconsistentKeys, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey};

use super::crypto::provider;
use super::pem::certificates;
use crate::cli::Failure;

/// A certificate with its chain and its key.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The same for ureq.
    pub(super) cert: ClientCert,
}

impl Identity {
    /// Reads the chain from `cert`, and the key from `key`, or from `cert` as well. Refuses a key that others can read, and one
    /// that is not the certificate's.
    pub(super) fn read(cert: &Path, key: Option<&Path>) -> Result<Self, Failure> {
        let chain = certificates("--cert", cert)?;
        let (flag, file) = key.map_or(("--cert", cert), |key| ("--key", key));
        let failure = |error: &dyn std::fmt::Display| Failure::usage(format!("{flag} {}: {error}", file.display()));
        let mode = file.metadata().map_err(|error| failure(&error))?.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            let what = format!(
                "every user can read this key (mode {mode:04o}): `chmod o= FILE`, or in Kubernetes a defaultMode of 0440"
            );
            return Err(failure(&what));
        }
        let bytes = std::fs::read(file).map_err(|error| failure(&error))?;
        let der = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
            let what = if String::from_utf8_lossy(&bytes).contains("ENCRYPTED") {
                "the key is encrypted: decrypt it with `openssl pkey -in FILE -out NEW`"
            } else if flag == "--cert" {
                "it has no PEM private key: name the key's file with --key"
            } else {
                "it has no PEM private key, which would begin with -----BEGIN PRIVATE KEY-----"
            };
            failure(&what)
        })?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| failure(&error))?;
        let config = config.with_root_certificates(RootCertStore::empty());
        config.with_client_auth_cert(chain.clone(), der.clone_key()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                failure(&format!("this is not the key of the certificate in --cert {}", cert.display()))
            }
            error => failure(&format!("this key and its certificate cannot be used: {error}")),
        })?;
        let own = PrivateKey::from_pem(&bytes).map_err(|_| failure(&"it has no PEM private key"))?;
        let certificates: Vec<Certificate<'static>> =
            chain.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
        Ok(Self { chain, key: der, cert: ClientCert::new_with_certs(&certificates, own) })
    }
}
