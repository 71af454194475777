//! Signatures after Standard Webhooks.

use axum::http::HeaderMap;
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// The key in a secret; `None` if that is not `whsec_` and base64.
pub(super) fn key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (!key.is_empty()).then_some(key)
}

/// The id of a request that is signed with this key, at about this time.
pub(super) fn verified_id<'a>(
    key: &[u8],
    headers: &'a HeaderMap,
    body: &[u8],
    now: Timestamp,
    tolerance: SignedDuration,
) -> Option<&'a str> {
    let id = header(headers, "webhook-id").filter(|id| !id.is_empty())?;
    let written = header(headers, "webhook-timestamp")?;
    let signed_at = Timestamp::from_second(written.parse().ok()?).ok()?;
    if signed_at.duration_since(now).abs() > tolerance {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [id.as_bytes(), b".", written.as_bytes(), b".", body] {
        mac.update(part);
    }
    let is_right = |signature: &str| {
        // Another version is another kind of signature.
        let signature = signature.strip_prefix("v1,").and_then(|signature| BASE64_STANDARD.decode(signature).ok());
        signature.is_some_and(|signature| mac.clone().verify_slice(&signature).is_ok())
    };
    header(headers, "webhook-signature")?.split(' ').any(is_right).then_some(id)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
