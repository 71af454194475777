use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::{ContentHash, ListedCustomer, ListedNews, Version};
use runtime::business_catalyst::ContactsAnswer;
use wire::business_catalyst::{Contact, instant_of};

const NO_ID: &str = "`entityId` is missing";

/// Stands for somebody who can't be told apart. No contact has this id: the vendor's are numbers.
pub(crate) const UNIDENTIFIED: &str = "?";

/// A page of a listing, as the ledger takes it.
pub(crate) struct Page {
    /// Each contact once, by id: where the vendor sent it twice, the newer one.
    pub(crate) customers: Vec<ListedCustomer>,
    /// Their ids; [`UNIDENTIFIED`] for those who can't be told apart.
    pub(crate) ids: BTreeSet<String>,
    /// The newest update.
    pub(crate) newest: Option<Timestamp>,
    /// Two pages with the same fingerprint say the same of the same contacts.
    pub(crate) fingerprint: ContentHash,
    /// Whether the vendor says that there are more pages.
    pub(crate) more: bool,
}

impl Page {
    /// The page at place `step`, from 0, of the listing of a batch.
    pub(crate) fn of(answer: ContactsAnswer, zone: &TimeZone, batch: u64, step: u32) -> Self {
        let ContactsAnswer { began, contacts, more } = answer;
        let version = Version::of_batch(batch, u64::from(step));
        let mut customers = BTreeMap::new();
        let mut ids = BTreeSet::new();
        let mut newest = None;
        let mut said = String::new();
        for contact in contacts {
            let updated = contact.last_update.map(|local| instant_of(local, zone, began));
            newest = newest.max(updated);
            said += &fingerprint_of(&contact, updated);
            let customer = listed(contact, version.clone(), &mut ids);
            let known = customers.get(&customer.source_id);
            if known.is_none_or(|(known, _)| *known <= updated) {
                customers.insert(customer.source_id.clone(), (updated, customer));
            }
        }
        let fingerprint = ContentHash::of(&said);
        let customers = customers.into_values().map(|(_, customer)| customer).collect();
        Self { customers, ids, newest, fingerprint, more }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.customers.is_empty()
    }
}

fn listed(contact: Contact, version: Version, ids: &mut BTreeSet<String>) -> ListedCustomer {
    let Contact { entity_id, last_update: _, deleted, content, raw } = contact;
    let Some(source_id) = entity_id else {
        let reason = content.err().map_or_else(|| NO_ID.to_owned(), |problem| problem.to_string());
        ids.insert(UNIDENTIFIED.to_owned());
        // The same contact has the same name each time that it is listed.
        let source_id = format!("unidentified-{}", &ContentHash::of(&raw).to_string()[..12]);
        return ListedCustomer { source_id, version, news: ListedNews::Unusable { reason, raw } };
    };
    ids.insert(source_id.clone());
    let news = match content {
        _ if deleted => ListedNews::Deleted,
        Ok(content) => ListedNews::Present(Box::new(content)),
        Err(problem) => ListedNews::Unusable { reason: problem.to_string(), raw },
    };
    ListedCustomer { source_id, version, news }
}

/// What a contact says, but for how it is written and when it was listed.
fn fingerprint_of(contact: &Contact, updated: Option<Timestamp>) -> String {
    let content = match &contact.content {
        Ok(content) => content.hash(),
        Err(_) => ContentHash::of(&contact.raw),
    };
    format!("{:?} {updated:?} {} {content}\n", contact.entity_id, contact.deleted)
}
