//! Who was erased, and must not come back: the entries of `<tenant>/!erased` in the control table.
//!
//! | `entry` | what |
//! |---|---|
//! | `head` | `version`: how often the list has changed; `key`: what fingerprints are made with, at random |
//! | `part/<0 to 15>` | `fingerprints`: of ids and of e-mail addresses, by their first byte |
//! | `of/<fingerprint>` | one customer: `fingerprints` of its id and its addresses, and `at`, when it was erased; `by`, the fingerprints of the addresses that brought it in, and `itself`, if it was named by its id; `left`, those of others who had one of its addresses and were left alone. Or an address that was erased by itself |
//!
//! A fingerprint is the first half of an HMAC-SHA-256. So the list says of nobody who they are, but whether somebody is
//! among them. Of an id there are two: of the id as it is, and of what [all its spellings](model::fold_id) have in
//! common, which decides about documents alone.
//!
//! Whoever writes customers asks for the list first. That costs one read of `head`, which is consistent; the parts are
//! read if the version is another one than before. The list is written before a record is erased, and the record that
//! is left says so itself ([`Customer::is_erased`](model::Customer::is_erased)), also of a customer that had none. So a
//! writer that has read the list just before finds another record than it has read. Who may be new under an address of
//! somebody erased has no such record: whoever has written somebody who was not there asks for the list once more, and
//! takes back whom it refuses by then. A tombstone is nobody who is there: an erasure does not find it by an address.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

mod addresses;
mod notes;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::try_join_all;
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use model::{ConnectionKey, Content, Customer, CustomerId, Status, fold_id};
use sha2::Sha256;

use crate::clock::lock;
use crate::item::{Item, Read, bytes, number, time};
use crate::table::Table;
use crate::{EmailIndex, StoreError};

pub use addresses::addresses_in;
pub use notes::{Lifting, Notes};

const HEAD: &str = "head";
/// What the entries of those who were erased begin with.
const NOTE: &str = "of/";
const FINGERPRINTS: &str = "fingerprints";
/// How many parts the list has: an item takes some 20,000 fingerprints.
const PARTS: u8 = 16;
/// How many of those who are left alone are noted: an address of more is no person's.
const MOST_LEFT: usize = 1_000;
/// How many bytes a fingerprint has.
const BYTES: usize = 16;

type Fingerprint = [u8; BYTES];

/// The lists of all tenants.
#[derive(Clone, Debug)]
pub struct Erasures {
    table: Table,
    /// What was read last, of each tenant.
    known: Arc<Mutex<HashMap<String, Arc<Erased>>>>,
}

/// Who is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A customer.
    Customer(CustomerId),
    /// Whoever has this address: see [`EmailIndex::address`].
    Address(String),
}

impl Whom {
    fn fingerprint(&self, key: &[u8]) -> Fingerprint {
        match self {
            Self::Customer(id) => of_id(key, id),
            Self::Address(address) => of_address(key, address),
        }
    }
}

/// Who was erased, of one tenant.
#[derive(Debug, Default)]
pub struct Erased {
    version: u64,
    key: Vec<u8>,
    fingerprints: HashSet<Fingerprint>,
}

impl Erased {
    /// Whether a customer was erased.
    pub fn holds(&self, id: &CustomerId) -> bool {
        !self.fingerprints.is_empty() && self.fingerprints.contains(&of_id(&self.key, id))
    }

    /// Whether a customer was erased whose id may be another spelling of this one. Good enough to keep no document, not
    /// to refuse a customer.
    fn holds_a_spelling_of(&self, id: &CustomerId) -> bool {
        self.fingerprints.contains(&of_spelling(&self.key, id))
    }

    /// Whether a document must not be kept that came for this customer: it, or whom one of the addresses in the
    /// document belongs to, was erased.
    pub fn refuses_document(&self, id: &CustomerId, document: &str) -> bool {
        !self.fingerprints.is_empty()
            && (self.holds(id) || self.holds_a_spelling_of(id) || self.holds_an_address_in(document))
    }

