use std::fmt;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::ConnectionKey;
use crate::import::Field;

/// The secret from which the ids that a connection's imports generate are derived: without it, a known request is not
/// enough to compute them. It is made of random bytes once for each connection, and shown on no surface.
#[derive(Clone)]
pub struct IdSecret([u8; Self::LENGTH]);

impl IdSecret {
    /// Its bytes.
    pub const LENGTH: usize = 32;

    /// A secret of random bytes.
    pub fn new(random: [u8; Self::LENGTH]) -> Self {
        Self(random)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

/// Without its bytes.
impl fmt::Debug for IdSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdSecret")
    }
}

/// What tells a request from every other of its connection. Everything that an import generates follows from it, so
/// that the same request, retried or doubled, generates the same; and from a secret, so that the ids can't be
/// predicted.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestFingerprint {
    id: [u8; 16],
    /// What ids are derived from; the releases before derived them from `id`.
    seed: Option<[u8; 32]>,
}

/// Takes the parts of a fingerprint one by one.
pub(super) struct RequestFingerprintBuilder(Hasher);

enum Hasher {
    Keyed(Box<Hmac<Sha256>>),
    /// As the releases before.
    Plain(Sha256),
}

impl RequestFingerprintBuilder {
    pub(super) fn keyed(key: &[u8; 32]) -> Self {
        // HMAC pads a key that is shorter than a block of the hash with zeros.
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        Self(Hasher::Keyed(Box::new(Hmac::new(&block.into()))))
    }

    pub(super) fn plain() -> Self {
        Self(Hasher::Plain(Sha256::new()))
    }

    /// Each part with its length: no two lists of parts are the same bytes.
    pub(super) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        for bytes in [&(part.len() as u64).to_be_bytes()[..], part] {
            match &mut self.0 {
                Hasher::Keyed(hasher) => Mac::update(&mut **hasher, bytes),
                Hasher::Plain(hasher) => Digest::update(hasher, bytes),
            }
        }
    }

    fn bytes(self) -> [u8; 32] {
        match self.0 {
            Hasher::Keyed(hasher) => hasher.finalize().into_bytes().into(),
            Hasher::Plain(hasher) => hasher.finalize().into(),
        }
    }

    pub(super) fn finish(self) -> RequestFingerprint {
        let is_keyed = matches!(self.0, Hasher::Keyed(_));
        let bytes = self.bytes();
        if !is_keyed {
            return RequestFingerprint { id: half(&bytes), seed: None };
        }
        // The id that is shown is not what ids are derived from.
        let mut id = Self::keyed(&bytes);
        id.add("id");
        RequestFingerprint { id: half(&id.bytes()), seed: Some(bytes) }
    }
}

impl RequestFingerprint {
    /// The id of the import that began to carry the request out at this time.
    pub fn import_id(&self, began: Timestamp) -> String {
        let text = self.to_string();
        format!("{}-{}", &text[..16], began.as_millisecond())
    }

    /// The id of a new customer of `row` without one: 16 digits. `attempt` counts the ids that were already taken.
    pub(super) fn customer_id(&self, row: u32, attempt: u32) -> String {
        self.digits("customer", row, attempt, 16)
    }

    /// The card number of a customer of `row`, with the requested number of digits, up to 30.
    pub(super) fn card_number(&self, row: u32, attempt: u32, digits: u8) -> String {
        self.digits("card", row, attempt, digits)
    }

    /// The request and the row that an id was generated for.
    pub fn origin(&self, row: u32) -> String {
        format!("{self}/{row}")
    }

    /// A number that does not begin with 0, but for the one-digit 0: spreadsheets lose leading zeros.
    fn digits(&self, purpose: &str, row: u32, attempt: u32, digits: u8) -> String {
        let mut parts = match &self.seed {
            Some(seed) => RequestFingerprintBuilder::keyed(seed),
            None => {
                let mut parts = RequestFingerprintBuilder::plain();
                parts.add(self.to_string());
                parts
            }
        };
        parts.add(purpose);
        parts.add(format!("{row}/{attempt}"));
        let random = u128::from_be_bytes(half(&parts.bytes()));
        let least = match digits {
            0 | 1 => 0,
            _ => 10_u128.pow(u32::from(digits) - 1),
        };
        (least + random % (10_u128.pow(u32::from(digits)) - least)).to_string()
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for RequestFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.id))
    }
}

