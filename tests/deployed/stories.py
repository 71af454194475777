"""Stories of a deployed stack: Association Anywhere and a Connector in, customers out. `tests/deployed/run` builds everything and tells them.

They are told in order and build on each other. Nothing reaches into a function: a story acts on the vendor, on the command
`customer-sync` and on the HTTP API, and waits for what must follow. The schedule really ticks, once a minute.
"""

import json
import re
import signal
import sys
import time
import traceback
from fnmatch import fnmatchcase
from urllib.parse import quote

from connector import CONNECTOR_SECRET, OF_CLUB, connector, lead, lead_source, saved, user
from stack import BUILD, SCRATCH, TARGET, Gone, Stack, request, tail

# Three chunks of bulk_size, the last of them not full.
CUSTOMERS = 230
FIRST = 1001
# A tick of the schedule, a poll, the fetch, and a slow machine.
SOON = 180

VENDOR_SECRET = {"username": "integrator-7", "password": "only-the-vendor-knows-5b1f"}
READER = "reader-token-of-acme-90c2"
STRANGER = "reader-token-of-another-tenant-77d0"
# Whom the Connector pushes; no word of it may be in a log.
PROSPECT = {"firstname": "Zoë", "lastname": "Pushworthy", "email": "zoe.pushworthy@example.org"}
TRAINER = {"firstname": "Ann", "lastname": "Trainworthy", "email": "ann.trainworthy@club.example"}

STORIES = []
# Without these, the others would only wait in vain.
FOUNDATIONS = {"connections_are_applied", "every_queued_customer_arrives_in_the_shadow"}


def story(function):
    STORIES.append(function)
    return function


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


# --- the vendor -------------------------------------------------------------------------------------------------------


class Vendor:
    """The simulated Association Anywhere."""

    def __init__(self, stack):
        arguments = [
            str(TARGET / "debug" / "aa-simulator"), "--port", "0", "--customers", str(CUSTOMERS),
            "--username", VENDOR_SECRET["username"], "--password", VENDOR_SECRET["password"]]
        self.base = stack.start(
            "aa-simulator", arguments, stack.environment,
            lambda process: re.search(r"http://127\.0\.0\.1:\d+", process.log.read_text())).group()
        introduction = stack.processes[-1].log.read_text()
        self.urls = dict(re.findall(r"^(?:get |force )?(queue with reasons|queue|customer details|purge queue|enqueue) +(http\S+)",
                                    introduction, re.MULTILINE))

    def tell(self, command, **parameters):
        query = "&".join(f"{name}={quote(str(value))}" for name, value in parameters.items())
        status, _, text = request(self.base, "POST", f"/_simulator/{command}?{query}")
        expect(status == 200, f"the simulator refused {command}: {text}")

    def ask(self, path):
        status, _, text = request(self.base, "GET", f"/_simulator/{path}")
        expect(status == 200, f"the simulator refused {path}: {text}")
        return json.loads(text)

    def customer(self, source_id):
        return self.ask(f"customer?id={source_id}")

    def queue_is_empty(self):
        queue = self.ask("state")["queue"]
        expect(queue["length"] == 0, f"{queue['length']} customers still queued at the vendor")
        return True


def connections(vendor, credentials="secretsmanager:customer-sync/aa"):
    return f"""
[[connection]]
id = "aa"
tenant = "acme"
kind = "association-anywhere"
queue_url = "{vendor.urls['queue with reasons']}"
details_url = "{vendor.urls['customer details']}"
purge_url = "{vendor.urls['purge queue']}"
enqueue_url = "{vendor.urls['enqueue']}"
credentials = "{credentials}"
dialect = "camel"
poll_seconds = 2

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

[[reader]]
tenant = "acme"
token = "secretsmanager:customer-sync/reader"
scope = "read"

[[reader]]
tenant = "another"
token = "secretsmanager:customer-sync/stranger"
scope = "read"
"""


# --- the stories ------------------------------------------------------------------------------------------------------


