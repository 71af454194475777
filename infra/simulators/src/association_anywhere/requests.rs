//! Reading what a client sends: the one form parameter, and names that two dialects spell differently.

use crate::xml::Element;

/// The value of `p_input_xml_doc` (in any case of letters) in a form body or a query string.
pub(super) fn document_parameter(form: &[u8]) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(name, _)| name.eq_ignore_ascii_case("p_input_xml_doc"))
        .map(|(_, value)| value.into_owned())
}

/// A name without what the two dialects differ in: `cust-id` and `custId` are both `custid`.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '-' | '_')).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// An element of a request, looked into by folded names.
pub(super) trait FoldedNames {
    /// The first child of this folded name.
    fn child(&self, folded_name: &str) -> Option<&Element>;

    /// The text of the first child of this folded name, trimmed; empty if there is none.
    fn child_text(&self, folded_name: &str) -> &str;

    /// The texts of all children of this folded name, trimmed, in order.
    fn child_texts<'a>(&'a self, folded_name: &'a str) -> impl Iterator<Item = &'a str>;

    /// Whether an attribute of this folded name says `true`.
    fn attribute_is_true(&self, folded_name: &str) -> bool;
}

impl FoldedNames for Element {
    fn child(&self, folded_name: &str) -> Option<&Element> {
        self.children.iter().find(|child| folded(&child.name) == folded_name)
    }

    fn child_text(&self, folded_name: &str) -> &str {
        self.child(folded_name).map(|child| child.text.trim()).unwrap_or_default()
    }

    fn child_texts<'a>(&'a self, folded_name: &'a str) -> impl Iterator<Item = &'a str> {
        self.children.iter().filter(move |child| folded(&child.name) == folded_name).map(|child| child.text.trim())
    }

    fn attribute_is_true(&self, folded_name: &str) -> bool {
        self.attributes
            .iter()
            .any(|attribute| folded(&attribute.name) == folded_name && attribute.value.eq_ignore_ascii_case("true"))
    }
}
