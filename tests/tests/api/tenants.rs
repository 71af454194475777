//! What a tenant can learn of another, and do to it: nothing, by any parameter of any route of the document.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use local_aws::{Meter, Usage};
use model::ConnectionKey;
use serde_json::{Map, Value, json};
use simulators::association_anywhere::Poison;
use store::{ImportCounts, ImportRecord};
use tests::{AssociationAnywhereFixture, CONTROL_TABLE, OPERATOR};

use crate::support::{Answer, OTHER_TOKEN, add_other_tenant, ask, get_as, ids_of};

/// Whose things a request names.
#[derive(Debug)]
struct Subject {
    connection: &'static str,
    customer: String,
    email: String,
    import: &'static str,
}

/// A request that names one thing which is not its tenant's.
#[derive(Debug, Default)]
struct Probe {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    body: Option<Value>,
}

impl Probe {
    fn url(&self) -> String {
        let escaped = |text: &str| text.replace('@', "%40").replace('+', "%2B");
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    async fn send(&self, world: &AssociationAnywhereFixture, token: &str) -> Answer {
        let body = self.body.as_ref().map(Value::to_string).unwrap_or_default();
        ask(world, &self.method, &self.url(), Some(format!("Bearer {token}").as_bytes()), &body).await
    }
}

/// Every operation that asks for a token: its method, its path, and itself.
fn operations() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(customers_api::openapi(&Value::Null)).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security").is_some() {
                operations.push((method.to_uppercase(), path.clone(), operation.clone()));
            }
        }
    }
    assert!(operations.len() >= 12, "{operations:?}");
    operations
}

/// What a parameter or a property names; none if it names nothing of a tenant. A new one has to be added here.
fn value_of(operation: &str, name: &str, subject: &Subject) -> Option<Value> {
    match name {
        "connection" => Some(json!(subject.connection)),
        "id" if operation.contains("/v1/connections/") => Some(json!(subject.connection)),
        "id" if operation.contains("/v1/imports/") => Some(json!(subject.import)),
        "id" => Some(json!(subject.customer)),
        "ids" => Some(json!([subject.customer])),
        "email" => Some(json!(subject.email)),
        // Of those of a connection that the path names.
        "customer" | "all" | "confirm_deletes" | "limit" | "wait" | "history" | "dry_run" | "If-None-Match" => None,
        // See the test of cursors.
        "cursor" => None,
        _ => panic!("{operation}: what does `{name}` name?"),
    }
}

/// One request for each parameter and each property of an operation that names something.
fn probes(method: &str, path: &str, operation: &Value, subject: &Subject) -> Vec<Probe> {
    let mut probes = Vec::new();
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let body = &operation["requestBody"]["content"]["application/json"]["schema"];
    let bodies = body["oneOf"].as_array().map_or_else(|| vec![body], |those| those.iter().collect());
    let properties: Map<String, Value> =
        bodies.into_iter().filter_map(|body| body["properties"].as_object()).flatten().map(own).collect();
    let fill = |path: &str, value: &Value| path.replace("{id}", value.as_str().unwrap());
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        let Some(value) = value_of(path, name, subject) else { continue };
        let mut probe = Probe { method: method.to_owned(), path: path.to_owned(), ..Probe::default() };
        match parameter["in"].as_str().unwrap() {
            "path" => probe.path = fill(path, &value),
            "query" => probe.query.push((name.to_owned(), value.as_str().unwrap().to_owned())),
            place => panic!("{path}: `{name}` is in the {place}"),
        }
        probe.body = (!properties.is_empty()).then(|| json!({}));
        probes.push(probe);
    }
    for name in properties.keys() {
        let Some(value) = value_of(path, name, subject) else { continue };
        assert!(!path.contains('{'), "{path}: a path and a body that name something");
        let mut body = json!({ name: value });
        if name == "connection" && !path.ends_with("/list") {
            body["all"] = json!(true);
        }
        probes.push(Probe { method: method.to_owned(), path: path.to_owned(), body: Some(body), ..Probe::default() });
    }
    probes
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// An answer without what the request itself said.
fn without(text: &str, subject: &Subject) -> String {
    text.replace(&subject.customer, "…")
        .replace(&subject.email, "…")
        .replace(subject.connection, "…")
        .replace(subject.import, "…")
}

/// The token of an operator of the tenant `other`.
const OTHER_OPERATOR: &str = "other-operator-token";

/// Every item of the tenant `other` in the control table.
async fn items_of_other(world: &AssociationAnywhereFixture) -> Vec<String> {
    let scan = world.clients.dynamodb.scan().table_name(CONTROL_TABLE).into_paginator().items().send();
    let items = scan.collect::<Result<Vec<_>, _>>().await.unwrap();
    let theirs = items.into_iter().filter(|item| item["connection"].as_s().unwrap().starts_with("other/"));
    let mut theirs: Vec<String> = theirs.map(|item| format!("{:?}", BTreeMap::from_iter(item))).collect();
    theirs.sort();
    theirs
}

/// An import of the tenant `other`, by a connection of its own.
async fn add_import(world: &AssociationAnywhereFixture) -> &'static str {
    let users = json!({ "users": [{ "user_id": "mary1980", "user_password": "a secret of another tenant" }] });
    let credentials = world.secret("other-imports.json", &users);
    world
        .configure(&format!(
            "[[connection]]\nid = 'other-imports'\ntenant = 'other'\nkind = 'batch-import'\n\
             account_id = 'smallwidgets'\ncredentials = '{credentials}'\ncampaigns = ['1']\n"
        ))
        .await;
    let record = ImportRecord {
        id: "00f1-77".to_owned(),
        began_at: world.now(),
        finished_at: Some(world.now()),
        undo_began_at: None,
        undone_at: None,
        saves_undo: true,
        first_outcome_item: 0,
        outcome_items: 0,
        image_items: 0,
        counts: ImportCounts::default(),
    };
    let deadline = world.now() + Duration::from_secs(60);
    world.imports().put(&ConnectionKey::new("other", "other-imports"), &record, deadline).await.unwrap();
    "00f1-77"
}

