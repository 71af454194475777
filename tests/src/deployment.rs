//! The functions of `template.yaml` in this process, over the embedded DynamoDB and the queues, on a clock that only
//! the story moves.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept};
use aws_sdk_dynamodb::error::BoxError;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use config::{AssociationAnywhereConfig, BusinessCatalystConfig, Configuration, Deployment, READER, Settings};
use destinations::DestinationHttp;
use invariants::Watch;
use jiff::Timestamp;
use lambda::{Clients, Metrics};
use local_aws::TEMPLATE;
use local_aws::{Conflicts, EmbeddedDynamoDb, Engine, Habits, LocalSqs, Meter, ReceivedMessage, Template};
use model::ConnectionKey;
use operations::imports::Undo;
use operations::persons::Eraser;
use operations::resync::{ResyncWhat, Resyncs};
use operations::status::{ConnectionStatus, StatusReader};
use serde_json::{Value, json};
use sources::SourceHttp;
use store::{
    Clock, ConnectionRegistry, ConnectionStates, Failures, Imports, Ledger, PollPurpose, PollRequest, PollRequests,
    Random, Registration, Secrets, Shadow, TableNames, Tables,
};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::{
    CONTACT_POLLS, CONTACTS_QUEUE, CONTROL_TABLE, FEED_TABLE, IMPORT_TABLE, OPERATOR, QUEUE_POLLS, SHADOW_TABLE, TOKEN,
    WORK_QUEUE,
};

/// Everything of one deployment but its sources.
pub struct TestDeployment {
    /// The functions.
    pub engine: Engine,
    /// SQS.
    pub queues: LocalSqs,
    /// DynamoDB.
    pub database: EmbeddedDynamoDb,
    /// The clock.
    pub clock: Clock,
    /// The clients of the functions.
    pub clients: Clients,
    /// Where secrets stand.
    pub directory: TempDir,
    /// How many more requests of the functions DynamoDB takes.
    pub store_budget: StoreBudget,
    judge: Judge,
}

/// Watches what the functions write, and what an operator does. A story in which one of these writes broke an invariant
/// fails at its end.
struct Judge(Watch);

impl Drop for Judge {
    fn drop(&mut self) {
        let violations = self.0.violations();
        assert!(violations.is_empty() || thread::panicking(), "invariants are violated: {violations:#?}");
    }
}

/// A listing with more pages than this has no end, in a story.
pub const MOST_PAGES: u32 = 12;

/// After so many requests of the functions DynamoDB takes no more of them, as if they had died there.
#[derive(Clone, Debug)]
pub struct StoreBudget(Arc<AtomicI64>);

impl Default for StoreBudget {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl StoreBudget {
    /// From now on only this many requests are taken.
    pub fn set(&self, requests: i64) {
        self.0.store(requests, Ordering::SeqCst);
    }

    /// How many are left.
    pub fn left(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Intercept for StoreBudget {
    fn name(&self) -> &'static str {
        "store budget"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 { Ok(()) } else { Err("the story ends it here".into()) }
    }
}

/// A client that is watched, and of which DynamoDB takes no more than the budget. The SDK would retry by itself, after
/// a real pause: here the functions must cope with the error.
fn limited(
    database: &EmbeddedDynamoDb,
    watch: &Watch,
    clock: &Clock,
    budget: &StoreBudget,
) -> aws_sdk_dynamodb::Client {
    let client = database.client_through(Arc::new(watch.through(clock.clone())));
    let limited = client.config().to_builder().interceptor(budget.clone()).retry_config(RetryConfig::disabled());
    aws_sdk_dynamodb::Client::from_conf(limited.timeout_config(TimeoutConfig::disabled()).build())
}

impl TestDeployment {
    /// A deployment in which nothing is configured but a reader of the tenant `acme`, with [`TOKEN`].
    ///
    /// A listing has at most [`MOST_PAGES`], and the store may be told to fail: see [`TestDeployment::store_budget`].
    pub async fn new(seed: u64) -> Self {
        Self::with_most_pages(seed, MOST_PAGES).await
    }

