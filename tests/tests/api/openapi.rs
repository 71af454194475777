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
    let examples = openapi::examples().await;
    assert_eq!(fs::read_to_string(openapi::examples_file()).unwrap(), openapi::written(&examples), "{HOW}");
    assert_eq!(fs::read_to_string(openapi::document_file()).unwrap(), openapi::document(&examples), "{HOW}");
}

#[tokio::test]
async fn anyone_gets_the_document() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let (status, served) = world.api("GET", "/openapi.json", None, "").await;
    let committed: Value = serde_yaml_ng::from_str(&fs::read_to_string(openapi::document_file()).unwrap()).unwrap();
    assert_eq!((status, served), (StatusCode::OK, committed));
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
