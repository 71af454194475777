use std::io::Read;

use super::contact::{Contact, ContactBuilder, boolean};
use super::envelope::{Envelope, check_blank};
use super::fault::Fault;
use super::short_text::ShortText;
use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::scan::Scanner;
use crate::tag::StartTag;
use crate::{Charset, Limits, ReadError};

/// The depth of what stands directly in the answer's element.
const RESPONSE_PART_DEPTH: usize = 4;

/// How a page of contacts ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageEnd {
    /// After contacts.
    Contacts {
        /// Whether the source has more, on the next page.
        more_records: bool,
    },
    /// No contacts: the result was empty.
    EmptyResult,
    /// No contacts: there was no result.
    NoResult,
    /// No contacts, as far as is known: the answer was the fault that the source is known to send if there is nothing
    /// to list. It may also hide a failure: it proves nothing about what an earlier page promised, nor about contacts
    /// that are not listed.
    Fault {
        /// The source's own words: at most 200 characters, none of them a control character.
        message: String,
    },
}

impl PageEnd {
    /// Whether the source has more contacts, on the next page.
    pub fn more_records(&self) -> bool {
        matches!(self, Self::Contacts { more_records: true })
    }
}

/// Streams the answer to a [`retrieve_request`](super::retrieve_request) (`ContactList_Retrieve`), whatever the HTTP
/// status that it came with: one [`Contact`] per `ContactRecord`, in the answer's order, each as soon as its element
/// has ended. No more than the current contact and a chunk of input is held in memory. `password` elements never are.
///
/// After an error there is nothing more, unless it [is starved](ReadError::is_starved): then reading continues. An
/// error may come after contacts: what came before it is valid, and the page is not complete.
///
/// # Errors
/// [`ReadError::Source`] for a fault that is a failure, [`ReadError::Unexpected`] for what is no answer to this
/// request, contacts without a `moreRecords` and a `moreRecords` of true without contacts included, and every other
/// [`ReadError`] that a document can cause.
pub struct ContactListReader<R: Read>(Scanner<R, ContactListHandler>);

impl<R: Read> ContactListReader<R> {
    /// A reader of one answer.
    pub fn new(input: R, limits: Limits) -> Self {
        Self::in_charset(input, None, limits)
    }

    /// A reader of one answer; `charset` is the one that its header states, if any.
    pub fn in_charset(input: R, charset: Option<Charset>, limits: Limits) -> Self {
        let handler = ContactListHandler {
            limits,
            envelope: Envelope::around("ContactList_RetrieveResponse", &limits),
            part: None,
            record_builder: ContactBuilder::new(limits),
            is_in_contact: false,
            records: 0,
            contacts: 0,
            has_result: false,
            more_text: ShortText::default(),
            more_records: None,
            fault: None,
            ready: None,
            page_end: None,
        };
        Self(Scanner::new(input, charset, limits, handler))
    }

    /// How many characters that XML forbids were left out of what was read.
    pub fn left_out(&self) -> u64 {
        self.0.left_out()
    }

    /// How the page ended, once every contact has been read; `None` before, and if an error ended the reading.
    pub fn page_end(&self) -> Option<&PageEnd> {
        self.0.dispatcher.handler.page_end.as_ref()
    }
}

impl<R: Read> Iterator for ContactListReader<R> {
    type Item = Result<Contact, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.0.next_pause()? {
            return Some(Err(error));
        }
        let handler = &mut self.0.dispatcher.handler;
        Some(Ok(Contact { raw: handler.record_builder.record.raw(), ..handler.ready.take()? }))
    }
}

/// What stands in the answer's element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `ContactList_RetrieveResult`.
    Result,
    /// `recordStart`: whether it moves is not documented, so it is not used.
    RecordStart,
    /// `moreRecords`.
    MoreRecords,
}

struct ContactListHandler {
    limits: Limits,
    envelope: Envelope,
    /// The part of the answer that is open.
    part: Option<Part>,
    record_builder: ContactBuilder,
    is_in_contact: bool,
    /// How many `ContactRecord` elements there were.
    records: usize,
    /// How many of them were contacts.
    contacts: usize,
    has_result: bool,
    more_text: ShortText,
    more_records: Option<bool>,
    /// The fault that may mean that there is nothing to list.
    fault: Option<Fault>,
    ready: Option<Contact>,
    page_end: Option<PageEnd>,
}

