//! A resync of Association Anywhere that an operator asked for, and that the poller carries out.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::time::Duration;

use operations::status::Condition;
use simulators::association_anywhere::{AaFault, Procedure};
use tests::AssociationAnywhereFixture;

#[tokio::test]
async fn everybody_is_asked_for_once_for_each_request() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let states = world.states();
    states.request_resync(&world.connection(), world.now()).await.unwrap();
    states.request_resync(&world.connection(), world.now()).await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    world.sync().await;
    assert_eq!(world.status().await.counts.ends.unchanged, 30);
    assert_eq!(states.state(&world.connection()).await.unwrap().resync_requested, None);
    world.run_for(20).await;
    assert_eq!(world.status().await.counts.ends.unchanged, 30);
}

#[tokio::test]
async fn a_source_that_refuses_is_told_to_the_operator_and_asked_again() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let refusal = "no queue for you".to_owned();
    world.source.fault(Procedure::Enqueue, Some(AaFault::FailureStatus(refusal).into()));
    world.states().request_resync(&world.connection(), world.now()).await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    world.run_for(20).await;
    let status = world.status().await;
    assert_eq!(status.condition, Condition::Failing);
    assert!(status.error.as_ref().is_some_and(|error| error.message.starts_with("force enqueue: ")), "{status:?}");

    world.source.fault(Procedure::Enqueue, None);
    world.run_for(20).await;
    world.sync().await;
    assert_eq!(world.status().await.counts.ends.unchanged, 30);
    assert_eq!(world.states().state(&world.connection()).await.unwrap().resync_requested, None);
}
