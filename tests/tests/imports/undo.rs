//! Undo of imports.

use std::time::Duration;

use model::import::Claim;
use model::{Customer, Status};
use tests::AssociationAnywhereFixture;

use super::support::{
    Form, all_customers, connection, content, customer, post, post_until_done, record, report, undo, world,
};

const HEADERS: [&str; 4] = ["code", "card_number", "email", "first_name"];

/// A world with two customers, and a third that an import creates while it changes them. Returns that import.
async fn world_after_an_import() -> (AssociationAnywhereFixture, String) {
    let world = world().await;
    post(&world, &Form::rows("update", &HEADERS, &["1|500|jane@x.org|jane", "2|600|jim@x.org|jim"])).await;
    let rows = ["1|501|janet@x.org|janet", "2|600|jim@x.org|jimmy", "3|700|larry@x.org|larry"];
    let answer = post(&world, &Form::rows("yes", &HEADERS, &rows)).await;
    assert_eq!(answer.counts(), [1, 2, 0, 0]);
    (world, answer.import())
}

async fn first_names(world: &AssociationAnywhereFixture) -> Vec<Option<String>> {
    let mut names = Vec::new();
    for source_id in ["1", "2", "3"] {
        names.push(content(world, source_id).await.name.first);
    }
    names
}

fn named(names: [Option<&str>; 3]) -> Vec<Option<String>> {
    names.map(|name| name.map(str::to_owned)).into()
}

#[tokio::test]
async fn an_undo_restores_who_was_there_and_deletes_who_was_not() {
    let (world, import) = world_after_an_import().await;
    let before: Customer = customer(&world, "1").await.unwrap();
    assert_eq!(report(&undo(&world, &import).await), [2, 1, 0, 0]);
    assert_eq!(first_names(&world).await, named([Some("jane"), Some("jim"), None]));
    assert_eq!(content(&world, "3").await.status, Status::Deleted);
    assert_eq!(all_customers(&world).await, ["1", "2"]);
    let after = customer(&world, "1").await.unwrap();
    assert!(
        after.version > before.version && after.revision == before.revision + 1,
        "an undo is a change like any other"
    );
    // A restored customer is found by what it had, and none by what it no longer has.
    let answer =
        post(&world, &Form::rows("ignore", &["card_number", "email"], &["500|", "|jane@x.org", "|jim@x.org"])).await;
    assert_eq!(answer.counts(), [0, 0, 3, 0]);
    let answer =
        post(&world, &Form::rows("ignore", &["card_number", "email"], &["501|", "|janet@x.org", "700|"])).await;
    assert_eq!(answer.counts(), [3, 0, 0, 0]);
}

#[tokio::test]
async fn an_undo_leaves_alone_who_has_changed_since_and_says_who() {
    let (world, import) = world_after_an_import().await;
    post(&world, &Form::rows("update", &["code", "city"], &["2|Anytown", "3|Otherville"])).await;
    let undone = undo(&world, &import).await;
    assert_eq!((report(&undone), &undone.changed_since), ([1, 0, 0, 2], &vec!["2".to_owned(), "3".to_owned()]));
    assert_eq!(first_names(&world).await, named([Some("jane"), Some("jimmy"), Some("larry")]));
    assert_eq!(content(&world, "2").await.addresses[0].city.as_deref(), Some("Anytown"));
}

#[tokio::test]
async fn imports_are_undone_in_turn_the_latest_first() {
    let (world, first) = world_after_an_import().await;
    let second = post(&world, &Form::rows("update", &["code", "first_name"], &["1|x", "2|y", "3|z"])).await.import();
    assert_eq!(report(&undo(&world, &first).await), [0, 0, 0, 3]);
    assert_eq!(report(&undo(&world, &second).await), [3, 0, 0, 0]);
    assert_eq!(report(&undo(&world, &first).await), [2, 1, 0, 0]);
    assert_eq!(first_names(&world).await, named([Some("jane"), Some("jim"), None]));
}

#[tokio::test]
async fn an_undo_that_is_done_twice_is_done_once() {
    let (world, import) = world_after_an_import().await;
    undo(&world, &import).await;
    let (undone_at, puts) = (record(&world, &import).await.undone_at, world.database.operations("PutItem"));
    assert_eq!(undone_at, Some(world.now()));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(report(&undo(&world, &import).await), [0, 0, 3, 0]);
    assert_eq!(world.database.operations("PutItem"), puts);
    assert_eq!(record(&world, &import).await.undone_at, undone_at);
    // What is changed after an undo is no business of a second one.
    post(&world, &Form::rows("update", &["code", "city"], &["1|Anytown"])).await;
    assert_eq!(report(&undo(&world, &import).await), [0, 0, 2, 1]);
}

