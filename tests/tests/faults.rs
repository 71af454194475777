//! What holds while the source fails, and after.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::Status;
use operations::status::Condition;
use simulators::association_anywhere::{AaFault, Fault, Poison, Procedure};
use tests::{AssociationAnywhereFixture, BusinessCatalystFixture, SHADOW_TABLE, TestDeployment};

const MINUTE: Duration = Duration::from_secs(60);

/// Every way to answer that is not an answer, at once and whole.
fn useless_answers() -> Vec<Fault> {
    vec![
        AaFault::Empty.into(),
        AaFault::ErrorDocument("The service is not available".into()).into(),
        AaFault::FailureStatus("Not now".into()).into(),
        Fault::Malformed,
        Fault::NotXml,
        Fault::Doctype,
        Fault::WrongCredentials,
        Fault::Status(500),
        Fault::Status(404),
        Fault::Status(302),
        Fault::CutBody,
        Fault::RetryAfter { status: 429, seconds: 7 },
    ]
}

#[tokio::test]
async fn a_source_that_answers_with_nothing_or_with_an_error_deletes_nothing_and_purges_nothing() {
    for fault in useless_answers() {
        let world = AssociationAnywhereFixture::with_customers(130).await;
        world.sync().await;
        let (purges, customer) = (world.source.purges().len(), world.customer(1001).await.unwrap());
        world.source.enqueue_all();
        world.source.fault(Procedure::Details, Some(fault.clone()));
        world.run_for(30).await;
        assert!(world.source.requests().faulted > 0, "{fault:?} did not fire");
        assert_eq!(world.source.purges().len(), purges, "{fault:?}");
        assert_eq!(world.customer(1001).await.unwrap(), customer, "{fault:?}");
        let status = world.status().await;
        assert_eq!((status.counts.ends.tombstoned, status.failures), (0, 0), "{fault:?}");
        assert!(status.error.is_some(), "{fault:?}: the operator sees it");

        world.source.fault(Procedure::Details, None);
        world.until_in_sync(MINUTE).await;
        world.assert_shadow_is_the_sources(1001..1131).await;
        assert_eq!(world.status().await.failures, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_first_sync_that_meets_only_errors_blames_nobody() {
    for fault in useless_answers() {
        let world = AssociationAnywhereFixture::with_customers(130).await;
        world.source.fault(Procedure::Details, Some(fault.clone()));
        world.run_for(30).await;
        assert!(world.source.purges().is_empty(), "{fault:?}");
        let status = world.status().await;
        assert_eq!((status.failures, status.counts.ends.tombstoned), (0, 0), "{fault:?}");
        world.source.fault(Procedure::Details, None);
        world.until_in_sync(MINUTE).await;
        let status = world.status().await;
        assert_eq!((status.counts.ends.written, status.counts.ends.failed), (130, 0), "{fault:?}");
    }
}

#[tokio::test]
async fn a_queue_that_answers_with_nothing_or_with_an_error_changes_nothing() {
    for fault in useless_answers() {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.source.fault(Procedure::Queue, Some(fault.clone()));
        world.run_for(12).await;
        assert!(world.source.requests().faulted > 0, "{fault:?} did not fire");
        assert_eq!((world.status().await.counts.fetched, world.source.purges().len()), (0, 0), "{fault:?}");
        world.source.fault(Procedure::Queue, None);
        world.until_in_sync(MINUTE).await;
        world.assert_shadow_is_the_sources(1001..1031).await;
    }
}

#[tokio::test]
async fn a_purge_that_fails_is_repeated_until_it_succeeds() {
    for fault in useless_answers() {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.source.fault(Procedure::Purge, Some(fault.clone()));
        // It fails once: after the second useless answer so small a batch is given up.
        world.run_for(2).await;
        assert!(world.status().await.batch.is_some(), "{fault:?}: closed only if it was acknowledged");
        // A purge that was carried out, with a useless answer, shows in the queue.
        if world.source.queue_len() == 0 {
            world.run_for(1).await;
            assert_eq!(world.status().await.batch, None, "{fault:?}: nothing is left to purge");
        }
        world.source.fault(Procedure::Purge, None);
        world.until_in_sync(MINUTE).await;
        assert_eq!(world.status().await.counts.fetched, 30, "{fault:?}");
    }
}

#[tokio::test]
async fn one_malformed_customer_costs_that_customer_only_and_holds_up_the_purge_by_a_minute_at_most() {
    for poison in [
        Poison::NoCustId,
        Poison::BrokenXml,
        Poison::ServerError,
        Poison::ErrorElement,
        Poison::TooDeep,
        Poison::HugeText(2 * 1024 * 1024),
    ] {
        for first_sync in [true, false] {
            let world = AssociationAnywhereFixture::with_customers(230).await;
            if !first_sync {
                world.sync().await;
                world.source.enqueue_all();
            }
            world.source.poison(1042, poison);
            world.until_in_sync(MINUTE).await;
            let status = world.status().await;
            assert_eq!((status.counts.ends.failed, status.failures), (1, 1), "{poison:?}, first sync {first_sync}");
            let failures = world.failures().all(&world.connection()).await.unwrap();
            assert_eq!(failures[0].source_id, "1042", "{poison:?}");
            assert!(!failures[0].reason.is_empty(), "{poison:?}");
            let others = (1001..1231).filter(|id| *id != 1042);
            world.assert_shadow_is_the_sources(others).await;
            assert_eq!(world.customer(1042).await.is_some(), !first_sync, "{poison:?}: what is stored stays");
        }
    }
}

/// Invariant 4: an entry of the queue that can't be a customer's id costs that entry, and is reported.
#[tokio::test]
async fn an_entry_of_the_queue_that_is_no_id_is_a_failure_record_and_holds_up_nobody() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let long = "7".repeat(300);
    for text in ["", " ", &long, "1001<x/>", "1&#x85;2"] {
        world.source.enqueue_text(text);
    }
    world.source.change([1003]);
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
    let failures = world.failures().all(&world.connection()).await.unwrap();
    assert_eq!(failures.len(), 4, "an empty id twice is one record: {failures:?}");
    assert!(failures.iter().all(|failure| failure.reason.contains("the queue names a customer by an id")));
    assert!(failures.iter().any(|failure| failure.raw == long), "it can be looked at: {failures:?}");
    assert_eq!(world.source.queue_len(), 0, "purged, after it was noted");
    let counts = world.status().await.counts;
    assert_eq!((counts.fetched, counts.ends.failed), (30 + 1 + 4, 4));

    // No customer can be requested by such an id: a redrive does nothing, and ends.
    world.failures().request_redrive(&world.connection(), &failures[0].source_id, world.now()).await.unwrap();
    world.source.change([1003]);
    world.sync().await;
    assert!(world.failures().redrive_requests(&world.connection()).await.unwrap().is_empty());
    assert_eq!(world.status().await.counts.ends.tombstoned, 0);
}

/// Failure records hold what the source sent, also if it could not be parsed, or was too large.
#[tokio::test]
async fn a_failure_record_of_what_could_not_be_parsed_or_is_too_large_holds_the_raw_document() {
    for poison in [Poison::BrokenXml, Poison::HugeText(500_000), Poison::HugeText(2 * 1024 * 1024), Poison::TooDeep] {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.sync().await;
        world.source.poison(1007, poison);
        world.source.change([1006, 1007, 1008]);
        world.sync().await;
        let failures = world.failures().all(&world.connection()).await.unwrap();
        assert_eq!(failures.len(), 1, "{poison:?}");
        assert!(failures[0].raw.contains("<custId>1007</custId>"), "{poison:?}: {:.300}", failures[0].raw);
        assert!(failures[0].raw.len() < 110 * 1024, "{poison:?}: {} bytes", failures[0].raw.len());
    }
}

#[tokio::test]
async fn several_malformed_customers_cost_themselves_only() {
    let world = AssociationAnywhereFixture::with_customers(100).await;
    let poisoned = [1001, 1002, 1033, 1050, 1099, 1100];
    for id in poisoned {
        world.source.poison(id, Poison::BrokenXml);
    }
    world.until_in_sync(MINUTE).await;
    let failures = world.failures().all(&world.connection()).await.unwrap();
    assert_eq!(failures.iter().map(|failure| failure.source_id.parse().unwrap()).collect::<Vec<u64>>(), poisoned);
    world.assert_shadow_is_the_sources((1001..1101).filter(|id| !poisoned.contains(id))).await;
}

#[tokio::test]
async fn a_failure_is_redriven_once_the_source_has_mended_it() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.poison(1007, Poison::ErrorElement);
    world.sync().await;
    let failures = world.failures().all(&world.connection()).await.unwrap();
    assert!(failures[0].raw.contains("<custId>1007</custId>"), "the raw document is kept: {}", failures[0].raw);

    world.failures().request_redrive(&world.connection(), "1007", world.now()).await.unwrap();
    world.run_for(10).await;
    assert_eq!(world.status().await.failures, 1, "it failed again");

    world.source.heal(1007);
    world.failures().request_redrive(&world.connection(), "1007", world.now()).await.unwrap();
    world.run_for(10).await;
    assert_eq!(world.status().await.failures, 0);
    world.assert_shadow_is_the_sources(1001..1031).await;
    let ends = world.status().await.counts.ends;
    assert_eq!((ends.written, ends.failed), (30, 2), "every end is counted");
}

/// Invariant 1: which requests a batch took in, the batch says, and no two clocks are compared.
#[tokio::test]
async fn a_redrive_by_an_operator_whose_clock_is_behind_is_done_with_the_next_batch() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.poison(1007, Poison::ErrorElement);
    world.sync().await;
    world.source.heal(1007);
    world.source.change([1003]);
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    let behind = world.now() - MINUTE;
    world.failures().request_redrive(&world.connection(), "1007", behind).await.unwrap();
    world.work().await;
    world.poll().await;
    world.run_for(10).await;
    assert_eq!(world.status().await.failures, 0);
    world.assert_shadow_is_the_sources(1001..1031).await;
}

