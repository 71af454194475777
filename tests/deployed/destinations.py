"""Stories of destinations: customers out, to a site of Business Catalyst, a loyalty service and a receiver of webhooks.

They stand in connections.toml from the beginning, so that every story before is one of theirs too.
"""

import json
import re
import time

from telling import POLL_SECONDS, READER, STRANGER, Simulator, eventually, expect, failures, listed

SECRETS = {
    "website": {"username": "admin@example.net", "password": "only-the-website-knows-2c61"},
    "loyalty": {"user_id": "sender-5", "user_password": "only-the-loyalty-service-knows-93e0", "account_id": "greatwidgets"},
    # In base64: only-the-receiver-of-webhooks-knows
    "hook": {"secret": "whsec_b25seS10aGUtcmVjZWl2ZXItb2Ytd2ViaG9va3Mta25vd3M="},
}
# No word of it may be in a log.
FORBIDDEN = [
    SECRETS["website"]["password"], SECRETS["loyalty"]["user_password"], SECRETS["hook"]["secret"],
    SECRETS["hook"]["secret"].removeprefix("whsec_")]
# What is promised, beyond the time until the source is asked.
SECONDS = 5

STORIES = []


def story(function):
    STORIES.append(function)
    return function


class Destinations:
    """Three simulated systems that customers are sent to."""

    def __init__(self, stack):
        website, loyalty, hook = (SECRETS[id] for id in ("website", "loyalty", "hook"))
        self.website = Simulator(
            stack, "bc-simulator", "--contacts", "0", "--username", website["username"], "--password", website["password"],
            name="website")
        self.loyalty = Simulator(
            stack, "loyalty-simulator", "--user-id", loyalty["user_id"], "--user-password", loyalty["user_password"],
            "--account-id", loyalty["account_id"])
        self.hook = Simulator(stack, "webhook-receiver", "--secret", hook["secret"])

    def tables(self):
        """Their part of connections.toml."""
        kinds = {
            "website": f"""
kind = "business-catalyst"
endpoint = "{self.website.base}/catalystwebservice/catalystcrmwebservice.asmx"
site_id = 12345
soap = "1.2"
""",
            "loyalty": f"""
kind = "customers-batch"
url = "{endpoint_of(self.loyalty)}"
campaigns = ["898989889", "13234545"]
""",
            "hook": f"""
kind = "webhook"
url = "{endpoint_of(self.hook)}"
""",
        }
        return "".join(f"""
[[destination]]
id = "{id}"
tenant = "acme"
from = ["aa"]
credentials = "secretsmanager:customer-sync/{id}"
allow_private_addresses = true
{kind}""" for id, kind in kinds.items())

    def addresses_of(self, public_id):
        """Which e-mail address each of them has of a customer, and None if it has no such customer."""
        contact = self.website.ask(f"contact?external_id={public_id}")
        customer = self.loyalty.ask(f"customer?code={public_id}")["columns"]
        event = self.hook.ask(f"customer?id={public_id}")
        return {
            "website": contact["contact"]["email"] if contact["exists"] else None,
            "loyalty": customer and customer.get("email"),
            "hook": event["data"]["customer"]["emails"][0]["address"] if event["exists"] else None,
        }


def endpoint_of(simulator):
    return re.search(r"^endpoint +(http\S+)", simulator.introduction, re.MULTILINE).group(1)


# --- what the stories look at -----------------------------------------------------------------------------------------


def have(sources, source_ids, ids=("website", "loyalty", "hook")):
    """These destinations have these customers of `aa` as the source has them: each change brings another address."""
    for source_id in source_ids:
        truth = sources.aa.customer(source_id)["email"]
        found = sources.destinations.addresses_of(f"aa~{source_id}")
        expect(all(found[id] == truth for id in ids), f"aa~{source_id} is {truth}, at the destinations {found}")
    return True


def status_of(stack, id):
    code, output, errors = stack.customer_sync("status", "--stack", stack.NAME, "--json")
    expect(code == 0, f"status exited with {code}: {errors}")
    [status] = [status for status in json.loads(output)["destinations"] if status["id"] == id]
    return status


def in_sync(stack, id):
    """The status of a destination; an error if it lacks something."""
    status = status_of(stack, id)
    expect((status["condition"], status["error"], status["waiting"]) == ("in_sync", None, 0), f"{status}")
    counts = status["counts"]
    expect(counts["changes"] == counts["sent"] + counts["failed"] + counts["left_out"], f"changes are not the sum: {counts}")
    return status


def operate(stack, *arguments):
    code, output, errors = stack.customer_sync(*arguments, "--stack", stack.NAME)
    expect(code == 0, f"{arguments} exited with {code}: {errors}")
    return output


# --- the stories ------------------------------------------------------------------------------------------------------

# Customers of `aa` that no other story touches: three that change, one that is refused and one beside it, and two that
# change while there is trouble.
CHANGED = (1030, 1031, 1032)
REFUSED, BESIDE = 1033, 1034
LATE = (1035, 1036)


