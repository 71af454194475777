//! Checks that a document is well-formed, token by token, for a handler.

use quick_xml::events::{BytesStart, Event};

use crate::handler::{Flow, Handler};
use crate::name::{Name, Names};
use crate::parse_context::ParseContext;
use crate::redacted_ranges::RedactedRanges;
use crate::reference::{self, BadReference, Reference};
use crate::tag::{AttributeList, BadAttributes, StartTag};
use crate::token_skipper::SkippedToken;
use crate::{Limits, ReadError};

pub(crate) const BAD_NAME: &str = "an element with a name that XML does not allow";
pub(crate) const UNCLOSED_REFERENCE: &str = "a `&` that begins no reference";
const FORBIDDEN_CHARACTER: &str = "a character that XML does not allow";

/// What becomes of characters that XML forbids, as they are or as references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// They are left out, and counted: a source that we ask can't be changed, and its data are wanted.
    LeftOut,
    /// They make the document malformed: a sender that pushes to us gets an error.
    Refused,
}

/// Hands tokens to a handler, and keeps the state of the document so far.
pub(crate) struct EventDispatcher<H> {
    pub(crate) handler: H,
    pub(crate) limits: Limits,
    pub(crate) document: ParseContext,
    root_seen: bool,
    names: Names,
    attributes: AttributeList,
    withheld: RedactedRanges,
    pub(crate) forbidden: Forbidden,
    /// Whether a forbidden character may have come as it is: until then it is not looked for.
    pub(crate) may_hold_forbidden: bool,
    /// The first half of a surrogate pair, if it came last.
    first_half: Option<u32>,
    /// A text without the characters that are left out.
    allowed: String,
}

impl<H: Handler> EventDispatcher<H> {
    pub(crate) fn new(handler: H, limits: Limits) -> Self {
        Self {
            handler,
            limits,
            document: ParseContext::new(limits),
            root_seen: false,
            names: Names::default(),
            attributes: AttributeList::default(),
            withheld: RedactedRanges::default(),
            forbidden: Forbidden::LeftOut,
            may_hold_forbidden: false,
            first_half: None,
            allowed: String::new(),
        }
    }

    /// Hands on the wanted part of a piece of source text that has been scanned.
    pub(crate) fn forward_source(&mut self, piece: &str, piece_starts_at: u64) {
        let from = self.document.source_from.unwrap_or(u64::MAX);
        self.withheld.hand_on_rest(piece, piece_starts_at, from, |rest| self.handler.source(rest));
        if self.document.source_from.is_some() {
            self.document.source_from = Some(self.document.token_end);
        }
    }

    /// Hands on one token.
    pub(crate) fn deliver(&mut self, event: Event, length: usize) -> Result<Flow, ReadError> {
        self.document.advance(length);
        if self.first_half.is_some() && !matches!(event, Event::GeneralRef(_)) {
            self.first_half = None;
            self.document.left_out += 1;
        }
        match event {
            Event::Start(tag) => {
                self.read_attributes(&tag)?;
                self.open(tag.name().into_inner())?;
                Ok(Flow::Continue)
            }
            Event::Empty(tag) => {
                self.read_attributes(&tag)?;
                self.open(tag.name().into_inner())?;
                self.close(None)
            }
            Event::End(tag) => self.close(Some(tag.name().into_inner())),
            Event::Text(text) => {
                if self.document.depth() > 0 {
                    self.text(&text)?;
                } else if !text.bytes().all(|byte| byte.is_ascii_whitespace()) {
                    self.leave_out_outside(&text)?;
                }
                Ok(Flow::Continue)
            }
            Event::CData(text) => self.character_data(&text),
            Event::GeneralRef(name) => self.reference(&name),
            // White space before it is an error in XML, but common in systems that print their answer line by line.
            Event::Decl(_) if self.root_seen => {
                Err(self.document.malformed("an XML declaration that does not stand at the beginning"))
            }
            Event::DocType(_) => Err(ReadError::Doctype { place: self.document.place() }),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::Eof => Ok(Flow::Continue),
        }
    }

    fn character_data(&mut self, text: &str) -> Result<Flow, ReadError> {
        if self.document.depth() == 0 {
            return Err(self.document.malformed(self.text_outside()));
        }
        self.text(text)?;
        Ok(Flow::Continue)
    }

    fn reference(&mut self, name: &str) -> Result<Flow, ReadError> {
        let reference = match reference::resolve(name) {
            Ok(reference) => reference,
            Err(BadReference::Entity) => {
                self.handler.unknown_entity(&self.document)?;
                return self.character_data("");
            }
            Err(bad) => return Err(self.bad_reference(bad)),
        };
        if self.forbidden == Forbidden::Refused && !matches!(reference, Reference::Character(_)) {
            return Err(self.bad_reference(BadReference::Forbidden));
        }
        let (character, left_out) = reference::character_of(reference, &mut self.first_half);
        self.document.left_out += left_out;
        let mut bytes = [0; 4];
        self.character_data(character.map_or("", |character| &*character.encode_utf8(&mut bytes)))
    }

