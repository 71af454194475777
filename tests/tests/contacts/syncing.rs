//! What a listing brings, and what it costs.

use std::time::Duration;

use operations::status::Condition;
use simulators::business_catalyst::{BcFault, BcSettings, Operation};
use tests::{BusinessCatalystFixture, CONTACTS_QUEUE, TOKEN};

use crate::resync;

async fn site_1_2(contacts: u64) -> BusinessCatalystFixture {
    BusinessCatalystFixture::with(BcSettings { contacts, ..BcSettings::default() }, "Australia/Sydney", "soap = '1.2'")
        .await
}

#[tokio::test]
async fn a_first_sync_takes_every_contact_over_and_a_second_one_writes_nothing() {
    let site = BusinessCatalystFixture::with_contacts(250).await;
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
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
async fn a_contact_keeps_its_json() {
    let site = BusinessCatalystFixture::with_contacts(3).await;
    site.sync().await;
    let (_, contact) = site.api("GET", "/v1/customers/bc~1001", Some(TOKEN), "").await;
    insta::assert_json_snapshot!("contact", contact);
}

#[tokio::test]
async fn a_change_a_new_contact_and_a_touched_one_arrive_with_the_next_listing() {
    let site = BusinessCatalystFixture::with_contacts(120).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.source.change([1005]);
    let created = site.source.create(None);
    site.source.touch(1006);
    let before = site.status().await.counts;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    let counts = site.status().await.counts;
    assert_eq!(counts.ends.written, before.ends.written + 2);
    assert_eq!(site.customer(1005).await.unwrap().revision, 2);
    assert_eq!(site.customer(1006).await.unwrap().revision, 1, "a touched contact has equal content");
    assert!(site.customer(created).await.is_some());
    let asked = site.source.listings();
    assert!(asked.len() < 8, "an incremental listing has one page: {asked:?}");
}

#[tokio::test]
async fn the_cursor_does_not_move_while_a_chunk_is_open() {
    let site = BusinessCatalystFixture::with_contacts(250).await;
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
    assert_eq!(site.status().await.condition, Condition::InSync);
}

#[tokio::test]
async fn a_lost_message_is_sent_again_and_a_doubled_one_changes_nothing() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.poll().await;
    let messages = site.queues.receive(CONTACTS_QUEUE, usize::MAX);
    site.deliver_to(CONTACTS_QUEUE, &messages[..1]).await;
    site.deliver_to(CONTACTS_QUEUE, &messages[..1]).await;
    site.queues.delete(CONTACTS_QUEUE, &messages[1]);
    site.clock.advance(Duration::from_secs(21));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    assert_eq!(site.status().await.counts.fetched, 150);
}

/// Dies after every request to the store in turn, in the poller and in the workers.
#[tokio::test]
async fn a_crash_between_any_two_steps_repeats_work_and_loses_none() {
    let mut requests = 0;
    loop {
        let site = BusinessCatalystFixture::with_contacts(103).await;
        site.source.delete(1001);
        site.store_budget.set(requests);
        site.poll().await;
        site.work().await;
        site.poll().await;
        let lived = site.store_budget.left() >= 0;
        site.store_budget.set(i64::MAX);
        // Longer than any lease.
        site.clock.advance(Duration::from_secs(61));
        site.sync().await;
        site.assert_shadow_is_the_sources().await;
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
async fn a_site_that_speaks_soap_1_2_is_synchronised() {
    let site = site_1_2(230).await;
    site.source.fault_times(Operation::Retrieve, BcFault::SoapFault("try again".into()).into(), 1);
    site.poll().await;
    assert!(site.status().await.error.unwrap().message.contains("try again"));
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

#[tokio::test]
async fn a_redriven_failure_and_a_resync_are_done_once() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.sync().await;
    resync(&site).await;
    let listings = site.source.listings().len();
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    assert!(site.source.listings().len() <= listings + 2, "{:?}", site.source.listings());
}

#[tokio::test]
async fn both_systems_show_in_the_connections_of_a_tenant() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.sync().await;
    let (status, answer) = site.api("GET", "/v1/connections", Some(tests::TOKEN), "").await;
    assert_eq!(status, 200);
    assert_eq!(answer["connections"][0]["kind"], "business-catalyst");
    let (status, answer) = site.api("GET", "/v1/customers/bc~1001", Some(tests::TOKEN), "").await;
    assert_eq!(
        (status.as_u16(), answer["name"]["display"].as_str().map(str::to_owned)),
        (200, site.source.display_name(1001))
    );
}
