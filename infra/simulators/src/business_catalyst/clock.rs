//! The site's clock. It shows the site's local time, without a zone.

use std::sync::Arc;

use jiff::{Timestamp, civil::DateTime};

/// The source of the time with which a simulator dates changes.
#[derive(Clone)]
pub enum Clock {
    /// It stands at this local time, and each change moves it on by the settings' `step`.
    Manual(DateTime),
    /// It shows what this says, in the site's zone: the real time, or a story's own.
    Following(Arc<dyn Fn() -> Timestamp + Send + Sync>),
}
