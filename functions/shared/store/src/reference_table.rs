//! What prospects refer to, in the control table: staff, and lead sources.
//!
//! A record stands under its id, which is computed from its first sender's key, and its content says which match name
//! it has. Every other key of its senders points at that id, once and for ever, in an item each. Which record has a
//! match name, and how a look never misses a record that has one: see `names.rs`.
//!
//! A push writes in this order: the entry for a match name that is new to the record; the record, and in one
//! transaction with it what a new key of a sender is from then on; and then it tidies what stands under the record's
//! former name. A process that dies after any of them has lost nothing: before the record is written nothing has
//! changed, and from then on every record that has a name is found by it. Sent again, the push does the rest.

mod names;
mod stored;

use std::marker::PhantomData;

use model::{ConnectionKey, ExternalKey, Record, ReferenceCandidates, ReferenceData, shown_keys};

use crate::StoreError;
use crate::item::Read;
use crate::table::{Table, entry_key};

use names::{Bearer, Taking};
use stored::{NewKey, Stored, as_stored, document, room_for_keys, stored};

/// A writer that loses the race for one item this often gives up; each loss means that another process wrote it.
const RACES: usize = 32;
/// A page ends once its records have this many bytes in the table.
const LARGEST_PAGE: usize = 3_500 * 1024;

/// The staff, or the lead sources, of all connections.
#[derive(Clone, Debug)]
pub struct ReferenceTable<T> {
    table: Table,
    kind: PhantomData<T>,
}

/// What became of what was pushed.
#[derive(Clone, Debug, PartialEq)]
pub enum SaveOutcome<T> {
    /// It is stored, or was already.
    Stored {
        /// The record as it is stored.
        record: Record<T>,
        /// The names that lead to a record since, each with the id of that record: of the saved record, its id, its
        /// sender's key, and its match name; and its former match name.
        found: Vec<(String, String)>,
    },
    /// Nothing matches it, and the connection does not let a push create one.
    NotCreated,
    /// It can never be stored: its document has more bytes than an item can hold.
    TooLarge,
}

/// What is to be saved.
struct Push<'a, T> {
    connection: &'a ConnectionKey,
    key: &'a ExternalKey,
    /// The id that is computed from the sender's key.
    own_id: String,
    match_name: Option<String>,
    content: T,
}

/// Which record a push is for.
struct Target<T> {
    id: String,
    /// The stored record; `None` if it is to be made.
    stored: Option<Stored<T>>,
    /// The sender's key, if it has led to no record until now.
    new_key: Option<NewKey>,
}

/// What became of one attempt to write a record.
enum Written<T> {
    Done {
        stored: Stored<T>,
        /// The former match name, if it does not have that any more.
        former_name: Option<String>,
    },
    /// Another process has written it meanwhile, or has the name.
    Lost,
    TooLarge,
}

