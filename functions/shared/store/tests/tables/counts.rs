//! What became of a batch's customers, counted by many workers at once.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::{Batch, BatchEvent, OutcomeCounts, Phase, QueuedCustomer, split_into_chunks};
use store::{Ledger, StoreError};

use crate::Database;
use crate::ledger::{chunk, open_batch, settlement};

/// An open batch of so many customers, each in a chunk of its own.
async fn batch_of(database: &Database, customers: u32) -> (Ledger, Batch) {
    let (ledger, connection) = (&database.tables.ledger, &database.connection);
    let batch = Batch::following(None, None, database.clock.now(), u64::from(customers));
    ledger.begin(connection, None, &batch).await.unwrap();
    let customers: Vec<QueuedCustomer> =
        (0..customers).map(|id| QueuedCustomer { source_id: id.to_string(), deleted: false }).collect();
    let plans = split_into_chunks(&customers, 1, 0);
    ledger.write_chunks(connection, batch.number, plans, database.in_seconds(60)).await.unwrap();
    ledger.advance(connection, &batch, BatchEvent::ChunksWritten).await.unwrap();
    let batch = ledger.state(connection).await.unwrap().latest.unwrap();
    (ledger.clone(), batch)
}

async fn work_off(database: &Database, ledger: &Ledger, batch: &Batch, number: u32) -> bool {
    let until = database.in_seconds(60);
    let leased = ledger.lease(chunk(database, batch, number), "one", until).await.unwrap().unwrap();
    let done = settlement(1, BTreeSet::new(), database.clock.now());
    ledger.settle(&leased, &done, until).await.unwrap()
}

