use std::cell::Cell;
use std::convert::Infallible;

use super::*;

fn credential(secret: &str, owner: &str) -> Credential<String> {
    Credential {
        digest: CredentialDigest::of(secret.as_bytes()),
        owner: owner.to_owned(),
        name: format!("{owner}/a"),
        opens: owner.to_owned(),
    }
}

fn clock() -> Clock {
    Clock::manual(Timestamp::UNIX_EPOCH)
}

/// What a secret opens if `entries` are secret and owner, or `None` if the secret can't be read.
async fn open(credentials: &CredentialCache<String>, secret: &str, entries: &[Option<(&str, &str)>]) -> Lookup<String> {
    let list = async { Ok::<_, Infallible>(entries.to_vec()) };
    let secret = CredentialDigest::of(secret.as_bytes());
    let opened = credentials.lookup(&secret, list, |entry| async move {
        entry.map_or_else(CredentialList::unreadable, |(secret, owner)| {
            CredentialList::complete([credential(secret, owner)])
        })
    });
    opened.await.unwrap()
}

fn these(owner: &str) -> Lookup<String> {
    Lookup::These(vec![owner.to_owned()])
}

#[tokio::test]
async fn a_secret_opens_what_it_is_of_and_nothing_else() {
    let credentials = CredentialCache::new(clock());
    let entries = [Some(("one", "acme")), Some(("two", "umbrella"))];
    assert_eq!(open(&credentials, "one", &entries).await, these("acme"));
    assert_eq!(open(&credentials, "two", &entries).await, these("umbrella"));
    assert_eq!(open(&credentials, "three", &entries).await, Lookup::Nothing);
}

/// Tenants are apart: a secret that two of them share stands for neither.
#[tokio::test]
async fn a_secret_that_two_owners_have_opens_none_of_them_and_costs_no_third() {
    let credentials = CredentialCache::new(clock());
    let entries = [Some(("same", "acme")), Some(("same", "umbrella")), Some(("other", "wayne"))];
    assert_eq!(open(&credentials, "same", &entries).await, Lookup::Nothing);
    assert_eq!(open(&credentials, "other", &entries).await, these("wayne"));
}

#[tokio::test]
async fn one_owner_may_have_a_secret_twice() {
    let credentials = CredentialCache::new(clock());
    let entries = [Some(("same", "acme")), Some(("same", "acme"))];
    assert_eq!(open(&credentials, "same", &entries).await, Lookup::These(vec!["acme".to_owned(), "acme".to_owned()]));
}

#[tokio::test]
async fn while_a_secret_cannot_be_read_nobody_is_told_that_theirs_is_wrong() {
    let clock = clock();
    let credentials = CredentialCache::new(clock.clone());
    let broken = [Some(("one", "acme")), None];
    assert_eq!(open(&credentials, "two", &broken).await, Lookup::Unknown);
    assert_eq!(open(&credentials, "one", &broken).await, these("acme"));
    clock.advance(Duration::from_secs(2));
    let whole = [Some(("one", "acme")), Some(("two", "umbrella"))];
    assert_eq!(open(&credentials, "two", &whole).await, these("umbrella"));
    assert_eq!(open(&credentials, "three", &whole).await, Lookup::Nothing);
}

#[tokio::test]
async fn a_credential_that_is_taken_out_is_shut_within_a_minute() {
    let clock = clock();
    let credentials = CredentialCache::new(clock.clone());
    assert_eq!(open(&credentials, "one", &[Some(("one", "acme"))]).await, these("acme"));
    clock.advance(Duration::from_secs(59));
    assert_eq!(open(&credentials, "one", &[]).await, these("acme"));
    clock.advance(Duration::from_secs(1));
    assert_eq!(open(&credentials, "one", &[]).await, Lookup::Nothing);
}

/// However many requests come at once, the secrets are read once, and only some of them side by side.
#[tokio::test]
async fn many_secrets_are_read_side_by_side_within_a_bound_and_once_for_all_who_ask() {
    let credentials = CredentialCache::<String>::new(clock());
    let nobodys = CredentialDigest::of(b"none");
    let (reads, under_way, most) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let ask = || {
        let list = async { Ok::<_, Infallible>((0..100).collect::<Vec<u32>>()) };
        credentials.lookup(&nobodys, list, |_| async {
            reads.set(reads.get() + 1);
            under_way.set(under_way.get() + 1);
            most.set(most.get().max(under_way.get()));
            tokio::task::yield_now().await;
            under_way.set(under_way.get() - 1);
            CredentialList::complete([])
        })
    };
    for opened in futures::future::join_all((0..20).map(|_| ask())).await {
        assert_eq!(opened.unwrap(), Lookup::Nothing);
    }
    assert_eq!((reads.get(), most.get()), (100, READS_AT_ONCE));
}
