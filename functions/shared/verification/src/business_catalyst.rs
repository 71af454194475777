//! Contacts of Business Catalyst, by a listing of everything, page by page. The ids that were listed are held in
//! memory, and the fingerprints of contacts that differ; of the contents only those of one page.

use std::collections::{BTreeMap, BTreeSet};

use config::{BusinessCatalystConfig as Settings, Connection};
use jiff::Timestamp;
use model::{Content, Customer, CustomerId, ListedChange, ListedCustomer, Listing, ListingState, Status};
use sources::business_catalyst::{BusinessCatalystClient, ListedContact};
use sources::{ContactPage, UNIDENTIFIED};
use store::{Standing, Tables};

use crate::{Difference, Differing, Unclear, Verified, VerifyError, fields_that_differ, wait_out};

/// A longer list has no end.
const MOST_PAGES: u32 = 100_000;

const MAY_BE_MISSING: &str = "the source does not list it, but whether that was all of its list can't be proven";

/// Compares the contacts of the shadow with the source's list.
#[derive(Clone, Debug)]
pub struct ContactsVerifier {
    tables: Tables,
    source: BusinessCatalystClient,
}

/// What a listing said, against the shadow.
#[derive(Default)]
struct Listed {
    agreeing: u64,
    differing: BTreeMap<String, Found>,
    unclear: BTreeMap<String, String>,
    /// The ids that stood on the list.
    seen: BTreeSet<String>,
    /// Whether a contact that does not stand on the list is missing at the source.
    proves_absence: bool,
}

/// A contact that differs.
struct Found {
    customer: Differing,
    /// When the source says that it was updated.
    updated: Option<Timestamp>,
}

impl ContactsVerifier {
    /// Works on these tables.
    pub fn new(tables: &Tables, source: BusinessCatalystClient) -> Self {
        Self { tables: tables.clone(), source }
    }

    /// Lists every contact and compares it; once more if any differs or is missing.
    ///
    /// # Errors
    /// If the source's list can't be read to its end, or the store fails.
    pub async fn verify(
        &self,
        connection: &Connection<Settings>,
        deadline: Timestamp,
    ) -> Result<Verified, VerifyError> {
        let key = &connection.key;
        let first = self.list(connection, deadline).await?;
        let existing: BTreeSet<String> = self.tables.shadow.existing(key).await?.into_iter().collect();
        let absent: BTreeSet<String> = existing.difference(&first.seen).cloned().collect();
        let mut verified = Verified { stored: existing.len() as u64, agreeing: first.agreeing, ..Verified::default() };
        let unclear = |(source_id, reason)| Unclear { source_id, reason };
        if first.differing.is_empty() && absent.is_empty() {
            verified.unclear = first.unclear.into_iter().map(unclear).collect();
            return Ok(verified);
        }
        let mut second = self.list(connection, deadline).await?;
        verified.unclear = second.unclear.into_iter().map(unclear).collect();
        // A contact that the next listing brings is on its way: it was updated after the place from which that begins.
        let cursor = self.tables.ledger.state(key).await?.cursor.map(|cursor| connection.settings.behind(cursor));
        for (source_id, before) in first.differing {
            let Some(mut now) = second.differing.remove(&source_id) else {
                verified.agreeing += 1;
                continue;
            };
            let comes = cursor.is_none_or(|cursor| now.updated.is_none_or(|updated| updated >= cursor));
            if comes || now.customer.to_suspect() != before.customer.to_suspect() {
                verified.on_their_way.push(source_id);
                continue;
            }
            now.customer.has_failed = self.tables.failures.is_there(key, &source_id).await?;
            verified.drifted.push(now.customer);
        }
        // What differed at the second listing only has changed between the two.
        verified.agreeing -= verified.agreeing.min(second.differing.len() as u64);
        verified.on_their_way.extend(second.differing.into_keys());
        self.judge_absent(
            connection,
            absent,
            &second.seen,
            first.proves_absence && second.proves_absence,
            &mut verified,
        )
        .await?;
        Ok(verified)
    }

    /// Sorts the contacts that the first listing lacked.
    async fn judge_absent(
        &self,
        connection: &Connection<Settings>,
        absent: BTreeSet<String>,
        seen: &BTreeSet<String>,
        is_proven: bool,
        verified: &mut Verified,
    ) -> Result<(), VerifyError> {
        let key = &connection.key;
        for source_id in absent {
            if seen.contains(&source_id) {
                verified.agreeing += 1;
                continue;
            }
            match self.tables.shadow.get(key, &source_id).await? {
                None => {}
                Some(record) if record.content.status == Status::Deleted => verified.agreeing += 1,
                Some(record) if is_proven => {
                    let mut customer = Differing::new(source_id, Difference::Missing, None, Some(&record));
                    customer.has_failed = self.tables.failures.is_there(key, &customer.source_id).await?;
                    verified.drifted.push(customer);
                }
                Some(_) => verified.unclear.push(Unclear { source_id, reason: MAY_BE_MISSING.to_owned() }),
            }
        }
        Ok(())
    }

