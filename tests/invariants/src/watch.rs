//! Watches every write to the shadow, and every lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use local_aws::{Answer, Call, Interference};
use model::Version;
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
    /// Whether a record of a later time is stored, which those after it must follow.
    is_ahead: bool,
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
        let (versions, back_since, leases, is_ahead, violations) = Default::default();
        let seen = Seen { versions, always_there, back_since, leases, is_ahead, violations, writes: 0, tombstones: 0 };
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

    /// From now on a record of a later time is stored: those that follow it are of a later time, too.
    pub fn expect_ahead(&self) {
        self.seen().is_ahead = true;
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
        let Ok(request) = serde_json::from_slice::<Value>(call.body) else { return };
        match call.operation {
            "PutItem" => self.note_put(&request, now),
            "TransactWriteItems" => {
                for item in request["TransactItems"].as_array().into_iter().flatten() {
                    self.note_put(&item["Put"], now);
                }
            }
            _ => {
                for item in request["RequestItems"][SHADOW].as_array().into_iter().flatten() {
                    self.note_item(&item["PutRequest"]["Item"], now);
                }
            }
        }
    }

    fn note_leases(&self, call: &Call<'_>, now: Timestamp) {
        let Ok(request) = serde_json::from_slice::<Value>(call.body) else { return };
        if call.operation == "UpdateItem" {
            return self.note_lease(&request, now);
        }
        for item in request["TransactItems"].as_array().into_iter().flatten() {
            match (&item["Update"], &item["Delete"]) {
                (update, _) if update.is_object() => self.note_lease(update, now),
                (_, delete) => {
                    self.seen().leases.remove(&delete["Key"].to_string());
                }
            }
        }
    }

    fn note_lease(&self, update: &Value, now: Timestamp) {
        let (key, values) = (update["Key"].to_string(), &update["ExpressionAttributeValues"]);
        let expression = update["UpdateExpression"].as_str().unwrap_or_default();
        let millis = |name: &str| values[name]["N"].as_str().and_then(|text| text.parse::<i64>().ok());
        let seen = &mut *self.seen();
        if !expression.contains("lease_owner = :owner") {
            if expression.contains("lease_owner") {
                seen.leases.remove(&key);
            } else if let (true, Some(lease)) = (expression.contains("lease_until = "), seen.leases.get_mut(&key)) {
                lease.until = millis(":until").unwrap_or(lease.until);
            }
            return;
        }
        let (Some(owner), Some(until)) = (values[":owner"]["S"].as_str(), millis(":until")) else { return };
        let before = seen.leases.insert(key.clone(), Lease { owner: owner.to_owned(), until });
        if let (Some(before), Some(taken_at)) = (before, millis(":now"))
            && let Err(problem) = crate::lease_was_free(before.owner == owner, before.until, taken_at)
        {
            seen.violations.push(format!("{now} {key}: {problem}"));
        }
    }

    fn note_put(&self, put: &Value, now: Timestamp) {
        if put["TableName"] == SHADOW {
            self.note_item(&put["Item"], now);
        }
    }

    fn note_item(&self, item: &Value, now: Timestamp) {
        let (Some(id), Some(version)) = (item["id"]["S"].as_str(), item["version"]["S"].as_str()) else { return };
        let version = Version::from_stored(version);
        let is_tombstone = item["listing"].is_null();
        let seen = &mut *self.seen();
        seen.writes += 1;
        seen.tombstones += u64::from(is_tombstone);
        let before = seen.versions.insert(id.to_owned(), version.clone());
        let back_since = seen.back_since.get(id);
        let was_gone = !seen.always_there.contains(id)
            && back_since.is_none_or(|since| crate::may_be_from_before(&version, *since, now));
        let checks = [
            crate::version_does_not_go_back(before.as_ref(), &version),
            if seen.is_ahead { Ok(()) } else { crate::version_is_not_ahead(&version, now) },
            crate::is_deleted_only_if_gone(is_tombstone, was_gone),
        ];
        for problem in checks.into_iter().filter_map(Result::err) {
            seen.violations.push(format!("{now} {id}: {problem}"));
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
