//! One record of an answer, such as a customer: its element as a tree, its source text, and what has no field.

mod entries;
mod record_builder;
mod tree;
mod unmapped;

pub(crate) use entries::{Entries, Entry, fill, is_true, read_fields};
pub(crate) use record_builder::RecordBuilder;
pub(crate) use tree::{Element, Tree};
pub(crate) use unmapped::{UnmappedData, attribute_of};
