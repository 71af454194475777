//! Failure records, what operators ask for, and deletions that wait.

use jiff::Timestamp;
use store::{Failure, Failures, Withheld, WithheldDeletion};

use crate::{Database, ids};

fn failure(source_id: &str, failed_at: Timestamp) -> Failure {
    Failure {
        source_id: source_id.to_owned(),
        reason: "it can't be read".to_owned(),
        raw: format!("<customer>{source_id}</customer>"),
        failed_at,
    }
}

/// Failure records of `a`, `b` and `c`.
async fn three(database: &Database) -> Failures {
    let failures = &database.tables.failures;
    for source_id in ["b", "c", "a"] {
        failures.put(&database.connection, &failure(source_id, database.clock.now())).await.unwrap();
    }
    failures.clone()
}

#[tokio::test]
async fn failures_are_paged_in_order_with_or_without_what_the_source_sent() {
    let database = Database::new().await;
    let failures = three(&database).await;
    let first = failures.page(&database.connection, None, 2, false).await.unwrap();
    let told: Vec<_> =
        first.failures.iter().map(|failure| (failure.source_id.as_str(), failure.raw.as_str())).collect();
    assert_eq!(told, [("a", ""), ("b", "")]);
    let rest = failures.page(&database.connection, first.next.as_deref(), 2, true).await.unwrap();
    assert_eq!((rest.failures, rest.next), (vec![failure("c", database.clock.now())], None));
    assert_eq!(failures.count(&database.connection).await.unwrap(), 3);
}

#[tokio::test]
async fn what_the_source_sent_is_read_only_if_it_is_asked_for() {
    let database = Database::new().await;
    let failures = three(&database).await;
    let connection = &database.connection;
    // Whoever reads a document is refused.
    database.embedded.refuse("GetItem", "failure-raw/", "AccessDeniedException", 1);
    database.embedded.refuse("Query", "failure-raw/", "AccessDeniedException", 1);
    assert_eq!(failures.count(connection).await.unwrap(), 3);
    assert_eq!(failures.page(connection, None, 10, false).await.unwrap().failures.len(), 3);
    assert!(failures.is_there(connection, "a").await.unwrap());
    failures.remove_resolved(connection, &ids(["a"])).await.unwrap();
    assert_eq!(database.embedded.refusals_left(), 2);
    assert!(failures.page(connection, None, 10, true).await.is_err(), "this reads them");
}

#[tokio::test]
async fn a_failure_that_is_resolved_or_dropped_leaves_nothing_behind() {
    let database = Database::new().await;
    let failures = three(&database).await;
    let connection = &database.connection;
    failures.request_redrive(connection, "a", database.clock.now()).await.unwrap();
    failures.remove_resolved(connection, &ids(["a", "b", "never failed"])).await.unwrap();
    assert_eq!(failures.all(connection).await.unwrap(), [failure("c", database.clock.now())]);
    assert_eq!(failures.redrive_requests(connection).await.unwrap(), [""; 0]);
    failures.remove(connection, "c").await.unwrap();
    assert_eq!(failures.count(connection).await.unwrap(), 0);
}

#[tokio::test]
async fn a_redrive_that_is_asked_for_again_is_not_ended_by_the_batch_that_took_in_the_first() {
    let database = Database::new().await;
    let failures = three(&database).await;
    let connection = &database.connection;
    for source_id in ["a", "b"] {
        failures.request_redrive(connection, source_id, database.clock.now()).await.unwrap();
    }
    failures.take_in_redrives(connection, &["a".to_owned(), "b".to_owned()], 7).await.unwrap();
    failures.request_redrive(connection, "b", database.clock.now()).await.unwrap();
    failures.clear_redrives(connection, 7).await.unwrap();
    assert_eq!(failures.redrive_requests(connection).await.unwrap(), ["b"]);
}

/// Invariant 5: a deletion that waits for a person goes on waiting, whatever else is found out about the customer.
#[tokio::test]
async fn a_deletion_that_waits_for_a_person_is_not_lessened_by_a_later_doubt() {
    let database = Database::new().await;
    let (failures, connection) = (&database.tables.failures, &database.connection);
    let now = database.clock.now();
    failures.withhold(connection, &failure("a", now), Withheld::BeyondLimit).await.unwrap();
    failures.withhold(connection, &failure("a", now), Withheld::Unproven).await.unwrap();
    failures.withhold(connection, &failure("b", now), Withheld::Unproven).await.unwrap();
    let waiting = failures.withheld_among(connection, &ids(["a", "b", "c"])).await.unwrap();
    let waits = |why| WithheldDeletion { why, is_confirmed: false };
    let (limited, unproven) = (waits(Withheld::BeyondLimit), waits(Withheld::Unproven));
    assert_eq!(waiting, [("a".to_owned(), limited), ("b".to_owned(), unproven)].into());
    assert_eq!(failures.count_withheld(connection).await.unwrap(), 2);
    failures.put(connection, &failure("a", now)).await.unwrap();
    assert_eq!(failures.withheld(connection).await.unwrap(), [("b".to_owned(), unproven)].into(), "a is none any more");
    // Whoever has come back before it is confirmed is not withheld by that.
    failures.confirm(connection, vec!["a".to_owned(), "b".to_owned()]).await.unwrap();
    let confirmed = WithheldDeletion { is_confirmed: true, ..unproven };
    assert_eq!(failures.withheld(connection).await.unwrap(), [("b".to_owned(), confirmed)].into());
}