#[tokio::test]
async fn a_redrive_by_an_operator_whose_clock_is_ahead_is_done_once() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.poison(1007, Poison::ErrorElement);
    world.sync().await;
    let ahead = world.now() + 60 * MINUTE;
    world.failures().request_redrive(&world.connection(), "1007", ahead).await.unwrap();
    world.run_for(30).await;
    assert_eq!(world.status().await.counts.ends.failed, 2);
}

#[tokio::test]
async fn a_failure_is_gone_once_the_customer_comes_through_by_itself() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.poison(1007, Poison::ErrorElement);
    world.sync().await;
    world.source.heal(1007);
    world.source.change([1007]);
    world.sync().await;
    assert_eq!(world.status().await.failures, 0);
}

#[tokio::test]
async fn after_an_outage_in_the_middle_of_a_batch_everything_is_in_sync_within_a_minute() {
    for fault in [
        Fault::Status(500),
        Fault::Status(503),
        Fault::RetryAfter { status: 429, seconds: 20 },
        Fault::CutBody,
        Fault::NotXml,
        AaFault::Empty.into(),
    ] {
        let world = AssociationAnywhereFixture::with_customers(1_500).await;
        // Four chunks, eight more, and the last three meet the outage.
        world.run_for(2).await;
        world.poll().await;
        for procedure in Procedure::ALL {
            world.source.fault(procedure, Some(fault.clone()));
        }
        world.run_for(60).await;
        let status = world.status().await;
        // Half a body holds some customers, too.
        assert!((1_000..1_500).contains(&status.counts.fetched), "{fault:?}: {status:?}");
        assert_eq!(status.failures, 0, "{fault:?}");
        for procedure in Procedure::ALL {
            world.source.fault(procedure, None);
        }
        let took = world.until_in_sync(MINUTE).await;
        assert_eq!(world.status().await.counts.ends.written, 1_500, "{fault:?}, after {took:?}");
    }
}

