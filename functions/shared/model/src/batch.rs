//! The batch ledger's rules: how the changes that a source reports become a batch, and when that batch may be
//! acknowledged to the source.
//!
//! ```text
//!                    a queue answers               ChunksWritten             Acknowledged: the ledger is
//!   (none, Closed) ----------------> Opening ----------------------> Open -------------------------------> Closed
//!        ^  |                           |                            ^ |    empty and reconciled, and the    |
//!        |  |   a listing begins        | a poller finds a batch     | |    source was told (a purge), or  |
//!        |  +----------------> Listing -|- that another began to ----+ |    the cursor moves                 |
//!        |                        |     | open and left: Abandoned  ListingEnded                             |
//!        |                        |     |                              |                                     |
//!        +------------------------+-----+--- Abandoned ----------------+-------------------------------------+
//! ```
//!
//! A **queue** reports all its changes in one answer: the chunks are written first, and then sent to workers. A
//! **listing** reports its changes page by page: workers take each page while the next is asked for, and a poller
//! continues where the last one was stopped.
//!
//! Neither the source's queue nor the cursor is touched before a batch closes as acknowledged: an abandoned batch loses
//! nothing, since the next answer holds all of it again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Content, ContentHash, Listing, OutcomeCounts, PlantedFault, QueueEnd, Version};

/// How far a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Its chunks are being written to the ledger; no message has been sent to a worker.
    Opening,
    /// Its source is being listed, page by page; workers take the chunks of the pages that came.
    Listing,
    /// All its chunks are, or were, in the ledger; workers take them.
    Open,
    /// Acknowledged, or abandoned: the next poll makes a new batch.
    Closed,
}

/// What a source reported at one time, on its way to the shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The ledger's own number; it only grows, see [`Version::of_batch`].
    pub number: u64,
    /// How far it has come.
    pub phase: Phase,
    /// What to acknowledge the batch with; `None` if there is nothing to acknowledge, as for a redrive alone.
    pub queue_number: Option<String>,
    /// Identifies what it was made of: a queue, and the login that read it; or a site that is listed.
    pub origin: Option<ContentHash>,
    /// The state of its listing, if its source is listed.
    pub listing: Option<Listing>,
    /// When the source was asked: the freshness of the shadow after the acknowledgement.
    pub asked_at: Timestamp,
    /// How many customers it holds; while it is listed, so far.
    pub total: u64,
    /// How many customers came to which end so far.
    pub counts: OutcomeCounts,
    /// The number of the resync request that it took in.
    pub resync: Option<u64>,
    /// The number of the request to confirm deletions that it took in: it carries out the withheld ones without the
    /// deletion limit.
    pub confirmed: Option<u64>,
    /// The greatest number of a later batch from which a customer of this batch is stored. Then the ledger is behind
    /// the shadow: its table was restored, replaced or lost, or a record has a version from a clock that was ahead.
    pub overtaken_by: Option<u64>,
    /// Up to where it holds what its queue has told: what is told later is fetched ahead of the rest.
    pub told_to: Option<QueueEnd>,
    /// How many chunks of customers it holds that were told while it was open.
    pub ahead: u32,
}

/// The number of the first chunk of a queue's answer. Those below are for customers that are told while it is worked
/// on: workers take chunks in their order.
pub const FIRST_CHUNK: u32 = 1_000_000;

/// What happened to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEvent {
    /// Every chunk is in the ledger.
    ChunksWritten,
    /// The source has listed everything, and every chunk is in the ledger.
    ListingEnded,
    /// No chunk is left in the ledger, and the source took the acknowledgement.
    Acknowledged,
    /// It can't be finished: its opener died, or what is left waits for a proof that only a later batch can bring.
    Abandoned,
}

/// What a poller that holds the connection's lease has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextAction {
    /// Ask the source for changes.
    AskSource,
    /// Remove the chunks of a batch that its opener left half written, and abandon it.
    ClearOpening,
    /// Ask the source for the next page.
    GoOnListing,
    /// Watch the ledger: send due chunks again, acknowledge once it is empty.
    WatchLedger,
}

/// An event that the batch's phase does not allow: another poller has moved the batch on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("batch {number}: {event:?} is not possible while it is {phase:?}")]
pub struct IllegalEvent {
    number: u64,
    phase: Phase,
    event: BatchEvent,
}

impl Batch {
    /// The batch that follows `last`, made of what the source answered.
    pub fn following(last: Option<&Batch>, queue_number: Option<String>, asked_at: Timestamp, total: u64) -> Self {
        Self {
            number: number_after(last, asked_at),
            phase: Phase::Opening,
            queue_number,
            origin: None,
            listing: None,
            asked_at,
            total,
            counts: OutcomeCounts::default(),
            resync: None,
            confirmed: None,
            overtaken_by: None,
            told_to: None,
            ahead: 0,
        }
    }

    /// The batch that follows `last`, made of what the source is about to list.
    pub fn listed(last: Option<&Batch>, listing: Listing, asked_at: Timestamp) -> Self {
        Self { phase: Phase::Listing, listing: Some(listing), ..Self::following(last, None, asked_at, 0) }
    }