#[tokio::test]
async fn workers_count_in_items_of_their_own_and_not_in_the_one_that_the_poller_writes() {
    let database = Database::new().await;
    let (ledger, batch) = batch_of(&database, 40).await;
    // Whoever writes the batch in a transaction finds it held.
    database.embedded.refuse("TransactWriteItems", r#"{"S":"batch"}"#, "TransactionConflictException", 1);
    let settled = futures::future::join_all((0..40).map(|number| work_off(&database, &ledger, &batch, number))).await;
    assert!(settled.into_iter().all(|is_held| is_held));
    assert_eq!(database.embedded.refusals_left(), 1, "nobody did");
    let counted = database.entries("batch-counts/").await;
    assert_eq!(counted.len(), 8);
    let of_each: Vec<&str> = counted.iter().map(|(.., item)| item["n_written"].as_n().unwrap().as_str()).collect();
    assert_eq!(of_each, ["5"; 8]);
    let state = ledger.state(&database.connection).await.unwrap();
    assert_eq!(state.came_on_at, Some(database.clock.now()));
    assert!(state.latest.unwrap().reconciles());
}

/// Invariant 6: the totals hold what was counted before the batch was abandoned, and nothing after.
#[tokio::test]
async fn a_batch_that_is_abandoned_while_workers_settle_counts_each_chunk_before_or_not_at_all() {
    let database = Database::new().await;
    let (ledger, batch) = batch_of(&database, 24).await;
    let connection = &database.connection;
    let settle = futures::future::join_all((0..24).map(|number| work_off(&database, &ledger, &batch, number)));
    let (settled, abandoned) = futures::join!(settle, ledger.advance(connection, &batch, BatchEvent::Abandoned));
    abandoned.unwrap();
    let state = ledger.state(connection).await.unwrap();
    let counted = settled.iter().filter(|is_counted| **is_counted).count() as u64;
    let latest = state.latest.unwrap();
    assert_eq!((latest.phase, latest.counts.written, state.totals.written), (Phase::Closed, counted, counted));
    let left = ledger.open_chunks(connection, batch.number, 100).await.unwrap();
    assert_eq!(left.len() as u64, 24 - counted);
    assert!(left.iter().all(|chunk| !chunk.leased), "the next batch waits for nobody");
}

#[tokio::test]
async fn what_was_counted_goes_into_the_totals_once_and_is_removed_with_the_next_batch() {
    let database = Database::new().await;
    let (ledger, batch) = batch_of(&database, 3).await;
    let connection = &database.connection;
    for number in 0..3 {
        assert!(work_off(&database, &ledger, &batch, number).await);
    }
    let latest = ledger.state(connection).await.unwrap().latest.unwrap();
    ledger.advance(connection, &latest, BatchEvent::Acknowledged).await.unwrap();
    let closed = ledger.state(connection).await.unwrap();
    let last = closed.latest.clone().unwrap();
    assert_eq!((last.counts.written, closed.totals.written), (3, 3));
    database.clock.advance(Duration::from_secs(5));
    let next = Batch::following(Some(&last), None, database.clock.now(), 1);
    ledger.begin(connection, Some(&last), &next).await.unwrap();
    assert_eq!(database.entries("batch-counts/").await.len(), 0);
    let state = ledger.state(connection).await.unwrap();
    assert_eq!((state.latest.unwrap().counts, state.totals.written), (OutcomeCounts::default(), 3));
    assert_eq!(state.came_on_at, closed.came_on_at);
}

/// Invariant 1: a batch is acknowledged for the counts that were looked at.
#[tokio::test]
async fn a_batch_whose_counts_change_before_it_is_acknowledged_is_looked_at_again() {
    let database = Database::new().await;
    let (ledger, batch) = batch_of(&database, 1).await;
    let counts = OutcomeCounts { written: 1, ..OutcomeCounts::default() };
    let imagined = Batch { counts, ..batch };
    let answer = ledger.advance(&database.connection, &imagined, BatchEvent::Acknowledged).await;
    assert!(matches!(answer, Err(StoreError::MovedOn { .. })));
    assert_eq!(ledger.state(&database.connection).await.unwrap().latest.unwrap().phase, Phase::Open);
}

#[tokio::test]
async fn the_worker_that_settles_the_last_chunk_is_told_so() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let until = database.in_seconds(60);
    for (number, customers) in [(1, 2), (0, 2), (2, 1)] {
        let key = chunk(&database, &batch, number);
        assert!(!ledger.is_settled(&key).await.unwrap());
        let leased = ledger.lease(key, "one", until).await.unwrap().unwrap();
        let done = settlement(customers, BTreeSet::new(), database.clock.now());
        assert!(ledger.settle(&leased, &done, until).await.unwrap());
    }
    assert!(ledger.is_settled(&chunk(&database, &batch, 2)).await.unwrap());
}

/// Invariant 9: a ledger that is lost and made anew within a second gives a number twice. What was counted beside the
/// first batch of that number, and that it was closed, is not the second one's.
#[tokio::test]
async fn a_batch_that_has_the_number_of_one_that_was_lost_counts_from_the_beginning() {
    let database = Database::new().await;
    let (ledger, batch) = batch_of(&database, 2).await;
    let connection = &database.connection;
    assert!(work_off(&database, &ledger, &batch, 0).await);
    ledger.advance(connection, &batch, BatchEvent::Abandoned).await.unwrap();
    ledger.clear_chunks(connection, batch.number, database.in_seconds(60)).await.unwrap();
    let lost = ["connection", "entry"].map(str::to_owned).into_iter().zip(["acme/aa", "batch"]);
    let lost = lost.map(|(name, value)| (name, AttributeValue::S(value.to_owned()))).collect();
    database.embedded.client().delete_item().table_name("ControlTable").set_key(Some(lost)).send().await.unwrap();
    let (_, again) = batch_of(&database, 2).await;
    assert_eq!((again.number, again.counts), (batch.number, OutcomeCounts::default()));
    for number in [0, 1] {
        assert!(work_off(&database, &ledger, &again, number).await);
    }
    assert!(ledger.state(connection).await.unwrap().latest.unwrap().reconciles());
}
