//! The cryptography of all connections: that of rustls with ring, and keys on P-521 and keys that are for RSA-PSS only.
//!
//! Over TLS 1.2 a server with a key on P-521 also wants that curve among the client's key exchanges (RFC 8422, section 5.1).
//! rustls has no keys for RSA-PSS only over TLS 1.2.

use std::sync::{Arc, LazyLock};

use p521::PublicKey;
use p521::ecdh::EphemeralSecret;
use p521::ecdsa::signature::hazmat::PrehashVerifier;
use p521::ecdsa::{Signature, VerifyingKey};
use p521::elliptic_curve::Generate;
use p521::elliptic_curve::sec1::ToSec1Point;
use ring::digest::{self, digest};
use ring::signature::{self, RsaParameters, UnparsedPublicKey};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SharedSecret, SupportedKxGroup, WebPkiSupportedAlgorithms,
    ring as ring_provider,
};
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use rustls::{Error, NamedGroup, PeerMisbehaved, SignatureScheme};

/// The length of a number on the curve.
const NUMBER: usize = 66;

/// The provider of every connection.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let ring = ring_provider::default_provider();
        let signature_verification_algorithms = with_own(ring.signature_verification_algorithms);
        let kx_groups = [&ring.kx_groups[..], &[&KeyExchange]].concat();
        CryptoProvider { kx_groups, signature_verification_algorithms, ..ring }.into()
    });
    PROVIDER.clone()
}

/// `ring` and the algorithms of this module.
fn with_own(ring: WebPkiSupportedAlgorithms) -> WebPkiSupportedAlgorithms {
    const P521_SHA256: &dyn SignatureVerificationAlgorithm =
        &EcdsaP521 { signature: alg_id::ECDSA_SHA256, hash: &digest::SHA256 };
    const P521_SHA384: &dyn SignatureVerificationAlgorithm =
        &EcdsaP521 { signature: alg_id::ECDSA_SHA384, hash: &digest::SHA384 };
    const OWN: [(SignatureScheme, &[&dyn SignatureVerificationAlgorithm]); 4] = [
        (
            SignatureScheme::ECDSA_NISTP521_SHA512,
            &[&EcdsaP521 { signature: alg_id::ECDSA_SHA512, hash: &digest::SHA512 }],
        ),
        // Their names are rsa_pss_pss_sha256 and so on (RFC 8446, section 4.2.3).
        (
            SignatureScheme::Unknown(0x0809),
            &[&RsaPss { signature: alg_id::RSA_PSS_SHA256, parameters: &signature::RSA_PSS_2048_8192_SHA256 }],
        ),
        (
            SignatureScheme::Unknown(0x080a),
            &[&RsaPss { signature: alg_id::RSA_PSS_SHA384, parameters: &signature::RSA_PSS_2048_8192_SHA384 }],
        ),
        (
            SignatureScheme::Unknown(0x080b),
            &[&RsaPss { signature: alg_id::RSA_PSS_SHA512, parameters: &signature::RSA_PSS_2048_8192_SHA512 }],
        ),
    ];
    // Over TLS 1.2 a scheme names the hash alone; over TLS 1.3, where it names the curve too, only the first algorithm counts.
    let mapping = ring.mapping.iter().map(|&(scheme, algorithms)| match scheme {
        SignatureScheme::ECDSA_NISTP384_SHA384 => (scheme, &*[algorithms, &[P521_SHA384]].concat().leak()),
        SignatureScheme::ECDSA_NISTP256_SHA256 => (scheme, &*[algorithms, &[P521_SHA256]].concat().leak()),
        _ => (scheme, algorithms),
    });
    let own = OWN.iter().flat_map(|(_, algorithms)| algorithms.iter().copied());
    WebPkiSupportedAlgorithms {
        all: ring.all.iter().copied().chain([P521_SHA256, P521_SHA384]).chain(own).collect::<Vec<_>>().leak(),
        mapping: mapping.chain(OWN).collect::<Vec<_>>().leak(),
    }
}

/// ECDSA on P-521.
#[derive(Debug)]
struct EcdsaP521 {
    signature: AlgorithmIdentifier,
    hash: &'static digest::Algorithm,
}

impl SignatureVerificationAlgorithm for EcdsaP521 {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        // The crate takes no hash shorter than half of the curve's numbers; with zeros in front it is the same number.
        let (hash, mut number) = (digest(self.hash, message), [0; NUMBER]);
        number[NUMBER - hash.as_ref().len()..].copy_from_slice(hash.as_ref());
        key.verify_prehash(&number, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// Signatures by keys that are for RSA-PSS only, without further limits in the key (RFC 4055, section 1.2).
#[derive(Debug)]
struct RsaPss {
    signature: AlgorithmIdentifier,
    parameters: &'static RsaParameters,
}

impl SignatureVerificationAlgorithm for RsaPss {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = UnparsedPublicKey::new(self.parameters, public_key);
        key.verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        // id-RSASSA-PSS.
        AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a])
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

/// Key exchange on P-521.
#[derive(Debug)]
struct KeyExchange;

impl SupportedKxGroup for KeyExchange {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = EphemeralSecret::try_generate().map_err(|_| GetRandomFailed)?;
        let public = secret.public_key().to_sec1_point(false).as_bytes().to_vec();
        Ok(Box::new(StartedExchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

/// A key exchange that waits for the server's key.
struct StartedExchange {
    secret: EphemeralSecret,
    public: Vec<u8>,
}

impl ActiveKeyExchange for StartedExchange {
    fn complete(self: Box<Self>, server_key: &[u8]) -> Result<SharedSecret, Error> {
        // TLS allows uncompressed points only (RFC 8446, section 4.2.8.2).
        let is_uncompressed = server_key.len() == 2 * NUMBER + 1;
        let key = PublicKey::from_sec1_bytes(server_key).ok().filter(|_| is_uncompressed);
        let key = key.ok_or(PeerMisbehaved::InvalidKeyShare)?;
        Ok(self.secret.diffie_hellman(&key).raw_secret_bytes().as_slice().into())
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}
