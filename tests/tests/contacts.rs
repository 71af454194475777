//! Business Catalyst, from contact list to shadow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use std::time::Duration;

use jiff::Timestamp;
use model::Status;
use runtime::status::Condition;
use simulators::business_catalyst::{Action, BcSettings, Fault, ListingOrder, Operation, PASSWORD_MARK, Poison};
use tests::{CONTACTS_QUEUE, CONTROL_TABLE, MOST_PAGES, SHADOW_TABLE, Site};

async fn site_1_2(contacts: u64) -> Site {
    Site::with(BcSettings { contacts, ..BcSettings::default() }, "Australia/Sydney", "soap = '1.2'").await
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Moves the deployment's clock, and with it the site's.
fn set_clock(site: &Site, time: Timestamp) {
    site.clock.advance(Duration::try_from(time.duration_since(site.now())).unwrap());
}

#[tokio::test]
async fn a_first_sync_takes_every_contact_over_and_a_second_one_writes_nothing() {
    let site = Site::with_contacts(250).await;
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    let counts = site.status().await.counts;
    assert_eq!((counts.fetched, counts.ends.written), (250, 250));
    let written = site.writes().await;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    let counts = site.status().await.counts;
    assert_eq!(counts.ends.written, 250);
    assert_eq!(counts.fetched, counts.ends.sum());
    assert_eq!(site.writes().await, written);
}

#[tokio::test]
async fn a_quiet_site_makes_no_batch_of_the_same_newest_contacts_again_and_again() {
    let site = Site::with_contacts(120).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    let fetched = site.status().await.counts.fetched;
    for _ in 0..3 {
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
    }
    let status = site.status().await;
    assert_eq!(status.counts.fetched, fetched);
    assert_eq!(status.freshness_seconds, Some(0));
}

#[tokio::test]
async fn a_change_a_new_contact_and_a_touched_one_arrive_with_the_next_listing() {
    let site = Site::with_contacts(120).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.vendor.change([1005]);
    let created = site.vendor.create(None);
    site.vendor.touch(1006);
    let before = site.status().await.counts;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    let counts = site.status().await.counts;
    assert_eq!(counts.ends.written, before.ends.written + 2);
    assert_eq!(site.customer(1005).await.unwrap().revision, 2);
    assert_eq!(site.customer(1006).await.unwrap().revision, 1, "a touched contact has equal content");
    assert!(site.customer(created).await.is_some());
    let asked = site.vendor.listings();
    assert!(asked.len() < 8, "an incremental listing has one page: {asked:?}");
}

#[tokio::test]
async fn a_contact_edited_while_a_listing_runs_is_not_lost() {
    let site = Site::with_contacts(350).await;
    // It moves to the end; those behind it move up, one of them across the border of a page that was read already.
    site.vendor.on_page(200, Action::Change(vec![1003]));
    site.vendor.on_page(300, Action::ChangeSome(5));
    site.sync().await;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    let missing: Vec<u64> = missing(&site).await;
    assert!(missing.len() <= 6, "more than moved: {missing:?}");
    // Who moved up unseen has not changed since: only a listing from the beginning shows it again.
    resync(&site).await;
    site.assert_shadow_is_the_vendors().await;
}

async fn missing(site: &Site) -> Vec<u64> {
    let mut missing = Vec::new();
    for id in site.vendor.contact_ids() {
        let name = site.customer(id).await.and_then(|customer| customer.content.name.display);
        if name != site.vendor.display_name(id) {
            missing.push(id);
        }
    }
    missing
}

async fn resync(site: &Site) {
    let polls = store::Polls::new(site.clients.dynamodb.clone(), CONTROL_TABLE);
    polls.request_resync(&site.connection(), site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
}

#[tokio::test]
async fn two_contacts_with_the_same_second_of_update_across_a_page_border_both_arrive() {
    let site = Site::with_contacts(50).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    // The clock stands still: all of them have one second of update, over two borders.
    site.vendor.act(Action::ChangeSome(50));
    for _ in 0..180 {
        site.vendor.create(None);
    }
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    assert_eq!(site.status().await.counts.ends.written, 50 + 50 + 180);
}

#[tokio::test]
async fn the_cursor_does_not_move_while_a_chunk_is_open() {
    let site = Site::with_contacts(250).await;
    site.poll().await;
    let messages = site.queues.receive(CONTACTS_QUEUE, usize::MAX);
    assert_eq!(messages.len(), 3);
    site.deliver_to(CONTACTS_QUEUE, &messages[..2]).await;
    site.poll().await;
    let state = site.ledger().state(&site.connection()).await.unwrap();
    assert_eq!(state.cursor, None);
    assert_eq!(site.status().await.condition, Condition::Syncing);
    site.deliver_to(CONTACTS_QUEUE, &messages[2..]).await;
    site.poll().await;
    let state = site.ledger().state(&site.connection()).await.unwrap();
    assert!(state.cursor.is_some());
    assert_eq!(site.status().await.condition, Condition::InStep);
}

#[tokio::test]
async fn a_lost_message_is_sent_again_and_a_doubled_one_changes_nothing() {
    let site = Site::with_contacts(150).await;
    site.poll().await;
    let messages = site.queues.receive(CONTACTS_QUEUE, usize::MAX);
    site.deliver_to(CONTACTS_QUEUE, &messages[..1]).await;
    site.deliver_to(CONTACTS_QUEUE, &messages[..1]).await;
    site.queues.delete(CONTACTS_QUEUE, &messages[1]);
    site.clock.advance(Duration::from_secs(21));
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    assert_eq!(site.status().await.counts.fetched, 150);
}

/// Dies after every request to the store in turn, in the poller and in the workers.
#[tokio::test]
async fn a_crash_between_any_two_steps_repeats_work_and_loses_none() {
    let mut requests = 0;
    loop {
        let site = Site::with_contacts(103).await;
        site.vendor.delete(1001);
        site.store_budget.set(requests);
        site.poll().await;
        site.work().await;
        site.poll().await;
        let lived = site.store_budget.left() >= 0;
        site.store_budget.set(i64::MAX);
        // Longer than any lease.
        site.clock.advance(Duration::from_secs(61));
        site.sync().await;
        site.assert_shadow_is_the_vendors().await;
        let status = site.status().await;
        assert_eq!(status.counts.fetched, status.counts.ends.sum(), "after {requests} requests: {status:?}");
        assert_eq!(status.failures, 0, "after {requests} requests");
        if lived {
            break;
        }
        // The writes of one page's contacts are alike: a few of them stand for all.
        requests += if (30..110).contains(&requests) { 16 } else { 1 };
    }
    assert!(requests > 110, "it never came to its end: {requests}");
}

#[tokio::test]
async fn deleted_contacts_become_tombstones_and_come_back_when_they_are_created_anew() {
    let site = Site::with_contacts(20).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.vendor.delete(1004);
    site.sync().await;
    assert!(site.is_tombstone(1004).await);
    assert_eq!(site.status().await.counts.ends.tombstoned, 1);
    site.assert_shadow_is_the_vendors().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.vendor.create(Some(1004));
    site.sync().await;
    assert_eq!(site.customer(1004).await.unwrap().content.status, Status::Active);
    site.assert_shadow_is_the_vendors().await;
}

#[tokio::test]
async fn a_fault_in_page_7_keeps_pages_1_to_6_safe_and_is_retried() {
    for fault in [
        Fault::Status(503),
        Fault::CutBody,
        Fault::Malformed,
        Fault::NotXml,
        Fault::NoContactsFault,
        Fault::SoapFault("the database is busy".into()),
    ] {
        let site = Site::with_contacts(730).await;
        site.vendor.fault_on_page(600, Some(fault.clone()));
        site.poll().await;
        site.work().await;
        let listed = site.shadow().existing(&site.connection()).await.unwrap();
        assert_eq!(listed.len(), 600, "{fault:?}");
        let status = site.status().await;
        assert_eq!(status.condition, Condition::Failing, "{fault:?}");
        assert!(status.error.unwrap().message.contains("page 7"), "{fault:?}");
        site.vendor.fault_on_page(600, None);
        site.clock.advance(Duration::from_secs(20));
        site.sync().await;
        site.assert_shadow_is_the_vendors().await;
        let asked = site.vendor.listings().iter().filter(|asked| asked.record_start == 0).count();
        assert!(asked <= 2, "it began anew: {fault:?}");
        assert_eq!(site.status().await.counts.ends.written, 730, "{fault:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_and_repeat_no_secret() {
    let site = Site::with_contacts(20).await;
    site.vendor.fault(Operation::Retrieve, Some(Fault::WrongCredentials));
    site.poll().await;
    let status = site.status().await;
    assert_eq!(status.condition, Condition::Failing);
    let message = status.error.unwrap().message;
    assert!(message.starts_with("contact list: the vendor answered with an error"), "{message}");
    assert!(!message.contains("demo-password") && !message.contains("demo@example.com"), "{message}");
    site.vendor.fault(Operation::Retrieve, None);
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
}

#[tokio::test]
async fn a_site_that_speaks_soap_1_2_is_synchronised() {
    let site = site_1_2(230).await;
    site.vendor.fault_times(Operation::Retrieve, Fault::SoapFault("try again".into()), 1);
    site.poll().await;
    assert!(site.status().await.error.unwrap().message.contains("try again"));
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
}

#[tokio::test]
async fn a_site_in_a_zone_with_clock_changes_loses_no_edit_when_clocks_are_set_back() {
    // In Sydney 02:00 to 03:00 of 2026-04-05 comes twice: first from 15:00, then from 16:00 UTC.
    let site = Site::with_contacts(30).await;
    site.sync().await;
    set_clock(&site, at("2026-04-04T15:50:00Z"));
    site.vendor.change([1001, 1002]);
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    // 02:10 once more: by the clock on the wall it is before the edits that were seen.
    set_clock(&site, at("2026-04-04T16:10:00Z"));
    site.vendor.change([1002, 1003]);
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    set_clock(&site, at("2026-04-04T18:00:00Z"));
    site.vendor.change([1001, 1002, 1003]);
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    assert_eq!(site.status().await.counts.ends.stale, 0);
}

#[tokio::test]
async fn a_site_in_a_zone_with_clock_changes_loses_no_edit_when_clocks_go_forward() {
    let site = Site::with_contacts(30).await;
    site.sync().await;
    for time in ["2026-10-03T15:59:59Z", "2026-10-03T16:00:00Z", "2026-10-03T16:20:00Z"] {
        set_clock(&site, at(time));
        site.vendor.change([1001, 1002]);
        site.sync().await;
        site.assert_shadow_is_the_vendors().await;
    }
}

#[tokio::test]
async fn a_listing_that_never_ends_is_stopped_with_an_error() {
    for (fault, why) in [(Fault::RepeatPages, "the same page twice"), (Fault::Endless, "has no end")] {
        let site = Site::with_contacts(150).await;
        site.vendor.fault(Operation::Retrieve, Some(fault.clone()));
        site.poll().await;
        let status = site.status().await;
        assert_eq!(status.condition, Condition::Failing, "{fault:?}");
        assert!(status.error.as_ref().unwrap().message.contains(why), "{status:?}");
        assert!(site.vendor.requests().retrieve <= u64::from(MOST_PAGES) + 1, "{fault:?}");
        assert_eq!(site.ledger().state(&site.connection()).await.unwrap().cursor, None, "{fault:?}");
        site.vendor.fault(Operation::Retrieve, None);
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
        assert_eq!(missing(&site).await, [] as [u64; 0], "{fault:?}");
    }
}

#[tokio::test]
async fn each_form_of_no_contacts_is_no_news_and_no_failure() {
    for fault in [Fault::EmptyResult, Fault::NoResult, Fault::NoContactsFault] {
        let site = Site::with_contacts(30).await;
        site.sync().await;
        site.vendor.fault(Operation::Retrieve, Some(fault.clone()));
        site.clock.advance(Duration::from_secs(60));
        site.poll().await;
        let status = site.status().await;
        assert_eq!(status.condition, Condition::InStep, "{fault:?}");
        assert_eq!(status.freshness_seconds, Some(0), "{fault:?}");
        assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 30);
    }
}

#[tokio::test]
async fn a_full_listing_makes_tombstones_of_those_that_it_no_longer_holds() {
    let site = Site::with_contacts(320).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.vendor.remove_silently(1001);
    site.vendor.remove_silently(1200);
    site.sync().await;
    assert!(!site.is_tombstone(1001).await, "an incremental listing proves nothing");
    resync(&site).await;
    assert!(site.is_tombstone(1001).await && site.is_tombstone(1200).await);
    site.assert_shadow_is_the_vendors().await;
    let counts = site.status().await.counts;
    assert_eq!((counts.ends.tombstoned, counts.fetched), (2, counts.ends.sum()));
    // And back again, with the date that it had.
    site.clock.advance(Duration::from_secs(3_600));
    site.vendor.create(Some(1001));
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
}

#[tokio::test]
async fn a_contact_that_only_moved_while_a_full_listing_ran_is_not_deleted() {
    for order in [ListingOrder::LastUpdateDate, ListingOrder::EntityId] {
        let settings = BcSettings { contacts: 350, order, ..BcSettings::default() };
        let site = Site::with(settings, "Europe/London", "").await;
        site.sync().await;
        site.clock.advance(Duration::from_secs(3_600));
        // Everyone behind moves up by one: the first of the second page is on no page that is read.
        site.vendor.on_page(100, Action::RemoveSilently(1010));
        site.vendor.on_page(200, Action::Change(vec![1020]));
        let listings = || site.vendor.listings().iter().filter(|asked| asked.record_start == 0).count();
        let before = listings();
        resync(&site).await;
        assert!(listings() >= before + 2, "nobody was looked for again: {order:?}");
        let tombstoned = site.status().await.counts.ends.tombstoned;
        assert_eq!(tombstoned, u64::from(site.is_tombstone(1010).await), "{order:?}");
        resync(&site).await;
        site.assert_shadow_is_the_vendors().await;
        assert_eq!(site.status().await.counts.ends.tombstoned, 1, "{order:?}");
    }
}

#[tokio::test]
async fn a_full_listing_that_holds_somebody_without_an_id_deletes_nobody() {
    let site = Site::with_contacts(150).await;
    site.sync().await;
    site.vendor.poison(1010, Poison::NoEntityId);
    site.vendor.remove_silently(1020);
    resync(&site).await;
    assert_eq!(site.status().await.counts.ends.tombstoned, 0);
    assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 150);
    site.vendor.heal(1010);
    resync(&site).await;
    site.assert_shadow_is_the_vendors().await;
    assert!(site.is_tombstone(1020).await);
}

#[tokio::test]
async fn a_full_listing_cut_off_at_90_per_cent_deletes_nothing() {
    for fault in [Fault::Status(500), Fault::EmptyResult, Fault::NoResult, Fault::NoContactsFault, Fault::CutBody] {
        let site = Site::with_contacts(1_000).await;
        site.sync().await;
        site.vendor.fault_on_page(900, Some(fault.clone()));
        let polls = store::Polls::new(site.clients.dynamodb.clone(), CONTROL_TABLE);
        polls.request_resync(&site.connection(), site.now()).await.unwrap();
        for _ in 0..5 {
            site.clock.advance(Duration::from_secs(30));
            site.poll().await;
            site.work().await;
        }
        let status = site.status().await;
        assert_eq!(status.condition, Condition::Failing, "{fault:?}");
        assert_eq!(status.counts.ends.tombstoned, 0, "{fault:?}");
        assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 1_000, "{fault:?}");
        site.vendor.fault_on_page(900, None);
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
        site.assert_shadow_is_the_vendors().await;
        assert_eq!(site.status().await.counts.ends.tombstoned, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_answers_a_full_listing_with_nothing_deletes_nothing() {
    for fault in [Fault::EmptyResult, Fault::NoResult, Fault::NoContactsFault] {
        let site = Site::with_contacts(150).await;
        site.sync().await;
        let polls = store::Polls::new(site.clients.dynamodb.clone(), CONTROL_TABLE);
        polls.request_resync(&site.connection(), site.now()).await.unwrap();
        site.vendor.fault(Operation::Retrieve, Some(fault.clone()));
        for _ in 0..3 {
            site.clock.advance(Duration::from_secs(30));
            site.poll().await;
            site.work().await;
        }
        assert_eq!(site.status().await.counts.ends.tombstoned, 0, "{fault:?}");
        assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 150, "{fault:?}");
    }
}

#[tokio::test]
async fn a_contact_that_cant_be_read_costs_itself_alone_and_is_redriven() {
    let site = Site::with_contacts(150).await;
    site.vendor.poison(1010, Poison::BadDate);
    site.vendor.poison(1020, Poison::NoEntityId);
    site.vendor.poison(1030, Poison::TooDeep);
    site.sync().await;
    let counts = site.status().await.counts;
    assert_eq!((counts.fetched, counts.ends.written, counts.ends.failed), (150, 147, 3));
    let failures = site.failures().all(&site.connection()).await.unwrap();
    let ids: Vec<&str> = failures.iter().map(|failure| failure.source_id.as_str()).collect();
    assert_eq!(&ids[..2], ["1010", "1030"]);
    assert!(ids[2].starts_with("unidentified-"), "{ids:?}");
    assert!(failures.iter().all(|failure| failure.raw.contains("ContactRecord")), "{failures:?}");
    for id in [1010, 1020, 1030] {
        site.vendor.heal(id);
    }
    site.failures().request_redrive(&site.connection(), "1010", site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_vendors().await;
    let left = site.failures().all(&site.connection()).await.unwrap();
    assert_eq!(left.len(), 1, "only who could not be told apart is left: {left:?}");
    assert!(site.failures().redrive_requests(&site.connection()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_page_that_fits_no_item_is_cut_and_a_contact_that_fits_none_fails_alone() {
    let site = Site::with_contacts(40).await;
    for id in 1001..=1010 {
        site.vendor.poison(id, Poison::HugeText(200_000));
    }
    site.vendor.poison(1020, Poison::HugeText(900_000));
    let mut chunks = 0;
    while chunks < 10 {
        site.poll().await;
        let messages = site.queues.receive(CONTACTS_QUEUE, usize::MAX);
        // A look at the ledger sees no more than a megabyte.
        assert!(!messages.is_empty(), "only {chunks}, where there is one for each of the ten");
        chunks += messages.len();
        site.deliver_to(CONTACTS_QUEUE, &messages).await;
    }
    assert_eq!(chunks, 10, "one for each of the ten, the last of them with all others");
    site.sync().await;
    let counts = site.status().await.counts;
    assert_eq!((counts.ends.written, counts.ends.failed), (39, 1));
    let failures = site.failures().all(&site.connection()).await.unwrap();
    assert_eq!(failures[0].source_id, "1020");
    assert!(failures[0].reason.contains("bytes"), "{}", failures[0].reason);
}

#[tokio::test]
async fn nobodys_password_is_ever_stored() {
    let site = Site::with_contacts(150).await;
    site.vendor.poison(1010, Poison::BadDate);
    site.vendor.poison(1011, Poison::NoEntityId);
    site.poll().await;
    // In the ledger, then in the shadow and the failure records.
    for _ in 0..2 {
        for table in [CONTROL_TABLE, SHADOW_TABLE] {
            let items = site.clients.dynamodb.scan().table_name(table).send().await.unwrap();
            assert!(!items.items().is_empty() || table == SHADOW_TABLE);
            assert!(!format!("{:?}", items.items()).contains(PASSWORD_MARK), "{table}");
        }
        site.work().await;
    }
}

#[tokio::test]
async fn a_redriven_failure_and_a_resync_are_done_once() {
    let site = Site::with_contacts(150).await;
    site.sync().await;
    resync(&site).await;
    let listings = site.vendor.listings().len();
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    assert!(site.vendor.listings().len() <= listings + 2, "{:?}", site.vendor.listings());
}

#[tokio::test]
async fn both_systems_show_in_the_connections_of_a_tenant() {
    let site = Site::with_contacts(20).await;
    site.sync().await;
    let (status, answer) = site.api("GET", "/v1/connections", Some(tests::TOKEN), "").await;
    assert_eq!(status, 200);
    assert_eq!(answer["connections"][0]["kind"], "business-catalyst");
    let (status, answer) = site.api("GET", "/v1/customers/bc~1001", Some(tests::TOKEN), "").await;
    assert_eq!(
        (status.as_u16(), answer["name"]["display"].as_str().map(str::to_owned)),
        (200, site.vendor.display_name(1001))
    );
}
