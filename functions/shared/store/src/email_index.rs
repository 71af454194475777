//! Which customers have an e-mail address.
//!
//! | `log` | `entry` | what |
//! |---|---|---|
//! | `acme/email/3f0c…` | `aa~1001` | a customer with this address; `revision`: of its record that the entry was made for |
//!
//! The key has no address but the fingerprint of one, folded as [`model::fold`] does, so that a backup of the table has
//! none. An entry is a hint: who searches reads the records and leaves out those that do not have the address. So an
//! entry that a late writer left behind does no harm, and none is missing: one is removed only by a record that is
//! newer than the one that it was made for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{Content, ContentHash, CustomerId, Status, fold, without_marks};

use crate::backoff::{Backoff, Patience};
use crate::bulk::{KEYS_PER_READ, read_page};
use crate::item::{Item, Read, number, text};
use crate::request::{is_done, query_page};
use crate::{Clock, Random, StoreError};

/// How many entries are written at once.
const WRITES_AT_ONCE: usize = 32;

/// The index of all tenants.
#[derive(Clone, Debug)]
pub struct EmailIndex {
    client: Client,
    table: String,
    clock: Clock,
    random: Random,
}

/// What is to become of an entry.
#[derive(Clone, Copy)]
struct Wanted {
    /// Of the record that says so.
    revision: u64,
    is_there: bool,
    /// Whether the customer had the address before, too.
    is_kept: bool,
}

/// An entry that is to be there, or not.
struct Entry {
    log: String,
    id: CustomerId,
    revision: u64,
    is_there: bool,
}

impl EmailIndex {
    pub(crate) fn new(client: Client, table: impl Into<String>, clock: Clock, random: Random) -> Self {
        Self { client, table: table.into(), clock, random }
    }

    /// The addresses under which a customer is found, folded: none of a deleted one.
    pub fn addresses(content: &Content) -> BTreeSet<String> {
        let emails = content.emails.iter().filter(|_| content.status != Status::Deleted);
        emails.map(|email| folded(&email.address)).filter(|address| !address.is_empty()).collect()
    }

    /// An address as it is compared; `None` if there is nothing in it.
    pub fn address(text: &str) -> Option<String> {
        Some(folded(text)).filter(|address| !address.is_empty())
    }

    /// Notes the addresses that customers had before and have now; of each its id and the revision of its record.
    ///
    /// An address that a customer keeps is looked up, and noted if it is not there: of a customer that was stored
    /// before there was an index, or whose earlier change was never delivered.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn update(
        &self,
        tenant: &str,
        changes: impl IntoIterator<Item = (CustomerId, u64, BTreeSet<String>, BTreeSet<String>)>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        // Of several changes of a customer the last one counts: it is the newest.
        let mut wanted: BTreeMap<(CustomerId, String), Wanted> = BTreeMap::new();
        for (id, revision, before, now) in changes {
            for address in before.difference(&now) {
                wanted.insert((id.clone(), address.clone()), Wanted { revision, is_there: false, is_kept: false });
            }
            for address in &now {
                let key = (id.clone(), address.clone());
                let is_kept = before.contains(address) && wanted.get(&key).is_none_or(|earlier| earlier.is_kept);
                wanted.insert(key, Wanted { revision, is_there: true, is_kept });
            }
        }
        let kept = wanted.iter().filter(|(_, wanted)| wanted.is_kept).map(|((id, address), _)| (id, address));
        let known = self.known(tenant, kept.collect(), deadline).await?;
        let entries = wanted.into_iter().map(|((id, address), Wanted { revision, is_there, .. })| Entry {
            log: log(tenant, &address),
            id,
            revision,
            is_there,
        });
        // All have keys of their own.
        stream::iter(entries.filter(|entry| !known.contains(&(entry.log.clone(), entry.id.to_string()))))
            .map(|entry| async move { self.write(&entry, deadline).await })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }

    /// The keys of those entries that are there, as the table stood a moment ago.
    async fn known(
        &self,
        tenant: &str,
        entries: Vec<(&CustomerId, &String)>,
        deadline: Timestamp,
    ) -> Result<HashSet<(String, String)>, StoreError> {
        let mut known = HashSet::new();
        for page in entries.chunks(KEYS_PER_READ) {
            let key = |(id, address): &(&CustomerId, &String)| {
                Item::from([("log".to_owned(), text(log(tenant, address))), ("entry".to_owned(), text(id.to_string()))])
            };
            let request = KeysAndAttributes::builder().projection_expression("#log, entry");
            let request = request.expression_attribute_names("#log", "log");
            let backoff = Backoff::until(&self.clock, &self.random, deadline);
            let keys = page.iter().map(key).collect();
            for item in read_page(&self.client, &self.table, keys, request, backoff).await? {
                let read = Read::new("of an address", &item);
                known.insert((read.text("log")?.to_owned(), read.text("entry")?.to_owned()));
            }
        }
        Ok(known)
    }

    async fn write(&self, entry: &Entry, deadline: Timestamp) -> Result<(), StoreError> {
        let (log, customer) = (text(&entry.log), text(entry.id.to_string()));
        let patience = Patience::new(self.clock.clone(), self.random.clone());
        let revision = number(entry.revision);
        if entry.is_there {
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .item("log", log)
                .item("entry", customer)
                .item("revision", revision.clone())
                .condition_expression("attribute_not_exists(entry) OR revision < :revision")
                .expression_attribute_values(":revision", revision);
            is_done("PutItem", patience.send(Some(deadline), || put.clone().send()).await)?;
        } else {
            let delete = self
                .client
                .delete_item()
                .table_name(&self.table)
                .key("log", log)
                .key("entry", customer)
                .condition_expression("attribute_not_exists(entry) OR revision < :revision")
                .expression_attribute_values(":revision", revision);
            is_done("DeleteItem", patience.send(Some(deadline), || delete.clone().send()).await)?;
        }
        Ok(())
    }

    /// Up to `limit` customers that may have an address, by id, from after `after` on; and whether there are more.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find(
        &self,
        tenant: &str,
        address: &str,
        after: Option<&CustomerId>,
        limit: usize,
    ) -> Result<(Vec<CustomerId>, bool), StoreError> {
        let log = log(tenant, &folded(address));
        let start = after.map(|id| {
            [("log".to_owned(), text(&log)), ("entry".to_owned(), text(id.to_string()))].into_iter().collect()
        });
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#log = :log")
            .projection_expression("entry")
            .expression_attribute_names("#log", "log")
            .expression_attribute_values(":log", text(&log))
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = query_page(&Patience::new(self.clock.clone(), self.random.clone()), &query).await?;
        let corrupt = || StoreError::Corrupt { key: "of an address".to_owned(), attribute: "entry" };
        let id_of = |item| Read::new("of an address", item).text("entry")?.parse().map_err(|_| corrupt());
        let ids = page.items().iter().map(id_of).collect::<Result<_, _>>()?;
        Ok((ids, page.last_evaluated_key.is_some()))
    }
}

fn folded(address: &str) -> String {
    fold(&without_marks(address))
}

fn log(tenant: &str, address: &str) -> String {
    let fingerprint = ContentHash::of(&format!("{tenant}\n{address}"));
    format!("{tenant}/email/{}", hex::encode(fingerprint.as_bytes()))
}
