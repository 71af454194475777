//! Fetching what was pushed.

use std::time::Duration;

use api::{MOST_BYTES_QUOTED, bytes_quoted, read_cursor, write_cursor};
use model::{
    ConnectionKey, Customer, ExternalKey, LeadSource, ReferenceCandidates, Resource, Status, is_id, iso_millis,
};
use store::{Shadow, StoreError};
use wire::connector::{self as documents, ShownUser};

use crate::ConnectorApi;
use crate::auth::{Sender, allowed};
use crate::error::ApiError;
use crate::origin::key_of;
use crate::query::FetchQuery;
use crate::save::ReferenceResource;

/// How many customers one page of a list goes through.
const USERS_A_PAGE: usize = 200;
/// How many of them are in memory together: each may have some 400 KB.
const USERS_AT_ONCE: usize = 25;
/// How many members of staff, or lead sources, one page of a list goes through.
const CATALOGED_A_PAGE: usize = 1_000;
/// How many of them are in memory together at most.
const CATALOGED_AT_ONCE: usize = 250;
/// A page ends before it has more bytes than this, unless a single record has. Lambda's limit for an answer is 6 MB:
/// see [`MOST_BYTES_QUOTED`].
const LARGEST_PAGE: usize = 4 * 1024 * 1024;
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(25);

fn shown_user<'a>(customer: &'a Customer, key: &'a ExternalKey) -> ShownUser<'a> {
    let (created, modified) = (iso_millis(customer.first_seen_at), iso_millis(customer.changed_at));
    ShownUser { id: &customer.source_id, key, content: &customer.content, created, modified }
}

/// A customer with its sender's key, if it belongs to this club and is not deleted.
fn of_club<'a>(customer: &'a Customer, club_id: &str) -> Option<(&'a Customer, ExternalKey)> {
    let key = key_of(&customer.content).filter(|key| key.club_id == club_id)?;
    (customer.content.status != Status::Deleted).then_some((customer, key))
}

impl ConnectorApi {
    /// One prospect or member of a club, or a page of all of them.
    pub(crate) async fn fetch_users(&self, senders: &[Sender], query: FetchQuery) -> Result<String, ApiError> {
        let (sender, asking) = asking(senders, &query)?;
        let connection = &sender.key;
        if let Some(id) = &query.id {
            let candidates = ReferenceCandidates::of(connection, Resource::User, &asking, id);
            for id in candidates.id.iter().chain([&candidates.record]) {
                if let Some(customer) = self.tables.shadow.get(connection, id).await?
                    && let Some((customer, key)) = of_club(&customer, &asking.club_id)
                {
                    return Ok(documents::one(&shown_user(customer, &key)));
                }
            }
            return Err(ApiError::not_found());
        }
        let cursor = query.cursor.map(|text| read_cursor(&text).ok_or_else(bad_cursor)).transpose()?;
        let (listed, next) = self.page_of_users(connection, &asking.club_id, cursor).await?;
        let cursor = next.map(|(shard, id)| write_cursor(shard, &id));
        Ok(documents::page::<ShownUser>(&listed, cursor.as_deref()))
    }

