//! Once an hour some customers are compared with their source: a queue that forgets to tell is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use simulators::association_anywhere::{AaFault, AaSettings, Fault, Poison, Procedure};
use store::{DriftState, PollPurpose, PollRequest, PollRequests, Shadow};
use tests::{AssociationAnywhereFixture, QUEUE_POLLS};
use verification::Suspect;

const A_MINUTE: Duration = Duration::from_secs(60);
const AN_HOUR: Duration = Duration::from_secs(3_600);

async fn world(customers: u64) -> AssociationAnywhereFixture {
    let settings = AaSettings { customers, ..AaSettings::default() };
    let world = AssociationAnywhereFixture::with(settings, "").await;
    world.sync().await;
    // The first plan only says when the first look is.
    look(&world).await;
    world.clock.advance(AN_HOUR);
    world.sync().await;
    world
}

/// Has the function do what is due for the look for drift.
async fn look(world: &AssociationAnywhereFixture) {
    let (sqs, clock, random) = (world.clients.sqs.clone(), world.clock.clone(), world.clients.random.clone());
    let request = PollRequest { purpose: PollPurpose::Look, connections: vec![world.connection()] };
    let requests = PollRequests::new(sqs, QUEUE_POLLS, clock, random);
    requests.send(vec![(0, request)], world.now() + A_MINUTE).await.unwrap();
    world.work_on(QUEUE_POLLS).await;
}

async fn state(world: &AssociationAnywhereFixture) -> DriftState<Suspect> {
    world.tables().drift.of(&world.connection()).await.unwrap()
}

async fn drifted(world: &AssociationAnywhereFixture) -> Vec<String> {
    state(world).await.drifted
}

/// Both looks, a while apart, with everything in sync in between.
async fn look_twice(world: &AssociationAnywhereFixture) {
    look(world).await;
    world.clock.advance(2 * A_MINUTE);
    world.sync().await;
    look(world).await;
}

async fn next_hour(world: &AssociationAnywhereFixture) {
    world.clock.advance(AN_HOUR);
    world.sync().await;
    look_twice(world).await;
}

