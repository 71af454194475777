"""Stories of the status page: a person uses that of a local run, in Chromium without a window. `tests/page/run` builds what
they need and tells them.

One small world for most of them, with something of everything: a source that some customers can't be fetched from, one
that is down, a Connector, an account for imports, a destination. And one with 200 connections and 10,000 failures.
"""

import json
import os
import re
import socket
import subprocess
import tempfile
import time
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import expect as wait_until
from playwright.sync_api import sync_playwright

from storytelling import (
    BINARIES, SOON, Api, configure, eventually, expect, expect_equal, request, running, source_with, story, tell_all)

CUSTOMERS = 60
# Of a source that may be asked so seldom that its batch is in progress all the time.
SLOW_CUSTOMERS = 1_200
POISONED = range(1001, 1007)
READ_TOKEN = "a-token-of-a-reader-of-acme"
WIDTHS = (360, 768, 1280)
VIEWS = ("overview", "failures", "imports", "customers", "changes")
# Where pictures of the views are kept, if they are wanted.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
# In the background the browser would ask its makers for news.
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"]
USABLE_WITHIN = 1.0
LARGEST = 100_000
# A large world is read from a database of a debug build.
LARGE_WITHIN = 10.0


# --- worlds -----------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def reader(file, scope):
    return f'[[reader]]\ntenant = "acme"\ntoken = "file:{file}.json"\nscope = "{scope}"\n'


def connector(id):
    return f"""
[[connection]]
id = "{id}"
tenant = "acme"
kind = "connector"
client_id = "{id}"
club_ids = ["k-1"]
providers = ["INTOUCH"]
credentials = "file:intouch.json"
"""


IMPORTS = """
[[connection]]
id = "imports"
tenant = "acme"
kind = "batch-import"
account_id = "greatwidgets"
credentials = "file:imports.json"
campaigns = ["898989889"]
"""


def destination(id, receiver):
    url = re.search(r'url = "(\S+)"', receiver).group(1)
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
"""


def named(connection, id, **keys):
    """A connection under another name, with other keys."""
    text = connection.replace('id = "aa"', f'id = "{id}"')
    for key, value in keys.items():
        text, count = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        expect_equal(count, 1, f"keys {key}")
    return text


def beside(connection, id):
    """A connection to another environment of the same simulator."""
    return re.sub(r"(http://127\.0\.0\.1:\d+)/[^/]+/", rf"\1/{id}/", named(connection, id, poll_seconds=60))


def down(connection, id):
    """A connection to a source that nobody listens for."""
    return re.sub(r"http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{free_port()}", named(connection, id))


SECRETS = {
    "imports": {"users": [{"user_id": "john1970", "user_password": "1959caadac9b13dcb3"}]},
    "intouch": {"username": "intouch", "password": "a-password-of-a-connector"},
    "read": {"token": READ_TOKEN},
}


def remember(data, *past):
    """Gives data a past, before a run uses them."""
    subprocess.run([str(BINARIES / "past-day"), str(data), "acme", *past], check=True)


@contextmanager
def run_in(folder):
    """Runs the product in a folder, whether or not all of it comes in sync."""
    port = free_port()
    arguments = [
        str(BINARIES / "customer-sync"), "local", "--connections", "connections.toml", "--port", str(port), "--data", "data"]
    with running(arguments, cwd=folder):
        api = Api(f"http://127.0.0.1:{port}")
        eventually(lambda: answers(api.address), "the API answers", SOON)
        yield api


def answers(address):
    try:
        return request(address)[0] == 200
    except OSError:
        return False


class World:
    """A local run, its source, and its API."""

    def __init__(self, source, api):
        self.source = source
        self.api = api

    def status_of(self, id):
        answer = self.api.ask("/v1/connections")
        return next(it for it in answer["connections"] + answer["destinations"] if it["id"] == id)

    def email_of(self, id):
        return self.api.ask(f"/v1/customers/{id}")["emails"][0]["address"]

    def import_rows(self, **names):
        """Imports customers with these first names, by their codes; returns the import's id."""
        form = {
            "user_id": "john1970", "user_password": "1959caadac9b13dcb3", "account_id": "greatwidgets",
            "type": "customers_batch", "delimiter": "pipe", "overwrite_duplicates": "update", "output": "JSON",
            "condensed": "yes", "campaigns_to_include": "898989889", "profiles_header_1": "code",
            "profiles_header_2": "first_name",
            "Profiles_Data": "\n".join(f"{code.lstrip('c')}|{name}" for code, name in names.items())}
        _, _, body = request(f"{self.api.address}/api.php", "POST", urllib.parse.urlencode(form).encode())
        answer = json.loads(body)
        expect(answer["status"] == "success", f"the import was refused: {answer}")
        return answer["batch"]["import"]["id"]


