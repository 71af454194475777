use crate::handler::{Flow, Handler};
use crate::parse_context::ParseContext;
use crate::record::Tree;
use crate::scan::Scanner;
use crate::tag::StartTag;
use crate::{Limits, ReadError};

/// Reads a whole document whose own element has one of these names, in any case; the first is the usual one.
pub(super) fn read_tree(document: &[u8], limits: &Limits, roots: &'static [&'static str]) -> Result<Tree, ReadError> {
    let handler = WholeDocument { limits: *limits, roots, tree: Tree::default(), prefix: String::new(), elements: 0 };
    let document_bytes = limits.document_bytes.min(Tree::MOST_BYTES);
    let mut scanner = Scanner::of_push(document, Limits { document_bytes, ..*limits }, handler);
    scanner.run()?;
    Ok(scanner.dispatcher.handler.tree)
}

struct WholeDocument {
    limits: Limits,
    roots: &'static [&'static str],
    tree: Tree,
    /// The prefix of the document's own element: an element with any other is foreign.
    prefix: String,
    elements: usize,
}

impl Handler for WholeDocument {
    fn start(&mut self, tag: &StartTag<'_>, document: &mut ParseContext) -> Result<(), ReadError> {
        document.check_depth()?;
        if document.depth() == 1 {
            if !self.roots.iter().any(|root| root.eq_ignore_ascii_case(tag.folded)) {
                return Err(document.unexpected(format!("the document's own element must be `{}`", self.roots[0])));
            }
            tag.prefix.clone_into(&mut self.prefix);
        }
        self.elements += 1;
        for (_, value) in tag.attributes() {
            document.check_text(value.len())?;
            self.elements += 1;
        }
        document.check_limit("elements_per_customer", self.elements, self.limits.elements_per_customer)?;
        self.tree.open(tag, !tag.prefix.is_empty() && tag.prefix != self.prefix, |_| true);
        Ok(())
    }

    fn text(&mut self, piece: &str, document: &ParseContext) -> Result<(), ReadError> {
        document.check_text(self.tree.push_text(piece))
    }

    fn end(&mut self, _document: &mut ParseContext) -> Result<Flow, ReadError> {
        self.tree.close();
        Ok(Flow::Continue)
    }
}
