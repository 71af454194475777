use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use store::Clock;
use subtle::{Choice, ConstantTimeEq};

/// How long what opens what is used before it is read again: a withdrawn secret stops working soon after.
const FRESH: Duration = Duration::from_secs(60);

/// The fingerprint of a secret, or of what a request presents as one: of one length, whatever it is of.
#[derive(Clone, Debug)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of this secret.
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// What each secret opens, such as a tenant's data. Kept for a minute.
#[derive(Debug)]
pub struct Doors<T> {
    clock: Clock,
    known: Mutex<Option<(Timestamp, Known<T>)>>,
}

type Known<T> = Arc<Vec<(Fingerprint, T)>>;

impl<T: Clone> Doors<T> {
    /// Doors that nothing is known of yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::new(None) }
    }

    /// Everything that the secret opens. `read` is asked for all secrets where what is known is not fresh.
    ///
    /// Every secret is compared, each in constant time: how long it takes says nothing about any of them.
    ///
    /// # Errors
    /// What `read` returns.
    pub async fn opened_by<E, F: Future<Output = Result<Vec<(Fingerprint, T)>, E>>>(
        &self,
        secret: &Fingerprint,
        read: impl FnOnce() -> F,
    ) -> Result<Vec<T>, E> {
        let known = self.known(read).await?;
        let equal: Vec<Choice> = known.iter().map(|(known, _)| known.0.ct_eq(&secret.0)).collect();
        let opened = known.iter().zip(equal).filter(|(_, equal)| bool::from(*equal));
        Ok(opened.map(|((_, what), _)| what.clone()).collect())
    }

    async fn known<E, F: Future<Output = Result<Vec<(Fingerprint, T)>, E>>>(
        &self,
        read: impl FnOnce() -> F,
    ) -> Result<Known<T>, E> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, known)) = known
            && now < read_at + FRESH
        {
            return Ok(known);
        }
        let known = Arc::new(read().await?);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, known.clone()));
        Ok(known)
    }
}
