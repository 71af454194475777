//! Who was erased when, and whom else it brought in: for those who erase again, or take an erasure back.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use model::{ConnectionKey, Content, CustomerId};

use super::{
    Erased, Erasures, Fingerprint, HEAD, NOTE, Standing, Whom, of_address, of_entry, of_id, partition, read_set,
    read_set_of, set,
};
use crate::StoreError;
use crate::item::{Item, Read};

/// The addresses that a customer was found by.
pub(super) const BY: &str = "by";
/// Whether a customer was named by its id.
pub(super) const ITSELF: &str = "itself";

/// Others who have one of the addresses, and were left alone.
pub(super) const LEFT: &str = "left";

/// Who was erased when.
#[derive(Debug, Default)]
pub struct Notes {
    key: Vec<u8>,
    notes: Vec<Note>,
    /// For each fingerprint, the places in `notes` of those that know it.
    knowing: HashMap<Fingerprint, Vec<usize>>,
}

#[derive(Debug)]
struct Note {
    entry: String,
    fingerprints: HashSet<Fingerprint>,
    by: HashSet<Fingerprint>,
    is_itself: bool,
    left: HashSet<Fingerprint>,
    at: Timestamp,
}

impl Note {
    fn read(item: &Item) -> Result<Self, StoreError> {
        let read = Read::new(NOTE, item);
        let by = read_set_of(item, BY);
        Ok(Self {
            entry: read.text("entry")?.to_owned(),
            fingerprints: read_set(item),
            is_itself: by.is_empty() || read.has(ITSELF),
            by,
            left: read_set_of(item, LEFT),
            at: read.time("at")?,
        })
    }
}

impl Notes {
    /// Whether a customer must not be there with this content: it has addresses of those who were erased, and none of
    /// the erasures that know them has left it alone: none has named it, and it was there at none, as far as a record
    /// of it tells.
    pub fn is_newcomer(&self, erased: &Erased, id: &CustomerId, content: &Content, record: Option<Standing>) -> bool {
        let own = of_id(&self.key, id);
        let has_left = |note: &Note| note.left.contains(&own) || record.is_some_and(|record| record.was_there(note.at));
        let is_left = |address: &Fingerprint| match self.knowing.get(address) {
            Some(places) => places.iter().any(|place| has_left(&self.notes[*place])),
            None => true,
        };
        let known = erased.addresses_of(content);
        !known.is_empty() && !known.iter().any(is_left)
    }

    /// Whether a customer was erased because it had this address.
    pub fn was_brought_by(&self, id: &CustomerId, address: &str) -> bool {
        let (own, by) = (of_entry(&of_id(&self.key, id)), of_address(&self.key, address));
        self.notes.iter().any(|note| note.entry == own && note.by.contains(&by))
    }
}

/// What is to be taken out of the list.
#[derive(Debug)]
pub struct Lifting {
    tenant: String,
    key: Vec<u8>,
    /// The entries that go, in this order.
    entries: Vec<String>,
    /// The entries that stay, and lose the address that they were found by.
    kept_entries: Vec<String>,
    by: Option<Fingerprint>,
    fingerprints: BTreeSet<Fingerprint>,
    /// Whether somebody else has brought in the address that is lifted.
    is_still_held: bool,
}

impl Lifting {
    /// Whether it lets this customer come back.
    pub fn lifts(&self, id: &CustomerId) -> bool {
        self.fingerprints.contains(&of_id(&self.key, id))
    }

    /// Whether the address that is lifted is that of somebody else who was erased, and stays in the list: nobody new
    /// with it is stored.
    pub fn is_still_held(&self) -> bool {
        self.is_still_held
    }
}

impl Erasures {
    /// Who was erased when.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn notes(&self, tenant: &str) -> Result<Notes, StoreError> {
        let partition = partition(tenant);
        let Some(head) = self.table.get(&partition, HEAD).await? else { return Ok(Notes::default()) };
        let key = Read::new(HEAD, &head).bytes("key")?.to_vec();
        let mut notes = Notes { key, ..Notes::default() };
        for item in self.table.query_all(self.table.entries(&partition, NOTE)).await? {
            let note = Note::read(&item)?;
            for fingerprint in &note.fingerprints {
                notes.knowing.entry(*fingerprint).or_default().push(notes.notes.len());
            }
            notes.notes.push(note);
        }
        Ok(notes)
    }

    /// What is to be taken out of the list so that somebody can come back: a customer with the addresses that were
    /// noted with it; or an address, with the customers that were erased because they had it. What others have brought
    /// in stays. `None` if they are not in the list.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn lifting(&self, tenant: &str, whom: &Whom) -> Result<Option<Lifting>, StoreError> {
        let Notes { key, notes, .. } = self.notes(tenant).await?;
        if notes.is_empty() {
            return Ok(None);
        }
        let own = whom.fingerprint(&key);
        let by = matches!(whom, Whom::Address(_)).then_some(own);
        let own_entry = of_entry(&own);
        if notes.iter().all(|note| note.entry != own_entry) {
            return Ok(None);
        }
        let mut lifting = Lifting {
            tenant: tenant.to_owned(),
            key,
            entries: Vec::new(),
            kept_entries: Vec::new(),
            by,
            fingerprints: BTreeSet::new(),
            is_still_held: false,
        };
        let mut kept = HashSet::new();
        for note in notes {
            let is_brought = by.is_some_and(|by| note.by.contains(&by));
            if note.entry == own_entry || is_brought && !note.is_itself && note.by.len() == 1 {
                if note.entry != own_entry {
                    lifting.entries.push(note.entry);
                }
                lifting.fingerprints.extend(note.fingerprints);
            } else {
                kept.extend(note.fingerprints);
                if is_brought {
                    lifting.kept_entries.push(note.entry);
                }
            }
        }
        // The last that goes: until then the lifting can be found again.
        lifting.entries.push(own_entry);
        lifting.is_still_held = by.is_some_and(|by| kept.contains(&by));
        lifting.fingerprints.retain(|fingerprint| !kept.contains(fingerprint));
        Ok(Some(lifting))
    }

    /// Takes somebody out of the list.
    ///
    /// # Errors
    /// If the store fails: then it can be repeated.
    pub async fn lift(&self, lifting: &Lifting) -> Result<(), StoreError> {
        let partition: ConnectionKey = partition(&lifting.tenant);
        self.change(&partition, "DELETE", &lifting.fingerprints).await?;
        if let Some(by) = lifting.by {
            for entry in &lifting.kept_entries {
                let update = self
                    .table
                    .update(&partition, entry)
                    .update_expression("DELETE #by :by")
                    .expression_attribute_names("#by", BY)
                    .expression_attribute_values(":by", set(&BTreeSet::from([by])));
                self.table.send(update).await?;
            }
        }
        for entry in &lifting.entries {
            self.table.delete(&partition, entry).await?;
        }
        Ok(())
    }
}
