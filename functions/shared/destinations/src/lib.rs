//! The clients of the destinations: customers in, what became of each out.
//!
//! | module | what |
//! |---|---|
//! | `http` | one request and its answer, to an address that may be sent to |
//! | `delivering` | who is to blame for what a destination does not take |
//! | `check` | whether a destination can be reached and lets us in, without sending it anything |
//! | `business_catalyst`, `customers_batch`, `webhook` | the three kinds |
//!
//! Nothing here knows the change feed, the store of failures, or what was sent before: see `push-changes`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod business_catalyst;
mod check;
mod customers_batch;
mod delivering;
mod http;
mod webhook;

use std::time::Duration;

use config::{Destination, DestinationKind, DestinationSettings, Receiver};
use jiff::{SignedDuration, Timestamp};
use model::{ChangeAction, Customer, CustomerId};
use serde::de::DeserializeOwned;
use store::{Clock, Secrets};

pub use http::{DestinationHttp, Pace, SystemResolver};

use delivering::deliver;

/// How long before its deadline a caller begins its last delivery: as long as the slowest request may take, and a pause
/// before it.
pub const LONGEST_REQUEST: Duration = Duration::from_secs(30);

/// After so long it is no accident that a destination fails at a customer: a machine that is started anew is back.
pub const NO_ACCIDENT: Duration = Duration::from_secs(300);
/// After so long a destination that says that it is busy is not, and one that takes nobody new means it.
pub const FOR_LONG: Duration = Duration::from_secs(1_200);

/// How many customers are blamed at once if the destination takes none of those that are sent, and at how many of them
/// it may fail. If it takes none [for long](FOR_LONG), as many again as were blamed so far.
pub const MOST_BLAMED: usize = 4;

/// A change to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The customer.
    pub id: CustomerId,
    /// What became of it, seen from now.
    pub action: ChangeAction,
    /// When its content last changed.
    pub changed_at: Timestamp,
    /// The revision of the record.
    pub revision: u64,
    /// The record as it is now; `None` if it was removed.
    pub customer: Option<Customer>,
    /// On what occasion it is sent: what is sent again on another one is another event.
    pub occasion: String,
}

/// What a destination did with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has it.
    Taken,
    /// It has no word for it: a deletion that its interface can't say.
    LeftOut,
    /// It does not take it.
    Refused {
        /// Why, without personal data.
        reason: String,
        /// The beginning of its answer. It may hold personal data.
        answer: String,
    },
}

/// A destination that takes nothing at the moment: the changes are not to blame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong, without secrets and personal data.
    pub message: String,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether it says that it is gone for good.
    pub is_gone: bool,
    /// After how long what was sent may be to blame; `None` if it never is.
    pub blames_after: Option<Duration>,
    /// Whether it would be the same whatever is sent: it is not reached, or wants to be left alone.
    pub stops_all: bool,
    /// Whether nothing is wrong but that there is no time left for another request.
    pub is_out_of_time: bool,
}

/// What became of some changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Of each of them, in their order; `None` if that is not known, for there is trouble.
    pub outcomes: Vec<Option<Outcome>>,
    /// What keeps the others from being sent; or that the destination takes nobody of those that are sent.
    pub trouble: Option<Trouble>,
    /// Whether it took any of them.
    pub has_taken: bool,
    /// Those that it does not take, though it takes others.
    pub blamed: Vec<CustomerId>,
    /// Whether it failed at any of these, instead of refusing it.
    pub has_failed: bool,
    /// Whether it took any that it had not taken before.
    pub is_unsteady: bool,
}

/// What is known beside the changes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Other customers, some of which the destination took before: if it takes none of these either, it is the
    /// destination that is to blame.
    pub witnesses: &'a [Outgoing],
    /// How many attempts have failed since it took somebody.
    pub attempts: u32,
    /// For how long it has been failing at the first of them.
    pub failing_for: Duration,
    /// For how long it has been unsteady, if it is.
    pub unsteady_for: Option<Duration>,
    /// How many were blamed since it took somebody that was not a witness; `None` if any number may be.
    pub blamed: Option<usize>,
    /// When requests may be sent.
    pub pace: &'a Pace,
}

/// Sends changes to destinations of every kind.
#[derive(Clone, Debug)]
pub struct DestinationClient {
    http: DestinationHttp,
    secrets: Secrets,
    clock: Clock,
}

impl DestinationClient {
    /// A client.
    pub fn new(http: DestinationHttp, secrets: Secrets, clock: Clock) -> Self {
        Self { http, secrets, clock }
    }

