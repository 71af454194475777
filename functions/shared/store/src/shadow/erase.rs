//! Erasing a customer on request, and taking that back.

use model::{ConnectionKey, Content, ContentHash, Customer, Status};

use super::{RACES, Record, Shadow, item_key, readable, stored_head};
use crate::StoreError;
use crate::item::text;
use crate::request::is_done;

/// What was there of a customer that was erased.
#[derive(Clone, Debug, PartialEq)]
pub enum ErasedRecord {
    /// No record.
    Nothing,
    /// What an erasure before had left.
    ErasedBefore,
    /// A record; `None` if it could not be read.
    Record(Option<Box<Customer>>),
}

impl Shadow {
    /// Leaves nothing of a customer but its id and that it was erased: whoever follows it is told that it is gone. What
    /// its source tells of it from then on changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn erase(&self, connection: &ConnectionKey, source_id: &str) -> Result<ErasedRecord, StoreError> {
        let document = Content { status: Status::Deleted, ..Content::default() }.canonical_json();
        let hash = ContentHash::of(&document);
        for _ in 0..RACES {
            let Some(item) = self.get_item(connection, source_id).await? else { return Ok(ErasedRecord::Nothing) };
            let head = stored_head(&item)?;
            if head.is_erased {
                return Ok(ErasedRecord::ErasedBefore);
            }
            let record = Record {
                source_id,
                // Once it is lifted, the next batch is newer.
                version: &head.stamp.version,
                document: &document,
                hash: &hash,
                is_listed: false,
                state: Some(Customer::ERASED),
            };
            if self.put_if_still(connection, &record, Some(&head), None).await?.is_none() {
                return Ok(ErasedRecord::Record(readable(&item).map(Box::new)));
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }

    /// Makes an erased customer one that is deleted: the next time that its source tells of it, it is back. Does
    /// nothing if it is not erased.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lift_erasure(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        let update = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .key("id", text(item_key(connection, source_id)))
            .update_expression("REMOVE #state")
            .condition_expression("#state = :erased")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":erased", text(Customer::ERASED));
        let answer = self.table.patience().send(None, || update.clone().send()).await;
        is_done("UpdateItem", answer).map(|_| ())
    }
}
