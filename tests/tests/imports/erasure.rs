//! A person who asks to be forgotten, and importers who go on sending them.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::CustomerId;
use operations::persons::{EraseError, Exporter};
use store::Whom;
use tests::{AssociationAnywhereFixture, IMPORT_TABLE};

use super::support::{Form, connection, post, undo, world};

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

        let imports = world.tables().imports;
        let deadline = world.now() + Duration::from_secs(60);
        let record = imports.find(&connection(), &second, deadline).await.unwrap().unwrap();
        let undo = operations::imports::Undo::new(&world.tables());
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
        let bob = world.tables().shadow.get(&connection(), "8").await.unwrap().unwrap();
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
    assert_eq!(eraser.lift("acme", &other).await.unwrap(), None, "nobody was erased under this id");
    assert_eq!(eraser.lift("acme", &jane()).await.unwrap().unwrap().customers, ["imports~7"]);
    assert_eq!(eraser.lift("acme", &jane()).await.unwrap(), None);
    post(&world, &form.with("no_undo", "yes")).await;
    let back = world.tables().shadow.get(&connection(), "7").await.unwrap().unwrap();
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

#[tokio::test]
async fn nothing_is_left_of_an_import_that_died_anywhere() {
    for requests in 0.. {
        let world = world().await;
        post(&world, &Form::rows("update", &HEADERS, &[JANE])).await;
        let changed = Form::rows("update", &HEADERS, &[&JANE.replace("555-010-4711", "555-010-0000"), BOB]);
        world.store_budget.set(requests);
        post(&world, &changed).await;
        let has_died = world.store_budget.left() <= 0;
        world.store_budget.set(i64::MAX);
        erase(&world, &Whom::Address("janette@example.org".to_owned())).await;
        assert_is_gone(&world).await;
        if !has_died {
            break;
        }
    }
}

#[tokio::test]
async fn a_person_whose_address_only_images_have_is_found() {
    let world = world().await;
    let first = post(&world, &Form::rows("update", &HEADERS, &[JANE])).await.import();
    let changed = Form::rows("update", &HEADERS, &[&JANE.replace("555-010-4711", "555-010-0000")]);
    let second = post(&world, &changed).await.import();
    undo(&world, &second).await;
    undo(&world, &first).await;
    let whom = Whom::Address("janette@example.org".to_owned());
    let exported = Exporter::new(&world.tables()).export("acme", &whom, world.now()).await.unwrap();
    assert_eq!(exported["customers"][0]["imports"].as_array().unwrap().len(), 2, "{exported}");
    let (customers, _) = world.eraser().preview("acme", &whom).await.unwrap();
    assert_eq!(customers, ["imports~7"]);
    let report = erase(&world, &whom).await;
    assert_eq!((report.customers, report.removed.import_images), (vec!["imports~7".to_owned()], 2));
    assert_is_gone(&world).await;
}

#[tokio::test]
async fn an_address_that_only_an_image_has_of_someone_erased_by_id_is_kept_away_too() {
    let world = world().await;
    post(&world, &Form::rows("update", &HEADERS, &[JANE])).await;
    let moved = JANE.replace("janette@example.org", "jd@example.org");
    post(&world, &Form::rows("update", &HEADERS, &[&moved])).await;
    erase(&world, &jane()).await;
    for address in ["janette@example.org", "jd@example.org"] {
        let row = format!("9|4713|Janette|Doeberg|{address}|555-010-4711");
        post(&world, &Form::rows("update", &HEADERS, &[&row])).await;
        assert_is_gone(&world).await;
    }
}

#[tokio::test]
async fn a_person_of_whom_an_import_is_under_way_elsewhere_is_named_in_the_report_that_comes() {
    let world = world().await;
    world.source.create(1001);
    world.sync().await;
    let address = world.source.email(1001).unwrap();
    post(&world, &Form::rows("update", &HEADERS, &[&JANE.replace("janette@example.org", &address)])).await;
    let until = world.now() + Duration::from_secs(3_600);
    world.states().lease(&connection(), "an import", world.now(), until).await.unwrap().unwrap();
    let whom = Whom::Address(store::EmailIndex::address(&address).unwrap());
    let deadline = world.now() + Duration::from_secs(600);
    let refused = world.eraser().erase("acme", &whom, deadline).await.unwrap_err();
    assert!(matches!(&refused, EraseError::Busy(connection) if connection == "imports"), "{refused}");
    world.states().release(&connection(), "an import").await.unwrap();
    assert_eq!(erase(&world, &whom).await.customers, ["aa~1001", "imports~7"]);
}

