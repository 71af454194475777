use std::sync::Arc;

use api::{Credential, CredentialDigest, CredentialList, Lookup, request_id, usable_token};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use config::Reader;
use serde::Deserialize;

use crate::CustomersApi;
use crate::problem::Problem;

#[derive(Deserialize)]
struct Token {
    token: String,
}

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
        let presented = presented(&parts.headers).map(digest);
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

    async fn credential_of(&self, Reader { tenant, token: reference, .. }: Reader) -> CredentialList<String> {
        let token = match self.secrets.read::<Token>(&reference, "\"token\"").await {
            Ok(Token { token }) => token,
            Err(error) => {
                tracing::error!(tenant, %error, "a reader's token can't be read");
                return CredentialList::unreadable();
            }
        };
        let Some(token) = usable_token(&token) else {
            tracing::error!(tenant, reference = %*reference, "a reader's token is empty, or no header can carry it: it opens nothing");
            return CredentialList::complete([]);
        };
        let name = format!("a reader of {tenant} ({})", *reference);
        CredentialList::complete([Credential { digest: digest(token), owner: tenant.clone(), name, opens: tenant }])
    }
}

fn digest(token: &str) -> CredentialDigest {
    CredentialDigest::of(token.as_bytes())
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
