//! Customers of the shadow are compared with their source: what differs is found, what is on its way is not called
//! drift, and nothing is changed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a story that fails may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use config::Connection;
use model::{ConnectionKey, Status};
use operations::resync::{ResyncWhat, Resyncs};
use simulators::association_anywhere::{AaFault, AaSettings, Fault, Poison, Procedure};
use simulators::business_catalyst::{self, BcFault, BcSettings, Operation};
use sources::association_anywhere::AssociationAnywhereClient;
use sources::business_catalyst::BusinessCatalystClient;
use tests::{AssociationAnywhereFixture, BusinessCatalystFixture};
use verification::association_anywhere::CustomersVerifier;
use verification::business_catalyst::ContactsVerifier;
use verification::{Difference, Differing, Suspect, Verified, VerifyError};

const AN_HOUR: Duration = Duration::from_secs(3_600);

fn verifier(world: &AssociationAnywhereFixture) -> CustomersVerifier {
    let (tables, clients) = (world.tables(), &world.clients);
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let source = AssociationAnywhereClient::new(http, secrets, tables.limiter.clone(), world.clock.clone());
    CustomersVerifier::new(&tables, source)
}

async fn connection<S: config::Settings>(world: &tests::TestDeployment, key: &ConnectionKey) -> Connection<S> {
    Connection::from_registration(&world.connections().get(key).await.unwrap().unwrap()).unwrap()
}

async fn try_to_verify(world: &AssociationAnywhereFixture, sample: usize) -> Result<Verified, VerifyError> {
    let connection = connection(world, &world.connection()).await;
    verifier(world).verify(&connection, sample, world.now() + AN_HOUR).await
}

async fn verified(world: &AssociationAnywhereFixture) -> Verified {
    try_to_verify(world, 1_000).await.unwrap()
}

fn ids(differing: &[Differing]) -> BTreeSet<&str> {
    differing.iter().map(|customer| customer.source_id.as_str()).collect()
}

/// How many differ, are on their way, and could not be compared.
fn figures(verified: &Verified) -> (usize, usize, usize) {
    (verified.drifted.len(), verified.on_their_way.len(), verified.unclear.len())
}

#[tokio::test]
async fn a_change_that_the_queue_forgot_to_tell_is_found_with_its_fields_and_repaired_by_the_normal_path() {
    let world = AssociationAnywhereFixture::with_customers(250).await;
    world.sync().await;
    let synced_at = world.now();
    world.clock.advance(AN_HOUR);
    world.source.change_unqueued([1_100, 1_200]);
    world.sync().await;
    let found = verified(&world).await;
    assert_eq!((found.stored, found.agreeing, figures(&found)), (250, 248, (2, 0, 0)), "{found:?}");
    assert_eq!(ids(&found.drifted), BTreeSet::from(["1100", "1200"]));
    for customer in &found.drifted {
        let Difference::Fields(fields) = &customer.difference else { panic!("{customer:?}") };
        assert!(fields.contains(&"name".to_owned()) && fields.contains(&"emails".to_owned()), "{fields:?}");
        assert!(customer.recorded_at.unwrap() <= synced_at && !customer.has_failed, "{customer:?}");
    }
    assert_eq!(world.customer(1_100).await.unwrap().revision, 1, "nothing was changed by looking");
    let registration = world.connections().get(&world.connection()).await.unwrap().unwrap();
    for customer in &found.drifted {
        let what = ResyncWhat::Customer(customer.source_id.clone());
        Resyncs::new(&world.tables()).request(&registration, &what, world.now()).await.unwrap();
    }
    let asked_for = verified(&world).await;
    assert_eq!((asked_for.agreeing, figures(&asked_for)), (248, (0, 2, 0)), "they are on their way: {asked_for:?}");
    world.poll().await;
    world.work().await;
    world.sync().await;
    let healed = verified(&world).await;
    assert_eq!((healed.agreeing, figures(&healed)), (250, (0, 0, 0)), "{healed:?}");
    world.assert_shadow_is_the_sources([1_100, 1_200]).await;
}

