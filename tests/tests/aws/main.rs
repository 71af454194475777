//! AWS as it is: partition keys that take no more, writes that meet transactions, decoded paths, and answers that are
//! too large for Lambda.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

mod answers;
mod paths;
mod throttling;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tests::{CONNECTOR_LOGIN, TOKEN, TestDeployment};

/// The answer of the read API.
async fn read(world: &TestDeployment, path: &str) -> (StatusCode, Value) {
    world.api("GET", path, Some(TOKEN), "").await
}

/// Configures a batch import, `acme/imports`.
async fn configure_imports(world: &TestDeployment) {
    let users = json!({ "users": [{ "user_id": "john", "user_password": "secret" }] });
    let credentials = world.secret("imports.json", &users);
    world
        .configure(&format!(
            "[[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = 'widgets'\n\
             credentials = '{credentials}'\ncampaigns = ['898989889']\n"
        ))
        .await;
}

/// Imports rows of code and first name; the answer.
async fn import(world: &TestDeployment, rows: &[String]) -> Value {
    let rows = rows.join("\n");
    let fields = [
        ("user_id", "john"),
        ("user_password", "secret"),
        ("account_id", "widgets"),
        ("type", "customers_batch"),
        ("delimiter", "pipe"),
        ("overwrite_duplicates", "update"),
        ("campaigns_to_include", "898989889"),
        ("profiles_header_1", "code"),
        ("profiles_header_2", "first_name"),
        ("output", "JSON"),
        ("Profiles_Data", &rows),
    ];
    let encode = |value: &str| value.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = Request::post("/api.php").header("Content-Type", "application/x-www-form-urlencoded");
    let (_, _, text) = world.request(request.body(Body::from(body.join("&"))).unwrap()).await;
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

/// Sends a request as a Connector does; status and document.
async fn as_connector(world: &TestDeployment, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    use base64::Engine;
    let (username, password) = CONNECTOR_LOGIN;
    let login = base64::prelude::BASE64_STANDARD.encode(format!("{username}:{password}"));
    let request = Request::builder()
        .method(method)
        .uri(format!("/connector/api/2011-11/{path}"))
        .header("Content-Type", "application/xml")
        .header("Authorization", format!("Basic {login}"));
    let (status, _, text) = world.request(request.body(Body::from(body.to_owned())).unwrap()).await;
    (status, text)
}

/// A prospect, with these elements beside the mandatory ones, and these beside its `userInfo`.
fn user(record_id: &str, info: &str, beside: &str) -> String {
    format!(
        "<user><providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
         <recordID>{record_id}</recordID></providerInfo><userInfo><firstname>Foo</firstname><lastname>Bar</lastname>\
         <userStatus>ACTIVE</userStatus><userType>PROSPECT</userType>{info}</userInfo>{beside}</user>"
    )
}
