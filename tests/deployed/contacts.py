"""Stories of Business Catalyst: contacts in, by listing."""

from telling import (
    OPERATOR, POLL_SECONDS, READER, Simulator, deleted, eventually, expect, failures, in_sync, listed, reconciled, shows,
    status_of)

CONTACTS = 10_000
FIRST = 1001
SECRET = {"username": "admin@example.com", "password": "only-the-site-knows-8e2a"}
# What every simulated contact's own password begins with.
PASSWORD_MARK = "never-store-this-"
# A hundred pages, and a slow machine.
A_WHILE = 300
# Fifty deletions in one batch are always allowed. A poll in between makes two batches of these at most: some wait in any case.
MANY = range(2001, 2121)

STORIES = []


def story(function):
    STORIES.append(function)
    return function


class Site(Simulator):
    """The simulated Business Catalyst."""

    def __init__(self, stack):
        super().__init__(
            stack, "bc-simulator", "--contacts", str(CONTACTS),
            "--username", SECRET["username"], "--password", SECRET["password"])

    def connection(self):
        """Its part of connections.toml."""
        return f"""
[[connection]]
id = "bc"
tenant = "acme"
kind = "business-catalyst"
endpoint = "{self.base}/catalystwebservice/catalystcrmwebservice.asmx"
site_id = 12345
credentials = "secretsmanager:customer-sync/bc"
time_zone = "Australia/Sydney"
soap = "1.2"
poll_seconds = {POLL_SECONDS}
most_deletes_percent = 0
"""

    def contact(self, source_id):
        return self.ask(f"contact?id={source_id}")


def in_step_soon(stack):
    return eventually(lambda: in_sync(stack, "bc"), "the connection in sync")


@story
def every_contact_arrives_in_the_shadow(stack, sources):
    def all_there():
        found = len(stack.shadow("acme/bc~"))
        expect(found == CONTACTS, f"{found} of {CONTACTS} contacts")
        return True
    eventually(all_there, "the contacts of the source's list in the shadow table", A_WHILE)
    counts = reconciled(in_step_soon(stack))
    expect((counts["written"], counts["failed"]) == (CONTACTS, 0), f"{counts}")
    shows(stack, f"bc~{FIRST}", sources.bc.contact(FIRST))


@story
def a_change_at_the_site_arrives(stack, sources):
    sources.bc.tell("change", ids=FIRST)
    truth = sources.bc.contact(FIRST)
    eventually(lambda: shows(stack, f"bc~{FIRST}", truth), "the change in the API")


@story
def a_contact_that_the_site_deletes_becomes_a_tombstone(stack, sources):
    sources.bc.tell("delete", id=1002)
    eventually(lambda: deleted(stack, "bc~1002"), "the contact that is listed as deleted")


def waiting(stack):
    """How many deletions wait: every way to ask says the same."""
    withheld = status_of(stack, "bc")["deletes_withheld"]
    records = [failure for failure in failures(stack, "bc") if "its deletion waits" in failure["reason"]]
    expect(len(records) == withheld, f"{len(records)} failure records of deletions, and the status says {withheld}")
    return withheld


@story
def more_deletions_at_once_than_are_allowed_wait_for_a_person(stack, sources):
    for source_id in MANY:
        sources.bc.tell("delete", id=source_id)

    def all_have_ended():
        gone = sum("listing" not in item for item in stack.shadow("acme/bc~2"))
        withheld = waiting(stack)
        expect(gone + withheld == len(MANY), f"{gone} deleted, {withheld} wait")
        return withheld
    withheld = eventually(all_have_ended, "an end of every deletion, some of them waiting")
    expect(withheld <= len(MANY) - 50, f"{withheld} of {len(MANY)} deletions wait")
    in_step_soon(stack)


