"""Stories of an InTouch Connector: prospects, members, staff and lead sources, pushed."""

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor

from telling import READER, STRANGER, expect

SECRET = {"username": "intouch", "password": "only-the-connector-knows-c4e8"}
# What the Connector pushes.
PROSPECT = {"firstname": "Zoë", "lastname": "Pushworthy", "email": "zoe.pushworthy@example.org"}
TRAINER = {"firstname": "Ann", "lastname": "Trainworthy", "email": "ann.trainworthy@club.example"}
# No word of it may be in a log.
PERSONAL = [person[key] for person in (PROSPECT, TRAINER) for key in ("lastname", "email")]
# Its part of connections.toml.
CONNECTION = """
[[connection]]
id = "intouch"
tenant = "acme"
kind = "connector"
client_id = "c-1"
club_ids = ["k-1"]
providers = ["INTOUCH"]
credentials = "secretsmanager:customer-sync/intouch"
create_staff = true
create_lead_sources = true
"""
# What a request to fetch must say.
OF_CLUB = "?provider=INTOUCH&client_id=c-1&club_id=k-1"

STORIES = []


def story(function):
    STORIES.append(function)
    return function


# --- what is sent, and what is answered -------------------------------------------------------------------------------


def connector(stack, method, resource, document=None, query="", login=SECRET, media_type="application/xml"):
    """One request of the Connector: (status, headers, document)."""
    headers = {"Content-Type": media_type}
    if login:
        credentials = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    body = document.encode() if isinstance(document, str) else document
    return stack.send(method, f"/connector/api/2011-11/{resource}{query}", headers, body)


def provider_info(record_id):
    return (f"<providerInfo><identifier>INTOUCH</identifier><clientID>c-1</clientID><clubID>k-1</clubID>"
            f"<recordID>{record_id}</recordID></providerInfo>")


def user(record_id, person, user_type="PROSPECT", beside=""):
    elements = {
        "firstname": person["firstname"], "lastname": person["lastname"], "userStatus": "ACTIVE", "userType": user_type,
        "email": person["email"]}
    info = "".join(f"<{name}>{text}</{name}>" for name, text in elements.items())
    return f"<user>{provider_info(record_id)}<userInfo>{info}</userInfo>{beside}</user>"


def lead_source(record_id, name):
    return f"<leadSource>{provider_info(record_id)}<leadInfo><name>{name}</name><active>true</active></leadInfo></leadSource>"


def lead(owner, source):
    return f"<leadInfo><ownerID>{owner}</ownerID><leadSourceID>{source}</leadSourceID></leadInfo>"


def saved(answer):
    """The uuid that a push was answered with: the answer is the source's, byte for byte."""
    status, headers, document = answer
    expect(status == 200 and headers.get_content_type() == "application/xml", f"answered {status}: {document}")
    found = re.fullmatch(
        r'<response xmlns="http://www\.intouchfollowup\.com/api/2011-11"><uuid>([0-9a-f-]{36})</uuid></response>', document)
    expect(found, f"answered {document}")
    return found.group(1)


def pushed_customer(stack, uuid):
    status, _, customer = stack.api("GET", f"/v1/customers/intouch~{uuid}", READER)
    expect(status == 200, f"answered {status}: {customer}")
    return customer


# --- the stories ------------------------------------------------------------------------------------------------------


@story
def a_prospect_is_pushed_and_readable_at_once(stack, sources):
    document = user("r-1", PROSPECT, beside=lead(TRAINER["email"].upper(), "facebook"))
    uuid = saved(connector(stack, "POST", "user", document))
    expect(saved(connector(stack, "POST", "user", document)) == uuid, "a second push has another uuid")
    customer = pushed_customer(stack, uuid)
    expect(customer["external_id"] == "r-1" and customer["stage"] == "prospect", f"{customer}")
    expect(customer["name"]["first"] == PROSPECT["firstname"], f"{customer['name']}")
    expect(customer["revision"] == 1, f"an unchanged push was written: revision {customer['revision']}")
    unmatched = customer["attributes"]["leadInfo#unmatched"]
    expect(unmatched == ["ownerID", "leadSourceID"], f"unmatched: {unmatched}")


@story
def staff_and_lead_sources_complete_the_prospect_that_named_them(stack, sources):
    owner = saved(connector(stack, "POST", "staff", user("s-1", TRAINER, "MEMBER")))
    source = saved(connector(stack, "POST", "leadsource", lead_source("l-1", "Facebook")))
    expect(saved(connector(stack, "POST", "leadsource", lead_source("l-2", " FACEBOOK "))) == source, "one name, two lead sources")
    uuid = saved(connector(stack, "POST", "user", user("r-1", PROSPECT, "MEMBER")))
    customer = pushed_customer(stack, uuid)
    expect((customer["owner_staff_id"], customer["lead_source_id"]) == (owner, source), f"{customer}")
    expect(customer["stage"] == "member" and "leadInfo#unmatched" not in customer["attributes"], f"{customer}")
    for path, name, wanted in (("staff", "staff", owner), ("lead-sources", "lead_sources", source)):
        status, _, answer = stack.api("GET", f"/v1/{path}?connection=intouch", READER)
        expect(status == 200 and [each["id"] for each in answer[name]] == [wanted], f"{path} answered {status}: {answer}")
        status, _, answer = stack.api("GET", f"/v1/{path}?connection=intouch", STRANGER)
        expect(status == 404, f"{path} answered another tenant {status}: {answer}")


