//! Undo of imports after other writers: what others wrote is kept.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use model::Status;
use model::import::Claim;
use operations::imports::{ImportLease, Undo, UndoError};
use store::Clock;
use tests::AssociationAnywhereFixture;

use super::support::{Form, connection, content, post, record, report, undo, world};

const HEADERS: [&str; 4] = ["code", "card_number", "email", "first_name"];

/// Invariant: an undo restores what held before the import, or leaves it.
#[tokio::test]
async fn an_undo_of_an_import_that_was_sent_again_keeps_what_another_import_wrote_in_between() {
    let world = world().await;
    let form = Form::rows("update", &HEADERS, &["1|500|a@x.org|jane"]);
    let first = post(&world, &form).await;
    let edit = Form::rows("update", &["code", "first_name", "city"], &["1|janet|Anytown"]);
    let edited = post(&world, &edit).await;
    post(&world, &form).await;
    assert_eq!(report(&undo(&world, &first.import()).await), [1, 0, 0, 0]);
    let janet = content(&world, "1").await;
    assert_eq!(janet.name.first.as_deref(), Some("janet"));
    assert_eq!(janet.addresses[0].city.as_deref(), Some("Anytown"));
    assert_eq!(report(&undo(&world, &first.import()).await), [0, 0, 0, 1], "it is as the other left it");
    // With the other taken back, nothing is left of either.
    undo(&world, &edited.import()).await;
    assert_eq!(report(&undo(&world, &first.import()).await), [0, 1, 0, 0]);
    assert_eq!(content(&world, "1").await.status, Status::Deleted);
}

/// Invariant: no tombstone of a customer that another import created.
#[tokio::test]
async fn an_undo_of_an_import_that_died_and_was_sent_again_keeps_whom_another_import_brought() {
    let form = Form::rows("update", &HEADERS, &["7|500|a@x.org|jane"]);
    let mut recorded_before_it_died = 0;
    for after in 1..20 {
        let world = world().await;
        world.store_budget.set(after);
        let answer = post(&world, &form).await;
        world.store_budget.set(i64::MAX);
        if !answer.text.contains("error") {
            break;
        }
        world.clock.advance(Duration::from_secs(30));
        let is_recorded = !world.imports().list(&connection()).await.unwrap().is_empty();
        let is_written = world.shadow().get(&connection(), "7").await.unwrap().is_some();
        recorded_before_it_died += u32::from(is_recorded && !is_written);
        let others = post(&world, &Form::rows("update", &["code", "city"], &["7|Anytown"])).await;
        let again = post(&world, &form).await;
        undo(&world, &again.import()).await;
        let seven = content(&world, "7").await;
        assert_eq!(seven.addresses[0].city.as_deref(), Some("Anytown"), "died after {after}");
        assert_eq!(seven.name.first.as_deref(), is_written.then_some("jane"), "died after {after}");
        undo(&world, &others.import()).await;
        undo(&world, &again.import()).await;
        assert_eq!(content(&world, "7").await.status, Status::Deleted, "died after {after}");
    }
    assert!(recorded_before_it_died > 0);
}

#[tokio::test]
async fn an_undo_that_is_repeated_takes_nothing_back_from_the_same_request_sent_after_it() {
    let world = world().await;
    let form = Form::rows("update", &HEADERS, &["1|500|a@x.org|jane"]);
    let first = post(&world, &form).await.import();
    undo(&world, &first).await;
    let second = post(&world, &form).await.import();
    assert_ne!(first, second, "in the same millisecond, too");
    assert_eq!(report(&undo(&world, &first).await), [0, 0, 0, 1]);
    assert_eq!(content(&world, "1").await.name.first.as_deref(), Some("jane"));
    assert_eq!(report(&undo(&world, &second).await), [0, 1, 0, 0]);
}

/// A client of the world's store that dies with its budget, as functions do.
fn mortal(world: &AssociationAnywhereFixture) -> Client {
    let config = world.clients.dynamodb.config().to_builder().interceptor(world.store_budget.clone()).build();
    Client::from_conf(config)
}

fn undo_with(world: &AssociationAnywhereFixture, client: &Client, clock: &Clock) -> Undo {
    Undo::new(&world.tables_with(client.clone(), clock.clone()))
}

#[tokio::test]
async fn once_an_undo_has_begun_the_same_request_is_an_import_of_its_own() {
    let form = Form::rows("update", &HEADERS, &["1|500|a@x.org|jane", "2|600|b@x.org|jim"]);
    let mut halves = 0;
    for after in 1..30 {
        let world = world().await;
        let first = post(&world, &form).await.import();
        let before = record(&world, &first).await;
        world.store_budget.set(after);
        let deadline = world.now() + Duration::from_secs(60);
        let died = undo_with(&world, &mortal(&world), &world.clock).carry_out(&connection(), &before, deadline).await;
        world.store_budget.set(i64::MAX);
        world.clock.advance(Duration::from_secs(61));
        let is_gone = async |code: &str| content(&world, code).await.status == Status::Deleted;
        let gone = [is_gone("1").await, is_gone("2").await];
        let again = post(&world, &form).await;
        let has_begun = record(&world, &first).await.undo_began_at.is_some();
        assert_eq!(again.import() != first, has_begun, "died after {after}");
        halves += u32::from(died.is_err() && gone != [false, false]);
        // A customer that the request has created again stays when the undo is finished.
        undo(&world, &first).await;
        assert_eq!([!is_gone("1").await, !is_gone("2").await], gone, "died after {after}");
    }
    assert!(halves > 0);
}

