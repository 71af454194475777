//! One record of an answer, such as a customer: its element as a tree, its source text, and what no field stands for.

mod entries;
mod in_hand;
mod tree;
mod vendor_data;

pub(crate) use entries::{Entries, Entry, fill, is_true, read_fields};
pub(crate) use in_hand::RecordInHand;
pub(crate) use tree::{Element, Tree};
pub(crate) use vendor_data::{Kept, attribute_of};
