//! Reads `template.yaml`: the functions with their triggers and environment, the queues and the tables.
//!
//! Every property is carried out, or known to mean nothing on one machine, or refused with its place.

mod properties;
mod scalar;

use std::collections::HashMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::json;
use serde_yaml_ng::Value;
use thiserror::Error;

use properties::{
    Document, Event, FunctionProperties, HttpEvent, Properties, QueueEvent, QueueProperties, Resource, ScheduleEvent,
    StreamEvent, TableProperties,
};
use scalar::Scalar;

/// The parts of the template that a run on one machine needs.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// The functions.
    pub functions: Vec<Function>,
    /// The queues of SQS.
    pub queues: Vec<Queue>,
    /// The tables of DynamoDB.
    pub tables: Vec<Table>,
}

/// A Lambda function.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name of its binary.
    pub binary: String,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How often an asynchronous invocation that fails is repeated.
    pub retries: u32,
    /// How old the event of an asynchronous invocation may become.
    pub most_age: Duration,
    /// Its environment variables.
    pub environment: HashMap<String, String>,
    /// Its schedules.
    pub schedules: Vec<Schedule>,
    /// The queues that it works on.
    pub queues: Vec<QueueTrigger>,
    /// The streams that it reads.
    pub streams: Vec<StreamTrigger>,
    /// The routes that it answers.
    pub routes: Vec<HttpRoute>,
}

/// Invokes a function at intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From one invocation to the next.
    pub every: Duration,
}

/// Invokes a function with messages of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueTrigger {
    /// The queue.
    pub queue: String,
    /// The most messages of one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window: Duration,
    /// The most invocations at a time.
    pub concurrency: usize,
    /// Whether the function reports which messages failed; if not, all of them fail with it.
    pub reports_failures: bool,
}

/// Invokes a function with changes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamTrigger {
    /// The table.
    pub table: String,
    /// The most changes of one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub window: Duration,
}

/// Invokes a function with HTTP requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    /// The method; empty for whatever no other route answers.
    pub method: String,
    /// The path, with `{name}` for one segment; `$default` for whatever no other route answers.
    pub path: String,
}

/// The path of the route that answers whatever no other does.
pub(crate) const DEFAULT_ROUTE: &str = "$default";

/// A queue of SQS. Its name stands for its URL, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The logical id in the template.
    pub name: String,
    /// How long a received message stays invisible.
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// The dead-letter queue, and after how many deliveries a message goes there.
    pub dead_letter: Option<(String, u32)>,
}

/// A table of DynamoDB.
#[derive(Clone, Debug)]
pub struct Table {
    /// The logical id in the template.
    pub name: String,
    properties: TableProperties,
}

impl Table {
    /// The body of a CreateTable request.
    pub(crate) fn create_request(&self) -> serde_json::Value {
        let mut request = json!(self.properties);
        request["TableName"] = json!(self.name);
        request["BillingMode"] = json!("PAY_PER_REQUEST");
        request
    }

    /// The body of an UpdateTimeToLive request, if its items expire.
    pub(crate) fn time_to_live_request(&self) -> Option<serde_json::Value> {
        let specification = self.properties.time_to_live_specification.as_ref()?;
        Some(json!({ "TableName": self.name, "TimeToLiveSpecification": specification }))
    }
}

/// The template says something that can't be carried out on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("template.yaml: {place}: {problem}")]
pub struct TemplateError {
    place: String,
    problem: String,
}

/// Resources that mean nothing on one machine.
const WITHOUT_MEANING: [&str; 9] = [
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::QueryDefinition",
    "AWS::Serverless::HttpApi",
    "AWS::SNS::Subscription",
    "AWS::SNS::Topic",
];

/// What `AWS::StackName` is on one machine.
const STACK_NAME: &str = "local";

const DEFAULT_TIMEOUT: u32 = 3;
const DEFAULT_VISIBILITY: u32 = 30;
const DEFAULT_RETENTION: u32 = 345_600;
const DEFAULT_CONCURRENCY: u32 = 5;
const DEFAULT_BATCH_SIZE: u32 = 10;
const DEFAULT_STREAM_BATCH_SIZE: u32 = 100;
/// How often Lambda repeats an asynchronous invocation that fails, and how old its event may become.
const DEFAULT_RETRIES: u32 = 2;
const DEFAULT_AGE: u32 = 6 * 3_600;

