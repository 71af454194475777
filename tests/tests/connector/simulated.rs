//! A simulated Connector pushes over HTTP: in bursts, in no order, with doubles, retries and lost answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use simulators::connector::{ConnectorSettings, ConnectorSimulator, Kind, Login};
use tests::{AssociationAnywhereFixture, CONNECTOR_LOGIN};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::sender::{all_lead_sources, all_staff, customers};

/// The gateway of a world, served at an address.
async fn serve(world: &AssociationAnywhereFixture) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let gateway = world.engine.gateway();
    (base, tokio::spawn(async move { axum::serve(listener, gateway).await.unwrap() }))
}

fn unruly(base: &str, seed: u64) -> ConnectorSimulator {
    ConnectorSimulator::new(ConnectorSettings {
        base: base.to_owned(),
        login: Login::Basic { username: CONNECTOR_LOGIN.0.to_owned(), password: CONNECTOR_LOGIN.1.to_owned() },
        people: 60,
        seed,
        burst: 16,
        doubles_percent: 40,
        lost_percent: 30,
        ..ConnectorSettings::default()
    })
}

/// Every record of the Connector is stored once, as it has it, under the id that it was answered, with owner and
/// source.
async fn assert_all_here(world: &AssociationAnywhereFixture, connector: &ConnectorSimulator) {
    let stored: BTreeMap<String, Value> = customers(world)
        .await
        .into_iter()
        .map(|customer| (customer["source_id"].as_str().unwrap().to_owned(), customer))
        .collect();
    assert_eq!(stored.len(), connector.people().len());
    let id_of = |kind: Kind, record_id: &Option<String>| json!(record_id.as_ref().map(|id| connector.id(kind, id)));
    for person in connector.people() {
        let customer = &stored[&connector.id(Kind::User, &person.record_id).unwrap()];
        assert_eq!(customer["external_id"], json!(person.record_id));
        assert_eq!(customer["name"]["display"], json!(person.display_name()));
        assert_eq!(customer["emails"][0]["address"], json!(person.email));
        assert_eq!(customer["stage"], json!(if person.is_member { "member" } else { "prospect" }));
        assert_eq!(customer["owner_staff_id"], id_of(Kind::Staff, &person.owner), "{customer}");
        assert_eq!(customer["lead_source_id"], id_of(Kind::LeadSource, &person.source), "{customer}");
        assert_eq!(customer["attributes"]["leadInfo#unmatched"], Value::Null, "{customer}");
    }
}

#[tokio::test]
async fn whatever_a_connector_does_everybody_is_here_once_with_owner_and_source() {
    for seed in 1..=5 {
        let world = AssociationAnywhereFixture::with_connector(true).await;
        let (base, serving) = serve(&world).await;
        let connector = unruly(&base, seed);
        let report = connector.push_everything().await;
        assert!(report.is_clean(), "seed {seed}: {report}");
        assert!(report.doubled > 5 && report.lost > 5, "seed {seed}: {report}");
        assert_all_here(&world, &connector).await;
        assert_eq!((all_staff(&world).await.len(), all_lead_sources(&world).await.len()), (5, 4), "seed {seed}");

        let (converted, report) = connector.convert_some(7).await;
        assert!(report.is_clean() && converted.len() == 7, "seed {seed}: {report}");
        assert_all_here(&world, &connector).await;
        serving.abort();
    }
}

#[tokio::test]
async fn a_connector_that_pushes_everything_again_changes_nothing() {
    let world = AssociationAnywhereFixture::with_connector(true).await;
    let (base, serving) = serve(&world).await;
    let connector = unruly(&base, 1);
    assert!(connector.push_everything().await.is_clean());
    let before = (customers(&world).await, all_staff(&world).await, all_lead_sources(&world).await);
    let puts = world.database.operations("PutItem");
    assert!(connector.push_everything().await.is_clean());
    assert_eq!((customers(&world).await, all_staff(&world).await, all_lead_sources(&world).await), before);
    assert_eq!(world.database.operations("PutItem"), puts);
    serving.abort();
}

#[tokio::test]
async fn one_seed_is_one_population() {
    let [one, same, other] = [1, 1, 2].map(|seed| unruly("http://127.0.0.1:1", seed));
    assert_eq!((one.people(), one.staff(), one.sources()), (same.people(), same.staff(), same.sources()));
    assert_ne!(one.people(), other.people());
}
