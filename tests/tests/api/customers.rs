//! One customer, and many by their ids.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tests::AssociationAnywhereFixture;

use crate::support::{batch_get, batch_get_ids, entries, get, keys, parts};

#[tokio::test]
async fn a_customer_has_the_fields_of_the_contract_in_its_order() {
    let world = AssociationAnywhereFixture::with_customers(100).await;
    world.sync().await;
    let mut seen = BTreeSet::new();
    for id in 1001..1101 {
        let answer = get(&world, &format!("/v1/customers/aa~{id}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")));
        assert_eq!(
            keys(&answer.text),
            [
                "id",
                "tenant",
                "connection",
                "source_id",
                "external_id",
                "type",
                "status",
                "name",
                "emails",
                "phones",
                "addresses",
                "birth_date",
                "gender",
                "organization",
                "roles",
                "memberships",
                "subscriptions",
                "stage",
                "owner_staff_id",
                "lead_source_id",
                "attributes",
                "first_seen_at",
                "changed_at",
                "revision",
                "version"
            ]
        );
        let lists: [(&str, &[&str]); 5] = [
            ("emails", &["address", "type", "primary", "bad"]),
            ("phones", &["number", "type", "primary"]),
            ("addresses", &["lines", "city", "region", "postal_code", "country", "type", "primary"]),
            ("memberships", &["id", "name", "status", "class", "joined", "expires"]),
            ("subscriptions", &["id", "name", "starts", "expires"]),
        ];
        for (name, value) in entries(&answer.text) {
            let Some((list, fields)) = lists.iter().find(|(list, _)| *list == name) else { continue };
            for element in parts(value) {
                assert_eq!(keys(element), *fields, "{list} of {id}");
                seen.insert(*list);
            }
        }
    }
    assert_eq!(seen.len(), 5, "there was something of each: {seen:?}");
}

#[tokio::test]
async fn a_customer_is_as_the_source_has_it() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    for id in 1001..1031 {
        let customer = get(&world, &format!("/v1/customers/aa~{id}")).await.json();
        assert_eq!(customer["name"]["display"], json!(world.source.display_name(id).unwrap()));
        let address = json!(world.source.email(id).unwrap());
        assert!(customer["emails"].as_array().unwrap().iter().any(|email| email["address"] == address), "{customer}");
        for (key, value) in [
            ("id", json!(format!("aa~{id}"))),
            ("tenant", json!("acme")),
            ("connection", json!("aa")),
            ("source_id", json!(id.to_string())),
            ("revision", json!(1)),
        ] {
            assert_eq!(customer[key], value, "{key} of {id}");
        }
        assert!(!customer["name"].as_object().unwrap().values().any(|part| part == "" || part.is_null()), "{customer}");
        assert!(customer["first_seen_at"].as_str().unwrap().starts_with("2026-01-01T00:00:0"), "{customer}");
    }
    let before = get(&world, "/v1/customers/aa~1001").await.json();
    world.clock.advance(Duration::from_secs(3_600));
    world.source.change([1001]);
    world.sync().await;
    let after = get(&world, "/v1/customers/aa~1001").await.json();
    assert_eq!((&after["first_seen_at"], &after["revision"]), (&before["first_seen_at"], &json!(2)));
    assert!(after["changed_at"].as_str() > before["changed_at"].as_str(), "{after}");
    assert!(after["version"].as_str() > before["version"].as_str(), "{after}");
}

#[tokio::test]
async fn an_id_may_be_url_encoded() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    let plain = get(&world, "/v1/customers/aa~1001").await;
    for encoded in ["aa%7E1001", "aa%7e1001", "%61%61~100%31"] {
        let answer = get(&world, &format!("/v1/customers/{encoded}")).await;
        assert_eq!((answer.status, &answer.text), (StatusCode::OK, &plain.text), "{encoded}");
    }
}

#[tokio::test]
async fn a_customer_that_is_not_there_is_not_found() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    for id in ["aa~9999", "ab~1001", "aa~1001~", "aa~~1001", "aa~1001%20x", "acme%2Faa~1001"] {
        let detail = get(&world, &format!("/v1/customers/{id}")).await.problem(StatusCode::NOT_FOUND);
        assert_eq!(detail, "there is no such customer", "{id}");
    }
    // API Gateway decodes the path: this one leads out of the customers.
    let detail = get(&world, "/v1/customers/..%2Facme%2Faa~1001").await.problem(StatusCode::NOT_FOUND);
    assert_eq!(detail, "there is no such route");
}

