//! The functions at work, in processes that die and begin again.

use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use lambda::{Clients, Metrics};
use local_aws::{EmbeddedDynamoDb, Engine, LocalSecrets, LocalSqs, Template};
use sources::Transport;
use store::{Clock, Random, Secrets};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, JoinSet};

use crate::run::Http;
use crate::transport::Sources;
use crate::weather::Weather;

/// What all processes share.
#[derive(Clone)]
pub struct Aws {
    /// The template of the functions.
    pub template: Template,
    /// DynamoDB.
    pub database: EmbeddedDynamoDb,
    /// SQS.
    pub queues: LocalSqs,
    /// Secrets Manager.
    pub secrets: LocalSecrets,
    /// The sources, which are no part of AWS.
    pub sources: Sources,
    /// The weather on the ways to all of them.
    pub weather: Weather,
    /// Clients of the sources and the destinations, of which each process makes its own.
    pub http: Http,
}

/// A process that works on every queue and answers requests, as an environment of Lambda does: it has its own caches
/// and its own clock.
pub struct Process {
    jobs: mpsc::UnboundedSender<BoxFuture<'static, ()>>,
    engine: Engine,
    death: Arc<Notify>,
    running: JoinHandle<()>,
}

impl Process {
    /// Starts a process.
    pub fn start(aws: &Aws, clock: Clock, seed: u64) -> Self {
        let death = Arc::new(Notify::new());
        let weather = Arc::new(aws.weather.of_process(death.clone()));
        let transport: Arc<dyn Transport> = Arc::new(aws.sources.of_process(weather.clone()));
        let clients = Clients {
            dynamodb: aws.database.client_through(weather.clone()),
            sqs: aws.queues.client_through(weather.clone()),
            secrets: Secrets::new(Some(aws.secrets.client_through(weather)), clock.clone()),
            http: aws.http.sources.through(transport.clone(), clock.clone()),
            destinations: aws.http.destinations.through(transport, clock.clone()),
            clock,
            random: Random::from_seed(seed),
            metrics: Metrics::off(),
        };
        let engine = Engine::new(&aws.template, &clients, aws.queues.clone(), aws.database.clone()).unwrap();
        let (jobs, mut waiting) = mpsc::unbounded_channel::<BoxFuture<'static, ()>>();
        let running = tokio::spawn({
            let (engine, death) = (engine.clone(), death.clone());
            async move {
                let mut tasks = JoinSet::new();
                tasks.spawn(async move { engine.run_queues().await });
                loop {
                    tokio::select! {
                        biased;
                        () = death.notified() => break,
                        Some(job) = waiting.recv() => { tasks.spawn(job); }
                        Some(_) = tasks.join_next() => {}
                    }
                }
                tasks.shutdown().await;
            }
        });
        Self { jobs, engine, death, running }
    }

    /// Whether it has died.
    pub fn is_dead(&self) -> bool {
        self.running.is_finished()
    }

    /// It dies.
    pub fn kill(&self) {
        self.death.notify_one();
    }

    /// Invokes the scheduled functions once.
    pub fn tick(&self) {
        let engine = self.engine.clone();
        // A dead process does nothing.
        let _ = self.jobs.send(Box::pin(async move { engine.tick().await }));
    }

    /// When it dies.
    pub fn death(&self) -> Death {
        Death(self.jobs.clone())
    }

    /// The API.
    pub fn gateway(&self) -> Router {
        self.engine.gateway()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// The death of a process.
#[derive(Clone)]
pub struct Death(mpsc::UnboundedSender<BoxFuture<'static, ()>>);

impl Death {
    /// Waits for it.
    pub async fn told(self) {
        self.0.closed().await;
    }
}