#[tokio::test]
async fn a_source_that_hangs_is_given_up_and_tried_again() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    world.source.fault(Procedure::Details, Some(Fault::Hang));
    let messages = world.receive_all();
    let hang = async {
        while world.source.requests().faulted == 0 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(26));
    };
    tokio::join!(world.deliver(&messages), hang);
    assert!(world.status().await.error.unwrap().message.contains("silent"));
    world.source.fault(Procedure::Details, None);
    world.until_in_sync(MINUTE).await;
    world.assert_shadow_is_the_sources(1001..1031).await;
}

#[tokio::test]
async fn while_the_breaker_is_open_the_source_is_left_alone() {
    let world = AssociationAnywhereFixture::with_customers(2_500).await;
    world.source.fault(Procedure::Details, Some(Fault::RetryAfter { status: 429, seconds: 30 }));
    world.poll().await;
    world.work().await;
    let asked = world.source.requests().details;
    assert!(asked <= 10, "no more than were under way at once: {asked}");
    world.run_for(25).await;
    assert_eq!(world.source.requests().details, asked, "`Retry-After` is heeded by every worker");
}

#[tokio::test]
async fn no_error_tells_a_secret_or_anybodys_data() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.fault(
        Procedure::Queue,
        Some(AaFault::FailureStatus("user demo with password demo-password is locked".into()).into()),
    );
    world.poll().await;
    let message = world.status().await.error.unwrap().message;
    assert!(message.contains("is locked") && !message.contains("demo-password"), "{message}");
    world.source.fault(Procedure::Queue, None);
    world.source.poison(1007, Poison::HugeText(2 * 1024 * 1024));
    world.until_in_sync(MINUTE).await;
    let reason = &world.failures().all(&world.connection()).await.unwrap()[0].reason;
    let (name, email) = (world.source.display_name(1007).unwrap(), world.source.email(1007).unwrap());
    assert!(!reason.contains(&name) && !reason.contains(&email), "{reason}");
}

