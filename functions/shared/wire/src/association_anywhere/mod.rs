//! ACGI Association Anywhere: customer data sync (the source's *Customer Data Sync - Integrator Guide*).
//!
//! The loop that the guide describes: *get queue* names the customers that changed, and a `max-queue-num`; *get
//! customer details* returns them, many in one request; *purge* with that number clears what the queue returned and
//! nothing newer; *force enqueue* puts one customer, or all, into the queue.
//!
//! The readers are lenient: the source's systems write element names in two dialects, hyphenated (`cust-id`) and camel
//! case (`custId`), so a name matches in lower case and without `-` and `_`. The names of wrappers are not documented,
//! so none is tested. HTTP status is 200 for failures too, so each answer is searched for `error` and for a `status` of
//! `FAILURE`.

mod asked;
mod customer;
mod details;
mod envelope;
mod mapping;
mod queue;
mod request;
mod section;
mod status;

pub use customer::Detail;
pub use details::{DetailsReader, Unasked};
pub use queue::{QueueReader, UnusableEntry};
pub use request::{Credentials, Dialect, details_request, enqueue_request, purge_request, queue_request};
pub use section::Section;
pub use status::StatusReader;
