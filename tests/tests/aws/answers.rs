//! Lambda answers with at most 6 MB, in which quotation marks and backslashes count twice.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use tests::AssociationAnywhereFixture;

use crate::{as_connector, read, user};

const PAGE: &str = "user?provider=INTOUCH&client_id=c-1&club_id=k-1";

/// Invariant 1: a Connector cannot ask for less, so it would never get past a page that no answer holds.
#[tokio::test]
async fn a_connectors_page_of_backslashes_ends_before_lambda_would_refuse_it() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let backslashes = "\\".repeat(180_000);
    let mut expected = BTreeSet::new();
    for number in 0..40 {
        let company = format!("<company>{backslashes}</company>");
        let (status, answer) = as_connector(&world, "POST", "user", &user(&format!("r-{number}"), &company, "")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let (_, rest) = answer.split_once("<uuid>").unwrap();
        expected.insert(rest.split_once("</uuid>").unwrap().0.to_owned());
    }
    let (mut found, mut path) = (BTreeSet::new(), PAGE.to_owned());
    loop {
        let (status, page) = as_connector(&world, "GET", &path, "").await;
        assert_eq!(status, StatusCode::OK, "{}", &page[..page.len().min(200)]);
        found.extend(expected.iter().filter(|uuid| page.contains(uuid.as_str())).cloned());
        let Some((_, cursor)) = page.split_once(" cursor=\"") else { break };
        path = format!("{PAGE}&cursor={}", cursor.split_once('"').unwrap().0);
    }
    assert_eq!(found, expected);
}

/// A list of the read API is bounded by its bytes, too: see `access/bounds.rs`. What is answered is not refused.
#[tokio::test]
async fn a_list_of_backslashes_is_answered_page_by_page() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let company = format!("<company>{}</company>", "\\".repeat(180_000));
    for number in 0..12 {
        let (status, _) = as_connector(&world, "POST", "user", &user(&format!("r-{number}"), &company, "")).await;
        assert_eq!(status, StatusCode::OK);
    }
    let (mut found, mut path) = (0, "/v1/customers?connection=intouch&limit=500".to_owned());
    loop {
        let (status, page) = read(&world, &path).await;
        assert_eq!(status, StatusCode::OK);
        found += page["customers"].as_array().unwrap().len();
        let Some(cursor) = page["cursor"].as_str() else { break };
        path = format!("/v1/customers?connection=intouch&limit=500&cursor={cursor}");
    }
    assert_eq!(found, 12);
}
