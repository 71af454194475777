//! What waits when DynamoDB takes no more at this moment, or a transaction holds an item.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use model::{Batch, BatchEvent, ConnectionKey, Content, Name, QueuedCustomer, Version, split_into_chunks};
use store::{Change, Failure, IncomingChange, StoreError};

use crate::ledger::{chunk, open_batch, settlement};
use crate::{Database, ids};

/// What the store waits out just as throttling, and the SDK does not: so no test waits for the SDK.
const BUSY: &str = "TransactionConflictException";
/// How often a request is refused.
const TIMES: u32 = 6;

impl Database {
    /// Refuses the next requests about the connection.
    fn refuse(&self, operation: &str) {
        self.embedded.refuse(operation, "acme/aa", BUSY, TIMES);
    }

    fn assert_waited_out(&self, what: &str) {
        assert_eq!(self.embedded.refusals_left(), 0, "{what}");
    }
}

#[tokio::test]
async fn every_step_of_a_batch_waits_until_the_table_takes_more() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let connection = &database.connection;
    let key = chunk(&database, &batch, 0);
    database.refuse("UpdateItem");
    let leased = ledger.lease(key.clone(), "one", database.in_seconds(600)).await.unwrap().unwrap();
    database.assert_waited_out("a lease");
    database.refuse("GetItem");
    assert!(ledger.is_in_progress(&key).await.unwrap());
    database.assert_waited_out("a look at the batch");
    database.refuse("UpdateItem");
    ledger.note_overtaken(&key, 1).await.unwrap();
    database.assert_waited_out("a note");
    database.refuse("TransactWriteItems");
    let done = settlement(2, BTreeSet::new(), database.clock.now());
    assert!(ledger.settle(&leased, &done, database.in_seconds(60)).await.unwrap());
    database.assert_waited_out("a settlement");
    database.refuse("Query");
    assert_eq!(ledger.open_chunks(connection, batch.number, 10).await.unwrap().len(), 2);
    database.assert_waited_out("a look at the chunks");
    database.refuse("Query");
    assert_eq!(ledger.state(connection).await.unwrap().latest.unwrap().counts.written, 2);
    database.assert_waited_out("the state");
    database.refuse("TransactWriteItems");
    ledger.advance(connection, &batch, BatchEvent::Abandoned).await.unwrap();
    database.assert_waited_out("an end");
    database.refuse("BatchWriteItem");
    ledger.clear_chunks(connection, batch.number, database.in_seconds(60)).await.unwrap();
    database.assert_waited_out("a removal");
}

#[tokio::test]
async fn a_settlement_waits_no_longer_than_its_deadline() {
    let database = Database::new().await;
    let (ledger, batch) = open_batch(&database).await;
    let leased = ledger.lease(chunk(&database, &batch, 0), "one", database.in_seconds(60)).await.unwrap().unwrap();
    database.embedded.refuse("TransactWriteItems", "acme/aa", BUSY, 1_000);
    let done = settlement(2, BTreeSet::new(), database.clock.now());
    let deadline = database.in_seconds(20);
    let settled = ledger.settle(&leased, &done, deadline).await;
    assert!(matches!(settled, Err(StoreError::Throttled { .. })), "{settled:?}");
    assert!(database.clock.now() < deadline && database.clock.now() > deadline - Duration::from_secs(10));
}

#[tokio::test]
async fn a_failure_record_and_a_customer_are_written_once_the_table_takes_more() {
    let database = Database::new().await;
    let (failures, connection) = (&database.tables.failures, &database.connection);
    let failed_at: Timestamp = database.clock.now();
    let failure =
        Failure { source_id: "1".to_owned(), reason: "no".to_owned(), raw: "<customer/>".to_owned(), failed_at };
    database.refuse("TransactWriteItems");
    failures.put(connection, &failure).await.unwrap();
    database.assert_waited_out("a failure record");
    for operation in ["Query", "GetItem"] {
        database.refuse(operation);
        assert_eq!(failures.all(connection).await.unwrap(), std::slice::from_ref(&failure));
        database.assert_waited_out(operation);
    }
    database.refuse("TransactWriteItems");
    failures.remove_resolved(connection, &ids(["1"])).await.unwrap();
    database.assert_waited_out("its removal");

    let shadow = &database.tables.shadow;
    let name = Name { display: Some("Ann".to_owned()), ..Name::default() };
    let news = Change::Present(Box::new(Content { name, ..Content::default() }));
    let change = IncomingChange { source_id: "1".to_owned(), version: Version::of_batch(1, 1), news };
    database.refuse("PutItem");
    let merged = shadow.upsert(connection, vec![change], database.in_seconds(60)).await.unwrap();
    assert!(merged.outcomes[0].1.is_ok(), "{merged:?}");
    database.assert_waited_out("a customer");
    database.refuse("GetItem");
    assert!(shadow.get(connection, "1").await.unwrap().is_some());
    database.assert_waited_out("a look at a customer");
}

/// Ten thousand chunks are the queue of a million customers. They leave half of what their key takes to others.
#[tokio::test]
async fn a_very_large_batch_is_opened_at_a_pace_and_a_small_one_at_once() {
    let database = Database::new().await;
    let ledger = &database.tables.ledger;
    let open = async |connection: &str, chunks: usize| {
        let connection = ConnectionKey::new("acme", connection);
        let batch = Batch::following(None, None, database.clock.now(), chunks as u64);
        ledger.begin(&connection, None, &batch).await.unwrap();
        let customer = |id: usize| QueuedCustomer { source_id: id.to_string(), deleted: false };
        let customers: Vec<QueuedCustomer> = (0..chunks).map(customer).collect();
        let (began, deadline) = (database.clock.now(), database.in_seconds(120));
        let plans = split_into_chunks(&customers, 1, 0);
        ledger.write_chunks(&connection, batch.number, plans, deadline).await.unwrap();
        database.clock.now().duration_since(began).as_secs()
    };
    assert_eq!(open("aa", 500).await, 0);
    assert_eq!(open("large", 3_000).await, 5);
}
