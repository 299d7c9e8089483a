//! Certificates in PEM files, as people keep them: with notes around them, and in OpenSSL's own form.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use ureq::tls::{PemItem, parse_pem};

use crate::cli::Failure;

/// The certificates in the PEM file `file`, which the flag `flag` names.
pub(super) fn certificates(flag: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::usage(format!("{flag} {}: {error}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| failure(&error))?;
    if bytes.starts_with(&[0x30, 0x82]) {
        let what = "it is in DER form: make a PEM file of it with `openssl x509 -inform der -in FILE -out FILE.pem`, or of PKCS#12 with \
                    `openssl pkcs12 -in FILE -nodes -out FILE.pem`";
        return Err(failure(&what));
    }
    // Notes around the certificates may be in any encoding, and editors put a byte order mark in front.
    let text = String::from_utf8_lossy(&bytes);
    let pem = text.trim_start_matches('\u{feff}');
    let mut found = Vec::new();
    // OpenSSL's own form is a certificate with notes on its trust behind it, and an old name of the plain form.
    let pem = pem.replace("TRUSTED CERTIFICATE", "CERTIFICATE").replace("X509 CERTIFICATE", "CERTIFICATE");
    for item in parse_pem(pem.as_bytes()) {
        let cut =
            "a certificate in it lacks its end (-----END CERTIFICATE-----) or is not base64: is the file complete?";
        if let PemItem::Certificate(certificate) = item.map_err(|_| failure(&cut))? {
            found.push(CertificateDer::from(first_element(certificate.der()).to_vec()));
        }
    }
    if found.is_empty() {
        return Err(failure(&"it has no PEM certificate, which would begin with -----BEGIN CERTIFICATE-----"));
    }
    Ok(found)
}

/// The first element of `der`, by the length in its head (X.690, section 8.1.3).
fn first_element(der: &[u8]) -> &[u8] {
    let Some(&first) = der.get(1) else { return der };
    let octets = if first < 0x80 { 0 } else { usize::from(first & 0x7f) };
    let length = match der.get(2..2 + octets) {
        Some([]) => usize::from(first),
        Some(octets) => octets.iter().fold(0_usize, |length, octet| length.saturating_mul(256) + usize::from(*octet)),
        None => return der,
    };
    der.get(..length.saturating_add(2 + octets)).unwrap_or(der)
}
