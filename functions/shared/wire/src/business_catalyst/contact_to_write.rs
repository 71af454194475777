//! Contacts as `ContactList_UpdateInsert` takes them.

#![allow(missing_docs, reason = "each field is named by the source's own element")]

use std::fmt;

use jiff::civil::DateTime;
use thiserror::Error;

use super::local_time::written;
use crate::reference::is_character;
use crate::request_text::element;

/// A contact to be written: what we write of the source's `ContactRecord`.
///
/// What is `None` is not sent, and keeps its value there. A text that is empty or holds only white space is sent as an
/// empty element, and a list without entries as an empty list: both empty the field. A list that is sent takes the
/// place of the one before.
///
/// One of `external_id` and `email_address` is needed: the source finds the contact by it. Neither is sent if it is
/// blank, for another contact may have none either. Times are local times of the site.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ContactToWrite {
    pub external_id: Option<String>,
    /// The address that counts on writes, whatever `phone_numbers` hold.
    pub email_address: Option<String>,
    pub contact_title: Option<String>,
    pub deleted: Option<bool>,
    pub full_name: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub date_of_birth: Option<DateTime>,
    pub addresses: Option<Vec<AddressToWrite>>,
    pub phone_numbers: Option<Vec<PhoneNumberToWrite>>,
}

/// No data of a contact may be logged.
impl fmt::Debug for ContactToWrite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ContactToWrite").finish_non_exhaustive()
    }
}

/// The source's `Address`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AddressToWrite {
    /// 1 home, 2 work, 3 PO box, 5 shipping, 6 pickup, 7 storage, 8 billing.
    pub address_type_id: i32,
    pub address_line_1: Option<String>,
    pub address_line_2: Option<String>,
    pub city: Option<String>,
    pub zipcode: Option<String>,
    pub state: Option<String>,
    pub country_code: Option<String>,
}

/// The source's `PhoneNo`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PhoneNumberToWrite {
    /// 1 home phone, 2 home fax, 3 work phone, 4 work fax, 5 cell, 6 pager, 7 to 9 e-mail, 10 web address.
    pub phone_no_type_id: i32,
    pub phone_no: Option<String>,
}

/// Why a list of contacts can't be sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The source could not find the contact again.
    #[error("contact {position} of the list has neither an `externalId` nor an `emailAddress`")]
    NotIdentified {
        /// The contact's place in the list, from 1.
        position: usize,
    },
    /// A text holds a character that no XML document may hold.
    #[error("contact {position} of the list has a character in `{element}` that XML does not allow")]
    Character {
        /// The contact's place in the list, from 1.
        position: usize,
        /// The source's element.
        element: &'static str,
    },
}

/// The contact's element; `position` is its place in the list.
pub(super) fn written_contact(contact: &ContactToWrite, position: usize) -> Result<String, WriteError> {
    if is_blank(contact.external_id.as_deref()) && is_blank(contact.email_address.as_deref()) {
        return Err(WriteError::NotIdentified { position });
    }
    let mut writer = Writer::default();
    writer.within("ContactRecord", |writer| write_fields(contact, writer));
    match writer.unwritable {
        Some(element) => Err(WriteError::Character { position, element }),
        None => Ok(writer.text),
    }
}

/// The elements of a contact that we write, in the source's order.
fn write_fields(contact: &ContactToWrite, writer: &mut Writer) {
    writer.id("externalId", &contact.external_id);
    writer.id("emailAddress", &contact.email_address);
    writer.text("contactTitle", &contact.contact_title);
    writer.value("deleted", contact.deleted);
    writer.text("fullName", &contact.full_name);
    writer.text("firstName", &contact.first_name);
    writer.text("lastName", &contact.last_name);
    writer.value("dateOfBirth", contact.date_of_birth.map(written));
    writer.list("addresses", "Address", contact.addresses.as_deref(), |address, writer| {
        writer.value("addressTypeID", Some(address.address_type_id));
        writer.text("addressLine1", &address.address_line_1);
        writer.text("addressLine2", &address.address_line_2);
        writer.text("city", &address.city);
        writer.text("zipcode", &address.zipcode);
        writer.text("state", &address.state);
        writer.text("countryCode", &address.country_code);
    });
    writer.list("phoneNos", "PhoneNo", contact.phone_numbers.as_deref(), |number, writer| {
        writer.value("phoneNoTypeID", Some(number.phone_no_type_id));
        writer.text("phoneNo", &number.phone_no);
    });
}

/// The elements that have been written so far.
#[derive(Default)]
struct Writer {
    text: String,
    /// The first element with a text that XML does not allow.
    unwritable: Option<&'static str>,
}

impl Writer {
    /// The element of a text that the source finds a contact by.
    fn id(&mut self, name: &'static str, text: &Option<String>) {
        if !is_blank(text.as_deref()) {
            self.text(name, text);
        }
    }

    /// An element whose text may hold anything.
    fn text(&mut self, name: &'static str, text: &Option<String>) {
        let Some(text) = text.as_deref() else { return };
        let text = if is_blank(Some(text)) { "" } else { text };
        if !text.chars().all(is_character) {
            self.unwritable.get_or_insert(name);
        }
        self.text += &element(name, text);
    }

    /// An element whose text is a number, a boolean or a time.
    fn value(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.text += &element(name, &value.to_string());
        }
    }

    /// An element around others.
    fn within(&mut self, name: &'static str, write: impl FnOnce(&mut Self)) {
        self.text += &format!("<{name}>");
        write(self);
        self.text += &format!("</{name}>");
    }

    /// A list, if there is one.
    fn list<T>(
        &mut self,
        name: &'static str,
        entry_name: &'static str,
        entries: Option<&[T]>,
        write: impl Fn(&T, &mut Self),
    ) {
        let Some(entries) = entries else { return };
        self.within(name, |writer| {
            for entry in entries {
                writer.within(entry_name, |writer| write(entry, writer));
            }
        });
    }
}

fn is_blank(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.trim().is_empty())
}
