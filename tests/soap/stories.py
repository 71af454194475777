"""Stories of SOAP: a third-party client and server agree with our documents. `tests/soap/run` builds what they
need and tells them.

zeep, a stock client, reads our description of Business Catalyst's service and drives our simulator. Our own client is
pointed at server.py, which is built on spyne, a stock server: contacts are read from it, and customers sent to it.
"""

import json
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import requests
import zeep

import server
from storytelling import (
    BINARIES, api_of, configure, expect, expect_equal, local_run, source_with, story, tell_all)

CONTACTS = 230
PAGE = 100
SITE_ID = 12345
USERNAME = "demo@example.com"
PASSWORD = "demo-password"
SITE_TOKEN = "demo-site-token"
BEGINNING = datetime(1, 1, 1)

# The names of the ports, and of their bindings, in our description.
VERSIONS = {"1.1": "CatalystCRMWebserviceSoap", "1.2": "CatalystCRMWebserviceSoap12"}
NAMESPACES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}

@contextmanager
def serving(*arguments):
    """Runs a server, and yields the address in its first line."""
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline()
        address = re.search(r"http://\S+", line)
        expect(address, f"{arguments} did not say where it is: {line!r}")
        yield address.group()
    finally:
        child.terminate()
        child.wait(10)
        child.stdout.close()


# --- a third-party client, against our simulator ----------------------------------------------------------------------


class Site:
    """The simulated site, as zeep sees it."""

    def __init__(self, base):
        self.base = base
        session = requests.Session()
        # No proxy of this machine stands between the two.
        session.trust_env = False
        self.answers = zeep.plugins.HistoryPlugin()
        self.client = zeep.Client(
            f"{base}/catalystwebservice/catalystcrmwebservice.asmx?wsdl", transport=zeep.Transport(session=session),
            plugins=[self.answers])

    def service(self, version):
        return self.client.bind("CatalystCRMWebservice", VERSIONS[version])

    def page(self, version, record_start=0, since=BEGINNING, username=USERNAME, password=PASSWORD):
        page = self.service(version).ContactList_Retrieve(
            username=username, password=password, siteId=SITE_ID, lastUpdateDate=since, recordStart=record_start,
            moreRecords=False)
        for exchanged in (self.answers.last_sent, self.answers.last_received):
            namespace = exchanged["envelope"].nsmap[exchanged["envelope"].prefix]
            expect_equal(namespace, NAMESPACES[version], "the envelope's namespace")
        return page

    def all(self, version, since=BEGINNING):
        """Every contact, page by page as the source's guide says."""
        contacts = []
        record_start = 0
        while True:
            page = self.page(version, record_start, since)
            expect_equal(page.recordStart, record_start, "recordStart")
            contacts += records(page)
            if not page.moreRecords:
                return contacts
            expect_equal(len(contacts), record_start + PAGE, "contacts after a full page")
            record_start += PAGE

    def write(self, version, **contact):
        return self.service(version).ContactList_UpdateInsert(
            username=USERNAME, password=PASSWORD, siteId=SITE_ID, contactsList={"ContactRecord": [contact]})

    def ask(self, path):
        with build_opener(ProxyHandler({})).open(f"{self.base}/_simulator/{path}", timeout=10) as response:
            return json.load(response)


def records(page):
    return page.ContactList_RetrieveResult.ContactRecord if page.ContactList_RetrieveResult else []


def lists_every_contact(site, version):
    contacts = site.all(version)
    expect_equal(sorted(contact.entityId for contact in contacts), list(range(1001, 1001 + CONTACTS)), "ids")
    for contact in contacts:
        expect(contact.createDate <= contact.lastUpdateDate, f"{contact.entityId} changed before it was created")
        expect_equal(contact.emailAddress, None, f"emailAddress of {contact.entityId}")
        expect(contact.fullName and contact.firstName and contact.lastName, f"{contact.entityId} has no name")
    for contact in contacts[::50]:
        known = site.ask(f"contact?id={contact.entityId}")
        expect_equal(contact.fullName, known["display_name"], "fullName")
        expect_equal(contact.externalId, known["external_id"], "externalId")
        emails = [phone.phoneNo for phone in contact.phoneNos.PhoneNo if phone and phone.phoneNoTypeID == 7]
        expect_equal(emails, [known["email"]] if known["email"] else [], "e-mail addresses")
    some = {name: any(contact[name] and contact[name][item] for contact in contacts) for name, item in (
        ("relationships", "Relationship"), ("addresses", "Address"), ("phoneNos", "PhoneNo"), ("crmForms", "CrmForms"))}
    expect(all(some.values()), f"lists that no contact has: {some}")
    expect(any(contact.dateOfBirth == BEGINNING for contact in contacts), "nobody's date of birth is unset")


@story
def a_stock_client_lists_every_contact_in_soap_1_1(site):
    lists_every_contact(site, "1.1")


@story
def a_stock_client_lists_every_contact_in_soap_1_2(site):
    lists_every_contact(site, "1.2")


