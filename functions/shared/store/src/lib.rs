//! The shadow and the control table on DynamoDB, the work queue on SQS, and secrets.
//!
//! Four tables. The **shadow** has one item per customer. The **feed table** has what follows from the shadow: its
//! changes, see [`ChangeFeed`], and which customers have an e-mail address, see [`EmailIndex`]. The **import table**
//! has what batch imports must know, see [`Imports`]. The **control table** has what the synchronisation itself must
//! know, one partition per connection, and more for what is large:
//!
//! | `connection` | `entry` | what |
//! |---|---|---|
//! | `acme/aa` | `connection` | its configuration; `kind` puts it into the index `by-kind` |
//! | `acme/aa` | `poll` | the poller's lease, when the source is due, how fresh the shadow is, the last error, requests of operators |
//! | `acme/aa` | `batch` | the latest batch and the totals of all before it |
//! | `acme/aa` | `batch-counts/000000000007/3` | what workers counted of that batch; 8 such items |
//! | `acme/aa` | `queued` | some of the customers that the latest batch was made of |
//! | `acme/aa` | `chunk/000000000007/00000042` | a chunk that is not done: the ledger |
//! | `acme/bc#listed/07` | `listed/000000000007/00000042` | the contacts of a chunk, compressed; 16 such keys |
//! | `acme/bc` | `seen/000000000007/full/00000042` | the contacts that a page of a full listing named |
//! | `acme/aa` | `limiter` | pace and breaker, shared by all requests to this source |
//! | `acme/aa` | `failure/1001`, `failure-raw/1001` | a customer that could not be taken over, and what was sent of it |
//! | `acme/aa` | `withheld/1001` | beside a failure record: it stands for a deletion that waits for a person |
//! | `acme/aa` | `drift` | what the looks for drift have found, and how far they have come |
//! | `acme/loyalty` | `push` | how far a destination has come |
//! | `acme/aa` | `history` | the totals at the beginning of each hour of the last day |
//! | `acme/aa` | `redrive/1001` | a failure that an operator sends again, and which batch took it in |
//! | `acme/intouch` | `staff/<id>`, `lead-source/<id>` | a member of staff or a lead source that was pushed |
//! | `acme/intouch` | `staff-name/<name>`, `lead-source-name/<name>` | which of them has this match key, or is also called so |
//! | `acme/intouch` | `staff-name/<name>/<id>`, `lead-source-name/…` | one that took this match key while another had it |
//! | `acme/intouch` | `waiting/staff/<name>/<prospect>`, `waiting/lead-source/…` | a prospect that refers to one that is not known yet |
//!
//! Every key begins with the tenant. Ids and names of what is pushed are UUIDs, computed from what they stand for: no
//! key of the control table holds an e-mail address.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod backoff;
mod changes;
mod clock;
mod connection_registry;
mod connection_state;
mod credential_digest;
mod deletion_limit;
mod deliveries;
mod drift;
mod email_index;
mod erasures;
mod error;
mod failures;
mod feed;
mod histories;
mod imports;
mod item;
mod ledger;
mod pending_references;
mod queue;
mod random;
mod rate_limit;
mod reference_table;
mod removal;
mod secrets;
mod shadow;
mod table;
mod tables;
mod zlib;

pub use clock::Clock;
pub use connection_registry::{ConnectionRegistry, Registration};
pub use connection_state::{ConnectionState, ConnectionStates, Departure, LastError};
pub use credential_digest::{CredentialDigest, usable_token};
pub use deletion_limit::DeletionLimit;
pub use deliveries::{Deliveries, Delivery, DeliveryCounts, Effort, Listed, Part, Progress, Witness};
pub use drift::{Drift, DriftState};
pub use email_index::EmailIndex;
pub use erasures::{Erased, Erasures, Lifting, Notes, Standing, Whom, addresses_in};
pub use error::StoreError;
pub use failures::{
    Failure, FailureMarks, FailurePage, Failures, Redrive, Sweep, Swept, Withheld, WithheldDeletion, naming_addresses,
};
pub use feed::{ChangeFeed, ChangedCustomer, FeedError, FeedPage, PlacedChange};
pub use histories::{Histories, Snapshot};
pub use imports::{ImportCounts, ImportRecord, Imports, StoredImage};
pub use ledger::{ChunkKey, ChunkState, Holding, LeasedChunk, Ledger, LedgerState, Settlement, split_listed};
pub use pending_references::PendingReferences;
pub use queue::{Message, PollPurpose, PollRequest, PollRequests, PushRequest, PushRequests, WorkQueue};
pub use random::Random;
pub use rate_limit::{Admission, SourceLimiter};
pub use reference_table::{ReferenceTable, SaveOutcome};
pub use removal::Removal;
pub use secrets::{SecretError, SecretRef, Secrets};
pub use shadow::{
    Change, ErasedRecord, Found, IncomingChange, Merged, Revised, Revision, Shadow, ShadowChange, UpsertError,
};
pub use tables::{TableNames, Tables};
