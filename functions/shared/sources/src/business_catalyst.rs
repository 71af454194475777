//! The client of Business Catalyst: every request passes the connection's limiter.

use jiff::Timestamp;
use jiff::civil::DateTime;
use model::{ConnectionKey, Listing, ListingScope, PageRequest};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use store::{Clock, Secrets, SourceLimiter};
use wire::business_catalyst::{
    Contact, ContactListReader, Credentials, Operation, PageEnd, SoapVersion, earliest_local_at_or_after,
    retrieve_request,
};
use wire::{Limits, ReadError};

use crate::SourceHttp;
use crate::association_anywhere::tell_left_out;
use crate::body::Body;
use crate::http::{RequestError, SourceError};
use crate::source_client::SourceClient;
use config::BusinessCatalystConfig as Settings;

pub use wire::business_catalyst::Contact as ListedContact;

/// The start of a listing from the beginning: the first time that the source's database can hold.
pub const BEGINNING: DateTime = jiff::civil::date(1753, 1, 1).at(0, 0, 0, 0);
/// Ten times what the source puts on a page.
const MOST_CONTACTS: usize = 1_000;
/// Bytes of one page: it is held in memory.
const LARGEST_PAGE: u64 = 64 * 1024 * 1024;

/// Sends requests to sites of Business Catalyst.
#[derive(Clone, Debug)]
pub struct BusinessCatalystClient(SourceClient);

/// One page of a contact list.
#[derive(Debug)]
pub struct ContactsAnswer {
    /// When the request was sent.
    pub began: Timestamp,
    /// The contacts, as the source lists them.
    pub contacts: Vec<Contact>,
    /// Whether there are more pages.
    pub more: bool,
    /// Whether the source answered with a fault without a cause, as it does if there is nothing to list.
    pub is_fault: bool,
}

impl BusinessCatalystClient {
    /// A client.
    pub fn new(http: SourceHttp, secrets: Secrets, limiter: SourceLimiter, clock: Clock) -> Self {
        Self(SourceClient::new(http, secrets, limiter, clock))
    }

    /// The next page of a listing: of the contacts that were updated since its cursor, less the connection's overlap.
    ///
    /// # Errors
    /// See [`SourceError`]. A page is returned as a whole or not at all.
    pub async fn contacts(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        listing: &Listing,
        deadline: Timestamp,
    ) -> Result<ContactsAnswer, SourceError> {
        let PageRequest { from, start } = listing.reading.question();
        let from = from.unwrap_or_else(|| match listing.since {
            Some(since) => earliest_local_at_or_after(settings.behind(since), &settings.zone()),
            None => BEGINNING,
        });
        // If there is nothing new, the source may answer with a fault that looks like a failure. It counts for no more
        // than that: it neither ends a listing of which a page promised more, nor proves that contacts are missing.
        let may_be_fault = listing.reading.requests() == 0 && listing.scope == ListingScope::Changes;
        self.page(key, settings, from, start, may_be_fault, deadline).await
    }

    /// The contacts that were updated at this local time of the site or later, from a place of that list on. With
    /// `may_be_fault`, a fault without a cause means that there are none.
    ///
    /// # Errors
    /// See [`SourceError`]. A page is returned as a whole or not at all.
    pub async fn page(
        &self,
        key: &ConnectionKey,
        settings: &Settings,
        from: DateTime,
        start: u64,
        may_be_fault: bool,
        deadline: Timestamp,
    ) -> Result<ContactsAnswer, SourceError> {
        let login = self.0.login(&settings.credentials).await?;
        let credentials =
            Credentials { username: &login.username, password: &login.password, site_id: settings.site_id };
        let record_start = u32::try_from(start).unwrap_or(u32::MAX);
        let request = retrieve_request(settings.soap, &credentials, from, record_start);
        self.0
            .ask(key, settings.max_requests_per_second, deadline, &login, || async {
                let began = self.0.clock.now();
                let page = self.post(settings, Operation::Retrieve, request, |body| read_page(key, body)).await?;
                let (contacts, end) = page;
                if let Some(PageEnd::Fault { message }) = &end
                    && !may_be_fault
                {
                    return Err(RequestError::InvalidResponse(format!("the source answered with a fault: {message}")));
                }
                let is_fault = matches!(end, Some(PageEnd::Fault { .. }));
                Ok(ContactsAnswer { began, contacts, more: end.is_some_and(|end| end.more_records()), is_fault })
            })
            .await
    }

    async fn post<T, R: FnMut() -> Result<T, ReadError>>(
        &self,
        settings: &Settings,
        operation: Operation,
        envelope: String,
        open: impl FnOnce(Body) -> R,
    ) -> Result<T, RequestError> {
        let headers = headers(settings.soap, operation);
        let (answer, status) = self.0.http.post_soap(&settings.endpoint, headers, envelope, open).await?;
        answer.map_err(|error| {
            let is_fault = matches!(error, ReadError::Source { .. });
            if error.is_interrupted() || error.is_no_answer() {
                RequestError::Transient { message: error.to_string(), retry_after: None }
            } else if status == StatusCode::INTERNAL_SERVER_ERROR && !is_fault {
                // The server failed before it could write a fault.
                RequestError::Transient {
                    message: format!("the source answered with HTTP {status}"),
                    retry_after: None,
                }
            } else {
                RequestError::InvalidResponse(error.to_string())
            }
        })
    }
}

fn read_page(key: &ConnectionKey, body: Body) -> impl FnMut() -> Result<(Vec<Contact>, Option<PageEnd>), ReadError> {
    let limits = Limits { customers: MOST_CONTACTS, document_bytes: LARGEST_PAGE, ..Limits::default() };
    let charset = body.charset();
    let mut reader = ContactListReader::in_charset(body, charset, limits);
    let mut contacts = Vec::new();
    move || {
        for contact in reader.by_ref() {
            contacts.push(contact?);
        }
        tell_left_out(key, reader.left_out());
        Ok((std::mem::take(&mut contacts), reader.page_end().cloned()))
    }
}

/// The headers of a request, by HTTP's rules and SOAP's.
pub fn headers(soap: SoapVersion, operation: Operation) -> HeaderMap {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(soap.media_type()))]);
    // An operation's name and namespace are ASCII.
    if let Some(Ok(action)) = soap.soap_action(operation).map(HeaderValue::try_from) {
        headers.insert(HeaderName::from_static("soapaction"), action);
    }
    headers
}
