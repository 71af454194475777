//! What an operator does over HTTP, and what every route has in common.

use std::io::Read;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use simulators::association_anywhere::Poison;
use store::Failure;
use tests::{AssociationAnywhereFixture, OPERATOR, TOKEN};
use tower::ServiceExt;

use crate::support::{OTHER_TOKEN, add_other_tenant, ask, get};

/// A world with a reader of the tenant `acme` who may operate.
async fn operated(customers: u64) -> AssociationAnywhereFixture {
    let world = AssociationAnywhereFixture::with_customers(customers).await;
    world.add_operator().await;
    world
}

async fn post(world: &AssociationAnywhereFixture, token: &str, path: &str, body: &Value) -> (StatusCode, Value) {
    let authorization = format!("Bearer {token}");
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = ask(world, "POST", path, Some(authorization.as_bytes()), &body).await;
    (answer.status, answer.json())
}

/// Every route for operators, with a body that it takes.
const ROUTES: [(&str, &str); 5] = [
    ("/v1/failures/redrive", r#"{"all":true}"#),
    ("/v1/failures/drop", r#"{"all":true}"#),
    ("/v1/connections/aa/pause", ""),
    ("/v1/connections/aa/resume", ""),
    ("/v1/connections/aa/resync", "{}"),
];

#[tokio::test]
async fn only_a_reader_whose_scope_is_operate_may_operate_and_only_its_tenants_connections() {
    let world = operated(3).await;
    let (_source, serving) = add_other_tenant(&world, "bb", 5001).await;
    for (path, body) in ROUTES {
        let with_query = format!("{path}?connection=aa&customer=1001");
        let (status, problem) = post(&world, OPERATOR, &with_query, &json!({ "all": true })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "what stands in the query is not what is meant: {path} {problem}");
        let as_token = async |token: &str, path: &str| {
            let authorization = format!("Bearer {token}");
            ask(&world, "POST", path, Some(authorization.as_bytes()), body).await
        };
        let detail = as_token(TOKEN, path).await.problem(StatusCode::FORBIDDEN);
        assert!(detail.contains("`operate`"), "{detail}");
        as_token(OTHER_TOKEN, path).await.problem(StatusCode::FORBIDDEN);
        ask(&world, "POST", path, None, body).await.problem(StatusCode::UNAUTHORIZED);
        assert!(as_token(OPERATOR, path).await.status.is_success(), "{path}");
        if path.contains("/aa/") {
            for other in ["bb", "zz", "reader%2Ffile", "acme%2Faa"] {
                as_token(OPERATOR, &path.replace("/aa/", &format!("/{other}/"))).await.problem(StatusCode::NOT_FOUND);
            }
        }
    }
    assert_eq!(get(&world, "/v1/connections").await.json()["connections"][0]["paused_at"], Value::Null);
    serving.abort();
}

#[tokio::test]
async fn failures_are_redriven_and_dropped_by_their_ids_or_all_of_them() {
    let world = operated(30).await;
    world.sync().await;
    for id in [1003, 1004, 1005] {
        world.source.poison(id, Poison::ErrorElement);
        world.source.change([id]);
    }
    world.run_for(60).await;
    assert_eq!(world.status().await.failures, 3);
    for (body, status, detail) in [
        (json!({ "ids": ["aa~1003", "aa~1001"] }), StatusCode::NOT_FOUND, "`ids[1]`: there is no such failure"),
        (json!({ "ids": ["bb~1003"] }), StatusCode::NOT_FOUND, "`ids[0]`: there is no such failure"),
        (
            json!({ "ids": ["1003"] }),
            StatusCode::BAD_REQUEST,
            "the body must be {\"ids\":[…]} or {\"all\":true}: ids[0]: a customer id has the form <connection>~<source id> at line 1 column 15",
        ),
        (json!({}), StatusCode::BAD_REQUEST, "the body must have either `ids` or `all`"),
        (json!({ "all": true, "ids": [] }), StatusCode::BAD_REQUEST, "the body must have either `ids` or `all`"),
        (json!({ "all": true, "connection": "zz" }), StatusCode::NOT_FOUND, "there is no such connection"),
    ] {
        let (found, problem) = post(&world, OPERATOR, "/v1/failures/drop", &body).await;
        assert_eq!((found, problem["detail"].as_str().unwrap()), (status, detail), "{body}");
    }
    assert_eq!(world.status().await.failures, 3, "nothing was done");
    let (status, done) = post(&world, OPERATOR, "/v1/failures/drop", &json!({ "ids": ["aa~1003"] })).await;
    assert_eq!((status, done), (StatusCode::OK, json!({ "ids": ["aa~1003"], "more": false })));
    world.source.heal(1004);
    world.source.heal(1005);
    let (_, done) = post(&world, OPERATOR, "/v1/failures/redrive", &json!({ "all": true, "connection": "aa" })).await;
    assert_eq!(done, json!({ "ids": ["aa~1004", "aa~1005"], "more": false }));
    // Those that are redriven already are not meant again: otherwise the 501st would never be.
    let (_, done) = post(&world, OPERATOR, "/v1/failures/redrive", &json!({ "all": true })).await;
    assert_eq!(done, json!({ "ids": [], "more": false }));
    world.run_for(10).await;
    world.sync().await;
    assert_eq!(world.status().await.failures, 0);
    world.assert_shadow_is_the_sources([1004, 1005]).await;
}

#[tokio::test]
async fn every_failure_is_redriven_once_although_all_of_them_fail_again_meanwhile() {
    let world = operated(1).await;
    world.sync().await;
    let fail = |id: u32| {
        let (failures, key, failed_at) = (world.failures(), world.connection(), world.now());
        let failure = Failure { source_id: id.to_string(), reason: "for good".into(), raw: String::new(), failed_at };
        async move { failures.put(&key, &failure).await.unwrap() }
    };
    futures::future::join_all((0..1_200).map(fail)).await;
    let mut redriven = Vec::new();
    let mut body = json!({ "all": true, "connection": "aa" });
    for _ in 0..5 {
        let (_, done) = post(&world, OPERATOR, "/v1/failures/redrive", &body).await;
        for id in done["ids"].as_array().unwrap() {
            let id = id.as_str().unwrap().to_owned();
            // The batch that has fetched it takes the request away, and the record is there again.
            world.failures().clear_redrive(&world.connection(), id.strip_prefix("aa~").unwrap()).await.unwrap();
            redriven.push(id);
        }
        if done["more"] == false {
            assert_eq!(done.get("cursor"), None);
            break;
        }
        body["cursor"] = done["cursor"].clone();
    }
    let mut once = redriven.clone();
    once.sort();
    once.dedup();
    assert_eq!((redriven.len(), once.len()), (1_200, 1_200));
    for cursor in ["!", "YQ", "YmJ-MQ"] {
        let body = json!({ "all": true, "connection": "aa", "cursor": cursor });
        assert_eq!(post(&world, OPERATOR, "/v1/failures/redrive", &body).await.0, StatusCode::BAD_REQUEST, "{cursor}");
    }
}

#[tokio::test]
async fn a_connection_is_paused_resumed_and_synchronised_again() {
    let world = operated(30).await;
    world.sync().await;
    let (status, answer) = post(&world, OPERATOR, "/v1/connections/aa/pause", &Value::Null).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "id": "aa", "paused": true })));
    world.source.change([1003]);
    world.run_for(10).await;
    assert_eq!(get(&world, "/v1/connections").await.json()["connections"][0]["condition"], "paused");
    assert_eq!(world.customer(1003).await.unwrap().revision, 1);
    let (_, answer) = post(&world, OPERATOR, "/v1/connections/aa/resume", &Value::Null).await;
    assert_eq!(answer, json!({ "id": "aa", "paused": false }));
    world.sync().await;
    assert_eq!(world.customer(1003).await.unwrap().revision, 2);

    // Over a socket, an empty body is known to be empty only once it was read.
    let request = Request::post("/v1/connections/aa/resync").header("Authorization", format!("Bearer {OPERATOR}"));
    let unread = Body::from_stream(futures::stream::empty::<Result<Vec<u8>, std::io::Error>>());
    let (status, _, _) = world.request(request.body(unread).unwrap()).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    world.run_for(10).await;
    world.sync().await;

    let fetched = world.status().await.counts.fetched;
    let (status, answer) = post(&world, OPERATOR, "/v1/connections/aa/resync", &Value::Null).await;
    assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({ "id": "aa", "requested": true })));
    world.run_for(10).await;
    world.sync().await;
    assert_eq!(world.status().await.counts.fetched, fetched + 30);
    post(&world, OPERATOR, "/v1/connections/aa/resync", &json!({ "customer": "1004" })).await;
    world.run_for(10).await;
    assert_eq!(world.status().await.counts.fetched, fetched + 31);
    for (body, status, detail) in [
        (json!({ "confirm_deletes": true }), StatusCode::CONFLICT, "no deletion waits"),
        (json!({ "customer": " " }), StatusCode::BAD_REQUEST, "`customer`: this is no customer's id in the source"),
        (
            json!({ "customer": "1", "confirm_deletes": true }),
            StatusCode::BAD_REQUEST,
            "`customer` and `confirm_deletes` exclude each other",
        ),
    ] {
        let (found, problem) = post(&world, OPERATOR, "/v1/connections/aa/resync", &body).await;
        assert_eq!((found, problem["detail"].as_str().unwrap()), (status, detail), "{body}");
    }
}

