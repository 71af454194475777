use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::Filter;

/// Crates that may log everything at level `trace`: they are ours, and keep to the rule that no secret and no personal
/// data get into a log.
pub const OURS: [&str; 30] = [
    "api",
    "config",
    "connector_api",
    "customer_sync",
    "customers_api",
    "destinations",
    "fetch_customers",
    "figures",
    "fuzz",
    "import_api",
    "invariants",
    "lambda",
    "local_aws",
    "model",
    "operations",
    "poll_contacts",
    "poll_queue",
    "polling",
    "publish_changes",
    "push_changes",
    "schedule_polls",
    "simulation",
    "simulators",
    "sources",
    "store",
    "tests",
    "upsert_customers",
    "verification",
    "wire",
    "working",
];
/// Libraries that carry requests and answers: their logs are of no use to an operator.
const CARRIERS: [&str; 6] = ["h2", "hyper", "hyper_util", "reqwest", "rustls", "tower"];

/// The most that a target may ever log, whatever level is asked for. At `trace` the AWS SDK logs every answer of
/// DynamoDB, with customers and the hashes of their passwords.
fn most_of(target: &str) -> LevelFilter {
    let library = target.split("::").next().unwrap_or(target);
    if OURS.contains(&library) {
        LevelFilter::TRACE
    } else if CARRIERS.contains(&library) {
        LevelFilter::INFO
    } else {
        LevelFilter::DEBUG
    }
}

/// Lets into the log what `asked` asks for, without what may hold personal data.
pub fn log_filter<S: 'static>(asked: Targets) -> impl Filter<S> + Send + Sync + 'static {
    asked.and(filter_fn(|metadata| is_loggable(metadata.target(), metadata.level())))
}

fn is_loggable(target: &str, level: &Level) -> bool {
    *level <= most_of(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_of_the_workspace_is_one_of_ours_and_no_other() {
        let workspace = include_str!("../../../../Cargo.toml");
        let members = workspace.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
        let mut crates: Vec<String> = members
            .lines()
            .filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","))
            .map(|path| path.rsplit('/').next().unwrap().replace('-', "_"))
            .map(|name| if name == "cli" { "customer_sync".to_owned() } else { name })
            .collect();
        crates.sort();
        assert_eq!(crates, OURS);
    }

    /// Secrets and personal data never reach a log, whatever level is asked for.
    #[test]
    fn no_library_logs_at_trace_and_none_that_carries_requests_at_debug() {
        for library in
            ["aws_smithy_runtime::client::orchestrator", "aws_sdk_dynamodb::operation", "dynoxide", "lambda_runtime"]
        {
            assert!(is_loggable(library, &Level::DEBUG) && !is_loggable(library, &Level::TRACE), "{library}");
        }
        for library in ["h2::codec", "hyper::proto::h1", "reqwest", "rustls::client"] {
            assert!(is_loggable(library, &Level::INFO) && !is_loggable(library, &Level::DEBUG), "{library}");
        }
        assert!(is_loggable("store::shadow", &Level::TRACE) && is_loggable("customer_sync", &Level::TRACE));
        // A name that begins like one of ours is not ours.
        assert!(!is_loggable("storefront", &Level::TRACE));
    }
}
