//! Which record has a match name: an e-mail address, or the name of a lead source.
//!
//! **The records say which of them has a name**, each by its content, and since when. What stands here are *entries*,
//! which say where to look: the first of a name stands at `staff-name/<name>`, and is the one that the name leads to;
//! records that took the name while another had it stand behind it, at `staff-name/<name>/<id>`. One query reads all of
//! them. An entry says the revision from which on its record may have the name.
//!
//! **No record that has a name is without an entry for it**, whichever process dies between whichever two writes:
//!
//! - The entry is written before the record, with the revision that the record is about to have.
//! - An entry is removed or replaced only if it is still as it was read, and only once its record was seen in that
//!   revision or a later one without the name. A writer that is still on its way would write an earlier revision, which
//!   fails; one that starts later puts its own, later revision into the entry first.
//!
//! So a name is free, or leads on to a record behind, the moment that the record which had it says another one: what is
//! tidied after that write is no longer read. Of the records behind, the name leads to the one that has had it longest.
//! Times settle that and clocks differ, so a new time is always later than all that stand in the entries.

use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use model::{ConnectionKey, ReferenceData};

use super::stored::{Stored, as_stored};
use super::{RACES, ReferenceTable, pointer_of};
use crate::StoreError;
use crate::item::{Item, Read, number, text, time};
use crate::table::entry_key;

/// How many records are read side by side.
const READS_AT_ONCE: usize = 16;
/// The condition for an item that is still as it was read.
const AS_IT_WAS: &str = "id = :id AND revision = :revision AND since = :since";
/// Likewise for one that the release before wrote.
const AS_IT_WAS_BEFORE: &str = "id = :id AND attribute_not_exists(revision)";

/// Says of a record that it has a name, or may be about to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    id: String,
    /// The revision from which on it may have the name, and since when; missing in entries of the release before.
    mark: Option<(u64, Timestamp)>,
}

impl Entry {
    fn new(id: &str, revision: u64, since: Timestamp) -> Self {
        Self { id: id.to_owned(), mark: Some((revision, since)) }
    }

    fn revision(&self) -> u64 {
        self.mark.map_or(0, |(revision, _)| revision)
    }

    /// Whether the record, as it is stored, shows that the entry is not needed any more.
    fn is_over<T: ReferenceData>(&self, name: &str, record: Option<&Stored<T>>) -> bool {
        record.is_some_and(|stored| stored.record.revision >= self.revision() && !stored.has_name(name))
    }
}

/// Everything that stands under a name.
#[derive(Debug, Default)]
struct Entries {
    first: Option<Entry>,
    behind: Vec<Entry>,
}

impl Entries {
    fn behind(&self, id: &str) -> Option<&Entry> {
        self.behind.iter().find(|entry| entry.id == id)
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(&self.behind)
    }

    /// A time for a record that takes the name now: later than that of all others.
    fn next_time(&self, now: Timestamp) -> Timestamp {
        let latest = self.all().filter_map(|entry| entry.mark.map(|(_, since)| since)).max();
        let after = latest.map(|latest| latest.saturating_add(SignedDuration::from_millis(1)).unwrap_or(latest));
        after.map_or(now, |after| after.max(now))
    }
}

/// The record that a name leads to.
#[derive(Debug)]
pub(super) enum Bearer<T> {
    /// The record that has had it longest.
    Has(Stored<T>),
    /// No record yet; the one with this id is about to be made with it.
    ToBe(String),
    /// No record.
    Nobody,
}

/// A name, as it was found.
#[derive(Debug)]
pub(super) struct Look<T> {
    entries: Entries,
    pub(super) bearer: Bearer<T>,
    /// Whether the record of the first entry does not need it any more.
    is_first_over: bool,
    /// Entries behind that are not needed any more, of those that were looked at.
    over: Vec<Entry>,
}

impl<T> Look<T> {
    /// Whether a record stands under the name.
    pub(super) fn holds(&self, id: &str) -> bool {
        self.entries.all().any(|entry| entry.id == id)
    }
}

/// What became of the attempt to take a name.
#[derive(Debug)]
pub(super) enum Taking {
    /// The record may be written: it has the name since then.
    Since(Timestamp),
    /// Another record has it, and the push that would be new means that one.
    ByAnother,
}

