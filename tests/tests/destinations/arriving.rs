//! What arrives, when, and in which order.

use operations::status::Condition;
use simulators::association_anywhere::Fault;
use tests::DestinationsFixture;

use crate::ALL;

#[tokio::test]
async fn a_new_destination_gets_everybody_and_then_what_changes() {
    let world = DestinationsFixture::with_customers(250).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
    world.source.change([1001, 1002]);
    world.sync().await;
    world.push().await;
    world.assert_all_have_what_the_source_has().await;
    for id in ALL {
        let status = world.destination(id).await;
        assert_eq!((status.condition, status.waiting, status.listed_percent), (Condition::InSync, 0, 100), "{id}");
        assert_eq!((status.counts.sent, status.counts.failed), (status.counts.changes, 0), "{id}");
    }
    assert_eq!(world.hook.requests().out_of_order, 0);
}

#[tokio::test]
async fn a_change_is_seen_at_all_of_them_within_poll_seconds_and_five() {
    let world = DestinationsFixture::with_customers(20).await;
    world.add(&ALL, "").await;
    world.run_all_for(120).await;
    world.source.change([1007]);
    world.run_all_for(5 + 5).await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn a_change_that_is_made_while_everybody_is_listed_is_not_missed() {
    let world = DestinationsFixture::with_customers(350).await;
    world.add(&ALL, "").await;
    world.publish().await;
    // The first visits begin, and end in the middle of the listing: the store takes no more.
    world.store_budget.set(40);
    for id in ALL {
        world.look_at(id).await;
        world.store_budget.set(30);
    }
    world.store_budget.set(i64::MAX);
    world.source.change(1001..1351);
    world.source.delete(1100);
    world.sync().await;
    // The leases of those that died run out.
    world.minute().await;
    world.minute().await;
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn a_customer_that_is_deleted_at_the_source_is_deleted_where_there_is_a_word_for_it() {
    let world = DestinationsFixture::with_customers(10).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world.source.delete(1004);
    world.sync().await;
    world.push().await;
    assert!(world.site.contact_by_external_id("aa~1004").unwrap().deleted);
    assert_eq!(world.hook.customer("aa~1004"), None);
    // The dialect has none.
    assert!(world.loyalty.customer("aa~1004").is_some());
    assert_eq!(world.destination("loyalty").await.counts.left_out, 1);
    world.source.create(1004);
    world.sync().await;
    world.push().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn what_is_emptied_at_the_source_is_emptied_at_the_site_and_the_loyalty_service() {
    let world = DestinationsFixture::with_customers(60).await;
    world.add(&ALL, "").await;
    world.minute().await;
    let mut was_emptied = 0;
    for _ in 0..6 {
        world.source.change(1001..1061);
        world.sync().await;
        world.push().await;
        for id in 1001..1061 {
            let content = world.customer(id).await.unwrap().content;
            let contact = world.site.contact_by_external_id(&format!("aa~{id}")).unwrap();
            let phones: Vec<&String> =
                contact.phones.iter().filter(|(kind, _)| ![7, 8, 9].contains(kind)).map(|(_, number)| number).collect();
            assert_eq!(phones, content.phones.iter().map(|phone| &phone.number).collect::<Vec<_>>(), "aa~{id}");
            let loyal = world.loyalty.customer(&format!("aa~{id}")).unwrap();
            let phone = content.phones.iter().find(|phone| phone.primary).or(content.phones.first());
            assert_eq!(loyal.get("phone"), phone.map(|phone| &phone.number), "aa~{id}");
            was_emptied += usize::from(content.phones.is_empty());
        }
    }
    assert!(was_emptied > 0, "nobody lost a phone: the story shows nothing");
}

#[tokio::test]
async fn several_changes_of_a_customer_arrive_in_their_order_and_the_last_one_stays() {
    let world = DestinationsFixture::with_customers(5).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world.hook.fault_times(simulators::webhook::Fault::Status(503), 3);
    world.loyalty.fault_times(simulators::loyalty::Fault::CutBody, 2);
    for _ in 0..8 {
        world.source.change([1003]);
        world.sync().await;
        world.push().await;
        world.minute().await;
    }
    world.assert_all_have_what_the_source_has().await;
    assert_eq!(world.hook.requests().out_of_order, 0);
}

#[tokio::test]
async fn a_message_that_is_lost_is_made_good_within_a_minute() {
    let world = DestinationsFixture::with_customers(5).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world.source.change([1003]);
    world.sync().await;
    world.publish().await;
    world.queues.purge(tests::PUSH_REQUESTS);
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_costs_nothing_but_time() {
    let world = DestinationsFixture::with_customers(8).await;
    world.add(&ALL, "").await;
    for budget in 1..40 {
        world.source.change([1001 + budget % 8]);
        world.sync().await;
        world.publish().await;
        for id in ALL {
            world.store_budget.set(budget as i64);
            world.look_at(id).await;
        }
        world.store_budget.set(i64::MAX);
        // The leases run out.
        world.minute().await;
        world.minute().await;
    }
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
    assert_eq!(world.hook.requests().out_of_order, 0);
}

#[tokio::test]
async fn the_first_of_two_workers_does_what_the_second_came_for() {
    let world = DestinationsFixture::with_customers(30).await;
    world.add(&["hook"], "").await;
    world.minute().await;
    world.source.change(1001..1031);
    world.sync().await;
    world.hook.fault(Some(simulators::webhook::Fault::Hang));
    let before = world.hook.requests().received;
    world.publish().await;
    let first = world.work_on(tests::PUSH_REQUESTS);
    let second = async {
        while world.hook.requests().received == before {
            tokio::task::yield_now().await;
        }
        // The first worker waits for the receiver. What changes now was in none of the pages that it has read.
        world.source.change([1001]);
        world.source.create(1031);
        world.sync().await;
        world.push().await;
        assert!(world.hook.requests().received - before <= 8, "as many as one worker sends at once");
        world.hook.fault(None);
    };
    futures::future::join(first, second).await;
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_destination_goes_on_while_its_source_is_down() {
    let world = DestinationsFixture::with_customers(5).await;
    world.source.fault(simulators::association_anywhere::Procedure::Queue, Some(Fault::Status(503)));
    world.add(&ALL, "").await;
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
}
