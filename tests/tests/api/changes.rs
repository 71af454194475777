//! The change feed: what a reader that follows it hears.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use config::ConnectionKind;
use futures::FutureExt;
use futures::future::BoxFuture;
use lambda::Clients;
use local_aws::{Call, Engine, Interference, TEMPLATE, Template};
use model::{Attribute, ConnectionKey, Content, iso_millis};
use serde_json::{Value, json};
use store::{Clock, Registration};
use tests::{AssociationAnywhereFixture, FEED_TABLE, SHADOW_TABLE, TOKEN};
use tower::ServiceExt;

use crate::support::{OTHER_TOKEN, add_other_tenant, batch_get, get, get_as, ids_of, keys, write};

/// A reader with its own copy of every customer: id to revision.
#[derive(Default)]
struct Copy {
    cursor: Option<String>,
    customers: BTreeMap<String, u64>,
    /// Every change that it heard.
    heard: Vec<(String, String, u64)>,
}

impl Copy {
    /// Follows the feed to its end, with pages of this size.
    async fn follow(&mut self, world: &AssociationAnywhereFixture, limit: usize) {
        loop {
            let cursor = self.cursor.iter().map(|cursor| format!("&cursor={cursor}")).collect::<String>();
            let page = get(world, &format!("/v1/changes?limit={limit}{cursor}")).await.json();
            let changes = page["changes"].as_array().unwrap();
            assert!(changes.len() <= limit);
            for change in changes {
                self.hear(change);
            }
            self.cursor = Some(page["cursor"].as_str().unwrap().to_owned());
            if page["more"] == false {
                return;
            }
        }
    }

    fn hear(&mut self, change: &Value) {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        let (id, action, revision) = (text("id"), text("action"), change["revision"].as_u64().unwrap());
        let before = self.heard.iter().rev().find(|(heard, _, _)| *heard == id);
        assert!(before.is_none_or(|(_, _, before)| *before <= revision), "{id} goes back to {revision}");
        match action.as_str() {
            "deleted" => drop(self.customers.remove(&id)),
            _ => {
                assert_eq!(change["customer"]["id"], id.as_str());
                assert_eq!(change["customer"]["revision"], revision);
                assert_eq!(change["customer"]["changed_at"], change["changed_at"]);
                self.customers.insert(id.clone(), revision);
            }
        }
        self.heard.push((id, action, revision));
    }

    /// What it heard since the last time.
    fn take(&mut self) -> Vec<(String, String, u64)> {
        std::mem::take(&mut self.heard)
    }
}

fn heard(id: u64, action: &str, revision: u64) -> (String, String, u64) {
    (format!("aa~{id}"), action.to_owned(), revision)
}

#[tokio::test]
async fn a_reader_hears_of_every_change_and_of_nothing_else() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    let mut copy = Copy::default();
    copy.follow(&world, 10).await;
    assert_eq!(copy.take(), []);

    world.sync().await;
    world.publish().await;
    copy.follow(&world, 7).await;
    let mut added = copy.take();
    added.sort();
    assert_eq!(added, (1001..1031).map(|id| heard(id, "added", 1)).collect::<Vec<_>>());

    // A resync that finds nothing new adds nothing.
    world.source.enqueue_all();
    world.sync().await;
    world.publish().await;
    copy.follow(&world, 7).await;
    assert_eq!(copy.take(), []);

    world.source.change([1005]);
    world.source.delete_silently(1006);
    world.source.create(1031);
    world.sync().await;
    world.publish().await;
    copy.follow(&world, 7).await;
    let mut changes = copy.take();
    changes.sort();
    assert_eq!(changes, [heard(1005, "updated", 2), heard(1006, "deleted", 2), heard(1031, "added", 1)]);

    world.source.create(1006);
    world.sync().await;
    world.publish().await;
    copy.follow(&world, 7).await;
    assert_eq!(copy.take(), [heard(1006, "added", 3)]);
    assert_eq!(copy.customers.len(), 31);
}