    /// The same, but a batch of a listing has at most `most_pages`.
    pub async fn with_most_pages(seed: u64, most_pages: u32) -> Self {
        let mut template = Template::parse(TEMPLATE).unwrap();
        for function in template.functions.iter_mut().filter(|function| function.binary == "poll-contacts") {
            function.environment.insert("MOST_PAGES".to_owned(), most_pages.to_string());
        }
        let database = EmbeddedDynamoDb::in_memory().unwrap();
        for table in &template.tables {
            database.create_table(table).await.unwrap();
        }
        let clock = Clock::manual("2026-01-01T00:00:00Z".parse().unwrap());
        let queues = LocalSqs::new(&template.queues, clock.clone());
        let store_budget = StoreBudget::default();
        let judge = Judge(Watch::new([]));
        let clients = Clients {
            dynamodb: limited(&database, &judge.0, &clock, &store_budget),
            sqs: queues.client(),
            secrets: Secrets::new(None, clock.clone()),
            http: SourceHttp::new(clock.clone()),
            destinations: DestinationHttp::new(clock.clone()),
            clock: clock.clone(),
            random: Random::from_seed(seed),
            metrics: Metrics::off(),
        };
        let engine = Engine::new(&template, &clients, queues.clone(), database.clone()).unwrap();
        let clients = Clients { dynamodb: database.exempt_client(), ..clients };
        Self { engine, queues, database, clock, clients, directory: tempfile::tempdir().unwrap(), store_budget, judge }
    }

    /// From now on DynamoDB behaves to the functions as it does on AWS: a partition key takes a thousand write units
    /// and three thousand read units a second, and one in three writes right after a transaction meets it. What the
    /// story itself looks at by [`TestDeployment::clients`] is not concerned.
    pub fn behave_as_aws(&self, seed: u64) {
        let conflicts = Some(Conflicts { seed, one_in: 3 });
        self.database.behave(Habits { clock: self.clock.clone(), throttles: true, conflicts });
    }

    /// The record of this customer was made one of a later time: it is right that those which follow it are as well.
    pub fn expect_ahead(&self, id: &str) {
        self.judge.0.expect_ahead(id);
    }

    /// Counts from now on what the functions ask of DynamoDB.
    pub fn meter(&self) -> Meter {
        let meter = Meter::on();
        self.database.count_in(meter.clone());
        meter
    }

    /// Writes a secret, and returns the reference to it.
    pub fn secret(&self, name: &str, content: &Value) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content.to_string()).unwrap();
        format!("file:{}", path.display())
    }

    /// Adds what a configuration file says, and a reader of the tenant `acme`, with [`TOKEN`].
    pub async fn configure(&self, file: &str) {
        let reader = self.secret("acme.json", &serde_json::json!({ "token": TOKEN }));
        let file = format!("{file}\n[[reader]]\ntenant = 'acme'\ntoken = '{reader}'\nscope = 'read'\n");
        let mut configuration = Configuration::parse(&file, Deployment::Local).unwrap();
        // As another process reads them.
        let secrets = Secrets::new(None, self.clock.clone());
        configuration.digest_tokens(&secrets, Deployment::Local).await.unwrap();
        for registration in configuration.to_registrations() {
            self.connections().put(&registration).await.unwrap();
        }
    }

    /// Makes this the only reader of a tenant, as the release before registered it: by a number, and without a digest.
    pub async fn register_undigested(&self, tenant: &str, token: &str) {
        let document = json!({ "tenant": tenant, "token": token, "scope": "read" }).to_string();
        let key = ConnectionKey::new(tenant, "reader/1");
        for other in self.connections().of_kind(READER).await.unwrap() {
            if other.key.tenant == tenant && other.key != key {
                self.connections().remove(&other.key).await.unwrap();
            }
        }
        self.connections().put(&Registration { key, kind: READER.to_owned(), document }).await.unwrap();
    }

