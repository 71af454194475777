//! The contacts that a listing reported, beside their chunk: compressed, and written once.
//!
//! DynamoDB bills each write of an item by the whole of it, also one that changes a number in it, and a write in a
//! transaction twice. So what workers write often is the chunk, which has some hundred bytes, and the contacts have an
//! item of their own. It is put with the chunk's page, read by the worker that takes the chunk, and deleted once the
//! chunk is settled. A worker that died in between leaves it behind: the next batch removes it.
//!
//! | attribute | what |
//! |---|---|
//! | `connection` | `acme/bc#listed/07`: one of 16 keys, by the chunk's number |
//! | `entry` | `listed/000000000007/00000042`: the batch and the chunk |
//! | `zlib` | the customers as JSON, compressed |
//! | `page_asked_at` | as of its chunk: contacts of another answer are not taken for the chunk's |
//!
//! **What an unchanged contact costs**, of 100 in a chunk with 600 to 700 bytes each: 65 KB as JSON, and 9 to 10 KB
//! here.
//!
//! | | write units | read units |
//! |---|---|---|
//! | the contacts: put, read, deleted | 20 | 3 |
//! | the chunk: put, leased, deleted in a transaction | 4 | 1 |
//! | its counts, in that transaction | 2 | |
//! | the page in the batch | 2 | 1 |
//! | the batch and the connection, as the worker reads them | | 2 |
//! | failure records that may be resolved | | 1 |
//! | the poller's look | | 2 |
//! | the shadow's records | | 100 |
//! | of 100 contacts | 28 | 110 |
//!
//! At 0.625 $ for a million write units and 0.125 $ for a million read units that is 0.31 $ for a million contacts. A
//! full listing notes the ids too, for 0.03 $ more.
//!
//! **How much one key takes.** A key takes 1,000 write units a second. At ten pages a second, the chunks, their counts
//! and the batch need 80 of the connection's own key. The contacts need 200 units, and if each chunk were as large as
//! an item can be, 7,800: of each of the 16 keys 490.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{ConnectionKey, ListedCustomer};

use super::{ChunkKey, Ledger, PAGE_ASKED_AT};
use crate::StoreError;
use crate::item::{Item, Read, bytes, item, text};
use crate::table::delete;
use crate::zlib::{compressed, unfolded};

/// Partition keys for the contacts of one connection.
const KEYS: u32 = 16;
/// How many of them are looked through side by side.
const KEYS_AT_ONCE: usize = 8;
/// The customers, compressed.
const COMPRESSED: &str = "zlib";
/// In a chunk: how many customers stand beside it. The release before had the customers there, as text.
const LISTED: &str = "listed";

/// The item with the customers of a chunk.
pub(super) fn listed_item(key: &ChunkKey, listed: &[ListedCustomer]) -> Item {
    let mut item = item_key(key);
    item.insert(COMPRESSED.to_owned(), bytes(&compressed(listed_json(listed).as_bytes())));
    item
}

impl Ledger {
    /// The customers of a chunk, as a listing reported them.
    pub(super) async fn listed(&self, key: &ChunkKey, chunk: &Item) -> Result<Vec<ListedCustomer>, StoreError> {
        let read = Read::new("chunk", chunk);
        match chunk.get(LISTED) {
            None => return Ok(Vec::new()),
            // The release before: the customers stand in the chunk.
            Some(listed) if listed.is_s() => return read_json(read.text(LISTED)?.as_bytes()),
            Some(_) => {}
        }
        let item = self.table.get_key(item_key(key)).await?.ok_or_else(corrupt)?;
        let beside = Read::new("listed", &item);
        if beside.optional_time(PAGE_ASKED_AT)? != read.optional_time(PAGE_ASKED_AT)? {
            return Err(corrupt());
        }
        let listed = read_json(&unfolded(beside.bytes(COMPRESSED)?).ok_or_else(corrupt)?)?;
        if listed.len() == read.number::<usize>(LISTED)? { Ok(listed) } else { Err(corrupt()) }
    }

