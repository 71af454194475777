"""Stories of the HTTP API: strangers use that of a local run. `tests/http/run` builds what they need and tells them.

schemathesis, which tries an API by its OpenAPI document, finds nothing. The programs of infra/docs/keeping-a-copy.md keep
a copy as they stand there.
"""

import base64
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from storytelling import eventually, expect, story, tell_all

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BINARIES = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
PAGE = ROOT / "infra" / "docs" / "keeping-a-copy.md"

CUSTOMERS = 230
TOKEN = "a-token-of-an-operator-of-acme"
CONNECTOR = {"username": "intouch", "password": "connector-password"}
# A poll, a fetch, and a slow machine.
SOON = 60

CONNECTIONS = """
[[connection]]
id = "aa"
tenant = "acme"
kind = "association-anywhere"
queue_url = "{urls[queue with reasons]}"
details_url = "{urls[customer details]}"
purge_url = "{urls[purge queue]}"
enqueue_url = "{urls[enqueue]}"
credentials = "file:aa.json"
dialect = "camel"
poll_seconds = 1
max_requests_per_second = 100

[[connection]]
id = "intouch"
tenant = "acme"
kind = "connector"
client_id = "c-1"
club_ids = ["k-1"]
providers = ["INTOUCH"]
credentials = "file:intouch.json"
create_staff = true
create_lead_sources = true

[[reader]]
tenant = "acme"
token = "file:reader.json"
scope = "operate"
"""

PROVIDER = (
    "<providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID><recordID>{}</recordID>"
    "</providerInfo>")
LEAD_SOURCE = "<leadSource>{}<leadInfo><name>Open day {}</name><active>true</active></leadInfo></leadSource>"
STAFF = (
    "<staff>{}<userInfo><firstname>Sam</firstname><lastname>Hill</lastname><userStatus>ACTIVE</userStatus>"
    "<email>sam.{}@example.net</email></userInfo></staff>")

def request(url, method="GET", body=None, **headers):
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


class World:
    """A local run with a simulated source."""

    def __init__(self, source, api):
        self.source = source
        self.api = api

    def ask(self, path):
        status, _, body = request(f"{self.api}{path}", Authorization=f"Bearer {TOKEN}")
        expect(status == 200, f"{path}: {status} {body}")
        return json.loads(body)

    def tell_source(self, command):
        status, _, body = request(f"{self.source}/_simulator/{command}", "POST", b"")
        expect(status == 200, f"the simulator refused {command}: {body}")

    def push(self, resource, document, number):
        login = base64.b64encode(f"{CONNECTOR['username']}:{CONNECTOR['password']}".encode()).decode()
        body = document.format(PROVIDER.format(number), number).encode()
        status, _, answer = request(
            f"{self.api}/connector/api/2011-11/{resource}", "POST", body,
            **{"Authorization": f"Basic {login}", "Content-Type": "application/xml"})
        expect(status == 200, f"{resource}: {status} {answer}")

    def customers(self):
        """Every customer of the lists, by id."""
        found = {}
        for connection in self.ask("/v1/connections")["connections"]:
            more = ""
            while more is not None:
                page = self.ask(f"/v1/customers?connection={connection['id']}&limit=500{more}")
                found |= {customer["id"]: customer for customer in page["customers"]}
                more = f"&cursor={page['cursor']}" if page["more"] else None
        return found


@contextmanager
def world():
    simulator = [str(BINARIES / "aa-simulator"), "--port", "0", "--customers", str(CUSTOMERS)]
    with tempfile.TemporaryDirectory() as folder, running(simulator, r"enqueue +http") as introduction:
        urls = dict(re.findall(r"^(?:get |force )?(queue with reasons|customer details|purge queue|enqueue) +(http\S+)",
                               introduction, re.MULTILINE))
        for name, secret in [("aa", {"username": "demo", "password": "demo-password"}), ("intouch", CONNECTOR),
                             ("reader", {"token": TOKEN})]:
            Path(folder, f"{name}.json").write_text(json.dumps(secret))
            Path(folder, f"{name}.json").chmod(0o600)
        Path(folder, "connections.toml").write_text(CONNECTIONS.format(urls=urls))
        product = [str(BINARIES / "customer-sync"), "local", "--connections", "connections.toml", "--port", "0"]
        with running(product, r"The API answers at http", cwd=folder) as said:
            source = re.search(r"http://127\.0\.0\.1:\d+", introduction).group()
            it = World(source, re.search(r"The API answers at (http://\S+?)\.? ", said).group(1))
            for number in (1, 2):
                it.push("leadsource", LEAD_SOURCE, number)
                it.push("staff", STAFF, number)
            yield it


# --- a tester of APIs -------------------------------------------------------------------------------------------------


