//! What the API says of itself: it is what the code does, and what is committed.

use std::collections::BTreeSet;
use std::fs;

use axum::http::StatusCode;
use local_aws::{HttpRoute, TEMPLATE, Template};
use serde_json::Value;
use tests::{AssociationAnywhereFixture, openapi};

const HOW: &str = "`cargo run -p tests --bin openapi` writes it anew";

#[tokio::test]
async fn the_committed_document_is_what_the_code_says_and_its_examples_are_real_answers() {
    for (file, document) in openapi::documents(&openapi::examples().await) {
        assert_eq!(fs::read_to_string(&file).unwrap(), document, "{HOW}: {}", file.display());
    }
}

#[tokio::test]
async fn anyone_gets_the_document() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let (status, served) = world.api("GET", "/openapi.json", None, "").await;
    let described = serde_json::to_value(customers_api::openapi(&openapi::examples().await)).unwrap();
    assert_eq!((status, served), (StatusCode::OK, described));
}

#[tokio::test]
async fn every_operation_of_the_document_has_its_route() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let document = serde_json::to_value(customers_api::openapi(&Value::Null)).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (status, answer) = world.api(&method.to_uppercase(), &path.replace("{id}", "aa~1"), None, "").await;
            let expected = if operation["security"].is_null() { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(status, expected, "{method} {path}: {answer}");
        }
    }
}

/// API Gateway hands on any other route too, by the default route: then its access log names no route.
#[test]
fn every_route_of_the_document_is_one_of_the_template() {
    let document = serde_json::to_value(customers_api::openapi(&Value::Null)).unwrap();
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let template = Template::parse(TEMPLATE).unwrap();
    let function = template.functions.iter().find(|function| function.binary == "customers-api").unwrap();
    // The status page is for people.
    let is_described = |route: &&HttpRoute| !route.path.starts_with('$') && route.path != "/";
    let routes = function.routes.iter().filter(is_described);
    let routes: BTreeSet<(String, String)> = routes.map(|route| (route.method.clone(), route.path.clone())).collect();
    assert_eq!(described, routes);
}