#[tokio::test]
async fn what_is_on_its_way_is_not_called_drift() {
    let world = AssociationAnywhereFixture::with_customers(50).await;
    world.sync().await;
    world.source.set_habits(|habits| habits.queues_with_zeros = true);
    world.source.change([1_001, 1_002]);
    world.source.delete(1_003);
    let waiting = verified(&world).await;
    assert_eq!((waiting.agreeing, figures(&waiting)), (47, (0, 3, 0)), "they wait in the queue: {waiting:?}");
    world.poll().await;
    let open = verified(&world).await;
    assert_eq!(figures(&open), (0, 3, 0), "a batch holds them: {open:?}");
    world.sync().await;
    assert_eq!(figures(&verified(&world).await), (0, 0, 0));
}

#[tokio::test]
async fn what_changes_between_two_looks_is_not_called_drift() {
    let world = AssociationAnywhereFixture::with_customers(20).await;
    world.sync().await;
    let (verifier, connection) = (verifier(&world), connection(&world, &world.connection()).await);
    let deadline = world.now() + AN_HOUR;
    world.source.change_unqueued([1_001, 1_002, 1_003]);
    let all: Vec<String> = (1_001..1_021).map(|id| id.to_string()).collect();
    let first = verifier.look(&connection, &all, deadline).await.unwrap();
    assert_eq!((first.agreeing, first.differing.len()), (17, 3));
    world.source.change_unqueued([1_001]);
    world.source.enqueue(1_002);
    world.sync().await;
    let suspects: Vec<Suspect> = first.differing.iter().map(Differing::to_suspect).collect();
    let second = verifier.look_again(&connection, suspects, &BTreeSet::new(), deadline).await.unwrap();
    assert_eq!(second.on_their_way, ["1001"], "the source says something else by now");
    assert_eq!((second.agreeing, ids(&second.drifted)), (1, BTreeSet::from(["1003"])), "and 1002 has arrived");
}

#[tokio::test]
async fn a_customer_that_is_gone_without_a_word_is_told_as_missing_and_is_not_deleted() {
    let world = AssociationAnywhereFixture::with_customers(120).await;
    world.sync().await;
    for id in [1_005, 1_050, 1_120] {
        world.source.delete_unqueued(id);
    }
    let found = verified(&world).await;
    assert_eq!((found.agreeing, figures(&found)), (117, (3, 0, 0)), "{found:?}");
    assert!(found.drifted.iter().all(|customer| customer.difference == Difference::Missing), "{found:?}");
    assert_eq!(world.customer(1_005).await.unwrap().content.status, Status::Active);
}

#[tokio::test]
async fn a_source_that_answers_with_only_so_many_or_with_nothing_has_lost_nobody() {
    let world = AssociationAnywhereFixture::with_customers(40).await;
    world.sync().await;
    for most in [1, 2, 5, 12, 39] {
        world.source.set_habits(|habits| habits.answers_at_most = Some(most));
        let found = verified(&world).await;
        assert_eq!(found.drifted, [], "at most {most}");
        assert_eq!((found.compared(), found.on_their_way.len()), (40, 0), "at most {most}");
    }
    world.source.set_habits(|habits| habits.answers_at_most = None);
    world.source.fault(Procedure::Details, Some(AaFault::Empty.into()));
    let found = verified(&world).await;
    assert_eq!((found.agreeing, figures(&found)), (0, (0, 0, 40)), "{found:?}");
    world.source.fault(Procedure::Details, None);
    world.source.set_habits(|habits| habits.always_answers = Some(1_001));
    world.source.delete_unqueued(1_002);
    let found = verified(&world).await;
    assert_eq!((found.agreeing, figures(&found)), (39, (0, 0, 1)), "others came in its place: {found:?}");
}