#[tokio::test]
async fn an_import_that_is_sent_again_leaves_no_item_of_who_was_erased() {
    for whom in [jane(), Whom::Address("janette@example.org".to_owned())] {
        let world = world().await;
        post(&world, &Form::rows("update", &HEADERS, &[JANE, BOB])).await;
        erase(&world, &whom).await;
        for row in [JANE.to_owned(), JANE.replace("7|4711", "9|4711"), JANE.replace("7|4711|", "|4711|")] {
            post(&world, &Form::rows("update", &HEADERS, &[&row, BOB])).await;
        }
        let hashes = ["janette@example.org", "4711"].map(|value| model::ContentHash::of(value).to_string());
        let found = world.items_with(&hashes.each_ref().map(String::as_str)).await;
        assert_eq!(found, Vec::<String>::new(), "{whom:?}");
    }
}

#[tokio::test]
async fn who_was_undone_before_an_address_was_erased_does_not_come_back_with_it() {
    let world = world().await;
    let form = Form::rows("update", &HEADERS, &[JANE, BOB]);
    let import = post(&world, &form).await.import();
    undo(&world, &import).await;
    world.clock.advance(Duration::from_secs(60));
    erase(&world, &Whom::Address("janette@example.org".to_owned())).await;
    world.clock.advance(Duration::from_secs(60));
    let corrected = Form::rows("update", &HEADERS, &[&JANE.replace("Doeberg", "Doe-Berg"), BOB]);
    post(&world, &corrected).await;
    assert_is_gone(&world).await;
    let bob = world.tables().shadow.get(&connection(), "8").await.unwrap().unwrap();
    assert_eq!(bob.content.name.first.as_deref(), Some("Bob"), "the others come");
}

#[tokio::test]
async fn an_export_has_no_hash_of_a_secret() {
    let world = world().await;
    let headers = [&HEADERS[..], &["customer_PIN"]].concat();
    post(&world, &Form::rows("update", &headers, &[&format!("{JANE}|4711")])).await;
    post(&world, &Form::rows("update", &HEADERS, &[&JANE.replace("555-010-4711", "555-010-0000")])).await;
    let exported = Exporter::new(&world.tables()).export("acme", &jane(), world.now()).await.unwrap();
    let before = &exported["customers"][0]["imports"][1]["before"];
    assert_eq!(before["phones"][0]["number"], "555-010-4711", "{exported}");
    let text = exported.to_string();
    assert!(!text.contains("argon2") && !text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn claims_of_addresses_and_cards_that_somebody_had_before_are_removed_too() {
    let world = world().await;
    let post_without_undo = async |row: &str| {
        post(&world, &Form::rows("update", &HEADERS, &[row, BOB]).with("no_undo", "yes")).await;
    };
    post_without_undo(JANE).await;
    post_without_undo(&JANE.replace("janette@", "jd@").replace("|4711|", "|4799|")).await;
    let claims = async || {
        let items = world.clients.dynamodb.scan().table_name(IMPORT_TABLE).send().await.unwrap().items.unwrap();
        let is_janes = |ids: &AttributeValue| ids.as_ss().unwrap().contains(&"7".to_owned());
        items.iter().filter(|item| item.get("ids").is_some_and(is_janes)).count()
    };
    assert_eq!(claims().await, 4, "of two addresses and two cards");
    // An import that died before it had written the first page of a claim.
    let page = AttributeValue::S("acme/imports#email/0123/1/1".to_owned());
    let ids = AttributeValue::Ss(vec!["7".to_owned(), "9".to_owned()]);
    let put = world.clients.dynamodb.put_item().table_name(IMPORT_TABLE).item("id", page).item("ids", ids);
    put.send().await.unwrap();
    let report = erase(&world, &jane()).await;
    assert_eq!((claims().await, report.removed.import_claims), (0, 5));
}
