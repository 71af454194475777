//! Destinations that stand at something: at customers that they fail at, at too many at once, at what they ask for only
//! now. What else there is goes on.

use std::collections::HashMap;
use std::time::Duration;

use simulators::{loyalty, webhook};
use tests::DestinationsFixture;

use crate::ALL;

type Item = HashMap<String, aws_sdk_dynamodb::types::AttributeValue>;

pub(super) async fn world() -> DestinationsFixture {
    let world = DestinationsFixture::with_customers(40).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world
}

/// The source changes these customers, and the feed tells of it.
pub(super) async fn change(world: &DestinationsFixture, ids: impl IntoIterator<Item = u64>) {
    world.source.change(ids);
    // Boxed: the compiler follows futures within futures only so far.
    Box::pin(world.sync()).await;
    Box::pin(world.publish()).await;
}

pub(super) async fn minutes(world: &DestinationsFixture, count: u32) {
    for _ in 0..count {
        Box::pin(world.minute()).await;
    }
}

pub(super) async fn name(world: &DestinationsFixture, id: u64) -> Option<String> {
    world.customer(id).await.unwrap().content.name.display
}

#[tokio::test]
async fn a_customer_that_a_new_destination_fails_at_is_found_while_others_change_all_the_time() {
    let world = DestinationsFixture::with_customers(40).await;
    world.loyalty.poison("aa~1007", loyalty::Poison::Status(500));
    world.hook.refuse("aa~1007", 500);
    world.add(&["loyalty", "hook"], "").await;
    for _ in 0..25 {
        change(&world, [1001]).await;
        world.minute().await;
    }
    for id in ["loyalty", "hook"] {
        assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}");
        let status = world.destination(id).await;
        assert_eq!((status.listed_percent, status.error), (100, None), "{id}");
    }
    assert_eq!(world.loyalty.codes().len(), 39);
    assert_eq!(world.hook.ids().len(), 39);
}

#[tokio::test]
async fn many_events_in_a_row_that_a_receiver_fails_at_cost_themselves() {
    let world = world().await;
    for id in 1001..1031 {
        world.hook.refuse(&format!("aa~{id}"), 500);
    }
    change(&world, 1001..1041).await;
    minutes(&world, 15).await;
    assert_eq!(world.refused_by("hook").await, world.ids(1001..1031));
    for id in 1031..1041 {
        assert_eq!(world.names(id)[2], name(&world, id).await, "aa~{id}");
    }
}

#[tokio::test]
async fn a_redrive_of_one_that_a_receiver_fails_at_holds_up_nobody_and_comes_to_an_end() {
    let world = world().await;
    world.hook.refuse("aa~1007", 500);
    change(&world, [1007]).await;
    minutes(&world, 12).await;
    assert_eq!(world.refused_by("hook").await, ["aa~1007"]);
    world.failures().request_redrive(&world.key("hook"), "aa~1007", world.now()).await.unwrap();
    minutes(&world, 2).await;
    change(&world, [1002]).await;
    world.push().await;
    assert_eq!(world.names(1002)[2], name(&world, 1002).await, "it does not wait with the redrive");
    minutes(&world, 12).await;
    assert_eq!(world.refused_by("hook").await, ["aa~1007"]);
    assert!(world.failures().redrive_requests(&world.key("hook")).await.unwrap().is_empty());
    assert_eq!(world.destination("hook").await.failing_since, None);
}

#[tokio::test]
async fn a_gateway_that_gives_up_at_one_customer_costs_that_customer() {
    for (status, most) in [(504, 12), (503, 60)] {
        let world = world().await;
        world.hook.refuse("aa~1007", status);
        change(&world, 1001..1041).await;
        minutes(&world, most).await;
        assert_eq!(world.refused_by("hook").await, ["aa~1007"], "{status}");
        assert_eq!(world.destination("hook").await.waiting, 0, "{status}");
    }
}

#[tokio::test]
async fn one_that_was_taken_and_is_refused_now_is_no_proof_against_the_destination() {
    let world = world().await;
    change(&world, [1038]).await;
    change(&world, [1039]).await;
    change(&world, [1040]).await;
    minutes(&world, 1).await;
    // It asks for something now that the last of them does not have, and then that none of the last three has.
    world.loyalty.poison("aa~1040", loyalty::Poison::WholeBatchError);
    world.loyalty.poison("aa~1007", loyalty::Poison::WholeBatchError);
    change(&world, [1007]).await;
    minutes(&world, 1).await;
    assert_eq!(world.refused_by("loyalty").await, ["aa~1007"]);
    world.loyalty.poison("aa~1038", loyalty::Poison::WholeBatchError);
    world.loyalty.poison("aa~1039", loyalty::Poison::WholeBatchError);
    world.loyalty.poison("aa~1008", loyalty::Poison::WholeBatchError);
    change(&world, 1008..1020).await;
    minutes(&world, 8).await;
    assert_eq!(world.refused_by("loyalty").await, ["aa~1007", "aa~1008"]);
    assert_eq!(world.destination("loyalty").await.waiting, 0);
}