#[tokio::test]
async fn drift_is_found_by_itself_within_the_customers_turn_and_stays_until_it_is_mended() {
    let world = world(50).await;
    world.source.change_unqueued([1_007, 1_033]);
    world.source.delete_unqueued(1_020);
    let mut found = BTreeSet::new();
    for _ in 0..3 {
        next_hour(&world).await;
        found = drifted(&world).await.into_iter().collect();
    }
    assert_eq!(found, BTreeSet::from(["1007", "1020", "1033"].map(str::to_owned)), "20 an hour, of 50");
    next_hour(&world).await;
    assert_eq!(drifted(&world).await.len(), 3, "they are looked at in every hour");
    assert_eq!(world.customer(1_020).await.unwrap().revision, 1, "nothing was changed by looking");
    for id in ["1007", "1020", "1033"] {
        world.failures().request_redrive(&world.connection(), id, world.now()).await.unwrap();
    }
    world.poll().await;
    world.work().await;
    world.sync().await;
    next_hour(&world).await;
    assert_eq!(drifted(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_queue_tells_a_little_later_is_no_drift() {
    let world = world(15).await;
    // The details show it before the queue does.
    world.source.change_unqueued([1_003]);
    look(&world).await;
    assert_eq!(state(&world).await.suspects.len(), 1);
    world.source.enqueue(1_003);
    world.clock.advance(A_MINUTE);
    look(&world).await;
    assert_eq!(state(&world).await.suspects.len(), 1, "the queue was not seen through since: it waits");
    world.sync().await;
    world.clock.advance(A_MINUTE);
    look(&world).await;
    let state = state(&world).await;
    assert_eq!((state.suspects.len(), state.drifted.len()), (0, 0));
}

#[tokio::test]
async fn it_is_looked_once_an_hour_however_many_messages_come() {
    let world = world(15).await;
    let details = || world.source.requests().details;
    let before = details();
    for _ in 0..50 {
        look(&world).await;
        world.clock.advance(A_MINUTE);
    }
    assert_eq!(details() - before, 1, "all agree, so there is no second look");
    world.clock.advance(10 * A_MINUTE);
    look(&world).await;
    look(&world).await;
    assert_eq!(details() - before, 2);
}

#[tokio::test]
async fn the_schedule_has_it_looked_at_by_itself_and_spreads_the_first_looks_over_an_hour() {
    let settings = AaSettings { customers: 15, ..AaSettings::default() };
    let world = AssociationAnywhereFixture::with(settings, "poll_seconds = 600").await;
    world.run_triggers_for(120).await;
    let before = world.source.requests().details;
    let planned = world.states().state(&world.connection()).await.unwrap().verify_at.unwrap();
    assert!(planned > world.now() - 2 * A_MINUTE && planned <= world.now() + AN_HOUR, "{planned}");
    world.source.change_unqueued([1_003]);
    world.run_triggers_for(3_600 + 1_500).await;
    assert!(world.source.requests().details > before);
    assert_eq!(drifted(&world).await, ["1003"]);
}

#[tokio::test]
async fn a_paused_connection_and_one_that_never_was_in_sync_are_not_looked_at() {
    let world = world(15).await;
    let before = world.source.requests();
    world.states().pause(&world.connection(), world.now()).await.unwrap();
    look(&world).await;
    assert_eq!(world.source.requests(), before);
    let settings = AaSettings { customers: 15, ..AaSettings::default() };
    let unsynced = AssociationAnywhereFixture::with(settings, "").await;
    look(&unsynced).await;
    assert_eq!(unsynced.states().state(&unsynced.connection()).await.unwrap().verify_at, None);
}

#[tokio::test]
async fn a_source_that_fails_is_left_alone_and_looked_at_again_soon() {
    let world = world(15).await;
    world.source.change_unqueued([1_003]);
    world.source.fault(Procedure::Details, Some(Fault::Status(503)));
    let before = world.source.requests().details;
    look(&world).await;
    look(&world).await;
    assert_eq!(world.source.requests().details - before, 1, "its pause is respected");
    let found = DriftState { narrowed: 1, ..DriftState::default() };
    assert_eq!(state(&world).await, found, "and nothing was found out");
    world.source.fault(Procedure::Details, None);
    world.clock.advance(6 * A_MINUTE);
    world.sync().await;
    look_twice(&world).await;
    assert_eq!(drifted(&world).await, ["1003"]);
}

#[tokio::test]
async fn a_customer_that_the_source_always_fails_at_hides_no_drift_of_others() {
    let world = world(50).await;
    let mut ids: Vec<u64> = (1_001..=1_050).collect();
    ids.sort_by_key(|id| Shadow::place_of(&id.to_string()));
    // One of the first that are looked at; one beside it, and one much later.
    world.source.poison(ids[3], Poison::ServerError);
    world.source.change_unqueued([ids[10], ids[40]]);
    let mut found = BTreeSet::new();
    for _ in 0..150 {
        world.clock.advance(6 * A_MINUTE);
        world.sync().await;
        look(&world).await;
        found = drifted(&world).await.into_iter().collect();
    }
    assert_eq!(found, BTreeSet::from([ids[10], ids[40]].map(|id| id.to_string())), "{:?}", state(&world).await);
}

#[tokio::test]
async fn one_that_has_drifted_and_that_the_source_fails_at_keeps_no_other_from_being_seen_to_agree() {
    let world = world(15).await;
    world.source.change_unqueued([1_003, 1_005]);
    look_twice(&world).await;
    assert_eq!(drifted(&world).await.len(), 2);
    world.source.poison(1_005, Poison::ServerError);
    world.failures().request_redrive(&world.connection(), "1003", world.now()).await.unwrap();
    for _ in 0..60 {
        world.clock.advance(6 * A_MINUTE);
        world.sync().await;
        look(&world).await;
    }
    assert_eq!(drifted(&world).await, ["1005"], "{:?}", state(&world).await);
}

#[tokio::test]
async fn drift_that_was_confirmed_is_forgotten_only_once_it_is_seen_to_agree() {
    let world = world(15).await;
    world.source.change_unqueued([1_003]);
    look_twice(&world).await;
    assert_eq!(drifted(&world).await, ["1003"]);
    world.clock.advance(AN_HOUR);
    world.sync().await;
    look(&world).await;
    assert_eq!(drifted(&world).await, ["1003"], "while it waits for its second look");
    world.source.fault(Procedure::Queue, Some(Fault::Status(404)));
    for _ in 0..130 {
        world.clock.advance(A_MINUTE);
        world.poll().await;
        look(&world).await;
        assert_eq!(drifted(&world).await, ["1003"]);
    }
    world.source.fault(Procedure::Queue, None);
    // It changes in every hour, and so is never twice the same.
    for _ in 0..3 {
        world.clock.advance(AN_HOUR);
        world.sync().await;
        look(&world).await;
        world.source.change_unqueued([1_003]);
        world.clock.advance(2 * A_MINUTE);
        world.sync().await;
        look(&world).await;
        assert_eq!(drifted(&world).await, ["1003"]);
    }
    world.source.enqueue(1_003);
    world.sync().await;
    next_hour(&world).await;
    assert_eq!(drifted(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_source_that_answers_with_nothing_has_not_lost_everybody() {
    let world = world(15).await;
    world.source.fault(Procedure::Details, Some(AaFault::Empty.into()));
    look_twice(&world).await;
    let state = state(&world).await;
    assert_eq!((state.compared, state.drifted.len()), (0, 0));
}

#[tokio::test]
async fn a_queue_that_is_never_seen_through_leaves_nobody_suspected_for_ever() {
    let world = world(15).await;
    world.source.change_unqueued([1_003]);
    look(&world).await;
    world.source.fault(Procedure::Queue, Some(Fault::Status(404)));
    for _ in 0..130 {
        world.clock.advance(A_MINUTE);
        world.poll().await;
        look(&world).await;
    }
    let state = state(&world).await;
    assert_eq!(state.drifted, Vec::<String>::new(), "whether the queue tells of it is not known");
    assert!(state.looked_at.unwrap() > world.now() - AN_HOUR, "it is looked at anew: {state:?}");
}

#[tokio::test]
async fn a_time_that_was_planned_by_a_clock_far_ahead_is_not_waited_for() {
    let world = world(15).await;
    let planned = world.states().state(&world.connection()).await.unwrap().verify_at;
    let far = world.now() + 1_000 * AN_HOUR;
    assert!(world.states().plan_verification(&world.connection(), planned, far).await.unwrap());
    let before = world.source.requests().details;
    look(&world).await;
    assert_eq!(world.source.requests().details - before, 1);
}
