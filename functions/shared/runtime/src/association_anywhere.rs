//! The client of Association Anywhere: every request passes the connection's gate.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use model::{ConnectionKey, QueuedCustomer};
use serde::Deserialize;
use store::{Admission, Clock, Gate, SecretRef, Secrets};
use wire::association_anywhere::{self as documents, Credentials, Detail, DetailsMode, DetailsReader};
use wire::{Limits, ReadError};

use crate::VendorHttp;
use crate::connections::AssociationAnywhere as Settings;
use crate::vendor::{Body, Failed, Trouble};

/// The one parameter of every procedure.
const PARAMETER: &str = "p_input_xml_doc";
/// When to ask again where others have reserved every slot before the deadline.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(5);

/// Asks an Association Anywhere system, at its pace, behind its breaker.
#[derive(Clone, Debug)]
pub struct AssociationAnywhere {
    http: VendorHttp,
    secrets: Secrets,
    gate: Gate,
    clock: Clock,
}

/// What the change queue holds.
#[derive(Debug)]
pub struct QueueAnswer {
    /// The customers that changed, as the vendor lists them.
    pub customers: Vec<QueuedCustomer>,
    /// What to purge them with; `None` where nothing is queued.
    pub queue_number: Option<String>,
}

/// What an answer to a bulk request held.
#[derive(Debug)]
pub struct DetailsAnswer {
    /// When the request was sent: what changed later may not be in the answer.
    pub began: Timestamp,
    /// Every customer that could be told apart.
    pub details: Vec<Detail>,
    /// What ended the reading before the document's end: then a customer that is not among `details` may still exist.
    pub broken: Option<Trouble>,
}

#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

impl Login {
    fn as_credentials(&self) -> Credentials<'_> {
        Credentials { username: &self.username, password: &self.password }
    }

    /// A vendor's message may quote what it was sent.
    fn redact(&self, message: String) -> String {
        let mut redacted = message;
        for secret in [&self.password, &self.username] {
            if !secret.is_empty() {
                redacted = redacted.replace(secret.as_str(), "***");
            }
        }
        redacted
    }
}

impl AssociationAnywhere {
    /// A client.
    pub fn new(http: VendorHttp, secrets: Secrets, gate: Gate, clock: Clock) -> Self {
        Self { http, secrets, gate, clock }
    }

    /// Who changed since the last purge. Changes nothing at the vendor.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn queue(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        deadline: Timestamp,
    ) -> Result<QueueAnswer, Trouble> {
        let login = self.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::queue_request(settings.dialect, &login.as_credentials());
        self.ask(key, settings, deadline, &login, || {
            self.post(&settings.queue_url, &request, |body| {
                let mut customers = Vec::new();
                let queue_number =
                    documents::read_queue(body, &Limits::default(), |customer| customers.push(customer))?;
                Ok(QueueAnswer { customers, queue_number })
            })
        })
        .await
    }

    /// The details of customers, in one bulk request.
    ///
    /// # Errors
    /// See [`Trouble`]; what ended the reading of an answer stands in the answer.
    pub async fn details(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        ids: &[String],
        deadline: Timestamp,
    ) -> Result<DetailsAnswer, Trouble> {
        let login = self.login(&settings.credentials).await?;
        let ids = ids.iter().map(String::as_str);
        let request = documents::details_request(ids, &settings.sections, &login.as_credentials(), true);
        // Whatever breaks the reading off, the customers before it are whole: they are handed on beside the trouble.
        let found = Arc::new(Mutex::new((self.clock.now(), Vec::new())));
        let answer = self
            .ask(key, settings, deadline, &login, || {
                let found = found.clone();
                found.lock().unwrap_or_else(PoisonError::into_inner).0 = self.clock.now();
                self.post(&settings.details_url, &request, move |body| {
                    for detail in DetailsReader::new(body, Limits::default(), DetailsMode::Bulk) {
                        let detail = detail?;
                        found.lock().unwrap_or_else(PoisonError::into_inner).1.push(detail);
                    }
                    Ok(())
                })
            })
            .await;
        let (began, details) = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        match answer {
            Ok(()) => Ok(DetailsAnswer { began, details, broken: None }),
            Err(trouble) if details.is_empty() => Err(trouble),
            Err(trouble) => Ok(DetailsAnswer { began, details, broken: Some(trouble) }),
        }
    }

    /// Clears what the queue held when it answered with `queue_number`, and nothing newer.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn purge(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        queue_number: &str,
        deadline: Timestamp,
    ) -> Result<(), Trouble> {
        let login = self.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::purge_request(settings.dialect, &login.as_credentials(), queue_number);
        self.ask(key, settings, deadline, &login, || {
            self.post(&settings.purge_url, &request, |body| documents::read_status(body, &Limits::default()))
        })
        .await
    }

    /// Puts one customer into the queue, or everyone.
    ///
    /// # Errors
    /// See [`Trouble`]; [`Trouble::Unusable`] where the connection has no `enqueue_url`.
    pub async fn force_enqueue(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        customer: Option<&str>,
        deadline: Timestamp,
    ) -> Result<(), Trouble> {
        let Some(url) = &settings.enqueue_url else {
            return Err(Trouble::Unusable { message: "the connection has no `enqueue_url`".to_owned() });
        };
        let login = self.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::enqueue_request(settings.dialect, &login.as_credentials(), customer);
        self.ask(key, settings, deadline, &login, || {
            self.post(url, &request, |body| documents::read_status(body, &Limits::default()))
        })
        .await
    }

    async fn login(&self, reference: &SecretRef) -> Result<Login, Trouble> {
        Ok(self.secrets.read(reference, "\"username\" and \"password\"").await?)
    }

    /// Sends a request when the gate allows it, and tells the gate how it went.
    async fn ask<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, Trouble> {
        let (slot, failures) = match self.gate.enter(key, settings.max_requests_per_second, deadline).await? {
            Admission::At { slot, failures } => (slot, failures),
            Admission::ClosedUntil(until) => {
                let message = "the vendor failed a moment ago and is left alone for a while".to_owned();
                return Err(Trouble::NotNow { until, message });
            }
            Admission::NoRoom => {
                let message = "`max_requests_per_second` leaves no room for this request now".to_owned();
                return Err(Trouble::NotNow { until: self.clock.now() + NO_ROOM_PAUSE, message });
            }
        };
        self.clock.pass_until(slot).await;
        let out_of_time =
            Failed::Passing { message: "the vendor did not answer in time".to_owned(), retry_after: None };
        let answer = tokio::select! {
            answer = request() => answer,
            () = self.clock.sleep_until(deadline) => Err(out_of_time),
        };
        match answer {
            Ok(answer) => {
                self.gate.succeeded(key, failures).await?;
                Ok(answer)
            }
            Err(Failed::Passing { message, retry_after }) => {
                let until = self.gate.failed(key, failures, retry_after).await?;
                Err(Trouble::Passing { until, message })
            }
            // It did answer: whether the vendor or one record is to blame is for the caller to find out.
            Err(Failed::Unusable(message)) => {
                self.gate.succeeded(key, failures).await?;
                Err(Trouble::Unusable { message: login.redact(message) })
            }
            Err(Failed::Panicked) => Err(Trouble::Panicked),
        }
    }

    async fn post<T: Send + 'static>(
        &self,
        url: &str,
        document: &str,
        read: impl FnOnce(Body) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Failed> {
        self.http.post_form(url, PARAMETER, document, read).await?.map_err(|error| {
            let message = error.to_string();
            if error.is_interrupted() {
                Failed::Passing { message, retry_after: None }
            } else {
                Failed::Unusable(message)
            }
        })
    }
}
