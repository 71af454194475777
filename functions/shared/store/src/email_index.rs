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

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use model::{Content, ContentHash, CustomerId, Status, fold, without_marks};

use crate::backoff::Patience;
use crate::item::{Read, number, text};
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

/// An entry that is to be there, or not.
struct Entry {
    address: String,
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
    /// # Errors
    /// If the store fails.
    pub async fn update(
        &self,
        tenant: &str,
        changes: impl IntoIterator<Item = (CustomerId, u64, BTreeSet<String>, BTreeSet<String>)>,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let mut entries = Vec::new();
        for (id, revision, before, now) in changes {
            let entry =
                |address: &String, is_there| Entry { address: address.clone(), id: id.clone(), revision, is_there };
            entries.extend(before.difference(&now).map(|address| entry(address, false)));
            entries.extend(now.difference(&before).map(|address| entry(address, true)));
        }
        // Those of one customer one after the other: they may have the same key.
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        let by_customer: Vec<Vec<Entry>> = {
            let mut groups: Vec<Vec<Entry>> = Vec::new();
            for entry in entries {
                match groups.last_mut() {
                    Some(group) if group[0].id == entry.id => group.push(entry),
                    _ => groups.push(vec![entry]),
                }
            }
            groups
        };
        stream::iter(by_customer)
            .map(|entries| async move {
                for entry in entries {
                    self.write(tenant, &entry, deadline).await?;
                }
                Ok(())
            })
            .buffer_unordered(WRITES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn write(&self, tenant: &str, entry: &Entry, deadline: Timestamp) -> Result<(), StoreError> {
        let key = [text(log(tenant, &entry.address)), text(entry.id.to_string())];
        let [log, customer] = key;
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