@contextmanager
def small_world():
    receiver = running([str(BINARIES / "webhook-receiver"), "--port", "0"], r"HOOK_CREDENTIALS='")
    with tempfile.TemporaryDirectory() as folder, source_with(CUSTOMERS) as source, source_with(SLOW_CUSTOMERS) as slow, \
            receiver as hook:
        for id in POISONED:
            source.tell(f"poison?id={id}&kind=error-element")
        # The only one that the destination does not take.
        base = re.search(r"http://127\.0\.0\.1:\d+", hook).group()
        expect_equal(request(f"{base}/_simulator/refuse?subject=aa~1010&status=400", "POST", b"")[0], 200, "refused")
        secret = json.loads(re.search(r"HOOK_CREDENTIALS='(.*?)'", hook).group(1))
        tables = [
            source.connection(), named(slow.connection(), "chapters", max_requests_per_second=1), "bulk_size = 5\n",
            down(source.connection(), "legacy"), connector("intouch"), IMPORTS, destination("hook", hook),
            reader("read", "read")]
        configure(folder, "".join(tables), **SECRETS, hook=secret)
        remember(Path(folder, "data"), "aa", "chapters", "legacy", "to:hook")
        with run_in(folder) as api:
            world = World(source, api)
            eventually(lambda: world.status_of("aa")["condition"] == "in_sync", "aa is in sync", SOON)
            eventually(lambda: world.status_of("aa")["failures"] == len(POISONED), "failures of aa", SOON)
            eventually(lambda: world.status_of("legacy")["condition"] == "failing", "legacy fails", SOON)
            eventually(lambda: world.status_of("chapters")["batch"], "the batch of chapters", SOON)
            eventually(lambda: world.status_of("hook")["failures"] == 1, "the failure of hook", SOON)
            yield world


@contextmanager
def large_world():
    """200 connections, of which 10 fail, and 10,000 failures of one of them."""
    with tempfile.TemporaryDirectory() as folder, source_with(5) as source:
        aa = source.connection()
        polled = [beside(aa, f"aa-{number:03}") for number in range(1, 101)]
        failing = [down(named(aa, "aa", poll_seconds=60), f"legacy-{number:02}") for number in range(1, 11)]
        pushing = [connector(f"club-{number:02}") for number in range(1, 91)]
        configure(folder, "".join(polled + failing + pushing), **SECRETS)
        remember(Path(folder, "data"), "aa-077=10000", "aa-003=7", *(f"aa-{number:03}" for number in range(1, 9)))
        with run_in(folder) as api:
            world = World(source, api)
            eventually(lambda: world.status_of("legacy-10")["condition"] == "failing", "legacy-10 fails", SOON)
            yield world


# --- the browser ------------------------------------------------------------------------------------------------------


class Visit:
    """The page in a browser, as one person sees it, with everything that it asked for and complained of."""

    def __init__(self, context, address):
        self.context = context
        self.page = context.new_page()
        self.address = address
        self.urls = []
        self.complaints = []
        self.page.on("request", lambda asked: self.urls.append(asked.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.hear)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (it) => console.error('policy: ' + it.violatedDirective))")

    def hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def go(self):
        self.page.goto(f"{self.address}/")
        return self

    def sign_in(self, token=Api.TOKEN):
        self.page.get_by_label("Token of a reader").fill(token)
        self.page.keyboard.press("Enter")
        self.page.locator("#connections > li").first.wait_for()
        return self

    def open(self, view):
        self.page.locator(f"#views a[href='#{view}']").click()
        self.page.locator(f"#view-{view}").wait_for()

    def row(self, id):
        return self.page.locator(".systems > li", has=self.page.get_by_role("heading", name=id, exact=True))

    def wait(self, seconds):
        """Lets time pass. While Python itself sleeps, nobody hears what the browser asks."""
        self.page.wait_for_timeout(seconds * 1000)

    def asks(self, probe, what, seconds):
        """Waits until the browser has asked for something."""
        deadline = time.monotonic() + seconds
        while not probe():
            expect(time.monotonic() < deadline, f"not within {seconds} s: {what}")
            self.wait(0.1)

    def asked(self, path):
        return [url for url in self.urls if path in url]

    def is_quiet(self):
        expect_equal(self.complaints, [], "what the browser complains of")


