use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use axum::Router;
use jiff::Timestamp;
use lambda::{
    BuildFunction, Clients, Environment, EnvironmentError, Function, QueueHandler, ScheduleHandler, StreamHandler,
    handle_messages,
};
use store::{Clock, StoreError};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::dynamodb::EmbeddedDynamoDb;
use crate::event_source::{EventSource, sqs_event};
use crate::gateway;
use crate::server::{self, Limits};
use crate::sqs::{LocalSqs, ReceivedMessage};
use crate::stream_source::StreamSource;
use crate::template::{Function as TemplateFunction, HttpRoute, QueueTrigger, Schedule, StreamTrigger, Template};

/// When Lambda repeats an asynchronous invocation for the first time; for the second time it waits twice as long.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The functions that are built into this program, by binary.
const FUNCTIONS: [(&str, BuildFunction); 10] = [
    ("schedule-polls", schedule_polls::function),
    ("poll-queue", poll_queue::function),
    ("poll-contacts", poll_contacts::function),
    ("fetch-customers", fetch_customers::function),
    ("upsert-customers", upsert_customers::function),
    ("customers-api", customers_api::function),
    ("connector-api", connector_api::function),
    ("import-api", import_api::function),
    ("publish-changes", publish_changes::function),
    ("push-changes", push_changes::function),
];

/// The functions of a template, ready to be invoked by their triggers.
#[derive(Clone)]
pub struct Engine {
    scheduled: Vec<(TemplateFunction, Arc<dyn ScheduleHandler>)>,
    queued: Vec<(TemplateFunction, Arc<dyn QueueHandler>)>,
    streamed: Vec<(TemplateFunction, Arc<dyn StreamHandler>)>,
    http: Vec<(TemplateFunction, Router)>,
    queues: LocalSqs,
    database: EmbeddedDynamoDb,
    clock: Clock,
}

/// The template names something that this program can't run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A function that is not built into this program.
    #[error("template.yaml: there is no function with the binary `{0}` in this program")]
    UnknownFunction(String),
    /// A queue that the template does not hold.
    #[error("template.yaml: the function `{binary}` works on `{queue}`, which is no queue of the template")]
    UnknownQueue {
        /// The function's binary.
        binary: String,
        /// What should be a queue.
        queue: String,
    },
    /// A table that the template does not hold.
    #[error("template.yaml: the function `{binary}` reads the stream of `{table}`, which is no table of the template")]
    UnknownTable {
        /// The function's binary.
        binary: String,
        /// What should be a table.
        table: String,
    },
    /// A trigger that the function does not support.
    #[error("template.yaml: the function `{binary}` is not made for {trigger}")]
    WrongTrigger {
        /// The function's binary.
        binary: String,
        /// What the template triggers it with.
        trigger: &'static str,
    },
    /// An environment variable that the function needs and the template does not set.
    #[error("template.yaml: the function `{binary}`: {source}")]
    Environment {
        /// The function's binary.
        binary: String,
        /// Which variable.
        source: EnvironmentError,
    },
}

impl Engine {
    /// Builds every function of the template.
    ///
    /// # Errors
    /// If the template names a function, a trigger or an environment that does not fit.
    pub fn new(
        template: &Template,
        clients: &Clients,
        queues: LocalSqs,
        database: EmbeddedDynamoDb,
    ) -> Result<Self, EngineError> {
        let clock = clients.clock.clone();
        let (scheduled, queued, streamed, http) = Default::default();
        let mut engine = Self { scheduled, queued, streamed, http, queues, database, clock };
        for function in &template.functions {
            let binary = function.binary.clone();
            let environment = Environment::of(function.environment.clone());
            let missing = |source| EngineError::Environment { binary: binary.clone(), source };
            let triggers = [
                ("schedules", !function.schedules.is_empty()),
                ("queues", !function.queues.is_empty()),
                ("streams", !function.streams.is_empty()),
                ("HTTP requests", !function.routes.is_empty()),
            ];
            let Some((_, build)) = FUNCTIONS.iter().find(|(name, _)| *name == binary) else {
                return Err(EngineError::UnknownFunction(binary));
            };
            let made_for = match build(&environment, clients.clone()).map_err(missing)? {
                Function::Schedule(handler) => {
                    engine.scheduled.push((function.clone(), handler));
                    "schedules"
                }
                Function::Queue(handler) => {
                    engine.queued.push((function.clone(), handler));
                    "queues"
                }
                Function::Stream(handler) => {
                    engine.streamed.push((function.clone(), handler));
                    "streams"
                }
                Function::Http(router) => {
                    engine.http.push((function.clone(), router));
                    "HTTP requests"
                }
            };
            for QueueTrigger { queue, .. } in &function.queues {
                if !template.queues.iter().any(|known| known.name == *queue) {
                    return Err(EngineError::UnknownQueue { binary, queue: queue.clone() });
                }
            }
            for StreamTrigger { table, .. } in &function.streams {
                if !template.tables.iter().any(|known| known.name == *table) {
                    return Err(EngineError::UnknownTable { binary, table: table.clone() });
                }
            }
            if let Some((trigger, _)) = triggers.into_iter().find(|(trigger, used)| *used && *trigger != made_for) {
                return Err(EngineError::WrongTrigger { binary, trigger });
            }
        }
        Ok(engine)
    }

