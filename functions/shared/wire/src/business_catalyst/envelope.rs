use super::fault::{Fault, FaultInHand};
use super::namespaces::{Namespace, Namespaces};
use crate::document::Document;
use crate::scan::StartTag;
use crate::{Limits, ReadError};

/// The SOAP envelope around an answer, of either version and with any prefixes.
pub(super) struct Envelope {
    /// The name of the answer's element as the vendor writes it.
    response_name: &'static str,
    /// The same folded.
    response: String,
    namespaces: Namespaces,
    standing: Standing,
    has_body: bool,
    /// Whether the body holds the answer, or a fault.
    is_answered: bool,
    fault: FaultInHand,
}

/// What the innermost element is of which the envelope takes care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// None: the document begins or has ended.
    Outside,
    Envelope,
    /// A header, or what else may stand beside the body: nothing in it matters.
    Aside,
    Body,
    /// The answer.
    Response,
    Fault,
}

impl Envelope {
    /// An envelope in which the answer is expected under this name.
    pub(super) fn around(response_name: &'static str, limits: &Limits) -> Self {
        Self {
            response_name,
            response: response_name.to_ascii_lowercase().replace('_', ""),
            namespaces: Namespaces::new(limits.depth),
            standing: Standing::Outside,
            has_body: false,
            is_answered: false,
            fault: FaultInHand::default(),
        }
    }

    /// What prefixes stand for at the tag that was read last.
    pub(super) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// The name of an element as the vendor knows it, folded; nothing for an element of another namespace. One without
    /// any namespace is taken for the vendor's.
    pub(super) fn known_name<'a>(&self, tag: &StartTag<'a>) -> &'a str {
        match self.namespaces.of_element(tag) {
            Namespace::None | Namespace::BusinessCatalyst => tag.folded,
            Namespace::Soap | Namespace::SchemaInstance | Namespace::Other => "",
        }
    }

    /// The same of an element as SOAP knows it.
    fn soap_name<'a>(&self, tag: &StartTag<'a>) -> &'a str {
        match self.namespaces.of_element(tag) {
            Namespace::None | Namespace::Soap => tag.folded,
            Namespace::BusinessCatalyst | Namespace::SchemaInstance | Namespace::Other => "",
        }
    }

    /// Whether the innermost element is the answer, or stands within it.
    pub(super) fn is_in_response(&self) -> bool {
        self.standing == Standing::Response
    }

    /// An element begins. An error where this can't become the expected answer.
    pub(super) fn start(&mut self, tag: &StartTag, document: &Document) -> Result<(), ReadError> {
        self.namespaces.enter(tag, document.depth());
        let soap_name = self.soap_name(tag);
        match (self.standing, soap_name) {
            (Standing::Outside, "envelope") => self.standing = Standing::Envelope,
            (Standing::Outside, _) => return Err(document.unexpected("the document's element is no SOAP `Envelope`")),
            (Standing::Envelope, "body") if self.has_body => return Err(document.unexpected("a second `Body`")),
            (Standing::Envelope, "body") => {
                self.has_body = true;
                self.standing = Standing::Body;
            }
            (Standing::Envelope, _) => self.standing = Standing::Aside,
            (Standing::Body, _) if self.is_answered => {
                return Err(document.unexpected("a second element in the `Body`"));
            }
            (Standing::Body, "fault") => {
                self.is_answered = true;
                self.standing = Standing::Fault;
            }
            (Standing::Body, _) if self.known_name(tag) == self.response => {
                self.is_answered = true;
                self.standing = Standing::Response;
            }
            (Standing::Body, _) => return Err(document.unexpected(self.missing())),
            (Standing::Fault, _) => self.fault.start(tag),
            (Standing::Aside | Standing::Response, _) => {}
        }
        Ok(())
    }

    /// A piece of text. An error where none can stand.
    pub(super) fn text(&mut self, piece: &str, document: &Document) -> Result<(), ReadError> {
        match self.standing {
            Standing::Envelope | Standing::Body => check_blank(piece, document),
            Standing::Fault => {
                self.fault.text(piece);
                Ok(())
            }
            Standing::Outside | Standing::Aside | Standing::Response => Ok(()),
        }
    }

    /// The innermost element ends; a fault where it was one.
    pub(super) fn end(&mut self, document: &Document) -> Option<Fault> {
        let depth = document.depth();
        self.namespaces.leave(depth);
        let mut ended = None;
        match (self.standing, depth) {
            (_, 1) => self.standing = Standing::Outside,
            (_, 2) => self.standing = Standing::Envelope,
            (standing, 3) if standing != Standing::Aside => {
                ended = (standing == Standing::Fault).then(|| self.fault.take());
                self.standing = Standing::Body;
            }
            (Standing::Fault, _) => self.fault.end(),
            _ => {}
        }
        ended
    }

    /// The document has ended. An error where it held no answer.
    pub(super) fn finish(&self, document: &Document) -> Result<(), ReadError> {
        if self.is_answered { Ok(()) } else { Err(document.unexpected(self.missing())) }
    }

    fn missing(&self) -> String {
        format!("the `Body` holds neither `{}` nor a `Fault`", self.response_name)
    }
}

/// An error where a piece of text is more than white space between elements.
pub(super) fn check_blank(piece: &str, document: &Document) -> Result<(), ReadError> {
    if piece.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Ok(());
    }
    Err(document.unexpected("a text where an element should begin"))
}
