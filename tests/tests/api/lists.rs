//! Lists, page by page, and how the connections stand.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::AssociationAnywhereFixture;

use crate::support::{batch_get_ids, get, ids_of, keys, pages};

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
    assert_eq!(keys(&answer.text), ["customers", "cursor", "more", "changes_cursor", "fresh_as_of"]);
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
    let limit = "the query parameters: limit: must be a whole number from 1 to 500";
    let cursor = "the query parameter `cursor` is not one that this API gave out";
    for (query, detail) in [
        ("", "exactly one of the query parameters `id`, `email` and `connection` is needed"),
        ("?limit=5", "exactly one of the query parameters `id`, `email` and `connection` is needed"),
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
        (
            "?connection=aa&offset=5",
            "the query parameters: offset: unknown field `offset`, expected one of `id`, `email`, `connection`, `cursor`, `limit`",
        ),
        (
            "?connection=aa&tenant=other",
            "the query parameters: tenant: unknown field `tenant`, expected one of `id`, `email`, `connection`, `cursor`, `limit`",
        ),
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
        json!({ "tenant": "acme", "scope": "read", "connections": [{
            "id": "aa",
            "tenant": "acme",
            "kind": "association-anywhere",
            "condition": "in_sync",
            "paused_at": null,
            "fresh_as_of": status.fresh_as_of.unwrap(),
            "freshness_seconds": status.freshness_seconds.unwrap(),
            "last_success_at": status.last_success_at.unwrap(),
            "error": null,
            "batch": null,
            "counts": { "fetched": 33, "written": 31, "unchanged": 1, "stale": 0, "tombstoned": 1, "failed": 0 },
            "failures": 0,
            "deletes_withheld": 0,
        }], "destinations": [] })
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