#[tokio::test]
async fn a_receiver_that_does_not_know_us_for_a_while_blames_nobody() {
    for status in [401, 403, 404] {
        let world = world().await;
        world.hook.fault(Some(webhook::Fault::Status(status)));
        for _ in 0..10 {
            change(&world, [1003, 1004]).await;
            world.minute().await;
        }
        assert_eq!(world.refused_by("hook").await, Vec::<String>::new(), "{status}");
        world.hook.fault(None);
        minutes(&world, 60).await;
        world.assert_hook_has_what_the_source_has().await;
        // If it is one of them that it does not know, that one is to blame.
        world.hook.refuse("aa~1007", status);
        change(&world, [1007]).await;
        world.push().await;
        assert_eq!(world.refused_by("hook").await, ["aa~1007"], "{status}");
    }
}

#[tokio::test]
async fn a_service_that_takes_few_at_once_gets_everybody_soon() {
    let busy = loyalty::Fault::RetryAfter { status: 503, seconds: 20 };
    for fault in [loyalty::Fault::Status(500), loyalty::Fault::Status(408), busy] {
        let world = DestinationsFixture::with_customers(600).await;
        world.loyalty.fail_above(Some((40, fault.clone())));
        world.add(&["loyalty"], "").await;
        minutes(&world, 12).await;
        assert_eq!(world.loyalty.codes().len(), 600, "{fault:?}");
        let requests = world.loyalty.requests().batches;
        assert!(requests < 60, "{requests} requests, {fault:?}");
        assert_eq!(world.refused_by("loyalty").await, Vec::<String>::new(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_resync_tells_what_was_deleted_and_sends_nobody_twice() {
    let world = world().await;
    world.source.delete(1002);
    world.sync().await;
    world.push().await;
    minutes(&world, 2).await;
    let before = world.hook.events().len();
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    minutes(&world, 2).await;
    let since = world.hook.events().split_off(before);
    let deleted = since.iter().filter(|event| event.subject == "aa~1002").count();
    assert_eq!((since.len(), deleted), (40, 1), "39 who live, and the one that does not");
}

#[tokio::test]
async fn one_that_was_paused_for_longer_than_the_feed_is_kept_begins_with_everybody() {
    let world = world().await;
    world.states().pause(&world.key("hook"), world.now()).await.unwrap();
    world.minute().await;
    let paused_at = world.now().as_millisecond();
    change(&world, [1005]).await;
    let missed = name(&world, 1005).await;
    world.clock.advance(Duration::from_secs(91 * 86_400));
    // What is too old is gone, and its lane looks as if nothing had come after what was read.
    let feed = world.clients.dynamodb.scan().table_name(tests::FEED_TABLE).send().await.unwrap().items.unwrap();
    let is_late =
        |item: &&Item| item.get("at").is_some_and(|at| at.as_n().unwrap().parse::<i64>().unwrap() > paused_at);
    for item in feed.iter().filter(is_late) {
        let key = ["log", "entry"].map(|name| (name.to_owned(), item[name].clone()));
        let delete = world.clients.dynamodb.delete_item().table_name(tests::FEED_TABLE).set_key(Some(key.into()));
        delete.send().await.unwrap();
    }
    world.states().resume(&world.key("hook")).await.unwrap();
    minutes(&world, 2).await;
    assert_eq!(world.names(1005)[2], missed);
    let received = world.hook.requests().received;
    minutes(&world, 3).await;
    assert_eq!(world.hook.requests().received, received, "once");
}

#[tokio::test]
async fn a_change_during_a_resync_is_sent_though_an_older_one_stands_before_it() {
    let world = world().await;
    for _ in 0..3 {
        change(&world, 1001..1041).await;
    }
    minutes(&world, 5).await;
    // The listing stands at one of them, and those before it change meanwhile.
    world.hook.refuse("aa~1007", 503);
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    world.look_at("hook").await;
    change(&world, 1001..1041).await;
    world.source.delete(1002);
    world.sync().await;
    world.source.create(1002);
    world.sync().await;
    world.hook.accept("aa~1007");
    minutes(&world, 4).await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_receiver_that_fails_now_and_then_blames_no_event() {
    let world = world().await;
    change(&world, 1001..1041).await;
    for failing in [8, 8, 8, 10, 3, 1] {
        world.hook.fault_times(webhook::Fault::Status(502), failing);
        minutes(&world, 2).await;
    }
    minutes(&world, 3).await;
    assert_eq!(world.destination("hook").await.counts.failed, 0);
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn the_feed_goes_on_every_minute_while_a_redrive_waits() {
    let world = world().await;
    for id in ["loyalty", "hook"] {
        world.failures().request_redrive(&world.key(id), "aa~1007", world.now()).await.unwrap();
    }
    // Busy at that customer alone, which passes by itself: for long, nobody is blamed.
    world.hook.refuse("aa~1007", 503);
    world.loyalty.poison("aa~1007", loyalty::Poison::Status(500));
    minutes(&world, 6).await;
    world.source.change(1010..1041);
    world.sync().await;
    world.publish().await;
    // The hints are lost.
    world.queues.purge(tests::PUSH_REQUESTS);
    minutes(&world, 2).await;
    for id in 1010..1041 {
        assert_eq!(world.names(id)[2], name(&world, id).await, "aa~{id}");
    }
    assert_eq!(world.destination("loyalty").await.waiting, 0);
}

#[tokio::test]
async fn a_new_destination_that_does_not_take_what_changed_last_gets_everybody_else() {
    for (status, poison) in [
        (500, loyalty::Poison::Status(500)),
        (404, loyalty::Poison::WholeBatchError),
        (422, loyalty::Poison::RowDropped),
    ] {
        let world = DestinationsFixture::with_customers(40).await;
        world.publish().await;
        world.clock.advance(Duration::from_secs(600));
        world.hook.refuse("aa~1007", status);
        world.loyalty.poison("aa~1007", poison);
        world.site.refuse_external_id("aa~1007");
        change(&world, [1007]).await;
        world.add(&ALL, "").await;
        minutes(&world, 25).await;
        for id in ALL {
            let stands = world.destination(id).await;
            assert_eq!((stands.listed_percent, stands.waiting), (100, 0), "{id}, {status}");
            assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}, {status}");
        }
    }
}

#[tokio::test]
async fn whatever_an_operator_asks_for_ends_the_wait_of_all_parts() {
    for asked in ["resume", "resync", "redrive"] {
        for fault in [webhook::Fault::RetryAfter { status: 429, seconds: 3_600 }, webhook::Fault::Status(502)] {
            let world = world().await;
            world.hook.fault(Some(fault.clone()));
            change(&world, [1001, 1002]).await;
            minutes(&world, 20).await;
            world.hook.fault(None);
            let key = world.key("hook");
            match asked {
                "resume" => {
                    world.states().pause(&key, world.now()).await.unwrap();
                    world.states().resume(&key).await.unwrap();
                }
                "resync" => world.states().request_resync(&key, world.now()).await.unwrap(),
                _ => world.failures().request_redrive(&key, "aa~1003", world.now()).await.unwrap(),
            }
            world.look_at("hook").await;
            world.assert_hook_has_what_the_source_has().await;
        }
    }
}

#[tokio::test]
async fn a_receiver_that_takes_what_it_knows_and_nothing_new_blames_few() {
    let world = world().await;
    for id in 1001..1041 {
        world.hook.refuse(&format!("aa~{id}"), 500);
        world.loyalty.poison(&format!("aa~{id}"), loyalty::Poison::Status(500));
    }
    change(&world, 1001..1038).await;
    // What it took last, it takes again.
    for id in 1038..1041 {
        world.hook.accept(&format!("aa~{id}"));
        world.loyalty.heal(&format!("aa~{id}"));
    }
    minutes(&world, 10).await;
    for id in ["hook", "loyalty"] {
        let status = world.destination(id).await;
        assert!(status.counts.failed < 20 && status.waiting > 15, "{id}: {status:?}");
    }
}

#[tokio::test]
async fn the_longest_wait_that_any_event_was_answered_with_counts() {
    let world = world().await;
    world.hook.refuse("aa~1001", 500);
    world.hook.fault_times(webhook::Fault::RetryAfter { status: 502, seconds: 600 }, 1);
    change(&world, [1001, 1002]).await;
    world.push().await;
    let received = world.hook.requests().received;
    minutes(&world, 8).await;
    assert_eq!(world.hook.requests().received, received);
}

#[tokio::test]
async fn changes_are_sent_once_while_the_listing_of_a_new_destination_stands() {
    let world = DestinationsFixture::with_customers(40).await;
    world.publish().await;
    world.clock.advance(Duration::from_secs(600));
    world.hook.fault(Some(webhook::Fault::Status(503)));
    world.add(&["hook"], "").await;
    minutes(&world, 8).await;
    world.hook.fault(None);
    for id in (1001..1041).filter(|id| *id > 1006) {
        world.hook.refuse(&format!("aa~{id}"), 503);
    }
    for id in 1001..1006 {
        change(&world, [id]).await;
        world.push().await;
    }
    let requests = world.hook.requests();
    assert_eq!((requests.repeated, requests.out_of_order), (0, 0), "{requests:?}");
}

#[tokio::test]
async fn one_that_wants_to_be_left_alone_is_left_alone_by_all_parts() {
    let world = DestinationsFixture::with_customers(4).await;
    world.hook.fault_times(webhook::Fault::RetryAfter { status: 429, seconds: 600 }, 1);
    world.add(&["hook"], "").await;
    world.push().await;
    world.minute().await;
    let received = world.hook.requests().received;
    for _ in 0..4 {
        change(&world, [1001]).await;
        world.push().await;
        world.minute().await;
    }
    assert_eq!(world.hook.requests().received, received);
    minutes(&world, 8).await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn witnesses_that_a_service_fails_at_now_prove_nothing_either() {
    let world = world().await;
    for id in 1038..1041 {
        change(&world, [id]).await;
    }
    minutes(&world, 1).await;
    for id in [1008, 1038, 1039, 1040] {
        world.loyalty.poison(&format!("aa~{id}"), loyalty::Poison::Status(500));
    }
    change(&world, 1008..1020).await;
    minutes(&world, 25).await;
    assert_eq!(world.refused_by("loyalty").await, ["aa~1008"]);
    assert_eq!(world.destination("loyalty").await.waiting, 0);
}

#[tokio::test]
async fn whatever_status_one_customer_is_answered_with_costs_that_customer() {
    for (status, most) in [(302, 16), (403, 16), (406, 16), (408, 60), (501, 16), (520, 16)] {
        let world = world().await;
        world.hook.refuse("aa~1007", status);
        world.loyalty.poison("aa~1007", loyalty::Poison::Status(status));
        change(&world, 1001..1041).await;
        minutes(&world, most).await;
        for id in ["loyalty", "hook"] {
            assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}, {status}");
            assert_eq!(world.destination(id).await.waiting, 0, "{id}, {status}");
        }
    }
}

#[tokio::test]
async fn one_that_a_service_counts_twice_costs_itself() {
    let world = world().await;
    world.loyalty.poison("aa~1007", loyalty::Poison::CountedTwice);
    change(&world, 1001..1041).await;
    minutes(&world, 16).await;
    assert_eq!(world.refused_by("loyalty").await, ["aa~1007"]);
    assert_eq!(world.destination("loyalty").await.waiting, 0);
}

#[tokio::test]
async fn a_new_destination_that_refuses_a_third_gets_all_others() {
    let world = DestinationsFixture::with_customers(90).await;
    let refused = || (1001..1091).step_by(3);
    for id in world.ids(refused()) {
        world.site.refuse_external_id(&id);
        world.loyalty.poison(&id, loyalty::Poison::WholeBatchError);
    }
    world.add(&["site", "loyalty"], "").await;
    minutes(&world, 30).await;
    for id in ["site", "loyalty"] {
        assert_eq!(world.refused_by(id).await, world.ids(refused()), "{id}");
        assert_eq!(world.destination(id).await.listed_percent, 100, "{id}");
    }
    assert_eq!(world.loyalty.codes().len(), 60);
}

#[tokio::test]
async fn a_change_after_a_resync_is_sent_though_it_is_dated_before() {
    let world = world().await;
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    minutes(&world, 1).await;
    let resynced_at = world.now().as_millisecond();
    change(&world, [1005]).await;
    // By a function whose clock is an hour behind.
    let feed = world.clients.dynamodb.scan().table_name(tests::FEED_TABLE).send().await.unwrap().items.unwrap();
    let at = |item: &Item| item.get("at").map(|at| at.as_n().unwrap().parse::<i64>().unwrap());
    let mut backdated = 0;
    for mut item in feed.into_iter().filter(|item| at(item) >= Some(resynced_at)) {
        let before = aws_sdk_dynamodb::types::AttributeValue::N((at(&item).unwrap() - 3_600_000).to_string());
        item.insert("at".to_owned(), before);
        let put = world.clients.dynamodb.put_item().table_name(tests::FEED_TABLE).set_item(Some(item));
        put.send().await.unwrap();
        backdated += 1;
    }
    assert_eq!(backdated, 1);
    minutes(&world, 2).await;
    assert_eq!(world.names(1005)[2], name(&world, 1005).await);
}
