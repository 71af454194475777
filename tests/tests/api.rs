//! What the integrator's own UI reads: every route of the API, for whom it answers, and what it refuses.

#![allow(clippy::unwrap_used, reason = "a story that fails may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use tests::{AssociationAnywhereFixture, TOKEN};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// The bearer token of the tenant `other`.
const OTHER_TOKEN: &str = "other-token";

/// Every route, with a request that its reader may send.
const ROUTES: [(&str, &str, &str); 6] = [
    ("GET", "/v1/customers/aa~1001", ""),
    ("POST", "/v1/customers/batch-get", r#"{"ids":["aa~1001"]}"#),
    ("GET", "/v1/customers?connection=aa", ""),
    ("GET", "/v1/connections", ""),
    ("GET", "/v1/staff?connection=aa", ""),
    ("GET", "/v1/lead-sources?connection=aa", ""),
];

/// An answer with everything that belongs to it.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// A problem document with this status; returns its detail.
    #[track_caller]
    fn problem(&self, status: StatusCode) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        let keys: Vec<&String> = problem.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["detail", "status", "title", "type"]);
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(problem["title"], status.canonical_reason().unwrap());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Asks with exactly this `Authorization` header.
async fn ask(
    world: &AssociationAnywhereFixture,
    method: &str,
    path: &str,
    authorization: Option<&[u8]>,
    body: &str,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authorization) = authorization {
        request = request.header("Authorization", authorization);
    }
    let response = world.engine.gateway().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}

async fn get_as(world: &AssociationAnywhereFixture, token: &str, path: &str) -> Answer {
    ask(world, "GET", path, Some(format!("Bearer {token}").as_bytes()), "").await
}

async fn get(world: &AssociationAnywhereFixture, path: &str) -> Answer {
    get_as(world, TOKEN, path).await
}

async fn batch_get(world: &AssociationAnywhereFixture, body: &str) -> Answer {
    ask(world, "POST", "/v1/customers/batch-get", Some(format!("Bearer {TOKEN}").as_bytes()), body).await
}

