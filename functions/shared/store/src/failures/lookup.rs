//! What is known of one customer's failure.

use jiff::Timestamp;
use model::ConnectionKey;

use super::{Failure, Failures, REDRIVE, failure, record_entry, redrive_entry};
use crate::StoreError;
use crate::item::Read;

/// A request to fetch a customer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// When it was made.
    pub requested_at: Timestamp,
    /// The number of the batch that took it in last.
    pub taken_by: Option<u64>,
}

impl Failures {
    /// A customer's failure record, without the raw document.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<Failure>, StoreError> {
        let Some(item) = self.0.get(connection, &record_entry(source_id)).await? else { return Ok(None) };
        Ok(Some(Failure { raw: String::new(), ..failure(&item)? }))
    }

    /// A customer's failure record, with the raw document.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find_with_raw(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
    ) -> Result<Option<Failure>, StoreError> {
        match self.0.get(connection, &record_entry(source_id)).await? {
            Some(item) => self.with_raw(connection, failure(&item)?).await.map(Some),
            None => Ok(None),
        }
    }

    /// The request to fetch a customer again.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn redrive_of(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<Redrive>, StoreError> {
        let Some(item) = self.0.get(connection, &redrive_entry(source_id)).await? else { return Ok(None) };
        let read = Read::new(REDRIVE, &item);
        Ok(Some(Redrive { requested_at: read.time("requested_at")?, taken_by: read.optional_number("taken_by")? }))
    }
}
