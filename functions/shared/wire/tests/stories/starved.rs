//! A reader whose input has no more for the moment continues later as if there had been no pause.

use std::io::{self, ErrorKind, Read};

use proptest::collection::vec;
use proptest::prelude::*;
use wire::association_anywhere::{QueueReader, StatusReader};
use wire::business_catalyst::ContactListReader;
use wire::{DetailsReader, Limits, ReadError};

use crate::sample::{JANE, bulk, customer, read_bulk};

/// Gives at most so many bytes at once, and pauses after each time.
struct Halting<'a> {
    left: &'a [u8],
    pieces: std::iter::Cycle<std::vec::IntoIter<usize>>,
    pauses: bool,
}

impl<'a> Halting<'a> {
    fn new(left: &'a [u8], pieces: Vec<usize>) -> Self {
        Self { left, pieces: pieces.into_iter().cycle(), pauses: false }
    }
}

impl Read for Halting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pauses = !self.pauses;
        if self.pauses {
            return Err(ErrorKind::WouldBlock.into());
        }
        let length = self.pieces.next().unwrap_or(1).min(buffer.len());
        self.left.read(&mut buffer[..length])
    }
}

/// Calls until there is an answer, or a real error.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, ReadError>) -> Result<T, ReadError> {
    loop {
        match ask() {
            Err(error) if error.is_starved() => {}
            answer => return answer,
        }
    }
}

#[test]
fn a_pause_is_told_from_an_end() {
    let document = bulk(&customer("1"));
    let mut reader = DetailsReader::new(Halting::new(document.as_bytes(), vec![10]), Limits::default());
    let first = reader.next().unwrap().unwrap_err();
    assert!(first.is_starved() && first.is_interrupted() && !first.is_no_answer());
    let detail = patiently(|| reader.next().unwrap()).unwrap();
    assert_eq!(detail.source_id.as_deref(), Some("1"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn wherever_it_pauses_an_answer_is_read_alike(pieces in vec(1..50_000_usize, 1..6), padding in 0..70_000_usize) {
        let document = bulk(&["<!--", &" ".repeat(padding), "-->", JANE, &customer("2"), "<custInfo/>"].concat());
        let expected: Vec<_> = read_bulk(&document).unwrap().into_iter().map(|detail| format!("{detail:?}")).collect();
        let input = Halting::new(document.as_bytes(), pieces.clone());
        let mut reader = DetailsReader::new(input, Limits::default());
        let mut read = Vec::new();
        while let Some(detail) = patiently(|| reader.next().transpose()).unwrap() {
            read.push(format!("{detail:?}"));
        }
        prop_assert_eq!(read, expected);

        let ids: String = (0..padding / 10).map(|id| format!("<cust-id>{id}</cust-id>")).collect();
        let document = format!("<q>{ids}<max-queue-num>7</max-queue-num><status>SUCCESS</status></q>");
        let mut customers = 0;
        let input = Halting::new(document.as_bytes(), pieces.clone());
        let mut reader = QueueReader::new(input, None, Limits::of_queue(), |_| customers += 1);
        let number = patiently(|| reader.read()).unwrap();
        prop_assert_eq!(number.as_deref(), Some("7"));
        drop(reader);
        prop_assert_eq!(customers, padding / 10);
        let mut reader = StatusReader::new(Halting::new(document.as_bytes(), pieces.clone()), None, Limits::of_status());
        prop_assert!(patiently(|| reader.read()).is_ok());

        // A document that is no list of contacts gives the same error.
        let whole = ContactListReader::new(document.as_bytes(), Limits::default()).next().unwrap().unwrap_err();
        let mut reader = ContactListReader::new(Halting::new(document.as_bytes(), pieces), Limits::default());
        let halted = patiently(|| reader.next().unwrap()).unwrap_err();
        prop_assert_eq!(halted.to_string(), whole.to_string());
        prop_assert!(reader.next().is_none());
    }
}
