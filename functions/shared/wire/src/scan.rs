//! A document's tags and texts, one after the other, for a handler to make sense of.
//!
//! The tokens are found by quick-xml in a buffer that holds little more than one chunk of input. A token that the
//! buffer holds only in part is scanned again when more has come; one that is longer than any limit allows is passed
//! over without being held. What is checked here is what makes a document well-formed, so that a handler sees open
//! and close as pairs.

use std::io::Read;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::events::{BytesStart, BytesText, Event};

use crate::decode::{CHUNK_BYTES, SourceError, Utf8Source};
use crate::document::Document;
use crate::name::{NameBuffer, is_name};
use crate::oversized::Oversized;
use crate::reference::{self, BadReference};
use crate::{Limits, ReadError};

/// A reference that is longer than this has lost its `;`.
const REFERENCE_BYTES: usize = 64;

/// An error this close to the end of the buffer may only mean that the rest of the token has not come yet.
const LOOKAHEAD_BYTES: usize = 16;

/// Whether to go on scanning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on.
    Continue,
    /// Stop here for now: the handler has something to hand on.
    Pause,
}

/// What makes sense of a document. The document's state is that of the token in hand.
pub(crate) trait Handler {
    /// A piece of source text, from where [`Document::source_from`] says.
    fn source(&mut self, _piece: &str) {}
    /// An element begins; the document has it open already.
    fn start(&mut self, tag: &StartTag<'_>, document: &mut Document) -> Result<(), ReadError>;
    /// A piece of the innermost element's text, with references resolved.
    fn text(&mut self, piece: &str, document: &Document) -> Result<(), ReadError>;
    /// The innermost element ends; the document has it still open.
    fn end(&mut self, document: &mut Document) -> Result<Flow, ReadError>;
    /// The next token holds a text or an attribute that is too long, and comes without it.
    fn too_long(&mut self, document: &Document) -> Result<(), ReadError> {
        Err(document.text_too_long())
    }
    /// The document has ended.
    fn finish(&mut self, document: &Document) -> Result<(), ReadError>;
}

/// A start tag.
pub(crate) struct StartTag<'a> {
    /// What is before the colon of the name, or nothing.
    pub(crate) prefix: &'a str,
    /// What is after it.
    pub(crate) local: &'a str,
    /// The local name in lower case and without `-` and `_`: what matching goes by.
    pub(crate) folded: &'a str,
    attributes: &'a AttributeList,
}

impl StartTag<'_> {
    /// Names, as written, and values; without the declarations of namespaces.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let AttributeList { text, entries } = self.attributes;
        let named = entries.iter().map(|entry| (&text[entry.name.clone()], &text[entry.value.clone()]));
        named.filter(|(name, _)| *name != "xmlns" && !name.starts_with("xmlns:"))
    }
}

/// The attributes of one tag, with references resolved; reused from tag to tag.
#[derive(Default)]
struct AttributeList {
    text: String,
    entries: Vec<AttributeEntry>,
}

struct AttributeEntry {
    name: Range<usize>,
    value: Range<usize>,
}

/// Scans a document from its beginning to its end.
pub(crate) struct Scanner<R> {
    source: Utf8Source<R>,
    buffer: String,
    /// Where in the buffer the next token begins.
    position: usize,
    /// Whether the buffer holds the document's end.
    ended: bool,
    oversized: Option<Oversized>,
    delivery: Delivery,
}

impl<R: Read> Scanner<R> {
    pub(crate) fn new(input: R, limits: Limits) -> Self {
        Self {
            source: Utf8Source::new(input),
            buffer: String::new(),
            position: 0,
            ended: false,
            oversized: None,
            delivery: Delivery {
                limits,
                document: Document::new(limits),
                root_seen: false,
                name: NameBuffer::default(),
                attributes: AttributeList::default(),
            },
        }
    }

