//! A person who asks to be forgotten, and sources, operators and destinations that still know them.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::time::Duration;

use model::Status;
use operations::persons::{AtDestination, ErasureReport, Exporter};
use operations::resync::{ResyncWhat, Resyncs};
use simulators::association_anywhere::Poison;
use store::{EmailIndex, Whom};
use tests::{AssociationAnywhereFixture, DestinationsFixture, Log};

mod erasure {
    mod again;
    mod documents;
    mod gone;
    mod lifting;
    mod races;
    mod reports;
}

async fn erase(world: &AssociationAnywhereFixture, whom: &Whom) -> ErasureReport {
    world.eraser().erase("acme", whom, world.now() + Duration::from_secs(60)).await.unwrap()
}

/// What names a customer of the source.
async fn texts_of(world: &AssociationAnywhereFixture, id: u64) -> Vec<String> {
    let content = world.customer(id).await.unwrap().content;
    let phones = content.phones.iter().map(|phone| phone.number.clone());
    let emails = content.emails.iter().map(|email| email.address.clone());
    phones.chain(emails).chain(content.name.display).collect()
}

async fn items_with(world: &AssociationAnywhereFixture, texts: &[String]) -> Vec<String> {
    world.publish().await;
    world.items_with(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await
}

fn address_of(world: &AssociationAnywhereFixture, id: u64) -> Whom {
    Whom::Address(EmailIndex::address(&world.source.email(id).unwrap()).unwrap())
}

#[tokio::test]
async fn who_was_erased_is_not_brought_back_by_the_queue_a_resync_or_a_redrive() {
    for by_address in [true, false] {
        let world = AssociationAnywhereFixture::with_customers(20).await;
        world.sync().await;
        world.publish().await;
        let texts = texts_of(&world, 1007).await;
        assert!(texts.len() >= 2 && !items_with(&world, &texts).await.is_empty());
        let whom = match by_address {
            true => address_of(&world, 1007),
            false => Whom::Customer("aa~1007".parse().unwrap()),
        };
        let log = Log::begin();
        let report = erase(&world, &whom).await;
        assert_eq!((report.customers, report.removed.records), (vec!["aa~1007".to_owned()], 1));
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());
        let left = world.customer(1007).await.unwrap();
        assert_eq!((left.content.status, left.is_erased(), left.revision), (Status::Deleted, true, 2));

        world.source.change([1007]);
        world.sync().await;
        world.source.enqueue_all();
        world.sync().await;
        let registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
        let what = ResyncWhat::Customer("1007".to_owned());
        Resyncs::new(&world.tables()).request(&registration, &what, world.now()).await.unwrap();
        world.run_for(20).await;
        world.source.delete(1007);
        world.sync().await;
        world.source.create(1007);
        world.sync().await;
        assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());
        assert_eq!(world.customer(1007).await.unwrap(), left, "nothing was written");
        let counts = world.status().await.counts;
        assert_eq!(counts.fetched, counts.ends.sum(), "and everybody came to an end");
        let lines = log.lines("");
        assert!(lines.len() > 100, "it listens: {} lines", lines.len());
        let named = lines.iter().find(|line| texts.iter().any(|text| line.contains(text.as_str())));
        assert_eq!(named, None, "no log names a person, at whatever level");
    }
}

#[tokio::test]
async fn documents_of_failures_that_hold_the_person_are_emptied_and_none_is_kept_later() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let texts = texts_of(&world, 1007).await;
    world.source.poison(1007, Poison::HugeText(3_000_000));
    world.source.change([1007]);
    world.sync().await;
    assert!(!items_with(&world, &texts).await.is_empty());
    let report = erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    assert_eq!(report.removed.failure_records, 1, "{report:?}");
    assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());
    world.source.change([1007]);
    world.sync().await;
    assert_eq!(world.failures().all(&world.connection()).await.unwrap().len(), 1, "it fails again");
    assert_eq!(items_with(&world, &texts).await, Vec::<String>::new(), "without its document");
}

