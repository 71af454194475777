//! How a receiver starts.

use std::sync::Arc;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::signatures;

/// How a receiver starts: the options of `webhook-receiver`.
///
/// It has no `Debug`, because it holds a secret.
#[derive(Args, Clone)]
pub struct WebhookSettings {
    /// Secret that requests must be signed with: whsec_ and base64
    #[arg(long, default_value_t = Self::default().secret, value_parser = usable_secret)]
    pub secret: String,
    /// How many seconds the time of a signature may be off, either way
    #[arg(long = "tolerance", value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub tolerance: SignedDuration,
    /// Says what time it is: the real time, or a story's own.
    #[arg(skip = Self::default().clock)]
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            // In base64: demo-secret-of-the-webhook-receiver
            secret: "whsec_ZGVtby1zZWNyZXQtb2YtdGhlLXdlYmhvb2stcmVjZWl2ZXI=".to_owned(),
            tolerance: SignedDuration::from_mins(5),
            clock: Arc::new(Timestamp::now),
        }
    }
}

fn usable_secret(text: &str) -> Result<String, &'static str> {
    signatures::key(text).map(|_| text.to_owned()).ok_or("whsec_ and base64 are expected")
}

fn seconds(text: &str) -> Result<SignedDuration, &'static str> {
    let seconds: u32 = text.parse().map_err(|_| "a number of seconds is expected")?;
    Ok(SignedDuration::from_secs(seconds.into()))
}