async fn send(
    world: &AssociationAnywhereFixture,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = world.engine.gateway().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

#[tokio::test]
async fn an_answer_is_compressed_where_that_is_asked_for() {
    let world = AssociationAnywhereFixture::with_customers(50).await;
    world.sync().await;
    let bearer = format!("Bearer {TOKEN}");
    let path = "/v1/customers?connection=aa";
    let (_, plain, whole) = send(&world, "GET", path, &[("Authorization", &bearer)]).await;
    assert!(!plain.contains_key("content-encoding"));
    let (status, headers, zipped) =
        send(&world, "GET", path, &[("Authorization", &bearer), ("Accept-Encoding", "br, gzip")]).await;
    assert_eq!((status, headers["content-encoding"].to_str().unwrap()), (StatusCode::OK, "gzip"));
    assert!(zipped.len() * 4 < whole.len(), "{} of {}", zipped.len(), whole.len());
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(zipped.as_slice()).read_to_end(&mut unzipped).unwrap();
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(json(&unzipped)["customers"], json(&whole)["customers"]);
}

#[tokio::test]
async fn a_head_request_has_the_headers_of_the_answer_and_what_no_route_answers_is_a_problem_document() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let (status, head, body) = send(&world, "HEAD", "/v1/customers/aa~1001", &headers).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 0));
    assert!(head.contains_key("etag") && head.contains_key("fresh-as-of"), "{head:?}");
    let no_json = [("Authorization", bearer.as_str()), ("Accept", "text/html, application/json;q=0")];
    let (status, refused, _) = send(&world, "GET", "/v1/customers/aa~1001", &no_json).await;
    assert_eq!(
        (status, refused["content-type"].to_str().unwrap()),
        (StatusCode::NOT_ACCEPTABLE, "application/problem+json")
    );
    for (method, path, status) in [
        ("GET", "/v1/nothing", StatusCode::NOT_FOUND),
        ("GET", "/v2/customers", StatusCode::NOT_FOUND),
        ("DELETE", "/v1/customers/aa~1001", StatusCode::METHOD_NOT_ALLOWED),
        ("PUT", "/v1/changes", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/v1/failures/drop", StatusCode::METHOD_NOT_ALLOWED),
        ("OPTIONS", "/v1/changes", StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let (found, headers, body) = send(&world, method, path, &headers).await;
        assert_eq!(found, status, "{method} {path}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["status"], status.as_u16());
    }
}
