"""Stories of a batch import: rows are posted in the Sticky Street dialect, counted, and taken back."""

import json
from urllib.parse import urlencode

from telling import OPERATOR, READER, STRANGER, expect, listed

SECRET = {"users": [{"user_id": "importer-3", "user_password": "only-importers-know-7d21"}]}
# The imported customer, and a PIN that must never be readable again.
JANE = {"last_name": "Importworthy", "email": "jane.importworthy@example.org", "pin": "271828182"}
# No word of it may be in a log.
PERSONAL = list(JANE.values())
# Its part of connections.toml.
CONNECTION = """
[[connection]]
id = "imports"
tenant = "acme"
kind = "batch-import"
account_id = "greatwidgets"
credentials = "secretsmanager:customer-sync/imports"
campaigns = ["898989889", "13234545"]
"""
HEADERS = ("code", "card_number", "last_name", "email", "customer_PIN", "auto_add")
FORM = "application/x-www-form-urlencoded"

STORIES = []


def story(function):
    STORIES.append(function)
    return function


# --- what is sent, and what is answered -------------------------------------------------------------------------------


def fields(rows, **changes):
    [user] = SECRET["users"]
    return {
        **user, "account_id": "greatwidgets", "type": "customers_batch", "delimiter": "pipe",
        "overwrite_duplicates": "update", "campaigns_to_include": "898989889|,|13234545",
        **{f"profiles_header_{number}": header for number, header in enumerate(HEADERS, 1)},
        "Profiles_Data": "\r\n".join("|".join(row) for row in rows), "output": "JSON", "condensed": "yes", **changes}


def post(stack, body, media_type=FORM):
    """One request of an importer: (media type, body). Errors, too, come with status 200."""
    status, headers, text = stack.send("POST", "/api.php", {"Content-Type": media_type}, body)
    expect(status == 200, f"answered {status}: {text[:300]}")
    return headers.get_content_type(), text


def imported(stack, rows, **changes):
    media_type, text = post(stack, urlencode(fields(rows, **changes)))
    expect(media_type == "application/json", f"answered {media_type}: {text[:300]}")
    answer = json.loads(text)
    expect(answer["status"] == "success", f"answered {text[:300]}")
    return answer["batch"]


def counts(batch):
    """New, updated, ignored, failed."""
    customers, own = batch["customers"], batch["import"]
    return customers["new"], customers["updated"], own["ignored"], own["failed"]


def customer(stack, source_id):
    status, _, found = stack.api("GET", f"/v1/customers/imports~{source_id}", READER)
    expect(status == 200, f"answered {status}: {found}")
    return found


def undo(stack, import_id, *arguments):
    code, output, errors = stack.customer_sync("imports", "undo", import_id, "--json", "--stack", stack.NAME, *arguments)
    expect(code == 0, f"undo exited with {code}: {errors}")
    return json.loads(output)


FIRST = [("1", "500", JANE["last_name"], JANE["email"], JANE["pin"], "25"), ("", "", "Smith", "", "", ""), ("bad row",)]


# --- the stories ------------------------------------------------------------------------------------------------------


@story
def rows_are_imported_and_readable_at_once(stack, sources):
    batch = imported(stack, FIRST)
    expect(counts(batch) == (2, 0, 0, 1), f"answered {batch}")
    expect(batch["failures"] == [{"row": 3, "reason": "has 1 columns, and the headers name 6"}], f"answered {batch}")
    [generated] = batch["generated"]
    expect(generated["row"] == 2 and len(generated["code"]) == 16, f"generated: {generated}")
    jane = customer(stack, "1")
    expect(jane["external_id"] == "500" and jane["name"]["last"] == JANE["last_name"], f"{jane}")
    [amount] = jane["attributes"]["auto_add"]
    expect((amount["campaign"], amount["amount"]) == ("898989889", "25"), f"{amount}")
    expect("argon2" not in json.dumps(jane) and JANE["pin"] not in json.dumps(jane), f"a secret is shown: {jane}")
    status, _, answer = stack.api("GET", "/v1/customers/imports~1", STRANGER)
    expect(status == 404, f"answered another tenant {status}: {answer}")


@story
def the_same_request_again_imports_nobody_twice(stack, sources):
    first, again = imported(stack, FIRST), imported(stack, FIRST)
    expect(first == again and counts(again) == (2, 0, 0, 1), f"{first}, then {again}")
    expect(len(listed(stack, "imports")) == 2, "somebody is there twice")
    jane = customer(stack, "1")
    expect(jane["revision"] == 1 and len(jane["attributes"]["auto_add"]) == 1, f"written again: {jane}")


