"""What the stories of tests/http, tests/page, tests/soap and tests/webhooks have in common: how they are told, how they say what they
expect, and the programs that they run."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
# A poll, a fetch, and a slow machine.
SOON = 60

STORIES = []


def story(function):
    """Adds a story to those that are told."""
    STORIES.append(function)
    return function


def expect(holds, otherwise):
    if not holds:
        raise AssertionError(otherwise)


def expect_equal(found, expected, what):
    expect(found == expected, f"{what}: {found!r} instead of {expected!r}")


def eventually(probe, what, seconds):
    """Waits until a probe returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def request(url, method="GET", body=None, **headers):
    """One HTTP request, without a proxy: (status, headers, body)."""
    sent = urllib.request.Request(url, method=method, data=body, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(sent, timeout=40) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.status, answer.headers, answer.read()


@contextmanager
def running(arguments, told=None, **options):
    """Runs a program until the block ends, and yields what it says, if it is to be waited for that `told` is in it."""
    with tempfile.NamedTemporaryFile("r+") as log:
        # In a group of its own, so that what it started ends with it.
        child = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **options)
        try:
            def said():
                text = Path(log.name).read_text()
                expect(child.poll() is None, f"{arguments[0]} has ended: {text}")
                return text if re.search(told, text) else None

            yield eventually(said, f"{arguments[0]} says {told}", SOON) if told else None
            expect(child.poll() is None, f"{arguments[0]} has ended: {Path(log.name).read_text()}")
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(20)


class Source:
    """A simulated Association Anywhere."""

    SECRET = {"username": "demo", "password": "demo-password"}

    def __init__(self, introduction):
        self.base = re.search(r"http://127\.0\.0\.1:\d+", introduction).group()
        self.urls = dict(re.findall(r"^(?:get |force )?(queue with reasons|customer details|purge queue|enqueue) +(http\S+)",
                                    introduction, re.MULTILINE))

    def connection(self):
        """Its part of connections.toml."""
        return f"""
[[connection]]
id = "aa"
tenant = "acme"
kind = "association-anywhere"
queue_url = "{self.urls['queue with reasons']}"
details_url = "{self.urls['customer details']}"
purge_url = "{self.urls['purge queue']}"
enqueue_url = "{self.urls['enqueue']}"
credentials = "file:aa.json"
dialect = "camel"
poll_seconds = 1
max_requests_per_second = 100
"""

    def tell(self, command):
        status, _, body = request(f"{self.base}/_simulator/{command}", "POST", b"")
        expect(status == 200, f"the simulator refused {command}: {body}")


@contextmanager
def source_with(customers):
    with running([str(BINARIES / "aa-simulator"), "--port", "0", "--customers", str(customers)], r"enqueue +http") as said:
        yield Source(said)


class Api:
    """The HTTP API of a local run, as somebody sees it who may operate `acme`."""

    TOKEN = "a-token-of-an-operator-of-acme"
    # Its part of connections.toml.
    READER = """
[[reader]]
tenant = "acme"
token = "file:reader.json"
scope = "operate"
"""

    def __init__(self, address):
        self.address = address

    def ask(self, path):
        status, _, body = request(f"{self.address}{path}", Authorization=f"Bearer {self.TOKEN}")
        expect(status == 200, f"{path}: {status} {body}")
        return json.loads(body)

    def customers_of(self, connection):
        """Every customer of a connection, by id."""
        found, more = {}, ""
        while more is not None:
            page = self.ask(f"/v1/customers?connection={connection}&limit=500{more}")
            found |= {customer["id"]: customer for customer in page["customers"]}
            more = f"&cursor={page['cursor']}" if page["more"] else None
        return found


def configure(folder, tables, **secrets):
    """Writes connections.toml into a folder, and the secrets that it names as `file:NAME.json`: those of the source and of
    the API's reader, and others."""
    for name, secret in {"aa": Source.SECRET, "reader": {"token": Api.TOKEN}, **secrets}.items():
        file = Path(folder, f"{name}.json")
        file.write_text(json.dumps(secret))
        file.chmod(0o600)
    Path(folder, "connections.toml").write_text(tables + Api.READER)


def local_run(*options):
    """The command that runs the product as the connections.toml of the working directory says."""
    return [str(BINARIES / "customer-sync"), "local", "--connections", "connections.toml", "--port", "0", *options]


@contextmanager
def api_of(folder):
    """Runs the product in a folder until the block ends, and yields its API once all was in sync."""
    with running(local_run(), r"The API answers at http", cwd=folder) as said:
        yield Api(re.search(r"The API answers at (http://\S+?)\.? ", said).group(1))


def tell_all(tell):
    """Has `tell` tell every story, and ends the program. The last line is "N passed, N failed"."""
    passed = 0
    for function in STORIES:
        began = time.monotonic()
        try:
            tell(function)
        except AssertionError as error:
            print(f"FAILED {function.__name__}\n       {error}", flush=True)
        except Exception:
            print(f"FAILED {function.__name__}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"passed {function.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
    print(f"{passed} passed, {len(STORIES) - passed} failed", flush=True)
    sys.exit(0 if passed == len(STORIES) else 1)
