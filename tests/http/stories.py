"""Stories of the HTTP API: strangers use that of a local run. `tests/http/run` builds what they need and tells them.

schemathesis, which tries an API by its OpenAPI document, finds nothing. The programs of infra/docs/keeping-a-copy.md keep
a copy as they stand there.
"""

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from storytelling import (
    ROOT, SOON, Api, api_of, configure, eventually, expect, request, running, source_with, story, tell_all)

HERE = Path(__file__).resolve().parent
PAGE = ROOT / "infra" / "docs" / "keeping-a-copy.md"

CUSTOMERS = 230
CONNECTOR = {"username": "intouch", "password": "connector-password"}

CONNECTION = """
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

[[connection]]
id = "imports"
tenant = "acme"
kind = "batch-import"
account_id = "greatwidgets"
credentials = "file:imports.json"
campaigns = ["898989889"]
"""
IMPORTER = {"user_id": "john1970", "user_password": "1959caadac9b13dcb3"}
# Its only row fails: it brings no customer.
IMPORT = {
    **IMPORTER, "account_id": "greatwidgets", "type": "customers_batch", "delimiter": "pipe", "overwrite_duplicates": "update",
    "campaigns_to_include": "898989889", "profiles_header_1": "code", "profiles_header_2": "custom_date",
    "Profiles_Data": "1|yesterday"}

PROVIDER = (
    "<providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID><recordID>{}</recordID>"
    "</providerInfo>")
LEAD_SOURCE = "<leadSource>{}<leadInfo><name>Open day {}</name><active>true</active></leadInfo></leadSource>"
STAFF = (
    "<staff>{}<userInfo><firstname>Sam</firstname><lastname>Hill</lastname><userStatus>ACTIVE</userStatus>"
    "<email>sam.{}@example.net</email></userInfo></staff>")


class World:
    """A local run with a simulated source."""

    def __init__(self, source, api):
        self.source = source
        self.api = api

    def push(self, resource, document, number):
        login = base64.b64encode(f"{CONNECTOR['username']}:{CONNECTOR['password']}".encode()).decode()
        body = document.format(PROVIDER.format(number), number).encode()
        status, _, answer = request(
            f"{self.api.address}/connector/api/2011-11/{resource}", "POST", body,
            **{"Authorization": f"Basic {login}", "Content-Type": "application/xml"})
        expect(status == 200, f"{resource}: {status} {answer}")

    def import_nobody(self):
        """Imports, and returns the import's id."""
        status, _, answer = request(f"{self.api.address}/api.php", "POST", urllib.parse.urlencode(IMPORT).encode())
        expect(status == 200 and b"<failed>1</failed>" in answer, f"the import: {status} {answer}")
        return re.search(rb"<id>(.*?)</id>", answer).group(1).decode()

    def customers(self):
        """Every customer of the lists, by id."""
        found = {}
        for connection in self.api.ask("/v1/connections")["connections"]:
            found |= self.api.customers_of(connection["id"])
        return found


@contextmanager
def world():
    with tempfile.TemporaryDirectory() as folder, source_with(CUSTOMERS) as source:
        configure(folder, source.connection() + CONNECTION, intouch=CONNECTOR, imports={"users": [IMPORTER]})
        with api_of(folder) as api:
            it = World(source, api)
            for number in (1, 2):
                it.push("leadsource", LEAD_SOURCE, number)
                it.push("staff", STAFF, number)
            yield it


# --- a tester of APIs -------------------------------------------------------------------------------------------------


@story
def schemathesis_finds_nothing(world):
    tester = ["schemathesis", "run", f"{world.api.address}/openapi.json", "--header", f"Authorization: Bearer {Api.TOKEN}",
              "--checks", "all", "--max-examples", "100", "--seed", "1"]
    environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
    imported = world.import_nobody()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("schemathesis.toml", "forgiven.py"):
            Path(folder, name).write_text((HERE / name).read_text().replace("IMPORTED", imported))
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
    gateway = Gateway(world.api.address)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "API": gateway.address, "TOKEN": Api.TOKEN, "NO_PROXY": "127.0.0.1"}
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
            world.source.tell(f"change?ids={first[3:]}")
            world.source.tell(f"delete?id={second[3:]}")
            becomes(lambda found: found[first] != before[first] and second not in found, "it has what changed")
            expect(gateway.listed == once, "the copy was listed again")
            # The feed would not take this one away: a list does.
            copy.plant("aa~nobody", {})
            world.source.tell(f"create?id={second[3:]}")
            gateway.is_gone = True
            anew = becomes(lambda found: second in found and "aa~nobody" not in found, "after a 410 it lists again")
            expect(gateway.listed > once, "the copy was not listed again")
        again = gateway.listed
        world.source.tell(f"change?ids={second[3:]}")
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
