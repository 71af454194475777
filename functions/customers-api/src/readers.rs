use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use runtime::connections::Reader;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::{Clock, Directory, Secrets, StoreError};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::problem::Problem;

/// How long the readers are used before they are read again: a withdrawn token stops working soon after.
const FRESH: Duration = Duration::from_secs(60);

/// Who may read: bearer tokens, and whose data each of them opens.
#[derive(Debug)]
pub(crate) struct Readers {
    directory: Directory,
    secrets: Secrets,
    clock: Clock,
    known: Mutex<Option<(Timestamp, Arc<Vec<KnownReader>>)>>,
}

#[derive(Debug)]
struct KnownReader {
    tenant: String,
    token_digest: [u8; 32],
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

impl Readers {
    pub(crate) fn new(directory: Directory, secrets: Secrets, clock: Clock) -> Self {
        Self { directory, secrets, clock, known: Mutex::new(None) }
    }

    /// The tenant whose token the request carries.
    pub(crate) async fn tenant_of(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or_else(Problem::unauthorized)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(Problem::unauthorized());
        }
        let readers = self.readers().await?;
        // Every token is compared, in constant time: how long it takes says nothing about any of them.
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut position = u64::MAX;
        for (number, reader) in (0..).zip(readers.iter()) {
            let equal: Choice = reader.token_digest.ct_eq(&digest);
            position.conditional_assign(&number, equal);
        }
        let reader = usize::try_from(position).ok().and_then(|position| readers.get(position));
        reader.map(|reader| reader.tenant.clone()).ok_or_else(Problem::unauthorized)
    }

    async fn readers(&self) -> Result<Arc<Vec<KnownReader>>, StoreError> {
        let now = self.clock.now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read_at, readers)) = known
            && now < read_at + FRESH
        {
            return Ok(readers);
        }
        let mut readers = Vec::new();
        for reader in Reader::all(&self.directory).await? {
            match self.secrets.read::<Token>(&reader.token, "\"token\"").await {
                Ok(Token { token }) if !token.is_empty() => readers
                    .push(KnownReader { tenant: reader.tenant, token_digest: Sha256::digest(token.as_bytes()).into() }),
                Ok(_) => tracing::error!(tenant = reader.tenant, "a reader's token is empty: it opens nothing"),
                Err(error) => tracing::error!(tenant = reader.tenant, %error, "a reader's token can't be read"),
            }
        }
        let readers = Arc::new(readers);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, readers.clone()));
        Ok(readers)
    }
}
