//! A loyalty service in the manner of Sticky Street: takes customers in batches.
//!
//! One address takes forms, and their field `type` says what is meant; here it is `customers_batch` only. A batch names
//! its columns, and its data hold one customer a line, without quotes of any kind. Two versions of the interface live
//! at the same address, and a client chooses one of them:
//!
//! | | legacy | `API=1.5` |
//! |---|---|---|
//! | secret | `user_password` | `user_api_key`, or the header `api_access_key`, which wins |
//! | undo | saved unless `no_undo=yes` | saved with `allow_undo=yes` |
//! | between campaigns | pipe, comma, pipe | a comma, with spaces around it |
//! | data | `Profiles_Data` | `profiles_data` |
//! | columns of the client's own | `custom_field` | `custom_field_1`, `custom_field_2`, and so on |
//!
//! Answers are XML, or JSON if asked for, and always come with HTTP 200: a refusal stands in the document. A row that
//! can't be used, by its number of columns or by its date, is left out without a word, and counts as neither new nor
//! updated.
//!
//! What the documents leave open is read strictly, so that a client's mistake shows: a missing or unknown
//! `overwrite_duplicates`, a column that is not known or is there twice, and the other version's field for the data are
//! errors. One number among the `profiles_header_N` may be skipped, and stands for no column.
//!
//! ```
//! use simulators::loyalty::{LoyaltySettings, LoyaltySimulator, Poison};
//!
//! let simulator = LoyaltySimulator::new(LoyaltySettings::default());
//! simulator.poison("aa~1001", Poison::RowDropped);
//! assert!(simulator.codes().is_empty());
//! ```

mod answers;
pub mod control;
mod customers;
mod faults;
mod requests;
mod server;
mod settings;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

pub use requests::{ApiVersion, Delimiter, DuplicateHandling};
pub use settings::LoyaltySettings;

use crate::{faults::FaultPlans, server::serve};
use customers::State;

/// Where the service is on its host.
pub const ENDPOINT_PATH: &str = "/api.php";

/// The address of the service under `base`, such as `http://127.0.0.1:8793`.
pub fn endpoint(base: &str) -> String {
    format!("{}{ENDPOINT_PATH}", base.trim_end_matches('/'))
}

/// What goes wrong with a whole request.
///
/// With `Delay`, `CutBody`, `Malformed`, `UnescapedAmpersand` and `WrongCounts` the batch **is imported** and only its
/// answer suffers. With all others it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer, made at once, arrives this much later.
    Delay(Duration),
    /// No answer until the faults are changed (then the normal answer comes) or the client goes away.
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
    /// An HTML maintenance page with HTTP 200.
    NotXml,
    /// The answer with a wrong end tag.
    Malformed,
    /// A document type with entities that grow without bounds when expanded.
    Doctype,
    /// A well-formed document of this many bytes, streamed without a `Content-Length`.
    Huge(u64),
    /// An answer that says `error`, and this text.
    ErrorAnswer(String),
    /// The answer with one more element, which holds an `&` that is not escaped, as the real service writes it.
    UnescapedAmpersand,
    /// The counts of the answer together are off by this: more are added to the new customers; fewer are taken from the
    /// new ones, then from the updated ones, and none is below zero.
    WrongCounts(i64),
    /// The refusal that wrong credentials get.
    WrongCredentials,
}

/// What is wrong with one customer in every batch that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// Its row is left out without a word, and not counted.
    RowDropped,
    /// The batch is refused as a whole, by an error that does not name the row.
    WholeBatchError,
    /// The service fails at its batch, with HTTP 500.
    ServerError,
}

/// The requests to a simulator so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests that were posted, faulted and refused ones included.
    pub batches: u64,
    /// Requests that met a fault.
    pub faulted: u64,
    /// Requests answered with an error that no fault made: wrong credentials, a batch that can't be read, a poison.
    pub refused: u64,
    /// Of these, the ones with wrong credentials.
    pub unauthorized: u64,
    /// Rows of imported batches; each is in just one of the four below.
    pub rows: u64,
    /// Customers that were not there before.
    pub new: u64,
    /// Customers that were.
    pub updated: u64,
    /// Rows of customers that were there and were to stay as they are.
    pub ignored: u64,
    /// Rows left out without a word.
    pub dropped: u64,
}