    /// The users of a club among the next customers of a connection, and the cursor to go on with.
    async fn page_of_users(
        &self,
        connection: &ConnectionKey,
        club_id: &str,
        mut cursor: Option<(u8, String)>,
    ) -> Result<(String, Option<(u8, String)>), StoreError> {
        let deadline = self.tables.clock.now() + PATIENCE;
        let mut page = Page::default();
        for _ in 0..USERS_A_PAGE / USERS_AT_ONCE {
            let (customers, next) =
                self.tables.shadow.list(connection, cursor.clone(), USERS_AT_ONCE, deadline).await?;
            for customer in &customers {
                if let Some((customer, key)) = of_club(customer, club_id) {
                    let user = documents::listed(&shown_user(customer, &key));
                    if !page.take(&user) {
                        return Ok((page.listed, cursor));
                    }
                }
                cursor = Some(Shadow::place_of(&customer.source_id));
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        Ok((page.listed, cursor))
    }

    /// One member of staff or lead source of a club, or a page of all of them.
    pub(crate) async fn fetch_reference<T: ReferenceResource>(
        &self,
        senders: &[Sender],
        query: FetchQuery,
    ) -> Result<String, ApiError> {
        let (sender, asking) = asking(senders, &query)?;
        if let Some(id) = &query.id {
            let found = self.cataloged_of_club::<T>(sender, &asking, id).await?;
            return found.ok_or_else(ApiError::not_found);
        }
        if query.cursor.as_deref().is_some_and(|id| !is_id(id)) {
            return Err(bad_cursor());
        }
        let (listed, cursor) = self.page_of_cataloged::<T>(&sender.key, &asking.club_id, query.cursor).await?;
        Ok(documents::page::<T::Shown<'_>>(&listed, cursor.as_deref()))
    }

    /// The records of a club among the next records of a table, and the cursor to go on with.
    async fn page_of_cataloged<T: ReferenceResource>(
        &self,
        connection: &ConnectionKey,
        club_id: &str,
        mut cursor: Option<String>,
    ) -> Result<(String, Option<String>), StoreError> {
        let (mut page, mut seen) = (Page::default(), 0);
        while seen < CATALOGED_A_PAGE {
            let (records, more) =
                self.tables.reference::<T>().list(connection, cursor.as_deref(), CATALOGED_AT_ONCE).await?;
            for record in &records {
                if let Some(key) = record.known_in_club(club_id)
                    && !page.take(&documents::listed(&T::shown(record, key)))
                {
                    return Ok((page.listed, cursor));
                }
                cursor = Some(record.id.clone());
            }
            if !more {
                return Ok((page.listed, None));
            }
            seen += records.len();
        }
        Ok((page.listed, cursor))
    }

    /// One lead source. If neither client nor club is given, it is looked for in every club that the provider has.
    pub(crate) async fn fetch_lead_sources(&self, senders: &[Sender], query: FetchQuery) -> Result<String, ApiError> {
        let (Some(id), None, None) = (&query.id, &query.client_id, &query.club_id) else {
            return self.fetch_reference::<LeadSource>(senders, query).await;
        };
        let [provider] = FetchQuery::required([("provider", &query.provider)])?;
        let sender = allowed(senders, &provider, None, None)?;
        for club_id in &sender.settings.club_ids {
            let asking = ExternalKey {
                identifier: provider.clone(),
                client_id: sender.settings.client_id.clone(),
                club_id: club_id.clone(),
                record_id: String::new(),
            };
            if let Some(document) = self.cataloged_of_club::<LeadSource>(sender, &asking, id).await? {
                return Ok(document);
            }
        }
        Err(ApiError::not_found())
    }

    async fn cataloged_of_club<T: ReferenceResource>(
        &self,
        sender: &Sender,
        asking: &ExternalKey,
        id: &str,
    ) -> Result<Option<String>, ApiError> {
        let candidates = ReferenceCandidates::of(&sender.key, T::RESOURCE, asking, id);
        let Some(record) = self.tables.reference::<T>().find(&sender.key, &candidates).await? else { return Ok(None) };
        Ok(record.known_in_club(&asking.club_id).map(|key| documents::one(&T::shown(&record, key))))
    }
}

/// The connection that is asked, and the asking provider, client and club: a record's key without the record.
fn asking<'a>(senders: &'a [Sender], query: &FetchQuery) -> Result<(&'a Sender, ExternalKey), ApiError> {
    let [provider, client_id, club_id] = FetchQuery::required([
        ("provider", &query.provider),
        ("client_id", &query.client_id),
        ("club_id", &query.club_id),
    ])?;
    let sender = allowed(senders, &provider, Some(&client_id), Some(&club_id))?;
    Ok((sender, ExternalKey { identifier: provider, client_id, club_id, record_id: String::new() }))
}

/// The records of a page: as many as fit, and at least one.
#[derive(Default)]
struct Page {
    listed: String,
    bytes_quoted: usize,
}

impl Page {
    /// Adds a record; `false` if it does not fit.
    fn take(&mut self, record: &str) -> bool {
        let bytes_quoted = self.bytes_quoted + bytes_quoted(record);
        let fits = self.listed.len() + record.len() <= LARGEST_PAGE && bytes_quoted <= MOST_BYTES_QUOTED;
        if !fits && !self.listed.is_empty() {
            return false;
        }
        self.listed += record;
        self.bytes_quoted = bytes_quoted;
        true
    }
}

fn bad_cursor() -> ApiError {
    ApiError::invalid("the query parameter `cursor` is not one that this API gave out")
}
