//! Watches every write to the shadow, and every lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use local_aws::{Answer, Call, Interference};
use model::Version;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use store::Clock;

/// What was written to the shadow so far, and what was wrong with it.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    versions: BTreeMap<String, Version>,
    /// The customers that have existed all the time.
    always_there: BTreeSet<String>,
    /// When those that were gone at some time came back last.
    back_since: BTreeMap<String, Timestamp>,
    /// Who holds which lease, and until when: by the item's key.
    leases: BTreeMap<String, Lease>,
    /// The customer whose record is of a later time than it is: those after it follow it.
    ahead: Option<String>,
    violations: Vec<String>,
    writes: u64,
    tombstones: u64,
}

#[derive(Debug)]
struct Lease {
    owner: String,
    /// In milliseconds.
    until: i64,
}

impl Watch {
    /// A watch over a shadow in which nothing was written yet, of customers that exist at their sources.
    pub fn new(existing: impl IntoIterator<Item = String>) -> Self {
        let always_there = existing.into_iter().collect();
        let (versions, back_since, leases, ahead, violations) = Default::default();
        let seen = Seen { versions, always_there, back_since, leases, ahead, violations, writes: 0, tombstones: 0 };
        Self(Arc::new(Mutex::new(seen)))
    }

    /// The watch over a client's calls, by this clock.
    pub fn through(&self, clock: Clock) -> Watched {
        Watched { watch: self.clone(), clock }
    }

    /// From now on it is right that a customer is deleted.
    pub fn is_gone(&self, id: &str) {
        let seen = &mut *self.seen();
        seen.always_there.remove(id);
        seen.back_since.remove(id);
    }

    /// It exists from now on: once nothing is under way any more that was heard before, it is not deleted.
    pub fn is_back(&self, id: &str, now: Timestamp) {
        let seen = &mut *self.seen();
        if !seen.always_there.contains(id) {
            seen.back_since.entry(id.to_owned()).or_insert(now);
        }
    }

    /// The tables were restored: versions and leases are older ones.
    pub fn restored(&self) {
        let seen = &mut *self.seen();
        seen.versions.clear();
        seen.leases.clear();
    }

    /// The record of this customer is of a later time than it is: those that follow it are as well.
    pub fn expect_ahead(&self, id: &str) {
        self.seen().ahead = Some(id.to_owned());
    }

    /// Something is wrong that was seen elsewhere.
    pub fn object(&self, problem: String) {
        self.seen().violations.push(problem);
    }

    /// What was wrong.
    pub fn violations(&self) -> Vec<String> {
        self.seen().violations.clone()
    }

    /// How many records were written, and how many of them were tombstones.
    pub fn writes(&self) -> (u64, u64) {
        let seen = self.seen();
        (seen.writes, seen.tombstones)
    }

    /// Notes what a request has written.
    pub fn note(&self, call: &Call<'_>, now: Timestamp) {
        if ["UpdateItem", "TransactWriteItems"].contains(&call.operation) && contains(call.body, "lease_") {
            self.note_leases(call, now);
        }
        let is_write = ["PutItem", "TransactWriteItems", "BatchWriteItem"].contains(&call.operation);
        if !is_write || !contains(call.body, SHADOW) {
            return;
        }
        match call.operation {
            "PutItem" => self.note_put(self.read(call.body), now),
            "TransactWriteItems" => {
                for item in self.read::<Transaction>(call.body).into_iter().flat_map(|written| written.transact_items) {
                    self.note_put(item.put, now);
                }
            }
            _ => {
                let mut written = self.read::<Batch>(call.body).map(|batch| batch.request_items).unwrap_or_default();
                for request in written.remove(SHADOW).into_iter().flatten() {
                    self.note_item(request.put_request.map(|put| put.item), now);
                }
            }
        }
    }

    fn note_leases(&self, call: &Call<'_>, now: Timestamp) {
        if call.operation == "UpdateItem" {
            return self.note_lease(self.read(call.body), now);
        }
        for item in self.read::<Transaction>(call.body).into_iter().flat_map(|written| written.transact_items) {
            if let Some(Delete { key }) = item.delete {
                self.seen().leases.remove(&key.to_string());
            }
            self.note_lease(item.update, now);
        }
    }

