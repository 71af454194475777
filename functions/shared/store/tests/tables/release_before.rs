//! Items as the release before wrote them, and items of this one as the release before reads them: see the invariant
//! *Upgrade*. The fixtures are in DynamoDB's JSON.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use model::{ListedChange, Listing, OutcomeCounts, Version};
use serde_json::Value;
use store::{ChunkKey, Departure, Settlement};

use crate::ledger::{chunk, open_batch, settlement};
use crate::{Database, ids};

/// An open batch of two chunks: of a listing, and of ids. One customer of it was written.
const LEDGER: &str = include_str!("release_before/ledger.json");
/// A connection that is failing, with a resync and a redrive to be done.
const CONNECTION: &str = include_str!("release_before/connection.json");

async fn store(database: &Database, fixture: &str) {
    let items: Vec<HashMap<String, HashMap<String, Value>>> = serde_json::from_str(fixture).unwrap();
    for item in items {
        let item = item.into_iter().map(|(name, value)| (name, attribute(value))).collect();
        database.embedded.client().put_item().table_name("ControlTable").set_item(Some(item)).send().await.unwrap();
    }
}

fn attribute(value: HashMap<String, Value>) -> AttributeValue {
    let (kind, value) = value.into_iter().next().unwrap();
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => AttributeValue::S(text),
        ("N", Value::String(digits)) => AttributeValue::N(digits),
        ("SS", Value::Array(texts)) => {
            AttributeValue::Ss(texts.into_iter().map(|text| text.as_str().unwrap().to_owned()).collect())
        }
        (kind, value) => panic!("{kind}: {value}"),
    }
}

#[tokio::test]
async fn a_batch_that_the_release_before_opened_is_finished_and_adds_up() {
    let database = Database::new().await;
    store(&database, LEDGER).await;
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let state = ledger.state(connection).await.unwrap();
    let batch = state.latest.unwrap();
    assert_eq!((batch.number, batch.total, batch.counts.sum(), state.totals.sum()), (1_767_225_600, 5, 1, 7));
    assert_eq!(batch.told_to, None, "it has left that of an earlier batch, of this release, where it was");
    let until = database.in_seconds(60);
    let key = |chunk| ChunkKey { connection: connection.clone(), batch: batch.number, chunk };
    let settled = |written| Settlement {
        counts: OutcomeCounts { written, ..OutcomeCounts::default() },
        fetch: BTreeSet::new(),
        delete: BTreeSet::new(),
        retry_at: until,
        unverified: false,
    };
    let contacts = ledger.lease(key(0), "one", until).await.unwrap().unwrap();
    assert_eq!(contacts.listed.len(), 2);
    let ListedChange::Present(content) = &contacts.listed[0].news else { panic!() };
    assert_eq!(content.name.display.as_deref(), Some("Ada Miller"));
    assert_eq!(contacts.listed[0].version, Version::of_batch(1_767_225_600, 1));
    assert_eq!(contacts.listed[1].news, ListedChange::Deleted);
    assert!(ledger.settle(&contacts, &settled(2), until).await.unwrap());
    let of_ids = ledger.lease(key(1), "one", until).await.unwrap().unwrap();
    assert_eq!((&of_ids.fetch, &of_ids.delete, of_ids.attempt), (&ids(["3"]), &ids(["4"]), 3));
    assert!(ledger.settle(&of_ids, &settled(2), until).await.unwrap());
    let latest = ledger.state(connection).await.unwrap().latest.unwrap();
    assert!(latest.reconciles());
    ledger.advance(connection, &latest, model::BatchEvent::Acknowledged).await.unwrap();
    assert_eq!(ledger.state(connection).await.unwrap().totals.written, 7 + 5);
}

