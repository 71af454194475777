//! XML as the simulators read, write and spoil it.

mod corruption;
mod reading;
mod writing;

pub(crate) use corruption::{MAINTENANCE_PAGE, Piece, entity_bomb, pieces, too_deep, with_wrong_end_tag};
pub(crate) use quick_xml::escape::partial_escape;
pub(crate) use reading::{Element, parse};
pub(crate) use writing::{DECLARATION, element, write_or_ignore};
