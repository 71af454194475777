//! The client of Association Anywhere: every request passes the connection's gate.

use std::collections::HashSet;
use std::future::Future;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use model::{ConnectionKey, QueuedCustomer};
use store::{Clock, Gate, Secrets};
use wire::association_anywhere::{self as documents, Credentials, Detail, DetailsReader, QueueReader, Unasked};
use wire::{Limits, ReadError};

use crate::VendorHttp;
use crate::connections::AssociationAnywhere as Settings;
use crate::gated::{GatedVendor, Login};
use crate::vendor::{Body, Failed, Trouble};

pub use wire::association_anywhere::UnusableEntry;

/// The one parameter of every procedure.
const PARAMETER: &str = "p_input_xml_doc";

/// Asks an Association Anywhere system.
#[derive(Clone, Debug)]
pub struct AssociationAnywhere(GatedVendor);

fn credentials_of(login: &Login) -> Credentials<'_> {
    Credentials { username: &login.username, password: &login.password }
}

/// How many bytes of an answer that was for one customer alone are kept, for whoever has to look at it.
const RAW_BYTES: usize = 100 * 1024;

/// What the change queue holds.
#[derive(Debug)]
pub struct QueueAnswer {
    /// The customers that changed, as the vendor lists them.
    pub customers: Vec<QueuedCustomer>,
    /// Entries whose id can't be anybody's, each id once.
    pub unusable: Vec<UnusableEntry>,
    /// What to purge them with; `None` where nothing is queued.
    pub queue_number: Option<String>,
}

/// What the change queue holds of some customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueGlance {
    /// What to purge all that it holds with; `None` where nothing is queued.
    pub queue_number: Option<String>,
    /// How many of them it holds.
    pub found: usize,
}

/// What an answer to a bulk request held.
#[derive(Debug)]
pub struct DetailsAnswer {
    /// When the request was sent: what changed later may not be in the answer.
    pub began: Timestamp,
    /// Everybody who was asked for, whoever came under an id that one of them may be spelled as, and whoever came without
    /// an id. A customer that came twice stands here twice.
    pub details: Vec<Detail>,
    /// Who came without having been asked for: such an answer proves nothing about who is missing from it.
    pub unasked: Unasked,
    /// The beginning of the answer as it came, where one customer alone was asked for; otherwise empty.
    pub raw: String,
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
                let mut reader = QueueReader::new(body, None, Limits::of_queue(), |customer| customers.push(customer));
                let queue_number = reader.read()?;
                let unusable = reader.unusable();
                drop(reader);
                Ok(QueueAnswer { customers, unusable, queue_number })
            })
        })
        .await
    }

    /// Asks the queue only whether it still holds these customers, or entries with these names: keeps none of the others.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn glance(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        customers: &HashSet<String>,
        deadline: Timestamp,
    ) -> Result<QueueGlance, Trouble> {
        let login = self.0.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::queue_request(settings.dialect, &credentials_of(&login));
        self.ask(key, settings, deadline, &login, || {
            let mut awaited = customers.clone();
            self.post(&settings.queue_url, &request, move |body| {
                let before = awaited.len();
                let mut reader = QueueReader::new(body, None, Limits::of_queue(), |customer: QueuedCustomer| {
                    awaited.remove(&customer.source_id);
                });
                let queue_number = reader.read()?;
                let unusable = reader.unusable();
                drop(reader);
                for entry in unusable {
                    awaited.remove(&entry.name);
                }
                Ok(QueueGlance { queue_number, found: before - awaited.len() })
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
        let asked = ids.iter().map(String::as_str);
        let request = documents::details_request(asked, &settings.sections, &credentials_of(&login), true);
        // Whatever breaks the reading off, the customers before it are whole: they are handed on beside the trouble.
        let found = Arc::new(Mutex::new(Found { began: self.0.clock.now(), ..Found::default() }));
        let kept = if ids.len() == 1 { RAW_BYTES } else { 0 };
        let answer = self
            .ask(key, settings, deadline, &login, || {
                let found = found.clone();
                lock(&found).began = self.0.clock.now();
                let ids = ids.to_vec();
                self.post(&settings.details_url, &request, move |body| {
                    let body = Kept { body, found: found.clone(), room: kept };
                    let mut reader = DetailsReader::of_asked(body, None, ids.iter().map(String::as_str));
                    for detail in reader.by_ref() {
                        lock(&found).details.push(detail?);
                    }
                    lock(&found).unasked.clone_from(reader.unasked());
                    Ok(())
                })
            })
            .await;
        let Found { began, details, unasked, raw } = std::mem::take(&mut *lock(&found));
        let raw = String::from_utf8_lossy(&raw).into_owned();
        match answer {
            Ok(()) => Ok(DetailsAnswer { began, details, unasked, raw, broken: None }),
            Err(trouble) if details.is_empty() && raw.is_empty() => Err(trouble),
            Err(trouble) => Ok(DetailsAnswer { began, details, unasked, raw, broken: Some(trouble) }),
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
        self.ask(key, settings, deadline, &login, || {
            self.post(url, &request, |body| documents::read_status(body, &Limits::default()))
        })
        .await
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

/// What an answer to a request for details has brought so far.
#[derive(Default)]
struct Found {
    began: Timestamp,
    details: Vec<Detail>,
    unasked: Unasked,
    raw: Vec<u8>,
}

/// A body whose beginning is kept as it came.
struct Kept {
    body: Body,
    found: Arc<Mutex<Found>>,
    room: usize,
}

impl Read for Kept {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        let kept = read.min(self.room);
        if kept > 0 {
            self.room -= kept;
            lock(&self.found).raw.extend_from_slice(&buffer[..kept]);
        }
        Ok(read)
    }
}

/// Each change under this lock is a single step: a panic leaves the value as good as before.
fn lock(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
