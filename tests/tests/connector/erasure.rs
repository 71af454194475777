//! A person who asks to be forgotten, and a Connector that goes on pushing them.

use std::time::Duration;

use model::ConnectionKey;
use operations::persons::Exporter;
use store::Whom;
use tests::AssociationAnywhereFixture;

use crate::sender::{push, user};

const TEXTS: [&str; 2] = ["janette@example.org", "Doeberg Lane"];

fn jane(info: &str) -> String {
    let lead = "<leadInfo><ownerID>a member of staff</ownerID></leadInfo>";
    user("r-7", "PROSPECT", &format!("<email>janette@example.org</email><street1>1 Doeberg Lane</street1>{info}"), lead)
}

#[tokio::test]
async fn who_was_erased_is_not_brought_back_by_a_push() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let uuid = push(&world, "user", jane("")).await.uuid();
    assert!(!world.items_with(&TEXTS).await.is_empty());
    let whom = Whom::Customer(format!("intouch~{uuid}").parse().unwrap());
    let exported = Exporter::new(&world.tables()).export("acme", &whom, world.now()).await.unwrap();
    let waits = &exported["customers"][0]["waits_for"];
    assert_eq!((&waits[0]["resource"], waits[0]["name_id"].is_string()), (&"staff".into(), true), "{exported}");
    let report = world.eraser().erase("acme", &whom, world.now() + Duration::from_secs(60)).await.unwrap();
    assert!(report.removed.waiting_references > 0, "{report:?}");
    for info in ["", "<city>Elsewhere</city>"] {
        assert_eq!(push(&world, "user", jane(info)).await.uuid(), uuid, "it is acknowledged");
        world.publish().await;
        assert_eq!(world.items_with(&TEXTS).await, Vec::<String>::new());
    }
    let left = world.tables().shadow.get(&ConnectionKey::new("acme", "intouch"), &uuid).await.unwrap().unwrap();
    assert!(left.is_erased());
}
