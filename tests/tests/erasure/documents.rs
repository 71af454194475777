//! Documents of failure records that name somebody who was erased.

use operations::persons::Exporter;
use simulators::association_anywhere::Poison;
use store::{Failure, Whom};
use tests::AssociationAnywhereFixture;

use crate::{address_of, erase, items_with};

/// What names a customer of the source that may never have been stored.
fn texts_of(world: &AssociationAnywhereFixture, id: u64) -> Vec<String> {
    vec![world.source.email(id).unwrap(), world.source.display_name(id).unwrap()]
}

async fn redrive(world: &AssociationAnywhereFixture, id: &str) {
    world.failures().request_redrive(&world.connection(), id, world.now()).await.unwrap();
    world.run_for(20).await;
}

#[tokio::test]
async fn no_document_comes_back_of_who_was_erased_by_address_and_never_stored() {
    for queue_writes_zeros in [false, true] {
        let world = AssociationAnywhereFixture::with_customers(20).await;
        if queue_writes_zeros {
            world.source.set_habits(|habits| habits.queues_with_zeros = true);
            world.source.enqueue_all();
        }
        world.source.poison(1007, Poison::HugeText(450_000));
        world.sync().await;
        let texts = texts_of(&world, 1007);
        assert!(!items_with(&world, &texts).await.is_empty(), "its document is there");
        let whom = address_of(&world, 1007);
        let exported = Exporter::new(&world.tables()).export("acme", &whom, world.now()).await.unwrap();
        let document = exported["customers"][0]["failures"][0]["document"].as_str().unwrap();
        assert!(document.contains(&texts[1]), "{document}");
        let report = erase(&world, &whom).await;
        assert_eq!(report.customers.len(), 1, "{report:?}");
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());

        let failed = world.failures().all(&world.connection()).await.unwrap();
        for failure in failed {
            redrive(&world, &failure.source_id).await;
        }
        world.source.change([1007]);
        world.sync().await;
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new(), "{queue_writes_zeros}");
        // Its new address is not in the list, but its id is.
        assert_eq!(items_with(&world, &texts_of(&world, 1007)).await, Vec::<String>::new(), "{queue_writes_zeros}");
        world.source.heal(1007);
        world.source.share_email(1007, 1008);
        world.sync().await;
        assert!(world.customer(1007).await.is_none_or(|customer| customer.is_erased()), "{queue_writes_zeros}");
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new(), "{queue_writes_zeros}");
    }
}

#[tokio::test]
async fn no_document_is_kept_of_who_was_erased_by_id_however_the_queue_spells_it() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let stored_address = address_of(&world, 1007);
    world.source.set_habits(|habits| habits.queues_with_zeros = true);
    world.source.poison(1007, Poison::HugeText(450_000));
    world.source.change([1007]);
    world.sync().await;
    let texts = texts_of(&world, 1007);
    let failed = world.failures().all(&world.connection()).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].raw.contains(&texts[1]), "{}", failed[0].source_id);
    for whom in [Whom::Customer("aa~1007".parse().unwrap()), stored_address] {
        let exported = Exporter::new(&world.tables()).export("acme", &whom, world.now()).await.unwrap();
        let failures = exported["customers"][0]["failures"].as_array().unwrap();
        assert_eq!(failures.len(), 1, "{whom:?}: {exported}");
        assert!(failures[0]["document"].as_str().unwrap().contains(&texts[1]), "{exported}");
    }
    erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());
    world.source.change([1007]);
    world.sync().await;
    assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());
    assert_eq!(items_with(&world, &texts_of(&world, 1007)).await, Vec::<String>::new());
}

#[tokio::test]
async fn no_document_is_kept_of_somebody_else_that_holds_an_address_of_who_was_erased() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let address = world.source.email(1007).unwrap();
    erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    let raw = format!("<custInfo><email> {} </email></custInfo>", address.to_uppercase());
    let failure = Failure { source_id: "1999".to_owned(), reason: "too long".to_owned(), raw, failed_at: world.now() };
    world.failures().put(&world.connection(), &failure).await.unwrap();
    let failed = world.failures().all(&world.connection()).await.unwrap();
    assert_eq!((failed.len(), failed[0].raw.as_str()), (1, ""), "it is counted");
    assert_eq!(items_with(&world, &[address]).await, Vec::<String>::new());
}
