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
mod settings;
mod state;
mod types;
mod urls;

use axum::Router;

pub use settings::AaSettings;
pub use types::{AaFault, AaSimulator, Fault, Habits, Poison, Procedure, Purged, RequestCounts};
pub use urls::{
    AaUrls, DETAILS_PATH, ENQUEUE_PATH, ENVIRONMENT, PURGE_PATH, QUEUE_PATH, QUEUE_WITH_REASONS_PATH, urls, urls_in,
};

use crate::simulator::System;
use customers::Identity;
use state::State;

impl System for AaSettings {
    type State = State;
    type Own = AaFault;

    const OPERATION: &str = "procedure";
    const OPERATIONS: &[&str] = &["queue", "details", "purge", "enqueue"];

    fn state(&self) -> State {
        State::new(self)
    }

    fn router() -> Router<AaSimulator> {
        server::router()
    }

    fn count_fault(state: &mut State) {
        state.counts.faulted += 1;
    }
}

impl AaSimulator {
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

    /// From now on the source differs from most in this.
    pub fn set_habits(&self, set: impl FnOnce(&mut Habits)) {
        set(&mut self.state().habits);
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
        self.faults().plan(procedure as usize, None, fault, None);
    }

    /// The next requests of this procedure meet this fault, before any lasting one. Several calls queue up.
    pub fn fault_times(&self, procedure: Procedure, fault: Fault, times: u32) {
        self.faults().plan(procedure as usize, None, Some(fault), Some(times));
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

    /// From now on, and for ever, each of the two has the e-mail address that the other has now. The queue tells of
    /// both. If one of them does not exist, nothing happens; returns whether it did.
    pub fn swap_emails(&self, one: u64, other: u64) -> bool {
        self.state().swap_emails(one, other)
    }

    /// The customers that purges took out of the queue since the last call, if [`Habits::notes_purged`] is set.
    pub fn take_purged(&self) -> Vec<Purged> {
        std::mem::take(&mut self.state().purged)
    }

    /// The name that this customer has in a revision, whether it has come to it or not.
    pub fn name_in_revision(&self, id: u64, revision: u32) -> String {
        Identity::new(self.settings().seed, id, revision).display_name()
    }

    /// How often this customer's content changed, from 1. `None` if it does not exist.
    pub fn revision(&self, id: u64) -> Option<u32> {
        self.state().revision(id)
    }

    fn identity(&self, id: u64) -> Option<Identity> {
        self.state().identity(self.settings().seed, id)
    }
}