    /// Adds a reader of the tenant `acme` with [`OPERATOR`], who may operate.
    pub async fn add_operator(&self) {
        self.add_operator_of("acme", OPERATOR).await;
    }

    /// Adds a reader of a tenant, who may operate.
    pub async fn add_operator_of(&self, tenant: &str, token: &str) {
        let token = self.secret(&format!("{tenant}-operator.json"), &json!({ "token": token }));
        let document = json!({ "tenant": tenant, "token": token, "scope": "operate" }).to_string();
        let key = ConnectionKey::new(tenant, "reader/operator");
        self.connections().put(&Registration { key, kind: READER.to_owned(), document }).await.unwrap();
    }

    /// Has the shadow's stream read to its end: all changes are in the feed then, and in the search index.
    pub async fn publish(&self) {
        self.engine.drain_streams().await.unwrap();
    }

    /// The items that hold one of these texts, in whatever case, compressed or not: of all tables, and of the streams.
    pub async fn items_with(&self, texts: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        for table in [CONTROL_TABLE, SHADOW_TABLE, IMPORT_TABLE, FEED_TABLE, "_streams"] {
            let mut items = self.clients.dynamodb.scan().table_name(table).into_paginator().items().send();
            while let Some(item) = items.next().await {
                let item = item.unwrap();
                let mut shown = format!("{item:?}");
                for blob in item.values().filter_map(|value| value.as_b().ok()) {
                    let mut unfolded = Vec::new();
                    // What is no zlib is not compressed.
                    let _ = flate2::read::ZlibDecoder::new(blob.as_ref()).read_to_end(&mut unfolded);
                    shown += &String::from_utf8_lossy(&unfolded);
                    shown += &String::from_utf8_lossy(blob.as_ref());
                }
                let shown = shown.to_lowercase();
                if texts.iter().any(|text| shown.contains(&text.to_lowercase())) {
                    found.push(format!("{table}: {item:?}"));
                }
            }
        }
        found
    }

    /// Erases persons.
    pub fn eraser(&self) -> Eraser {
        Eraser::new(&self.tables())
    }

    /// The same, by a client of which DynamoDB takes no more than the [budget](Self::store_budget).
    pub fn limited_eraser(&self) -> Eraser {
        let client = limited(&self.database, &self.judge.0, &self.clock, &self.store_budget);
        Eraser::new(&self.tables_with(client, self.clock.clone()))
    }

    /// The tables, as an operator writes to them.
    pub fn tables(&self) -> Tables {
        let watched = self.judge.0.through(self.clock.clone());
        self.tables_with(self.database.exempt_client_through(Arc::new(watched)), self.clock.clone())
    }

    /// The tables by another client or clock.
    pub fn tables_with(&self, client: aws_sdk_dynamodb::Client, clock: Clock) -> Tables {
        let names = TableNames {
            control: CONTROL_TABLE.to_owned(),
            shadow: SHADOW_TABLE.to_owned(),
            imports: IMPORT_TABLE.to_owned(),
            feed: FEED_TABLE.to_owned(),
        };
        Tables::new(client, &names, clock, self.clients.random.clone())
    }

    /// What is configured.
    pub fn connections(&self) -> ConnectionRegistry {
        self.tables().registry
    }