@contextmanager
def visit(browser, world, width=1280, **options):
    context = browser.new_context(viewport={"width": width, "height": 800}, reduced_motion="reduce", **options)
    context.set_default_timeout(15_000)
    try:
        yield Visit(context, world.api.address)
    finally:
        context.close()


# --- the stories ------------------------------------------------------------------------------------------------------


@story
def the_page_is_small_and_usable_within_a_second(browser, world):
    status, headers, body = request(f"{world.api.address}/")
    expect(status == 200 and len(body) < LARGEST, f"{len(body)} bytes")
    times = []
    for _ in range(3):
        with visit(browser, world) as seen:
            began = time.monotonic()
            seen.go().page.get_by_label("Token of a reader").wait_for()
            shown = time.monotonic()
            seen.sign_in()
            times.append((time.monotonic() - began, shown - began))
            seen.is_quiet()
    # The machine may do something else at the same time: the best one counts.
    whole, shown = min(times)
    print(f"       {len(body)} bytes; shown within {shown:.2f} s, usable and signed in within {whole:.2f} s", flush=True)
    expect(whole < USABLE_WITHIN, f"{times} s")


@story
def whoever_has_a_token_sees_how_everything_stands(browser, world):
    with visit(browser, world) as seen:
        page = seen.go().page
        page.get_by_label("Token of a reader").fill("a-token-of-nobody")
        page.get_by_role("button", name="Sign in").click()
        wait_until(page.get_by_role("alert")).to_have_text("No reader has this token.")
        # What the browser says of the answer 401.
        expect(all("401" in text for text in seen.complaints), seen.complaints)
        seen.complaints.clear()
        seen.sign_in()
        wait_until(page.get_by_role("heading", level=2)).to_have_text("1 of 6 failing")
        expect_equal(page.title(), "(1 failing) customer-sync status", "title")
        names = page.locator("#connections h4").all_text_contents()
        expect_equal(names, ["legacy", "aa", "chapters", "imports", "intouch"], "connections: what fails comes first")
        expect_equal(page.locator("#destinations h4").all_text_contents(), ["hook"], "destinations")
        for id, state, kind in (
                ("aa", "In sync", "Association Anywhere"), ("legacy", "Failing", "Association Anywhere"),
                ("imports", "In sync", "Batch import"), ("hook", "In sync", "Webhook")):
            wait_until(seen.row(id)).to_contain_text(state)
            wait_until(seen.row(id)).to_contain_text(kind)
        wait_until(seen.row("legacy")).to_contain_text("could not be reached")
        wait_until(seen.row("aa")).to_contain_text("fresh")
        chart = seen.row("aa").get_by_role("img")
        text = chart.get_attribute("aria-label")
        expect(re.match(r"Last 24 hours: \d+ written, \d+ unchanged and others, \d+ failed; most in the hour from", text), text)
        expect(chart.locator("rect").count() > 20, "a day of bars")
        wait_until(seen.row("chapters")).to_contain_text("Syncing")
        wait_until(seen.row("chapters")).to_contain_text(f"of {SLOW_CUSTOMERS:,} customers")
        bar = seen.row("chapters").get_by_role("progressbar", name="Batch in progress of chapters")
        before = float(bar.get_attribute("value") or bar.evaluate("it => it.value"))
        expect(0 <= before < 100, f"{before} percent")
        page.get_by_label("Show only those").fill("web")
        expect_equal(page.locator(".systems h4").all_text_contents(), ["hook"], "those whose kind has the words")
        wait_until(page.locator("#no-connections")).to_contain_text("all 5 are filtered out")
        page.get_by_label("Show only those").fill("")
        page.get_by_role("button", name="Failing 1").click()
        expect_equal(page.locator(".systems h4").all_text_contents(), ["legacy"], "those that fail")
        page.get_by_role("button", name="Sign out").click()
        wait_until(page.get_by_label("Token of a reader")).to_be_focused()
        expect("legacy" not in page.content().split("<script>")[0].split("</style>")[1], "what was shown is gone")
        seen.is_quiet()


