//! Customers that a destination does not take: they cost themselves, and are failures that can be sent again.

use simulators::{business_catalyst, loyalty};
use tests::DestinationsFixture;

use crate::ALL;

async fn world() -> DestinationsFixture {
    let world = DestinationsFixture::with_customers(40).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world
}

/// From now on none of the destinations takes this customer.
fn refuse(world: &DestinationsFixture, id: &str, poison: loyalty::Poison) {
    world.site.refuse_external_id(id);
    world.loyalty.poison(id, poison);
    world.hook.refuse(id, 422);
}

/// The customer 1007 changes, and none of the destinations takes that.
async fn refuse_a_change(world: &DestinationsFixture, poison: loyalty::Poison) {
    refuse(world, "aa~1007", poison);
    world.source.change([1007]);
    world.sync().await;
    world.push().await;
}

fn accept(world: &DestinationsFixture, id: &str) {
    world.site.accept_external_id(id);
    world.loyalty.heal(id);
    world.hook.accept(id);
}

#[tokio::test]
async fn a_customer_that_is_refused_costs_itself() {
    for poison in [loyalty::Poison::WholeBatchError, loyalty::Poison::RowDropped] {
        let world = world().await;
        refuse(&world, "aa~1007", poison);
        refuse(&world, "aa~1021", poison);
        world.source.change(1001..1041);
        world.sync().await;
        world.push().await;
        for id in ALL {
            assert_eq!(world.refused_by(id).await, ["aa~1007", "aa~1021"], "{id}, {poison:?}");
            let status = world.destination(id).await;
            assert_eq!((status.counts.failed, status.waiting), (2, 0), "{id}: {status:?}");
            assert_eq!(status.counts.changes, status.counts.sent + 2, "{id}");
        }
        for id in (1001..1041).filter(|id| ![1007, 1021].contains(id)) {
            let name = world.customer(id).await.unwrap().content.name.display;
            let [site, _, hook] = world.names(id);
            assert_eq!([&site, &hook], [&name, &name], "aa~{id}");
        }
    }
}

#[tokio::test]
async fn a_customer_that_is_refused_alone_is_told_from_a_destination_that_is_down() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::WholeBatchError).await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}");
        assert_eq!(world.destination(id).await.error, None, "{id}");
    }
}

#[tokio::test]
async fn the_customer_that_was_taken_last_stops_nobody_if_it_is_refused_now() {
    let world = world().await;
    world.source.change([1040]);
    world.sync().await;
    world.push().await;
    refuse(&world, "aa~1040", loyalty::Poison::WholeBatchError);
    world.source.change([1040]);
    world.sync().await;
    world.push().await;
    world.source.change(1001..1040);
    world.sync().await;
    world.push().await;
    world.minute().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, ["aa~1040"], "{id}");
        assert_eq!(world.destination(id).await.waiting, 0, "{id}");
    }
}

#[tokio::test]
async fn a_redrive_of_many_that_are_still_refused_holds_up_no_change() {
    let world = world().await;
    for id in 1001..1007 {
        refuse(&world, &format!("aa~{id}"), loyalty::Poison::WholeBatchError);
    }
    world.source.change(1001..1041);
    world.sync().await;
    world.push().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await.len(), 6, "{id}");
        for customer in world.refused_by(id).await {
            world.failures().request_redrive(&world.key(id), &customer, world.now()).await.unwrap();
        }
    }
    world.source.change([1040]);
    world.sync().await;
    world.push().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await.len(), 6, "{id}");
        assert!(world.failures().redrive_requests(&world.key(id)).await.unwrap().is_empty(), "{id}");
    }
    let name = world.customer(1040).await.unwrap().content.name.display;
    let [site, _, hook] = world.names(1040);
    assert_eq!([&site, &hook], [&name, &name]);
}

#[tokio::test]
async fn the_reason_says_what_the_destination_answered() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::RowDropped).await;
    let mut reasons = Vec::new();
    for id in ALL {
        let failures = world.failures().all(&world.key(id)).await.unwrap();
        reasons.push(failures[0].reason.clone());
    }
    assert!(reasons[0].starts_with("it answered with an error: "), "{reasons:?}");
    assert_eq!(reasons[1], "it counts the row neither as new nor as updated");
    assert_eq!(reasons[2], "it answered with HTTP 422 Unprocessable Entity");
}

