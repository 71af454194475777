//! An undo by the API, as the status page asks for it: within the time that API Gateway gives, and never half done in
//! silence.

use std::time::Duration;

use axum::http::StatusCode;
use operations::imports::UndoProgress;
use serde_json::{Value, json};
use tests::{AssociationAnywhereFixture, OPERATOR, TOKEN};

use super::support::{Form, all_customers, connection, post_without_hurry, record, world};

async fn undo(world: &AssociationAnywhereFixture, token: &str, import: &str, body: &Value) -> (StatusCode, Value) {
    world.api("POST", &format!("/v1/imports/{import}/undo"), Some(token), &body.to_string()).await
}

async fn list(world: &AssociationAnywhereFixture, query: &str) -> Value {
    let (status, answer) = world.api("GET", &format!("/v1/imports?connection=imports{query}"), Some(TOKEN), "").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

fn rows(codes: std::ops::Range<u32>) -> Form {
    let rows: Vec<String> = codes.map(|code| format!("{code}|name{code}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    Form::rows("update", &["code", "first_name"], &rows)
}

#[tokio::test]
async fn an_import_is_listed_tried_and_undone() {
    let world = world().await;
    world.add_operator().await;
    let first = post_without_hurry(&world, &rows(1_000..1_003)).await.import();
    let second = post_without_hurry(&world, &rows(1_002..1_006)).await.import();
    let listed = list(&world, "&limit=1").await;
    assert_eq!((&listed["imports"][0]["id"], &listed["more"]), (&json!(second), &json!(true)));
    assert_eq!((&listed["imports"][0]["new"], &listed["imports"][0]["can_be_undone"]), (&json!(3), &json!(true)));
    let rest = list(&world, &format!("&limit=1&cursor={}", listed["cursor"].as_str().unwrap())).await;
    assert_eq!((&rest["imports"][0]["id"], &rest["more"]), (&json!(first), &json!(true)));
    let end = list(&world, &format!("&limit=1&cursor={}", rest["cursor"].as_str().unwrap())).await;
    assert_eq!(end, json!({ "imports": [], "cursor": null, "more": false }));

    let (status, tried) = undo(&world, OPERATOR, &second, &json!({ "dry_run": true })).await;
    assert_eq!((status, &tried["removed"]["count"], &tried["finished"]), (StatusCode::OK, &json!(3), &json!(true)));
    assert_eq!(tried["removed"]["ids"], json!(["imports~1003", "imports~1004", "imports~1005"]));
    assert_eq!(all_customers(&world).await.len(), 6, "nothing was done");
    assert_eq!(record(&world, &second).await.undo_began_at, None);

    let (status, done) = undo(&world, OPERATOR, &second, &json!({})).await;
    assert_eq!((status, &done["removed"]), (StatusCode::OK, &tried["removed"]));
    assert_eq!(all_customers(&world).await.len(), 3);
    assert!(list(&world, "").await["imports"][0]["undone_at"].is_string());
    let (status, again) = undo(&world, OPERATOR, &second, &Value::Null).await;
    assert_eq!((status, &again["already_back"]["count"]), (StatusCode::OK, &json!(3)), "{again}");
}

#[tokio::test]
async fn only_its_own_tenant_and_an_operator_undo_an_import_and_only_one_that_kept_images() {
    let world = world().await;
    world.add_operator().await;
    world.add_operator_of("other", "other-operator-token").await;
    let import = post_without_hurry(&world, &rows(1_000..1_003)).await.import();
    let unsaved = post_without_hurry(&world, &rows(2_000..2_003).with("no_undo", "yes")).await;
    assert_eq!(undo(&world, TOKEN, &import, &json!({})).await.0, StatusCode::FORBIDDEN);
    for (token, import, status) in [
        ("other-operator-token", import.as_str(), StatusCode::NOT_FOUND),
        (OPERATOR, "0-0", StatusCode::NOT_FOUND),
        (OPERATOR, &"9".repeat(3_000), StatusCode::NOT_FOUND),
        (OPERATOR, "a%2Fb", StatusCode::NOT_FOUND),
        (OPERATOR, &unsaved.import(), StatusCode::CONFLICT),
    ] {
        assert_eq!(undo(&world, token, import, &json!({})).await.0, status, "{import}");
    }
    assert_eq!(undo(&world, OPERATOR, &import, &json!({ "dry": true })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(all_customers(&world).await.len(), 6);
}

#[tokio::test]
async fn an_undo_that_takes_longer_than_a_request_goes_on_with_the_next() {
    let world = world().await;
    world.add_operator().await;
    let import = post_without_hurry(&world, &rows(0..1_200)).await.import();
    let record_before = record(&world, &import).await;
    let (until, deadline) = (world.now(), world.now() + Duration::from_secs(60));
    let carry_on = async || world.undo().carry_on(&connection(), &record_before, until, deadline).await.unwrap();
    let UndoProgress { report, left } = carry_on().await;
    assert_eq!((report.removed.len(), report.already_back.len(), left), (500, 0, 700));
    assert_eq!(record(&world, &import).await.undone_at, None, "it says that it is not finished");
    let UndoProgress { report, left } = carry_on().await;
    assert_eq!((report.removed.len(), report.already_back.len(), left), (500, 500, 200));
    let (status, done) = undo(&world, OPERATOR, &import, &json!({})).await;
    assert_eq!((status, &done["finished"], &done["left"]), (StatusCode::OK, &json!(true), &json!(0)));
    assert_eq!((&done["removed"]["count"], &done["already_back"]["count"]), (&json!(200), &json!(1_000)));
    assert_eq!(done["already_back"]["ids"].as_array().unwrap().len(), 100);
    assert!(all_customers(&world).await.is_empty() && record(&world, &import).await.undone_at.is_some());
}
