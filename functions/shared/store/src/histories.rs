//! The totals of connections and destinations at the beginning of each hour, for a day: the entry `history` of the
//! control table.
//!
//! | attribute | what |
//! |---|---|
//! | `latest` | the hour of the latest snapshot, in hours since 1970 |
//! | `h0` … `h24` | a snapshot: its hour and the totals then, separated by blanks; that of an hour stands at the hour modulo 25 |
//!
//! A ring, so that nothing has to be deleted: one write of less than 1 KB an hour. Whoever reads takes the snapshots of
//! the last 24 hours. Totals that a later release adds come last, and are 0 in what this one wrote.

use jiff::Timestamp;
use model::ConnectionKey;

use crate::StoreError;
use crate::item::{Item, number, text};
use crate::table::{Table, entry_key};

const HISTORY: &str = "history";
const HOUR: i64 = 3_600;

/// The totals of connections and destinations at the beginning of each hour, in the control table.
#[derive(Clone, Debug)]
pub struct Histories {
    pub(crate) table: Table,
}

/// The totals at the beginning of an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When the hour began.
    pub hour: Timestamp,
    /// The totals, in the order in which they were noted.
    pub totals: Vec<u64>,
}

impl Snapshot {
    /// The total at a place; 0 if it was not noted.
    pub fn total(&self, place: usize) -> u64 {
        self.totals.get(place).copied().unwrap_or(0)
    }
}

impl Histories {
    /// How many snapshots are kept: the differences of 24 hours.
    const KEPT: i64 = 25;

    /// The hour of a time, in hours since 1970.
    pub fn hour_of(at: Timestamp) -> i64 {
        at.as_second().div_euclid(HOUR)
    }

    /// Notes the totals as those of the hour of `now`. The first of an hour counts: a later one changes nothing.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn note(&self, key: &ConnectionKey, now: Timestamp, totals: &[u64]) -> Result<(), StoreError> {
        let hour = Self::hour_of(now);
        let snapshot: Vec<String> = [hour.to_string()].into_iter().chain(totals.iter().map(u64::to_string)).collect();
        let update = self
            .table
            .update(key, HISTORY)
            .update_expression(format!("SET h{} = :snapshot, latest = :hour", hour.rem_euclid(Self::KEPT)))
            .condition_expression("attribute_not_exists(latest) OR latest < :hour")
            .expression_attribute_values(":snapshot", text(snapshot.join(" ")))
            .expression_attribute_values(":hour", number(hour));
        self.table.write_if(update).await
    }

    /// The snapshots of the last 24 hours before `now`, and of the one in which it lies, the earliest first.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn of(&self, key: &ConnectionKey, now: Timestamp) -> Result<Vec<Snapshot>, StoreError> {
        let Some(item) = self.table.glance(vec![entry_key(key, HISTORY)], &[], None).await?.pop() else {
            return Ok(Vec::new());
        };
        Ok(snapshots(&item, Self::hour_of(now)))
    }
}

/// What can't be read was not written by this release or the one before: it is left out.
fn snapshots(item: &Item, now: i64) -> Vec<Snapshot> {
    let read = |place: i64| {
        let text = item.get(&format!("h{place}"))?.as_s().ok()?;
        let mut numbers = text.split(' ');
        let hour: i64 = numbers.next()?.parse().ok()?;
        let is_kept = (now - Histories::KEPT + 1..=now).contains(&hour);
        let totals = numbers.map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        let hour = Timestamp::from_second(hour.checked_mul(HOUR)?).ok()?;
        is_kept.then_some(Snapshot { hour, totals })
    };
    let mut snapshots: Vec<Snapshot> = (0..Histories::KEPT).filter_map(read).collect();
    snapshots.sort_by_key(|snapshot| snapshot.hour);
    snapshots
}