    /// The shadow.
    pub fn shadow(&self) -> Shadow {
        self.tables().shadow
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger {
        self.tables().ledger
    }

    /// The states of the connections.
    pub fn states(&self) -> ConnectionStates {
        self.tables().states
    }

    /// The failure records.
    pub fn failures(&self) -> Failures {
        self.tables().failures
    }

    /// The batch imports.
    pub fn imports(&self) -> Imports {
        self.tables().imports
    }

    /// An operator confirms the deletions that wait: what `resync CONNECTION --confirm-deletes` does.
    pub async fn confirm_deletes(&self, connection: &ConnectionKey) {
        let registration = self.connections().get(connection).await.unwrap().unwrap();
        let resyncs = Resyncs::new(&self.tables());
        resyncs.request(&registration, &ResyncWhat::WithheldDeletes, self.now()).await.unwrap();
    }

    /// Undoes batch imports.
    pub fn undo(&self) -> Undo {
        Undo::new(&self.tables())
    }

    /// How the connections of the tenant `acme` stand.
    pub async fn statuses(&self) -> Vec<ConnectionStatus> {
        StatusReader::new(&self.tables()).all(Some("acme"), self.clock.now()).await.unwrap()
    }

    /// Lets the pollers do what there is to do now, whenever they asked last. Requests that wait are dropped: each is a
    /// hint.
    pub async fn poll(&self) {
        let polls = [(QUEUE_POLLS, AssociationAnywhereConfig::KIND), (CONTACT_POLLS, BusinessCatalystConfig::KIND)];
        let polls = polls.map(|(queue, kind)| async move {
            let registered = self.connections().of_kind(kind.name()).await.unwrap();
            let connections = registered.into_iter().map(|registration| registration.key).collect();
            self.queues.purge(queue);
            let Clients { sqs, clock, random, .. } = self.clients.clone();
            let request = PollRequest { purpose: PollPurpose::Now, connections };
            let requests = PollRequests::new(sqs, queue, clock, random);
            requests.send(vec![(0, request)], self.now() + Duration::from_secs(1)).await.unwrap();
            self.work_on(queue).await;
        });
        futures::future::join_all(polls).await;
    }

    /// Lets seconds pass with everything at work as its triggers say: a plan in each minute, polls when they are due,
    /// and workers at once.
    pub async fn run_triggers_for(&self, seconds: u64) {
        for second in 0..seconds {
            self.run_triggers(second % 60 == 0).await;
        }
    }

    /// Lets one second pass likewise, with a plan or without.
    pub async fn run_triggers(&self, plans: bool) {
        if plans {
            self.engine.tick().await;
        }
        for queue in [QUEUE_POLLS, CONTACT_POLLS, WORK_QUEUE, CONTACTS_QUEUE, QUEUE_POLLS, CONTACT_POLLS] {
            self.work_on(queue).await;
        }
        self.clock.advance(Duration::from_secs(1));
    }

    /// Has a worker of a queue work on messages, one after the other, and deletes those that it is done with.
    pub async fn deliver_to(&self, queue: &str, messages: &[ReceivedMessage]) {
        for batch in messages.chunks(1) {
            let response = self.engine.deliver(queue, batch).await;
            for message in batch {
                let failed = response.batch_item_failures.iter().any(|item| item.item_identifier == message.message_id);
                if !failed {
                    self.queues.delete(queue, message);
                }
            }
        }
    }

    /// Has the workers of a queue work on everything that is visible now.
    pub async fn work_on(&self, queue: &str) {
        self.deliver_to(queue, &self.queues.receive(queue, usize::MAX)).await;
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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;
    use model::Version;

    use super::*;

    #[tokio::test]
    #[should_panic(expected = "version 000000000002-000000000000000 after 000000000003-000000000000000")]
    async fn a_story_in_which_a_version_goes_back_fails_whatever_it_looks_at() {
        let world = TestDeployment::new(1).await;
        let client = limited(&world.database, &world.judge.0, &world.clock, &world.store_budget);
        for batch in [3, 2] {
            let version = Version::of_batch(batch, 0);
            let item = [("tenant", "acme"), ("id", "acme/aa~1001"), ("version", version.as_str())];
            let item = item.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
            client.put_item().table_name(SHADOW_TABLE).set_item(Some(item.into())).send().await.unwrap();
        }
    }
}
