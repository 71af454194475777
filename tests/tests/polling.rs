//! No function sleeps: a plan a minute sends delayed messages, each poll is short, and what stands in the tables
//! decides.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::ConnectionKey;
use operations::status::Condition;
use simulators::association_anywhere::{AaSettings, Fault, Procedure};
use simulators::business_catalyst::BcSettings;
use store::{PollPurpose, PollRequest, PollRequests};
use tests::{
    AssociationAnywhereFixture, BusinessCatalystFixture, CONTACT_POLLS, QUEUE_POLLS, TestDeployment, WORK_QUEUE,
};

const ONE_SECOND: Duration = Duration::from_secs(1);

async fn polled_every(seconds: u32, customers: u64) -> AssociationAnywhereFixture {
    let settings = AaSettings { customers, ..AaSettings::default() };
    AssociationAnywhereFixture::with(settings, &format!("poll_seconds = {seconds}")).await
}

/// Sends a request to poll `acme/aa`, to be delivered at once.
async fn request(world: &TestDeployment, purpose: PollPurpose) {
    let (sqs, clock, random) = (world.clients.sqs.clone(), world.clock.clone(), world.clients.random.clone());
    let requests = PollRequests::new(sqs, QUEUE_POLLS, clock, random);
    let request = PollRequest { purpose, connections: vec![ConnectionKey::new("acme", "aa")] };
    requests.send(vec![(0, request)], world.now() + ONE_SECOND).await.unwrap();
}

#[tokio::test]
async fn a_source_is_asked_at_its_pace_and_a_plan_that_is_carried_out_twice_asks_no_more() {
    let world = polled_every(5, 0).await;
    world.run_triggers_for(600).await;
    assert_eq!(world.source.requests().queue, 120, "every 5 seconds for 10 minutes");
    for _ in 0..5 {
        world.engine.tick().await;
        world.engine.tick().await;
        world.run_triggers_for(60).await;
    }
    assert_eq!(world.source.requests().queue, 180);
}

#[tokio::test]
async fn a_source_that_may_be_asked_once_an_hour_is_asked_once_an_hour_whatever_it_has() {
    let world = polled_every(3_600, 250).await;
    world.run_triggers_for(120).await;
    assert_eq!(world.status().await.condition, Condition::InSync, "the batch is done within its minute");
    // One to read the queue, and one before it is purged.
    assert_eq!(world.source.requests().queue, 2);
    world.source.change([1_001]);
    world.run_triggers_for(3_400).await;
    assert_eq!(world.source.requests().queue, 2);
    world.run_triggers_for(240).await;
    assert_eq!(world.source.requests().queue, 4);
    assert_eq!(world.source.queue_len(), 0);
}

#[tokio::test]
async fn a_site_is_listed_at_its_pace() {
    let site = BusinessCatalystFixture::with_contacts(3).await;
    // By then no contact has changed within the overlap of two listings.
    site.run_triggers_for(600).await;
    let asked = site.source.listings().len();
    site.run_triggers_for(600).await;
    assert_eq!(site.source.listings().len() - asked, 10, "every minute");
}

#[tokio::test]
async fn no_function_waits_in_an_idle_hour() {
    let world = polled_every(5, 0).await;
    let site = BusinessCatalystFixture::with_contacts(3).await;
    for world in [&*world, &*site] {
        // What is there is synced by then.
        world.run_triggers_for(660).await;
        for second in 0..3_600 {
            let began = world.now();
            if second % 60 == 0 {
                world.engine.tick().await;
            }
            for queue in [QUEUE_POLLS, CONTACT_POLLS] {
                world.work_on(queue).await;
            }
            assert_eq!(world.now(), began, "a function waited");
            world.clock.advance(ONE_SECOND);
        }
    }
}

#[tokio::test]
async fn an_idle_poll_costs_two_glances_and_one_write() {
    let world = polled_every(5, 0).await;
    world.run_triggers_for(10).await;
    world.queues.purge(QUEUE_POLLS);
    world.store_budget.set(1_000);
    let polls = world.source.requests().queue;
    request(&world, PollPurpose::Due).await;
    world.work_on(QUEUE_POLLS).await;
    assert_eq!(world.source.requests().queue, polls + 1);
    assert_eq!(world.store_budget.left(), 997);
}

#[tokio::test]
async fn the_worker_that_settles_the_last_chunk_has_the_batch_acknowledged_at_once() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    world.work().await;
    assert_eq!(world.source.queue_len(), 250);
    // Nothing but the message of that worker.
    world.work_on(QUEUE_POLLS).await;
    assert_eq!(world.source.queue_len(), 0);
    assert_eq!(world.status().await.condition, Condition::InSync);
}

