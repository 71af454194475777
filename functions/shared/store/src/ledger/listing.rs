//! The ledger of a source that is listed page by page.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use model::{Batch, BatchEvent, ChunkPlan, ConnectionKey, ListedChange, ListedCustomer, Listing, ListingScope};

use super::item::{chunk_entry, chunk_items, id_set, phase_name};
use super::listed::listed_json;
use super::listing_item::{scope_name, set_listing};
use super::{BATCH, ChunkKey, Ledger, PAGE_ASKED_AT};
use crate::StoreError;
use crate::changes::Changes;
use crate::failures::shortened;
use crate::item::{Read, number, text, time};

/// DynamoDB's limit for one item is 400 KB with names and all; the rest is for what stands beside the customers. In
/// bytes before they are compressed: what can't be compressed fits too.
const LARGEST_LISTED: usize = 390 * 1024;
/// Ids of a page of a full listing.
const SEEN: &str = "seen/";

impl Ledger {
    /// Commits what a step of a listing brought: `listing` is how it stands now, `customers` how many more there are.
    /// With `ended` the batch is open: nothing more will come.
    ///
    /// # Errors
    /// [`StoreError::MovedOn`] if another poller has gone on with the listing meanwhile.
    pub async fn commit_page(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        listing: &Listing,
        customers: u64,
        ended: bool,
    ) -> Result<(), StoreError> {
        let moved = || StoreError::MovedOn { connection: connection.to_string(), number: batch.number };
        let before = batch.listing.as_ref().ok_or_else(moved)?;
        let next = if ended { batch.after(BatchEvent::ListingEnded).map_err(|_| moved())? } else { batch.phase };
        let mut changes = Changes::default();
        changes.assign("batch_phase = :next, customers = customers + :customers");
        set_listing(&mut changes, listing);
        let update = self
            .table
            .update(connection, BATCH)
            .condition_expression(format!(
                "batch_number = :number AND batch_phase = :phase AND listing_scope = :scope \
                 AND listing_pages = :pages AND {}",
                // A release before counted no steps.
                if before.step == 0 {
                    "(attribute_not_exists(listing_step) OR listing_step = :step)"
                } else {
                    "listing_step = :step"
                },
            ))
            .expression_attribute_values(":step", number(before.step))
            .expression_attribute_values(":number", number(batch.number))
            .expression_attribute_values(":phase", text(phase_name(batch.phase)))
            .expression_attribute_values(":scope", text(scope_name(before.scope)))
            .expression_attribute_values(":pages", number(before.pages))
            .expression_attribute_values(":next", text(phase_name(next)))
            .expression_attribute_values(":customers", number(customers));
        self.move_on(connection, batch, changes.of(update)).await.map(|_| ())
    }

    /// Writes the chunks of a page of a listing that was asked for at `asked_at`. A chunk of a later answer to the same
    /// question stays: a poller that was overtaken while it wrote does not replace what another has committed.
    ///
    /// # Errors
    /// [`StoreError::MovedOn`] if another poller has asked later.
    pub async fn write_page(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        plans: &[ChunkPlan],
        asked_at: Timestamp,
    ) -> Result<(), StoreError> {
        let key = |chunk| ChunkKey { connection: connection.clone(), batch: batch.number, chunk };
        // The contacts come before their chunk: so no chunk is ever without them.
        for mut item in plans.iter().flat_map(|plan| chunk_items(&key(plan.number), plan, self.table.clock.now())) {
            item.insert(PAGE_ASKED_AT.to_owned(), time(asked_at));
            let put = self.table.put_request(item);
            let put = put
                .condition_expression(format!("attribute_not_exists({PAGE_ASKED_AT}) OR {PAGE_ASKED_AT} <= :asked_at"))
                .expression_attribute_values(":asked_at", time(asked_at));
            if !self.table.is_done(put).await? {
                return Err(StoreError::MovedOn { connection: connection.to_string(), number: batch.number });
            }
        }
        Ok(())
    }

    /// Notes which customers a page of a listing named.
    ///
    /// # Errors
    /// If the store can't be written.
    pub async fn record_seen(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        ids: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let Some(listing) = batch.listing.as_ref().filter(|_| !ids.is_empty()) else { return Ok(()) };
        let entry = format!("{}{:08}", seen_prefix(batch.number, listing.scope), listing.step);
        self.table.put(connection, &entry, [("ids", id_set(ids))]).await
    }

    /// Which customers the pages of a listing named.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn seen(
        &self,
        connection: &ConnectionKey,
        batch: u64,
        scope: ListingScope,
    ) -> Result<HashSet<String>, StoreError> {
        let prefix = seen_prefix(batch, scope);
        let mut seen = HashSet::new();
        for item in self.table.query_all(self.table.entries(connection, &prefix)).await? {
            seen.extend(Read::new(SEEN, &item).set("ids")?);
        }
        Ok(seen)
    }

    /// Forgets which customers the pages of past listings named.
    ///
    /// # Errors
    /// If not all could be removed before the deadline.
    pub async fn clear_seen(&self, connection: &ConnectionKey, deadline: Timestamp) -> Result<(), StoreError> {
        self.clear(connection, |_| true, SEEN, deadline).await
    }

    /// Removes the chunks of a batch from the number `first` on, left by a page that was not committed.
    ///
    /// # Errors
    /// If not all could be removed before the deadline.
    pub async fn clear_uncommitted(
        &self,
        connection: &ConnectionKey,
        batch: u64,
        first: u32,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let first = chunk_entry(&ChunkKey { connection: connection.clone(), batch, chunk: first });
        self.clear(connection, |entry| entry >= first.as_str(), &format!("chunk/{batch:012}/"), deadline).await
    }

    /// Acknowledges a batch that was listed, and moves the cursor, in one write.
    ///
    /// # Errors
    /// As [`Ledger::advance`].
    pub async fn acknowledge_listing(
        &self,
        connection: &ConnectionKey,
        batch: &Batch,
        cursor: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        self.advance_with_cursor(connection, batch, BatchEvent::Acknowledged, cursor).await
    }
}

/// Cuts listed customers so that each part fits a chunk; a customer that would not fit even alone can't be used.
pub fn split_listed(customers: Vec<ListedCustomer>) -> Vec<Vec<ListedCustomer>> {
    let mut parts: Vec<Vec<ListedCustomer>> = Vec::new();
    let mut room = 0;
    for mut customer in customers {
        let mut bytes = listed_json(std::slice::from_ref(&customer)).len();
        if bytes > LARGEST_LISTED {
            let reason = format!("the record has {bytes} bytes; at most {LARGEST_LISTED} can be taken over");
            customer.news = ListedChange::Unusable { reason, raw: raw_of(&customer.news) };
            bytes = listed_json(std::slice::from_ref(&customer)).len();
        }
        match parts.last_mut() {
            Some(part) if bytes <= room => part.push(customer),
            _ => {
                parts.push(vec![customer]);
                room = LARGEST_LISTED;
            }
        }
        room -= bytes.min(room);
    }
    parts
}

/// The raw document of a failure record: the source's own text, or else what was read of it.
fn raw_of(news: &ListedChange) -> String {
    match news {
        ListedChange::Present(content) => shortened(&content.canonical_json()),
        ListedChange::Deleted => String::new(),
        ListedChange::Unusable { raw, .. } => shortened(raw),
    }
}

fn seen_prefix(batch: u64, scope: ListingScope) -> String {
    format!("{SEEN}{batch:012}/{}/", scope_name(scope))
}
