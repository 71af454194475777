//! Reading what a client sends: the one form parameter, and the document in it.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};

/// Far more than any request needs.
const MAX_DEPTH: usize = 16;

/// The value of `p_input_xml_doc`, whose name is case-insensitive, in a form body or a query string.
pub(super) fn document_parameter(form: &[u8]) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(name, _)| name.eq_ignore_ascii_case("p_input_xml_doc"))
        .map(|(_, value)| value.into_owned())
}

/// A name without what the two dialects differ in: `cust-id` and `custId` are both `custid`.
pub(super) fn folded(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '-' | '_')).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// An element of a request.
#[derive(Debug, Default)]
pub(super) struct Element {
    /// As it was written.
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The text of the first child of this folded name, trimmed; empty where there is none.
    pub(super) fn child_text(&self, folded_name: &str) -> &str {
        self.child(folded_name).map(|child| child.text.trim()).unwrap_or_default()
    }

    /// The texts of all children of this folded name, trimmed, in order.
    pub(super) fn child_texts<'a>(&'a self, folded_name: &'a str) -> impl Iterator<Item = &'a str> {
        self.children.iter().filter(move |child| folded(&child.name) == folded_name).map(|child| child.text.trim())
    }

    /// The first child of this folded name.
    pub(super) fn child(&self, folded_name: &str) -> Option<&Element> {
        self.children.iter().find(|child| folded(&child.name) == folded_name)
    }

    /// Whether an attribute of this folded name says `true`.
    pub(super) fn attribute_is_true(&self, folded_name: &str) -> bool {
        self.attributes.iter().any(|(name, value)| name == folded_name && value.eq_ignore_ascii_case("true"))
    }
}

/// Reads a document into its root element. The error is a sentence for the client.
pub(super) fn parse(document: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(document);
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(start) => {
                if root.is_some() {
                    return Err("there is a second root element".to_owned());
                }
                if open.len() == MAX_DEPTH {
                    return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
                }
                open.push(element(&start)?);
            }
            Event::Empty(start) => {
                let empty = element(&start)?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(empty),
                    None if root.is_none() => root = Some(empty),
                    None => return Err("there is a second root element".to_owned()),
                }
            }
            Event::End(_) => {
                // The reader has checked that the names match, so something is open here.
                let Some(closed) = open.pop() else { return Err("an end tag closes nothing".to_owned()) };
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => root = Some(closed),
                }
            }
            Event::Text(text) => add_text(&mut open, &text.xml10_content())?,
            Event::CData(text) => add_text(&mut open, &text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character = match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(character) => character,
                    None => predefined_entity(&reference.xml10_content())?,
                };
                add_text(&mut open, character.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(element) = open.last() {
        return Err(format!("<{}> is not closed", element.name));
    }
    root.ok_or_else(|| "there is no element".to_owned())
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| error.to_string())?;
        attributes.push((folded(attribute.key.into_inner()), value.into_owned()));
    }
    Ok(Element { name: start.name().into_inner().to_owned(), attributes, ..Element::default() })
}

fn add_text(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("there is text outside of the root element".to_owned()),
    }
    Ok(())
}

fn predefined_entity(name: &str) -> Result<char, String> {
    match name {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(format!("the entity &{other}; is not known")),
    }
}
