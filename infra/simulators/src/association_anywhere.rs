//! Association Anywhere: customers, and the queue of those that changed.
//!
//! Four procedures live under `/{environment}/{PACKAGE.PROCEDURE}`; each takes one parameter, `p_input_xml_doc`, as a
//! form post or in the query string, and answers plain XML with HTTP 200, also when it refuses:
//!
//! | procedure | what it does |
//! |---|---|
//! | get queue | every queued customer and the greatest queue number; asking again gives the same |
//! | get customer details | the customers whose ids are asked for, one at a time or in bulk |
//! | purge queue | takes out what is queued under the given number or an earlier one |
//! | force enqueue | queues one customer, or every one |
//!
//! Each time a customer is queued it gets the next number. A customer that changes again after a client read the queue
//! therefore stands behind that client's number, and the client's purge spares it.
//!
//! ```
//! use simulators::association_anywhere::{AaSettings, AaSimulator};
//!
//! let simulator = AaSimulator::new(AaSettings { customers: 3, ..AaSettings::default() });
//! simulator.change([1002]);
//! assert_eq!(simulator.queue(), [1001, 1003, 1002]);
//! ```

pub mod control;
mod customers;
mod details;
mod documents;
mod faults;
mod names;
mod procedures;
mod requests;
mod sections;
mod server;
mod state;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use customers::Identity;
use serde::Serialize;
use state::State;

use crate::faults::FaultPlans;
use crate::server::serve;

/// The environment in the path that the printed addresses use. The simulator answers under any.
pub const ENVIRONMENT: &str = "demo";
/// Path name of *get queue*, which answers in the older, hyphenated names.
pub const QUEUE_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.GET_QUEUE_CUSTS_XML";
/// Path name of the *get queue* that also says why each customer is queued, in the newer camelCase names.
pub const QUEUE_WITH_REASONS_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.GET_QUEUE_CUSTS_W_REASONS_XML";
/// Path name of *get customer details*.
pub const DETAILS_PATH: &str = "CENSSAWEBSVCLIB.GET_CUST_INFO_XML";
/// Path name of *purge queue*.
pub const PURGE_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.PURGE_QUEUE_XML";
/// Path name of *force enqueue*.
pub const ENQUEUE_PATH: &str = "CENCUSTINTEGRATESYNCWEBSVCLIB.FORCE_ENQUEUE_CUSTS_XML";

/// The addresses of the procedures of one simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AaUrls {
    /// Get queue, hyphenated names.
    pub queue: String,
    /// Get queue with action and reason, camelCase names.
    pub queue_with_reasons: String,
    /// Get customer details.
    pub details: String,
    /// Purge queue.
    pub purge: String,
    /// Force enqueue.
    pub enqueue: String,
}

/// The addresses under `base`, such as `http://127.0.0.1:8790`, in the environment `demo`.
pub fn urls(base: &str) -> AaUrls {
    urls_in(base, ENVIRONMENT)
}

/// The addresses under `base` in an environment of another name.
pub fn urls_in(base: &str, environment: &str) -> AaUrls {
    let base = base.trim_end_matches('/');
    let url = |path: &str| format!("{base}/{environment}/{path}");
    AaUrls {
        queue: url(QUEUE_PATH),
        queue_with_reasons: url(QUEUE_WITH_REASONS_PATH),
        details: url(DETAILS_PATH),
        purge: url(PURGE_PATH),
        enqueue: url(ENQUEUE_PATH),
    }
}

/// How a simulator starts.
///
/// It has no `Debug`, because it holds a password.
#[derive(Clone, PartialEq, Eq)]
pub struct AaSettings {
    /// How many customers there are at the start, with consecutive ids.
    pub customers: u64,
    /// The id of the first of them.
    pub first_id: u64,
    /// Decides every name, date and random choice.
    pub seed: u64,
    /// The user name that requests must carry.
    pub username: String,
    /// The password that requests must carry.
    pub password: String,
    /// Whether every customer stands in the queue at the start, as after a force enqueue of all.
    pub all_queued: bool,
}