@story
def the_functions_run_on_amazon_linux_2023(stack, vendor):
    """It has glibc 2.34."""
    binaries = sorted(BUILD.glob("*/bootstrap"))
    expect(binaries, f"there is no bootstrap under {BUILD}")
    for binary in binaries:
        # The names of the versions that its symbols want stand in its string table.
        names = re.findall(rb"GLIBC_(\d+\.\d+)", binary.read_bytes())
        versions = {tuple(map(int, name.split(b"."))) for name in names}
        expect(versions, f"no glibc version found in {binary}")
        expect(max(versions) <= (2, 34), f"{binary} needs glibc {max(versions)}")


@story
def no_function_collects_jitter_entropy_at_its_first_handshake(stack, vendor):
    """30 to 57 ms of CPU in every cold start; `.cargo/config.toml` must have reached the build."""
    outputs = sorted(TARGET.glob("*-linux-gnu/release/build/aws-lc-sys-*/output"), key=lambda path: path.stat().st_mtime)
    expect(outputs, "aws-lc-sys was not built for the functions")
    expect("'AWS_LC_SYS_NO_JITTER_ENTROPY': '1'" in outputs[-1].read_text(), "AWS_LC_SYS_NO_JITTER_ENTROPY was not set")


@story
def connections_with_secrets_outside_secrets_manager_are_refused(stack, vendor):
    file = SCRATCH / "unsafe.toml"
    file.write_text(connections(vendor, credentials="env:AA_CREDENTIALS"))
    code, _, errors = stack.customer_sync("apply", str(file), "--stack", stack.NAME)
    expect(code != 0, "the file was applied")
    expect("aa" in errors and "credentials" in errors, f"the error does not say which connection and key: {errors!r}")


@story
def connections_are_applied(stack, vendor):
    secrets = stack.client("secretsmanager")
    secrets.create_secret(Name="customer-sync/aa", SecretString=json.dumps(VENDOR_SECRET))
    secrets.create_secret(Name="customer-sync/intouch", SecretString=json.dumps(CONNECTOR_SECRET))
    secrets.create_secret(Name="customer-sync/reader", SecretString=json.dumps({"token": READER}))
    secrets.create_secret(Name="customer-sync/stranger", SecretString=json.dumps({"token": STRANGER}))
    file = SCRATCH / "connections.toml"
    file.write_text(connections(vendor))
    for arguments in (["--dry-run"], [], []):
        code, _, errors = stack.customer_sync("apply", str(file), "--stack", stack.NAME, *arguments)
        expect(code == 0, f"apply {arguments} exited with {code}: {errors}")


@story
def every_queued_customer_arrives_in_the_shadow(stack, vendor):
    def all_there():
        found = len(stack.shadow())
        expect(found == CUSTOMERS, f"{found} of {CUSTOMERS} customers")
        return True
    eventually(all_there, "the customers of the vendor's queue in the shadow table")


@story
def the_vendors_queue_is_purged_when_all_is_safe(stack, vendor):
    eventually(vendor.queue_is_empty, "a purge", 90)
    purges = vendor.ask("state")["purges"]
    expect(len(purges) == 1, f"purged with {purges}, where one number covers the whole queue")


@story
def a_customer_is_read_with_a_bearer_token(stack, vendor):
    status, media_type, customer = stack.api("GET", "/v1/customers/aa~1001", READER)
    expect((status, media_type) == (200, "application/json"), f"answered {status}, {media_type}: {customer}")
    truth = vendor.customer(1001)
    expect(customer["id"] == "aa~1001" and customer["tenant"] == "acme", f"another customer: {customer}")
    expect(customer["name"]["display"] == truth["display_name"], f"{customer['name']} instead of {truth['display_name']}")
    expect(truth["email"] in [email["address"] for email in customer["emails"]], f"{customer['emails']} lacks {truth['email']}")
    expect(stack.api("GET", "/v1/customers/aa%7E1001", READER)[0] == 200, "an encoded id is not found")