    /// What a poller has to do, given the connection's latest batch.
    pub fn next_action(latest: Option<&Batch>) -> NextAction {
        match latest.map(|batch| batch.phase) {
            None | Some(Phase::Closed) => NextAction::AskSource,
            Some(Phase::Opening) => NextAction::ClearOpening,
            Some(Phase::Listing) => NextAction::GoOnListing,
            Some(Phase::Open) => NextAction::WatchLedger,
        }
    }

    /// The phase after `event`.
    ///
    /// # Errors
    /// If the event is not possible in this phase.
    pub fn after(&self, event: BatchEvent) -> Result<Phase, IllegalEvent> {
        match (self.phase, event) {
            (Phase::Opening, BatchEvent::ChunksWritten) | (Phase::Listing, BatchEvent::ListingEnded) => Ok(Phase::Open),
            (Phase::Open, BatchEvent::Acknowledged) => {
                debug_assert_eq!(self.hindrance(), None, "acknowledged all the same: {self:?}");
                Ok(Phase::Closed)
            }
            (Phase::Opening | Phase::Listing | Phase::Open, BatchEvent::Abandoned) => Ok(Phase::Closed),
            (phase, event) => Err(IllegalEvent { number: self.number, phase, event }),
        }
    }

    /// Conservation: every customer of the batch has come to exactly one end. Only then is a batch acknowledged.
    pub fn reconciles(&self) -> bool {
        self.counts.sum() == self.total
    }

    /// Why a batch whose chunks are all done must be abandoned; `None` if it may be acknowledged.
    pub fn hindrance(&self) -> Option<String> {
        if let Some(later) = self.overtaken_by {
            return Some(format!(
                "records are stored from batch {later}, which is later than this one: the ledger is behind the shadow, \
                 and goes on above that number"
            ));
        }
        if PlantedFault::AcknowledgesEarly.is_planted() {
            return None;
        }
        (!self.reconciles())
            .then(|| format!("{} customers came to an end, of {} that the batch holds", self.counts.sum(), self.total))
    }

    /// Whether it holds customers, and all of them were older than what is stored. That should never happen, and is
    /// reported.
    pub fn is_all_stale(&self) -> bool {
        self.total > 0 && self.counts.stale == self.total
    }

    /// How many customers have not yet come to an end.
    pub fn left(&self) -> u64 {
        self.total.saturating_sub(self.counts.sum())
    }
}

/// Never below the time in seconds, so that a new, restored or lost ledger continues above all numbers that it ever
/// gave: there is less than one batch a second. Also above the numbers of stored records, if the last batch found a
/// greater one.
fn number_after(last: Option<&Batch>, now: Timestamp) -> u64 {
    let is_from_one = PlantedFault::NumbersFromOne.is_planted();
    let seconds = if is_from_one { 1 } else { u64::try_from(now.as_second()).unwrap_or(0).max(1) };
    let last = last.map_or(0, |last| last.number.max(last.overtaken_by.unwrap_or(0)));
    seconds.max(last + 1)
}

/// A customer as a source's queue names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuedCustomer {
    /// The id in the source.
    pub source_id: String,
    /// Whether the source says that it was deleted.
    pub deleted: bool,
}

/// The changes that make a batch: each customer once, by id, in order.
///
/// A customer that is named several times is deleted only if every entry says so: the order of entries is not
/// documented, and a fetch shows the current state. `redriven` are the failures that an operator redrives.
pub fn dedupe_queue(mut queued: Vec<QueuedCustomer>, redriven: Vec<String>) -> Vec<QueuedCustomer> {
    queued.extend(redriven.into_iter().map(|source_id| QueuedCustomer { source_id, deleted: false }));
    // `false` sorts before `true`: the first of a run is the one to keep.
    queued.sort_unstable();
    queued.dedup_by(|next, kept| next.source_id == kept.source_id);
    queued
}

/// A customer as a source lists it, on its way to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ListedCustomer {
    /// The id in the source.
    pub source_id: String,
    /// How new this is.
    pub version: Version,
    /// What the source says.
    pub news: ListedChange,
}

/// What a listing says of a customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedChange {
    /// It exists, with this content.
    Present(Box<Content>),
    /// It was deleted.
    Deleted,
    /// It can't be used.
    Unusable {
        /// Why, without personal data.
        reason: String,
        /// What the source sent.
        raw: String,
    },
}

/// One chunk of a batch: what a worker takes at a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChunkPlan {
    /// Its number in the batch.
    pub number: u32,
    /// Ids to fetch.
    pub fetch: BTreeSet<String>,
    /// Ids that the source says are deleted, or lists no longer.
    pub delete: BTreeSet<String>,
    /// Customers as they were listed.
    pub listed: Vec<ListedCustomer>,
}

