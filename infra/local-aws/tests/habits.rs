//! The embedded DynamoDB refuses and counts as DynamoDB does, if it is told to.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, PutRequest, TransactWriteItem, WriteRequest};
use jiff::Timestamp;
use local_aws::{Conflicts, EmbeddedDynamoDb, Habits, Meter, TEMPLATE, Template};
use store::Clock;

const CONTROL: &str = "ControlTable";

struct World {
    database: EmbeddedDynamoDb,
    client: Client,
    clock: Clock,
    meter: Meter,
}

async fn world(throttles: bool, conflicts: Option<Conflicts>) -> World {
    let database = EmbeddedDynamoDb::in_memory().unwrap();
    for table in &Template::parse(TEMPLATE).unwrap().tables {
        database.create_table(table).await.unwrap();
    }
    let (clock, meter) = (Clock::manual(Timestamp::UNIX_EPOCH), Meter::on());
    database.behave(Habits { clock: clock.clone(), throttles, conflicts });
    database.count_in(meter.clone());
    let client = database.client().config().to_builder().retry_config(RetryConfig::disabled()).build();
    World { database, client: Client::from_conf(client), clock, meter }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// The attributes of an item of the control table that has this many bytes, names included.
fn item(connection: &str, entry: &str, bytes: usize) -> std::collections::HashMap<String, AttributeValue> {
    let rest = bytes - "connection".len() - connection.len() - "entry".len() - entry.len() - "doc".len();
    [("connection", text(connection)), ("entry", text(entry)), ("doc", text("x".repeat(rest)))]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}

impl World {
    /// Puts an item of so many KB; the error code if it is refused.
    async fn put(&self, connection: &str, entry: &str, kb: usize) -> Result<(), String> {
        let put = self.client.put_item().table_name(CONTROL).set_item(Some(item(connection, entry, kb * 1_024)));
        put.send().await.map(|_| ()).map_err(|error| error.code().unwrap_or("?").to_owned())
    }

    fn units(&self, operation: &str) -> (u64, f64, f64) {
        let report = self.meter.report();
        let usage = report.dynamodb.get(&(CONTROL.to_owned(), operation.to_owned())).copied().unwrap_or_default();
        (usage.requests, usage.write_units, usage.read_units)
    }

    async fn put_in_transaction(&self, entries: &[&str]) -> Result<(), Vec<String>> {
        let puts = entries.iter().map(|entry| {
            let put = Put::builder().table_name(CONTROL).set_item(Some(item("acme/aa", entry, 1_024))).build();
            TransactWriteItem::builder().put(put.unwrap()).build()
        });
        let answer = self.client.transact_write_items().set_transact_items(Some(puts.collect())).send().await;
        answer.map(|_| ()).map_err(|error| match error.into_service_error() {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap().to_owned()).collect()
            }
            error => panic!("{error:?}"),
        })
    }
}

#[tokio::test]
async fn a_partition_key_takes_a_thousand_write_units_a_second_and_others_are_not_concerned() {
    let world = world(true, None).await;
    for number in 0..100 {
        world.put("acme/aa", &format!("e{number}"), 10).await.unwrap();
    }
    assert_eq!(world.put("acme/aa", "more", 1).await, Err("ThrottlingException".to_owned()));
    world.put("acme/bc", "another", 1).await.unwrap();
    world.clock.advance(Duration::from_millis(5));
    for number in 0..5 {
        world.put("acme/aa", &format!("f{number}"), 1).await.unwrap();
    }
    assert_eq!(world.put("acme/aa", "more", 1).await, Err("ThrottlingException".to_owned()));
    assert_eq!(world.meter.report().busiest, Some(("ControlTable acme/aa".to_owned(), 1_005.0)));
}

#[tokio::test]
async fn a_client_that_is_exempt_is_neither_throttled_nor_counted() {
    let world = world(true, None).await;
    let exempt = world.database.exempt_client();
    for number in 0..1_100 {
        let put = exempt.put_item().table_name(CONTROL).set_item(Some(item("acme/aa", &number.to_string(), 1_024)));
        put.send().await.unwrap();
    }
    assert_eq!(world.units("PutItem"), (0, 0.0, 0.0));
    world.put("acme/aa", "e", 1).await.unwrap();
}

