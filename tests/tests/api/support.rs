//! Requests to the read API, and the parts of its answers.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use model::{Content, Version};
use serde_json::{Value, json};
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use store::{Change, IncomingChange};
use tests::{AssociationAnywhereFixture, TOKEN};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// The bearer token of the tenant `other`.
pub(crate) const OTHER_TOKEN: &str = "other-token";

/// Every route for readers, with a request that its reader may send.
pub(crate) const ROUTES: [(&str, &str, &str); 13] = [
    ("GET", "/v1/customers/aa~1001", ""),
    ("GET", "/v1/customers?id=aa~1001", ""),
    ("GET", "/v1/customers?email=jane@example.org", ""),
    ("GET", "/v1/changes", ""),
    ("POST", "/v1/customers/batch-get", r#"{"ids":["aa~1001"]}"#),
    ("GET", "/v1/customers?connection=aa", ""),
    ("GET", "/v1/connections", ""),
    ("GET", "/v1/staff?connection=aa", ""),
    ("GET", "/v1/lead-sources?connection=aa", ""),
    ("POST", "/v1/customers/search", r#"{"email":"jane@example.org"}"#),
    ("POST", "/v1/customers/where", r#"{"id":"aa~1001"}"#),
    ("POST", "/v1/failures/list", r#"{"connection":"aa"}"#),
    ("GET", "/v1/imports?connection=aa", ""),
];

/// An answer with everything that belongs to it.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// A problem document with this status; returns its detail.
    #[track_caller]
    pub(crate) fn problem(&self, status: StatusCode) -> String {
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
pub(crate) async fn ask(
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

pub(crate) async fn get_as(world: &AssociationAnywhereFixture, token: &str, path: &str) -> Answer {
    ask(world, "GET", path, Some(format!("Bearer {token}").as_bytes()), "").await
}

pub(crate) async fn get(world: &AssociationAnywhereFixture, path: &str) -> Answer {
    get_as(world, TOKEN, path).await
}

pub(crate) async fn batch_get(world: &AssociationAnywhereFixture, body: &str) -> Answer {
    ask(world, "POST", "/v1/customers/batch-get", Some(format!("Bearer {TOKEN}").as_bytes()), body).await
}

pub(crate) async fn batch_get_ids(world: &AssociationAnywhereFixture, ids: &[&str]) -> (Vec<String>, Vec<String>) {
    let answer = batch_get(world, &json!({ "ids": ids }).to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let answer = answer.json();
    let missing = answer["missing"].as_array().unwrap();
    (ids_of(&answer["customers"]), missing.iter().map(|id| id.as_str().unwrap().to_owned()).collect())
}

pub(crate) fn ids_of(customers: &Value) -> Vec<String> {
    customers.as_array().unwrap().iter().map(|customer| customer["id"].as_str().unwrap().to_owned()).collect()
}

/// Writes a customer of `aa` into the shadow, as a worker does: each time with a greater version.
pub(crate) async fn write(world: &AssociationAnywhereFixture, source_id: &str, version: u64, content: Content) {
    let news = Change::Present(Box::new(content));
    let incoming = IncomingChange { source_id: source_id.to_owned(), version: Version::of_batch(version, 1), news };
    let deadline = world.now() + std::time::Duration::from_secs(60);
    let merged = world.shadow().upsert(&world.connection(), vec![incoming], deadline).await.unwrap();
    assert!(merged.outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
}

/// Every page of the list of `aa`.
pub(crate) async fn pages(world: &AssociationAnywhereFixture, limit: usize) -> Vec<Vec<String>> {
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
pub(crate) fn parts(text: &str) -> Vec<&str> {
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
pub(crate) fn entries(text: &str) -> Vec<(&str, &str)> {
    assert!(text.starts_with('{'), "not an object: {text}");
    parts(text)
        .into_iter()
        .map(|part| part.split_once(':').unwrap())
        .map(|(key, value)| (key.trim_matches('"'), value))
        .collect()
}

pub(crate) fn keys(text: &str) -> Vec<&str> {
    entries(text).into_iter().map(|(key, _)| key).collect()
}

/// A second tenant: another simulated system, with these ids, under this connection's name.
pub(crate) async fn add_other_tenant(
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
