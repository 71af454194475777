//! Lists of entries that are stored over several items, in their order.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use model::ConnectionKey;
use model::import::BeforeImage;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ImportRecord, Imports, expiry, page_key};
use crate::StoreError;
use crate::item::{Item, Read, item, number, text};

/// Bytes of images or outcomes in one item: most imports need few items, and no burst of writes hits one partition.
const PAGE_BYTES: usize = 100 * 1024;

impl Imports {
    pub(super) async fn pages<T: DeserializeOwned>(
        &self,
        connection: &ConnectionKey,
        kind: &'static str,
        record: &ImportRecord,
        numbers: Range<u32>,
        deadline: Timestamp,
    ) -> Result<Vec<T>, StoreError> {
        let count = numbers.len();
        let keys = numbers.map(|number| page_key(connection, kind, &record.id, number));
        let mut pages = BTreeMap::new();
        for item in self.table.get_many(keys.collect(), &[], deadline).await? {
            let read = Read::new(kind, &item);
            let page: Vec<T> = serde_json::from_str(read.text("page")?)
                .map_err(|_| StoreError::Corrupt { key: kind.to_owned(), attribute: "page" })?;
            pages.insert(read.number::<u32>("number")?, page);
        }
        if pages.len() != count {
            return Err(StoreError::Corrupt { key: kind.to_owned(), attribute: "number" });
        }
        Ok(pages.into_values().flatten().collect())
    }

    /// Returns how many pages there are then.
    pub(super) async fn add_pages(
        &self,
        connection: &ConnectionKey,
        kind: &str,
        record: &ImportRecord,
        count: u32,
        entries: &[impl Serialize],
        deadline: Timestamp,
    ) -> Result<u32, StoreError> {
        let mut next = count;
        let mut items = Vec::new();
        for page in pages_of(entries)? {
            items.push(item([
                ("id", text(page_key(connection, kind, &record.id, next))),
                ("number", number(next)),
                ("page", text(page)),
                ("expires", expiry(record)),
            ]));
            next += 1;
        }
        self.table.put_many(items, deadline).await?;
        Ok(next)
    }
}

pub(super) fn images_in(item: &Item) -> Result<Vec<BeforeImage>, StoreError> {
    let corrupt = |_| StoreError::Corrupt { key: "images".to_owned(), attribute: "page" };
    serde_json::from_str(Read::new("images", item).text("page")?).map_err(corrupt)
}

/// Lists of entries as JSON, each at most as long as an item should be, unless a single entry is longer.
pub(super) fn pages_of(entries: &[impl Serialize]) -> Result<Vec<String>, StoreError> {
    let mut pages = Vec::new();
    let mut page = String::new();
    for entry in entries {
        let entry = serde_json::to_string(entry).map_err(|error| StoreError::Document {
            what: "an entry of an import".to_owned(),
            problem: error.to_string(),
        })?;
        if !page.is_empty() && page.len() + entry.len() > PAGE_BYTES {
            pages.push(format!("[{page}]"));
            page.clear();
        }
        if !page.is_empty() {
            page.push(',');
        }
        page.push_str(&entry);
    }
    if !page.is_empty() {
        pages.push(format!("[{page}]"));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use model::{Content, Name};

    use super::*;

    fn image(source_id: &str, name: &str) -> BeforeImage {
        let prior = Content { name: Name { first: Some(name.into()), ..Name::default() }, ..Content::default() };
        BeforeImage { source_id: source_id.into(), left: prior.hash(), prior: Some(prior), found: None, made: None }
    }

    #[test]
    fn images_fill_items_and_come_back_in_their_order() {
        let mut images: Vec<BeforeImage> = (0..3_000).map(|number| image(&number.to_string(), "jane")).collect();
        images.insert(7, image("large", &"x".repeat(2 * PAGE_BYTES)));
        let pages = pages_of(&images).unwrap();
        assert!(pages.len() < 10, "{}", pages.len());
        for page in &pages {
            let read: Vec<BeforeImage> = serde_json::from_str(page).unwrap();
            assert!(page.len() <= PAGE_BYTES + 100 || read.len() == 1, "{} images in {} bytes", read.len(), page.len());
        }
        let read = pages.iter().flat_map(|page| serde_json::from_str::<Vec<BeforeImage>>(page).unwrap());
        assert_eq!(read.collect::<Vec<_>>(), images);
        let nothing: [BeforeImage; 0] = [];
        assert!(pages_of(&nothing).unwrap().is_empty());
    }
}
