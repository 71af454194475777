use crate::{Limits, Location, ReadError};

/// The current place in a document: the open elements, and how far it has been read.
#[derive(Default)]
pub(crate) struct ParseContext {
    /// The names of the open elements, as written, one after the other.
    names: String,
    /// Where in `names` each begins.
    starts: Vec<usize>,
    /// Elements that are open below the deepest that is allowed. They are counted, not named: a document that is nested
    /// ever deeper must not fill the memory.
    unnamed: usize,
    limits: Limits,
    /// Where the current token begins, in bytes of UTF-8.
    pub(crate) offset: u64,
    /// Where it ends.
    pub(crate) token_end: u64,
    /// The depth of the customer's element that is open, and its number in the document.
    pub(crate) customer: Option<(usize, usize)>,
    /// The position from which the handler wants the source text, until it pauses; `None` while it wants none.
    pub(crate) source_from: Option<u64>,
    /// The depth of the open element that is kept from the handler, with all that is in it.
    dropped: Option<usize>,
    /// How many characters that XML forbids were left out so far.
    pub(crate) left_out: u64,
    /// Bytes of the text since the last tag.
    pub(crate) text_length: usize,
}

/// A path that is longer than this, in bytes, is cut: an error fits into one line.
const PATH_BYTES: usize = 300;

impl ParseContext {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many elements are open.
    pub(crate) fn depth(&self) -> usize {
        self.starts.len() + self.unnamed
    }

    /// Moves on to the next token, of this length.
    pub(crate) fn advance(&mut self, length: usize) {
        self.offset = self.token_end;
        self.token_end += length as u64;
    }

    pub(crate) fn open(&mut self, name: &str) {
        if self.depth() >= self.limits.depth {
            self.unnamed += 1;
            return;
        }
        self.starts.push(self.names.len());
        self.names.push_str(name);
    }

    /// Whether an end tag of this name closes the innermost element; `None` is an empty element's own end.
    pub(crate) fn innermost_is(&self, name: Option<&str>) -> bool {
        let innermost = self.starts.last().map(|start| &self.names[*start..]);
        self.unnamed > 0 || name.is_none() || name == innermost
    }

    /// Keeps the innermost element from the handler, until it is closed.
    pub(crate) fn drop_innermost(&mut self) {
        self.dropped = Some(self.depth());
    }

    /// Whether what is read is kept from the handler.
    pub(crate) fn is_dropping(&self) -> bool {
        self.dropped.is_some()
    }

    /// Closes the innermost element.
    pub(crate) fn close(&mut self) {
        if self.dropped == Some(self.depth()) {
            self.dropped = None;
        }
        if self.unnamed > 0 {
            self.unnamed -= 1;
        } else if let Some(start) = self.starts.pop() {
            self.names.truncate(start);
        }
    }

    /// The place of the current token.
    pub(crate) fn place(&self) -> Location {
        let mut path = String::new();
        let ends = self.starts.iter().skip(1).copied().chain([self.names.len()]);
        // What looks like an element within a dropped one may be part of its text.
        let shown = self.dropped.unwrap_or(usize::MAX);
        let mut is_cut = false;
        for (level, (start, end)) in self.starts.iter().zip(ends).take(shown).enumerate() {
            if path.len() + (end - start) > PATH_BYTES {
                is_cut = true;
                break;
            }
            path.push('/');
            path.push_str(&self.names[*start..end]);
            if let Some((depth, number)) = self.customer
                && depth == level + 1
            {
                path.push_str(&format!("[{number}]"));
            }
        }
        if is_cut || self.unnamed > 0 || self.depth() > shown {
            path.push_str("/…");
        }
        if path.is_empty() {
            path.push('/');
        }
        Location { path, offset: self.offset }
    }

    pub(crate) fn malformed(&self, what: &'static str) -> ReadError {
        ReadError::Malformed { what, place: self.place() }
    }

    pub(crate) fn unexpected(&self, what: impl Into<String>) -> ReadError {
        ReadError::Unexpected { what: what.into(), place: self.place() }
    }

    pub(crate) fn over_limit(&self, limit: &'static str, value: u64) -> ReadError {
        ReadError::Limit { limit, value, place: self.place() }
    }

    /// Fails if there are more than the [`Limits`] field of this name allows.
    pub(crate) fn check_limit(&self, limit: &'static str, count: usize, most: usize) -> Result<(), ReadError> {
        if count <= most { Ok(()) } else { Err(self.over_limit(limit, most as u64)) }
    }

    /// Fails if the innermost element is nested too deeply.
    pub(crate) fn check_depth(&self) -> Result<(), ReadError> {
        self.check_limit("depth", self.depth(), self.limits.depth)
    }

    /// Fails if a text of this length is too long.
    pub(crate) fn check_text(&self, length: usize) -> Result<(), ReadError> {
        self.check_limit("text_bytes", length, self.limits.text_bytes)
    }

    /// Fails if the text since the last tag is too long.
    pub(crate) fn check_text_length(&self) -> Result<(), ReadError> {
        self.check_text(self.text_length)
    }

    pub(crate) fn text_too_long(&self) -> ReadError {
        self.over_limit("text_bytes", self.limits.text_bytes as u64)
    }
}