/// What a request costs at DynamoDB: all that could take its time.
async fn cost(
    probe: &Probe,
    world: &AssociationAnywhereFixture,
    meter: &Meter,
) -> (Answer, BTreeMap<(String, String), Usage>) {
    meter.reset();
    let answer = probe.send(world, OPERATOR).await;
    (answer, meter.report().dynamodb)
}

#[tokio::test]
async fn what_another_tenant_has_is_answered_as_what_nobody_has_at_the_same_cost() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.add_operator().await;
    let (source, serving) = add_other_tenant(&world, "bb", 5001).await;
    world.add_operator_of("other", OTHER_OPERATOR).await;
    let import = add_import(&world).await;
    let email = source.email(5003).unwrap();
    source.poison(5003, Poison::ErrorElement);
    source.change([5003]);
    world.run_for(120).await;
    world.publish().await;
    let before = items_of_other(&world).await;
    assert!(get_as(&world, OTHER_TOKEN, "/v1/connections").await.text.contains(r#""failures":1"#));
    let found = get_as(&world, OTHER_TOKEN, &format!("/v1/customers?email={email}")).await.json();
    assert_eq!(ids_of(&found["customers"]), ["bb~5003"]);

    let foreign = Subject { connection: "bb", customer: "bb~5003".to_owned(), email: email.clone(), import };
    // As long, so that it takes as much room in an answer.
    let nobody = format!("{}x", &email[..email.len() - 1]);
    let nothing = Subject { connection: "zz", customer: "zz~5003".to_owned(), email: nobody, import: "00f2-77" };
    let meter = world.meter();
    let mut asked = Vec::new();
    for (method, path, operation) in operations() {
        let of_foreign = probes(&method, &path, &operation, &foreign);
        let of_nothing = probes(&method, &path, &operation, &nothing);
        for (foreign_probe, nothing_probe) in of_foreign.into_iter().zip(of_nothing) {
            // Once before, so that both find what a function keeps in memory.
            nothing_probe.send(&world, OPERATOR).await;
            let (theirs, their_cost) = cost(&foreign_probe, &world, &meter).await;
            let (none, no_cost) = cost(&nothing_probe, &world, &meter).await;
            assert_eq!(theirs.status, none.status, "{foreign_probe:?}");
            assert_eq!(without(&theirs.text, &foreign), without(&none.text, &nothing), "{foreign_probe:?}");
            assert_eq!(their_cost, no_cost, "{foreign_probe:?}");
            // A batch says which are missing, a search that it found nobody.
            let finds_nothing = ["/v1/customers/batch-get", "/v1/customers/search", "/v1/customers?email="];
            let may_succeed = finds_nothing.iter().any(|path| foreign_probe.url().starts_with(path));
            assert_eq!(theirs.status, if may_succeed { StatusCode::OK } else { StatusCode::NOT_FOUND });
            asked.push(foreign_probe);
        }
    }
    assert!(asked.len() >= 14, "{asked:?}");
    assert!(items_of_other(&world).await == before, "nothing was done to the other tenant");
    let key = ConnectionKey::new("other", "bb");
    let [failure] = &world.failures().all(&key).await.unwrap()[..] else { panic!("one failure") };
    for probe in asked {
        // Others may have dropped it.
        world.failures().put(&key, failure).await.unwrap();
        let own = probe.send(&world, OTHER_OPERATOR).await.status;
        assert!(own.is_success() || own == StatusCode::CONFLICT, "to its own tenant: {own} {probe:?}");
    }
    serving.abort();
}

/// Routes that have cursors, and what an answer calls them. A cursor of staff or lead sources is the id of a record.
const CURSORS: [(&str, &str); 4] = [
    ("/v1/customers?connection=CONNECTION&limit=1", "cursor"),
    ("/v1/changes?limit=1", "cursor"),
    ("/v1/changes?limit=1", "changes_cursor"),
    ("/v1/customers?email=EMAIL&limit=1", "cursor"),
];

#[tokio::test]
async fn a_cursor_of_another_tenant_opens_nothing_of_it() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    let (source, serving) = add_other_tenant(&world, "bb", 5001).await;
    world.sync().await;
    world.publish().await;
    let listed = get_as(&world, OTHER_TOKEN, "/v1/customers?connection=bb&limit=1").await.json();
    for (route, name) in CURSORS {
        let email = source.email(5003).unwrap();
        let with = |connection: &str| route.replace("CONNECTION", connection).replace("EMAIL", &email);
        let theirs = match name {
            "changes_cursor" => listed.clone(),
            _ => get_as(&world, OTHER_TOKEN, &with("bb")).await.json(),
        };
        let cursor = match theirs[name].as_str() {
            Some(cursor) => cursor,
            // One address has one customer: the place behind it is made of its id.
            None if route.contains("email") => "YmJ-NTAwMw",
            None => panic!("{route} has no cursor: {theirs}"),
        };
        let answer = get_as(&world, tests::TOKEN, &format!("{}&cursor={cursor}", with("aa"))).await;
        assert!(!answer.text.contains("bb") && !answer.text.contains(&email), "{route}: {}", answer.text);
        if name == "changes_cursor" || route.contains("changes") || route.contains("connection") {
            answer.problem(StatusCode::BAD_REQUEST);
        }
    }
    serving.abort();
}
