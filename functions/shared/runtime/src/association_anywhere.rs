//! The client of Association Anywhere: every request passes the connection's gate.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use model::{ConnectionKey, QueuedCustomer};
use store::{Clock, Gate, Secrets};
use wire::association_anywhere::{self as documents, Credentials, Detail, DetailsMode, DetailsReader};
use wire::{Limits, ReadError};

use crate::VendorHttp;
use crate::connections::AssociationAnywhere as Settings;
use crate::gated::{ANSWER_TIME, GatedVendor, Login};
use crate::vendor::{Body, Failed, Trouble};

/// The one parameter of every procedure.
const PARAMETER: &str = "p_input_xml_doc";

/// Asks an Association Anywhere system.
#[derive(Clone, Debug)]
pub struct AssociationAnywhere(GatedVendor);

fn credentials_of(login: &Login) -> Credentials<'_> {
    Credentials { username: &login.username, password: &login.password }
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

impl AssociationAnywhere {
    /// A client.
    pub fn new(http: VendorHttp, secrets: Secrets, gate: Gate, clock: Clock) -> Self {
        Self(GatedVendor::new(http, secrets, gate, clock))
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
        let login = self.0.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::queue_request(settings.dialect, &credentials_of(&login));
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
        let login = self.0.login(&settings.credentials).await?;
        let ids = ids.iter().map(String::as_str);
        let request = documents::details_request(ids, &settings.sections, &credentials_of(&login), true);
        // Whatever breaks the reading off, the customers before it are whole: they are handed on beside the trouble.
        let found = Arc::new(Mutex::new((self.0.clock.now(), Vec::new())));
        let answer = self
            .ask(key, settings, deadline, &login, || {
                let found = found.clone();
                found.lock().unwrap_or_else(PoisonError::into_inner).0 = self.0.clock.now();
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
        let login = self.0.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::purge_request(settings.dialect, &credentials_of(&login), queue_number);
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
        let login = self.0.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::enqueue_request(settings.dialect, &credentials_of(&login), customer);
        loop {
            let request = || self.post(url, &request, |body| documents::read_status(body, &Limits::default()));
            match self.ask(key, settings, deadline, &login, request).await {
                // An operator waits for it: pollers and workers may have taken every slot that is near.
                Err(Trouble::NotNow { until, .. }) if until < deadline - ANSWER_TIME => {
                    self.0.clock.pass_until(until).await;
                }
                asked => return asked,
            }
        }
    }

    async fn ask<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, Trouble> {
        self.0.ask(key, settings.max_requests_per_second, deadline, login, request).await
    }

    async fn post<T: Send + 'static>(
        &self,
        url: &str,
        document: &str,
        read: impl FnOnce(Body) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Failed> {
        self.0.http.post_form(url, PARAMETER, document, read).await?.map_err(|error| {
            let message = error.to_string();
            if error.is_interrupted() {
                Failed::Passing { message, retry_after: None }
            } else {
                Failed::Unusable(message)
            }
        })
    }
}
