//! Positions in a tenant's change feed, as the opaque texts that readers send back.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use model::FeedPosition;

/// The text that stands for a position.
pub(crate) fn write_position(position: &FeedPosition, tenant: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(position.to_bytes(tenant))
}

/// The position that a text stands for; `None` if it is none, or one of another tenant.
pub(crate) fn read_position(text: &str, tenant: &str) -> Option<FeedPosition> {
    FeedPosition::of_bytes(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?, tenant)
}
