use std::hint::black_box;
use std::io::Read;

use model::QueuedCustomer;
use wire::association_anywhere::{QueueReader, StatusReader, UnusableEntry};
use wire::{DetailsReader, Limits, ReadError};

use super::{across_a_chunk, kind};
use crate::generate::hash;
use crate::pieces::Pieces;
use crate::{Target, budget};

pub(super) const QUEUE: Target = Target {
    peak: budget::PEAK,
    name: "aa-queue",
    read: |input| {
        let mut reader = QueueReader::new(input, None, Limits::of_queue(), |customer| {
            black_box(customer);
        });
        let _ = black_box(reader.read());
        black_box(reader.unusable());
    },
    holds: |input| {
        let whole = queue(input);
        assert_eq!(whole, queue(Pieces::of(input, hash(input))), "an answer in pieces");
        if let Some(padded) = across_a_chunk(input, hash(input)) {
            assert_eq!(whole, queue(&*padded), "an answer across two chunks");
        }
        for customer in &whole.customers {
            assert!(!customer.source_id.is_empty() && customer.source_id.len() <= Limits::ID_BYTES);
            assert!(!customer.source_id.chars().any(char::is_control), "an id with a control character");
        }
    },
};

#[derive(Debug, PartialEq)]
struct QueueAnswer {
    customers: Vec<QueuedCustomer>,
    number: Result<Option<String>, String>,
    unusable: Vec<UnusableEntry>,
    left_out: u64,
}

fn queue(input: impl Read) -> QueueAnswer {
    let mut customers = Vec::new();
    let mut reader = QueueReader::new(input, None, Limits::of_queue(), |customer| customers.push(customer));
    let number = until_fed(|| reader.read()).map_err(|error| kind(&error));
    let (unusable, left_out) = (reader.unusable(), reader.left_out());
    // What was handed on before an error does not count.
    if number.is_err() {
        return QueueAnswer { customers: Vec::new(), number, unusable: Vec::new(), left_out: 0 };
    }
    QueueAnswer { customers, number, unusable, left_out }
}

pub(super) const DETAILS: Target = Target {
    peak: budget::PEAK_OF_RECORDS,
    name: "aa-details",
    read: |input| {
        for detail in DetailsReader::new(input, Limits::of_details(50)) {
            let _ = black_box(detail);
        }
    },
    holds: |input| {
        let whole = details(DetailsReader::new(input, Limits::of_details(50)));
        let pieces = Pieces::of(input, hash(input));
        assert_eq!(whole, details(DetailsReader::new(pieces, Limits::of_details(50))), "in pieces");
        if let Some(padded) = across_a_chunk(input, hash(input)) {
            let padded = details(DetailsReader::new(&*padded, Limits::of_details(50)));
            assert_eq!(whole, padded, "across two chunks");
        }
        let mut reader = DetailsReader::of_asked(input, None, ["1001", "1002", "7"]);
        let _ = black_box(reader.by_ref().count());
        assert!(reader.next().is_none(), "more after the end");
    },
};

/// Every customer of an answer without places, and the kind of its error.
fn details<R: Read>(mut reader: DetailsReader<R>) -> (Vec<String>, Option<String>, u64) {
    let mut read = Vec::new();
    let mut failure = None;
    for detail in reader.by_ref() {
        match detail {
            Ok(detail) => {
                assert!(detail.raw.len() <= Limits::RAW);
                if let Ok(content) = &detail.content {
                    super::stored::read_again(content);
                }
                let content = detail.content.map(|content| content.canonical_json()).map_err(|error| error.what);
                read.push(format!("{:?} {content:?} {}", detail.source_id, detail.raw));
            }
            Err(error) if error.is_starved() => {}
            Err(error) => {
                assert!(failure.replace(kind(&error)).is_none(), "two errors");
            }
        }
    }
    (read, failure, reader.left_out())
}

pub(super) const STATUS: Target = Target {
    peak: budget::PEAK,
    name: "aa-status",
    read: |input| {
        let _ = black_box(StatusReader::new(input, None, Limits::of_status()).read());
    },
    holds: |input| {
        let whole = status(input);
        assert_eq!(whole, status(Pieces::of(input, hash(input))), "an answer in pieces");
        if let Some(padded) = across_a_chunk(input, hash(input)) {
            assert_eq!(whole, status(&*padded), "an answer across two chunks");
        }
    },
};

fn status(input: impl Read) -> Result<(), String> {
    let mut reader = StatusReader::new(input, None, Limits::of_status());
    until_fed(|| reader.read()).map_err(|error| kind(&error))
}

/// Reads again as long as the input has nothing for the moment.
pub(super) fn until_fed<T>(mut read: impl FnMut() -> Result<T, ReadError>) -> Result<T, ReadError> {
    loop {
        match read() {
            Err(error) if error.is_starved() => {}
            result => return result,
        }
    }
}
