//! Events for webhooks: [CloudEvents 1.0](https://cloudevents.io) in its structured JSON form, signed as
//! [Standard Webhooks](https://www.standardwebhooks.com) says.
//!
//! A request carries one event as its body ([`Event::to_json`], [`MEDIA_TYPE`]) and three headers: `webhook-id`
//! with the [`event_id`], `webhook-timestamp` with the seconds since 1970 at which it is sent, and `webhook-signature`
//! with the [`signatures`] of these two and the body. An event that is sent again has the same id, by which a receiver
//! knows it, and another timestamp.

mod event;
mod signature;

pub use event::{Event, MEDIA_TYPE, event_id};
pub use signature::{SecretProblem, SigningSecret, signatures};