    /// Scans on until the handler pauses: `Pause`; or to the document's end: `Continue`.
    pub(crate) fn run(&mut self, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        loop {
            let flow = match self.oversized.take() {
                Some(oversized) => self.pass_over(oversized, handler)?,
                None => self.scan_buffer(handler)?,
            };
            if flow == Flow::Pause {
                self.delivery.document.source_from = None;
                return Ok(Flow::Pause);
            }
            if self.oversized.is_none() {
                if self.ended {
                    self.delivery.finish(handler)?;
                    return Ok(Flow::Continue);
                }
                self.note_oversized(handler)?;
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), ReadError> {
        self.buffer.drain(..self.position);
        self.position = 0;
        let more = self.source.read_more(&mut self.buffer);
        let document = &self.delivery.document;
        match more {
            Ok(true) => {}
            Ok(false) if self.oversized.is_some() => {
                return Err(document.malformed("the document ends inside a tag, comment or CDATA section"));
            }
            Ok(false) => self.ended = true,
            Err(SourceError::Io(error)) => return Err(ReadError::Io(error)),
            Err(SourceError::Encoding(what)) => return Err(ReadError::Encoding { what }),
            Err(SourceError::InsideCharacter) => {
                return Err(document.malformed("the document ends inside a character"));
            }
        }
        let length = document.token_end + self.buffer.len() as u64;
        let allowed = self.delivery.limits.document_bytes;
        if length > allowed {
            return Err(document.over_limit("document_bytes", allowed));
        }
        Ok(())
    }

    /// Hands on every token that the buffer holds whole.
    fn scan_buffer(&mut self, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        let Self { buffer, position, ended, delivery, .. } = self;
        // quick-xml would take it for a byte order mark wherever it begins to read.
        while buffer[*position..].starts_with('\u{feff}') {
            let mark = &buffer[*position..*position + '\u{feff}'.len_utf8()];
            let mark_starts_at = delivery.document.token_end;
            delivery.deliver(Event::Text(BytesText::from_escaped(mark)), mark.len(), handler)?;
            delivery.hand_on_source(mark, mark_starts_at, handler);
            *position += mark.len();
        }
        let text = &buffer[*position..];
        let mut reader = Reader::from_str(text);
        // End tags are matched by `Document`: this reader begins anew with each chunk and knows no open elements.
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        let text_starts_at = delivery.document.token_end;
        let mut token_start = 0;
        let mut flow = Flow::Continue;
        while flow == Flow::Continue {
            let event = match reader.read_event() {
                Ok(Event::Eof) => break,
                Ok(event) => event,
                Err(error) => {
                    let stopped_at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
                    if !*ended && text.len().saturating_sub(stopped_at) < LOOKAHEAD_BYTES {
                        break;
                    }
                    delivery.document.offset = delivery.document.token_end;
                    return Err(delivery.document.malformed(describe(&error)));
                }
            };
            let token_end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            flow = delivery.deliver(event, token_end - token_start, handler)?;
            token_start = token_end;
        }
        delivery.hand_on_source(&text[..token_start], text_starts_at, handler);
        *position += token_start;
        Ok(flow)
    }

    /// Looks at a token that the buffer holds only in part.
    fn note_oversized(&mut self, handler: &mut impl Handler) -> Result<(), ReadError> {
        let token = &self.buffer[self.position..];
        let document = &mut self.delivery.document;
        document.offset = document.token_end;
        if is_doctype(token) {
            return Err(ReadError::Doctype { place: document.place() });
        }
        if token.starts_with('&') && token.len() > REFERENCE_BYTES {
            return Err(document.malformed(UNCLOSED_REFERENCE));
        }
        if token.len() <= self.delivery.limits.text_bytes.saturating_add(2 * CHUNK_BYTES) {
            return Ok(());
        }
        let Some(oversized) = Oversized::new(token) else {
            return Err(document.malformed("a tag that does not end"));
        };
        match &oversized {
            Oversized::Ignored(_) => {}
            Oversized::CharacterData => handler.too_long(document)?,
            Oversized::Tag { name, .. } if is_name(name) => handler.too_long(document)?,
            Oversized::Tag { .. } => return Err(document.malformed(BAD_NAME)),
        }
        self.oversized = Some(oversized);
        Ok(())
    }

    /// Drops what the buffer holds of an oversized token; at its end, an element begins if it was a tag.
    fn pass_over(&mut self, mut oversized: Oversized, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        let (length, complete) = oversized.pass(&self.buffer[self.position..]);
        let piece = &self.buffer[self.position..self.position + length];
        let piece_starts_at = self.delivery.document.token_end;
        self.delivery.document.advance(piece.len());
        self.delivery.hand_on_source(piece, piece_starts_at, handler);
        self.position += length;
        if !complete {
            self.oversized = Some(oversized);
            return Ok(Flow::Continue);
        }
        let Oversized::Tag { name, last, .. } = oversized else {
            return self.scan_buffer(handler);
        };
        self.delivery.attributes = AttributeList::default();
        self.delivery.open(&name, handler)?;
        if last == b'/' && self.delivery.close(None, handler)? == Flow::Pause {
            return Ok(Flow::Pause);
        }
        self.scan_buffer(handler)
    }
}

/// Hands tokens to a handler, and knows what the document has been so far.
struct Delivery {
    limits: Limits,
    document: Document,
    root_seen: bool,
    name: NameBuffer,
    attributes: AttributeList,
}

impl Delivery {
    /// Hands on what is wanted of a piece of source text that has been scanned.
    fn hand_on_source(&mut self, piece: &str, piece_starts_at: u64, handler: &mut impl Handler) {
        let Some(source_from) = self.document.source_from else {
            return;
        };
        let skipped = usize::try_from(source_from.saturating_sub(piece_starts_at)).unwrap_or(usize::MAX);
        handler.source(piece.get(skipped..).unwrap_or_default());
        self.document.source_from = Some(self.document.token_end);
    }

    fn deliver(&mut self, event: Event, length: usize, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        self.document.advance(length);
        match event {
            Event::Start(tag) => {
                self.read_attributes(&tag)?;
                self.open(tag.name().into_inner(), handler)?;
                Ok(Flow::Continue)
            }
            Event::Empty(tag) => {
                self.read_attributes(&tag)?;
                self.open(tag.name().into_inner(), handler)?;
                self.close(None, handler)
            }
            Event::End(tag) => self.close(Some(tag.name().into_inner()), handler),
            Event::Text(text) => {
                if self.document.depth() > 0 {
                    handler.text(&text, &self.document)?;
                } else if !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
                    return Err(self.document.malformed(self.text_outside()));
                }
                Ok(Flow::Continue)
            }
            Event::CData(text) => self.character_data(&text, handler),
            Event::GeneralRef(name) => {
                let character = reference::resolve(&name).map_err(|bad| self.bad_reference(bad))?;
                self.character_data(character.encode_utf8(&mut [0; 4]), handler)
            }
            // White space before it is an error in XML, and what a system that prints its answer line by line writes.
            Event::Decl(_) if self.root_seen => {
                Err(self.document.malformed("an XML declaration that does not stand at the beginning"))
            }
            Event::DocType(_) => Err(ReadError::Doctype { place: self.document.place() }),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::Eof => Ok(Flow::Continue),
        }
    }

    fn character_data(&mut self, text: &str, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        if self.document.depth() == 0 {
            return Err(self.document.malformed(self.text_outside()));
        }
        handler.text(text, &self.document)?;
        Ok(Flow::Continue)
    }

    fn text_outside(&self) -> &'static str {
        if self.root_seen {
            "text after the end of the document's element"
        } else {
            "text where the document's element should begin: this is no XML document"
        }
    }

