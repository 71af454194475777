use std::future::Future;

use jiff::Timestamp;
use lambda_runtime::{Context, Error};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::json_lines::JsonLines;
use crate::logs::log_filter;
use crate::{Clients, Environment};

/// Starts a function under Lambda: logs as JSON, clients of AWS, then `run`.
///
/// # Errors
/// What `run` returns; Lambda then starts the function anew.
pub(crate) async fn start<F: Future<Output = Result<(), Error>>>(
    run: impl FnOnce(Environment, Clients) -> F,
) -> Result<(), Error> {
    let environment = Environment::of_process();
    // A panic's own text may quote the data that caused it: only the place is logged.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(place = panic.location().map(tracing::field::display), "a panic");
    }));
    let level = environment.optional("POWERTOOLS_LOG_LEVEL").unwrap_or("INFO");
    let service = environment.optional("POWERTOOLS_SERVICE_NAME").unwrap_or_default().to_owned();
    let clients = Clients::of_aws(&environment).await?;
    let clock = clients.clock.clone();
    let lines =
        tracing_subscriber::fmt::layer().fmt_fields(JsonFields::new()).event_format(JsonLines { service, clock });
    let filter = log_filter(EnvFilter::new(level.to_lowercase()));
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    run(environment, clients).await
}

/// When Lambda stops this invocation.
pub(crate) fn deadline_of(context: &Context) -> Timestamp {
    i64::try_from(context.deadline).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::MAX)
}
