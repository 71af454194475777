//! Who is to blame: nobody, if the destination is; and no more than it costs to find that out.

use std::time::Duration;

use simulators::loyalty;
use simulators::webhook::{self, WebhookFault};
use tests::DestinationsFixture;

use crate::standing::{change, minutes, world};

/// None of the destinations takes these customers, unless they did before.
fn refuse(world: &DestinationsFixture, ids: impl Iterator<Item = u64>, status: u16, poison: loyalty::Poison) {
    for id in world.ids(ids) {
        world.hook.refuse(&id, status);
        world.loyalty.poison(&id, poison);
        world.site.refuse_external_id(&id);
    }
}

fn accept(world: &DestinationsFixture, ids: impl Iterator<Item = u64>) {
    for id in world.ids(ids) {
        world.hook.accept(&id);
        world.loyalty.heal(&id);
        world.site.accept_external_id(&id);
    }
}

#[tokio::test]
async fn a_receiver_that_takes_one_event_at_a_time_blames_nobody_when_it_comes_back() {
    let world = DestinationsFixture::with_customers(100).await;
    world.add(&["hook"], "").await;
    minutes(&world, 1).await;
    world.hook.fault(Some(webhook::Fault::Status(502)));
    change(&world, 1001..1101).await;
    minutes(&world, 20).await;
    world.hook.fault(Some(WebhookFault::OneAtATime(Duration::from_millis(2)).into()));
    minutes(&world, 30).await;
    assert_eq!(world.destination("hook").await.counts.failed, 0);
    world.assert_hook_has_what_the_source_has().await;
    // Neither does it cost much time if it was not down before.
    change(&world, 1001..1101).await;
    minutes(&world, 3).await;
    assert_eq!(world.destination("hook").await.counts.failed, 0);
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_all_events_blames_nobody_whatever_it_answers() {
    for status in [400, 405, 409, 422] {
        let world = world().await;
        world.hook.fault(Some(webhook::Fault::Status(status)));
        change(&world, 1001..1041).await;
        minutes(&world, 30).await;
        let stands = world.destination("hook").await;
        assert_eq!((stands.counts.failed, stands.waiting), (0, 40), "{status}");
        world.hook.fault(None);
        world.clock.advance(Duration::from_secs(3_600));
        minutes(&world, 1).await;
        world.assert_hook_has_what_the_source_has().await;
    }
}

#[tokio::test]
async fn events_that_a_receiver_refuses_together_with_what_it_took_before_stop_nobody_for_good() {
    let world = world().await;
    change(&world, 1038..1041).await;
    minutes(&world, 1).await;
    // It asks for something now that most of them do not have.
    for id in world.ids((1001..1031).chain(1038..1041)) {
        world.hook.refuse(&id, 422);
    }
    change(&world, 1001..1038).await;
    minutes(&world, 8).await;
    assert_eq!(world.refused_by("hook").await, world.ids(1001..1031));
    assert_eq!(world.destination("hook").await.waiting, 0);
}

#[tokio::test]
async fn the_only_customer_is_a_failure_if_a_receiver_refuses_it() {
    let world = DestinationsFixture::with_customers(1).await;
    world.hook.refuse("aa~1001", 422);
    world.add(&["hook"], "").await;
    minutes(&world, 1).await;
    assert_eq!(world.refused_by("hook").await, ["aa~1001"]);
    assert_eq!(world.destination("hook").await.error, None);
}

#[tokio::test]
async fn a_week_in_which_a_receiver_takes_only_what_it_remembers_blames_few() {
    let world = world().await;
    change(&world, 1038..1041).await;
    minutes(&world, 1).await;
    // It acknowledges the events that it has, and can store no others.
    refuse(&world, 1001..1041, 500, loyalty::Poison::Status(500));
    change(&world, 1001..1031).await;
    for _ in 0..7 * 24 * 2 {
        world.clock.advance(Duration::from_secs(1_800 - 60));
        minutes(&world, 1).await;
    }
    let status = world.destination("hook").await;
    assert!(status.counts.failed <= 8 && status.waiting >= 22, "{status:?}");
    accept(&world, 1001..1041);
    world.clock.advance(Duration::from_secs(3_600));
    minutes(&world, 1).await;
    assert_eq!(world.destination("hook").await.waiting, 0);
}
