"""Starts MiniStack, corrected and made to tell which permissions are used. Its configuration is in the environment."""

import socketserver
import sys
from importlib.metadata import entry_points

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services.cloudformation import provisioners

# Its Runtime API answers functions in two segments; Nagle's algorithm makes that 40 ms an invocation.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True

# On AWS the batch forms are no actions of their own.
BATCH_FORMS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}

enforce = iam_evaluator.enforce
told = set()


def enforce_and_tell(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    """Writes into the log what was asked for and whether a policy allows it: a function may well go on without."""
    iam_action = BATCH_FORMS.get(iam_action, iam_action)
    denied = enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
    principal = iam_evaluator.resolve_principal(access_key_id or "", get_account_id())
    line = ("DENIED" if denied else "ALLOWED", getattr(principal, "arn", "nobody"), iam_action, resource_arn)
    if ":assumed-role/" in line[1] and line not in told:
        told.add(line)
        print(*line, file=sys.stderr, flush=True)
    return denied


iam_evaluator.enforce = enforce_and_tell

# Alarms over an expression and saved queries are taken as they are: no story looks at them.
alarm_record = provisioners._cw_metric_alarm_record


def alarm_record_of_expressions(name, properties):
    if properties.get("Metrics"):
        properties = {**properties, "Metrics": None, "Namespace": "expression", "MetricName": properties["Metrics"][-1]["Id"]}
    return alarm_record(name, properties)


provisioners._cw_metric_alarm_record = alarm_record_of_expressions
provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
    "create": lambda logical_id, properties, stack: (properties["Name"], {}),
    "update": lambda physical_id, *_: (physical_id, {}),
    "delete": lambda *_: None,
}

sys.argv = ["ministack"]
[start] = [entry for entry in entry_points(group="console_scripts") if entry.name == "ministack"]
sys.exit(start.load()())
