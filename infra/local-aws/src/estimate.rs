//! What a deployment will cost on AWS: from figures that the meter has measured, the prices, and what is planned.

use serde::{Deserialize, Serialize};

use crate::cost::{Bill, Deployed, HOURS_A_MONTH, Prices};
use crate::work::Work;

/// The figures of this repository; `cargo run -p tests --bin cost figures` measures them anew.
const FIGURES: &str = include_str!("../figures.toml");
/// Days of a month of so many hours.
const DAYS_A_MONTH: f64 = HOURS_A_MONTH / 24.0;
/// For so many days a change stands in the feed.
const FEED_DAYS: f64 = 90.0;
/// A source that is asked less often costs less in proportion, but no less than this share of what is measured: the
/// schedule looks at it once a minute all the same.
const LEAST_SHARE: f64 = 0.1;
/// Queues that a function works on.
const CONSUMED_QUEUES: u32 = 5;
/// Metrics that have values while nothing changes: `freshness`, `drift`, and one more.
const METRICS: u32 = 3;
/// What the alarms of the template watch.
const ALARMS: u32 = 32;

/// An idle hour of connections of one kind, each asked as often as by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdleHours {
    /// How often each was asked, in seconds.
    pub poll_seconds: f64,
    /// Of the first connection, with what the schedule does anyway.
    pub first: Work,
    /// Of each further one.
    pub further: Work,
}

/// What customers of one kind of source ask for, each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// One that comes for the first time.
    pub new: Work,
    /// One that has changed; its e-mail address too, as the worst case.
    pub changed: Work,
    /// One that is fetched and has not changed.
    pub unchanged: Work,
    /// How many bytes one has in the tables.
    pub bytes: f64,
}

/// Everything that was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Bytes that a change has in the feed.
    pub feed_bytes: f64,
    /// A change that is sent alone to a site of Business Catalyst.
    pub to_business_catalyst: Work,
    /// A change that is sent alone to a service that takes `customers_batch`.
    pub to_customers_batch: Work,
    /// A change that is sent alone to a webhook.
    pub to_webhook: Work,
    /// Idle Association Anywheres.
    pub idle_association_anywhere: IdleHours,
    /// Idle sites of Business Catalyst.
    pub idle_business_catalyst: IdleHours,
    /// Customers of Association Anywhere.
    pub association_anywhere: Measured,
    /// Contacts of Business Catalyst.
    pub business_catalyst: Measured,
}

/// What is planned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// `poll_seconds` of each Association Anywhere.
    pub association_anywhere: Vec<u32>,
    /// `poll_seconds` of each site of Business Catalyst.
    pub business_catalyst: Vec<u32>,
    /// Connections whose systems push to us.
    pub pushing: u32,
    /// Destinations of each kind (sites, `customers_batch`, webhooks), each with the share of all changes that it gets.
    pub destinations: [Vec<f64>; 3],
    /// Readers, each with a secret.
    pub readers: u32,
    /// How many customers all connections have together.
    pub customers: f64,
    /// How many of them change a day.
    pub changed_per_day: f64,
}

/// A month's bill in its parts, and what comes once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// A month in which nothing changes.
    pub idle: Bill,
    /// What a month's changes add.
    pub changes: Bill,
    /// What is stored.
    pub stored: Bill,
    /// The first sync of everybody, and sending them to the destinations, once.
    pub first_sync: Bill,
}

impl IdleHours {
    /// An idle hour of connections that are asked every so many seconds. The one that is asked most often has the
    /// function to itself, and the others come along: in whatever order they stand in the file.
    fn of(&self, poll_seconds: &[u32]) -> Work {
        let mut poll_seconds = poll_seconds.to_vec();
        poll_seconds.sort_unstable();
        poll_seconds.iter().enumerate().fold(Work::default(), |sum, (place, seconds)| {
            let share = (self.poll_seconds / f64::from((*seconds).max(1))).max(LEAST_SHARE);
            sum.and(if place == 0 { self.first } else { self.further }.times(share))
        })
    }
}

impl Figures {
    /// Reads a file of figures.
    ///
    /// # Errors
    /// If one is missing or no number, or there is one that is not known.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The figures of this repository.
    ///
    /// # Errors
    /// None as long as the file of this repository is valid, which a test holds.
    pub fn measured() -> Result<Self, toml::de::Error> {
        Self::parse(FIGURES)
    }

