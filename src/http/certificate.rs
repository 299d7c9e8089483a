//! Checks of a server's certificate that curl makes and webpki does not: the common name, and X.509 version 1.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::{ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, Error, OtherError};
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner, Version};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::der::oid::db::rfc5280::{
    ID_CE_BASIC_CONSTRAINTS, ID_CE_CERTIFICATE_POLICIES, ID_CE_CRL_DISTRIBUTION_POINTS, ID_CE_EXT_KEY_USAGE,
    ID_CE_INHIBIT_ANY_POLICY, ID_CE_KEY_USAGE, ID_CE_NAME_CONSTRAINTS, ID_CE_POLICY_CONSTRAINTS, ID_CE_POLICY_MAPPINGS,
    ID_CE_SUBJECT_ALT_NAME, ID_KP_SERVER_AUTH,
};
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::spki::AlgorithmIdentifierOwned;

/// The extensions that OpenSSL processes, so they may be critical. Those that limit what an authority may sign do not matter for
/// a certificate that is itself trusted.
const KNOWN_EXTENSIONS: [ObjectIdentifier; 10] = [
    ID_CE_BASIC_CONSTRAINTS,
    ID_CE_CERTIFICATE_POLICIES,
    ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_EXT_KEY_USAGE,
    ID_CE_INHIBIT_ANY_POLICY,
    ID_CE_KEY_USAGE,
    ID_CE_NAME_CONSTRAINTS,
    ID_CE_POLICY_CONSTRAINTS,
    ID_CE_POLICY_MAPPINGS,
    ID_CE_SUBJECT_ALT_NAME,
];

/// The reason why a certificate is refused, as a message.
#[derive(Debug, derive_more::Display, derive_more::Error)]
pub(super) struct Refusal(#[error(not(source))] &'static str);

impl Refusal {
    pub(super) const NOT_IN_FILE: Self =
        Self("the server's certificate is self-signed and is not the one in --cacert: has it been replaced?");
    pub(super) const VERSION: Self = Self(
        "the server's certificate is of X.509 version 1 or 2, and no authority in --cacert signed it: name the certificate itself",
    );
    const PURPOSE: Self =
        Self("the server's certificate is not for servers: its (extended) key usage allows other purposes only");
    const CRITICAL: Self =
        Self("the server's certificate has a critical extension that is not known here, so it must not be trusted");
    pub(super) const KEY: Self =
        Self("the server's certificate has a key of a kind that is not known here: use RSA, ECDSA or Ed25519");
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        CertificateError::Other(OtherError(Arc::new(refusal))).into()
    }
}

/// A parsed certificate.
#[derive(Debug)]
pub(super) struct Certificate(CertificateInner<Raw>);

impl Certificate {
    /// Parses a certificate in DER form.
    pub(super) fn parse(der: &[u8]) -> Result<Self, Error> {
        CertificateInner::from_der(der).map(Self).map_err(|_| CertificateError::BadEncoding.into())
    }

    fn fields(&self) -> &TbsCertificateInner<Raw> {
        self.0.tbs_certificate()
    }

    fn extension<'a, T: Decode<'a, Error = x509_cert::der::Error> + AssociatedOid>(
        &'a self,
    ) -> Result<Option<T>, Error> {
        let extension = self.fields().get_extension::<T>().map_err(|_| CertificateError::BadEncoding)?;
        Ok(extension.map(|(_, extension)| extension))
    }

    /// Returns true if the certificate is of X.509 version 3, which alone has extensions.
    pub(super) fn is_version3(&self) -> bool {
        self.fields().version() == Version::V3
    }

    /// Returns true if the certificate names itself as its issuer.
    pub(super) fn is_self_signed(&self) -> bool {
        self.fields().issuer() == self.fields().subject()
    }

    /// Returns true unless the certificate says that it is not an authority.
    pub(super) fn may_sign(&self) -> bool {
        !self.is_version3() || self.extension::<BasicConstraints>().is_ok_and(|it| it.is_none_or(|it| it.ca))
    }

    /// Returns true if the certificate limits the names in the certificates that it signs (`nameConstraints`).
    pub(super) fn constrains_names(&self) -> bool {
        self.fields().extensions().into_iter().flatten().any(|one| one.extn_id == ID_CE_NAME_CONSTRAINTS)
    }

    /// Refuses a certificate that has expired or is not yet valid.
    pub(super) fn check_dates(&self, now: UnixTime) -> Result<(), Error> {
        let validity = self.fields().validity();
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }

    /// Refuses a certificate that is not for servers.
    pub(super) fn check_purpose(&self) -> Result<(), Error> {
        let purposes = self.extension::<ExtendedKeyUsage>()?;
        let usage = self.extension::<KeyUsage>()?;
        let is_for_servers = purposes.is_none_or(|purposes| purposes.0.contains(&ID_KP_SERVER_AUTH));
        let is_for_tls =
            usage.is_none_or(|usage| usage.digital_signature() || usage.key_encipherment() || usage.key_agreement());
        if is_for_servers && is_for_tls { Ok(()) } else { Err(Refusal::PURPOSE.into()) }
    }

