//! *Update or insert contacts*: what a client wrote, laid over what is there.

use super::{
    contact::{Address, Contact, Form, FormField, Phone, Relationship},
    requests::{boolean, date_time, items, number, required, text},
    state::State,
};
use crate::xml::Element;

/// Why nothing was written.
pub(super) enum Refusal {
    /// A contact can't be read: how, as a sentence for the client.
    Unreadable(String),
    /// One of them is refused.
    Rejected,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Unreadable(reason)
    }
}

/// Writes all of these contacts, or none if one of them can't be read or is refused. Returns how many were written.
///
/// A contact is matched by its `externalId` if it has one, else by its e-mail address; with neither, or if nothing
/// matches, it is new. Elements that it leaves out keep their old values; empty ones empty a text or a list. Only the
/// e-mail address is never emptied: a contact is known by it. A date is emptied by the source's date for none.
pub(super) fn update_or_insert(state: &mut State, request: &Element) -> Result<usize, Refusal> {
    let records: Vec<&Element> = items(request, "contactsList", "ContactRecord")
        .ok_or_else(|| "<ContactList_UpdateInsert> lacks its <contactsList>".to_owned())?
        .into_iter()
        .flatten()
        .collect();
    for record in &records {
        lay_over(&mut Contact::default(), record)?;
        deleted(record)?;
    }
    let is_refused = |record: &&Element| {
        given(record, "externalId").is_some_and(|external_id| state.refused_external_ids.contains(external_id))
    };
    if records.iter().any(is_refused) {
        return Err(Refusal::Rejected);
    }
    for record in &records {
        let id = matching_id(state, record);
        let mut contact = id.and_then(|id| state.contact(id)).unwrap_or_default();
        lay_over(&mut contact, record)?;
        let id = state.write(id, contact);
        if deleted(record)? {
            state.delete(id);
        }
    }
    Ok(records.len())
}

fn matching_id(state: &State, record: &Element) -> Option<u64> {
    match given(record, "externalId") {
        Some(external_id) => state.id_by_external_id(external_id),
        None => state.id_by_email(given(record, "emailAddress")?),
    }
}

/// A text that is there and not blank, without the blanks around it.
fn given<'a>(record: &'a Element, name: &str) -> Option<&'a str> {
    text(record, name).map(str::trim).filter(|text| !text.is_empty())
}

fn deleted(record: &Element) -> Result<bool, String> {
    text(record, "deleted").map_or(Ok(false), |text| boolean("deleted", text))
}

fn lay_over(contact: &mut Contact, record: &Element) -> Result<(), String> {
    let texts = [
        ("externalId", &mut contact.external_id),
        ("contactTitle", &mut contact.title),
        ("fullName", &mut contact.full_name),
        ("firstName", &mut contact.first_name),
        ("lastName", &mut contact.last_name),
        ("username", &mut contact.username),
        ("password", &mut contact.password),
        ("customerType", &mut contact.customer_type),
        ("industryType", &mut contact.industry_type),
        ("leadSourceType", &mut contact.lead_source_type),
        ("ratingType", &mut contact.rating_type),
    ];
    for (name, place) in texts {
        if let Some(text) = text(record, name) {
            text.clone_into(place);
        }
    }
    if text(record, "fullName").is_none() && text(record, "firstName").or(text(record, "lastName")).is_some() {
        contact.full_name = format!("{} {}", contact.first_name, contact.last_name).trim().to_owned();
    }
    if let Some(text) = text(record, "dateOfBirth") {
        let date = date_time("dateOfBirth", text)?;
        contact.date_of_birth = (date.year() > 1).then_some(date);
    }
    if let Some(text) = text(record, "MasterOptIn") {
        contact.opted_in = boolean("MasterOptIn", text)?;
    }
    lay_list_over(&mut contact.relationships, record, "relationships", "Relationship", relationship)?;
    lay_list_over(&mut contact.addresses, record, "addresses", "Address", address)?;
    lay_list_over(&mut contact.forms, record, "crmForms", "CrmForms", form)?;
    // The e-mail address has a place of its own in what is written: one among the phone numbers does not count.
    let email = given(record, "emailAddress").or(contact.email()).unwrap_or_default().trim().to_owned();
    lay_list_over(&mut contact.phones, record, "phoneNos", "PhoneNo", phone)?;
    contact.set_email(&email);
    Ok(())
}

/// A list that is given takes the place of the one before.
fn lay_list_over<T>(
    list: &mut Vec<Option<T>>,
    element: &Element,
    array: &str,
    item: &str,
    read: fn(&Element) -> Result<T, String>,
) -> Result<(), String> {
    if let Some(items) = items(element, array, item) {
        *list = items.into_iter().map(|item| item.map(read).transpose()).collect::<Result<_, _>>()?;
    }
    Ok(())
}

fn relationship(item: &Element) -> Result<Relationship, String> {
    Ok(Relationship {
        entity_id: integer(item, "entityId")?,
        entity_type: integer(item, "entityType")?,
        name: string(item, "name"),
    })
}

fn address(item: &Element) -> Result<Address, String> {
    Ok(Address {
        type_id: integer(item, "addressTypeID")?,
        line_1: string(item, "addressLine1"),
        line_2: string(item, "addressLine2"),
        city: string(item, "city"),
        zipcode: string(item, "zipcode"),
        state: string(item, "state"),
        country_code: string(item, "countryCode"),
    })
}

fn phone(item: &Element) -> Result<Phone, String> {
    Ok(Phone { type_id: integer(item, "phoneNoTypeID")?, number: string(item, "phoneNo") })
}

fn form(item: &Element) -> Result<Form, String> {
    let mut form = Form { id: integer(item, "formId")?, name: string(item, "formName"), fields: Vec::new() };
    lay_list_over(&mut form.fields, item, "crmFormFields", "CrmFormFields", form_field)?;
    Ok(form)
}

fn form_field(item: &Element) -> Result<FormField, String> {
    Ok(FormField {
        id: integer(item, "fieldId")?,
        type_id: integer(item, "fieldTypeId")?,
        name: string(item, "fieldName"),
        value: string(item, "fieldValue"),
    })
}

fn integer(item: &Element, name: &str) -> Result<i64, String> {
    number::<i32>(name, required(item, name)?).map(i64::from)
}

fn string(item: &Element, name: &str) -> String {
    text(item, name).unwrap_or_default().to_owned()
}
