use std::sync::Arc;

use api::{Credential, CredentialList, Lookup, request_id};
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use config::{Reader, Scope, TokenError};
use store::CredentialDigest;

use crate::CustomersApi;
use crate::problem::Problem;

/// The tenant whose data a request may read. The rest of the request is looked at only after that.
pub(crate) struct Tenant(pub(crate) String);

/// The tenant whose connections a request may operate.
pub(crate) struct OperatedTenant(pub(crate) String);

/// The tenant whose data a request may read, and whether it may operate its connections.
pub(crate) struct Caller {
    pub(crate) tenant: String,
    pub(crate) scope: Scope,
}

/// What a token opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    tenant: String,
    may_operate: bool,
}

impl FromRequestParts<Arc<CustomersApi>> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<CustomersApi>) -> Result<Self, Problem> {
        api.access_of(parts).await.map(|access| Self(access.tenant))
    }
}

impl FromRequestParts<Arc<CustomersApi>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<CustomersApi>) -> Result<Self, Problem> {
        let Access { tenant, may_operate } = api.access_of(parts).await?;
        Ok(Self { tenant, scope: if may_operate { Scope::Operate } else { Scope::Read } })
    }
}

impl FromRequestParts<Arc<CustomersApi>> for OperatedTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<CustomersApi>) -> Result<Self, Problem> {
        let access = api.access_of(parts).await?;
        if access.may_operate { Ok(Self(access.tenant)) } else { Err(Problem::forbidden()) }
    }
}

impl CustomersApi {
    /// What the token opens that the request carries.
    async fn access_of(&self, parts: &Parts) -> Result<Access, Problem> {
        let presented = presented(&parts.headers).map(|token| CredentialDigest::of(token.as_bytes()));
        let read = |reader| self.credential_of(reader);
        let who = || {
            // The path without ids: it names no person.
            let path = parts.extensions.get().map_or("?", MatchedPath::as_str);
            let route = format!("{} {}", parts.method, path.replace("{*", "{"));
            (route, request_id(&parts.extensions, &self.tables.random))
        };
        match self.readers.open(presented, Reader::all(&self.tables.registry), read, who).await? {
            // All of one tenant. One token in two secrets may do what either of them allows.
            Lookup::These(accesses) => {
                accesses.into_iter().max_by_key(|access| access.may_operate).ok_or_else(Problem::unauthorized)
            }
            Lookup::Nothing => Err(Problem::unauthorized()),
            Lookup::Unknown => Err(Problem::tokens_unreadable()),
        }
    }

    /// A registration without a digest, as the release before wrote it, costs a look at its secret.
    async fn credential_of(&self, reader: Reader) -> CredentialList<Access> {
        let digest = reader.digest(&self.secrets).await;
        let Reader { tenant, token: reference, scope, .. } = reader;
        match digest {
            Ok(digest) => {
                let name = format!("a reader of {tenant} ({})", *reference);
                let opens = Access { tenant: tenant.clone(), may_operate: scope == Scope::Operate };
                CredentialList::complete([Credential { digest, owner: tenant, name, opens }])
            }
            Err(TokenError::Secret(error)) => {
                tracing::error!(tenant, %error, "a reader's token can't be read");
                CredentialList::unreadable()
            }
            Err(error @ (TokenError::Unusable(_) | TokenError::Short(_))) => {
                tracing::error!(tenant, %error, "a reader's token opens nothing");
                CredentialList::complete([])
            }
        }
    }
}

/// The token that a request presents, if any.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
