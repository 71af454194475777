use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use futures::future::BoxFuture;
use jiff::Timestamp;
use lambda_http::request::{LambdaRequest, RequestContext};
use lambda_http::{Adapter, RequestExt};
use lambda_runtime::{Context, Error, LambdaEvent, Service, service_fn};
use serde_json::value::{RawValue, to_raw_value};
use store::StoreError;
use tracing::{Instrument, Span};

use crate::sqs_batch::process_batch;
use crate::start::{deadline_of, log_to_stdout};
use crate::stream::{StreamEvent, TableChange};
use crate::{Clients, Environment, EnvironmentError, aws};

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

/// Runs a function under Lambda. It is built with the first event: until then a process has read its environment, and
/// no more.
///
/// # Errors
/// If Lambda's runtime API fails; Lambda then starts the function anew.
pub async fn run(build: BuildFunction) -> Result<(), Error> {
    let environment = Environment::of_process();
    log_to_stdout(&environment);
    let process = Process { environment, build, built: OnceLock::new(), invocations: Arc::default() };
    let process = &process;
    lambda_runtime::run(service_fn(move |event| process.answer(event))).await
}

/// A process of a function under Lambda.
struct Process {
    environment: Environment,
    build: BuildFunction,
    built: OnceLock<Function>,
    invocations: Arc<Invocations>,
}

impl Process {
    async fn answer(
        &self,
        LambdaEvent { payload, context }: LambdaEvent<Box<RawValue>>,
    ) -> Result<Box<RawValue>, Error> {
        let (payload, deadline) = (payload.get(), deadline_of(&context));
        match self.function()? {
            Function::Schedule(handler) => {
                handler.run(deadline).instrument(self.invocations.span(&context)).await?;
                Ok(to_raw_value(&())?)
            }
            Function::Queue(handler) => {
                let event = serde_json::from_str(payload)?;
                let answering = handle_messages(&*handler, event, deadline);
                Ok(to_raw_value(&Box::pin(answering.instrument(self.invocations.span(&context))).await)?)
            }
            Function::Stream(handler) => {
                let changes = serde_json::from_str::<StreamEvent>(payload)?.changes();
                handler.take(&changes, deadline).instrument(self.invocations.span(&context)).await?;
                Ok(to_raw_value(&())?)
            }
            Function::Http(router) => {
                let event = LambdaEvent { payload: serde_json::from_str::<LambdaRequest>(payload)?, context };
                Ok(to_raw_value(&Adapter::from(router).call(event).await?)?)
            }
        }
    }

    /// The function, which the first event builds.
    fn function(&self) -> Result<Function, EnvironmentError> {
        if let Some(built) = self.built.get() {
            return Ok(built.clone());
        }
        let clients = Clients::of_config(&aws::config(&self.environment)?, &self.environment);
        let mut built = (self.build)(&self.environment, clients)?;
        if let Function::Http(router) = built {
            let invocations = self.invocations.clone();
            let in_span = move |request: Request, next: Next| {
                let span = invocations.span_of(&request);
                next.run(request).instrument(span)
            };
            built = Function::Http(router.layer(from_fn(in_span)));
        }
        Ok(self.built.get_or_init(|| built).clone())
    }
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
