use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use thiserror::Error;

/// What a secret may begin with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// What a receiver and we sign with, and nobody else knows.
#[derive(Clone)]
pub struct SigningSecret(Hmac<Sha256>);

/// It is a secret.
impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningSecret").finish_non_exhaustive()
    }
}

/// Why a text is no signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretProblem {
    /// It can't be decoded.
    #[error("a signing secret is `{PREFIX}` and standard base64 with its padding; this is not")]
    NotBase64,
    /// It is too short to be safe, or longer than the standard allows.
    #[error("a signing secret has {SHORTEST} to {LONGEST} bytes as base64; this has {bytes}")]
    Length {
        /// How many it has.
        bytes: usize,
    },
}

impl SigningSecret {
    /// The secret that a text stands for: `whsec_`, which may be left out, and standard base64 of 24 to 64 bytes.
    ///
    /// # Errors
    /// What is wrong with it, without the text.
    pub fn parse(text: &str) -> Result<Self, SecretProblem> {
        let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| SecretProblem::NotBase64)?;
        let wrong_length = SecretProblem::Length { bytes: bytes.len() };
        if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
            return Err(wrong_length);
        }
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| wrong_length)
    }

    fn sign(&self, id: &str, timestamp_seconds: i64, body: &str) -> String {
        let mut code = self.0.clone();
        for part in [id, ".", &timestamp_seconds.to_string(), ".", body] {
            code.update(part.as_bytes());
        }
        format!("v1,{}", BASE64_STANDARD.encode(code.finalize().into_bytes()))
    }
}

/// The signatures of one request, one for each secret, in their order: a receiver that knows any of the secrets can
/// check it, so that they can be exchanged without a gap.
pub fn signatures(secrets: &[SigningSecret], id: &str, timestamp_seconds: i64, body: &str) -> String {
    secrets.iter().map(|secret| secret.sign(id, timestamp_seconds, body)).collect::<Vec<_>>().join(" ")
}
