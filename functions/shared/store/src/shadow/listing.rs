//! Which customers a connection has: by the index `by-connection`, one shard after the other.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use jiff::Timestamp;
use model::{ConnectionKey, Customer};

use super::{CUSTOMER, LONGEST_KEY, Shadow, item_key, listing, readable, shard_of, source_id_of};
use crate::StoreError;
use crate::item::{Read, item, text};

/// How many keys of a listing are held while a sample is drawn.
const KEYS_AT_ONCE: usize = 1_000;

impl Shadow {
    /// Up to `limit` customers of a connection that are not deleted, from `cursor` on, and the cursor to go on with;
    /// `None` if there are no more. One that can't be read is left out.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn list(
        &self,
        connection: &ConnectionKey,
        cursor: Option<(u8, String)>,
        limit: usize,
        deadline: Timestamp,
    ) -> Result<(Vec<Customer>, Option<(u8, String)>), StoreError> {
        let (keys, next) = self.keys(connection, cursor, limit).await?;
        let order: HashMap<String, usize> = keys.iter().cloned().zip(0..).collect();
        let items = self.table.get_many(keys, &[], deadline).await?;
        let mut customers = Vec::with_capacity(items.len());
        for item in &items {
            // A customer that was deleted since the index was read has left the listing.
            if item.contains_key("listing")
                && let Some(customer) = readable(item)
            {
                customers.push((order.get(Read::new("?", item).text("id")?).copied(), customer));
            }
        }
        customers.sort_by_key(|(position, _)| *position);
        Ok((customers.into_iter().map(|(_, customer)| customer).collect(), next))
    }

    /// Calls `visit` with every customer of a tenant, deleted ones and those of connections that are not configured any
    /// more included. Reads the whole table, of all tenants. Returns how many can't be read.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn look_through(&self, tenant: &str, mut visit: impl FnMut(Customer)) -> Result<u64, StoreError> {
        let scan = self.table.scan("begins_with(id, :tenant)").consistent_read(true);
        let mut pages = self.table.pages(scan.expression_attribute_values(":tenant", text(format!("{tenant}/"))));
        let mut unreadable = 0;
        while let Some(items) = pages.next().await? {
            for item in &items {
                match readable(item) {
                    Some(customer) => visit(customer),
                    None => unreadable += 1,
                }
            }
        }
        Ok(unreadable)
    }

    /// The source ids of up to `limit` customers of a connection that are not deleted, from `cursor` on, and the cursor
    /// to go on with; `None` if there are no more.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn page(
        &self,
        connection: &ConnectionKey,
        cursor: Option<(u8, String)>,
        limit: usize,
    ) -> Result<(Vec<String>, Option<(u8, String)>), StoreError> {
        let (keys, next) = self.keys(connection, cursor, limit).await?;
        Ok((keys.iter().filter_map(|key| source_id_of(key)).map(str::to_owned).collect(), next))
    }

    async fn keys(
        &self,
        connection: &ConnectionKey,
        cursor: Option<(u8, String)>,
        limit: usize,
    ) -> Result<(Vec<String>, Option<(u8, String)>), StoreError> {
        let (first_shard, mut after) = cursor.map_or((0, None), |(shard, source_id)| (shard, Some(source_id)));
        let mut keys = Vec::with_capacity(limit);
        for shard in first_shard..Self::SHARDS {
            let wanted = limit - keys.len();
            let page = self.shard_page(connection, shard, after.take().as_deref(), wanted).await?;
            let last = page.last().cloned();
            let full = page.len() == wanted;
            keys.extend(page);
            if full {
                let next = last.and_then(|key| Some((shard, source_id_of(&key)?.to_owned())));
                return Ok((keys, next));
            }
        }
        Ok((keys, None))
    }

    /// The place of a customer in the listing of its connection: a cursor for [`Shadow::list`].
    pub fn place_of(source_id: &str) -> (u8, String) {
        (shard_of(source_id), source_id.to_owned())
    }

    /// Source ids of all customers of a connection that are stored and not deleted.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn existing(&self, connection: &ConnectionKey) -> Result<Vec<String>, StoreError> {
        let mut existing = Vec::new();
        for shard in 0..Self::SHARDS {
            let keys = self.shard_page(connection, shard, None, usize::MAX).await?;
            existing.extend(keys.iter().filter_map(|key| source_id_of(key)).map(str::to_owned));
        }
        Ok(existing)
    }

    /// How many customers of a connection are stored and not deleted. Reads a hundred bytes for each.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn count_existing(&self, connection: &ConnectionKey) -> Result<u64, StoreError> {
        let mut count = 0;
        for shard in 0..Self::SHARDS {
            count += self.table.query_count(self.listed(connection, shard)).await?;
        }
        Ok(count)
    }

    /// Those of the customers that are stored and not deleted.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn living(
        &self,
        connection: &ConnectionKey,
        ids: &BTreeSet<String>,
        deadline: Timestamp,
    ) -> Result<BTreeSet<String>, StoreError> {
        let keys = ids.iter().map(|source_id| item_key(connection, source_id));
        let keys = keys.filter(|key| key.len() <= LONGEST_KEY).collect();
        let mut living = BTreeSet::new();
        for item in self.table.get_many(keys, &["id", "listing"], deadline).await? {
            // A tombstone stands in no listing.
            if item.contains_key("listing") {
                living.extend(source_id_of(Read::new(CUSTOMER, &item).text("id")?).map(str::to_owned));
            }
        }
        Ok(living)
    }

    /// Source ids of up to `count` customers of a connection that are stored and not deleted; another choice each time.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn some_existing(&self, connection: &ConnectionKey, count: usize) -> Result<Vec<String>, StoreError> {
        // Chosen from more than are wanted: the few that the source has deleted meanwhile must not be all there is.
        let candidates_wanted = count * 8;
        let first_shard = self.table.random.below(u64::from(Self::SHARDS)) as u8;
        let mut candidates = Vec::new();
        for offset in 0..Self::SHARDS {
            let shard = (first_shard + offset) % Self::SHARDS;
            candidates.extend(self.shard_page(connection, shard, None, candidates_wanted - candidates.len()).await?);
            if candidates.len() >= count {
                break;
            }
        }
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count && !candidates.is_empty() {
            let key = candidates.swap_remove(self.table.random.below(candidates.len() as u64) as usize);
            chosen.extend(source_id_of(&key).map(str::to_owned));
        }
        Ok(chosen)
    }

    /// Source ids of `count` customers of a connection that are stored and not deleted, each as likely as any other, in
    /// any order; all of them if there are no more. And how many there are. Reads a hundred bytes for each.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn sample(&self, connection: &ConnectionKey, count: usize) -> Result<(Vec<String>, u64), StoreError> {
        let (mut sample, mut seen) = (Vec::new(), 0_u64);
        let mut cursor = None;
        loop {
            let (page, next) = self.page(connection, cursor, KEYS_AT_ONCE).await?;
            for source_id in page {
                seen += 1;
                if sample.len() < count {
                    sample.push(source_id);
                } else if let Some(place) = sample.get_mut(self.table.random.below(seen) as usize) {
                    *place = source_id;
                }
            }
            if next.is_none() {
                return Ok((sample, seen));
            }
            cursor = next;
        }
    }

    /// The customers in one shard of a connection's listing.
    fn listed(&self, connection: &ConnectionKey, shard: u8) -> QueryFluentBuilder {
        self.table
            .query_index("by-connection", "listing = :listing")
            .expression_attribute_values(":listing", text(listing(connection, shard)))
    }

    /// Up to `limit` keys of one shard of a connection's listing, after `after`.
    async fn shard_page(
        &self,
        connection: &ConnectionKey,
        shard: u8,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        let mut start = after.map(|source_id| {
            item([("id", text(item_key(connection, source_id))), ("listing", text(listing(connection, shard)))])
        });
        while keys.len() < limit {
            let query = self
                .listed(connection, shard)
                .set_exclusive_start_key(start.take())
                .limit(i32::try_from(limit - keys.len()).unwrap_or(i32::MAX));
            let page = self.table.send(query).await?;
            for item in page.items() {
                keys.push(Read::new("?", item).text("id")?.to_owned());
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(keys)
    }
}
