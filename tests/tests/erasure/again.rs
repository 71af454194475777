//! Erasing again, after tables were restored: whom it must take, and whom it must leave.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::Status;
use operations::persons::ErasureReport;
use store::Whom;
use tests::{AssociationAnywhereFixture, SHADOW_TABLE};

use crate::{address_of, erase};

async fn erase_again(world: &AssociationAnywhereFixture) -> ErasureReport {
    world.eraser().erase_again("acme", world.now() + Duration::from_secs(60)).await.unwrap()
}

fn customer(id: u64) -> Whom {
    Whom::Customer(format!("aa~{id}").parse().unwrap())
}

async fn item_of(world: &AssociationAnywhereFixture, id: u64) -> std::collections::HashMap<String, AttributeValue> {
    let key = [("id".to_owned(), AttributeValue::S(format!("acme/aa~{id}")))];
    let get = world.clients.dynamodb.get_item().table_name(SHADOW_TABLE).set_key(Some(key.into()));
    get.send().await.unwrap().item.unwrap()
}

/// What a restore, or a function of the release before, puts into the shadow.
async fn put(world: &AssociationAnywhereFixture, item: std::collections::HashMap<String, AttributeValue>) {
    world.clients.dynamodb.put_item().table_name(SHADOW_TABLE).set_item(Some(item)).send().await.unwrap();
}

#[tokio::test]
async fn erasing_again_leaves_everybody_alone_who_was_there_beside_those_who_were_erased() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    world.source.share_email(1008, 1007);
    world.sync().await;
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(erase(&world, &customer(1007)).await.neighbours, ["aa~1008"]);
    world.clock.advance(Duration::from_secs(60));
    // Somebody who was there before changes to the address.
    world.source.share_email(1009, 1007);
    world.sync().await;
    for _ in 0..2 {
        let report = erase_again(&world).await;
        assert_eq!((report.customers, report.removed.records), (Vec::<String>::new(), 0));
        assert_eq!(report.neighbours, ["aa~1008", "aa~1009"]);
    }
    for id in [1008, 1009] {
        assert_eq!(world.customer(id).await.unwrap().content.status, Status::Active, "{id}");
    }
}

#[tokio::test]
async fn erasing_again_takes_who_came_later_under_another_id_and_brings_no_address_into_the_list() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let before = item_of(&world, 1007).await;
    let other = world.source.email(1010).unwrap();
    erase(&world, &address_of(&world, 1007)).await;
    world.clock.advance(Duration::from_secs(60));
    // A function of the release before has taken somebody in under another id, who has the address of 1010 as well.
    let mut later = before.clone();
    let now = world.now().as_millisecond().to_string();
    later.insert("id".to_owned(), AttributeValue::S("acme/aa~1999".to_owned()));
    later.insert("first_seen".to_owned(), AttributeValue::N(now));
    let document =
        later["doc"].as_s().unwrap().replace("\"emails\":[", &format!("\"emails\":[{{\"address\":\"{other}\"}},"));
    later.insert("doc".to_owned(), AttributeValue::S(document));
    put(&world, later).await;
    put(&world, before).await;
    let report = erase_again(&world).await;
    assert_eq!(report.customers, ["aa~1007", "aa~1999"]);
    assert!(world.customer(1999).await.unwrap().is_erased());
    assert_eq!(erase_again(&world).await.customers, Vec::<String>::new());
    // The address of 1010 is nobody's who was erased.
    world.source.create(1998);
    world.source.share_email(1998, 1010);
    world.sync().await;
    assert_eq!(world.customer(1998).await.unwrap().content.status, Status::Active);
}

#[tokio::test]
async fn what_would_be_erased_again_is_said_before() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    world.source.share_email(1008, 1007);
    world.sync().await;
    let before = item_of(&world, 1007).await;
    erase(&world, &customer(1007)).await;
    put(&world, before).await;
    let (customers, neighbours) = world.eraser().preview_again("acme").await.unwrap();
    assert_eq!((customers, neighbours), (vec!["aa~1007".to_owned()], vec!["aa~1008".to_owned()]));
    assert!(!world.customer(1007).await.unwrap().is_erased(), "nothing was done");
}

#[tokio::test]
async fn an_erasure_that_is_repeated_hides_nobody_who_came_in_between() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let before = item_of(&world, 1007).await;
    erase(&world, &customer(1007)).await;
    world.clock.advance(Duration::from_secs(60));
    // A function of the release before has taken somebody in under another id.
    let mut later = before;
    later.insert("id".to_owned(), AttributeValue::S("acme/aa~1999".to_owned()));
    later.insert("first_seen".to_owned(), AttributeValue::N(world.now().as_millisecond().to_string()));
    put(&world, later).await;
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(erase(&world, &customer(1007)).await.neighbours, Vec::<String>::new());
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(erase_again(&world).await.customers, ["aa~1999"]);
}
