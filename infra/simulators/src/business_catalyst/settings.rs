//! How a simulator starts.

use clap::{Args, ValueEnum};
use jiff::{
    SignedDuration, Timestamp,
    civil::{self, DateTime},
    tz::TimeZone,
};

use super::clock::Clock;

/// When the site's clock starts by default.
const START: DateTime = civil::datetime(2024, 5, 1, 9, 0, 0, 0);

/// In which order a listing holds its contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListingOrder {
    /// By `lastUpdateDate`, and those of one second by `entityId`.
    #[value(help = None)]
    LastUpdateDate,
    /// By `entityId`.
    #[value(help = None)]
    EntityId,
}

/// How a simulator starts: options of `bc-simulator`.
///
/// It has no `Debug`, because it holds a password.
#[derive(Args, Clone)]
pub struct BcSettings {
    /// How many contacts there are, with ids from 1001
    #[arg(long, default_value_t = Self::default().contacts)]
    pub contacts: u64,
    /// The id of the first contact. All were last changed in the two years before the start.
    #[arg(skip = Self::default().first_id)]
    pub first_id: u64,
    /// Decides every name, date and random choice
    #[arg(long, default_value_t = Self::default().seed)]
    pub seed: u64,
    /// User name that requests must carry
    #[arg(long, default_value_t = Self::default().username)]
    pub username: String,
    /// Password that requests must carry
    #[arg(long, default_value_t = Self::default().password)]
    pub password: String,
    /// What requests without a user name must carry as password
    #[arg(long, default_value_t = Self::default().site_token)]
    pub site_token: String,
    /// Site that requests must name
    #[arg(long, default_value_t = Self::default().site_id)]
    pub site_id: i32,
    /// How many contacts a page holds.
    #[arg(skip = Self::default().page_size)]
    pub page_size: usize,
    /// A listing holds no more than so many, and says that there are none after them.
    #[arg(skip)]
    pub cap: Option<usize>,
    /// In which order a listing holds its contacts
    #[arg(long, value_enum, default_value_t = Self::default().order)]
    pub order: ListingOrder,
    /// Where the site is: its dates are this zone's local time.
    #[arg(skip = Self::default().time_zone)]
    pub time_zone: TimeZone,
    /// Where the time comes from.
    #[arg(skip = Self::default().clock)]
    pub clock: Clock,
    /// How far each change moves a manual clock on.
    #[arg(skip = Self::default().step)]
    pub step: SignedDuration,
}

impl Default for BcSettings {
    fn default() -> Self {
        Self {
            contacts: 1000,
            first_id: 1001,
            seed: 1,
            username: "demo@example.com".to_owned(),
            password: "demo-password".to_owned(),
            site_token: "demo-site-token".to_owned(),
            site_id: 12345,
            page_size: 100,
            cap: None,
            order: ListingOrder::LastUpdateDate,
            time_zone: TimeZone::UTC,
            clock: Clock::Manual(START),
            step: SignedDuration::from_secs(1),
        }
    }
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
