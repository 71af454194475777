//! The client of Association Anywhere: every request passes the connection's limiter.

use std::collections::HashSet;
use std::future::Future;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use model::{ConnectionKey, ContentHash, QueueEnd, QueueTail, QueuedCustomer};
use store::{Clock, Secrets, SourceLimiter};
use wire::association_anywhere::{
    self as documents, Credentials, Detail, DetailsReader, QueueReader, StatusReader, Unasked,
};
use wire::{Limits, ReadError};

use crate::SourceHttp;
use crate::body::Body;
use crate::http::{Patience, RequestError, SourceError};
use crate::source_client::{ANSWER_TIME, Login, SourceClient};
use config::AssociationAnywhereConfig as Settings;

pub use wire::association_anywhere::UnusableEntry;

/// The one parameter of every procedure.
const PARAMETER: &str = "p_input_xml_doc";

/// Sends requests to an Association Anywhere system.
#[derive(Clone, Debug)]
pub struct AssociationAnywhereClient(SourceClient);

fn credentials_of(login: &Login) -> Credentials<'_> {
    Credentials { username: &login.username, password: &login.password }
}

/// How many bytes of an answer about a single customer are kept, for an operator.
const RAW_BYTES: usize = 100 * 1024;

/// What the change queue holds.
#[derive(Debug)]
pub struct QueueAnswer {
    /// The customers that changed, as the source lists them.
    pub customers: Vec<QueuedCustomer>,
    /// Entries with an id that no customer can have, each id once.
    pub unusable: Vec<UnusableEntry>,
    /// The number to purge them with; `None` if the source gives none.
    pub queue_number: Option<String>,
}

impl QueueAnswer {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.customers.is_empty() && self.unusable.is_empty()
    }
}

/// Whether the change queue holds certain customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueGlance {
    /// The number to purge all that it holds with; `None` if the source gives none.
    pub queue_number: Option<String>,
    /// How many of them it holds.
    pub found: usize,
}

/// What an answer to a bulk request held.
#[derive(Debug)]
pub struct DetailsAnswer {
    /// When the request was sent: what changed later may not be in the answer.
    pub began: Timestamp,
    /// Customers that were asked for, that came under an id that may be a spelling of one of those, and that came
    /// without an id. A customer that came twice is in here twice.
    pub details: Vec<Detail>,
    /// Customers that were not asked for: an answer with such customers does not prove that a missing one is deleted.
    pub unasked: Unasked,
    /// The beginning of the answer as it came, if only one customer was asked for; otherwise empty.
    pub raw: String,
    /// What ended the reading before the document's end: if anything did, a customer that is not among `details` may
    /// still exist.
    pub broken: Option<SourceError>,
}

impl AssociationAnywhereClient {
    /// A client.
    pub fn new(http: SourceHttp, secrets: Secrets, limiter: SourceLimiter, clock: Clock) -> Self {
        Self(SourceClient::new(http, secrets, limiter, clock))
    }

