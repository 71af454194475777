#!/usr/bin/env python3
"""Lints template.yaml: `python infra/lint/template.py`, with aws-sam-cli and cfn-lint installed. Exits 1 and says what is wrong.

cfn-lint does not look inside SAM events, so the template is also linted as CloudFormation gets it, after the expansion.
What neither finds, because it is a rule of AWS that is only checked when it hurts, or one of our own, is checked here.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform

from watching import check_watching, referred, resources, watches

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"

# The command finds the resources of a deployed stack by these outputs.
OUTPUTS = {"ControlTableName", "ShadowTableName", "ImportTableName", "FeedTableName", "WorkQueueUrl", "ContactsQueueUrl", "ApiUrl"}

# What SAM attaches by itself; anything else is a policy or a statement of our own.
MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole",
    "AWSLambdaDynamoDBExecutionRole",
    "AWSLambdaSQSQueueExecutionRole",
    # Of functions that can be in a VPC, whether they are or not.
    "AWSLambdaVPCAccessExecutionRole",
}

# Parts of an access log that identify a person or a machine.
PERSONAL = ["$context.path", "$context.identity", "$context.authorizer", "$context.domainName"]

# API Gateway answers 503 for a function that takes longer.
HTTP_API_SECONDS = 29


class TemplateLoader(yaml.SafeLoader):
    """Reads the short forms of functions that the template uses; any other tag is an error."""


def function(name):
    def construct(loader, node):
        scalar = isinstance(node, yaml.ScalarNode)
        return {name: loader.construct_scalar(node) if scalar else loader.construct_sequence(node, deep=True)}
    return construct


TemplateLoader.add_constructor("!Ref", function("Ref"))
TemplateLoader.add_constructor("!Condition", function("Condition"))
for short in ("Sub", "If", "Not", "Equals", "Join"):
    TemplateLoader.add_constructor(f"!{short}", function(f"Fn::{short}"))
TemplateLoader.add_constructor(
    "!GetAtt", lambda loader, node: {"Fn::GetAtt": loader.construct_scalar(node).split(".", 1)}
)


class NoManagedPolicies:
    """Stands in for the list of managed policies that samtranslator would ask AWS for."""

    def load(self):
        return {}


class Findings:
    def __init__(self):
        self.lines = []

    def check(self, holds, where, what):
        if not holds:
            self.lines.append(f"{where}: {what}")


def main():
    findings = Findings()
    try:
        template = yaml.load(TEMPLATE.read_text(), TemplateLoader)
    except yaml.YAMLError as error:
        sys.exit(f"template.yaml: {error}")
    findings.lines += cfn_lint(TEMPLATE)

    try:
        expanded = expand(template)
    except InvalidDocumentException as error:
        sys.exit(f"template.yaml: {error.message} {' '.join(cause.message for cause in error.causes)}")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "expanded.json"
        path.write_text(json.dumps(expanded, indent=1))
        findings.lines += [f"expanded, {line}" for line in cfn_lint(path)]

    check_forms(template, findings)
    check_functions(template, findings)
    check_queue_events(template, findings)
    check_schedules(template, findings)
    check_tables(template, findings)
    check_permissions(expanded, findings)
    check_http(template, findings)
    check_outputs(template, findings)
    check_watching(template, findings)

    for line in findings.lines:
        print(line, file=sys.stderr)
    if findings.lines:
        sys.exit(1)
    functions = len(resources(template, "AWS::Serverless::Function"))
    print(f"template.yaml: {functions} functions, {len(expanded['Resources'])} resources when expanded, clean")


def cfn_lint(path):
    run = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--format", "parseable", "--regions", "us-east-1", "--", path],
        stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = [line for line in run.stdout.splitlines() if line.strip()]
    if run.returncode and not lines:
        lines = [f"cfn-lint failed: {run.stderr.strip()}"]
    return lines


def expand(template):
    """The template as CloudFormation gets it. `sam deploy` puts the address of the uploaded binary into `CodeUri`."""
    uploaded = json.loads(json.dumps(template))
    for function in resources(uploaded, "AWS::Serverless::Function").values():
        function["Properties"]["CodeUri"] = "s3://uploaded/binary.zip"
    # samtranslator needs any region; it makes no request to AWS.
    os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
    return transform(uploaded, {}, NoManagedPolicies())


def events(template, kind):
    """Every event of a kind, as (its function's name, its function's properties, its own name, its own properties)."""
    for function_name, function in resources(template, "AWS::Serverless::Function").items():
        for name, event in function["Properties"].get("Events", {}).items():
            if event["Type"] == kind:
                yield function_name, function["Properties"], f"{function_name}.{name}", event["Properties"]


def possible(template, value):
    """The least and the greatest number that a value can be, if it is a number or a parameter."""
    parameter = template.get("Parameters", {}).get(referred(value)) if isinstance(value, dict) else None
    if parameter:
        return parameter.get("MinValue", -math.inf), parameter.get("MaxValue", math.inf)
    return (value, value) if isinstance(value, int) else (-math.inf, math.inf)


# --- what `customer-sync local` reads -----------------------------------------------------------------------------------

def check_forms(template, findings):
    for section in ("Mappings", "Rules"):
        findings.check(section not in template, section, "not read by `customer-sync local`")
    global_properties = template.get("Globals", {}).get("Function", {})
    blocks = {name: function["Properties"] for name, function in resources(template, "AWS::Serverless::Function").items()}
    for where, properties in {"Globals": global_properties, **blocks}.items():
        for key, value in properties.get("Environment", {}).get("Variables", {}).items():
            plain = not isinstance(value, (dict, list)) or list(value) in (["Ref"], ["Fn::Sub"])
            findings.check(plain, f"{where}, environment {key}", "must be a string, a !Ref or a !Sub")


# --- functions and what sets them off -------------------------------------------------------------------------------------

def check_functions(template, findings):
    global_properties = template["Globals"]["Function"]
    findings.check(global_properties.get("Runtime") == "provided.al2023", "Globals", "Runtime must be provided.al2023")
    findings.check(global_properties.get("LoggingConfig", {}).get("LogFormat") == "JSON", "Globals", "logs must be JSON")
    findings.check(
        global_properties.get("LoggingConfig", {}).get("ApplicationLogLevel") == "TRACE", "Globals",
        "ApplicationLogLevel must be TRACE: lines of metrics have no level, and Lambda would drop them")
    # A binary is built for what stands here; a parameter would have to be given twice, to build and to deploy.
    architecture = global_properties.get("Architectures")
    findings.check(architecture in (["x86_64"], ["arm64"]), "Globals", "Architectures must be one of x86_64 and arm64")
    alarms = resources(template, "AWS::CloudWatch::Alarm").values()
    groups = resources(template, "AWS::Logs::LogGroup")
    for name, group in groups.items():
        findings.check("RetentionInDays" in group["Properties"], name, "logs would be kept for ever")

    for name, function in resources(template, "AWS::Serverless::Function").items():
        properties = function["Properties"]
        metadata = function.get("Metadata", {})
        binary = metadata.get("BuildProperties", {}).get("Binary")
        findings.check(metadata.get("BuildMethod") == "rust-cargolambda", name, "BuildMethod must be rust-cargolambda")
        findings.check((ROOT / "functions" / str(binary) / "Cargo.toml").is_file(), name, f"there is no functions/{binary}")
        findings.check(
            properties.get("CodeUri") == ".", name, "with another CodeUri than `.`, every dependency is built once more")
        findings.check("Architectures" not in properties, name, "has another architecture than the others")
        findings.check("Timeout" in properties, name, "needs a Timeout of its own: the default is three seconds")
        service = properties.get("Environment", {}).get("Variables", {}).get("POWERTOOLS_SERVICE_NAME")
        findings.check(service == binary, name, f"POWERTOOLS_SERVICE_NAME must be {binary}")
        findings.check(
            referred(properties.get("LoggingConfig", {}).get("LogGroup")) in groups, name, "has no log group of the template")
        findings.check(
            any(watches(alarm, "Errors", name) for alarm in alarms), name, "no alarm watches its errors")


def check_queue_events(template, findings):
    queues = resources(template, "AWS::SQS::Queue")
    alarms = resources(template, "AWS::CloudWatch::Alarm").values()
    for _, function, where, event in events(template, "SQS"):
        name = referred(event["Queue"])
        if name not in queues:
            findings.check(False, where, "Queue must be one of the template")
            continue
        queue = queues[name]["Properties"]
        visibility = queue.get("VisibilityTimeout", 30)
        wait = event.get("MaximumBatchingWindowInSeconds", 0)
        # A message that is gone before it could come back is delivered once, and never becomes a dead letter.
        once = retention(queue) <= visibility and "RedrivePolicy" not in queue
        # AWS: six times the timeout, plus the batching window.
        least = (1 if once else 6) * function["Timeout"] + wait
        findings.check(visibility >= least, name, f"VisibilityTimeout is {visibility}, must be at least {least}")

        batch = event.get("BatchSize", 10)
        findings.check(batch <= 10 or wait >= 1, where, "a BatchSize over 10 needs a batching window")
        least_at_once, most_at_once = possible(template, event.get("ScalingConfig", {}).get("MaximumConcurrency"))
        findings.check(
            2 <= least_at_once and most_at_once <= 1000, where,
            f"MaximumConcurrency can be {least_at_once} to {most_at_once}, must be within 2 and 1000")
        findings.check(
            event.get("FunctionResponseTypes") == ["ReportBatchItemFailures"], where,
            "without ReportBatchItemFailures one bad message fails its whole batch")

        if once:
            continue
        redrive = queue.get("RedrivePolicy", {})
        dead = referred(redrive.get("deadLetterTargetArn"))
        findings.check(dead in queues, name, "needs a dead-letter queue of the template")
        if dead in queues:
            # A message keeps the time at which it was first sent.
            longer = retention(queues[dead]["Properties"]) > retention(queue)
            findings.check(longer, dead, f"must keep messages longer than {name}")
            visible = "ApproximateNumberOfMessagesVisible"
            findings.check(any(watches(alarm, visible, dead) for alarm in alarms), dead, "no alarm watches it")
    for name, queue in queues.items():
        findings.check(queue["Properties"].get("SqsManagedSseEnabled") is True, name, "must be encrypted")


def retention(queue):
    return queue.get("MessageRetentionPeriod", 345600)


def check_schedules(template, findings):
    for function_name, _, where, event in events(template, "ScheduleV2"):
        findings.check(referred(event.get("State")) == "PollingState", where, "State must be PollingState")
        findings.check(
            event.get("OmitName") is True, where, "needs OmitName: two stacks in one account would otherwise collide")
        findings.check(
            event.get("RetryPolicy", {}).get("MaximumRetryAttempts") == 0, where, "the next tick is the retry")
        try:
            json.loads(event.get("Input", ""))
        except ValueError as error:
            findings.check(False, where, f"Input is the function's whole payload and must be JSON: {error}")
        silent = [
            alarm for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
            if watches(alarm, "Invocations", function_name)
            and alarm["Properties"].get("TreatMissingData") == "breaching"]
        findings.check(silent, function_name, "no alarm notices that it does not run")


# --- tables, permissions, HTTP, outputs -----------------------------------------------------------------------------------

def check_tables(template, findings):
    for name, table in resources(template, "AWS::DynamoDB::Table").items():
        properties = table["Properties"]
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            findings.check(table.get(policy) == "Retain", name, f"{policy} must be Retain")
        findings.check("TableName" not in properties, name, "a name of its own collides when the table is replaced")
        findings.check(properties.get("BillingMode") == "PAY_PER_REQUEST", name, "must be on demand")
        findings.check(
            properties.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is True,
            name, "needs point-in-time recovery")
        findings.check("SSESpecification" not in properties, name, "is encrypted anyway; this charges for a key")
        findings.check(properties.get("DeletionProtectionEnabled") is True, name, "needs deletion protection")


def check_permissions(expanded, findings):
    for name, role in resources(expanded, "AWS::IAM::Role").items():
        for arn in role["Properties"].get("ManagedPolicyArns", []):
            ours = referred(arn) in resources(expanded, "AWS::IAM::ManagedPolicy")
            findings.check(ours or str(arn).rsplit("/", 1)[-1] in MANAGED_POLICIES, name, f"managed policy {arn}")
        findings.check("PermissionsBoundary" in role["Properties"], name, "has no PermissionsBoundary")
        for policy in role["Properties"].get("Policies", []):
            seen = []
            for statement in policy["PolicyDocument"]["Statement"]:
                action = statement.get("Action")
                one = isinstance(action, str) and "*" not in action
                findings.check(one, name, f"a statement must have one action, not {json.dumps(action)}")
                resource = statement.get("Resource")
                exact = resource is not None and "*" not in json.dumps(resource)
                findings.check(exact, name, f"{action} must name its resource, not {json.dumps(resource)}")
                findings.check(statement not in seen, name, f"{action} is there twice")
                seen.append(statement)


def check_http(template, findings):
    for _, function, where, event in events(template, "HttpApi"):
        findings.check(
            function["Timeout"] <= HTTP_API_SECONDS, where, f"the function's Timeout must be at most {HTTP_API_SECONDS}")
        findings.check(event.get("PayloadFormatVersion") == "2.0", where, "PayloadFormatVersion must be 2.0")
        findings.check(referred(event.get("ApiId")) in template["Resources"], where, "ApiId must be one of the template")
    for name, api in resources(template, "AWS::Serverless::HttpApi").items():
        log_format = api["Properties"].get("AccessLogSettings", {}).get("Format", "{}")
        try:
            json.loads(log_format)
        except ValueError as error:
            findings.check(False, name, f"the access log's Format must be JSON: {error}")
        for part in PERSONAL:
            findings.check(part not in log_format, name, f"{part} would put personal data into the access log")


def check_outputs(template, findings):
    for name in sorted(OUTPUTS - set(template.get("Outputs", {}))):
        findings.check(False, "Outputs", f"{name} is missing; `customer-sync --stack` looks for it")


if __name__ == "__main__":
    main()
