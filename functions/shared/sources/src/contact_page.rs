//! A page of a contact list: what a listing needs to know of it, and what its contacts say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::{ContentHash, ListedChange, ListedCustomer, ListedPage, ListedRecord, Listing, Version};
use wire::business_catalyst::Contact;

use crate::business_catalyst::ContactsAnswer;

const NO_ID: &str = "`entityId` is missing";

/// Stands for a contact without a usable id. No contact has this id: the source's are numbers.
pub const UNIDENTIFIED: &str = "?";

/// A page of a listing, as the ledger takes it.
#[derive(Debug)]
pub struct ContactPage {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The contacts that it holds, in the source's order.
    records: Vec<ListedRecord>,
    /// Each contact once, by id, if it differs from the page before. If the source sent a contact twice, the newer one.
    pub customers: Vec<ListedCustomer>,
    /// The ids of all; [`UNIDENTIFIED`] for those without a usable id.
    pub ids: BTreeSet<String>,
    /// The newest update.
    pub newest: Option<Timestamp>,
    /// Two pages with the same fingerprint hold the same contacts with the same content.
    pub fingerprint: ContentHash,
    /// Whether the source says that there are more pages.
    pub more: bool,
    /// Whether the source answered with a fault that names no cause.
    pub is_fault: bool,
}

impl ContactPage {
    /// The next page of the listing of a batch.
    pub fn of(answer: ContactsAnswer, zone: &TimeZone, batch: u64, listing: &Listing) -> Self {
        let ContactsAnswer { began, contacts, more, is_fault } = answer;
        let version = Version::of_batch(batch, listing.step);
        let mut customers = BTreeMap::new();
        let mut ids = BTreeSet::new();
        let mut newest = None;
        let mut said = String::new();
        let mut records = Vec::with_capacity(contacts.len());
        for contact in contacts {
            let updated = contact.last_update.map(|update| update.instant(zone, began));
            newest = newest.max(updated);
            let says = fingerprint_of(&contact, updated);
            said += &says;
            let date = contact.last_update.map(|update| update.local(zone));
            let customer = listed(contact, version.clone(), &mut ids);
            let source_id = customer.source_id.clone();
            let record = ListedRecord { source_id: source_id.clone(), date, updated, content: ContentHash::of(&says) };
            // A contact without a date counts as updated when it was listed.
            let updated = updated.unwrap_or(began);
            let is_newer = |(known, ..): &(Timestamp, bool, ListedCustomer)| *known <= updated;
            if customers.get(&source_id).is_none_or(is_newer) {
                customers.insert(source_id, (updated, listing.reading.is_new_to(&record), customer));
            }
            records.push(record);
        }
        let news = customers.into_values().filter(|(_, is_new_to, _)| *is_new_to);
        Self {
            asked_at: began,
            records,
            customers: news.map(|(.., customer)| customer).collect(),
            ids,
            newest,
            fingerprint: ContentHash::of(&said),
            more,
            is_fault,
        }
    }

    /// Whether it holds no contact.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The page as a listing takes it; see [`ListedPage`] for `settled_before`.
    pub fn listed(&self, settled_before: Timestamp) -> ListedPage<'_> {
        ListedPage { records: &self.records, more: self.more, settled_before }
    }
}

fn listed(contact: Contact, version: Version, ids: &mut BTreeSet<String>) -> ListedCustomer {
    let Contact { entity_id, last_update: _, deleted, content, raw } = contact;
    let Some(source_id) = entity_id else {
        let reason = content.err().map_or_else(|| NO_ID.to_owned(), |problem| problem.to_string());
        ids.insert(UNIDENTIFIED.to_owned());
        // The same contact gets the same name each time that it is listed.
        let source_id = format!("unidentified-{}", &ContentHash::of(&raw).to_string()[..12]);
        return ListedCustomer { source_id, version, news: ListedChange::Unusable { reason, raw } };
    };
    ids.insert(source_id.clone());
    let news = match content {
        _ if deleted => ListedChange::Deleted,
        Ok(content) => ListedChange::Present(Box::new(content)),
        Err(problem) => ListedChange::Unusable { reason: problem.to_string(), raw },
    };
    ListedCustomer { source_id, version, news }
}

/// What a contact says, without how it is written and when it was listed.
fn fingerprint_of(contact: &Contact, updated: Option<Timestamp>) -> String {
    let content = match &contact.content {
        Ok(content) => content.hash(),
        Err(_) => ContentHash::of(&contact.raw),
    };
    format!("{:?} {updated:?} {} {content}\n", contact.entity_id, contact.deleted)
}
