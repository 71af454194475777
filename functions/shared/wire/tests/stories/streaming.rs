//! Memory does not grow with the document.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use wire::{DetailsReader, Limits};

use crate::sample::{customer, ids, read_all};

/// An answer with a hundred thousand customers, which is generated only as it is read.
struct Endless {
    piece: Vec<u8>,
    position: usize,
    next: u32,
    customers: u32,
    given: Rc<Cell<u64>>,
}

impl Endless {
    fn next_piece(&mut self) -> Vec<u8> {
        self.next += 1;
        match self.next {
            1 => b"<custInfos>".to_vec(),
            number if number <= self.customers + 1 => one(number - 1).into_bytes(),
            number if number == self.customers + 2 => b"</custInfos>".to_vec(),
            _ => Vec::new(),
        }
    }
}

fn one(number: u32) -> String {
    customer(&format!("{number:08}"))
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            self.piece = self.next_piece();
            self.position = 0;
        }
        let length = buffer.len().min(self.piece.len() - self.position);
        buffer[..length].copy_from_slice(&self.piece[self.position..self.position + length]);
        self.position += length;
        self.given.set(self.given.get() + length as u64);
        Ok(length)
    }
}

#[test]
fn no_more_is_read_than_the_customer_in_hand_and_a_little_ahead() {
    let customers = 100_000;
    let given = Rc::new(Cell::new(0));
    let input = Endless { piece: Vec::new(), position: 0, next: 0, customers, given: Rc::clone(&given) };
    let mut handed_on = "<custInfos>".len() as u64;
    let mut count = 0;
    for detail in DetailsReader::new(input, Limits::default()) {
        let detail = detail.unwrap();
        handed_on += detail.raw.len() as u64;
        count += 1;
        assert_eq!(detail.source_id.unwrap(), format!("{count:08}"));
        assert!(given.get() - handed_on <= 64 * 1024, "{} bytes ahead", given.get() - handed_on);
    }
    assert_eq!(count, customers);
    assert!(given.get() > 8_000_000);
}

#[test]
fn a_customer_without_end_is_passed_over_and_the_next_one_is_read() {
    // The middle customer is forty times what one may be; what is kept of it is its beginning.
    let limits = Limits { customer_bytes: 100_000, raw: 1_000, ..Limits::default() };
    let endless = format!("<custInfo><custId>2</custId>{}</custInfo>", "<a><b>text</b></a>".repeat(220_000));
    let document = format!("<r>{}{endless}{}</r>", customer("1"), customer("3"));
    let details = read_all(document, limits).unwrap();
    assert_eq!(ids(&details), [Some("1"), Some("2"), Some("3")]);
    assert_eq!(details[1].raw, endless[..1_000]);
    assert!(details[1].content.is_err() && details[2].content.is_ok());
}
