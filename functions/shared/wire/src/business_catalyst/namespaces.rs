use std::collections::HashMap;

use super::NAMESPACE;
use crate::tag::StartTag;

pub(super) const SOAP_1_1: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(super) const SOAP_1_2: &str = "http://www.w3.org/2003/05/soap-envelope";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The usual prefix of [`SCHEMA_INSTANCE`]: it is known even if it is not declared.
const SCHEMA_INSTANCE_PREFIX: &str = "xsi";

/// The namespace of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// None at all.
    None,
    /// SOAP's envelope, of either version.
    Soap,
    /// The source's service.
    BusinessCatalyst,
    /// Attributes of XML Schema within documents, such as `xsi:nil`.
    SchemaInstance,
    /// Any other.
    Other,
}

impl Namespace {
    fn of(uri: &str) -> Self {
        match uri {
            "" => Self::None,
            SOAP_1_1 | SOAP_1_2 => Self::Soap,
            NAMESPACE => Self::BusinessCatalyst,
            SCHEMA_INSTANCE => Self::SchemaInstance,
            _ => Self::Other,
        }
    }
}

/// The meanings of prefixes at the current place in a document.
pub(super) struct Namespaces {
    /// Per prefix, its meanings; that of the innermost element that declares it is last.
    meanings: HashMap<String, Vec<Namespace>>,
    /// The prefixes that open elements declare, with the depth of each, the innermost last.
    declared: Vec<(usize, String)>,
    /// Elements below this depth declare nothing: a document that is nested ever deeper must not fill the memory.
    deepest: usize,
}

impl Namespaces {
    pub(super) fn new(deepest: usize) -> Self {
        Self { meanings: HashMap::new(), declared: Vec::new(), deepest }
    }

    /// Begins an element at this depth.
    pub(super) fn enter(&mut self, tag: &StartTag, depth: usize) {
        if depth > self.deepest {
            return;
        }
        for (prefix, uri) in tag.namespace_declarations() {
            self.meanings.entry(prefix.to_owned()).or_default().push(Namespace::of(uri));
            self.declared.push((depth, prefix.to_owned()));
        }
    }

    /// Ends the element at this depth.
    pub(super) fn leave(&mut self, depth: usize) {
        while let Some((_, prefix)) = self.declared.pop_if(|(declared_at, _)| *declared_at == depth) {
            if let Some(meanings) = self.meanings.get_mut(&prefix) {
                meanings.pop();
                if meanings.is_empty() {
                    self.meanings.remove(&prefix);
                }
            }
        }
    }

    /// The namespace of an element.
    pub(super) fn of_element(&self, tag: &StartTag) -> Namespace {
        self.meaning(tag.prefix).unwrap_or(if tag.prefix.is_empty() { Namespace::None } else { Namespace::Other })
    }

    /// Whether an attribute of this name is data, and not an instruction of XML Schema.
    pub(super) fn is_data(&self, attribute_name: &str) -> bool {
        !attribute_name.split_once(':').is_some_and(|(prefix, _)| self.is_schema_instance(prefix))
    }

    /// Whether `xsi:nil` marks an element as missing.
    pub(super) fn is_nil(&self, tag: &StartTag) -> bool {
        tag.attributes().any(|(name, value)| {
            let is_nil =
                name.split_once(':').is_some_and(|(prefix, local)| local == "nil" && self.is_schema_instance(prefix));
            is_nil && matches!(value.trim(), "true" | "1")
        })
    }

    fn is_schema_instance(&self, prefix: &str) -> bool {
        self.meaning(prefix).map_or(prefix == SCHEMA_INSTANCE_PREFIX, |meaning| meaning == Namespace::SchemaInstance)
    }

    fn meaning(&self, prefix: &str) -> Option<Namespace> {
        self.meanings.get(prefix)?.last().copied()
    }
}