/// Invariant: a card number is one customer's, also after an undo.
#[tokio::test]
async fn who_would_get_back_a_card_number_of_another_now_is_left_alone_and_named() {
    let world = world().await;
    post(&world, &Form::rows("update", &HEADERS, &["1|500||jane", "2|600||jim"])).await;
    let moved = post(&world, &Form::rows("update", &HEADERS, &["1|501||janet", "2|||jimmy"])).await.import();
    post(&world, &Form::rows("update", &HEADERS, &["3|500||larry"])).await;
    let deadline = world.now() + Duration::from_secs(60);
    let preview = world.undo().preview(&connection(), &record(&world, &moved).await, deadline).await.unwrap();
    let undone = undo(&world, &moved).await;
    assert_eq!(preview, undone);
    assert_eq!((report(&undone), undone.card_taken), ([1, 0, 0, 0], vec!["1".to_owned()]));
    assert_eq!(content(&world, "1").await.external_id.as_deref(), Some("501"));
    assert_eq!(content(&world, "2").await.name.first.as_deref(), Some("jim"));
    // Customers that swapped cards in the import get theirs back.
    let world = self::world().await;
    post(&world, &Form::rows("update", &HEADERS, &["1|500||jane", "2|600||jim"])).await;
    let swapped = post(&world, &Form::rows("update", &HEADERS, &["1|501||", "2|500||", "1|600||"])).await;
    assert_eq!(swapped.counts(), [0, 3, 0, 0]);
    assert_eq!(report(&undo(&world, &swapped.import()).await), [2, 0, 0, 0]);
    assert_eq!(content(&world, "1").await.external_id.as_deref(), Some("500"));
}

/// Invariant: a restored customer is found by what it has again, even if so many others had it meanwhile that its claim
/// was removed.
#[tokio::test]
async fn who_is_back_is_found_by_an_address_that_was_forgotten_of_them() {
    let world = world().await;
    let by_address = Form::rows("update", &["email", "first_name"], &["desk@x.org|Frank"]);
    post(&world, &Form::rows("update", &["code", "email"], &["n0|desk@x.org"])).await;
    let moved = post(&world, &Form::rows("update", &["code", "email"], &["n0|own@x.org"])).await;
    let rows: Vec<String> = (0..110).map(|code| format!("m{code}|desk@x.org")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let many = post(&world, &Form::rows("update", &["code", "email"], &rows)).await;
    let (claim, deadline) = (Claim::email("desk@x.org"), world.now() + Duration::from_secs(60));
    let mut claimants = world.imports().claimants(&connection(), [claim.clone()], deadline).await.unwrap();
    let whole = [(claim.clone(), usize::MAX)];
    world.imports().read_on(&connection(), whole, &mut claimants, deadline).await.unwrap();
    assert!(claimants[&claim].ids().all(|source_id| source_id != "n0") && claimants[&claim].ids().count() == 110);
    undo(&world, &many.import()).await;
    undo(&world, &moved.import()).await;
    assert_eq!(post(&world, &by_address).await.counts(), [0, 1, 0, 0]);
    assert_eq!(content(&world, "n0").await.name.first.as_deref(), Some("Frank"));
}

/// Puts the time into the store's answers, as DynamoDB does.
#[derive(Clone, Debug)]
struct StoreClock(Clock);

impl Intercept for StoreClock {
    fn name(&self) -> &'static str {
        "store clock"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&self.0.now())?;
        context.response_mut().headers_mut().insert("date", date);
        Ok(())
    }
}

/// Invariant: an operator's clock decides nothing.
#[tokio::test]
async fn an_undo_on_a_machine_whose_clock_is_off_steals_no_lease_and_holds_its_own() {
    for off in [-3_600, -61, 61, 3_600] {
        let world = world().await;
        let import = post(&world, &Form::rows("update", &HEADERS, &["1|500|a@x.org|jane"])).await.import();
        let config = world.clients.dynamodb.config().to_builder().interceptor(StoreClock(world.clock.clone())).build();
        let (client, at) = (Client::from_conf(config), Timestamp::from_second(world.now().as_second() + off).unwrap());
        let clock = Clock::manual(at);
        // An import that is under way.
        let states = world.states();
        states.lease(&connection(), "an import", world.now(), world.now() + Duration::from_secs(29)).await.unwrap();
        let undo = undo_with(&world, &client, &clock);
        let record = record(&world, &import).await;
        let busy = undo.carry_out(&connection(), &record, at + Duration::from_secs(1)).await;
        assert!(matches!(busy, Err(UndoError::Busy)), "{off}: {busy:?}");
        states.release(&connection(), "an import").await.unwrap();
        // While it is at work, imports wait.
        let lease = ImportLease::new(&world.tables_with(client, clock.clone()));
        let ahead = lease.store_is_ahead_by(&connection()).await.unwrap();
        let owner = lease.take(&connection(), Duration::from_secs(60), ahead, at + Duration::from_secs(1)).await;
        let owner = owner.unwrap().unwrap();
        assert!(states.lease(&connection(), "an import", world.now(), world.now()).await.unwrap().is_none(), "{off}");
        let later = world.now() + Duration::from_secs(61);
        assert!(
            states.lease(&connection(), "an import", later, later).await.unwrap().is_some(),
            "{off}: it is given up in time"
        );
        lease.release(&connection(), &owner).await;
    }
}
