//! What becomes of a record: written, unchanged, stale, deleted, back again.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::time::Duration;

use model::{Content, Name, Outcome, Status, Version};
use simulators::association_anywhere::{Fault, Procedure};
use store::{Incoming, News};
use tests::World;

#[tokio::test]
async fn unchanged_customers_cost_a_read_and_never_a_write() {
    let world = World::with_customers(250).await;
    world.sync().await;
    let before = world.customer(1001).await.unwrap();
    let puts = world.database.operations("PutItem");
    world.vendor.enqueue_all();
    world.sync().await;
    assert_eq!(world.database.operations("PutItem"), puts);
    assert_eq!(world.customer(1001).await.unwrap(), before);
    let ends = world.status().await.counts.ends;
    assert_eq!((ends.written, ends.unchanged), (250, 250));
}

#[tokio::test]
async fn a_change_is_written_with_the_next_revision() {
    let world = World::with_customers(30).await;
    world.sync().await;
    let first = world.customer(1005).await.unwrap();
    world.clock.advance(Duration::from_secs(100));
    world.vendor.change([1005]);
    world.sync().await;
    let second = world.customer(1005).await.unwrap();
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_eq!(second.first_seen_at, first.first_seen_at);
    assert!(second.changed_at > first.changed_at);
    assert!(second.version > first.version);
    world.assert_shadow_is_the_vendors(1001..1031).await;
}

#[tokio::test]
async fn a_stale_fetch_never_overwrites() {
    let world = World::with_customers(0).await;
    let (shadow, connection) = (world.shadow(), world.connection());
    let deadline = world.now() + Duration::from_secs(60);
    let upsert = async |version: Version, display: &str| {
        let content = Content { name: Name { display: Some(display.into()), ..Name::default() }, ..Content::default() };
        let incoming = Incoming { source_id: "1".into(), version, news: News::Present(Box::new(content)) };
        shadow.upsert(&connection, vec![incoming], deadline).await.unwrap().outcomes.remove(0).1.unwrap()
    };
    let (older, newer) = (Version::of_batch(2, 1), Version::of_batch(3, 1));
    assert_eq!(upsert(newer.clone(), "new").await, Outcome::Written);
    assert_eq!(upsert(older.clone(), "old").await, Outcome::Stale);
    assert_eq!(upsert(older, "new").await, Outcome::Unchanged);
    let gone = Incoming { source_id: "1".into(), version: Version::of_batch(1, 1), news: News::Gone };
    let outcomes = shadow.upsert(&connection, vec![gone], deadline).await.unwrap();
    assert!(matches!(outcomes.outcomes[0].1, Ok(Outcome::Stale)), "a stale deletion deletes nothing");
    let stored = world.customer(1).await.unwrap();
    assert_eq!((stored.content.name.display.as_deref(), stored.version), (Some("new"), newer));
}

#[tokio::test]
async fn writers_that_race_for_a_record_leave_the_newest() {
    let world = World::with_customers(0).await;
    let (shadow, connection) = (world.shadow(), world.connection());
    let deadline = world.now() + Duration::from_secs(60);
    let writers = (1..=8_u64).map(|batch| {
        let content =
            Content { name: Name { display: Some(batch.to_string()), ..Name::default() }, ..Content::default() };
        let version = Version::of_batch(batch, 1);
        shadow.upsert(
            &connection,
            vec![Incoming { source_id: "1".into(), version, news: News::Present(Box::new(content)) }],
            deadline,
        )
    });
    for outcome in futures::future::join_all(writers).await {
        outcome.unwrap().outcomes.remove(0).1.unwrap();
    }
    assert_eq!(world.customer(1).await.unwrap().content.name.display.as_deref(), Some("8"));
}

