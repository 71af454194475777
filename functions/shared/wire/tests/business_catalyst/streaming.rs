//! Memory does not grow with the document.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use wire::Limits;
use wire::business_catalyst::{ContactListReader, PageEnd};

use crate::sample::{contact, last_page};

/// An answer that is generated only as it is read.
struct Endless {
    pieces: Box<dyn Iterator<Item = String>>,
    piece: Vec<u8>,
    position: usize,
    given: Rc<Cell<u64>>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.piece.len() {
            self.piece = self.pieces.next().unwrap_or_default().into_bytes();
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
fn no_more_is_read_than_the_contact_in_hand_and_a_little_ahead() {
    let count = 50_000;
    let page = last_page("CONTACTS");
    let (head, tail) = page.split_once("CONTACTS").unwrap();
    let (head, tail) = (head.to_owned(), tail.to_owned());
    let given = Rc::new(Cell::new(0));
    let mut handed_on = head.len() as u64;
    let contacts = (1..=count).map(|number| contact(&format!("1{number:07}")));
    let pieces = Box::new([head].into_iter().chain(contacts).chain([tail]));
    let input = Endless { pieces, piece: Vec::new(), position: 0, given: Rc::clone(&given) };
    let mut reader = ContactListReader::new(input, Limits::default());
    let mut read = 0;
    for contact in reader.by_ref() {
        let contact = contact.unwrap();
        read += 1;
        handed_on += contact.raw.len() as u64;
        assert_eq!(contact.entity_id.unwrap(), format!("1{read:07}"));
        assert!(given.get() - handed_on <= 64 * 1024, "{} bytes ahead", given.get() - handed_on);
    }
    assert_eq!(read, count);
    assert_eq!(reader.page_end(), Some(&PageEnd::Contacts { more_records: false }));
}
