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

/// The first child of this folded name.
pub(super) fn child<'a>(element: &'a Element, folded_name: &str) -> Option<&'a Element> {
    element.children.iter().find(|child| folded(&child.name) == folded_name)
}

/// The texts of all children of this folded name, trimmed, in order.
pub(super) fn texts<'a>(element: &'a Element, folded_name: &str) -> impl Iterator<Item = &'a str> {
    element.children.iter().filter(move |child| folded(&child.name) == folded_name).map(|child| child.text.trim())
}

/// The text of the first child of this folded name, trimmed; empty if there is none.
pub(super) fn text<'a>(element: &'a Element, folded_name: &str) -> &'a str {
    texts(element, folded_name).next().unwrap_or_default()
}

/// Whether an attribute of this folded name says `true`.
pub(super) fn is_true(element: &Element, folded_name: &str) -> bool {
    let says_true = |value: &str| value.eq_ignore_ascii_case("true");
    element.attributes.iter().any(|attribute| folded(&attribute.name) == folded_name && says_true(&attribute.value))
}