    fn text(&mut self, text: &str) -> Result<(), ReadError> {
        if self.document.is_dropping() {
            return Ok(());
        }
        if !self.may_hold_forbidden || !reference::may_hold_forbidden(text) {
            self.document.text_length += text.len();
            return self.handler.text(text, &self.document);
        }
        if self.forbidden == Forbidden::Refused {
            return Err(self.document.malformed(FORBIDDEN_CHARACTER));
        }
        let mut allowed = std::mem::take(&mut self.allowed);
        allowed.clear();
        self.document.left_out += reference::push_allowed(text, &mut allowed);
        self.document.text_length += allowed.len();
        let result = self.handler.text(&allowed, &self.document);
        self.allowed = allowed;
        result
    }

    /// Text outside the document's element is an error, but for white space and characters that are left out of any
    /// text: some systems end their answer with a NUL.
    fn leave_out_outside(&mut self, text: &str) -> Result<(), ReadError> {
        let mut allowed = String::new();
        let left_out = reference::push_allowed(text, &mut allowed);
        if self.forbidden == Forbidden::Refused || !allowed.bytes().all(|byte| byte.is_ascii_whitespace()) {
            return Err(self.document.malformed(self.text_outside()));
        }
        self.document.left_out += left_out;
        Ok(())
    }

    fn text_outside(&self) -> &'static str {
        if self.root_seen { "text after the end of the document's element" } else { ReadError::NO_XML }
    }

    /// Begins a token that is too long to be held.
    pub(crate) fn begin_oversized(&mut self, token_skipper: &SkippedToken) -> Result<(), ReadError> {
        let is_dropping = self.document.is_dropping();
        if let SkippedToken::Tag { beginning_holds_secret: true, .. } = token_skipper {
            self.withheld.begin(self.document.offset);
        }
        match token_skipper {
            SkippedToken::Ignored(_) => Ok(()),
            SkippedToken::Tag { name, .. } => match self.names.read(name) {
                None => Err(self.document.malformed(BAD_NAME)),
                Some(_) if is_dropping => Ok(()),
                Some(Name { is_secret: true, .. }) => {
                    self.withheld.begin(self.document.offset);
                    Ok(())
                }
                Some(_) => self.handler.too_long(&self.document),
            },
            SkippedToken::CharacterData if is_dropping => Ok(()),
            SkippedToken::CharacterData => self.handler.too_long(&self.document),
        }
    }

    /// Begins an element whose tag was too long to be read beyond its name.
    pub(crate) fn open_without_attributes(&mut self, name: &str) -> Result<(), ReadError> {
        self.attributes.clear();
        self.open(name)
    }

    fn open(&mut self, written: &str) -> Result<(), ReadError> {
        let Some(name) = self.names.read(written) else {
            return Err(self.document.malformed(BAD_NAME));
        };
        if self.root_seen && self.document.depth() == 0 {
            return Err(self.document.malformed("a second element beside the document's own"));
        }
        self.document.open(written);
        if !self.root_seen && name.folded == "html" {
            return Err(self.document.unexpected(ReadError::HTML));
        }
        self.root_seen = true;
        if self.document.is_dropping() {
            return Ok(());
        }
        if name.is_secret {
            self.withheld.begin(self.document.offset);
            self.document.drop_innermost();
            return Ok(());
        }
        // A tag that holds a secret is left out of the source text, and so is the end of such a tag that was too long.
        if self.attributes.holds_secret || self.withheld.is_open() {
            self.withheld.begin(self.document.offset);
            self.withheld.end(self.document.token_end);
        }
        let tag = StartTag {
            prefix: &written[..name.local_start.saturating_sub(1)],
            local: &written[name.local_start..],
            folded: name.folded,
            number: name.number,
            all_attributes: &self.attributes,
        };
        self.document.text_length = 0;
        self.handler.start(&tag, &mut self.document)
    }

    /// Ends an element: by an end tag of this name, or `None` for an empty one.
    pub(crate) fn close(&mut self, name: Option<&str>) -> Result<Flow, ReadError> {
        if self.document.depth() == 0 {
            return Err(self.document.malformed("an end tag where no element is open"));
        }
        // The handler sees the element still open, so an end tag that closes another one is found before the handler is
        // called.
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
        self.document.text_length = 0;
        let flow = self.handler.end(&mut self.document)?;
        self.document.close();
        Ok(flow)
    }

    fn read_attributes(&mut self, tag: &BytesStart) -> Result<(), ReadError> {
        self.attributes.read(tag).map_err(|bad| match bad {
            BadAttributes::Malformed(what) => self.document.malformed(what),
            BadAttributes::Reference(bad) => self.bad_reference(bad),
        })?;
        if self.attributes.left_out > 0 && self.forbidden == Forbidden::Refused {
            return Err(self.bad_reference(BadReference::Forbidden));
        }
        self.document.left_out += self.attributes.left_out;
        Ok(())
    }

    fn bad_reference(&self, bad: BadReference) -> ReadError {
        match bad {
            BadReference::Entity => ReadError::Entity { place: self.document.place() },
            BadReference::Forbidden => self.document.malformed(FORBIDDEN_CHARACTER),
            BadReference::Number => self.document.malformed("a `&#` that no number of a character follows"),
            BadReference::Unclosed => self.document.malformed(UNCLOSED_REFERENCE),
        }
    }

    /// Ends the document.
    pub(crate) fn finish(&mut self) -> Result<(), ReadError> {
        self.document.offset = self.document.token_end;
        if self.document.depth() > 0 {
            return Err(self.document.malformed("the document is cut off: it ends inside an open element"));
        }
        if !self.root_seen {
            return Err(self.document.malformed(ReadError::EMPTY));
        }
        self.handler.finish(&self.document)
    }
}
