//! The simulator, what clients ask it for, what goes wrong, and how it may differ from most sources.

use serde::Serialize;

use super::settings::AaSettings;
use crate::{
    control::{BadRequest, Parameters},
    faults::OwnFault,
    simulator::Simulator,
};

/// A simulated Association Anywhere.
pub type AaSimulator = Simulator<AaSettings>;

/// The four things a client can ask for. Both forms of *get queue* are `Queue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Procedure {
    /// Get queue, with or without reasons.
    Queue,
    /// Get customer details.
    Details,
    /// Purge queue.
    Purge,
    /// Force enqueue.
    Enqueue,
}

impl Procedure {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Details, Self::Purge, Self::Enqueue];
}

/// What goes wrong with a whole answer.
///
/// With `Duplicates` and `WrongDialect` the procedure **is carried out** as well as with those of which [`Fault`] says
/// so, and only its answer suffers: a purge with a cut answer has purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AaFault {
    /// HTTP 200 and a document with an `error` of this text in its root.
    ErrorDocument(String),
    /// HTTP 200 and a document with `status` `FAILURE` and this message.
    FailureStatus(String),
    /// A well-formed document that holds nothing: no customer, and no greatest queue number.
    Empty,
    /// Each customer twice, in a details answer and in a queue answer.
    Duplicates,
    /// The answer in the other spelling of the element names: hyphenated instead of camelCase, or the reverse.
    WrongDialect,
}

/// What goes wrong with a whole answer: what every simulator can do, and what only this one can.
pub type Fault = crate::faults::Fault<AaFault>;

impl Poison {
    /// What it is called where trouble is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoCustId => "NoCustId",
            Self::BrokenXml => "BrokenXml",
            Self::ServerError => "ServerError",
            Self::ErrorElement => "ErrorElement",
            Self::TooDeep => "TooDeep",
            Self::HugeText(_) => "HugeText",
        }
    }
}

impl OwnFault for AaFault {
    fn read(name: &str, parameters: &Parameters) -> Result<Option<Self>, BadRequest> {
        Ok(Some(match name {
            "error-document" => Self::ErrorDocument(parameters.text("value")?.to_owned()),
            "failure-status" => Self::FailureStatus(parameters.text("value")?.to_owned()),
            "empty" => Self::Empty,
            "duplicates" => Self::Duplicates,
            "wrong-dialect" => Self::WrongDialect,
            _ => return Ok(None),
        }))
    }
}

/// How this source differs from most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// A details answer holds at most so many customers, those with the greatest ids.
    pub answers_at_most: Option<usize>,
    /// Every bulk answer also holds this customer, whichever ids are requested.
    pub always_answers: Option<u64>,
    /// A purge that finds nothing to clear is a failure.
    pub refuses_empty_purges: bool,
    /// A purge clears nothing if the queue was built anew since a client last saw it. No client can know of that, and a
    /// real source would lose what it has queued since.
    pub keeps_unseen: bool,
    /// An empty queue gives the number of its last entry.
    pub numbers_empty_queue: bool,
    /// Notes what each purge has taken out: see [`AaSimulator::take_purged`].
    pub notes_purged: bool,
    /// The queue writes ids with three leading zeros. The details know either, and write none.
    pub queues_with_zeros: bool,
}

/// A customer that a purge took out of the queue, as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Its id.
    pub id: u64,
    /// Its revision, which the queue had told of; `None` if it did not exist.
    pub revision: Option<u32>,
}

/// What is wrong with one customer in every details answer that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// It lacks its `custId`.
    NoCustId,
    /// It holds a wrong end tag, so that the whole document is not well-formed.
    BrokenXml,
    /// Any request that names it gets HTTP 500, whether it exists or not.
    ServerError,
    /// It holds an `error` beside its `custId`, and nothing else.
    ErrorElement,
    /// Its elements are nested 10,000 deep.
    TooDeep,
    /// It holds a text of this many bytes.
    HugeText(usize),
}

/// The requests to a simulator so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests for the queue, faulted ones included; likewise below.
    pub queue: u64,
    /// Requests for details.
    pub details: u64,
    /// Purges.
    pub purge: u64,
    /// Force enqueues.
    pub enqueue: u64,
    /// Requests of all procedures that met a fault.
    pub faulted: u64,
    /// Details answers that held a poisoned customer, or were an HTTP 500 because of one.
    pub poisoned: u64,
    /// Requests refused because of their credentials.
    pub refused: u64,
    /// How many ids details were asked for, repeated ones included.
    pub detail_ids: u64,
    /// The most ids in one request for details.
    pub most_asked: u64,
}
