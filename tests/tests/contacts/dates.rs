//! Dates, zones and clocks.

use std::time::Duration;

use jiff::Timestamp;
use simulators::business_catalyst::{BcSettings, Poison};
use tests::BusinessCatalystFixture;

use crate::resync;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Moves the deployment's clock, and with it the site's.
fn set_clock(site: &BusinessCatalystFixture, time: Timestamp) {
    site.clock.advance(Duration::try_from(time.duration_since(site.now())).unwrap());
}

#[tokio::test]
async fn a_site_in_a_zone_with_clock_changes_loses_no_edit_when_clocks_are_set_back() {
    // In Sydney 02:00 to 03:00 of 2026-04-05 comes twice: first from 15:00, then from 16:00 UTC.
    let site = BusinessCatalystFixture::with_contacts(30).await;
    site.sync().await;
    set_clock(&site, at("2026-04-04T15:50:00Z"));
    site.source.change([1001, 1002]);
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    // 02:10 once more: by the clock on the wall it is before the edits that were seen.
    set_clock(&site, at("2026-04-04T16:10:00Z"));
    site.source.change([1002, 1003]);
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    set_clock(&site, at("2026-04-04T18:00:00Z"));
    site.source.change([1001, 1002, 1003]);
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    assert_eq!(site.status().await.counts.ends.stale, 0);
}

#[tokio::test]
async fn a_site_in_a_zone_with_clock_changes_loses_no_edit_when_clocks_go_forward() {
    let site = BusinessCatalystFixture::with_contacts(30).await;
    site.sync().await;
    for time in ["2026-10-03T15:59:59Z", "2026-10-03T16:00:00Z", "2026-10-03T16:20:00Z"] {
        set_clock(&site, at(time));
        site.source.change([1001, 1002]);
        site.sync().await;
        site.assert_shadow_is_the_sources().await;
    }
}

/// Invariant 2: a version never lies in the future, whatever date a source writes.
#[tokio::test]
async fn a_contact_that_once_had_a_date_in_the_future_changes_and_is_deleted_as_everybody() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.source.poison(1005, Poison::Date("2099-01-01T00:00:00"));
    site.sync().await;
    site.clock.advance(Duration::from_secs(60));
    site.source.heal(1005);
    site.source.change([1005]);
    site.sync().await;
    site.assert_shadow_is_the_sources().await;
    site.clock.advance(Duration::from_secs(60));
    site.source.delete(1005);
    site.sync().await;
    assert!(site.is_tombstone(1005).await);
    assert_eq!(site.status().await.counts.ends.stale, 0);
}

/// Invariant 2: nor does a time zone that was wrong once freeze any record.
#[tokio::test]
async fn an_edit_after_a_wrong_time_zone_was_corrected_arrives() {
    for wrong in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
        let site = BusinessCatalystFixture::with_contacts(20).await;
        let right = site.connections().get(&site.connection()).await.unwrap().unwrap();
        let document = right.document.replace("Australia/Sydney", wrong);
        site.connections().put(&store::Registration { document, ..right.clone() }).await.unwrap();
        site.source.change([1005]);
        site.sync().await;
        site.connections().put(&right).await.unwrap();
        site.clock.advance(Duration::from_secs(600));
        site.source.change([1005]);
        site.sync().await;
        site.assert_shadow_is_the_sources().await;
    }
}

/// Invariant 1: a cursor says nothing of another site, nor an open batch.
#[tokio::test]
async fn another_site_under_the_same_name_is_listed_from_its_beginning() {
    for is_listing in [false, true] {
        let site = BusinessCatalystFixture::with_contacts(20).await;
        let other = BcSettings { contacts: 230, seed: 7, ..BcSettings::default() };
        let other = BusinessCatalystFixture::with(other, "Australia/Sydney", "").await;
        site.clock.advance(Duration::from_secs(86_400));
        other.clock.advance(Duration::from_secs(86_400));
        site.source.change([1005]);
        site.sync().await;
        if is_listing {
            site.source.change(1001..1021);
            site.poll().await;
        }
        let moved = other.connections().get(&other.connection()).await.unwrap().unwrap();
        site.connections().put(&moved).await.unwrap();
        site.clock.advance(Duration::from_secs(600));
        site.sync_within(300).await;
        for id in other.source.contact_ids() {
            let name = site.customer(id).await.and_then(|customer| customer.content.name.display);
            assert_eq!(name, other.source.display_name(id), "{id}, {is_listing}");
        }
        // From then on, changes alone are listed.
        site.clock.advance(Duration::from_secs(600));
        let unchanged = site.writes().await;
        site.sync().await;
        assert_eq!(site.writes().await, unchanged);
    }
}

/// Invariant 2: a site that is restored from a backup gives older dates, and is right.
#[tokio::test]
async fn a_site_that_was_restored_from_a_backup_wins_with_a_resync() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(3_600));
    site.source.change([1005]);
    site.sync().await;
    // Restored: other content with a date of long ago.
    site.source.set_time("2020-01-01T00:00:00".parse().unwrap());
    site.source.change([1005]);
    resync(&site).await;
    site.assert_shadow_is_the_sources().await;
}

/// Invariants 4 and 6: a contact without a date is whole, and one that is deleted is deleted, whatever its date.
#[tokio::test]
async fn a_date_that_is_not_set_or_cannot_be_read_costs_neither_the_contact_nor_its_deletion() {
    let site = BusinessCatalystFixture::with_contacts(20).await;
    site.sync().await;
    site.clock.advance(Duration::from_secs(60));
    site.source.poison(1004, Poison::BadDate);
    site.source.poison(1005, Poison::Date("0001-01-01T00:00:00"));
    site.source.poison(1006, Poison::Date("2026-01-01T12:00:59+11:00"));
    site.source.delete(1004);
    site.source.change([1005, 1006]);
    site.sync().await;
    assert!(site.is_tombstone(1004).await);
    site.assert_shadow_is_the_sources().await;
    assert_eq!(site.status().await.failures, 0);
}
