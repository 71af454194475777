//! Somebody who was gone, and comes back after an address of theirs was erased.

use std::time::Duration;

use model::Status;
use operations::resync::{ResyncWhat, Resyncs};
use store::{EmailIndex, Whom};
use tests::AssociationAnywhereFixture;

use crate::{erase, items_with};

/// Customer 1007 has the address of 1008, is deleted, and comes back with it once `whom` is erased.
async fn gone_meanwhile(whom: &Whom) -> (AssociationAnywhereFixture, Vec<String>) {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.source.share_email(1007, 1008);
    world.sync().await;
    world.source.delete(1007);
    world.sync().await;
    assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Deleted);
    world.clock.advance(Duration::from_secs(60));
    let neighbours = erase(&world, whom).await.neighbours;
    world.clock.advance(Duration::from_secs(60));
    world.source.create(1007);
    world.sync().await;
    (world, neighbours)
}

fn address(world: &AssociationAnywhereFixture, id: u64) -> String {
    world.source.email(id).unwrap()
}

#[tokio::test]
async fn who_was_deleted_when_an_address_was_erased_does_not_come_back_with_it() {
    let plain = AssociationAnywhereFixture::with_customers(20).await;
    let by_address = Whom::Address(EmailIndex::address(&address(&plain, 1008)).unwrap());
    for whom in [Whom::Customer("aa~1008".parse().unwrap()), by_address] {
        let (world, neighbours) = gone_meanwhile(&whom).await;
        assert_eq!(neighbours, Vec::<String>::new(), "no report names it");
        let texts = vec![address(&world, 1008)];
        assert_eq!(address(&world, 1007), texts[0]);
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new(), "{whom:?}");
        assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Deleted);
        world.source.enqueue_all();
        world.sync().await;
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new(), "{whom:?}");
        // Without the address it is back.
        world.source.share_email(1007, 1009);
        world.source.change([1007]);
        world.sync().await;
        assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Active);
    }
}

#[tokio::test]
async fn who_was_there_when_an_address_was_erased_may_go_and_come_back_with_it() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.source.share_email(1007, 1008);
    world.sync().await;
    world.clock.advance(Duration::from_secs(60));
    let report = erase(&world, &Whom::Customer("aa~1008".parse().unwrap())).await;
    assert_eq!(report.neighbours, ["aa~1007"]);
    world.clock.advance(Duration::from_secs(60));
    for _ in 0..2 {
        world.source.delete(1007);
        world.sync().await;
        assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Deleted);
        world.clock.advance(Duration::from_secs(60));
        world.source.create(1007);
        world.sync().await;
        assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Active);
        world.clock.advance(Duration::from_secs(60));
    }
    let registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    Resyncs::new(&world.tables()).request(&registration, &ResyncWhat::Everyone, world.now()).await.unwrap();
    world.run_for(20).await;
    assert_eq!(world.customer(1007).await.unwrap().content.status, Status::Active);
}
