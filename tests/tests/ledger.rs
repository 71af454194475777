//! What the batch ledger promises: nothing is acknowledged before it is done, and nothing that happens to a message, a
//! worker or a poller changes that.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::time::Duration;

use model::QueuedCustomer;
use model::{Batch, BatchEvent, Phase, cut};
use simulators::association_anywhere::{AaSettings, Fault, Procedure};
use tests::{WORK_QUEUE, World};

#[tokio::test]
async fn a_first_sync_takes_over_every_customer_and_purges_the_queue() {
    let world = World::with_customers(250).await;
    world.sync().await;
    world.assert_shadow_is_the_vendors(1001..1251).await;
    let status = world.status().await;
    assert_eq!((status.counts.fetched, status.counts.ends.written), (250, 250));
    assert_eq!(world.vendor.purges().len(), 1);
}

#[tokio::test]
async fn a_purge_waits_for_the_last_chunk() {
    let world = World::with_customers(250).await;
    world.poll().await;
    let messages = world.receive_all();
    assert_eq!(messages.len(), 3, "100 customers make a chunk");
    world.deliver(&messages[..2]).await;
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    assert!(world.vendor.purges().is_empty(), "a chunk is open");
    assert_eq!(world.status().await.batch.unwrap().left, 50);
    world.deliver(&messages[2..]).await;
    world.poll().await;
    assert_eq!(world.vendor.purges().len(), 1);
    assert!(world.vendor.queue().is_empty());
}

#[tokio::test]
async fn entries_queued_after_the_get_survive_the_purge() {
    let world = World::with_customers(30).await;
    world.poll().await;
    world.vendor.change([1003]);
    world.work().await;
    world.vendor.change([1007]);
    // The acknowledgement of the first batch, and at once the second: with what came in between.
    world.poll().await;
    assert_eq!(world.vendor.queue(), [1003, 1007]);
    world.sync().await;
    world.assert_shadow_is_the_vendors(1001..1031).await;
    // The first change was seen by the fetch of the first batch, the second by that of the next.
    let revision = async |id| world.customer(id).await.unwrap().revision;
    assert_eq!((revision(1003).await, revision(1007).await), (1, 2));
}

#[tokio::test]
async fn messages_that_are_lost_are_sent_again() {
    let world = World::with_customers(250).await;
    world.poll().await;
    world.queues.purge(WORK_QUEUE);
    let took = world.sync().await;
    assert!(took >= Duration::from_secs(10), "not sent again while they might still come: {took:?}");
    world.assert_shadow_is_the_vendors(1001..1251).await;
    assert_eq!(world.status().await.counts.fetched, 250);
}

#[tokio::test]
async fn messages_that_come_twice_reordered_and_very_late_change_nothing() {
    let world = World::with_customers(250).await;
    world.poll().await;
    let mut messages = world.receive_all();
    messages.reverse();
    let doubled: Vec<_> = messages.iter().chain(&messages).cloned().collect();
    world.deliver(&doubled).await;
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 250);
    let before = world.customer(1001).await.unwrap();
    let asked = world.vendor.requests().details;
    world.clock.advance(Duration::from_secs(86_400));
    world.deliver(&doubled).await;
    assert_eq!(world.vendor.requests().details, asked, "a chunk that is gone asks nobody");
    assert_eq!(world.customer(1001).await.unwrap(), before);
    assert_eq!(world.status().await.counts.fetched, 250);
}

#[tokio::test]
async fn two_pollers_at_once_make_one_batch() {
    let world = World::with_customers(250).await;
    tokio::join!(world.poll(), world.poll(), world.poll());
    assert_eq!(world.queues.depth(WORK_QUEUE), 3);
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 250);
    assert_eq!(world.vendor.purges().len(), 1);
}

#[tokio::test]
async fn two_workers_at_once_do_a_chunk_once() {
    let world = World::with_customers(100).await;
    world.poll().await;
    let messages = world.receive_all();
    tokio::join!(world.deliver(&messages), world.deliver(&messages));
    assert_eq!(world.vendor.requests().detail_ids, 100);
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 100);
}

