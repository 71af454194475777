//! One record's element as a tree, in buffers that are reused from record to record.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::tag::StartTag;

/// What XML calls white space: it is ignored at either end of a text.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// An element with all that is in it. Every text and attribute stands in one buffer.
#[derive(Default)]
pub(crate) struct Tree {
    buffer: String,
    nodes: Vec<Node>,
    names: NodeNames,
    /// The name and the value of each.
    attributes: Vec<(Span, Span)>,
    /// The open elements, the outermost first.
    open: Vec<u32>,
    /// Texts of open elements that came after a child with text of its own, so that they could not be joined to the
    /// text in the buffer.
    late_texts: Vec<(u32, String)>,
}

struct Node {
    name: u32,
    /// Whether its name is never matched.
    is_foreign: bool,
    /// Whether its text holds line ends other than `\n`.
    has_returns: bool,
    /// The text; once the element is closed, in the form of [`Element::text`].
    text: Span,
    attributes: Span,
    // The root is the first node, and nobody's child.
    first_child: Option<NonZeroU32>,
    last_child: Option<NonZeroU32>,
    next_sibling: Option<NonZeroU32>,
}

impl Tree {
    /// A tree is made of no more than so many bytes of UTF-8, for its places have 32 bits.
    pub(crate) const MOST_BYTES: u64 = 1 << 30;

    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.nodes.clear();
        self.names.clear();
        self.attributes.clear();
        self.open.clear();
        self.late_texts.clear();
    }

    /// Begins an element. A foreign one is kept, and never matched; of its attributes, those that are data are kept.
    pub(crate) fn open(&mut self, tag: &StartTag, is_foreign: bool, is_data: impl Fn(&str) -> bool) {
        let attributes_start = self.attributes.len();
        for (name, value) in tag.attributes().filter(|(name, _)| is_data(name)) {
            let name = push(&mut self.buffer, name);
            let value = push(&mut self.buffer, value);
            self.attributes.push((name, value));
        }
        let number = short(self.nodes.len());
        self.nodes.push(Node {
            name: self.names.place_of(tag),
            is_foreign,
            has_returns: false,
            text: Span::default(),
            attributes: Span::new(attributes_start, self.attributes.len()),
            first_child: None,
            last_child: None,
            next_sibling: None,
        });
        if let Some(parent) = self.open.last() {
            let parent = &mut self.nodes[*parent as usize];
            let child = NonZeroU32::new(number);
            match std::mem::replace(&mut parent.last_child, child) {
                Some(previous) => self.nodes[previous.get() as usize].next_sibling = child,
                None => parent.first_child = child,
            }
        }
        self.open.push(number);
    }

    /// Adds to the innermost element's text. Returns the length of that text so far.
    pub(crate) fn push_text(&mut self, piece: &str) -> usize {
        let Some(number) = self.open.last().copied() else {
            return 0;
        };
        let node = &mut self.nodes[number as usize];
        node.has_returns |= piece.contains('\r');
        if let Some((_, late_text)) = self.late_texts.last_mut().filter(|(owner, _)| *owner == number) {
            late_text.push_str(piece);
            return node.text.len() + late_text.len();
        }
        if node.text.is_empty() {
            node.text = push(&mut self.buffer, piece.trim_start_matches(WHITE_SPACE));
        } else if node.text.end == short(self.buffer.len()) {
            node.text.end = push(&mut self.buffer, piece).end;
        } else {
            self.late_texts.push((number, piece.to_owned()));
            return node.text.len() + piece.len();
        }
        node.text.len()
    }

    /// Ends the innermost element.
    pub(crate) fn close(&mut self) {
        let Some(number) = self.open.pop() else {
            return;
        };
        let late_text = self.late_texts.pop_if(|(owner, _)| *owner == number);
        let node = &mut self.nodes[number as usize];
        let text = &self.buffer[node.text.range()];
        if late_text.is_none() && !node.has_returns {
            node.text.end = node.text.start + short(text.trim_end_matches(WHITE_SPACE).len());
            return;
        }
        let late_text = late_text.map(|(_, text)| text).unwrap_or_default();
        let joined = format!("{text}{late_text}").replace("\r\n", "\n").replace('\r', "\n");
        node.text = push(&mut self.buffer, joined.trim_matches(WHITE_SPACE));
    }

    /// The outermost element, if there is one; to be read once it is closed.
    pub(crate) fn root(&self) -> Option<Element<'_>> {
        self.nodes.first().map(|node| Element { tree: self, node })
    }
}

