use model::Content;

use super::mapping::content_of;
use crate::parse_context::ParseContext;
use crate::record::RecordBuilder;
use crate::tag::StartTag;
use crate::{Limits, RecordError};

/// One customer of an answer.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The source's `custId`; `None` if the customer's element has no usable one.
    pub source_id: Option<String>,
    /// The customer's data, or why they can't be used.
    ///
    /// Entries of the sections that have fields stand in one order, however the source lists them: the primary one
    /// first, then by value. What has no field is under `attributes` by the source's names: of entry `i` of `phones` at
    /// `attributes["phones"][i]`, and what stands on or in the `phones` element beside its entries at
    /// `attributes["phones#section"]`.
    pub content: Result<Content, RecordError>,
    /// The exact source text of the customer's element, cut to [`Limits::raw`] bytes, without secrets. It is personal
    /// data: it may be stored where the customer's record may, and never logged.
    ///
    /// A reader that knows [what was asked for](super::DetailsReader::of_asked) keeps it only if an operator may need
    /// it: for a customer that can't be used, and for one that is longer than that, which a store may refuse.
    pub raw: String,
}

/// The customer whose element is open.
pub(super) struct CustomerBuilder {
    pub(super) record: RecordBuilder,
    prefix: String,
    id: CustId,
}

/// The id in the customer's element. It is read apart from the tree, so that it is known even of a customer that has a
/// problem.
#[derive(Default)]
struct CustId {
    is_open: bool,
    /// How many characters of the document had been left out when it began.
    left_out_before: u64,
    text: String,
    found: Option<String>,
    is_invalid: Option<&'static str>,
}

impl CustomerBuilder {
    pub(super) fn new(limits: Limits) -> Self {
        Self { record: RecordBuilder::new(limits), prefix: String::new(), id: CustId::default() }
    }

    /// The customer's element begins with this tag.
    pub(super) fn begin(&mut self, tag: &StartTag, document: &mut ParseContext) {
        self.prefix.clear();
        self.prefix.push_str(tag.prefix);
        self.id = CustId::default();
        self.record.begin(document);
        self.start(tag, document);
    }

    /// Whether the element is the customer's id.
    pub(super) fn is_id(&self, tag: &StartTag, document: &ParseContext) -> bool {
        document.depth() == self.record.depth + 1 && tag.folded == "custid" && !self.is_foreign(tag)
    }

    /// Whether an id has been seen.
    pub(super) fn has_id(&self) -> bool {
        self.id.found.is_some() || self.id.is_invalid.is_some()
    }

    /// The customer's id, once it has been seen, if it can be one.
    pub(super) fn id(&self) -> Option<&str> {
        if self.id.is_invalid.is_some() { None } else { self.id.found.as_deref() }
    }

    /// An element with a prefix of its own is foreign. None is foreign in a document that qualifies only its outer
    /// elements.
    fn is_foreign(&self, tag: &StartTag) -> bool {
        !tag.prefix.is_empty() && tag.prefix != self.prefix
    }

    /// Begins the customer's element, or one within it.
    pub(super) fn start(&mut self, tag: &StartTag, document: &ParseContext) {
        if self.is_id(tag, document) {
            self.id.is_open = true;
            self.id.left_out_before = document.left_out;
            self.id.text.clear();
        }
        self.record.start(tag, self.is_foreign(tag), |_| true, document);
    }

    pub(super) fn text(&mut self, piece: &str, document: &ParseContext) {
        let text_bytes = self.record.limits.text_bytes;
        if self.id.is_open && document.depth() == self.record.depth + 1 && self.id.text.len() <= text_bytes {
            self.id.text.push_str(piece);
        }
        self.record.text(piece, document);
    }

    /// Ends an element within the customer's, or the customer's own.
    pub(super) fn end(&mut self, document: &ParseContext) {
        if self.id.is_open && document.depth() == self.record.depth + 1 {
            self.id.close(&self.record.limits, document.left_out);
        }
        self.record.end(document);
    }

    /// Ends the customer. Its source text comes later: see [`RecordBuilder::raw`].
    pub(super) fn finish(&mut self, document: &ParseContext) -> Detail {
        let error = |what: &str| RecordError { what: what.to_owned(), place: document.place() };
        let id = std::mem::take(&mut self.id).into_result();
        let problem = self
            .record
            .take_problem()
            .or_else(|| self.has_error().then(|| error("the source answered with an error for this customer")));
        let content = match (problem, &id, self.record.element()) {
            (Some(problem), _, _) => Err(problem),
            (None, Err(what), _) => Err(error(what)),
            (None, Ok(_), Some(customer)) => Ok(content_of(customer)),
            (None, Ok(_), None) => Err(error("an element that holds nothing")),
        };
        Detail { source_id: id.ok(), content, raw: String::new() }
    }

    fn has_error(&self) -> bool {
        let customer = self.record.element();
        let mut children = customer.into_iter().flat_map(|customer| customer.children());
        children.any(|child| child.known_name() == "error" && !child.is_empty())
    }
}

impl CustId {
    fn close(&mut self, limits: &Limits, left_out: u64) {
        self.is_open = false;
        let id = self.text.trim();
        if left_out != self.left_out_before {
            // With the character left out, it would be another customer's id.
            self.is_invalid = Some("`custId` holds a control character, or another that XML forbids");
        } else if id.is_empty() {
            self.is_invalid = Some("`custId` is empty");
        } else if id.len() > limits.id_bytes {
            self.is_invalid = Some("`custId` is longer than id_bytes allows");
        } else if id.chars().any(char::is_control) {
            self.is_invalid = Some("`custId` holds a control character");
        } else if self.found.as_ref().is_some_and(|found| found != id) {
            self.is_invalid = Some("`custId` is given twice, with different ids");
        } else {
            self.found = Some(id.to_owned());
        }
    }

    fn into_result(self) -> Result<String, &'static str> {
        match (self.is_invalid, self.found) {
            (Some(why), _) => Err(why),
            (None, Some(found)) => Ok(found),
            (None, None) => Err("`custId` is missing"),
        }
    }
}
