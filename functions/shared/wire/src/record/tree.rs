//! One record's element as a tree, in buffers that are reused from record to record.

use std::borrow::Cow;
use std::ops::Range;

use crate::tag::StartTag;

/// What XML calls white space: it is ignored at either end of a text.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// An element with all that is in it. Every name and text stands in one buffer.
#[derive(Default)]
pub(crate) struct Tree {
    buffer: String,
    nodes: Vec<Node>,
    /// The name and the value of each.
    attributes: Vec<(Range<usize>, Range<usize>)>,
    /// The open elements, the outermost first.
    open: Vec<usize>,
}

#[derive(Default)]
struct Node {
    /// The name that data are kept under: the local name as written, for a foreign element with its prefix.
    key: Range<usize>,
    folded: Range<usize>,
    foreign: bool,
    text: Range<usize>,
    /// Text that came after a child with text of its own, so that it could not be joined to `text` in the buffer.
    late_text: String,
    attributes: Range<usize>,
    first_child: Option<usize>,
    last_child: Option<usize>,
    next_sibling: Option<usize>,
}

impl Tree {
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.nodes.clear();
        self.attributes.clear();
        self.open.clear();
    }

    /// Begins an element. A foreign one is kept, and never matched; of its attributes, those that are data are kept.
    pub(crate) fn open(&mut self, tag: &StartTag, foreign: bool, is_data: impl Fn(&str) -> bool) {
        let attributes_start = self.attributes.len();
        for (name, value) in tag.attributes().filter(|(name, _)| is_data(name)) {
            let name = self.push(name);
            let value = self.push(value);
            self.attributes.push((name, value));
        }
        let key_start = self.buffer.len();
        if foreign && !tag.prefix.is_empty() {
            self.push(tag.prefix);
            self.push(":");
        }
        self.push(tag.local);
        let key = key_start..self.buffer.len();
        let folded = self.push(tag.folded);
        let index = self.nodes.len();
        self.nodes.push(Node {
            key,
            folded,
            foreign,
            attributes: attributes_start..self.attributes.len(),
            ..Node::default()
        });
        if let Some(parent) = self.open.last().copied() {
            match self.nodes[parent].last_child.replace(index) {
                Some(previous) => self.nodes[previous].next_sibling = Some(index),
                None => self.nodes[parent].first_child = Some(index),
            }
        }
        self.open.push(index);
    }

    /// Adds to the innermost element's text. Returns the length of that text so far.
    pub(crate) fn push_text(&mut self, piece: &str) -> usize {
        let Some(node) = self.open.last().and_then(|index| self.nodes.get_mut(*index)) else {
            return 0;
        };
        if !node.late_text.is_empty() || (!node.text.is_empty() && node.text.end != self.buffer.len()) {
            node.late_text.push_str(piece);
        } else if node.text.is_empty() {
            let start = self.buffer.len();
            self.buffer.push_str(piece.trim_start_matches(WHITE_SPACE));
            node.text = start..self.buffer.len();
        } else {
            self.buffer.push_str(piece);
            node.text.end = self.buffer.len();
        }
        node.text.len() + node.late_text.len()
    }

    /// Ends the innermost element.
    pub(crate) fn close(&mut self) {
        self.open.pop();
    }

    /// The outermost element, if there is one.
    pub(crate) fn root(&self) -> Option<Element<'_>> {
        self.nodes.first().map(|node| Element { tree: self, node })
    }

    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.buffer.len();
        self.buffer.push_str(text);
        start..self.buffer.len()
    }
}

/// One element of a tree.
#[derive(Clone, Copy)]
pub(crate) struct Element<'t> {
    tree: &'t Tree,
    node: &'t Node,
}

impl<'t> Element<'t> {
    /// The name that data are kept under.
    pub(crate) fn key(self) -> &'t str {
        &self.tree.buffer[self.node.key.clone()]
    }

    /// The name to compare with known names; empty for a foreign element, which never matches.
    pub(crate) fn known_name(self) -> &'t str {
        if self.node.foreign { "" } else { self.folded_name() }
    }

    /// The local name in lower case and without `-` and `_`.
    pub(crate) fn folded_name(self) -> &'t str {
        &self.tree.buffer[self.node.folded.clone()]
    }

    /// The element's own text without white space at its ends; line ends are `\n`.
    pub(crate) fn text(self) -> Cow<'t, str> {
        let text = &self.tree.buffer[self.node.text.clone()];
        if self.node.late_text.is_empty() && !text.contains('\r') {
            return Cow::Borrowed(text.trim_end_matches(WHITE_SPACE));
        }
        let joined = format!("{text}{}", self.node.late_text).replace("\r\n", "\n").replace('\r', "\n");
        Cow::Owned(joined.trim_matches(WHITE_SPACE).to_owned())
    }

    /// Names as written, and values.
    pub(crate) fn attributes(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let attributes = &self.tree.attributes[self.node.attributes.clone()];
        let buffer = &self.tree.buffer;
        attributes.iter().map(|(name, value)| (&buffer[name.clone()], &buffer[value.clone()]))
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Element<'t>> {
        let first = self.node.first_child;
        let indices = std::iter::successors(first, move |index| self.tree.nodes[*index].next_sibling);
        indices.map(move |index| Element { tree: self.tree, node: &self.tree.nodes[index] })
    }

    pub(crate) fn has_attributes(self) -> bool {
        !self.node.attributes.is_empty()
    }

    pub(crate) fn has_children(self) -> bool {
        self.node.first_child.is_some()
    }

    /// Whether it holds nothing but text.
    pub(crate) fn is_plain(self) -> bool {
        !self.has_attributes() && !self.has_children()
    }

    /// Whether it holds nothing at all.
    pub(crate) fn is_empty(self) -> bool {
        self.is_plain() && self.text().is_empty()
    }

    /// Whether neither it nor anything within it holds a text or an attribute.
    pub(crate) fn is_hollow(self) -> bool {
        !self.has_attributes() && self.text().is_empty() && self.children().all(Element::is_hollow)
    }
}
