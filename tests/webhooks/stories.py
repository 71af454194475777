"""Stories of webhooks: strangers verify and read what a local run sends. `tests/webhooks/run` builds what they need and
tells them.

The receiver is Python's own HTTP server. Whether a request is ours says standardwebhooks, the library of the standard
itself; what it tells, cloudevents does, the library of CloudEvents.
"""

import base64
import os
import re
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook, WebhookVerificationError

from storytelling import (
    ROOT, SOON, api_of, configure, eventually, expect, expect_equal, request, running, source_with, story, tell_all)

PAGE = ROOT / "infra" / "docs" / "destinations" / "webhook.md"

CUSTOMERS = 60
FIRST = 1001
ALL = {f"aa~{number}" for number in range(FIRST, FIRST + CUSTOMERS)}


def secret_of(text):
    return f"whsec_{base64.b64encode(text.encode()).decode()}"


OLD, NEW, NOBODYS = (secret_of(f"{text}-secret-of-the-tests-of-webhooks") for text in ("old", "new", "nobodys"))


# --- the receiver -----------------------------------------------------------------------------------------------------


class Received:
    """A request, as it came, and the HTTP status that it was answered with."""

    def __init__(self, path, headers, body, status):
        self.path = path
        self.headers = headers
        self.body = body
        self.status = status

    @property
    def id(self):
        return self.headers["webhook-id"]

    def is_verified_by(self, secret, **changes):
        """Whether the library takes it for signed with a secret; `changes` are headers, or the body, in other words."""
        body = changes.pop("body", self.body)
        headers = {**self.headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
        try:
            Webhook(secret).verify(body, headers)
        except WebhookVerificationError:
            return False
        return True

    def event(self):
        """The event, as the library reads it."""
        media_type = self.headers["content-type"].split(";")[0]
        expect_equal(media_type, JSONFormat().get_content_type(), "media type")
        return from_http(HTTPMessage(self.headers, self.body), JSONFormat())


class Receiver:
    """Takes every webhook, and keeps it."""

    def __init__(self):
        outer = self
        self.requests = []
        self.status = 200

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append(Received(self.path, headers, body, outer.status))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def destination(self, id, extra=""):
        """Its part of connections.toml; the path says which destination has sent a request."""
        return destination(id, f"{self.address}/{id}", extra)

    def events_of(self, id, since=0):
        """What a destination has sent: the last event of each customer."""
        events = [received.event() for received in self.requests[since:] if received.path == f"/{id}"]
        return {event.get_subject(): event for event in events}

    def requests_of(self, id, subject):
        """What a destination has sent of a customer."""
        requests = [received for received in self.requests if received.path == f"/{id}"]
        return [received for received in requests if received.event().get_subject() == subject]


def destination(id, url, extra=""):
    return f"""
[[destination]]
id = "{id}"
tenant = "acme"
kind = "webhook"
from = ["aa"]
url = "{url}"
credentials = "file:hook.json"
allow_private_addresses = true
max_requests_per_second = 500
{extra}
"""


@contextmanager
def receiver():
    it = Receiver()
    try:
        yield it
    finally:
        it.server.shutdown()
        it.server.server_close()


@contextmanager
def world(**secrets):
    """A source, a receiver and a folder for runs, of which the destination `hook` is sent everybody."""
    with tempfile.TemporaryDirectory() as folder, source_with(CUSTOMERS) as source, receiver() as there:
        configure(folder, source.connection() + there.destination("hook"), hook=secrets)
        yield source, there, folder


def arrives(there, id, subjects, since=0):
    """Waits until a destination was sent events of these customers, and returns them."""
    def probe():
        events = there.events_of(id, since)
        return events if subjects <= events.keys() else None

    return eventually(probe, f"events of {len(subjects)} customers", SOON)


def changes_of(api, cursor=None):
    """The changes since a cursor, by customer, and the cursor that follows."""
    page = api.ask("/v1/changes?limit=500" + (f"&cursor={cursor}" if cursor else ""))
    expect(not page["more"], "there are more changes than a page holds")
    return {change["id"]: change for change in page["changes"]}, page["cursor"]


# --- the stories ------------------------------------------------------------------------------------------------------


def tells(event, change):
    """The event tells of a change of the feed."""
    expected = {
        "specversion": "1.0",
        "id": event.get_id(),
        "source": "/tenants/acme/connections/aa",
        "type": f"customer-sync.customer.{change['action']}",
        "subject": change["id"],
        "time": datetime.fromisoformat(change["changed_at"].replace("Z", "+00:00")),
        "datacontenttype": "application/json",
    }
    expect_equal(event.get_attributes(), expected, "attributes")
    expect_equal(event.get_data(), change, "data")


@story
def every_webhook_is_verified_and_read_by_strangers():
    with world(secret=NEW) as (source, there, folder), api_of(folder) as api:
        added = arrives(there, "hook", ALL)
        changes, cursor = changes_of(api)
        expect_equal((changes.keys(), added.keys()), (ALL, ALL), "customers of the feed and of the events")
        for id, change in changes.items():
            expect_equal(change["action"], "added", f"action of {id}")
            tells(added[id], change)

        before = len(there.requests)
        source.tell(f"change?ids={FIRST},{FIRST + 1}")
        source.tell(f"delete?id={FIRST + 2}")
        subjects = {f"aa~{FIRST}", f"aa~{FIRST + 1}", f"aa~{FIRST + 2}"}
        later = arrives(there, "hook", subjects, since=before)
        changes, _ = changes_of(api, cursor)
        expect_equal((changes.keys(), later.keys()), (subjects, subjects), "customers that changed")
        expect_equal(sorted(change["action"] for change in changes.values()), ["deleted", "updated", "updated"], "actions")
        for id, change in changes.items():
            tells(later[id], change)

        bodies = {}
        for received in there.requests:
            expect(received.is_verified_by(NEW), f"{received.headers} can't be verified")
            expect_equal(received.event().get_id(), received.id, "the event's id")
            expect_equal(bodies.setdefault(received.id, received.body), received.body, "what the same id tells of")


@story
def a_webhook_that_was_tampered_with_is_not_verified():
    with world(secret=NEW) as (_, there, folder), api_of(folder):
        arrives(there, "hook", ALL)
    first, second = there.requests[0], there.requests[-1]
    expect(first.is_verified_by(NEW), "as it came it can't be verified")
    tampered = {
        "another secret": first.is_verified_by(NOBODYS),
        "another body": first.is_verified_by(NEW, body=second.body),
        "another byte": first.is_verified_by(NEW, body=first.body.replace(b'"revision":1', b'"revision":2')),
        "a byte more": first.is_verified_by(NEW, body=first.body + b" "),
        "another id": first.is_verified_by(NEW, webhook_id=second.id),
        "another time": first.is_verified_by(NEW, webhook_timestamp=str(int(first.headers["webhook-timestamp"]) + 1)),
        "another signature": first.is_verified_by(NEW, webhook_signature=second.headers["webhook-signature"]),
    }
    expect(first.id != second.id and b'"revision":1' in first.body, "the two can't be told apart")
    expect(not any(tampered.values()), f"verified all the same: {[what for what, holds in tampered.items() if holds]}")


@story
def one_secret_takes_the_place_of_another_without_a_gap():
    with world() as (source, there, folder):
        tables = source.connection() + there.destination("hook")
        for secrets, verifying in (
                ({"secret": OLD}, {OLD}), ({"secrets": [NEW, OLD]}, {NEW, OLD}), ({"secrets": [NEW]}, {NEW})):
            configure(folder, tables, hook=secrets)
            before = len(there.requests)
            source.tell(f"change?ids={FIRST}")
            # A secret is read when a run begins; in a run that goes on, again after a while.
            with api_of(folder):
                arrives(there, "hook", {f"aa~{FIRST}"}, since=before)
            for received in there.requests[before:]:
                found = {secret for secret in (OLD, NEW, NOBODYS) if received.is_verified_by(secret)}
                expect_equal(found, verifying, f"secrets that verify what {list(secrets)} signed")
                expect_equal(len(received.headers["webhook-signature"].split(" ")), len(verifying), "signatures")


@story
def a_webhook_that_is_sent_again_has_its_id_and_a_signature_of_now():
    with world(secret=NEW) as (source, there, folder), api_of(folder):
        arrives(there, "hook", ALL)
        there.status = 503
        before = len(there.requests)
        source.tell(f"change?ids={FIRST}")
        eventually(lambda: len(there.requests) > before, "a request in vain", SOON)
        # The first pause has up to five seconds. The next change does not wait for the minute after it.
        time.sleep(6)
        there.status = 200
        source.tell(f"change?ids={FIRST + 1}")
        arrives(there, "hook", {f"aa~{FIRST}", f"aa~{FIRST + 1}"}, since=before + 1)
    in_vain, again = there.requests_of("hook", f"aa~{FIRST}")[-2:]
    expect_equal((in_vain.status, again.status), (503, 200), "answers")
    expect_equal((again.id, again.body), (in_vain.id, in_vain.body), "id and body")
    expect(again.is_verified_by(NEW) and in_vain.is_verified_by(NEW), "they can't be verified")
    expect(again.headers["webhook-timestamp"] > in_vain.headers["webhook-timestamp"], "it has the same time")


@story
def a_webhook_without_state_tells_who_changed_and_nothing_else():
    with world(secret=NEW) as (source, there, folder):
        tables = source.connection() + there.destination("hook") + there.destination("hook-ids", 'payload = "ids"')
        configure(folder, tables, hook={"secret": NEW})
        with api_of(folder) as api:
            events = arrives(there, "hook-ids", ALL)
            changes, _ = changes_of(api)
        for id, change in changes.items():
            customer = change.pop("customer")
            tells(events[id], change)
            for received in there.requests_of("hook-ids", id):
                expect(received.is_verified_by(NEW), f"{received.headers} can't be verified")
                expect(customer["emails"][0]["address"].encode() not in received.body, f"{id}: personal data are in it")


@story
def the_receiver_of_the_page_keeps_a_table():
    """It runs as it stands in infra/docs/destinations/webhook.md, but for its port."""
    program = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    expect(program.count("8795") == 1, "the program has another port")
    program = program.replace("8795", str(port))
    with tempfile.TemporaryDirectory() as folder, source_with(CUSTOMERS) as source:

        def table():
            """Name by id, of those who are there; nothing before there is a table."""
            with closing(sqlite3.connect(Path(folder, "hook.sqlite"), timeout=10)) as copy:
                try:
                    return dict(copy.execute("SELECT id, name FROM customers WHERE name IS NOT NULL"))
                except sqlite3.OperationalError:
                    return {}

        configure(folder, source.connection() + destination("hook", f"http://127.0.0.1:{port}/"), hook={"secret": NEW})
        with running([sys.executable, "-c", program], cwd=folder, env={**os.environ, "SECRET": NEW}):
            eventually(lambda: is_listening(port), "the program listens", SOON)
            status, _, _ = request(f"http://127.0.0.1:{port}/", "POST", b"{}")
            expect_equal(status, 401, "the answer to a request without a signature")
            with api_of(folder) as api:
                for command in ("", f"change?ids={FIRST},{FIRST + 1}", f"delete?id={FIRST + 2}"):
                    before = table()
                    if command:
                        source.tell(command)
                        eventually(lambda: table() != before, f"the table is another after {command}", SOON)
                    eventually(
                        lambda: table() == {id: it["name"]["display"] for id, it in api.customers_of("aa").items()},
                        f"the table has what the API shows after {command or 'all were added'}", SOON)


def is_listening(port):
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


# --- telling them -----------------------------------------------------------------------------------------------------


def main():
    tell_all(lambda function: function())


if __name__ == "__main__":
    main()