    /// Runs every trigger until it is dropped or one of them ends, which none does by itself. Serves these pages beside
    /// the API.
    pub async fn run(&self, listener: TcpListener, pages: Router) -> std::io::Result<()> {
        let mut schedules = JoinSet::new();
        for (function, handler) in &self.scheduled {
            for schedule in &function.schedules {
                schedules.spawn(run_schedule(schedule.clone(), function.clone(), handler.clone(), self.clock.clone()));
            }
        }
        let gateway = server::serve(listener, self.gateway().merge(pages), Limits::default());
        tokio::select! {
            biased;
            ended = gateway => ended,
            _ = schedules.join_next() => Err(std::io::Error::other("a schedule has ended")),
            () = self.run_queues() => Err(std::io::Error::other("a queue is not worked on any more")),
        }
    }

    /// Works on every queue and every stream until it is dropped.
    pub async fn run_queues(&self) {
        let mut tasks = JoinSet::new();
        for (function, handler) in &self.queued {
            for trigger in &function.queues {
                let source = EventSource {
                    trigger: trigger.clone(),
                    queues: self.queues.clone(),
                    clock: self.clock.clone(),
                    timeout: function.timeout,
                    handler: handler.clone(),
                };
                tasks.spawn(source.run());
            }
        }
        for (function, handler) in &self.streamed {
            for trigger in &function.streams {
                for journal in EmbeddedDynamoDb::shards_of(&trigger.table) {
                    let source = StreamSource {
                        trigger: trigger.clone(),
                        journal,
                        database: self.database.clone(),
                        clock: self.clock.clone(),
                        timeout: function.timeout,
                        handler: handler.clone(),
                    };
                    tasks.spawn(source.run());
                }
            }
        }
        tasks.join_next().await;
    }

    /// Has the streams read to their ends, while nothing else [runs](Self::run). Returns how many batches that took.
    ///
    /// # Errors
    /// The first error of a function.
    pub async fn drain_streams(&self) -> Result<u64, StoreError> {
        let mut batches = 0;
        for (function, handler) in &self.streamed {
            for trigger in &function.streams {
                for journal in EmbeddedDynamoDb::shards_of(&trigger.table) {
                    let deadline = self.clock.now() + function.timeout;
                    // Whoever had the shard was dropped with the run.
                    while let Some(batch) =
                        self.database.stream_batch(&journal, trigger.batch_size, Timestamp::MAX, deadline).await
                    {
                        let taken = handler.take(&batch.changes, deadline).await;
                        self.database.stream_batch_ended(batch, taken.is_ok()).await;
                        taken?;
                        batches += 1;
                    }
                }
            }
        }
        Ok(batches)
    }

    /// The API, as API Gateway would serve it.
    pub fn gateway(&self) -> Router {
        gateway::router(&self.http)
    }

    /// Runs every scheduled function once.
    pub async fn tick(&self) {
        for (function, handler) in &self.scheduled {
            if let Err(error) = handler.run(self.clock.now() + function.timeout).await {
                tracing::error!(%error, "a scheduled invocation failed");
            }
        }
    }

    /// Invokes the function that works on `queue` with `messages`, and returns what it answers.
    pub async fn deliver(&self, queue: &str, messages: &[ReceivedMessage]) -> SqsBatchResponse {
        for (function, handler) in &self.queued {
            if function.queues.iter().any(|trigger| trigger.queue == queue) {
                let deadline = self.clock.now() + function.timeout;
                return handle_messages(&**handler, sqs_event(messages), deadline).await;
            }
        }
        SqsBatchResponse::default()
    }
}

/// Invokes a function at intervals; an invocation may outlive its interval, as on AWS.
async fn run_schedule(schedule: Schedule, function: TemplateFunction, handler: Arc<dyn ScheduleHandler>, clock: Clock) {
    let mut invocations = JoinSet::new();
    loop {
        invocations.spawn(invoke_asynchronously(function.clone(), handler.clone(), clock.clone()));
        clock.sleep(schedule.every).await;
        while invocations.try_join_next().is_some() {}
    }
}