    /// Removes the customers of a chunk that is settled. If that fails, the next batch removes them.
    pub(super) async fn remove_listed(&self, key: &ChunkKey) {
        if let Err(error) = self.table.delete_key(item_key(key)).await {
            tracing::warn!(%error, "the contacts of a chunk that is done could not be removed yet");
        }
    }

    /// The connections of a tenant, registered or not, that hold listed customers. Reads the whole table, of all
    /// tenants.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn with_listed(&self, tenant: &str) -> Result<BTreeSet<ConnectionKey>, StoreError> {
        let scan = self
            .table
            .scan("begins_with(#connection, :tenant) AND begins_with(entry, :listed)")
            .projection_expression("#connection")
            .expression_attribute_names("#connection", "connection")
            .expression_attribute_values(":tenant", text(format!("{tenant}/")))
            .expression_attribute_values(":listed", text("listed/"))
            .consistent_read(true);
        let (mut pages, mut found) = (self.table.pages(scan), BTreeSet::new());
        while let Some(items) = pages.next().await? {
            for item in &items {
                let partition = Read::new("listed", item).text("connection")?;
                found.extend(partition.split_once('#').and_then(|(connection, _)| connection.parse().ok()));
            }
        }
        Ok(found)
    }

    /// Removes the customers that batches before the number `batch` left.
    ///
    /// # Errors
    /// If not all could be removed before the deadline.
    pub async fn clear_listed(
        &self,
        connection: &ConnectionKey,
        batch: u64,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let looks = partitions(connection).map(|partition| self.clear_listed_under(partition, batch, deadline));
        stream::iter(looks).buffer_unordered(KEYS_AT_ONCE).try_collect().await
    }

    async fn clear_listed_under(&self, partition: String, batch: u64, deadline: Timestamp) -> Result<(), StoreError> {
        let query = self
            .table
            .partition(partition, " AND entry < :batch")
            .projection_expression("#connection, entry")
            .expression_attribute_values(":batch", text(format!("listed/{batch:012}/")));
        let deletions = self.table.query_all(query).await?.into_iter().map(delete).collect::<Result<_, _>>()?;
        self.table.write_many(deletions, 1, deadline).await
    }
}

/// The partition keys under which contacts of a connection's chunks stand.
pub(crate) fn partitions(connection: &ConnectionKey) -> impl Iterator<Item = String> {
    (0..KEYS).map(|number| partition(connection, number))
}

fn partition(connection: &ConnectionKey, number: u32) -> String {
    format!("{connection}#listed/{number:02}")
}

fn item_key(key: &ChunkKey) -> Item {
    item([
        ("connection", text(partition(&key.connection, key.chunk % KEYS))),
        ("entry", text(format!("listed/{:012}/{:08}", key.batch, key.chunk))),
    ])
}

pub(super) fn listed_json(listed: &[ListedCustomer]) -> String {
    // Plain data with text keys: there is nothing in it that JSON can't say.
    #[allow(clippy::expect_used)]
    serde_json::to_string(listed).expect("listed customers are plain data")
}

fn read_json(json: &[u8]) -> Result<Vec<ListedCustomer>, StoreError> {
    serde_json::from_slice(json).map_err(|_| corrupt())
}

fn corrupt() -> StoreError {
    StoreError::Corrupt { key: "chunk".to_owned(), attribute: LISTED }
}

#[cfg(test)]
mod tests {
    use model::{ListedChange, Version};

    use super::*;
    use crate::split_listed;

    /// A contact whose document has these bytes, which can't be compressed.
    fn noise(bytes: usize) -> ListedCustomer {
        let mut random = fastrand::Rng::with_seed(1);
        let raw = (0..bytes).map(|_| random.alphanumeric()).collect();
        let news = ListedChange::Unusable { reason: "it can't be read".to_owned(), raw };
        ListedCustomer { source_id: "1".to_owned(), version: Version::of_batch(1, 1), news }
    }

    #[test]
    fn the_largest_chunk_fits_an_item_even_if_nothing_in_it_can_be_compressed() {
        for part in split_listed(vec![noise(90_000); 9]) {
            assert!(compressed(listed_json(&part).as_bytes()).len() < 399 * 1024);
        }
    }
}
