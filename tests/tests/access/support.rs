//! Requests to all three APIs, and their answers.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use tests::{AssociationAnywhereFixture, TOKEN};

/// User, password and account of the imports in [`world`].
pub(crate) const IMPORTER: (&str, &str, &str) = ("john1970", "1959caadac9b13dcb3", "greatwidgets");

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }
}

/// A world with a connection of each kind that others push to.
pub(crate) async fn world() -> AssociationAnywhereFixture {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let (user, password, account) = IMPORTER;
    let users = serde_json::json!({ "users": [{ "user_id": user, "user_password": password }] });
    let credentials = world.secret("imports.json", &users);
    world
        .configure(&format!(
            "[[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = '{account}'\n\
             credentials = '{credentials}'\ncampaigns = ['1']\n"
        ))
        .await;
    world
}

async fn send(world: &AssociationAnywhereFixture, request: axum::http::request::Builder, body: String) -> Answer {
    let (status, headers, text) = world.request(request.body(Body::from(body)).unwrap()).await;
    Answer { status, headers, text }
}

/// Asks the API with this token.
pub(crate) async fn read_as(world: &AssociationAnywhereFixture, token: &str, path: &str) -> Answer {
    let request = Request::builder().uri(path).header("Authorization", format!("Bearer {token}"));
    send(world, request, String::new()).await
}

pub(crate) async fn read(world: &AssociationAnywhereFixture, path: &str) -> Answer {
    read_as(world, TOKEN, path).await
}

pub(crate) async fn batch_get(world: &AssociationAnywhereFixture, ids: &[String]) -> Answer {
    let request = Request::builder().method("POST").uri("/v1/customers/batch-get");
    let request = request.header("Authorization", format!("Bearer {TOKEN}"));
    send(world, request, serde_json::json!({ "ids": ids }).to_string()).await
}

/// Pushes a document to the Connector's API with this login.
pub(crate) async fn push_as(
    world: &AssociationAnywhereFixture,
    (user, password): (&str, &str),
    kind: &str,
    document: String,
) -> Answer {
    let login = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let request = Request::builder().method("POST").uri(format!("/connector/api/2011-11/{kind}"));
    send(world, request.header("Authorization", format!("Basic {login}")), document).await
}

/// A prospect, as it is pushed, with more elements.
pub(crate) fn prospect(record: &str, more: &str) -> String {
    format!(
        "<user><providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
         <recordID>{record}</recordID></providerInfo><userInfo><firstname>Foo</firstname><lastname>Bar</lastname>\
         <userStatus>ACTIVE</userStatus><userType>PROSPECT</userType>{more}</userInfo></user>"
    )
}

/// Imports one customer with these credentials.
pub(crate) async fn import_as(
    world: &AssociationAnywhereFixture,
    (user, password, account): (&str, &str, &str),
) -> Answer {
    let form = format!(
        "user_id={user}&user_password={password}&account_id={account}&type=customers_batch&delimiter=pipe\
         &overwrite_duplicates=update&campaigns_to_include=1&profiles_header_1=code&Profiles_Data=77&output=JSON"
    );
    let request = Request::builder().method("POST").uri("/api.php");
    send(world, request.header("Content-Type", "application/x-www-form-urlencoded"), form).await
}
