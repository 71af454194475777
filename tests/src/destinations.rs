use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use model::ConnectionKey;
use operations::status::{DestinationStatus, StatusReader};
use serde_json::{Value, json};
use simulators::business_catalyst::{BcSettings, BcSimulator, Clock as SiteClock, endpoint};
use simulators::loyalty::{LoyaltySettings, LoyaltySimulator};
use simulators::webhook::{WebhookReceiver, WebhookSettings};
use simulators::{Controlled, Simulator, System};
use store::PushRequest;
use tokio::task::JoinSet;

use crate::{
    AssociationAnywhereFixture, CONTACT_POLLS, CONTACTS_QUEUE, PUSH_REQUESTS, QUEUE_POLLS, TestDeployment, WORK_QUEUE,
    listen,
};

/// A world with a source, `acme/aa`, and three systems that changes are sent to: `site`, `loyalty` and `hook`.
pub struct DestinationsFixture {
    /// A site of Business Catalyst.
    pub site: BcSimulator,
    /// A loyalty service.
    pub loyalty: LoyaltySimulator,
    /// A receiver of webhooks.
    pub hook: WebhookReceiver,
    source: AssociationAnywhereFixture,
    /// The tables of the file, by the id of the destination, and one of a connection to the site, `bc`.
    tables: [(&'static str, String); 4],
    _serving: JoinSet<std::io::Result<()>>,
}

impl Deref for DestinationsFixture {
    type Target = AssociationAnywhereFixture;

    fn deref(&self) -> &AssociationAnywhereFixture {
        &self.source
    }
}

/// Serves a simulator, and returns its address.
async fn serve<S: System>(simulator: &Simulator<S>, serving: &mut JoinSet<std::io::Result<()>>) -> String
where
    Simulator<S>: Controlled,
{
    let (base, listener) = listen().await;
    let simulator = simulator.clone();
    serving.spawn(async move { simulator.serve(listener).await });
    base
}

impl DestinationsFixture {
    /// A world whose source has `customers`, which are in the shadow already. No destination is registered.
    pub async fn with_customers(customers: u64) -> Self {
        let source = AssociationAnywhereFixture::with_customers(customers).await;
        let clock = source.clock.clone();
        let site_clock = clock.clone();
        let site = BcSettings {
            contacts: 0,
            clock: SiteClock::Following(Arc::new(move || site_clock.now())),
            ..BcSettings::default()
        };
        let loyalty = LoyaltySettings::default();
        let hook = WebhookSettings { clock: Arc::new(move || clock.now()), ..WebhookSettings::default() };
        let credentials = [
            ("site.json", json!({ "username": site.username, "password": site.password })),
            (
                "loyalty.json",
                json!({ "user_id": loyalty.user_id, "user_password": loyalty.user_password, "account_id": loyalty.account_id }),
            ),
            ("hook.json", json!({ "secret": hook.secret })),
        ];
        let [site_credentials, loyalty_credentials, hook_credentials] =
            credentials.map(|(name, content)| source.secret(name, &content));
        let (site_id, campaigns) = (site.site_id, loyalty.campaigns.clone());
        let (site, loyalty, hook) =
            (BcSimulator::new(site), LoyaltySimulator::new(loyalty), WebhookReceiver::new(hook));
        let mut serving = JoinSet::new();
        let endpoint = endpoint(&serve(&site, &mut serving).await);
        let loyalty_url = simulators::loyalty::endpoint(&serve(&loyalty, &mut serving).await);
        let hook_url = simulators::webhook::endpoint(&serve(&hook, &mut serving).await);
        let tables = [
            (
                "site",
                format!(
                    "kind = 'business-catalyst'\nendpoint = '{endpoint}'\nsite_id = {site_id}\ncredentials = '{site_credentials}'\n"
                ),
            ),
            (
                "loyalty",
                format!(
                    "kind = 'customers-batch'\nurl = '{loyalty_url}'\ncredentials = '{loyalty_credentials}'\n\
                     campaigns = {campaigns:?}\n"
                ),
            ),
            ("hook", format!("kind = 'webhook'\nurl = '{hook_url}'\ncredentials = '{hook_credentials}'\n")),
            (
                "bc",
                format!(
                    "[[connection]]\nid = 'bc'\ntenant = 'acme'\nkind = 'business-catalyst'\nendpoint = '{endpoint}'\n\
                 site_id = {site_id}\ncredentials = '{site_credentials}'\ntime_zone = 'Australia/Sydney'\npoll_seconds = 5\n"
                ),
            ),
        ];
        let world = Self { site, loyalty, hook, source, tables, _serving: serving };
        if customers > 0 {
            world.sync().await;
        }
        world
    }

    /// Registers destinations that get the customers of `aa`, each with `extra` lines.
    pub async fn add(&self, destinations: &[&str], extra: &str) {
        self.add_from(destinations, "['aa']", extra).await;
    }

    /// Registers destinations that get the customers of these connections; `bc` is registered too if it is among them.
    pub async fn add_from(&self, destinations: &[&str], from: &str, extra: &str) {
        let mut file = self.file.clone();
        if from.contains("'bc'") {
            file += self.table("bc");
        }
        for id in destinations {
            file += &format!(
                "[[destination]]\nid = '{id}'\ntenant = 'acme'\nfrom = {from}\nallow_private_addresses = true\n{}{extra}\n",
                self.table(id)
            );
        }
        self.configure(&file).await;
    }

    /// The table of the file with this id: all of a connection's, and of a destination what is its own.
    pub fn table(&self, id: &str) -> &str {
        &self.tables.iter().find(|(name, _)| *name == id).unwrap().1
    }

    /// The key of a destination.
    pub fn key(&self, id: &str) -> ConnectionKey {
        ConnectionKey::new("acme", id)
    }

    /// The public ids of the customers of `aa` with these source ids.
    pub fn ids(&self, source_ids: impl IntoIterator<Item = u64>) -> Vec<String> {
        source_ids.into_iter().map(|id| format!("aa~{id}")).collect()
    }

    /// Has the feed filled, and everything sent that destinations take now.
    pub async fn push(&self) {
        self.publish().await;
        self.work_on(PUSH_REQUESTS).await;
    }

    /// Lets a minute's plan pass, and the destinations be looked at as it says.
    pub async fn minute(&self) {
        self.publish().await;
        self.engine.tick().await;
        for _ in 0..30 {
            self.work_on(PUSH_REQUESTS).await;
            self.clock.advance(Duration::from_secs(2));
        }
    }

    /// Has one message delivered that says to look at a destination.
    pub async fn look_at(&self, id: &str) {
        let deadline = self.now() + Duration::from_secs(300);
        let requests = store::PushRequests::new(
            self.clients.sqs.clone(),
            PUSH_REQUESTS,
            self.clock.clone(),
            self.clients.random.clone(),
        );
        requests.send(vec![(0, PushRequest { destination: self.key(id) })], deadline).await.unwrap();
        self.work_on(PUSH_REQUESTS).await;
    }

    /// Lets seconds pass with everything at work: a plan in each minute, polls when they are due, workers, the feed and
    /// destinations at once.
    pub async fn run_all_for(&self, seconds: u64) {
        for second in 0..seconds {
            if second % 60 == 0 {
                self.engine.tick().await;
            }
            for queue in [QUEUE_POLLS, CONTACT_POLLS, WORK_QUEUE, CONTACTS_QUEUE, QUEUE_POLLS, CONTACT_POLLS] {
                self.work_on(queue).await;
            }
            self.push().await;
            self.clock.advance(Duration::from_secs(1));
        }
    }

    /// How a destination stands.
    pub async fn destination(&self, id: &str) -> DestinationStatus {
        let deployment: &TestDeployment = &self.source;
        let all = StatusReader::new(&deployment.tables()).destinations(Some("acme"), self.now()).await.unwrap();
        all.into_iter().find(|status| status.id == id).unwrap()
    }

    /// The display name that each system has of a customer of `aa`: the site, the loyalty service, the receiver.
    pub fn names(&self, id: u64) -> [Option<String>; 3] {
        let public_id = format!("aa~{id}");
        let at_site = self.site.contact_by_external_id(&public_id).filter(|contact| !contact.deleted);
        let at_loyalty = self.loyalty.customer(&public_id);
        let part = |name: &str| at_loyalty.as_ref().and_then(|customer| customer.get(name).cloned());
        let at_loyalty = at_loyalty
            .as_ref()
            .map(|_| [part("first_name"), part("last_name")].into_iter().flatten().collect::<Vec<_>>().join(" "));
        let at_hook =
            self.hook.customer(&public_id).map(|customer| customer["name"]["display"].as_str().unwrap().to_owned());
        [at_site.map(|contact| contact.full_name), at_loyalty, at_hook]
    }

    /// Every destination has every customer of the source as the source has it, and nobody else.
    pub async fn assert_all_have_what_the_source_has(&self) {
        let source_ids = self.source.source.customer_ids();
        let ids = self.ids(source_ids.iter().copied());
        for id in &source_ids {
            let customer = self.customer(*id).await.unwrap();
            let name = customer.content.name.clone();
            let parts = [name.first.clone(), name.last.clone()].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let at_loyalty = if parts.is_empty() { name.display.clone().unwrap() } else { parts };
            assert_eq!(self.names(*id), [name.display.clone(), Some(at_loyalty), name.display], "aa~{id}");
        }
        let mut at_hook = self.hook.ids();
        at_hook.sort();
        assert_eq!(at_hook, ids);
    }

    /// The receiver of webhooks has every customer as the shadow has it, and nobody else.
    pub async fn assert_hook_has_what_the_source_has(&self) {
        let source_ids = self.source.source.customer_ids();
        for id in &source_ids {
            let customer = serde_json::to_value(self.customer(*id).await.unwrap()).unwrap();
            assert_eq!(self.hook.customer(&format!("aa~{id}")), Some(customer), "aa~{id}");
        }
        let mut at_hook = self.hook.ids();
        at_hook.sort();
        assert_eq!(at_hook, self.ids(source_ids));
    }

    /// The ids of the failure records of a destination.
    pub async fn refused_by(&self, id: &str) -> Vec<String> {
        let failures = self.failures().all(&self.key(id)).await.unwrap();
        failures.into_iter().map(|failure| failure.source_id).collect()
    }

    /// Writes another secret of a destination.
    pub fn rotate(&self, id: &str, secret: &Value) {
        self.secret(&format!("{id}.json"), secret);
    }
}
