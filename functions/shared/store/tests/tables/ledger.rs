//! Batches, their chunks, and the leases of their workers.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use model::{Batch, BatchEvent, FIRST_CHUNK, OutcomeCounts, Phase, QueueEnd, QueuedCustomer, split_into_chunks};
use store::{ChunkKey, Ledger, Settlement};

use crate::{Database, ids};

/// An open batch of the customers 1 to 5, in chunks of two.
pub(crate) async fn open_batch(database: &Database) -> (Ledger, Batch) {
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let batch = Batch::following(None, Some("4711".to_owned()), database.clock.now(), 5);
    ledger.begin(connection, None, &batch).await.unwrap();
    let customers: Vec<QueuedCustomer> =
        (1..=5).map(|id| QueuedCustomer { source_id: id.to_string(), deleted: false }).collect();
    let deadline = database.in_seconds(60);
    ledger.write_chunks(connection, batch.number, split_into_chunks(&customers, 2, 0), deadline).await.unwrap();
    ledger.advance(connection, &batch, BatchEvent::ChunksWritten).await.unwrap();
    let batch = ledger.state(connection).await.unwrap().latest.unwrap();
    (ledger.clone(), batch)
}

pub(crate) fn chunk(database: &Database, batch: &Batch, chunk: u32) -> ChunkKey {
    ChunkKey { connection: database.connection.clone(), batch: batch.number, chunk }
}

/// So many customers were written, and these are still to fetch.
pub(crate) fn settlement(written: u64, fetch: BTreeSet<String>, retry_at: Timestamp) -> Settlement {
    let counts = OutcomeCounts { written, ..OutcomeCounts::default() };
    Settlement { counts, fetch, delete: BTreeSet::new(), retry_at, unverified: false }
}

async fn open_chunks(ledger: &Ledger, database: &Database, batch: &Batch) -> Vec<u32> {
    let chunks = ledger.open_chunks(&database.connection, batch.number, 100).await.unwrap();
    chunks.iter().map(|chunk| chunk.chunk).collect()
}

#[tokio::test]
async fn a_batch_moves_on_only_once() {
    let database = Database::new().await;
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let batch = Batch::following(None, None, database.clock.now(), 0);
    ledger.begin(connection, None, &batch).await.unwrap();
    assert!(ledger.begin(connection, None, &batch).await.is_err(), "the same batch twice");
    ledger.advance(connection, &batch, BatchEvent::ChunksWritten).await.unwrap();
    assert!(ledger.advance(connection, &batch, BatchEvent::ChunksWritten).await.is_err(), "by one who is behind");
    assert_eq!(ledger.state(connection).await.unwrap().latest.unwrap().phase, Phase::Open);
}

/// Invariant 9: the same worker asks again after its first request was carried out and the answer was lost.
#[tokio::test]
async fn a_lease_that_is_asked_for_twice_by_one_worker_is_that_workers() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let (key, until) = (chunk(&database, &batch, 0), database.in_seconds(60));
    assert!(ledger.lease(key.clone(), "one", until).await.unwrap().is_some());
    assert!(ledger.lease(key.clone(), "one", until).await.unwrap().is_some());
    assert!(ledger.lease(key, "another", until).await.unwrap().is_none());
}

#[tokio::test]
async fn a_chunk_whose_lease_ran_out_is_the_next_workers_and_only_its_settlement_counts() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let (key, until) = (chunk(&database, &batch, 0), database.in_seconds(60));
    let late = ledger.lease(key.clone(), "late", until).await.unwrap().unwrap();
    assert_eq!((&late.fetch, late.attempt), (&ids(["1", "2"]), 1));
    database.clock.advance(Duration::from_secs(61));
    let until = database.in_seconds(60);
    let next = ledger.lease(key, "next", until).await.unwrap().unwrap();
    assert_eq!(next.attempt, 2);
    let done = settlement(2, BTreeSet::new(), database.clock.now());
    assert!(!ledger.settle(&late, &done, until).await.unwrap(), "it has lost its lease");
    assert!(ledger.settle(&next, &done, until).await.unwrap());
    assert!(!ledger.settle(&next, &done, until).await.unwrap(), "the chunk is gone");
    assert_eq!(ledger.state(&database.connection).await.unwrap().latest.unwrap().counts.written, 2);
    assert_eq!(open_chunks(&ledger, &database, &batch).await, [1, 2]);
}