impl<T: ReferenceData> ReferenceTable<T> {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, kind: PhantomData }
    }

    /// Inserts or updates what a sender calls `key`. A new key means the record that has its match key; if none has,
    /// one is made if `may_create`.
    ///
    /// # Errors
    /// If the store fails: then it may be stored, and saving it again does no harm.
    pub async fn save(
        &self,
        connection: &ConnectionKey,
        key: &ExternalKey,
        content: T,
        may_create: bool,
    ) -> Result<SaveOutcome<T>, StoreError> {
        let own_id = key.id(connection, T::RESOURCE);
        let push = Push { connection, key, own_id, match_name: content.match_name(connection), content };
        for _ in 0..RACES {
            let target = self.target(&push).await?;
            if target.stored.is_none() && !may_create {
                return Ok(SaveOutcome::NotCreated);
            }
            match self.write(&push, &target).await? {
                Written::Lost => {}
                Written::TooLarge => return Ok(SaveOutcome::TooLarge),
                Written::Done { stored, former_name } => {
                    let found = self.found_since(&push, &stored, former_name).await?;
                    return Ok(SaveOutcome::Stored { record: stored.record, found });
                }
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }

    /// The record that a sender's reference means, if it is known.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn find(
        &self,
        connection: &ConnectionKey,
        meanings: &ReferenceCandidates,
    ) -> Result<Option<Record<T>>, StoreError> {
        if let Some(id) = &meanings.id
            && let Some(stored) = self.get(connection, id).await?
        {
            return Ok(Some(stored.record));
        }
        if let Ok(stored) = self.by_key(connection, &meanings.record).await? {
            return Ok(Some(stored.record));
        }
        Ok(match self.look(connection, &meanings.matched, None).await?.bearer {
            Bearer::Has(stored) => Some(stored.record),
            Bearer::ToBe(_) | Bearer::Nobody => None,
        })
    }

    /// Up to `limit` records of a connection by id, after the id `after`, and whether there are more. Fewer if they
    /// have more than 3.5 MB, and at least one.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn list(
        &self,
        connection: &ConnectionKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Record<T>>, bool), StoreError> {
        let mut start = after.map(|id| entry_key(connection, &entry_of::<T>(id)));
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < limit {
            let query = self
                .table
                .entries(connection, &entry_of::<T>(""))
                .limit(i32::try_from(limit - records.len()).unwrap_or(i32::MAX))
                .set_exclusive_start_key(start.take());
            let page = self.table.send(query).await?;
            for item in page.items() {
                bytes += Read::new("?", item).text("doc")?.len();
                if bytes > LARGEST_PAGE && !records.is_empty() {
                    return Ok((records, true));
                }
                records.push(stored(connection, item)?.record);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok((records, start.is_some()))
    }

    /// What a sender's key of this id became: a record of its own, or a part of another.
    async fn by_key(&self, connection: &ConnectionKey, own_id: &str) -> Result<Result<Stored<T>, NewKey>, StoreError> {
        if let Some(stored) = self.get(connection, own_id).await? {
            return Ok(Ok(stored));
        }
        let leads_nowhere = self.pointed_at(connection, own_id).await?;
        if let Some(id) = &leads_nowhere
            && let Some(stored) = self.get(connection, id).await?
        {
            return Ok(Ok(stored));
        }
        Ok(Err(NewKey { own_id: own_id.to_owned(), leads_nowhere }))
    }

    /// The id of the record that a sender's key of this id is a part of.
    async fn pointed_at(&self, connection: &ConnectionKey, own_id: &str) -> Result<Option<String>, StoreError> {
        let Some(item) = self.table.get(connection, &pointer_of::<T>(own_id)).await? else { return Ok(None) };
        Ok(Some(Read::new("a pointer", &item).text("id")?.to_owned()))
    }

    /// Which record a push is for, as things stand.
    async fn target(&self, push: &Push<'_, T>) -> Result<Target<T>, StoreError> {
        let new_key = match self.by_key(push.connection, &push.own_id).await? {
            Ok(stored) => return Ok(Target { id: stored.record.id.clone(), stored: Some(stored), new_key: None }),
            Err(new_key) => new_key,
        };
        let bearer = match &push.match_name {
            Some(name) => self.look(push.connection, name, None).await?.bearer,
            None => Bearer::Nobody,
        };
        let (id, stored) = match bearer {
            Bearer::Has(stored) => (stored.record.id.clone(), Some(stored)),
            Bearer::ToBe(id) => (id, None),
            Bearer::Nobody => (push.own_id.clone(), None),
        };
        // Another process may have made it meanwhile: then its key is not new.
        let is_made = stored.is_some() && id == push.own_id;
        Ok(Target { id, stored, new_key: (!is_made).then_some(new_key) })
    }

    /// Updates the record with what is pushed, and with its key, if the record is still as it was read.
    async fn write(&self, push: &Push<'_, T>, target: &Target<T>) -> Result<Written<T>, StoreError> {
        let before = target.stored.as_ref();
        let Some(room) = room_for_keys(&push.content)? else { return Ok(Written::TooLarge) };
        let known_as = before.map(|stored| stored.record.known_as.as_slice()).unwrap_or_default();
        let known_as = shown_keys(known_as, push.key, target.new_key.is_some(), room);
        if let (Some(stored), None) = (before, &target.new_key)
            && stored.record.content == push.content
            && stored.record.known_as == known_as
        {
            return Ok(Written::Done { stored: stored.clone(), former_name: None });
        }
        let now = as_stored(self.table.clock.now())?;
        let record = Record {
            connection: push.connection.clone(),
            id: target.id.clone(),
            content: push.content.clone(),
            known_as,
            first_seen_at: before.map_or(now, |stored| stored.record.first_seen_at),
            changed_at: now,
            revision: before.map_or(0, |stored| stored.record.revision) + 1,
        };
        let Some(document) = document(&record)? else { return Ok(Written::TooLarge) };
        let former_name = before.and_then(Stored::match_name).filter(|former| Some(former) != push.match_name.as_ref());
        let named_at = match (&push.match_name, before) {
            (Some(name), Some(stored)) if stored.has_name(name) => stored.named_at,
            (Some(name), _) => {
                match self.take(push.connection, name, (&record.id, record.revision), before.is_none()).await? {
                    Taking::Since(since) => since,
                    Taking::ByAnother => return Ok(Written::Lost),
                }
            }
            (None, _) => now,
        };
        let stored = Stored { record, named_at };
        let is_written = self.put_if_still(&stored, document, target.new_key.as_ref()).await?;
        Ok(if is_written { Written::Done { stored, former_name } } else { Written::Lost })
    }

    /// The records that all names which a push could change lead to now. To be called once the record is written.
    async fn found_since(
        &self,
        push: &Push<'_, T>,
        stored: &Stored<T>,
        former_name: Option<String>,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let (connection, id) = (push.connection, &stored.record.id);
        let mut found = vec![(id.clone(), id.clone())];
        if push.own_id != *id {
            found.push((push.own_id.clone(), id.clone()));
        }
        if let Some(name) = former_name
            && let Some(bearer) = self.let_go(connection, &name, stored).await?
        {
            found.push((name, bearer));
        }
        if let Some(name) = &push.match_name {
            let mut look = self.look(connection, name, Some(stored)).await?;
            if !look.holds(id) {
                // The release before made no entry for a record that took a name that another had.
                self.take(connection, name, (id, stored.record.revision), false).await?;
                look = self.look(connection, name, Some(stored)).await?;
            }
            if let Bearer::Has(bearer) = look.bearer {
                found.push((name.clone(), bearer.record.id));
            }
        }
        Ok(found)
    }
}

fn entry_of<T: ReferenceData>(id: &str) -> String {
    format!("{}/{id}", T::RESOURCE.name())
}

fn pointer_of<T: ReferenceData>(name: &str) -> String {
    format!("{}-name/{name}", T::RESOURCE.name())
}
