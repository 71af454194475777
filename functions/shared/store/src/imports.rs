use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use model::ConnectionKey;
use model::import::{BeforeImage, RequestFingerprint, RowOutcome};

use crate::StoreError;
use crate::item::{Item, Read, item, number, text, time};
use crate::table::Table;

mod claims;
mod images;
mod pages;
mod secret;

pub use images::StoredImage;

/// The import table: what batch imports must know beside the customers themselves.
///
/// | `id` | what |
/// |---|---|
/// | `acme/imports#card/<hash>`, `…#email/<hash>` | a **claim**: the customers that have, or once had, that card number or address; the first page of them |
/// | `acme/imports#email/<hash>/<layout>/<page>` | the pages behind the first, of an address that many had |
/// | `acme/imports#secret` | what generated ids are derived with, made once |
/// | `acme/imports#request/<fingerprint>` | which import carried that request out last: what the release before goes by |
/// | `acme/imports#request/<fingerprint>/undo`, `…/no_undo` | which did so last with an undo state, and which without |
/// | `acme/imports#import/<import>` | an import and what came of it; `listing` and `began` put it into the index `by-connection` |
/// | `acme/imports#outcomes/<import>/<number>` | what becomes of each row, before anything of it is written; many to an item |
/// | `acme/imports#images/<import>/<number>` | how the import found customers, and how it left them; many to an item |
///
/// A customer per partition, as in the shadow: a partition takes a thousand writes a second, and an import needs more.
/// Claims are hints, and the customers' records are the truth: a lookup reads the claimants and checks which of them
/// has it now. So a claim is written before its customer is, by imports and by undos. Customers that do not have it any
/// more are left out when the number of claimants has doubled. Keys hold card numbers and addresses as hashes only, and
/// requests as fingerprints made with the connection's secret.
///
/// DynamoDB deletes everything but the claims and the secret some days after `expires`; a reader must ignore it from
/// `expires` on.
///
/// **What a row costs.** Reads: one of the shadow, and one of this table for each card number and address. A new
/// customer costs one write of the shadow (and one of its index), one here for the card number and one for the address,
/// and about a seventh of one for its image and the outcome of its row. A customer that changes costs one write of the
/// shadow and one here for its image, more if the record has more than 1 KB. An unchanged one costs reads alone. 20,000
/// new customers with card numbers and addresses are 20,000 writes there and 43,000 here: at 4,000 a second for each
/// table, side by side, 11 seconds.
#[derive(Clone, Debug)]
pub struct Imports {
    pub(crate) table: Table,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRecord {
    /// Its id.
    pub id: String,
    /// When it began.
    pub began_at: Timestamp,
    /// When it came to its end; `None` until then, or for ever if it was interrupted.
    pub finished_at: Option<Timestamp>,
    /// When an undo of it began: it imports nothing more from then on.
    pub undo_began_at: Option<Timestamp>,
    /// When it was undone.
    pub undone_at: Option<Timestamp>,
    /// Whether it can be undone.
    pub saves_undo: bool,
    /// The first of the items with outcomes of its rows that counts: earlier ones are the outcomes of the same request
    /// before.
    pub first_outcome_item: u32,
    /// How many items with outcomes there are.
    pub outcome_items: u32,
    /// How many items its images fill.
    pub image_items: u32,
    /// What became of its rows.
    pub counts: ImportCounts,
}

/// What became of an import's rows: new + updated + ignored + failed = rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// Rows that brought a customer.
    pub new: u64,
    /// Rows whose customer was there already.
    pub updated: u64,
    /// Rows that were dropped, because their customer was to stay as it is.
    pub ignored: u64,
    /// Rows that could not be taken over.
    pub failed: u64,
}

impl ImportCounts {
    /// How many rows there were.
    pub fn rows(&self) -> u64 {
        self.new + self.updated + self.ignored + self.failed
    }

    /// The counts by the names under which they are stored, logged and published.
    pub fn by_name(&self) -> [(&'static str, u64); 4] {
        [("new", self.new), ("updated", self.updated), ("ignored", self.ignored), ("failed", self.failed)]
    }
}

impl Imports {
    /// How long an import can be undone: 90 days.
    pub const KEPT: Duration = Duration::from_secs(90 * 86_400);