    /// A connection's queue, to be read, checked and purged under one login.
    ///
    /// # Errors
    /// If the login can't be read.
    pub async fn queue<'a>(
        &'a self,
        key: &'a ConnectionKey,
        settings: &'a Settings,
    ) -> Result<ChangeQueue<'a>, SourceError> {
        let login = self.0.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        Ok(ChangeQueue { client: self, key, settings, login })
    }

    /// The details of customers, in one bulk request.
    ///
    /// # Errors
    /// See [`SourceError`]; an error that ended the reading of an answer is in the answer.
    pub async fn details(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        ids: &[String],
        deadline: Timestamp,
    ) -> Result<DetailsAnswer, SourceError> {
        let login = self.0.login(&settings.credentials).await?;
        let ids = || ids.iter().map(String::as_str);
        let request = documents::details_request(ids(), &settings.sections, &credentials_of(&login));
        // If reading is broken off, the customers before are whole: they are handed on beside the error.
        let found = &Mutex::new(Found { began: self.0.clock.now(), ..Found::default() });
        let room = if ids().len() == 1 { RAW_BYTES } else { 0 };
        let answer = self
            .ask(key, settings, deadline, &login, || {
                lock(found).began = self.0.clock.now();
                self.post(&settings.details_url, &request, Patience::USUAL, |body| {
                    let charset = body.charset();
                    let mut reader = DetailsReader::of_asked(Kept { body, found, room }, charset, ids());
                    move || {
                        for detail in reader.by_ref() {
                            lock(found).details.push(detail?);
                        }
                        lock(found).unasked.clone_from(reader.unasked());
                        tell_left_out(key, reader.left_out());
                        Ok(())
                    }
                })
            })
            .await;
        let Found { began, details, unasked, raw } = std::mem::take(&mut *lock(found));
        let raw = String::from_utf8_lossy(&raw).into_owned();
        match answer {
            Ok(()) => Ok(DetailsAnswer { began, details, unasked, raw, broken: None }),
            Err(error) if details.is_empty() && raw.is_empty() => Err(error),
            Err(error) => Ok(DetailsAnswer { began, details, unasked, raw, broken: Some(error) }),
        }
    }

    /// Puts one customer into the queue, or all of them.
    ///
    /// # Errors
    /// See [`SourceError`]; [`SourceError::InvalidResponse`] if the connection has no `enqueue_url`.
    pub async fn force_enqueue(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        customer: Option<&str>,
        deadline: Timestamp,
    ) -> Result<(), SourceError> {
        let Some(url) = &settings.enqueue_url else {
            return Err(SourceError::InvalidResponse { message: "the connection has no `enqueue_url`".to_owned() });
        };
        let login = self.0.login(settings.queue_credentials.as_ref().unwrap_or(&settings.credentials)).await?;
        let request = documents::enqueue_request(settings.dialect, &credentials_of(&login), customer);
        let patience = if customer.is_some() { Patience::USUAL } else { Patience::QUEUE };
        // It comes rarely, and workers may have taken every slot that is near.
        self.ask_in_turn(key, settings, deadline, &login, || self.post(url, &request, patience, read_status)).await
    }

    /// Sends a request when its turn comes, however long that takes before the deadline.
    async fn ask_in_turn<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        deadline: Timestamp,
        login: &Login,
        request: impl Fn() -> F,
    ) -> Result<T, SourceError> {
        loop {
            match self.ask(key, settings, deadline, login, &request).await {
                Err(SourceError::Throttled { until, .. }) if until < deadline - ANSWER_TIME => {
                    self.0.clock.wait_until(until).await;
                }
                asked => return asked,
            }
        }
    }

    async fn ask<T, F: Future<Output = Result<T, RequestError>>>(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        deadline: Timestamp,
        login: &Login,
        request: impl FnOnce() -> F,
    ) -> Result<T, SourceError> {
        self.0.ask(key, settings.max_requests_per_second, deadline, login, request).await
    }

    async fn post<T, R: FnMut() -> Result<T, ReadError>>(
        &self,
        url: &str,
        document: &str,
        patience: Patience,
        open: impl FnOnce(Body) -> R,
    ) -> Result<T, RequestError> {
        self.0.http.post_form(url, PARAMETER, document, patience, open).await?.map_err(|error| {
            let message = error.to_string();
            // A system that answers with a page, or with far more than was asked for, gets a pause, too.
            if error.is_interrupted() || error.is_no_answer() {
                RequestError::Transient { message, retry_after: None }
            } else {
                RequestError::InvalidResponse(message)
            }
        })
    }
}

/// A connection's queue under one login: a number that was read with one secret is not purged with another.
pub struct ChangeQueue<'a> {
    client: &'a AssociationAnywhereClient,
    key: &'a ConnectionKey,
    settings: &'a Settings,
    login: Login,
}

