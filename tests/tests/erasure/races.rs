//! A writer that has read the list of the erased before somebody is erased, and writes after.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use local_aws::{Answer, Call, Interference};
use model::{Content, Email, Status, Version};
use store::{Change, EmailIndex, Failure, IncomingChange, Whom};
use tests::AssociationAnywhereFixture;
use tokio::sync::Notify;

use crate::{erase, items_with};

const ADDRESS: &str = "janette@example.org";

/// Holds back the calls of one operation on one table until they may go on.
#[derive(Debug)]
struct Gate {
    operation: &'static str,
    about: &'static str,
    reached: Notify,
    open: Notify,
}

impl Interference for Gate {
    fn before<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Option<Answer>> {
        async move {
            if call.operation == self.operation && String::from_utf8_lossy(call.body).contains(self.about) {
                self.reached.notify_one();
                self.open.notified().await;
            }
            None
        }
        .boxed()
    }

    fn after<'a>(&'a self, _: Call<'a>, _: &'a Answer) -> BoxFuture<'a, Option<Answer>> {
        async { None }.boxed()
    }
}

fn jane() -> Content {
    let email = Email { address: ADDRESS.to_owned(), ..Email::default() };
    Content { emails: vec![email], ..Content::default() }
}

fn both() -> [Whom; 2] {
    [Whom::Customer("aa~7".parse().unwrap()), Whom::Address(EmailIndex::address(ADDRESS).unwrap())]
}

/// Lets `write` come as far as the gate, erases, and lets it go on.
async fn erase_in_the_middle<F: Future>(world: &AssociationAnywhereFixture, whom: &Whom, gate: &Gate, write: F) {
    let erasing = async {
        gate.reached.notified().await;
        erase(world, whom).await;
        gate.open.notify_one();
    };
    futures::join!(write, erasing);
}

#[tokio::test]
async fn a_new_customer_that_was_on_its_way_when_it_was_erased_does_not_stay() {
    for whom in both() {
        for is_pushed in [false, true] {
            let world = AssociationAnywhereFixture::with_customers(2).await;
            let gate =
                Arc::new(Gate { operation: "PutItem", about: ADDRESS, reached: Notify::new(), open: Notify::new() });
            let shadow = world.tables_with(world.database.client_through(gate.clone()), world.clock.clone()).shadow;
            let (key, deadline) = (world.connection(), world.now() + Duration::from_secs(600));
            let write = async {
                if is_pushed {
                    shadow.revise(&key, "7", |_| Some(jane())).await.unwrap();
                } else {
                    let news = Change::Present(Box::new(jane()));
                    let change = IncomingChange { source_id: "7".to_owned(), version: Version::of_batch(1, 1), news };
                    shadow.upsert(&key, vec![change], deadline).await.unwrap();
                }
            };
            erase_in_the_middle(&world, &whom, &gate, write).await;
            assert_eq!(items_with(&world, &[ADDRESS.to_owned()]).await, Vec::<String>::new(), "{whom:?} {is_pushed}");
            let left = world.customer(7).await.unwrap();
            assert_eq!((left.content.status, left.is_erased()), (Status::Deleted, true));
            // And once that is lifted, it comes back.
            world.eraser().lift("acme", &whom).await.unwrap();
            world.eraser().lift("acme", &both()[0]).await.unwrap();
            shadow_again(&world).await;
        }
    }
}

#[tokio::test]
async fn a_new_customer_that_the_report_names_as_one_who_stays_does_stay() {
    let world = AssociationAnywhereFixture::with_customers(2).await;
    let other = "other@example.org";
    let gate = Arc::new(Gate { operation: "PutItem", about: other, reached: Notify::new(), open: Notify::new() });
    let shadow = world.tables_with(world.database.client_through(gate.clone()), world.clock.clone()).shadow;
    let (key, deadline) = (world.connection(), world.now() + Duration::from_secs(600));
    let change = |source_id: &str, content| IncomingChange {
        source_id: source_id.to_owned(),
        version: Version::of_batch(1, 1),
        news: Change::Present(Box::new(content)),
    };
    world.shadow().upsert(&key, vec![change("7", jane())], deadline).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    // Her daughter is new in a chunk of which somebody else is still to be written.
    let slow = Email { address: other.to_owned(), ..Email::default() };
    let slow = Content { emails: vec![slow], ..Content::default() };
    let write = async { shadow.upsert(&key, vec![change("8", jane()), change("9", slow)], deadline).await.unwrap() };
    let erasing = async {
        gate.reached.notified().await;
        while world.customer(8).await.is_none() {
            tokio::task::yield_now().await;
        }
        world.clock.advance(Duration::from_secs(20));
        let report = erase(&world, &both()[0]).await;
        gate.open.notify_one();
        report
    };
    let (_, report) = futures::join!(write, erasing);
    assert_eq!(report.neighbours, ["aa~8"]);
    assert_eq!(world.customer(8).await.unwrap().content.status, Status::Active);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.eraser().erase_again("acme", deadline).await.unwrap().customers, Vec::<String>::new());
}

async fn shadow_again(world: &AssociationAnywhereFixture) {
    let news = Change::Present(Box::new(jane()));
    let change = IncomingChange { source_id: "7".to_owned(), version: Version::of_batch(2, 1), news };
    let deadline = world.now() + Duration::from_secs(600);
    world.shadow().upsert(&world.connection(), vec![change], deadline).await.unwrap();
    world.shadow().revise(&world.connection(), "7", |_| Some(jane())).await.unwrap();
    assert_eq!(world.customer(7).await.unwrap().content.emails.len(), 1);
}

#[tokio::test]
async fn the_document_of_a_failure_that_was_on_its_way_does_not_stay() {
    for whom in both() {
        let world = AssociationAnywhereFixture::with_customers(2).await;
        let gate = Arc::new(Gate {
            operation: "TransactWriteItems",
            about: ADDRESS,
            reached: Notify::new(),
            open: Notify::new(),
        });
        let failures = world.tables_with(world.database.client_through(gate.clone()), world.clock.clone()).failures;
        let failure = Failure {
            source_id: "7".to_owned(),
            reason: "too long".to_owned(),
            raw: format!("<cust><email>{ADDRESS}</email></cust>"),
            failed_at: world.now(),
        };
        let key = world.connection();
        let write = async { failures.put(&key, &failure).await.unwrap() };
        erase_in_the_middle(&world, &whom, &gate, write).await;
        assert_eq!(items_with(&world, &[ADDRESS.to_owned()]).await, Vec::<String>::new(), "{whom:?}");
        assert!(world.failures().is_there(&key, "7").await.unwrap());
    }
}
