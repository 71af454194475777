use std::io::Read;

use super::envelope::Envelope;
use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::scan::Scanner;
use crate::tag::StartTag;
use crate::{Charset, Limits, ReadError};

/// Reads the answer to a [`purge_request`](super::purge_request) or an [`enqueue_request`](super::enqueue_request).
pub struct StatusReader<R>(Scanner<R, StatusHandler>);

impl<R: Read> StatusReader<R> {
    /// A reader of one answer; `charset` is the one that its header states, if any.
    pub fn new(input: R, charset: Option<Charset>, limits: Limits) -> Self {
        Self(Scanner::new(input, charset, limits, StatusHandler::default()))
    }

    /// Reads it to its end: `Ok` only if it says `SUCCESS`.
    ///
    /// # Errors
    /// [`ReadError::Source`] if it says `FAILURE` or holds an `error`, [`ReadError::Unexpected`] if it says neither,
    /// and every other [`ReadError`] that a document can cause. After one that [is starved](ReadError::is_starved),
    /// reading continues.
    pub fn read(&mut self) -> Result<(), ReadError> {
        self.0.run().map(|_| ())
    }
}

#[derive(Default)]
struct StatusHandler {
    envelope: Envelope,
}

impl Handler for StatusHandler {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        document.check_depth()?;
        self.envelope.start(tag, document.depth());
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        document.check_text_length()?;
        self.envelope.text(piece);
        Ok(())
    }

    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError> {
        self.envelope.end(document.depth())?;
        Ok(Flow::Continue)
    }

    fn finish(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        if self.envelope.succeeded {
            return Ok(());
        }
        Err(document.unexpected("no `status` that says SUCCESS or FAILURE"))
    }
}