@story
def the_connector_fetches_and_lists_what_it_pushed(stack, sources):
    for resource, record_id, root in (("user", "r-1", "users"), ("staff", "s-1", "users"), ("leadsource", "l-1", "leadSources")):
        status, _, one = connector(stack, "GET", resource, query=f"{OF_CLUB}&recordID={record_id}")
        expect(status == 200 and f"<recordID>{record_id}</recordID>" in one, f"{resource} answered {status}: {one}")
        status, _, every = connector(stack, "GET", resource, query=OF_CLUB)
        content = re.sub(r' xmlns="[^"]*"', "", one)
        expect(status == 200 and every.startswith(f"<{root} ") and content in every, f"{resource} lists {status}: {every}")
        status, _, answer = connector(stack, "GET", resource, query=f"{OF_CLUB}&uuid=nobody")
        expect(status == 404, f"{resource} of nobody answered {status}: {answer}")


@story
def the_connector_is_refused_in_its_own_dialect(stack, sources):
    large = user("r-2", PROSPECT).replace("</user>", " " * (5 * 1024 * 1024) + "</user>")
    broken = user("r-2", PROSPECT).replace("</lastname>", "")
    not_ours = user("r-2", PROSPECT).replace("k-1", "k-2")
    wrong = {**SECRET, "password": "wrong"}
    for document, login, expected in (
            (user("r-2", PROSPECT), None, 401), (user("r-2", PROSPECT), wrong, 401), (not_ours, SECRET, 403),
            ("<user/>", SECRET, 400), (broken, SECRET, 400), (large, SECRET, 413)):
        status, headers, answer = connector(stack, "POST", "user", document, login=login)
        expect(status == expected, f"{document[:60]} answered {status} instead of {expected}: {answer[:300]}")
        expect(answer.startswith('<error xmlns="http://www.intouchfollowup.com/api/2011-11"><reason>VALIDATION</reason>'),
               f"answered {answer[:300]}")
        expect(status != 401 or "Basic" in headers["WWW-Authenticate"], f"401 without a challenge: {headers}")
        expect(PROSPECT["lastname"] not in answer, f"the answer repeats what was pushed: {answer}")


@story
def a_document_in_another_encoding_is_pushed_as_bytes(stack, sources):
    """API Gateway takes what comes as application/xml for UTF-8."""
    for encoding, codec in (("UTF-16", "utf-16"), ("ISO-8859-1", "latin-1")):
        document = f'<?xml version="1.0" encoding="{encoding}"?>{user("r-3", PROSPECT)}'.encode(codec)
        uuid = saved(connector(stack, "POST", "user", document, media_type="application/octet-stream"))
        name = pushed_customer(stack, uuid)["name"]
        expect(name["first"] == PROSPECT["firstname"], f"in {encoding} the name is {name}")
        status, _, answer = connector(stack, "POST", "user", document)
        expect(status == 400 and "octet-stream" in answer, f"{encoding} as application/xml answered {status}: {answer}")


# --- many at once, followed by many -----------------------------------------------------------------------------------

WRITERS = 10
READERS = 5
# Prospects of a writer, and how often each is pushed, each time with another name.
PROSPECTS = 20
TIMES = 5


class FeedReader:
    """Follows the feed, and keeps what it heard of the prospects of the writers, by uuid."""

    def __init__(self, stack):
        self.stack = stack
        self.cursor = ""
        self.heard = {}

    def follow(self, until):
        while not until(self.heard):
            path = f"/v1/changes?limit=100&wait=1&connection=intouch{self.cursor}"
            code, _, page = self.stack.api("GET", path, READER)
            expect(code == 200, f"the feed answered {code}: {page}")
            for change in page["changes"]:
                customer = change["customer"]
                if customer["name"].get("last", "").startswith("Writer-"):
                    before = self.heard.get(customer["source_id"], {"revision": 0})
                    expect(before["revision"] <= change["revision"], f"{change['id']} went back")
                    self.heard[customer["source_id"]] = customer
            self.cursor = f"&cursor={page['cursor']}"


@story
def ten_writers_make_a_thousand_changes_and_each_of_five_readers_has_them(stack, _):
    deadline = time.monotonic() + 600
    done = []

    def write(writer):
        last = {}
        for turn in range(1, TIMES + 1):
            for number in range(PROSPECTS):
                person = {"firstname": f"Turn-{turn}", "lastname": f"Writer-{writer}", "email": f"w{writer}@example.org"}
                last[saved(connector(stack, "POST", "user", user(f"w-{writer}-{number}", person)))] = f"Turn-{turn}"
        done.append(last)

    def read(reader):
        def has_all(heard):
            expect(time.monotonic() < deadline, f"{len(heard)} customers heard, {len(done)} writers are done")
            wanted = {uuid: name for last in done for uuid, name in last.items()}
            return len(done) == WRITERS and all(
                heard.get(uuid, {"name": {}})["name"].get("first") == name for uuid, name in wanted.items())

        reader.follow(has_all)

    readers = [FeedReader(stack) for _ in range(READERS)]
    with ThreadPoolExecutor(WRITERS + READERS) as threads:
        tasks = [threads.submit(read, reader) for reader in readers]
        tasks += [threads.submit(write, writer) for writer in range(WRITERS)]
        for task in tasks:
            task.result()
    for reader in readers:
        revisions = [customer["revision"] for customer in reader.heard.values()]
        expect(len(revisions) == WRITERS * PROSPECTS and sum(revisions) == WRITERS * PROSPECTS * TIMES, f"{revisions}")
