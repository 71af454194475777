//! What a person may ask for: to be forgotten ([`Eraser`]), and to get all that is stored of them ([`Exporter`]).
//!
//! A person is named by the id of a customer, or by an e-mail address: then every customer of the tenant is meant that
//! has it, in whatever connection.

mod erasing;
mod exporting;

use std::collections::BTreeSet;

use model::{ConnectionKey, Content, Customer, CustomerId};
use store::{EmailIndex, Shadow, StoreError, Whom};

pub use erasing::{AtDestination, DestinationLeft, EraseError, Eraser, ErasureReport, Places};
pub use exporting::Exporter;

/// The customers that are a person's.
#[derive(Clone, Debug, Default, PartialEq)]
struct Found {
    /// Those that are meant, with their records if there are any.
    customers: Vec<(CustomerId, Option<Customer>)>,
    /// Other customers that have one of their addresses.
    neighbours: Vec<CustomerId>,
    /// How many records of the tenant can't be read, and so could not be looked at.
    unreadable: u64,
}

/// Finds a person's customers. Reads the whole shadow: the index by address lags behind, and does not have customers
/// that were stored before there was one.
async fn find(shadow: &Shadow, tenant: &str, whom: &Whom) -> Result<Found, StoreError> {
    match whom {
        Whom::Address(address) => {
            let mut customers = Vec::new();
            let unreadable = shadow
                .look_through(tenant, |customer| {
                    if addresses(&customer.content).contains(address) {
                        customers.push((customer.id(), Some(customer)));
                    }
                })
                .await?;
            Ok(Found { customers, neighbours: Vec::new(), unreadable })
        }
        Whom::Customer(id) => {
            let record = shadow.get(&ConnectionKey::new(tenant, &id.connection), &id.source_id).await;
            let record = match record {
                // It can be erased all the same.
                Err(StoreError::Corrupt { .. }) => None,
                record => record?,
            };
            let own = record.as_ref().map(|customer| addresses(&customer.content)).unwrap_or_default();
            let mut found = Found { customers: vec![(id.clone(), record)], ..Found::default() };
            if !own.is_empty() {
                found.unreadable = shadow
                    .look_through(tenant, |customer| {
                        if customer.id() != *id && !own.is_disjoint(&addresses(&customer.content)) {
                            found.neighbours.push(customer.id());
                        }
                    })
                    .await?;
            }
            Ok(found)
        }
    }
}

/// The addresses that a record has, folded, also if the customer is deleted.
fn addresses(content: &Content) -> BTreeSet<String> {
    content.emails.iter().filter_map(|email| EmailIndex::address(&email.address)).collect()
}