@story
def a_listing_since_a_date_holds_what_changed_since(site):
    dates = sorted(contact.lastUpdateDate for contact in site.all("1.1"))
    since = dates[-7]
    expect_equal([contact.lastUpdateDate for contact in site.all("1.2", since)], dates[dates.index(since):], "dates")


@story
def wrong_credentials_are_a_fault_in_both_versions(site):
    for version in VERSIONS:
        try:
            site.page(version, password="wrong")
        except zeep.exceptions.Fault as fault:
            expect(fault.message.startswith("Server was unable to process request. ---> ERROR: "), fault.message)
        else:
            raise AssertionError(f"SOAP {version}: a wrong password was accepted")


@story
def a_site_token_takes_the_place_of_name_and_password(site):
    expect_equal(len(records(site.page("1.1", username="", password=SITE_TOKEN))), PAGE, "contacts of a page")


@story
def what_is_written_is_read_back_in_both_versions(site):
    written = {
        "externalId": "soap-1",
        "emailAddress": "zoe@example.org",
        "firstName": "Zoë",
        "lastName": "<O'Brien> & Sons",
        "dateOfBirth": datetime(1980, 2, 29),
        "phoneNos": {"PhoneNo": [{"phoneNoTypeID": 5, "phoneNo": "555-0100"}]},
        "crmForms": {"CrmForms": [{"formId": 9, "formName": "F", "crmFormFields": {"CrmFormFields": [
            {"fieldId": 1, "fieldTypeId": 9, "fieldName": "Why?", "fieldValue": "one\ntwo"}]}}]},
        "MasterOptIn": True,
    }
    ids = set()
    for version, city in (("1.1", "Sydney"), ("1.2", "Perth")):
        addresses = {"Address": [{"addressTypeID": 2, "addressLine1": "1 Main St", "city": city}]}
        # Each version writes the same contact, for the external id is the same; a new contact has the id -1.
        site.write(version, entityId=-1, addresses=addresses, **written)
        found = [contact for contact in site.all(version) if contact.externalId == "soap-1"]
        expect_equal(len(found), 1, "contacts with the external id")
        contact = found[0]
        ids.add(contact.entityId)
        for name in ("firstName", "lastName", "dateOfBirth", "MasterOptIn"):
            expect_equal(contact[name], written[name], name)
        expect_equal(contact.fullName, "Zoë <O'Brien> & Sons", "fullName")
        expect_equal([address.city for address in contact.addresses.Address], [city], "cities")
        phones = [(phone.phoneNoTypeID, phone.phoneNo) for phone in contact.phoneNos.PhoneNo]
        expect_equal(phones, [(5, "555-0100"), (7, "zoe@example.org")], "phone numbers")
        field = contact.crmForms.CrmForms[0].crmFormFields.CrmFormFields[0]
        expect_equal((field.fieldName, field.fieldValue), ("Why?", "one\ntwo"), "field of a form")
    expect_equal(len(ids), 1, "contacts written")


# --- our client, against a third-party server -------------------------------------------------------------------------


SITE_CREDENTIALS = {"username": server.USERNAME, "password": server.PASSWORD}


@contextmanager
def stock_server(version):
    with serving(sys.executable, str(Path(__file__).with_name("server.py")), version) as endpoint:
        yield endpoint


def site_of(endpoint, version):
    """What connections.toml says of the server, whether it is read from or sent to."""
    return f"""
endpoint = "{endpoint}"
site_id = {server.SITE_ID}
credentials = "file:site.json"
soap = "{version}"
"""


def sync_once(folder):
    """Runs the product in a folder until all is in sync, and returns how everything stands."""
    for command in (local_run("--once"), [str(BINARIES / "customer-sync"), "status", "--json"]):
        ended = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180)
        expect_equal(ended.returncode, 0, f"{command[1]} said {ended.stderr or ended.stdout!r} and ended with")
    return json.loads(ended.stdout)


def syncs_from_a_stock_server(version):
    with stock_server(version) as endpoint, tempfile.TemporaryDirectory() as folder:
        configure(folder, f"""
[[connection]]
id = "bc"
tenant = "acme"
kind = "business-catalyst"
time_zone = "Australia/Sydney"
{site_of(endpoint, version)}
""", site=SITE_CREDENTIALS)
        [connection] = sync_once(folder)["connections"]
    counts = connection["counts"]
    expect_equal((counts["written"], counts["failed"], connection["failures"]), (server.CONTACTS, 0, 0), "written and failed")
    ends = sum(counts[end] for end in ("written", "unchanged", "stale", "tombstoned", "failed"))
    expect_equal(counts["fetched"], ends, "fetched")


@story
def the_product_syncs_from_a_stock_server_in_soap_1_1(_):
    syncs_from_a_stock_server("1.1")


@story
def the_product_syncs_from_a_stock_server_in_soap_1_2(_):
    syncs_from_a_stock_server("1.2")


# --- our client, sending customers to a third-party server ------------------------------------------------------------

CUSTOMERS = 230
FIRST = 1001
# As the source's document numbers them.
PHONE_TYPES = {"HOME": 1, "HOME FAX": 2, "WORK": 3, "WORK FAX": 4, "CELL": 5, "PAGER": 6}
ADDRESS_TYPES = {"HOME": 1, "WORK": 2, "PO BOX": 3, "SHIPPING": 5, "BILLING": 8}
SECOND_EMAIL, FURTHER_EMAIL = 8, 9


