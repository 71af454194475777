//! The same request again: after it was answered, at the same time, after it was interrupted, much later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use model::import::{Claimants, Matched, RowOutcome};
use model::{Attribute, ConnectionKey, Content};
use serde_json::Value;
use store::{ImportCounts, ImportRecord, Random};
use tests::{AssociationAnywhereFixture, IMPORT_TABLE};

use super::support::{
    Answer, Form, all_customers, connection, content, customer, post, post_until_done, record, report, undo, world,
    writes,
};

const HEADERS: [&str; 5] = ["code", "card_number", "email", "first_name", "auto_add"];

fn mixed(overwrite: &str) -> Form {
    let rows = ["1|500|a@x.org|jane|25", "||b@x.org|jim|10", "|||larry|5", "|600||mary|", "1|||janet|7"];
    Form::rows(overwrite, &HEADERS, &rows).with("card_number_generate", "12")
}

async fn amounts(world: &AssociationAnywhereFixture, source_id: &str) -> usize {
    match content(world, source_id).await.attributes.get("auto_add") {
        Some(Attribute::List(entries)) => entries.len(),
        _ => 0,
    }
}

#[tokio::test]
async fn the_same_request_twice_is_answered_the_same_and_makes_nothing_twice() {
    for mode in ["yes", "update", "ignore"] {
        let world = world().await;
        let first = post(&world, &mixed(mode)).await;
        let (ids, puts) = (all_customers(&world).await, world.database.operations("PutItem"));
        assert_eq!(ids.len(), 4);
        world.clock.advance(Duration::from_secs(3_600));
        let again = post(&world, &mixed(mode)).await;
        assert_eq!(again.text, first.text, "{mode}");
        assert_eq!(all_customers(&world).await, ids, "{mode}");
        assert_eq!(amounts(&world, "1").await, if mode == "ignore" { 1 } else { 2 }, "{mode}");
        assert_eq!(world.database.operations("PutItem"), puts, "{mode}: nothing is written again");
    }
}

#[tokio::test]
async fn the_same_request_at_the_same_time_is_one() {
    let world = world().await;
    let form = mixed("update");
    let (one, two) = tokio::join!(post_until_done(&world, &form), post_until_done(&world, &form));
    assert_eq!(one.text, two.text);
    assert_eq!(all_customers(&world).await.len(), 4);
    assert_eq!(amounts(&world, "1").await, 2);
}

#[tokio::test]
async fn imports_at_the_same_time_do_not_make_a_customer_twice() {
    let world = world().await;
    let forms: Vec<Form> = (0..6)
        .map(|number| Form::rows("update", &["email", "first_name"], &[&format!("jane@x.org|jane {number}")]))
        .collect();
    let answers = futures::future::join_all(forms.iter().map(|form| post_until_done(&world, form))).await;
    let new: u64 = answers.iter().map(|answer| answer.counts()[0]).sum();
    assert_eq!((new, all_customers(&world).await.len()), (1, 1));
}