/// Workers of the release before count in the batch, those of this one beside it; the poller adds both.
#[tokio::test]
async fn a_batch_that_workers_of_both_releases_settle_adds_up() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let connection = &database.connection;
    let until = database.in_seconds(60);
    for (number, customers) in [(0, 2), (1, 2), (2, 1)] {
        let mut leased = ledger.lease(chunk(&database, &batch, number), "one", until).await.unwrap().unwrap();
        if number == 1 {
            // A chunk without this note is counted as the release before counts every one.
            let unnoted =
                database.entries("chunk/").await.into_iter().find(|(_, entry, _)| entry.ends_with("/00000001"));
            let mut unnoted = unnoted.unwrap().2;
            unnoted.remove("counts_apart");
            unnoted.remove("lease_until");
            let table = database.embedded.client();
            table.put_item().table_name("ControlTable").set_item(Some(unnoted)).send().await.unwrap();
            leased = ledger.lease(chunk(&database, &batch, number), "two", until).await.unwrap().unwrap();
        }
        let done = settlement(customers, BTreeSet::new(), until);
        assert!(ledger.settle(&leased, &done, until).await.unwrap());
    }
    let in_batch = database.entries("batch").await.into_iter().find(|(_, entry, _)| entry == "batch").unwrap().2;
    assert_eq!(in_batch["n_written"], AttributeValue::N("2".to_owned()), "its poller would abandon the batch");
    let latest = ledger.state(connection).await.unwrap().latest.unwrap();
    assert!(latest.reconciles());
    ledger.advance(connection, &latest, model::BatchEvent::Acknowledged).await.unwrap();
    let state = ledger.state(connection).await.unwrap();
    assert_eq!((state.latest.unwrap().counts.written, state.totals.written), (5, 5));
}

/// The release before expects the contacts as a text in the chunk. If it found none, it would count the chunk as done;
/// it finds what it can't read, and gives the batch up, so that the next one holds all of it again.
#[tokio::test]
async fn a_chunk_of_contacts_is_one_that_the_release_before_gives_up() {
    let database = Database::new().await;
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let batch = model::Batch::listed(None, Listing::of_everything(), database.clock.now());
    ledger.begin(connection, None, &batch).await.unwrap();
    let plan = model::ChunkPlan { listed: vec![crate::listed::contact(1)], ..model::ChunkPlan::default() };
    ledger.write_page(connection, &batch, &[plan], database.clock.now()).await.unwrap();
    let chunk = database.entries("chunk/").await.remove(0).2;
    assert_eq!(chunk["listed"], AttributeValue::N("1".to_owned()), "no text");
}

#[tokio::test]
async fn a_connection_that_the_release_before_polled_is_polled_on_under_the_lease() {
    let database = Database::new().await;
    store(&database, CONNECTION).await;
    let (states, key) = (&database.tables.states, &database.connection);
    let registered = database.tables.registry.get(key).await.unwrap().unwrap();
    assert_eq!(registered.kind, "association-anywhere");
    let now = database.clock.now();
    let state = states.lease(key, "a poller", now, database.in_seconds(15)).await.unwrap().unwrap();
    assert_eq!((state.idle_since, state.has_batch, state.due_at), (None, false, None), "nothing is known: look at all");
    assert_eq!((state.resync_requested, state.error.is_some(), state.fresh_as_of.is_some()), (Some(2), true, true));
    assert_eq!(database.tables.failures.redrive_requests(key).await.unwrap(), ["1001"]);
}

/// What a release writes that knows neither `idle` nor `due_at`, and reads of an item that has them.
#[tokio::test]
async fn a_connection_is_polled_by_the_release_before_as_if_nothing_had_been_added() {
    let database = Database::new().await;
    let (states, key) = (&database.tables.states, &database.connection);
    let (now, until) = (database.clock.now(), database.in_seconds(15));
    let seen = states.lease(key, "a poller", now, until).await.unwrap().unwrap();
    let departure = Departure { due_at: Some(until), idle_since: Some(now), ..Departure::default() };
    states.leave(key, "a poller", &seen, &departure).await.unwrap();
    let client = database.embedded.client();
    let item_key = HashMap::from([("connection", key.to_string()), ("entry", "poll".to_owned())]);
    let item_key = item_key.into_iter().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect();
    let lease = client.update_item().table_name("ControlTable").set_key(Some(item_key));
    lease
        .update_expression("SET lease_owner = :owner, lease_until = :until")
        .condition_expression("attribute_not_exists(lease_until) OR lease_until <= :until OR lease_owner = :owner")
        .expression_attribute_values(":owner", AttributeValue::S("the release before".to_owned()))
        .expression_attribute_values(":until", AttributeValue::N(until.as_millisecond().to_string()))
        .send()
        .await
        .unwrap();
    assert!(states.lease(key, "a poller", now, until).await.unwrap().is_none(), "and holds against this one");
    let seen = states.state(key).await.unwrap();
    assert!(seen.idle_since.is_some(), "that release leaves it as it is");
    assert!(states.lease_idle(key, "a poller", &seen, now, until).await.unwrap().is_none(), "idle or not");
}
