//! One bad registration costs one connection (invariant 4), whichever tenant it belongs to (invariant 7).

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::StatusCode;
use config::{AssociationAnywhereConfig, Connection};
use model::ConnectionKey;
use operations::status::Condition;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use store::Registration;
use tests::{AssociationAnywhereFixture, CONNECTOR_LOGIN, CONTROL_TABLE, TOKEN};

use crate::support::{IMPORTER, import_as, prospect, push_as, read, world};

const KINDS: [&str; 5] = ["association-anywhere", "business-catalyst", "connector", "batch-import", "reader"];

async fn put(world: &AssociationAnywhereFixture, key: (&str, &str), kind: &str, document: &str) {
    let key = ConnectionKey::new(key.0, key.1);
    let registration = Registration { key, kind: kind.to_owned(), document: document.to_owned() };
    world.connections().put(&registration).await.unwrap();
}

#[tokio::test]
async fn a_registration_that_cannot_be_read_stops_no_door_and_no_poller_of_anybody() {
    let world = world().await;
    for (number, kind) in (0..).zip(KINDS) {
        put(&world, ("other", &format!("broken{number}")), kind, "{}").await;
        put(&world, ("acme", &format!("broken{number}")), kind, "no JSON").await;
    }
    for id in 1..4 {
        world.source.create(id);
    }
    world.sync().await;
    assert_eq!(read(&world, "/v1/customers?connection=aa").await.json()["customers"].as_array().unwrap().len(), 3);
    assert_eq!(push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await.status, StatusCode::OK);
    assert_eq!(import_as(&world, IMPORTER).await.json()["status"], "success");
}

#[tokio::test]
async fn a_registration_that_cannot_be_read_is_told_to_its_tenant_as_a_connection_with_that_error() {
    let world = world().await;
    put(&world, ("acme", "broken"), "business-catalyst", r#"{"endpoint":"https://x","site_id":"the secret"}"#).await;
    put(&world, ("other", "broken"), "business-catalyst", "{}").await;
    let connections = read(&world, "/v1/connections").await.json()["connections"].take();
    let broken: Vec<&Value> = connections.as_array().unwrap().iter().filter(|one| one["id"] == "broken").collect();
    let [broken] = broken[..] else { panic!("{connections}") };
    assert_eq!((&broken["tenant"], &broken["condition"]), (&json!("acme"), &json!("failing")));
    let message = broken["error"]["message"].as_str().unwrap();
    assert!(message.contains("the settings of acme/broken") && message.contains("line 1"), "{message}");
    assert!(!message.contains("the secret"), "{message}");
}

#[tokio::test]
async fn an_item_without_a_document_or_with_a_key_of_nobodys_costs_nobody_else() {
    let world = world().await;
    for (key, kind) in [("nobody's", "connector"), ("acme/bare", "reader"), ("acme/bare2", "association-anywhere")] {
        let put = world.clients.dynamodb.put_item().table_name(CONTROL_TABLE);
        let put = put.item("connection", AttributeValue::S(key.to_owned()));
        let put = put.item("entry", AttributeValue::S("connection".to_owned()));
        put.item("kind", AttributeValue::S(kind.to_owned())).send().await.unwrap();
    }
    assert_eq!(read(&world, "/v1/connections").await.status, StatusCode::OK);
    assert_eq!(push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await.status, StatusCode::OK);
    let statuses = world.statuses().await;
    let bare = statuses.iter().find(|status| status.id == "bare2").unwrap();
    assert_eq!(bare.condition, Condition::Failing);
}

/// Any JSON.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{1,8}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A whole registration of a kind, with an address that can't be reached.
fn whole(kind: &str) -> Value {
    match kind {
        "association-anywhere" => json!({
            "queue_url": "http://127.0.0.1:1/", "details_url": "http://127.0.0.1:1/", "purge_url": "http://127.0.0.1:1/",
            "enqueue_url": null, "credentials": "env:NO_SUCH_VARIABLE", "queue_credentials": null,
        }),
        "business-catalyst" => json!({
            "endpoint": "http://127.0.0.1:1/", "site_id": 1, "credentials": "env:NO_SUCH_VARIABLE", "time_zone": "UTC",
        }),
        "connector" => json!({
            "client_id": "c", "club_ids": ["k"], "providers": ["P"], "credentials": "env:NO_SUCH_VARIABLE",
        }),
        "batch-import" => json!({ "account_id": "a", "credentials": "env:NO_SUCH_VARIABLE", "campaigns": ["1"] }),
        _ => json!({ "tenant": "other", "token": "env:NO_SUCH_VARIABLE", "scope": "read" }),
    }
}

/// A registration: a kind, whether it is of `acme`, and a document that may be anything at all.
fn any_registration() -> impl Strategy<Value = (&'static str, bool, String)> {
    let document = |kind: &'static str| {
        let fields: Vec<String> = whole(kind).as_object().unwrap().keys().cloned().collect();
        let (without, with) = (proptest::sample::select(fields.clone()), proptest::sample::select(fields));
        prop_oneof![
            ".{0,20}",
            any_json().prop_map(|value| value.to_string()),
            without.prop_map(move |field| {
                let mut document = whole(kind);
                document.as_object_mut().unwrap().remove(&field);
                document.to_string()
            }),
            (with, any_json()).prop_map(move |(field, value)| {
                let mut document = whole(kind);
                document[field] = value;
                document.to_string()
            }),
            Just(whole(kind).to_string()),
        ]
    };
    proptest::sample::select(KINDS.to_vec()).prop_flat_map(move |kind| (Just(kind), any::<bool>(), document(kind)))
}

/// Of any registrations, those that can't be read stop none of the others, and are reported to their tenant.
#[test]
fn registrations_of_any_kind_and_content_never_stop_the_others() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(world());
    let mut runner = TestRunner::new(Config { cases: 48, failure_persistence: None, ..Config::default() });
    let registrations = proptest::collection::vec(any_registration(), 1..6);
    let outcome = runner.run(&registrations, |registrations| {
        runtime.block_on(async {
            let mut keys = Vec::new();
            for (number, (kind, is_acmes, document)) in registrations.iter().enumerate() {
                let key = (if *is_acmes { "acme" } else { "other" }, format!("x{number}"));
                put(&world, (key.0, &key.1), kind, document).await;
                keys.push(ConnectionKey::new(key.0, key.1));
            }
            // What is known of readers, senders and accounts is no longer fresh.
            world.clock.advance(Duration::from_secs(61));
            let before = world.now();
            world.poll().await;
            let polled = Connection::<AssociationAnywhereConfig>::all(&world.connections()).await.unwrap();
            prop_assert!(polled.iter().any(|connection| connection.key == world.connection()));
            prop_assert!(world.polled_at().await >= Some(before));
            let (status, connections) = world.api("GET", "/v1/connections", Some(TOKEN), "").await;
            prop_assert_eq!(status, StatusCode::OK);
            let shown = connections["connections"].as_array().unwrap().len();
            let acmes = registrations.iter().filter(|(kind, is_acmes, _)| *is_acmes && *kind != "reader").count();
            prop_assert_eq!(shown, 3 + acmes, "{}", connections);
            let pushed = push_as(&world, CONNECTOR_LOGIN, "user", prospect("r-1", "")).await;
            prop_assert_eq!(pushed.status, StatusCode::OK, "{}", pushed.text);
            let imported = import_as(&world, IMPORTER).await;
            prop_assert_eq!(&imported.json()["status"], "success", "{}", imported.text);
            for key in keys {
                world.connections().remove(&key).await.unwrap();
            }
            Ok(())
        })
    });
    outcome.unwrap();
}