@story
def a_multipart_form_is_answered_in_xml(stack, sources):
    by_address = fields([], **{"Profiles_Data": f"{JANE['email']}|Anytown"}, output="XML")
    by_address = {name: value for name, value in by_address.items() if not name.startswith("profiles_header")}
    by_address |= {"profiles_header_1": "email", "profiles_header_2": "city"}
    parts = "".join(
        f'--b-7\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in by_address.items())
    media_type, text = post(stack, f"{parts}--b-7--\r\n", "multipart/form-data; boundary=b-7")
    expect(media_type == "text/xml" and "<customers><new>0</new><updated>1</updated></customers>" in text, f"answered {text}")
    expect(customer(stack, "1")["addresses"][0]["city"] == "Anytown", "the address found nobody, or somebody else")


@story
def who_may_not_import_is_refused_in_the_dialect(stack, sources):
    before = len(listed(stack, "imports"))
    for changes in ({"user_password": "wrong"}, {"user_id": "nobody"}, {"account_id": "smallwidgets"}, {"type": "other"},
                    {"campaigns_to_include": "4711"}, {"profiles_header_3": "lastname"}):
        _, text = post(stack, urlencode(fields([("9", "", "", "", "", "")], **changes)))
        answer = json.loads(text)
        expect(answer["status"] == "error" and answer["error"], f"{changes} answered {text}")
    expect(len(listed(stack, "imports")) == before, "a refused request imported somebody")


@story
def two_thousand_rows_come_in_one_call(stack, sources):
    rows = [(f"bulk-{number}", f"{number:08}", "Bulk", f"bulk-{number}@example.org", "", "") for number in range(2_000)]
    batch = imported(stack, rows)
    expect(counts(batch) == (2_000, 0, 0, 0), f"answered {batch['customers']}, {batch['import']}")
    dry = undo(stack, batch["import"]["id"], "--dry-run")
    expect(len(dry["removed"]) == 2_000, f"{len(dry['removed'])} would be removed")
    done = undo(stack, batch["import"]["id"])
    expect(len(done["removed"]) == 2_000 and done["changed_since"] == [], f"{len(done['removed'])} removed")
    expect(len(listed(stack, "imports")) == 2, "the undo left somebody")


@story
def a_wrong_import_is_found_and_undone_over_http(stack, sources):
    def ask(method, path, document=None, status=200):
        answered, _, answer = stack.api(method, path, OPERATOR, document)
        expect(answered == status, f"{method} {path} answered {answered}: {answer}")
        return answer

    import_id = imported(stack, [("wrong-1", "00009001", "Wrong", "wrong-1@example.org", "", "")])["import"]["id"]
    listed_ids = [found["id"] for found in ask("GET", "/v1/imports?connection=imports")["imports"]]
    expect(import_id in listed_ids, f"{import_id} is not among {listed_ids}")
    dry = ask("POST", f"/v1/imports/{import_id}/undo", {"dry_run": True})
    expect((dry["removed"]["count"], dry["dry_run"]) == (1, True), f"the dry run says {dry}")
    done = ask("POST", f"/v1/imports/{import_id}/undo", {})
    expect((done["removed"]["count"], done["finished"]) == (1, True), f"the undo says {done}")
    expect(len(listed(stack, "imports")) == 2, "the undo left somebody")
    where = ask("POST", "/v1/customers/where", {"id": "imports~wrong-1"})
    expect("wrong-1" in json.dumps(where), f"where says {where}")
    expect("history" in json.dumps(ask("GET", "/v1/connections?history=true")), "there is no history")


@story
def who_was_taken_back_and_erased_by_address_does_not_come_back(stack, sources):
    """Nobody was there when the address was erased: the import has to look up whom the erasure left alone."""
    address = "wrong-1@example.org"
    code, output, errors = stack.customer_sync(
        "erase", "--tenant", "acme", "--email", address, "--yes", "--json", "--stack", stack.NAME)
    expect(code == 0, f"erase exited with {code}: {errors}")
    corrected = [("wrong-1", "00009001", "Corrected", address, "", ""), ("right-1", "00009002", "Right", "", "", "")]
    batch = imported(stack, corrected)
    expect(counts(batch)[3] == 0, f"answered {batch}")
    expect(customer(stack, "wrong-1")["status"] == "deleted", "who was erased by address came back")
    expect(customer(stack, "right-1")["name"]["last"] == "Right", "the others did not come")
    undo(stack, batch["import"]["id"])
    expect(len(listed(stack, "imports")) == 2, "the undo left somebody")


@story
def an_undo_leaves_alone_who_has_changed_since(stack, sources):
    code, output, errors = stack.customer_sync("imports", "--json", "--stack", stack.NAME)
    expect(code == 0, f"imports exited with {code}: {errors}")
    first = json.loads(output)["imports"][-1]
    expect((first["rows"], first["new"], first["failed"]) == (3, 2, 1), f"the first import: {first}")
    report = undo(stack, first["id"])
    expect(report["changed_since"] == ["imports~1"] and len(report["removed"]) == 1, f"{report}")
    again = undo(stack, first["id"])
    expect(again["already_back"] == report["removed"] and again["changed_since"] == ["imports~1"], f"{again}")
