"""Starts MiniStack, corrected and made to tell which permissions are used. Its configuration is in the environment."""

import socketserver
import sys
from importlib.metadata import entry_points

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id

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

sys.argv = ["ministack"]
[start] = [entry for entry in entry_points(group="console_scripts") if entry.name == "ministack"]
sys.exit(start.load()())