#[tokio::test]
async fn several_changes_of_a_customer_between_two_looks_are_one_and_show_it_as_it_is() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    let mut copy = Copy::default();
    for _ in 0..3 {
        world.sync().await;
        world.publish().await;
        world.source.change([1001]);
    }
    world.source.delete_silently(1002);
    world.sync().await;
    world.publish().await;
    copy.follow(&world, 100).await;
    let mut changes = copy.take();
    changes.sort();
    assert_eq!(changes, [heard(1001, "added", 4), heard(1002, "deleted", 2), heard(1003, "added", 1)]);
    // With small pages some come more than once, and never go back.
    let mut slow = Copy::default();
    slow.follow(&world, 1).await;
    assert_eq!(slow.customers, copy.customers);
}

/// Invariant 10: what a reader asks for by a listing and then by the feed is all there is.
#[tokio::test]
async fn who_lists_and_then_follows_the_feed_misses_nothing_that_happens_meanwhile() {
    let world = AssociationAnywhereFixture::with_customers(40).await;
    world.sync().await;
    world.publish().await;
    let mut copy = Copy::default();
    let mut cursor = String::new();
    let mut changes_cursors = Vec::new();
    for round in 0.. {
        let page = get(&world, &format!("/v1/customers?connection=aa&limit=9{cursor}")).await.json();
        for customer in page["customers"].as_array().unwrap() {
            let id = customer["id"].as_str().unwrap().to_owned();
            copy.customers.insert(id, customer["revision"].as_u64().unwrap());
        }
        changes_cursors.push(page["changes_cursor"].as_str().unwrap().to_owned());
        // While it lists, customers change that it has seen, and that it has not.
        world.clock.advance(Duration::from_secs(60));
        world.source.change([1001 + round, 1040 - round]);
        world.source.delete_silently(1010 + round);
        world.source.create(2000 + round);
        world.sync().await;
        world.publish().await;
        if page["more"] == false {
            break;
        }
        cursor = format!("&cursor={}", page["cursor"].as_str().unwrap());
    }
    assert!(changes_cursors.len() > 3);
    changes_cursors.dedup();
    assert_eq!(changes_cursors.len(), 1, "each page says where the listing began");
    copy.cursor = changes_cursors.pop();
    copy.follow(&world, 5).await;
    let mut truth = Copy::default();
    truth.follow(&world, 500).await;
    assert_eq!(copy.customers, truth.customers);
}

#[tokio::test]
async fn a_feed_can_be_read_of_one_connection_alone() {
    let world = AssociationAnywhereFixture::with_customers(10).await;
    world.sync().await;
    world.publish().await;
    let page = get(&world, "/v1/changes?connection=aa&limit=500").await.json();
    assert_eq!((ids_of(&page["changes"]).len(), &page["more"]), (10, &Value::Bool(false)));
    let (_source, serving) = add_other_tenant(&world, "bb", 5001).await;
    let detail = get(&world, "/v1/changes?connection=bb").await.problem(StatusCode::NOT_FOUND);
    assert_eq!(detail, "there is no such connection");
    serving.abort();
}

#[tokio::test]
async fn a_reader_that_waits_is_answered_with_the_change_or_when_its_time_is_over() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    world.publish().await;
    let mut copy = Copy::default();
    copy.follow(&world, 100).await;
    let path = format!("/v1/changes?wait=20&cursor={}", copy.cursor.unwrap());
    let began = world.now();
    let waited = get(&world, &path).await.json();
    assert_eq!((ids_of(&waited["changes"]).len(), &waited["more"]), (0, &Value::Bool(false)));
    assert_eq!(world.now(), began + Duration::from_secs(20));

    world.source.change([1002]);
    world.sync().await;
    world.publish().await;
    let began = world.now();
    assert_eq!(ids_of(&get(&world, &path).await.json()["changes"]), ["aa~1002"]);
    assert_eq!(world.now(), began, "it is there already");
}

