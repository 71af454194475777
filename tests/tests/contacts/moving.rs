//! Contacts that move while they are listed.

use std::time::Duration;

use jiff::SignedDuration;
use operations::status::Condition;
use simulators::business_catalyst::{Action, BcFault, BcSettings, Fault, ListingOrder, Operation};
use tests::{BusinessCatalystFixture, MOST_PAGES};

use crate::{missing, resync};

#[tokio::test]
async fn two_contacts_with_the_same_second_of_update_across_a_page_border_both_arrive() {
    let site = BusinessCatalystFixture::with_contacts(50).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    // The clock stands still: all of them have one second of update, over two borders.
    site.source.act(Action::ChangeSome(50));
    for _ in 0..180 {
        site.source.create(None);
    }
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    assert_eq!(site.status().await.counts.ends.written, 50 + 50 + 180);
}

#[tokio::test]
async fn a_listing_that_never_ends_is_stopped_with_an_error() {
    for (fault, why) in [(BcFault::RepeatPages, "the same page again and again"), (BcFault::Endless, "has no end")] {
        let site = BusinessCatalystFixture::with_contacts(150).await;
        site.source.fault(Operation::Retrieve, Some(fault.clone().into()));
        // What was proven before the list turned out to have no end is taken over, and gone on from.
        let mut states = 0;
        while site.status().await.condition != Condition::Failing {
            states += 1;
            assert!(states <= 5, "{fault:?}: {:?}", site.status().await);
            site.poll().await;
            site.work().await;
        }
        let status = site.status().await;
        assert!(status.error.as_ref().unwrap().message.contains(why), "{status:?}");
        assert!(site.source.requests().retrieve <= states * (2 * u64::from(MOST_PAGES) + 1), "{fault:?}");
        site.source.fault(Operation::Retrieve, None);
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
        assert_eq!(missing(&site).await, [] as [u64; 0], "{fault:?}");
    }
}

#[tokio::test]
async fn a_contact_that_only_moved_while_a_full_listing_ran_is_not_deleted() {
    for order in [ListingOrder::LastUpdateDate, ListingOrder::EntityId] {
        let settings = BcSettings { contacts: 350, order, ..BcSettings::default() };
        let site = BusinessCatalystFixture::with(settings, "Europe/London", "").await;
        site.sync().await;
        site.clock.advance(Duration::from_secs(3_600));
        // Every contact behind it moves up by one: the first of the second page is on no page that is read.
        site.source.on_page(90, Action::RemoveSilently(1010));
        site.source.on_page(180, Action::Change(vec![1020]));
        resync(&site).await;
        let tombstoned = site.status().await.counts.ends.tombstoned;
        assert_eq!(tombstoned, u64::from(site.is_tombstone(1010).await), "{order:?}");
        resync(&site).await;
        if order == ListingOrder::EntityId {
            // A list that is not in the order of its dates may not be complete.
            assert_eq!(site.status().await.deletes_withheld, 1);
            site.confirm_deletes(&site.connection()).await;
            site.clock.advance(Duration::from_secs(60));
            site.sync().await;
        }
        site.assert_shadow_is_the_sources().await;
        assert_eq!(site.status().await.counts.ends.tombstoned, 1, "{order:?}");
    }
}

/// The contacts that the shadow does not have as the source has them, after a first listing with these events and two
/// more states.
async fn missing_after(settings: BcSettings, events: &[(u64, Action)]) -> Vec<u64> {
    let site = BusinessCatalystFixture::on(
        tests::TestDeployment::with_most_pages(1, 1_000).await,
        settings,
        "Europe/London",
        "",
    )
    .await;
    for (request, action) in events {
        site.source.on_request(*request, action.clone());
    }
    for _ in 0..3 {
        site.sync().await;
        site.clock.advance(Duration::from_secs(60));
    }
    missing(&site).await
}

/// Invariant 1: an edited contact moves to the end, and those behind move up, across the border of a page that was
/// read.
#[tokio::test]
async fn nobody_is_missed_where_a_contact_is_edited_while_a_listing_runs() {
    for order in [ListingOrder::LastUpdateDate, ListingOrder::EntityId] {
        let settings = BcSettings { contacts: 350, order, ..BcSettings::default() };
        let events = [(3, Action::Change(vec![1003])), (4, Action::ChangeSome(5)), (4, Action::ChangeSome(40))];
        assert_eq!(missing_after(settings, &events).await, [] as [u64; 0], "{order:?}");
    }
}

