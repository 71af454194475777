//! Addresses and names that go from one to another: a record that gives one up frees it, for every order of two pushes,
//! and wherever a push dies. Invariant 1: no record is missed.

use axum::http::StatusCode;
use serde_json::{Value, json};
use tests::AssociationAnywhereFixture;

use crate::model::{self, Ground, Kind, Model, paused_after};
use crate::sender::{all_staff, customer, push, read, referring, staff};

/// Every address that a story uses.
const ADDRESSES: u8 = 4;
/// No push of these stories asks the store more often.
const MOST_REQUESTS: i64 = 40;

/// A push: of which record, with which address; 0 is none.
type Push = (u8, u8);

fn model_of(pushes: &[&[Push]]) -> Model {
    let mut model = Model::default();
    for (record, address) in pushes.iter().copied().flatten() {
        model.push(*record, *address);
    }
    model
}

/// Those of the models that are what the product has; there must be one.
async fn those_that_hold(ground: &Ground<'_>, models: &[Model], what: &str) -> Vec<Model> {
    model::those_that_hold(ground, models, ADDRESSES, what).await
}

async fn assert_all_follow(ground: &Ground<'_>, models: Vec<Model>, what: &str) {
    model::assert_all_follow(ground, models, ADDRESSES, what).await;
}

/// What happens before, and two pushes that happen at once.
const AT_ONCE: [(&str, &[Push], Push, Push); 12] = [
    ("a new recordID says two things, and one is somebody's", &[(1, 1)], (2, 1), (2, 3)),
    ("a hand-over", &[(1, 1), (2, 2)], (2, 1), (1, 3)),
    ("a swap", &[(1, 1), (2, 2)], (2, 1), (1, 2)),
    ("two who want what is free", &[(1, 1), (2, 2)], (1, 3), (2, 3)),
    ("two who want what was given up", &[(1, 1), (2, 2), (3, 3), (1, 4)], (2, 1), (3, 1)),
    ("a new recordID, and who had the address gives it up", &[(1, 1)], (2, 1), (1, 2)),
    ("a new recordID, and another takes the address", &[(1, 1), (3, 3)], (2, 1), (3, 1)),
    ("two new recordIDs", &[], (1, 1), (2, 1)),
    ("who had it first comes back, and who followed gives up", &[(1, 1), (2, 2), (2, 1), (1, 3)], (1, 1), (2, 2)),
    ("who had it first comes back, and a third takes it", &[(1, 1), (2, 2), (2, 1), (1, 3), (3, 4)], (1, 1), (3, 1)),
    ("who has it gives up with one behind, and a third takes it", &[(1, 1), (2, 2), (2, 1), (3, 3)], (1, 4), (3, 1)),
    ("one record goes two ways", &[(1, 1), (2, 2), (2, 1)], (1, 3), (1, 4)),
];

