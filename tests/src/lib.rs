//! A world to tell stories in: the functions of `template.yaml`, the embedded DynamoDB, the queues and a simulated
//! Association Anywhere behind real HTTP, on a clock that only the story moves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a story that fails may panic")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use customer_sync::TEMPLATE;
use customer_sync::engine::{EmbeddedDynamoDb, Engine, LocalSqs, ReceivedMessage, Template};
use jiff::Timestamp;
use model::{ConnectionKey, Customer};
use runtime::connections::{Configuration, Place};
use runtime::status::{Condition, ConnectionStatus, StatusReader};
use runtime::{Clients, Metrics, VendorHttp};
use serde_json::Value;
use simulators::association_anywhere::{AaSettings, AaSimulator, urls};
use store::{Clock, Directory, Failures, Ledger, Polls, Random, Secrets, Shadow};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// The logical ids of the template.
pub const CONTROL_TABLE: &str = "ControlTable";
/// The shadow table.
pub const SHADOW_TABLE: &str = "ShadowTable";
/// The queue of chunks.
pub const WORK_QUEUE: &str = "WorkQueue";
/// The bearer token of the tenant `acme`.
pub const TOKEN: &str = "acme-token";
/// User name and password of the connection `intouch`.
pub const CONNECTOR_LOGIN: (&str, &str) = ("intouch", "connector-password");

/// Everything of one deployment, in this process.
pub struct World {
    /// The vendor.
    pub vendor: AaSimulator,
    /// The functions.
    pub engine: Engine,
    /// SQS.
    pub queues: LocalSqs,
    /// DynamoDB.
    pub database: EmbeddedDynamoDb,
    /// The clock.
    pub clock: Clock,
    /// The ways out of the functions.
    pub clients: Clients,
    /// Where secrets stand.
    pub directory: TempDir,
    serving: JoinHandle<std::io::Result<()>>,
}

impl World {
    /// A world whose vendor has `customers`, from id 1001, all of them in its queue.
    pub async fn with_customers(customers: u64) -> Self {
        Self::with(AaSettings { customers, ..AaSettings::default() }, "").await
    }

    /// A world with these settings of the vendor, and with `extra` lines in the connection's configuration.
    pub async fn with(settings: AaSettings, extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let vendor = AaSimulator::new(settings.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn({
            let vendor = vendor.clone();
            async move { vendor.serve(listener).await }
        });
        let template = Template::parse(TEMPLATE).unwrap();
        let database = EmbeddedDynamoDb::in_memory().unwrap();
        for table in &template.tables {
            database.create_table(table).await.unwrap();
        }
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let queues = LocalSqs::new(&template.queues, clock.clone());
        let clients = Clients {
            dynamodb: database.client(),
            sqs: queues.client(),
            secrets: Secrets::new(None, clock.clone()),
            http: VendorHttp::new(clock.clone()).unwrap(),
            clock: clock.clone(),
            random: Random::from_seed(settings.seed),
            metrics: Metrics::off(),
        };
        let engine = Engine::new(&template, &clients, queues.clone()).unwrap();
        let world = Self { vendor, engine, queues, database, clock, clients, directory, serving };
        let login = serde_json::json!({ "username": settings.username, "password": settings.password });
        let credentials = world.secret("aa.json", &login);
        let reader = world.secret("acme.json", &serde_json::json!({ "token": TOKEN }));
        let urls = urls(&base);
        world
            .configure(&format!(
                "[[connection]]\nid = 'aa'\ntenant = 'acme'\nkind = 'association-anywhere'\nqueue_url = '{}'\n\
                 details_url = '{}'\npurge_url = '{}'\nenqueue_url = '{}'\ncredentials = '{credentials}'\n\
                 max_requests_per_second = 1000\n{extra}\n[[reader]]\ntenant = 'acme'\ntoken = '{reader}'\nscope = 'read'\n",
                urls.queue, urls.details, urls.purge, urls.enqueue
            ))
            .await;
        world
    }

    /// A world where, beside an empty `aa`, a Connector pushes to the connection `intouch` of `acme`: its client is
    /// `c-1`, its clubs are `k-1` and `k-2`, its providers `INTOUCH` and `PROVIDER_ID`. A push may create lead sources,
    /// and staff if `create_staff`.
    pub async fn with_connector(create_staff: bool) -> Self {
        let world = Self::with_customers(0).await;
        let (username, password) = CONNECTOR_LOGIN;
        let credentials =
            world.secret("intouch.json", &serde_json::json!({ "username": username, "password": password }));
        world
            .configure(&format!(
                "[[connection]]\nid = 'intouch'\ntenant = 'acme'\nkind = 'connector'\nclient_id = 'c-1'\n\
                 club_ids = ['k-1', 'k-2']\nproviders = ['INTOUCH', 'PROVIDER_ID']\ncredentials = '{credentials}'\n\
                 create_staff = {create_staff}\ncreate_lead_sources = true\n"
            ))
            .await;
        world
    }

    /// Writes a secret, and returns the reference to it.
    pub fn secret(&self, name: &str, content: &Value) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        format!("file:{}", path.display())
    }