impl<T: ReferenceData> ReferenceTable<T> {
    /// The record that a name leads to. `known` is a record that the caller has just read or written.
    pub(super) async fn look(
        &self,
        connection: &ConnectionKey,
        name: &str,
        known: Option<&Stored<T>>,
    ) -> Result<Look<T>, StoreError> {
        let entries = self.entries(connection, name).await?;
        let mut look = Look { entries, bearer: Bearer::Nobody, is_first_over: false, over: Vec::new() };
        if let Some(first) = &look.entries.first {
            let record = match known {
                Some(known) if known.record.id == first.id => Some(known.clone()),
                _ => self.get(connection, &first.id).await?,
            };
            look.is_first_over = first.is_over(name, record.as_ref());
            match record {
                Some(stored) if stored.has_name(name) => {
                    look.bearer = Bearer::Has(stored);
                    return Ok(look);
                }
                Some(_) => {}
                // The sender's key was to become a record of its own, and became a part of another meanwhile.
                None if self.pointed_at(connection, &first.id).await?.is_some() => look.is_first_over = true,
                None => look.bearer = Bearer::ToBe(first.id.clone()),
            }
        }
        let reads =
            look.entries.behind.iter().map(|entry| async move {
                Ok::<_, StoreError>((entry.clone(), self.get(connection, &entry.id).await?))
            });
        let behind: Vec<(Entry, Option<Stored<T>>)> =
            stream::iter(reads.collect::<Vec<_>>()).buffered(READS_AT_ONCE).try_collect().await?;
        let mut longest: Option<Stored<T>> = None;
        for (entry, record) in behind {
            if entry.is_over(name, record.as_ref()) {
                look.over.push(entry);
            } else if let Some(stored) = record.filter(|stored| stored.has_name(name))
                && longest.as_ref().is_none_or(|longest| order(&stored) < order(longest))
            {
                longest = Some(stored);
            }
        }
        if let Some(longest) = longest {
            look.bearer = Bearer::Has(longest);
        }
        Ok(look)
    }

