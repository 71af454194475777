//! A resync of Association Anywhere that an operator asked for, and that the poller carries out.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use local_aws::{Answer, Call, Interference};
use operations::forgetting::{ForgetError, Forgetting};
use operations::status::Condition;
use simulators::association_anywhere::{AaFault, Procedure};
use store::{ConnectionRegistry, Registration};
use tests::{AssociationAnywhereFixture, SHADOW_TABLE};

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

/// Invariant 9: what changes does not wait for a request that the source always refuses.
#[tokio::test]
async fn changes_arrive_though_the_source_refuses_to_put_everybody_into_its_queue() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.source.fault(Procedure::Enqueue, Some(AaFault::FailureStatus("no".to_owned()).into()));
    world.states().request_resync(&world.connection(), world.now()).await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    for id in [1003, 1004, 1005] {
        world.source.change([id]);
        world.run_for(120).await;
        let name = world.customer(id).await.unwrap().content.name.display;
        assert_eq!(name, world.source.display_name(id), "{id}");
        let status = world.status().await;
        assert!(status.error.is_some_and(|error| error.message.starts_with("force enqueue: ")), "{id}");
    }
    // At once, and after 5, 15, 35, 75, 155 and 315 seconds.
    assert_eq!(world.source.requests().enqueue, 7);
    // A clock that was off by years.
    let far = world.now() + Duration::from_secs(70 * 365 * 86_400);
    world.states().resync_refused(&world.connection(), far).await.unwrap();
    world.run_for(20).await;
    assert_eq!(world.source.requests().enqueue, 8);
    world.source.fault(Procedure::Enqueue, None);
    world.states().request_resync(&world.connection(), world.now()).await.unwrap();
    world.clock.advance(Duration::from_secs(5));
    world.sync().await;
    let state = world.states().state(&world.connection()).await.unwrap();
    assert_eq!((state.resync_requested, state.error), (None, None), "a new request is made at once");
    assert_eq!(world.status().await.counts.ends.unchanged, 30);
}

/// Registers a connection while its records are removed.
#[derive(Debug)]
struct AppliedMeanwhile(ConnectionRegistry, Registration);

impl Interference for AppliedMeanwhile {
    fn before<'a>(&'a self, _: Call<'a>) -> BoxFuture<'a, Option<Answer>> {
        async { None }.boxed()
    }

    fn after<'a>(&'a self, call: Call<'a>, _: &'a Answer) -> BoxFuture<'a, Option<Answer>> {
        async move {
            if call.operation == "Scan" && String::from_utf8_lossy(call.body).contains(SHADOW_TABLE) {
                self.0.put(&self.1).await.unwrap();
            }
            None
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_connection_that_is_registered_again_while_it_is_forgotten_gets_everybody_anew() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    world.connections().remove(&world.connection()).await.unwrap();
    world.clock.advance(Duration::from_secs(600));
    let applied = Arc::new(AppliedMeanwhile(world.connections(), registration));
    let tables = world.tables_with(world.database.client_through(applied), world.clock.clone());
    let deadline = world.now() + Duration::from_secs(60);
    let refused = Forgetting::new(&tables).carry_out(&world.connection(), deadline).await.unwrap_err();
    assert!(matches!(refused, ForgetError::RegisteredMeanwhile), "{refused}");
    assert_eq!(world.shadow().existing(&world.connection()).await.unwrap().len(), 0);
    world.clock.advance(Duration::from_secs(120));
    world.run_for(60).await;
    assert_eq!(world.shadow().existing(&world.connection()).await.unwrap().len(), 20);
}