async fn batch_get_ids(world: &AssociationAnywhereFixture, ids: &[&str]) -> (Vec<String>, Vec<String>) {
    let answer = batch_get(world, &json!({ "ids": ids }).to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let missing = answer["missing"].as_array().unwrap();
    (ids_of(&answer["customers"]), missing.iter().map(|id| id.as_str().unwrap().to_owned()).collect())
}

fn ids_of(customers: &Value) -> Vec<String> {
    customers.as_array().unwrap().iter().map(|customer| customer["id"].as_str().unwrap().to_owned()).collect()
}

/// Every page of the list of `aa`.
async fn pages(world: &AssociationAnywhereFixture, limit: usize) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = format!("/v1/customers?connection=aa&limit={limit}");
    loop {
        let page = get(world, &path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let page = page.json();
        pages.push(ids_of(&page["customers"]));
        assert_eq!(page["more"], json!(page["cursor"].is_string()), "{page}");
        match page["cursor"].as_str() {
            Some(cursor) => path = format!("/v1/customers?connection=aa&limit={limit}&cursor={cursor}"),
            None => return pages,
        }
        assert!(pages.len() <= 1_000, "the list does not end");
    }
}

/// The parts of a JSON object or list as they were written, in their order.
fn parts(text: &str) -> Vec<&str> {
    let inner = &text[1..text.len() - 1];
    let (mut depth, mut start, mut in_text, mut escaped) = (0, 0, false, false);
    let mut parts = Vec::new();
    for (at, character) in inner.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(Some(&inner[start..]).filter(|last| !last.is_empty()));
    parts
}

/// The entries of a JSON object, in their order.
fn entries(text: &str) -> Vec<(&str, &str)> {
    assert!(text.starts_with('{'), "not an object: {text}");
    parts(text)
        .into_iter()
        .map(|part| part.split_once(':').unwrap())
        .map(|(key, value)| (key.trim_matches('"'), value))
        .collect()
}

fn keys(text: &str) -> Vec<&str> {
    entries(text).into_iter().map(|(key, _)| key).collect()
}

/// A second tenant: another simulated system, with these ids, under this connection's name.
async fn add_other_tenant(
    world: &AssociationAnywhereFixture,
    connection: &str,
    first_id: u64,
) -> (AaSimulator, JoinHandle<()>) {
    let settings = AaSettings { customers: 20, first_id, seed: 2, ..AaSettings::default() };
    let credentials =
        world.secret("other-aa.json", &json!({ "username": settings.username, "password": settings.password }));
    let token = world.secret("other.json", &json!({ "token": OTHER_TOKEN }));
    let source = AaSimulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = urls(&format!("http://{}", listener.local_addr().unwrap()));
    let serving = tokio::spawn({
        let source = source.clone();
        async move { source.serve(listener).await.unwrap() }
    });
    world
        .configure(&format!(
            "[[connection]]\nid = '{connection}'\ntenant = 'other'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
             details_url = '{}'\npurge_url = '{}'\ncredentials = '{credentials}'\n\
             [[reader]]\ntenant = 'other'\ntoken = '{token}'\nscope = 'read'\n",
            urls.queue, urls.details, urls.purge
        ))
        .await;
    world.run_for(10).await;
    assert_eq!(source.queue_len(), 0, "the other tenant is in sync");
    (source, serving)
}

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
    for id in ["aa~9999", "ab~1001", "aa~1001~", "aa~~1001", "aa~1001%20", "acme%2Faa~1001", "..%2Facme%2Faa~1001"] {
        let detail = get(&world, &format!("/v1/customers/{id}")).await.problem(StatusCode::NOT_FOUND);
        assert_eq!(detail, "there is no such customer", "{id}");
    }
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
    assert_eq!(
        answer.text,
        format!(r#"{{"customers":[{}],"missing":[]}}"#, one.text),
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
    ];
    for body in bodies {
        let detail = batch_get(&world, body).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.starts_with("the body must be {\"ids\":[…]}: "), "{body}: {detail}");
    }
    let detail = batch_get(&world, r#"{"ids":["aa~1001"],"limit":5}"#).await.problem(StatusCode::BAD_REQUEST);
    assert!(detail.contains("unknown field `limit`"), "{detail}");
    let detail = batch_get(&world, r#"{"ids":["aa~1001","aa~1002","1003"]}"#).await.problem(StatusCode::BAD_REQUEST);
    assert_eq!(detail, "`ids[2]`: a customer id has the form <connection>~<source id>");
}

#[tokio::test]
async fn paging_shows_every_customer_once() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.sync().await;
    let expected: BTreeSet<String> = (1001..1251).map(|id| format!("aa~{id}")).collect();
    for limit in [1, 7, 100, 249, 250, 500] {
        let pages = pages(&world, limit).await;
        assert!(pages.iter().all(|page| page.len() <= limit), "{limit}");
        let listed: Vec<String> = pages.concat();
        assert_eq!(listed.len(), 250, "{limit}");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected, "{limit}");
    }
    let answer = get(&world, "/v1/customers?connection=aa").await;
    assert_eq!(keys(&answer.text), ["customers", "cursor", "more"]);
    let answer = answer.json();
    assert_eq!((ids_of(&answer["customers"]).len(), &answer["more"]), (100, &json!(true)), "a hundred by default");
}

#[tokio::test]
async fn what_changes_between_two_pages_moves_nobody_else() {
    let world = AssociationAnywhereFixture::with_customers(50).await;
    world.sync().await;
    let first = get(&world, "/v1/customers?connection=aa&limit=20").await.json();
    let gone: Vec<u64> = ids_of(&first["customers"]).iter().take(3).map(|id| id[3..].parse().unwrap()).collect();
    for id in gone {
        world.source.delete_silently(id);
    }
    world.source.change(1001..1051);
    world.sync().await;
    let cursor = first["cursor"].as_str().unwrap();
    let rest = get(&world, &format!("/v1/customers?connection=aa&cursor={cursor}")).await.json();
    let seen: BTreeSet<String> =
        [ids_of(&first["customers"]), ids_of(&rest["customers"])].concat().into_iter().collect();
    assert_eq!((seen.len(), ids_of(&rest["customers"]).len()), (50, 30));
    assert_eq!((&rest["cursor"], &rest["more"]), (&Value::Null, &json!(false)));
}

