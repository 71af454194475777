//! The JSON that integrators build on, in whole. A difference is a change of the contract: it belongs in the changelog.

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use simulators::association_anywhere::Poison;
use tests::AssociationAnywhereFixture;

use crate::support::{ask, batch_get, get};

#[tokio::test]
async fn customers_keep_their_json() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    world.source.delete_silently(1002);
    world.sync().await;
    assert_json_snapshot!("customer", get(&world, "/v1/customers/aa~1001").await.json());
    assert_json_snapshot!("deleted-customer", get(&world, "/v1/customers/aa~1002").await.json());
    assert_json_snapshot!("page-of-customers", get(&world, "/v1/customers?connection=aa&limit=1").await.json());
    let some = batch_get(&world, r#"{"ids":["aa~1003","aa~1003","aa~9999"]}"#).await;
    assert_json_snapshot!("batch-get", some.json());
}

#[tokio::test]
async fn connections_keep_their_json() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.source.poison(1002, Poison::ErrorElement);
    world.run_for(60).await;
    assert_json_snapshot!("connections", get(&world, "/v1/connections").await.json());
    assert_json_snapshot!("status", world.statuses().await);
}

#[tokio::test]
async fn problems_keep_their_json() {
    let world = AssociationAnywhereFixture::with_customers(1).await;
    let unauthorized = ask(&world, "GET", "/v1/connections", None, "").await;
    assert_eq!(unauthorized.status, StatusCode::UNAUTHORIZED);
    assert_json_snapshot!("unauthorized", unauthorized.json());
    assert_json_snapshot!("not-found", get(&world, "/v1/customers/aa~9999").await.json());
    assert_json_snapshot!("invalid", get(&world, "/v1/customers?connection=aa&limit=0").await.json());
}
