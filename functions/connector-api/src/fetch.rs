//! Fetching what was pushed.

use std::time::Duration;

use model::{Customer, LeadSource, Meanings, Record, RecordKey, Resource, Staff, Status, is_id, iso_millis};
use runtime::{read_cursor, write_cursor};
use wire::connector::{self as documents, ShownLeadSource, ShownUser};

use crate::ConnectorApi;
use crate::query::FetchQuery;
use crate::refusal::Refusal;
use crate::save::Cataloged;
use crate::senders::{Sender, allowed};
use crate::sent::key_of;

/// How many customers are read for one page of a list.
const USERS_AT_ONCE: usize = 200;
/// How many members of staff, or lead sources.
const CATALOGED_AT_ONCE: usize = 1_000;
/// API Gateway gives up after 30 seconds; what takes longer than this is given up before.
const PATIENCE: Duration = Duration::from_secs(25);

/// What is shown of a catalog, in its own documents.
pub(crate) trait Shown: Cataloged {
    fn one(record: &Record<Self>, key: &RecordKey) -> String;
    fn page(records: &[(&Record<Self>, &RecordKey)], cursor: Option<&str>) -> String;
}

impl Shown for Staff {
    fn one(record: &Record<Self>, key: &RecordKey) -> String {
        documents::user(&shown_staff(record, key))
    }

    fn page(records: &[(&Record<Self>, &RecordKey)], cursor: Option<&str>) -> String {
        documents::users(records.iter().map(|(record, key)| shown_staff(record, key)), cursor)
    }
}

fn shown_staff<'a>(record: &'a Record<Staff>, key: &'a RecordKey) -> ShownUser<'a> {
    ShownUser {
        id: &record.id,
        key,
        content: &record.content.0,
        created: iso_millis(record.first_seen_at),
        modified: iso_millis(record.changed_at),
    }
}

impl Shown for LeadSource {
    fn one(record: &Record<Self>, key: &RecordKey) -> String {
        documents::lead_source(&ShownLeadSource { id: &record.id, key, content: &record.content })
    }

    fn page(records: &[(&Record<Self>, &RecordKey)], cursor: Option<&str>) -> String {
        let shown =
            records.iter().map(|(record, key)| ShownLeadSource { id: &record.id, key, content: &record.content });
        documents::lead_sources(shown, cursor)
    }
}

fn shown_user<'a>(customer: &'a Customer, key: &'a RecordKey) -> ShownUser<'a> {
    ShownUser {
        id: &customer.source_id,
        key,
        content: &customer.content,
        created: iso_millis(customer.first_seen_at),
        modified: iso_millis(customer.changed_at),
    }
}

/// A customer with what its sender calls it, if it is of this club and not gone.
fn of_club<'a>(customer: &'a Customer, club_id: &str) -> Option<(&'a Customer, RecordKey)> {
    let key = key_of(&customer.content).filter(|key| key.club_id == club_id)?;
    (customer.content.status != Status::Deleted).then_some((customer, key))
}

impl ConnectorApi {
    /// One prospect or member of a club, or a page of all of them.
    pub(crate) async fn fetch_users(&self, senders: &[Sender], query: FetchQuery) -> Result<String, Refusal> {
        let (sender, asking) = asking(senders, &query)?;
        let connection = &sender.key;
        if let Some(id) = &query.id {
            let meanings = Meanings::of(connection, Resource::User, &asking, id);
            for id in meanings.id.iter().chain([&meanings.record]) {
                if let Some(customer) = self.shadow.get(connection, id).await?
                    && let Some((customer, key)) = of_club(&customer, &asking.club_id)
                {
                    return Ok(documents::user(&shown_user(customer, &key)));
                }
            }
            return Err(Refusal::not_found());
        }
        let cursor = match &query.cursor {
            None => None,
            Some(text) => Some(read_cursor(text).ok_or_else(bad_cursor)?),
        };
        let deadline = self.clock.now() + PATIENCE;
        let (customers, next) = self.shadow.list(connection, cursor, USERS_AT_ONCE, deadline).await?;
        let of_club: Vec<_> = customers.iter().filter_map(|customer| of_club(customer, &asking.club_id)).collect();
        let shown = of_club.iter().map(|(customer, key)| shown_user(customer, key));
        let cursor = next.map(|(shard, id)| write_cursor(shard, &id));
        Ok(documents::users(shown, cursor.as_deref()))
    }

    /// One member of staff or lead source of a club, or a page of all of them.
    pub(crate) async fn fetch_cataloged<T: Shown>(
        &self,
        senders: &[Sender],
        query: FetchQuery,
    ) -> Result<String, Refusal> {
        let (sender, asking) = asking(senders, &query)?;
        if let Some(id) = &query.id {
            let found = self.cataloged_of_club::<T>(sender, &asking, id).await?;
            return found.ok_or_else(Refusal::not_found);
        }
        let after = query.cursor.as_deref();
        if after.is_some_and(|id| !is_id(id)) {
            return Err(bad_cursor());
        }
        let (records, more) = T::catalog(self).list(&sender.key, after, CATALOGED_AT_ONCE).await?;
        let cursor = records.last().filter(|_| more).map(|record| record.id.as_str());
        let of_club: Vec<_> =
            records.iter().filter_map(|record| Some((record, record.known_in_club(&asking.club_id)?))).collect();
        Ok(T::page(&of_club, cursor))
    }

    /// One lead source. Where neither client nor club is said, it is looked for in every club that the provider has.
    pub(crate) async fn fetch_lead_sources(&self, senders: &[Sender], query: FetchQuery) -> Result<String, Refusal> {
        let (Some(id), None, None) = (&query.id, &query.client_id, &query.club_id) else {
            return self.fetch_cataloged::<LeadSource>(senders, query).await;
        };
        let [provider] = FetchQuery::required([("provider", &query.provider)])?;
        let sender = allowed(senders, &provider, None, None)?;
        for club_id in &sender.settings.club_ids {
            let asking = RecordKey {
                identifier: provider.clone(),
                client_id: sender.settings.client_id.clone(),
                club_id: club_id.clone(),
                record_id: String::new(),
            };
            if let Some(document) = self.cataloged_of_club::<LeadSource>(sender, &asking, id).await? {
                return Ok(document);
            }
        }
        Err(Refusal::not_found())
    }

    async fn cataloged_of_club<T: Shown>(
        &self,
        sender: &Sender,
        asking: &RecordKey,
        id: &str,
    ) -> Result<Option<String>, Refusal> {
        let meanings = Meanings::of(&sender.key, T::RESOURCE, asking, id);
        let Some(record) = T::catalog(self).find(&sender.key, &meanings).await? else { return Ok(None) };
        Ok(record.known_in_club(&asking.club_id).map(|key| T::one(&record, key)))
    }
}

/// The connection that is asked, and who asks: a record's key without the record.
fn asking<'a>(senders: &'a [Sender], query: &FetchQuery) -> Result<(&'a Sender, RecordKey), Refusal> {
    let [provider, client_id, club_id] = FetchQuery::required([
        ("provider", &query.provider),
        ("client_id", &query.client_id),
        ("club_id", &query.club_id),
    ])?;
    let sender = allowed(senders, &provider, Some(&client_id), Some(&club_id))?;
    Ok((sender, RecordKey { identifier: provider, client_id, club_id, record_id: String::new() }))
}

fn bad_cursor() -> Refusal {
    Refusal::invalid("the query parameter `cursor` is not one that this API gave out")
}