#[tokio::test]
async fn a_cursor_whose_changes_are_not_kept_any_more_is_gone() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.publish().await;
    let first = get(&world, "/v1/changes?limit=1").await.json();
    let mut copy = Copy::default();
    copy.follow(&world, 100).await;
    // Time passes, and DynamoDB deletes what has expired.
    let feed = world.clients.dynamodb.scan().table_name(FEED_TABLE).send().await.unwrap().items.unwrap();
    let segments: Vec<_> = feed.into_iter().filter(|item| item.contains_key("tag")).collect();
    assert!(segments.len() >= 4, "one a lane and shard");
    for segment in segments {
        let expires: i64 = segment["expires"].as_n().unwrap().parse().unwrap();
        assert_eq!(expires, world.now().as_second() + 90 * 86_400);
        let key = ["log", "entry"].map(|name| (name.to_owned(), segment[name].clone()));
        let delete = world.clients.dynamodb.delete_item().table_name(FEED_TABLE).set_key(Some(key.into()));
        delete.send().await.unwrap();
    }
    // Who has read all of it waits for more.
    let at_the_end = format!("/v1/changes?cursor={}", copy.cursor.as_ref().unwrap());
    assert_eq!(get(&world, &at_the_end).await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(91 * 86_400));
    world.source.change(1001..1031);
    world.sync().await;
    world.publish().await;
    for cursor in [first["cursor"].as_str().unwrap(), copy.cursor.as_ref().unwrap()] {
        let detail = get(&world, &format!("/v1/changes?cursor={cursor}")).await.problem(StatusCode::GONE);
        assert!(detail.contains("list the customers again"), "{detail}");
    }
    let mut new = Copy::default();
    new.follow(&world, 100).await;
    assert_eq!(new.customers.len(), 30, "from the oldest that is kept");
}

#[tokio::test]
async fn a_cursor_of_a_table_that_was_restored_is_gone() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.publish().await;
    let mut copy = Copy::default();
    copy.follow(&world, 100).await;
    // The same numbers, and other segments.
    let feed = world.clients.dynamodb.scan().table_name(FEED_TABLE).send().await.unwrap().items.unwrap();
    for mut segment in feed.into_iter().filter(|item| item.contains_key("tag")) {
        segment.insert("tag".to_owned(), AttributeValue::N("1".to_owned()));
        world.clients.dynamodb.put_item().table_name(FEED_TABLE).set_item(Some(segment)).send().await.unwrap();
    }
    let path = format!("/v1/changes?cursor={}", copy.cursor.unwrap());
    get(&world, &path).await.problem(StatusCode::GONE);
}

/// One bad record costs one record (invariant 4).
#[tokio::test]
async fn a_record_that_cant_be_read_holds_up_nobody() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    world.publish().await;
    let cursor = get(&world, "/v1/changes").await.json()["cursor"].as_str().unwrap().to_owned();
    let email = world.source.email(1003).unwrap();
    world.source.change([1002, 1004]);
    world.sync().await;
    for id in ["1002", "1003"] {
        let update = world.clients.dynamodb.update_item().table_name(SHADOW_TABLE);
        let update = update.key("id", AttributeValue::S(format!("acme/aa~{id}")));
        let update = update.update_expression("SET doc = :doc");
        update.expression_attribute_values(":doc", AttributeValue::S("{".to_owned())).send().await.unwrap();
    }
    world.publish().await;
    let page = get(&world, &format!("/v1/changes?cursor={cursor}")).await.json();
    let changes = page["changes"].as_array().unwrap().iter();
    let mut told: Vec<(&str, &str, bool)> = changes
        .map(|it| (it["id"].as_str().unwrap(), it["action"].as_str().unwrap(), it["customer"].is_null()))
        .collect();
    told.sort();
    assert_eq!(told, [("aa~1002", "updated", true), ("aa~1003", "updated", true), ("aa~1004", "updated", false)]);
    let next = get(&world, &format!("/v1/changes?cursor={}", page["cursor"].as_str().unwrap())).await.json();
    assert_eq!((ids_of(&next["changes"]).len(), &next["more"]), (0, &Value::Bool(false)));
    let listed = get(&world, "/v1/customers?connection=aa").await.json();
    assert_eq!((ids_of(&listed["customers"]).len(), &listed["more"]), (18, &Value::Bool(false)));
    let found = get(&world, &format!("/v1/customers?email={email}")).await.json();
    assert_eq!(ids_of(&found["customers"]).len(), 0);
    let batch = batch_get(&world, r#"{"ids":["aa~1001","aa~1002","aa~9999"]}"#).await.json();
    assert_eq!(ids_of(&batch["customers"]), ["aa~1001"]);
    assert_eq!((&batch["missing"], &batch["unreadable"]), (&json!(["aa~9999"]), &json!(["aa~1002"])));
}