    fn open(&mut self, name: &str, handler: &mut impl Handler) -> Result<(), ReadError> {
        let Some((local_start, folded)) = self.name.read(name) else {
            return Err(self.document.malformed(BAD_NAME));
        };
        if self.root_seen && self.document.depth() == 0 {
            return Err(self.document.malformed("a second element beside the document's own"));
        }
        self.document.open(name);
        if !self.root_seen && folded == "html" {
            return Err(self.document.unexpected("an HTML page"));
        }
        self.root_seen = true;
        let tag = StartTag {
            prefix: &name[..local_start.saturating_sub(1)],
            local: &name[local_start..],
            folded,
            attributes: &self.attributes,
        };
        handler.start(&tag, &mut self.document)
    }

    fn close(&mut self, name: Option<&str>, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        if self.document.depth() == 0 {
            return Err(self.document.malformed("an end tag where no element is open"));
        }
        // The handler sees the element still open, so an end tag that closes another one is found before it is told.
        if !self.document.innermost_is(name) {
            return Err(self.document.malformed("an end tag that does not match the open element"));
        }
        let flow = handler.end(&mut self.document)?;
        self.document.close();
        Ok(flow)
    }

    fn read_attributes(&mut self, tag: &BytesStart) -> Result<(), ReadError> {
        let AttributeList { text, entries } = &mut self.attributes;
        text.clear();
        entries.clear();
        if tag.attributes_raw().is_empty() {
            return Ok(());
        }
        // quick-xml's own search for duplicates compares each attribute with all before it.
        for attribute in tag.attributes().with_checks(false) {
            let Ok(attribute) = attribute else {
                return Err(self.document.malformed("an attribute that has no name, no `=` or no quoted value"));
            };
            let name = attribute.key.into_inner();
            if !is_name(name) {
                return Err(self.document.malformed("an attribute with a name that XML does not allow"));
            }
            let name_start = text.len();
            text.push_str(name);
            let value_start = text.len();
            if let Err(bad) = reference::push_attribute_value(&attribute.value, text) {
                return Err(self.bad_reference(bad));
            }
            entries.push(AttributeEntry { name: name_start..value_start, value: value_start..text.len() });
        }
        if entries.len() < 2 {
            return Ok(());
        }
        let mut names: Vec<&str> = entries.iter().map(|entry| &text[entry.name.clone()]).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.document.malformed("an attribute that is given twice"));
        }
        Ok(())
    }

    fn bad_reference(&self, bad: BadReference) -> ReadError {
        match bad {
            BadReference::Entity => ReadError::Entity { place: self.document.place() },
            BadReference::Character => {
                self.document.malformed("a character reference to what is no character of an XML document")
            }
            BadReference::Unclosed => self.document.malformed(UNCLOSED_REFERENCE),
        }
    }

    fn finish(&mut self, handler: &mut impl Handler) -> Result<(), ReadError> {
        self.document.offset = self.document.token_end;
        if self.document.depth() > 0 {
            return Err(self.document.malformed("the document is cut off: it ends inside an open element"));
        }
        if !self.root_seen {
            return Err(self.document.malformed("the document is empty: it holds no element"));
        }
        handler.finish(&self.document)
    }
}

const BAD_NAME: &str = "an element with a name that XML does not allow";
const UNCLOSED_REFERENCE: &str = "a `&` that begins no reference";

fn is_doctype(token: &str) -> bool {
    matches!(token.as_bytes(), [b'<', b'!', b'D' | b'd', ..])
}

/// What quick-xml found wrong. Its own words would repeat what the document says.
fn describe(error: &Error) -> &'static str {
    match error {
        Error::Syntax(_) => {
            "the document ends inside a tag, comment or CDATA section, or has markup that XML does not know"
        }
        Error::IllFormed(quick_xml::errors::IllFormedError::UnclosedReference) => UNCLOSED_REFERENCE,
        Error::IllFormed(_) => "markup that is not complete",
        _ => "markup that XML does not know",
    }
}
