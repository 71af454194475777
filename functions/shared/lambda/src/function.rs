use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use store::StoreError;

use crate::sqs_batch::process_batch;
use crate::start::{deadline_of, start};
use crate::{Clients, Environment, EnvironmentError};

/// A function, by what invokes it. The same value serves under Lambda, on one machine and in tests.
#[derive(Clone)]
pub enum Function {
    /// A schedule invokes it.
    Schedule(Arc<dyn ScheduleHandler>),
    /// Messages of a queue invoke it.
    Queue(Arc<dyn QueueHandler>),
    /// HTTP requests invoke it.
    Http(Router),
}

/// Builds a function with what its environment names.
pub type BuildFunction = fn(&Environment, Clients) -> Result<Function, EnvironmentError>;

/// What a function does that a schedule invokes.
pub trait ScheduleHandler: Send + Sync {
    /// Works until the next tick's invocation has come, or `deadline` is near.
    fn run(&self, deadline: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Works only until there is nothing left to do at this moment.
    fn run_once(&self, deadline: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// What a function does that messages of a queue invoke.
pub trait QueueHandler: Send + Sync {
    /// Works on one message. If it fails, SQS delivers the message again.
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// Works on the messages of one SQS event side by side, and reports those that failed, so that SQS keeps just them.
pub async fn handle_messages(handler: &dyn QueueHandler, event: SqsEvent, deadline: Timestamp) -> SqsBatchResponse {
    process_batch(event, |body| async move { handler.work(&body, deadline).await }).await
}

/// Runs a function under Lambda.
///
/// # Errors
/// If a variable of its environment is missing, or Lambda's runtime API fails; Lambda then starts the function anew.
pub async fn run(build: BuildFunction) -> Result<(), Error> {
    start(|environment, clients| async move {
        match build(&environment, clients)? {
            Function::Schedule(handler) => {
                let handler = &handler;
                let tick = |tick: LambdaEvent<Value>| async move {
                    handler.run(deadline_of(&tick.context)).await.map_err(Error::from)
                };
                lambda_runtime::run(service_fn(tick)).await
            }
            Function::Queue(handler) => {
                let handler = &*handler;
                let batch = |event: LambdaEvent<SqsEvent>| async move {
                    let deadline = deadline_of(&event.context);
                    Ok::<_, Error>(Box::pin(handle_messages(handler, event.payload, deadline)).await)
                };
                lambda_runtime::run(service_fn(batch)).await
            }
            Function::Http(router) => lambda_http::run(router).await,
        }
    })
    .await
}
