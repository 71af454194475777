use model::ConnectionKey;
use serde::{Deserialize, Serialize};
use store::{ConnectionRegistry, CredentialDigest, Registration, SecretError, Secrets, StoreError, usable_token};
use thiserror::Error;

use super::{Configuration, Deployment, Problems, READER, SecretReference, document, readable, registration};

/// How many characters a token must have in a stack. Whoever can read the control table, or a backup of it, can try
/// tokens against its digest: none that could be guessed is stored.
const LEAST_CHARACTERS: usize = 16;

/// A token that may read a tenant's data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    /// The tenant that it may read.
    pub tenant: String,
    /// The secret that holds the bearer token.
    pub token: SecretReference,
    /// What the token allows.
    #[serde(default)]
    pub scope: Scope,
    /// The digest of the token, as the secret held it when the file was applied. A registration of the release before
    /// has none, and that release ignores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<CredentialDigest>,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To read.
    #[default]
    Read,
    /// To read, and to operate.
    Operate,
}

/// A reader's token can't be used. Says which secret and why, and never its content.
#[derive(Clone, Debug, Error)]
pub enum TokenError {
    /// Its secret can't be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No request can present it.
    #[error("{0}: the token is empty, or has a character that no header can carry")]
    Unusable(String),
    /// It could be guessed.
    #[error("{0}: the token must have at least {LEAST_CHARACTERS} characters, of random")]
    Short(String),
}

/// The secret of a reader.
#[derive(Deserialize)]
struct Token {
    token: String,
}

impl Reader {
    /// The reader as the store keeps it. Its place in the file is no part of its key: a reader that moves there stays
    /// registered.
    pub fn to_registration(&self) -> Registration {
        registration(ConnectionKey::new(&self.tenant, format!("reader/{}", *self.token)), READER, self)
    }

    /// Every reader of all tenants that can be read; the log names the others.
    ///
    /// # Errors
    /// If the store can't be read.
    pub async fn all(registry: &ConnectionRegistry) -> Result<Vec<Self>, StoreError> {
        Ok(readable(&registry.of_kind(READER).await?, Self::from_registration))
    }

    /// The reader in a registration. Its tenant is in the key.
    pub(super) fn from_registration(registration: &Registration) -> Result<Self, StoreError> {
        Ok(Self { tenant: registration.key.tenant.clone(), ..document(registration)? })
    }

    /// The digest of its token: the stored one; without one, that of what the secret holds now.
    ///
    /// # Errors
    /// If there is no stored one, and the secret can't be read or holds no token that a request can present.
    pub async fn digest(&self, secrets: &Secrets) -> Result<CredentialDigest, TokenError> {
        match &self.token_sha256 {
            Some(digest) => Ok(digest.clone()),
            None => self.digest_of_secret(secrets, 1).await,
        }
    }

    async fn digest_of_secret(&self, secrets: &Secrets, least: usize) -> Result<CredentialDigest, TokenError> {
        let Token { token } = secrets.read(&self.token, "\"token\"").await?;
        let token = usable_token(&token).ok_or_else(|| TokenError::Unusable(self.token.to_string()))?;
        if token.len() < least {
            return Err(TokenError::Short(self.token.to_string()));
        }
        Ok(CredentialDigest::of(token.as_bytes()))
    }
}

impl Configuration {
    /// Reads the secret of every reader, and gives the reader the digest of its token.
    ///
    /// # Errors
    /// Every token that can't be used, each with its reader.
    pub async fn digest_tokens(&mut self, secrets: &Secrets, deployment: Deployment) -> Result<(), Problems> {
        let least = if deployment == Deployment::Stack { LEAST_CHARACTERS } else { 1 };
        let mut problems = Vec::new();
        for (number, reader) in (1..).zip(&mut self.readers) {
            match reader.digest_of_secret(secrets, least).await {
                Ok(digest) => reader.token_sha256 = Some(digest),
                Err(error) => {
                    problems.push(format!("reader {number} (tenant `{}`): key `token`: {error}", reader.tenant));
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}
