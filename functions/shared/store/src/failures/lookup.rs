//! What is known of one customer's failure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use model::ConnectionKey;

use super::{
    Failure, Failures, REDRIVE, WITHHELD, Withheld, failure, record_entry, redrive_entry, source_id_of,
    withheld_deletion, withheld_entry,
};
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

/// What is known of some failures beside their records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailureMarks {
    /// The customers that are to be fetched, or sent, again.
    pub redriven: BTreeSet<String>,
    /// The customers whose deletion waits for a person, and why.
    pub withheld: BTreeMap<String, Withheld>,
}

impl Failures {
    /// A customer's failure record, without the raw document.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<Failure>, StoreError> {
        let Some(item) = self.table.get(connection, &record_entry(source_id)).await? else { return Ok(None) };
        Ok(Some(Failure { raw: String::new(), ..failure(&item)? }))
    }

    /// A customer's failure record with its raw document.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find_with_raw(
        &self,
        connection: &ConnectionKey,
        source_id: &str,
    ) -> Result<Option<Failure>, StoreError> {
        let Some(item) = self.table.get(connection, &record_entry(source_id)).await? else { return Ok(None) };
        self.with_raw(connection, failure(&item)?).await.map(Some)
    }

    /// Which of the failures of a page are to be fetched again, and which stand for deletions that wait, and why.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn marks(&self, connection: &ConnectionKey, page: &[Failure]) -> Result<FailureMarks, StoreError> {
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(FailureMarks::default()) };
        let (first, last) = (&first.source_id, &last.source_id);
        let between = |entry: fn(&str) -> String| {
            let query = self.table.entries_between(connection, &entry(first), &entry(last));
            self.table.query_all(query.consistent_read(false))
        };
        let redrives = between(redrive_entry).await?;
        let withheld = between(withheld_entry).await?;
        Ok(FailureMarks {
            redriven: redrives.iter().map(|item| source_id_of(item, REDRIVE)).collect::<Result<_, _>>()?,
            withheld: withheld
                .iter()
                .map(|item| Ok((source_id_of(item, WITHHELD)?, withheld_deletion(item).why)))
                .collect::<Result<_, StoreError>>()?,
        })
    }

    /// The request to fetch a customer again.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn redrive_of(&self, connection: &ConnectionKey, source_id: &str) -> Result<Option<Redrive>, StoreError> {
        let Some(item) = self.table.get(connection, &redrive_entry(source_id)).await? else { return Ok(None) };
        let read = Read::new(REDRIVE, &item);
        Ok(Some(Redrive { requested_at: read.time("requested_at")?, taken_by: read.optional_number("taken_by")? }))
    }
}
