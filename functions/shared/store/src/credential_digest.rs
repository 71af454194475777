use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The SHA-256 digest of a secret, or of what a request presents as one. It has one length, whatever the secret's.
/// Stored as 64 hexadecimal digits.
///
/// Its `==` compares configurations, not what a request presents: that is compared in constant time, see
/// `CredentialCache` of the crate `api`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CredentialDigest(#[serde(with = "hex")] [u8; 32]);

impl CredentialDigest {
    /// The digest of this secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The digest of these parts, each with its length: no two lists of parts have the same one.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A configured bearer token as a request can present it: without outer blanks, which a header loses on its way. `None`
/// if no header can carry it: an empty one, or one with blanks or beyond ASCII.
pub fn usable_token(configured: &str) -> Option<&str> {
    let token = configured.trim();
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then_some(token)
}