#[tokio::test]
async fn a_chunk_whose_worker_died_is_done_by_another() {
    let world = World::with_customers(100).await;
    world.poll().await;
    // The vendor hangs, and the worker is gone while it waits: as if killed.
    world.vendor.fault(Procedure::Details, Some(Fault::Hang));
    let messages = world.receive_all();
    tokio::select! {
        () = world.deliver(&messages) => unreachable!("the vendor hangs"),
        () = async { while world.vendor.requests().faulted == 0 { tokio::task::yield_now().await } } => {}
    }
    world.vendor.fault(Procedure::Details, None);
    world.queues.purge(WORK_QUEUE);
    world.run_for(50).await;
    assert_eq!(world.status().await.counts.fetched, 0, "the dead worker's lease holds");
    world.until_in_step(Duration::from_secs(30)).await;
    world.assert_shadow_is_the_vendors(1001..1101).await;
    assert_eq!(world.status().await.counts.fetched, 100);
}

#[tokio::test]
async fn a_batch_whose_poller_died_while_opening_it_is_asked_for_again() {
    let world = World::with_customers(250).await;
    let (ledger, connection) = (world.ledger(), world.connection());
    let customers: Vec<_> = (0..150).map(|id| QueuedCustomer { source_id: format!("x{id}"), deleted: true }).collect();
    let batch = Batch::following(None, Some("1".into()), world.now(), 150);
    ledger.begin(&connection, &batch).await.unwrap();
    ledger
        .write_chunks(&connection, batch.number, cut(&customers, 100), world.now() + Duration::from_secs(9))
        .await
        .unwrap();
    world.sync().await;
    world.assert_shadow_is_the_vendors(1001..1251).await;
    let state = ledger.state(&connection).await.unwrap();
    assert_eq!((state.latest.unwrap().number, state.totals.sum()), (2, 250));
}

#[tokio::test]
async fn a_purge_that_is_not_confirmed_is_repeated_with_the_same_number() {
    let world = World::with_customers(30).await;
    world.poll().await;
    world.work().await;
    world.vendor.fault_times(Procedure::Purge, Fault::CutBody, 1);
    world.poll().await;
    assert_eq!(world.status().await.batch.unwrap().left, 0, "done, and not acknowledged");
    world.vendor.change([1005]);
    world.sync().await;
    let purges = world.vendor.purges();
    assert_eq!(purges[0], purges[1], "the same number, so that what came in between survives");
    world.assert_shadow_is_the_vendors(1001..1031).await;
}

#[tokio::test]
async fn a_send_that_fails_in_part_is_completed() {
    let world = World::with_customers(400).await;
    world.queues.fail_entries(3);
    world.poll().await;
    assert_eq!(world.queues.depth(WORK_QUEUE), 4);
}

#[tokio::test]
async fn a_batch_moves_on_only_once() {
    let world = World::with_customers(0).await;
    let (ledger, connection) = (world.ledger(), world.connection());
    let batch = Batch::following(None, None, world.now(), 0);
    ledger.begin(&connection, &batch).await.unwrap();
    assert!(ledger.begin(&connection, &batch).await.is_err(), "the same batch twice");
    ledger.advance(&connection, &batch, BatchEvent::ChunksWritten).await.unwrap();
    assert!(ledger.advance(&connection, &batch, BatchEvent::ChunksWritten).await.is_err(), "by one who is behind");
    assert_eq!(ledger.state(&connection).await.unwrap().latest.unwrap().phase, Phase::Open);
}

#[tokio::test]
async fn the_vendors_pace_holds_over_all_workers() {
    let world = World::with(AaSettings { customers: 400, ..AaSettings::default() }, "").await;
    let started = world.now();
    world.poll().await;
    let messages = world.receive_all();
    tokio::join!(world.deliver(&messages[..2]), world.deliver(&messages[2..]));
    let took = world.now().duration_since(started);
    // The queue and four chunks: each request at least a millisecond after the one before.
    assert!(took.as_millis() >= 4, "{took:?}");
}
