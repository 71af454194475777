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

use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{Content, ContentHash, CustomerId, Status, fold, without_marks};

use crate::StoreError;
use crate::feed::key;
use crate::item::{Read, number, text};
use crate::table::Table;

/// How many entries are written at once.
const WRITES_AT_ONCE: usize = 32;

/// The index of all tenants.
#[derive(Clone, Debug)]
pub struct EmailIndex {
    pub(crate) table: Table,
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
        let keys = entries.into_iter().map(|(id, address)| key(&log(tenant, address), &id.to_string())).collect();
        let known = self.table.glance(keys, &["log", "entry"], Some(deadline)).await?;
        let key_of = |item| {
            let read = Read::new("of an address", item);
            Ok((read.text("log")?.to_owned(), read.text("entry")?.to_owned()))
        };
        known.iter().map(key_of).collect()
    }

    async fn write(&self, entry: &Entry, deadline: Timestamp) -> Result<(), StoreError> {
        let key = key(&entry.log, &entry.id.to_string());
        let is_newer = "attribute_not_exists(entry) OR revision < :revision";
        let revision = number(entry.revision);
        if entry.is_there {
            let put = self.table.put_request(key).item("revision", revision.clone()).condition_expression(is_newer);
            self.table.write(Some(deadline), put.expression_attribute_values(":revision", revision)).await.map(|_| ())
        } else {
            let delete = self.table.delete_request(key).condition_expression(is_newer);
            self.table
                .write(Some(deadline), delete.expression_attribute_values(":revision", revision))
                .await
                .map(|_| ())
        }
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
        let query = self
            .table
            .query("#log = :log")
            .projection_expression("entry")
            .expression_attribute_names("#log", "log")
            .expression_attribute_values(":log", text(&log))
            .set_exclusive_start_key(after.map(|id| key(&log, &id.to_string())))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let page = self.table.send(query).await?;
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