    /// The imports that carried a request out last, with an undo state and without, and which of the fingerprints led
    /// to each. Those of the first fingerprint come first.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn latest_of(
        &self,
        connection: &ConnectionKey,
        fingerprints: [RequestFingerprint; 2],
        deadline: Timestamp,
    ) -> Result<Vec<(RequestFingerprint, ImportRecord)>, StoreError> {
        let keys_of = |fingerprint: &RequestFingerprint| {
            [Some(true), Some(false), None].map(|saves_undo| request_key(connection, fingerprint, saves_undo))
        };
        let keys = fingerprints.iter().flat_map(keys_of).collect();
        let mut found = HashMap::new();
        for item in self.table.get_many(keys, &[], deadline).await?.into_iter().filter(|item| self.is_alive(item)) {
            let read = Read::new("request", &item);
            found.insert(read.text("id")?.to_owned(), read.text("import")?.to_owned());
        }
        let mut latest: Vec<(RequestFingerprint, ImportRecord)> = Vec::new();
        for fingerprint in fingerprints {
            for import in keys_of(&fingerprint).iter().filter_map(|key| found.get(key)) {
                let is_read = latest.iter().any(|(_, known)| known.id == *import);
                if !is_read && let Some(record) = self.find(connection, import, deadline).await? {
                    latest.push((fingerprint.clone(), record));
                }
            }
        }
        Ok(latest)
    }

    /// The import with this id.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find(
        &self,
        connection: &ConnectionKey,
        import: &str,
        deadline: Timestamp,
    ) -> Result<Option<ImportRecord>, StoreError> {
        self.get(import_key(connection, import), deadline).await?.as_ref().map(read_record).transpose()
    }

    /// Up to `limit` imports of a connection, the latest first, from behind the one that began at this time and has
    /// this id; and whether there are more.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn page(
        &self,
        connection: &ConnectionKey,
        after: Option<(Timestamp, &str)>,
        limit: usize,
    ) -> Result<(Vec<ImportRecord>, bool), StoreError> {
        let start = after.map(|(began_at, import)| {
            item([
                ("id", text(import_key(connection, import))),
                ("listing", text(connection.to_string())),
                ("began", time(began_at)),
            ])
        });
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let query = self.listing(connection).limit(limit).set_exclusive_start_key(start);
        let page = self.table.send(query).await?;
        let alive = page.items().iter().filter(|item| self.is_alive(item));
        Ok((alive.map(read_record).collect::<Result<_, _>>()?, page.last_evaluated_key.is_some()))
    }

    /// Every import of a connection, the latest first.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn list(&self, connection: &ConnectionKey) -> Result<Vec<ImportRecord>, StoreError> {
        let all = self.table.query_all(self.listing(connection)).await?;
        all.iter().filter(|item| self.is_alive(item)).map(read_record).collect()
    }

    fn listing(&self, connection: &ConnectionKey) -> QueryFluentBuilder {
        self.table
            .query_index("by-connection", "listing = :listing")
            .expression_attribute_values(":listing", text(connection.to_string()))
            .scan_index_forward(false)
    }

    /// Stores an import as it stands. Only for a caller that holds the connection's lease.
    ///
    /// # Errors
    /// If it could not be written before the deadline.
    pub async fn put(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        self.table.put_many(vec![record_item(connection, record)], deadline).await
    }

    /// Stores an import that begins, as the last that carries this request out. Only for a caller that holds the
    /// connection's lease.
    ///
    /// # Errors
    /// If it could not be written before the deadline.
    pub async fn begin(
        &self,
        connection: &ConnectionKey,
        fingerprint: &RequestFingerprint,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let [kind, latest] = [Some(record.saves_undo), None].map(|saves_undo| {
            item([
                ("id", text(request_key(connection, fingerprint, saves_undo))),
                ("import", text(&record.id)),
                ("expires", expiry(record)),
            ])
        });
        self.table.put_many(vec![kind, latest, record_item(connection, record)], deadline).await
    }

    /// What becomes of each row of an import, in their order.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn outcomes(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<Vec<RowOutcome>, StoreError> {
        self.pages(connection, "outcomes", record, record.first_outcome_item..record.outcome_items, deadline).await
    }

    /// Records what becomes of each row, in place of what was recorded before, and counts the items in `record`. It
    /// does not store `record`: what is not counted there was not recorded. Only for a caller that holds the
    /// connection's lease.
    ///
    /// # Errors
    /// If not all could be written before the deadline.
    pub async fn add_outcomes(
        &self,
        connection: &ConnectionKey,
        record: &mut ImportRecord,
        outcomes: &[RowOutcome],
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let first = record.outcome_items;
        record.outcome_items = self.add_pages(connection, "outcomes", record, first, outcomes, deadline).await?;
        record.first_outcome_item = first;
        Ok(())
    }

    /// Every image of an import, in the order in which they were recorded.
    ///
    /// # Errors
    /// If not all could be read before the deadline.
    pub async fn images(
        &self,
        connection: &ConnectionKey,
        record: &ImportRecord,
        deadline: Timestamp,
    ) -> Result<Vec<BeforeImage>, StoreError> {
        self.pages(connection, "images", record, 0..record.image_items, deadline).await
    }

    /// Records images after those that an import has; as [`add_outcomes`](Self::add_outcomes).
    ///
    /// # Errors
    /// If not all could be written before the deadline.
    pub async fn add_images(
        &self,
        connection: &ConnectionKey,
        record: &mut ImportRecord,
        images: &[BeforeImage],
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        record.image_items = self.add_pages(connection, "images", record, record.image_items, images, deadline).await?;
        Ok(())
    }

    /// An item that has not expired.
    async fn get(&self, key: String, deadline: Timestamp) -> Result<Option<Item>, StoreError> {
        let item = self.table.get_many(vec![key], &[], deadline).await?.pop();
        Ok(item.filter(|item| self.is_alive(item)))
    }

    fn is_alive(&self, item: &Item) -> bool {
        let expires = Read::new("expires", item).number::<i64>("expires");
        expires.is_ok_and(|at| at > self.table.clock.now().as_second())
    }
}