#[tokio::test]
async fn a_deleted_customer_is_readable_by_its_id_without_personal_data_and_not_listed() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let (name, email) = (world.source.display_name(1007).unwrap(), world.source.email(1007).unwrap());
    let before = get(&world, "/v1/customers/aa~1007").await;
    assert!(before.text.contains(&email) && before.text.contains(&name), "{}", before.text);
    world.source.delete_silently(1007);
    world.sync().await;
    let listed = pages(&world, 7).await.concat();
    assert_eq!((listed.len(), listed.contains(&"aa~1007".to_owned())), (29, false));
    let after = get(&world, "/v1/customers/aa~1007").await;
    let (was, is) = (before.json(), after.json());
    assert_eq!((&is["status"], &is["revision"]), (&json!("deleted"), &json!(2)));
    for kept in ["id", "tenant", "connection", "source_id", "type", "first_seen_at"] {
        assert_eq!(is[kept], was[kept], "{kept}");
    }
    assert_eq!((&is["name"], &is["attributes"]), (&json!({}), &json!({})));
    for list in ["emails", "phones", "addresses", "roles", "memberships", "subscriptions"] {
        assert_eq!(is[list], json!([]), "{list}");
    }
    assert!(!after.text.contains(&email) && !after.text.contains(&name), "{}", after.text);
    assert_eq!(batch_get_ids(&world, &["aa~1007"]).await, (vec!["aa~1007".to_owned()], vec![]));
}

#[tokio::test]
async fn a_list_says_what_is_wrong_with_its_question() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    let limit = "the query parameter `limit` must be a whole number from 1 to 500";
    let cursor = "the query parameter `cursor` is not one that this API gave out";
    for (query, detail) in [
        ("", "the query parameter `connection` is missing"),
        ("?limit=5", "the query parameter `connection` is missing"),
        ("?connection=aa&limit=0", limit),
        ("?connection=aa&limit=501", limit),
        ("?connection=aa&limit=-1", limit),
        ("?connection=aa&limit=1.5", limit),
        ("?connection=aa&limit=", limit),
        ("?connection=aa&limit=many", limit),
        ("?connection=aa&cursor=", cursor),
        ("?connection=aa&cursor=!!!", cursor),
        ("?connection=aa&cursor=MTAwMQ", cursor),
        ("?connection=aa&cursor=MDoxMDAx%3D%3D", cursor),
        ("?connection=aa&cursor=MzAwOjEwMDE", cursor),
        ("?connection=aa&offset=5", "the query parameter `offset` is not known"),
        ("?connection=aa&tenant=other", "the query parameter `tenant` is not known"),
    ] {
        let answer = get(&world, &format!("/v1/customers{query}")).await;
        assert_eq!(answer.problem(StatusCode::BAD_REQUEST), detail, "{query}");
    }
    let detail = get(&world, "/v1/customers?connection=nope").await.problem(StatusCode::NOT_FOUND);
    assert_eq!(detail, "there is no such connection");
}

#[tokio::test]
async fn a_cursor_that_points_behind_the_end_was_never_given_out() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    // `99:1001`
    let answer = get(&world, "/v1/customers?connection=aa&cursor=OTk6MTAwMQ").await;
    answer.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_reader_is_no_connection() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    let detail = get(&world, "/v1/customers?connection=reader/1").await.problem(StatusCode::NOT_FOUND);
    assert_eq!(detail, "there is no such connection");
}

#[tokio::test]
async fn connections_have_the_figures_of_the_status() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.source.change([1001]);
    world.source.enqueue(1002);
    world.source.delete_silently(1003);
    world.sync().await;
    world.clock.advance(Duration::from_secs(7));
    let answer = get(&world, "/v1/connections").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, Some("application/json")));
    let status = world.status().await;
    assert_eq!(
        answer.json(),
        json!({ "connections": [{
            "id": "aa",
            "tenant": "acme",
            "kind": "association-anywhere",
            "condition": "in_sync",
            "fresh_as_of": status.fresh_as_of.unwrap(),
            "freshness_seconds": status.freshness_seconds.unwrap(),
            "last_success_at": status.last_success_at.unwrap(),
            "error": null,
            "batch": null,
            "counts": { "fetched": 33, "written": 31, "unchanged": 1, "stale": 0, "tombstoned": 1, "failed": 0 },
            "failures": 0,
            "deletes_withheld": 0,
        }] })
    );
    assert!(status.freshness_seconds >= Some(7));
}

