//! Reads `template.yaml`: the functions with their triggers and environment, the queues and the tables.
//!
//! Every property is either carried out, or known to mean nothing on one machine, or refused.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use serde_yaml_ng::{Mapping, Value};
use thiserror::Error;

/// What a run on one machine needs of the template.
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
    /// Its environment variables.
    pub environment: HashMap<String, String>,
    /// Its schedules.
    pub schedules: Vec<Schedule>,
    /// The queues that it works on.
    pub queues: Vec<QueueTrigger>,
    /// The routes that it answers.
    pub routes: Vec<HttpRoute>,
}

/// Invokes a function at intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// From one invocation to the next.
    pub every: Duration,
    /// How often an invocation that fails is repeated.
    pub retries: u32,
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
    /// Whether the function says which messages failed; if not, all of them do where it fails.
    pub reports_failures: bool,
}

/// Invokes a function with HTTP requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRoute {
    /// The method.
    pub method: String,
    /// The path, with `{name}` for one segment.
    pub path: String,
}

/// A queue of SQS. Its name stands for its URL, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The logical id in the template.
    pub name: String,
    /// How long a received message stays invisible.
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// Where a message goes that was received too often, and how often that is.
    pub dead_letter: Option<(String, u32)>,
}

/// A table of DynamoDB.
#[derive(Clone, Debug)]
pub struct Table {
    /// The logical id in the template.
    pub name: String,
    properties: serde_json::Map<String, serde_json::Value>,
    /// The attribute that says when an item has had its time.
    time_to_live: Option<String>,
}

impl Table {
    /// The body of a CreateTable request.
    pub(crate) fn create_request(&self) -> serde_json::Value {
        let mut request = self.properties.clone();
        request.insert("TableName".to_owned(), json!(self.name));
        request.insert("BillingMode".to_owned(), json!("PAY_PER_REQUEST"));
        serde_json::Value::Object(request)
    }

    /// The body of an UpdateTimeToLive request, where items have their time.
    pub(crate) fn time_to_live_request(&self) -> Option<serde_json::Value> {
        let attribute = self.time_to_live.as_ref()?;
        Some(json!({
            "TableName": self.name,
            "TimeToLiveSpecification": { "AttributeName": attribute, "Enabled": true },
        }))
    }
}

/// The template says something that can't be carried out on one machine.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("template.yaml: {place}: {problem}")]
pub struct TemplateError {
    place: String,
    problem: String,
}

/// Of these resources nothing is left on one machine.
const WITHOUT_MEANING: [&str; 5] = [
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Logs::LogGroup",
    "AWS::Serverless::HttpApi",
    "AWS::SNS::Topic",
];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);
const DEFAULT_RETENTION: Duration = Duration::from_secs(345_600);
const DEFAULT_CONCURRENCY: usize = 5;
const DEFAULT_BATCH_SIZE: usize = 10;
/// How often EventBridge Scheduler repeats an invocation that fails.
const DEFAULT_RETRIES: u32 = 185;

impl Template {
    /// Reads the text of a template.
    ///
    /// # Errors
    /// The first thing that can't be carried out, with its place.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let root: Value = serde_yaml_ng::from_str(text).map_err(|error| refuse("the file", &error.to_string()))?;
        let root = mapping(&root, "the file")?;
        for section in ["Conditions", "Mappings", "Transforms"] {
            if root.contains_key(section) {
                return Err(unsupported(section));
            }
        }
        let mut reader = Reader { parameters: HashMap::new() };
        for (name, parameter) in entries(root.get("Parameters"), "Parameters")? {
            if let Some(default) = parameter.get("Default") {
                reader.parameters.insert(name.clone(), scalar(default, &name)?);
            }
        }
        let globals = root.get("Globals").and_then(|globals| globals.get("Function"));
        let resources = entries(root.get("Resources"), "Resources")?;
        let mut template = Self::default();
        for (name, resource) in &resources {
            let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
            let no_properties = Value::Mapping(Mapping::new());
            let properties = resource.get("Properties").unwrap_or(&no_properties);
            match kind {
                "AWS::Serverless::Function" => {
                    let binary = resource.get("Metadata").and_then(|metadata| metadata.get("BuildProperties"));
                    let binary = binary.and_then(|properties| properties.get("Binary")).and_then(Value::as_str);
                    let binary = binary.ok_or_else(|| refuse(name, "Metadata names no Binary"))?;
                    template.functions.push(reader.function(name, binary, globals, properties)?);
                }
                "AWS::SQS::Queue" => template.queues.push(reader.queue(name, properties)?),
                "AWS::DynamoDB::Table" => template.tables.push(table(name, properties)?),
                kind if WITHOUT_MEANING.contains(&kind) => {}
                kind => return Err(refuse(name, &format!("{kind} is not supported on one machine"))),
            }
        }
        Ok(template)
    }
}

