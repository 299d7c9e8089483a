//! SHA-256 of bytes that come piece by piece, and short hashes of values.

use std::fmt::Write;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use ring::digest::{Context, SHA256};

/// The digest and the length of the bytes so far.
#[derive(Clone)]
pub struct Digest {
    context: Context,
    bytes: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self { context: Context::new(&SHA256), bytes: 0 }
    }
}

impl Digest {
    /// The digest of `bytes` alone.
    pub fn of(bytes: &[u8]) -> String {
        let mut digest = Self::default();
        digest.add(bytes);
        digest.hex()
    }

    /// Adds `bytes` at the end.
    pub fn add(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Number of bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of the bytes so far, in hexadecimal.
    pub fn hex(&self) -> String {
        self.context.clone().finish().as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// A number that equal values share, in this process and in others of the same build.
pub fn hash(value: impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_pieces_is_that_of_the_whole() {
        let mut digest = Digest::default();
        digest.add(b"a");
        let before = digest.hex();
        digest.add(b"bc");
        assert_eq!(digest.hex(), Digest::of(b"abc"));
        // The example of FIPS 180-2.
        assert_eq!(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((before, digest.bytes()), (Digest::of(b"a"), 3));
    }
}
