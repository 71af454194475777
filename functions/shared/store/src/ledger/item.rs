//! The items of the ledger: a chunk, and the latest batch of a connection.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use model::{Batch, ChunkPlan, ListedCustomer, OutcomeCounts, Phase, QueueEnd};

use super::listed::listed_item;
use super::listing_item::{read_fingerprint, read_listing};
use super::{ChunkKey, ChunkState, LeasedChunk};
use crate::StoreError;
use crate::item::{Item, Read, number, text, time};
use crate::table::{entry_in, entry_key};

/// The sort key of a chunk: in the order of the batch.
pub(super) fn chunk_entry(key: &ChunkKey) -> String {
    format!("chunk/{:012}/{:08}", key.batch, key.chunk)
}

/// The items of a chunk: the customers that a listing reported, if any, and then the chunk itself.
pub(super) fn chunk_items(key: &ChunkKey, plan: &ChunkPlan, due_at: Timestamp) -> Vec<Item> {
    let listed = (!plan.listed.is_empty()).then(|| listed_item(key, &plan.listed));
    listed.into_iter().chain([chunk_item(key, plan, due_at)]).collect()
}

fn chunk_item(key: &ChunkKey, plan: &ChunkPlan, due_at: Timestamp) -> Item {
    let mut item = entry_key(&key.connection, &chunk_entry(key));
    item.insert("attempts".to_owned(), number(0));
    item.insert("counts_apart".to_owned(), AttributeValue::Bool(true));
    item.insert("due_at".to_owned(), time(due_at));
    for (attribute, ids) in [("to_fetch", &plan.fetch), ("to_delete", &plan.delete)] {
        if !ids.is_empty() {
            item.insert(attribute.to_owned(), id_set(ids));
        }
    }
    if !plan.listed.is_empty() {
        // A release that expects the customers here can't read the chunk, and gives its batch up: the next one holds
        // them again.
        item.insert("listed".to_owned(), number(plan.listed.len()));
    }
    item
}

/// The state of a chunk without its customers. One whose time can't be read is due: the worker that takes it finds out.
pub(super) fn chunk_state(item: &Item) -> Result<ChunkState, StoreError> {
    let entry = entry_in(item)?;
    let read = Read::new(entry, item);
    let chunk = entry.rsplit('/').next().and_then(|digits| digits.parse().ok());
    Ok(ChunkState {
        chunk: chunk.ok_or_else(|| StoreError::Corrupt { key: entry.to_owned(), attribute: "entry" })?,
        due_at: read.time("due_at").unwrap_or(Timestamp::UNIX_EPOCH),
        leased: read.has("lease_owner"),
        attempts: read.number("attempts").unwrap_or(0),
        unverified: read.has("unverified"),
    })
}

/// A chunk that `owner` has taken, with the customers that a listing reported.
pub(super) fn read_chunk(
    key: &ChunkKey,
    owner: &str,
    item: &Item,
    listed: Vec<ListedCustomer>,
) -> Result<LeasedChunk, StoreError> {
    let read = Read::new("chunk", item);
    Ok(LeasedChunk {
        key: key.clone(),
        owner: owner.to_owned(),
        fetch: read.set("to_fetch")?,
        delete: read.set("to_delete")?,
        listed,
        may_delete: read.set("may_delete")?,
        attempt: read.number("attempts")?,
        counts_apart: read.has("counts_apart"),
    })
}

pub(super) fn id_set(ids: &BTreeSet<String>) -> AttributeValue {
    AttributeValue::Ss(ids.iter().cloned().collect())
}

pub(super) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Opening => "opening",
        Phase::Listing => "listing",
        Phase::Open => "open",
        Phase::Closed => "closed",
    }
}

pub(super) fn read_batch(read: &Read<'_>) -> Result<Batch, StoreError> {
    let name = read.text("batch_phase")?;
    let phases = [Phase::Opening, Phase::Listing, Phase::Open, Phase::Closed];
    let phase = phases.into_iter().find(|phase| phase_name(*phase) == name);
    let number = read.number("batch_number")?;
    Ok(Batch {
        number,
        phase: phase.ok_or_else(|| StoreError::Corrupt { key: "batch".to_owned(), attribute: "batch_phase" })?,
        queue_number: if read.has("queue_number") { Some(read.text("queue_number")?.to_owned()) } else { None },
        origin: read_fingerprint(read, "origin")?,
        listing: read_listing(read)?,
        asked_at: read.time("asked_at")?,
        total: read.number("customers")?,
        counts: read_counts(read, "n_")?,
        resync: read.optional_number("resync_request")?,
        confirmed: read.optional_number("confirm_request")?,
        overtaken_by: read.optional_number("overtaken_by")?,
        told_to: read_told_to(read, number),
        ahead: read.optional_number("ahead")?.and_then(|chunks| u32::try_from(chunks).ok()).unwrap_or(0),
    })
}

/// It is a hint: one that can't be read is none. The release before leaves that of an earlier batch where it is.
fn read_told_to(read: &Read<'_>, batch: u64) -> Option<QueueEnd> {
    let (of, end) = serde_json::from_str::<(u64, QueueEnd)>(read.text("told_to").ok()?).ok()?;
    (of == batch).then_some(end)
}

pub(super) fn told_to(batch: u64, end: &QueueEnd) -> Option<AttributeValue> {
    serde_json::to_string(&(batch, end)).ok().map(text)
}

pub(super) fn read_counts(read: &Read<'_>, prefix: &str) -> Result<OutcomeCounts, StoreError> {
    Ok(OutcomeCounts {
        written: read.count(prefix, "written")?,
        unchanged: read.count(prefix, "unchanged")?,
        stale: read.count(prefix, "stale")?,
        tombstoned: read.count(prefix, "tombstoned")?,
        failed: read.count(prefix, "failed")?,
    })
}