@story
def many_customers_are_read_at_once(stack, vendor):
    wanted = [f"aa~{source_id}" for source_id in range(FIRST, FIRST + CUSTOMERS)]
    status, _, answer = stack.api("POST", "/v1/customers/batch-get", READER, {"ids": [*wanted, "aa~999999"]})
    expect(status == 200, f"answered {status}: {answer}")
    expect(sorted(customer["id"] for customer in answer["customers"]) == sorted(wanted), "not every customer was there")
    expect(answer["missing"] == ["aa~999999"], f"missing: {answer['missing']}")


@story
def the_list_yields_every_customer_once(stack, vendor):
    ids = [customer["id"] for customer in listed(stack, READER)]
    expect(len(ids) == len(set(ids)) == CUSTOMERS, f"{len(ids)} customers, {len(set(ids))} different ones")


def listed(stack, token):
    customers, cursor = [], ""
    for _ in range(1 + CUSTOMERS):
        status, _, page = stack.api("GET", f"/v1/customers?connection=aa{cursor}", token)
        expect(status == 200, f"answered {status}: {page}")
        customers += page["customers"]
        if not page.get("cursor"):
            return customers
        cursor = f"&cursor={quote(page['cursor'], safe='')}"
    raise AssertionError("the list has no end")


@story
def who_has_no_token_reads_nothing(stack, vendor):
    for token in (None, "", "wrong", f"{READER}x", READER[:-1]):
        for method, path, document in (
                ("GET", "/v1/customers/aa~1001", None), ("GET", "/v1/customers?connection=aa", None),
                ("POST", "/v1/customers/batch-get", {"ids": ["aa~1001"]}), ("GET", "/v1/connections", None),
                ("GET", "/v1/staff?connection=intouch", None), ("GET", "/v1/lead-sources?connection=intouch", None)):
            status, media_type, problem = stack.api(method, path, token, document)
            expect(status == 401, f"{method} {path} with token {token!r} answered {status}")
            expect(media_type == "application/problem+json", f"{method} {path} answered {media_type}: {problem}")


@story
def another_tenant_sees_nothing(stack, vendor):
    status, _, problem = stack.api("GET", "/v1/customers/aa~1001", STRANGER)
    expect(status == 404, f"answered {status}: {problem}")
    status, _, answer = stack.api("POST", "/v1/customers/batch-get", STRANGER, {"ids": ["aa~1001", "aa~1002"]})
    expect((status, answer["customers"]) == (200, []), f"answered {status}: {answer}")
    status, _, answer = stack.api("GET", "/v1/customers?connection=aa", STRANGER)
    expect(status == 404 or answer["customers"] == [], f"answered {status}: {answer}")
    status, _, answer = stack.api("GET", "/v1/connections", STRANGER)
    expect(status == 200 and "aa" not in [each.get("id") for each in answer["connections"]], f"answered {status}: {answer}")


@story
def connections_tell_how_fresh_they_are(stack, vendor):
    status, _, answer = stack.api("GET", "/v1/connections", READER)
    expect(status == 200 and [each["id"] for each in answer["connections"]] == ["aa", "intouch"], f"answered {status}: {answer}")


@story
def a_change_at_the_vendor_arrives(stack, vendor):
    before = stack.api("GET", "/v1/customers/aa~1001", READER)[2]
    vendor.tell("change", ids=1001)
    truth = vendor.customer(1001)
    after = eventually(lambda: shows(stack, 1001, truth), "the change in the API")
    expect(after["revision"] == before["revision"] + 1, f"revision {before['revision']} became {after['revision']}")
    expect(after["first_seen_at"] == before["first_seen_at"], "it was seen first at another time")
    eventually(vendor.queue_is_empty, "the purge of the change")


def shows(stack, source_id, truth):
    status, _, customer = stack.api("GET", f"/v1/customers/aa~{source_id}", READER)
    expect(status == 200, f"answered {status}: {customer}")
    name = customer["name"]["display"]
    expect(name == truth["display_name"], f"{source_id} is {name}, at the vendor {truth['display_name']}")
    return customer