impl ChangeQueue<'_> {
    /// Identifies the queue and the user that reads it: another user name may mean another environment.
    pub fn origin(&self) -> ContentHash {
        let Settings { queue_url, details_url, purge_url, credentials, .. } = self.settings;
        let username = &self.login.username;
        ContentHash::of(&format!("{queue_url}\n{details_url}\n{purge_url}\n{credentials:?}\n{username}"))
    }

    /// The customers that changed since the last purge. Changes nothing at the source.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn read(&self, deadline: Timestamp) -> Result<QueueAnswer, SourceError> {
        let Self { client, key, settings, login } = self;
        client.ask(key, settings, deadline, login, || self.post_read()).await
    }

    /// As [`read`](Self::read), for a caller that knows that no other request of this connection is under way: an
    /// answer without customers costs no write to the limiter.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn read_alone(&self, deadline: Timestamp) -> Result<QueueAnswer, SourceError> {
        let Self { client, key, settings, login } = self;
        let answer = client.0.ask_alone(key, deadline, login, || self.post_read()).await?;
        if !answer.is_empty() {
            client.0.count_request(key, settings.max_requests_per_second).await?;
        }
        Ok(answer)
    }

    async fn post_read(&self) -> Result<QueueAnswer, RequestError> {
        let Self { client, key, settings, login } = self;
        let request = documents::queue_request(settings.dialect, &credentials_of(login));
        client
            .post(&settings.queue_url, &request, Patience::QUEUE, |body| {
                let charset = body.charset();
                let customers = Arc::new(Mutex::new(Vec::new()));
                let found = customers.clone();
                let mut reader = QueueReader::new(body, charset, Limits::of_queue(), move |customer| {
                    lock(&found).push(customer);
                });
                move || {
                    let queue_number = reader.read()?;
                    tell_left_out(key, reader.left_out());
                    let customers = std::mem::take(&mut *lock(&customers));
                    Ok(QueueAnswer { customers, unusable: reader.unusable(), queue_number })
                }
            })
            .await
    }

    /// Checks only whether the queue still holds these customers, or entries with these names: keeps none of the
    /// others.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn glance(&self, customers: &HashSet<String>, deadline: Timestamp) -> Result<QueueGlance, SourceError> {
        let Self { client, key, settings, login } = self;
        let request = documents::queue_request(settings.dialect, &credentials_of(login));
        client
            .ask(key, settings, deadline, login, || {
                client.post(&settings.queue_url, &request, Patience::QUEUE, |body| {
                    let charset = body.charset();
                    let awaited = Arc::new(Mutex::new(customers.clone()));
                    let left = awaited.clone();
                    let mut reader =
                        QueueReader::new(body, charset, Limits::of_queue(), move |customer: QueuedCustomer| {
                            lock(&left).remove(&customer.source_id);
                        });
                    move || {
                        let queue_number = reader.read()?;
                        let mut awaited = lock(&awaited);
                        for entry in reader.unusable() {
                            awaited.remove(&entry.name);
                        }
                        Ok(QueueGlance { queue_number, found: customers.len() - awaited.len() })
                    }
                })
            })
            .await
    }

    /// What the queue has told since its answer ended with `end`, up to `most` customers, and up to where that is:
    /// keeps none of the others. `None` if nothing is seen to be told since. It waits for its turn until `begins_by`.
    ///
    /// # Errors
    /// See [`SourceError`]; the source is not left alone for them.
    pub async fn read_behind(
        &self,
        end: &QueueEnd,
        most: usize,
        begins_by: Timestamp,
        deadline: Timestamp,
    ) -> Result<Option<(Vec<QueuedCustomer>, QueueEnd)>, SourceError> {
        let Self { client, key, settings, login } = self;
        let request = documents::queue_request(settings.dialect, &credentials_of(login));
        let post = || {
            client.post(&settings.queue_url, &request, Patience::QUEUE, |body| {
                let charset = body.charset();
                let tail = Arc::new(Mutex::new(QueueTail::new(end.clone(), most)));
                let taking = tail.clone();
                let mut reader =
                    QueueReader::new(body, charset, Limits::of_queue(), move |customer| lock(&taking).take(customer));
                move || {
                    let queue_number = reader.read()?;
                    let nothing = QueueTail::new(end.clone(), 0);
                    Ok(std::mem::replace(&mut *lock(&tail), nothing).end(queue_number.as_deref()))
                }
            })
        };
        loop {
            match client.0.ask_aside(key, settings.max_requests_per_second, deadline, login, post).await {
                Err(SourceError::Throttled { until, .. }) if until < begins_by => {
                    client.0.clock.wait_until(until).await
                }
                asked => return asked,
            }
        }
    }

    /// Clears what the queue held when it answered with `queue_number`, and nothing newer.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub async fn purge(&self, queue_number: &str, deadline: Timestamp) -> Result<(), SourceError> {
        let Self { client, key, settings, login } = self;
        let request = documents::purge_request(settings.dialect, &credentials_of(login), queue_number);
        // It follows a read of the queue, which took the free slot.
        client
            .ask_in_turn(key, settings, deadline, login, || {
                client.post(&settings.purge_url, &request, Patience::USUAL, read_status)
            })
            .await
    }
}

/// The part of an answer to a request for details that has been read so far.
#[derive(Default)]
struct Found {
    began: Timestamp,
    details: Vec<Detail>,
    unasked: Unasked,
    raw: Vec<u8>,
}

/// A body of which the beginning is kept as it came.
struct Kept<'a> {
    body: Body,
    found: &'a Mutex<Found>,
    room: usize,
}

impl Read for Kept<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        let kept = read.min(self.room);
        if kept > 0 {
            self.room -= kept;
            lock(self.found).raw.extend_from_slice(&buffer[..kept]);
        }
        Ok(read)
    }
}

/// Each change under one of these locks is a single step: a panic leaves the value as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_status(body: Body) -> impl FnMut() -> Result<(), ReadError> {
    let charset = body.charset();
    let mut reader = StatusReader::new(body, charset, Limits::of_status());
    move || reader.read()
}

/// Logs once for an answer that it was taken over without some characters.
pub(crate) fn tell_left_out(key: &ConnectionKey, left_out: u64) {
    if left_out > 0 {
        tracing::warn!(connection = %key, left_out, "left out characters of an answer that XML forbids");
    }
}
