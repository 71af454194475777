//! The pure domain: what a customer is, when one record is newer than another, when two are equal, what staff and lead
//! sources are and how they are matched, and how a batch of changes moves from a source's queue to its acknowledgement.
//!
//! Nothing here does I/O, reads a clock or draws a random number: times and numbers come in as arguments. So the same
//! rules run in a Lambda function, on one machine and under a test's virtual clock.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attribute;
mod batch;
mod connection;
mod customer;
mod deletion_limit;
mod external_id;
mod feed;
mod fold;
mod hash;
mod id;
pub mod import;
mod known_as;
mod listing;
mod merge;
mod outcome;
mod planted;
mod public_address;
mod purge;
mod queue_end;
mod reference_data;
mod spelling;
mod version;

pub use attribute::{Attribute, Attributes};
pub use batch::{
    Batch, BatchEvent, ChunkPlan, FIRST_CHUNK, IllegalEvent, ListedChange, ListedCustomer, NextAction, Phase,
    QueuedCustomer, dedupe_queue, split_into_chunks,
};
pub use connection::{ConnectionKey, ConnectionKeyError};
pub use customer::{
    Address, Content, Customer, CustomerType, CustomerView, Email, Membership, Name, Phone, Stage, Status,
    Subscription, iso_millis,
};
pub use deletion_limit::{ALWAYS_ALLOWED, deletes_allowed};
pub use external_id::{ExternalKey, ReferenceCandidates, Resource, is_id, match_name};
pub use feed::{ChangeAction, FeedChange, FeedPosition, LANES, LanePosition, lane_of};
pub use fold::{fold, without_marks};
pub use hash::ContentHash;
pub use id::{CustomerId, CustomerIdError};
pub use known_as::{MOST_KEYS, shown_keys};
pub use listing::{ListedPage, ListedRecord, Listing, ListingProgress, ListingScope, ListingState, PageRequest};
pub use merge::{Decision, StoredVersion, merge_decision};
pub use outcome::{Outcome, OutcomeCounts};
pub use planted::PlantedFault;
pub use public_address::is_public;
pub use purge::{QueueVerdict, judge_queue};
pub use queue_end::{QueueEnd, QueueTail};
pub use reference_data::{LeadSource, LeadSourceView, Record, ReferenceData, Staff, StaffView};
pub use spelling::{fold_id, is_spelling_of, other_spellings};
pub use version::Version;
