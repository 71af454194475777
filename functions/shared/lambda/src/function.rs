use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde_json::Value;
use store::StoreError;
use tracing::{Instrument, Span};

use crate::sqs_batch::process_batch;
use crate::start::{deadline_of, start};
use crate::stream::{StreamEvent, TableChange};
use crate::{Clients, Environment, EnvironmentError};

/// A function, by its trigger. The same value serves under Lambda, on one machine and in tests.
#[derive(Clone)]
pub enum Function {
    /// A schedule invokes it.
    Schedule(Arc<dyn ScheduleHandler>),
    /// Messages of a queue invoke it.
    Queue(Arc<dyn QueueHandler>),
    /// Changes of a table invoke it.
    Stream(Arc<dyn StreamHandler>),
    /// HTTP requests invoke it.
    Http(Router),
}

/// Builds a function with what its environment names.
pub type BuildFunction = fn(&Environment, Clients) -> Result<Function, EnvironmentError>;

/// What a function does that a schedule invokes.
pub trait ScheduleHandler: Send + Sync {
    /// Does what is to be done at this moment, before `deadline`.
    fn run(&self, deadline: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// What a function does that messages of a queue invoke.
pub trait QueueHandler: Send + Sync {
    /// Works on one message. If it fails, SQS delivers the message again.
    fn work<'a>(&'a self, message: &'a str, deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// What a function does that changes of a table invoke.
pub trait StreamHandler: Send + Sync {
    /// Takes changes of one shard, in their order. If it fails, Lambda delivers all of them again, perhaps in halves.
    fn take<'a>(&'a self, changes: &'a [TableChange], deadline: Timestamp) -> BoxFuture<'a, Result<(), StoreError>>;
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
        let invocations = Invocations::default();
        match build(&environment, clients)? {
            Function::Schedule(handler) => {
                let (handler, invocations) = (&handler, &invocations);
                let tick = |tick: LambdaEvent<Value>| async move {
                    let span = invocations.span(&tick.context);
                    handler.run(deadline_of(&tick.context)).instrument(span).await.map_err(Error::from)
                };
                lambda_runtime::run(service_fn(tick)).await
            }
            Function::Queue(handler) => {
                let (handler, invocations) = (&*handler, &invocations);
                let batch = |event: LambdaEvent<SqsEvent>| async move {
                    let (deadline, span) = (deadline_of(&event.context), invocations.span(&event.context));
                    Ok::<_, Error>(Box::pin(handle_messages(handler, event.payload, deadline).instrument(span)).await)
                };
                lambda_runtime::run(service_fn(batch)).await
            }
            Function::Stream(handler) => {
                let (handler, invocations) = (&*handler, &invocations);
                let changes = |event: LambdaEvent<StreamEvent>| async move {
                    let span = invocations.span(&event.context);
                    let changes = event.payload.changes();
                    handler.take(&changes, deadline_of(&event.context)).instrument(span).await.map_err(Error::from)
                };
                lambda_runtime::run(service_fn(changes)).await
            }
            Function::Http(router) => {
                let invocations = Arc::new(invocations);
                let in_span = move |request: Request, next: Next| {
                    let span = invocations.span_of(&request);
                    next.run(request).instrument(span)
                };
                lambda_http::run(router.layer(from_fn(in_span))).await
            }
        }
    })
    .await
}

/// The invocations of this process. Each has a span whose fields stand on every log line within it, named as Powertools
/// does. Spans of the level `error` are there whatever level is logged.
#[derive(Debug, Default)]
struct Invocations {
    has_begun: AtomicBool,
}

impl Invocations {
    fn span(&self, context: &Context) -> Span {
        let cold_start = !self.has_begun.swap(true, Ordering::Relaxed);
        tracing::error_span!("invocation", function_request_id = context.request_id, cold_start)
    }

    /// The span of a request, with its id of API Gateway, which stands in the access log too.
    fn span_of(&self, request: &Request) -> Span {
        let cold_start = !self.has_begun.swap(true, Ordering::Relaxed);
        let function_request_id = request.lambda_context_ref().map(|context| context.request_id.as_str());
        let correlation_id = match request.extensions().get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.request_id.as_deref(),
            _ => None,
        };
        tracing::error_span!("invocation", function_request_id, correlation_id, cold_start)
    }
}
