use crate::ReadError;
use crate::parse_context::ParseContext;
use crate::tag::StartTag;

/// Whether to go on scanning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Go on.
    Continue,
    /// Stop for now: the handler has something to hand on.
    Pause,
}

/// Interprets a document. The document's state is that of the current token.
///
/// Elements that hold secrets are kept from the handler: it gets nothing of what is in them, neither as tags and texts
/// nor as source text, and no error repeats any of it. They are only checked to be well-formed.
pub(crate) trait Handler {
    /// A piece of source text, from [`ParseContext::source_from`] on.
    fn source(&mut self, _piece: &str) {}
    /// An element begins; the document has it open already.
    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError>;
    /// A piece of the innermost element's text, with references resolved.
    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError>;
    /// The innermost element ends; the document has it still open.
    fn end(&mut self, document: &mut ParseContext) -> Result<Flow, ReadError>;
    /// The next token holds a text or an attribute that is too long, and comes without it.
    fn too_long(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        Err(document.text_too_long())
    }
    /// A text or an attribute refers to an entity that XML does not define. The reference is left out.
    fn unknown_entity(&mut self, document: &ParseContext) -> Result<(), ReadError> {
        Err(ReadError::Entity { place: document.place() })
    }
    /// The document has ended.
    fn finish(&mut self, _document: &ParseContext) -> Result<(), ReadError> {
        Ok(())
    }
}
