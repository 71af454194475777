//! How a simulator starts.

use jiff::{
    SignedDuration,
    civil::{self, DateTime},
    tz::TimeZone,
};

use super::Clock;

/// When the site's clock starts by default.
const START: DateTime = civil::datetime(2024, 5, 1, 9, 0, 0, 0);

/// In which order a listing holds its contacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingOrder {
    /// By `lastUpdateDate`, and those of one second by `entityId`.
    LastUpdateDate,
    /// By `entityId`.
    EntityId,
}

/// How a simulator starts.
///
/// It has no `Debug`, because it holds a password.
#[derive(Clone)]
pub struct BcSettings {
    /// How many contacts there are at the start, with consecutive ids, last changed in the two years before.
    pub contacts: u64,
    /// The id of the first of them.
    pub first_id: u64,
    /// Decides every name, date and random choice.
    pub seed: u64,
    /// The user name that requests must carry.
    pub username: String,
    /// The password that goes with it.
    pub password: String,
    /// What requests without a user name must carry in place of the password.
    pub site_token: String,
    /// The site that requests must name.
    pub site_id: i32,
    /// How many contacts a page holds.
    pub page_size: usize,
    /// A listing holds no more than so many, and says that there are none after them.
    pub cap: Option<usize>,
    /// In which order a listing holds its contacts.
    pub order: ListingOrder,
    /// Where the site is: its dates are this zone's local time.
    pub time_zone: TimeZone,
    /// Where the time comes from.
    pub clock: Clock,
    /// How far each change moves a manual clock on.
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
