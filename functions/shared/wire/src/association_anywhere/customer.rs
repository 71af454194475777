use super::details::Detail;
use super::mapping::content_of;
use crate::document::Document;
use crate::scan::StartTag;
use crate::tree::Tree;
use crate::{Limits, RecordError};

/// The customer whose element is open, in buffers that are reused from customer to customer.
///
/// What is wrong with a customer and leaves the XML well-formed costs that customer only: the first such problem is
/// noted, the rest of the element is passed over, and the next customer is read as if nothing had been.
pub(super) struct CustomerInHand {
    limits: Limits,
    /// The depth of the customer's element.
    pub(super) depth: usize,
    prefix: String,
    begins_at: u64,
    elements: usize,
    tree: Tree,
    problem: Option<RecordError>,
    id: CustomerId,
    raw: String,
    raw_is_full: bool,
}

/// What the customer's element says of its id. It is read apart from the tree, so that it is known even of a customer
/// that has a problem.
#[derive(Default)]
struct CustomerId {
    is_open: bool,
    text: String,
    found: Option<String>,
    is_invalid: Option<&'static str>,
}

impl CustomerInHand {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            depth: 0,
            prefix: String::new(),
            begins_at: 0,
            elements: 0,
            tree: Tree::default(),
            problem: None,
            id: CustomerId::default(),
            raw: String::new(),
            raw_is_full: false,
        }
    }

    /// The customer's element begins with this tag.
    pub(super) fn begin(&mut self, tag: &StartTag, document: &mut Document) {
        self.depth = document.depth();
        self.prefix.clear();
        self.prefix.push_str(tag.prefix);
        self.begins_at = document.offset;
        self.elements = 0;
        self.tree.clear();
        self.problem = None;
        self.id = CustomerId::default();
        self.raw.clear();
        self.raw_is_full = false;
        document.source_from = Some(document.offset);
        self.start(tag, document);
    }

    /// Source text of the customer's element, piece by piece.
    pub(super) fn source(&mut self, piece: &str) {
        if self.raw_is_full {
            return;
        }
        let room = self.limits.raw - self.raw.len();
        self.raw_is_full = piece.len() > room;
        self.raw.push_str(&piece[..piece.floor_char_boundary(room)]);
    }

    /// Whether the element is the customer's id.
    pub(super) fn is_id(&self, tag: &StartTag, document: &Document) -> bool {
        document.depth() == self.depth + 1 && tag.folded == "custid" && !self.is_foreign(tag)
    }

    /// Whether an id has been seen.
    pub(super) fn has_id(&self) -> bool {
        self.id.found.is_some() || self.id.is_invalid.is_some()
    }

    /// A prefix of its own makes an element foreign; none is that of a document that qualifies only its outer elements.
    fn is_foreign(&self, tag: &StartTag) -> bool {
        !tag.prefix.is_empty() && tag.prefix != self.prefix
    }

    /// The customer's element or one within it begins.
    pub(super) fn start(&mut self, tag: &StartTag, document: &Document) {
        if self.is_id(tag, document) {
            self.id.is_open = true;
            self.id.text.clear();
        }
        if self.problem.is_some() {
            return;
        }
        self.elements += 1 + tag.attributes().count();
        if document.depth() > self.limits.depth {
            return self.over_limit("depth", self.limits.depth as u64, document);
        }
        // The customer's own element does not count.
        if self.elements - 1 > self.limits.elements_per_customer {
            return self.over_limit("elements_per_customer", self.limits.elements_per_customer as u64, document);
        }
        if tag.attributes().any(|(_, value)| value.len() > self.limits.text_bytes) {
            return self.too_long(document);
        }
        self.tree.open(tag, self.is_foreign(tag));
        self.check_length(document);
    }

    pub(super) fn text(&mut self, piece: &str, document: &Document) {
        if self.id.is_open && document.depth() == self.depth + 1 && self.id.text.len() <= self.limits.text_bytes {
            self.id.text.push_str(piece);
        }
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
    pub(super) fn too_long(&mut self, document: &Document) {
        self.over_limit("text_bytes", self.limits.text_bytes as u64, document);
    }

    /// An element within the customer's ends, or the customer's.
    pub(super) fn end(&mut self, document: &Document) {
        if self.id.is_open && document.depth() == self.depth + 1 {
            self.id.close(&self.limits);
        }
        if self.problem.is_some() {
            return;
        }
        self.tree.close();
        self.check_length(document);
    }

    /// The source text of the customer whose element has ended.
    pub(super) fn raw(&self) -> String {
        self.raw.clone()
    }

    /// The customer's element has ended. Its source text comes later: see [`raw`](Self::raw).
    pub(super) fn finish(&mut self, document: &Document) -> Detail {
        let place = document.place();
        let id = std::mem::take(&mut self.id).into_result();
        let problem = self.problem.take().or_else(|| {
            let what = self.has_error().then_some("the vendor answered with an error for this customer")?;
            Some(RecordError { what: what.to_owned(), place: place.clone() })
        });
        let content = match (problem, &id, self.tree.root()) {
            (Some(problem), _, _) => Err(problem),
            (None, Err(what), _) => Err(RecordError { what: (*what).to_owned(), place }),
            (None, Ok(_), Some(customer)) => Ok(content_of(customer)),
            (None, Ok(_), None) => Err(RecordError { what: "an element that holds nothing".to_owned(), place }),
        };
        Detail { source_id: id.ok(), content, raw: String::new() }
    }

    fn has_error(&self) -> bool {
        let customer = self.tree.root();
        let mut children = customer.into_iter().flat_map(|customer| customer.children());
        children.any(|child| child.known_name() == "error" && !child.is_empty())
    }

    fn check_length(&mut self, document: &Document) {
        if document.token_end - self.begins_at > self.limits.customer_bytes {
            self.over_limit("customer_bytes", self.limits.customer_bytes, document);
        }
    }

    fn over_limit(&mut self, limit: &'static str, value: u64, document: &Document) {
        if self.problem.is_none() {
            let what = format!("more than {limit} = {value} allows");
            self.problem = Some(RecordError { what, place: document.place() });
        }
        self.tree.clear();
    }
}

impl CustomerId {
    fn close(&mut self, limits: &Limits) {
        self.is_open = false;
        let id = self.text.trim();
        if id.is_empty() {
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