@story
def axe_finds_nothing_at_any_width_light_or_dark(browser, world):
    world.import_rows(c9001="ada", c9002="grace")
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            with visit(browser, world, width, color_scheme=scheme) as seen:
                seen.go()
                check_access(seen, "sign-in", width, scheme)
                seen.sign_in()
                for view in VIEWS:
                    seen.open(view)
                    if view == "failures":
                        seen.page.locator("#failures tr").first.wait_for()
                    if view == "imports":
                        seen.page.locator("#imports tr").first.wait_for()
                    if view == "customers":
                        seen.page.get_by_label("E-mail address or id").fill("aa~1020")
                        seen.page.keyboard.press("Enter")
                        wait_until(seen.page.locator("#customer")).to_contain_text("First seen")
                    if view == "changes":
                        world.source.tell("change?ids=1030")
                        seen.page.locator("#changes li").first.wait_for()
                    check_access(seen, view, width, scheme)
                seen.open("failures")
                seen.page.get_by_role("button", name="Document of aa~1001").click()
                seen.page.get_by_role("region", name="Raw document").wait_for()
                check_access(seen, "document", width, scheme)
                seen.is_quiet()


def check_access(seen, view, width, scheme):
    result = Axe().run(seen.page)
    expect_equal(result.violations_count, 0, f"{view} at {width}, {scheme}: {result.generate_report()}")
    is_too_wide = seen.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    expect(not is_too_wide, f"{view} at {width} is wider than the window")
    if SCREENSHOTS:
        seen.page.screenshot(path=Path(SCREENSHOTS, f"{view}-{width}-{scheme}.png"), full_page=view != "document")


@story
def the_keyboard_is_enough(browser, world):
    with visit(browser, world) as seen:
        page = seen.go().page
        wait_until(page.get_by_label("Token of a reader")).to_be_focused()
        page.keyboard.type(Api.TOKEN)
        page.keyboard.press("Enter")
        page.locator("#connections > li").first.wait_for()
        focused = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"

        def tab_to(name):
            for _ in range(60):
                page.keyboard.press("Tab")
                if page.evaluate(focused) == name:
                    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                    expect_equal(outline, "solid", f"the outline of {name}")
                    return
            raise AssertionError(f"{name} is not reached")

        tab_to("Pause intouch")
        page.keyboard.press("Enter")
        wait_until(page.locator("#announcement")).to_have_text("intouch is paused")
        eventually(lambda: page.evaluate(focused) == "Resume intouch", "the focus stays though the row has moved", 10)
        page.keyboard.press("Space")
        wait_until(page.locator("#announcement")).to_have_text("intouch goes on")
        page.evaluate("document.activeElement.blur()")
        tab_to("Skip to content")
        page.keyboard.press("Enter")
        eventually(lambda: page.evaluate("document.activeElement.id") == "main", "the skip link leads to the content", 5)
        page.evaluate("history.back()")
        page.evaluate("document.activeElement.blur()")
        tab_to("Failures 7")
        page.keyboard.press("Enter")
        page.locator("#failures tr").first.wait_for()
        tab_to("Document of aa~1001")
        page.keyboard.press("Enter")
        page.get_by_role("region", name="Raw document").wait_for()
        page.keyboard.press("Escape")
        wait_until(page.locator("dialog")).to_be_hidden()
        eventually(lambda: page.evaluate(focused) == "Document of aa~1001", "the focus is back", 5)
        seen.is_quiet()


@story
def a_connection_and_a_destination_are_paused_and_go_on(browser, world):
    with visit(browser, world) as seen:
        seen.go().sign_in()
        for id in ("aa", "hook"):
            seen.row(id).get_by_role("button", name=f"Pause {id}").click()
            wait_until(seen.row(id)).to_contain_text("Paused")
            expect_equal(world.status_of(id)["condition"], "paused", id)
            seen.row(id).get_by_role("button", name=f"Resume {id}").click()
            wait_until(seen.row(id)).to_contain_text("In sync", timeout=30_000)
            expect(world.status_of(id)["paused_at"] is None, f"{id} is still paused")
        seen.is_quiet()