@story
def an_unchanged_customer_is_not_written_again(stack, vendor):
    def revisions():
        return {item["id"]["S"]: item["revision"] for item in stack.shadow()}
    before, purges = revisions(), len(vendor.ask("state")["purges"])
    code, _, errors = stack.customer_sync("resync", "aa", "--stack", stack.NAME)
    expect(code == 0, f"resync exited with {code}: {errors}")
    eventually(lambda: len(vendor.ask("state")["purges"]) > purges, "the purge after a full resync")
    eventually(vendor.queue_is_empty, "the end of the full resync")
    changed = [key for key, revision in revisions().items() if before.get(key) != revision]
    expect(not changed, f"written although nothing changed: {changed[:5]}")


@story
def a_deleted_customer_becomes_a_tombstone(stack, vendor):
    vendor.tell("delete", id=1002)
    eventually(lambda: deleted(stack, 1002), "the customer that the vendor said to be deleted")
    vendor.tell("delete-silently", id=1003)
    eventually(lambda: deleted(stack, 1003), "the customer that is gone without a word")
    expect(len(listed(stack, READER)) == CUSTOMERS - 2, "the list still has them")


def deleted(stack, source_id):
    status, _, customer = stack.api("GET", f"/v1/customers/aa~{source_id}", READER)
    gone = status in (404, 410) or customer.get("status") == "deleted"
    expect(gone, f"answered {status}, status {customer.get('status')}")
    return gone


@story
def a_poisoned_customer_costs_itself_alone(stack, vendor):
    """Its XML is broken, and with it the answer that the others stand in."""
    vendor.tell("poison", id=1010, kind="broken-xml")
    vendor.tell("change", ids=",".join(str(source_id) for source_id in range(1005, 1025)))
    for source_id in range(1005, 1025):
        if source_id != 1010:
            truth = vendor.customer(source_id)
            eventually(lambda: shows(stack, source_id, truth), "the others of the same answer")
    [failure] = eventually(lambda: failures(stack), "a failure record")
    expect(failure["id"] == "aa~1010", f"the failure record is of another: {failure['id']}")
    eventually(vendor.queue_is_empty, "the purge in spite of the failure")


def failures(stack):
    code, output, errors = stack.customer_sync("failures", "--stack", stack.NAME, "--json")
    expect(code == 0, f"failures exited with {code}: {errors}")
    return json.loads(output)["failures"]


@story
def a_failure_that_is_redriven_too_early_fails_again(stack, vendor):
    [before] = failures(stack)
    code, _, errors = stack.customer_sync("failures", "redrive", before["id"], "--stack", stack.NAME)
    expect(code == 0, f"redrive exited with {code}: {errors}")

    def failed_again():
        [failure] = failures(stack)
        expect(failure["failed_at"] > before["failed_at"], f"still the failure of {failure['failed_at']}")
        return True
    eventually(failed_again, "a new failure record of the same customer")
    # It is not tried for ever: the wish was fulfilled, if in vain.
    counts = eventually(lambda: in_step(stack), "the connection in step")["counts"]
    expect(counts["failed"] == 2, f"failed: {counts}")


@story
def a_failure_is_redriven_once_its_cause_is_gone(stack, vendor):
    vendor.tell("heal", id=1010)
    [failure] = failures(stack)
    code, _, errors = stack.customer_sync("failures", "redrive", failure["id"], "--stack", stack.NAME)
    expect(code == 0, f"redrive exited with {code}: {errors}")
    truth = vendor.customer(1010)
    eventually(lambda: shows(stack, 1010, truth), "the healed customer")
    eventually(lambda: failures(stack) == [], "the end of the failure record")


