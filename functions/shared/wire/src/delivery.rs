//! What is well-formed of a document, token by token, for a handler.

use quick_xml::events::{BytesStart, Event};

use crate::document::Document;
use crate::name::NameBuffer;
use crate::oversized::Oversized;
use crate::reference::{self, BadReference};
use crate::scan::{Flow, Handler};
use crate::tag::{AttributeList, BadAttributes, StartTag};
use crate::withheld::Withheld;
use crate::{Limits, ReadError};

pub(crate) const BAD_NAME: &str = "an element with a name that XML does not allow";
pub(crate) const UNCLOSED_REFERENCE: &str = "a `&` that begins no reference";

/// Hands tokens to a handler, and knows what the document has been so far.
pub(crate) struct Delivery {
    pub(crate) limits: Limits,
    pub(crate) document: Document,
    root_seen: bool,
    name: NameBuffer,
    attributes: AttributeList,
    withheld: Withheld,
}

impl Delivery {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            document: Document::new(limits),
            root_seen: false,
            name: NameBuffer::default(),
            attributes: AttributeList::default(),
            withheld: Withheld::default(),
        }
    }

    /// Hands on what is wanted of a piece of source text that has been scanned.
    pub(crate) fn hand_on_source(&mut self, piece: &str, piece_starts_at: u64, handler: &mut impl Handler) {
        let from = self.document.source_from.unwrap_or(u64::MAX);
        self.withheld.hand_on_rest(piece, piece_starts_at, from, |rest| handler.source(rest));
        if self.document.source_from.is_some() {
            self.document.source_from = Some(self.document.token_end);
        }
    }

    /// Hands on one token.
    pub(crate) fn deliver(
        &mut self,
        event: Event,
        length: usize,
        handler: &mut impl Handler,
    ) -> Result<Flow, ReadError> {
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
                    self.text(&text, handler)?;
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
        self.text(text, handler)?;
        Ok(Flow::Continue)
    }

    fn text(&mut self, text: &str, handler: &mut impl Handler) -> Result<(), ReadError> {
        if self.document.is_dropping() {
            return Ok(());
        }
        handler.text(text, &self.document)
    }

    fn text_outside(&self) -> &'static str {
        if self.root_seen {
            "text after the end of the document's element"
        } else {
            "text where the document's element should begin: this is no XML document"
        }
    }

    /// A token begins that is too long to be held.
    pub(crate) fn begin_oversized(
        &mut self,
        oversized: &Oversized,
        handler: &mut impl Handler,
    ) -> Result<(), ReadError> {
        let is_dropping = self.document.is_dropping();
        match oversized {
            Oversized::Ignored(_) => Ok(()),
            Oversized::Tag { name, .. } => match self.name.read(name) {
                None => Err(self.document.malformed(BAD_NAME)),
                Some(_) if is_dropping => Ok(()),
                Some((_, folded)) if handler.drops(folded) => {
                    self.withheld.begin(self.document.offset);
                    Ok(())
                }
                Some(_) => handler.too_long(&self.document),
            },
            Oversized::CharacterData if is_dropping => Ok(()),
            Oversized::CharacterData => handler.too_long(&self.document),
        }
    }

    /// An element begins whose tag was too long to be read further than to its name.
    pub(crate) fn open_without_attributes(&mut self, name: &str, handler: &mut impl Handler) -> Result<(), ReadError> {
        self.attributes.clear();
        self.open(name, handler)
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
        if self.document.is_dropping() {
            return Ok(());
        }
        if handler.drops(folded) {
            self.withheld.begin(self.document.offset);
            self.document.drop_innermost();
            return Ok(());
        }
        let tag = StartTag {
            prefix: &name[..local_start.saturating_sub(1)],
            local: &name[local_start..],
            folded,
            all_attributes: &self.attributes,
        };
        handler.start(&tag, &mut self.document)
    }

    /// An element ends: by an end tag of this name, or `None` for an empty one.
    pub(crate) fn close(&mut self, name: Option<&str>, handler: &mut impl Handler) -> Result<Flow, ReadError> {
        if self.document.depth() == 0 {
            return Err(self.document.malformed("an end tag where no element is open"));
        }
        // The handler sees the element still open, so an end tag that closes another one is found before it is told.
        if !self.document.innermost_is(name) {
            return Err(self.document.malformed("an end tag that does not match the open element"));
        }
        if self.document.is_dropping() {
            self.document.close();
            if !self.document.is_dropping() {
                self.withheld.end(self.document.token_end);
            }
            return Ok(Flow::Continue);
        }
        let flow = handler.end(&mut self.document)?;
        self.document.close();
        Ok(flow)
    }

    fn read_attributes(&mut self, tag: &BytesStart) -> Result<(), ReadError> {
        self.attributes.read(tag).map_err(|bad| match bad {
            BadAttributes::Malformed(what) => self.document.malformed(what),
            BadAttributes::Reference(bad) => self.bad_reference(bad),
        })
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

    /// The document has ended.
    pub(crate) fn finish(&mut self, handler: &mut impl Handler) -> Result<(), ReadError> {
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
