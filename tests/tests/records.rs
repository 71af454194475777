//! What becomes of a record: written, unchanged, stale, deleted, back again.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use local_aws::ReceivedMessage;
use model::{BatchEvent, Name, Status};
use operations::status::ConnectionStatus;
use simulators::association_anywhere::{AaFault, AaSettings, Fault, Procedure};
use tests::AssociationAnywhereFixture;

#[tokio::test]
async fn unchanged_customers_cost_a_read_and_never_a_write() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.sync().await;
    let before = world.customer(1001).await.unwrap();
    let puts = world.database.operations("PutItem");
    world.source.enqueue_all();
    world.sync().await;
    assert_eq!(world.database.operations("PutItem"), puts);
    assert_eq!(world.customer(1001).await.unwrap(), before);
    let ends = world.status().await.counts.ends;
    assert_eq!((ends.written, ends.unchanged), (250, 250));
}

#[tokio::test]
async fn a_change_is_written_with_the_next_revision() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let first = world.customer(1005).await.unwrap();
    world.clock.advance(Duration::from_secs(100));
    world.source.change([1005]);
    world.sync().await;
    let second = world.customer(1005).await.unwrap();
    assert_eq!((first.revision, second.revision), (1, 2));
    assert_eq!(second.first_seen_at, first.first_seen_at);
    assert!(second.changed_at > first.changed_at);
    assert!(second.version > first.version);
    world.assert_shadow_is_the_sources(1001..1031).await;
}

#[tokio::test]
async fn an_answer_that_was_overtaken_by_the_next_batch_changes_nothing() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.poll().await;
    let messages = world.receive_all();
    // The worker dies with the old answer in its hands; another does the chunk, and the customer changes again.
    world.source.fault(Procedure::Details, Some(Fault::Hang));
    tokio::select! {
        () = world.deliver(&messages) => unreachable!("the source hangs"),
        () = async { while world.source.requests().faulted == 0 { tokio::task::yield_now().await } } => {}
    }
    world.source.fault(Procedure::Details, None);
    world.clock.advance(Duration::from_secs(61));
    world.source.change([1003]);
    world.sync().await;
    let stored = world.customer(1003).await.unwrap();
    world.deliver(&messages).await;
    assert_eq!(world.customer(1003).await.unwrap(), stored);
    world.assert_shadow_is_the_sources(1001..1031).await;
}

#[tokio::test]
async fn a_deleted_customer_becomes_a_tombstone_and_comes_back_when_it_is_created_again() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.source.delete(1004);
    world.source.delete_silently(1009);
    world.sync().await;
    for id in [1004, 1009] {
        let tombstone = world.customer(id).await.unwrap();
        assert_eq!(tombstone.content.status, Status::Deleted, "{id}");
        assert_eq!(tombstone.content.name, Name::default(), "a tombstone keeps no personal data");
        assert_eq!(tombstone.revision, 2);
    }
    assert_eq!(world.status().await.counts.ends.tombstoned, 2);
    let (_, list) = world.api("GET", "/v1/customers?connection=aa&limit=500", Some(tests::TOKEN), "").await;
    assert_eq!(list["customers"].as_array().unwrap().len(), 28);

    world.source.create(1004);
    world.source.create(1009);
    world.sync().await;
    world.assert_shadow_is_the_sources(1001..1031).await;
    assert_eq!(world.customer(1004).await.unwrap().content.status, Status::Active);
}

#[tokio::test]
async fn a_deletion_told_by_the_queue_is_asked_for_like_everybody_and_made_only_of_an_answer_that_lacks_it() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    // The queue that tells reasons also tells what was deleted.
    let mut registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    registration.document = registration.document.replace("GET_QUEUE_CUSTS_XML", "GET_QUEUE_CUSTS_W_REASONS_XML");
    world.connections().put(&registration).await.unwrap();
    world.source.delete(1004);
    world.source.fault(Procedure::Details, Some(AaFault::Empty.into()));
    world.run_for(20).await;
    assert_eq!(world.customer(1004).await.unwrap().content.status, Status::Active, "nobody vouches for it");
    world.source.fault(Procedure::Details, None);
    world.sync().await;
    assert_eq!(world.customer(1004).await.unwrap().content.status, Status::Deleted);
}

