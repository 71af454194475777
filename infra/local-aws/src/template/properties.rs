//! What `template.yaml` may say, property by property: any other name is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_yaml_ng::Value;

use super::scalar::Scalar;

/// The properties of a resource or of an event.
pub(super) trait Properties: DeserializeOwned {
    /// Those that mean nothing on one machine.
    const WITHOUT_MEANING: &'static [&'static str];
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, expecting = "a mapping")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, Parameter>,
    #[serde(default)]
    pub(super) globals: Globals,
    #[serde(default)]
    pub(super) resources: BTreeMap<String, Resource>,
    #[serde(rename = "AWSTemplateFormatVersion", default)]
    _version: IgnoredAny,
    #[serde(rename = "Transform", default)]
    _transform: IgnoredAny,
    #[serde(rename = "Description", default)]
    _description: IgnoredAny,
    // What depends on one either means nothing on one machine, or is refused.
    #[serde(rename = "Conditions", default)]
    _conditions: IgnoredAny,
    #[serde(rename = "Metadata", default)]
    _metadata: IgnoredAny,
    #[serde(rename = "Outputs", default)]
    _outputs: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    pub(super) default: Option<Scalar<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub(super) struct Globals {
    pub(super) function: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Resource {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) properties: Value,
    #[serde(default)]
    pub(super) metadata: Metadata,
    pub(super) condition: Option<String>,
    #[serde(rename = "DeletionPolicy", default)]
    _deletion: IgnoredAny,
    #[serde(rename = "UpdateReplacePolicy", default)]
    _replacement: IgnoredAny,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Metadata {
    pub(super) build_properties: BuildProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct BuildProperties {
    pub(super) binary: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub(super) struct FunctionProperties {
    pub(super) timeout: Option<Scalar<u32>>,
    pub(super) environment: Environment,
    pub(super) events: BTreeMap<String, Event>,
    pub(super) event_invoke_config: EventInvokeConfig,
}

impl Properties for FunctionProperties {
    // How it is built and billed, and what it may do.
    const WITHOUT_MEANING: &'static [&'static str] = &[
        "Architectures",
        "CodeUri",
        "Description",
        "Handler",
        "LoggingConfig",
        "MemorySize",
        "PermissionsBoundary",
        "Policies",
        "Runtime",
        "Tags",
        "Tracing",
        "VpcConfig",
    ];
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Environment {
    #[serde(default)]
    pub(super) variables: BTreeMap<String, Scalar<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Event {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    pub(super) properties: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ScheduleEvent {
    #[serde(deserialize_with = "rate")]
    pub(super) schedule_expression: Duration,
    #[serde(rename = "State")]
    _state: Option<ScheduleState>,
}

impl Properties for ScheduleEvent {
    // The functions on schedules read no event; the hand-over to Lambda never fails on one machine.
    const WITHOUT_MEANING: &'static [&'static str] =
        &["Description", "Input", "FlexibleTimeWindow", "OmitName", "Name", "RetryPolicy", "PermissionsBoundary"];
}

/// How Lambda carries out asynchronous invocations.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub(super) struct EventInvokeConfig {
    pub(super) maximum_retry_attempts: Option<Scalar<u32>>,
    pub(super) maximum_event_age_in_seconds: Option<Scalar<u32>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum ScheduleState {
    Enabled,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct QueueEvent {
    pub(super) queue: Scalar<String>,
    pub(super) batch_size: Option<Scalar<u32>>,
    pub(super) maximum_batching_window_in_seconds: Option<Scalar<u32>>,
    pub(super) scaling_config: Option<ScalingConfig>,
    #[serde(default)]
    pub(super) function_response_types: Vec<ResponseType>,
    pub(super) enabled: Option<bool>,
}

impl Properties for QueueEvent {
    const WITHOUT_MEANING: &'static [&'static str] = &[];
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct StreamEvent {
    pub(super) stream: Scalar<String>,
    pub(super) batch_size: Option<Scalar<u32>>,
    pub(super) maximum_batching_window_in_seconds: Option<Scalar<u32>>,
    #[serde(rename = "StartingPosition")]
    _starting_position: StartingPosition,
    /// Without it a record that can't be taken holds up those before it, too.
    #[serde(rename = "BisectBatchOnFunctionError")]
    _bisect: MustBeTrue,
}

impl Properties for StreamEvent {
    // A shard has one invocation at a time here; records do not age.
    const WITHOUT_MEANING: &'static [&'static str] = &["ParallelizationFactor"];
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum StartingPosition {
    TrimHorizon,
}

pub(super) struct MustBeTrue;

impl<'de> Deserialize<'de> for MustBeTrue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? { Ok(Self) } else { Err(D::Error::custom("must be true")) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ScalingConfig {
    pub(super) maximum_concurrency: Scalar<u32>,
}

#[derive(Deserialize)]
pub(super) enum ResponseType {
    ReportBatchItemFailures,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct HttpEvent {
    pub(super) method: Option<Scalar<String>>,
    pub(super) path: Option<Scalar<String>>,
}

impl Properties for HttpEvent {
    const WITHOUT_MEANING: &'static [&'static str] = &["ApiId", "PayloadFormatVersion"];
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub(super) struct QueueProperties {
    pub(super) visibility_timeout: Option<Scalar<u32>>,
    pub(super) message_retention_period: Option<Scalar<u32>>,
    pub(super) redrive_policy: Option<RedrivePolicy>,
}

impl Properties for QueueProperties {
    const WITHOUT_MEANING: &'static [&'static str] = &["SqsManagedSseEnabled", "QueueName", "Tags"];
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RedrivePolicy {
    pub(super) dead_letter_target_arn: Scalar<String>,
    pub(super) max_receive_count: Scalar<u32>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TableProperties {
    pub(super) attribute_definitions: serde_json::Value,
    pub(super) key_schema: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) global_secondary_indexes: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_specification: Option<serde_json::Value>,
    #[serde(skip_serializing)]
    pub(super) time_to_live_specification: Option<TimeToLive>,
}

impl Properties for TableProperties {
    const WITHOUT_MEANING: &'static [&'static str] = &[
        "BillingMode",
        "DeletionProtectionEnabled",
        "PointInTimeRecoverySpecification",
        "SSESpecification",
        "TableName",
        "Tags",
    ];
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TimeToLive {
    pub(super) attribute_name: String,
    pub(super) enabled: bool,
}

/// `rate(1 minute)` and the like.
fn rate<'de, D: Deserializer<'de>>(expression: D) -> Result<Duration, D::Error> {
    let Scalar(expression) = Scalar::<String>::deserialize(expression)?;
    let inner = expression.strip_prefix("rate(").and_then(|rest| rest.strip_suffix(')'));
    let every = inner.and_then(|inner| {
        let (count, unit) = inner.split_once(' ')?;
        let seconds = match unit.trim_end_matches('s') {
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return None,
        };
        count
            .parse::<u32>()
            .ok()
            .filter(|count| *count > 0)
            .map(|count| Duration::from_secs(u64::from(count) * seconds))
    });
    every.ok_or_else(|| D::Error::custom(format!("\"{expression}\" is not supported on one machine: use rate(…)")))
}
