//! Contacts that are gone.

use std::time::Duration;

use model::Status;
use operations::status::Condition;
use simulators::business_catalyst::{BcFault, Fault, Operation, Poison};
use tests::BusinessCatalystFixture;

use crate::resync;

#[tokio::test]
async fn deleted_contacts_become_tombstones_and_come_back_when_they_are_created_anew() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.source.delete(1004);
    site.sync().await;
    assert!(site.is_tombstone(1004).await);
    assert_eq!(site.status().await.counts.ends.tombstoned, 1);
    site.assert_shadow_is_the_sources().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.source.create(Some(1004));
    site.sync().await;
    assert_eq!(site.customer(1004).await.unwrap().content.status, Status::Active);
    site.assert_shadow_is_the_sources().await;
}

#[tokio::test]
async fn a_full_listing_makes_tombstones_of_those_that_it_no_longer_holds() {
    let site = BusinessCatalystFixture::with_contacts(320).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.source.remove_silently(1001);
    site.source.remove_silently(1200);
    site.sync().await;
    assert!(!site.is_tombstone(1001).await, "an incremental listing proves nothing");
    resync(&site).await;
    assert!(site.is_tombstone(1001).await && site.is_tombstone(1200).await);
    site.assert_shadow_is_the_sources().await;
    let counts = site.status().await.counts;
    assert_eq!((counts.ends.tombstoned, counts.fetched), (2, counts.ends.sum()));
    // And back again, with the date that it had.
    site.clock.advance(Duration::from_secs(3_600));
    site.source.create(Some(1001));
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
}

#[tokio::test]
async fn a_full_listing_that_holds_somebody_without_an_id_deletes_nobody_and_says_so() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.sync().await;
    site.source.poison(1010, Poison::NoEntityId);
    site.source.remove_silently(1020);
    resync(&site).await;
    let status = site.status().await;
    // A contact on the list without an id also counts as missing by its id.
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (0, 2));
    assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 150);
    site.source.heal(1010);
    resync(&site).await;
    site.assert_shadow_is_the_sources().await;
    assert!(site.is_tombstone(1020).await);
    assert_eq!(site.status().await.deletes_withheld, 0);
}

/// Invariant 5: a contact that is missing from a listing that holds one without an id is deleted if an operator
/// confirms it.
#[tokio::test]
async fn deletions_that_wait_for_a_person_are_carried_out_when_they_are_confirmed() {
    let site = BusinessCatalystFixture::with_contacts(150).await;
    site.sync().await;
    site.source.poison(1010, Poison::NoEntityId);
    site.source.remove_silently(1020);
    resync(&site).await;
    site.confirm_deletes(&site.connection()).await;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    assert!(site.is_tombstone(1020).await);
    assert_eq!(site.status().await.deletes_withheld, 0);
}

async fn withheld(site: &BusinessCatalystFixture) -> Vec<String> {
    site.failures().withheld(&site.connection()).await.unwrap().into_keys().collect()
}

/// Invariant 5: what an operator confirms are the deletions that waited then, and none that is withheld later.
#[tokio::test]
async fn a_deletion_that_is_withheld_after_the_confirmation_goes_on_waiting() {
    let site = BusinessCatalystFixture::with_contacts(300).await;
    let unnamed = site.source.create(None);
    site.source.poison(unnamed, Poison::NoEntityId);
    site.sync().await;
    site.source.remove_silently(1020);
    resync(&site).await;
    assert_eq!(withheld(&site).await, ["1020"]);
    // It is confirmed while a listing is under way that finds somebody else missing, who lives.
    site.source.poison(1010, Poison::NoEntityId);
    site.source.fault_on_page(180, Some(Fault::Status(500)));
    site.states().request_resync(&site.connection(), site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(60));
    site.poll().await;
    site.confirm_deletes(&site.connection()).await;
    site.source.fault_on_page(180, None);
    for _ in 0..2 {
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
    }
    assert!(site.is_tombstone(1020).await);
    assert!(!site.is_tombstone(1010).await);
    assert_eq!(withheld(&site).await, ["1010"]);
    assert_eq!(site.states().state(&site.connection()).await.unwrap().confirm_requested, None);
}

/// Invariant 5: more deletes at once than an organisation could mean wait for an operator, reported or found missing.
#[tokio::test]
async fn more_deletions_than_the_limit_lets_through_wait_until_they_are_confirmed() {
    let site = BusinessCatalystFixture::with_contacts(200).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    for id in 1001..=1040 {
        site.source.delete(id);
    }
    for id in 1041..=1090 {
        site.source.remove_silently(id);
    }
    resync(&site).await;
    let status = site.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (50, 40));
    site.confirm_deletes(&site.connection()).await;
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
    let status = site.status().await;
    assert_eq!((status.counts.ends.tombstoned, status.deletes_withheld), (90, 0));
    site.assert_shadow_is_the_sources().await;
}

/// Invariant 5: neither a page that fails nor one that is suddenly empty deletes a record.
#[tokio::test]
async fn a_full_listing_cut_off_at_90_per_cent_deletes_nothing() {
    for fault in [
        Fault::Status(500),
        BcFault::NoContactsFault.into(),
        Fault::CutBody,
        BcFault::EmptyResult.into(),
        BcFault::NoResult.into(),
    ] {
        let site = BusinessCatalystFixture::with_contacts(1_000).await;
        site.sync().await;
        site.source.fault_on_page(900, Some(fault.clone()));
        let states = site.states();
        states.request_resync(&site.connection(), site.now()).await.unwrap();
        for _ in 0..5 {
            site.clock.advance(Duration::from_secs(30));
            site.poll().await;
            site.work().await;
        }
        let status = site.status().await;
        if !matches!(fault, Fault::Own(BcFault::EmptyResult | BcFault::NoResult)) {
            assert_eq!(status.condition, Condition::Failing, "{fault:?}");
        }
        assert_eq!(status.counts.ends.tombstoned, 0, "{fault:?}");
        assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 1_000, "{fault:?}");
        site.source.fault_on_page(900, None);
        site.clock.advance(Duration::from_secs(60));
        site.sync().await;
        site.assert_shadow_is_the_sources().await;
        assert_eq!(site.status().await.counts.ends.tombstoned, 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_source_that_answers_a_full_listing_with_nothing_deletes_nothing() {
    for fault in [BcFault::EmptyResult, BcFault::NoResult, BcFault::NoContactsFault].map(Fault::Own) {
        let site = BusinessCatalystFixture::with_contacts(150).await;
        site.sync().await;
        let states = site.states();
        states.request_resync(&site.connection(), site.now()).await.unwrap();
        site.source.fault(Operation::Retrieve, Some(fault.clone()));
        for _ in 0..3 {
            site.clock.advance(Duration::from_secs(30));
            site.poll().await;
            site.work().await;
        }
        assert_eq!(site.status().await.counts.ends.tombstoned, 0, "{fault:?}");
        assert_eq!(site.shadow().existing(&site.connection()).await.unwrap().len(), 150, "{fault:?}");
    }
}