/// Though it changes once more, and the changes between have no room in one answer.
#[tokio::test]
async fn a_new_customer_is_told_as_added() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    let content = |text: String| Content {
        attributes: [("text".to_owned(), Attribute::Text(text))].into(),
        ..Content::default()
    };
    write(&world, "new", 1, content("first".to_owned())).await;
    for number in 0..16 {
        write(&world, &format!("large{number}"), 1, content("q".repeat(350_000))).await;
    }
    write(&world, "new", 2, content("second".to_owned())).await;
    world.publish().await;
    let mut copy = Copy::default();
    copy.follow(&world, 500).await;
    let actions: Vec<&str> =
        copy.heard.iter().filter(|(id, ..)| id == "aa~new").map(|(_, action, _)| action.as_str()).collect();
    assert_eq!(actions.first(), Some(&"added"), "{actions:?}");
    assert_eq!(copy.customers.len(), 17);
}

/// A stream's record has two images, and each may have 400 KB, which as text within JSON may become twice as much.
#[tokio::test]
async fn the_largest_change_is_published_and_so_is_what_comes_after_it() {
    let world = AssociationAnywhereFixture::with_customers(0).await;
    for (revision, text) in [(1, "\""), (2, "\\")] {
        let put = world.clients.dynamodb.put_item().table_name(SHADOW_TABLE);
        let put = put.item("id", AttributeValue::S("acme/aa~large".to_owned()));
        let put = put.item("revision", AttributeValue::N(revision.to_string()));
        put.item("doc", AttributeValue::S(text.repeat(390_000))).send().await.unwrap();
    }
    world.source.create(1001);
    world.sync().await;
    world.publish().await;
    let feed = world.tables().feed;
    let oldest = feed.oldest("acme").await.unwrap();
    let page = feed.read("acme", &oldest, 100, |_| true).await.unwrap();
    let mut told: Vec<(String, u64)> =
        page.changes.iter().map(|placed| (placed.change.id.to_string(), placed.change.revision)).collect();
    told.sort();
    assert_eq!(told, [("aa~1001".to_owned(), 1), ("aa~large".to_owned(), 1), ("aa~large".to_owned(), 2)]);
}

#[tokio::test]
async fn what_is_no_cursor_of_this_tenant_or_no_number_is_refused() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    world.publish().await;
    let (_source, serving) = add_other_tenant(&world, "bb", 5001).await;
    let theirs = get_as(&world, OTHER_TOKEN, "/v1/changes").await.json();
    for cursor in ["", "x", "AQ", theirs["cursor"].as_str().unwrap()] {
        let detail = get(&world, &format!("/v1/changes?cursor={cursor}")).await.problem(StatusCode::BAD_REQUEST);
        assert_eq!(detail, "the query parameter `cursor` is not one that this API gave out", "{cursor}");
    }
    for (query, detail) in [
        ("limit=0", "limit: must be a whole number from 1 to 500"),
        ("limit=501", "limit: must be a whole number from 1 to 500"),
        ("wait=21", "wait: must be a whole number from 0 to 20"),
        ("wait=+1", "wait: must be a whole number from 0 to 20"),
        ("limit=1&limit=2", "duplicate field `limit`"),
        ("tenant=acme", "tenant: unknown field `tenant`, expected one of `cursor`, `limit`, `connection`, `wait`"),
    ] {
        let problem = get(&world, &format!("/v1/changes?{query}")).await.problem(StatusCode::BAD_REQUEST);
        assert_eq!(problem, format!("the query parameters: {detail}"));
    }
    serving.abort();
}

