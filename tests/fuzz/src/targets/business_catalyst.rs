use std::hint::black_box;
use std::io::Read;

use jiff::Timestamp;
use wire::Limits;
use wire::business_catalyst::{
    ContactListReader, PageEnd, earliest_local_at_or_after, instant_of, read_update_insert_answer, site_zone,
};

use super::{across_a_chunk, kind};
use crate::generate::hash;
use crate::pieces::Pieces;
use crate::{Target, budget};

pub(super) const CONTACTS: Target = Target {
    peak: budget::PEAK_OF_RECORDS,
    name: "bc-contacts",
    read: |input| {
        for contact in ContactListReader::new(input, Limits::default()) {
            let _ = black_box(contact);
        }
    },
    holds: |input| {
        let whole = contacts(input);
        assert_eq!(whole, contacts(Pieces::of(input, hash(input))), "an answer in pieces");
        if let Some(padded) = across_a_chunk(input, hash(input)) {
            assert_eq!(whole, contacts(&*padded), "an answer across two chunks");
        }
        assert!(whole.0.iter().all(|contact| !contact.contains("hunter2")), "a password was passed on");
    },
};

/// Every contact of an answer without places, the kind of its error, and how the page ended.
fn contacts(input: impl Read) -> (Vec<String>, Option<String>, Option<PageEnd>) {
    let mut reader = ContactListReader::new(input, Limits::default());
    let (zone, not_after) = (site_zone("Australia/Sydney").unwrap(), Timestamp::MAX);
    let mut read = Vec::new();
    let mut failure = None;
    for contact in reader.by_ref() {
        match contact {
            Ok(contact) => {
                assert!(contact.raw.len() <= Limits::RAW);
                if let Some(update) = contact.last_update {
                    let (instant, _) = (update.instant(&zone, not_after), update.local(&zone));
                    black_box(instant_of(earliest_local_at_or_after(instant, &zone), &zone, not_after));
                }
                if let Ok(content) = &contact.content {
                    super::stored::read_again(content);
                }
                let content = contact.content.map(|content| content.canonical_json()).map_err(|error| error.what);
                let (id, update, deleted) = (contact.entity_id, contact.last_update, contact.deleted);
                read.push(format!("{id:?} {update:?} {deleted} {content:?} {}", contact.raw));
            }
            Err(error) if error.is_starved() => {}
            Err(error) => {
                assert!(failure.replace(kind(&error)).is_none(), "two errors");
            }
        }
    }
    assert_eq!(reader.page_end().is_none(), failure.is_some());
    (read, failure, reader.page_end().cloned())
}

pub(super) const UPDATE_ANSWER: Target = Target {
    peak: budget::PEAK,
    name: "bc-update-answer",
    read: |input| {
        let _ = black_box(read_update_insert_answer(input, &Limits::default()));
    },
    holds: |input| {
        let read = |input: &[u8]| read_update_insert_answer(input, &Limits::default()).map_err(|error| kind(&error));
        if let Some(padded) = across_a_chunk(input, hash(input)) {
            assert_eq!(read(input), read(&padded), "an answer across two chunks");
        }
    },
};
