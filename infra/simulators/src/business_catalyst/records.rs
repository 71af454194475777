//! Writing a contact as a `ContactRecord`: its elements in the documented order, empty texts left out.

use jiff::civil::DateTime;

use super::{
    contact::{Address, Form, FormField, Phone, Relationship},
    state::Listed,
    types::Poison,
};
use crate::xml::{element, too_deep, write_or_ignore};

pub(super) fn write_record(out: &mut String, listed: &Listed) {
    let Listed { id, contact, deleted, created, last_update, poison } = listed;
    out.push_str("<ContactRecord>");
    if *poison != Some(Poison::NoEntityId) {
        element(out, "entityId", id);
    }
    text_if_any(out, "externalId", &contact.external_id);
    // On retrieval the e-mail address stands among the phone numbers, and there is no `emailAddress`.
    text_if_any(out, "contactTitle", &contact.title);
    element(out, "deleted", deleted);
    text_if_any(out, "fullName", &contact.full_name);
    text_if_any(out, "firstName", &contact.first_name);
    text_if_any(out, "lastName", &contact.last_name);
    text_if_any(out, "username", &contact.username);
    text_if_any(out, "password", &contact.password);
    element(out, "dateOfBirth", contact.date_of_birth.unwrap_or(UNSET));
    element(out, "createDate", created);
    match poison {
        Some(Poison::Date(date)) => element(out, "lastUpdateDate", date),
        Some(Poison::BadDate) => element(out, "lastUpdateDate", "the day before yesterday"),
        _ => element(out, "lastUpdateDate", last_update),
    }
    text_if_any(out, "customerType", &contact.customer_type);
    text_if_any(out, "industryType", &contact.industry_type);
    match poison {
        Some(Poison::HugeText(bytes)) => element(out, "leadSourceType", "x".repeat(*bytes)),
        _ => text_if_any(out, "leadSourceType", &contact.lead_source_type),
    }
    text_if_any(out, "ratingType", &contact.rating_type);
    list(out, "relationships", "Relationship", &contact.relationships, write_relationship);
    list(out, "addresses", "Address", &contact.addresses, write_address);
    list(out, "phoneNos", "PhoneNo", &contact.phones, write_phone);
    list(out, "crmForms", "CrmForms", &contact.forms, write_form);
    match poison {
        Some(Poison::UnknownEntity) => out.push_str("<contactTitle>Dr&nbsp;</contactTitle>"),
        Some(Poison::BrokenXml) => out.push_str("<broken><unfinished></broken>"),
        Some(Poison::TooDeep) => out.push_str(&too_deep()),
        Some(Poison::NoEntityId | Poison::BadDate | Poison::Date(_) | Poison::HugeText(_)) | None => {}
    }
    element(out, "MasterOptIn", contact.opted_in);
    out.push_str("</ContactRecord>");
}

fn write_relationship(out: &mut String, relationship: &Relationship) {
    element(out, "entityId", relationship.entity_id);
    element(out, "entityType", relationship.entity_type);
    text_if_any(out, "name", &relationship.name);
}

fn write_address(out: &mut String, address: &Address) {
    element(out, "addressTypeID", address.type_id);
    text_if_any(out, "addressLine1", &address.line_1);
    text_if_any(out, "addressLine2", &address.line_2);
    text_if_any(out, "city", &address.city);
    text_if_any(out, "zipcode", &address.zipcode);
    text_if_any(out, "state", &address.state);
    text_if_any(out, "countryCode", &address.country_code);
}

fn write_phone(out: &mut String, phone: &Phone) {
    element(out, "phoneNoTypeID", phone.type_id);
    text_if_any(out, "phoneNo", &phone.number);
}

fn write_form(out: &mut String, form: &Form) {
    element(out, "formId", form.id);
    text_if_any(out, "formName", &form.name);
    list(out, "crmFormFields", "CrmFormFields", &form.fields, write_form_field);
}

fn write_form_field(out: &mut String, field: &FormField) {
    element(out, "fieldId", field.id);
    element(out, "fieldTypeId", field.type_id);
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

fn text_if_any(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        element(out, name, text);
    }
}