#[tokio::test]
async fn two_pushes_at_once_end_as_one_after_the_other_wherever_the_first_is_held_up() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for (number, (what, before, one, other)) in AT_ONCE.into_iter().enumerate() {
        for (turn, (held_up, meanwhile)) in [(one, other), (other, one)].into_iter().enumerate() {
            for requests in 0..MOST_REQUESTS {
                let name = format!("at-once-{number}-{turn}-{requests}");
                let ground = Ground { world: &world, kind: Kind::Staff, name };
                for (record, address) in before {
                    ground.push(*record, *address).await.uuid();
                }
                let (first, second, was_held_up) = paused_after(
                    &world,
                    requests,
                    ground.push(held_up.0, held_up.1),
                    ground.push(meanwhile.0, meanwhile.1),
                )
                .await;
                let what = format!("{what}: {held_up:?} is held up after {requests} requests, {meanwhile:?} is not");
                let models = [model_of(&[before, &[held_up, meanwhile]]), model_of(&[before, &[meanwhile, held_up]])];
                let models = those_that_hold(&ground, &models, &what).await;
                for (answer, record) in [(first, held_up.0), (second, meanwhile.0)] {
                    let (id, _) = ground.found(&ground.record(record)).await.unwrap();
                    assert_eq!(answer.uuid(), id, "{what}");
                }
                assert_all_follow(&ground, models, &what).await;
                if !was_held_up {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn wherever_a_push_dies_everybody_is_found_and_sent_again_it_is_done() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for (kind, told) in [(Kind::Staff, &AT_ONCE[..]), (Kind::LeadSource, &AT_ONCE[..2])] {
        for (number, (what, before, dying, meanwhile)) in told.iter().copied().enumerate() {
            for requests in 0..MOST_REQUESTS {
                let ground = Ground { world: &world, kind, name: format!("dies-{number}-{requests}") };
                for (record, address) in before {
                    ground.push(*record, *address).await.uuid();
                }
                world.store_budget.set(requests);
                let died = ground.push(dying.0, dying.1).await.status == StatusCode::SERVICE_UNAVAILABLE;
                world.store_budget.set(i64::MAX);
                let what = format!("{kind:?}, {what}: {dying:?} dies after {requests} requests");
                let either = [model_of(&[before]), model_of(&[before, &[dying]])];
                let mut models = those_that_hold(&ground, &either, &what).await;
                // Another comes before it is sent again.
                ground.push(meanwhile.0, meanwhile.1).await.uuid();
                models.iter_mut().for_each(|model| model.push(meanwhile.0, meanwhile.1));
                those_that_hold(&ground, &models, &what).await;
                ground.push(dying.0, dying.1).await.uuid();
                models.iter_mut().for_each(|model| model.push(dying.0, dying.1));
                let models = those_that_hold(&ground, &models, &what).await;
                assert_all_follow(&ground, models, &what).await;
                if !died {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn names_go_round_a_chain_and_a_cycle_of_three_in_every_order() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let (chain, cycle) = ([(1, 2), (2, 3), (3, 4)], [(1, 2), (2, 3), (3, 1)]);
    for kind in [Kind::Staff, Kind::LeadSource] {
        for (number, pushes) in [chain, cycle].into_iter().enumerate() {
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let ground =
                    Ground { world: &world, kind, name: format!("round-{number}-{order:?}").replace(", ", "") };
                let ground = Ground { name: ground.name.replace(['[', ']'], ""), ..ground };
                let mut model = Model::default();
                for (record, address) in [(1, 1), (2, 2), (3, 3)].into_iter().chain(order.map(|place| pushes[place])) {
                    ground.push(record, address).await.uuid();
                    model.push(record, address);
                    let what = format!("{kind:?}, {pushes:?} in the order {order:?}");
                    those_that_hold(&ground, std::slice::from_ref(&model), &what).await;
                }
                // Under new recordIDs they are the same records.
                for (record, address) in [(4, 1), (5, 2), (6, 3)] {
                    ground.push(record, address).await.uuid();
                    model.push(record, address);
                }
                those_that_hold(&ground, &[model], &format!("{kind:?}, {pushes:?} {order:?}, called anew")).await;
            }
        }
    }
}

/// The owner of a prospect, and what it says matches nothing.
async fn owner_of(world: &AssociationAnywhereFixture, uuid: &str) -> (Value, Value) {
    let stored = customer(world, uuid).await;
    (stored["owner_staff_id"].clone(), stored["attributes"]["leadInfo#unmatched"].clone())
}

#[tokio::test]
async fn prospects_that_wait_for_an_address_are_completed_when_its_owner_gives_it_to_somebody() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let ann = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let waiting = push(&world, "user", referring("r-1", "desk@club.example", "")).await.uuid();
    assert_eq!(owner_of(&world, &waiting).await, (Value::Null, json!(["ownerID"])));
    // By a change of address, not by a new record.
    push(&world, "staff", staff("s-1", "Ann", "desk@club.example")).await.uuid();
    assert_eq!(owner_of(&world, &waiting).await, (json!(ann), Value::Null));

    let bob = push(&world, "staff", staff("s-2", "Bob", "bob@club.example")).await.uuid();
    push(&world, "staff", staff("s-2", "Bob", "desk@club.example")).await.uuid();
    push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let later = push(&world, "user", referring("r-2", "desk@club.example", "")).await.uuid();
    assert_eq!(owner_of(&world, &later).await, (json!(bob), Value::Null));
    assert_eq!(owner_of(&world, &waiting).await.0, json!(ann), "who has an owner keeps it");
}

#[tokio::test]
async fn a_prospect_never_waits_for_an_address_that_somebody_has_whichever_is_held_up() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let told: [(&[Push], Push); 4] =
        [(&[(1, 1)], (1, 2)), (&[(1, 1), (2, 3)], (2, 2)), (&[(1, 2), (2, 3), (2, 2)], (1, 1)), (&[], (1, 2))];
    for (number, (before, change)) in told.into_iter().enumerate() {
        for is_prospect_held_up in [false, true] {
            for requests in 0..MOST_REQUESTS {
                let name = format!("waits-{number}-{is_prospect_held_up}-{requests}");
                let ground = Ground { world: &world, kind: Kind::Staff, name };
                for (record, address) in before {
                    ground.push(*record, *address).await.uuid();
                }
                let document = referring(&ground.record(9), &ground.address(2), "");
                let (staff, prospect) = (ground.push(change.0, change.1), push(&world, "user", document));
                let (prospect, was_held_up) = if is_prospect_held_up {
                    let (prospect, _, was_held_up) = paused_after(&world, requests, prospect, staff).await;
                    (prospect, was_held_up)
                } else {
                    let (_, prospect, was_held_up) = paused_after(&world, requests, staff, prospect).await;
                    (prospect, was_held_up)
                };
                let (owner, unmatched) = owner_of(&world, &prospect.uuid()).await;
                let what = format!("{before:?}, then {change:?}, held up after {requests} requests");
                assert_eq!((owner.is_string(), unmatched), (true, Value::Null), "{what}");
                if !was_held_up {
                    break;
                }
            }
        }
    }
}

/// How many items of the control table say that a prospect waits.
async fn waiting_entries(world: &AssociationAnywhereFixture) -> usize {
    let scan = world.clients.dynamodb.scan().table_name(tests::CONTROL_TABLE).send().await.unwrap();
    let is_waiting = |item: &&std::collections::HashMap<_, aws_sdk_dynamodb::types::AttributeValue>| {
        item["entry"].as_s().unwrap().starts_with("waiting/")
    };
    scan.items().iter().filter(is_waiting).count()
}

#[tokio::test]
async fn a_prospect_that_names_others_leaves_nothing_behind_where_it_waited() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for number in 0..20 {
        let document = referring("r-1", &format!("nobody-{number}@club.example"), &format!("source {number}"));
        push(&world, "user", document).await.uuid();
        assert_eq!(waiting_entries(&world).await, 4, "push {number}");
    }
    push(&world, "user", referring("r-1", "nobody-19@club.example", "")).await.uuid();
    assert_eq!(waiting_entries(&world).await, 2);
    let ann = push(&world, "staff", staff("s-1", "Ann", "ann@club.example")).await.uuid();
    let uuid = push(&world, "user", referring("r-1", "s-1", "")).await.uuid();
    assert_eq!((owner_of(&world, &uuid).await.0, waiting_entries(&world).await), (json!(ann), 0));
}

#[tokio::test]
async fn a_prospect_pushed_to_and_fro_waits_for_what_it_said_last_whichever_push_is_held_up() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    for requests in 0..MOST_REQUESTS {
        let ground = Ground { world: &world, kind: Kind::Staff, name: format!("to-and-fro-{requests}") };
        let naming = |address: u8| referring(&ground.record(9), &ground.address(address), "");
        push(&world, "user", naming(1)).await.uuid();
        // Away from the first address, and meanwhile back to it.
        let away = push(&world, "user", naming(2));
        let (answer, _, was_held_up) = paused_after(&world, requests, away, push(&world, "user", naming(1))).await;
        let uuid = answer.uuid();
        let named = customer(&world, &uuid).await["attributes"]["leadInfo"]["ownerID"].clone();
        let address = (1..=2).find(|address| named == json!(ground.address(*address))).unwrap();
        let owner = ground.push(1, address).await.uuid();
        assert_eq!(owner_of(&world, &uuid).await, (json!(owner), Value::Null), "held up after {requests} requests");
        if !was_held_up {
            break;
        }
    }
}

#[tokio::test]
async fn an_address_that_the_release_before_refused_is_found_as_soon_as_its_owner_is_pushed_unchanged() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let ground = Ground { world: &world, kind: Kind::Staff, name: "before".to_owned() };
    for (record, address) in [(1, 1), (2, 2), (2, 1)] {
        ground.push(record, address).await.uuid();
    }
    // The release before made no entry for a record that took another's address, and no entry had a revision.
    let (table, client) = (tests::CONTROL_TABLE, &world.clients.dynamodb);
    for item in client.scan().table_name(table).send().await.unwrap().items() {
        let entry = item["entry"].as_s().unwrap();
        let key = ["connection", "entry"].map(|name| (name.to_owned(), item[name].clone()));
        if entry.starts_with("staff-name/") && entry.matches('/').count() == 2 {
            client.delete_item().table_name(table).set_key(Some(key.into())).send().await.unwrap();
        } else if entry.starts_with("staff") {
            let mut old = item.clone();
            let new_ones: &[&str] = if entry.starts_with("staff-name/") { &["revision", "since"] } else { &["named"] };
            new_ones.iter().for_each(|name| drop(old.remove(*name)));
            client.put_item().table_name(table).set_item(Some(old)).send().await.unwrap();
        }
    }
    ground.push(1, 3).await.uuid();
    let bob = ground.push(2, 1).await.uuid();
    assert_eq!(ground.found(&ground.address(1)).await.unwrap().0, bob);
    let mut model = model_of(&[&[(1, 3), (2, 1)]]);
    those_that_hold(&ground, std::slice::from_ref(&model), "pushed again").await;
    ground.push(1, 1).await.uuid();
    model.push(1, 1);
    assert_all_follow(&ground, vec![model], "after the release before").await;
}

#[tokio::test]
async fn names_that_nobody_has_any_more_leave_nothing_behind() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let ground = Ground { world: &world, kind: Kind::Staff, name: "tidy".to_owned() };
    for address in [1, 2, 3, 4, 1, 2, 3, 4] {
        ground.push(1, address).await.uuid();
        ground.push(2, address % 4 + 1).await.uuid();
    }
    let scan = world.clients.dynamodb.scan().table_name(tests::CONTROL_TABLE).send().await.unwrap();
    let names: Vec<&str> =
        scan.items().iter().filter_map(|item| item["entry"].as_s().ok()?.strip_prefix("staff-name/")).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn what_a_push_of_staff_costs() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let operations = ["PutItem", "DeleteItem", "TransactWriteItems"];
    let writes = || operations.map(|operation| world.database.operations(operation)).iter().sum::<u64>();
    let mut before = writes();
    let mut cost = || std::mem::replace(&mut before, writes()).abs_diff(writes());
    for (what, document, expected) in [
        ("new: the entry and the record", staff("s-1", "Ann", "ann@club.example"), 2),
        ("the same again", staff("s-1", "Ann", "ann@club.example"), 0),
        ("with another first name", staff("s-1", "Anna", "ann@club.example"), 1),
        ("under another recordID: the record and the pointer at once", staff("s-2", "Anna", "ann@club.example"), 1),
        ("the same again", staff("s-2", "Anna", "ann@club.example"), 0),
        ("another address: the new entry, the record, the old entry", staff("s-1", "Anna", "anna@club.example"), 3),
    ] {
        push(&world, "staff", document).await.uuid();
        assert_eq!(cost(), expected, "{what}");
    }
}

