use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Environment;

/// Metrics in CloudWatch's embedded metric format: a line of JSON in the log, and no request.
///
/// Names, namespace and service follow Powertools for AWS Lambda. A metric has the dimension `service` and costs the same
/// however many connections there are. If asked for, each connection has metrics of its own too, which cost as much
/// again. The line names the connection either way.
#[derive(Clone, Debug)]
pub struct Metrics(Option<Names>);

#[derive(Clone, Debug)]
struct Names {
    namespace: String,
    service: String,
    by_connection: bool,
}

impl Metrics {
    /// No metrics: a run on one machine shows its own figures.
    pub fn off() -> Self {
        Self(None)
    }

    /// Metrics to the log, if `POWERTOOLS_METRICS_NAMESPACE` is set; by connection too, if `METRICS_BY_CONNECTION` is
    /// `true`.
    pub fn from_environment(environment: &Environment) -> Self {
        Self(environment.optional("POWERTOOLS_METRICS_NAMESPACE").map(|namespace| Names {
            namespace: namespace.to_owned(),
            service: environment.optional("POWERTOOLS_SERVICE_NAME").unwrap_or("customer-sync").to_owned(),
            by_connection: environment.optional("METRICS_BY_CONNECTION") == Some("true"),
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
    let mut dimensions = vec![vec!["service"]];
    if connection.is_some() && names.by_connection {
        dimensions.push(vec!["service", "connection"]);
    }
    let mut line = Map::from_iter([
        (
            "_aws".to_owned(),
            json!({
                "Timestamp": at.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": names.namespace,
                    "Dimensions": dimensions,
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

    /// What a line says is a metric, and the line.
    fn written(by_connection: &str, connection: Option<&str>, values: &[(&str, u64)]) -> (Value, Value) {
        let variables = [
            ("POWERTOOLS_METRICS_NAMESPACE", "CustomerSync/test"),
            ("POWERTOOLS_SERVICE_NAME", "fetch-customers"),
            ("METRICS_BY_CONNECTION", by_connection),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = Environment::of(variables.into());
        let Metrics(names) = Metrics::from_environment(&environment);
        let line = line(&names.unwrap(), connection, Timestamp::UNIX_EPOCH, "Count", values);
        (line["_aws"]["CloudWatchMetrics"][0].clone(), line)
    }

    #[test]
    fn a_line_names_every_metric_that_it_holds() {
        let (metrics, line) = written("false", Some("acme/aa"), &[("written", 3), ("failed", 0)]);
        assert_eq!(metrics["Namespace"], "CustomerSync/test");
        assert_eq!(metrics["Metrics"][1], json!({ "Name": "failed", "Unit": "Count" }));
        assert_eq!((&line["written"], &line["failed"]), (&json!(3), &json!(0)));
    }

    #[test]
    fn a_metric_is_of_the_service_and_the_line_names_the_connection() {
        let (metrics, line) = written("false", Some("acme/aa"), &[("written", 3)]);
        assert_eq!(metrics["Dimensions"], json!([["service"]]));
        assert_eq!((&line["service"], &line["connection"]), (&json!("fetch-customers"), &json!("acme/aa")));
    }

    #[test]
    fn a_metric_is_of_each_connection_too_if_that_is_asked_for() {
        let (metrics, _) = written("true", Some("acme/aa"), &[("written", 3)]);
        assert_eq!(metrics["Dimensions"], json!([["service"], ["service", "connection"]]));
    }

    #[test]
    fn a_total_has_no_connection() {
        let (metrics, line) = written("true", None, &[("refused", 1)]);
        assert_eq!(metrics["Dimensions"], json!([["service"]]));
        assert_eq!((&line["refused"], line.get("connection")), (&json!(1), None));
    }
}
