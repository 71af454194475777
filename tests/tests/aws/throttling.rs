//! Partition keys take a thousand write units a second, and writes meet transactions; the SDK repeats nothing. It all
//! arrives, once, and nobody has to help.

use std::time::Duration;

use axum::http::StatusCode;
use simulators::association_anywhere::{AaSettings, Poison};
use simulators::business_catalyst::BcSettings;
use tests::{AssociationAnywhereFixture, BusinessCatalystFixture, TestDeployment};

use crate::{as_connector, configure_imports, import, user};

/// A queue has more chunks than one partition key takes in a second: 6,000, or 10,000.
async fn a_queue_opens(customers: u64, bulk_size: u32) {
    let settings = AaSettings { customers, ..AaSettings::default() };
    let world = AssociationAnywhereFixture::with(settings, &format!("bulk_size = {bulk_size}")).await;
    world.behave_as_aws(1);
    world.poll().await;
    let batch = world.status().await.batch.unwrap();
    assert_eq!((batch.customers, batch.left), (customers, customers));
    for _ in 0..3 {
        world.work().await;
        world.clock.advance(Duration::from_secs(1));
        world.poll().await;
    }
    let status = world.status().await;
    assert!(status.counts.fetched >= u64::from(bulk_size) * 20, "{status:?}");
}

#[tokio::test]
async fn a_large_queue_opens_and_begins_to_be_synced() {
    a_queue_opens(150_000, 25).await;
}

#[cfg(feature = "slow")]
#[tokio::test]
async fn a_queue_of_a_million_opens_and_begins_to_be_synced() {
    a_queue_opens(1_000_000, 100).await;
}

#[tokio::test]
async fn customers_are_synced_and_those_that_fail_become_failure_records() {
    let world = AssociationAnywhereFixture::with_customers(3_000).await;
    for id in (1_100..1_200).step_by(10) {
        world.source.poison(id, Poison::ErrorElement);
    }
    world.behave_as_aws(2);
    for _ in 0..120 {
        world.poll().await;
        world.work().await;
        world.clock.advance(Duration::from_secs(1));
        if world.source.queue_len() == 0 {
            break;
        }
    }
    assert_eq!(world.source.queue_len(), 0, "{:?}", world.status().await);
    assert_eq!(world.failures().count(&world.connection()).await.unwrap(), 10);
    assert_eq!(world.shadow().existing(&world.connection()).await.unwrap().len(), 2_990);
}

/// Pages of a hundred contacts come ten a second.
async fn contacts_come(contacts: u64) {
    let settings = BcSettings { contacts, ..BcSettings::default() };
    let deployment = TestDeployment::with_most_pages(1, 10_000).await;
    let world = BusinessCatalystFixture::on(deployment, settings, "UTC", "max_requests_per_second = 10").await;
    world.behave_as_aws(3);
    let seconds = world.sync_within(60 + contacts / 100).await;
    world.assert_shadow_is_the_sources().await;
    let (records, revisions) = world.writes().await;
    assert_eq!((records as u64, revisions), (contacts, contacts), "in {seconds} looks");
}

#[tokio::test]
async fn contacts_are_synced() {
    contacts_come(3_000).await;
}

#[cfg(feature = "slow")]
#[tokio::test]
async fn a_hundred_thousand_contacts_are_synced() {
    contacts_come(100_000).await;
}

#[tokio::test]
async fn an_import_is_carried_out() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    configure_imports(&world).await;
    world.behave_as_aws(4);
    let rows: Vec<String> = (0..1_500).map(|number| format!("c{number}|Jane {number}")).collect();
    let answer = import(&world, &rows).await;
    assert_eq!(answer["batch"]["customers"]["new"], 1_500, "{answer}");
    let answer = import(&world, &rows).await;
    assert_eq!(answer["batch"]["customers"]["new"], 1_500, "the same again is the same import: {answer}");
}

#[tokio::test]
async fn pushes_are_taken() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    world.behave_as_aws(5);
    let post = async |resource: &str, document: String| {
        let (status, answer) = as_connector(&world, "POST", resource, &document).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    };
    for round in 0..2 {
        for number in 0..40 {
            let lead = "<leadInfo><ownerID>s-1</ownerID></leadInfo>";
            let company = format!("<company>{round} {}</company>", "x".repeat(30_000));
            post("user", user(&format!("r-{number}"), &company, lead)).await;
        }
        let email = format!("<email>ann{round}@club.example</email>");
        for number in 0..40 {
            let staff = user(&format!("s-{number}"), &email, "").replace("PROSPECT", "MEMBER");
            post("staff", staff).await;
        }
    }
}
