use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::Environment;

/// Metrics in CloudWatch's embedded metric format: a line of JSON in the log, and no request.
///
/// Names, namespace and service follow Powertools for AWS Lambda. A metric has the dimension `service` and costs the
/// same however many connections there are. If asked for, each connection has metrics of its own too, which cost as
/// much again. The line names the connection either way. A metric is paid for in every hour that has a value of it: a
/// count of nothing stands in the line and is no metric.
#[derive(Clone, Debug)]
pub struct Metrics(Option<Names>);

#[derive(Clone, Debug)]
struct Names {
    namespace: String,
    service: String,
    by_connection: bool,
}

const COUNT: &str = "Count";

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
        self.publish(connection, at, COUNT, counts);
    }

    /// Publishes counts at one time that belong to no connection.
    pub fn total(&self, at: Timestamp, counts: &[(&str, u64)]) {
        if let Some(names) = &self.0 {
            println!("{}", line(names, None, at, COUNT, counts));
        }
    }

    /// Publishes durations in seconds of one connection at one time.
    pub fn seconds(&self, connection: &str, at: Timestamp, durations: &[(&str, u64)]) {
        self.publish(connection, at, "Seconds", durations);
    }

    /// Publishes figures of one connection at one time, of which 0 says something too.
    pub fn figures(&self, connection: &str, at: Timestamp, figures: &[(&str, u64)]) {
        self.publish(connection, at, "None", figures);
    }

    fn publish(&self, connection: &str, at: Timestamp, unit: &str, values: &[(&str, u64)]) {
        if let Some(names) = &self.0 {
            println!("{}", line(names, Some(connection), at, unit, values));
        }
    }
}

fn line(names: &Names, connection: Option<&str>, at: Timestamp, unit: &str, values: &[(&str, u64)]) -> Value {
    let metrics: Vec<Value> = values
        .iter()
        .filter(|(_, value)| *value > 0 || unit != COUNT)
        .map(|(name, _)| json!({ "Name": name, "Unit": unit }))
        .collect();
    let mut dimensions = vec![vec!["service"]];
    if connection.is_some() && names.by_connection {
        dimensions.push(vec!["service", "connection"]);
    }
    let mut line = Map::from_iter([("service".to_owned(), json!(names.service))]);
    if !metrics.is_empty() {
        let directive = json!({ "Namespace": names.namespace, "Dimensions": dimensions, "Metrics": metrics });
        let metadata = json!({ "Timestamp": at.as_millisecond(), "CloudWatchMetrics": [directive] });
        line.insert("_aws".to_owned(), metadata);
    }
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
        let line = line(&names.unwrap(), connection, Timestamp::UNIX_EPOCH, COUNT, values);
        (line["_aws"]["CloudWatchMetrics"][0].clone(), line)
    }

    #[test]
    fn a_line_names_every_metric_that_it_holds() {
        let (metrics, line) = written("false", Some("acme/aa"), &[("written", 3), ("failed", 1)]);
        assert_eq!(metrics["Namespace"], "CustomerSync/test");
        assert_eq!(metrics["Metrics"][1], json!({ "Name": "failed", "Unit": "Count" }));
        assert_eq!((&line["written"], &line["failed"]), (&json!(3), &json!(1)));
    }

    #[test]
    fn a_count_of_nothing_stands_in_the_line_and_is_no_metric() {
        let (metrics, line) = written("false", Some("acme/aa"), &[("written", 3), ("failed", 0)]);
        assert_eq!(metrics["Metrics"], json!([{ "Name": "written", "Unit": "Count" }]));
        assert_eq!(line["failed"], json!(0));
        let (_, line) = written("false", Some("acme/aa"), &[("written", 0)]);
        assert_eq!((line.get("_aws"), &line["written"]), (None, &json!(0)));
    }

    #[test]
    fn a_figure_is_a_metric_even_if_it_is_0() {
        let names = Names { namespace: "n".into(), service: "s".into(), by_connection: false };
        let line = line(&names, Some("acme/aa"), Timestamp::UNIX_EPOCH, "None", &[("drift", 0)]);
        let metrics = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
        assert_eq!((metrics, &line["drift"]), (&json!([{ "Name": "drift", "Unit": "None" }]), &json!(0)));
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