/// Invariant 5: a source that silently leaves out some of the requested customers deletes none.
#[tokio::test]
async fn nobody_is_buried_by_a_source_that_answers_with_only_so_many() {
    for at_most in [1, 2, 3, 4, 7, 12, 15, 40, 99] {
        let world = AssociationAnywhereFixture::with(
            AaSettings { customers: 120, ..AaSettings::default() },
            "most_deletes_percent = 100",
        )
        .await;
        world.sync().await;
        world.source.set_habits(|habits| habits.answers_at_most = Some(at_most));
        for id in 1001..1121 {
            world.source.change([id]);
        }
        world.run_for(30).await;
        assert_eq!(world.status().await.counts.ends.tombstoned, 0, "{at_most}");
        world.source.set_habits(|habits| habits.answers_at_most = None);
        world.sync().await;
        world.assert_shadow_is_the_sources(1001..1121).await;
    }
}

/// Invariant 5: nor if all of a small site stand in one request, so that no other customer could vouch.
#[tokio::test]
async fn nobody_of_a_small_site_is_buried_by_a_source_that_begins_to_answer_with_only_one() {
    for customers in [2, 4, 12] {
        let world = AssociationAnywhereFixture::with_customers(customers).await;
        world.sync().await;
        world.source.set_habits(|habits| habits.answers_at_most = Some(1));
        world.source.enqueue_all();
        world.run_for(60).await;
        assert_eq!(world.status().await.counts.ends.tombstoned, 0, "of {customers}");
        world.source.set_habits(|habits| habits.answers_at_most = None);
        world.sync().await;
        world.assert_shadow_is_the_sources(1001..1001 + customers).await;
    }
}

/// Has messages delivered, while the source's answers have `limit` of their number at most.
async fn deliver_with_limits(
    world: &AssociationAnywhereFixture,
    messages: &[ReceivedMessage],
    limit: impl Fn(u32) -> Option<usize>,
) {
    world.source.fault(Procedure::Details, Some(Fault::Hang));
    let before = world.source.requests().faulted;
    let answers = async {
        for number in 0_u32.. {
            while world.source.requests().faulted - before <= u64::from(number) {
                tokio::task::yield_now().await;
            }
            world.source.set_habits(|habits| habits.answers_at_most = limit(number));
            // Lets this request go on, and holds the next one.
            world.source.fault(Procedure::Details, Some(Fault::Hang));
        }
    };
    tokio::select! {
        () = world.deliver(messages) => {}
        () = answers => unreachable!("requests are answered without end"),
    }
    world.source.fault(Procedure::Details, None);
    world.source.set_habits(|habits| habits.answers_at_most = None);
}

/// Invariant 5: nor by one whose limit comes and goes. What it is heard with before and afterwards says nothing about
/// an answer in between.
#[tokio::test]
async fn nobody_is_buried_by_a_source_that_answers_with_only_so_many_now_and_then() {
    // Which of the answers are limited, by the bits of a number: the first always is.
    for (at_most, limited) in (1..=3).flat_map(|at_most| (0_u32..8).map(move |bits| (at_most, 2 * bits + 1))) {
        let world = AssociationAnywhereFixture::with_customers(30).await;
        world.sync().await;
        world.source.change(1009..1017);
        world.poll().await;
        let messages = world.receive_all();
        let is_limited = |number: u32| limited >> (number % 4) & 1 == 1;
        deliver_with_limits(&world, &messages, |number| is_limited(number).then_some(at_most)).await;
        assert_eq!(world.status().await.counts.ends.tombstoned, 0, "{at_most}, {limited:04b}");
        world.clock.advance(Duration::from_secs(10));
        world.sync().await;
        world.assert_shadow_is_the_sources(1001..1031).await;
    }
}

/// Invariant 5: nor by one that answers with a single customer, and once with none.
#[tokio::test]
async fn nobody_is_buried_by_a_source_that_answers_with_one_customer_and_once_with_none() {
    for (customers, empty) in [2, 3].into_iter().flat_map(|customers| (0..12).map(move |empty| (customers, empty))) {
        let world = AssociationAnywhereFixture::with_customers(customers).await;
        world.sync().await;
        world.source.enqueue_all();
        world.poll().await;
        let messages = world.receive_all();
        deliver_with_limits(&world, &messages, |number| Some(usize::from(number != empty))).await;
        assert_eq!(world.status().await.counts.ends.tombstoned, 0, "of {customers}, answer {empty} is empty");
        world.sync().await;
        world.assert_shadow_is_the_sources(1001..1001 + customers).await;
    }
}

