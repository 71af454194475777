//! What fails, or can't be read.

use std::time::Duration;

use operations::status::Condition;
use simulators::business_catalyst::{BcFault, Fault, Operation, PASSWORD_MARK, Poison};
use tests::{BusinessCatalystFixture, CONTACTS_QUEUE, CONTROL_TABLE, SHADOW_TABLE};

use crate::beginnings;

#[tokio::test]
async fn a_quiet_site_makes_no_batch_of_the_same_newest_contacts_again_and_again() {
    let site = BusinessCatalystFixture::with_contacts(120).await;
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
async fn a_fault_in_page_7_keeps_pages_1_to_6_safe_and_is_retried() {
    // Each page begins ten contacts before the end of the one before.
    for fault in [
        Fault::Status(503),
        Fault::CutBody,
        Fault::Malformed,
        Fault::NotXml,
        BcFault::NoContactsFault.into(),
        BcFault::SoapFault("the database is busy".into()).into(),
    ] {
        let site = BusinessCatalystFixture::with_contacts(730).await;
        site.source.fault_on_page(540, Some(fault.clone()));
        site.poll().await;
        site.work().await;
        let listed = site.shadow().existing(&site.connection()).await.unwrap();
        assert_eq!(listed.len(), 550, "{fault:?}");
        let status = site.status().await;
        assert_eq!(status.condition, Condition::Failing, "{fault:?}");
        assert!(status.error.unwrap().message.contains("page 7"), "{fault:?}");
        site.source.fault_on_page(540, None);
        site.clock.advance(Duration::from_secs(20));
        site.sync().await;
        site.assert_shadow_is_the_sources().await;
        assert_eq!(beginnings(&site), 1, "it began anew: {fault:?}");
        assert_eq!(site.status().await.counts.ends.written, 730, "{fault:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_and_repeat_no_secret() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.source.fault(Operation::Retrieve, Some(Fault::WrongCredentials));
    site.poll().await;
    let status = site.status().await;
    assert_eq!(status.condition, Condition::Failing);
    let message = status.error.unwrap().message;
    assert!(message.starts_with("contact list: the source answered with an error"), "{message}");
    assert!(!message.contains("demo-password") && !message.contains("demo@example.com"), "{message}");
    site.source.fault(Operation::Retrieve, None);
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

#[tokio::test]
async fn each_form_of_no_contacts_is_a_site_without_contacts_where_none_was_ever_seen() {
    for fault in [BcFault::EmptyResult, BcFault::NoResult, BcFault::NoContactsFault].map(Fault::Own) {
        let site = BusinessCatalystFixture::with_contacts(30).await;
        site.source.fault(Operation::Retrieve, Some(fault.clone()));
        site.poll().await;
        let status = site.status().await;
        assert_eq!((status.condition, status.freshness_seconds), (Condition::InSync, Some(0)), "{fault:?}");
    }
}

/// Invariant 9: a question from a little behind the cursor always has an answer, the newest contact itself.
#[tokio::test]
async fn a_site_that_lists_nobody_any_more_is_not_called_fresh_and_after_a_while_that_is_told() {
    for fault in [BcFault::EmptyResult, BcFault::NoResult, BcFault::NoContactsFault].map(Fault::Own) {
        let site = BusinessCatalystFixture::with_contacts(30).await;
        site.sync().await;
        site.source.fault(Operation::Retrieve, Some(fault.clone()));
        site.clock.advance(Duration::from_secs(60));
        site.poll().await;
        let status = site.status().await;
        assert_eq!((status.condition, status.freshness_seconds), (Condition::InSync, Some(60)), "{fault:?}");
        site.clock.advance(Duration::from_secs(120));
        site.poll().await;
        let status = site.status().await;
        assert_eq!((status.condition, status.freshness_seconds), (Condition::Failing, Some(180)), "{fault:?}");
        assert!(status.error.unwrap().message.contains("lists nobody"), "{fault:?}");
        assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 30);
        site.source.fault(Operation::Retrieve, None);
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
        assert_eq!(site.status().await.freshness_seconds, Some(0), "{fault:?}");
    }
}

/// Invariant 9: nor does an empty list fulfil a request to list everything again.
#[tokio::test]
async fn a_resync_that_is_answered_with_nobody_is_done_once_somebody_is_listed() {
    let site = BusinessCatalystFixture::with_contacts(30).await;
    site.sync().await;
    site.source.remove_silently(1010);
    site.source.fault(Operation::Retrieve, Some(BcFault::EmptyResult.into()));
    let states = site.states();
    states.request_resync(&site.connection(), site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(60));
    site.poll().await;
    assert_eq!(site.status().await.freshness_seconds, Some(60));
    site.source.fault(Operation::Retrieve, None);
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    assert!(site.is_tombstone(1010).await);
    site.assert_shadow_is_the_sources().await;
}

/// Invariant 9: no operator is needed if the newest contact was removed and no other is edited.
#[tokio::test]
async fn a_site_whose_newest_contact_was_removed_stays_fresh() {
    let site = BusinessCatalystFixture::with_contacts(30).await;
    site.sync().await;
    let newest = site.source.contact_ids().into_iter().max_by_key(|id| site.source.last_update(*id)).unwrap();
    site.source.remove_silently(newest);
    site.clock.advance(Duration::from_secs(3_600));
    site.poll().await;
    let status = site.status().await;
    assert_eq!((status.condition, status.freshness_seconds), (Condition::InSync, Some(0)), "{status:?}");
}

/// Invariant 6: a fault that names a cause is a failure, on whatever page.
#[tokio::test]
async fn a_fault_that_names_a_cause_is_a_failure() {
    let site = BusinessCatalystFixture::with_contacts(30).await;
    for cause in ["Timeout expired.", "Invalid username or password."] {
        let words = format!("Server was unable to process request. ---> {cause}");
        site.source.fault(Operation::Retrieve, Some(BcFault::FaultText(words).into()));
        site.clock.advance(Duration::from_secs(60));
        site.poll().await;
        let status = site.status().await;
        assert_eq!((status.condition, status.fresh_as_of), (Condition::Failing, None), "{cause}");
    }
}

#[tokio::test]
async fn a_contact_that_cant_be_read_costs_itself_alone_and_is_redriven() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.source.poison(1010, Poison::BadDate);
    site.source.poison(1020, Poison::NoEntityId);
    site.source.poison(1030, Poison::TooDeep);
    site.source.poison(1040, Poison::UnknownEntity);
    site.sync().await;
    let counts = site.status().await.counts;
    assert_eq!((counts.fetched, counts.ends.written, counts.ends.failed), (150, 146, 4));
    let failures = site.failures().all(&site.connection()).await.unwrap();
    let ids: Vec<&str> = failures.iter().map(|failure| failure.source_id.as_str()).collect();
    assert_eq!(&ids[..3], ["1010", "1030", "1040"]);
    assert!(ids[3].starts_with("unidentified-"), "{ids:?}");
    assert!(failures.iter().all(|failure| failure.raw.contains("ContactRecord")), "{failures:?}");
    for id in [1010, 1020, 1030, 1040] {
        site.source.heal(id);
    }
    site.failures().request_redrive(&site.connection(), "1010", site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    let left = site.failures().all(&site.connection()).await.unwrap();
    assert_eq!(left.len(), 1, "only who could not be told apart is left: {left:?}");
    assert!(site.failures().redrive_requests(&site.connection()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_page_that_fits_no_item_is_cut_and_a_contact_that_fits_none_fails_alone() {
    let site = BusinessCatalystFixture::with_contacts(40).await;
    for id in 1001..=1010 {
        site.source.poison(id, Poison::HugeText(200_000));
    }
    site.source.poison(1020, Poison::HugeText(900_000));
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
    let raw = &failures[0].raw;
    assert!(raw.contains("xxxx") && raw.len() < 110_000 && raw.contains("cut off"), "{}", raw.len());
}

#[tokio::test]
async fn nobodys_password_is_ever_stored() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.source.poison(1010, Poison::BadDate);
    site.source.poison(1011, Poison::NoEntityId);
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
