//! The forms that a site adds to its contacts.

use model::{Attribute, Attributes};

use crate::record::{Element, UnmappedData, fill, read_fields};

/// A contact's CRM forms, however many elements of that name it has.
///
/// Their values are kept by form name and field name, and all else, such as ids, beside them in the same shape:
///
/// ```text
///   "crmForms":         { "Enquiry": { "Budget": "100", "Topic": "Boats" } }
///   "crmForms#details": { "Enquiry": { "formId": "12",
///                                      "crmFormFields": { "Budget": { "fieldId": "7", "fieldTypeId": "2" },
///                                                         "Topic":  { "fieldId": "8", "fieldTypeId": "5" } } } }
/// ```
///
/// If forms or fields share a name, a list of them stands under it, in both shapes in the same order. What has no name
/// stands under `#` and its id.
#[derive(Default)]
pub(super) struct CrmForms {
    forms: Vec<Form>,
    /// What stands on or in the source's element beside the forms.
    beside: UnmappedData,
}

/// Equal data have the same order, whatever the source's order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Form {
    name: String,
    details: Attributes,
    fields: Vec<Field>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Field {
    name: String,
    details: Attributes,
    value: String,
}

impl CrmForms {
    /// Reads a `crmForms` element.
    pub(super) fn read(&mut self, element: Element) {
        self.beside.insert_own_data(element);
        for child in element.children() {
            if child.known_name() != "crmforms" {
                self.beside.insert_element(child);
            } else if !child.is_hollow() {
                self.forms.push(form(child));
            }
        }
    }

    /// Puts what has been read under `crmForms`, `crmForms#details` and `crmForms#section`.
    pub(super) fn keep_in(mut self, attributes: &mut UnmappedData) {
        self.forms.sort();
        let mut values = UnmappedData::default();
        let mut details = UnmappedData::default();
        for form in self.forms {
            let mut form_values = UnmappedData::default();
            let mut field_details = UnmappedData::default();
            for field in form.fields {
                form_values.insert(field.name.clone(), Attribute::Text(field.value));
                field_details.insert(field.name, Attribute::Object(field.details));
            }
            let mut form_details = form.details;
            form_details.insert("crmFormFields".to_owned(), Attribute::Object(field_details.into_attributes()));
            values.insert(form.name.clone(), Attribute::Object(form_values.into_attributes()));
            details.insert(form.name, Attribute::Object(form_details));
        }
        for (name, kept) in [("crmForms", values), ("crmForms#details", details), ("crmForms#section", self.beside)] {
            if !kept.is_empty() {
                attributes.insert(name.to_owned(), Attribute::Object(kept.into_attributes()));
            }
        }
    }
}

fn form(element: Element) -> Form {
    let mut name = None;
    let mut fields = Vec::new();
    let mut details = UnmappedData::default();
    details.insert_own_data(element);
    for child in element.children() {
        match child.known_name() {
            "formname" if child.is_plain() && fill(&mut name, child.text()) => {}
            "crmformfields" => read_form_fields(child, &mut fields, &mut details),
            _ => details.insert_element(child),
        }
    }
    let details = details.into_attributes();
    fields.sort();
    Form { name: name.unwrap_or_else(|| nameless(&details, "formId")), details, fields }
}

/// Reads the wrapper of a form's fields, which has the same name as each field.
fn read_form_fields(element: Element, fields: &mut Vec<Field>, details: &mut UnmappedData) {
    let mut beside = UnmappedData::default();
    beside.insert_own_data(element);
    for child in element.children() {
        if child.known_name() != "crmformfields" {
            beside.insert_element(child);
        } else if !child.is_hollow() {
            fields.push(field(child));
        }
    }
    if !beside.is_empty() {
        details.insert("crmFormFields#section".to_owned(), Attribute::Object(beside.into_attributes()));
    }
}

fn field(element: Element) -> Field {
    let (mut name, mut value) = (None, None);
    let details = read_fields(element, |child, text| match child {
        "fieldname" => fill(&mut name, text),
        "fieldvalue" => fill(&mut value, text),
        _ => false,
    });
    let name = name.unwrap_or_else(|| nameless(&details, "fieldId"));
    Field { name, details, value: value.unwrap_or_default() }
}

/// What stands for a name that is missing.
fn nameless(details: &Attributes, id_name: &str) -> String {
    match details.get(id_name) {
        Some(Attribute::Text(id)) => format!("#{id}"),
        _ => "#".to_owned(),
    }
}