#[tokio::test]
async fn a_write_costs_the_larger_of_what_was_and_what_is() {
    let world = world(false, None).await;
    world.put("acme/aa", "e", 4).await.unwrap();
    assert_eq!(world.units("PutItem"), (1, 4.0, 0.0));
    world.put("acme/aa", "e", 1).await.unwrap();
    assert_eq!(world.units("PutItem"), (2, 8.0, 0.0));
    let key =
        || world.client.update_item().table_name(CONTROL).key("connection", text("acme/aa")).key("entry", text("e"));
    let grown =
        key().update_expression("SET more = :more").expression_attribute_values(":more", text("x".repeat(1_024)));
    grown.send().await.unwrap();
    assert_eq!(world.units("UpdateItem"), (1, 3.0, 0.0), "1,024 + 4 + 1,024 bytes");
    let refused = key().update_expression("REMOVE more").condition_expression("attribute_not_exists(entry)");
    refused.send().await.unwrap_err();
    assert_eq!(world.units("UpdateItem"), (2, 6.0, 0.0), "a condition that does not hold costs the same");
    let delete = world.client.delete_item().table_name(CONTROL).key("connection", text("acme/aa"));
    delete.key("entry", text("e")).send().await.unwrap();
    assert_eq!(world.units("DeleteItem"), (1, 3.0, 0.0));
}

#[tokio::test]
async fn an_index_is_written_only_if_what_it_holds_changes() {
    let world = world(false, None).await;
    let put = |listing: &'static str, doc: &'static str| {
        let put = world.client.put_item().table_name("ShadowTable").item("id", text("acme/aa~1"));
        put.item("listing", text(listing)).item("doc", text(doc)).send()
    };
    let units = || world.meter.report().write_units();
    put("acme/aa/1", "first").await.unwrap();
    assert_eq!(units(), 2.0, "the item and its entry in the index of keys");
    put("acme/aa/1", "second").await.unwrap();
    assert_eq!(units(), 3.0);
    put("acme/aa/2", "second").await.unwrap();
    assert_eq!(units(), 6.0, "the entry is removed from one place and added to another");
}

#[tokio::test]
async fn reads_cost_by_four_kilobytes_and_half_if_they_need_not_be_consistent() {
    let world = world(true, None).await;
    world.put("acme/aa", "e", 9).await.unwrap();
    let get = || world.client.get_item().table_name(CONTROL).key("connection", text("acme/aa")).key("entry", text("e"));
    get().consistent_read(true).projection_expression("entry").send().await.unwrap();
    assert_eq!(world.units("GetItem").2, 3.0);
    get().send().await.unwrap();
    assert_eq!(world.units("GetItem").2, 4.5);
    let query = || {
        let query = world.client.query().table_name(CONTROL).consistent_read(true);
        let query = query.key_condition_expression("#c = :c AND begins_with(entry, :e)");
        let query = query.expression_attribute_names("#c", "connection");
        query.expression_attribute_values(":c", text("acme/aa")).expression_attribute_values(":e", text("e"))
    };
    query().filter_expression("attribute_exists(nothing)").send().await.unwrap();
    assert_eq!(world.units("Query"), (1, 0.0, 3.0), "what a filter leaves out is paid");
    for _ in 0..998 {
        query().send().await.unwrap();
    }
    assert_eq!(query().send().await.unwrap_err().code(), Some("ThrottlingException"));
    assert_eq!(get().send().await.unwrap_err().code(), Some("ThrottlingException"));
}

