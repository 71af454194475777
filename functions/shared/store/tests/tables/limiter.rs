//! The pace of a connection, the circuit breaker, and the lease of its poller.

use std::time::Duration;

use store::Admission;

use crate::Database;

#[tokio::test]
async fn workers_side_by_side_get_slots_that_keep_the_pace() {
    let database = Database::new().await;
    let limiter = &database.tables.limiter;
    let began = database.clock.now();
    let asked = (0..12).map(|_| limiter.acquire(&database.connection, 4.0, database.in_seconds(60)));
    let mut slots = Vec::new();
    for admission in futures::future::join_all(asked).await {
        match admission.unwrap() {
            Admission::At { slot, failures: 0 } => slots.push(slot),
            other => panic!("{other:?}"),
        }
    }
    slots.sort();
    assert!(slots[0] >= began);
    for pair in slots.windows(2) {
        assert!(pair[1] >= pair[0] + Duration::from_millis(250), "{slots:?}");
    }
}

#[tokio::test]
async fn a_slot_behind_the_deadline_is_not_reserved() {
    let database = Database::new().await;
    let limiter = &database.tables.limiter;
    let deadline = database.in_seconds(1);
    for _ in 0..2 {
        let admission = limiter.acquire(&database.connection, 1.0, deadline).await.unwrap();
        assert!(!matches!(admission, Admission::CircuitOpen(_)), "{admission:?}");
    }
    assert!(!matches!(limiter.acquire(&database.connection, 1.0, deadline).await.unwrap(), Admission::At { .. }));
    let next = limiter.acquire(&database.connection, 1.0, database.in_seconds(60)).await.unwrap();
    assert!(matches!(next, Admission::At { slot, .. } if slot <= database.in_seconds(2)), "{next:?}");
}

#[tokio::test]
async fn after_a_failure_nobody_asks_until_the_break_is_over_and_then_only_one() {
    let database = Database::new().await;
    let (limiter, connection) = (&database.tables.limiter, &database.connection);
    let until = limiter.failed(connection, 0, Some(Duration::from_secs(30))).await.unwrap();
    assert_eq!(until, database.in_seconds(30), "as the source asked");
    let deadline = database.in_seconds(60);
    let admission = limiter.acquire(connection, 10.0, deadline).await.unwrap();
    assert_eq!(admission, Admission::CircuitOpen(until));
    database.clock.advance(Duration::from_secs(31));
    let probe = limiter.acquire(connection, 10.0, deadline).await.unwrap();
    assert!(matches!(probe, Admission::At { failures: 1, .. }), "{probe:?}");
    let another = limiter.acquire(connection, 10.0, deadline).await.unwrap();
    assert!(matches!(another, Admission::CircuitOpen(_)), "{another:?}");
    limiter.succeeded(connection, 1).await.unwrap();
    let after = limiter.acquire(connection, 10.0, deadline).await.unwrap();
    assert!(matches!(after, Admission::At { failures: 0, .. }), "{after:?}");
}

#[tokio::test]
async fn a_connection_has_one_poller_until_it_gives_the_lease_back_or_dies() {
    let database = Database::new().await;
    let (states, connection) = (&database.tables.states, &database.connection);
    let lease = async |owner| {
        let (now, until) = (database.clock.now(), database.in_seconds(15));
        states.lease(connection, owner, now, until).await.unwrap().is_some()
    };
    assert!(lease("one").await && lease("one").await);
    assert!(!lease("two").await);
    states.release(connection, "two").await.unwrap();
    assert!(!lease("two").await, "it is not its to give back");
    states.release(connection, "one").await.unwrap();
    assert!(lease("two").await);
    database.clock.advance(Duration::from_secs(16));
    assert!(lease("three").await);
}
