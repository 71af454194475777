//! Reading a request into a tree, with its namespaces resolved.

use quick_xml::{
    NsReader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
    name::{NamespaceResolver, QName, ResolveResult},
};

/// Far more than any request needs.
const MAX_DEPTH: usize = 16;

/// An element of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Element {
    /// Empty if it is in none.
    pub(crate) namespace: String,
    /// As it was written, without the prefix.
    pub(crate) name: String,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) text: String,
    pub(crate) children: Vec<Element>,
}

/// An attribute of an element; declarations of namespaces are left out.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Reads a document into its root element. The error is a sentence for the client.
pub(crate) fn parse(document: &str) -> Result<Element, String> {
    let mut reader = NsReader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut root: Option<Element> = None;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            // An empty element comes as a start and an end.
            Event::Start(start) | Event::Empty(start) => {
                if root.is_some() {
                    return Err("there is a second root element".to_owned());
                }
                if open.len() == MAX_DEPTH {
                    return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
                }
                open.push(element(&start, reader.resolver())?);
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
                let name = reference.xml10_content();
                match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(character) => add_text(&mut open, character.encode_utf8(&mut [0; 4]))?,
                    None => match resolve_predefined_entity(&name) {
                        Some(text) => add_text(&mut open, text)?,
                        None => return Err(format!("the entity &{name}; is not known")),
                    },
                }
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

fn element(start: &BytesStart<'_>, namespaces: &NamespaceResolver) -> Result<Element, String> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| error.to_string())?;
        let (namespace, _) = namespaces.resolve_attribute(attribute.key);
        attributes.push(Attribute {
            namespace: namespace_name(namespace)?,
            name: local_name(attribute.key),
            value: value.into_owned(),
        });
    }
    let (namespace, _) = namespaces.resolve_element(start.name());
    Ok(Element {
        namespace: namespace_name(namespace)?,
        name: local_name(start.name()),
        attributes,
        ..Element::default()
    })
}

fn namespace_name(namespace: ResolveResult<'_>) -> Result<String, String> {
    match namespace {
        ResolveResult::Bound(namespace) => Ok(namespace.0.to_owned()),
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(prefix) => Err(format!("the prefix {prefix} is not declared")),
    }
}

fn local_name(name: QName<'_>) -> String {
    name.local_name().into_inner().to_owned()
}

fn add_text(open: &mut [Element], text: &str) -> Result<(), String> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() => {}
        None => return Err("there is text outside of the root element".to_owned()),
    }
    Ok(())
}