/// Without what ids are derived from.
impl fmt::Debug for RequestFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RequestFingerprint({self})")
    }
}

/// The salt for the hash of a customer's secret. It differs by customer and column, and is always the same for one of
/// them: so the same secret again is no change.
pub fn salt(connection: &ConnectionKey, source_id: &str, field: Field) -> [u8; 16] {
    let mut parts = RequestFingerprintBuilder::plain();
    parts.add("salt");
    parts.add(connection.to_string());
    parts.add(source_id);
    parts.add(&*field.name());
    half(&parts.bytes())
}

fn half(digest: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|place| digest[place])
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::import::{Overwrite, Request, Row, UnreadableRow};

    fn request(rows: &[&[(Field, &str)]]) -> Request {
        let rows = (1..).zip(rows).map(|(number, values)| {
            Row::new(number, values.iter().map(|(field, value)| (*field, (*value).to_owned())))
        });
        Request {
            overwrite: Overwrite::Update,
            campaigns: vec!["1".into()],
            card_digits: Some(10),
            rows: rows.collect(),
            unreadable: Vec::new(),
        }
    }

    fn secret(byte: u8) -> IdSecret {
        IdSecret::new([byte; 32])
    }

    fn fingerprint(rows: &[&[(Field, &str)]]) -> RequestFingerprint {
        request(rows).fingerprint(&ConnectionKey::new("acme", "imports"), &secret(1))
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
        let connection = ConnectionKey::new("acme", "imports");
        assert_ne!(one, request(rows).fingerprint(&ConnectionKey::new("other", "imports"), &secret(1)));
        assert_ne!(one, request(rows).fingerprint(&connection, &secret(2)));
        let changed = Request { overwrite: Overwrite::Yes, ..request(rows) };
        assert_ne!(one, changed.fingerprint(&connection, &secret(1)));
        // Rows that can't be read count, too.
        let unreadable = |bytes: &[u8]| {
            let unreadable = vec![UnreadableRow { number: 3, bytes: bytes.to_owned() }];
            Request { unreadable, ..request(rows) }.fingerprint(&connection, &secret(1))
        };
        assert_eq!(unreadable(b"x|y"), unreadable(b"x|y"));
        assert!(unreadable(b"x|y") != one && unreadable(b"x|y") != unreadable(b"x|z"));
    }

    #[test]
    fn who_does_not_know_the_secret_can_not_compute_what_is_generated() {
        let rows: &[&[(Field, &str)]] = &[&[(Field::FirstName, "jane")]];
        let connection = ConnectionKey::new("acme", "imports");
        let [one, other] = [1, 2].map(|byte| request(rows).fingerprint(&connection, &secret(byte)));
        assert_ne!(one.card_number(1, 0, 10), other.card_number(1, 0, 10));
        assert_ne!(one.customer_id(1, 0), other.customer_id(1, 0));
        assert_ne!(one.origin(1), other.origin(1));
        // Nor can it be computed from what is shown: the id alone gives nothing.
        let told = RequestFingerprint { seed: None, ..one.clone() };
        assert_ne!(told.card_number(1, 0, 10), one.card_number(1, 0, 10));
        assert_eq!(format!("{one:?}"), format!("RequestFingerprint({one})"));
    }

    /// Invariant 11: what the release before began is continued.
    #[test]
    fn the_fingerprint_of_the_releases_before_is_known() {
        let rows: &[&[(Field, &str)]] = &[&[(Field::FirstName, "Jane"), (Field::Email, "jane.roe@example.org")]];
        let before = Request { campaigns: vec!["898989889".into()], ..request(rows) }
            .unkeyed_fingerprint(&ConnectionKey::new("acme", "imports"));
        assert_eq!(before.to_string(), "7e72f6ec30d4a04083eaf0750cde8291");
        assert_eq!(before.card_number(1, 0, 10), "3544441237");
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
