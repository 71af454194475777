//! Destinations that take nothing for a while.

use std::collections::BTreeSet;
use std::time::Duration;

use operations::status::Condition;
use simulators::{business_catalyst, loyalty, webhook};
use tests::DestinationsFixture;

use crate::ALL;

async fn world() -> DestinationsFixture {
    let world = DestinationsFixture::with_customers(12).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world
}

fn take_down(world: &DestinationsFixture) {
    world.site.fault(business_catalyst::Operation::UpdateInsert, Some(business_catalyst::Fault::Status(503)));
    world.loyalty.fault(Some(loyalty::Fault::Status(500)));
    world.hook.fault(Some(webhook::Fault::Status(502)));
}

fn bring_up(world: &DestinationsFixture) {
    world.site.fault(business_catalyst::Operation::UpdateInsert, None);
    world.loyalty.fault(None);
    world.hook.fault(None);
}

#[tokio::test]
async fn an_hour_of_trouble_costs_an_hour_and_no_change() {
    let world = world().await;
    take_down(&world);
    world.source.change(1001..1007);
    world.source.delete(1008);
    world.sync().await;
    let mut waited = BTreeSet::new();
    for _ in 0..60 {
        world.minute().await;
        for id in ALL {
            waited.extend(world.destination(id).await.next_attempt_at.map(|_| id));
        }
    }
    for id in ALL {
        let status = world.destination(id).await;
        assert_eq!(status.condition, Condition::Failing, "{id}");
        assert!(status.failing_since.is_some() && waited.contains(id), "{id}: {status:?}");
        assert_eq!((status.waiting, status.failures), (7, 0), "{id}: nobody is to blame");
    }
    bring_up(&world);
    world.clock.advance(Duration::from_secs(3_600));
    world.minute().await;
    for id in ALL {
        let status = world.destination(id).await;
        assert_eq!((status.condition, status.waiting), (Condition::InSync, 0), "{id}: {status:?}");
    }
    assert!(world.loyalty.customer("aa~1008").is_some());
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_week_of_trouble_is_told_and_asks_no_more_than_once_an_hour_in_the_end() {
    let world = world().await;
    take_down(&world);
    world.source.change([1001]);
    world.sync().await;
    world.publish().await;
    let asked = |world: &DestinationsFixture| {
        (world.site.requests().update_insert, world.loyalty.requests().batches, world.hook.requests().received)
    };
    let mut last_day = asked(&world);
    for hour in 0..7 * 24 {
        if hour == 6 * 24 {
            last_day = asked(&world);
        }
        for _ in 0..2 {
            world.engine.tick().await;
            world.clock.advance(Duration::from_secs(66));
            world.work_on(tests::PUSH_REQUESTS).await;
            world.clock.advance(Duration::from_secs(1_800 - 66));
        }
    }
    let now = asked(&world);
    let in_a_day = [now.0 - last_day.0, now.1 - last_day.1, now.2 - last_day.2];
    assert!(in_a_day.iter().all(|requests| (10..=48).contains(requests)), "{in_a_day:?} requests in a day");
    bring_up(&world);
    world.clock.advance(Duration::from_secs(3_600));
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn one_that_is_down_is_no_others_trouble() {
    let world = world().await;
    world.loyalty.fault(Some(loyalty::Fault::Status(503)));
    world.source.change([1001]);
    world.sync().await;
    world.push().await;
    assert_eq!(world.destination("loyalty").await.condition, Condition::Failing);
    for id in ["site", "hook"] {
        assert_eq!(world.destination(id).await.condition, Condition::InSync, "{id}");
    }
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn one_that_flaps_gets_everything_in_the_end() {
    let world = world().await;
    for round in 0..10 {
        world.source.change(1001..1013);
        world.sync().await;
        world.hook.fault_times(webhook::Fault::Status(500), 1 + round % 3);
        world.loyalty.fault_times(loyalty::Fault::Malformed, 1);
        world.site.fault_times(business_catalyst::Operation::UpdateInsert, business_catalyst::Fault::CutBody, 1);
        world.push().await;
        world.minute().await;
    }
    for _ in 0..6 {
        world.minute().await;
    }
    world.assert_all_have_what_the_source_has().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, Vec::<String>::new(), "{id}");
    }
    assert_eq!(world.hook.requests().out_of_order, 0);
}

#[tokio::test]
async fn one_that_says_when_to_come_back_is_left_alone_until_then() {
    let world = world().await;
    world.hook.fault(Some(webhook::Fault::RetryAfter { status: 429, seconds: 600 }));
    world.source.change([1001]);
    world.sync().await;
    world.push().await;
    let asked = world.hook.requests().received;
    world.hook.fault(None);
    for _ in 0..9 {
        world.minute().await;
    }
    assert_eq!(world.hook.requests().received, asked);
    world.minute().await;
    world.minute().await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn one_that_is_gone_is_paused_until_it_is_resumed() {
    let world = world().await;
    world.hook.fault(Some(webhook::Fault::Status(410)));
    world.source.change([1001]);
    world.sync().await;
    world.push().await;
    let status = world.destination("hook").await;
    assert_eq!(status.condition, Condition::Paused);
    assert!(status.error.unwrap().message.contains("410"));
    let asked = world.hook.requests().received;
    world.minute().await;
    assert_eq!(world.hook.requests().received, asked, "it is paused");
    world.hook.fault(None);
    world.states().resume(&world.key("hook")).await.unwrap();
    world.minute().await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn one_that_hangs_is_given_up_after_its_time_and_tried_again() {
    let world = world().await;
    world.hook.fault(Some(webhook::Fault::Hang));
    world.source.change([1001]);
    world.sync().await;
    world.publish().await;
    let before = world.hook.requests().received;
    let clock = world.clock.clone();
    let pushed = world.work_on(tests::PUSH_REQUESTS);
    let passing = async {
        while world.hook.requests().received == before {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(16));
    };
    futures::future::join(pushed, passing).await;
    let status = world.destination("hook").await;
    assert_eq!(status.error.unwrap().message, "it did not answer within 15 s");
    world.hook.fault(None);
    world.minute().await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn credentials_that_are_not_taken_blame_no_customer() {
    let world = world().await;
    world.site.fault(business_catalyst::Operation::UpdateInsert, Some(business_catalyst::Fault::WrongCredentials));
    world.loyalty.fault(Some(loyalty::Fault::WrongCredentials));
    world.source.change(1001..1013);
    world.sync().await;
    world.push().await;
    for id in ["site", "loyalty"] {
        let status = world.destination(id).await;
        assert_eq!((status.condition, status.failures), (Condition::Failing, 0), "{id}: {status:?}");
    }
    let asked = world.loyalty.requests().batches;
    assert!(asked <= 14, "{asked} requests with a wrong password");
    bring_up(&world);
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn answers_that_are_hostile_are_trouble_and_no_more() {
    let world = world().await;
    for fault in [loyalty::Fault::Doctype, loyalty::Fault::NotXml, loyalty::Fault::Huge(50_000_000)] {
        world.loyalty.fault(Some(fault.clone()));
        world.source.change([1001]);
        world.sync().await;
        world.push().await;
        let status = world.destination("loyalty").await;
        assert_eq!((status.condition, status.failures), (Condition::Failing, 0), "{fault:?}");
        world.loyalty.fault(None);
        world.clock.advance(Duration::from_secs(3_600));
        world.minute().await;
        assert_eq!(world.destination("loyalty").await.condition, Condition::InSync, "{fault:?}");
    }
    world.loyalty.fault(Some(loyalty::LoyaltyFault::UnescapedAmpersand.into()));
    world.source.change([1001]);
    world.sync().await;
    world.push().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn trouble_is_over_if_what_was_waiting_is_nothing_for_the_destination_any_more() {
    let world = world().await;
    world.loyalty.fault(Some(loyalty::Fault::Status(503)));
    world.source.change([1003]);
    world.sync().await;
    world.push().await;
    assert!(world.destination("loyalty").await.failing_since.is_some());
    world.source.delete(1003);
    world.sync().await;
    for _ in 0..3 {
        world.minute().await;
    }
    let status = world.destination("loyalty").await;
    assert_eq!((status.condition, status.failing_since, status.waiting), (Condition::InSync, None, 0));
}
