use std::sync::Arc;

use api::{Credential, CredentialList, Lookup};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use config::{Connection, ConnectorConfig};
use serde::Deserialize;
use store::{CredentialDigest, usable_token};
use wire::connector::Reason;

use crate::ConnectorApi;
use crate::error::ApiError;

/// A connection that the credentials of a request open.
pub(crate) type Sender = Arc<Connection<ConnectorConfig>>;

/// The credentials of a connection, as its secret holds them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Credentials {
    Basic { username: String, password: String },
    Bearer { token: String },
}

impl Credentials {
    /// The digest of a request's header with these; `None` if they are empty and would open the connection to any
    /// request, or if no header can carry them.
    fn digest(&self) -> Option<CredentialDigest> {
        match self {
            // A colon ends the user name in a request.
            Self::Basic { username, password } if !password.is_empty() && !username.contains(':') => {
                Some(basic(format!("{username}:{password}").as_bytes()))
            }
            Self::Basic { .. } => None,
            Self::Bearer { token } => usable_token(token).map(bearer),
        }
    }
}

/// The standard alphabet, whether or not padded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn basic(name_and_password: &[u8]) -> CredentialDigest {
    CredentialDigest::of(&[b"basic ", name_and_password].concat())
}

fn bearer(token: &str) -> CredentialDigest {
    CredentialDigest::of(&[b"bearer ", token.as_bytes()].concat())
}

/// The connections that a request may push to or fetch from. The rest of the request is looked at only after that.
pub(crate) struct SentBy(pub(crate) Vec<Sender>);

impl FromRequestParts<Arc<ConnectorApi>> for SentBy {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<ConnectorApi>) -> Result<Self, Response> {
        api.senders_of(&parts.headers).await.map(Self).map_err(|error| api.answer(Err(error)))
    }
}

impl ConnectorApi {
    /// The connections whose credentials the request carries: one, unless several of one tenant have the same.
    async fn senders_of(&self, headers: &HeaderMap) -> Result<Vec<Sender>, ApiError> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let list = Connection::<ConnectorConfig>::all(&self.tables.registry);
        let read = |connection| self.credential_of(connection);
        let who = || ("/connector/api/2011-11".to_owned(), self.tables.random.owner_id());
        match self.senders.open(header.and_then(presented), list, read, who).await? {
            Lookup::These(senders) => Ok(senders),
            Lookup::Nothing => Err(ApiError::unauthorized()),
            Lookup::Unknown => {
                let message = "the credentials can't be checked now: nothing is lost if the request is sent again";
                Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, Reason::Database, message))
            }
        }
    }

    async fn credential_of(&self, connection: Connection<ConnectorConfig>) -> CredentialList<Sender> {
        let fields = "\"username\" and \"password\", or \"token\"";
        let key = connection.key.clone();
        match self.secrets.read::<Credentials>(&connection.settings.credentials, fields).await {
            Ok(credentials) => {
                let Some(digest) = credentials.digest() else {
                    let message = "credentials that are empty, or that no header can carry, open nothing";
                    tracing::error!(connection = %key, message);
                    return CredentialList::complete([]);
                };
                let (owner, name) = (key.tenant.clone(), key.to_string());
                CredentialList::complete([Credential { digest, owner, name, opens: Arc::new(connection) }])
            }
            Err(error) => {
                tracing::error!(connection = %key, %error, "the credentials can't be read");
                CredentialList::unreadable()
            }
        }
    }
}

/// The digest of the credentials that a header presents.
fn presented(header: &str) -> Option<CredentialDigest> {
    let (scheme, credentials) = header.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        return BASE64.decode(credentials).ok().map(|decoded| basic(&decoded));
    }
    (scheme.eq_ignore_ascii_case("bearer") && !credentials.is_empty()).then(|| bearer(credentials))
}

/// Of the connections that a request's credentials open, the one that this provider may use for this client and club. A
/// `None` is not checked.
pub(crate) fn allowed<'a>(
    senders: &'a [Sender],
    provider: &str,
    client_id: Option<&str>,
    club_id: Option<&str>,
) -> Result<&'a Sender, ApiError> {
    let allows = |sender: &&Sender| {
        let ConnectorConfig { client_id: client, club_ids, providers, .. } = &sender.settings;
        providers.iter().any(|known| known == provider)
            && client_id.is_none_or(|asked| client == asked)
            && club_id.is_none_or(|asked| club_ids.iter().any(|known| known == asked))
    };
    senders.iter().find(allows).ok_or_else(ApiError::forbidden)
}