/// Invariant 1: so do those behind a contact that is removed.
#[tokio::test]
async fn nobody_is_missed_where_contacts_are_removed_while_a_listing_runs() {
    for order in [ListingOrder::LastUpdateDate, ListingOrder::EntityId] {
        let settings = BcSettings { contacts: 350, order, ..BcSettings::default() };
        let removed = (1001..1060).step_by(2).map(|id| (2 + id % 3, Action::RemoveSilently(id)));
        let events: Vec<_> = removed.chain([(3, Action::Create(None)), (4, Action::Delete(1300))]).collect();
        assert_eq!(missing_after(settings, &events).await, [] as [u64; 0], "{order:?}");
    }
}

/// Invariant 1: the next page begins behind what was seen, whatever a page holds.
#[tokio::test]
async fn nobody_is_missed_where_pages_have_another_size() {
    for page_size in [1, 2, 7, 50] {
        let contacts = if page_size == 50 { 420 } else { 30 };
        let settings = BcSettings { contacts, page_size, ..BcSettings::default() };
        assert_eq!(missing_after(settings, &[(2, Action::ChangeSome(2))]).await, [] as [u64; 0], "{page_size}");
    }
}

/// Invariant 1: a list that the source ends early is continued from the newest date that was seen.
#[tokio::test]
async fn nobody_is_missed_where_the_source_ends_its_lists_early() {
    let settings = BcSettings { contacts: 700, cap: Some(250), ..BcSettings::default() };
    let site = BusinessCatalystFixture::with(settings, "Australia/Sydney", "").await;
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

/// Invariant 5: and it proves no contact missing.
#[tokio::test]
async fn a_list_that_the_source_ends_early_deletes_nobody() {
    let settings = BcSettings { contacts: 400, cap: Some(250), ..BcSettings::default() };
    let site = BusinessCatalystFixture::with(settings, "Australia/Sydney", "").await;
    site.sync().await;
    site.source.remove_silently(1020);
    resync(&site).await;
    assert_eq!(site.status().await.counts.ends.tombstoned, 0);
    assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 400);
}

/// Invariants 1 and 5: nor does a list with more contacts of one date than the source lists at once; the others can't
/// be asked for, and the status says so.
#[tokio::test]
async fn more_contacts_of_one_date_than_the_source_lists_at_once_are_told_and_delete_nobody() {
    let settings = BcSettings { contacts: 250, cap: Some(100), ..BcSettings::default() };
    let site = BusinessCatalystFixture::with(settings, "Australia/Sydney", "").await;
    site.sync().await;
    site.source.set_step(SignedDuration::ZERO);
    site.source.change(1001..1201);
    site.clock.advance(Duration::from_secs(3_600));
    for _ in 0..3 {
        site.states().request_resync(&site.connection(), site.now()).await.unwrap();
        site.clock.advance(Duration::from_secs(60));
        site.poll().await;
        site.work().await;
        site.poll().await;
    }
    let status = site.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (0, 0));
    assert!(status.error.is_some_and(|error| error.message.contains("of one date")), "{:?}", status.condition);
}

/// Invariant 1: changes in the second listing, which checks which contacts are gone, are taken over as well.
#[tokio::test]
async fn the_news_of_a_confirming_listing_are_taken_over() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.source.remove_silently(1010);
    // The first listing has three pages: two, and one that proves its end. So has the second.
    site.source.on_request(4, Action::Change(vec![1020]));
    let states = site.states();
    states.request_resync(&site.connection(), site.now()).await.unwrap();
    site.poll().await;
    site.work().await;
    let name = site.customer(1020).await.unwrap().content.name.display;
    assert_eq!(name, site.source.display_name(1020));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