#[tokio::test]
async fn somebody_who_is_called_anew_five_hundred_times_is_one_and_each_recordid_finds_them() {
    // Their recordIDs have more bytes than an item can hold.
    const TIMES: usize = 500;
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let long = |number: usize| format!("{number}-{}", "x".repeat(1_000));
    let ann = push(&world, "staff", staff(&long(0), "Ann", "ann@club.example")).await.uuid();
    for number in 1..TIMES {
        assert_eq!(push(&world, "staff", staff(&long(number), "Ann", "ann@club.example")).await.uuid(), ann);
    }
    let [stored] = &all_staff(&world).await[..] else { panic!("one member of staff") };
    let known_as: Vec<&str> =
        stored["known_as"].as_array().unwrap().iter().map(|key| key["record_id"].as_str().unwrap()).collect();
    assert!(known_as.len() <= 100 && known_as[0] == long(0), "{}", known_as.len());
    assert_eq!(known_as[known_as.len() - 1], long(TIMES - 1));
    // A recordID that is no longer shown still has its record, and pushing it again changes nothing.
    let document = staff(&long(7), "Ann", "ann@club.example");
    assert!(!known_as.contains(&long(7).as_str()));
    assert_eq!(push(&world, "staff", document).await.uuid(), ann);
    assert_eq!(read(&world, "/v1/staff?connection=intouch").await["staff"][0], *stored);
    let uuid = push(&world, "user", referring("r-1", &long(7), "")).await.uuid();
    assert_eq!(owner_of(&world, &uuid).await.0, json!(ann));
}
