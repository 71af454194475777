//! How fast a customer goes the whole way from an answer to the item that is written: parsed, in its canonical form,
//! hashed, compared with what is stored, and made an item if it changed. Beside it the bare event loop of `quick-xml`
//! on the same bytes, and what a user would write in Python: `lxml`, `json`, `hashlib` and boto3's serializer
//! (`parse/path.py`; `tests/deployed/tools` installs them).
//!
//! `cargo figures --bench path`. All on one core, by turns; medians are told.

#![allow(clippy::unwrap_used, reason = "a benchmark")]

#[path = "../parse/documents.rs"]
#[allow(dead_code, reason = "the others are for `parse`")]
mod documents;
#[path = "../parse/measure.rs"]
mod measure;

use std::collections::HashMap;
use std::hint::black_box;
use std::process::ExitCode;

use figures::{Better, Figures};
use jiff::Timestamp;
use measure::{events, median, python, time};
use model::{ConnectionKey, ContentHash, Version};
use store::Shadow;
use wire::{DetailsReader, Limits};

const CUSTOMERS: usize = 9_000;
const TURNS: usize = 15;

fn main() -> ExitCode {
    let document = documents::details(CUSTOMERS);
    let stored = hashes(&document);
    let (mut unchanged, mut changed, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        unchanged.push(time(|| assert_eq!(go(&document, &stored), 0)));
        changed.push(time(|| assert_eq!(go(&document, &HashMap::new()), CUSTOMERS)));
        bare.push(time(|| assert!(events(&document) > CUSTOMERS)));
    }
    let (unchanged, changed, bare) = (median(unchanged), median(changed), median(bare));
    let per_second = |time: f64| CUSTOMERS as f64 / time;
    println!("{:<12} {:>14} {:>14}", "", "customers/s", "Python");
    let mut figures = Figures::of("path");
    for (name, own) in [("unchanged", unchanged), ("changed", changed)] {
        let python = python("tests/figures/benches/parse/path.py", &[&document], &[name]);
        let shown = python.map_or_else(|| "none".to_owned(), |python| format!("{:.0}", per_second(python)));
        println!("{name:<12} {:>14.0} {shown:>14}", per_second(own));
        figures.add(format!("{name} / bare event loop"), bare / own, Better::More);
        if let Some(python) = python {
            figures.add(format!("{name} / Python"), python / own, Better::More);
        }
    }
    println!("{:<12} {:>14.0}", "bare, MB/s", document.len() as f64 / 1e6 / bare);
    figures.end()
}

/// The fingerprint of each customer, by its id.
fn hashes(document: &str) -> HashMap<String, ContentHash> {
    let details = DetailsReader::new(document.as_bytes(), Limits::default());
    let hash = |detail: wire::Detail| (detail.source_id.unwrap(), detail.content.unwrap().hash());
    details.map(|detail| hash(detail.unwrap())).collect()
}

/// How many customers changed against what is stored.
fn go(document: &str, stored: &HashMap<String, ContentHash>) -> usize {
    let connection = ConnectionKey::new("acme", "aa");
    let version = Version::of_batch(1, 1);
    // As `fetch-customers` reads an answer: without the source text of customers that are well.
    let asked = (0..CUSTOMERS).map(|number| (1_000_000 + number).to_string()).collect::<Vec<_>>();
    let details = DetailsReader::of_asked(document.as_bytes(), None, asked.iter().map(String::as_str));
    let mut changed = 0;
    for detail in details {
        let detail = detail.unwrap();
        let (source_id, content) = (detail.source_id.unwrap(), detail.content.unwrap());
        let document = content.canonical_json();
        let hash = ContentHash::of(&document);
        if stored.get(&source_id) == Some(&hash) {
            continue;
        }
        let now = Timestamp::UNIX_EPOCH;
        black_box(Shadow::new_item(&connection, &source_id, &version, (&document, &hash), now));
        changed += 1;
    }
    changed
}