def contacts_written(site, endpoint, version):
    """The contacts that the server was sent, by external id, as a stock client lists them."""
    service = site.client.create_service(f"{{{server.NAMESPACE}}}{VERSIONS[version]}", endpoint)
    contacts, more = {}, True
    while more:
        page = service.ContactList_Retrieve(
            **SITE_CREDENTIALS, siteId=server.SITE_ID, lastUpdateDate=server.WRITTEN_AT, recordStart=len(contacts),
            moreRecords=False)
        contacts |= {contact.externalId: contact for contact in records(page)}
        more = page.moreRecords
    return contacts


def is_written(contact, customer):
    """The contact holds what the API shows of the customer."""
    id, name = customer["id"], customer["name"]
    found = (contact.externalId, contact.deleted, contact.fullName, contact.firstName or "", contact.lastName or "",
             contact.contactTitle or "")
    expect_equal(
        found, (id, False, name["display"], name.get("first", ""), name.get("last", ""), name.get("prefix", "")), f"names of {id}")
    expect_equal((contact.dateOfBirth, customer["birth_date"]), (BEGINNING, None), f"date of birth of {id}")
    # The source lists the primary one first.
    emails = [email["address"] for email in customer["emails"]]
    expect(emails, f"{id} has no address")
    expect_equal(contact.emailAddress, emails[0], f"address of {id}")
    phones = [(PHONE_TYPES[phone["type"]], phone["number"]) for phone in customer["phones"]]
    phones += [(FURTHER_EMAIL if place else SECOND_EMAIL, email) for place, email in enumerate(emails[1:])]
    written = contact.phoneNos.PhoneNo if contact.phoneNos else []
    expect_equal([(phone.phoneNoTypeID, phone.phoneNo) for phone in written], phones, f"phone numbers of {id}")
    addresses = [
        (ADDRESS_TYPES[address["type"]], address["lines"][0], ", ".join(address["lines"][1:]), address["city"],
         address["postal_code"], address["region"], address["country"]) for address in customer["addresses"]]
    written = contact.addresses.Address if contact.addresses else []
    written = [
        (address.addressTypeID, address.addressLine1, address.addressLine2 or "", address.city, address.zipcode, address.state,
         address.countryCode) for address in written]
    expect_equal(written, addresses, f"addresses of {id}")
    never = (contact.username, contact.password, contact.customerType, contact.MasterOptIn, contact.crmForms)
    expect_equal(never, (None, None, None, None, None), f"what is never sent, of {id}")


def sends_to_a_stock_server(site, version):
    changed, deleted = f"aa~{FIRST}", f"aa~{FIRST + 1}"
    with stock_server(version) as endpoint, source_with(CUSTOMERS) as source, tempfile.TemporaryDirectory() as folder:
        configure(folder, f"""{source.connection()}
[[destination]]
id = "site"
tenant = "acme"
kind = "business-catalyst"
from = ["aa"]
allow_private_addresses = true
{site_of(endpoint, version)}
""", site=SITE_CREDENTIALS)

        def synced():
            """Has everything sent; the customers that the API shows, and the contacts that were written."""
            [destination] = sync_once(folder)["destinations"]
            expect_equal((destination["condition"], destination["failures"]), ("in_sync", 0), "how the destination stands")
            contacts = contacts_written(site, endpoint, version)
            with api_of(folder) as api:
                customers = api.customers_of("aa")
            for id, customer in customers.items():
                is_written(contacts[id], customer)
            return customers, contacts

        before, contacts = synced()
        everybody = {f"aa~{number}" for number in range(FIRST, FIRST + CUSTOMERS)}
        expect_equal((before.keys(), contacts.keys()), (everybody, everybody), "customers and contacts")
        some = {name: any(customer[name] for customer in before.values()) for name in ("phones", "addresses")}
        some |= {"another address": any(len(customer["emails"]) > 1 for customer in before.values())}
        expect(all(some.values()), f"what no customer has: {some}")

        source.tell(f"change?ids={FIRST}")
        source.tell(f"delete?id={FIRST + 1}")
        after, contacts = synced()
        expect(after[changed] != before[changed], "the customer did not change")
        expect_equal((after.keys(), contacts.keys()), (everybody - {deleted}, everybody), "customers and contacts")
        expect_equal(contacts[deleted].deleted, True, "whether the customer that was deleted is")


@story
def the_product_sends_customers_to_a_stock_server_in_soap_1_1(site):
    sends_to_a_stock_server(site, "1.1")


@story
def the_product_sends_customers_to_a_stock_server_in_soap_1_2(site):
    sends_to_a_stock_server(site, "1.2")


# --- telling them -----------------------------------------------------------------------------------------------------


def main():
    with serving(BINARIES / "bc-simulator", "--port", "0", "--contacts", str(CONTACTS)) as base:
        site = Site(base)
        tell_all(lambda function: function(site))


if __name__ == "__main__":
    main()