/// Invariants 5 and 9: the last customer is enough to see that all the others are gone, in whichever chunks they stand.
#[tokio::test]
async fn the_last_customer_of_a_site_vouches_for_the_deletion_of_all_others() {
    for bulk_size in [2, 3, 100] {
        let settings = AaSettings { customers: 12, ..AaSettings::default() };
        let world = AssociationAnywhereFixture::with(settings, &format!("bulk_size = {bulk_size}")).await;
        world.sync().await;
        for id in 1002..1013 {
            world.source.delete_silently(id);
        }
        world.sync().await;
        assert_eq!(world.status().await.counts.ends.tombstoned, 11, "bulk_size {bulk_size}");
        world.assert_shadow_is_the_sources([1001]).await;
    }
}

/// Invariant 9: a request of the smallest size has no room for a customer in two spellings and for another one.
#[tokio::test]
async fn a_deletion_that_is_told_in_another_spelling_is_seen_with_the_smallest_requests() {
    for bulk_size in [2, 3, 4] {
        let settings = AaSettings { customers: 12, ..AaSettings::default() };
        let world = AssociationAnywhereFixture::with(settings, &format!("bulk_size = {bulk_size}")).await;
        world.sync().await;
        world.source.set_habits(|habits| habits.queues_with_zeros = true);
        world.source.delete_silently(1004);
        world.source.delete_silently(1005);
        world.source.change([1006]);
        world.sync().await;
        for id in [1004, 1005] {
            assert_eq!(world.customer(id).await.unwrap().content.status, Status::Deleted, "{id}, {bulk_size}");
        }
        assert!(world.source.requests().most_asked <= bulk_size, "{}", world.source.requests().most_asked);
    }
}

/// Invariant 5: an answer with a customer that was not requested proves nothing about those that are missing from it.
#[tokio::test]
async fn an_answer_with_somebody_who_was_not_asked_for_buries_nobody() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.source.create(5_000);
    world.sync().await;
    world.source.set_habits(|habits| habits.always_answers = Some(5_000));
    world.source.delete_silently(1004);
    world.source.change([1005]);
    world.sync().await;
    assert_eq!(world.customer(1004).await.unwrap().content.status, Status::Active);
    let failures = world.failures().all(&world.connection()).await.unwrap();
    assert_eq!((failures.len(), failures[0].source_id.as_str()), (1, "1004"));
    assert!(failures[0].reason.contains("not asked for") && failures[0].raw.contains("5000"), "{failures:?}");
    world.assert_shadow_is_the_sources([1005]).await;
}

/// Invariants 1 and 5: a customer that is queued in one spelling and answered in another is one record, and is not
/// gone.
#[tokio::test]
async fn an_id_that_the_queue_writes_with_leading_zeros_is_the_customer_without_them() {
    let world = AssociationAnywhereFixture::with_customers(130).await;
    world.sync().await;
    world.source.set_habits(|habits| habits.queues_with_zeros = true);
    world.source.change(1001..1131);
    world.source.create(6_000);
    world.sync().await;
    world.assert_shadow_is_the_sources((1001..1131).chain([6_000])).await;
    let ends = world.status().await.counts.ends;
    assert_eq!((ends.tombstoned, ends.failed), (0, 0));
    assert_eq!(world.shadow().existing(&world.connection()).await.unwrap().len(), 131, "nobody is stored twice");

    world.source.delete_silently(1004);
    world.source.delete_silently(1005);
    world.sync().await;
    for id in [1004, 1005] {
        assert_eq!(world.customer(id).await.unwrap().content.status, Status::Deleted, "{id}");
    }
    world.source.create(1004);
    world.sync().await;
    world.assert_shadow_is_the_sources((1001..1131).filter(|id| *id != 1005)).await;
}

