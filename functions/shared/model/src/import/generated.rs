use std::fmt;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ConnectionKey;
use crate::import::Field;

/// What tells a request from every other of its connection. Everything that an import generates follows from it, so
/// that the same request, retried or doubled, generates the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 16]);

/// Takes the parts of a fingerprint one after the other.
pub(super) struct FingerprintBuilder(Sha256);

impl FingerprintBuilder {
    /// Each part with its length: no two lists of parts are the same bytes.
    pub(super) fn add(&mut self, part: &str) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part.as_bytes());
    }

    pub(super) fn finish(self) -> Fingerprint {
        Fingerprint(half(self.0))
    }
}

impl Fingerprint {
    pub(super) fn builder() -> FingerprintBuilder {
        FingerprintBuilder(Sha256::new())
    }

    /// The id of the import that began to carry the request out at this time.
    pub fn import_id(&self, began: Timestamp) -> String {
        let text = self.to_string();
        format!("{}-{}", &text[..16], began.as_millisecond())
    }

    /// The id of a customer that `row` brings and that has none: 16 digits. `attempt` counts the ids that were taken.
    pub(super) fn customer_id(&self, row: u32, attempt: u32) -> String {
        self.digits("customer", row, attempt, 16)
    }

    /// The card number of a customer that `row` brings, with as many digits as are asked for, up to 30.
    pub(super) fn card_number(&self, row: u32, attempt: u32, digits: u8) -> String {
        self.digits("card", row, attempt, digits)
    }

    /// Which row of which request an id was generated for.
    pub fn origin(&self, row: u32) -> String {
        format!("{self}/{row}")
    }

    /// A number that does not begin with 0, but for the one-digit 0: spreadsheets lose leading zeros.
    fn digits(&self, purpose: &str, row: u32, attempt: u32, digits: u8) -> String {
        let mut parts = Self::builder();
        parts.add(&self.to_string());
        parts.add(purpose);
        parts.add(&format!("{row}/{attempt}"));
        let random = u128::from_be_bytes(parts.finish().0);
        let least = match digits {
            0 | 1 => 0,
            _ => 10_u128.pow(u32::from(digits) - 1),
        };
        (least + random % (10_u128.pow(u32::from(digits)) - least)).to_string()
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The salt for the hash of a customer's secret: another one for each customer and column, and always the same for
/// the same, so that the same secret again is no change.
pub fn salt(connection: &ConnectionKey, source_id: &str, field: Field) -> [u8; 16] {
    let mut parts = Fingerprint::builder();
    parts.add("salt");
    parts.add(&connection.to_string());
    parts.add(source_id);
    parts.add(&field.name());
    parts.finish().0
}

fn half(digest: Sha256) -> [u8; 16] {
    let digest = digest.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::import::{Overwrite, Request, Row};

    fn request(rows: &[&[(Field, &str)]]) -> Request {
        let rows = (1..).zip(rows).map(|(number, values)| {
            Row::new(number, values.iter().map(|(field, value)| (*field, (*value).to_owned())))
        });
        Request {
            overwrite: Overwrite::Update,
            campaigns: vec!["1".into()],
            card_digits: Some(10),
            rows: rows.collect(),
        }
    }

    fn fingerprint(rows: &[&[(Field, &str)]]) -> Fingerprint {
        request(rows).fingerprint(&ConnectionKey::new("acme", "imports"))
    }

    #[test]
    fn equal_requests_have_equal_fingerprints_and_others_do_not() {
        let one = fingerprint(&[&[(Field::FirstName, "jane")], &[(Field::FirstName, "jim")]]);
        assert_eq!(one, fingerprint(&[&[(Field::FirstName, "jane")], &[(Field::FirstName, "jim")]]));
        for other in [
            fingerprint(&[&[(Field::FirstName, "jim")], &[(Field::FirstName, "jane")]]),
            fingerprint(&[&[(Field::LastName, "jane")], &[(Field::FirstName, "jim")]]),
            fingerprint(&[&[(Field::FirstName, "jane"), (Field::LastName, "jim")]]),
            fingerprint(&[]),
        ] {
            assert_ne!(one, other);
        }
        let rows: &[&[(Field, &str)]] = &[&[(Field::FirstName, "jane")], &[(Field::FirstName, "jim")]];
        assert_ne!(one, request(rows).fingerprint(&ConnectionKey::new("other", "imports")));
        let changed = Request { overwrite: Overwrite::Yes, ..request(rows) };
        assert_ne!(one, changed.fingerprint(&ConnectionKey::new("acme", "imports")));
    }

    #[test]
    fn nobody_can_try_secrets_on_what_follows_from_a_fingerprint() {
        let with = |pin| fingerprint(&[&[(Field::FirstName, "jane"), (Field::CustomerPin, pin)]]);
        assert_eq!(with("1234"), with("4321"));
        assert_ne!(with("1234"), fingerprint(&[&[(Field::FirstName, "jane")]]));
    }

    #[test]
    fn generated_numbers_have_their_digits_and_differ_from_row_to_row() {
        let fingerprint = fingerprint(&[&[(Field::FirstName, "jane")]]);
        for digits in 1..=30 {
            let number = fingerprint.card_number(1, 0, digits);
            assert_eq!(number.len(), usize::from(digits), "{number}");
            assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
        }
        let ids: HashSet<String> = (0..20_000).map(|row| fingerprint.customer_id(row, 0)).collect();
        assert_eq!(ids.len(), 20_000);
        assert!(ids.iter().all(|id| id.len() == 16));
        assert_ne!(fingerprint.customer_id(1, 0), fingerprint.customer_id(1, 1));
    }

    #[test]
    fn every_secret_has_a_salt_of_its_own() {
        let connection = ConnectionKey::new("acme", "imports");
        let one = salt(&connection, "1", Field::CustomerPin);
        assert_eq!(one, salt(&connection, "1", Field::CustomerPin));
        for other in [
            salt(&connection, "2", Field::CustomerPin),
            salt(&connection, "1", Field::CustomerPassword),
            salt(&ConnectionKey::new("other", "imports"), "1", Field::CustomerPin),
        ] {
            assert_ne!(one, other);
        }
    }
}
