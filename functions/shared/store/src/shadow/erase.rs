//! Erasing a customer on request, and taking that back.

use model::{ConnectionKey, Content, ContentHash, Customer, Status, Version};

use super::{LONGEST_KEY, RACES, Record, Shadow, id_in, item_key, readable, stored_head};
use crate::item::text;
use crate::table::id_key;
use crate::{Erased, StoreError};

/// What was there of a customer that was erased.
#[derive(Clone, Debug, PartialEq)]
pub enum ErasedRecord {
    /// No record. There is one now that says that the customer was erased.
    Nothing,
    /// What an erasure before had left.
    ErasedBefore,
    /// A record; `None` if it could not be read.
    Record(Option<Box<Customer>>),
}

impl Shadow {
    /// Leaves nothing of a customer but its id and that it was erased: whoever follows it is told that it is gone. What
    /// its source tells of it from then on changes nothing. So it is with a customer that has no record: a writer that
    /// has not seen it in the list, and is about to write, finds one.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn erase(&self, connection: &ConnectionKey, source_id: &str) -> Result<ErasedRecord, StoreError> {
        if item_key(connection, source_id).len() > LONGEST_KEY {
            return Ok(ErasedRecord::Nothing);
        }
        let document = Content { status: Status::Deleted, ..Content::default() }.canonical_json();
        let hash = ContentHash::of(&document);
        for _ in 0..RACES {
            let item = self.get_item(connection, source_id).await?;
            let head = item.as_ref().map(stored_head).transpose()?;
            if head.as_ref().is_some_and(|head| head.is_erased) {
                return Ok(ErasedRecord::ErasedBefore);
            }
            let first = Version::of_batch(0, 0);
            let record = Record {
                source_id,
                // Once it is lifted, the next batch is newer.
                version: head.as_ref().map_or(&first, |head| &head.stamp.version),
                document: &document,
                hash: &hash,
                is_listed: false,
                state: Some(Customer::ERASED),
            };
            if self.put_if_still(connection, &record, head.as_ref(), None).await?.is_none() {
                return Ok(match item {
                    Some(item) => ErasedRecord::Record(readable(&item).map(Box::new)),
                    None => ErasedRecord::Nothing,
                });
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }

    /// Takes back those customers, new and just written, that must not be stored, because somebody was erased since the
    /// list was read: `erased` is how it stood then. Returns them.
    ///
    /// A writer that dies before it comes here leaves a customer that [`Notes::is_newcomer`](crate::Notes::is_newcomer)
    /// finds.
    pub(super) async fn take_back(
        &self,
        connection: &ConnectionKey,
        erased: &Erased,
        new: impl IntoIterator<Item = String>,
    ) -> Result<Vec<String>, StoreError> {
        let now = self.erasures.of(&connection.tenant).await?;
        let mut taken_back = Vec::new();
        if !now.differs_from(erased) {
            return Ok(taken_back);
        }
        for source_id in new {
            let Some(customer) = self.get(connection, &source_id).await? else { continue };
            let id = id_in(connection, &source_id);
            if !customer.is_erased() && now.refuses(&id, Some(&customer.content), true) {
                let at = self.table.clock.now();
                self.erasures.add_newcomer(&connection.tenant, &id, &customer.content, at).await?;
                self.erase(connection, &source_id).await?;
                tracing::warn!(%connection, "a customer that was new while another was erased is erased too");
                taken_back.push(source_id);
            }
        }
        Ok(taken_back)
    }

    /// Makes an erased customer one that is deleted: the next time that its source tells of it, it is back. Does
    /// nothing if it is not erased.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn lift_erasure(&self, connection: &ConnectionKey, source_id: &str) -> Result<(), StoreError> {
        let update = self
            .table
            .update_request(id_key(item_key(connection, source_id)))
            .update_expression("REMOVE #state")
            .condition_expression("#state = :erased")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":erased", text(Customer::ERASED));
        self.table.write_if(update).await
    }
}