    /// Whether an address of somebody who was erased stands in a document.
    pub fn holds_an_address_in(&self, document: &str) -> bool {
        let is_held = |address: &String| self.fingerprints.contains(&of_address(&self.key, address));
        !self.fingerprints.is_empty() && addresses_in(document).iter().any(is_held)
    }

    /// Those of the addresses that belong to somebody who was erased.
    fn addresses_of(&self, content: &Content) -> BTreeSet<Fingerprint> {
        let addresses = EmailIndex::addresses(content);
        let fingerprints = addresses.iter().map(|address| of_address(&self.key, address));
        fingerprints.filter(|fingerprint| self.fingerprints.contains(fingerprint)).collect()
    }

    /// Whether the list was read at another time than the other one, and may be another.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        self.version != other.version
    }

    /// Whether one of a customer's addresses is that of somebody who was erased.
    pub fn holds_an_address_of(&self, content: &Content) -> bool {
        !self.fingerprints.is_empty() && !self.addresses_of(content).is_empty()
    }
}

/// What is noted of somebody.
struct NewNote<'a> {
    /// The addresses that brought them in; `None` if they were named themselves.
    by: Option<BTreeSet<Fingerprint>>,
    all: &'a BTreeSet<Fingerprint>,
    left: BTreeSet<Fingerprint>,
    brings_addresses: bool,
    at: Timestamp,
}

/// How a record stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Whether it says that its customer was erased.
    pub(crate) is_erased: bool,
    /// When the customer was first stored.
    pub(crate) first_seen: Timestamp,
    /// Since when it is a tombstone, if it is one.
    pub(crate) gone_since: Option<Timestamp>,
}

impl Standing {
    /// Whether the customer was there at a time, as far as the record tells.
    fn was_there(&self, at: Timestamp) -> bool {
        self.first_seen <= at && self.gone_since.is_none_or(|gone_since| at < gone_since)
    }
}

impl From<&Customer> for Standing {
    fn from(customer: &Customer) -> Self {
        let is_gone = customer.content.status == Status::Deleted;
        Self {
            is_erased: customer.is_erased(),
            first_seen: customer.first_seen_at,
            gone_since: is_gone.then_some(customer.changed_at),
        }
    }
}

