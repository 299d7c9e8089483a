//! The parts of a server's certificate that webpki does not judge as curl does: the common name, and all of version 1.

use rustls::pki_types::{ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, Error};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;

/// A parsed certificate.
pub(super) struct Certificate(x509_cert::Certificate);

impl Certificate {
    /// Parses a certificate in DER form.
    pub(super) fn parse(der: &[u8]) -> Result<Self, Error> {
        x509_cert::Certificate::from_der(der).map(Self).map_err(|_| CertificateError::BadEncoding.into())
    }

    /// Refuses a certificate that has expired, or whose time has not come.
    pub(super) fn check_dates(&self, now: UnixTime) -> Result<(), Error> {
        let validity = self.0.tbs_certificate().validity();
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }

    /// Returns true if the certificate has no alternative names and its common name is the server's, as curl accepts it.
    pub(super) fn common_name_is(&self, server_name: &ServerName<'_>) -> bool {
        let certificate = self.0.tbs_certificate();
        let mut extensions = certificate.extensions().into_iter().flatten();
        let name = certificate.subject().common_name().ok().flatten();
        !extensions.any(|one| one.extn_id == SubjectAltName::OID)
            && name.is_some_and(|name| name.value().eq_ignore_ascii_case(&server_name.to_str()))
    }

    /// The public key with its algorithm.
    pub(super) fn public_key(&self) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
        let key = self.0.tbs_certificate().subject_public_key_info().to_der();
        key.map(SubjectPublicKeyInfoDer::from).map_err(|_| CertificateError::BadEncoding.into())
    }
}
