//! What the batch ledger promises: nothing is acknowledged before it is done, and nothing that happens to a message, a
//! worker or a poller changes that.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::{
    Batch, BatchEvent, FIRST_CHUNK, Listing, OutcomeCounts, Phase, QueuedCustomer, Version, split_into_chunks,
};
use operations::status::Condition;
use simulators::association_anywhere::{AaFault, AaSettings, Fault, Poison, Procedure};
use store::{ChunkKey, Settlement};
use tests::{AssociationAnywhereFixture, BusinessCatalystFixture, WORK_QUEUE};

#[tokio::test]
async fn a_first_sync_takes_over_every_customer_and_purges_the_queue() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1251).await;
    let status = world.status().await;
    assert_eq!((status.counts.fetched, status.counts.ends.written), (250, 250));
    assert_eq!(world.source.purges().len(), 1);
}

#[tokio::test]
async fn a_purge_waits_for_the_last_chunk() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    let messages = world.receive_all();
    assert_eq!(messages.len(), 3, "100 customers make a chunk");
    world.deliver(&messages[..2]).await;
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    assert!(world.source.purges().is_empty(), "a chunk is open");
    assert_eq!(world.status().await.batch.unwrap().left, 50);
    world.deliver(&messages[2..]).await;
    world.poll().await;
    assert_eq!(world.source.purges().len(), 1);
    assert!(world.source.queue().is_empty());
}

#[tokio::test]
async fn entries_queued_after_the_get_survive_the_purge() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    world.source.change([1003]);
    world.work().await;
    world.source.change([1007]);
    // The acknowledgement of the first batch, and at once the second: with what came in between.
    world.poll().await;
    assert_eq!(world.source.queue(), [1003, 1007]);
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
    // The first change was seen by the fetch of the first batch, the second by that of the next.
    let revision = async |id| world.customer(id).await.unwrap().revision;
    assert_eq!((revision(1003).await, revision(1007).await), (1, 2));
}

#[tokio::test]
async fn messages_that_are_lost_are_sent_again() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    world.queues.purge(WORK_QUEUE);
    let took = world.sync().await;
    assert!(took >= Duration::from_secs(10), "not sent again while they might still come: {took:?}");
    world.assert_shadow_is_the_sources(1001..1251).await;
    assert_eq!(world.status().await.counts.fetched, 250);
}

#[tokio::test]
async fn messages_that_come_twice_reordered_and_very_late_change_nothing() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    let mut messages = world.receive_all();
    messages.reverse();
    let doubled: Vec<_> = messages.iter().chain(&messages).cloned().collect();
    world.deliver(&doubled).await;
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 250);
    let before = world.customer(1001).await.unwrap();
    let asked = world.source.requests().details;
    world.clock.advance(Duration::from_secs(86_400));
    world.deliver(&doubled).await;
    assert_eq!(world.source.requests().details, asked, "a chunk that is gone asks nobody");
    assert_eq!(world.customer(1001).await.unwrap(), before);
    assert_eq!(world.status().await.counts.fetched, 250);
}

#[tokio::test]
async fn two_pollers_at_once_make_one_batch() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    tokio::join!(world.poll(), world.poll(), world.poll());
    assert_eq!(world.queues.depth(WORK_QUEUE), 3);
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 250);
    assert_eq!(world.source.purges().len(), 1);
}

#[tokio::test]
async fn two_workers_at_once_do_a_chunk_once() {
    let world = AssociationAnywhereFixture::with_customers(100).await;
    world.poll().await;
    let messages = world.receive_all();
    tokio::join!(world.deliver(&messages), world.deliver(&messages));
    assert_eq!(world.source.requests().detail_ids, 100);
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 100);
}

