//! Customers' passwords and PINs become salted Argon2id hashes before they go anywhere.
//!
//! A hash takes as much memory and time as the number of secrets in the request allows, so that the whole request is
//! done in time: a customer who signs up gets what OWASP recommends, one of 20,000 gets less. Nothing makes a PIN of four
//! digits hard to guess for who has its hash, so hashes are shown on no surface either. The text says which parameters
//! it was made with (PHC string format).
//!
//! | secrets in the request | memory | passes | one hash | all of them, on two processors |
//! |---|---|---|---|---|
//! | up to 100 | 19 MiB | 2 | 24 ms | 1.2 s |
//! | up to 1,000 | 4 MiB | 1 | 1.5 ms | 0.8 s |
//! | more, up to 40,000 | 512 KiB | 1 | 0.2 ms | 4.2 s |

use std::num::NonZero;

use argon2::password_hash::{Error, PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use model::ConnectionKey;
use model::import::{Field, salt};

/// A secret of a customer, in clear: it has no `Debug`, and lives no longer than its request.
pub(crate) struct Secret {
    /// Whose it is.
    pub(crate) source_id: String,
    /// The column that it came in.
    pub(crate) field: Field,
    /// The secret itself.
    pub(crate) text: String,
}

/// What one hash may take.
struct Effort {
    memory_kib: u32,
    passes: u32,
}

/// The effort for each of so many secrets.
fn effort_for(secrets: usize) -> Effort {
    match secrets {
        0..=100 => Effort { memory_kib: 19 * 1024, passes: 2 },
        101..=1_000 => Effort { memory_kib: 4 * 1024, passes: 1 },
        _ => Effort { memory_kib: 512, passes: 1 },
    }
}

/// The hashes of secrets, in their order. Uses every processor, and blocks.
///
/// # Errors
/// Where a hash can't be made: with the library's reason, which holds nothing of the secret.
pub(crate) fn seal(connection: &ConnectionKey, secrets: &[Secret]) -> Result<Vec<String>, Error> {
    let Effort { memory_kib, passes } = effort_for(secrets.len());
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(memory_kib, passes, 1, None)?);
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
        seal(&ConnectionKey::new("acme", "imports"), secrets).unwrap()
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
    fn many_secrets_take_less_each_and_stay_in_their_order() {
        let secrets: Vec<Secret> =
            (0..1_003).map(|number| secret(&number.to_string(), Field::CustomerPin, "1")).collect();
        let hashes = sealed(&secrets);
        assert_eq!(hashes.len(), secrets.len());
        for place in [0, 501, 1_002] {
            assert!(hashes[place].starts_with("$argon2id$v=19$m=512,t=1,p=1$"), "{}", hashes[place]);
            let salt = SaltString::encode_b64(&salt(
                &ConnectionKey::new("acme", "imports"),
                &place.to_string(),
                Field::CustomerPin,
            ));
            assert!(hashes[place].contains(salt.unwrap().as_str()));
        }
    }
}