/// Invariant 9: a list that is longer than one batch may be is read in several, without an operator.
#[tokio::test]
async fn a_list_with_more_pages_than_a_batch_may_have_is_read_in_several_batches() {
    let site =
        BusinessCatalystFixture::on(tests::TestDeployment::with_most_pages(1, 4).await, settings_of(1_000), "UTC", "")
            .await;
    site.poll().await;
    site.work().await;
    site.poll().await;
    let state = site.ledger().state(&site.connection()).await.unwrap();
    assert!(state.cursor.is_some(), "the first batch is done");
    assert_eq!(site.status().await.fresh_as_of, None, "and says nothing of how fresh the shadow is");
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

fn settings_of(contacts: u64) -> BcSettings {
    BcSettings { contacts, ..BcSettings::default() }
}

/// A first listing during which 1 % are edited, 0.1 % removed and 0.1 % added, and two more states; and how many
/// requests the first listing took.
async fn busy_listing(contacts: u64) -> (BusinessCatalystFixture, u64) {
    let site = BusinessCatalystFixture::on(
        tests::TestDeployment::with_most_pages(1, 20_000).await,
        settings_of(contacts),
        "UTC",
        "",
    )
    .await;
    let requests = contacts / 90;
    let spread = |count: u64| (0..count).map(move |number| 1 + number * requests / count);
    for request in spread(contacts / 100) {
        site.source.on_request(request, Action::ChangeSome(1));
    }
    for (number, request) in (0..).zip(spread(contacts / 1_000)) {
        site.source.on_request(request, Action::Create(None));
        let id = 1001 + number * 997 % contacts;
        let action = if number % 2 == 0 { Action::RemoveSilently(id) } else { Action::Delete(id) };
        site.source.on_request(request, action);
    }
    site.sync_within(60 + contacts / 500).await;
    let requests = site.source.requests().retrieve;
    for _ in 0..2 {
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
    }
    (site, requests)
}

async fn is_complete_and_costs_little(contacts: u64) {
    let quiet = BusinessCatalystFixture::on(
        tests::TestDeployment::with_most_pages(1, 20_000).await,
        settings_of(contacts),
        "UTC",
        "",
    )
    .await;
    quiet.poll().await;
    let quiet_requests = quiet.source.requests().retrieve;
    let (site, requests) = busy_listing(contacts).await;
    assert_eq!(missing(&site).await, [] as [u64; 0]);
    for id in site.source.deleted_ids() {
        let stored = site.customer(id).await;
        assert!(stored.is_none_or(|customer| customer.content.status == model::Status::Deleted), "{id}");
    }
    assert!(requests * 10 <= quiet_requests * 13, "{requests} requests instead of {quiet_requests}");
}

/// Invariants 1 and 9.
#[tokio::test]
async fn a_list_of_5_000_that_changes_while_it_is_read_is_complete_after_two_more_polls_and_costs_little() {
    is_complete_and_costs_little(5_000).await;
}

/// The same. Slow: `cargo test -p tests --features slow --test contacts`.
#[cfg(feature = "slow")]
#[tokio::test]
async fn a_list_of_100_000_that_changes_while_it_is_read_is_complete_after_two_more_polls_and_costs_little() {
    is_complete_and_costs_little(100_000).await;
}

/// Invariant 2: of two pollers that asked for the same page, the one that was overtaken replaces nothing that the other
/// has committed.
#[tokio::test]
async fn a_poller_that_was_overtaken_does_not_replace_a_chunk_that_another_has_committed() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.source.fault_on_page(90, Some(Fault::Status(503)));
    site.poll().await;
    let (key, ledger) = (site.connection(), site.ledger());
    let batch = ledger.state(&key).await.unwrap().latest.unwrap();
    let plan = |id: &str| model::ChunkPlan { number: 0, delete: [id.to_owned()].into(), ..model::ChunkPlan::default() };
    let earlier = site.now() - jiff::SignedDuration::from_secs(20);
    let late = ledger.write_page(&key, &batch, &[plan("other")], earlier).await;
    assert!(matches!(late, Err(store::StoreError::MovedOn { .. })), "{late:?}");
    site.source.fault_on_page(90, None);
    site.clock.advance(Duration::from_secs(20));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

/// Invariant 11: a listing that a release before began, or went on with, is read from its beginning again.
#[tokio::test]
async fn a_listing_of_the_release_before_is_gone_on_with_and_nobody_is_missed() {
    let site = BusinessCatalystFixture::with_contacts(350).await;
    site.source.fault_on_page(180, Some(Fault::Status(503)));
    site.poll().await;
    let update = site.clients.dynamodb.update_item().table_name(tests::CONTROL_TABLE);
    let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.into());
    let update = update.key("connection", text("acme/bc")).key("entry", text("batch"));
    update.update_expression("REMOVE listing_step, listing_reading").send().await.unwrap();
    site.source.fault_on_page(180, None);
    site.clock.advance(Duration::from_secs(20));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}