@story
def a_failure_is_redriven_from_the_page(browser, world):
    with visit(browser, world) as seen:
        page = seen.go().sign_in().page
        seen.row("aa").get_by_role("button", name="failures of aa").click()
        rows = page.locator("#failures tr")
        wait_until(rows).to_have_count(len(POISONED))
        wait_until(rows.first).to_contain_text("aa~1001")
        page.get_by_role("button", name="Document of aa~1002").click()
        wait_until(page.get_by_role("region", name="Raw document")).to_contain_text("1002")
        page.get_by_role("button", name="Close").click()
        world.source.tell("heal?id=1002")
        page.get_by_role("button", name="Redrive aa~1002").click()
        wait_until(page.locator("#announcement")).to_have_text("aa~1002 is redriven")
        wait_until(rows).to_have_count(len(POISONED) - 1, timeout=30_000)
        wait_until(page.locator("#failures")).not_to_contain_text("aa~1002")
        expect_equal(world.api.ask("/v1/customers/aa~1002")["status"], "active", "the customer")
        # Those that are still poisoned come back; all of them are redriven by one button.
        for id in POISONED:
            world.source.tell(f"heal?id={id}")
        page.get_by_role("button", name=f"Redrive all {len(POISONED) - 1}").click()
        page.get_by_role("dialog").get_by_role("button", name="Redrive all").click()
        eventually(lambda: world.status_of("aa")["failures"] == 0, "no failure is left", SOON)
        wait_until(page.locator("#failures-note")).to_contain_text("no failures any more", timeout=30_000)
        seen.is_quiet()


@story
def a_wrong_import_is_undone_after_its_dry_run(browser, world):
    world.import_rows(c7001="ada", c7002="grace")
    wrong = world.import_rows(c7001="wrong", c7002="wrong", c7003="wrong")
    world.import_rows(c7002="changed")
    with visit(browser, world) as seen:
        seen.go().sign_in().open("imports")
        page = seen.page
        row = page.locator("#imports tr", has_text=wrong)
        wait_until(row).to_contain_text("3 rows: 1 new, 2 updated")
        row.get_by_role("button", name="Undo").click()
        dialog = page.get_by_role("dialog")
        for text in ("Restored", "Deleted, because the import brought them", "they have changed since", "1: imports~7002"):
            wait_until(dialog).to_contain_text(text)
        wait_until(dialog).to_contain_text("Nothing has been changed yet")
        name = lambda id: world.api.ask(f"/v1/customers/imports~{id}")["name"].get("first")
        expect_equal((name(7001), name(7002)), ("wrong", "changed"), "nothing was changed yet")
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS, "undo-1280-light.png"))
        expect_equal(Axe().run(page).violations_count, 0, "what axe finds in the dialog")
        dialog.get_by_role("button", name="Undo this import").click()
        wait_until(dialog).to_contain_text("The import is undone")
        expect_equal((name(7001), name(7002)), ("ada", "changed"), "the customers")
        expect_equal(world.api.ask("/v1/customers/imports~7003")["status"], "deleted", "whom the import brought")
        dialog.get_by_role("button", name="Close").click()
        wait_until(row).to_contain_text("undone")
        wait_until(row.get_by_role("button")).to_have_count(0)
        seen.is_quiet()


@story
def an_undo_whose_dialog_is_closed_ends_with_the_request_that_is_under_way(browser, world):
    wrong = world.import_rows(c7101="wrong")
    held = []
    with visit(browser, world) as seen:
        page = seen.go().sign_in().page
        page.route("**/undo", lambda route: route.continue_() if "dry_run" in route.request.post_data else held.append(route))
        seen.open("imports")
        page.locator("#imports tr", has_text=wrong).get_by_role("button", name="Undo").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Undo this import").click()
        seen.asks(lambda: held, "the undo", 10)
        dialog.get_by_role("button", name="Cancel").click()
        nobody = {"count": 0, "ids": []}
        held[0].fulfill(status=202, json={"finished": False, "left": 1, "restored": nobody, "removed": nobody})
        seen.wait(2)
        expect_equal(len(held), 1, "requests to undo")
        seen.is_quiet()


