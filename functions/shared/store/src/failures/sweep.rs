//! Looking through the raw documents of failures, for persons who ask what is stored of them.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use model::ConnectionKey;

use super::{FAILURE, Failure, Failures, raw_entry, record_entry};
use crate::StoreError;

/// What is to become of a failure record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// It stays.
    Keep,
    /// It stays, without its document.
    Empty,
    /// It goes.
    Remove,
}

/// What became of failure records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many were removed.
    pub removed: u64,
    /// How many documents were emptied.
    pub emptied: u64,
}

impl Failures {
    /// The connections and destinations of a tenant that have failure records, registered or not. Reads the whole
    /// control table.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn places(&self, tenant: &str) -> Result<BTreeSet<ConnectionKey>, StoreError> {
        self.table.partitions_with(tenant, FAILURE).await
    }

    /// Calls `visit` with every failure record of a connection or a destination, with its raw document, by source id.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn look_through(
        &self,
        connection: &ConnectionKey,
        mut visit: impl FnMut(Failure),
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.page(connection, after.as_deref(), 100, true).await?;
            page.failures.into_iter().for_each(&mut visit);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Does with every failure record of a connection or a destination what `decide` says.
    ///
    /// # Errors
    /// If the store fails: `swept` says what was done until then.
    pub async fn sweep(
        &self,
        connection: &ConnectionKey,
        decide: impl Fn(&Failure) -> Sweep,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.page(connection, after.as_deref(), 100, true).await?;
            for failure in &page.failures {
                match decide(failure) {
                    Sweep::Keep => {}
                    Sweep::Empty => {
                        self.empty_document(connection, &failure.source_id).await?;
                        swept.emptied += 1;
                    }
                    Sweep::Remove => {
                        self.remove(connection, &failure.source_id).await?;
                        swept.removed += 1;
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// A record of a release before has the document in itself.
    pub(super) async fn empty_document(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        for entry in [record_entry(source_id), raw_entry(source_id)] {
            let update = self
                .table
                .update(connection, &entry)
                .update_expression("SET raw_document = :empty")
                .condition_expression("attribute_exists(raw_document)")
                .expression_attribute_values(":empty", AttributeValue::S(String::new()));
            self.table.is_done(update).await?;
        }
        Ok(())
    }
}