/// A batch that could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BatchSeen {
    /// The version of the interface.
    pub version: ApiVersion,
    /// What stands between two columns.
    pub delimiter: Delimiter,
    /// What becomes of customers that are there already.
    pub overwrite_duplicates: DuplicateHandling,
    /// Whether the import can be undone.
    pub undo_saved: bool,
    /// The campaigns that its customers join.
    pub campaigns: Vec<String>,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// The code of each of its rows, in order; empty for a row that has none.
    pub codes: Vec<String>,
    /// Whether it was imported: a fault, the credentials or a poison can prevent that.
    pub imported: bool,
}

/// A simulated loyalty service. Clones share one state.
#[derive(Clone)]
pub struct LoyaltySimulator {
    shared: Arc<Shared>,
}

struct Shared {
    settings: LoyaltySettings,
    state: Mutex<State>,
    faults: FaultPlans<Fault>,
}

/// There is only one thing that a client can ask for.
const ONLY_OPERATION: usize = 0;

impl LoyaltySimulator {
    /// Makes a simulator without customers. It does not listen yet.
    pub fn new(settings: LoyaltySettings) -> Self {
        let state = Mutex::new(State::new(settings.seed));
        Self { shared: Arc::new(Shared { settings, state, faults: FaultPlans::new(1) }) }
    }

    /// Serves the service, and the control surface under `/_simulator/`, until this future is dropped; that also closes
    /// every open connection, as when a server goes down.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        serve(self.router().merge(control::router(self)), listener).await
    }

    /// The service alone, to be called in this process.
    pub fn router(&self) -> axum::Router {
        server::router(self)
    }

    /// From now on every request meets this fault; `None` ends that, and all other faults. Requests that hang are
    /// released.
    pub fn fault(&self, fault: Option<Fault>) {
        self.shared.faults.plan(ONLY_OPERATION, None, fault, None);
    }

    /// The next requests meet this fault, before any lasting one. Several calls queue up.
    pub fn fault_times(&self, fault: Fault, times: u32) {
        self.shared.faults.plan(ONLY_OPERATION, None, Some(fault), Some(times));
    }

    /// From now on it answers batches with more rows with HTTP 500, as one does that can't do with many; `None` ends
    /// that.
    pub fn fail_above(&self, most_rows: Option<usize>) {
        self.state().most_rows = most_rows;
    }

    /// From now on something is wrong with the customer of this code.
    pub fn poison(&self, code: &str, poison: Poison) {
        self.state().poisons.insert(code.to_owned(), poison);
    }

    /// Nothing is wrong with this customer any more.
    pub fn heal(&self, code: &str) {
        self.state().poisons.remove(code);
    }

    /// The columns of this customer that are not blank, `code` included.
    pub fn customer(&self, code: &str) -> Option<BTreeMap<String, String>> {
        self.state().customer(code).map(|customer| customer.columns.clone())
    }

    /// How often this customer was written; 0 if it is not there.
    pub fn times_written(&self, code: &str) -> u64 {
        self.state().customer(code).map_or(0, |customer| customer.times_written)
    }

    /// The codes of all customers, in order.
    pub fn codes(&self) -> Vec<String> {
        self.state().customers().keys().cloned().collect()
    }

    /// All customers by their codes, as [`Self::customer`] shows them.
    pub fn customers(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let state = self.state();
        state.customers().iter().map(|(code, customer)| (code.clone(), customer.columns.clone())).collect()
    }

    /// The batches that could be read, in the order in which they arrived.
    pub fn batches(&self) -> Vec<BatchSeen> {
        self.state().batches.clone()
    }

    /// The codes that were written since the last call, in the order of their first writing, each once.
    pub fn take_news(&self) -> Vec<String> {
        self.state().news.take()
    }

    /// The requests so far.
    pub fn requests(&self) -> RequestCounts {
        self.state().counts
    }

    /// A panic elsewhere while the lock was held leaves a usable state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
