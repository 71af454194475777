"""What every module of stories has in common: how a story is told, what it expects, and what it acts on."""

import json
import re
import time
from urllib.parse import quote

from stack import TARGET, request

# A tick of the schedule, a poll, the fetch, and a slow machine.
SOON = 180
# As connections.toml says of Association Anywhere and Business Catalyst.
POLL_SECONDS = 2

READER = "reader-token-of-acme-90c2"
OPERATOR = "reader-token-of-an-operator-5d18"
STRANGER = "reader-token-of-another-tenant-77d0"
# Of a reader that the release before registered.
UNDIGESTED = "reader-token-without-a-digest-31be"


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def eventually(probe, what, seconds=SOON):
    """Waits until a probe returns something true, and returns that. A probe says what it saw in an AssertionError."""
    deadline = time.monotonic() + seconds
    seen = ""
    while time.monotonic() < deadline:
        try:
            found = probe()
            if found:
                return found
        except AssertionError as error:
            seen = f"; last seen: {error}"
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {what}{seen}")


class Simulator:
    """A simulated system that listens, and is driven over HTTP. Of two with the same binary, one needs another name."""

    def __init__(self, stack, binary, *arguments, name=None):
        self.base = stack.start(
            name or binary, [str(TARGET / "debug" / binary), "--port", "0", *arguments], stack.environment,
            lambda process: re.search(r"http://127\.0\.0\.1:\d+", process.log.read_text())).group()
        self.introduction = stack.processes[-1].log.read_text()

    def tell(self, command, **parameters):
        query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
        status, _, text = request(self.base, "POST", f"/_simulator/{command}?{query}")
        expect(status == 200, f"the simulator refused {command}: {text}")

    def ask(self, path):
        status, _, text = request(self.base, "GET", f"/_simulator/{path}")
        expect(status == 200, f"the simulator refused {path}: {text}")
        return json.loads(text)


def listed(stack, connection, token=READER):
    """Every customer of a connection that the API lists."""
    customers, cursor = [], ""
    for _ in range(10_000):
        status, _, page = stack.api("GET", f"/v1/customers?connection={connection}&limit=100{cursor}", token)
        expect(status == 200, f"answered {status}: {page}")
        customers += page["customers"]
        if not page.get("cursor"):
            return customers
        cursor = f"&cursor={quote(page['cursor'], safe='')}"
    raise AssertionError("the list has no end")


def shows(stack, public_id, truth):
    status, _, customer = stack.api("GET", f"/v1/customers/{public_id}", READER)
    expect(status == 200, f"answered {status}: {customer}")
    name = customer["name"]["display"]
    expect(name == truth["display_name"], f"{public_id} is {name}, at the source {truth['display_name']}")
    return customer


def deleted(stack, public_id):
    status, _, customer = stack.api("GET", f"/v1/customers/{public_id}", READER)
    gone = status in (404, 410) or customer.get("status") == "deleted"
    expect(gone, f"answered {status}, status {customer.get('status')}")
    return gone


def failures(stack, connection):
    code, output, errors = stack.customer_sync(
        "failures", "--connection", connection, "--stack", stack.NAME, "--json")
    expect(code == 0, f"failures exited with {code}: {errors}")
    return json.loads(output)["failures"]


def status_of(stack, connection):
    code, output, errors = stack.customer_sync("status", "--stack", stack.NAME, "--json")
    expect(code == 0, f"status exited with {code}: {errors}")
    [status] = [status for status in json.loads(output)["connections"] if status["id"] == connection]
    return status


def in_sync(stack, connection):
    """The status of a connection; an error if it is not in sync."""
    status = status_of(stack, connection)
    expect(status["condition"] == "in_sync" and status["batch"] is None, f"{status}")
    return status


def reconciled(status):
    """The counts, whose sum is what was fetched."""
    counts = status["counts"]
    ends = {name: counts[name] for name in ("written", "unchanged", "stale", "tombstoned", "failed")}
    expect(counts["fetched"] == sum(ends.values()), f"fetched is not the sum of its ends: {counts}")
    return counts