#[tokio::test]
async fn a_look_at_a_batch_acknowledges_it_and_asks_for_no_more() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.poll().await;
    world.work().await;
    world.source.change([1_001]);
    request(&world, PollPurpose::Batch).await;
    world.work_on(QUEUE_POLLS).await;
    assert_eq!(world.source.queue_len(), 1, "the batch is acknowledged");
    assert!(world.status().await.batch.is_none(), "and none follows it: messages would lead to each other");
    assert_eq!(world.queues.depth(WORK_QUEUE), 0);
}

#[tokio::test]
async fn messages_that_are_lost_cost_no_more_than_the_next_look() {
    let world = polled_every(5, 250).await;
    world.engine.tick().await;
    world.work_on(QUEUE_POLLS).await;
    assert_eq!(world.queues.depth(WORK_QUEUE), 3);
    for queue in [QUEUE_POLLS, WORK_QUEUE] {
        world.queues.purge(queue);
    }
    world.run_triggers_for(60).await;
    assert_eq!(world.source.queue_len(), 0);
    assert_eq!(world.status().await.counts.ends.written, 250);
}

#[tokio::test]
async fn what_an_operator_sends_again_is_seen_by_the_next_poll_of_an_idle_connection() {
    let world = polled_every(5, 3).await;
    world.run_triggers_for(20).await;
    let details = world.source.requests().details;
    world.failures().request_redrive(&world.connection(), "1001", world.now()).await.unwrap();
    world.run_triggers_for(6).await;
    assert_eq!(world.source.requests().details, details + 1);
}

#[tokio::test]
async fn a_request_that_comes_while_a_poll_is_under_way_is_not_missed() {
    let world = polled_every(5, 0).await;
    world.run_triggers_for(5).await;
    let (states, key) = (world.states(), world.connection());
    let seen = states.lease(&key, "a poller", world.now(), world.now() + ONE_SECOND).await.unwrap().unwrap();
    world.failures().request_redrive(&key, "1001", world.now()).await.unwrap();
    let departure =
        store::Departure { due_at: Some(world.now()), idle_since: Some(world.now()), ..store::Departure::default() };
    states.leave(&key, "a poller", &seen, &departure).await.unwrap();
    assert_eq!(states.state(&key).await.unwrap().idle_since, None);
}

/// Its command leaves a redrive request, and no trace of it in the connection's state.
#[tokio::test]
async fn a_redrive_that_the_release_before_requested_is_seen_within_a_quarter_of_an_hour() {
    let world = polled_every(5, 3).await;
    world.run_triggers_for(20).await;
    let details = world.source.requests().details;
    let item = [("connection", "acme/aa"), ("entry", "redrive/1001")];
    let item = item.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let put = world.clients.dynamodb.put_item().table_name(tests::CONTROL_TABLE).set_item(Some(item.into()));
    put.item("requested_at", AttributeValue::N("1767225620000".to_owned())).send().await.unwrap();
    world.run_triggers_for(960).await;
    assert_eq!(world.source.requests().details, details + 1);
}

#[tokio::test]
async fn one_fault_of_a_source_that_is_asked_once_an_hour_costs_no_hour() {
    for procedure in [Procedure::Queue, Procedure::Purge] {
        let world = polled_every(3_600, 3).await;
        world.source.fault_times(procedure, Fault::Status(503), 1);
        world.run_triggers_for(150).await;
        assert_eq!(world.status().await.condition, Condition::InSync, "{procedure:?}: {:?}", world.status().await);
        assert_eq!(world.source.queue_len(), 0, "{procedure:?}");
    }
    let world = polled_every(3_600, 3).await;
    world.run_triggers_for(60).await;
    world.source.change([1_001]);
    world.source.fault_times(Procedure::Queue, Fault::Status(503), 1);
    // Idle by then, and due.
    world.run_triggers_for(3_780).await;
    assert_eq!((world.source.requests().faulted, world.source.queue_len()), (1, 0));
}

#[tokio::test]
async fn a_poll_of_a_source_that_is_asked_once_an_hour_may_die_and_costs_no_hour() {
    for requests in 0..40 {
        let world = polled_every(3_600, 30).await;
        world.engine.tick().await;
        world.store_budget.set(requests);
        world.work_on(QUEUE_POLLS).await;
        world.store_budget.set(i64::MAX);
        world.run_triggers_for(150).await;
        assert_eq!(world.source.queue_len(), 0, "died after {requests} requests: {:?}", world.status().await);
    }
}