#[tokio::test]
async fn every_answer_says_how_fresh_it_is() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    world.publish().await;
    let fresh = world.status().await.fresh_as_of.unwrap();
    for path in ["/v1/customers/aa~1001", "/v1/customers?id=aa~1001"] {
        assert_eq!(get(&world, path).await.header("fresh-as-of"), Some(&*format!("aa={fresh}")), "{path}");
    }
    for path in ["/v1/customers?connection=aa", "/v1/customers?email=x@example.org", "/v1/changes"] {
        let answer = get(&world, path).await;
        assert_eq!(answer.header("fresh-as-of"), Some(&*format!("aa={fresh}")), "{path}");
        assert_eq!(answer.json()["fresh_as_of"]["aa"], fresh, "{path}");
    }
    assert_eq!(keys(&get(&world, "/v1/changes").await.text), ["changes", "cursor", "more", "fresh_as_of"]);
}

/// A clock that goes on while customers are read.
#[derive(Debug)]
struct SlowReads(Clock);

impl Interference for SlowReads {
    fn before<'a>(&'a self, _: Call<'a>) -> BoxFuture<'a, Option<local_aws::Answer>> {
        async { None }.boxed()
    }

    fn after<'a>(&'a self, call: Call<'a>, _: &'a local_aws::Answer) -> BoxFuture<'a, Option<local_aws::Answer>> {
        if String::from_utf8_lossy(call.body).contains(SHADOW_TABLE) {
            self.0.advance(Duration::from_secs(1));
        }
        async { None }.boxed()
    }
}

#[tokio::test]
async fn no_answer_is_said_to_be_fresher_than_what_was_read_for_it() {
    let world = AssociationAnywhereFixture::with_customers(3).await;
    world.sync().await;
    world.publish().await;
    // What is acknowledged to a system that pushes is stored: such a connection is as fresh as the clock.
    let pushed = Registration {
        key: ConnectionKey::new("acme", "aa"),
        kind: ConnectionKind::Connector.name().to_owned(),
        ..world.connections().get(&world.connection()).await.unwrap().unwrap()
    };
    world.connections().put(&pushed).await.unwrap();
    let dynamodb = world.database.client_through(Arc::new(SlowReads(world.clock.clone())));
    let clients = Clients { dynamodb, ..world.clients.clone() };
    let template = Template::parse(TEMPLATE).unwrap();
    let engine = Engine::new(&template, &clients, world.queues.clone(), world.database.clone()).unwrap();
    for (method, path, body) in [
        ("GET", "/v1/customers/aa~1001", ""),
        ("GET", "/v1/customers?connection=aa", ""),
        ("GET", "/v1/customers?email=x@example.org", ""),
        ("POST", "/v1/customers/batch-get", r#"{"ids":["aa~1001"]}"#),
        ("GET", "/v1/changes", ""),
    ] {
        let began = world.now();
        let request = Request::builder().method(method).uri(path).header("Authorization", format!("Bearer {TOKEN}"));
        let answer = engine.gateway().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let fresh = answer.headers()["fresh-as-of"].to_str().unwrap().to_owned();
        assert_eq!(fresh, format!("aa={}", iso_millis(began)), "{path}: read at {}", iso_millis(world.now()));
    }
}