/// Reads values that may refer to others.
struct Reader {
    parameters: HashMap<String, String>,
}

impl Reader {
    fn function(
        &self,
        name: &str,
        binary: &str,
        globals: Option<&Value>,
        properties: &Value,
    ) -> Result<Function, TemplateError> {
        let mut function = Function {
            binary: binary.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            environment: HashMap::new(),
            schedules: Vec::new(),
            queues: Vec::new(),
            routes: Vec::new(),
        };
        let own = entries(Some(properties), name)?;
        for (key, value) in entries(globals, "Globals.Function")?.into_iter().chain(own) {
            let place = format!("{name}.{key}");
            match key.as_str() {
                "Timeout" => function.timeout = Duration::from_secs(self.number(&value, &place)?),
                "Environment" => {
                    for (variable, value) in entries(value.get("Variables"), &place)? {
                        let value = self.text(&value, &format!("{place}.{variable}"))?;
                        function.environment.insert(variable, value);
                    }
                }
                "Events" => {
                    for (event, value) in entries(Some(&value), &place)? {
                        self.event(&mut function, &value, &format!("{place}.{event}"))?;
                    }
                }
                // How it is built and billed, and what it may do.
                "Architectures" | "CodeUri" | "Description" | "Handler" | "LoggingConfig" | "MemorySize"
                | "Policies" | "Runtime" | "Tags" | "Tracing" => {}
                _ => return Err(unsupported(&place)),
            }
        }
        Ok(function)
    }

    fn event(&self, function: &mut Function, event: &Value, place: &str) -> Result<(), TemplateError> {
        let properties = entries(event.get("Properties"), place)?;
        match event.get("Type").and_then(Value::as_str).unwrap_or_default() {
            "ScheduleV2" => function.schedules.push(self.schedule(properties, place)?),
            "SQS" => function.queues.push(self.queue_trigger(properties, place)?),
            "HttpApi" => function.routes.push(self.route(properties, place)?),
            kind => return Err(refuse(place, &format!("an event of type {kind} is not supported on one machine"))),
        }
        Ok(())
    }

    fn schedule(&self, properties: Vec<(String, Value)>, place: &str) -> Result<Schedule, TemplateError> {
        let mut schedule = Schedule { every: Duration::ZERO, retries: DEFAULT_RETRIES };
        for (key, value) in properties {
            let place = format!("{place}.{key}");
            match key.as_str() {
                "ScheduleExpression" => schedule.every = rate(&self.text(&value, &place)?, &place)?,
                "RetryPolicy" => {
                    for (key, value) in entries(Some(&value), &place)? {
                        let place = format!("{place}.{key}");
                        match key.as_str() {
                            "MaximumRetryAttempts" => {
                                schedule.retries = u32::try_from(self.number(&value, &place)?)
                                    .map_err(|_| refuse(&place, "is out of range"))?;
                            }
                            "MaximumEventAgeInSeconds" => {}
                            _ => return Err(unsupported(&place)),
                        }
                    }
                }
                // The functions on schedules work on every connection of their kind; a machine is never late.
                "Description" | "Input" | "FlexibleTimeWindow" | "OmitName" | "Name" => {}
                "State" if value.as_str() == Some("ENABLED") => {}
                _ => return Err(unsupported(&place)),
            }
        }
        if schedule.every.is_zero() {
            return Err(refuse(place, "has no ScheduleExpression, or one of no length"));
        }
        Ok(schedule)
    }