#[tokio::test]
async fn a_customer_that_can_not_be_read_costs_the_comparison_of_no_other() {
    let world = AssociationAnywhereFixture::with_customers(40).await;
    world.sync().await;
    for (id, poison) in [(1_005, Poison::NoCustId), (1_007, Poison::BrokenXml), (1_030, Poison::ErrorElement)] {
        world.source.poison(id, poison);
    }
    let found = verified(&world).await;
    assert_eq!((found.agreeing, figures(&found)), (37, (0, 0, 3)), "{found:?}");
    let unclear: BTreeSet<&str> = found.unclear.iter().map(|customer| customer.source_id.as_str()).collect();
    assert_eq!(unclear, BTreeSet::from(["1005", "1007", "1030"]));
}

#[tokio::test]
async fn a_customer_that_the_source_fails_at_costs_the_comparison_of_no_other() {
    let world = AssociationAnywhereFixture::with_customers(40).await;
    world.sync().await;
    world.source.poison(1_007, Poison::ServerError);
    world.source.change_unqueued([1_020]);
    let found = try_to_verify(&world, 40).await.unwrap();
    assert_eq!((found.agreeing, figures(&found)), (38, (1, 0, 1)), "{found:?}");
    assert_eq!((found.drifted[0].source_id.as_str(), found.unclear[0].source_id.as_str()), ("1020", "1007"));
}

#[tokio::test]
async fn a_source_that_is_down_or_refuses_us_ends_the_comparison_and_says_why() {
    let world = AssociationAnywhereFixture::with_customers(400).await;
    world.sync().await;
    let before = world.source.requests().details;
    world.source.fault(Procedure::Details, Some(Fault::WrongCredentials));
    let error = try_to_verify(&world, 400).await.unwrap_err().to_string();
    assert!(error.starts_with("details: "), "{error}");
    assert!(world.source.requests().details - before < 10, "it does not go on for each customer");
    world.source.fault(Procedure::Details, Some(Fault::Status(503)));
    let error = try_to_verify(&world, 400).await.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    world.source.fault(Procedure::Details, None);
    world.source.fault_times(Procedure::Details, Fault::Status(503), 2);
    assert_eq!(figures(&try_to_verify(&world, 400).await.unwrap()), (0, 0, 0), "a short trouble is waited out");
    world.source.fault(Procedure::Queue, Some(Fault::Status(404)));
    assert_eq!(figures(&verified(&world).await), (0, 0, 0), "the queue is read only if anybody differs");
    world.source.change_unqueued([1_001]);
    let error = try_to_verify(&world, 400).await.unwrap_err().to_string();
    assert!(error.starts_with("queue: ") && error.contains("404"), "{error}");
}

#[tokio::test]
async fn a_sample_is_as_large_as_asked_for_and_reaches_everybody_in_the_end() {
    let settings = AaSettings { customers: 60, ..AaSettings::default() };
    let world = AssociationAnywhereFixture::with(settings, "bulk_size = 7").await;
    world.sync().await;
    let before = world.source.requests();
    assert_eq!(try_to_verify(&world, 20).await.unwrap().agreeing, 20);
    let after = world.source.requests();
    assert_eq!((after.details - before.details, after.detail_ids - before.detail_ids), (3, 20));
    world.source.change_unqueued([1_001, 1_060]);
    let mut found = BTreeSet::new();
    for _ in 0..60 {
        let some = try_to_verify(&world, 20).await.unwrap();
        found.extend(some.drifted.into_iter().map(|customer| customer.source_id));
    }
    assert_eq!(found, BTreeSet::from(["1001".to_owned(), "1060".to_owned()]));
}

#[tokio::test]
async fn a_customer_with_a_failure_record_is_told_as_such() {
    let world = AssociationAnywhereFixture::with_customers(30).await;
    world.sync().await;
    world.source.poison(1_010, Poison::ErrorElement);
    world.source.change([1_010]);
    world.sync().await;
    world.source.heal(1_010);
    let found = verified(&world).await;
    assert_eq!(figures(&found), (1, 0, 0), "{found:?}");
    assert!(found.drifted[0].has_failed);
}

