//! Writing a contact as a `ContactRecord`: its elements in the documented order, empty texts left out.

use jiff::civil::DateTime;

use super::{
    Poison,
    contact::{Address, Contact, Form, FormField, Phone, Relationship},
    state::Listed,
};
use crate::xml::{element, text_element, write_or_ignore};

const NESTED_LEVELS: usize = 10_000;

pub(super) fn write_record(out: &mut String, listed: &Listed) {
    let Listed { id, contact, deleted, created, last_update, poison } = listed;
    let huge_text;
    let mut lead_source_type = &contact.lead_source_type;
    if let Some(Poison::HugeText(bytes)) = poison {
        huge_text = "x".repeat(*bytes);
        lead_source_type = &huge_text;
    }
    out.push_str("<ContactRecord>");
    if *poison != Some(Poison::NoEntityId) {
        element(out, "entityId", format_args!("{id}"));
    }
    text_if_any(out, "externalId", &contact.external_id);
    // On retrieval the e-mail address stands among the phone numbers, and there is no `emailAddress`.
    text_if_any(out, "contactTitle", &contact.title);
    element(out, "deleted", format_args!("{deleted}"));
    text_if_any(out, "fullName", &contact.full_name);
    text_if_any(out, "firstName", &contact.first_name);
    text_if_any(out, "lastName", &contact.last_name);
    text_if_any(out, "username", &contact.username);
    text_if_any(out, "password", &contact.password);
    date(out, "dateOfBirth", contact.date_of_birth.unwrap_or(UNSET));
    date(out, "createDate", *created);
    match poison {
        Some(Poison::Date(date)) => text_element(out, "lastUpdateDate", date),
        Some(Poison::BadDate) => text_element(out, "lastUpdateDate", "the day before yesterday"),
        _ => date(out, "lastUpdateDate", *last_update),
    }
    text_if_any(out, "customerType", &contact.customer_type);
    text_if_any(out, "industryType", &contact.industry_type);
    text_if_any(out, "leadSourceType", lead_source_type);
    text_if_any(out, "ratingType", &contact.rating_type);
    write_lists(out, contact);
    match poison {
        Some(Poison::UnknownEntity) => out.push_str("<contactTitle>Dr&nbsp;</contactTitle>"),
        Some(Poison::BrokenXml) => out.push_str("<broken><unfinished></broken>"),
        Some(Poison::TooDeep) => {
            out.push_str(&"<nested>".repeat(NESTED_LEVELS));
            out.push_str(&"</nested>".repeat(NESTED_LEVELS));
        }
        Some(Poison::NoEntityId | Poison::BadDate | Poison::Date(_) | Poison::HugeText(_)) | None => {}
    }
    element(out, "MasterOptIn", format_args!("{}", contact.opted_in));
    out.push_str("</ContactRecord>");
}

fn write_lists(out: &mut String, contact: &Contact) {
    list(out, "relationships", "Relationship", &contact.relationships, write_relationship);
    list(out, "addresses", "Address", &contact.addresses, write_address);
    list(out, "phoneNos", "PhoneNo", &contact.phones, write_phone);
    list(out, "crmForms", "CrmForms", &contact.forms, write_form);
}

fn write_relationship(out: &mut String, relationship: &Relationship) {
    element(out, "entityId", format_args!("{}", relationship.entity_id));
    element(out, "entityType", format_args!("{}", relationship.entity_type));
    text_if_any(out, "name", &relationship.name);
}

fn write_address(out: &mut String, address: &Address) {
    element(out, "addressTypeID", format_args!("{}", address.type_id));
    text_if_any(out, "addressLine1", &address.line_1);
    text_if_any(out, "addressLine2", &address.line_2);
    text_if_any(out, "city", &address.city);
    text_if_any(out, "zipcode", &address.zipcode);
    text_if_any(out, "state", &address.state);
    text_if_any(out, "countryCode", &address.country_code);
}

fn write_phone(out: &mut String, phone: &Phone) {
    element(out, "phoneNoTypeID", format_args!("{}", phone.type_id));
    text_if_any(out, "phoneNo", &phone.number);
}

fn write_form(out: &mut String, form: &Form) {
    element(out, "formId", format_args!("{}", form.id));
    text_if_any(out, "formName", &form.name);
    list(out, "crmFormFields", "CrmFormFields", &form.fields, write_form_field);
}

fn write_form_field(out: &mut String, field: &FormField) {
    element(out, "fieldId", format_args!("{}", field.id));
    element(out, "fieldTypeId", format_args!("{}", field.type_id));
    text_if_any(out, "fieldName", &field.name);
    text_if_any(out, "fieldValue", &field.value);
}

fn list<T>(out: &mut String, array: &str, item: &str, items: &[Option<T>], write: impl Fn(&mut String, &T)) {
    if items.is_empty() {
        write_or_ignore(out, format_args!("<{array} />"));
        return;
    }
    write_or_ignore(out, format_args!("<{array}>"));
    for content in items {
        match content {
            Some(content) => {
                write_or_ignore(out, format_args!("<{item}>"));
                write(out, content);
                write_or_ignore(out, format_args!("</{item}>"));
            }
            None => write_or_ignore(out, format_args!("<{item} xsi:nil=\"true\" />")),
        }
    }
    write_or_ignore(out, format_args!("</{array}>"));
}

/// How the source writes a date that is not set.
const UNSET: DateTime = jiff::civil::datetime(1, 1, 1, 0, 0, 0, 0);

fn date(out: &mut String, name: &str, date: DateTime) {
    element(out, name, format_args!("{date}"));
}

fn text_if_any(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        text_element(out, name, text);
    }
}
