use axum::http::{HeaderMap, header};
use runtime::connections::Reader;
use runtime::{Doors, Fingerprint};
use serde::Deserialize;
use store::{Clock, Directory, Secrets, StoreError};

use crate::problem::Problem;

/// Who may read: bearer tokens, and whose data each of them opens.
#[derive(Debug)]
pub(crate) struct Readers {
    directory: Directory,
    secrets: Secrets,
    tenants: Doors<String>,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

impl Readers {
    pub(crate) fn new(directory: Directory, secrets: Secrets, clock: Clock) -> Self {
        Self { directory, secrets, tenants: Doors::new(clock) }
    }

    /// The tenant whose token the request carries.
    pub(crate) async fn tenant_of(&self, headers: &HeaderMap) -> Result<String, Problem> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let (scheme, token) = header.and_then(|value| value.split_once(' ')).ok_or_else(Problem::unauthorized)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(Problem::unauthorized());
        }
        let opened = self.tenants.opened_by(&Fingerprint::of(token.as_bytes()), || self.readers()).await?;
        opened.into_iter().next().ok_or_else(Problem::unauthorized)
    }

    async fn readers(&self) -> Result<Vec<(Fingerprint, String)>, StoreError> {
        let mut readers = Vec::new();
        for reader in Reader::all(&self.directory).await? {
            match self.secrets.read::<Token>(&reader.token, "\"token\"").await {
                Ok(Token { token }) if !token.is_empty() => {
                    readers.push((Fingerprint::of(token.as_bytes()), reader.tenant));
                }
                Ok(_) => tracing::error!(tenant = reader.tenant, "a reader's token is empty: it opens nothing"),
                Err(error) => tracing::error!(tenant = reader.tenant, %error, "a reader's token can't be read"),
            }
        }
        Ok(readers)
    }
}