async fn try_to_verify_contacts(world: &BusinessCatalystFixture) -> Result<Verified, VerifyError> {
    let (tables, clients) = (world.tables(), &world.clients);
    let (http, secrets) = (clients.http.clone(), clients.secrets.clone());
    let source = BusinessCatalystClient::new(http, secrets, tables.limiter.clone(), world.clock.clone());
    let connection = connection(world, &world.connection()).await;
    let verifier = ContactsVerifier::new(&tables, source);
    verifier.verify(&connection, world.now() + AN_HOUR).await
}

async fn contacts_verified(world: &BusinessCatalystFixture) -> Verified {
    try_to_verify_contacts(world).await.unwrap()
}

/// A site whose contacts are in the shadow, and long so.
async fn synced_site(contacts: u64) -> BusinessCatalystFixture {
    let settings = BcSettings { contacts, ..BcSettings::default() };
    let world = BusinessCatalystFixture::with(settings, "Australia/Sydney", "max_requests_per_second = 1000").await;
    world.sync().await;
    world.clock.advance(AN_HOUR);
    // The cursor moves with a change.
    world.source.change([1_001]);
    world.sync().await;
    world.clock.advance(AN_HOUR);
    world
}

#[tokio::test]
async fn contacts_are_compared_by_a_list_of_everything() {
    let world = synced_site(250).await;
    let found = contacts_verified(&world).await;
    assert_eq!((found.stored, found.agreeing, figures(&found)), (250, 250, (0, 0, 0)), "{found:?}");
    // Dated long before the cursor: no listing of changes holds them.
    let then = world.source.last_update(1_020).unwrap();
    world.source.set_time(then);
    world.source.change([1_020]);
    let late = world.source.create(None).to_string();
    world.source.remove_silently(1_100);
    let found = contacts_verified(&world).await;
    let told: BTreeSet<(&str, String)> =
        found.drifted.iter().map(|it| (it.source_id.as_str(), it.difference.to_string())).collect();
    let (differs, rest): (Vec<_>, Vec<_>) = told.iter().partition(|(id, _)| *id == "1020");
    assert!(differs[0].1.starts_with("differs in ") && differs[0].1.contains("name"), "{told:?}");
    let expected = [("1100", "is missing at the source"), (late.as_str(), "is missing in the shadow")];
    let expected: BTreeSet<(&str, String)> = expected.map(|(id, what)| (id, what.to_owned())).into();
    assert_eq!(rest.into_iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!((found.agreeing, figures(&found)), (248, (3, 0, 0)));
    world.states().request_resync(&world.connection(), world.now()).await.unwrap();
    world.sync().await;
    let healed = contacts_verified(&world).await;
    assert_eq!((healed.agreeing, figures(&healed)), (250, (0, 0, 0)), "{healed:?}");
}

#[tokio::test]
async fn a_contact_that_the_next_listing_brings_is_on_its_way() {
    let world = synced_site(150).await;
    world.source.change([1_010, 1_011]);
    world.source.create(None);
    let found = contacts_verified(&world).await;
    assert_eq!((found.agreeing, figures(&found)), (148, (0, 3, 0)), "{found:?}");
    world.sync().await;
    assert_eq!(figures(&contacts_verified(&world).await), (0, 0, 0));
}

#[tokio::test]
async fn a_site_that_lists_nothing_has_lost_nobody_and_one_that_fails_is_told() {
    let world = synced_site(30).await;
    world.source.fault(Operation::Retrieve, Some(BcFault::EmptyResult.into()));
    let found = contacts_verified(&world).await;
    assert_eq!((found.agreeing, figures(&found)), (0, (0, 0, 30)), "{found:?}");
    world.source.fault(Operation::Retrieve, Some(business_catalyst::Fault::Status(503)));
    let error = try_to_verify_contacts(&world).await.unwrap_err().to_string();
    assert!(error.starts_with("contact list: ") && error.contains("503"), "{error}");
    world.source.fault(Operation::Retrieve, Some(BcFault::RepeatPages.into()));
    assert!(try_to_verify_contacts(&world).await.is_err(), "a list without an end is no list");
}
