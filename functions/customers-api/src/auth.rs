use std::sync::Arc;

use api::{Credential, CredentialList, Lookup, request_id};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use config::{Reader, TokenError};
use store::CredentialDigest;

use crate::CustomersApi;
use crate::problem::Problem;

/// The tenant whose data a request may read. The rest of the request is looked at only after that.
pub(crate) struct Tenant(pub(crate) String);

impl FromRequestParts<Arc<CustomersApi>> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<CustomersApi>) -> Result<Self, Problem> {
        api.tenant_of(parts).await.map(Self)
    }
}

impl CustomersApi {
    /// The tenant whose token the request carries.
    async fn tenant_of(&self, parts: &Parts) -> Result<String, Problem> {
        let presented = presented(&parts.headers).map(|token| CredentialDigest::of(token.as_bytes()));
        let read = |reader| self.credential_of(reader);
        let who = || {
            let route = format!("{} {}", parts.method, route_of(parts.uri.path()));
            (route, request_id(&parts.extensions, &self.random))
        };
        match self.readers.open(presented, Reader::all(&self.registry), read, who).await? {
            // They are all the same.
            Lookup::These(tenants) => tenants.into_iter().next().ok_or_else(Problem::unauthorized),
            Lookup::Nothing => Err(Problem::unauthorized()),
            Lookup::Unknown => Err(Problem::tokens_unreadable()),
        }
    }

    /// A registration without a digest, as the release before wrote it, costs a look at its secret.
    async fn credential_of(&self, reader: Reader) -> CredentialList<String> {
        let digest = reader.digest(&self.secrets).await;
        let Reader { tenant, token: reference, .. } = reader;
        match digest {
            Ok(digest) => {
                let name = format!("a reader of {tenant} ({})", *reference);
                CredentialList::complete([Credential { digest, owner: tenant.clone(), name, opens: tenant }])
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

/// A path without ids: it names no person.
fn route_of(path: &str) -> &str {
    let routes = ["/v1/customers/batch-get", "/v1/customers", "/v1/connections", "/v1/staff", "/v1/lead-sources"];
    routes.into_iter().find(|route| *route == path).unwrap_or("/v1/customers/{id}")
}