#[tokio::test]
async fn a_poll_that_dies_with_an_operators_request_in_hand_costs_no_hour() {
    for requests in 0..40 {
        let world = polled_every(3_600, 30).await;
        world.run_triggers_for(60).await;
        let details = world.source.requests().details;
        world.states().request_resync(&world.connection(), world.now()).await.unwrap();
        world.engine.tick().await;
        world.store_budget.set(requests);
        world.work_on(QUEUE_POLLS).await;
        world.store_budget.set(i64::MAX);
        world.run_triggers_for(150).await;
        let state = world.states().state(&world.connection()).await.unwrap();
        assert_eq!((state.resync_requested, world.source.queue_len()), (None, 0), "died after {requests} requests");
        assert!(world.source.requests().details > details, "died after {requests} requests");
    }
}

#[tokio::test]
async fn a_source_that_is_asked_every_second_is_asked_no_more_often_by_two_plans() {
    let world = polled_every(1, 0).await;
    world.run_triggers_for(2).await;
    let asked = world.source.requests().queue;
    for half in 0..120 {
        if half < 2 {
            world.engine.tick().await;
        }
        world.work_on(QUEUE_POLLS).await;
        world.clock.advance(ONE_SECOND / 2);
    }
    let asked = world.source.requests().queue - asked;
    assert!((55..=62).contains(&asked), "{asked} times in a minute");
}

#[tokio::test]
async fn a_worker_that_keeps_up_with_a_listing_asks_for_no_poll() {
    let site = BusinessCatalystFixture::with_contacts(250).await;
    site.source.fault_on_page(180, Some(simulators::business_catalyst::Fault::Status(503)));
    site.poll().await;
    site.work().await;
    assert!(site.status().await.batch.unwrap().listing);
    assert_eq!(site.queues.depth(CONTACT_POLLS), 2, "the looks that were asked for when the batch was opened");
}

#[tokio::test]
async fn a_resync_does_not_wait_until_an_hour_has_passed() {
    let site = BusinessCatalystFixture::with(
        BcSettings { contacts: 3, ..BcSettings::default() },
        "UTC",
        "poll_seconds = 3600",
    )
    .await;
    site.run_triggers_for(60).await;
    let asked = site.source.listings().len();
    site.states().request_resync(&site.connection(), site.now()).await.unwrap();
    site.run_triggers_for(60).await;
    assert!(site.source.listings().len() > asked);
    assert_eq!(site.states().state(&site.connection()).await.unwrap().resync_requested, None);
}

#[tokio::test]
async fn a_source_that_hangs_is_asked_once_at_a_time() {
    let world = polled_every(1, 0).await;
    world.run_triggers_for(5).await;
    world.queues.purge(QUEUE_POLLS);
    world.source.fault(Procedure::Queue, Some(Fault::Hang));
    world.clock.advance(ONE_SECOND);
    let asked = world.source.requests().queue;
    let until_asked = async |times: u64| {
        while world.source.requests().queue < asked + times {
            tokio::task::yield_now().await;
        }
    };
    request(&world, PollPurpose::Due).await;
    let story = async {
        until_asked(1).await;
        // It does not answer quickly: from now on it is asked under the lease.
        world.clock.advance(Duration::from_secs(2));
        until_asked(2).await;
        for _ in 0..8 {
            world.clock.advance(ONE_SECOND / 2);
            request(&world, PollPurpose::Due).await;
            world.work_on(QUEUE_POLLS).await;
        }
        assert_eq!(world.source.requests().queue, asked + 2);
        loop {
            tokio::task::yield_now().await;
            world.clock.advance(ONE_SECOND / 10);
        }
    };
    tokio::select! {
        () = world.work_on(QUEUE_POLLS) => {}
        () = story => {}
    }
    assert_eq!(world.status().await.condition, Condition::Failing);
    world.source.fault(Procedure::Queue, None);
    world.run_triggers_for(60).await;
    assert_eq!(world.status().await.condition, Condition::InSync);
}

#[tokio::test]
async fn a_poll_that_dies_at_any_of_its_requests_to_the_store_is_made_good_by_those_that_follow() {
    for requests in 0..40 {
        let world = polled_every(5, 120).await;
        world.run_triggers_for(2).await;
        world.source.change([1_001, 1_002]);
        world.clock.advance(Duration::from_secs(5));
        world.store_budget.set(requests);
        request(&world, PollPurpose::Due).await;
        world.work_on(QUEUE_POLLS).await;
        world.work_on(WORK_QUEUE).await;
        world.store_budget.set(i64::MAX);
        world.run_triggers_for(60).await;
        assert_eq!(world.status().await.condition, Condition::InSync, "died after {requests} requests");
        assert_eq!(world.source.queue_len(), 0, "died after {requests} requests");
        world.assert_shadow_is_the_sources([1_001, 1_002, 1_003]).await;
    }
}
