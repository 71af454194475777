//! Failure records: each with its raw document, which is read only on request.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use model::ConnectionKey;
use store::Failure;
use tests::{AssociationAnywhereFixture, CONTROL_TABLE};

fn failure(world: &AssociationAnywhereFixture, source_id: &str, raw: String) -> Failure {
    let reason = "cannot be taken over".to_owned();
    // As it is stored.
    Failure { source_id: source_id.to_owned(), reason, raw, failed_at: world.now() }
}

async fn add(world: &AssociationAnywhereFixture, ids: impl Iterator<Item = String>, raw: &str) {
    for source_id in ids {
        world.failures().put(&world.connection(), &failure(world, &source_id, raw.to_owned())).await.unwrap();
    }
}

/// What it costs to read every entry of the connection that begins so, in DynamoDB's read units.
async fn cost_of_reading(world: &AssociationAnywhereFixture, prefix: &str) -> f64 {
    let query = world.clients.dynamodb.query().table_name(CONTROL_TABLE);
    let query = query.key_condition_expression("#c = :c AND begins_with(entry, :p)");
    let query = query.expression_attribute_names("#c", "connection");
    let query = query.expression_attribute_values(":c", AttributeValue::S(world.connection().to_string()));
    let query = query.expression_attribute_values(":p", AttributeValue::S(prefix.to_owned()));
    let answer = query.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    assert!(answer.last_evaluated_key().is_none());
    answer.consumed_capacity().unwrap().capacity_units().unwrap()
}

#[tokio::test]
async fn a_record_comes_back_with_its_raw_document_and_is_replaced_and_removed_with_it() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let (failures, key) = (world.failures(), world.connection());
    let one = failure(&world, "1001", "<custInfo/>".to_owned());
    failures.put(&key, &one).await.unwrap();
    assert_eq!(failures.all(&key).await.unwrap(), std::slice::from_ref(&one));
    let other = Failure { raw: "<other/>".to_owned(), ..one };
    failures.put(&key, &other).await.unwrap();
    assert_eq!(failures.all(&key).await.unwrap(), [other]);
    failures.remove(&key, "1001").await.unwrap();
    assert_eq!(failures.all(&key).await.unwrap(), []);
    assert_eq!(cost_of_reading(&world, "failure").await, 0.5, "nothing is left");
}

#[tokio::test]
async fn a_count_reads_no_raw_documents() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add(&world, (0..100).map(|number| format!("c{number}")), &"q".repeat(80_000)).await;
    assert_eq!(world.failures().count(&world.connection()).await.unwrap(), 100);
    // 200 bytes a record are 20 KB, in units of 4 KB, half a unit each.
    let units = cost_of_reading(&world, "failure/").await;
    assert!(units <= 3.0, "{units} read units for a count of 100 records");
}

#[tokio::test]
async fn a_record_that_the_release_before_wrote_is_read_counted_and_removed() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let item = BTreeMap::from([
        ("connection", AttributeValue::S("acme/aa".to_owned())),
        ("entry", AttributeValue::S("failure/1001".to_owned())),
        ("reason", AttributeValue::S("bad".to_owned())),
        ("raw_document", AttributeValue::S("<custInfo/>".to_owned())),
        ("failed_at", AttributeValue::N("1700000000000".to_owned())),
    ]);
    let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    world.clients.dynamodb.put_item().table_name(CONTROL_TABLE).set_item(Some(item)).send().await.unwrap();
    let (failures, key) = (world.failures(), world.connection());
    assert_eq!(failures.all(&key).await.unwrap()[0].raw, "<custInfo/>");
    assert_eq!(failures.page(&key, None, 10, false).await.unwrap().failures[0].raw, "");
    assert_eq!(failures.count(&key).await.unwrap(), 1);
    failures.remove_resolved(&key, &BTreeSet::from(["1001".to_owned()])).await.unwrap();
    assert_eq!(failures.count(&key).await.unwrap(), 0);
}

