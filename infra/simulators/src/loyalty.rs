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
mod types;

use std::collections::BTreeMap;

use axum::{Router, routing::post};

pub use settings::LoyaltySettings;
pub use types::{
    ApiVersion, BatchSeen, Delimiter, DuplicateHandling, ENDPOINT_PATH, Fault, LoyaltyFault, LoyaltySimulator, Poison,
    RequestCounts, endpoint,
};

use crate::simulator::{ONLY_OPERATION, System};
use customers::State;

impl System for LoyaltySettings {
    type State = State;
    type Own = LoyaltyFault;

    fn state(&self) -> State {
        State::new(self.seed)
    }

    fn router() -> Router<LoyaltySimulator> {
        Router::new().route(ENDPOINT_PATH, post(server::call))
    }

    fn count_fault(state: &mut State) {
        state.counts.faulted += 1;
    }
}

impl LoyaltySimulator {
    /// From now on every request meets this fault; `None` ends that, and all other faults. Requests that hang are
    /// released.
    pub fn fault(&self, fault: Option<Fault>) {
        self.faults().plan(ONLY_OPERATION, None, fault, None);
    }

    /// The next requests meet this fault, before any lasting one. Several calls queue up.
    pub fn fault_times(&self, fault: Fault, times: u32) {
        self.faults().plan(ONLY_OPERATION, None, Some(fault), Some(times));
    }

    /// From now on batches with more rows meet this fault, as of a service that can't do with many; `None` ends that.
    pub fn fail_above(&self, most_rows: Option<(usize, Fault)>) {
        self.state().most_rows = most_rows;
    }

    /// How many requests were left without an answer, because they held a customer with [`Poison::Hang`].
    pub fn hung(&self) -> u64 {
        self.state().hung
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
}
