"""A deployed stack: the emulator that it stands on, `sam deploy`, and what the emulator leaves out."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BUILD = ROOT / ".aws-sam" / "build"
# Logs and scratch files; kept after the run, to look into a failure.
SCRATCH = TARGET / "deployed"
REGION = "us-east-1"


class Gone(Exception):
    """A process that should run has ended, or never began."""


class Process:
    """A server of the test, with its log, ended with all its children."""

    def __init__(self, name, arguments, environment):
        self.name = name
        self.log = SCRATCH / f"{name}.log"
        with self.log.open("wb") as log:
            try:
                self.child = subprocess.Popen(
                    arguments, env=environment, cwd=SCRATCH, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    start_new_session=True)
            except OSError as error:
                raise Gone(f"{name} does not start: {error}") from None

    def wait_until(self, ready, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise Gone(f"{self.name} ended with {self.child.returncode}:\n{tail(self.log.read_text(errors='replace'))}")
            found = ready()
            if found:
                return found
            time.sleep(0.1)
        raise Gone(f"{self.name} was not ready within {seconds} s:\n{tail(self.log.read_text(errors='replace'))}")

    def stop(self):
        for signal_number, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            try:
                os.killpg(self.child.pid, signal_number)
            except ProcessLookupError:
                return
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                continue


def tail(text, lines=40):
    return "\n".join(text.splitlines()[-lines:])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request(base, method, path, headers=None, body=None, host=None):
    """One HTTP request: (status, headers, body as text). `host` is the Host header, if it differs from the address."""
    address = urlsplit(base)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=40)
    try:
        connection.request(method, path, body=body, headers={**({"Host": host} if host else {}), **(headers or {})})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


class Stack:
    # As samconfig.toml says.
    NAME = "customer-sync"

    def __init__(self):
        self.processes = []
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        # For what the account's owner does.
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }
        # For the command, as somebody with the operator policy and no more.
        self.operator = {}
        self.outputs = {}
        self.resources = {}

    def client(self, service, environment=None):
        """A client of the account's owner, or of whoever has the key in an environment."""
        key = environment or self.environment
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name=REGION, aws_access_key_id=key["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=key["AWS_SECRET_ACCESS_KEY"])

    def start(self, name, arguments, environment, ready, seconds=30):
        process = Process(name, arguments, environment)
        self.processes.append(process)
        return process.wait_until(lambda: ready(process), seconds)

    def stop(self):
        for process in reversed(self.processes):
            process.stop()

    def start_emulator(self):
        shutil.rmtree(SCRATCH, ignore_errors=True)
        (SCRATCH / "tmp").mkdir(parents=True)
        environment = {
            # The functions inherit it: they get nothing of this machine.
            "PATH": os.environ["PATH"],
            "HOME": str(SCRATCH),
            "TMPDIR": str(SCRATCH / "tmp"),
            "GATEWAY_PORT": str(self.port),
            # The functions learn the endpoint from it.
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            # Every function runs under its own role, and may do what the role's policies allow.
            "AUTH": "true",
        }
        self.start(
            "emulator", [sys.executable, str(Path(__file__).with_name("emulator.py"))], environment,
            lambda _: self.answers("/_ministack/health"))

    def answers(self, path):
        try:
            return request(self.endpoint, "GET", path)[0] == 200
        except OSError:
            return False

    def deploy(self):
        log = SCRATCH / "deploy.log"
        with log.open("wb") as output:
            deployed = subprocess.run(
                ["sam", "deploy"], env=self.environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, timeout=300)
        if deployed.returncode:
            raise Gone(f"sam deploy failed:\n{tail(log.read_text(errors='replace'))}")
        cloudformation = self.client("cloudformation")
        [stack] = cloudformation.describe_stacks(StackName=self.NAME)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        self.resources = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in cloudformation.describe_stack_resources(StackName=self.NAME)["StackResources"]}
        self.complete()
        self.operator = {**self.environment, **self.key_of_an_operator()}

    def key_of_an_operator(self):
        iam = self.client("iam")
        iam.create_user(UserName="operator")
        iam.attach_user_policy(UserName="operator", PolicyArn=self.outputs["OperatorPolicyArn"])
        key = iam.create_access_key(UserName="operator")["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def complete(self):
        """What CloudFormation on AWS does and the emulator does not."""
        functions = self.client("lambda")
        template = yaml_parse((ROOT / "template.yaml").read_text())
        gateway = self.client("apigatewayv2")
        for name, function in template["Resources"].items():
            if function["Type"] != "AWS::Serverless::Function":
                continue
            for event_name, event in function["Properties"].get("Events", {}).items():
                # The routes of an HTTP API stand in its OpenAPI body, which is not read.
                if event["Type"] == "HttpApi":
                    api = self.resources[event["Properties"]["ApiId"]["Ref"]]
                    arn = functions.get_function(FunctionName=self.resources[name])["Configuration"]["FunctionArn"]
                    integration = gateway.create_integration(
                        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn,
                        PayloadFormatVersion=event["Properties"]["PayloadFormatVersion"])
                    method, path = event["Properties"].get("Method"), event["Properties"].get("Path")
                    gateway.create_route(
                        ApiId=api, RouteKey=f"{method} {path}" if path else "$default",
                        Target=f"integrations/{integration['IntegrationId']}")
                # A number that comes from a parameter stays a text, and the queue's poller fails on it.
                if event["Type"] == "SQS":
                    mapping = functions.get_event_source_mapping(UUID=self.resources[f"{name}{event_name}"])
                    functions.update_event_source_mapping(
                        UUID=mapping["UUID"],
                        ScalingConfig={"MaximumConcurrency": int(mapping["ScalingConfig"]["MaximumConcurrency"])})

    # --- what the stories look at -------------------------------------------------------------------------------------

    def api(self, method, path, token=None, document=None):
        """One request to the HTTP API: (status, media type, JSON)."""
        headers = {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if document is not None:
            headers["Content-Type"] = "application/json"
        status, answered, text = self.send(method, path, headers, json.dumps(document) if document is not None else None)
        try:
            return status, answered.get_content_type(), json.loads(text)
        except ValueError:
            raise AssertionError(f"{method} {path} answered {status} with what is not JSON: {text[:300]!r}") from None

    def send(self, method, path, headers, body=None):
        """One request to the HTTP API: (status, headers, body as text)."""
        return request(self.endpoint, method, path, headers, body, host=urlsplit(self.outputs["ApiUrl"]).netloc)

    def shadow(self, prefix):
        """Every item of the shadow table whose key begins so, as DynamoDB stores it."""
        pages = self.client("dynamodb").get_paginator("scan").paginate(
            TableName=self.outputs["ShadowTableName"], ConsistentRead=True)
        return [item for page in pages for item in page["Items"] if item["id"]["S"].startswith(prefix)]

    def messages(self, queue):
        """How many messages a queue of the template has: waiting, in the hands of a function, or delayed."""
        attributes = self.client("sqs").get_queue_attributes(QueueUrl=self.resources[queue], AttributeNames=["All"])
        return sum(
            int(attributes["Attributes"].get(name, 0)) for name in (
                "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"))

    def logs(self):
        """What every function logged, by log group. A function's lines come when its invocation ends."""
        client = self.client("logs")
        groups = [name for name in self.resources.values() if name.startswith("/aws/lambda/")]
        return {
            group: [
                event["message"]
                for page in client.get_paginator("filter_log_events").paginate(logGroupName=group)
                for event in page["events"]]
            for group in groups}

    def asked_for(self, verdict):
        """What the functions did under their roles, and were ALLOWED or DENIED: (role, action, resource)."""
        log = (SCRATCH / "emulator.log").read_text(errors="replace")
        return sorted(re.findall(rf"^{verdict} \S+:assumed-role/([^/\s]+)/\S+ (\S+) (\S+)$", log, re.MULTILINE))

    def permissions(self):
        """What the roles of the functions allow by statements of their own: (role, action, resource)."""
        client = self.client("iam")
        roles = [role for name, role in self.resources.items() if name.endswith("FunctionRole")]
        return [
            (role, statement["Action"], statement["Resource"])
            for role in roles
            for policy in client.list_role_policies(RoleName=role)["PolicyNames"]
            for statement in client.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]]

    def customer_sync(self, *arguments):
        """Runs the command as an operator: (exit code, standard output, standard error)."""
        run = subprocess.run(
            [TARGET / "debug" / "customer-sync", *arguments], env=self.operator, cwd=SCRATCH, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60)
        return run.returncode, run.stdout, run.stderr