impl Default for AaSettings {
    fn default() -> Self {
        Self {
            customers: 1000,
            first_id: 1001,
            seed: 1,
            username: "demo".to_owned(),
            password: "demo-password".to_owned(),
            all_queued: true,
        }
    }
}

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
/// With `Delay`, `CutBody`, `Malformed`, `Duplicates` and `WrongDialect` the procedure **is carried out** and only its
/// answer suffers: a purge with a cut answer has purged. With all others it is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer, made at once, arrives this much later: what it says may be out of date by then.
    Delay(Duration),
    /// No answer until the fault is changed (then the normal answer comes) or the client goes away.
    Hang,
    /// This HTTP status with a short plain text.
    Status(u16),
    /// This HTTP status with a `Retry-After` header.
    RetryAfter {
        /// The HTTP status, as a rule 429 or 503.
        status: u16,
        /// What the header says.
        seconds: u32,
    },
    /// The full `Content-Length`, half of the body, and a closed connection.
    CutBody,
    /// HTTP 200 and a document with an `error` of this text in its root.
    ErrorDocument(String),
    /// HTTP 200 and a document with `status` `FAILURE` and this message.
    FailureStatus(String),
    /// A well-formed document that holds nothing: no customer, and no greatest queue number.
    Empty,
    /// The answer with a wrong end tag in its middle.
    Malformed,
    /// An HTML maintenance page with HTTP 200.
    NotXml,
    /// A document type with entities that grow without bounds when expanded.
    Doctype,
    /// Each customer twice, in a details answer and in a queue answer.
    Duplicates,
    /// The answer in the other spelling of the element names: hyphenated instead of camelCase, or the reverse.
    WrongDialect,
    /// A well-formed document of this many bytes, streamed without a `Content-Length`.
    Huge(u64),
    /// The refusal that wrong credentials get.
    WrongCredentials,
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

/// A simulated Association Anywhere. Clones share one state.
#[derive(Clone)]
pub struct AaSimulator {
    shared: Arc<Shared>,
}

struct Shared {
    settings: AaSettings,
    state: Mutex<State>,
    faults: FaultPlans<Fault>,
}

impl AaSimulator {
    /// Makes a simulator with its customers. It does not listen yet.
    pub fn new(settings: AaSettings) -> Self {
        let state = Mutex::new(State::new(&settings));
        let faults = FaultPlans::new(Procedure::ALL.len());
        Self { shared: Arc::new(Shared { settings, state, faults }) }
    }