impl Template {
    /// Reads the text of a template.
    ///
    /// # Errors
    /// Returns the first thing that can't be carried out, with its place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let root: Value = serde_yaml_ng::from_str(text).map_err(|error| refuse("the file", &error.to_string()))?;
        let document: Document = read(root, "")?;
        let defaults =
            document.parameters.into_iter().filter_map(|(name, parameter)| Some((name, parameter.default?.0)));
        let reader = Reader { parameters: defaults.collect() };
        let globals: FunctionProperties = reader.read(document.globals.function, "Globals.Function")?;
        let mut template = Self::default();
        for (name, Resource { kind, properties, metadata, condition, .. }) in document.resources {
            match kind.as_str() {
                kind if WITHOUT_MEANING.contains(&kind) => {}
                _ if condition.is_some() => return Err(unsupported(&format!("{name}.Condition"))),
                "AWS::Serverless::Function" => {
                    let binary = metadata.build_properties.binary;
                    let binary = binary.ok_or_else(|| refuse(&name, "Metadata names no Binary"))?;
                    let own = reader.read(properties, &name)?;
                    template.functions.push(reader.function(&name, binary, &globals, own)?);
                }
                "AWS::SQS::Queue" => template.queues.push(queue(reader.read(properties, &name)?, name)),
                "AWS::DynamoDB::Table" => {
                    template.tables.push(Table { properties: reader.read(properties, &name)?, name });
                }
                kind => return Err(refuse(&name, &format!("{kind} is not supported on one machine"))),
            }
        }
        Ok(template)
    }
}

/// Reads properties, in which values may refer to others.
struct Reader {
    /// The parameters' defaults.
    parameters: HashMap<String, String>,
}

impl Reader {
    fn read<T: Properties>(&self, mut properties: Value, place: &str) -> Result<T, TemplateError> {
        if let Some(properties) = properties.as_mapping_mut() {
            properties.retain(|key, _| !key.as_str().is_some_and(|key| T::WITHOUT_MEANING.contains(&key)));
        }
        self.resolve(&mut properties);
        read(properties, place)
    }

    /// Replaces references: a parameter by its default, also within a text, a resource or an attribute of it by the
    /// logical id.
    fn resolve(&self, value: &mut Value) {
        match value {
            Value::Mapping(entries) => entries.values_mut().for_each(|value| self.resolve(value)),
            Value::Sequence(values) => values.iter_mut().for_each(|value| self.resolve(value)),
            Value::Tagged(tagged) => {
                let Some(name) = tagged.value.as_str() else { return };
                let meant = match tagged.tag.to_string().as_str() {
                    "!Ref" => Some(self.parameters.get(name).map_or(name, String::as_str).to_owned()),
                    "!GetAtt" => name.split('.').next().map(str::to_owned),
                    "!Sub" => self.substitute(name),
                    _ => None,
                };
                if let Some(meant) = meant {
                    *value = Value::String(meant);
                }
            }
            _ => {}
        }
    }

    /// A text with every `${name}` replaced by the parameter's default; `None` if it names anything else.
    fn substitute(&self, text: &str) -> Option<String> {
        let mut parts = text.split("${");
        let mut substituted = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            let stack = (name == "AWS::StackName").then_some(STACK_NAME);
            substituted.push_str(stack.or_else(|| self.parameters.get(name).map(String::as_str))?);
            substituted.push_str(rest);
        }
        Some(substituted)
    }

    fn function(
        &self,
        name: &str,
        binary: String,
        globals: &FunctionProperties,
        own: FunctionProperties,
    ) -> Result<Function, TemplateError> {
        let variables = globals.environment.variables.clone().into_iter().chain(own.environment.variables);
        let mut function = Function {
            binary,
            timeout: seconds(own.timeout.or(globals.timeout), DEFAULT_TIMEOUT),
            retries: own.event_invoke_config.maximum_retry_attempts.map_or(DEFAULT_RETRIES, |most| most.0),
            most_age: seconds(own.event_invoke_config.maximum_event_age_in_seconds, DEFAULT_AGE),
            environment: variables.map(|(variable, value)| (variable, value.0)).collect(),
            schedules: Vec::new(),
            queues: Vec::new(),
            streams: Vec::new(),
            routes: Vec::new(),
        };
        for (event, Event { kind, properties }) in own.events {
            let place = format!("{name}.Events.{event}");
            match kind.as_str() {
                "ScheduleV2" => {
                    let event: ScheduleEvent = self.read(properties, &place)?;
                    function.schedules.push(Schedule { every: event.schedule_expression });
                }
                "SQS" => function.queues.push(queue_trigger(self.read(properties, &place)?, &place)?),
                "DynamoDB" => function.streams.push(stream_trigger(self.read(properties, &place)?, &place)?),
                "HttpApi" => function.routes.push(route(self.read(properties, &place)?, &place)?),
                kind => {
                    return Err(refuse(&place, &format!("an event of type {kind} is not supported on one machine")));
                }
            }
        }
        Ok(function)
    }
}