#[tokio::test]
async fn a_connection_shows_the_batch_in_progress_and_what_stands_in_the_way() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.poll().await;
    let messages = world.receive_all();
    world.deliver(&messages[..1]).await;
    let shown = get(&world, "/v1/connections").await.json()["connections"][0].take();
    assert_eq!((&shown["condition"], &shown["fresh_as_of"]), (&json!("syncing"), &Value::Null));
    assert_eq!(shown["batch"]["customers"], json!(250));
    assert_eq!(shown["batch"]["number"], json!(world.now().as_second()), "the first number is the time");
    let (left, fetched) = (shown["batch"]["left"].as_u64().unwrap(), shown["counts"]["fetched"].as_u64().unwrap());
    assert_eq!(left + fetched, 250);
    assert!(left > 0 && fetched > 0, "{shown}");
}

#[tokio::test]
async fn whoever_has_no_valid_token_is_told_so_on_every_route() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    let wrong: [Option<&[u8]>; 11] = [
        None,
        Some(b""),
        Some(b"Bearer"),
        Some(b"Bearer "),
        Some(b"Bearer wrong-token"),
        Some(b"Bearer acme-toke"),
        Some(b"Bearer acme-token2"),
        Some(b"Bearer ACME-TOKEN"),
        Some(b"Basic acme-token"),
        Some(b"acme-token"),
        Some(b"Bearer acme-token\xFF"),
    ];
    for (method, path, body) in ROUTES {
        for authorization in wrong {
            let answer = ask(&world, method, path, authorization, body).await;
            let detail = answer.problem(StatusCode::UNAUTHORIZED);
            assert_eq!(detail, "the request needs `Authorization: Bearer <token>` with a valid token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        }
        for authorization in [&b"Bearer acme-token"[..], b"bearer acme-token"] {
            let answer = ask(&world, method, path, Some(authorization), body).await;
            assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {}", answer.text);
            assert_eq!(answer.header("www-authenticate"), None);
        }
    }
}

#[tokio::test]
async fn who_asks_is_known_before_what_is_asked_is_judged() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    for (method, path, body) in [
        ("GET", "/v1/customers/1001", ""),
        ("GET", "/v1/customers/aa~%FF", ""),
        ("POST", "/v1/customers/batch-get", "no JSON"),
        ("GET", "/v1/customers?limit=0", ""),
        ("GET", "/v1/customers?connection=%FF", ""),
        ("GET", "/v1/staff", ""),
        ("GET", "/v1/lead-sources?limit=0", ""),
    ] {
        ask(&world, method, path, None, body).await.problem(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_withdrawn_token_stops_working_within_a_minute_and_a_new_one_starts() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    assert_eq!(get(&world, "/v1/connections").await.status, StatusCode::OK);
    world.secret("acme.json", &json!({ "token": "renewed" }));
    world.clock.advance(Duration::from_secs(121));
    get(&world, "/v1/connections").await.problem(StatusCode::UNAUTHORIZED);
    assert_eq!(get_as(&world, "renewed", "/v1/connections").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reader_whose_token_is_empty_or_unreadable_opens_nothing_and_closes_nobody_out() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.secret("other.json", &json!({ "token": "" }));
    let connection = "[[connection]]\nid = 'bb'\ntenant = 'other'\nkind = 'association-anywhere'\n\
                      queue_url = 'https://b'\ndetails_url = 'https://b'\npurge_url = 'https://b'\n\
                      credentials = 'env:B'\n";
    let empty = format!("file:{}", world.directory.path().join("other.json").display());
    world
        .configure(&format!(
            "{connection}[[reader]]\ntenant = 'other'\ntoken = '{empty}'\n\
             [[reader]]\ntenant = 'other'\ntoken = 'file:/no/such/file'\n"
        ))
        .await;
    for authorization in [&b"Bearer "[..], b"Bearer", b"Bearer  "] {
        ask(&world, "GET", "/v1/connections", Some(authorization), "").await.problem(StatusCode::UNAUTHORIZED);
    }
    assert_eq!(get(&world, "/v1/connections").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another_even_where_it_guesses() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let (_source, serving) = add_other_tenant(&world, "bb", 5001).await;
    let list = |path: &'static str| get_as(&world, OTHER_TOKEN, path);

    for (token, mine, theirs) in [(TOKEN, "aa~1001", "bb~5001"), (OTHER_TOKEN, "bb~5001", "aa~1001")] {
        assert_eq!(get_as(&world, token, &format!("/v1/customers/{mine}")).await.status, StatusCode::OK);
        let others = [
            theirs.to_owned(),
            format!("other%2F{theirs}"),
            format!("acme%2F{theirs}"),
            format!("..%2Fother%2F{theirs}"),
            format!("..%2Facme%2F{theirs}"),
        ];
        for id in others {
            get_as(&world, token, &format!("/v1/customers/{id}")).await.problem(StatusCode::NOT_FOUND);
        }
        let body = json!({ "ids": [mine, theirs, format!("acme/{theirs}"), format!("other/{theirs}")] }).to_string();
        let authorization = format!("Bearer {token}");
        let answer = ask(&world, "POST", "/v1/customers/batch-get", Some(authorization.as_bytes()), &body).await.json();
        assert_eq!(ids_of(&answer["customers"]), [mine]);
        assert_eq!(answer["missing"], json!([theirs, format!("acme/{theirs}"), format!("other/{theirs}")]));
    }
    for (token, mine, theirs) in [(TOKEN, "aa", "bb"), (OTHER_TOKEN, "bb", "aa")] {
        let connections = get_as(&world, token, "/v1/connections").await.json();
        assert_eq!(ids_of(&connections["connections"]), [mine]);
        for name in [theirs.to_owned(), format!("other/{theirs}"), format!("../acme/{theirs}")] {
            let answer = get_as(&world, token, &format!("/v1/customers?connection={name}")).await;
            answer.problem(StatusCode::NOT_FOUND);
        }
    }
    let mine = list("/v1/customers?connection=bb").await.json();
    assert_eq!(ids_of(&mine["customers"]).len(), 20);
    assert!(mine["customers"].as_array().unwrap().iter().all(|customer| customer["tenant"] == "other"));
    // A cursor of one tenant opens nothing of it to another.
    let cursor = get(&world, "/v1/customers?connection=aa&limit=5").await.json()["cursor"].take();
    let path = format!("/v1/customers?connection=bb&cursor={}", cursor.as_str().unwrap());
    let page = get_as(&world, OTHER_TOKEN, &path).await.json();
    assert!(ids_of(&page["customers"]).iter().all(|id| id.starts_with("bb~")), "{page}");
    serving.abort();
}

#[tokio::test]
async fn tenants_whose_connections_and_customers_have_the_same_names_are_apart() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    let (source, serving) = add_other_tenant(&world, "aa", 1001).await;
    for id in 1001..1021 {
        let path = format!("/v1/customers/aa~{id}");
        let (acmes, others) = (get(&world, &path).await.json(), get_as(&world, OTHER_TOKEN, &path).await.json());
        assert_eq!((&acmes["tenant"], &others["tenant"]), (&json!("acme"), &json!("other")));
        assert_eq!(acmes["name"]["display"], json!(world.source.display_name(id)));
        assert_eq!(others["name"]["display"], json!(source.display_name(id)));
    }
    get_as(&world, OTHER_TOKEN, "/v1/customers/aa~1021").await.problem(StatusCode::NOT_FOUND);
    let path = "/v1/customers?connection=aa&limit=500";
    assert_eq!(ids_of(&get(&world, path).await.json()["customers"]).len(), 30);
    assert_eq!(ids_of(&get_as(&world, OTHER_TOKEN, path).await.json()["customers"]).len(), 20);
    for (token, tenant, fetched) in [(TOKEN, "acme", 30), (OTHER_TOKEN, "other", 20)] {
        let connections = get_as(&world, token, "/v1/connections").await.json();
        let [connection] = &connections["connections"].as_array().unwrap()[..] else { panic!("{connections}") };
        assert_eq!((&connection["tenant"], &connection["counts"]["fetched"]), (&json!(tenant), &json!(fetched)));
    }
    serving.abort();
}

#[tokio::test]
async fn what_is_no_route_is_not_found_as_api_gateway_says_it() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v2/customers"),
        ("GET", "/v1/customers/"),
        ("GET", "/v1/customers/aa~1001/emails"),
        ("GET", "/v1/connections/aa"),
        ("DELETE", "/v1/customers/aa~1001"),
        ("PUT", "/v1/customers/aa~1001"),
        ("POST", "/v1/customers"),
        ("POST", "/v1/connections"),
        ("PATCH", "/v1/customers/batch-get"),
    ] {
        let answer = ask(&world, method, path, Some(format!("Bearer {TOKEN}").as_bytes()), "").await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::NOT_FOUND, r#"{"message":"Not Found"}"#),
            "{method} {path}"
        );
    }
    assert_eq!(world.source.customer_ids().len(), 3);
    assert_eq!(get(&world, "/v1/customers/aa~1001").await.status, StatusCode::OK);
}