@story
def deletions_that_wait_are_carried_out_when_a_person_confirms_them(stack, sources):
    code, _, errors = stack.customer_sync("resync", "bc", "--confirm-deletes", "--stack", stack.NAME)
    expect(code == 0, f"resync exited with {code}: {errors}")
    eventually(lambda: waiting(stack) == 0, "the end of every deletion that waited", A_WHILE)
    for source_id in (MANY[0], MANY[-1]):
        deleted(stack, f"bc~{source_id}")
    counts = reconciled(in_step_soon(stack))
    expect(counts["tombstoned"] == 1 + len(MANY), f"{counts}")


@story
def a_contact_that_cant_be_read_becomes_a_failure_record(stack, sources):
    sources.bc.tell("poison", id=1010, kind="bad-date")
    # Redriven it is listed again, and fails again.
    sources.bc.tell("touch", ids=1010)
    code, _, errors = stack.customer_sync("resync", "bc", "--stack", stack.NAME)
    expect(code == 0, f"resync exited with {code}: {errors}")
    [failure] = eventually(lambda: failures(stack, "bc"), "a failure record", A_WHILE)
    expect(failure["id"] == "bc~1010", f"the failure record is of another: {failure['id']}")
    expect(PASSWORD_MARK not in failure["raw"], "the failure record holds a password")


@story
def a_full_listing_finds_out_who_is_gone_without_a_word(stack, sources):
    sources.bc.tell("remove-silently", id=1003)
    [before] = failures(stack, "bc")
    # What is to be fetched again is found by listing everything: the contact that can't be read, again in vain.
    code, _, errors = stack.customer_sync("failures", "redrive", "bc~1010", "--stack", stack.NAME)
    expect(code == 0, f"redrive exited with {code}: {errors}")
    eventually(lambda: deleted(stack, "bc~1003"), "the contact that no listing holds", A_WHILE)
    [after] = failures(stack, "bc")
    expect(after["failed_at"] > before["failed_at"], f"still the failure of {after['failed_at']}")
    in_step_soon(stack)
    expect(len(listed(stack, "bc")) == CONTACTS - len(MANY) - 2, "the list still has them")


@story
def a_resync_writes_nothing_that_is_unchanged(stack, sources):
    sources.bc.tell("heal", id=1010)
    before = {item["id"]["S"]: item["revision"] for item in stack.shadow("acme/bc~")}
    code, _, errors = stack.customer_sync("resync", "bc", "--stack", stack.NAME)
    expect(code == 0, f"resync exited with {code}: {errors}")
    eventually(lambda: failures(stack, "bc") == [], "the healed contact", A_WHILE)
    reconciled(in_step_soon(stack))
    after = {item["id"]["S"]: item["revision"] for item in stack.shadow("acme/bc~")}
    changed = [key for key, revision in after.items() if before.get(key) != revision]
    expect(set(changed) <= {"acme/bc~1010"}, f"written although nothing changed: {changed[:5]}")


@story
def an_operator_acts_over_http_and_a_reader_may_not(stack, sources):
    def act(path, document=None, token=OPERATOR):
        return stack.api("POST", f"/v1/{path}", token, document)

    expect(act("connections/bc/pause", token=READER)[0] == 403, "a reader may pause")
    for what, paused in [("pause", True), ("resume", False)]:
        status, _, answer = act(f"connections/bc/{what}")
        expect((status, answer) == (200, {"id": "bc", "paused": paused}), f"{what} answered {status}: {answer}")
    sources.bc.tell("poison", id=1011, kind="bad-date")
    sources.bc.tell("touch", ids=1011)
    status, _, answer = act("connections/bc/resync")
    expect(status == 202, f"resync answered {status}: {answer}")
    eventually(lambda: failures(stack, "bc"), "a failure record", A_WHILE)
    for what in ("redrive", "drop"):
        status, _, answer = act(f"failures/{what}", {"ids": ["bc~1011"]})
        expect((status, answer) == (200, {"ids": ["bc~1011"], "more": False}), f"{what} answered {status}: {answer}")
    sources.bc.tell("heal", id=1011)
    sources.bc.tell("touch", ids=1011)
    in_step_soon(stack)
    eventually(lambda: failures(stack, "bc") == [], "the healed contact", A_WHILE)
