//! Many items at once: reads and writes in DynamoDB's batches, completed until a deadline.

use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::request::Request;
use super::{Table, not_built};
use crate::StoreError;
use crate::item::{Item, item, text};

/// DynamoDB's limit for one BatchGetItem.
const KEYS_PER_READ: usize = 100;
/// DynamoDB's limit for one BatchWriteItem.
pub(crate) const ITEMS_PER_WRITE: usize = 25;
/// How many reads of one call are under way at once.
const READS_AT_ONCE: usize = 4;
/// How many writes of one call are under way at once.
const WRITES_AT_ONCE: usize = 8;

/// The key of an item in a table whose key is the text `id` alone.
pub(crate) fn id_key(id: impl Into<String>) -> Item {
    item([("id", text(id))])
}

/// The part of a batch that adds or replaces an item.
pub(crate) fn put(item: Item) -> Result<WriteRequest, StoreError> {
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(|_| not_built("BatchWriteItem"))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

/// The part of a batch that removes the item with this key.
pub(crate) fn delete(key: Item) -> Result<WriteRequest, StoreError> {
    let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(|_| not_built("BatchWriteItem"))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

impl Table {
    /// Reads items by key, each key once: these attributes of them, or all if none is named. What a read left
    /// unprocessed is read again until the deadline.
    ///
    /// The reads are consistent: an old copy could make a change back to it look unchanged.
    pub(crate) async fn get_many(
        &self,
        keys: Vec<String>,
        attributes: &[&str],
        deadline: Timestamp,
    ) -> Result<Vec<Item>, StoreError> {
        let how = projection(attributes).consistent_read(true);
        self.read(keys.into_iter().map(id_key).collect(), &how, READS_AT_ONCE, Some(deadline)).await
    }

    /// Reads items by key as they stood a moment ago: an eventually consistent read costs half as much. Otherwise as
    /// [`get_many`](Self::get_many), a hundred after the other.
    pub(crate) async fn glance(
        &self,
        keys: Vec<Item>,
        attributes: &[&str],
        deadline: Option<Timestamp>,
    ) -> Result<Vec<Item>, StoreError> {
        self.read(keys, &projection(attributes), 1, deadline).await
    }

    async fn read(
        &self,
        keys: Vec<Item>,
        how: &KeysAndAttributesBuilder,
        at_once: usize,
        deadline: Option<Timestamp>,
    ) -> Result<Vec<Item>, StoreError> {
        let pages: Vec<Vec<Item>> = keys.chunks(KEYS_PER_READ).map(<[Item]>::to_vec).collect();
        let items: Vec<Vec<Item>> = stream::iter(pages)
            .map(|page| self.read_page(page, how.clone(), deadline))
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        Ok(items.into_iter().flatten().collect())
    }

    async fn read_page(
        &self,
        mut wanted: Vec<Item>,
        how: KeysAndAttributesBuilder,
        deadline: Option<Timestamp>,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::with_capacity(wanted.len());
        let mut backoff = self.backoff(deadline);
        while !wanted.is_empty() {
            let keys = how.clone().set_keys(Some(wanted.clone())).build().map_err(|_| not_built("BatchGetItem"))?;
            let request = self.client.batch_get_item().request_items(&*self.name, keys);
            if let Some(answer) = unless_busy(request).await? {
                items.extend(answer.responses.and_then(|mut tables| tables.remove(&*self.name)).unwrap_or_default());
                let unprocessed = answer.unprocessed_keys.and_then(|mut tables| tables.remove(&*self.name));
                wanted = unprocessed.map(|left| left.keys).unwrap_or_default();
            }
            if !wanted.is_empty() && !backoff.wait().await {
                return Err(StoreError::Deadline { operation: "BatchGetItem" });
            }
        }
        Ok(items)
    }

    /// Adds or replaces items, each key once. What a write left unprocessed is written again until the deadline.
    pub(crate) async fn put_many(&self, items: Vec<Item>, deadline: Timestamp) -> Result<(), StoreError> {
        let additions = items.into_iter().map(put).collect::<Result<_, _>>()?;
        self.write_many(additions, WRITES_AT_ONCE, deadline).await
    }

    /// Removes items by key, each key once; as [`put_many`](Self::put_many).
    pub(crate) async fn delete_many(&self, keys: Vec<String>, deadline: Timestamp) -> Result<(), StoreError> {
        let deletions = keys.into_iter().map(id_key).map(delete).collect::<Result<_, _>>()?;
        self.write_many(deletions, WRITES_AT_ONCE, deadline).await
    }

    /// Sends writes in batches, `at_once` of them at the same time.
    pub(crate) async fn write_many(
        &self,
        requests: Vec<WriteRequest>,
        at_once: usize,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        stream::iter(requests.chunks(ITEMS_PER_WRITE).map(<[WriteRequest]>::to_vec))
            .map(|page| self.write_batch(page, deadline))
            .buffer_unordered(at_once)
            .try_collect()
            .await
    }

    /// Sends one batch of up to [`ITEMS_PER_WRITE`]. What it left unprocessed is sent again until the deadline.
    pub(crate) async fn write_batch(
        &self,
        mut requests: Vec<WriteRequest>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let mut backoff = self.backoff(Some(deadline));
        while !requests.is_empty() {
            let request = self.client.batch_write_item().request_items(&*self.name, requests.clone());
            if let Some(answer) = unless_busy(request).await? {
                let unprocessed = answer.unprocessed_items.and_then(|mut tables| tables.remove(&*self.name));
                requests = unprocessed.unwrap_or_default();
            }
            if !requests.is_empty() && !backoff.wait().await {
                return Err(StoreError::Deadline { operation: "BatchWriteItem" });
            }
        }
        Ok(())
    }
}

/// The answer to a batch; `None` if DynamoDB is busy: as if all of it were unprocessed.
async fn unless_busy<R: Request>(request: R) -> Result<Option<R::Output>, StoreError> {
    match request.attempt().await.map_err(|error| StoreError::aws(R::OPERATION, error)) {
        Ok(answer) => Ok(Some(answer)),
        Err(StoreError::Throttled { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A read of these attributes, or of all if none is named. Some of the names are reserved words.
fn projection(attributes: &[&str]) -> KeysAndAttributesBuilder {
    let placeholder = |name: &&str| format!("#{name}");
    let all: Vec<String> = attributes.iter().map(placeholder).collect();
    let read = KeysAndAttributes::builder();
    let read = read.set_projection_expression((!all.is_empty()).then(|| all.join(", ")));
    attributes.iter().fold(read, |read, name| read.expression_attribute_names(placeholder(name), *name))
}