#[tokio::test]
async fn what_is_left_of_a_chunk_is_due_when_its_worker_said() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let (key, until, again_at) = (chunk(&database, &batch, 0), database.in_seconds(60), database.in_seconds(7));
    let leased = ledger.lease(key.clone(), "one", until).await.unwrap().unwrap();
    assert!(ledger.settle(&leased, &settlement(1, ids(["2"]), again_at), until).await.unwrap());
    let front = ledger.open_chunks(&database.connection, batch.number, 1).await.unwrap();
    assert_eq!((front[0].due_at, front[0].leased, front[0].attempts), (again_at, false, 0), "it came on");
    let again = ledger.lease(key, "two", until).await.unwrap().unwrap();
    assert_eq!((again.fetch, again.attempt), (ids(["2"]), 1));
}

#[tokio::test]
async fn a_chunk_that_only_waited_for_its_turn_has_used_up_no_attempt() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let (key, until) = (chunk(&database, &batch, 0), database.in_seconds(60));
    for _ in 0..5 {
        let leased = ledger.lease(key.clone(), "one", until).await.unwrap().unwrap();
        assert_eq!(leased.attempt, 1);
        ledger.release(&leased, database.clock.now()).await.unwrap();
    }
}

#[tokio::test]
async fn a_batch_is_not_acknowledged_before_its_counts_are_its_customers() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let until = database.in_seconds(60);
    for (number, customers) in [(0, 2), (1, 2), (2, 1)] {
        let latest = ledger.state(&database.connection).await.unwrap().latest.unwrap();
        assert!(!latest.reconciles(), "{number} chunks are done");
        let leased = ledger.lease(chunk(&database, &batch, number), "one", until).await.unwrap().unwrap();
        let done = settlement(customers, BTreeSet::new(), database.clock.now());
        assert!(ledger.settle(&leased, &done, until).await.unwrap());
    }
    let latest = ledger.state(&database.connection).await.unwrap().latest.unwrap();
    assert!(latest.reconciles() && open_chunks(&ledger, &database, &batch).await.is_empty());
    ledger.advance(&database.connection, &latest, BatchEvent::Acknowledged).await.unwrap();
    let state = ledger.state(&database.connection).await.unwrap();
    assert_eq!((state.latest.unwrap().phase, state.totals.written), (Phase::Closed, 5));
}

#[tokio::test]
async fn the_next_batch_waits_for_workers_of_an_abandoned_one_and_clears_its_chunks() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let (connection, until) = (&database.connection, database.in_seconds(60));
    ledger.lease(chunk(&database, &batch, 1), "one", until).await.unwrap().unwrap();
    ledger.advance(connection, &batch, BatchEvent::Abandoned).await.unwrap();
    assert!(!ledger.is_in_progress(&chunk(&database, &batch, 1)).await.unwrap());
    assert_eq!(ledger.leased_until(connection, batch.number).await.unwrap(), Some(until));
    database.clock.advance(Duration::from_secs(61));
    assert_eq!(ledger.leased_until(connection, batch.number).await.unwrap(), None);
    ledger.clear_chunks(connection, batch.number, database.in_seconds(60)).await.unwrap();
    assert!(open_chunks(&ledger, &database, &batch).await.is_empty());
}