#[tokio::test]
async fn a_chunk_whose_worker_died_is_done_by_another() {
    let world = AssociationAnywhereFixture::with_customers(100).await;
    world.poll().await;
    // The source hangs, and the worker is gone while it waits: as if killed.
    world.source.fault(Procedure::Details, Some(Fault::Hang));
    let messages = world.receive_all();
    tokio::select! {
        () = world.deliver(&messages) => unreachable!("the source hangs"),
        () = async { while world.source.requests().faulted == 0 { tokio::task::yield_now().await } } => {}
    }
    world.source.fault(Procedure::Details, None);
    world.queues.purge(WORK_QUEUE);
    world.run_for(50).await;
    assert_eq!(world.status().await.counts.fetched, 0, "the dead worker's lease holds");
    world.until_in_sync(Duration::from_secs(30)).await;
    world.assert_shadow_is_the_sources(1001..1101).await;
    assert_eq!(world.status().await.counts.fetched, 100);
}

#[tokio::test]
async fn a_batch_whose_poller_died_while_opening_it_is_asked_for_again() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    let (ledger, connection) = (world.ledger(), world.connection());
    let customers: Vec<_> = (0..150).map(|id| QueuedCustomer { source_id: format!("x{id}"), deleted: true }).collect();
    let batch = Batch::following(None, Some("1".into()), world.now(), 150);
    ledger.begin(&connection, None, &batch).await.unwrap();
    ledger
        .write_chunks(
            &connection,
            batch.number,
            split_into_chunks(&customers, 100, FIRST_CHUNK),
            world.now() + Duration::from_secs(9),
        )
        .await
        .unwrap();
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1251).await;
    let state = ledger.state(&connection).await.unwrap();
    assert_eq!((state.latest.unwrap().number, state.totals.sum()), (batch.number + 1, 250));
}

/// Invariant 9: what a connection of another kind has left under the same name is given up.
#[tokio::test]
async fn a_batch_of_another_kind_of_connection_stands_in_nobodys_way() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    let listing = Batch::listed(None, Listing::of_everything(), world.now());
    world.ledger().begin(&world.connection(), None, &listing).await.unwrap();
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;

    let site = BusinessCatalystFixture::with_contacts(30).await;
    let queued = Batch::following(None, Some("1".into()), site.now(), 150);
    site.ledger().begin(&site.connection(), None, &queued).await.unwrap();
    site.sync_within(120).await;
    site.assert_shadow_is_the_sources().await;
}

#[tokio::test]
async fn a_purge_that_was_not_carried_out_is_repeated_with_the_same_number() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    world.work().await;
    world.source.fault_times(Procedure::Purge, Fault::Status(503), 1);
    world.poll().await;
    assert_eq!(world.status().await.batch.unwrap().left, 0, "done, and not acknowledged");
    world.source.change([1005]);
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    assert_eq!(world.source.purges(), [30], "the number of the get, so that what came in between survives");
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
}

/// Invariant 9: a purge that was carried out, with its answer lost, and that the source refuses when it is repeated,
/// ends.
#[tokio::test]
async fn a_purge_that_was_carried_out_and_not_confirmed_ends_whether_or_not_somebody_changed_meanwhile() {
    for changed in [None, Some(1005)] {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.source.set_habits(|habits| habits.refuses_empty_purges = true);
        world.poll().await;
        world.work().await;
        world.source.fault_times(Procedure::Purge, Fault::CutBody, 1);
        world.poll().await;
        assert_eq!(world.status().await.batch.unwrap().left, 0, "done, and not acknowledged");
        world.source.change(changed);
        world.sync().await;
        assert_eq!(world.source.purges()[0], 30);
        world.assert_shadow_is_the_sources(1001..1031).await;
    }
}

/// Invariant 9: what changes while only the purge fails, arrives.
#[tokio::test]
async fn a_purge_that_is_always_refused_does_not_hold_up_what_changes_meanwhile() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.fault(Procedure::Purge, Some(AaFault::FailureStatus("not allowed".into()).into()));
    world.run_for(20).await;
    assert!(world.status().await.error.unwrap().message.contains("purge"), "the operator sees it");
    world.source.change([1005]);
    world.run_for(60).await;
    world.assert_shadow_is_the_sources(1001..1031).await;
    assert_eq!(world.source.queue_len(), 30);
    world.source.fault(Procedure::Purge, None);
    world.sync().await;
}