#[tokio::test]
async fn a_dry_run_says_the_same_and_changes_nothing() {
    let (world, import) = world_after_an_import().await;
    post(&world, &Form::rows("update", &["code", "city"], &["2|Anytown"])).await;
    let names = first_names(&world).await;
    let deadline = world.now() + Duration::from_secs(60);
    let preview = world.undo().preview(&connection(), &record(&world, &import).await, deadline).await.unwrap();
    assert_eq!((first_names(&world).await, record(&world, &import).await.undone_at), (names, None));
    assert_eq!(preview, undo(&world, &import).await);
    assert_eq!(report(&preview), [1, 1, 0, 1]);
}

#[tokio::test]
async fn an_undo_that_is_interrupted_is_finished_by_the_next() {
    let rows: Vec<String> = (0..700).map(|number| format!("{number}|jane")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let world = world().await;
    let import = post(&world, &Form::rows("update", &["code", "first_name"], &rows)).await.import();
    let puts = world.database.operations("PutItem");
    tokio::select! {
        biased;
        () = async { while world.database.operations("PutItem") < puts + 5 { tokio::task::yield_now().await } } => {}
        _ = undo(&world, &import) => panic!("it was not interrupted"),
    }
    assert_eq!(record(&world, &import).await.undone_at, None);
    world.clock.advance(Duration::from_secs(61));
    let [restored, removed, already_back, changed_since] = report(&undo(&world, &import).await);
    assert!(already_back >= 1, "{already_back}");
    assert_eq!((restored, removed + already_back, changed_since), (0, 700, 0));
    assert!(all_customers(&world).await.is_empty());
}

#[tokio::test]
async fn an_undo_while_imports_run_loses_nothing_that_they_write() {
    let rows: Vec<String> = (0..200).map(|number| format!("{number}|jane")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let world = world().await;
    let import = post(&world, &Form::rows("update", &["code", "first_name"], &rows)).await.import();
    let later: Vec<String> = (0..200).step_by(3).map(|number| format!("{number}|Anytown")).collect();
    let later: Vec<&str> = later.iter().map(String::as_str).collect();
    let edit = Form::rows("update", &["code", "city"], &later);
    let (undone, answer) = tokio::join!(undo(&world, &import), post_until_done(&world, &edit));
    assert_eq!(answer.counts().iter().sum::<u64>(), 67);
    let [_, removed, _, changed_since] = report(&undone);
    assert_eq!(removed + changed_since, 200);
    for number in (0..200).step_by(3) {
        let city = content(&world, &number.to_string()).await.addresses[0].city.clone();
        assert_eq!(city.as_deref(), Some("Anytown"), "{number}");
    }
}

#[tokio::test]
async fn who_writes_without_the_lease_is_not_overwritten_by_an_undo() {
    let (world, import) = world_after_an_import().await;
    let (shadow, key) = (world.shadow(), connection());
    let edits = async {
        for _ in 0..5 {
            let revise = |stored: Option<&Customer>| {
                let mut content = stored.unwrap().content.clone();
                content.organization = Some(format!("{}x", content.organization.unwrap_or_default()));
                Some(content)
            };
            shadow.revise(&key, "1", revise).await.unwrap();
        }
    };
    let (undone, ()) = tokio::join!(undo(&world, &import), edits);
    assert_eq!(content(&world, "1").await.organization.as_deref(), Some("xxxxx"), "{undone:?}");
}

#[tokio::test]
async fn an_import_without_an_undo_state_can_not_be_undone_and_says_so() {
    let world = world().await;
    let form = Form::rows("update", &["code", "first_name"], &["1|jane"]).with("no_undo", "yes");
    let answer = post(&world, &form).await;
    assert_eq!(answer.batch()["import"]["undo"], "none");
    let record = record(&world, &answer.import()).await;
    assert_eq!((record.saves_undo, record.image_items), (false, 0));
    let deadline = world.now() + Duration::from_secs(60);
    for error in [
        world.undo().carry_out(&connection(), &record, deadline).await.unwrap_err(),
        world.undo().preview(&connection(), &record, deadline).await.unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "it was imported without an undo state");
    }
}

#[tokio::test]
async fn imports_are_listed_for_ninety_days_the_latest_first() {
    let (world, second) = world_after_an_import().await;
    world.clock.advance(Duration::from_secs(1));
    let third = post(&world, &Form::rows("update", &["code", "city"], &["9|Anytown", "bad"])).await.import();
    let listed = world.imports().list(&connection()).await.unwrap();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[0].id, third);
    assert!(listed.iter().any(|record| record.id == second));
    assert_eq!((listed[0].counts.new, listed[0].counts.failed, listed[0].counts.rows()), (1, 1, 2));
    assert!(listed[0].finished_at.is_some());
    world.clock.advance(Duration::from_secs(90 * 86_400));
    assert!(world.imports().list(&connection()).await.unwrap().is_empty());
    let deadline = world.now() + Duration::from_secs(60);
    assert_eq!(world.imports().find(&connection(), &third, deadline).await.unwrap(), None);
    // The claims of cards are not forgotten.
    let claims = world.imports().claimants(&connection(), [Claim::Card("600".to_owned())], deadline).await.unwrap();
    assert!(claims[&Claim::Card("600".to_owned())].ids().any(|source_id| source_id == "2"));
}