/// Invariant 2: what is told while a batch is open belongs to it, until it closes, and comes to an end with it.
#[tokio::test]
async fn chunks_that_are_added_ahead_are_taken_first_and_counted_with_the_batch() {
    let database = Database::new().await;
    let (ledger, connection, until) = (&database.tables.ledger, &database.connection, database.in_seconds(60));
    let told = |ids: &[u64]| -> Vec<QueuedCustomer> {
        ids.iter().map(|id| QueuedCustomer { source_id: id.to_string(), deleted: false }).collect()
    };
    let end = QueueEnd::of("7", &told(&[1, 2])).unwrap();
    let batch = Batch::following(None, Some("7".to_owned()), database.clock.now(), 2);
    ledger.begin(connection, None, &Batch { told_to: Some(end), ..batch.clone() }).await.unwrap();
    let chunks = split_into_chunks(&told(&[1, 2]), 2, FIRST_CHUNK).collect::<Vec<_>>();
    ledger.write_chunks(connection, batch.number, chunks.into_iter(), until).await.unwrap();
    ledger.advance(connection, &batch, BatchEvent::ChunksWritten).await.unwrap();
    let latest = async || ledger.state(connection).await.unwrap().latest.unwrap();
    let (seen, more) = (latest().await, told(&[3, 1, 4]));
    let ahead: Vec<_> = split_into_chunks(&more, 2, seen.ahead).collect();
    let end = QueueEnd::of("10", &more).unwrap();
    assert!(ledger.add_ahead(connection, &seen, &ahead, &end, until).await.unwrap());
    assert!(!ledger.add_ahead(connection, &seen, &ahead, &end, until).await.unwrap(), "the same once more");

    let now = latest().await;
    assert_eq!(
        (now.total, now.ahead, &now.told_to, now.queue_number.as_deref()),
        (5, 2, &Some(end.clone()), Some("7"))
    );
    assert_eq!(open_chunks(ledger, &database, &now).await, [0, 1, FIRST_CHUNK]);
    for (number, customers) in [(0, 2), (1, 1), (FIRST_CHUNK, 2)] {
        let leased = ledger.lease(chunk(&database, &now, number), "one", until).await.unwrap().unwrap();
        let done = settlement(customers, BTreeSet::new(), database.clock.now());
        assert!(ledger.settle(&leased, &done, until).await.unwrap());
    }
    let done = latest().await;
    let last = split_into_chunks(&told(&[5]), 2, done.ahead).collect::<Vec<_>>();
    assert!(ledger.add_ahead(connection, &done, &last, &end, until).await.unwrap());
    assert!(ledger.end_looks(connection, &done).await.is_err(), "more was added after it was seen to be done");
    assert!(ledger.advance(connection, &done, BatchEvent::Acknowledged).await.is_err());
    let now = latest().await;
    ledger.advance(connection, &now, BatchEvent::Abandoned).await.unwrap();
    assert!(!ledger.add_ahead(connection, &now, &last, &end, until).await.unwrap(), "it is over");
}

#[tokio::test]
async fn a_queue_is_looked_at_by_one_worker_at_a_time_and_not_too_often() {
    let database = Database::new().await;
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let customers = [QueuedCustomer { source_id: "1".to_owned(), deleted: false }];
    let batch = Batch::following(None, Some("7".to_owned()), database.clock.now(), 0);
    ledger.begin(connection, None, &Batch { told_to: QueueEnd::of("7", &customers), ..batch.clone() }).await.unwrap();
    ledger.advance(connection, &batch, BatchEvent::ChunksWritten).await.unwrap();
    let batch = ledger.state(connection).await.unwrap().latest.unwrap();
    let begins = async || ledger.begin_look(connection, &batch, database.in_seconds(240)).await.unwrap();
    assert!(begins().await && !begins().await, "another worker looks");
    ledger.end_look(connection, &batch, database.in_seconds(30)).await.unwrap();
    assert!(!begins().await, "it was done lately");
    database.clock.advance(Duration::from_secs(30));
    assert!(begins().await);
    database.clock.advance(Duration::from_secs(240));
    assert!(begins().await, "who looked has died");
    ledger.end_look(connection, &batch, database.clock.now()).await.unwrap();
    ledger.end_looks(connection, &batch).await.unwrap();
    assert!(!begins().await, "it is about to be acknowledged");
}
