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
mod faults;
mod server;
mod settings;
mod signatures;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

pub use events::EventKind;
pub use settings::WebhookSettings;

use crate::{faults::FaultPlans, server::serve};
use customers::State;

/// Where the receiver is on its host.
pub const ENDPOINT_PATH: &str = "/hook";

/// The address of the receiver under `base`, such as `http://127.0.0.1:8794`.
pub fn endpoint(base: &str) -> String {
    format!("{}{ENDPOINT_PATH}", base.trim_end_matches('/'))
}

/// What goes wrong with a whole request.
///
/// With `Delay`, `CutBody` and `Huge` the event **is applied** and only its answer suffers. With all others it is not.
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
    /// HTTP status 302 with this `Location`.
    Redirect(String),
    /// HTTP status 200, the full `Content-Length`, half of the body, and a closed connection.
    CutBody,
    /// HTTP status 200 and a body of this many bytes, streamed without a `Content-Length`.
    Huge(u64),
}

/// The requests to a receiver so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests that were posted. Each is in just one of the next six, unless it met a fault and was carried out all
    /// the same.
    pub received: u64,
    /// Events that were applied.
    pub accepted: u64,
    /// Events that had been applied before, and were acknowledged again.
    pub repeated: u64,
    /// Requests with a signature that is missing, wrong or too old.
    pub unverified: u64,
    /// Requests with a good signature and no event that can be read.
    pub unreadable: u64,
    /// Events of subjects that are refused.
    pub refused: u64,
    /// Requests that met a fault.
    pub faulted: u64,
    /// Applied events whose revision is lower than one that arrived before of the same subject.
    pub out_of_order: u64,
}

/// An event that was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The id of its request, the same however often it is sent.
    pub webhook_id: String,
    /// The customer's id.
    pub subject: String,
    /// What became of the customer.
    pub kind: EventKind,
    /// The customer's revision.
    pub revision: u64,
}

/// A receiver of webhooks. Clones share one state.
#[derive(Clone)]
pub struct WebhookReceiver {
    shared: Arc<Shared>,
}

struct Shared {
    settings: WebhookSettings,
    state: Mutex<State>,
    faults: FaultPlans<Fault>,
}

/// There is only one thing that a client can ask for.
const ONLY_OPERATION: usize = 0;

impl WebhookReceiver {
    /// Makes a receiver that knows no customers. It does not listen yet.
    pub fn new(settings: WebhookSettings) -> Self {
        let state = Mutex::new(State::new(&settings.secret));
        Self { shared: Arc::new(Shared { settings, state, faults: FaultPlans::new(1) }) }
    }

    /// Serves the receiver, and the control surface under `/_simulator/`, until this future is dropped; that also
    /// closes every open connection, as when a server goes down.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> std::io::Result<()> {
        serve(self.router().merge(control::router(self)), listener).await
    }

    /// The receiver alone, to be called in this process.
    pub fn router(&self) -> axum::Router {
        server::router(self)
    }

    /// From now on only this secret verifies. One that is not `whsec_` and base64 verifies nothing.
    pub fn set_secret(&self, secret: &str) {
        self.state().key = signatures::key(secret);
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

    /// A panic elsewhere while the lock was held leaves a usable state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
