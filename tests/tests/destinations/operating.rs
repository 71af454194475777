//! What an operator does with destinations, and sees of them.

use model::CustomerId;
use operations::resync::{Requested, ResyncWhat, Resyncs};
use operations::status::Condition;
use operations::whereabouts::{Finder, Standing};
use serde_json::json;
use simulators::{loyalty, webhook};
use std::time::Duration;
use tests::{CONTROL_TABLE, DestinationsFixture, OPERATOR, SHADOW_TABLE, TOKEN};

use crate::ALL;

async fn world() -> DestinationsFixture {
    let world = DestinationsFixture::with_customers(10).await;
    world.add(&ALL, "").await;
    world.minute().await;
    world
}

#[tokio::test]
async fn one_that_is_paused_gets_nothing_until_it_is_resumed() {
    let world = world().await;
    world.states().pause(&world.key("hook"), world.now()).await.unwrap();
    world.source.change([1001]);
    world.sync().await;
    let before = world.hook.requests().received;
    world.push().await;
    world.minute().await;
    assert_eq!(world.hook.requests().received, before);
    let status = world.destination("hook").await;
    assert_eq!((status.condition, status.waiting), (Condition::Paused, 1));
    world.states().resume(&world.key("hook")).await.unwrap();
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn a_resync_sends_everybody_again_and_events_with_other_ids() {
    let world = world().await;
    let written = world.loyalty.times_written("aa~1003");
    let events = world.hook.requests();
    for id in ALL {
        let registration = world.connections().get(&world.key(id)).await.unwrap().unwrap();
        let requested = Resyncs::new(&world.tables()).request(&registration, &ResyncWhat::Everyone, world.now()).await;
        assert_eq!(requested.unwrap(), Requested::Send);
    }
    world.minute().await;
    assert_eq!(world.loyalty.times_written("aa~1003"), written + 1);
    let now = world.hook.requests();
    assert_eq!((now.accepted - now.repeated, now.repeated), (events.accepted - events.repeated + 10, events.repeated));
    for id in ALL {
        assert_eq!(world.destination(id).await.condition, Condition::InSync, "{id}");
    }
}

#[tokio::test]
async fn a_resync_after_a_restore_is_told_though_there_was_one_since_the_time_restored_to() {
    let world = world().await;
    let (client, tables) = (&world.clients.dynamodb, [CONTROL_TABLE, SHADOW_TABLE]);
    let mut saved = Vec::new();
    for table in tables {
        saved.push((table, client.scan().table_name(table).send().await.unwrap().items.unwrap()));
    }
    for _ in 0..2 {
        world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
        world.minute().await;
        world.source.change([1003]);
        world.sync().await;
        world.push().await;
        world.minute().await;
        assert_eq!(world.hook.customer("aa~1003").unwrap()["revision"], 2);
        for (table, items) in &saved {
            for item in items {
                client.put_item().table_name(*table).set_item(Some(item.clone())).send().await.unwrap();
            }
        }
    }
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    world.minute().await;
    assert_eq!(world.hook.customer("aa~1003").unwrap()["revision"], 1, "as the restored table has it");
}

#[tokio::test]
async fn one_customer_is_sent_again() {
    let world = world().await;
    let registration = world.connections().get(&world.key("loyalty")).await.unwrap().unwrap();
    let resyncs = Resyncs::new(&world.tables());
    let what = |id: &str| ResyncWhat::Customer(id.to_owned());
    for (id, refusal) in [
        ("1003", "this is no customer's id, CONNECTION~ID"),
        ("bc~1", "the destination gets no customers of `bc`"),
        ("aa~9999", "there is no such customer"),
    ] {
        let refused = resyncs.request(&registration, &what(id), world.now()).await.unwrap_err();
        assert_eq!(refused.to_string(), refusal);
    }
    resyncs.request(&registration, &what("aa~1003"), world.now()).await.unwrap();
    let written = [1003, 1004].map(|id| world.loyalty.times_written(&format!("aa~{id}")));
    world.minute().await;
    let now = [1003, 1004].map(|id| world.loyalty.times_written(&format!("aa~{id}")));
    assert_eq!(now, [written[0] + 1, written[1]]);
}

#[tokio::test]
async fn another_system_under_the_same_name_begins_with_everybody() {
    let world = world().await;
    let mut registration = world.connections().get(&world.key("hook")).await.unwrap().unwrap();
    let before = world.hook.requests().accepted;
    registration.document = registration.document.replace("/hook\"", "/hook?another\"");
    world.connections().put(&registration).await.unwrap();
    world.minute().await;
    assert_eq!(world.hook.requests().accepted, before + 10);
}

#[tokio::test]
async fn a_connection_that_is_added_to_a_destination_is_listed_for_it() {
    let world = DestinationsFixture::with_customers(4).await;
    let own: Vec<u64> = (0..3).map(|_| world.site.create(None)).collect();
    world.add_from(&["hook"], "['aa']", "").await;
    world.minute().await;
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(180).await;
    let mut expected: Vec<String> = world.ids(1001..1005);
    expected.extend(own.iter().map(|id| format!("bc~{id}")));
    let mut ids = world.hook.ids();
    ids.sort();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn one_that_was_down_for_longer_than_the_feed_is_kept_begins_with_everybody() {
    let world = world().await;
    world.hook.fault(Some(simulators::webhook::Fault::Status(503)));
    world.source.change(1001..1011);
    world.sync().await;
    world.push().await;
    world.clock.advance(Duration::from_secs(60 * 86_400));
    world.source.delete(1005);
    world.sync().await;
    world.publish().await;
    world.clock.advance(Duration::from_secs(31 * 86_400));
    world.source.change([1001]);
    world.sync().await;
    world.publish().await;
    world.hook.fault(None);
    world.minute().await;
    world.minute().await;
    // A listing does not tell of the deletion: the feed does, as far as it is kept.
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_connection_that_is_put_back_brings_what_was_deleted_meanwhile() {
    let world = DestinationsFixture::with_customers(4).await;
    world.site.create(None);
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    world.add_from(&["hook"], "['bc']", "").await;
    world.source.delete(1002);
    world.source.change([1003]);
    world.run_all_for(70).await;
    assert!(world.hook.customer("aa~1002").is_some(), "it gets nothing of this connection");
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    assert_eq!(world.hook.customer("aa~1002"), None);
    let name = world.customer(1003).await.unwrap().content.name.display;
    assert_eq!(world.names(1003)[2], name);
}

#[tokio::test]
async fn a_connection_that_is_taken_out_together_with_a_resync_brings_what_was_deleted_all_the_same() {
    let world = DestinationsFixture::with_customers(4).await;
    world.site.create(None);
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    world.add_from(&["hook"], "['bc']", "").await;
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    world.run_all_for(70).await;
    world.source.delete(1002);
    world.run_all_for(130).await;
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    assert_eq!(world.hook.customer("aa~1002"), None);
}

#[tokio::test]
async fn a_connection_that_is_taken_out_before_it_is_listed_again_brings_what_was_deleted_all_the_same() {
    let world = DestinationsFixture::with_customers(4).await;
    world.site.create(None);
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    // Nobody is listed again while it is down.
    world.hook.fault(Some(webhook::Fault::Status(503)));
    world.states().request_resync(&world.key("hook"), world.now()).await.unwrap();
    world.run_all_for(10).await;
    world.add_from(&["hook"], "['bc']", "").await;
    world.run_all_for(70).await;
    world.hook.fault(None);
    world.source.delete(1002);
    world.run_all_for(190).await;
    world.add_from(&["hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    assert_eq!(world.hook.customer("aa~1002"), None);
}

#[tokio::test]
async fn a_feed_that_was_lost_is_noticed_and_everybody_is_sent() {
    let world = world().await;
    for _ in 0..8 {
        world.source.change(1001..1011);
        world.sync().await;
        world.push().await;
    }
    let feed = world.clients.dynamodb.scan().table_name(tests::FEED_TABLE).send().await.unwrap().items.unwrap();
    for item in feed.into_iter().filter(|item| item["log"].as_s().unwrap().contains("/changes/")) {
        let key = ["log", "entry"].map(|name| (name.to_owned(), item[name].clone()));
        let delete = world.clients.dynamodb.delete_item().table_name(tests::FEED_TABLE).set_key(Some(key.into()));
        delete.send().await.unwrap();
    }
    world.source.change(1001..1005);
    world.sync().await;
    world.push().await;
    world.minute().await;
    world.assert_all_have_what_the_source_has().await;
    world.source.change(1005..1011);
    world.sync().await;
    world.push().await;
    world.assert_all_have_what_the_source_has().await;
}

#[tokio::test]
async fn the_api_tells_how_destinations_stand_and_operates_them() {
    let world = world().await;
    world.add_operator().await;
    world.loyalty.poison("aa~1002", loyalty::Poison::RowDropped);
    world.source.change([1002]);
    world.sync().await;
    world.push().await;
    let (_, answer) = world.api("GET", "/v1/connections", Some(TOKEN), "").await;
    let loyalty = answer["destinations"].as_array().unwrap().iter().find(|it| it["id"] == "loyalty").unwrap().clone();
    assert_eq!(loyalty["kind"], "customers-batch");
    assert_eq!(loyalty["condition"], "in_sync");
    assert_eq!((&loyalty["failures"], &loyalty["counts"]["failed"]), (&json!(1), &json!(1)));
    let (status, _) = world.api("POST", "/v1/connections/loyalty/pause", Some(OPERATOR), "").await;
    assert_eq!(status, 200);
    assert_eq!(world.destination("loyalty").await.condition, Condition::Paused);
    let (status, _) = world.api("POST", "/v1/connections/loyalty/resume", Some(OPERATOR), "").await;
    assert_eq!(status, 200);
    let (status, _) = world.api("POST", "/v1/connections/loyalty/resync", Some(OPERATOR), "").await;
    assert_eq!(status, 202);
    world.loyalty.heal("aa~1002");
    let body = r#"{"ids":["loyalty~aa~1002"]}"#;
    let (status, answer) = world.api("POST", "/v1/failures/redrive", Some(OPERATOR), body).await;
    assert_eq!(status, 200, "{answer}");
    world.minute().await;
    assert_eq!(world.refused_by("loyalty").await, Vec::<String>::new());
    // It is no connection: it has no customers.
    let (status, _) = world.api("GET", "/v1/customers?connection=loyalty", Some(TOKEN), "").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn where_says_how_a_customer_stands_at_every_destination() {
    let world = world().await;
    world.loyalty.poison("aa~1002", loyalty::Poison::RowDropped);
    world.hook.fault(Some(simulators::webhook::Fault::Status(503)));
    world.source.change([1002]);
    world.sync().await;
    world.push().await;
    let id: CustomerId = "aa~1002".parse().unwrap();
    let deadline = world.now() + Duration::from_secs(60);
    let kind = config::ConnectionKind::AssociationAnywhere;
    let (finder, connection) = (Finder::new(&world.tables()), world.connection());
    let find = || finder.find(&connection, kind, &id.source_id, deadline);
    let standings = |found: operations::whereabouts::Whereabouts| {
        found
            .deliveries
            .into_iter()
            .map(|it| (it.destination, it.standing))
            .collect::<std::collections::BTreeMap<_, _>>()
    };
    let found = standings(find().await.unwrap());
    assert_eq!((found["site"], found["loyalty"], found["hook"]), (Standing::Done, Standing::Failed, Standing::Waiting));
    world.failures().request_redrive(&world.key("loyalty"), "aa~1002", world.now()).await.unwrap();
    assert_eq!(standings(find().await.unwrap())["loyalty"], Standing::Redriven);
}

#[tokio::test]
async fn a_secret_is_rotated_without_an_event_lost() {
    let world = world().await;
    let (old, new) = (
        "whsec_ZGVtby1zZWNyZXQtb2YtdGhlLXdlYmhvb2stcmVjZWl2ZXI=",
        "whsec_YW5vdGhlci1zZWNyZXQtb2YtdGhlLXJlY2VpdmVyIQ==",
    );
    world.rotate("hook", &json!({ "secrets": [new, old] }));
    world.clock.advance(Duration::from_secs(60));
    world.source.change([1001]);
    world.sync().await;
    world.push().await;
    world.hook.set_secret(new);
    world.source.change([1002]);
    world.sync().await;
    world.push().await;
    world.rotate("hook", &json!({ "secret": new }));
    world.clock.advance(Duration::from_secs(60));
    world.source.change([1003]);
    world.sync().await;
    world.push().await;
    assert_eq!(world.hook.requests().unverified, 0);
    world.assert_hook_has_what_the_source_has().await;
}

#[tokio::test]
async fn a_secret_that_is_none_is_told_and_costs_no_customer() {
    let world = world().await;
    world.rotate("hook", &json!({ "secret": "whsec_short" }));
    world.clock.advance(Duration::from_secs(60));
    world.source.change([1001]);
    world.sync().await;
    world.push().await;
    let status = world.destination("hook").await;
    assert_eq!((status.condition, status.failures), (Condition::Failing, 0));
    let message = status.error.unwrap().message;
    assert!(message.starts_with("credentials: ") && !message.contains("short\""), "{message}");
}

#[tokio::test]
async fn only_ids_are_sent_if_that_is_configured() {
    let world = DestinationsFixture::with_customers(3).await;
    world.add(&["hook"], "payload = 'ids'").await;
    world.minute().await;
    let (_, body) = world.hook.last_request().unwrap();
    let name = world.customer(1001).await.unwrap().content.name.last.unwrap();
    assert_eq!(world.hook.requests().accepted, 3);
    assert!(!body.contains("customer\":") && !body.contains(&name), "{body}");
}