    fn queue_trigger(&self, properties: Vec<(String, Value)>, place: &str) -> Result<QueueTrigger, TemplateError> {
        let mut trigger = QueueTrigger {
            queue: String::new(),
            batch_size: DEFAULT_BATCH_SIZE,
            window: Duration::ZERO,
            concurrency: DEFAULT_CONCURRENCY,
            reports_failures: false,
        };
        for (key, value) in properties {
            let place = format!("{place}.{key}");
            match key.as_str() {
                "Queue" => trigger.queue = self.text(&value, &place)?,
                "BatchSize" => trigger.batch_size = self.number(&value, &place)? as usize,
                "MaximumBatchingWindowInSeconds" => trigger.window = Duration::from_secs(self.number(&value, &place)?),
                "ScalingConfig" => {
                    let most = value.get("MaximumConcurrency");
                    let most = most.ok_or_else(|| refuse(&place, "names no MaximumConcurrency"))?;
                    trigger.concurrency = self.number(most, &place)? as usize;
                }
                "FunctionResponseTypes" => {
                    let types = value.as_sequence().map(Vec::as_slice).unwrap_or_default();
                    if !types.iter().all(|kind| kind.as_str() == Some("ReportBatchItemFailures")) {
                        return Err(unsupported(&place));
                    }
                    trigger.reports_failures = !types.is_empty();
                }
                "Enabled" if value.as_bool() == Some(true) => {}
                _ => return Err(unsupported(&place)),
            }
        }
        if trigger.queue.is_empty() || trigger.batch_size == 0 || trigger.concurrency == 0 {
            return Err(refuse(place, "needs a Queue, and a batch size and a concurrency above 0"));
        }
        Ok(trigger)
    }

    fn route(&self, properties: Vec<(String, Value)>, place: &str) -> Result<HttpRoute, TemplateError> {
        let mut route = HttpRoute { method: String::new(), path: String::new() };
        for (key, value) in properties {
            let place = format!("{place}.{key}");
            match key.as_str() {
                "Method" => route.method = self.text(&value, &place)?.to_uppercase(),
                "Path" => route.path = self.text(&value, &place)?,
                "ApiId" | "PayloadFormatVersion" => {}
                _ => return Err(unsupported(&place)),
            }
        }
        if route.path.contains('+') || route.path.contains('$') || route.method == "ANY" {
            return Err(refuse(place, "a catch-all route is not supported on one machine"));
        }
        if route.path.is_empty() || route.method.is_empty() {
            return Err(refuse(place, "needs a Method and a Path"));
        }
        Ok(route)
    }

    fn queue(&self, name: &str, properties: &Value) -> Result<Queue, TemplateError> {
        let mut queue = Queue {
            name: name.to_owned(),
            visibility_timeout: DEFAULT_VISIBILITY,
            retention: DEFAULT_RETENTION,
            dead_letter: None,
        };
        for (key, value) in entries(Some(properties), name)? {
            let place = format!("{name}.{key}");
            match key.as_str() {
                "VisibilityTimeout" => queue.visibility_timeout = Duration::from_secs(self.number(&value, &place)?),
                "MessageRetentionPeriod" => queue.retention = Duration::from_secs(self.number(&value, &place)?),
                "RedrivePolicy" => {
                    let target = value.get("deadLetterTargetArn").map(|target| self.text(target, &place));
                    let most = value.get("maxReceiveCount").map(|most| self.number(most, &place));
                    let (Some(target), Some(most)) = (target, most) else {
                        return Err(refuse(&place, "needs deadLetterTargetArn and maxReceiveCount"));
                    };
                    let most = u32::try_from(most?).map_err(|_| refuse(&place, "is out of range"))?;
                    queue.dead_letter = Some((target?, most));
                }
                "SqsManagedSseEnabled" | "QueueName" | "Tags" => {}
                _ => return Err(unsupported(&place)),
            }
        }
        Ok(queue)
    }