/// Of the last import with an undo state or without, or of the last of all.
fn request_key(connection: &ConnectionKey, fingerprint: &RequestFingerprint, saves_undo: Option<bool>) -> String {
    let kind = match saves_undo {
        Some(true) => "/undo",
        Some(false) => "/no_undo",
        None => "",
    };
    format!("{connection}#request/{fingerprint}{kind}")
}

fn import_key(connection: &ConnectionKey, import: &str) -> String {
    format!("{connection}#import/{import}")
}

fn page_key(connection: &ConnectionKey, kind: &str, import: &str, number: u32) -> String {
    format!("{connection}#{kind}/{import}/{number:05}")
}

/// When DynamoDB deletes what belongs to an import, in seconds as it wants it.
fn expiry(record: &ImportRecord) -> AttributeValue {
    number((record.began_at + Imports::KEPT).as_second())
}

fn record_item(connection: &ConnectionKey, record: &ImportRecord) -> Item {
    let mut item = item([
        ("id", text(import_key(connection, &record.id))),
        ("import", text(&record.id)),
        ("listing", text(connection.to_string())),
        ("began", time(record.began_at)),
        ("saves_undo", AttributeValue::Bool(record.saves_undo)),
        ("first_outcome_item", number(record.first_outcome_item)),
        ("outcome_items", number(record.outcome_items)),
        ("image_items", number(record.image_items)),
        ("expires", expiry(record)),
    ]);
    let times = [("finished", record.finished_at), ("undo_began", record.undo_began_at), ("undone", record.undone_at)];
    for (name, at) in times {
        item.extend(at.map(|at| (name.to_owned(), time(at))));
    }
    item.extend(record.counts.by_name().map(|(name, count)| (format!("rows_{name}"), number(count))));
    item
}

fn read_record(item: &Item) -> Result<ImportRecord, StoreError> {
    let read = Read::new("import", item);
    Ok(ImportRecord {
        id: read.text("import")?.to_owned(),
        began_at: read.time("began")?,
        finished_at: read.optional_time("finished")?,
        undo_began_at: read.optional_time("undo_began")?,
        undone_at: read.optional_time("undone")?,
        saves_undo: item.get("saves_undo") == Some(&AttributeValue::Bool(true)),
        first_outcome_item: u32::try_from(read.number_or_zero("first_outcome_item")?).unwrap_or(u32::MAX),
        outcome_items: read.number("outcome_items")?,
        image_items: read.number("image_items")?,
        counts: ImportCounts {
            new: read.count("rows_", "new")?,
            updated: read.count("rows_", "updated")?,
            ignored: read.count("rows_", "ignored")?,
            failed: read.count("rows_", "failed")?,
        },
    })
}
