use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use model::{ConnectionKey, Customer, Status};
use operations::status::{Condition, ConnectionStatus};
use simulators::business_catalyst::{BcSettings, BcSimulator, Clock, endpoint};
use tokio::task::JoinHandle;

use crate::{CONTACTS_QUEUE, SHADOW_TABLE, TestDeployment, listen};

/// A deployment with one connection, `acme/bc`, to a simulated site of Business Catalyst on the deployment's clock.
pub struct BusinessCatalystFixture {
    /// The source.
    pub source: BcSimulator,
    deployment: TestDeployment,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Deref for BusinessCatalystFixture {
    type Target = TestDeployment;

    fn deref(&self) -> &TestDeployment {
        &self.deployment
    }
}

impl BusinessCatalystFixture {
    /// A site in Sydney with `contacts`, from id 1001.
    pub async fn with_contacts(contacts: u64) -> Self {
        Self::with(BcSettings { contacts, ..BcSettings::default() }, "Australia/Sydney", "").await
    }

    /// A site with these settings of the source in this zone, and with `extra` lines in the connection's configuration.
    pub async fn with(settings: BcSettings, zone: &str, extra: &str) -> Self {
        Self::on(TestDeployment::new(settings.seed).await, settings, zone, extra).await
    }

    /// The same, on a deployment.
    pub async fn on(deployment: TestDeployment, settings: BcSettings, zone: &str, extra: &str) -> Self {
        let clock = deployment.clock.clone();
        let credentials = serde_json::json!({ "username": settings.username, "password": settings.password });
        let site_id = settings.site_id;
        let source = BcSimulator::new(BcSettings {
            time_zone: TimeZone::get(zone).unwrap(),
            clock: Clock::Following(Arc::new(move || clock.now())),
            ..settings
        });
        let (base, listener) = listen().await;
        let serving = tokio::spawn({
            let source = source.clone();
            async move { source.serve(listener).await }
        });
        let credentials = deployment.secret("bc.json", &credentials);
        deployment
            .configure(&format!(
                "[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{}'\n\
                 site_id = {site_id}\ncredentials = '{credentials}'\ntime_zone = '{zone}'\n{extra}\n",
                endpoint(&base)
            ))
            .await;
        Self { source, deployment, serving }
    }

    /// The key of the connection.
    pub fn connection(&self) -> ConnectionKey {
        ConnectionKey::new("acme", "bc")
    }

    /// One customer of the shadow.
    pub async fn customer(&self, id: u64) -> Option<Customer> {
        self.shadow().get(&self.connection(), &id.to_string()).await.unwrap()
    }

    /// How the connection stands.
    pub async fn status(&self) -> ConnectionStatus {
        self.statuses().await.remove(0)
    }

    /// Has the workers work on everything that is visible now.
    pub async fn work(&self) {
        self.work_on(CONTACTS_QUEUE).await;
    }

    /// Lets seconds pass, with poller and workers at work, until everything that was listed is in the shadow. Returns
    /// how many seconds that took.
    pub async fn sync(&self) -> u64 {
        self.sync_within(60).await
    }

    /// The same for a list that is too large for a minute of looks at the ledger, one a second.
    pub async fn sync_within(&self, seconds: u64) -> u64 {
        for second in 0..seconds {
            self.poll().await;
            self.work().await;
            self.poll().await;
            let status = self.status().await;
            if status.condition == Condition::InSync && status.batch.is_none() {
                return second;
            }
            self.clock.advance(Duration::from_secs(1));
        }
        panic!("not in sync after {seconds} seconds: {:?}", self.status().await);
    }

    /// How many records the shadow holds, tombstones included, and the sum of their revisions: how often one was
    /// written.
    pub async fn writes(&self) -> (usize, u64) {
        let mut revisions = Vec::new();
        let mut start = None;
        loop {
            let page = self.clients.dynamodb.scan().table_name(SHADOW_TABLE).set_exclusive_start_key(start);
            let page = page.send().await.unwrap();
            revisions.extend(page.items().iter().map(|item| item["revision"].as_n().unwrap().parse::<u64>().unwrap()));
            start = page.last_evaluated_key;
            if start.is_none() {
                return (revisions.len(), revisions.iter().sum());
            }
        }
    }

    /// Every contact of the source is in the shadow as the source has it, and every other record is a tombstone.
    pub async fn assert_shadow_is_the_sources(&self) {
        let existing = self.source.contact_ids();
        for id in &existing {
            let stored = self.customer(*id).await;
            let name = stored.as_ref().and_then(|customer| customer.content.name.display.clone());
            assert_eq!(name, self.source.display_name(*id), "contact {id}: {stored:?}");
        }
        let mut listed = self.shadow().existing(&self.connection()).await.unwrap();
        listed.sort_unstable();
        let mut expected: Vec<String> = existing.iter().map(u64::to_string).collect();
        expected.sort_unstable();
        assert_eq!(listed, expected, "who is listed");
    }

    /// Whether a contact is a tombstone, without personal data.
    pub async fn is_tombstone(&self, id: u64) -> bool {
        let content = self.customer(id).await.unwrap().content;
        content.status == Status::Deleted && content.name.display.is_none() && content.emails.is_empty()
    }
}

impl Drop for BusinessCatalystFixture {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