impl Erasures {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, known: Arc::default() }
    }

    /// Who was erased of a tenant's customers, as the list stands now.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn of(&self, tenant: &str) -> Result<Arc<Erased>, StoreError> {
        let partition = partition(tenant);
        let Some(head) = self.table.get(&partition, HEAD).await? else { return Ok(Arc::default()) };
        let read = Read::new(HEAD, &head);
        let version = read.number_or_zero("version")?;
        let known = lock(&self.known).get(tenant).cloned();
        if let Some(known) = known.filter(|known| known.version == version) {
            return Ok(known);
        }
        let parts = try_join_all((0..PARTS).map(|part| self.part(&partition, part))).await?;
        let fingerprints = parts.into_iter().flatten().collect();
        let erased = Arc::new(Erased { version, key: read.bytes("key")?.to_vec(), fingerprints });
        lock(&self.known).insert(tenant.to_owned(), erased.clone());
        Ok(erased)
    }

    /// Whether a customer with such a record, or with none, must not get this content: it was erased; or it is not
    /// there, and has the address of somebody who was, unless the erasure has left it alone. Whoever is there may have
    /// such an address.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn keeps_away(
        &self,
        tenant: &str,
        erased: &Erased,
        id: &CustomerId,
        stored: Option<Standing>,
        content: &Content,
    ) -> Result<bool, StoreError> {
        match stored {
            _ if erased.holds(id) => Ok(true),
            Some(Standing { is_erased: true, .. }) => Ok(true),
            Some(Standing { gone_since: None, .. }) => Ok(false),
            _ if !erased.holds_an_address_of(content) => Ok(false),
            None => Ok(true),
            Some(tombstone) => Ok(self.notes(tenant).await?.is_newcomer(erased, id, content, Some(tombstone))),
        }
    }

    async fn part(&self, partition: &ConnectionKey, part: u8) -> Result<HashSet<Fingerprint>, StoreError> {
        Ok(self.table.get(partition, &part_entry(part)).await?.map(|item| read_set(&item)).unwrap_or_default())
    }

    /// Notes that somebody is erased: a customer, with the addresses that it had, or an address by itself. From then on
    /// the customer is not stored, and no new one with one of the addresses is. `by` is the address that the customer
    /// was found by; `None` if it was named itself. `left` are others who have one of the addresses, and are left
    /// alone.
    ///
    /// # Errors
    /// If the store fails: then some of it may be noted.
    pub async fn add(
        &self,
        tenant: &str,
        whom: &Whom,
        by: Option<&str>,
        addresses: &BTreeSet<String>,
        left: &BTreeSet<CustomerId>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let partition = partition(tenant);
        let key = self.key(&partition).await?;
        let own = whom.fingerprint(&key);
        let mut all: BTreeSet<Fingerprint> = addresses.iter().map(|address| of_address(&key, address)).collect();
        all.insert(own);
        if let Whom::Customer(id) = whom {
            all.insert(of_spelling(&key, id));
        }
        let by = by.map(|address| BTreeSet::from([of_address(&key, address)]));
        let left = left.iter().take(MOST_LEFT).map(|id| of_id(&key, id)).collect();
        let brings_addresses = matches!(whom, Whom::Address(_)) || !addresses.is_empty();
        self.note(&partition, &own, &NewNote { by, all: &all, left, brings_addresses, at: now }).await?;
        self.change(&partition, "ADD", &all).await
    }

    /// Notes that a customer is erased because it is new and has addresses of others who were: none of its addresses
    /// is brought into the list.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub async fn add_newcomer(
        &self,
        tenant: &str,
        id: &CustomerId,
        content: &Content,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let erased = self.of(tenant).await?;
        let by = Some(erased.addresses_of(content)).filter(|by| !by.is_empty());
        let own = of_id(&erased.key, id);
        let all = BTreeSet::from([own, of_spelling(&erased.key, id)]);
        let partition = partition(tenant);
        let note = NewNote { by, all: &all, left: BTreeSet::new(), brings_addresses: false, at: now };
        self.note(&partition, &own, &note).await?;
        self.change(&partition, "ADD", &all).await
    }

    /// Somebody who is erased once more keeps what was noted then; also the time, unless addresses are brought in
    /// again, whose other holders are named once more.
    async fn note(&self, partition: &ConnectionKey, own: &Fingerprint, new: &NewNote<'_>) -> Result<(), StoreError> {
        let at = if new.brings_addresses { ":at" } else { "if_not_exists(#at, :at)" };
        let mut assigned = format!("SET #at = {at}");
        let mut added = "ADD #set :set".to_owned();
        let mut note = self
            .table
            .update(partition, &of_entry(own))
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#set", FINGERPRINTS)
            .expression_attribute_values(":at", time(new.at))
            .expression_attribute_values(":set", set(new.all));
        if let Some(by) = &new.by {
            added += ", #by :by";
            note = note.expression_attribute_names("#by", notes::BY).expression_attribute_values(":by", set(by));
        } else {
            assigned += ", #itself = :true";
            note = note
                .expression_attribute_names("#itself", notes::ITSELF)
                .expression_attribute_values(":true", AttributeValue::Bool(true));
        }
        if !new.left.is_empty() {
            added += ", #left :left";
            note = note
                .expression_attribute_names("#left", notes::LEFT)
                .expression_attribute_values(":left", set(&new.left));
        }
        self.table.send(note.update_expression(format!("{assigned} {added}"))).await.map(|_| ())
    }

    /// How many customers, and addresses by themselves, were erased.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn count(&self, tenant: &str) -> Result<usize, StoreError> {
        let notes = self.table.entries(&partition(tenant), NOTE).projection_expression("entry");
        self.table.query_all(notes).await.map(|notes| notes.len())
    }

    /// What a tenant's fingerprints are made with: made at the first use.
    async fn key(&self, partition: &ConnectionKey) -> Result<Vec<u8>, StoreError> {
        let secret = self.table.random.secret().map_err(|error| StoreError::Document {
            what: "the key of erasures".to_owned(),
            problem: error.to_string(),
        })?;
        let update = self
            .table
            .update(partition, HEAD)
            .update_expression("SET #key = if_not_exists(#key, :key)")
            .expression_attribute_names("#key", "key")
            .expression_attribute_values(":key", bytes(&secret))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew);
        let head = self.table.send(update).await?.attributes.unwrap_or_default();
        Ok(Read::new(HEAD, &head).bytes("key")?.to_vec())
    }

    /// Adds fingerprints to the parts, or deletes them; then everybody reads the parts again.
    async fn change(
        &self,
        partition: &ConnectionKey,
        verb: &str,
        changed: &BTreeSet<Fingerprint>,
    ) -> Result<(), StoreError> {
        for part in 0..PARTS {
            let of_part: BTreeSet<_> = changed.iter().filter(|it| it[0] % PARTS == part).copied().collect();
            if of_part.is_empty() {
                continue;
            }
            let update = self
                .table
                .update(partition, &part_entry(part))
                .update_expression(format!("{verb} #set :set"))
                .expression_attribute_names("#set", FINGERPRINTS)
                .expression_attribute_values(":set", set(&of_part));
            self.table.send(update).await?;
        }
        let update = self
            .table
            .update(partition, HEAD)
            .update_expression("ADD version :one")
            .expression_attribute_values(":one", number(1));
        self.table.send(update).await.map(|_| ())
    }
}