#[tokio::test]
async fn whoever_has_an_address_of_someone_erased_stays_and_none_comes_with_it() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let address = world.source.email(1007).unwrap();
    world.source.share_email(1008, 1007);
    world.sync().await;
    let report = erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    assert_eq!(report.neighbours, ["aa~1008"]);
    world.source.change([1008]);
    world.sync().await;
    let neighbour = world.customer(1008).await.unwrap();
    assert_eq!(neighbour.content.emails[0].address, address);
    assert_eq!(neighbour.content.status, Status::Active);
    world.source.create(1999);
    world.source.share_email(1999, 1007);
    world.sync().await;
    assert_eq!(world.customer(1999).await, None, "somebody new with the address of someone erased");
    world.eraser().lift("acme", &Whom::Customer("aa~1007".parse().unwrap())).await.unwrap();
    world.source.change([1007, 1999]);
    world.sync().await;
    for id in [1007, 1999] {
        assert_ne!(world.customer(id).await.unwrap().content.status, Status::Deleted, "{id}");
    }
}

#[tokio::test]
async fn destinations_are_told_as_far_as_they_have_a_word_for_it() {
    let world = DestinationsFixture::with_customers(10).await;
    world.add(&["site", "loyalty", "hook"], "").await;
    world.minute().await;
    let report = erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    let mut left: Vec<_> = report.destinations.into_iter().map(|left| (left.destination, left.becomes)).collect();
    left.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        left,
        [
            ("hook".to_owned(), AtDestination::Told),
            ("loyalty".to_owned(), AtDestination::ByHand),
            ("site".to_owned(), AtDestination::MarkedDeleted)
        ]
    );
    world.push().await;
    assert_eq!(world.hook.customer("aa~1007"), None);
    assert!(world.site.contact_by_external_id("aa~1007").unwrap().deleted);
    assert!(world.loyalty.customer("aa~1007").is_some());
}

#[tokio::test]
async fn a_record_that_a_restore_brings_back_is_erased_again() {
    let world = AssociationAnywhereFixture::with_customers(10).await;
    world.sync().await;
    let texts = texts_of(&world, 1007).await;
    let key = [("id".to_owned(), aws_sdk_dynamodb::types::AttributeValue::S("acme/aa~1007".to_owned()))];
    let get = world.clients.dynamodb.get_item().table_name("ShadowTable").set_key(Some(key.into()));
    let before = get.send().await.unwrap().item.unwrap();
    erase(&world, &Whom::Customer("aa~1007".parse().unwrap())).await;
    world.clients.dynamodb.put_item().table_name("ShadowTable").set_item(Some(before)).send().await.unwrap();
    world.source.change([1007]);
    world.sync().await;
    let deadline = world.now() + Duration::from_secs(60);
    let report = world.eraser().erase_again("acme", deadline).await.unwrap();
    assert_eq!(report.customers, ["aa~1007"]);
    assert_eq!(items_with(&world, &texts).await, Vec::<String>::new());
    assert_eq!(world.eraser().erase_again("acme", deadline).await.unwrap().customers, Vec::<String>::new());
}

#[tokio::test]
async fn an_export_has_all_that_is_stored_of_a_person() {
    let world = AssociationAnywhereFixture::with_customers(10).await;
    world.sync().await;
    let whom = address_of(&world, 1007);
    world.source.poison(1007, Poison::HugeText(3_000_000));
    world.source.change([1007]);
    world.sync().await;
    let exporter = Exporter::new(&world.tables());
    let exported = exporter.export("acme", &whom, world.now()).await.unwrap();
    let customer = &exported["customers"][0];
    assert_eq!((&customer["id"], exported["customers"].as_array().unwrap().len()), (&"aa~1007".into(), 1));
    let record = serde_json::to_value(world.customer(1007).await.unwrap()).unwrap();
    assert_eq!(customer["record"], record);
    assert!(customer["failures"][0]["document"].as_str().unwrap().contains("1007"), "{customer}");
}