    /// What a plan costs in a month.
    #[must_use]
    pub fn estimate(&self, prices: &Prices, planned: &Planned) -> Estimate {
        let polled = planned.association_anywhere.len() + planned.business_catalyst.len();
        let connections = u32::try_from(polled).unwrap_or(u32::MAX).saturating_add(planned.pushing);
        let destinations = planned.destinations.iter().map(Vec::len).sum::<usize>();
        let secrets = connections.saturating_add(u32::try_from(destinations).unwrap_or(u32::MAX));
        let idle_hour = self.idle_association_anywhere.of(&planned.association_anywhere);
        let idle_hour = idle_hour.and(self.idle_business_catalyst.of(&planned.business_catalyst));
        // The other kinds cost as those that are pulled: a write of the record, and its place in feed and index.
        let share = |count: usize| if polled == 0 { 0.0 } else { count as f64 / polled as f64 };
        let (aa, bc) = (share(planned.association_anywhere.len()), share(planned.business_catalyst.len()));
        let aa = if polled == 0 { 1.0 } else { aa };
        let mixed = |of: fn(&Measured) -> Work| {
            of(&self.association_anywhere).times(aa).and(of(&self.business_catalyst).times(bc))
        };
        let changes = planned.changed_per_day * DAYS_A_MONTH;
        let sent = [self.to_business_catalyst, self.to_customers_batch, self.to_webhook];
        let sending_each = |customers: f64| {
            sent.iter().zip(&planned.destinations).fold(Work::default(), |sum, (each, shares)| {
                sum.and(each.times(shares.iter().sum::<f64>() * customers))
            })
        };
        let sending = sending_each(changes);
        // A new destination is sent everybody.
        let first_sending = sending_each(planned.customers);
        let bytes = self.association_anywhere.bytes * aa + self.business_catalyst.bytes * bc;
        let feed_bytes = planned.changed_per_day * FEED_DAYS * self.feed_bytes;
        let work = |work: Work| prices.work(&work, false);
        let deployed = deployed(secrets.saturating_add(planned.readers));
        Estimate {
            idle: work(idle_hour.times(HOURS_A_MONTH)).and(&prices.kept(&deployed)),
            changes: work(mixed(|measured| measured.changed).times(changes).and(sending)),
            stored: prices.stored(planned.customers * bytes + feed_bytes),
            first_sync: work(mixed(|measured| measured.new).times(planned.customers).and(first_sending)),
        }
    }
}

impl Estimate {
    /// The whole month.
    #[must_use]
    pub fn month(&self) -> Bill {
        self.idle.clone().and(&self.changes).and(&self.stored)
    }
}

/// What a deployment of the template has, with so many secrets.
#[must_use]
pub fn deployed(secrets: u32) -> Deployed {
    Deployed { consumed_queues: CONSUMED_QUEUES, metrics: METRICS, alarms: ALARMS, secrets, memory_gb, arm64: false }
}

/// As the template says.
fn memory_gb(binary: &str) -> f64 {
    if binary.starts_with("poll-") || binary == "push-changes" { 0.5 } else { 0.25 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(planned: &Planned) -> f64 {
        let prices = Prices::us_east_1().unwrap();
        Figures::measured().unwrap().estimate(&prices, planned).month().total()
    }

    fn planned(customers: f64, changed_per_day: f64) -> Planned {
        Planned {
            association_anywhere: vec![5],
            business_catalyst: vec![60],
            readers: 1,
            customers,
            changed_per_day,
            ..Planned::default()
        }
    }

    #[test]
    fn the_order_of_the_file_costs_nothing_and_the_first_sync_holds_what_is_sent_then() {
        let of = |poll_seconds: &[u32]| Planned {
            association_anywhere: poll_seconds.to_vec(),
            business_catalyst: poll_seconds.to_vec(),
            ..planned(0.0, 0.0)
        };
        assert_eq!(month(&of(&[5, 3_600])), month(&of(&[3_600, 5])));
        let first_sync = |planned: &Planned| {
            let prices = Prices::us_east_1().unwrap();
            Figures::measured().unwrap().estimate(&prices, planned).first_sync.total()
        };
        let mut sending = planned(1e6, 0.0);
        let before = first_sync(&sending);
        sending.destinations = [vec![], vec![], vec![1.0]];
        assert!(first_sync(&sending) > before);
    }

    #[test]
    fn more_costs_more_and_what_is_published_is_what_is_estimated() {
        let idle = month(&planned(0.0, 0.0));
        assert!((8.0..12.0).contains(&idle), "an idle month of one of each, as it is published: {idle}");
        let larger = month(&planned(1e6, 0.0));
        let busier = month(&planned(1e6, 50_000.0));
        assert!(idle < larger && larger < busier, "{idle} {larger} {busier}");
        let changes = (busier - larger) / (50_000.0 * DAYS_A_MONTH) * 1e6;
        assert!((2.0..4.0).contains(&changes), "a million changes: {changes}");
        let mut slower = planned(0.0, 0.0);
        slower.association_anywhere = vec![3_600];
        assert!(month(&slower) < idle);
        let mut sending = planned(1e6, 50_000.0);
        sending.destinations[2] = vec![0.5];
        assert!(month(&sending) > busier);
    }

    #[test]
    fn each_part_is_in_the_month_once() {
        let prices = Prices::us_east_1().unwrap();
        let estimate = Figures::measured().unwrap().estimate(&prices, &planned(1e5, 1e3));
        let parts = estimate.idle.total() + estimate.changes.total() + estimate.stored.total();
        assert!((estimate.month().total() - parts).abs() < 1e-9);
        assert!(estimate.first_sync.total() > 0.1);
    }

    #[test]
    fn a_figure_that_is_not_known_or_missing_is_refused() {
        assert!(Figures::parse(&format!("free = 1.0\n{FIGURES}")).is_err());
        assert!(Figures::parse("feed_bytes = 1.0").is_err());
    }
}
