"""Stories of a deployed stack: sources in, customers out. `tests/deployed/run` builds everything and tells them.

They are told in order and build on each other. Nothing reaches into a function: a story acts on the source, on the command
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

from botocore.exceptions import ClientError

import contacts
import destinations
import imports
import pushes
from stack import BUILD, SCRATCH, TARGET, Gone, Stack, tail
from telling import (
    OPERATOR, POLL_SECONDS, READER, STRANGER, UNDIGESTED, Simulator, deleted, eventually, expect, failures, in_sync, listed,
    reconciled, shows)

# Three chunks of bulk_size, the last of them not full.
CUSTOMERS = 230
FIRST = 1001

VENDOR_SECRET = {"username": "integrator-7", "password": "only-the-source-knows-5b1f"}

STORIES = []
# Without these, the others would only time out.
FOUNDATIONS = {"connections_are_applied", "every_queued_customer_arrives_in_the_shadow"}


def story(function):
    STORIES.append(function)
    return function


# --- the sources -------------------------------------------------------------------------------------------------------


class AssociationAnywhere(Simulator):
    def __init__(self, stack):
        super().__init__(
            stack, "aa-simulator", "--customers", str(CUSTOMERS),
            "--username", VENDOR_SECRET["username"], "--password", VENDOR_SECRET["password"])
        self.urls = dict(re.findall(r"^(?:get |force )?(queue with reasons|queue|customer details|purge queue|enqueue) +(http\S+)",
                                    self.introduction, re.MULTILINE))

    def customer(self, source_id):
        return self.ask(f"customer?id={source_id}")

    def queue_is_empty(self):
        queue = self.ask("state")["queue"]
        expect(queue["length"] == 0, f"{queue['length']} customers still queued at the source")
        return True


class Sources:
    """Every simulated source, and the systems that customers are sent to."""

    def __init__(self, stack):
        self.aa = AssociationAnywhere(stack)
        self.bc = contacts.Site(stack)
        self.destinations = destinations.Destinations(stack)


def connections(sources, credentials="secretsmanager:customer-sync/aa"):
    return f"""
[[connection]]
id = "aa"
tenant = "acme"
kind = "association-anywhere"
queue_url = "{sources.aa.urls['queue with reasons']}"
details_url = "{sources.aa.urls['customer details']}"
purge_url = "{sources.aa.urls['purge queue']}"
enqueue_url = "{sources.aa.urls['enqueue']}"
credentials = "{credentials}"
dialect = "camel"
poll_seconds = {POLL_SECONDS}
{sources.bc.connection()}{pushes.CONNECTION}{imports.CONNECTION}{sources.destinations.tables()}
[[reader]]
tenant = "acme"
token = "secretsmanager:customer-sync/reader"
scope = "read"

[[reader]]
tenant = "acme"
token = "secretsmanager:customer-sync/reader-who-operates"
scope = "operate"