/// Invariant 9: whoever is told again while they are fetched leaves a purge nothing to clear. A source that refuses it
/// then holds nobody up.
#[tokio::test]
async fn a_purge_that_finds_nothing_because_all_of_it_was_told_again_holds_nobody_up() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.set_habits(|habits| habits.refuses_empty_purges = true);
    world.sync().await;
    world.source.change([1005]);
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    world.work().await;
    world.source.change([1005, 1009]);
    world.run_for(10).await;
    world.assert_shadow_is_the_sources(1001..1031).await;
    world.sync().await;
    assert_eq!(world.source.queue_len(), 0);
}

/// Invariant 1: a purge is never sent to a queue that may be another one than was read.
#[tokio::test]
async fn a_queue_that_was_built_anew_while_a_batch_was_open_loses_nothing_unread() {
    // Numbers below ours; numbers that have passed ours, of other customers, and of some of the same.
    for (last_number, queued) in [(0, 2000..2020), (500, 2000..2020), (500, 1020..1050)] {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.poll().await;
        world.work().await;
        world.source.fault(Procedure::Purge, Some(Fault::Status(503)));
        world.poll().await;
        world.source.rebuild_queue(last_number);
        world.source.fault(Procedure::Purge, None);
        for id in queued.clone() {
            world.source.create(id);
        }
        world.sync().await;
        world.assert_shadow_is_the_sources((1001..1031).chain(queued)).await;
        assert!(world.source.purges().iter().all(|number| *number != 30), "never with the old number");
    }
}

/// Invariant 1: a batch of which nothing was in the queue purges nothing, whatever number the empty queue gave.
#[tokio::test]
async fn a_redrive_alone_purges_nothing_of_a_queue_that_is_built_anew_meanwhile() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.poison(1007, Poison::ErrorElement);
    world.source.set_habits(|habits| habits.numbers_empty_queue = true);
    world.sync().await;
    world.source.heal(1007);
    let purges = world.source.purges();
    world.failures().request_redrive(&world.connection(), "1007", world.now()).await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    world.work().await;
    world.source.rebuild_queue(0);
    world.source.create(2001);
    world.poll().await;
    assert_eq!(world.source.purges(), purges);
    world.sync().await;
    world.assert_shadow_is_the_sources((1001..1031).chain([2001])).await;
}

/// Invariant 1: likewise of a queue that the connection was pointed to meanwhile, though it may look the same.
#[tokio::test]
async fn a_connection_that_is_pointed_elsewhere_while_a_batch_is_open_purges_nothing_there() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    world.work().await;
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    registration.document = registration.document.replace("/demo/", "/other/");
    world.connections().put(&registration).await.unwrap();
    world.poll().await;
    assert!(world.source.purges().is_empty(), "asked again, and not purged");
    assert!(world.status().await.error.unwrap().message.contains("configured otherwise"));
    world.sync().await;
    assert_eq!(world.source.purges().len(), 1);
}

/// Invariant 1: likewise if the secret now names another user, which may belong to another environment.
#[tokio::test]
async fn a_login_that_changes_while_a_batch_is_open_purges_nothing() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    world.work().await;
    world.secret("aa.json", &serde_json::json!({ "username": "production", "password": "another" }));
    // As long as a secret is believed at most.
    world.clock.advance(Duration::from_secs(3_600));
    world.poll().await;
    assert!(world.source.purges().is_empty(), "asked again, and not purged");
    assert!(world.status().await.error.unwrap().message.contains("configured otherwise"));
}

#[tokio::test]
async fn a_send_that_fails_in_part_is_completed() {
    let world = AssociationAnywhereFixture::with_customers(400).await;
    world.queues.fail_entries(3);
    world.poll().await;
    assert_eq!(world.queues.depth(WORK_QUEUE), 4);
}