/// Cuts customers into chunks of at most `size`, with numbers from `first` on.
pub fn split_into_chunks(
    customers: &[QueuedCustomer],
    size: usize,
    first: u32,
) -> impl Iterator<Item = ChunkPlan> + '_ {
    customers.chunks(size.max(1)).zip(first..).map(|(slice, number)| {
        let ids_where = |deleted: bool| {
            let customers = slice.iter().filter(|customer| customer.deleted == deleted);
            customers.map(|customer| customer.source_id.clone()).collect()
        };
        ChunkPlan { number, fetch: ids_where(false), delete: ids_where(true), listed: Vec::new() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(source_id: &str, deleted: bool) -> QueuedCustomer {
        QueuedCustomer { source_id: source_id.into(), deleted }
    }

    fn batch(phase: Phase) -> Batch {
        Batch { phase, ..Batch::following(None, Some("4711".into()), Timestamp::UNIX_EPOCH, 2) }
    }

    #[test]
    fn a_customer_named_twice_is_deleted_only_if_every_entry_says_so() {
        let merged = dedupe_queue(
            vec![queued("2", true), queued("1", true), queued("2", true), queued("1", false)],
            vec!["3".into(), "2".into()],
        );
        assert_eq!(merged, [queued("1", false), queued("2", false), queued("3", false)]);
        assert_eq!(dedupe_queue(vec![queued("2", true), queued("2", true)], vec![]), [queued("2", true)]);
    }

    #[test]
    fn chunks_hold_every_customer_once_and_never_more_than_their_size() {
        let customers: Vec<_> = (0..25).map(|number| queued(&format!("{number:02}"), number % 10 == 0)).collect();
        let chunks: Vec<_> = split_into_chunks(&customers, 10, FIRST_CHUNK).collect();
        assert_eq!(chunks.iter().map(|chunk| chunk.fetch.len() + chunk.delete.len()).collect::<Vec<_>>(), [10, 10, 5]);
        assert_eq!(chunks.iter().map(|chunk| chunk.number - FIRST_CHUNK).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(chunks[1].delete, BTreeSet::from(["10".into()]));
    }

    #[test]
    fn only_an_open_batch_is_acknowledged() {
        let mut open = batch(Phase::Open);
        open.counts.written = 2;
        assert_eq!(open.after(BatchEvent::Acknowledged), Ok(Phase::Closed));
        assert!(batch(Phase::Opening).after(BatchEvent::Acknowledged).is_err());
        assert!(batch(Phase::Closed).after(BatchEvent::Acknowledged).is_err());
        assert!(batch(Phase::Closed).after(BatchEvent::ChunksWritten).is_err());
    }

    #[test]
    fn a_listing_is_gone_on_with_until_it_has_ended() {
        let listed = Batch::listed(Some(&batch(Phase::Closed)), Listing::of_changes_since(None), Timestamp::UNIX_EPOCH);
        assert_eq!((listed.number, Batch::next_action(Some(&listed))), (2, NextAction::GoOnListing));
        assert_eq!(listed.after(BatchEvent::ListingEnded), Ok(Phase::Open));
        assert_eq!(listed.after(BatchEvent::Abandoned), Ok(Phase::Closed));
        assert!(listed.after(BatchEvent::Acknowledged).is_err());
        assert!(batch(Phase::Opening).after(BatchEvent::ListingEnded).is_err());
    }

    #[test]
    #[should_panic(expected = "acknowledged all the same")]
    fn a_batch_that_does_not_reconcile_is_never_acknowledged() {
        let _ = batch(Phase::Open).after(BatchEvent::Acknowledged);
    }

    #[test]
    fn a_batch_whose_records_are_stored_from_a_later_one_is_never_acknowledged_and_the_next_lies_above_it() {
        let done = OutcomeCounts { written: 1, stale: 1, ..OutcomeCounts::default() };
        let batch = Batch { counts: done, ..batch(Phase::Open) };
        assert_eq!(batch.hindrance(), None);
        let overtaken = Batch { overtaken_by: Some(batch.number + 1_000), ..batch };
        assert!(overtaken.hindrance().is_some_and(|why| why.contains(&format!("batch {}", overtaken.number + 1_000))));
        let next = Batch::following(Some(&overtaken), None, Timestamp::UNIX_EPOCH, 0);
        assert_eq!((next.number, next.overtaken_by), (overtaken.number + 1_001, None));
    }

    #[test]
    fn the_numbers_of_a_ledger_that_was_lost_go_on_above_all_that_it_ever_gave() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let mut last = None;
        for _ in 0..100 {
            last = Some(Batch::following(last.as_ref(), None, second(1_800_000_000), 0));
        }
        let last = last.unwrap();
        assert_eq!(last.number, 1_800_000_099, "one after the other, within a second too");
        assert!(Batch::following(None, None, second(1_800_000_100), 0).number > last.number);
        assert!(Batch::following(Some(&last), None, second(-5), 0).number > last.number, "whatever the clock says");
        assert_eq!(Batch::following(None, None, second(-5), 0).number, 1);
    }

    #[test]
    fn a_poller_resumes_where_the_last_one_died() {
        assert_eq!(Batch::next_action(None), NextAction::AskSource);
        assert_eq!(Batch::next_action(Some(&batch(Phase::Opening))), NextAction::ClearOpening);
        assert_eq!(Batch::next_action(Some(&batch(Phase::Open))), NextAction::WatchLedger);
        assert_eq!(Batch::next_action(Some(&batch(Phase::Closed))), NextAction::AskSource);
    }
}
