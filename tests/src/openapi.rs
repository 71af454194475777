//! What the API says of itself, and the answers of a small world that it shows as examples.

use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use simulators::association_anywhere::Poison;

use crate::{AssociationAnywhereFixture, CONNECTOR_LOGIN, OPERATOR, TOKEN};

/// The id of an operation, and a request for it.
const REQUESTS: [(&str, &str, &str, &str); 26] = [
    ("getCustomer", "GET", "/v1/customers/aa~1001", ""),
    ("getCustomer", "GET", "/v1/customers/aa~9999", ""),
    ("batchGetCustomers", "POST", "/v1/customers/batch-get", r#"{"ids":["aa~9999","aa~1002"]}"#),
    ("findCustomers", "GET", "/v1/customers?connection=aa&limit=1", ""),
    ("findCustomers", "GET", "/v1/customers?connection=aa&limit=0", ""),
    ("findCustomers", "GET", "/v1/customers?connection=bb", ""),
    ("readChanges", "GET", "/v1/changes?limit=1", ""),
    ("readChanges", "GET", "/v1/changes?wait=60", ""),
    ("searchCustomers", "POST", "/v1/customers/search", r#"{"email":"malgorzata.johnson.1002@example.net"}"#),
    ("findWhereabouts", "POST", "/v1/customers/where", r#"{"id":"aa~1003"}"#),
    ("findWhereabouts", "POST", "/v1/customers/where", r#"{"id":"bb~1003"}"#),
    ("listConnections", "GET", "/v1/connections?history=true", ""),
    ("listFailures", "POST", "/v1/failures/list", r#"{"connection":"aa"}"#),
    ("getRawDocument", "POST", "/v1/failures/raw-document", r#"{"id":"aa~1003"}"#),
    ("getRawDocument", "POST", "/v1/failures/raw-document", r#"{"id":"aa~1001"}"#),
    ("listImports", "GET", "/v1/imports?connection=imports", ""),
    ("undoImport", "POST", "/v1/imports/IMPORT/undo", r#"{"dry_run":true}"#),
    ("listStaff", "GET", "/v1/staff?connection=intouch", ""),
    ("listLeadSources", "GET", "/v1/lead-sources?connection=intouch", ""),
    ("redriveFailures", "POST", "/v1/failures/redrive", r#"{"ids":["aa~1003"]}"#),
    ("redriveFailures", "POST", "/v1/failures/redrive", r#"{"ids":["aa~1001"]}"#),
    ("dropFailures", "POST", "/v1/failures/drop", r#"{"connection":"aa","all":true}"#),
    ("pauseConnection", "POST", "/v1/connections/aa/pause", ""),
    ("resumeConnection", "POST", "/v1/connections/aa/resume", ""),
    ("resyncConnection", "POST", "/v1/connections/aa/resync", r#"{"confirm_deletes":true}"#),
    ("resyncConnection", "POST", "/v1/connections/aa/resync", r#"{"customer":"1001"}"#),
];

/// What a Connector pushes: a lead source, a member of staff.
const PUSHES: [(&str, &str); 2] = [
    ("leadsource", "<leadSource>{}<leadInfo><name>Open day</name><active>true</active></leadInfo></leadSource>"),
    (
        "staff",
        "<staff>{}<userInfo><firstname>Sam</firstname><lastname>Hill</lastname><userStatus>ACTIVE</userStatus>\
         <email>sam.hill@example.net</email></userInfo></staff>",
    ),
];

/// What the API answers in a world with a source of three customers, one of whom it can't tell, a Connector and an
/// import: in the form that [`customers_api::openapi`] takes.
pub async fn examples() -> Value {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.source.poison(1003, Poison::ErrorElement);
    world.add_connector(true).await;
    world.add_operator().await;
    world.run_for(60).await;
    for (resource, document) in PUSHES {
        push(&world, resource, document).await;
    }
    let import = import(&world).await;
    world.publish().await;
    let mut examples = Map::new();
    for (id, method, path, body) in REQUESTS {
        let path = path.replace("IMPORT", &import);
        let example = examples.entry(id).or_insert_with(|| json!({ "answers": {} }));
        if let Ok(body) = serde_json::from_str::<Value>(body) {
            example["request"] = body;
        }
        for token in [Some(OPERATOR), Some(TOKEN), None] {
            let (status, answer) = world.api(method, &path, token, body).await;
            // Of two answers with one status the first one is shown.
            let answers = &mut example["answers"][status.as_str()];
            if answers.is_null() {
                *answers = answer;
            }
        }
    }
    Value::Object(examples)
}

/// Imports two customers, and returns the import's id.
async fn import(world: &AssociationAnywhereFixture) -> String {
    let users = json!({ "users": [{ "user_id": "john1970", "user_password": "1959caadac9b13dcb3" }] });
    let credentials = world.secret("imports.json", &users);
    world
        .configure(&format!(
            "[[connection]]\nid = 'imports'\ntenant = 'acme'\nkind = 'batch-import'\naccount_id = 'greatwidgets'\n\
             credentials = '{credentials}'\ncampaigns = ['898989889']\n"
        ))
        .await;
    let form = "user_id=john1970&user_password=1959caadac9b13dcb3&account_id=greatwidgets&type=customers_batch&\
                delimiter=pipe&overwrite_duplicates=update&campaigns_to_include=898989889&output=JSON&condensed=yes&\
                profiles_header_1=code&profiles_header_2=first_name&Profiles_Data=7001%7Cjane%0A7002%7Cjim";
    let request = Request::post("/api.php").header("Content-Type", "application/x-www-form-urlencoded");
    let (_, _, text) = world.request(request.body(Body::from(form)).unwrap()).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    answer["batch"]["import"]["id"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
}

async fn push(world: &AssociationAnywhereFixture, resource: &str, document: &str) {
    let sender = "<providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>\
                  <recordID>r-1</recordID></providerInfo>";
    let (username, password) = CONNECTOR_LOGIN;
    let login = BASE64_STANDARD.encode(format!("{username}:{password}"));
    let request = Request::builder()
        .method("POST")
        .uri(format!("/connector/api/2011-11/{resource}"))
        .header("Authorization", format!("Basic {login}"))
        .header("Content-Type", "application/xml")
        .body(Body::from(document.replace("{}", sender)));
    let (status, _, text) = world.request(request.unwrap()).await;
    assert!(status.is_success(), "{text}");
}

/// The document, with these examples: as JSON, which the API serves, and as YAML, for people.
pub fn documents(examples: &Value) -> [(PathBuf, String); 2] {
    let document = customers_api::openapi(examples);
    let comment =
        "# Made by `cargo run -p tests --bin openapi` from the code. The examples are answers of a simulated world.\n";
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    [
        (root.join("functions/customers-api/openapi.json"), serde_json::to_string_pretty(&document).unwrap() + "\n"),
        (root.join("infra/openapi.yaml"), format!("{comment}{}", serde_yaml_ng::to_string(&document).unwrap())),
    ]
}