/// The release before asks each record for a raw document (invariant 11).
#[tokio::test]
async fn a_record_can_be_read_by_the_release_before() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add(&world, ["1001".to_owned()].into_iter(), "<custInfo/>").await;
    let get = world.clients.dynamodb.get_item().table_name(CONTROL_TABLE);
    let get = get.key("connection", AttributeValue::S("acme/aa".to_owned()));
    let item = get.key("entry", AttributeValue::S("failure/1001".to_owned())).send().await.unwrap().item.unwrap();
    for attribute in ["reason", "raw_document"] {
        assert!(item[attribute].as_s().is_ok(), "{attribute}");
    }
    assert!(item["failed_at"].as_n().is_ok());
}

/// Nothing is dropped in silence (invariant 6): not even the customer with the last of all ids.
#[tokio::test]
async fn every_record_is_listed_whatever_its_id_begins_with() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let ids = ["\u{10FFFF}", "\u{10FFFF}9", "0", "~", "é", "a/b", "failure/1"];
    add(&world, ids.iter().map(|id| (*id).to_owned()), "raw").await;
    let (failures, key) = (world.failures(), world.connection());
    let listed: BTreeSet<String> = failures.all(&key).await.unwrap().into_iter().map(|one| one.source_id).collect();
    assert_eq!(listed, ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(failures.count(&key).await.unwrap(), 7);
    for id in ids {
        failures.request_redrive(&key, id, world.now()).await.unwrap();
    }
    assert_eq!(failures.redrive_requests(&key).await.unwrap().len(), 7);
}

#[tokio::test]
async fn records_are_read_page_by_page_and_each_once() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add(&world, (0..25).map(|number| format!("c{number:02}")), "raw").await;
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = world.failures().page(&world.connection(), after.as_deref(), 10, true).await.unwrap();
        assert!(page.failures.iter().all(|failure| failure.raw == "raw"));
        ids.extend(page.failures.into_iter().map(|failure| failure.source_id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, (0..25).map(|number| format!("c{number:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_raw_document_of_more_than_a_hundred_kilobytes_ends_with_a_note() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add(&world, ["1".to_owned()].into_iter(), &"é".repeat(200_000)).await;
    let raw = world.failures().all(&world.connection()).await.unwrap().remove(0).raw;
    assert!(raw.len() < 103_000 && raw.starts_with("éé"), "{} bytes", raw.len());
    assert!(raw.ends_with("[cut off here: the document has 400000 bytes]"));
}

/// One tenant's flood costs a chunk of another customer nothing (invariant 7): neither requests nor time.
#[tokio::test]
async fn of_many_records_those_that_are_resolved_are_removed_and_no_others_are_read() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add(&world, (0..400).map(|number| format!("c{number:03}")), "raw").await;
    let (failures, key) = (world.failures(), world.connection());
    let resolved: BTreeSet<String> = ["a", "c000", "c200", "c399", "z"].map(str::to_owned).into();
    let (gets, queries) = (world.database.operations("GetItem"), world.database.operations("Query"));
    failures.remove_resolved(&key, &resolved).await.unwrap();
    assert_eq!(world.database.operations("GetItem") - gets, 5);
    assert_eq!(world.database.operations("Query") - queries, 1);
    assert_eq!(failures.count(&key).await.unwrap(), 397);
    assert!(!failures.is_there(&key, "c200").await.unwrap() && failures.is_there(&key, "c201").await.unwrap());
    // If there are few records between the first and the last of them, one query suffices.
    let gets = world.database.operations("GetItem");
    let resolved: BTreeSet<String> = ["c001", "c002", "c003"].map(str::to_owned).into();
    failures.remove_resolved(&key, &resolved).await.unwrap();
    assert_eq!(world.database.operations("GetItem"), gets);
    assert_eq!(failures.count(&key).await.unwrap(), 394);
    failures.remove_resolved(&ConnectionKey::new("acme", "none"), &resolved).await.unwrap();
}
