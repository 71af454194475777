use std::io::Read;

use super::envelope::Envelope;
use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::scan::Scanner;
use crate::tag::StartTag;
use crate::{Limits, ReadError};

/// Reads the answer to an [`update_insert_request`](super::update_insert_request) (`ContactList_UpdateInsert`),
/// whatever the HTTP status that it came with: `Ok` only if it is the element with which the source confirms that
/// everything was written. That element is empty; it names no ids.
///
/// # Errors
/// [`ReadError::Source`] for any fault, [`ReadError::Unexpected`] for what is no answer to this request, and every
/// other [`ReadError`] that a document can cause.
pub fn read_update_insert_answer(input: impl Read, limits: &Limits) -> Result<(), ReadError> {
    let envelope = Envelope::around("ContactList_UpdateInsertResponse", limits);
    Scanner::new(input, None, *limits, UpdateInsertHandler(envelope)).run()?;
    Ok(())
}

struct UpdateInsertHandler(Envelope);

impl Handler for UpdateInsertHandler {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        document.check_depth()?;
        self.0.start(tag, document)
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        document.check_text_length()?;
        self.0.text(piece, document)
    }

    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError> {
        match self.0.end(document) {
            Some(fault) => Err(fault.into_error()),
            None => Ok(Flow::Continue),
        }
    }

    fn finish(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        self.0.finish(document)
    }
}
