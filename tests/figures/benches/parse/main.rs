//! How fast answers are read, beside the bare event loop of `quick-xml` on the same bytes, and beside what a user would
//! write in Python: `lxml`, to dictionaries (`parse.py`; `tests/deployed/tools` installs it).
//!
//! `cargo figures --bench parse`, and with `-- details` only those. The readers take turns,
//! so that whatever else the machine does is shared by all; medians are told.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

mod documents;
mod measure;

use std::hint::black_box;
use std::process::ExitCode;

use figures::{Better, Figures};
use measure::{events, median, python, time};
use wire::association_anywhere::QueueReader;
use wire::business_catalyst::ContactListReader;
use wire::connector::{limits, read_user};
use wire::{DetailsReader, Limits};

const CUSTOMERS: usize = 9_000;
const CONTACTS: usize = 5_000;
const QUEUED: usize = 100_000;
const PUSHES: usize = 5_000;
const TURNS: usize = 15;

/// A kind of document, and how it is read.
struct Kind {
    name: &'static str,
    /// One document, or many small ones.
    documents: Vec<String>,
    /// How many customers they hold.
    customers: usize,
    read: fn(&str) -> usize,
}

fn main() -> ExitCode {
    let kinds = [
        Kind {
            name: "details",
            documents: vec![documents::details(CUSTOMERS)],
            customers: CUSTOMERS,
            read: |document| {
                let reader = DetailsReader::new(document.as_bytes(), Limits::default());
                reader.map(|detail| black_box(detail.unwrap())).filter(|detail| detail.content.is_ok()).count()
            },
        },
        Kind {
            name: "contact list",
            documents: vec![documents::contact_list(CONTACTS)],
            customers: CONTACTS,
            read: |document| {
                let reader = ContactListReader::new(document.as_bytes(), Limits::default());
                reader.map(|contact| black_box(contact.unwrap())).filter(|contact| contact.content.is_ok()).count()
            },
        },
        Kind {
            name: "queue",
            documents: vec![documents::queue(QUEUED)],
            customers: QUEUED,
            read: |document| {
                let mut customers = 0;
                QueueReader::new(document.as_bytes(), None, Limits::default(), |_| customers += 1).read().unwrap();
                customers
            },
        },
        Kind {
            name: "pushes",
            documents: (0..PUSHES).map(documents::prospect).collect(),
            customers: PUSHES,
            read: |document| usize::from(black_box(read_user(document.as_bytes(), &limits())).is_ok()),
        },
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    println!("{:<16} {:>8} {:>16} {:>12} {:>10}", "", "MB/s", "customers/s", "bare, MB/s", "lxml, MB/s");
    let mut figures = Figures::of("parse");
    for kind in kinds.iter().filter(|kind| wanted.is_empty() || wanted.iter().any(|name| name == kind.name)) {
        measure(kind, &mut figures);
    }
    figures.end()
}

fn measure(kind: &Kind, figures: &mut Figures) {
    let bytes: usize = kind.documents.iter().map(String::len).sum();
    let (mut own, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        own.push(time(|| {
            let read: usize = kind.documents.iter().map(|document| (kind.read)(document)).sum();
            assert_eq!(read, kind.customers, "{}", kind.name);
        }));
        bare.push(time(|| {
            let events: usize = kind.documents.iter().map(|document| events(document)).sum();
            assert!(events > kind.customers);
        }));
    }
    let speed = |time: f64| bytes as f64 / 1e6 / time;
    let (own, bare) = (median(own), median(bare));
    let documents: Vec<&str> = kind.documents.iter().map(String::as_str).collect();
    let lxml = python("tests/figures/benches/parse/parse.py", &documents, &[]);
    let shown = lxml.map_or_else(|| "none".to_owned(), |lxml| format!("{:.1}", speed(lxml)));
    let customers = kind.customers as f64 / own;
    println!("{:<16} {:>8.0} {customers:>16.0} {:>12.0} {shown:>10}", kind.name, speed(own), speed(bare));
    figures.add(format!("{} / bare event loop, MB/s", kind.name), bare / own, Better::More);
    if let Some(lxml) = lxml {
        figures.add(format!("{} / lxml to dicts, MB/s", kind.name), lxml / own, Better::More);
    }
}