fn queue_trigger(event: QueueEvent, place: &str) -> Result<QueueTrigger, TemplateError> {
    let batch_size = event.batch_size.map_or(DEFAULT_BATCH_SIZE, |most| most.0) as usize;
    let concurrency =
        event.scaling_config.map_or(DEFAULT_CONCURRENCY, |scaling| scaling.maximum_concurrency.0) as usize;
    if batch_size == 0 || concurrency == 0 {
        return Err(refuse(place, "needs a batch size and a concurrency above 0"));
    }
    if event.enabled == Some(false) {
        return Err(unsupported(&format!("{place}.Enabled")));
    }
    Ok(QueueTrigger {
        queue: event.queue.0,
        batch_size,
        window: seconds(event.maximum_batching_window_in_seconds, 0),
        concurrency,
        reports_failures: !event.function_response_types.is_empty(),
    })
}

fn stream_trigger(event: StreamEvent, place: &str) -> Result<StreamTrigger, TemplateError> {
    let batch_size = event.batch_size.map_or(DEFAULT_STREAM_BATCH_SIZE, |most| most.0) as usize;
    if batch_size == 0 {
        return Err(refuse(place, "needs a batch size above 0"));
    }
    let window = seconds(event.maximum_batching_window_in_seconds, 0);
    Ok(StreamTrigger { table: event.stream.0, batch_size, window })
}

fn route(event: HttpEvent, place: &str) -> Result<HttpRoute, TemplateError> {
    let (method, path) = match (event.method, event.path) {
        (Some(method), Some(path)) => (method.0.to_uppercase(), path.0),
        // SAM makes the default route of an event that names none.
        (None, None) => return Ok(HttpRoute { method: String::new(), path: DEFAULT_ROUTE.to_owned() }),
        _ => return Err(refuse(place, "needs both a method and a path, or neither")),
    };
    let route = HttpRoute { method, path };
    if route.path.contains('+') || route.path.contains('$') || route.method == "ANY" {
        return Err(refuse(place, "a catch-all route is not supported on one machine"));
    }
    Ok(route)
}

fn queue(properties: QueueProperties, name: String) -> Queue {
    Queue {
        name,
        visibility_timeout: seconds(properties.visibility_timeout, DEFAULT_VISIBILITY),
        retention: seconds(properties.message_retention_period, DEFAULT_RETENTION),
        dead_letter: properties
            .redrive_policy
            .map(|policy| (policy.dead_letter_target_arn.0, policy.max_receive_count.0)),
    }
}

fn seconds(value: Option<Scalar<u32>>, default: u32) -> Duration {
    Duration::from_secs(value.map_or(default, |value| value.0).into())
}

/// Reads a part of the template; `place` is its own.
fn read<T: DeserializeOwned>(value: Value, place: &str) -> Result<T, TemplateError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let place: Vec<&str> = [place, &path].into_iter().filter(|part| !matches!(*part, "" | ".")).collect();
        let place = if place.is_empty() { "the file".to_owned() } else { place.join(".") };
        let problem = error.into_inner().to_string();
        if problem.starts_with("unknown ") { unsupported(&place) } else { refuse(&place, &problem) }
    })
}

fn refuse(place: &str, problem: &str) -> TemplateError {
    TemplateError { place: place.to_owned(), problem: problem.to_owned() }
}

fn unsupported(place: &str) -> TemplateError {
    refuse(place, "is not supported on one machine")
}

#[cfg(test)]
mod tests;