/// Invariant 5: more deletes at once than an organisation could mean wait for an operator, and hold up no other change.
#[tokio::test]
async fn more_deletes_at_once_than_the_limit_lets_wait_for_a_person_and_hold_up_nobody() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.sync().await;
    for id in 1001..1131 {
        world.source.delete_silently(id);
    }
    world.source.change([1200]);
    world.sync().await;
    let status = world.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld, status.failures), (50, 80, 80));
    assert!(world.source.queue().is_empty(), "the batch was acknowledged");
    world.assert_shadow_is_the_sources([1200]).await;
    let failures = world.failures().all(&world.connection()).await.unwrap();
    let command = "`resync aa` with `--confirm-deletes`";
    assert!(failures.iter().all(|failure| failure.reason.contains(command)), "{}", failures[0].reason);
    let withheld: Vec<u64> = failures.iter().map(|failure| failure.source_id.parse().unwrap()).collect();
    for id in &withheld {
        assert_eq!(world.customer(*id).await.unwrap().content.status, Status::Active, "{id}");
    }

    // One of them is back meanwhile; and others go in the same batch, without a confirmation.
    world.source.create(withheld[0]);
    for id in 1131..1191 {
        world.source.delete_silently(id);
    }
    world.confirm_deletes(&world.connection()).await;
    world.sync().await;
    for id in &withheld[1..] {
        assert_eq!(world.customer(*id).await.unwrap().content.status, Status::Deleted, "{id}");
    }
    world.assert_shadow_is_the_sources([withheld[0]]).await;
    let status = world.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (50 + 79 + 50, 10));
    assert_eq!(world.states().state(&world.connection()).await.unwrap().confirm_requested, None);
}

/// Invariant 11: the command of the release before marks no deletion. It means all that wait when the batch begins.
#[tokio::test]
async fn a_confirmation_by_the_release_before_is_of_all_that_wait() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.sync().await;
    for id in 1001..1131 {
        world.source.delete_silently(id);
    }
    world.sync().await;
    let key = [("connection", "acme/aa"), ("entry", "poll")];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let request = world.clients.dynamodb.update_item().table_name(tests::CONTROL_TABLE).set_key(Some(key.into()));
    request
        .update_expression("SET confirm_at = :at REMOVE idle ADD confirm_count :one, requests :one")
        .expression_attribute_values(":at", AttributeValue::N("1767225620000".to_owned()))
        .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        .send()
        .await
        .unwrap();
    world.sync().await;
    let status = world.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (130, 0));
}

/// Invariants 3 and 5: what a batch withholds is not confirmed by the request that the batch was opened for, although a
/// message that comes again finds it withheld.
#[tokio::test]
async fn a_chunk_that_is_worked_on_again_does_not_carry_out_what_it_withheld() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.sync().await;
    for id in 1001..1131 {
        world.source.delete_silently(id);
    }
    world.sync().await;
    for id in 1131..1191 {
        world.source.delete_silently(id);
    }
    world.confirm_deletes(&world.connection()).await;
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    // How many requests to the store the workers are let do before they die, until they are let do all.
    for budget in 1.. {
        world.store_budget.set(budget);
        world.deliver(&world.receive_all()).await;
        world.store_budget.set(i64::MAX);
        world.clock.advance(Duration::from_secs(61));
        world.poll().await;
        if world.status().await.batch.is_none() {
            break;
        }
    }
    assert_eq!(world.status().await.deletes_withheld, 10);
    let living = world.shadow().existing(&world.connection()).await.unwrap();
    assert_eq!(living.len(), 300 - (50 + 80 + 50), "and ten of them are gone at the source");
}

/// Invariant 5: what is asked for again, because a batch was abandoned or an operator redrives it, has no limit of its
/// own.
#[tokio::test]
async fn the_limit_on_deletions_is_not_passed_by_asking_again() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.sync().await;
    for id in 1001..1131 {
        world.source.delete_silently(id);
    }
    world.source.fault(Procedure::Purge, Some(AaFault::FailureStatus("not allowed".into()).into()));
    // Long enough for several batches, each of which is abandoned when its purges have failed.
    world.run_for(300).await;
    let ends = |status: ConnectionStatus| (status.counts.ends.tombstoned, status.deletes_withheld);
    assert_eq!(ends(world.status().await), (50, 80));
    world.source.fault(Procedure::Purge, None);
    world.sync().await;
    for failure in world.failures().all(&world.connection()).await.unwrap() {
        world.failures().request_redrive(&world.connection(), &failure.source_id, world.now()).await.unwrap();
    }
    world.run_for(10).await;
    world.sync().await;
    assert_eq!(ends(world.status().await), (50, 80));
}

/// Invariant 5: nor by a batch that is abandoned before all of it was looked at.
#[tokio::test]
async fn what_an_abandoned_batch_has_deleted_counts_for_the_next_one() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.sync().await;
    for id in 1001..1131 {
        world.source.delete_silently(id);
    }
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    let messages = world.receive_all();
    world.deliver(&messages[..1]).await;
    let batch = world.ledger().state(&world.connection()).await.unwrap().latest.unwrap();
    world.ledger().advance(&world.connection(), &batch, BatchEvent::Abandoned).await.unwrap();
    world.clock.advance(Duration::from_secs(61));
    world.sync().await;
    let status = world.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (50, 80));
}

