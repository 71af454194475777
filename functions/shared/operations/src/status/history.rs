//! How the counts stood at the beginning of each hour of the last day: `schedule-polls` notes them.

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, OutcomeCounts, iso_millis};
use serde::Serialize;
use store::{Snapshot, StoreError};
use utoipa::ToSchema;

use super::{AT_ONCE, Connections, Counts, PushCounts, StatusReader};

/// The counts of a connection at the beginning of an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HourlyCounts {
    /// When the hour began.
    #[schema(format = DateTime)]
    pub hour: String,
    /// What became of every customer by then.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The counts of a destination at the beginning of an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HourlyPushCounts {
    /// When the hour began.
    #[schema(format = DateTime)]
    pub hour: String,
    /// What became of changes by then.
    #[serde(flatten)]
    pub counts: PushCounts,
}

impl StatusReader {
    /// Adds how the counts stood in the last day. Systems push to some connections: these have no counts.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn add_histories(&self, all: &mut Connections, now: Timestamp) -> Result<(), StoreError> {
        let connections = all.connections.iter().filter(|status| !status.kind.is_push());
        let connections = connections.map(|status| ConnectionKey::new(&status.tenant, &status.id));
        let destinations = all.destinations.iter().map(|status| ConnectionKey::new(&status.tenant, &status.id));
        let keys: Vec<ConnectionKey> = connections.chain(destinations).collect();
        let read = keys.into_iter().map(|key| async move { self.tables.histories.of(&key, now).await });
        let mut histories: std::vec::IntoIter<Vec<Snapshot>> =
            stream::iter(read).buffered(AT_ONCE).try_collect::<Vec<_>>().await?.into_iter();
        for status in all.connections.iter_mut() {
            let snapshots = if status.kind.is_push() { None } else { histories.next() };
            status.history = Some(snapshots.iter().flatten().map(HourlyCounts::of).collect());
        }
        for (status, snapshots) in all.destinations.iter_mut().zip(histories) {
            status.history = Some(snapshots.iter().map(HourlyPushCounts::of).collect());
        }
        Ok(())
    }
}

impl HourlyCounts {
    fn of(snapshot: &Snapshot) -> Self {
        let ends = OutcomeCounts {
            written: snapshot.total(0),
            unchanged: snapshot.total(1),
            stale: snapshot.total(2),
            tombstoned: snapshot.total(3),
            failed: snapshot.total(4),
        };
        Self { hour: iso_millis(snapshot.hour), counts: Counts { fetched: ends.sum(), ends } }
    }
}

impl HourlyPushCounts {
    fn of(snapshot: &Snapshot) -> Self {
        let (sent, failed, left_out) = (snapshot.total(0), snapshot.total(1), snapshot.total(2));
        Self {
            hour: iso_millis(snapshot.hour),
            counts: PushCounts { changes: sent + failed + left_out, sent, failed, left_out },
        }
    }
}
