//! Many items of one table at once: reads and writes in DynamoDB's batches, completed until a deadline.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, WriteRequest};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use crate::backoff::{Backoff, Patience};
use crate::item::{Item, text};
use crate::request::{ITEMS_PER_WRITE, delete, not_built, put, write_batch};
use crate::{Clock, Random, StoreError};

/// DynamoDB's limit for one BatchGetItem.
pub(crate) const KEYS_PER_READ: usize = 100;
/// How many reads of one call are under way at once.
const READS_AT_ONCE: usize = 4;
/// How many writes of one call are under way at once.
const WRITES_AT_ONCE: usize = 8;

/// A table whose key is the text `id` alone.
#[derive(Clone, Debug)]
pub(crate) struct BulkTable {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl BulkTable {
    /// How its requests wait.
    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.clock.clone(), self.random.clone())
    }

    /// Reads items by key, a hundred at a time, each key once: these attributes of them, or all if none is named. What
    /// a read left unprocessed is read again until the deadline.
    ///
    /// The reads are consistent: an old copy could make a change back to it look unchanged.
    pub(crate) async fn get(
        &self,
        keys: Vec<String>,
        attributes: &[&str],
        deadline: Timestamp,
    ) -> Result<Vec<Item>, StoreError> {
        let pages: Vec<Vec<String>> = keys.chunks(KEYS_PER_READ).map(<[String]>::to_vec).collect();
        let items: Vec<Vec<Item>> = stream::iter(pages)
            .map(|page| {
                let keys = page.into_iter().map(|key| Item::from([("id".to_owned(), text(key))])).collect();
                let mut request = KeysAndAttributes::builder().consistent_read(true);
                if !attributes.is_empty() {
                    // Some of the names are reserved words.
                    let placeholder = |name: &&str| format!("#{name}");
                    let all: Vec<String> = attributes.iter().map(placeholder).collect();
                    request = request.projection_expression(all.join(", "));
                    for name in attributes {
                        request = request.expression_attribute_names(placeholder(name), *name);
                    }
                }
                read_page(&self.client, &self.name, keys, request, Backoff::until(&self.clock, &self.random, deadline))
            })
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(items.into_iter().flatten().collect())
    }

    /// Adds or replaces items, each key once. What a write left unprocessed is written again until the deadline.
    pub(crate) async fn put(&self, items: Vec<Item>, deadline: Timestamp) -> Result<(), StoreError> {
        self.write(items.into_iter().filter_map(put).collect(), deadline).await
    }

    /// Removes items by key, each key once; as [`put`](Self::put).
    pub(crate) async fn remove(&self, keys: Vec<String>, deadline: Timestamp) -> Result<(), StoreError> {
        let keys = keys.into_iter().map(|key| Item::from([("id".to_owned(), text(key))]));
        self.write(keys.filter_map(delete).collect(), deadline).await
    }

    async fn write(&self, requests: Vec<WriteRequest>, deadline: Timestamp) -> Result<(), StoreError> {
        stream::iter(requests.chunks(ITEMS_PER_WRITE).map(<[WriteRequest]>::to_vec))
            .map(|page| {
                let backoff = Backoff::until(&self.clock, &self.random, deadline);
                write_batch(&self.client, &self.name, page, backoff)
            })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }
}

/// Reads up to [`KEYS_PER_READ`] items by key, as `request` says, without its keys. What a read left unprocessed is
/// read again until the backoff's deadline.
pub(crate) async fn read_page(
    client: &Client,
    table: &str,
    mut wanted: Vec<Item>,
    request: KeysAndAttributesBuilder,
    mut backoff: Backoff<'_>,
) -> Result<Vec<Item>, StoreError> {
    let mut items = Vec::with_capacity(wanted.len());
    while !wanted.is_empty() {
        let request = request.clone().set_keys(Some(wanted.clone())).build().map_err(|_| not_built("BatchGetItem"))?;
        let answer = client.batch_get_item().request_items(table, request).send().await;
        match answer.map_err(|error| StoreError::aws("BatchGetItem", error)) {
            Ok(mut answer) => {
                items.extend(answer.responses.take().and_then(|mut tables| tables.remove(table)).unwrap_or_default());
                let unprocessed = answer.unprocessed_keys.take().and_then(|mut tables| tables.remove(table));
                wanted = unprocessed.map(|left| left.keys).unwrap_or_default();
            }
            // None of them was read: as if all were unprocessed.
            Err(StoreError::Throttled { .. }) => {}
            Err(error) => return Err(error),
        }
        if !wanted.is_empty() && !backoff.wait().await {
            return Err(StoreError::Deadline { operation: "BatchGetItem" });
        }
    }
    Ok(items)
}
