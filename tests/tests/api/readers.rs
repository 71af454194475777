//! Which readers the API answers, and which it refuses.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tests::{AssociationAnywhereFixture, TOKEN};

use crate::support::{OTHER_TOKEN, ROUTES, add_other_tenant, ask, get, get_as, ids_of};

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
async fn a_token_of_a_reader_without_a_digest_stops_when_its_secret_is_replaced_and_the_new_one_starts() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    let token = world.secret("acme.json", &json!({ "token": TOKEN }));
    world.register_undigested("acme", &token).await;
    assert_eq!(get(&world, "/v1/connections").await.status, StatusCode::OK);
    world.secret("acme.json", &json!({ "token": "renewed" }));
    world.clock.advance(Duration::from_secs(121));
    get(&world, "/v1/connections").await.problem(StatusCode::UNAUTHORIZED);
    assert_eq!(get_as(&world, "renewed", "/v1/connections").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reader_without_a_digest_whose_token_is_empty_or_unreadable_opens_nothing_and_closes_nobody_out() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    let empty = world.secret("other.json", &json!({ "token": "" }));
    world.register_undigested("other", &empty).await;
    world.register_undigested("third", "file:/no/such/file").await;
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
    get_as(&world, OTHER_TOKEN, &path).await.problem(StatusCode::BAD_REQUEST);
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
async fn what_is_no_route_is_a_problem_document_and_does_nothing() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    for (method, path) in [
        ("POST", "/"),
        ("GET", "/index.html"),
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
        assert!([StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&answer.status), "{method} {path}");
        answer.problem(answer.status);
    }
    assert_eq!(world.source.customer_ids().len(), 3);
    assert_eq!(get(&world, "/v1/customers/aa~1001").await.status, StatusCode::OK);
}