    /// Serves the procedures, and the control surface under `/_simulator/`, until this future is dropped; that also
    /// closes every open connection, as when a server goes down.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        serve(self.router().merge(control::router(self)), listener).await
    }

    /// The procedures alone, to be called in this process.
    pub fn router(&self) -> axum::Router {
        server::router(self)
    }

    /// Gives these customers new content and queues them. Ids that do not exist are only queued.
    pub fn change(&self, ids: impl IntoIterator<Item = u64>) {
        let mut state = self.state();
        for id in ids {
            state.change(id);
        }
    }

    /// Gives these customers new content, and queues none of them: a queue that forgets to tell.
    pub fn change_unqueued(&self, ids: impl IntoIterator<Item = u64>) {
        let mut state = self.state();
        for id in ids {
            state.change_unqueued(id);
        }
    }

    /// Deletes a customer, and does not queue it.
    pub fn delete_unqueued(&self, id: u64) {
        self.state().delete_unqueued(id);
    }

    /// Changes this many customers, chosen by the seed, as a renewal does; returns their ids.
    pub fn change_some(&self, count: usize) -> Vec<u64> {
        self.state().change_some(count)
    }

    /// Deletes a customer. The queue with reasons says `DELETE`; the other only holds the id.
    pub fn delete(&self, id: u64) {
        self.state().delete(id, state::Action::Delete);
    }

    /// Deletes a customer and queues it as if it had only changed.
    pub fn delete_silently(&self, id: u64) {
        self.state().delete(id, state::Action::Update);
    }

    /// Creates a customer, or a deleted one anew, with content that it never had before. One that exists is changed.
    pub fn create(&self, id: u64) {
        self.state().create(id);
    }

    /// Queues a customer though nothing changed, also one that does not exist.
    pub fn enqueue(&self, id: u64) {
        self.state().enqueue(id, state::Action::Update);
    }

    /// Queues every customer that exists, in the order of their ids.
    pub fn enqueue_all(&self) {
        self.state().enqueue_all();
    }

    /// Queues a text that is no customer's id. It is written as it is: escape it.
    pub fn enqueue_text(&self, text: impl Into<String>) {
        self.state().enqueue_text(text.into());
    }

    /// Empties the queue; its next entry gets the number after `last_number`, as when the source builds the environment
    /// anew.
    pub fn rebuild_queue(&self, last_number: u64) {
        self.state().rebuild_queue(last_number);
    }

    /// From now on a details answer holds at most so many customers, those with the greatest ids.
    pub fn answer_at_most(&self, customers: Option<usize>) {
        self.state().habits.answers_at_most = customers;
    }

    /// From now on every bulk answer also holds this customer, whichever ids are requested.
    pub fn always_answer_with(&self, id: Option<u64>) {
        self.state().habits.always_answers = id;
    }

    /// From now on a purge that finds nothing to clear is a failure.
    pub fn refuse_empty_purges(&self) {
        self.state().habits.refuses_empty_purges = true;
    }

    /// From now on a purge clears nothing if the queue was built anew since a client last saw it. No client can know of
    /// that, and a real source would lose what it has queued since.
    pub fn keep_unseen(&self) {
        self.state().habits.keeps_unseen = true;
    }

    /// From now on an empty queue gives the number of its last entry.
    pub fn number_empty_queue(&self) {
        self.state().habits.numbers_empty_queue = true;
    }

    /// From now on the queue writes ids with three leading zeros. The details know either, and write none.
    pub fn queue_with_zeros(&self) {
        self.state().habits.queues_with_zeros = true;
    }

    /// From now on something is wrong with this customer.
    pub fn poison(&self, id: u64, poison: Poison) {
        self.state().poisons.insert(id, poison);
    }

    /// Nothing is wrong with this customer any more.
    pub fn heal(&self, id: u64) {
        self.state().poisons.remove(&id);
    }

    /// From now on every request of this procedure meets this fault; `None` ends that, and what `fault_times` has left.
    /// Requests that hang are released.
    pub fn fault(&self, procedure: Procedure, fault: Option<Fault>) {
        self.shared.faults.plan(procedure as usize, None, fault, None);
    }

    /// The next requests of this procedure meet this fault, before any lasting one. Several calls queue up.
    pub fn fault_times(&self, procedure: Procedure, fault: Fault, times: u32) {
        self.shared.faults.plan(procedure as usize, None, Some(fault), Some(times));
    }

    /// The ids in the queue, in the order of their numbers.
    pub fn queue(&self) -> Vec<u64> {
        self.state().queued_ids()
    }

    /// How many ids stand in the queue.
    pub fn queue_len(&self) -> usize {
        self.state().queue_len()
    }

    /// The ids of the customers that exist, in order.
    pub fn customer_ids(&self) -> Vec<u64> {
        self.state().existing_ids()
    }

    /// The requests so far.
    pub fn requests(&self) -> RequestCounts {
        self.state().counts
    }

    /// The numbers that the queue was purged with, in order.
    pub fn purges(&self) -> Vec<u64> {
        self.state().purges.clone()
    }

    /// The ids of the last request for details, as they were written there.
    pub fn last_details_ids(&self) -> Vec<String> {
        self.state().last_details_ids.clone()
    }

    /// The name that this customer has now: no two revisions of a customer have the same. `None` if it does not
    /// exist.
    pub fn display_name(&self, id: u64) -> Option<String> {
        self.identity(id).map(|identity| identity.display_name())
    }

    /// The first e-mail address that this customer has now: no two revisions, and no two customers, have the same.
    pub fn email(&self, id: u64) -> Option<String> {
        self.identity(id).map(|identity| identity.email())
    }

    /// From now on, and for ever, this customer has the e-mail address that the other one has now. The queue tells of
    /// it.
    pub fn share_email(&self, id: u64, other: u64) {
        let mut state = self.state();
        state.share_email(id, other);
        state.change(id);
    }

    /// How often this customer's content changed, from 1. `None` if it does not exist.
    pub fn revision(&self, id: u64) -> Option<u32> {
        self.state().revision(id)
    }

    fn identity(&self, id: u64) -> Option<Identity> {
        self.state().identity(self.shared.settings.seed, id)
    }

    /// A panic elsewhere while the lock was held leaves a usable state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
