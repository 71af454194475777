//! What a contact is made of, apart from its dates.

use jiff::civil::DateTime;
use serde::Serialize;

use crate::names::revision_initial;

/// The code of the primary e-mail address among the phone numbers.
pub(super) const EMAIL_TYPE: i64 = 7;

/// A contact's own content. An item of a list that is `None` is written as nil.
///
/// It has no `Debug`, because it holds a password.
#[derive(Clone, Default)]
pub(super) struct Contact {
    pub(super) external_id: String,
    pub(super) title: String,
    pub(super) full_name: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) date_of_birth: Option<DateTime>,
    pub(super) customer_type: String,
    pub(super) industry_type: String,
    pub(super) lead_source_type: String,
    pub(super) rating_type: String,
    pub(super) relationships: Vec<Option<Relationship>>,
    pub(super) addresses: Vec<Option<Address>>,
    pub(super) phones: Vec<Option<Phone>>,
    pub(super) forms: Vec<Option<Form>>,
    pub(super) opted_in: bool,
}

/// A contact's relation to a company or another contact.
#[derive(Clone)]
pub(super) struct Relationship {
    pub(super) entity_id: i64,
    pub(super) entity_type: i64,
    pub(super) name: String,
}

/// Where a contact lives or works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Its type: 1 home, 2 work, and so on.
    pub type_id: i64,
    /// Its first line.
    pub line_1: String,
    /// Its second line.
    pub line_2: String,
    /// Its city.
    pub city: String,
    /// Its postal code.
    pub zipcode: String,
    /// Its state.
    pub state: String,
    /// The code of its country.
    pub country_code: String,
}

/// A phone number, an e-mail address or a web address.
#[derive(Clone)]
pub(super) struct Phone {
    pub(super) type_id: i64,
    pub(super) number: String,
}

/// A form that a contact filled in.
#[derive(Clone)]
pub(super) struct Form {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) fields: Vec<Option<FormField>>,
}

/// One answer in a form.
#[derive(Clone)]
pub(super) struct FormField {
    pub(super) id: i64,
    pub(super) type_id: i64,
    pub(super) name: String,
    pub(super) value: String,
}

impl Contact {
    /// The primary e-mail address.
    pub(super) fn email(&self) -> Option<&str> {
        self.phones.iter().flatten().find(|phone| phone.type_id == EMAIL_TYPE).map(|phone| phone.number.as_str())
    }

    /// Sets the primary e-mail address; an empty one removes it.
    pub(super) fn set_email(&mut self, address: &str) {
        self.phones.retain(|phone| phone.as_ref().is_none_or(|phone| phone.type_id != EMAIL_TYPE));
        if !address.is_empty() {
            self.phones.push(Some(Phone { type_id: EMAIL_TYPE, number: address.to_owned() }));
        }
    }

    /// Changes name and e-mail address so that no other revision has the same. The first revision stays as it is.
    pub(super) fn revise(&mut self, revision: u32) {
        let Some(initial) = revision_initial(revision) else { return };
        self.full_name = match self.full_name.strip_prefix(self.first_name.as_str()) {
            Some(rest) if !self.first_name.is_empty() => format!("{} {initial}{rest}", self.first_name),
            _ => with_word(&self.full_name, &initial),
        };
        self.first_name = with_word(&self.first_name, &initial);
        if let Some((local_part, domain)) = self.email().and_then(|address| address.split_once('@')) {
            let address = format!("{local_part}.{revision}@{domain}");
            self.set_email(&address);
        }
    }
}

fn with_word(text: &str, word: &str) -> String {
    if text.is_empty() { word.to_owned() } else { format!("{text} {word}") }
}
