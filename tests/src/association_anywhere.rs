use std::ops::Deref;
use std::time::Duration;

use jiff::Timestamp;
use local_aws::ReceivedMessage;
use model::{ConnectionKey, Customer};
use operations::status::{Condition, ConnectionStatus};
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use tokio::task::JoinHandle;

use crate::{CONNECTOR_LOGIN, TestDeployment, WORK_QUEUE, listen};

/// A deployment with one connection, `acme/aa`, to a simulated Association Anywhere.
pub struct AssociationAnywhereFixture {
    /// The source.
    pub source: AaSimulator,
    /// What the configuration file says of the connection.
    pub file: String,
    deployment: TestDeployment,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Deref for AssociationAnywhereFixture {
    type Target = TestDeployment;

    fn deref(&self) -> &TestDeployment {
        &self.deployment
    }
}

impl AssociationAnywhereFixture {
    /// A world whose source has `customers`, from id 1001, all of them in its queue.
    pub async fn with_customers(customers: u64) -> Self {
        Self::with(AaSettings { customers, ..AaSettings::default() }, "").await
    }

    /// A world with these settings of the source, and with `extra` lines in the connection's configuration.
    pub async fn with(settings: AaSettings, extra: &str) -> Self {
        let source = AaSimulator::new(settings.clone());
        let (base, listener) = listen().await;
        let serving = tokio::spawn({
            let source = source.clone();
            async move { source.serve(listener).await }
        });
        let deployment = TestDeployment::new(settings.seed).await;
        let login = serde_json::json!({ "username": settings.username, "password": settings.password });
        let credentials = deployment.secret("aa.json", &login);
        let urls = urls(&base);
        let file = format!(
            "[[connection]]\nid = 'aa'\ntenant = 'acme'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
             details_url = '{}'\npurge_url = '{}'\nenqueue_url = '{}'\ncredentials = '{credentials}'\n\
             max_requests_per_second = 1000\n{extra}\n",
            urls.queue, urls.details, urls.purge, urls.enqueue
        );
        deployment.configure(&file).await;
        Self { source, file, deployment, serving }
    }

    /// A world in which, beside an empty `aa`, a Connector pushes to the connection `intouch` of `acme`: its client is
    /// `c-1`, its clubs are `k-1` and `k-2`, its providers `INTOUCH` and `PROVIDER_ID`. A push may create lead sources,
    /// and staff if `create_staff`.
    pub async fn with_connector(create_staff: bool) -> Self {
        let world = Self::with_customers(0).await;
        world.add_connector(create_staff).await;
        world
    }

    /// Adds the connection `intouch` of [`AssociationAnywhereFixture::with_connector`].
    pub async fn add_connector(&self, create_staff: bool) {
        let (username, password) = CONNECTOR_LOGIN;
        let credentials =
            self.secret("intouch.json", &serde_json::json!({ "username": username, "password": password }));
        self.configure(&format!(
            "[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\n\
                 club_ids = ['k-1', 'k-2']\nproviders = ['INTOUCH', 'PROVIDER_ID']\ncredentials = '{credentials}'\n\
                 create_staff = {create_staff}\ncreate_lead_sources = true\n"
        ))
        .await;
    }

    /// The key of the connection.
    pub fn connection(&self) -> ConnectionKey {
        ConnectionKey::new("acme", "aa")
    }

    /// One customer of the shadow.
    pub async fn customer(&self, id: u64) -> Option<Customer> {
        self.shadow().get(&self.connection(), &id.to_string()).await.unwrap()
    }

    /// How the connection stands.
    pub async fn status(&self) -> ConnectionStatus {
        self.statuses().await.remove(0)
    }

    /// When the source last answered the connection's poller.
    pub async fn polled_at(&self) -> Option<Timestamp> {
        self.status().await.last_success_at.map(|at| at.parse().unwrap())
    }

    /// Receives every message that is visible now, without working on it.
    pub fn receive_all(&self) -> Vec<ReceivedMessage> {
        self.queues.receive(WORK_QUEUE, usize::MAX)
    }

    /// Has a worker work on messages, one after the other, and deletes those that it is done with.
    pub async fn deliver(&self, messages: &[ReceivedMessage]) {
        self.deliver_to(WORK_QUEUE, messages).await;
    }

    /// Has the workers work on everything that is visible now.
    pub async fn work(&self) {
        self.deliver(&self.receive_all()).await;
    }

    /// Lets seconds pass, one after the other, with poller and workers at work, until the source's queue is empty and
    /// the shadow holds it all. Returns how many seconds that took.
    pub async fn until_in_sync(&self, at_most: Duration) -> Duration {
        let started = self.clock.now();
        loop {
            self.poll().await;
            self.work().await;
            if self.is_in_sync().await {
                return Duration::try_from(self.clock.now().duration_since(started)).unwrap();
            }
            let status = self.status().await;
            assert!(self.clock.now() < started + at_most, "not in sync after {at_most:?}: {status:?}");
            self.clock.advance(Duration::from_secs(1));
        }
    }

    /// As [`AssociationAnywhereFixture::until_in_sync`], within the minute that the product promises.
    pub async fn sync(&self) -> Duration {
        self.until_in_sync(Duration::from_secs(60)).await
    }

    /// Lets seconds pass with poller and workers at work.
    pub async fn run_for(&self, seconds: u64) {
        for _ in 0..seconds {
            self.poll().await;
            self.work().await;
            self.clock.advance(Duration::from_secs(1));
        }
    }

    async fn is_in_sync(&self) -> bool {
        let status = self.status().await;
        status.condition == Condition::InSync && status.batch.is_none() && self.source.queue_len() == 0
    }

    /// Every customer of the source is in the shadow as the source has it, and every other one is deleted: what must
    /// hold whenever everything is in sync.
    pub async fn assert_shadow_is_the_sources(&self, known: impl IntoIterator<Item = u64>) {
        for id in known {
            let stored = self.customer(id).await;
            let name = stored.as_ref().and_then(|customer| customer.content.name.display.clone());
            assert_eq!(name, self.source.display_name(id), "customer {id}: {stored:?}");
        }
    }
}

impl Drop for AssociationAnywhereFixture {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
