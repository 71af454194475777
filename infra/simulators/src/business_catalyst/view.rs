//! A contact as stories compare it: plain texts, and nothing of the form in which it travels.

use jiff::civil::DateTime;
use serde::Serialize;

use super::contact::{Address, Contact, EMAIL_TYPE};

/// A contact as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContactView {
    /// Its `entityId`.
    pub id: u64,
    /// The id that another system has given it.
    pub external_id: String,
    /// Whether it is listed as deleted.
    pub deleted: bool,
    /// Its full name; like all texts here it is empty if there is none.
    pub full_name: String,
    /// Its first name.
    pub first_name: String,
    /// Its last name.
    pub last_name: String,
    /// Its primary e-mail address.
    pub email: Option<String>,
    /// Its other `phoneNos` with their types: more e-mail addresses and web addresses are among them.
    pub phones: Vec<(i64, String)>,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Its date of birth, at midnight as a rule.
    pub date_of_birth: Option<DateTime>,
}

impl ContactView {
    pub(super) fn new(id: u64, contact: Contact, deleted: bool) -> Self {
        let email = contact.email().map(str::to_owned);
        let other_phones = contact.phones.into_iter().flatten().filter(|phone| phone.type_id != EMAIL_TYPE);
        Self {
            id,
            external_id: contact.external_id,
            deleted,
            full_name: contact.full_name,
            first_name: contact.first_name,
            last_name: contact.last_name,
            email,
            phones: other_phones.map(|phone| (phone.type_id, phone.number)).collect(),
            addresses: contact.addresses.into_iter().flatten().collect(),
            date_of_birth: contact.date_of_birth,
        }
    }
}
