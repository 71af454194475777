use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use store::{Clock, CredentialDigest};
use subtle::{Choice, ConstantTimeEq};

/// How long credentials are used before they are read again: a reader, an account or a sender that is removed from the
/// configuration is shut out within this time, and so is a token whose digest is replaced there. See [`store::Secrets`]
/// for how long a withdrawn secret still serves.
const FRESH: Duration = Duration::from_secs(60);
/// Likewise if a secret could not be read: a caller that presents it waits no longer than this.
const FRESH_IF_INCOMPLETE: Duration = Duration::from_secs(2);
/// How many secrets are read side by side.
const READS_AT_ONCE: usize = 16;

/// A secret, and what it opens.
#[derive(Clone, Debug)]
pub struct Credential<T> {
    /// The digest of the secret.
    pub digest: CredentialDigest,
    /// The owner, such as a tenant. A secret that opens credentials of two owners opens none.
    pub owner: String,
    /// Its name in the log, such as the connection's key.
    pub name: String,
    /// What it opens.
    pub opens: T,
}

/// The result of reading the credentials of one connection, or of one reader: those that are usable, and whether the
/// secret could be read.
#[derive(Debug)]
pub struct CredentialList<T> {
    /// The credentials.
    pub credentials: Vec<Credential<T>>,
    /// Whether there may be more of them.
    pub is_complete: bool,
}

impl<T> CredentialList<T> {
    /// All the credentials that there are.
    pub fn complete(credentials: impl IntoIterator<Item = Credential<T>>) -> Self {
        Self { credentials: credentials.into_iter().collect(), is_complete: true }
    }

    /// No credential, because the secret can't be read at the moment.
    pub fn unreadable() -> Self {
        Self { credentials: Vec::new(), is_complete: false }
    }
}

/// What a secret opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// All of these, which have one owner.
    These(Vec<T>),
    /// Nothing.
    Nothing,
    /// Nothing of what is known; but a secret can't be read at the moment, and it may be that one.
    Unknown,
}

/// What each secret opens, such as a tenant's data. Kept for a minute; for two seconds while a secret can't be read.
#[derive(Debug)]
pub struct CredentialCache<T> {
    clock: Clock,
    known: Mutex<Option<Arc<Known<T>>>>,
    /// Held by the caller that reads them: the others wait for its result.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    fresh_until: Timestamp,
    credentials: Vec<Credential<T>>,
    is_complete: bool,
}

impl<T: Clone> CredentialCache<T> {
    /// A cache that knows nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, known: Mutex::new(None), reading: tokio::sync::Mutex::new(()) }
    }

    /// What the secret opens. If nothing fresh is known, `list` is asked which entries have secrets, and `read` for the
    /// credentials of each of them, `READS_AT_ONCE` side by side.
    ///
    /// Every secret is compared, each in constant time: the duration says nothing about any of them. A secret that
    /// opens credentials of two owners opens none: its owner is ambiguous.
    ///
    /// # Errors
    /// What `list` returns.
    pub async fn lookup<L, E, R: Future<Output = CredentialList<T>>>(
        &self,
        secret: &CredentialDigest,
        list: impl Future<Output = Result<Vec<L>, E>>,
        read: impl Fn(L) -> R,
    ) -> Result<Lookup<T>, E> {
        if let Some(known) = self.fresh() {
            return Ok(known.lookup(secret));
        }
        let _reading = self.reading.lock().await;
        // The caller that held the lock may have read what is wanted.
        if let Some(known) = self.fresh() {
            return Ok(known.lookup(secret));
        }
        let now = self.clock.now();
        let read: Vec<CredentialList<T>> = stream::iter(list.await?).map(read).buffered(READS_AT_ONCE).collect().await;
        let is_complete = read.iter().all(|read| read.is_complete);
        let credentials = without_shared(read.into_iter().flat_map(|read| read.credentials).collect());
        let fresh_until = now + if is_complete { FRESH } else { FRESH_IF_INCOMPLETE };
        let known = Arc::new(Known { fresh_until, credentials, is_complete });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known.lookup(secret))
    }

    fn fresh(&self) -> Option<Arc<Known<T>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (self.clock.now() < known.fresh_until).then_some(known)
    }
}

impl<T: Clone> Known<T> {
    fn lookup(&self, secret: &CredentialDigest) -> Lookup<T> {
        let equal: Vec<Choice> =
            self.credentials.iter().map(|credential| credential.digest.as_bytes().ct_eq(secret.as_bytes())).collect();
        let opened = self.credentials.iter().zip(equal).filter(|(_, equal)| bool::from(*equal));
        let opened: Vec<T> = opened.map(|(credential, _)| credential.opens.clone()).collect();
        match (opened.is_empty(), self.is_complete) {
            (false, _) => Lookup::These(opened),
            (true, true) => Lookup::Nothing,
            (true, false) => Lookup::Unknown,
        }
    }
}

/// The credentials without those whose secret opens credentials of two owners or more, which are named in the log.
fn without_shared<T>(credentials: Vec<Credential<T>>) -> Vec<Credential<T>> {
    let mut owners: BTreeMap<[u8; 32], BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for Credential { digest, owner, name, .. } in &credentials {
        owners.entry(*digest.as_bytes()).or_default().entry(owner).or_default().insert(name);
    }
    owners.retain(|_, owners| owners.len() > 1);
    for sharing in owners.values() {
        let names: Vec<&str> = sharing.values().flatten().copied().collect();
        tracing::error!(names = names.join(", "), "the same credentials were given to several: they open none of them");
    }
    let shared: BTreeSet<[u8; 32]> = owners.into_keys().collect();
    credentials.into_iter().filter(|credential| !shared.contains(credential.digest.as_bytes())).collect()
}

#[cfg(test)]
mod tests;