@story
def every_customer_that_was_fetched_came_to_one_end(stack, vendor):
    status = eventually(lambda: in_step(stack), "the connection in step")
    expect(status["failures"] == 0, f"{status}")
    counts = status["counts"]
    ends = {name: counts[name] for name in ("written", "unchanged", "stale", "tombstoned", "failed")}
    expect(counts["fetched"] == sum(ends.values()), f"fetched is not the sum of its ends: {counts}")
    # All at first, one change, the 19 beside the poisoned one, and that one once it was healed.
    expect(ends["written"] == CUSTOMERS + 1 + 19 + 1, f"written: {counts}")
    expect((ends["tombstoned"], ends["failed"]) == (2, 2), f"tombstoned and failed: {counts}")


def in_step(stack):
    code, output, errors = stack.customer_sync("status", "--stack", stack.NAME, "--json")
    expect(code == 0, f"status exited with {code}: {errors}")
    [status] = [each for each in json.loads(output)["connections"] if each["id"] == "aa"]
    expect(status["condition"] == "in_step" and status["batch"] is None, f"{status}")
    return status


# --- the Connector ----------------------------------------------------------------------------------------------------


def pushed_customer(stack, uuid):
    status, _, customer = stack.api("GET", f"/v1/customers/intouch~{uuid}", READER)
    expect(status == 200, f"answered {status}: {customer}")
    return customer


@story
def a_prospect_is_pushed_and_readable_at_once(stack, vendor):
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
def staff_and_lead_sources_complete_the_prospect_that_named_them(stack, vendor):
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
def the_connector_fetches_and_lists_what_it_pushed(stack, vendor):
    for resource, record_id, root in (("user", "r-1", "users"), ("staff", "s-1", "users"), ("leadsource", "l-1", "leadSources")):
        status, _, one = connector(stack, "GET", resource, query=f"{OF_CLUB}&recordID={record_id}")
        expect(status == 200 and f"<recordID>{record_id}</recordID>" in one, f"{resource} answered {status}: {one}")
        status, _, every = connector(stack, "GET", resource, query=OF_CLUB)
        content = re.sub(r' xmlns="[^"]*"', "", one)
        expect(status == 200 and every.startswith(f"<{root} ") and content in every, f"{resource} lists {status}: {every}")
        status, _, answer = connector(stack, "GET", resource, query=f"{OF_CLUB}&uuid=nobody")
        expect(status == 404, f"{resource} of nobody answered {status}: {answer}")


@story
def the_connector_is_refused_in_its_own_dialect(stack, vendor):
    large = user("r-2", PROSPECT).replace("</user>", " " * (5 * 1024 * 1024) + "</user>")
    broken = user("r-2", PROSPECT).replace("</lastname>", "")
    not_ours = user("r-2", PROSPECT).replace("k-1", "k-2")
    wrong = {**CONNECTOR_SECRET, "password": "wrong"}
    for document, login, expected in (
            (user("r-2", PROSPECT), None, 401), (user("r-2", PROSPECT), wrong, 401), (not_ours, CONNECTOR_SECRET, 403),
            ("<user/>", CONNECTOR_SECRET, 400), (broken, CONNECTOR_SECRET, 400), (large, CONNECTOR_SECRET, 413)):
        status, headers, answer = connector(stack, "POST", "user", document, login=login)
        expect(status == expected, f"{document[:60]} answered {status} instead of {expected}: {answer[:300]}")
        expect(answer.startswith('<error xmlns="http://www.intouchfollowup.com/api/2011-11"><reason>VALIDATION</reason>'),
               f"answered {answer[:300]}")
        expect(status != 401 or "Basic" in headers["WWW-Authenticate"], f"401 without a challenge: {headers}")
        expect(PROSPECT["lastname"] not in answer, f"the answer repeats what was pushed: {answer}")


@story
def a_document_in_another_encoding_is_pushed_as_bytes(stack, vendor):
    """API Gateway takes what comes as application/xml for UTF-8."""
    for encoding, codec in (("UTF-16", "utf-16"), ("ISO-8859-1", "latin-1")):
        document = f'<?xml version="1.0" encoding="{encoding}"?>{user("r-3", PROSPECT)}'.encode(codec)
        uuid = saved(connector(stack, "POST", "user", document, media_type="application/octet-stream"))
        name = pushed_customer(stack, uuid)["name"]
        expect(name["first"] == PROSPECT["firstname"], f"in {encoding} the name is {name}")
        status, _, answer = connector(stack, "POST", "user", document)
        expect(status == 400 and "octet-stream" in answer, f"{encoding} as application/xml answered {status}: {answer}")


