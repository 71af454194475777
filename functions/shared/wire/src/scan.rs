//! Reads a document's tags and texts, one after the other, for a handler.
//!
//! The tokens are found by quick-xml in a buffer that holds little more than one chunk of input. A token that the
//! buffer holds only in part is scanned again when more has come; one that is longer than any limit allows is skipped
//! without being held. It checks what makes a document well-formed, so that a handler sees open and close as pairs.

use std::io::Read;

use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::events::{BytesText, Event};

use crate::charset::Charset;
use crate::decode::{CHUNK_BYTES, DecodeError, Utf8Source};
use crate::dispatcher::{EventDispatcher, Forbidden, UNCLOSED_REFERENCE};
use crate::handler::{Flow, Handler};
use crate::reference::may_hold_forbidden;
use crate::token_skipper::SkippedToken;
use crate::{Limits, ReadError};

/// A reference that is longer than this has lost its `;`.
const REFERENCE_BYTES: usize = 64;

/// An error this close to the end of the buffer may only mean that the rest of the token has not come yet.
const LOOKAHEAD_BYTES: usize = 16;

/// Scans a document from its beginning to its end.
pub(crate) struct Scanner<R, H> {
    source: Utf8Source<R>,
    buffer: String,
    /// Where in the buffer the next token begins.
    position: usize,
    /// Whether the buffer holds the document's end.
    ended: bool,
    token_skipper: Option<SkippedToken>,
    pub(crate) dispatcher: EventDispatcher<H>,
    is_finished: bool,
}

impl<R: Read, H: Handler> Scanner<R, H> {
    /// A scanner of a system's answer; `charset` is the one that its header states, if any.
    pub(crate) fn new(input: R, charset: Option<Charset>, limits: Limits, handler: H) -> Self {
        Self {
            source: Utf8Source::new(input, charset),
            buffer: String::new(),
            position: 0,
            ended: false,
            token_skipper: None,
            dispatcher: EventDispatcher::new(handler, limits),
            is_finished: false,
        }
    }

    /// A scanner of a document that is pushed to us.
    pub(crate) fn of_push(input: R, limits: Limits, handler: H) -> Self {
        let mut scanner = Self::new(input, None, limits, handler);
        scanner.dispatcher.forbidden = Forbidden::Refused;
        scanner
    }

    /// How many characters that XML forbids were left out so far.
    pub(crate) fn left_out(&self) -> u64 {
        self.dispatcher.document.left_out
    }

    /// Scans on until the handler pauses: `Pause`; or to the document's end: `Continue`. If the input has no more for
    /// the moment, it fails with that error and may be called again.
    pub(crate) fn run(&mut self) -> Result<Flow, ReadError> {
        loop {
            let flow = match self.token_skipper.take() {
                Some(token_skipper) => self.pass_over(token_skipper)?,
                None => self.scan_buffer()?,
            };
            if flow == Flow::Pause {
                self.dispatcher.document.source_from = None;
                return Ok(Flow::Pause);
            }
            if self.token_skipper.is_none() {
                if self.ended {
                    self.dispatcher.finish()?;
                    return Ok(Flow::Continue);
                }
                self.note_oversized()?;
            }
            self.read_more()?;
        }
    }

    /// Scans on until the handler pauses; `None` once the document has ended, or an error has ended the reading.
    pub(crate) fn next_pause(&mut self) -> Option<Result<(), ReadError>> {
        if self.is_finished {
            return None;
        }
        let flow = self.run();
        self.is_finished = match &flow {
            Ok(flow) => *flow != Flow::Pause,
            Err(error) => !error.is_starved(),
        };
        match flow {
            Ok(Flow::Continue) => None,
            flow => Some(flow.map(|_| ())),
        }
    }

    fn read_more(&mut self) -> Result<(), ReadError> {
        self.buffer.drain(..self.position);
        self.position = 0;
        let length_before = self.buffer.len();
        let more = self.source.read_more(&mut self.buffer);
        self.dispatcher.may_hold_forbidden |= may_hold_forbidden(&self.buffer[length_before..]);
        let document = &self.dispatcher.document;
        match more {
            Ok(true) => {}
            Ok(false) if self.token_skipper.is_some() => {
                return Err(document.malformed("the document ends inside a tag, comment or CDATA section"));
            }
            Ok(false) => self.ended = true,
            Err(DecodeError::Io(error)) => return Err(ReadError::Io(error)),
            Err(DecodeError::Encoding(what)) => return Err(ReadError::Encoding { what }),
            Err(DecodeError::InsideCharacter) => {
                return Err(document.malformed("the document ends inside a character"));
            }
        }
        let length = document.token_end + self.buffer.len() as u64;
        let allowed = self.dispatcher.limits.document_bytes;
        if length > allowed {
            return Err(document.over_limit("document_bytes", allowed));
        }
        Ok(())
    }

