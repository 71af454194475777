//! Customers' passwords and PINs become salted Argon2id hashes before they go anywhere.
//!
//! Every hash takes what OWASP asks for at the least: 19 MiB and two passes, 24 ms. So a request may hold as many of
//! them as two processors do in time: see `MOST_SECRETS` of the dialect. A PIN of four digits is easy to guess from its
//! hash, so hashes are never shown either. The text says which parameters it was made with (PHC string format).

use std::num::NonZero;

use argon2::password_hash::{Error, PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use model::ConnectionKey;
use model::import::{Field, salt};

/// A secret of a customer, in clear text: it has no `Debug`, and lives no longer than its request.
pub(crate) struct Secret {
    /// The customer that it belongs to.
    pub(crate) source_id: String,
    /// The column that it came in.
    pub(crate) field: Field,
    /// The secret itself.
    pub(crate) text: String,
}

/// The memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// How often a hash goes through its memory.
const PASSES: u32 = 2;

/// The hashes of secrets, in their order. Uses every processor, and blocks.
///
/// # Errors
/// If a hash can't be made: with the library's reason, which holds nothing of the secret.
pub(crate) fn hash_secrets(connection: &ConnectionKey, secrets: &[Secret]) -> Result<Vec<String>, Error> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(MEMORY_KIB, PASSES, 1, None)?);
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = secrets.len().div_ceil(processors).max(1);
    std::thread::scope(|scope| {
        let seal_share = |share: &[Secret]| {
            share.iter().map(|secret| seal_one(&argon2, connection, secret)).collect::<Result<Vec<_>, _>>()
        };
        let shares: Vec<_> = secrets.chunks(share).map(|share| scope.spawn(move || seal_share(share))).collect();
        let mut sealed = Vec::with_capacity(secrets.len());
        for share in shares {
            // It does not panic; if it did, the request would fail as a whole.
            sealed.extend(share.join().map_err(|_| Error::Crypto)??);
        }
        Ok(sealed)
    })
}

fn seal_one(argon2: &Argon2<'_>, connection: &ConnectionKey, secret: &Secret) -> Result<String, Error> {
    let salt = SaltString::encode_b64(&salt(connection, &secret.source_id, secret.field))?;
    Ok(argon2.hash_password(secret.text.as_bytes(), &salt)?.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use argon2::password_hash::{PasswordHash, PasswordVerifier};

    use super::*;

    fn secret(source_id: &str, field: Field, text: &str) -> Secret {
        Secret { source_id: source_id.to_owned(), field, text: text.to_owned() }
    }

    fn sealed(secrets: &[Secret]) -> Vec<String> {
        hash_secrets(&ConnectionKey::new("acme", "imports"), secrets).unwrap()
    }

    #[test]
    fn a_hash_can_be_compared_with_and_is_another_for_everybody() {
        let (pin, password) = (Field::CustomerPin, Field::CustomerPassword);
        let secrets = [secret("1", pin, "4711"), secret("2", pin, "4711"), secret("1", password, "4711")];
        let hashes = sealed(&secrets);
        assert!(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
        for hash in &hashes {
            assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && !hash.contains("4711"), "{hash}");
            let hash = PasswordHash::new(hash).unwrap();
            assert!(Argon2::default().verify_password(b"4711", &hash).is_ok());
            assert!(Argon2::default().verify_password(b"4712", &hash).is_err());
        }
        assert_eq!(sealed(&secrets), hashes, "the same again is no change");
        assert!(sealed(&[]).is_empty());
    }

    #[test]
    fn many_secrets_take_as_much_each_and_stay_in_their_order() {
        let secrets: Vec<Secret> =
            (0..103).map(|number| secret(&number.to_string(), Field::CustomerPin, "1")).collect();
        let hashes = sealed(&secrets);
        assert_eq!(hashes.len(), secrets.len());
        for (place, hash) in hashes.iter().enumerate() {
            assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
            let connection = ConnectionKey::new("acme", "imports");
            let salt = SaltString::encode_b64(&salt(&connection, &place.to_string(), Field::CustomerPin));
            assert!(hash.contains(salt.unwrap().as_str()));
        }
    }
}
