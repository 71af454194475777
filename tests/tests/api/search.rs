//! Search by e-mail address, and what is not sent twice.

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use model::{Content, Email, Name};
use tests::{AssociationAnywhereFixture, FEED_TABLE, TOKEN};
use tower::ServiceExt;

use crate::support::{OTHER_TOKEN, add_other_tenant, get, get_as, ids_of, write};

async fn found(world: &AssociationAnywhereFixture, email: &str) -> Vec<String> {
    let email = email.replace('+', "%2B").replace(' ', "%20");
    ids_of(&get(world, &format!("/v1/customers?email={email}")).await.json()["customers"])
}

#[tokio::test]
async fn a_customer_is_found_by_each_of_its_addresses_however_they_are_written_and_by_no_older_one() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.publish().await;
    let before = world.source.email(1004).unwrap();
    let written = before.to_uppercase();
    for email in [&before, &written, &format!(" {before} ")] {
        assert_eq!(found(&world, email).await, ["aa~1004"], "{email}");
    }
    let customer = get(&world, "/v1/customers/aa~1004").await.json();
    for email in customer["emails"].as_array().unwrap() {
        assert!(found(&world, email["address"].as_str().unwrap()).await.contains(&"aa~1004".to_owned()));
    }
    world.source.change([1004]);
    world.sync().await;
    // The index does not know yet: who has changed the address is not found by the old one all the same.
    let now = world.source.email(1004).unwrap();
    assert_ne!(now, before);
    assert_eq!(found(&world, &before).await, [""; 0]);
    world.publish().await;
    assert_eq!(found(&world, &now).await, ["aa~1004"]);
    assert_eq!(found(&world, &before).await, [""; 0]);

    world.source.delete_silently(1004);
    world.sync().await;
    assert_eq!(found(&world, &now).await, [""; 0], "at once");
    world.publish().await;
    assert_eq!(found(&world, &now).await, [""; 0]);
    world.source.create(1004);
    world.sync().await;
    world.publish().await;
    assert_eq!(found(&world, &world.source.email(1004).unwrap()).await, ["aa~1004"]);
}

#[tokio::test]
async fn a_search_finds_those_of_the_tenant_alone() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    let (source, serving) = add_other_tenant(&world, "bb", 1001).await;
    world.sync().await;
    world.publish().await;
    let theirs = source.email(1002).unwrap();
    let search = format!("/v1/customers?email={theirs}");
    assert_eq!(ids_of(&get_as(&world, OTHER_TOKEN, &search).await.json()["customers"]), ["bb~1002"]);
    assert!(!found(&world, &theirs).await.contains(&"bb~1002".to_owned()));
    for (query, detail) in [
        ("email=", "the query parameter `email` is empty"),
        ("email=a@b&connection=aa", "exactly one of the query parameters `id`, `email` and `connection` is needed"),
        ("email=a@b&cursor=x", "the query parameter `cursor` is not one that this API gave out"),
    ] {
        let problem = get(&world, &format!("/v1/customers?{query}")).await.problem(StatusCode::BAD_REQUEST);
        assert_eq!(problem, detail);
    }
    serving.abort();
}

async fn status_and_tag(world: &AssociationAnywhereFixture, path: &str, known: &str) -> (StatusCode, String, usize) {
    let request = Request::get(path)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .header("If-None-Match", known)
        .body(Body::empty())
        .unwrap();
    let response = world.engine.gateway().oneshot(request).await.unwrap();
    let (status, tag) = (response.status(), response.headers()["etag"].to_str().unwrap().to_owned());
    assert!(response.headers().contains_key("fresh-as-of"));
    (status, tag, to_bytes(response.into_body(), usize::MAX).await.unwrap().len())
}

#[tokio::test]
async fn what_a_reader_has_already_is_not_sent_again() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    world.publish().await;
    for path in ["/v1/customers/aa~1001", "/v1/customers?id=aa~1001", "/v1/changes"] {
        let (status, tag, bytes) = status_and_tag(&world, path, "\"other\"").await;
        assert!(status == StatusCode::OK && bytes > 0, "{path}");
        assert_eq!(status_and_tag(&world, path, &tag).await, (StatusCode::NOT_MODIFIED, tag.clone(), 0), "{path}");
        world.source.change([1001]);
        world.sync().await;
        world.publish().await;
        let (status, now, _) = status_and_tag(&world, path, &tag).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_ne!(now, tag, "{path}");
    }
}

fn with_addresses(addresses: impl IntoIterator<Item = String>, first_name: &str) -> Content {
    let emails = addresses.into_iter().map(|address| Email { address, ..Email::default() }).collect();
    let name = Name { first: Some(first_name.to_owned()), ..Name::default() };
    Content { emails, name, ..Content::default() }
}

/// Of a customer that was stored before there was an index, or of whom a change was never delivered.
#[tokio::test]
async fn an_address_that_the_index_does_not_know_is_found_after_the_customers_next_change() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let addresses = || ["jane@example.org".to_owned(), "doe@example.org".to_owned()];
    write(&world, "1", 1, with_addresses(addresses(), "Jane")).await;
    world.publish().await;
    let table = || world.clients.dynamodb.scan().table_name(FEED_TABLE);
    for item in table().send().await.unwrap().items() {
        if item["log"].as_s().unwrap().contains("/email/") {
            let delete = world.clients.dynamodb.delete_item().table_name(FEED_TABLE);
            let delete = delete.key("log", item["log"].clone()).key("entry", item["entry"].clone());
            delete.send().await.unwrap();
        }
    }
    assert_eq!(found(&world, "jane@example.org").await, [""; 0]);
    write(&world, "1", 2, with_addresses(addresses(), "Joan")).await;
    world.publish().await;
    for address in addresses() {
        assert_eq!(found(&world, &address).await, ["aa~1"]);
    }
}

#[tokio::test]
async fn a_customer_may_have_thousands_of_addresses_and_change_them_all() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let addresses = |domain: &'static str| (0..3_000).map(move |number| format!("{number}@{domain}"));
    write(&world, "1", 1, with_addresses(addresses("a.example"), "Jane")).await;
    write(&world, "1", 2, with_addresses(addresses("b.example"), "Jane")).await;
    write(&world, "1", 3, with_addresses(addresses("b.example"), "Joan")).await;
    world.publish().await;
    for number in [0, 1_234, 2_999] {
        assert_eq!(found(&world, &format!("{number}@a.example")).await, [""; 0]);
        assert_eq!(found(&world, &format!("{number}@b.example")).await, ["aa~1"]);
    }
}
