//! The domain, pure: what a customer is, when one record is newer than another, when two are equal, what staff and lead
//! sources are and how they are matched, and how a batch of changes moves from an upstream's queue to its acknowledgement.
//!
//! Nothing in here does I/O, reads a clock or draws a random number: times and numbers come in as arguments. That is
//! what lets the same rules run in a Lambda function, on one machine and under a test's virtual clock.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attribute;
mod batch;
mod brake;
mod connection;
mod customer;
mod fold;
mod hash;
mod id;
pub mod import;
mod known_as;
mod listing;
mod purge;
mod pushed;
mod referred;
mod spelling;
mod tally;
mod upsert;
mod version;

pub use attribute::{Attribute, Attributes};
pub use batch::{
    Batch, BatchEvent, ChunkPlan, Duty, IllegalEvent, ListedCustomer, ListedNews, Phase, QueuedCustomer, cut,
    merge_queue,
};
pub use brake::{ALWAYS_ALLOWED, deletes_allowed};
pub use connection::ConnectionKey;
pub use customer::{
    Address, Content, Customer, CustomerType, Email, Membership, Name, Phone, Stage, Status, Subscription, iso_millis,
};
pub use fold::{fold, without_marks};
pub use hash::ContentHash;
pub use id::{CustomerId, CustomerIdError};
pub use known_as::{MOST_KEYS, shown_keys};
pub use listing::{Course, Listing, ListingScope, PageTold, Question, Reading, Told};
pub use purge::{QueueVerdict, judge_queue};
pub use pushed::{Meanings, RecordKey, Resource, is_id, match_name};
pub use referred::{LeadSource, Record, Referred, Staff};
pub use spelling::{is_spelling_of, other_spellings};
pub use tally::{Outcome, Tally};
pub use upsert::{Decision, StoredStamp, decide};
pub use version::Version;
