//! Once an hour, the totals of every connection that is polled and of every destination: what the status page draws its
//! charts from.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, Phase};
use store::{DeliveryCounts, Histories, StoreError};

use crate::SchedulePolls;

/// How many connections are read and written side by side.
const AT_ONCE: usize = 16;

/// The hour whose totals were noted last, by connection. Only of this process: another one notes an hour once more,
/// which changes nothing.
pub(crate) type Noted = BTreeMap<ConnectionKey, i64>;

/// Whose totals are noted.
#[derive(Clone, Copy)]
pub(crate) enum Noting {
    Connections,
    Destinations,
}

impl SchedulePolls {
    /// Notes the totals of connections or destinations in their histories, if that was not done in this hour.
    pub(crate) async fn note_totals(&self, whose: Noting, keys: Vec<ConnectionKey>, deadline: Timestamp) {
        let hour = Histories::hour_of(self.tables.clock.now());
        let is_due = |key: &ConnectionKey| {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.get(key).is_none_or(|noted| *noted < hour)
        };
        let due: Vec<ConnectionKey> = keys.into_iter().filter(is_due).collect();
        let noting = due.into_iter().map(|key| self.note(whose, key, deadline));
        stream::iter(noting).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn note(&self, whose: Noting, key: ConnectionKey, deadline: Timestamp) {
        let now = self.tables.clock.now();
        // What is left is noted with the next minute.
        if now >= deadline {
            return;
        }
        let noted = match self.totals(whose, &key).await {
            Ok(totals) => self.tables.histories.note(&key, now, &totals).await,
            Err(error) => Err(error),
        };
        match noted {
            Ok(()) => {
                self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Histories::hour_of(now));
            }
            // Charts are no reason to fail.
            Err(error) => tracing::warn!(connection = %key, %error, "the totals of an hour can't be noted"),
        }
    }

    async fn totals(&self, whose: Noting, key: &ConnectionKey) -> Result<Vec<u64>, StoreError> {
        match whose {
            Noting::Connections => {
                let state = self.tables.ledger.state(key).await?;
                let mut totals = state.totals;
                if let Some(batch) = state.latest.filter(|batch| batch.phase != Phase::Closed) {
                    totals += batch.counts;
                }
                Ok(totals.by_name().map(|(_, count)| count).to_vec())
            }
            Noting::Destinations => {
                let DeliveryCounts { sent, failed, left_out } = self.tables.deliveries.of(key).await?.progress.counts;
                Ok(vec![sent, failed, left_out])
            }
        }
    }
}
