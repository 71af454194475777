//! Letting somebody come back.

use model::Status;
use store::Whom;
use tests::AssociationAnywhereFixture;

use crate::{address_of, erase};

#[tokio::test]
async fn an_address_that_is_lifted_lifts_the_customers_that_it_brought_in() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    world.source.share_email(1008, 1007);
    world.sync().await;
    let address = address_of(&world, 1007);
    assert_eq!(erase(&world, &address).await.customers, ["aa~1007", "aa~1008"]);
    let lifted = world.eraser().lift("acme", &address).await.unwrap().unwrap();
    assert_eq!((lifted.customers, lifted.is_still_held), (vec!["aa~1007".to_owned(), "aa~1008".to_owned()], false));
    assert_eq!(world.eraser().lift("acme", &address).await.unwrap(), None, "once");
    world.source.change([1007, 1008]);
    world.sync().await;
    for id in [1007, 1008] {
        assert_eq!(world.customer(id).await.unwrap().content.status, Status::Active, "{id}");
    }
}

#[tokio::test]
async fn who_was_erased_by_id_as_well_stays_away_when_the_address_is_lifted() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    world.source.share_email(1008, 1007);
    world.sync().await;
    erase(&world, &Whom::Customer("aa~1008".parse().unwrap())).await;
    let address = address_of(&world, 1007);
    assert_eq!(erase(&world, &address).await.customers, ["aa~1007"]);
    let lifted = world.eraser().lift("acme", &address).await.unwrap().unwrap();
    assert_eq!((lifted.customers, lifted.is_still_held), (vec!["aa~1007".to_owned()], true));
    world.source.change([1007, 1008]);
    world.sync().await;
    assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Active);
    assert!(world.customer(1008).await.unwrap().is_erased(), "it was asked for by its id");
}
