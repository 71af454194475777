//! The site's clock. It shows the site's local time, without a zone.

use std::sync::Arc;

use jiff::{Timestamp, civil::DateTime};

use super::BcSettings;

/// The source of the time with which a simulator dates changes.
#[derive(Clone)]
pub enum Clock {
    /// It stands at this local time, and each change moves it on by the settings' `step`.
    Manual(DateTime),
    /// It shows what this says, in the site's zone: the real time, or a story's own.
    Following(Arc<dyn Fn() -> Timestamp + Send + Sync>),
}

impl BcSettings {
    /// The site's local time, in whole seconds, as the source's dates have them.
    pub(super) fn now(&self) -> DateTime {
        match &self.clock {
            Clock::Manual(time) => *time,
            Clock::Following(now) => {
                let now = now();
                let seconds = Timestamp::from_second(now.as_second()).unwrap_or(now);
                self.time_zone.to_datetime(seconds)
            }
        }
    }

    /// The date of a change.
    pub(super) fn date_of_change(&mut self) -> DateTime {
        let now = self.now();
        if let Clock::Manual(time) = &mut self.clock {
            *time = time.saturating_add(self.step);
        }
        now
    }
}