impl ContactListHandler {
    /// Begins an element in the answer, outside any contact. An unknown one could hold contacts under another name, and
    /// a list without them must not be taken for complete.
    fn start_in_response(&mut self, tag: &StartTag, document: &mut ParseContext) -> Result<(), ReadError> {
        match (self.part, self.envelope.known_name(tag)) {
            (None, "contactlistretrieveresult") => {
                self.has_result = true;
                self.part = Some(Part::Result);
            }
            (None, "recordstart") => self.part = Some(Part::RecordStart),
            (None, "morerecords") => {
                self.part = Some(Part::MoreRecords);
                self.more_text.clear();
            }
            (Some(Part::Result), "contactrecord") => self.begin_contact(tag, document)?,
            _ => return Err(document.unexpected("an element that no list of contacts has here")),
        }
        Ok(())
    }

    fn begin_contact(&mut self, tag: &StartTag, document: &mut ParseContext) -> Result<(), ReadError> {
        self.records += 1;
        document.customer = Some((document.depth(), self.records));
        document.check_limit("customers", self.records, self.limits.customers)?;
        self.is_in_contact = true;
        self.record_builder.begin(tag, &self.envelope, document);
        Ok(())
    }

    fn end_contact(&mut self, document: &mut ParseContext) -> Flow {
        self.is_in_contact = false;
        self.ready = self.record_builder.finish(document);
        document.customer = None;
        if self.ready.is_none() {
            document.source_from = None;
            return Flow::Continue;
        }
        self.contacts += 1;
        Flow::Pause
    }

    fn end_more_records(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        if self.more_text.get() == Some("") {
            return Ok(());
        }
        let Some(more_records) = self.more_text.get().and_then(boolean) else {
            return Err(document.unexpected("`moreRecords` is neither true nor false"));
        };
        if self.more_records.is_some_and(|known| known != more_records) {
            return Err(document.unexpected("`moreRecords` is given twice, with different values"));
        }
        self.more_records = Some(more_records);
        Ok(())
    }
}

impl Handler for ContactListHandler {
    fn source(&mut self, piece: &str) {
        self.record_builder.record.source(piece);
    }

    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        let is_in_response = self.envelope.is_in_response();
        self.envelope.start(tag, document)?;
        if self.is_in_contact {
            self.record_builder.start(tag, &self.envelope, document);
            return Ok(());
        }
        document.check_depth()?;
        for (_, value) in tag.attributes() {
            document.check_text(value.len())?;
        }
        if is_in_response { self.start_in_response(tag, document) } else { Ok(()) }
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        if self.is_in_contact {
            self.record_builder.text(piece, document);
            return Ok(());
        }
        document.check_text_length()?;
        match self.part {
            Some(Part::RecordStart) => Ok(()),
            Some(Part::MoreRecords) => {
                self.more_text.push(piece);
                Ok(())
            }
            Some(Part::Result) => check_blank(piece, document),
            None if self.envelope.is_in_response() => check_blank(piece, document),
            None => self.envelope.text(piece, document),
        }
    }

    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError> {
        if self.is_in_contact {
            self.record_builder.end(document);
        }
        let fault = self.envelope.end(document);
        if self.is_in_contact {
            let has_ended = document.depth() == self.record_builder.record.depth;
            return Ok(if has_ended { self.end_contact(document) } else { Flow::Continue });
        }
        if let Some(fault) = fault {
            if !fault.is_silent() {
                return Err(fault.into_error());
            }
            self.fault = Some(fault);
        }
        if document.depth() == RESPONSE_PART_DEPTH && self.part.take() == Some(Part::MoreRecords) {
            self.end_more_records(document)?;
        }
        Ok(Flow::Continue)
    }

    fn too_long(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        if !self.is_in_contact {
            return Err(document.text_too_long());
        }
        self.record_builder.record.too_long(document);
        Ok(())
    }

    fn unknown_entity(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        if !self.is_in_contact {
            return Err(ReadError::Entity { place: document.place() });
        }
        self.record_builder.record.unknown_entity(document);
        Ok(())
    }

    fn finish(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        self.envelope.finish(document)?;
        let page_end = match (&self.fault, self.more_records) {
            (Some(fault), _) => PageEnd::Fault { message: fault.message() },
            (None, Some(more_records)) if self.contacts > 0 => PageEnd::Contacts { more_records },
            (None, None) if self.contacts > 0 => {
                return Err(document.unexpected("contacts, but no `moreRecords`"));
            }
            // Neither continuing nor ending would be right.
            (None, Some(true)) => {
                return Err(document.unexpected("`moreRecords` is true, but there are no contacts"));
            }
            (None, _) if self.has_result => PageEnd::EmptyResult,
            (None, _) => PageEnd::NoResult,
        };
        self.page_end = Some(page_end);
        Ok(())
    }
}