/// No connection has such an id.
fn partition(tenant: &str) -> ConnectionKey {
    ConnectionKey::new(tenant, "!erased")
}

fn part_entry(part: u8) -> String {
    format!("part/{part:02}")
}

fn of_entry(fingerprint: &Fingerprint) -> String {
    format!("{NOTE}{}", hex::encode(fingerprint))
}

fn of_id(key: &[u8], id: &CustomerId) -> Fingerprint {
    fingerprint(key, "id", &id.to_string())
}

fn of_spelling(key: &[u8], id: &CustomerId) -> Fingerprint {
    fingerprint(key, "spelling", &format!("{}~{}", id.connection, fold_id(&id.source_id)))
}

fn of_address(key: &[u8], address: &str) -> Fingerprint {
    fingerprint(key, "email", address)
}

fn fingerprint(key: &[u8], kind: &str, text: &str) -> Fingerprint {
    // HMAC takes keys of any length.
    #[allow(clippy::expect_used)]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(kind.as_bytes());
    mac.update(b"\n");
    mac.update(text.as_bytes());
    let whole = mac.finalize().into_bytes();
    std::array::from_fn(|place| whole[place])
}

fn set(fingerprints: &BTreeSet<Fingerprint>) -> AttributeValue {
    AttributeValue::Bs(fingerprints.iter().map(|fingerprint| Blob::new(fingerprint.to_vec())).collect())
}

fn read_set(item: &Item) -> HashSet<Fingerprint> {
    read_set_of(item, FINGERPRINTS)
}

fn read_set_of(item: &Item, attribute: &str) -> HashSet<Fingerprint> {
    let Some(AttributeValue::Bs(blobs)) = item.get(attribute) else { return HashSet::new() };
    blobs.iter().filter_map(|blob| Fingerprint::try_from(blob.as_ref()).ok()).collect()
}