@story
def what_was_asked_before_somebody_signed_out_is_shown_to_nobody(browser, world):
    email, held = world.email_of("aa~1010"), []
    with visit(browser, world) as seen:
        page = seen.go().sign_in().page
        seen.open("customers")
        page.route("**/v1/customers/*", lambda route: held.append(route))
        for query in (email, "aa~1010"):
            page.get_by_label("E-mail address or id").fill(query)
            page.get_by_role("button", name="Search").click()
        seen.asks(lambda: len(held) == 2, "both searches", 10)
        page.route("**/v1/connections", lambda route: held.append(route))
        seen.asks(lambda: len(held) == 3, "how everything stands", 20)
        page.unroute("**/v1/connections")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Token of a reader").fill(READ_TOKEN)
        page.keyboard.press("Enter")
        page.locator("#view-customers").wait_for()
        asked = len(seen.asked("/v1/connections"))
        seen.asks(lambda: len(seen.asked("/v1/connections")) > asked, "the page goes on looking", 20)
        for route in held:
            try:
                route.fulfill(json={"customers": [world.api.ask("/v1/customers/aa~1010")], "more": False})
            except PlaywrightError:
                pass  # It was given up.
        seen.wait(1)
        wait_until(page.locator("#customer")).to_be_hidden()
        expect_equal(page.locator("#customer").inner_html() + page.locator("#found").inner_html(), "", "what is shown")
        expect_equal(page.locator("#search-note").text_content(), "", "the note")


@story
def a_customer_is_found_by_address_and_by_id_with_where_it_is(browser, world):
    email = world.email_of("aa~1010")
    with visit(browser, world) as seen:
        seen.go().sign_in().open("customers")
        page = seen.page
        customer = page.locator("#customer")
        for query in (email.upper(), "aa~1010"):
            page.get_by_label("E-mail address or id").fill(query)
            page.get_by_role("button", name="Search").click()
            if "@" in query:
                wait_until(page.locator("#search-note")).to_have_text("2 customers with this address")
                page.locator("#found").get_by_role("button", name="aa~1010").click()
            for text in ("aa~1010", email, "Where", "of batch", "To hook", "was refused", "HTTP 400", "In the words of the source"):
                wait_until(customer).to_contain_text(text)
        for query, text in (("nobody@example.org", "No customer has this address."), ("aa~9999", "There is no record")):
            page.get_by_label("E-mail address or id").fill(query)
            page.keyboard.press("Enter")
            wait_until(page.locator("#search-note")).to_contain_text(text)
        says_who = [url for url in seen.urls if email.lower() in urllib.parse.unquote(url).lower() or "1010" in url]
        expect_equal(says_who, [], "URLs that name somebody")
        seen.is_quiet()


@story
def the_live_feed_shows_what_changes(browser, world):
    with visit(browser, world) as seen:
        seen.go().sign_in()
        expect_equal(seen.asked("/v1/changes"), [], "the feed is not followed while nobody looks")
        seen.open("changes")
        seen.asks(lambda: seen.asked("/v1/changes"), "the feed is followed", 10)
        world.source.tell("change?ids=1040")
        wait_until(seen.page.locator("#changes")).to_contain_text("aa~1040", timeout=30_000)
        row = seen.page.locator("#changes li", has_text="aa~1040").first
        wait_until(row).to_contain_text("updated")
        row.get_by_role("button", name="Show aa~1040").click()
        wait_until(seen.page.locator("#customer")).to_contain_text("aa~1040")
        expect("1040" not in "".join(seen.urls), "a URL names somebody")
        asked = len(seen.asked("/v1/changes"))
        seen.wait(3)
        expect_equal(len(seen.asked("/v1/changes")), asked, "requests for the feed after its view was left")
        seen.is_quiet()


@story
def the_token_is_kept_nowhere(browser, world):
    with visit(browser, world) as seen:
        page = seen.go().sign_in().page
        for view in VIEWS:
            seen.open(view)
        kept = page.evaluate("""async () => JSON.stringify([
            Object.entries(localStorage), Object.entries(sessionStorage), document.cookie, location.href, history.state,
            window.name, (await indexedDB.databases()).length, (await caches.keys()).length,
            document.getElementById('token').value])""")
        expect(Api.TOKEN not in kept and kept.startswith('[[],[],"",') and kept.endswith(',null,"",0,0,""]'), kept)
        expect_equal(seen.context.cookies(), [], "cookies")
        expect(not any(Api.TOKEN in url for url in seen.urls), "a URL has the token")
        expect(all(url.startswith((seen.address, "data:")) for url in seen.urls), f"others are asked: {seen.urls}")
        page.reload()
        wait_until(page.get_by_label("Token of a reader")).to_be_visible()
        wait_until(page.get_by_label("Token of a reader")).to_have_value("")
        seen.is_quiet()


