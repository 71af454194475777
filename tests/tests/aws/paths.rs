//! API Gateway decodes a path before it delivers it. An id must not become another on its way.

use axum::http::StatusCode;
use serde_json::json;
use tests::AssociationAnywhereFixture;

use crate::{configure_imports, import, read};

/// Ids that others begin with, or that decode to others.
const CODES: [&str; 10] = ["A", "A#17", "A?x", "50A", "50%41", "50%", "a", "a/b", "a b", "ü+&"];

async fn world() -> AssociationAnywhereFixture {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    configure_imports(&world).await;
    let rows: Vec<String> = CODES.iter().map(|code| format!("{code}|Jane {code}")).collect();
    let answer = import(&world, &rows).await;
    assert_eq!(answer["batch"]["customers"]["new"], CODES.len(), "{answer}");
    world
}

fn encoded(code: &str) -> String {
    code.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn whatever_its_id_a_customer_is_asked_for_by_the_query() {
    let world = world().await;
    for code in CODES {
        let (status, customer) = read(&world, &format!("/v1/customers?id=imports~{}", encoded(code))).await;
        assert_eq!((status, &customer["source_id"]), (StatusCode::OK, &json!(code)), "{customer}");
    }
    let (status, problem) = read(&world, "/v1/customers?id=imports~nobody").await;
    assert_eq!((status, &problem["detail"]), (StatusCode::NOT_FOUND, &json!("there is no such customer")));
    let (status, problem) = read(&world, "/v1/customers?id=imports~A&connection=imports").await;
    let detail = json!("the query parameter `id` stands alone");
    assert_eq!((status, &problem["detail"]), (StatusCode::BAD_REQUEST, &detail));
}

#[tokio::test]
async fn an_id_in_a_path_is_answered_with_its_own_customer_or_not_at_all() {
    let world = world().await;
    let mut refused = Vec::new();
    for code in CODES {
        let (status, answer) = read(&world, &format!("/v1/customers/imports~{}", encoded(code))).await;
        if status == StatusCode::OK {
            assert_eq!(answer["source_id"], code, "another customer");
        } else {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{code}: {answer}");
            assert!(answer["detail"].as_str().unwrap().ends_with("ask for it by `GET /v1/customers?id=…`"), "{answer}");
            refused.push(code);
        }
    }
    assert_eq!(refused, ["A#17", "A?x", "50%41"]);
    // A blank at the end is lost, too.
    let (status, answer) = read(&world, "/v1/customers/imports~A%20").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn a_path_that_leads_up_and_down_again_leads_to_nobody() {
    let world = world().await;
    for path in ["imports~x%2F..%2Fimports~A", "imports~x%5C..%5Cimports~A"] {
        let (status, answer) = read(&world, &format!("/v1/customers/{path}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
    }
}