#[tokio::test]
async fn a_failure_that_is_redriven_is_sent_as_it_is_now() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::WholeBatchError).await;
    accept(&world, "aa~1007");
    for id in ALL {
        world.failures().request_redrive(&world.key(id), "aa~1007", world.now()).await.unwrap();
    }
    world.minute().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, Vec::<String>::new(), "{id}");
        assert!(world.failures().redrive_requests(&world.key(id)).await.unwrap().is_empty(), "{id}");
    }
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn a_failure_that_is_redriven_in_vain_stays_one() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::WholeBatchError).await;
    for id in ALL {
        world.failures().request_redrive(&world.key(id), "aa~1007", world.now()).await.unwrap();
    }
    world.minute().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}");
        assert!(world.failures().redrive_requests(&world.key(id)).await.unwrap().is_empty(), "{id}");
    }
}

#[tokio::test]
async fn a_later_change_that_is_taken_ends_the_failure() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::WholeBatchError).await;
    accept(&world, "aa~1007");
    world.source.change([1007]);
    world.sync().await;
    world.push().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, Vec::<String>::new(), "{id}");
    }
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn a_redrive_waits_for_a_destination_that_is_down() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::WholeBatchError).await;
    accept(&world, "aa~1007");
    world.loyalty.fault(Some(loyalty::Fault::Status(503)));
    world.failures().request_redrive(&world.key("loyalty"), "aa~1007", world.now()).await.unwrap();
    world.minute().await;
    assert_eq!(world.refused_by("loyalty").await, ["aa~1007"]);
    world.loyalty.fault(None);
    for _ in 0..4 {
        world.minute().await;
    }
    assert_eq!(world.refused_by("loyalty").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_damaged_record_is_a_failure_by_its_name() {
    let world = world().await;
    let put = world.clients.dynamodb.update_item().table_name(tests::SHADOW_TABLE);
    let key = aws_sdk_dynamodb::types::AttributeValue::S("acme/aa~1005".to_owned());
    let damaged = aws_sdk_dynamodb::types::AttributeValue::S("{".to_owned());
    put.key("id", key)
        .update_expression("SET doc = :damaged")
        .expression_attribute_values(":damaged", damaged)
        .send()
        .await
        .unwrap();
    world.source.change([1006]);
    world.sync().await;
    world.push().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, ["aa~1005"], "{id}");
        assert_eq!(world.destination(id).await.waiting, 0, "{id}");
    }
}

#[tokio::test]
async fn a_customer_that_a_destination_always_fails_at_costs_itself() {
    let world = world().await;
    world.loyalty.poison("aa~1007", loyalty::Poison::Status(500));
    world.hook.refuse("aa~1007", 500);
    world.source.change(1001..1041);
    world.sync().await;
    world.publish().await;
    for _ in 0..16 {
        world.minute().await;
    }
    for id in ["loyalty", "hook"] {
        assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}");
        let status = world.destination(id).await;
        assert_eq!((status.waiting, status.error, status.failing_since), (0, None, None), "{id}");
    }
    for id in (1001..1041).filter(|id| *id != 1007) {
        let name = world.customer(id).await.unwrap().content.name.display;
        assert_eq!(world.names(id)[2], name, "aa~{id}");
    }
}

#[tokio::test]
async fn the_first_customers_that_a_new_destination_gets_stop_nobody_if_they_are_refused() {
    let world = DestinationsFixture::with_customers(40).await;
    for id in 1001..1005 {
        refuse(&world, &format!("aa~{id}"), loyalty::Poison::WholeBatchError);
    }
    // It was down for so long that few are sent at once.
    world.loyalty.fault(Some(loyalty::Fault::Status(503)));
    world.site.fault(business_catalyst::Operation::UpdateInsert, Some(business_catalyst::Fault::Status(503)));
    world.add(&ALL, "").await;
    for _ in 0..20 {
        world.minute().await;
    }
    world.loyalty.fault(None);
    world.site.fault(business_catalyst::Operation::UpdateInsert, None);
    for _ in 0..90 {
        world.minute().await;
    }
    for id in ALL {
        assert_eq!(world.refused_by(id).await, world.ids(1001..1005), "{id}");
        assert_eq!(world.destination(id).await.error, None, "{id}");
    }
}

#[tokio::test]
async fn a_redrive_in_vain_stops_nobody_while_the_customers_that_were_taken_wait_themselves() {
    let world = world().await;
    refuse_a_change(&world, loyalty::Poison::WholeBatchError).await;
    for id in ALL {
        world.states().pause(&world.key(id), world.now()).await.unwrap();
    }
    world.source.change((1001..1041).filter(|id| *id != 1007));
    world.sync().await;
    world.publish().await;
    for id in ALL {
        world.failures().request_redrive(&world.key(id), "aa~1007", world.now()).await.unwrap();
        world.states().resume(&world.key(id)).await.unwrap();
    }
    world.minute().await;
    for id in ALL {
        assert_eq!(world.refused_by(id).await, ["aa~1007"], "{id}");
        let status = world.destination(id).await;
        assert_eq!((status.waiting, status.error), (0, None), "{id}");
    }
}