    fn note_lease(&self, update: Option<Update>, now: Timestamp) {
        let Some(Update { key, update_expression: expression, expression_attribute_values: values }) = update else {
            return;
        };
        let key = key.to_string();
        let millis = |value: &Option<Typed>| value.as_ref().and_then(|value| value.n.as_ref()?.parse::<i64>().ok());
        let seen = &mut *self.seen();
        if !expression.contains("lease_owner = :owner") {
            if expression.contains("lease_owner") {
                seen.leases.remove(&key);
            } else if let (true, Some(lease)) = (expression.contains("lease_until = "), seen.leases.get_mut(&key)) {
                lease.until = millis(&values.until).unwrap_or(lease.until);
            }
            return;
        }
        let owner = values.owner.as_ref().and_then(|owner| owner.s.clone());
        let (Some(owner), Some(until)) = (owner, millis(&values.until)) else { return };
        let before = seen.leases.insert(key.clone(), Lease { owner: owner.clone(), until });
        if let (Some(before), Some(taken_at)) = (before, millis(&values.now))
            && let Err(problem) = crate::lease_was_free(before.owner == owner, before.until, taken_at)
        {
            seen.violations.push(format!("{now} {key}: {problem}"));
        }
    }

    fn note_put(&self, put: Option<Put>, now: Timestamp) {
        self.note_item(put.filter(|put| put.table_name == SHADOW).map(|put| put.item), now);
    }

    fn note_item(&self, item: Option<Item>, now: Timestamp) {
        let Some(Item { id: Some(id), version: Some(version), listing }) = item else { return };
        let (Some(id), Some(version)) = (id.s.as_deref(), version.s.as_deref()) else { return };
        let version = Version::from_stored(version);
        let is_tombstone = listing.is_none();
        let seen = &mut *self.seen();
        seen.writes += 1;
        seen.tombstones += u64::from(is_tombstone);
        let before = seen.versions.insert(id.to_owned(), version.clone());
        let back_since = seen.back_since.get(id);
        let was_gone = !seen.always_there.contains(id)
            && back_since.is_none_or(|since| crate::may_be_from_before(&version, *since, now));
        let checks = [
            crate::version_does_not_go_back(before.as_ref(), &version),
            if seen.ahead.as_deref() == Some(id) { Ok(()) } else { crate::version_is_not_ahead(&version, now) },
            crate::is_deleted_only_if_gone(is_tombstone, was_gone),
        ];
        for problem in checks.into_iter().filter_map(Result::err) {
            seen.violations.push(format!("{now} {id}: {problem}"));
        }
    }

    /// What is watched of a request. The rest is passed over: it takes no memory from what is measured beside a watch.
    fn read<'de, T: Deserialize<'de>>(&self, body: &'de [u8]) -> Option<T> {
        let read = serde_json::from_slice(body);
        read.inspect_err(|error| self.object(format!("a write that is not understood: {error}"))).ok()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transaction {
    transact_items: Vec<TransactItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransactItem {
    put: Option<Put>,
    update: Option<Update>,
    delete: Option<Delete>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    request_items: BTreeMap<String, Vec<WriteRequest>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest {
    put_request: Option<PutRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest {
    item: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    table_name: String,
    item: Item,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    key: Value,
    update_expression: String,
    #[serde(default)]
    expression_attribute_values: LeaseValues,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    key: Value,
}

/// An item of the shadow, as far as it is watched. Other tables have other items.
#[derive(Deserialize)]
struct Item {
    id: Option<Typed>,
    version: Option<Typed>,
    listing: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct LeaseValues {
    #[serde(rename = ":owner")]
    owner: Option<Typed>,
    #[serde(rename = ":until")]
    until: Option<Typed>,
    #[serde(rename = ":now")]
    now: Option<Typed>,
}

/// A text or a number of DynamoDB.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
struct Typed {
    s: Option<String>,
    n: Option<String>,
}

/// Notes what a client does, and lets it do so.
#[derive(Debug)]
pub struct Watched {
    watch: Watch,
    clock: Clock,
}

impl Interference for Watched {
    fn before<'a>(&'a self, _: Call<'a>) -> BoxFuture<'a, Option<Answer>> {
        async { None }.boxed()
    }

    fn after<'a>(&'a self, call: Call<'a>, answer: &'a Answer) -> BoxFuture<'a, Option<Answer>> {
        if answer.0 == 200 {
            self.watch.note(&call, self.clock.now());
        }
        async { None }.boxed()
    }
}

const SHADOW: &str = "ShadowTable";

/// Whether a request holds a text.
pub fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}
