"""What a schema can't say: that of some parameters only one is given, and that cursors are not made up."""

import schemathesis
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

# Requests that fit the document, and are refused all the same, by the details of the problem documents.
REFUSED = (
    "the query parameter `cursor` is not one that this API gave out",
    "`cursor` is not one that this API gave out",
    "exactly one of the query parameters `id`, `email` and `connection` is needed",
    "the query parameter `id` stands alone",
    "the body must have either `ids` or `all`",
    "`customer` and `confirm_deletes` exclude each other",
)


@schemathesis.hook
def filter_case(context, case):
    """Leaves out most of these requests: there are better ones. Links have cursors that the API gave out."""
    meta = case.meta
    if meta is None or meta.phase.name != TestPhase.FUZZING or meta.generation.mode != GenerationMode.POSITIVE:
        return True
    query = case.query or {}
    body = case.body if isinstance(case.body, dict) else {}
    one = sum(name in query for name in ("id", "email", "connection")) == 1
    return "cursor" not in query and "cursor" not in body and (one or case.operation.definition.raw["operationId"] != "findCustomers")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Leaves out that valid data were refused, if it was for one of these reasons."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    # The cursor of an example is of another feed.
    return response.status_code != 410 and not (response.status_code == 400 and response.json()["detail"] in REFUSED)