#[tokio::test]
async fn a_batch_is_taken_in_part_and_refused_if_nothing_of_it_is() {
    let world = world(true, None).await;
    world.put("acme/aa", "large", 390).await.unwrap();
    world.put("acme/aa", "large2", 390).await.unwrap();
    let batch = || {
        let put = |number: usize| {
            let put = PutRequest::builder().set_item(Some(item("acme/aa", &number.to_string(), 20 * 1_024)));
            WriteRequest::builder().put_request(put.build().unwrap()).build()
        };
        let requests = Some((0..25).map(put).collect());
        world.client.batch_write_item().set_request_items(requests.map(|all| [(CONTROL.to_owned(), all)].into())).send()
    };
    let unprocessed = batch().await.unwrap().unprocessed_items.unwrap();
    assert_eq!(unprocessed[CONTROL].len(), 14, "780 + 11 * 20 units are 1,000");
    assert_eq!(batch().await.unwrap_err().code(), Some("ProvisionedThroughputExceededException"));
    let key = |number: usize| {
        [("connection".to_owned(), text("acme/aa")), ("entry".to_owned(), text(number.to_string()))].into()
    };
    let read = || {
        let wanted = KeysAndAttributes::builder().consistent_read(true).set_keys(Some((0..25).map(key).collect()));
        world.client.batch_get_item().request_items(CONTROL, wanted.build().unwrap()).send()
    };
    let mut found = 0;
    let mut left = 0;
    while left == 0 {
        let answer = read().await.unwrap();
        found += answer.responses.unwrap()[CONTROL].len();
        left = answer.unprocessed_keys.unwrap().get(CONTROL).map_or(0, |left| left.keys().len());
    }
    assert!(found > 100 && left < 25, "{found} {left}");
    assert_eq!(read().await.unwrap_err().code(), Some("ProvisionedThroughputExceededException"));
}

#[tokio::test]
async fn a_transaction_costs_twice_and_says_which_of_its_writes_is_throttled() {
    let world = world(true, None).await;
    world.put_in_transaction(&["a", "b"]).await.unwrap();
    assert_eq!(world.units("TransactWriteItems"), (1, 4.0, 0.0));
    for number in 0..100 {
        world.put("acme/aa", &format!("e{number}"), 10).await.unwrap_or_default();
    }
    let reasons = world.put_in_transaction(&["a", "b"]).await.unwrap_err();
    assert_eq!(reasons, ["ThrottlingError", "ThrottlingError"]);
}

/// Which of a hundred writes beside transactions are refused.
async fn refused_by(seed: u64) -> Vec<bool> {
    let world = world(false, Some(Conflicts { seed, one_in: 4 })).await;
    for _ in 0..10 {
        world.put("acme/aa", "a", 1).await.unwrap();
    }
    let mut refused = Vec::new();
    for _ in 0..100 {
        let cancelled = world.put_in_transaction(&["a", "b"]).await;
        if let Err(reasons) = cancelled {
            assert!(reasons.contains(&"TransactionConflict".to_owned()), "{reasons:?}");
        }
        match world.put("acme/aa", "a", 1).await {
            Ok(()) => refused.push(false),
            Err(code) => {
                assert_eq!(code, "TransactionConflictException");
                refused.push(true);
            }
        }
        world.put("acme/aa", "c", 1).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..10 {
        world.put("acme/aa", "a", 1).await.unwrap();
    }
    refused
}

#[tokio::test]
async fn writes_that_meet_a_transaction_are_refused_by_the_seed() {
    let refused = refused_by(1).await;
    let count = refused.iter().filter(|refused| **refused).count();
    assert!((10..45).contains(&count), "{count}");
    assert_eq!(refused_by(1).await, refused);
    assert_ne!(refused_by(2).await, refused);
}

#[tokio::test]
async fn a_database_that_was_told_nothing_refuses_nothing() {
    let database = EmbeddedDynamoDb::in_memory().unwrap();
    for table in &Template::parse(TEMPLATE).unwrap().tables {
        database.create_table(table).await.unwrap();
    }
    let client = database.client();
    for number in 0..300 {
        let put =
            client.put_item().table_name(CONTROL).set_item(Some(item("acme/aa", &number.to_string(), 10 * 1_024)));
        put.send().await.unwrap();
    }
}