#[tokio::test]
async fn the_share_of_the_customers_that_one_batch_may_delete_is_configured() {
    for (percent, tombstoned) in [(0, 50), (20, 60), (100, 130)] {
        let settings = AaSettings { customers: 300, ..AaSettings::default() };
        let world = AssociationAnywhereFixture::with(settings, &format!("most_deletes_percent = {percent}")).await;
        world.sync().await;
        for id in 1001..1131 {
            world.source.delete_silently(id);
        }
        world.sync().await;
        let status = world.status().await;
        let ends = (status.counts.ends.tombstoned, status.deletes_withheld);
        assert_eq!(ends, (tombstoned, 130 - tombstoned), "{percent} %");
    }
}

/// Invariants 3 and 5: a worker that dies between reserving deletions and settling reserves once.
#[tokio::test]
async fn a_chunk_that_is_worked_on_again_does_not_use_up_the_deletions_of_others() {
    let world = AssociationAnywhereFixture::with_customers(300).await;
    world.sync().await;
    for id in 1001..1041 {
        world.source.delete_silently(id);
    }
    world.clock.advance(Duration::from_secs(5));
    world.poll().await;
    let messages = world.receive_all();
    // How many requests to the store a worker is let do before it dies, until it is let do all.
    for budget in 1.. {
        world.store_budget.set(budget);
        world.deliver(&messages).await;
        let is_done = world.store_budget.left() > 0;
        world.store_budget.set(i64::MAX);
        world.clock.advance(Duration::from_secs(61));
        if is_done {
            break;
        }
    }
    // The chunk was divided by then: the others of it follow. The batch stays open, so that it can be looked at.
    world.source.fault(Procedure::Purge, Some(AaFault::FailureStatus("not now".into()).into()));
    world.run_for(10).await;
    let key = [("connection", "acme/aa"), ("entry", "batch")];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    let get = world.clients.dynamodb.get_item().table_name(tests::CONTROL_TABLE).set_key(Some(key.into()));
    let batch = get.send().await.unwrap().item.unwrap();
    assert_eq!(batch["deletes_reserved"], AttributeValue::N("40".to_owned()), "each of them once");
    world.source.fault(Procedure::Purge, None);
    world.sync().await;
    assert_eq!(world.status().await.deletes_withheld, 0);
    for id in 1001..1041 {
        assert_eq!(world.customer(id).await.unwrap().content.status, Status::Deleted, "{id}");
    }
}

#[tokio::test]
async fn who_is_deleted_already_or_was_never_stored_is_not_held_back() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    for id in 500_000..500_120 {
        world.source.enqueue(id);
    }
    world.sync().await;
    assert_eq!(world.status().await.deletes_withheld, 0);
    for id in 500_000..500_120 {
        world.source.enqueue(id);
    }
    world.sync().await;
    let status = world.status().await;
    assert_eq!((status.deletes_withheld, status.counts.ends.tombstoned, status.counts.ends.unchanged), (0, 120, 120));
}

#[tokio::test]
async fn a_customer_whom_nobody_ever_saw_and_who_is_gone_comes_to_an_end_too() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.source.enqueue(999_999);
    world.sync().await;
    assert_eq!(world.customer(999_999).await.unwrap().content.status, Status::Deleted);
    assert!(world.source.queue().is_empty());
}

#[tokio::test]
async fn a_customer_who_is_gone_waits_in_the_queue_until_somebody_exists_to_prove_it() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    world.source.enqueue(999_999);
    world.run_for(60).await;
    assert!(world.customer(999_999).await.is_none());
    assert_eq!(world.source.queue(), [999_999], "not proven, so not purged");
    assert!(world.status().await.error.unwrap().message.contains("confirms"));
    // A new customer comes through the same queue: nothing was blocked, and now there is a companion.
    world.source.create(5_000);
    world.sync().await;
    assert_eq!(world.customer(999_999).await.unwrap().content.status, Status::Deleted);
    assert!(world.customer(5_000).await.is_some());
}

#[tokio::test]
async fn a_customer_who_comes_twice_in_an_answer_is_one_record() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.source.fault(Procedure::Details, Some(AaFault::Duplicates.into()));
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, 30);
    world.assert_shadow_is_the_sources(1001..1031).await;
}