@story
def every_destination_has_every_customer(stack, sources):
    everybody = [int(customer["source_id"]) for customer in listed(stack, "aa")]
    expect(len(everybody) > 200, f"only {len(everybody)} customers")
    eventually(lambda: have(sources, everybody), "every customer at every destination")
    # What stories before have deleted. The dialect of the loyalty service has no word for that.
    for source_id in (1002, 1003):
        found = sources.destinations.addresses_of(f"aa~{source_id}")
        expect((found["website"], found["hook"]) == (None, None), f"aa~{source_id} was deleted: {found}")
    for id in SECRETS:
        status = eventually(lambda: in_sync(stack, id), f"{id} in sync")
        expect((status["failures"], status["counts"]["failed"]) == (0, 0), f"{status}")
        expect((status["counts"]["left_out"] > 0) == (id == "loyalty"), f"{status}")
    customers = sources.destinations.hook.ask("state")["customers"]
    expect(customers == len(everybody), f"the receiver knows {customers} customers instead of {len(everybody)}")


@story
def destinations_are_shown_to_their_tenant(stack, sources):
    output = operate(stack, "status")
    for id, kind in (("website", "business-catalyst"), ("loyalty", "customers-batch"), ("hook", "webhook")):
        expect(f"{id} (to {kind}, tenant acme): in sync" in output, f"status says {output}")
    for token, ids in ((READER, set(SECRETS)), (STRANGER, set())):
        code, _, answer = stack.api("GET", "/v1/connections", token)
        expect(code == 200 and {each["id"] for each in answer["destinations"]} == ids, f"answered {code}: {answer}")


@story
def a_change_at_the_source_is_at_every_destination_within_seconds(stack, sources):
    """Of three changes two must be: the emulator, too, stumbles at times."""
    took = []
    for source_id in CHANGED:
        sources.aa.tell("change", ids=source_id)
        began = time.monotonic()
        eventually(lambda: have(sources, [source_id]), "the change at every destination")
        took.append(round(time.monotonic() - began, 1))
    expect(sorted(took)[1] <= POLL_SECONDS + SECONDS, f"the changes took {took} s")


@story
def a_customer_that_a_receiver_refuses_costs_itself_alone(stack, sources):
    sources.destinations.hook.tell("refuse", subject=f"aa~{REFUSED}", status=422)
    sources.aa.tell("change", ids=f"{REFUSED},{BESIDE}")
    eventually(lambda: have(sources, [BESIDE]), "the one beside it at every destination")
    eventually(lambda: have(sources, [REFUSED], ("website", "loyalty")), "it at the others")
    [failure] = eventually(lambda: failures(stack, "hook"), "a failure record")
    expect(failure["id"] == f"hook~aa~{REFUSED}" and "422" in failure["reason"], f"{failure}")
    status = eventually(lambda: in_sync(stack, "hook"), "the receiver in sync all the same")
    expect(status["failures"] == 1 and status["counts"]["failed"] > 0, f"{status}")


@story
def changes_wait_for_a_destination_that_is_down_and_for_one_that_is_paused(stack, sources):
    before = [sources.destinations.addresses_of(f"aa~{source_id}") for source_id in LATE]
    sources.destinations.loyalty.tell("fault", fault="status", value=503)
    operate(stack, "pause", "website")
    sources.aa.tell("change", ids=",".join(map(str, LATE)))
    eventually(lambda: have(sources, LATE, ["hook"]), "the changes at the one that takes them")

    def is_down():
        status = status_of(stack, "loyalty")
        expect(status["condition"] == "failing" and "503" in status["error"]["message"], f"{status}")
        expect(status["failing_since"] and status["waiting"] >= len(LATE), f"{status}")
        return True
    eventually(is_down, "the loyalty service in trouble")
    paused = status_of(stack, "website")
    expect((paused["condition"], paused["error"]) == ("paused", None) and paused["waiting"] >= len(LATE), f"{paused}")
    for source_id, then in zip(LATE, before):
        now = sources.destinations.addresses_of(f"aa~{source_id}")
        expect(all(now[id] == then[id] for id in ("website", "loyalty")), f"aa~{source_id} was {then} and is {now}")
    expect(failures(stack, "loyalty") == [], "a customer is blamed for it")


@story
def what_waits_is_sent_within_a_minute_once_it_can_be(stack, sources):
    """All of it at once, and nothing changes meanwhile: the minute's plan has them looked at."""
    sources.destinations.loyalty.tell("fault", fault="none")
    sources.destinations.hook.tell("accept", subject=f"aa~{REFUSED}")
    operate(stack, "failures", "redrive", f"hook~aa~{REFUSED}")
    operate(stack, "resume", "website")
    eventually(lambda: have(sources, (REFUSED, *LATE)), "what waited at every destination")
    eventually(lambda: failures(stack, "hook") == [], "the end of the failure record")
    for id in SECRETS:
        status = eventually(lambda: in_sync(stack, id), f"{id} in sync")
        expect((status["failures"], status["failing_since"], status["next_attempt_at"]) == (0, None, None), f"{status}")
    requests = sources.destinations.hook.ask("state")["requests"]
    wrong = {name: requests[name] for name in ("unverified", "unreadable", "out_of_order") if requests[name]}
    expect(not wrong, f"requests that the receiver did not like: {wrong}")