    /// How many changes make one delivery at most.
    pub fn most_at_once(kind: DestinationKind) -> usize {
        match kind {
            DestinationKind::BusinessCatalyst => business_catalyst::MOST_CONTACTS,
            DestinationKind::CustomersBatch => customers_batch::MOST_ROWS,
            DestinationKind::Webhook => webhook::MOST_EVENTS,
        }
    }

    /// The pace that a destination allows. No request is sent later than [`LONGEST_REQUEST`] before the deadline.
    pub fn pace(&self, destination: &Destination, deadline: Timestamp) -> Pace {
        Pace::new(self.clock.clone(), destination.settings.max_requests_per_second, deadline)
    }

    /// Sends changes of different customers.
    pub async fn deliver(&self, destination: &Destination, changes: &[Outgoing], context: Context<'_>) -> Delivered {
        let settings = &destination.settings;
        let allows_private = settings.allow_private_addresses;
        let request = http::Requests { http: &self.http, pace: context.pace.clone(), allows_private };
        let delivered = match &settings.receiver {
            Receiver::BusinessCatalyst(site) => match self.credentials(settings, business_catalyst::FIELDS).await {
                Ok(login) => {
                    let site = business_catalyst::Site { site, login, request };
                    deliver(&site, changes, context).await
                }
                Err(trouble) => trouble.stops(changes.len()),
            },
            Receiver::CustomersBatch(service) => match self.credentials(settings, customers_batch::FIELDS).await {
                Ok(access) => {
                    let service = customers_batch::Service { service, access, request };
                    deliver(&service, changes, context).await
                }
                Err(trouble) => trouble.stops(changes.len()),
            },
            Receiver::Webhook(hook) => {
                let secrets = self.credentials::<webhook::Secrets>(settings, webhook::FIELDS).await;
                match secrets.and_then(|secrets| secrets.parsed()) {
                    Ok(secrets) => {
                        let hook = webhook::Hook { key: &destination.key, hook, request, clock: &self.clock, secrets };
                        deliver(&hook, changes, context).await
                    }
                    Err(trouble) => trouble.stops(changes.len()),
                }
            }
        };
        let is_refused = |outcome: &Option<Outcome>| matches!(outcome, Some(Outcome::Refused { .. }));
        let is_in_trouble = delivered.trouble.as_ref().is_some_and(|trouble| !trouble.is_out_of_time);
        if is_in_trouble || delivered.outcomes.iter().any(is_refused) {
            // It may be the credentials that are not taken, for they were replaced.
            self.secrets.doubt(&settings.credentials);
        }
        delivered
    }

    async fn credentials<T: DeserializeOwned>(
        &self,
        settings: &DestinationSettings,
        fields: &'static str,
    ) -> Result<T, Trouble> {
        let read = self.secrets.read_for_source(&settings.credentials, fields).await;
        read.map_err(|error| Trouble::new(format!("credentials: {error}")).of_all())
    }
}

impl Trouble {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// The same, and what was sent may be to blame if it goes on.
    pub(crate) fn of_content(self) -> Self {
        Self { blames_after: Some(NO_ACCIDENT), ..self }
    }

    /// The same, and it would be so whatever is sent.
    pub(crate) fn of_all(self) -> Self {
        Self { stops_all: true, ..self }
    }

    /// This one together with a later one: the one that is worse, and the longer pause.
    pub(crate) fn and(self, other: Self) -> Self {
        let retry_after = self.retry_after.max(other.retry_after);
        let rank = |trouble: &Self| (trouble.is_gone, trouble.stops_all, trouble.blames_after.is_none());
        let worse = if rank(&other) > rank(&self) { other } else { self };
        Self { retry_after, ..worse }
    }

    /// Whether what was sent may be to blame, if the destination has been failing for so long.
    pub(crate) fn blames_content(&self, failing_for: Duration) -> bool {
        self.blames_after.is_some_and(|after| failing_for >= after)
    }

    /// Before anything was sent.
    fn stops(self, changes: usize) -> Delivered {
        Delivered { outcomes: vec![None; changes], trouble: Some(self), ..Delivered::default() }
    }
}

impl Outgoing {
    /// Whether the customer is gone.
    pub fn is_deletion(&self) -> bool {
        self.action == ChangeAction::Deleted
    }
}

/// A time so much before another.
fn before(time: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    time.checked_sub(pause).unwrap_or(Timestamp::MIN)
}