/// Invariant 9: chunks that can't be done keep none behind them from being sent again.
#[tokio::test]
async fn who_stands_behind_chunks_that_can_not_be_done_is_sent_again_too() {
    let world =
        AssociationAnywhereFixture::with(AaSettings { customers: 0, ..AaSettings::default() }, "bulk_size = 2").await;
    // More chunks of customers that are gone than a poller looks at, and last the one that exists and can prove it.
    for id in 1001..1211 {
        world.source.enqueue(id);
    }
    world.source.create(9_000);
    let (last, mut lost) = (format!("\"chunk\":{}}}", FIRST_CHUNK + 105), false);
    for _ in 0..60 {
        world.poll().await;
        for message in world.receive_all() {
            if !lost && message.body.contains(&last) {
                lost = true;
                world.queues.delete(WORK_QUEUE, &message);
            } else {
                world.deliver(&[message]).await;
            }
        }
        world.clock.advance(Duration::from_secs(1));
    }
    assert!(lost, "its turn came");
    assert!(world.customer(9_000).await.is_some(), "the message that was lost was sent again");
    world.until_in_sync(Duration::from_secs(60)).await;
}

/// Invariant 9: a chunk that can't be read, as after a rollback, does not stay for ever.
#[tokio::test]
async fn a_chunk_that_can_not_be_read_is_asked_for_again_with_the_next_batch() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    let batch = world.status().await.batch.unwrap().number;
    let key = [("connection", "acme/aa".to_owned()), ("entry", format!("chunk/{batch:012}/{:08}", FIRST_CHUNK + 1))];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let update = world.clients.dynamodb.update_item().table_name(tests::CONTROL_TABLE).set_key(Some(key.into()));
    let update = update.update_expression("SET to_fetch = :text, due_at = :text");
    let update = update.expression_attribute_values(":text", AttributeValue::S("unreadable".to_owned()));
    update.send().await.unwrap();
    world.work().await;
    let message = world.status().await.error.unwrap().message;
    assert!(message.contains("to_fetch") && message.contains("asked for again"), "{message}");
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1251).await;
}

#[tokio::test]
async fn what_one_chunk_met_is_no_longer_told_once_its_batch_comes_on() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    let messages = world.receive_all();
    world.source.fault_times(Procedure::Details, Fault::Status(503), 1);
    world.deliver(&messages[..1]).await;
    assert_eq!(world.status().await.condition, Condition::Failing);
    world.clock.advance(Duration::from_secs(10));
    world.deliver(&messages[1..]).await;
    let status = world.status().await;
    assert_eq!((status.condition, status.error), (Condition::Syncing, None));
}

/// Takes the connection's entry `batch` out of the control table, as if the table was restored, replaced or lost.
async fn lose_the_batch(world: &AssociationAnywhereFixture) {
    let key = [("connection", "acme/aa"), ("entry", "batch")];
    let delete = world.clients.dynamodb.delete_item().table_name(tests::CONTROL_TABLE);
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    delete.set_key(Some(key.into())).send().await.unwrap();
}

/// Invariant 2, no frozen record: the numbers of a ledger that is new lie above all that the shadow holds.
#[tokio::test]
async fn a_change_arrives_after_the_ledger_was_lost() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    for _ in 0..3 {
        world.source.change([1005]);
        world.sync().await;
    }
    lose_the_batch(&world).await;
    world.source.change([1005]);
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
    assert_eq!((world.customer(1005).await.unwrap().revision, world.status().await.counts.ends.stale), (4, 0));
}

