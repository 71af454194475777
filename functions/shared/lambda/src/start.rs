use jiff::Timestamp;
use lambda_runtime::Context;
use store::Clock;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::Environment;
use crate::json_lines::JsonLines;
use crate::logs::log_filter;

/// Logs as JSON, from the level on that the environment names.
pub(crate) fn log_to_stdout(environment: &Environment) {
    // A panic's own text may quote the data that caused it: only the place is logged.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(place = panic.location().map(tracing::field::display), "a panic");
    }));
    let level = environment.optional("POWERTOOLS_LOG_LEVEL").and_then(|level| level.parse().ok());
    let service = environment.optional("POWERTOOLS_SERVICE_NAME").unwrap_or_default().to_owned();
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines { service, clock: Clock::system() });
    let filter = log_filter(Targets::new().with_default(level.unwrap_or(LevelFilter::INFO)));
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
}

/// When Lambda stops this invocation.
pub(crate) fn deadline_of(context: &Context) -> Timestamp {
    i64::try_from(context.deadline).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::MAX)
}
