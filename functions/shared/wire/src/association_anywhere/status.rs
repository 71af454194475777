use std::io::Read;

use super::envelope::Envelope;
use crate::document::Document;
use crate::scan::{Flow, Handler, Scanner, StartTag};
use crate::{Limits, ReadError};

/// Reads the answer to a [`purge_request`](super::purge_request) or an [`enqueue_request`](super::enqueue_request):
/// `Ok` only where it says `SUCCESS`.
///
/// # Errors
///
/// [`ReadError::Vendor`] where it says `FAILURE` or holds an `error`, [`ReadError::Unexpected`] where it says neither,
/// and every other [`ReadError`] that a document can cause.
pub fn read_status(input: impl Read, limits: &Limits) -> Result<(), ReadError> {
    Scanner::new(input, *limits).run(&mut StatusHandler::default())?;
    Ok(())
}

#[derive(Default)]
struct StatusHandler {
    envelope: Envelope,
    text_length: usize,
}

impl Handler for StatusHandler {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut Document) -> Result<(), ReadError> {
        document.check_depth()?;
        self.text_length = 0;
        self.envelope.start(tag, document.depth());
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &Document) -> Result<(), ReadError> {
        self.text_length += piece.len();
        document.check_text(self.text_length)?;
        self.envelope.text(piece);
        Ok(())
    }

    fn end(&mut self, document: &mut Document) -> Result<Flow, ReadError> {
        self.text_length = 0;
        self.envelope.end(document.depth())?;
        Ok(Flow::Continue)
    }

    fn finish(&mut self, document: &Document) -> Result<(), ReadError> {
        if self.envelope.succeeded {
            return Ok(());
        }
        Err(document.unexpected("no `status` that says SUCCESS or FAILURE"))
    }
}