    /// Refuses a certificate with a critical extension that is not known.
    pub(super) fn check_critical_extensions(&self) -> Result<(), Error> {
        let mut extensions = self.fields().extensions().into_iter().flatten();
        let is_unknown = extensions.any(|one| one.critical && !KNOWN_EXTENSIONS.contains(&one.extn_id));
        if is_unknown { Err(Refusal::CRITICAL.into()) } else { Ok(()) }
    }

    /// Refuses a certificate that is for another server. With `by_common_name`, the common name counts if there is no DNS or IP
    /// alternative name.
    pub(super) fn check_name(&self, server: &ServerName<'_>, by_common_name: bool) -> Result<(), Error> {
        let (mut hosts, mut addresses) = (Vec::new(), Vec::new());
        for name in self.extension::<SubjectAltName>()?.into_iter().flat_map(|names| names.0) {
            match name {
                GeneralName::DnsName(host) => hosts.push(host.to_string()),
                GeneralName::IpAddress(octets) => addresses.extend(address(octets.as_bytes())),
                _ => {}
            }
        }
        if hosts.is_empty() && addresses.is_empty() && by_common_name {
            let name = self.common_name().unwrap_or_default();
            match name.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => hosts.push(name),
            }
        }
        let is_named = match server {
            ServerName::IpAddress(expected) => addresses.contains(&IpAddr::from(*expected)),
            _ => hosts.iter().any(|host| covers(host, &server.to_str())),
        };
        if is_named {
            return Ok(());
        }
        let presented = hosts.into_iter().chain(addresses.iter().map(IpAddr::to_string)).collect();
        Err(CertificateError::NotValidForNameContext { expected: server.to_owned(), presented }.into())
    }

    /// The last common name, which is the most specific.
    fn common_name(&self) -> Option<String> {
        let names = self.fields().subject().iter().filter(|attribute| attribute.oid == COMMON_NAME);
        names.filter_map(|name| Some(name.value.decode_as::<DirectoryString>().ok()?.value().into_owned())).last()
    }

    /// Returns true if `issuer` signed the certificate with one of `algorithms`.
    pub(super) fn is_signed_by(&self, issuer: &Self, algorithms: &[&dyn SignatureVerificationAlgorithm]) -> bool {
        let algorithm = contents(self.0.signature_algorithm());
        let matching = algorithms.iter().filter(|one| Some(one.signature_alg_id().as_ref()) == algorithm.as_deref());
        let message = self.fields().to_der();
        self.fields().issuer() == issuer.fields().subject()
            && message
                .is_ok_and(|message| issuer.verify(matching.copied(), &message, self.0.signature().raw_bytes()).is_ok())
    }

    /// Verifies a signature with the certificate's key, by the first of `algorithms` for that kind of key.
    pub(super) fn verify<'a>(
        &self,
        algorithms: impl IntoIterator<Item = &'a dyn SignatureVerificationAlgorithm>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let key = self.fields().subject_public_key_info();
        let kind = contents(&key.algorithm);
        let mut algorithms = algorithms.into_iter();
        let algorithm = algorithms.find(|one| Some(one.public_key_alg_id().as_ref()) == kind.as_deref());
        let verified =
            algorithm.ok_or(Refusal::KEY)?.verify_signature(key.subject_public_key.raw_bytes(), message, signature);
        verified.map_err(|_| CertificateError::BadSignature.into())
    }

    /// The public key with its algorithm.
    pub(super) fn public_key(&self) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
        let key = self.fields().subject_public_key_info().to_der();
        key.map(SubjectPublicKeyInfoDer::from).map_err(|_| CertificateError::BadEncoding.into())
    }
}

/// The address of 4 or 16 octets.
fn address(octets: &[u8]) -> Option<IpAddr> {
    let version4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    version4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Returns true if `name`, which may be a wildcard such as `*.example.org`, matches `host`.
fn covers(name: &str, host: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let domain = name.strip_prefix("*.").filter(|domain| domain.contains('.'));
    let parent = host.split_once('.').map(|(_, parent)| parent);
    name.eq_ignore_ascii_case(host)
        || domain.zip(parent).is_some_and(|(domain, parent)| domain.eq_ignore_ascii_case(parent))
}

/// The content of an `AlgorithmIdentifier` in DER form, without the header of the SEQUENCE, as rustls holds it.
fn contents(algorithm: &AlgorithmIdentifierOwned) -> Option<Vec<u8>> {
    let mut der = algorithm.oid.to_der().ok()?;
    if let Some(parameters) = &algorithm.parameters {
        der.extend(parameters.to_der().ok()?);
    }
    Some(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stands_for_one_label_of_a_name_below_a_domain() {
        for name in ["a.example.org", "A.Example.ORG", "a.example.org.", "*.example.org"] {
            assert!(covers(name, "a.example.org"), "{name}");
        }
        for name in ["example.org", "*.a.example.org", "b.example.org", "*", "*.*", "a.*.org", "*a.example.org", ""] {
            assert!(!covers(name, "a.example.org"), "{name}");
        }
        assert!(!covers("*.org", "example.org") && !covers("*.example.org", "a.b.example.org"));
    }
}
