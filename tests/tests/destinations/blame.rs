//! What is blamed: no customer, if the destination is at fault; and no more than it costs to find that out.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use simulators::business_catalyst::{BcFault, Operation};
use simulators::loyalty::{self, LoyaltyFault};
use simulators::webhook::{self, WebhookFault};
use store::Part;
use tests::DestinationsFixture;

use crate::ALL;
use crate::standing::{change, minutes, name, world};

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
async fn one_refusal_by_accident_costs_no_customer() {
    let world = world().await;
    world.loyalty.fault_times(LoyaltyFault::ErrorAnswer("deadlocked".to_owned()).into(), 1);
    world.site.fault_times(Operation::UpdateInsert, BcFault::FaultText("deadlocked".to_owned()).into(), 1);
    world.hook.fault_times(webhook::Fault::Status(409), 1);
    change(&world, [1007]).await;
    world.push().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, Vec::<String>::new(), "{id}");
        assert_eq!(world.destination(id).await.waiting, 0, "{id}");
    }
}

#[tokio::test]
async fn one_that_refuses_everybody_new_is_in_trouble_and_blames_few() {
    for poison in [loyalty::Poison::WholeBatchError, loyalty::Poison::RowDropped] {
        let world = DestinationsFixture::with_customers(100).await;
        world.add(&ALL, "").await;
        minutes(&world, 1).await;
        // What was taken last is taken again.
        change(&world, 1098..1101).await;
        minutes(&world, 1).await;
        refuse(&world, 1001..1098, 400, poison);
        change(&world, 1001..1098).await;
        world.push().await;
        for id in ALL {
            let status = world.destination(id).await;
            assert!(status.counts.failed <= 8 && status.waiting >= 89, "{id}, {poison:?}: {status:?}");
            assert!(status.failing_since.is_some(), "{id}, {poison:?}");
        }
        minutes(&world, 10).await;
        for id in ALL {
            let status = world.destination(id).await;
            assert!(status.counts.failed <= 40 && status.waiting > 50, "{id}, {poison:?}: {status:?}");
        }
        accept(&world, 1001..1098);
        for id in ALL {
            world.states().resume(&world.key(id)).await.unwrap();
            for customer in world.refused_by(id).await {
                world.failures().request_redrive(&world.key(id), &customer, world.now()).await.unwrap();
            }
        }
        minutes(&world, 1).await;
        world.assert_all_have_what_the_source_has().await;
    }
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
async fn a_destination_that_lets_us_in_no_more_in_the_middle_of_a_list_blames_nobody() {
    let world = DestinationsFixture::with_customers(300).await;
    world.add(&["loyalty"], "").await;
    // The first list of the feed is taken, and one half of the second.
    minutes(&world, 1).await;
    world.loyalty.fail_above(Some((80, loyalty::Fault::Status(413))));
    change(&world, 1001..1301).await;
    let before = world.loyalty.requests();
    let refused = LoyaltyFault::ErrorAnswer("Login failed".to_owned());
    let (pushed, meanwhile) = (world.push(), async {
        while world.loyalty.requests().updated == before.updated {
            tokio::task::yield_now().await;
        }
        world.loyalty.fault(Some(refused.into()));
    });
    futures::future::join(pushed, meanwhile).await;
    assert!(world.loyalty.requests().batches > before.batches + 3);
    assert_eq!(world.destination("loyalty").await.counts.failed, 0);
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

#[tokio::test]
async fn several_customers_that_a_service_hangs_at_cost_themselves() {
    let world = DestinationsFixture::with_customers(240).await;
    world.add(&["loyalty"], "").await;
    minutes(&world, 1).await;
    change(&world, 1001..1239).await;
    minutes(&world, 1).await;
    // In the order in which they stand in the feed.
    let codes: Vec<String> = world.loyalty.batches().into_iter().rev().take(2).rev().flat_map(|it| it.codes).collect();
    let mut hanging: Vec<String> = (0..200).step_by(25).map(|place| codes[place].clone()).collect();
    // These are taken again.
    change(&world, 1239..1241).await;
    minutes(&world, 1).await;
    for code in &hanging {
        world.loyalty.poison(code, loyalty::Poison::Hang);
    }
    let deliveries = world.tables().deliveries;
    let mut delivery = deliveries.of(&world.key("loyalty")).await.unwrap();
    delivery.progress.effort(Part::Feed).failed_at = Some(world.now());
    assert!(deliveries.note(&world.key("loyalty"), &mut delivery).await.unwrap());
    change(&world, 1001..1239).await;
    let patience = async {
        let mut seen = 0;
        loop {
            if world.loyalty.hung() > seen {
                seen += 1;
                world.clock.advance(Duration::from_secs(26));
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = minutes(&world, 60) => {}
        () = patience => {}
    }
    hanging.sort();
    assert_eq!(world.refused_by("loyalty").await, hanging);
    assert_eq!(world.destination("loyalty").await.waiting, 0);
}

#[tokio::test]
async fn a_listing_goes_on_every_minute_while_the_feed_waits() {
    let world = DestinationsFixture::with_customers(600).await;
    world.add(&["hook"], "").await;
    minutes(&world, 2).await;
    world.add(&["hook"], "max_requests_per_second = 1").await;
    // Its deletion stands in the feed, and it is in no listing.
    world.hook.refuse("aa~1007", 503);
    world.source.delete(1007);
    world.sync().await;
    world.publish().await;
    minutes(&world, 9).await;
    let before = world.hook.events().len();
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    for _ in 0..4 {
        world.look_at("hook").await;
        world.clock.advance(Duration::from_secs(30));
    }
    let sent = world.hook.events().split_off(before);
    let sent: BTreeSet<String> = sent.into_iter().map(|event| event.subject).collect();
    assert_eq!(sent.into_iter().filter(|id| id != "aa~1007").count(), 599);
}

#[tokio::test]
async fn an_entry_that_can_not_be_read_does_not_end_the_wait_of_a_destination_that_is_down() {
    let world = world().await;
    world.hook.fault(Some(webhook::Fault::Status(502)));
    change(&world, [1001, 1002]).await;
    world.failures().request_redrive(&world.key("hook"), "aa~1003", world.now()).await.unwrap();
    let put = world.clients.dynamodb.update_item().table_name(tests::CONTROL_TABLE);
    let key = |text: &str| AttributeValue::S(text.to_owned());
    put.key("connection", key("acme/hook"))
        .key("entry", key("redrive/aa~1003"))
        .update_expression("SET requested_at = :damaged")
        .expression_attribute_values(":damaged", key("then"))
        .send()
        .await
        .unwrap();
    world.push().await;
    let before = world.hook.requests().received;
    for _ in 0..20 {
        change(&world, [1003]).await;
        minutes(&world, 1).await;
    }
    let requests = world.hook.requests().received - before;
    assert!(requests < 30, "{requests} requests in twenty minutes");
    world.hook.fault(None);
    world.clock.advance(Duration::from_secs(3_600));
    minutes(&world, 1).await;
    assert_eq!(world.names(1002)[2], name(&world, 1002).await);
}

/// The customers of the last changes, in the order in which they stand in the feed.
async fn in_order(world: &DestinationsFixture, count: u64) -> Vec<String> {
    change(world, 1001..1001 + count).await;
    minutes(world, 1).await;
    world.loyalty.batches().pop().unwrap().codes
}

#[tokio::test]
async fn a_few_that_a_list_destination_refuses_together_with_what_it_took_before_stop_nobody() {
    let world = world().await;
    let order = in_order(&world, 37).await;
    change(&world, 1038..1041).await;
    minutes(&world, 1).await;
    // However it is halved, one of them is in each piece that a few requests come to.
    let mut refused: Vec<String> = [0, 1, 4, 7, 20].map(|place| order[place].clone()).into();
    for id in refused.iter().chain(&world.ids(1038..1041)) {
        world.loyalty.poison(id, loyalty::Poison::WholeBatchError);
        world.site.refuse_external_id(id);
    }
    change(&world, 1001..1038).await;
    minutes(&world, 10).await;
    refused.sort();
    for id in ["loyalty", "site"] {
        assert_eq!(world.refused_by(id).await, refused, "{id}");
        assert_eq!(world.destination(id).await.waiting, 0, "{id}");
    }
}

#[tokio::test]
async fn a_new_destination_that_refuses_all_of_one_connection_gets_the_others() {
    let world = DestinationsFixture::with_customers(40).await;
    world.site.create(None);
    world.site.create(None);
    world.add_from(&["hook", "loyalty"], "['bc', 'aa']", "").await;
    world.run_all_for(30).await;
    let of_bc: Vec<String> = world.loyalty.codes().into_iter().filter(|code| code.starts_with("bc~")).collect();
    assert_eq!(of_bc.len(), 2);
    for id in &of_bc {
        world.hook.refuse(id, 422);
        world.loyalty.poison(id, loyalty::Poison::WholeBatchError);
    }
    let before = world.hook.events().len();
    for id in ["hook", "loyalty"] {
        // As for another system: nobody is known to be taken.
        let deliveries = world.tables().deliveries;
        let mut delivery = deliveries.of(&world.key(id)).await.unwrap();
        delivery.progress.receiver = "another".to_owned();
        assert!(deliveries.note(&world.key(id), &mut delivery).await.unwrap());
    }
    minutes(&world, 10).await;
    for id in ["hook", "loyalty"] {
        assert_eq!(world.refused_by(id).await, of_bc, "{id}");
        assert_eq!(world.destination(id).await.listed_percent, 100, "{id}");
    }
    let sent: BTreeSet<String> = world.hook.events().split_off(before).into_iter().map(|event| event.subject).collect();
    assert!(world.ids(1001..1041).iter().all(|id| sent.contains(id)));
}

#[tokio::test]
async fn a_part_of_a_receiver_that_is_down_for_minutes_costs_no_customer() {
    let world = DestinationsFixture::with_customers(200).await;
    world.add(&["hook", "loyalty"], "").await;
    minutes(&world, 1).await;
    for id in world.ids((1001..1201).step_by(10)) {
        world.hook.refuse(&id, 500);
        world.loyalty.poison(&id, loyalty::Poison::Status(500));
    }
    change(&world, 1001..1201).await;
    minutes(&world, 3).await;
    for id in world.ids((1001..1201).step_by(10)) {
        world.hook.accept(&id);
        world.loyalty.heal(&id);
    }
    minutes(&world, 10).await;
    for id in ["hook", "loyalty"] {
        let status = world.destination(id).await;
        assert_eq!((status.counts.failed, status.waiting), (0, 0), "{id}");
    }
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn one_of_two_machines_of_a_receiver_that_refuses_everybody_costs_no_customer() {
    let world = world().await;
    world.hook.fault(Some(WebhookFault::TakesOneIn(2, 404).into()));
    for id in 1001..1010 {
        change(&world, [id]).await;
        world.push().await;
    }
    change(&world, 1001..1041).await;
    minutes(&world, 5).await;
    assert_eq!(world.destination("hook").await.counts.failed, 0);
    world.hook.fault(None);
    minutes(&world, 10).await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_long_run_that_a_destination_refuses_holds_up_the_others_for_hours_and_not_for_days() {
    let world = DestinationsFixture::with_customers(300).await;
    world.add(&["hook", "loyalty"], "").await;
    minutes(&world, 2).await;
    change(&world, 1001..1301).await;
    minutes(&world, 2).await;
    let order: Vec<String> = world.loyalty.batches().into_iter().rev().take(2).rev().flat_map(|it| it.codes).collect();
    for id in &order[..250] {
        world.hook.refuse(id, 422);
        world.loyalty.poison(id, loyalty::Poison::WholeBatchError);
    }
    change(&world, 1001..1301).await;
    for _ in 0..6 * 4 {
        world.clock.advance(Duration::from_secs(14 * 60));
        minutes(&world, 1).await;
    }
    for id in ["hook", "loyalty"] {
        let status = world.destination(id).await;
        assert_eq!((status.counts.failed, status.waiting), (250, 0), "{id}");
    }
}

#[tokio::test]
async fn one_that_takes_nothing_new_is_told_since_when_though_changes_come_one_by_one() {
    let world = world().await;
    change(&world, 1038..1041).await;
    minutes(&world, 1).await;
    refuse(&world, 1001..1038, 400, loyalty::Poison::WholeBatchError);
    let began = world.now();
    for id in 1001..1031 {
        change(&world, [id]).await;
        world.push().await;
    }
    for id in ALL {
        let status = world.destination(id).await;
        assert!(status.failing_since.is_some() && status.counts.failed < 20, "{id}: {status:?}");
    }
    for _ in 0..48 {
        world.clock.advance(Duration::from_secs(3_600 - 60));
        minutes(&world, 1).await;
    }
    for id in ALL {
        let since: jiff::Timestamp = world.destination(id).await.failing_since.unwrap().parse().unwrap();
        assert!(since <= began + Duration::from_secs(3_600), "{id}: {since}");
    }
    accept(&world, 1001..1038);
    change(&world, [1035]).await;
    world.clock.advance(Duration::from_secs(3_600));
    minutes(&world, 1).await;
    for id in ALL {
        assert_eq!(world.destination(id).await.failing_since, None, "{id}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_few_events_at_each_attempt() {
    let world = DestinationsFixture::with_customers(100).await;
    world.add(&["hook"], "").await;
    minutes(&world, 1).await;
    world.hook.fault(Some(webhook::Fault::Status(502)));
    change(&world, 1001..1101).await;
    minutes(&world, 60).await;
    let before = world.hook.requests().received;
    for _ in 0..24 * 4 {
        world.clock.advance(Duration::from_secs(14 * 60));
        minutes(&world, 1).await;
    }
    let requests = world.hook.requests().received - before;
    assert!(requests <= 24 * 2 * 2, "{requests} requests in a day");
}

#[tokio::test]
async fn a_receiver_that_sheds_what_is_too_much_for_it_blames_nobody() {
    let world = world().await;
    world.hook.fault(Some(WebhookFault::TakesOneIn(3, 503).into()));
    change(&world, 1001..1021).await;
    minutes(&world, 60).await;
    let status = world.destination("hook").await;
    assert_eq!((status.counts.failed, status.waiting), (0, 0), "{status:?}");
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_part_that_is_down_costs_no_customer_though_one_is_known_that_it_always_fails_at() {
    let world = DestinationsFixture::with_customers(200).await;
    world.add(&["hook"], "").await;
    minutes(&world, 1).await;
    world.hook.refuse("aa~1007", 500);
    change(&world, [1007]).await;
    minutes(&world, 10).await;
    assert_eq!(world.refused_by("hook").await, ["aa~1007"]);
    for id in world.ids((1011..1201).step_by(10)) {
        world.hook.refuse(&id, 502);
    }
    change(&world, (1001..1201).filter(|id| *id != 1007)).await;
    world.push().await;
    world.clock.advance(Duration::from_secs(30));
    world.push().await;
    accept(&world, (1011..1201).step_by(10));
    minutes(&world, 10).await;
    assert_eq!(world.refused_by("hook").await, ["aa~1007"]);
    assert_eq!(world.destination("hook").await.waiting, 0);
}

#[tokio::test]
async fn a_listing_that_ends_with_refusals_is_not_failing_once_it_is_over() {
    let world = DestinationsFixture::with_customers(10).await;
    for _ in 0..6 {
        world.site.create(None);
    }
    world.add_from(&["loyalty"], "['aa', 'bc']", "").await;
    world.run_all_for(30).await;
    for code in world.loyalty.codes().into_iter().filter(|code| code.starts_with("bc~")) {
        world.loyalty.poison(&code, loyalty::Poison::WholeBatchError);
    }
    world.states().request_resync(&world.key("loyalty"), world.now()).await.unwrap();
    minutes(&world, 10).await;
    let status = world.destination("loyalty").await;
    assert_eq!((status.failures, status.listed_percent, status.waiting), (6, 100, 0), "{status:?}");
    change(&world, [1003]).await;
    minutes(&world, 2).await;
    assert_eq!(world.destination("loyalty").await.failing_since, None);
}

#[tokio::test]
async fn one_customer_that_is_refused_again_and_again_holds_up_no_other() {
    let world = world().await;
    refuse(&world, 1007..1008, 422, loyalty::Poison::WholeBatchError);
    for _ in 0..8 {
        change(&world, [1007]).await;
        world.push().await;
    }
    for id in ALL {
        assert_eq!(world.destination(id).await.failing_since, None, "{id}");
    }
    change(&world, [1008]).await;
    world.push().await;
    let name = name(&world, 1008).await;
    assert_eq!([0, 2].map(|place| world.names(1008)[place].clone()), [name.clone(), name]);
    assert_eq!(world.destination("loyalty").await.waiting, 0);
}

#[tokio::test]
async fn a_deletion_that_a_service_has_no_word_for_does_not_hide_that_it_takes_nothing() {
    let world = world().await;
    change(&world, 1038..1041).await;
    minutes(&world, 1).await;
    refuse(&world, 1001..1038, 400, loyalty::Poison::WholeBatchError);
    let began = world.now();
    for id in 1001..1011 {
        change(&world, [id]).await;
        world.push().await;
    }
    for hour in 0..48 {
        world.clock.advance(Duration::from_secs(3_600 - 60));
        if hour == 20 {
            world.source.delete(1030);
            world.sync().await;
        }
        minutes(&world, 1).await;
    }
    let since: jiff::Timestamp = world.destination("loyalty").await.failing_since.unwrap().parse().unwrap();
    assert!(since <= began + Duration::from_secs(3_600), "{since}");
}

#[tokio::test]
async fn a_receiver_that_takes_some_in_a_window_comes_on_behind_one_that_it_refuses() {
    let world = world().await;
    let first = in_order(&world, 40).await[0].clone();
    world.hook.refuse(&first, 422);
    change(&world, 1001..1041).await;
    // Seven are answered, and then it wants to be left alone.
    for _ in 0..30 {
        let before = world.hook.requests().received;
        let (visit, limit) = (world.minute(), async {
            while world.hook.requests().received < before + 7 {
                tokio::task::yield_now().await;
            }
            world.hook.fault(Some(webhook::Fault::Status(429)));
            std::future::pending::<()>().await
        });
        tokio::select! { () = visit => {}, () = limit => {} }
        world.hook.fault(None);
    }
    assert_eq!(world.refused_by("hook").await, [first]);
    assert_eq!(world.destination("hook").await.waiting, 0);
}

#[tokio::test]
async fn an_accident_is_forgotten_once_everything_was_sent() {
    let world = world().await;
    world.hook.fault_times(webhook::Fault::Status(409), 1);
    change(&world, [1007]).await;
    world.push().await;
    let unsteady_since =
        async || world.tables().deliveries.of(&world.key("hook")).await.unwrap().progress.feed.unsteady_since;
    world.assert_hook_has_what_the_source_has().await;
    assert_eq!(unsteady_since().await, None);
}
