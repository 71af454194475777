//! What a person may ask for: to be forgotten ([`Eraser`]), and to get all that is stored of them ([`Exporter`]).
//!
//! A person is named by the id of a customer, or by an e-mail address: then every customer of the tenant is meant that
//! has it, in whatever connection, or had it when an import changed it.

mod destinations;
mod erasing;
mod exporting;
mod finding;
mod report;

pub use erasing::{EraseError, Eraser, Lifted};
pub use exporting::Exporter;
pub use report::{AtDestination, DestinationLeft, ErasureReport, Places};