    /// Hands on every token that the buffer holds whole.
    fn scan_buffer(&mut self) -> Result<Flow, ReadError> {
        let Self { buffer, position, ended, dispatcher, .. } = self;
        // quick-xml would take it for a byte order mark at every start of reading.
        while buffer[*position..].starts_with('\u{feff}') {
            let mark = &buffer[*position..*position + '\u{feff}'.len_utf8()];
            let mark_starts_at = dispatcher.document.token_end;
            dispatcher.deliver(Event::Text(BytesText::from_escaped(mark)), mark.len())?;
            dispatcher.forward_source(mark, mark_starts_at);
            *position += mark.len();
        }
        let text = &buffer[*position..];
        let is_lenient = dispatcher.forbidden == Forbidden::LeftOut;
        let text = if is_lenient && !*ended { before_open_reference(text) } else { text };
        let mut reader = Reader::from_str(text);
        // Old systems write `A & B`: from a source it is read as it is meant, and in a push it is refused.
        reader.config_mut().allow_dangling_amp = is_lenient;
        // End tags are matched by `ParseContext`: this reader begins anew with each chunk and knows no open elements.
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        let text_starts_at = dispatcher.document.token_end;
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
                    dispatcher.document.offset = dispatcher.document.token_end;
                    // As where the buffer holds only its beginning: see `note_oversized`.
                    if is_doctype(&text[token_start..]) {
                        return Err(ReadError::Doctype { place: dispatcher.document.place() });
                    }
                    return Err(dispatcher.document.malformed(describe(&error)));
                }
            };
            let token_end = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
            flow = dispatcher.deliver(event, token_end - token_start)?;
            token_start = token_end;
        }
        dispatcher.forward_source(&text[..token_start], text_starts_at);
        *position += token_start;
        Ok(flow)
    }

    /// Checks a token that the buffer holds only in part.
    fn note_oversized(&mut self) -> Result<(), ReadError> {
        let token = &self.buffer[self.position..];
        let document = &mut self.dispatcher.document;
        document.offset = document.token_end;
        if is_doctype(token) {
            return Err(ReadError::Doctype { place: document.place() });
        }
        if token.starts_with('&') && token.len() > REFERENCE_BYTES {
            return Err(document.malformed(UNCLOSED_REFERENCE));
        }
        if token.len() <= self.dispatcher.limits.text_bytes.saturating_add(2 * CHUNK_BYTES) {
            return Ok(());
        }
        let Some(token_skipper) = SkippedToken::new(token) else {
            return Err(document.malformed("a tag that does not end"));
        };
        self.dispatcher.begin_oversized(&token_skipper)?;
        self.token_skipper = Some(token_skipper);
        Ok(())
    }

    /// Drops what the buffer holds of a token that is skipped; at its end, an element begins if it was a tag.
    fn pass_over(&mut self, mut token_skipper: SkippedToken) -> Result<Flow, ReadError> {
        let (length, complete) = token_skipper.pass(&self.buffer[self.position..]);
        let piece = &self.buffer[self.position..self.position + length];
        let piece_starts_at = self.dispatcher.document.token_end;
        self.dispatcher.document.advance(piece.len());
        self.dispatcher.forward_source(piece, piece_starts_at);
        self.position += length;
        if !complete {
            self.token_skipper = Some(token_skipper);
            return Ok(Flow::Continue);
        }
        let SkippedToken::Tag { name, last, .. } = token_skipper else {
            return self.scan_buffer();
        };
        self.dispatcher.open_without_attributes(&name)?;
        if last == b'/' && self.dispatcher.close(None)? == Flow::Pause {
            return Ok(Flow::Pause);
        }
        self.scan_buffer()
    }
}

fn is_doctype(token: &str) -> bool {
    matches!(token.as_bytes(), [b'<', b'!', b'D' | b'd', ..])
}

/// A chunk without a reference that its end may have cut in two.
fn before_open_reference(text: &str) -> &str {
    let Some(begin) = text.rfind('&') else { return text };
    let is_open = text.len() - begin < LOOKAHEAD_BYTES && !text[begin..].contains([';', '<']);
    if is_open { &text[..begin] } else { text }
}

/// The error that quick-xml found. Its own words would repeat contents of the document.
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