#[tokio::test]
async fn customers_who_can_not_be_read_do_not_block_who_comes_after_them_where_nobody_else_is_known() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    for id in 1001..1004 {
        world.source.poison(id, Poison::BrokenXml);
    }
    world.run_for(40).await;
    assert!(world.source.purges().is_empty(), "nobody vouches for the source, so nobody is blamed");
    world.source.create(5_000);
    world.until_in_sync(MINUTE).await;
    assert_eq!(world.status().await.failures, 3);
    assert!(world.customer(5_000).await.is_some());
}

#[tokio::test]
async fn a_slow_pace_makes_a_long_queue_slow_and_never_stuck() {
    let settings = simulators::association_anywhere::AaSettings { customers: 3_000, ..Default::default() };
    let world = AssociationAnywhereFixture::with(settings, "").await;
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    registration.document = registration.document.replace("1000.0", "0.2");
    world.connections().put(&registration).await.unwrap();
    // 30 requests at one in five seconds, by workers that each have a minute.
    let took = world.until_in_sync(Duration::from_secs(600)).await;
    assert!(took >= Duration::from_secs(150), "{took:?}");
    assert_eq!(world.status().await.counts.ends.written, 3_000);
}

/// Makes an attribute of a customer's record one that no release writes.
async fn damage(world: &TestDeployment, id: &str, attribute: &str) {
    let update = world.clients.dynamodb.update_item().table_name(SHADOW_TABLE);
    let update = update.key("id", AttributeValue::S(id.to_owned())).update_expression("SET #damaged = :damaged");
    let update = update.expression_attribute_names("#damaged", attribute);
    update.expression_attribute_values(":damaged", AttributeValue::S("{".to_owned())).send().await.unwrap();
}

/// Invariant 4.
#[tokio::test]
async fn a_record_that_cannot_be_read_costs_itself() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    for (id, attribute) in [("1003", "hash"), ("1004", "hash"), ("1005", "doc"), ("1006", "doc")] {
        damage(&world, &format!("acme/aa~{id}"), attribute).await;
    }
    world.source.change([1003, 1005, 1007]);
    world.source.delete(1004);
    world.source.delete(1006);
    world.run_for(60).await;
    let failed = world.failures().all(&world.connection()).await.unwrap();
    let mut ids: Vec<_> = failed.iter().map(|failure| failure.source_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1003", "1004"]);
    assert!(failed.iter().all(|failure| failure.reason.contains("can't be read: its `hash`")), "{failed:?}");
    assert_eq!(world.status().await.condition, Condition::InSync);
    assert_eq!(world.customer(1006).await.unwrap().content.status, Status::Deleted);
    for id in [1005, 1007] {
        let name = world.customer(id).await.unwrap().content.name.display;
        assert_eq!(name, world.source.display_name(id), "{id}");
    }
}

/// The same of contacts: one that a source says to be deleted, and one that a full listing no longer holds.
#[tokio::test]
async fn a_contact_whose_record_cannot_be_read_costs_itself() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.sync().await;
    for (id, attribute) in [(1003, "hash"), (1004, "doc"), (1005, "hash"), (1006, "doc")] {
        damage(&site, &format!("acme/bc~{id}"), attribute).await;
    }
    site.clock.advance(Duration::from_secs(3_600));
    site.source.delete(1003);
    site.source.delete(1004);
    site.source.remove_silently(1005);
    site.source.remove_silently(1006);
    site.sync().await;
    site.states().request_resync(&site.connection(), site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(3_600));
    site.sync().await;
    let failed = site.failures().all(&site.connection()).await.unwrap();
    let mut ids: Vec<_> = failed.iter().map(|failure| failure.source_id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["1003", "1005"], "{failed:?}");
    for id in [1004, 1006] {
        assert!(site.is_tombstone(id).await, "{id}");
    }
}