    /// Reads the list to its end.
    async fn list(&self, connection: &Connection<Settings>, deadline: Timestamp) -> Result<Listed, VerifyError> {
        let Connection { key, settings } = connection;
        let settled_before = settings.behind(self.tables.clock.now());
        let mut listing = Listing::of_everything();
        let mut listed = Listed::default();
        let mut waits = 0;
        loop {
            let answer = match self.source.contacts(key, settings, &listing, deadline).await {
                Ok(answer) => answer,
                Err(error) => {
                    wait_out(&self.tables.clock, "contact list", error, &mut waits, deadline).await?;
                    continue;
                }
            };
            waits = 0;
            let updates = updates(&answer.contacts, settings, answer.began);
            let page = ContactPage::of(answer, &settings.zone(), 0, &listing);
            let course;
            (listing, course) = listing.after_page(page.listed(settled_before), page.fingerprint, page.newest);
            self.compare(connection, page, &updates, &mut listed, deadline).await?;
            match course {
                ListingState::Continues if listing.reading.requests() < MOST_PAGES => {}
                ListingState::Continues => return Err(VerifyError::List("the source's list has no end")),
                ListingState::Broken(why) => return Err(VerifyError::List(why)),
                ListingState::Ended => break,
            }
        }
        let has_unidentified = listed.seen.contains(UNIDENTIFIED);
        listed.proves_absence = !listed.seen.is_empty()
            && !has_unidentified
            && !listing.reading.was_cut()
            && listing.reading.is_end_proven();
        Ok(listed)
    }

    async fn compare(
        &self,
        connection: &Connection<Settings>,
        page: ContactPage,
        updates: &BTreeMap<String, Timestamp>,
        listed: &mut Listed,
        deadline: Timestamp,
    ) -> Result<(), VerifyError> {
        let key = &connection.key;
        let wanted = page.customers.iter().map(|customer| (key.clone(), customer.source_id.clone()));
        let found = self.tables.shadow.find_many(wanted, deadline).await?;
        let erasures = &self.tables.erasures;
        let erased = erasures.of(&key.tenant).await?;
        let keeps_away = async |id: &CustomerId, record: Option<&Customer>, content: &Content| {
            erasures.keeps_away(&key.tenant, &erased, id, record.map(Standing::from), content).await
        };
        let records: BTreeMap<&str, &Customer> =
            found.customers.iter().map(|customer| (customer.source_id.as_str(), customer)).collect();
        for ListedCustomer { source_id, news, .. } in page.customers {
            // Pages overlap: what was listed before is compared as it is now.
            let is_known = listed.seen.contains(&source_id);
            let was_agreeing =
                is_known && !listed.unclear.contains_key(&source_id) && !listed.differing.contains_key(&source_id);
            listed.agreeing -= u64::from(was_agreeing).min(listed.agreeing);
            listed.unclear.remove(&source_id);
            listed.differing.remove(&source_id);
            if found.unreadable.iter().any(|id| id.source_id == source_id) {
                listed.unclear.insert(source_id, "its record can't be read".to_owned());
                continue;
            }
            let record = records.get(source_id.as_str()).copied();
            let is_stored = record.is_some_and(|record| record.content.status != Status::Deleted);
            let customer = match news {
                ListedChange::Unusable { reason, .. } => {
                    listed.unclear.insert(source_id, reason);
                    continue;
                }
                ListedChange::Deleted if is_stored => {
                    Differing::new(source_id.clone(), Difference::Missing, None, record)
                }
                ListedChange::Deleted => {
                    listed.agreeing += 1;
                    continue;
                }
                ListedChange::Present(content) => {
                    let hash = content.hash();
                    let id = CustomerId { connection: key.connection.clone(), source_id: source_id.clone() };
                    let difference = match record {
                        // Whoever was erased stays away, and so does a new customer with their address.
                        record if keeps_away(&id, record, &content).await? => {
                            listed.agreeing += 1;
                            continue;
                        }
                        Some(record) if record.content.hash() == hash => {
                            listed.agreeing += 1;
                            continue;
                        }
                        None => Difference::NotStored,
                        Some(_) if !is_stored => Difference::StoredAsDeleted,
                        Some(record) => Difference::Fields(fields_that_differ(&record.content, &content)),
                    };
                    Differing::new(source_id.clone(), difference, Some(hash), record)
                }
            };
            let updated = updates.get(&source_id).copied();
            listed.differing.insert(source_id, Found { customer, updated });
        }
        listed.seen.extend(page.ids);
        Ok(())
    }
}

/// When the contacts of a page were updated, by their ids.
fn updates(contacts: &[ListedContact], settings: &Settings, began: Timestamp) -> BTreeMap<String, Timestamp> {
    let zone = settings.zone();
    let update =
        |contact: &ListedContact| Some((contact.entity_id.clone()?, contact.last_update?.instant(&zone, began)));
    contacts.iter().filter_map(update).collect()
}