    /// A text, with what it refers to. A resource is referred to by its logical id, whatever of it is meant.
    fn text(&self, value: &Value, place: &str) -> Result<String, TemplateError> {
        let Value::Tagged(tagged) = value else { return scalar(value, place) };
        let argument = tagged.value.as_str().ok_or_else(|| refuse(place, "refers to something that is not a text"))?;
        match tagged.tag.to_string().as_str() {
            "!Ref" => Ok(self.parameters.get(argument).cloned().unwrap_or_else(|| argument.to_owned())),
            "!GetAtt" => Ok(argument.split('.').next().unwrap_or(argument).to_owned()),
            tag => Err(refuse(place, &format!("{tag} is not supported on one machine"))),
        }
    }

    fn number(&self, value: &Value, place: &str) -> Result<u64, TemplateError> {
        self.text(value, place)?.parse().map_err(|_| refuse(place, "must be a whole number"))
    }
}

fn table(name: &str, properties: &Value) -> Result<Table, TemplateError> {
    let mut kept = serde_json::Map::new();
    let mut time_to_live = None;
    for (key, value) in entries(Some(properties), name)? {
        match key.as_str() {
            "AttributeDefinitions" | "KeySchema" | "GlobalSecondaryIndexes" => {
                let value = serde_json::to_value(&value)
                    .map_err(|error| refuse(&format!("{name}.{key}"), &error.to_string()))?;
                kept.insert(key, value);
            }
            "TimeToLiveSpecification" => {
                let attribute = value.get("AttributeName").and_then(Value::as_str);
                let is_enabled = value.get("Enabled").and_then(Value::as_bool) == Some(true);
                let attribute = attribute.filter(|_| is_enabled);
                let refused = || refuse(&format!("{name}.{key}"), "needs an AttributeName and Enabled: true");
                time_to_live = Some(attribute.ok_or_else(refused)?.to_owned());
            }
            // A stream that no function reads is seen by nobody; an event that reads one is refused above.
            "StreamSpecification" => {}
            "BillingMode"
            | "DeletionProtectionEnabled"
            | "PointInTimeRecoverySpecification"
            | "SSESpecification"
            | "TableName"
            | "Tags" => {}
            _ => return Err(unsupported(&format!("{name}.{key}"))),
        }
    }
    Ok(Table { name: name.to_owned(), properties: kept, time_to_live })
}

/// `rate(1 minute)` and the like.
fn rate(expression: &str, place: &str) -> Result<Duration, TemplateError> {
    let refused = || refuse(place, &format!("\"{expression}\" is not supported on one machine: use rate(…)"));
    let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(refused)?;
    let (count, unit) = inner.split_once(' ').ok_or_else(refused)?;
    let count: u64 = count.parse().map_err(|_| refused())?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return Err(refused()),
    };
    Ok(Duration::from_secs(count * seconds))
}

fn refuse(place: &str, problem: &str) -> TemplateError {
    TemplateError { place: place.to_owned(), problem: problem.to_owned() }
}

fn unsupported(place: &str) -> TemplateError {
    refuse(place, "is not supported on one machine")
}

fn mapping<'a>(value: &'a Value, place: &str) -> Result<&'a Mapping, TemplateError> {
    value.as_mapping().ok_or_else(|| refuse(place, "must be a mapping"))
}

/// The entries of a mapping; none where it is missing.
fn entries(value: Option<&Value>, place: &str) -> Result<Vec<(String, Value)>, TemplateError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let named = |(key, value): (&Value, &Value)| {
        let key = key.as_str().ok_or_else(|| refuse(place, "has a key that is not a text"))?;
        Ok((key.to_owned(), value.clone()))
    };
    mapping(value, place)?.iter().map(named).collect()
}

fn scalar(value: &Value, place: &str) -> Result<String, TemplateError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        _ => Err(refuse(place, "must be a text, a number, true or false")),
    }
}

#[cfg(test)]
mod tests;
