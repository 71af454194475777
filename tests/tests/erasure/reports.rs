//! What a report of an erasure must name.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use config::DESTINATION;
use model::ConnectionKey;
use operations::persons::{AtDestination, DestinationLeft, Exporter};
use store::{Failure, Whom};
use tests::{BusinessCatalystFixture, CONTROL_TABLE, DestinationsFixture};

use crate::{address_of, erase};

fn of_loyalty(left: Vec<DestinationLeft>) -> Option<(AtDestination, Vec<String>)> {
    let left = left.into_iter().find(|left| left.destination == "loyalty")?;
    Some((left.becomes, left.customers))
}

#[tokio::test]
async fn a_destination_that_has_the_person_is_named_though_the_file_knows_nothing_of_it_any_more() {
    for is_gone in [false, true] {
        let world = DestinationsFixture::with_customers(10).await;
        world.add(&["loyalty", "hook"], "").await;
        world.minute().await;
        let failure = Failure {
            source_id: "aa~1007".to_owned(),
            reason: "refused".to_owned(),
            raw: "what was sent".to_owned(),
            failed_at: world.now(),
        };
        world.failures().put(&ConnectionKey::new("acme", "loyalty"), &failure).await.unwrap();
        match is_gone {
            // It gets customers of another connection from now on.
            false => world.add_from(&["loyalty"], "['bc']", "").await,
            true => world.connections().remove(&ConnectionKey::new("acme", "loyalty")).await.unwrap(),
        }
        let whom = Whom::Customer("aa~1007".parse().unwrap());
        let exported = Exporter::new(&world.tables()).export("acme", &whom, world.now()).await.unwrap();
        let customer = &exported["customers"][0];
        assert_eq!(customer["destinations"], serde_json::json!(["hook", "loyalty"]));
        assert_eq!(
            (&customer["failures"][0]["at"], &customer["failures"][0]["document"]),
            (&"loyalty".into(), &"what was sent".into())
        );
        let report = erase(&world, &whom).await;
        assert_eq!(report.removed.failure_records, 1);
        let expected = Some((AtDestination::ByHand, vec!["aa~1007".to_owned()]));
        assert_eq!(of_loyalty(report.destinations), expected, "{is_gone}");
        assert_eq!(world.connections().of_kind(DESTINATION).await.unwrap().len(), 2 - usize::from(is_gone));
    }
}

#[tokio::test]
async fn documents_of_a_connection_that_is_not_in_the_file_any_more_are_emptied() {
    let world = DestinationsFixture::with_customers(10).await;
    let address = world.source.email(1007).unwrap();
    let gone = ConnectionKey::new("acme", "gone");
    let failure = Failure {
        source_id: "5".to_owned(),
        reason: "too long".to_owned(),
        raw: format!("<contact>{address}</contact>"),
        failed_at: world.now(),
    };
    world.failures().put(&gone, &failure).await.unwrap();
    erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    assert_eq!(world.failures().all(&gone).await.unwrap()[0].raw, "");
}

async fn listed_items(site: &BusinessCatalystFixture) -> Vec<HashMap<String, AttributeValue>> {
    let scan = site.clients.dynamodb.scan().table_name(CONTROL_TABLE).filter_expression("begins_with(entry, :listed)");
    let scan = scan.expression_attribute_values(":listed", AttributeValue::S("listed/".to_owned()));
    scan.send().await.unwrap().items.unwrap()
}

#[tokio::test]
async fn what_a_source_has_listed_is_named_while_a_batch_needs_it_and_removed_once_none_does() {
    let site = BusinessCatalystFixture::with_contacts(3).await;
    let whom = Whom::Customer("bc~1001".parse().unwrap());
    let erase = async || {
        let report = site.eraser().erase("acme", &whom, site.now() + Duration::from_secs(60)).await.unwrap();
        (report.open_batches, report.abandoned_batches)
    };
    site.poll().await;
    let listed = listed_items(&site).await;
    assert!(!listed.is_empty());
    assert_eq!(erase().await, (vec!["bc".to_owned()], Vec::new()));
    assert_eq!(listed_items(&site).await, listed, "a worker needs them");

    let registration = site.connections().get(&site.connection()).await.unwrap().unwrap();
    site.connections().remove(&site.connection()).await.unwrap();
    assert_eq!(erase().await, (Vec::new(), vec!["bc".to_owned()]));
    assert_eq!(listed_items(&site).await, listed, "the connection may come back");
    site.connections().put(&registration).await.unwrap();
    site.sync().await;
    assert_eq!(listed_items(&site).await, []);

    // A worker that died after it had settled the chunk.
    for item in listed {
        site.clients.dynamodb.put_item().table_name(CONTROL_TABLE).set_item(Some(item)).send().await.unwrap();
    }
    assert_eq!(erase().await, (Vec::new(), Vec::new()));
    assert_eq!(listed_items(&site).await, []);
}

#[tokio::test]
async fn an_erasure_that_is_cut_short_and_repeated_names_everybody_and_leaves_nothing() {
    for (by_address, first) in [(true, 0), (false, 2)] {
        for requests in (first..).step_by(5) {
            let world = DestinationsFixture::with_customers(2).await;
            world.add(&["loyalty"], "").await;
            world.minute().await;
            world.source.share_email(1002, 1001);
            world.sync().await;
            let whom = match by_address {
                true => address_of(&world, 1001),
                false => Whom::Customer("aa~1001".parse().unwrap()),
            };
            let expected: &[&str] = if by_address { &["aa~1001", "aa~1002"] } else { &["aa~1001"] };
            world.store_budget.set(requests);
            let eraser = world.limited_eraser();
            let first = eraser.erase("acme", &whom, world.now() + Duration::from_secs(60)).await;
            world.store_budget.set(i64::MAX);
            let report = erase(&world, &whom).await;
            assert_eq!(report.customers, expected, "after {requests} requests");
            assert_eq!(of_loyalty(report.destinations).unwrap().1, expected, "after {requests} requests");
            for id in [1001, 1002].into_iter().take(expected.len()) {
                assert!(world.customer(id).await.unwrap().is_erased(), "{id} after {requests} requests");
            }
            if first.is_ok() {
                break;
            }
        }
    }
}
