use std::borrow::Cow;

use jiff::civil::Date;

/// A column of an import, by the names of the Sticky Street dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each column is named by what it holds")]
pub enum Field {
    /// The sender's own id of the customer.
    Code,
    CardNumber,
    FirstName,
    LastName,
    Email,
    Phone,
    /// A date of the sender's choice, `YYYY-MM-DD` and nothing else.
    CustomDate,
    Street1,
    Street2,
    City,
    State,
    PostalCode,
    Country,
    /// `custom_field` if the number is 0, otherwise `custom_field_<number>`.
    CustomField(u16),
    CustomerUsername,
    /// A secret.
    CustomerPassword,
    /// A secret.
    CustomerPin,
    /// Points, visits, money, or the name of an item, to add on the first campaign of the import.
    AutoAdd,
}

/// Every column but the numbered ones.
const NAMES: [(Field, &str); 18] = [
    (Field::Code, "code"),
    (Field::CardNumber, "card_number"),
    (Field::FirstName, "first_name"),
    (Field::LastName, "last_name"),
    (Field::Email, "email"),
    (Field::Phone, "phone"),
    (Field::CustomDate, "custom_date"),
    (Field::Street1, "street1"),
    (Field::Street2, "street2"),
    (Field::City, "city"),
    (Field::State, "state"),
    (Field::PostalCode, "postal_code"),
    (Field::Country, "country"),
    (Field::CustomField(0), "custom_field"),
    (Field::CustomerUsername, "customer_username"),
    (Field::CustomerPassword, "customer_password"),
    (Field::CustomerPin, "customer_PIN"),
    (Field::AutoAdd, "auto_add"),
];
const NUMBERED: &str = "custom_field_";

/// Bytes of a code or a card number: they become parts of keys.
const LONGEST_ID: usize = 200;
/// Bytes of any other value: a customer with a hundred such values can still be stored.
const LONGEST_VALUE: usize = 2_000;

impl Field {
    /// Every column but the numbered ones, in the order in which the source lists them.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.into_iter().map(|(field, _)| field)
    }

    /// The column with this name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((field, _)) = NAMES.into_iter().find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            return Some(field);
        }
        let (prefix, number) = name.split_at_checked(NUMBERED.len())?;
        let is_number = prefix.eq_ignore_ascii_case(NUMBERED) && number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse().ok().filter(|number| is_number && *number > 0).map(Self::CustomField)
    }

    /// The source's name for it.
    pub fn name(self) -> Cow<'static, str> {
        match (self, NAMES.into_iter().find(|(field, _)| *field == self)) {
            (_, Some((_, name))) => Cow::Borrowed(name),
            (Self::CustomField(number), None) => Cow::Owned(format!("{NUMBERED}{number}")),
            (_, None) => Cow::Borrowed("?"),
        }
    }

    /// Whether only a salted hash of it may be kept.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::CustomerPassword | Self::CustomerPin)
    }

    /// Whether a value that is not blank can stand in this column.
    ///
    /// # Errors
    /// What is wrong, without the value.
    pub fn check(self, value: &str) -> Result<(), String> {
        let longest = if matches!(self, Self::Code | Self::CardNumber) { LONGEST_ID } else { LONGEST_VALUE };
        if value.len() > longest {
            return Err(format!("has {} bytes; at most {longest} are taken", value.len()));
        }
        if value.chars().any(|character| character.is_control() && character != '\t') {
            return Err("holds a control character".to_owned());
        }
        match self {
            Self::CustomDate if !is_date(value) => Err("must be a date written as YYYY-MM-DD".to_owned()),
            Self::Email if !is_email(value) => Err("is not an e-mail address".to_owned()),
            _ => Ok(()),
        }
    }
}

/// A real day in this form only: `04-06-05` could be one of six days.
fn is_date(value: &str) -> bool {
    let shape = value.bytes().map(|byte| if byte.is_ascii_digit() { b'9' } else { byte });
    shape.eq(*b"9999-99-99") && value.parse::<Date>().is_ok()
}

/// Customers are found by their addresses: `n/a` as the address of many would make one customer of them all.
fn is_email(value: &str) -> bool {
    let parts = value.rsplit_once('@');
    parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) && !value.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_found_by_its_name_in_any_case() {
        for field in Field::all().chain([1, 2, 77].map(Field::CustomField)) {
            assert_eq!(Field::from_name(&field.name()), Some(field));
            assert_eq!(Field::from_name(&field.name().to_uppercase()), Some(field));
        }
        for name in ["", "custome_date", "custom_field_", "custom_field_0", "custom_field_+1", "custom_field_x", "ß"] {
            assert_eq!(Field::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_date_has_one_form_only() {
        for date in ["1970-07-14", "2024-02-29", "0001-01-01"] {
            assert!(Field::CustomDate.check(date).is_ok(), "{date}");
        }
        let problem = "must be a date written as YYYY-MM-DD".to_owned();
        for text in ["04-06-05", "04-03-2010", "2026-1-2", "2025-02-29", "1970-13-01", "1970-07-14T00:00", "-970-07-14"]
        {
            assert_eq!(Field::CustomDate.check(text), Err(problem.clone()), "{text}");
        }
    }

    #[test]
    fn what_can_not_be_an_address_can_not_identify_anybody() {
        for address in ["jane@example.org", "\"j@ne\"@example.org", "j@x"] {
            assert!(Field::Email.check(address).is_ok(), "{address}");
        }
        for text in ["n/a", "@", "jane@", "@example.org", "jane doe@example.org"] {
            assert!(Field::Email.check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_have_bounds_and_no_control_characters() {
        assert!(Field::Code.check(&"x".repeat(200)).is_ok());
        assert_eq!(Field::Code.check(&"x".repeat(201)), Err("has 201 bytes; at most 200 are taken".to_owned()));
        assert!(Field::City.check(&"x".repeat(2_001)).is_err());
        assert!(Field::City.check("a\tb").is_ok());
        assert_eq!(Field::City.check("a\0b"), Err("holds a control character".to_owned()));
    }
}