#[tokio::test]
async fn an_answer_that_was_overtaken_by_the_next_batch_changes_nothing() {
    let world = World::with_customers(30).await;
    world.poll().await;
    let messages = world.receive_all();
    // The worker dies with the old answer in its hands; another does the chunk, and the customer changes again.
    world.vendor.fault(Procedure::Details, Some(Fault::Hang));
    tokio::select! {
        () = world.deliver(&messages) => unreachable!("the vendor hangs"),
        () = async { while world.vendor.requests().faulted == 0 { tokio::task::yield_now().await } } => {}
    }
    world.vendor.fault(Procedure::Details, None);
    world.clock.advance(Duration::from_secs(61));
    world.vendor.change([1003]);
    world.sync().await;
    let stored = world.customer(1003).await.unwrap();
    world.deliver(&messages).await;
    assert_eq!(world.customer(1003).await.unwrap(), stored);
    world.assert_shadow_is_the_vendors(1001..1031).await;
}

#[tokio::test]
async fn a_deleted_customer_becomes_a_tombstone_and_comes_back_when_it_is_created_again() {
    let world = World::with_customers(30).await;
    world.sync().await;
    world.vendor.delete(1004);
    world.vendor.delete_silently(1009);
    world.sync().await;
    for id in [1004, 1009] {
        let tombstone = world.customer(id).await.unwrap();
        assert_eq!(tombstone.content.status, Status::Deleted, "{id}");
        assert_eq!(tombstone.content.name, Name::default(), "a tombstone keeps no personal data");
        assert_eq!(tombstone.revision, 2);
    }
    assert_eq!(world.status().await.counts.ends.tombstoned, 2);
    let (_, list) = world.api("GET", "/v1/customers?connection=aa&limit=500", Some(tests::TOKEN), "").await;
    assert_eq!(list["customers"].as_array().unwrap().len(), 28);

    world.vendor.create(1004);
    world.vendor.create(1009);
    world.sync().await;
    world.assert_shadow_is_the_vendors(1001..1031).await;
    assert_eq!(world.customer(1004).await.unwrap().content.status, Status::Active);
}

#[tokio::test]
async fn a_deletion_told_by_the_queue_needs_no_answer() {
    let world = World::with_customers(30).await;
    world.sync().await;
    // The queue that tells reasons also tells what was deleted.
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    registration.document = registration.document.replace("GET_QUEUE_CUSTS_XML", "GET_QUEUE_CUSTS_W_REASONS_XML");
    world.connections().put(&registration).await.unwrap();
    world.vendor.delete(1004);
    let asked = world.vendor.requests().details;
    world.sync().await;
    assert_eq!(world.customer(1004).await.unwrap().content.status, Status::Deleted);
    assert_eq!(world.vendor.requests().details, asked);
}

#[tokio::test]
async fn a_customer_whom_nobody_ever_saw_and_who_is_gone_comes_to_an_end_too() {
    let world = World::with_customers(30).await;
    world.sync().await;
    world.vendor.enqueue(999_999);
    world.sync().await;
    assert_eq!(world.customer(999_999).await.unwrap().content.status, Status::Deleted);
    assert!(world.vendor.queue().is_empty());
}

#[tokio::test]
async fn a_customer_who_is_gone_waits_in_the_queue_until_somebody_exists_to_prove_it() {
    let world = World::with_customers(0).await;
    world.vendor.enqueue(999_999);
    world.run_for(60).await;
    assert!(world.customer(999_999).await.is_none());
    assert_eq!(world.vendor.queue(), [999_999], "not proven, so not purged");
    assert!(world.status().await.error.unwrap().message.contains("vouches"));
    // Somebody new comes through the same queue: nothing was blocked, and now there is a companion.
    world.vendor.create(5_000);
    world.sync().await;
    assert_eq!(world.customer(999_999).await.unwrap().content.status, Status::Deleted);
    assert!(world.customer(5_000).await.is_some());
}

#[tokio::test]
async fn a_customer_who_comes_twice_in_an_answer_is_one_record() {
    let world = World::with_customers(30).await;
    world.vendor.fault(Procedure::Details, Some(Fault::Duplicates));
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 30);
    world.assert_shadow_is_the_vendors(1001..1031).await;
}
