use super::tree::{Element, Tree};
use crate::parse_context::ParseContext;
use crate::tag::StartTag;
use crate::{Limits, RecordError};

/// The record whose element is open, in buffers that are reused from record to record.
///
/// A problem that leaves the XML well-formed costs only its record: the first such problem is noted, the rest of the
/// element is passed over, and the next record is read as usual.
#[derive(Default)]
pub(crate) struct RecordBuilder {
    pub(crate) limits: Limits,
    /// The depth of the record's element.
    pub(crate) depth: usize,
    begins_at: u64,
    elements: usize,
    tree: Tree,
    problem: Option<RecordError>,
    raw: String,
    raw_is_full: bool,
}

impl RecordBuilder {
    pub(crate) fn new(limits: Limits) -> Self {
        let customer_bytes = limits.customer_bytes.min(Tree::MOST_BYTES);
        Self { limits: Limits { customer_bytes, ..limits }, ..Self::default() }
    }

    /// Begins the record's element: its tag comes to [`start`](Self::start) next.
    pub(crate) fn begin(&mut self, document: &mut ParseContext) {
        self.depth = document.depth();
        self.begins_at = document.offset;
        self.elements = 0;
        self.tree.clear();
        self.problem = None;
        self.raw.clear();
        self.raw_is_full = false;
        document.source_from = Some(document.offset);
    }

    /// Takes a piece of the source text of the record's element.
    pub(crate) fn source(&mut self, piece: &str) {
        if self.raw_is_full {
            return;
        }
        let room = self.limits.raw - self.raw.len();
        self.raw_is_full = piece.len() > room;
        self.raw.push_str(&piece[..piece.floor_char_boundary(room)]);
    }

    /// Begins the record's element, or one within it. A foreign one is kept, and never matched; an attribute is kept if
    /// `is_data` is true for its name.
    pub(crate) fn start(
        &mut self,
        tag: &StartTag,
        is_foreign: bool,
        is_data: impl Fn(&str) -> bool,
        document: &ParseContext,
    ) {
        if self.problem.is_some() {
            return;
        }
        self.elements += 1 + tag.attributes().count();
        if document.depth() > self.limits.depth {
            return self.over_limit("depth", self.limits.depth as u64, document);
        }
        // The record's own element does not count.
        if self.elements - 1 > self.limits.elements_per_customer {
            return self.over_limit("elements_per_customer", self.limits.elements_per_customer as u64, document);
        }
        if tag.attributes().any(|(_, value)| value.len() > self.limits.text_bytes) {
            return self.too_long(document);
        }
        self.tree.open(tag, is_foreign, is_data);
        self.check_length(document);
    }

    pub(crate) fn text(&mut self, piece: &str, document: &ParseContext) {
        if self.problem.is_some() {
            return;
        }
        let length = self.tree.push_text(piece);
        if length > self.limits.text_bytes {
            return self.too_long(document);
        }
        self.check_length(document);
    }

    /// The next token holds a text or an attribute that is too long.
    pub(crate) fn too_long(&mut self, document: &ParseContext) {
        self.over_limit("text_bytes", self.limits.text_bytes as u64, document);
    }

    /// Ends an element within the record's, or the record's own.
    pub(crate) fn end(&mut self, document: &ParseContext) {
        if self.problem.is_some() {
            return;
        }
        self.tree.close();
        self.check_length(document);
    }

    /// The record's element, if it holds anything usable.
    pub(crate) fn element(&self) -> Option<Element<'_>> {
        self.tree.root()
    }

    /// What is wrong with the record, if anything is.
    pub(crate) fn take_problem(&mut self) -> Option<RecordError> {
        self.problem.take()
    }

    /// The source text of the record, once the scanner has paused after its end.
    pub(crate) fn raw(&self) -> String {
        self.raw.clone()
    }

    /// Whether the source text is longer than the part that is handed on.
    pub(crate) fn raw_is_cut(&self) -> bool {
        self.raw_is_full
    }

    fn check_length(&mut self, document: &ParseContext) {
        if document.token_end - self.begins_at > self.limits.customer_bytes {
            self.over_limit("customer_bytes", self.limits.customer_bytes, document);
        }
    }

    /// A reference to an entity that XML does not define.
    pub(crate) fn unknown_entity(&mut self, document: &ParseContext) {
        self.note("a reference to an entity that XML does not define".to_owned(), document);
    }

    fn over_limit(&mut self, limit: &'static str, value: u64, document: &ParseContext) {
        self.note(format!("more than {limit} = {value} allows"), document);
    }

    /// Notes what is wrong, unless something was noted before.
    fn note(&mut self, what: String, document: &ParseContext) {
        if self.problem.is_none() {
            self.problem = Some(RecordError { what, place: document.place() });
        }
        self.tree.clear();
    }
}
