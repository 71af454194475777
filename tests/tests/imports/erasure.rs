//! A person who asks to be forgotten, and importers who go on sending them.

use std::time::Duration;

use model::CustomerId;
use operations::persons::EraseError;
use store::Whom;
use tests::AssociationAnywhereFixture;

use super::support::{Form, connection, post, world};

const HEADERS: [&str; 6] = ["code", "card_number", "first_name", "last_name", "email", "phone"];
const JANE: &str = "7|4711|Janette|Doeberg|janette@example.org|555-010-4711";
const BOB: &str = "8|4712|Bob|Roe|bob@example.org|555-010-4712";
/// What no item may hold afterwards.
const TEXTS: [&str; 4] = ["janette", "doeberg", "janette@example.org", "555-010-4711"];

fn jane() -> Whom {
    Whom::Customer("imports~7".parse().unwrap())
}

async fn erase(world: &AssociationAnywhereFixture, whom: &Whom) -> operations::persons::ErasureReport {
    world.eraser().erase("acme", whom, world.now() + Duration::from_secs(60)).await.unwrap()
}

async fn assert_is_gone(world: &AssociationAnywhereFixture) {
    world.publish().await;
    assert_eq!(world.items_with(&TEXTS).await, Vec::<String>::new());
}

#[tokio::test]
async fn who_was_erased_is_not_brought_back_by_an_undo_or_by_an_import_that_is_sent_again() {
    for whom in [jane(), Whom::Address("janette@example.org".to_owned())] {
        let world = world().await;
        let first = Form::rows("update", &HEADERS, &[JANE, BOB]);
        post(&world, &first).await;
        let changed = Form::rows("update", &HEADERS, &[&JANE.replace("555-010-4711", "555-010-0000"), BOB]);
        let second = post(&world, &changed).await.import();
        assert!(!world.items_with(&TEXTS).await.is_empty());
        let report = erase(&world, &whom).await;
        assert_eq!(report.customers, ["imports~7"]);
        assert_eq!((report.removed.records, report.removed.import_images), (1, 2), "{report:?}");
        assert!(report.removed.import_claims >= 2, "{report:?}");
        assert_is_gone(&world).await;

        let imports = world.tables().imports();
        let deadline = world.now() + Duration::from_secs(60);
        let record = imports.find(&connection(), &second, deadline).await.unwrap().unwrap();
        let undo = operations::imports::Undo::new(&world.tables(), world.clock.clone(), world.clients.random.clone());
        undo.carry_out(&connection(), &record, deadline).await.unwrap();
        assert_is_gone(&world).await;

        for mode in ["update", "yes", "ignore"] {
            let again = Form::rows(mode, &HEADERS, &[JANE, BOB]);
            assert_eq!(post(&world, &again).await.counts().iter().sum::<u64>(), 2, "{mode}");
            assert_is_gone(&world).await;
        }
        let with_another_code = Form::rows("update", &HEADERS, &[&JANE.replace("7|4711", "9|4713")]);
        post(&world, &with_another_code).await;
        let without_code = Form::rows("update", &HEADERS[1..], &[JANE.split_once('|').unwrap().1]);
        post(&world, &without_code).await;
        assert_is_gone(&world).await;
        let bob = world.tables().shadow().get(&connection(), "8").await.unwrap().unwrap();
        assert_eq!(bob.content.name.first.as_deref(), Some("Bob"), "the others are as they were");
    }
}

#[tokio::test]
async fn who_was_erased_comes_back_once_that_is_lifted() {
    let world = world().await;
    let form = Form::rows("update", &HEADERS, &[JANE]);
    post(&world, &form).await;
    erase(&world, &jane()).await;
    let eraser = world.eraser();
    let other = Whom::Customer("imports~8".parse::<CustomerId>().unwrap());
    assert!(!eraser.lift("acme", &other).await.unwrap(), "nobody was erased under this id");
    assert!(eraser.lift("acme", &jane()).await.unwrap());
    assert!(!eraser.lift("acme", &jane()).await.unwrap());
    post(&world, &form.with("no_undo", "yes")).await;
    let back = world.tables().shadow().get(&connection(), "7").await.unwrap().unwrap();
    assert_eq!(back.content.name.first.as_deref(), Some("Janette"));
}

#[tokio::test]
async fn nobody_is_erased_while_an_import_is_under_way_and_then_they_are() {
    let world = world().await;
    post(&world, &Form::rows("update", &HEADERS, &[JANE])).await;
    let until = world.now() + Duration::from_secs(3_600);
    world.states().lease(&connection(), "an import", world.now(), until).await.unwrap().unwrap();
    let deadline = world.now() + Duration::from_secs(60);
    let refused = world.eraser().erase("acme", &jane(), deadline).await.unwrap_err();
    assert!(matches!(&refused, EraseError::Busy(connection) if connection == "imports"), "{refused}");
    world.states().release(&connection(), "an import").await.unwrap();
    erase(&world, &jane()).await;
    assert_is_gone(&world).await;
}