@story
def a_token_that_may_only_read_is_shown_no_button_that_operates(browser, world):
    with visit(browser, world) as seen:
        page = seen.go().sign_in(READ_TOKEN).page
        expect_equal(page.get_by_role("button", name="Pause aa").count(), 0, "buttons that pause")
        seen.open("failures")
        page.locator("#failures tr").first.wait_for()
        names = page.locator("#view-failures button:visible").all_text_contents()
        expect_equal(set(names), {"Show"}, "buttons")
        seen.open("imports")
        page.locator("#imports tr").first.wait_for()
        expect_equal(page.locator("#view-imports button:visible").count(), 0, "buttons that undo")
        seen.is_quiet()


@story
def the_page_asks_little_and_less_in_trouble(browser, world):
    with visit(browser, world) as seen:
        page = seen.go().sign_in().page
        asked = lambda: len(seen.asked("/v1/connections"))
        before = asked()
        seen.wait(9)
        expect(1 <= asked() - before <= 2, f"{asked() - before} looks in 9 seconds")
        # A page that nobody sees asks nothing, and looks at once when it is seen again.
        hide = "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}}); document.dispatchEvent(new Event('visibilitychange'))"
        page.evaluate(hide.format("true"))
        seen.wait(1)
        before = asked()
        seen.wait(7)
        expect_equal(asked(), before, "requests of a page that nobody sees")
        page.evaluate(hide.format("false"))
        seen.asks(lambda: asked() > before, "it looks again", 3)
        seen.is_quiet()
        busy = lambda route: route.fulfill(status=429, headers={"Retry-After": "60"}, json={"message": "Too Many Requests"})
        page.route("**/v1/connections*", busy)
        wait_until(page.locator("#trouble")).to_contain_text("Too Many Requests", timeout=15_000)
        before = asked()
        seen.wait(9)
        expect_equal(asked(), before, "requests while it was asked to wait")


@story
def a_large_world_is_no_trouble(browser, _):
    with large_world() as world, visit(browser, world) as seen:
        seen.go()
        began = time.monotonic()
        seen.sign_in()
        took = time.monotonic() - began
        print(f"       200 connections are shown within {took:.2f} s", flush=True)
        expect(took < LARGE_WITHIN, f"{took:.1f} s")
        page = seen.page
        expect_equal(page.locator("#connections > li").count(), 200, "connections")
        wait_until(page.get_by_role("heading", level=2)).to_have_text("10 of 200 failing")
        names = page.locator("#connections h4").all_text_contents()
        expect_equal(names[:10], [f"legacy-{number:02}" for number in range(1, 11)], "what fails comes first")
        expect(set(names[10:12]) == {"aa-003", "aa-077"}, f"then what has failures: {names[10:12]}")
        wait_until(page.locator("#failures-count")).to_have_text("9,999+")
        began = time.monotonic()
        page.get_by_label("Show only those").fill("club-4")
        expect_equal(page.locator("#connections > li").count(), 10, "those with the word")
        expect(time.monotonic() - began < USABLE_WITHIN, "the filter is slow")
        page.get_by_label("Show only those").fill("")
        if SCREENSHOTS:
            page.screenshot(path=Path(SCREENSHOTS, "large-1280-light.png"))
        expect_equal(Axe().run(page).violations_count, 0, "what axe finds")
        seen.open("failures")
        rows = page.locator("#failures tr")
        wait_until(rows).to_have_count(100)
        wait_until(page.locator("#failures-note")).to_contain_text("The first 100 of 10,000 failures")
        for count in (200, 300):
            page.get_by_role("button", name="More").click()
            wait_until(rows).to_have_count(count)
        expect_equal(rows.nth(299).locator("th").text_content(), "aa-077~100300", "the last one")
        # Its source has no such customer: what matters is that it is asked for.
        page.get_by_role("button", name="Redrive aa-077~100300").click()
        wait_until(rows.nth(299)).to_contain_text("is redriven")
        page.get_by_label("Connection or destination").select_option("aa-003")
        wait_until(rows).to_have_count(7)
        seen.is_quiet()


# --- telling them -----------------------------------------------------------------------------------------------------


def main():
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, small_world() as world:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        try:
            tell_all(lambda function: function(browser, world))
        finally:
            browser.close()


if __name__ == "__main__":
    main()
