//! The status page, and the routes that it needs.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use simulators::association_anywhere::Poison;
use tests::{AssociationAnywhereFixture, OPERATOR, TOKEN};

use crate::support::{ask, get, get_as, ids_of};

async fn post(world: &AssociationAnywhereFixture, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let answer = ask(world, "POST", path, Some(format!("Bearer {token}").as_bytes()), &body.to_string()).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn the_page_needs_no_token_and_runs_nothing_but_its_own() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let page = ask(&world, "GET", "/", None, "").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    for directive in [
        "default-src 'none'",
        "script-src 'sha256-",
        "style-src 'sha256-",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(directive), "{directive}: {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert!(page.text.starts_with("<!doctype html>") && page.text.len() < 100_000, "{}", page.text.len());
    ask(&world, "POST", "/", None, "").await.problem(StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_counts_of_each_hour_are_told_if_they_are_asked_for() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.add_operator().await;
    for changed in [&[][..], &[1003, 1004], &[1005], &[1006]] {
        world.engine.tick().await;
        world.source.change(changed.iter().copied());
        world.sync().await;
        // The totals of an hour are those that the first minute in it found.
        world.engine.tick().await;
        world.clock.advance(Duration::from_secs(3_600));
    }
    let now = get(&world, "/v1/connections").await.json();
    assert!(now["connections"][0].get("history").is_none() && now["scope"] == "read" && now["tenant"] == "acme");
    let answer = get_as(&world, OPERATOR, "/v1/connections?history=true").await.json();
    assert_eq!(answer["scope"], "operate");
    let history = answer["connections"][0]["history"].as_array().unwrap();
    let written: Vec<u64> = history.iter().map(|hour| hour["written"].as_u64().unwrap()).collect();
    assert_eq!(written, [0, 30, 32, 33], "{history:?}");
    assert_eq!(history[1]["hour"], "2026-01-01T01:00:00.000Z");
    assert_eq!(answer["connections"][0]["counts"]["written"], 34);
    get(&world, "/v1/connections?history=often").await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn failures_are_listed_page_by_page_and_what_was_sent_is_told_to_operators_alone() {
    let world = AssociationAnywhereFixture::with_customers(130).await;
    world.add_operator().await;
    for id in 1001..=1120 {
        world.source.poison(id, Poison::ErrorElement);
    }
    world.run_for(120).await;
    let (_, first) = post(&world, TOKEN, "/v1/failures/list", &json!({ "connection": "aa" })).await;
    assert_eq!((first["failures"].as_array().unwrap().len(), &first["more"]), (100, &json!(true)));
    let failure = &first["failures"][0];
    assert_eq!(
        (&failure["id"], &failure["withheld"], &failure["redriven"]),
        (&json!("aa~1001"), &Value::Null, &json!(false))
    );
    assert!(failure.get("raw").is_none(), "{failure}");
    post(&world, OPERATOR, "/v1/failures/redrive", &json!({ "ids": ["aa~1110"] })).await;
    let body = json!({ "connection": "aa", "cursor": first["cursor"] });
    let (_, second) = post(&world, TOKEN, "/v1/failures/list", &body).await;
    assert_eq!((second["failures"].as_array().unwrap().len(), &second["more"]), (20, &json!(false)));
    let redriven: Vec<&Value> =
        second["failures"].as_array().unwrap().iter().filter(|it| it["redriven"] == true).collect();
    assert_eq!(redriven.iter().map(|failure| &failure["id"]).collect::<Vec<_>>(), ["aa~1110"]);
    assert_eq!(second["cursor"], Value::Null);

    let document = "/v1/failures/raw-document";
    let (status, found) = post(&world, OPERATOR, document, &json!({ "id": "aa~1001" })).await;
    assert!(status == StatusCode::OK && found["raw"].as_str().unwrap().contains("1001"), "{found}");
    assert_eq!(post(&world, TOKEN, document, &json!({ "id": "aa~1001" })).await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&world, OPERATOR, document, &json!({ "id": "aa~1121" })).await.0, StatusCode::NOT_FOUND);
    for body in [json!({ "connection": "aa", "cursor": "!" }), json!({ "connection": "aa", "all": true }), json!({})] {
        assert_eq!(post(&world, TOKEN, "/v1/failures/list", &body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let unknown = json!({ "connection": "zz" });
    assert_eq!(post(&world, TOKEN, "/v1/failures/list", &unknown).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_search_and_where_a_customer_is_name_nobody_in_a_url() {
    let world = AssociationAnywhereFixture::with_customers(5).await;
    world.source.poison(1004, Poison::ErrorElement);
    world.run_for(60).await;
    world.publish().await;
    let email = world.source.email(1002).unwrap();
    let (status, found) = post(&world, TOKEN, "/v1/customers/search", &json!({ "email": email.to_uppercase() })).await;
    assert_eq!((status, ids_of(&found["customers"])), (StatusCode::OK, vec!["aa~1002".to_owned()]));
    assert_eq!(found, get(&world, &format!("/v1/customers?email={email}")).await.json());
    for body in [json!({ "email": " " }), json!({}), json!({ "email": email, "cursor": "!" })] {
        assert_eq!(post(&world, TOKEN, "/v1/customers/search", &body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }

    let where_is = async |id: &str| post(&world, TOKEN, "/v1/customers/where", &json!({ "id": id })).await;
    let (status, found) = where_is("aa~1002").await;
    assert_eq!(
        (status, &found["record"]["status"], &found["failure"]),
        (StatusCode::OK, &json!("active"), &Value::Null)
    );
    let (_, found) = where_is("aa~1004").await;
    assert_eq!((&found["record"], found["failure"]["reason"].is_string()), (&Value::Null, true));
    assert_eq!(where_is("zz~1002").await.0, StatusCode::NOT_FOUND);
    assert_eq!(where_is("1002").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(where_is(&format!("aa~{}", "9".repeat(2_000))).await.0, StatusCode::NOT_FOUND);
}