/// The schedule hands its event to Lambda, which invokes the function asynchronously: one that fails is invoked again
/// after a minute and after two more, unless the event is too old by then.
async fn invoke_asynchronously(function: TemplateFunction, handler: Arc<dyn ScheduleHandler>, clock: Clock) {
    let arrived_at = clock.now();
    for attempt in 0..=function.retries {
        clock.sleep(RETRY_AFTER * attempt).await;
        if attempt > 0 && clock.now() > arrived_at + function.most_age {
            tracing::error!("a scheduled event was dropped: it is too old");
            return;
        }
        tokio::select! {
            biased;
            done = handler.run(clock.now() + function.timeout) => match done {
                Ok(()) => return,
                Err(error) => tracing::error!(%error, "a scheduled invocation failed"),
            },
            () = clock.sleep(function.timeout) => tracing::error!("a scheduled invocation timed out"),
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let routes: Vec<&HttpRoute> = self.http.iter().flat_map(|(function, _)| &function.routes).collect();
        formatter.debug_struct("Engine").field("routes", &routes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_sdk_dynamodb::types::AttributeValue;
    use futures::future::BoxFuture;
    use lambda::TableChange;

    use super::*;

    /// Fails each time.
    #[derive(Default)]
    struct Failing(AtomicU32);

    impl ScheduleHandler for Failing {
        fn run(&self, _: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err(StoreError::Throttled { operation: "Query" }) })
        }
    }

    /// Counts what it is given.
    #[derive(Default)]
    struct Counting(AtomicU32);

    impl StreamHandler for Counting {
        fn take<'a>(&'a self, changes: &'a [TableChange], _: Timestamp) -> BoxFuture<'a, Result<(), StoreError>> {
            self.0.fetch_add(changes.len() as u32, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        }
    }

    #[tokio::test]
    async fn what_an_invocation_held_that_was_dropped_with_its_run_is_drained() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let template = Template::parse(crate::TEMPLATE).unwrap();
        let database = EmbeddedDynamoDb::in_memory().unwrap();
        for table in &template.tables {
            database.create_table(table).await.unwrap();
        }
        let item =
            [("id", "t/aa~1"), ("listing", "t/aa/00")].map(|(name, value)| (name, AttributeValue::S(value.into())));
        let put = item
            .into_iter()
            .fold(database.client().put_item().table_name("ShadowTable"), |put, (name, value)| put.item(name, value));
        put.send().await.unwrap();
        for shard in EmbeddedDynamoDb::shards_of("ShadowTable") {
            drop(database.stream_batch(&shard, 10, clock.now(), clock.now() + Duration::from_secs(60)).await);
        }
        let function = template.functions.iter().find(|function| !function.streams.is_empty()).unwrap().clone();
        let handler = Arc::new(Counting::default());
        let streamed: Vec<(TemplateFunction, Arc<dyn StreamHandler>)> = vec![(function, handler.clone())];
        let queues = LocalSqs::new(&template.queues, clock.clone());
        let (scheduled, queued, http) = Default::default();
        let engine = Engine { scheduled, queued, streamed, http, queues, database: database.clone(), clock };
        assert_eq!(engine.drain_streams().await.unwrap(), 1);
        assert_eq!((handler.0.load(Ordering::SeqCst), database.stream_records()), (1, 0));
    }

    async fn attempts(retries: u32, most_age: Duration) -> (u32, Duration) {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let (timeout, environment) = (Duration::from_secs(30), HashMap::new());
        let (schedules, queues, streams, routes) = Default::default();
        let binary = "schedule-polls".to_owned();
        let function =
            TemplateFunction { binary, timeout, retries, most_age, environment, schedules, queues, streams, routes };
        let handler = Arc::new(Failing::default());
        let passing = async {
            loop {
                tokio::task::yield_now().await;
                clock.advance(Duration::from_secs(1));
            }
        };
        tokio::select! {
            biased;
            () = invoke_asynchronously(function, handler.clone(), clock.clone()) => {}
            () = passing => {}
        }
        let passed = clock.now().duration_since(Timestamp::UNIX_EPOCH);
        (handler.0.load(Ordering::SeqCst), Duration::try_from(passed).unwrap())
    }

    #[tokio::test]
    async fn an_asynchronous_invocation_that_fails_is_repeated_as_lambda_does_until_its_event_is_too_old() {
        let (count, passed) = attempts(2, Duration::from_secs(21_600)).await;
        assert_eq!(count, 3);
        assert!(passed >= Duration::from_secs(180), "{passed:?}: after one minute, and after two more");
        assert_eq!(attempts(2, Duration::from_secs(90)).await.0, 2, "the event is too old for the second");
        assert_eq!(attempts(0, Duration::from_secs(60)).await.0, 1, "as our template says");
    }
}