    /// Enters the record `id` for a name that it will have from `revision` on. To be called before that revision is
    /// written. If the record is not made yet and `may_be_another`, reports another record that has the name.
    pub(super) async fn take(
        &self,
        connection: &ConnectionKey,
        name: &str,
        (id, revision): (&str, u64),
        may_be_another: bool,
    ) -> Result<Taking, StoreError> {
        for _ in 0..RACES {
            let look = self.look(connection, name, None).await?;
            let since = look.entries.next_time(as_stored(self.table.clock.now())?);
            let entry = Entry::new(id, revision, since);
            let is_entered = match &look.bearer {
                // Another process has written it meanwhile: the caller's own write finds that out.
                Bearer::Has(stored) if stored.record.id == id => true,
                Bearer::Has(_) if may_be_another => return Ok(Taking::ByAnother),
                Bearer::Has(stored) => {
                    // First behind, because the place in front may be its own.
                    self.stand_behind(connection, name, &look.entries, entry).await?
                        && self.lead_to_bearer(connection, name, &look, &stored.record.id).await?
                }
                Bearer::ToBe(other) if other != id && may_be_another => return Ok(Taking::ByAnother),
                Bearer::ToBe(other) if other != id => self.stand_behind(connection, name, &look.entries, entry).await?,
                Bearer::ToBe(_) | Bearer::Nobody => self.lead_to(connection, name, &look, entry).await?,
            };
            if is_entered {
                self.remove_over(connection, name, &look, id).await?;
                return Ok(Taking::Since(since));
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }

    /// Removes the record `id` from a name that it no longer has since its `revision`, and returns the id that the name
    /// leads to then. To be called after that revision is written; it only tidies up.
    pub(super) async fn let_go(
        &self,
        connection: &ConnectionKey,
        name: &str,
        gone: &Stored<T>,
    ) -> Result<Option<String>, StoreError> {
        for _ in 0..RACES {
            let look = self.look(connection, name, None).await?;
            let (bearer, is_led) = match &look.bearer {
                Bearer::Has(stored) => {
                    let id = &stored.record.id;
                    (Some(id.clone()), self.lead_to_bearer(connection, name, &look, id).await?)
                }
                _ => (None, self.remove_first(connection, name, &look).await?),
            };
            if is_led {
                self.remove_over(connection, name, &look, "").await?;
                // If the name leads to the record in front, those behind were not looked at.
                if let Some(entry) = look.entries.behind(&gone.record.id)
                    && entry.is_over(name, Some(gone))
                {
                    self.remove(connection, &place_behind::<T>(name, &entry.id), entry).await?;
                }
                return Ok(bearer);
            }
        }
        Err(StoreError::Deadline { operation: "PutItem" })
    }

    async fn entries(&self, connection: &ConnectionKey, name: &str) -> Result<Entries, StoreError> {
        let place = pointer_of::<T>(name);
        let mut entries = Entries::default();
        for item in self.table.query_all(self.table.entries(connection, &place)).await? {
            let entry = entry(&item)?;
            match Read::new("a name", &item).text("entry")? == place {
                true => entries.first = Some(entry),
                false => entries.behind.push(entry),
            }
        }
        Ok(entries)
    }

    /// Puts a record behind the first, unless another process has changed its place meanwhile.
    async fn stand_behind(
        &self,
        connection: &ConnectionKey,
        name: &str,
        entries: &Entries,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let before = entries.behind(&entry.id);
        self.put(connection, &place_behind::<T>(name, &entry.id), before, entry).await
    }

    /// Makes the name lead to the record that has it, and stands behind or in front.
    async fn lead_to_bearer(
        &self,
        connection: &ConnectionKey,
        name: &str,
        look: &Look<T>,
        id: &str,
    ) -> Result<bool, StoreError> {
        match look.entries.behind(id) {
            Some(entry) if look.entries.first.as_ref().is_none_or(|first| first.id != id) => {
                self.lead_to(connection, name, look, entry.clone()).await
            }
            _ => Ok(true),
        }
    }

    /// Puts a record in front, unless another process has changed that place meanwhile. A record that stood there and
    /// may be about to have the name is put behind before.
    async fn lead_to(
        &self,
        connection: &ConnectionKey,
        name: &str,
        look: &Look<T>,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let Entries { first, .. } = &look.entries;
        if let Some(first) = first
            && first.id != entry.id
            && !look.is_first_over
            && !self.stand_behind(connection, name, &look.entries, first.clone()).await?
        {
            return Ok(false);
        }
        let (id, revision) = (entry.id.clone(), entry.revision());
        if !self.put(connection, &pointer_of::<T>(name), first.as_ref(), entry).await? {
            return Ok(false);
        }
        if let Some(behind) = look.entries.behind(&id)
            && behind.revision() <= revision
        {
            self.remove(connection, &place_behind::<T>(name, &id), behind).await?;
        }
        Ok(true)
    }

    /// Removes the entry in front, if it is not needed. `false` if another process has changed it meanwhile.
    async fn remove_first(&self, connection: &ConnectionKey, name: &str, look: &Look<T>) -> Result<bool, StoreError> {
        match &look.entries.first {
            Some(first) if look.is_first_over => self.remove(connection, &pointer_of::<T>(name), first).await,
            _ => Ok(true),
        }
    }

    /// Removes the entries behind that are not needed any more, except that of `id`.
    async fn remove_over(
        &self,
        connection: &ConnectionKey,
        name: &str,
        look: &Look<T>,
        id: &str,
    ) -> Result<(), StoreError> {
        for entry in look.over.iter().filter(|entry| entry.id != id) {
            self.remove(connection, &place_behind::<T>(name, &entry.id), entry).await?;
        }
        Ok(())
    }

    /// Writes an entry if what stands there is still `before`. Its revision never falls: another process may be about
    /// to write the later one.
    async fn put(
        &self,
        connection: &ConnectionKey,
        place: &str,
        before: Option<&Entry>,
        entry: Entry,
    ) -> Result<bool, StoreError> {
        let stood = before.filter(|before| before.id == entry.id).and_then(|before| before.mark);
        let mut put = self.table.put_request(entry_key(connection, place)).item("id", text(entry.id));
        if let Some((revision, since)) = entry.mark.or(stood) {
            let revision = stood.map_or(revision, |(stood, _)| revision.max(stood));
            put = put.item("revision", number(revision)).item("since", time(since));
        }
        put = match before {
            None => put.condition_expression("attribute_not_exists(entry)"),
            Some(before) => {
                let (condition, values) = as_it_was(before);
                put.condition_expression(condition).set_expression_attribute_values(Some(values))
            }
        };
        self.table.is_done(put).await
    }

    /// Removes an entry if it is still as it was, and returns whether it was.
    async fn remove(&self, connection: &ConnectionKey, place: &str, entry: &Entry) -> Result<bool, StoreError> {
        let (condition, values) = as_it_was(entry);
        let delete = self
            .table
            .delete_request(entry_key(connection, place))
            .condition_expression(condition)
            .set_expression_attribute_values(Some(values));
        self.table.is_done(delete).await
    }
}

/// A record that has had a name longer stands before another; at the same time, the one with the smaller id, so that
/// every look finds the same.
fn order<T>(stored: &Stored<T>) -> (Timestamp, &str) {
    (stored.named_at, &stored.record.id)
}

fn place_behind<T: ReferenceData>(name: &str, id: &str) -> String {
    format!("{}/{id}", pointer_of::<T>(name))
}

fn entry(item: &Item) -> Result<Entry, StoreError> {
    let read = Read::new("a name", item);
    let mark = match read.has("revision") {
        true => Some((read.number("revision")?, read.time("since")?)),
        false => None,
    };
    Ok(Entry { id: read.text("id")?.to_owned(), mark })
}

fn as_it_was(entry: &Entry) -> (&'static str, Item) {
    let mut values: Vec<(&str, AttributeValue)> = vec![(":id", text(entry.id.as_str()))];
    let condition = match entry.mark {
        None => AS_IT_WAS_BEFORE,
        Some((revision, since)) => {
            values.extend([(":revision", number(revision)), (":since", time(since))]);
            AS_IT_WAS
        }
    };
    (condition, values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
