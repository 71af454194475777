//! Business Catalyst: the CRM web service of one site, and its contacts.
//!
//! Two operations live at one address, in SOAP 1.1 and SOAP 1.2; the element in the body says which is meant:
//!
//! | operation | what it does |
//! |---|---|
//! | `ContactList_Retrieve` | the contacts changed since a date, from a place of that listing on, a page at a time |
//! | `ContactList_UpdateInsert` | writes contacts, matched by `externalId`, else by e-mail address, else as new ones |
//!
//! A listing is made anew for each page: a contact that changes while a client pages through moves to the end, and
//! those behind it move up. Dates are the site's local time, without a zone. A refusal is a SOAP fault with HTTP 500.
//!
//! ```
//! use jiff::civil::date;
//! use simulators::business_catalyst::{BcSettings, BcSimulator};
//!
//! let simulator = BcSimulator::new(BcSettings { contacts: 3, ..BcSettings::default() });
//! simulator.set_time(date(2024, 10, 27).at(2, 30, 0, 0));
//! simulator.change([1002]);
//! assert_eq!(simulator.last_update(1002), Some(date(2024, 10, 27).at(2, 30, 0, 0)));
//! ```

mod clock;
mod contact;
pub mod control;
mod faults;
mod generator;
mod operations;
mod records;
mod requests;
mod responses;
mod server;
mod settings;
mod site_setup;
mod soap;
mod state;
mod types;
mod updates;
mod view;

use axum::Router;
use jiff::{SignedDuration, civil::DateTime};

pub use clock::Clock;
pub use contact::Address;
pub use generator::PASSWORD_MARK;
pub use requests::ListingRequest;
pub use settings::{BcSettings, ListingOrder};
pub use types::{
    Action, BcFault, BcSimulator, ENDPOINT_PATH, Fault, NAMESPACE, Operation, Poison, RequestCounts, endpoint,
};
pub use view::ContactView;

use crate::simulator::System;
use state::{Presence, State};

impl System for BcSettings {
    type State = State;
    type Own = BcFault;

    const OPERATIONS: &[&str] = &["retrieve", "update-insert"];
    const PLACE: Option<&str> = Some("record_start");

    fn state(&self) -> State {
        State::new(self)
    }

    fn router() -> Router<BcSimulator> {
        Router::new().fallback(server::call)
    }

    fn count_fault(state: &mut State) {
        state.counts.faulted += 1;
    }
}

impl BcSimulator {
    /// Does an edit at the source; returns the ids of the contacts concerned. The methods below are short for it.
    pub fn act(&self, action: Action) -> Vec<u64> {
        self.state().act(action)
    }

    /// Gives these contacts new content. Those that do not exist are passed over.
    pub fn change(&self, ids: impl IntoIterator<Item = u64>) {
        self.act(Action::Change(ids.into_iter().collect()));
    }

    /// Changes this many contacts, chosen by the seed; returns their ids.
    pub fn change_some(&self, count: usize) -> Vec<u64> {
        self.act(Action::ChangeSome(count))
    }

    /// Gives a contact a new date, and the same content.
    pub fn touch(&self, id: u64) {
        self.act(Action::Touch(vec![id]));
    }

    /// Deletes a contact: listings go on to hold it, with `deleted` true.
    pub fn delete(&self, id: u64) {
        self.act(Action::Delete(id));
    }

    /// Removes a contact from all listings without a trace.
    pub fn remove_silently(&self, id: u64) {
        self.act(Action::RemoveSilently(id));
    }

    /// Creates the contact of this id, or of the next free one; returns the id. See [`Action::Create`].
    pub fn create(&self, id: Option<u64>) -> u64 {
        self.state().create(id)
    }

    /// Does nothing any more that was to be done before a page.
    pub fn forget_actions(&self) {
        let state = &mut *self.state();
        state.page_actions.clear();
        state.request_actions.clear();
    }

    /// Does this right before the next page from this place on is made; then no more. Several actions for one page
    /// happen in the order in which they were given.
    pub fn on_page(&self, record_start: u64, action: Action) {
        self.state().page_actions.push((record_start, action));
    }

    /// Does this right before the `number`th page from now is made, from 1, whatever place it begins at.
    pub fn on_request(&self, number: u64, action: Action) {
        let mut state = self.state();
        let due = state.counts.retrieve + number;
        state.request_actions.push((due, action));
    }

    /// From now on a page holds so many contacts; `None`: as many as the settings say.
    pub fn set_page_size(&self, size: Option<usize>) {
        self.state().settings.page_size = size.unwrap_or(self.settings().page_size);
    }

