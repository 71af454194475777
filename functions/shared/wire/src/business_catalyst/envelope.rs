use super::fault::{Fault, FaultBuilder};
use super::namespaces::{Namespace, Namespaces};
use crate::parse_context::ParseContext;
use crate::tag::StartTag;
use crate::{Limits, ReadError};

/// The SOAP envelope around an answer, of either version and with any prefixes.
pub(super) struct Envelope {
    /// The name of the answer's element as the source writes it.
    response_name: &'static str,
    /// The same folded.
    response: String,
    namespaces: Namespaces,
    state: State,
    has_body: bool,
    /// Whether the body holds the answer, or a fault.
    is_answered: bool,
    fault: FaultBuilder,
}

/// The innermost element that the envelope handles.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// None: the document begins or has ended.
    Outside,
    Envelope,
    /// A header, or another element beside the body: it is ignored.
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
            state: State::Outside,
            has_body: false,
            is_answered: false,
            fault: FaultBuilder::default(),
        }
    }

    /// The meanings of prefixes at the last tag.
    pub(super) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// The folded name of an element of the source's namespace, or of none; empty for an element of another namespace.
    pub(super) fn known_name<'a>(&self, tag: &StartTag<'a>) -> &'a str {
        self.name_in(Namespace::BusinessCatalyst, tag)
    }

    fn name_in<'a>(&self, namespace: Namespace, tag: &StartTag<'a>) -> &'a str {
        let own = self.namespaces.of_element(tag);
        if own == Namespace::None || own == namespace { tag.folded } else { "" }
    }

    /// Whether the innermost element is the answer, or within it.
    pub(super) fn is_in_response(&self) -> bool {
        self.state == State::Response
    }

    /// Begins an element. Fails if this can't become the expected answer.
    pub(super) fn start(&mut self, tag: &StartTag, document: &ParseContext) -> Result<(), ReadError> {
        self.namespaces.enter(tag, document.depth());
        match (self.state, self.name_in(Namespace::Soap, tag)) {
            (State::Outside, "envelope") => self.state = State::Envelope,
            (State::Outside, _) => return Err(document.unexpected("the document's element is no SOAP `Envelope`")),
            (State::Envelope, "body") if self.has_body => return Err(document.unexpected("a second `Body`")),
            (State::Envelope, "body") => {
                self.has_body = true;
                self.state = State::Body;
            }
            (State::Envelope, _) => self.state = State::Aside,
            (State::Body, _) if self.is_answered => {
                return Err(document.unexpected("a second element in the `Body`"));
            }
            (State::Body, "fault") => {
                self.is_answered = true;
                self.state = State::Fault;
            }
            (State::Body, _) if self.known_name(tag) == self.response => {
                self.is_answered = true;
                self.state = State::Response;
            }
            (State::Body, _) => return Err(document.unexpected(self.missing())),
            (State::Fault, _) => self.fault.start(tag),
            (State::Aside | State::Response, _) => {}
        }
        Ok(())
    }

    /// Takes a piece of text. Fails if none may stand here.
    pub(super) fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        match self.state {
            State::Envelope | State::Body => check_blank(piece, document),
            State::Fault => {
                self.fault.text(piece);
                Ok(())
            }
            State::Outside | State::Aside | State::Response => Ok(()),
        }
    }

    /// Ends the innermost element; returns a fault if it was one.
    pub(super) fn end(&mut self, document: &ParseContext) -> Option<Fault> {
        let depth = document.depth();
        self.namespaces.leave(depth);
        let mut ended = None;
        match (self.state, depth) {
            (_, 1) => self.state = State::Outside,
            (_, 2) => self.state = State::Envelope,
            (state, 3) if state != State::Aside => {
                ended = (state == State::Fault).then(|| self.fault.take());
                self.state = State::Body;
            }
            (State::Fault, _) => self.fault.end(),
            _ => {}
        }
        ended
    }

    /// Ends the document. Fails if it held no answer.
    pub(super) fn finish(&self, document: &ParseContext) -> Result<(), ReadError> {
        if self.is_answered { Ok(()) } else { Err(document.unexpected(self.missing())) }
    }

    fn missing(&self) -> String {
        format!("the `Body` holds neither `{}` nor a `Fault`", self.response_name)
    }
}

/// Fails if a piece of text is more than white space between elements.
pub(super) fn check_blank(piece: &str, document: &ParseContext) -> Result<(), ReadError> {
    if piece.bytes().all(|byte| byte.is_ascii_whitespace()) {
        return Ok(());
    }
    Err(document.unexpected("a text where an element should begin"))
}