/// Invariants 2 and 6: a record with a version ahead of the ledger thaws by itself, and what was reported of it
/// meanwhile is not acknowledged in silence.
#[tokio::test]
async fn a_record_from_a_batch_that_lies_ahead_is_told_and_thaws_with_the_next_batch_and_nothing_is_purged_before() {
    // A ledger with a clock that was once ahead, and the two forms that versions of a listing had.
    for ahead in ["009999999999-000000000000001", "253402300799999-000000000007"] {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.sync().await;
        let stored = world.customer(1005).await.unwrap();
        let version = AttributeValue::S(ahead.to_owned());
        let update = world.clients.dynamodb.update_item().table_name(tests::SHADOW_TABLE);
        let update = update.key("id", AttributeValue::S("acme/aa~1005".to_owned()));
        let update =
            update.update_expression("SET version = :version").expression_attribute_values(":version", version);
        update.send().await.unwrap();
        world.expect_ahead("acme/aa~1005");
        let purges = world.source.purges().len();

        world.source.change([1005, 1006]);
        world.clock.advance(Duration::from_secs(5));
        world.poll().await;
        world.work().await;
        world.poll().await;
        let status = world.status().await;
        assert!(status.error.unwrap().message.contains("behind the shadow"), "{ahead}: the operator sees it");
        assert_eq!(world.source.purges().len(), purges, "{ahead}: not acknowledged");
        assert_eq!(world.customer(1005).await.unwrap().revision, stored.revision, "{ahead}: it never goes back");
        world.sync().await;
        world.assert_shadow_is_the_sources(1001..1031).await;
        let thawed = world.customer(1005).await.unwrap();
        assert!(thawed.version > Version::from_stored(ahead) && thawed.revision == 2, "{ahead}: {thawed:?}");
        world.source.change([1005]);
        assert!(world.sync().await < Duration::from_secs(10), "{ahead}: and once is enough");
        world.assert_shadow_is_the_sources(1001..1031).await;
    }
}

/// Invariant 2: a worker of a batch that was abandoned holds old news. Were a new batch to find equal news stored,
/// which raises no version, that worker could write the old ones over them.
#[tokio::test]
async fn a_batch_does_not_begin_while_a_worker_of_an_abandoned_one_is_at_work() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    let (ledger, connection) = (world.ledger(), world.connection());
    let batch = ledger.state(&connection).await.unwrap().latest.unwrap();
    let key = ChunkKey { connection: connection.clone(), batch: batch.number, chunk: FIRST_CHUNK };
    let until = world.now() + Duration::from_secs(50);
    let zombie = ledger.lease(key.clone(), "zombie", until).await.unwrap().unwrap();
    ledger.advance(&connection, &batch, BatchEvent::Abandoned).await.unwrap();
    assert!(!ledger.is_in_progress(&key).await.unwrap(), "who takes a lease now leaves the chunk alone");

    world.run_for(40).await;
    let now = ledger.state(&connection).await.unwrap().latest.unwrap();
    assert_eq!((now.number, now.phase), (batch.number, Phase::Closed), "the worker may still write");
    // It is done, and finds that its batch is over: the next one waits no longer.
    let nothing = Settlement {
        counts: OutcomeCounts::default(),
        fetch: BTreeSet::new(),
        delete: BTreeSet::new(),
        retry_at: world.now(),
        unverified: false,
    };
    assert!(!ledger.settle(&zombie, &nothing, until).await.unwrap());
    assert!(world.sync().await < Duration::from_secs(9));
    world.assert_shadow_is_the_sources(1001..1031).await;
}

#[tokio::test]
async fn a_late_message_of_an_abandoned_batch_asks_the_source_for_nobody() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    let messages = world.receive_all();
    let (ledger, connection) = (world.ledger(), world.connection());
    let batch = ledger.state(&connection).await.unwrap().latest.unwrap();
    ledger.advance(&connection, &batch, BatchEvent::Abandoned).await.unwrap();
    world.deliver(&messages).await;
    assert_eq!(world.source.requests().details, 0);
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
}

#[tokio::test]
async fn the_sources_pace_holds_over_all_workers() {
    let world = AssociationAnywhereFixture::with(AaSettings { customers: 400, ..AaSettings::default() }, "").await;
    let started = world.now();
    world.poll().await;
    let messages = world.receive_all();
    tokio::join!(world.deliver(&messages[..2]), world.deliver(&messages[2..]));
    let took = world.now().duration_since(started);
    // The queue and four chunks: each request at least a millisecond after the one before.
    assert!(took.as_millis() >= 4, "{took:?}");
}