    /// From now on a listing holds no more than so many, and says that there are none after them.
    pub fn set_cap(&self, cap: Option<usize>) {
        self.state().settings.cap = cap;
    }

    /// From now on something is wrong with this contact.
    pub fn poison(&self, id: u64, poison: Poison) {
        self.state().poisons.insert(id, poison);
    }

    /// Nothing is wrong with this contact any more.
    pub fn heal(&self, id: u64) {
        self.state().poisons.remove(&id);
    }

    /// From now on a request to write contacts fails, and writes none of them, if it holds one with this external id.
    pub fn refuse_external_id(&self, external_id: &str) {
        self.state().refused_external_ids.insert(external_id.to_owned());
    }

    /// The contact with this external id is taken again.
    pub fn accept_external_id(&self, external_id: &str) {
        self.state().refused_external_ids.remove(external_id);
    }

    /// From now on every request of this operation meets this fault; `None` ends that, and all other faults of the
    /// operation. Requests that hang are released.
    pub fn fault(&self, operation: Operation, fault: Option<Fault>) {
        self.faults().plan(operation as usize, None, fault, None);
    }

    /// The next requests of this operation meet this fault, before any lasting one. Several calls queue up.
    pub fn fault_times(&self, operation: Operation, fault: Fault, times: u32) {
        self.faults().plan(operation as usize, None, Some(fault), Some(times));
    }

    /// From now on every request for the page from this place on meets this fault, whatever the others meet; `None`
    /// ends that. Requests that hang are released.
    pub fn fault_on_page(&self, record_start: u64, fault: Option<Fault>) {
        self.faults().plan(Operation::Retrieve as usize, Some(record_start), fault, None);
    }

    /// The next requests for the page from this place on meet this fault, before any lasting one.
    pub fn fault_on_page_times(&self, record_start: u64, fault: Fault, times: u32) {
        self.faults().plan(Operation::Retrieve as usize, Some(record_start), Some(fault), Some(times));
    }

    /// From now on the site's clock stands at this local time, but for what changes move it on; it follows no other.
    pub fn set_time(&self, local_time: DateTime) {
        self.state().settings.clock = Clock::Manual(local_time);
    }

    /// How far each change moves the clock on, while it does not follow another.
    pub fn set_step(&self, step: SignedDuration) {
        self.state().settings.step = step;
    }

    /// The site's local time: what the next change would be dated with.
    pub fn time(&self) -> DateTime {
        self.state().settings.now()
    }

    /// The ids of the contacts that exist, in order; deleted ones do not.
    pub fn contact_ids(&self) -> Vec<u64> {
        self.state().ids(Presence::Exists)
    }

    /// The ids of the contacts that are listed as deleted, in order.
    pub fn deleted_ids(&self) -> Vec<u64> {
        self.state().ids(Presence::Deleted)
    }

    /// The full name that this contact has now: no two revisions of an invented contact have the same. `None` if it
    /// does not exist; likewise below.
    pub fn display_name(&self, id: u64) -> Option<String> {
        self.state().contact(id).map(|contact| contact.full_name)
    }

    /// The primary e-mail address that this contact has now, if it has any: no two revisions, and no two invented
    /// contacts, have the same.
    pub fn email(&self, id: u64) -> Option<String> {
        self.state().contact(id).and_then(|contact| contact.email().map(str::to_owned))
    }

    /// The id that another system has given this contact, if any has.
    pub fn external_id(&self, id: u64) -> Option<String> {
        self.state().contact(id).map(|contact| contact.external_id).filter(|external_id| !external_id.is_empty())
    }

    /// The contact with this external id, if any has it. A deleted one is shown only if none exists, and of several
    /// deleted ones the latest.
    pub fn contact_by_external_id(&self, external_id: &str) -> Option<ContactView> {
        self.state().view_by_external_id(external_id)
    }

    /// The external ids of the contacts that clients wrote since the last call, in the order of their first writing,
    /// each once.
    pub fn take_news(&self) -> Vec<String> {
        self.state().news.take()
    }

    /// How often this contact's content changed, from 1.
    pub fn revision(&self, id: u64) -> Option<u32> {
        self.state().revision(id)
    }

    /// The date that listings give for this contact, deleted or not.
    pub fn last_update(&self, id: u64) -> Option<DateTime> {
        self.state().last_update(id)
    }

    /// The requests so far.
    pub fn requests(&self) -> RequestCounts {
        self.state().counts
    }

    /// The pages that were asked for, in order, faulted and refused ones included.
    pub fn listings(&self) -> Vec<ListingRequest> {
        self.state().listings.clone()
    }
}