    /// Adds what a configuration file says.
    pub async fn configure(&self, file: &str) {
        let configuration = Configuration::parse(file, Place::Local).unwrap();
        for registration in configuration.to_registrations() {
            self.connections().put(&registration).await.unwrap();
        }
    }

    /// The key of the connection.
    pub fn connection(&self) -> ConnectionKey {
        ConnectionKey::new("acme", "aa")
    }

    /// What is configured.
    pub fn connections(&self) -> Directory {
        Directory::new(self.clients.dynamodb.clone(), CONTROL_TABLE)
    }

    /// The shadow.
    pub fn shadow(&self) -> Shadow {
        Shadow::new(self.clients.dynamodb.clone(), SHADOW_TABLE, self.clock.clone(), self.clients.random.clone())
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger {
        Ledger::new(self.clients.dynamodb.clone(), CONTROL_TABLE, self.clock.clone(), self.clients.random.clone())
    }

    /// The failure records.
    pub fn failures(&self) -> Failures {
        Failures::new(self.clients.dynamodb.clone(), CONTROL_TABLE)
    }

    /// One customer of the shadow.
    pub async fn customer(&self, id: u64) -> Option<Customer> {
        self.shadow().get(&self.connection(), &id.to_string()).await.unwrap()
    }

    /// How the connection stands.
    pub async fn status(&self) -> ConnectionStatus {
        let polls = Polls::new(self.clients.dynamodb.clone(), CONTROL_TABLE);
        let reader = StatusReader::new(self.connections(), self.ledger(), polls, self.failures());
        reader.all(Some("acme"), self.clock.now()).await.unwrap().remove(0)
    }

    /// Lets the poller do what there is to do now.
    pub async fn poll(&self) {
        self.engine.tick().await;
    }

    /// Receives every message that is visible now, without working on it.
    pub fn receive_all(&self) -> Vec<ReceivedMessage> {
        self.queues.receive(WORK_QUEUE, usize::MAX)
    }

    /// Has a worker work on messages, one after the other, and deletes those that it is done with.
    pub async fn deliver(&self, messages: &[ReceivedMessage]) {
        for batch in messages.chunks(1) {
            let response = self.engine.deliver(WORK_QUEUE, batch).await;
            for message in batch {
                let failed = response.batch_item_failures.iter().any(|item| item.item_identifier == message.message_id);
                if !failed {
                    self.queues.delete(WORK_QUEUE, message);
                }
            }
        }
    }

    /// Has the workers work on everything that is visible now.
    pub async fn work(&self) {
        self.deliver(&self.receive_all()).await;
    }

    /// Lets seconds pass, one after the other, with poller and workers at work, until the vendor's queue is empty and
    /// the shadow holds it all. Returns how many seconds that took.
    pub async fn until_in_step(&self, at_most: Duration) -> Duration {
        let started = self.clock.now();
        loop {
            self.poll().await;
            self.work().await;
            if self.is_in_step().await {
                return Duration::try_from(self.clock.now().duration_since(started)).unwrap();
            }
            let status = self.status().await;
            assert!(self.clock.now() < started + at_most, "not in step after {at_most:?}: {status:?}");
            self.clock.advance(Duration::from_secs(1));
        }
    }

    /// As [`World::until_in_step`], within the minute that the product promises.
    pub async fn sync(&self) -> Duration {
        self.until_in_step(Duration::from_secs(60)).await
    }

    /// Lets seconds pass with poller and workers at work.
    pub async fn run_for(&self, seconds: u64) {
        for _ in 0..seconds {
            self.poll().await;
            self.work().await;
            self.clock.advance(Duration::from_secs(1));
        }
    }

    async fn is_in_step(&self) -> bool {
        let status = self.status().await;
        status.condition == Condition::InStep && status.batch.is_none() && self.vendor.queue_len() == 0
    }

    /// Every customer of the vendor is in the shadow as the vendor has it, and every other one is deleted: what must
    /// hold whenever everything is in step.
    pub async fn assert_shadow_is_the_vendors(&self, known: impl IntoIterator<Item = u64>) {
        for id in known {
            let stored = self.customer(id).await;
            let name = stored.as_ref().and_then(|customer| customer.content.name.display.clone());
            assert_eq!(name, self.vendor.display_name(id), "customer {id}: {stored:?}");
        }
    }

    /// Asks the API, with the bearer token if there is one.
    pub async fn api(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let (status, _, body) = self.request(request.body(Body::from(body.to_owned())).unwrap()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// Sends a request to the gateway; the answer with everything that belongs to it.
    pub async fn request(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let gateway: Router = self.engine.gateway();
        let response = gateway.oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
