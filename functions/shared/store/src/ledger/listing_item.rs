//! The attributes of a listing in its batch's item.

use model::{ContentHash, Listing, ListingProgress, ListingScope};

use crate::StoreError;
use crate::changes::Changes;
use crate::item::{Read, bytes, number, text, time};

/// How far a list was read, as JSON.
const READING: &str = "listing_reading";

/// Adds the attributes of a listing to what changes in its batch's item; those without a value are left out.
pub(super) fn set_listing(changes: &mut Changes, listing: &Listing) {
    let attributes = [
        ("listing_scope", Some(text(scope_name(listing.scope)))),
        ("listing_since", listing.since.map(time)),
        ("listing_pages", Some(number(listing.pages))),
        ("listing_step", Some(number(listing.step))),
        (READING, Some(text(reading_json(&listing.reading)))),
        ("listing_chunks", Some(number(listing.chunks))),
        ("listing_newest", listing.newest.map(time)),
        ("listing_page", listing.last_page.map(|page| bytes(page.as_bytes()))),
        ("listing_all_pages", listing.all_pages.map(|pages| bytes(pages.as_bytes()))),
    ];
    for (attribute, value) in attributes {
        changes.set_or_remove(attribute, value);
    }
}

pub(super) fn read_listing(read: &Read<'_>) -> Result<Option<Listing>, StoreError> {
    if !read.has("listing_scope") {
        return Ok(None);
    }
    let name = read.text("listing_scope")?;
    let scopes = [ListingScope::Changes, ListingScope::Full, ListingScope::Confirming];
    let scope = scopes.into_iter().find(|scope| scope_name(*scope) == name);
    let pages = read.number("listing_pages")?;
    Ok(Some(Listing {
        scope: scope.ok_or_else(|| StoreError::Corrupt { key: "batch".to_owned(), attribute: "listing_scope" })?,
        since: read.optional_time("listing_since")?,
        step: read.number_or_zero("listing_step")?,
        pages,
        chunks: read.number("listing_chunks")?,
        newest: read.optional_time("listing_newest")?,
        last_page: read_fingerprint(read, "listing_page")?,
        all_pages: read_fingerprint(read, "listing_all_pages")?,
        reading: read_reading(read, pages)?,
    }))
}

/// How far the list was read. A listing that another release began, or went on with, is read from the beginning again:
/// that release does not remember the contacts.
fn read_reading(read: &Read<'_>, pages: u32) -> Result<ListingProgress, StoreError> {
    if !read.has(READING) {
        return Ok(ListingProgress::default());
    }
    let corrupt = |_| StoreError::Corrupt { key: "batch".to_owned(), attribute: READING };
    let reading: ListingProgress = serde_json::from_str(read.text(READING)?).map_err(corrupt)?;
    Ok(if reading.older_pages() == pages { reading } else { ListingProgress::default() })
}

fn reading_json(reading: &ListingProgress) -> String {
    // Plain numbers and dates: there is nothing in it that JSON can't say.
    #[allow(clippy::expect_used)]
    serde_json::to_string(reading).expect("how far a list was read is plain data")
}

pub(super) fn read_fingerprint(read: &Read<'_>, attribute: &'static str) -> Result<Option<ContentHash>, StoreError> {
    if !read.has(attribute) {
        return Ok(None);
    }
    let fingerprint = ContentHash::from_stored(read.bytes(attribute)?);
    fingerprint.map(Some).ok_or_else(|| StoreError::Corrupt { key: "batch".to_owned(), attribute })
}

pub(super) fn scope_name(scope: ListingScope) -> &'static str {
    match scope {
        ListingScope::Changes => "changes",
        ListingScope::Full => "full",
        ListingScope::Confirming => "confirming",
    }
}