/// The names of nodes. One that has a number in the document is taken over once, and stays from record to record.
#[derive(Default)]
struct NodeNames {
    text: String,
    names: Vec<NodeName>,
    /// By the number of a name in the document: its place in `names`, once it has come.
    places: Vec<Option<u32>>,
    has_unnumbered: bool,
}

struct NodeName {
    /// With its prefix.
    qualified: Span,
    local: Span,
    folded: Span,
}

impl NodeNames {
    /// Forgets names that have no number: a document may have many of them.
    fn clear(&mut self) {
        if self.has_unnumbered {
            *self = Self::default();
        }
    }

    fn place_of(&mut self, tag: &StartTag) -> u32 {
        match tag.number.and_then(|number| self.places.get(number)) {
            Some(Some(place)) => *place,
            _ => self.add(tag),
        }
    }

    fn add(&mut self, tag: &StartTag) -> u32 {
        let place = short(self.names.len());
        let start = self.text.len();
        if !tag.prefix.is_empty() {
            push(&mut self.text, tag.prefix);
            push(&mut self.text, ":");
        }
        let local = push(&mut self.text, tag.local);
        let folded = push(&mut self.text, tag.folded);
        self.names.push(NodeName { qualified: Span { start: short(start), ..local }, local, folded });
        match tag.number {
            Some(number) => {
                self.places.resize(self.places.len().max(number + 1), None);
                self.places[number] = Some(place);
            }
            None => self.has_unnumbered = true,
        }
        place
    }
}

/// A range of a buffer or of a list.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        Self { start: short(start), end: short(end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn len(self) -> usize {
        self.range().len()
    }

    fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A place or a number in a tree: see [`Tree::MOST_BYTES`].
fn short(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn push(buffer: &mut String, text: &str) -> Span {
    let start = buffer.len();
    buffer.push_str(text);
    Span::new(start, buffer.len())
}

/// One element of a tree.
#[derive(Clone, Copy)]
pub(crate) struct Element<'t> {
    tree: &'t Tree,
    node: &'t Node,
}

impl<'t> Element<'t> {
    /// The name that data are kept under: the local name as written, for a foreign element with its prefix.
    pub(crate) fn key(self) -> &'t str {
        let NodeName { qualified, local, .. } = self.name();
        &self.tree.names.text[if self.node.is_foreign { qualified } else { local }.range()]
    }

    /// The name to compare with known names; empty for a foreign element, which never matches.
    pub(crate) fn known_name(self) -> &'t str {
        if self.node.is_foreign { "" } else { self.folded_name() }
    }

    /// The local name in lower case and without `-` and `_`.
    pub(crate) fn folded_name(self) -> &'t str {
        &self.tree.names.text[self.name().folded.range()]
    }

    fn name(self) -> &'t NodeName {
        &self.tree.names.names[self.node.name as usize]
    }

    /// The element's own text without white space at its ends; line ends are `\n`.
    pub(crate) fn text(self) -> &'t str {
        &self.tree.buffer[self.node.text.range()]
    }

    /// Names as written, and values.
    pub(crate) fn attributes(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let attributes = &self.tree.attributes[self.node.attributes.range()];
        let buffer = &self.tree.buffer;
        attributes.iter().map(|(name, value)| (&buffer[name.range()], &buffer[value.range()]))
    }

    pub(crate) fn children(self) -> impl Iterator<Item = Element<'t>> {
        let nodes = &self.tree.nodes;
        let child = |number: Option<NonZeroU32>| number.map(|number| &nodes[number.get() as usize]);
        let children = std::iter::successors(child(self.node.first_child), move |node| child(node.next_sibling));
        children.map(move |node| Element { tree: self.tree, node })
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
