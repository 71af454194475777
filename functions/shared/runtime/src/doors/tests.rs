use std::cell::Cell;
use std::convert::Infallible;

use super::*;

fn door(secret: &str, owner: &str) -> Door<String> {
    Door {
        fingerprint: Fingerprint::of(secret.as_bytes()),
        owner: owner.to_owned(),
        name: format!("{owner}/a"),
        opens: owner.to_owned(),
    }
}

fn clock() -> Clock {
    Clock::manual(Timestamp::UNIX_EPOCH)
}

/// What a secret opens where `entries` are secret and owner, or nothing where the secret can't be read.
async fn open(doors: &Doors<String>, secret: &str, entries: &[Option<(&str, &str)>]) -> Opened<String> {
    let list = async { Ok::<_, Infallible>(entries.to_vec()) };
    let secret = Fingerprint::of(secret.as_bytes());
    let opened = doors.opened_by(&secret, list, |entry| async move {
        entry.map_or_else(DoorsRead::unreadable, |(secret, owner)| DoorsRead::complete([door(secret, owner)]))
    });
    opened.await.unwrap()
}

fn these(owner: &str) -> Opened<String> {
    Opened::These(vec![owner.to_owned()])
}

#[tokio::test]
async fn a_secret_opens_what_it_is_of_and_nothing_else() {
    let doors = Doors::new(clock());
    let entries = [Some(("one", "acme")), Some(("two", "umbrella"))];
    assert_eq!(open(&doors, "one", &entries).await, these("acme"));
    assert_eq!(open(&doors, "two", &entries).await, these("umbrella"));
    assert_eq!(open(&doors, "three", &entries).await, Opened::Nothing);
}

/// Tenants are apart: a secret that two of them were given says of neither that it is meant.
#[tokio::test]
async fn a_secret_that_two_owners_have_opens_none_of_them_and_costs_no_third() {
    let doors = Doors::new(clock());
    let entries = [Some(("same", "acme")), Some(("same", "umbrella")), Some(("other", "wayne"))];
    assert_eq!(open(&doors, "same", &entries).await, Opened::Nothing);
    assert_eq!(open(&doors, "other", &entries).await, these("wayne"));
}

#[tokio::test]
async fn one_owner_may_have_a_secret_twice() {
    let doors = Doors::new(clock());
    let entries = [Some(("same", "acme")), Some(("same", "acme"))];
    assert_eq!(open(&doors, "same", &entries).await, Opened::These(vec!["acme".to_owned(), "acme".to_owned()]));
}

#[tokio::test]
async fn while_a_secret_cannot_be_read_nobody_is_told_that_theirs_is_wrong() {
    let clock = clock();
    let doors = Doors::new(clock.clone());
    let broken = [Some(("one", "acme")), None];
    assert_eq!(open(&doors, "two", &broken).await, Opened::Unknown);
    assert_eq!(open(&doors, "one", &broken).await, these("acme"));
    clock.advance(Duration::from_secs(2));
    let whole = [Some(("one", "acme")), Some(("two", "umbrella"))];
    assert_eq!(open(&doors, "two", &whole).await, these("umbrella"));
    assert_eq!(open(&doors, "three", &whole).await, Opened::Nothing);
}

#[tokio::test]
async fn a_door_that_is_taken_out_is_shut_within_a_minute() {
    let clock = clock();
    let doors = Doors::new(clock.clone());
    assert_eq!(open(&doors, "one", &[Some(("one", "acme"))]).await, these("acme"));
    clock.advance(Duration::from_secs(59));
    assert_eq!(open(&doors, "one", &[]).await, these("acme"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(open(&doors, "one", &[]).await, Opened::Nothing);
}

/// However many come at once, the secrets are read once, and never more than some of them side by side.
#[tokio::test]
async fn many_secrets_are_read_side_by_side_within_a_bound_and_once_for_all_who_ask() {
    let doors = Doors::<String>::new(clock());
    let nobodys = Fingerprint::of(b"none");
    let (reads, under_way, most) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let ask = || {
        let list = async { Ok::<_, Infallible>((0..100).collect::<Vec<u32>>()) };
        doors.opened_by(&nobodys, list, |_| async {
            reads.set(reads.get() + 1);
            under_way.set(under_way.get() + 1);
            most.set(most.get().max(under_way.get()));
            tokio::task::yield_now().await;
            under_way.set(under_way.get() - 1);
            DoorsRead::complete([])
        })
    };
    for opened in futures::future::join_all((0..20).map(|_| ask())).await {
        assert_eq!(opened.unwrap(), Opened::Nothing);
    }
    assert_eq!((reads.get(), most.get()), (100, READS_AT_ONCE));
}