[[reader]]
tenant = "another"
token = "secretsmanager:customer-sync/reader-of-another"
scope = "read"
"""


# --- the stories ------------------------------------------------------------------------------------------------------


@story
def the_functions_run_on_amazon_linux_2023(stack, sources):
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
def connections_with_secrets_outside_secrets_manager_are_refused(stack, sources):
    file = SCRATCH / "unsafe.toml"
    file.write_text(connections(sources, credentials="env:AA_CREDENTIALS"))
    code, _, errors = stack.customer_sync("apply", str(file), "--stack", stack.NAME)
    expect(code != 0, "the file was applied")
    expect("aa" in errors and "credentials" in errors, f"the error does not say which connection and key: {errors!r}")


@story
def connections_are_applied(stack, sources):
    secrets = stack.client("secretsmanager")
    secrets.create_secret(Name="customer-sync/aa", SecretString=json.dumps(VENDOR_SECRET))
    secrets.create_secret(Name="customer-sync/bc", SecretString=json.dumps(contacts.SECRET))
    secrets.create_secret(Name="customer-sync/intouch", SecretString=json.dumps(pushes.SECRET))
    secrets.create_secret(Name="customer-sync/imports", SecretString=json.dumps(imports.SECRET))
    for id, secret in destinations.SECRETS.items():
        secrets.create_secret(Name=f"customer-sync/{id}", SecretString=json.dumps(secret))
    secrets.create_secret(Name="customer-sync/reader", SecretString=json.dumps({"token": READER}))
    secrets.create_secret(Name="customer-sync/reader-who-operates", SecretString=json.dumps({"token": OPERATOR}))
    secrets.create_secret(Name="customer-sync/reader-of-another", SecretString=json.dumps({"token": STRANGER}))
    file = SCRATCH / "connections.toml"
    file.write_text(connections(sources))
    for arguments in (["--dry-run"], [], []):
        code, _, errors = stack.customer_sync("apply", str(file), "--stack", stack.NAME, *arguments)
        expect(code == 0, f"apply {arguments} exited with {code}: {errors}")


@story
def every_queued_customer_arrives_in_the_shadow(stack, sources):
    def all_there():
        found = len(stack.shadow("acme/aa~"))
        expect(found == CUSTOMERS, f"{found} of {CUSTOMERS} customers")
        return True
    eventually(all_there, "the customers of the source's queue in the shadow table")


@story
def the_sources_queue_is_purged_when_all_is_safe(stack, sources):
    eventually(sources.aa.queue_is_empty, "a purge", 90)
    purges = sources.aa.ask("state")["purges"]
    expect(len(purges) == 1, f"purged with {purges}, where one number covers the whole queue")


@story
def a_customer_is_read_with_a_bearer_token(stack, sources):
    status, media_type, customer = stack.api("GET", "/v1/customers/aa~1001", READER)
    expect((status, media_type) == (200, "application/json"), f"answered {status}, {media_type}: {customer}")
    truth = sources.aa.customer(1001)
    expect(customer["id"] == "aa~1001" and customer["tenant"] == "acme", f"another customer: {customer}")
    expect(customer["name"]["display"] == truth["display_name"], f"{customer['name']} instead of {truth['display_name']}")
    expect(truth["email"] in [email["address"] for email in customer["emails"]], f"{customer['emails']} lacks {truth['email']}")
    expect(stack.api("GET", "/v1/customers/aa%7E1001", READER)[0] == 200, "an encoded id is not found")


@story
def many_customers_are_read_at_once(stack, sources):
    wanted = [f"aa~{source_id}" for source_id in range(FIRST, FIRST + CUSTOMERS)]
    status, _, answer = stack.api("POST", "/v1/customers/batch-get", READER, {"ids": [*wanted, "aa~999999"]})
    expect(status == 200, f"answered {status}: {answer}")
    expect(sorted(customer["id"] for customer in answer["customers"]) == sorted(wanted), "not every customer was there")
    expect(answer["missing"] == ["aa~999999"], f"missing: {answer['missing']}")


@story
def the_list_yields_every_customer_once(stack, sources):
    ids = [customer["id"] for customer in listed(stack, "aa")]
    expect(len(ids) == len(set(ids)) == CUSTOMERS, f"{len(ids)} customers, {len(set(ids))} different ones")


@story
def who_has_no_token_reads_nothing(stack, sources):
    for token in (None, "", "wrong", f"{READER}x", READER[:-1]):
        for method, path, document in (
                ("GET", "/v1/customers/aa~1001", None), ("GET", "/v1/customers?connection=aa", None),
                ("POST", "/v1/customers/batch-get", {"ids": ["aa~1001"]}), ("GET", "/v1/connections", None),
                ("GET", "/v1/staff?connection=intouch", None), ("GET", "/v1/lead-sources?connection=intouch", None)):
            status, media_type, problem = stack.api(method, path, token, document)
            expect(status == 401, f"{method} {path} with token {token!r} answered {status}")
            expect(media_type == "application/problem+json", f"{method} {path} answered {media_type}: {problem}")


@story
def another_tenant_sees_nothing(stack, sources):
    status, _, problem = stack.api("GET", "/v1/customers/aa~1001", STRANGER)
    expect(status == 404, f"answered {status}: {problem}")
    status, _, answer = stack.api("POST", "/v1/customers/batch-get", STRANGER, {"ids": ["aa~1001", "aa~1002"]})
    expect((status, answer["customers"]) == (200, []), f"answered {status}: {answer}")
    status, _, answer = stack.api("GET", "/v1/customers?connection=aa", STRANGER)
    expect(status == 404 or answer["customers"] == [], f"answered {status}: {answer}")
    status, _, answer = stack.api("GET", "/v1/connections", STRANGER)
    expect(status == 200 and "aa" not in [each.get("id") for each in answer["connections"]], f"answered {status}: {answer}")


@story
def an_operator_reads_the_secrets_of_readers_alone(stack, sources):
    """`apply` has read those, under the operator policy and no other."""
    operator = stack.client("secretsmanager", stack.operator)
    operator.get_secret_value(SecretId="customer-sync/reader")
    for name in ("aa", "bc", "intouch", "imports", *destinations.SECRETS):
        try:
            operator.get_secret_value(SecretId=f"customer-sync/{name}")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            expect(code == "AccessDeniedException", f"customer-sync/{name}: {code}")
        else:
            raise AssertionError(f"customer-sync/{name} could be read")


@story
def a_reader_without_a_digest_is_read_from_its_secret_and_no_other_is(stack, sources):
    """The release before registers readers so, and may still run beside this one."""
    name = "customer-sync/undigested"
    stack.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps({"token": UNDIGESTED}))
    document = json.dumps({"tenant": "acme", "token": f"secretsmanager:{name}", "scope": "read"})
    stack.client("dynamodb").put_item(
        TableName=stack.outputs["ControlTableName"],
        Item={"connection": {"S": "acme/reader/9"}, "entry": {"S": "connection"}, "kind": {"S": "reader"},
              "document": {"S": document}})
    eventually(lambda: stack.api("GET", "/v1/customers/aa~1001", UNDIGESTED)[0] == 200, "the reader's customer", 90)
    read = [
        resource for role, action, resource in stack.asked_for("ALLOWED")
        if role == stack.resources["CustomersApiFunctionRole"] and action == "secretsmanager:GetSecretValue"]
    expect(read and all(name in resource for resource in read), f"customers-api read {read}")


@story
def changes_reach_the_feed_and_the_search_index(stack, sources):
    def heard():
        ids, cursor = {}, None
        while True:
            query = "?limit=500" + (f"&cursor={cursor}" if cursor else "")
            code, _, page = stack.api("GET", f"/v1/changes{query}", READER)
            expect(code == 200, f"the feed answered {code}: {page}")
            ids |= {change["id"]: change["customer"] for change in page["changes"]}
            cursor = page["cursor"]
            if not page["more"]:
                return ids, cursor

    eventually(lambda: "aa~1001" in heard()[0], "a change in the feed", 60)
    changes, cursor = heard()
    customer = changes["aa~1001"]
    email = customer["emails"][0]["address"]
    eventually(
        lambda: "aa~1001" in [
            found["id"] for found in stack.api("GET", f"/v1/customers?email={quote(email.upper())}", READER)[2]["customers"]],
        "a customer found by its address", 60)
    code, _, page = stack.api("GET", f"/v1/changes?cursor={cursor}&wait=1", READER)
    expect(code == 200 and page["cursor"], f"the feed answered {code}: {page}")


@story
def what_no_route_answers_is_a_problem_document(stack, sources):
    for method, path, status in [("GET", "/v1/nothing", 404), ("DELETE", "/v1/changes", 405)]:
        code, media_type, problem = stack.api(method, path, READER)
        expect((code, media_type) == (status, "application/problem+json"), f"{method} {path} answered {code}: {problem}")


@story
def a_reader_that_is_not_in_the_file_is_refused_once_it_is_applied(stack, sources):
    code, output, errors = stack.customer_sync("apply", str(SCRATCH / "connections.toml"), "--stack", stack.NAME)
    expect((code, output) == (0, "- acme/reader/9 (reader)\n"), f"apply exited with {code}: {output}{errors}")
    eventually(lambda: stack.api("GET", "/v1/customers/aa~1001", UNDIGESTED)[0] == 401, "the refusal", 90)
    expect(stack.api("GET", "/v1/customers/aa~1001", READER)[0] == 200, "another reader is refused")


@story
def connections_tell_how_fresh_they_are(stack, sources):
    status, _, answer = stack.api("GET", "/v1/connections", READER)
    expect(status == 200 and [each["id"] for each in answer["connections"]] == ["aa", "bc", "intouch", "imports"], f"answered {status}: {answer}")


@story
def a_change_at_the_source_arrives(stack, sources):
    before = stack.api("GET", "/v1/customers/aa~1001", READER)[2]
    sources.aa.tell("change", ids=1001)
    truth = sources.aa.customer(1001)
    after = eventually(lambda: shows(stack, "aa~1001", truth), "the change in the API")
    expect(after["revision"] == before["revision"] + 1, f"revision {before['revision']} became {after['revision']}")
    expect(after["first_seen_at"] == before["first_seen_at"], "it was seen first at another time")
    eventually(sources.aa.queue_is_empty, "the purge of the change")


@story
def an_unchanged_customer_is_not_written_again(stack, sources):
    def revisions():
        return {item["id"]["S"]: item["revision"] for item in stack.shadow("acme/aa~")}
    before, purges = revisions(), len(sources.aa.ask("state")["purges"])
    code, _, errors = stack.customer_sync("resync", "aa", "--stack", stack.NAME)
    expect(code == 0, f"resync exited with {code}: {errors}")
    eventually(lambda: len(sources.aa.ask("state")["purges"]) > purges, "the purge after a full resync")
    eventually(sources.aa.queue_is_empty, "the end of the full resync")
    changed = [key for key, revision in revisions().items() if before.get(key) != revision]
    expect(not changed, f"written although nothing changed: {changed[:5]}")


@story
def a_deleted_customer_becomes_a_tombstone(stack, sources):
    sources.aa.tell("delete", id=1002)
    eventually(lambda: deleted(stack, "aa~1002"), "the customer that the source said to be deleted")
    sources.aa.tell("delete-silently", id=1003)
    eventually(lambda: deleted(stack, "aa~1003"), "the customer that is gone without a word")
    expect(len(listed(stack, "aa")) == CUSTOMERS - 2, "the list still has them")


@story
def a_poisoned_customer_costs_itself_alone(stack, sources):
    """Its XML is broken, and with it the answer that the others stand in."""
    sources.aa.tell("poison", id=1010, kind="broken-xml")
    sources.aa.tell("change", ids=",".join(str(source_id) for source_id in range(1005, 1025)))
    for source_id in range(1005, 1025):
        if source_id != 1010:
            truth = sources.aa.customer(source_id)
            eventually(lambda: shows(stack, f"aa~{source_id}", truth), "the others of the same answer")
    [failure] = eventually(lambda: failures(stack, "aa"), "a failure record")
    expect(failure["id"] == "aa~1010", f"the failure record is of another: {failure['id']}")
    eventually(sources.aa.queue_is_empty, "the purge in spite of the failure")


@story
def a_failure_that_is_redriven_too_early_fails_again(stack, sources):
    [before] = failures(stack, "aa")
    code, _, errors = stack.customer_sync("failures", "redrive", before["id"], "--stack", stack.NAME)
    expect(code == 0, f"redrive exited with {code}: {errors}")

    def failed_again():
        [failure] = failures(stack, "aa")
        expect(failure["failed_at"] > before["failed_at"], f"still the failure of {failure['failed_at']}")
        return True
    eventually(failed_again, "a new failure record of the same customer")
    # It is not retried for ever: the request was carried out, without success.
    counts = eventually(lambda: in_sync(stack, "aa"), "the connection in sync")["counts"]
    expect(counts["failed"] == 2, f"failed: {counts}")


@story
def a_failure_is_redriven_once_its_cause_is_gone(stack, sources):
    sources.aa.tell("heal", id=1010)
    [failure] = failures(stack, "aa")
    code, _, errors = stack.customer_sync("failures", "redrive", failure["id"], "--stack", stack.NAME)
    expect(code == 0, f"redrive exited with {code}: {errors}")
    truth = sources.aa.customer(1010)
    eventually(lambda: shows(stack, "aa~1010", truth), "the healed customer")
    eventually(lambda: failures(stack, "aa") == [], "the end of the failure record")


@story
def an_entry_of_the_queue_that_is_no_id_costs_itself_alone(stack, sources):
    before = stack.api("GET", "/v1/customers/aa~1100", READER)[2]
    sources.aa.tell("enqueue-text", text="11<b/>00")
    sources.aa.tell("change", ids=1100)
    truth = sources.aa.customer(1100)
    after = eventually(lambda: shows(stack, "aa~1100", truth), "the customer beside it")
    expect(after["revision"] == before["revision"] + 1, f"revision {before['revision']} became {after['revision']}")
    [failure] = eventually(lambda: failures(stack, "aa"), "a failure record")
    expect(failure["id"].startswith("aa~unusable-"), f"the failure record is of another: {failure['id']}")
    eventually(sources.aa.queue_is_empty, "the purge in spite of it")
    code, _, errors = stack.customer_sync("failures", "drop", failure["id"], "--stack", stack.NAME)
    expect(code == 0 and failures(stack, "aa") == [], f"drop exited with {code}: {errors}")


@story
def every_customer_that_was_fetched_came_to_one_end(stack, sources):
    status = eventually(lambda: in_sync(stack, "aa"), "the connection in sync")
    expect(status["failures"] == 0, f"{status}")
    counts = reconciled(status)
    # All at first, one change, the 19 beside the poisoned one, that one once it was healed, and the one beside no id.
    expect(counts["written"] == CUSTOMERS + 1 + 19 + 1 + 1, f"written: {counts}")
    # The poisoned one twice, and what was no id.
    expect(counts["tombstoned"] == 2 and counts["failed"] == 3, f"tombstoned and failed: {counts}")


@story
def a_batch_that_outlasts_its_poller_is_looked_at_again(stack, sources):
    """A poller watches a batch for 20 s, and asks for looks at one that is open still."""
    sources.aa.tell("fault", procedure="details", fault="status", value=503)
    sources.aa.tell("change", ids=1200)

    def looks_were_requested():
        requested = [
            role for role, action, resource in stack.asked_for("ALLOWED")
            if (role, action) == (stack.resources["PollQueueFunctionRole"], "sqs:SendMessage") and "QueuePolls" in resource]
        expect(requested, "no look was requested")
        return True
    eventually(looks_were_requested, "looks at a batch whose customers cannot be fetched", 120)
    sources.aa.tell("fault", procedure="details", fault="none")
    truth = sources.aa.customer(1200)
    eventually(lambda: shows(stack, "aa~1200", truth), "the change, once the source answers", 150)
    eventually(sources.aa.queue_is_empty, "its purge", 150)


STORIES += contacts.STORIES
STORIES += pushes.STORIES
STORIES += imports.STORIES
STORIES += destinations.STORIES


@story
def some_customers_are_compared_with_the_source_once_an_hour(stack, sources):
    """The hour is brought forward: the function may read what it needs for that."""
    dynamodb, table = stack.client("dynamodb"), stack.outputs["ControlTableName"]
    dynamodb.update_item(
        TableName=table, Key={"connection": {"S": "acme/aa"}, "entry": {"S": "poll"}},
        UpdateExpression="SET verify_at = :then", ExpressionAttributeValues={":then": {"N": "1000"}})

    def compared():
        item = dynamodb.get_item(TableName=table, Key={"connection": {"S": "acme/aa"}, "entry": {"S": "drift"}}).get("Item")
        expect(item, "nothing was compared")
        found = json.loads(item["document"]["S"])
        expect(found["compared"] > 0 and not found["drifted"], f"compared {found}")
        return True
    eventually(compared, "a look for drift", 150)


@story
def a_customer_that_drifted_is_found_and_repaired(stack, sources):
    """By an operator who may read the secrets of sources too."""
    stack.client("iam").attach_user_policy(UserName="operator", PolicyArn=stack.outputs["ReadSecretsPolicyArn"])
    sources.aa.tell("change-unqueued", ids=1160)
    verify = ["verify", "aa", "--sample", "1000", "--stack", stack.NAME]
    code, output, errors = stack.customer_sync(*verify)
    expect(code == 1 and "  aa~1160 differs in " in output, f"verify exited with {code}: {output} {errors}")
    code, output, errors = stack.customer_sync(*verify, "--repair")
    expect(code == 0, f"verify --repair exited with {code}: {output} {errors}")

    def repaired():
        customer = stack.api("GET", "/v1/customers/aa~1160", READER)[2]
        expect(customer["name"]["display"] == sources.aa.customer(1160)["display_name"], f"still {customer['name']}")
        return True
    eventually(repaired, "the customer as the source has it")


@story
def a_person_is_given_what_is_stored_and_is_erased_and_stays_so(stack, sources):
    person, truth = ["--tenant", "acme", "--customer", "aa~1150"], sources.aa.customer(1150)
    code, exported, errors = stack.customer_sync("export", *person, "--stack", stack.NAME)
    expect(code == 0 and truth["email"] in exported, f"export exited with {code}: {errors}")
    code, output, errors = stack.customer_sync("erase", *person, "--yes", "--json", "--stack", stack.NAME)
    expect(code == 0, f"erase exited with {code}: {errors}")
    report = json.loads(output)
    expect((report["customers"], report["removed"]["records"]) == (["aa~1150"], 1), f"{report}")

    def nobody_knows(email):
        for table in ("ControlTableName", "ShadowTableName", "ImportTableName", "FeedTableName"):
            for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs[table]):
                known = [item for item in page["Items"] if email in str(item)]
                expect(not known, f"{table} holds {email}: {known}")
        return True
    eventually(lambda: nobody_knows(truth["email"]), "tables without the person", 60)
    sources.aa.tell("change", ids=1150)
    eventually(sources.aa.queue_is_empty, "an empty queue")
    nobody_knows(truth["email"])
    nobody_knows(sources.aa.customer(1150)["email"])
    status, _, customer = stack.api("GET", "/v1/customers/aa~1150", READER)
    expect((status, customer["status"]) == (200, "deleted"), f"{status}: {customer}")


@story
def no_message_is_left_over(stack, sources):
    for queue, dead_letters in (("WorkQueue", "WorkDeadLetterQueue"), ("ContactsQueue", "ContactsDeadLetterQueue")):
        eventually(lambda: stack.messages(queue) == 0, f"an empty {queue}", 60)
        expect(stack.messages(dead_letters) == 0, f"messages in {dead_letters}")
    eventually(lambda: stack.messages("PushRequests") == 0, "an empty PushRequests", 60)


@story
def the_roles_allow_what_the_functions_need(stack, sources):
    denied = stack.asked_for("DENIED")
    expect(not denied, f"denied: {denied}")


@story
def the_roles_allow_nothing_else(stack, sources):
    """The stories before have led every function through all that it does."""
    used = stack.asked_for("ALLOWED")
    permissions = stack.permissions()
    expect(permissions, "the roles have no permissions")
    # Needed only by one that stores somebody new in the very moment in which they are erased: no story can wait for that.
    in_a_race = [
        (stack.resources["ConnectorApiFunctionRole"], "dynamodb:UpdateItem", stack.outputs["ControlTableName"]),
        (stack.resources["ImportApiFunctionRole"], "dynamodb:GetItem", stack.outputs["ShadowTableName"])]
    permissions = [
        (role, action, resource) for role, action, resource in permissions
        if (role, action, resource.rsplit("/", 1)[-1]) not in in_a_race]
    idle = [
        f"{role} never needed {action} on {resource}" for role, action, resource in permissions
        if not any(used_role == role and used_action == action and fnmatchcase(used_resource, resource)
                   for used_role, used_action, used_resource in used)]
    expect(not idle, "\n       ".join(idle))


@story
def logs_hold_neither_secrets_nor_personal_data(stack, sources):
    def all_have_logged():
        logged = stack.logs()
        silent = [group for group, lines in logged.items() if not lines]
        expect(not silent, f"nothing in {silent}")
        return logged
    # A poller's lines come when it hands over to the next.
    logged = eventually(all_have_logged, "log lines of every function")
    truths = [sources.aa.customer(source_id) for source_id in (1001, 1010, 1200)]
    truths += [sources.bc.contact(source_id) for source_id in (1001, 1010)]
    forbidden = [VENDOR_SECRET["password"], contacts.SECRET["password"], contacts.PASSWORD_MARK, READER, STRANGER, UNDIGESTED]
    forbidden += [pushes.SECRET["password"], *pushes.PERSONAL]
    forbidden += [imports.SECRET["users"][0]["user_password"], *imports.PERSONAL, *destinations.FORBIDDEN]
    forbidden += [truth[key] for truth in truths for key in ("display_name", "email")]
    for group, lines in logged.items():
        for line in lines:
            for word in forbidden:
                expect(word not in line, f"{group} has {word!r}: {line[:300]}")


@story
def logs_are_json(stack, sources):
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
        sources = Sources(stack)
        print(f"deployed in {time.monotonic() - began:.0f} s", flush=True)
        for tell in STORIES:
            began = time.monotonic()
            try:
                tell(stack, sources)
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