#[tokio::test]
async fn an_import_that_is_interrupted_anywhere_goes_on_when_it_is_sent_again() {
    let rows: Vec<String> = (0..40).map(|number| format!("|{number:04}|c{number}@x.org|jane|{number}")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let form = Form::rows("update", &HEADERS, &rows);
    // How many requests the whole of it takes; then it is cut off after each of them.
    let requests = |world: &AssociationAnywhereFixture| -> u64 {
        ["PutItem", "BatchGetItem", "BatchWriteItem", "UpdateItem", "Query"]
            .map(|operation| world.database.operations(operation))
            .iter()
            .sum()
    };
    let whole = world().await;
    let before = requests(&whole);
    post(&whole, &form).await;
    let needed = requests(&whole) - before;
    for cut_off_after in (1..needed).step_by(3) {
        let world = world().await;
        let before = requests(&world);
        tokio::select! {
            biased;
            () = async { while requests(&world) < before + cut_off_after { tokio::task::yield_now().await } } => {}
            _ = post(&world, &form) => {}
        }
        // The lease of the function that died runs out.
        world.clock.advance(Duration::from_secs(30));
        let answer = post(&world, &form).await;
        assert_eq!(answer.counts(), [40, 0, 0, 0], "cut off after {cut_off_after}");
        assert_eq!(all_customers(&world).await.len(), 40, "cut off after {cut_off_after}");
        for source_id in all_customers(&world).await {
            assert_eq!(amounts(&world, &source_id).await, 1, "cut off after {cut_off_after}");
        }
        // Every customer is found by what the first attempt stored, and the undo knows that none was there before.
        let found = post(&world, &Form::rows("update", &["email", "city"], &["c7@x.org|Anytown"])).await;
        assert_eq!(found.counts(), [0, 1, 0, 0]);
        undo(&world, &found.import()).await;
        assert_eq!(report(&undo(&world, &answer.import()).await), [0, 40, 0, 0], "cut off after {cut_off_after}");
    }
}

/// Invariant: one customer per identity, wherever an import of very many with one address died.
#[tokio::test]
async fn an_address_of_very_many_is_known_after_their_import_died_and_was_sent_again() {
    let rows: Vec<String> = (0..=Claimants::PAGE).map(|code| format!("m{code}|desk@x.org")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let form = Form::rows("update", &["code", "email"], &rows);
    for dies_after in (1..).step_by(5) {
        let world = world().await;
        world.store_budget.set(dies_after);
        let first = post(&world, &form).await;
        let lived = world.store_budget.left() >= 0;
        world.store_budget.set(i64::MAX);
        world.clock.advance(Duration::from_secs(30));
        let again = post(&world, &form).await;
        assert_eq!(again.counts(), [101, 0, 0, 0], "died after {dies_after}");
        let by_address = post(&world, &Form::rows("update", &["email", "first_name"], &["desk@x.org|Frank"])).await;
        assert_eq!(by_address.counts(), [0, 0, 0, 1], "died after {dies_after}");
        if lived {
            assert_eq!(again.text, first.text);
            return;
        }
    }
}

/// Invariant 6: a row of an import that died finds the customer that another import brought in between.
#[tokio::test]
async fn an_import_that_died_makes_no_second_customer_of_one_that_another_import_brought() {
    let form = Form::rows("update", &["email", "first_name", "auto_add"], &["jane@x.org|jane|5"]);
    for dies_after in 1.. {
        let world = world().await;
        world.store_budget.set(dies_after);
        let first = post(&world, &form).await;
        world.store_budget.set(i64::MAX);
        world.clock.advance(Duration::from_secs(30));
        post(&world, &Form::rows("update", &["email", "city"], &["jane@x.org|Anytown"])).await;
        let again = post(&world, &form).await;
        assert_eq!(again.counts()[3], 0, "died after {dies_after}");
        let ids = all_customers(&world).await;
        assert_eq!(ids.len(), 1, "died after {dies_after}");
        // The row stays with that customer, whatever address it has by now.
        post(&world, &Form::rows("update", &["code", "email"], &[&format!("{}|moved@x.org", ids[0])])).await;
        assert_eq!(post(&world, &form).await.counts(), again.counts(), "died after {dies_after}");
        assert_eq!(all_customers(&world).await, ids, "died after {dies_after}");
        assert_eq!(amounts(&world, &ids[0]).await, 1, "died after {dies_after}");
        if !first.text.contains("\"error\"") {
            return;
        }
    }
}

/// Invariant 3: as above, if the rows of the import itself change what they matched.
#[tokio::test]
async fn an_import_that_died_and_was_sent_again_stays_with_whom_it_found_then() {
    let form = Form::rows("update", &HEADERS, &["||jane@x.org|jane|5", "1||moved@x.org|jane|"]);
    for dies_after in 1.. {
        let world = world().await;
        world.store_budget.set(dies_after);
        post(&world, &form).await;
        let lived = world.store_budget.left() >= 0;
        world.store_budget.set(i64::MAX);
        world.clock.advance(Duration::from_secs(30));
        post(&world, &Form::rows("update", &["code", "email"], &["1|jane@x.org"])).await;
        let again = post(&world, &form).await;
        let before = everybody(&world).await;
        assert_eq!(post(&world, &form).await.text, again.text, "died after {dies_after}");
        assert_eq!(everybody(&world).await, before, "died after {dies_after}");
        if lived {
            return;
        }
    }
}

/// Invariant 3: a card number that was told is the customer's, also if it is not the one that was generated first.
#[tokio::test]
async fn a_card_number_that_is_generated_anew_after_an_import_died_stays() {
    for mode in ["yes", "update"] {
        let form = Form::rows(mode, &["code", "first_name"], &["1|jane"]).with("card_number_generate", "10");
        let mut anew = 0;
        for dies_after in 1.. {
            let world = world().await;
            world.store_budget.set(dies_after);
            post(&world, &form).await;
            let lived = world.store_budget.left() >= 0;
            world.store_budget.set(i64::MAX);
            world.clock.advance(Duration::from_secs(30));
            if lived {
                break;
            }
            let listed = world.imports().list(&connection()).await.unwrap();
            let is_stored = customer(&world, "1").await.is_some();
            let Some(record) = listed.first().filter(|_| !is_stored) else { continue };
            let deadline = world.now() + Duration::from_secs(60);
            let outcomes = world.imports().outcomes(&connection(), record, deadline).await.unwrap();
            let RowOutcome::Taken(Matched { card_number: Some(card), .. }) = &outcomes[0] else {
                panic!("{outcomes:?}")
            };
            post(&world, &Form::rows("update", &["code", "card_number"], &[&format!("2|{card}")])).await;
            let again = post(&world, &form).await;
            let told = again.batch()["generated"][0]["card_number"].as_str().unwrap().to_owned();
            assert_ne!(told, *card);
            // Also once the first one is free again.
            for number in [card, "600"] {
                post(&world, &Form::rows("update", &["code", "card_number"], &[&format!("2|{number}")])).await;
                assert_eq!(post(&world, &form).await.text, again.text, "{mode}");
                assert_eq!(content(&world, "1").await.external_id, Some(told.clone()), "{mode}");
            }
            anew += 1;
        }
        assert!(anew > 0, "{mode}");
    }
}

/// Invariant: an import that died takes no customer for its own that another import brought in between, and generates
/// no card number in place of one that a customer got there.
#[tokio::test]
async fn who_came_or_got_a_card_by_another_import_after_one_died_stays_so() {
    for (mode, was_there) in [("ignore", false), ("update", false), ("yes", false), ("ignore", true), ("update", true)]
    {
        let form = Form::rows(mode, &["code", "first_name", "auto_add"], &["1|jane|5"]);
        let form = form.with("card_number_generate", "10");
        for dies_after in 1.. {
            let world = world().await;
            if was_there {
                post(&world, &Form::rows("update", &["code"], &["1"])).await;
            }
            world.store_budget.set(dies_after);
            post(&world, &form).await;
            let lived = world.store_budget.left() >= 0;
            world.store_budget.set(i64::MAX);
            world.clock.advance(Duration::from_secs(30));
            let brought = !was_there && customer(&world, "1").await.is_some();
            post(&world, &Form::rows("update", &["code", "card_number", "city"], &["1|777|Anytown"])).await;
            for again in [post(&world, &form).await, post(&world, &form).await] {
                let context = format!("{mode}, was there: {was_there}, died after {dies_after}: {again:?}");
                let counts = match mode {
                    _ if brought => [1, 0, 0, 0],
                    "ignore" => [0, 0, 1, 0],
                    _ => [0, 1, 0, 0],
                };
                assert_eq!(again.counts(), counts, "{context}");
                assert_eq!(amounts(&world, "1").await, usize::from(brought || mode != "ignore"), "{context}");
                let (told, card) = (again.batch()["generated"][0].clone(), content(&world, "1").await.external_id);
                match mode {
                    "yes" => assert_eq!(told["card_number"].as_str(), card.as_deref(), "{context}"),
                    _ => assert_eq!((told, card.as_deref()), (Value::Null, Some("777")), "{context}"),
                }
            }
            if lived {
                break;
            }
        }
    }
}

#[tokio::test]
async fn the_same_request_writes_its_values_again_where_somebody_changed_them() {
    let world = world().await;
    let form = Form::rows("update", &HEADERS, &["1|500|a@x.org|jane|25"]);
    let first = post(&world, &form).await;
    post(&world, &Form::rows("update", &["code", "first_name", "city"], &["1|janet|Anytown"])).await;
    let again = post(&world, &form).await;
    assert_eq!(again.import(), first.import());
    let jane = content(&world, "1").await;
    assert_eq!(jane.name.first.as_deref(), Some("jane"));
    assert_eq!(jane.addresses[0].city.as_deref(), Some("Anytown"));
    assert_eq!(amounts(&world, "1").await, 1);
}

#[tokio::test]
async fn after_twelve_hours_the_same_file_means_once_more() {
    let world = world().await;
    let form = Form::rows("update", &["code", "auto_add"], &["1|1"]);
    let monday = post(&world, &form).await;
    world.clock.advance(Duration::from_secs(12 * 3_600));
    let tuesday = post(&world, &form).await;
    assert_ne!(monday.import(), tuesday.import());
    assert_eq!((tuesday.counts(), amounts(&world, "1").await), ([0, 1, 0, 0], 2));
    // A row without a code still makes no new customer.
    let nameless = Form::rows("update", &["first_name"], &["jane"]);
    let first = post(&world, &nameless).await;
    world.clock.advance(Duration::from_secs(12 * 3_600));
    let second = post(&world, &nameless).await;
    assert_eq!(first.batch()["generated"], second.batch()["generated"]);
    assert_eq!(all_customers(&world).await.len(), 2);
}

#[tokio::test]
async fn after_an_undo_the_same_request_is_carried_out_again() {
    let world = world().await;
    let form = mixed("update");
    let first = post(&world, &form).await;
    undo(&world, &first.import()).await;
    assert!(all_customers(&world).await.is_empty());
    world.clock.advance(Duration::from_secs(1));
    let second = post(&world, &form).await;
    assert_ne!(first.import(), second.import());
    assert_eq!(
        (first.counts(), first.batch()["generated"].clone()),
        (second.counts(), second.batch()["generated"].clone())
    );
    assert_eq!((all_customers(&world).await.len(), amounts(&world, "1").await), (4, 2));
    let revived = customer(&world, "1").await.unwrap();
    assert_eq!(revived.revision, 3);
}

/// Rows whose customers the rows themselves change: the customer that had an address before has it no longer, or is one
/// of two.
#[tokio::test]
async fn rows_that_undermine_each_other_are_the_same_when_they_are_sent_again() {
    let world = world().await;
    post(&world, &Form::rows("update", &["code", "card_number", "email"], &["1|500|a@x.org", "2|600|b@x.org"])).await;
    let rows = [
        "|||a@x.org|by address",
        "1|||c@x.org|moved",
        "|||b@x.org|by address too",
        "3|||b@x.org|shares it",
        "2|601|||new card",
        "4|600|||old card",
    ];
    let form = Form::rows("update", &["code", "card_number", "phone", "email", "first_name"], &rows);
    let first = post(&world, &form).await;
    assert_eq!(first.counts(), [2, 4, 0, 0]);
    let ids = all_customers(&world).await;
    let puts = world.database.operations("PutItem");
    let again = post(&world, &form).await;
    assert_eq!(again.text, first.text);
    assert_eq!((all_customers(&world).await, world.database.operations("PutItem")), (ids, puts));
}

/// A value of one of these columns, which may be none, or none that can be taken over.
fn any_value(random: &Random, column: usize) -> &'static str {
    let values: &[&str] = match column {
        0 => &["", "", "1", "2", "3"],
        1 => &["", "", "500", "600", "700"],
        2 => &["", "", "a@x.org", "A@X.org", "b@x.org", "no address"],
        3 => &["", "jane", "jim", "a|delimiter"],
        _ => &["", "5", "10"],
    };
    values[usize::try_from(random.below(values.len() as u64)).unwrap()]
}

/// Every customer that exists.
async fn everybody(world: &AssociationAnywhereFixture) -> Vec<(String, Content)> {
    let mut everybody = Vec::new();
    for source_id in all_customers(world).await {
        everybody.push((source_id.clone(), content(world, &source_id).await));
    }
    everybody
}

/// Invariant 3. A row that failed may go through when its request is sent again, for the rows behind it have changed
/// what it failed for; what was taken over stays so, and once nothing more goes through, the same again changes
/// nothing.
#[tokio::test]
async fn whatever_is_sent_every_row_comes_to_one_end_and_to_the_same_again() {
    let world = world().await;
    let random = Random::from_seed(5);
    for request in 0..60 {
        let rows: Vec<String> = (0..=random.below(7))
            .map(|_| (0..HEADERS.len()).map(|column| any_value(&random, column)).collect::<Vec<_>>().join("|"))
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let mode = ["yes", "update", "ignore"][usize::try_from(random.below(3)).unwrap()];
        let mut form = Form::rows(mode, &HEADERS, &rows);
        if random.below(2) == 0 {
            form = form.with("card_number_generate", "2");
        }
        let mut last = post(&world, &form).await;
        assert_eq!(last.counts().iter().sum::<u64>(), rows.len() as u64, "{request}: {rows:?}");
        let mut before = everybody(&world).await;
        for sent in 0.. {
            assert!(sent <= rows.len(), "{request}: {rows:?}");
            let again = post(&world, &form).await;
            let taken = |answer: &Answer| answer.counts()[0] + answer.counts()[1];
            if taken(&again) == taken(&last) {
                assert_eq!(again.text, last.text, "{request}: {rows:?}");
                assert_eq!(everybody(&world).await, before, "{request}: {mode} {rows:?}");
                break;
            }
            assert!(taken(&again) > taken(&last), "{request}: {mode} {rows:?}");
            (last, before) = (again, everybody(&world).await);
        }
        world.clock.advance(Duration::from_secs(1));
    }
}

/// Invariant 3: rows that wrote nothing are judged anew, rows that wrote keep their outcome.
#[tokio::test]
async fn a_row_that_failed_goes_through_when_it_is_sent_again_after_its_cause_is_gone() {
    let world = world().await;
    post(&world, &Form::rows("update", &HEADERS, &["1|500|a@x.org||", "2||a@x.org||"])).await;
    let form = Form::rows("update", &HEADERS, &["||a@x.org|jim|5", "3|500|||7", "4|||larry|9", "bad"]);
    let first = post(&world, &form).await;
    assert_eq!(first.counts(), [1, 0, 0, 3]);
    assert_eq!(post(&world, &form).await.text, first.text);
    post(&world, &Form::rows("update", &HEADERS, &["2||b@x.org||", "1|501|||"])).await;
    let again = post(&world, &form).await;
    assert_eq!((again.counts(), again.import()), ([2, 1, 0, 1], first.import()));
    for source_id in ["1", "3", "4"] {
        assert_eq!(amounts(&world, source_id).await, 1, "{source_id}");
    }
    assert_eq!(post(&world, &form).await.text, again.text);
    assert_eq!(record(&world, &first.import()).await.counts.failed, 1);
    // All of it is undone.
    assert_eq!(report(&undo(&world, &first.import()).await), [1, 2, 0, 0]);
}

/// Invariant 6: nothing is dropped in silence.
#[tokio::test]
async fn every_request_is_an_entry_of_its_own_also_where_only_its_bad_rows_differ() {
    let world = world().await;
    let mut imports = Vec::new();
    for rows in [
        &["x|y|z|w|v|u"][..],
        &["q", "r", "t"],
        &["zz||no address||"],
        &["g1||g@x.org||", "BAD"],
        &["g1||g@x.org||", "WORSE"],
    ] {
        let answer = post(&world, &Form::rows("update", &HEADERS, rows)).await;
        imports.push((answer.import(), answer.counts(), world.now()));
        world.clock.advance(Duration::from_secs(1));
    }
    let listed = world.imports().list(&connection()).await.unwrap();
    assert_eq!(listed.len(), imports.len());
    for ((import, counts, at), record) in imports.iter().rev().zip(&listed) {
        let of_record = record.counts.by_name().map(|(_, count)| count);
        assert_eq!((import, *counts, *at), (&record.id, of_record, record.began_at));
    }
}

/// Invariant 7: an import does not hold up others for long.
#[tokio::test]
async fn who_has_waited_three_seconds_for_another_import_is_told_to_send_it_again() {
    let world = world().await;
    let states = world.states();
    assert!(
        states
            .lease(&connection(), "another", world.now(), world.now() + Duration::from_secs(29))
            .await
            .unwrap()
            .is_some()
    );
    let (form, began, before) = (Form::example(), world.now(), writes(&world));
    let answer = post(&world, &form).await;
    assert_eq!(answer.error(), "another import of this account is under way: send the request again");
    assert!(world.now() <= began + Duration::from_secs(3) && writes(&world) == before);
    states.release(&connection(), "another").await.unwrap();
    assert_eq!(post(&world, &form.with("output", "JSON")).await.counts(), [3, 0, 0, 0]);
}

/// Invariant 11: what the release before began is continued, and no amount is added twice.
#[tokio::test]
async fn a_request_that_the_release_before_began_is_the_same_import() {
    let world = world().await;
    let form = Form::rows("update", &HEADERS, &["|||jane|5"]);
    let request = wire::customers_batch::Form::read(None, form.urlencoded().as_bytes()).unwrap();
    let request = wire::customers_batch::read_request(&request).unwrap().import;
    let fingerprint = request.unkeyed_fingerprint(&connection());
    let deadline = world.now() + Duration::from_secs(60);
    let mut record = ImportRecord {
        id: fingerprint.import_id(world.now()),
        began_at: world.now(),
        finished_at: None,
        undo_began_at: None,
        undone_at: None,
        saves_undo: true,
        first_outcome_item: 0,
        outcome_items: 0,
        image_items: 0,
        counts: ImportCounts::default(),
    };
    let matched = Matched { source_id: "4711".to_owned(), is_new: true, is_generated: true, card_number: None };
    let imports = world.imports();
    imports.add_outcomes(&connection(), &mut record, &[RowOutcome::Taken(matched)], deadline).await.unwrap();
    imports.begin(&connection(), &fingerprint, &record, deadline).await.unwrap();
    for _ in 0..2 {
        let answer = post(&world, &form).await;
        assert_eq!(answer.import(), record.id);
        let code = answer.batch()["generated"][0]["code"].as_str().unwrap().to_owned();
        assert_eq!(amounts(&world, &code).await, 1);
        assert_eq!(all_customers(&world).await, [code]);
    }
}

/// Invariant: an import that is to be undone later can be undone, whatever came before it.
#[tokio::test]
async fn a_request_with_an_undo_state_and_the_same_without_are_different_imports() {
    let world = world().await;
    let saved = Form::rows("update", &HEADERS, &["1|500|a@x.org|jane|25", "|||jim|"]);
    let unsaved = saved.clone().with("no_undo", "yes");
    let answers = [post(&world, &unsaved).await, post(&world, &saved).await];
    assert_eq!(answers.each_ref().map(|answer| answer.batch()["import"]["undo"].clone()), ["none", "saved"]);
    // Nobody comes twice, but amounts come with each of them.
    assert_eq!(answers.each_ref().map(Answer::counts), [[2, 0, 0, 0], [0, 2, 0, 0]]);
    for _ in 0..2 {
        for (form, answer) in [&unsaved, &saved].into_iter().zip(&answers) {
            assert_eq!(post(&world, form).await.text, answer.text);
        }
    }
    assert_eq!((all_customers(&world).await.len(), amounts(&world, "1").await), (2, 2));
    assert_eq!(report(&undo(&world, &answers[1].import()).await), [1, 0, 0, 0]);
    let again = post(&world, &saved).await.import();
    assert!(answers.iter().all(|answer| answer.import() != again), "in the same millisecond, too");
    assert_eq!(post(&world, &unsaved).await.import(), answers[0].import());
    assert_eq!(amounts(&world, "1").await, 2);
}

/// Which import is noted for which request, by the keys of the items.
async fn noted_imports(world: &AssociationAnywhereFixture) -> BTreeMap<String, String> {
    let items = world.clients.dynamodb.scan().table_name(IMPORT_TABLE).send().await.unwrap().items.unwrap();
    let text = |item: &HashMap<String, AttributeValue>, name: &str| item[name].as_s().unwrap().clone();
    let noted = items.iter().filter(|item| text(item, "id").contains("#request/"));
    noted.map(|item| (text(item, "id"), text(item, "import"))).collect()
}

/// Invariant 11: each release continues what the other began, and the release before knows one import of a request.
#[tokio::test]
async fn an_import_goes_on_from_release_to_release_with_and_without_an_undo_state() {
    let saved = Form::rows("update", &HEADERS, &["|||jane|5"]);
    let unsaved = saved.clone().with("no_undo", "yes");
    for (form, other) in [(&saved, &unsaved), (&unsaved, &saved)] {
        let world = world().await;
        let first = post(&world, form).await;
        let noted = noted_imports(&world).await;
        let (known_before, import) = noted.first_key_value().unwrap();
        assert_eq!((known_before.matches('/').count(), import), (2, &first.import()), "{noted:?}");
        // As the release before would have left it.
        for key in noted.keys().skip(1) {
            let delete = world.clients.dynamodb.delete_item().table_name(IMPORT_TABLE);
            delete.key("id", AttributeValue::S(key.clone())).send().await.unwrap();
        }
        assert_eq!(post(&world, form).await.text, first.text);
        assert_ne!(post(&world, other).await.import(), first.import());
        assert_eq!(post(&world, form).await.text, first.text);
    }
}

/// Invariant 8: no secret can be guessed on the id of an import.
#[tokio::test]
async fn requests_that_differ_in_a_pin_alone_are_the_same_import_and_the_later_pin_is_stored() {
    for (mode, is_changed) in [("yes", true), ("update", true), ("ignore", false)] {
        let world = world().await;
        let form = |pin: &str| Form::rows(mode, &["code", "customer_PIN"], &[&format!("1|{pin}")]);
        let first = post(&world, &form("471100815")).await;
        let before = content(&world, "1").await.hidden;
        assert_eq!(post(&world, &form("999888777")).await.text, first.text, "{mode}");
        assert_eq!(content(&world, "1").await.hidden != before, is_changed, "{mode}");
    }
}

#[tokio::test]
async fn what_ids_are_derived_with_is_made_once_and_is_another_for_every_connection() {
    let world = world().await;
    let (imports, deadline) = (world.imports(), world.now() + Duration::from_secs(60));
    let (mine, others) = (connection(), ConnectionKey::new("other", "others"));
    let secrets = futures::future::join_all((0..8).map(|_| imports.id_secret(&mine, deadline))).await;
    let first = *secrets[0].as_ref().unwrap().as_bytes();
    assert!(secrets.iter().all(|secret| *secret.as_ref().unwrap().as_bytes() == first));
    assert_ne!(*imports.id_secret(&others, deadline).await.unwrap().as_bytes(), first);
}
