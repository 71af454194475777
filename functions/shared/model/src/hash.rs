use std::fmt;

use sha2::{Digest, Sha256};

/// A fingerprint of a record's content: equal content has equal fingerprints, and is not written again.
///
/// The first 128 bits of SHA-256 over the canonical form, [`Content::canonical_json`](crate::Content::canonical_json).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHash([u8; 16]);

impl fmt::Display for ContentHash {
    /// In hexadecimal.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl ContentHash {
    /// The fingerprint of a canonical form.
    pub fn of(canonical: &str) -> Self {
        let digest = Sha256::digest(canonical.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// A fingerprint as it was stored; `None` where it has another length.
    pub fn from_stored(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
