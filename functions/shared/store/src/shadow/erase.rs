//! Erasing a customer on request, and taking that back.

use model::{ConnectionKey, Content, ContentHash, Customer, Status, Version};

use super::{LONGEST_KEY, RACES, Record, Shadow, id_in, item_key, readable, stored_head};
use crate::item::text;
use crate::table::id_key;
use crate::{Erased, Standing, StoreError};

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

/// A customer that was not there before it was written.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) source_id: String,
    /// How its record stood before, if there was one.
    pub(super) tombstone: Option<Standing>,
}

impl Newcomer {
    /// Who was just written in the place of this record, if they were not there before.
    pub(super) fn instead_of(record: Option<Standing>, source_id: &str) -> Option<Self> {
        let is_new = record.is_none_or(|record| record.gone_since.is_some());
        is_new.then(|| Self { source_id: source_id.to_owned(), tombstone: record })
    }
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
            if head.as_ref().is_some_and(|head| head.standing.is_erased) {
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

    /// Takes back those customers who were just written, and were not there before, if somebody was erased since the
    /// list was read, and has not left them alone: `erased` is how it stood then. Returns them.
    ///
    /// A writer that dies before it comes here leaves a customer that [`Notes::is_newcomer`](crate::Notes::is_newcomer)
    /// finds.
    pub(super) async fn take_back(
        &self,
        connection: &ConnectionKey,
        erased: &Erased,
        newcomers: Vec<Newcomer>,
    ) -> Result<Vec<String>, StoreError> {
        let mut taken_back = Vec::new();
        if newcomers.is_empty() {
            return Ok(taken_back);
        }
        let now = self.erasures.of(&connection.tenant).await?;
        if !now.differs_from(erased) {
            return Ok(taken_back);
        }
        let notes = self.erasures.notes(&connection.tenant).await?;
        for Newcomer { source_id, tombstone } in newcomers {
            let Some(customer) = self.get(connection, &source_id).await? else { continue };
            let id = id_in(connection, &source_id);
            let is_refused = now.holds(&id) || notes.is_newcomer(&now, &id, &customer.content, tombstone);
            if is_refused && !customer.is_erased() {
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
