//! A receiver of signed webhooks, as somebody writes it who follows the customers.
//!
//! It takes one event a request at one address. An event is CloudEvents 1.0 in JSON, with all of it in the body, and is
//! signed after Standard Webhooks: `webhook-signature` holds one or more of `v1,` and the base64 of an HMAC-SHA256 over
//! `webhook-id`, `webhook-timestamp` and the body, with points in between.
//!
//! | answer | to |
//! |---|---|
//! | 200 | an event that is applied, or one whose `webhook-id` was applied before: that one is not applied again |
//! | 401 | a signature that is missing, wrong or too old |
//! | 415 | anything that is not `application/cloudevents+json` |
//! | 400 | an event that lacks something, or that contradicts itself |
//!
//! An event tells of one customer. Its `type` ends with `.added`, `.updated` or `.deleted`, its `subject` is the
//! customer's id, and its `data` hold `id`, `action`, `changed_at`, `revision` and, unless the sender keeps it back,
//! `customer`. The receiver keeps the data that arrived last of each subject, and counts those that arrive after ones
//! with a higher revision.
//!
//! ```
//! use simulators::webhook::{WebhookReceiver, WebhookSettings};
//!
//! let receiver = WebhookReceiver::new(WebhookSettings::default());
//! receiver.refuse("aa~1001", 503);
//! assert_eq!(receiver.customer("aa~1001"), None);
//! ```

pub mod control;
mod customers;
mod events;
mod server;
mod settings;
mod signatures;
mod types;

use axum::{Router, routing::post};
use serde_json::Value;

pub use events::EventKind;
pub use settings::WebhookSettings;
pub use types::{ENDPOINT_PATH, Fault, RequestCounts, Seen, WebhookFault, WebhookReceiver, endpoint};

use crate::simulator::{ONLY_OPERATION, System};
use customers::State;

impl System for WebhookSettings {
    type State = State;
    type Own = WebhookFault;

    fn state(&self) -> State {
        State::new(&self.secret)
    }

    fn router() -> Router<WebhookReceiver> {
        Router::new().route(ENDPOINT_PATH, post(server::call))
    }

    fn count_fault(state: &mut State) {
        state.counts.faulted += 1;
    }
}

impl WebhookReceiver {
    /// From now on only this secret verifies. One that is not `whsec_` and base64 verifies nothing.
    pub fn set_secret(&self, secret: &str) {
        self.state().key = signatures::key(secret);
    }

    /// From now on every request meets this fault; `None` ends that, and all other faults. Requests that hang are
    /// released.
    pub fn fault(&self, fault: Option<Fault>) {
        self.faults().plan(ONLY_OPERATION, None, fault, None);
    }

    /// The next requests meet this fault, before any lasting one. Several calls queue up.
    pub fn fault_times(&self, fault: Fault, times: u32) {
        self.faults().plan(ONLY_OPERATION, None, Some(fault), Some(times));
    }

    /// From now on every event of this subject is answered with this HTTP status and not applied, unless it was before.
    pub fn refuse(&self, subject: &str, status: u16) {
        self.state().refused.insert(subject.to_owned(), status);
    }

    /// Events of this subject are taken again.
    pub fn accept(&self, subject: &str) {
        self.state().refused.remove(subject);
    }

    /// The customer of this id as its last event told of it; `None` if it was deleted, or was never there, or if the
    /// event held its id only.
    pub fn customer(&self, id: &str) -> Option<Value> {
        self.state().customer(id).cloned()
    }

    /// The `data` of the last event of this id, of a deletion too.
    pub fn data(&self, id: &str) -> Option<Value> {
        self.state().data(id).cloned()
    }

    /// The ids of the customers that exist, in order; deleted ones do not.
    pub fn ids(&self) -> Vec<String> {
        self.state().ids()
    }

    /// The events that were applied, in the order in which they arrived.
    pub fn events(&self) -> Vec<Seen> {
        self.state().events.clone()
    }

    /// The ids of customers that events told of since the last call, deleted ones too, in the order of their first
    /// event, each once.
    pub fn take_news(&self) -> Vec<String> {
        self.state().news.take()
    }

    /// The headers and the body of the last request, as it was sent, whatever became of it.
    pub fn last_request(&self) -> Option<(Vec<(String, String)>, String)> {
        self.state().last_request.clone()
    }

    /// The requests so far.
    pub fn requests(&self) -> RequestCounts {
        self.state().counts
    }
}