@story
def no_message_is_left_over(stack, vendor):
    eventually(lambda: stack.messages("WorkQueue") == 0, "an empty work queue", 60)
    expect(stack.messages("WorkDeadLetterQueue") == 0, "messages in the dead-letter queue")


@story
def the_roles_allow_what_the_functions_need(stack, vendor):
    denied = stack.asked_for("DENIED")
    expect(not denied, f"denied: {denied}")


@story
def the_roles_allow_nothing_else(stack, vendor):
    """The stories before have led every function through all that it does."""
    used = stack.asked_for("ALLOWED")
    permissions = stack.permissions()
    expect(permissions, "the roles have no permissions")
    idle = [
        f"{role} never needed {action} on {resource}" for role, action, resource in permissions
        if not any(used_role == role and used_action == action and fnmatchcase(used_resource, resource)
                   for used_role, used_action, used_resource in used)]
    expect(not idle, "\n       ".join(idle))


@story
def logs_hold_neither_secrets_nor_personal_data(stack, vendor):
    def all_have_logged():
        logged = stack.logs()
        silent = [group for group, lines in logged.items() if not lines]
        expect(not silent, f"nothing in {silent}")
        return logged
    # A poller's lines come when it hands over to the next.
    logged = eventually(all_have_logged, "log lines of every function")
    truths = [vendor.customer(source_id) for source_id in (1001, 1010, 1200)]
    forbidden = [VENDOR_SECRET["password"], CONNECTOR_SECRET["password"], READER, STRANGER]
    forbidden += [PROSPECT["lastname"], PROSPECT["email"], TRAINER["lastname"], TRAINER["email"]]
    forbidden += [truth[key] for truth in truths for key in ("display_name", "email")]
    for group, lines in logged.items():
        for line in lines:
            for word in forbidden:
                expect(word not in line, f"{group} has {word!r}: {line[:300]}")


@story
def logs_are_json(stack, vendor):
    for group, lines in stack.logs().items():
        for line in lines:
            # The emulator writes the platform's own lines as text.
            if line.split(" ", 1)[0] not in ("START", "END", "REPORT"):
                try:
                    json.loads(line)
                except ValueError:
                    raise AssertionError(f"{group}: {line[:300]!r}") from None


# --- telling them -----------------------------------------------------------------------------------------------------


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack = Stack()
    passed = failed = 0
    try:
        began = time.monotonic()
        stack.start_emulator()
        stack.deploy()
        vendor = Vendor(stack)
        print(f"deployed in {time.monotonic() - began:.0f} s", flush=True)
        for tell in STORIES:
            began = time.monotonic()
            try:
                tell(stack, vendor)
            except AssertionError as error:
                failed += 1
                print(f"FAILED {tell.__name__}\n       {error}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED {tell.__name__}\n{traceback.format_exc()}", flush=True)
            else:
                passed += 1
                print(f"passed {tell.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
                continue
            if tell.__name__ in FOUNDATIONS:
                break
        if failed:
            explain(stack)
    except Gone as gone:
        print(gone, flush=True)
    finally:
        stack.stop()
    untold = len(STORIES) - passed - failed
    if untold:
        failed += untold
        print(f"{untold} stories were not told", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


def explain(stack):
    """What the functions and the servers said last."""
    try:
        for group, lines in stack.logs().items():
            own = [line for line in lines if not line.startswith(("START ", "END ", "REPORT "))]
            print(f"--- {group}\n{tail(chr(10).join(own), 20)}")
    except Exception as error:
        print(f"the functions' logs cannot be read: {error}")
    for process in stack.processes:
        print(f"--- {process.log}\n{tail(process.log.read_text(errors='replace'), 15)}")


if __name__ == "__main__":
    main()
