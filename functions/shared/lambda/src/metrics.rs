use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Environment;

/// Metrics in CloudWatch's embedded metric format: a line of JSON in the log, and no request.
///
/// Names, namespace and service follow Powertools for AWS Lambda.
#[derive(Clone, Debug)]
pub struct Metrics(Option<Names>);

#[derive(Clone, Debug)]
struct Names {
    namespace: String,
    service: String,
}

impl Metrics {
    /// No metrics: a run on one machine shows its own figures.
    pub fn off() -> Self {
        Self(None)
    }

    /// Metrics to the log, if `POWERTOOLS_METRICS_NAMESPACE` is set.
    pub fn from_environment(environment: &Environment) -> Self {
        Self(environment.optional("POWERTOOLS_METRICS_NAMESPACE").map(|namespace| Names {
            namespace: namespace.to_owned(),
            service: environment.optional("POWERTOOLS_SERVICE_NAME").unwrap_or("customer-sync").to_owned(),
        }))
    }

    /// Publishes counts of one connection at one time.
    pub fn count(&self, connection: &str, at: Timestamp, counts: &[(&str, u64)]) {
        self.publish(connection, at, "Count", counts);
    }

    /// Publishes counts at one time that belong to no connection.
    pub fn total(&self, at: Timestamp, counts: &[(&str, u64)]) {
        if let Some(names) = &self.0 {
            println!("{}", line(names, None, at, "Count", counts));
        }
    }

    /// Publishes durations in seconds of one connection at one time.
    pub fn seconds(&self, connection: &str, at: Timestamp, durations: &[(&str, u64)]) {
        self.publish(connection, at, "Seconds", durations);
    }

    fn publish(&self, connection: &str, at: Timestamp, unit: &str, values: &[(&str, u64)]) {
        if let Some(names) = &self.0 {
            println!("{}", line(names, Some(connection), at, unit, values));
        }
    }
}

fn line(names: &Names, connection: Option<&str>, at: Timestamp, unit: &str, values: &[(&str, u64)]) -> Value {
    let metrics: Vec<Value> = values.iter().map(|(name, _)| json!({ "Name": name, "Unit": unit })).collect();
    let dimensions = if connection.is_some() { vec!["service", "connection"] } else { vec!["service"] };
    let mut line = Map::from_iter([
        (
            "_aws".to_owned(),
            json!({
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": names.namespace,
                    "Dimensions": [dimensions],
                    "Metrics": metrics,
                }],
            }),
        ),
        ("service".to_owned(), json!(names.service)),
    ]);
    if let Some(connection) = connection {
        line.insert("connection".to_owned(), json!(connection));
    }
    line.extend(values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_every_metric_that_it_holds() {
        let names = Names { namespace: "CustomerSync".into(), service: "fetch-customers".into() };
        let line = line(&names, Some("acme/aa"), Timestamp::UNIX_EPOCH, "Count", &[("written", 3), ("failed", 0)]);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Metrics"][1], json!({ "Name": "failed", "Unit": "Count" }));
        assert_eq!((&line["written"], &line["failed"], &line["connection"]), (&json!(3), &json!(0), &json!("acme/aa")));
    }

    #[test]
    fn a_total_has_no_connection() {
        let names = Names { namespace: "CustomerSync".into(), service: "customers-api".into() };
        let line = line(&names, None, Timestamp::UNIX_EPOCH, "Count", &[("refused", 1)]);
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"], json!([["service"]]));
        assert_eq!((&line["refused"], line.get("connection")), (&json!(1), None));
    }
}
