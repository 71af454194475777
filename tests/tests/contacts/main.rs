//! Business Catalyst, from contact list to shadow.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

mod broken;
mod dates;
mod deletions;
mod moving;
mod syncing;

use std::time::Duration;

use simulators::business_catalyst::ListingRequest;
use tests::BusinessCatalystFixture;

async fn missing(site: &BusinessCatalystFixture) -> Vec<u64> {
    let mut missing = Vec::new();
    for id in site.source.contact_ids() {
        let name = site.customer(id).await.and_then(|customer| customer.content.name.display);
        if name != site.source.display_name(id) {
            missing.push(id);
        }
    }
    missing
}

/// How often a list was asked for from its very beginning.
fn beginnings(site: &BusinessCatalystFixture) -> usize {
    let listings = site.source.listings();
    let is_beginning = |asked: &&ListingRequest| asked.record_start == 0 && asked.last_update_date.year() < 1900;
    listings.iter().filter(is_beginning).count()
}

async fn resync(site: &BusinessCatalystFixture) {
    let states = site.states();
    states.request_resync(&site.connection(), site.now()).await.unwrap();
    site.clock.advance(Duration::from_secs(60));
    site.sync().await;
}
