//! Answers are bounded in bytes, names in characters; and no cache keeps an answer.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use model::{Attribute, ConnectionKey, Content, Version};
use serde_json::Value;
use store::{Change, IncomingChange};
use tests::{AssociationAnywhereFixture, CONNECTOR_LOGIN};

use crate::support::{batch_get, prospect, push_as, read, world};

/// What Lambda can answer, of which our JSON is a text within another JSON.
const LAMBDA: usize = 6_291_556;

/// Puts customers of this size into the shadow, with ids from `c0` on.
async fn add_customers(world: &AssociationAnywhereFixture, count: usize, bytes: usize) -> BTreeSet<String> {
    let connection = ConnectionKey::new("acme", "aa");
    for first in (0..count).step_by(10) {
        let incoming = (first..count.min(first + 10)).map(|number| {
            let mut content = Content::default();
            content.attributes.insert("text".to_owned(), Attribute::Text("q\"".repeat(bytes / 3)));
            IncomingChange {
                source_id: format!("c{number}"),
                version: Version::from_stored("1"),
                news: Change::Present(Box::new(content)),
            }
        });
        let deadline = world.now() + std::time::Duration::from_secs(60);
        let merged = world.shadow().upsert(&connection, incoming.collect(), deadline).await.unwrap();
        assert!(merged.outcomes.iter().all(|(_, outcome)| outcome.is_ok()));
    }
    (0..count).map(|number| format!("aa~c{number}")).collect()
}

fn ids(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// As many bytes as Lambda would write.
fn bytes_on_lambda(text: &str) -> usize {
    serde_json::to_string(text).unwrap().len()
}

#[tokio::test]
async fn a_list_of_large_records_ends_where_the_answer_is_full_and_goes_on_from_there() {
    // Of the second size exactly the fifty that are read first have room, of the third not even all of those that
    // are read next.
    for (count, bytes) in [(40, 300_000), (60, 69_000), (300, 15_000)] {
        let world = AssociationAnywhereFixture::with_customers(0).await;
        let all = add_customers(&world, count, bytes).await;
        let mut seen = Vec::new();
        let mut path = "/v1/customers?connection=aa&limit=500".to_owned();
        for _ in 0..40 {
            let answer = read(&world, &path).await;
            assert!(bytes_on_lambda(&answer.text) < LAMBDA, "{} bytes", answer.text.len());
            let page = answer.json();
            let found = ids(&page["customers"]);
            assert!(!found.is_empty() || page["more"] == false);
            seen.extend(found);
            let Some(cursor) = page["cursor"].as_str() else { break };
            path = format!("/v1/customers?connection=aa&limit=500&cursor={cursor}");
        }
        assert_eq!((seen.len(), seen.into_iter().collect::<BTreeSet<_>>()), (count, all), "of {bytes} bytes");
    }
}

#[tokio::test]
async fn a_list_of_small_records_has_as_many_as_were_asked_for() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add_customers(&world, 130, 30).await;
    let page = read(&world, "/v1/customers?connection=aa&limit=120").await.json();
    assert_eq!((ids(&page["customers"]).len(), &page["more"]), (120, &Value::Bool(true)));
}

/// Nothing is dropped in silence (invariant 6): customers that are left out of the answer are named.
#[tokio::test]
async fn a_batch_of_large_records_answers_what_fits_and_names_the_rest() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    add_customers(&world, 40, 300_000).await;
    let mut left: Vec<String> = (0..45).map(|number| format!("aa~c{number}")).collect();
    let (mut answered, mut missing) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let answer = batch_get(&world, &left).await;
        assert!(bytes_on_lambda(&answer.text) < LAMBDA, "{} bytes", answer.text.len());
        let batch = answer.json();
        let found = ids(&batch["customers"]);
        let before = answered.len() + missing.len();
        answered.extend(found);
        missing.extend(batch["missing"].as_array().unwrap().clone());
        assert!(answered.len() + missing.len() > before, "nothing was answered");
        let Some(unanswered) = batch.get("unanswered") else { break };
        left = unanswered.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    }
    assert_eq!((answered.len(), missing.len()), (40, 5));
    assert_eq!(answered.iter().collect::<BTreeSet<_>>().len(), 40);
}

#[tokio::test]
async fn a_list_of_large_staff_ends_where_the_answer_is_full_and_goes_on_from_there() {
    let world = world().await;
    for number in 0..16 {
        let document = prospect(&format!("s-{number}"), &format!("<x>{}</x>", "q".repeat(350_000)));
        let document = document.replace("PROSPECT", "MEMBER");
        let pushed = push_as(&world, CONNECTOR_LOGIN, "staff", document).await;
        assert_eq!(pushed.status, StatusCode::OK, "{}", pushed.text);
    }
    let (mut seen, mut path) = (BTreeSet::new(), "/v1/staff?connection=intouch&limit=500".to_owned());
    let mut pages = 0;
    loop {
        let answer = read(&world, &path).await;
        assert!(bytes_on_lambda(&answer.text) < LAMBDA, "{} bytes", answer.text.len());
        let page = answer.json();
        seen.extend(ids(&page["staff"]));
        pages += 1;
        let Some(cursor) = page["cursor"].as_str() else { break };
        path = format!("/v1/staff?connection=intouch&limit=500&cursor={cursor}");
    }
    assert_eq!((seen.len(), pages), (16, 2));
}

#[tokio::test]
async fn names_and_cursors_that_are_too_long_are_not_found_or_refused_and_never_a_failing_store() {
    let world = world().await;
    let long = "a".repeat(3_000);
    for path in ["/v1/customers", "/v1/staff", "/v1/lead-sources"] {
        for connection in [&long, "a b", "%00", "AA", ""] {
            let answer = read(&world, &format!("{path}?connection={}", connection.replace(' ', "+"))).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path} {connection}: {}", answer.text);
        }
    }
    // `0:` and 3,000 times `a`.
    let cursor = format!("MDph{}", "YWFh".repeat(1_000));
    let answer = read(&world, &format!("/v1/customers?connection=aa&cursor={cursor}")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
    assert_eq!(read(&world, &format!("/v1/customers/aa~{long}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(read(&world, &format!("/v1/customers/{long}~1")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_on_the_way_of_an_answer_keeps_it() {
    let world = world().await;
    let answers = [
        read(&world, "/v1/customers?connection=aa").await,
        read(&world, "/v1/customers/aa~1").await,
        read(&world, "/v1/connections").await,
        read(&world, "/v1/staff?connection=aa").await,
        crate::support::read_as(&world, "wrong", "/v1/connections").await,
        batch_get(&world, &[]).await,
    ];
    for answer in answers {
        assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.text);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{}", answer.text);
    }
}