@story
def schemathesis_finds_nothing(world):
    tester = ["schemathesis", "run", f"{world.api}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}",
              "--checks", "all", "--max-examples", "100", "--seed", "1"]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("schemathesis.toml", "forgiven.py"):
            Path(folder, name).write_text((HERE / name).read_text())
        done = subprocess.run(tester, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    said = re.sub(r"(?m)^(.{300}).*$", r"\1…", done.stdout + done.stderr)
    print(said[said.find("= SUMMARY"):] if done.returncode == 0 else said, flush=True)
    expect(done.returncode == 0, "see above")


# --- those who keep a copy --------------------------------------------------------------------------------------------


class Gateway:
    """Hands requests on to the API. Says once, when it is told to, that a cursor is too old."""

    def __init__(self, api):
        outer = self
        self.is_gone = False
        self.listed = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    self.hand_on()
                except ConnectionError:
                    pass  # One of the two has ended while an answer waited.

            def hand_on(self):
                if self.path.startswith("/v1/changes") and outer.is_gone:
                    outer.is_gone = False
                    status, headers, body = 410, {"Content-Type": "application/problem+json"}, b"{}"
                else:
                    outer.listed += self.path.startswith("/v1/customers")
                    token = self.headers["Authorization"]
                    status, headers, body = request(f"{api}{self.path}", Authorization=token)
                self.send_response(status)
                self.send_header("Content-Type", headers["Content-Type"])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"


def program(language):
    """A program of the page, as it stands there."""
    return re.search(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)


class Files:
    """The copy of the shell program: a file a customer."""

    def __init__(self, folder):
        self.folder = Path(folder, "copy")

    def customers(self):
        """By id; none while one of the files is written or removed."""
        try:
            files = [path for path in self.folder.glob("*") if path.name != ".cursor"]
            return {record["id"]: record for record in (json.loads(path.read_text()) for path in files)}
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def plant(self, id, record):
        Path(self.folder, "planted").write_text(json.dumps({**record, "id": id}))


class Table:
    """The copy of the Python program: a row a customer."""

    def __init__(self, folder):
        self.path = Path(folder, "copy.sqlite")

    def customers(self):
        """By id; none before there is a table."""
        if not self.path.exists():
            return {}
        with closing(sqlite3.connect(self.path, timeout=10)) as copy:
            try:
                return {id: json.loads(record) for id, record in copy.execute("SELECT id, record FROM customers")}
            except sqlite3.OperationalError:
                return {}

    def plant(self, id, record):
        with closing(sqlite3.connect(self.path, timeout=10)) as copy, copy:
            copy.execute("INSERT INTO customers VALUES (?, ?)", (id, json.dumps(record)))


def keeps_a_copy(world, command, kind):
    gateway = Gateway(world.api)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "API": gateway.address, "TOKEN": TOKEN, "NO_PROXY": "127.0.0.1"}
        copy = kind(folder)

        def becomes(is_meant, what):
            """Waits for a copy that is the shadow, and is as it is meant to be."""
            def probe():
                found = copy.customers()
                return found if found and is_meant(found) and found == world.customers() else None

            return eventually(probe, what, SOON)

        with running(command, cwd=folder, env=environment):
            before = becomes(lambda found: len(found) == CUSTOMERS, "the first copy is whole")
            once = gateway.listed
            first, second = sorted(before)[:2]
            world.tell_source(f"change?ids={first[3:]}")
            world.tell_source(f"delete?id={second[3:]}")
            becomes(lambda found: found[first] != before[first] and second not in found, "it has what changed")
            expect(gateway.listed == once, "the copy was listed again")
            # The feed would not take this one away: a list does.
            copy.plant("aa~nobody", {})
            world.tell_source(f"create?id={second[3:]}")
            gateway.is_gone = True
            anew = becomes(lambda found: second in found and "aa~nobody" not in found, "after a 410 it lists again")
            expect(gateway.listed > once, "the copy was not listed again")
        again = gateway.listed
        world.tell_source(f"change?ids={second[3:]}")
        with running(command, cwd=folder, env=environment):
            becomes(lambda found: found[second]["revision"] > anew[second]["revision"], "it goes on where it was")
        expect(gateway.listed == again, "the copy was listed again")
    gateway.server.shutdown()


@story
def the_shell_program_keeps_a_copy(world):
    keeps_a_copy(world, ["bash", "-c", program("bash")], Files)


@story
def the_python_program_keeps_a_copy(world):
    keeps_a_copy(world, [sys.executable, "-c", program("python")], Table)


# --- telling them -----------------------------------------------------------------------------------------------------


def main():
    def tell(function):
        with world() as it:
            function(it)

    tell_all(tell)


if __name__ == "__main__":
    main()