#[tokio::test]
async fn an_id_that_is_none_is_refused() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    for id in ["1001", "aa~", "~1001", "aa-1001"] {
        let detail = get(&world, &format!("/v1/customers/{id}")).await.problem(StatusCode::BAD_REQUEST);
        assert_eq!(detail, "the id in the path: a customer id has the form <connection>~<source id>", "{id}");
    }
    let detail = get(&world, "/v1/customers/aa~%FF").await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(detail, "the id in the path: Invalid UTF-8 in `id`");
}

#[tokio::test]
async fn an_id_longer_than_any_key_is_nobodys() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    let id = format!("aa~{}", "9".repeat(3_000));
    let answer = get(&world, &format!("/v1/customers/{id}")).await;
    assert!([StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST].contains(&answer.status), "{}", answer.text);
    let answer = batch_get(&world, &json!({ "ids": ["aa~1001", id] }).to_string()).await;
    assert!([StatusCode::OK, StatusCode::BAD_REQUEST].contains(&answer.status), "{}", answer.text);
}

#[tokio::test]
async fn many_customers_come_in_the_order_asked_for_each_once_with_those_that_are_missing() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.sync().await;
    let ids = ["aa~1003", "aa~9999", "aa~1001", "aa~1003", "ab~1001", "aa~1002", "aa~9999"];
    let (customers, missing) = batch_get_ids(&world, &ids).await;
    assert_eq!(customers, ["aa~1003", "aa~1001", "aa~1002"]);
    assert_eq!(missing, ["aa~9999", "ab~1001"]);
    assert_eq!(batch_get_ids(&world, &[]).await, (vec![], vec![]));

    let all: Vec<String> = (1001..1251).rev().map(|id| format!("aa~{id}")).collect();
    let (customers, missing) = batch_get_ids(&world, &all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(customers, all, "over several reads of a hundred");
    assert!(missing.is_empty());

    let one = get(&world, "/v1/customers/aa~1002").await;
    let answer = batch_get(&world, r#"{"ids":["aa~1002"]}"#).await;
    let fresh = answer.json()["fresh_as_of"].to_string();
    assert_eq!(
        answer.text,
        format!(r#"{{"customers":[{}],"missing":[],"fresh_as_of":{fresh}}}"#, one.text),
        "a customer is the same everywhere"
    );
}

#[tokio::test]
async fn five_hundred_ids_are_answered_and_no_more() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    let body = |count: u64| json!({ "ids": (0..count).map(|id| format!("aa~{}", 1001 + id)).collect::<Vec<_>>() });
    let answer = batch_get(&world, &body(500).to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.json()["missing"].as_array().unwrap().len(), 497);
    let detail = batch_get(&world, &body(501).to_string()).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(detail, "`ids` has 501 entries; at most 500 are answered at once");
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    let bodies = [
        "",
        "null",
        "[]",
        "{}",
        r#"{"ids":["aa~1001"]"#,
        r#"{"ids":"aa~1001"}"#,
        r#"{"ids":[1001]}"#,
        r#"{"ids":[null]}"#,
        r#"{"ids":["aa~1001"],"limit":5}"#,
        r#"{"ids":["aa~1001"]} {}"#,
        r#"[["aa~1001"]]"#,
    ];
    for body in bodies {
        let detail = batch_get(&world, body).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.starts_with("the body must be {\"ids\":[…]}: "), "{body}: {detail}");
    }
    let detail = batch_get(&world, r#"{"ids":["aa~1001"],"limit":5}"#).await.problem(StatusCode::BAD_REQUEST);
    assert!(detail.contains("unknown field `limit`"), "{detail}");
    let detail = batch_get(&world, r#"{"ids":["aa~1001","aa~1002","1003"]}"#).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(
        detail,
        "the body must be {\"ids\":[…]}: ids[2]: a customer id has the form <connection>~<source id> at line 1 column 35"
    );
}
