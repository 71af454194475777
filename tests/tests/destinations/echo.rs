//! No echo, and nobody twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use operations::status::Condition;
use serde_json::json;
use simulators::business_catalyst::{BcSettings, BcSimulator, Clock, endpoint};
use tests::DestinationsFixture;

#[tokio::test]
async fn two_systems_that_learn_of_each_other_settle_and_stay_silent() {
    let world = DestinationsFixture::with_customers(15).await;
    // The site is a source too, and has customers of its own.
    let own: Vec<u64> = (0..5).map(|_| world.site.create(None)).collect();
    let external_ids: Vec<Option<String>> = own.iter().map(|id| world.site.external_id(*id)).collect();
    world.add_from(&["site", "loyalty", "hook"], "['aa', 'bc']", "").await;
    world.run_all_for(130).await;
    assert_eq!(world.site.contact_ids().len(), 20, "each customer is there once");
    let expected: BTreeSet<String> =
        world.ids(1001..1016).into_iter().chain(own.iter().map(|id| format!("bc~{id}"))).collect();
    assert_eq!(world.loyalty.codes().into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(world.hook.ids().into_iter().collect::<BTreeSet<_>>(), expected);
    let now: Vec<Option<String>> = own.iter().map(|id| world.site.external_id(*id)).collect();
    assert_eq!(now, external_ids, "what came from there does not go back");
    let before = (world.site.requests().written, world.loyalty.requests().batches, world.hook.requests().received);
    world.run_all_for(180).await;
    let after = (world.site.requests().written, world.loyalty.requests().batches, world.hook.requests().received);
    assert_eq!(after, before, "silence");
}

#[tokio::test]
async fn a_change_of_a_customer_goes_on_from_both_sides_and_comes_to_an_end() {
    let world = DestinationsFixture::with_customers(5).await;
    let own = world.site.create(None);
    world.add_from(&["site", "hook"], "['aa', 'bc']", "").await;
    world.run_all_for(180).await;
    world.source.change([1002]);
    world.site.change([own]);
    world.run_all_for(120).await;
    let name = world.customer(1002).await.unwrap().content.name.display;
    let [at_site, _, at_hook] = world.names(1002);
    assert_eq!((&at_site, &at_hook), (&name, &name));
    let at_hook = world.hook.customer(&format!("bc~{own}")).unwrap();
    assert_eq!(at_hook["name"]["display"].as_str(), world.site.display_name(own).as_deref());
    let before = (world.site.requests().written, world.hook.requests().received);
    world.run_all_for(120).await;
    assert_eq!((world.site.requests().written, world.hook.requests().received), before);
}

#[tokio::test]
async fn our_own_write_that_comes_back_through_a_poll_is_unchanged() {
    let world = DestinationsFixture::with_customers(5).await;
    world.add_from(&["site"], "['aa', 'bc']", "").await;
    world.run_all_for(130).await;
    let copies = world.shadow().existing(&world.key("bc")).await.unwrap();
    assert_eq!(copies.len(), 5);
    let revision = |id: String| {
        let (shadow, key) = (world.shadow(), world.key("bc"));
        async move { shadow.get(&key, &id).await.unwrap().unwrap().revision }
    };
    // Everybody is written again, with equal content.
    world.states().request_resync(&world.key("site"), world.now()).await.unwrap();
    world.run_all_for(130).await;
    for id in copies {
        assert_eq!(revision(id.clone()).await, 1, "bc~{id}");
    }
}

#[tokio::test]
async fn a_copy_is_sent_to_who_does_not_get_the_original() {
    let world = DestinationsFixture::with_customers(3).await;
    // The site gets the customers of `aa`, and the receiver those of the site alone.
    world.add_from(&["site"], "['aa', 'bc']", "").await;
    world.add_from(&["hook"], "['bc']", "").await;
    world.run_all_for(130).await;
    assert_eq!(world.hook.ids().len(), 3);
}

#[tokio::test]
async fn a_copy_that_was_sent_before_its_original_is_deleted_at_the_receiver_in_the_end() {
    let world = DestinationsFixture::with_customers(3).await;
    world.add_from(&["site"], "['aa', 'bc']", "").await;
    world.add_from(&["hook"], "['bc']", "").await;
    world.run_all_for(130).await;
    let copies = world.hook.ids();
    assert_eq!(copies.len(), 3);
    world.add_from(&["site", "hook"], "['aa', 'bc']", "").await;
    world.run_all_for(70).await;
    assert_eq!(world.hook.ids().len(), 6, "the originals, beside the copies that it has");
    for id in world.site.contact_ids() {
        world.site.delete(id);
    }
    world.run_all_for(130).await;
    assert!(copies.iter().all(|copy| world.hook.customer(copy).is_none()), "{:?}", world.hook.ids());
}

/// A second site, which is a source, `bc2`, and a destination, `site2`: its tables, and what serves it.
async fn another_site(
    world: &DestinationsFixture,
) -> (BcSimulator, String, tokio::task::JoinHandle<std::io::Result<()>>) {
    let clock = world.clock.clone();
    let site = BcSimulator::new(BcSettings {
        contacts: 0,
        site_id: 54_321,
        clock: Clock::Following(Arc::new(move || clock.now())),
        ..BcSettings::default()
    });
    let (base, listener) = tests::listen().await;
    let served = site.clone();
    let serving = tokio::spawn(async move { served.serve(listener).await });
    let credentials = world.secret(
        "site2.json",
        &json!({ "username": BcSettings::default().username, "password": BcSettings::default().password }),
    );
    let site_keys = format!(
        "kind = 'business-catalyst'\nendpoint = '{}'\nsite_id = 54321\ncredentials = '{credentials}'\n",
        endpoint(&base)
    );
    (site, site_keys, serving)
}

#[tokio::test]
async fn a_copy_of_a_copy_is_nobody_new_in_a_ring_of_sites_and_beside_the_original() {
    let world = DestinationsFixture::with_customers(3).await;
    let (second, site_keys, _serving) = another_site(&world).await;
    // `aa` -> first site -> second site -> first site; and the receiver gets both ends of the chain.
    let mut file = format!(
        "{}{}[[connection]]\nid = 'bc2'\ntenant = 'acme'\n{site_keys}time_zone = 'Australia/Sydney'\npoll_seconds = 5\n",
        world.file,
        world.table("bc")
    );
    for (id, from, keys) in [
        ("site", "['aa', 'bc2']", world.table("site")),
        ("site2", "['bc']", site_keys.as_str()),
        ("hook", "['aa', 'bc2']", world.table("hook")),
    ] {
        file += &format!(
            "[[destination]]\nid = '{id}'\ntenant = 'acme'\nfrom = {from}\nallow_private_addresses = true\n{keys}"
        );
    }
    world.configure(&file).await;
    world.run_all_for(240).await;
    assert_eq!((world.site.contact_ids().len(), second.contact_ids().len()), (3, 3), "each customer is there once");
    assert_eq!(world.hook.ids(), world.ids(1001..1004));
    let before = (world.site.requests().written, second.requests().written, world.hook.requests().received);
    world.run_all_for(120).await;
    assert_eq!((world.site.requests().written, second.requests().written, world.hook.requests().received), before);
}

#[tokio::test]
async fn a_site_gets_nothing_while_a_connection_can_not_be_read_that_may_be_to_it() {
    let world = DestinationsFixture::with_customers(3).await;
    world.add_from(&["site", "hook"], "['aa']", "").await;
    let mut unreadable = world.connections().get(&world.key("aa")).await.unwrap().unwrap();
    unreadable.key = world.key("bc");
    "business-catalyst".clone_into(&mut unreadable.kind);
    world.connections().put(&unreadable).await.unwrap();
    world.minute().await;
    let status = world.destination("site").await;
    let message = status.error.unwrap().message;
    assert!(message.starts_with("connection `bc`, which may be to the same site: "), "{message}");
    assert_eq!((status.condition, world.site.contact_ids().len()), (Condition::Failing, 0));
    assert_eq!(world.hook.ids().len(), 3, "others go on");
    world.connections().remove(&unreadable.key).await.unwrap();
    world.minute().await;
    assert_eq!((world.site.contact_ids().len(), world.destination("site").await.error), (3, None));
}
