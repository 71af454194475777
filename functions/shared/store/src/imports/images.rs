//! The images of all imports of a tenant, for persons who ask what is stored of them.
//!
//! They are found by their keys, for not every image belongs to an import that is known: it is written before the
//! import is, and one that died in between leaves it behind. Images of imports that can't be undone any more are there
//! until DynamoDB deletes them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use jiff::Timestamp;
use model::import::BeforeImage;
use model::{ConnectionKey, CustomerId};

use super::Imports;
use super::pages::{images_in, pages_of};
use crate::StoreError;
use crate::item::{Item, Read, text};
use crate::table::Pages;

/// What stands between the connection and the import in the key of images.
const IMAGES: &str = "#images/";

/// An image, with the import that it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredImage {
    /// The customer.
    pub id: CustomerId,
    /// The id of the import.
    pub import: String,
    /// How the import found the customer.
    pub image: BeforeImage,
}

impl Imports {
    /// Calls `visit` with every image of a tenant's imports. Reads the whole table, of all tenants.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn look_through_images(
        &self,
        tenant: &str,
        mut visit: impl FnMut(StoredImage),
    ) -> Result<(), StoreError> {
        let mut pages = self.image_items(tenant);
        while let Some(items) = pages.next().await? {
            for item in &items {
                let (connection, import) = place_of(item)?;
                for image in images_in(item)? {
                    let id =
                        CustomerId { connection: connection.connection.clone(), source_id: image.source_id.clone() };
                    visit(StoredImage { id, import: import.clone(), image });
                }
            }
        }
        Ok(())
    }

    /// Removes every image of these customers: an undo leaves them alone from then on. `erased` counts them. Only for a
    /// caller that holds the leases of their connections.
    ///
    /// # Errors
    /// If not all could be read and written before the deadline.
    pub async fn erase_images(
        &self,
        tenant: &str,
        customers: &BTreeSet<CustomerId>,
        erased: &mut u64,
        deadline: Timestamp,
    ) -> Result<(), StoreError> {
        let mut of_connection: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for id in customers {
            of_connection.entry(&id.connection).or_default().insert(&id.source_id);
        }
        let mut pages = self.image_items(tenant);
        while let Some(items) = pages.next().await? {
            for mut item in items {
                let (connection, _) = place_of(&item)?;
                let Some(source_ids) = of_connection.get(connection.connection.as_str()) else { continue };
                let mut images = images_in(&item)?;
                let before = images.len();
                images.retain(|image| !source_ids.contains(image.source_id.as_str()));
                if images.len() == before {
                    continue;
                }
                let page = pages_of(&images)?.pop().unwrap_or_else(|| "[]".to_owned());
                item.insert("page".to_owned(), text(page));
                self.table.put_many(vec![item], deadline).await?;
                *erased += (before - images.len()) as u64;
            }
        }
        Ok(())
    }

    /// The items that hold images.
    fn image_items(&self, tenant: &str) -> Pages<'_, ScanFluentBuilder> {
        let scan = self.table.scan("begins_with(id, :tenant) AND contains(id, :images)").consistent_read(true);
        self.table.pages(
            scan.expression_attribute_values(":tenant", text(format!("{tenant}/")))
                .expression_attribute_values(":images", text(IMAGES)),
        )
    }
}

/// The connection and the import of an item that holds images.
fn place_of(item: &Item) -> Result<(ConnectionKey, String), StoreError> {
    let corrupt = || StoreError::Corrupt { key: "images".to_owned(), attribute: "id" };
    let key = Read::new("images", item).text("id")?;
    let (connection, rest) = key.split_once(IMAGES).ok_or_else(corrupt)?;
    let connection = connection.parse().map_err(|_| corrupt())?;
    let (import, _) = rest.rsplit_once('/').ok_or_else(corrupt)?;
    Ok((connection, import.to_owned()))
}
