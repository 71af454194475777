"""A Business Catalyst built on a stock SOAP library, spyne: a fixed set of contacts, in pages, and those that are written
to it, in SOAP 1.1 or in SOAP 1.2.

What a request looks like, and what the answer's envelope looks like, is the library's idea of the service below and of
SOAP; a request that does not fit the library's own schema of it, or is of the other version, is refused. Is called with
the version, prints its address, and serves until it is ended.
"""

import datetime
import socket
import sys
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from spyne import Application, Array, Boolean, ComplexModel, DateTime, Fault, Integer32, ServiceBase, Unicode, srpc
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

NAMESPACE = "http://tempuri.org/CatalystDeveloperService/CatalystCRMWebservice"
PATH = "/catalystwebservice/catalystcrmwebservice.asmx"

CONTACTS = 230
FIRST = 7001
PAGE = 100

USERNAME = "admin@example.com"
PASSWORD = "only-this-server-knows-77c0"
SITE_ID = 4242

LocalTime = DateTime(timezone=False)
UNSET = datetime.datetime(1, 1, 1)


# --- the documents ----------------------------------------------------------------------------------------------------


class Record(ComplexModel):
    __namespace__ = NAMESPACE


class Relationship(Record):
    entityId = Integer32
    entityType = Integer32
    name = Unicode


class Address(Record):
    addressTypeID = Integer32
    addressLine1 = Unicode
    addressLine2 = Unicode
    city = Unicode
    zipcode = Unicode
    state = Unicode
    countryCode = Unicode


class PhoneNo(Record):
    phoneNoTypeID = Integer32
    phoneNo = Unicode


class CrmFormFields(Record):
    fieldId = Integer32
    fieldTypeId = Integer32
    fieldName = Unicode
    fieldValue = Unicode


class CrmForms(Record):
    formId = Integer32
    formName = Unicode
    crmFormFields = Array(CrmFormFields)


class ContactRecord(Record):
    entityId = Integer32
    externalId = Unicode
    emailAddress = Unicode
    contactTitle = Unicode
    deleted = Boolean
    fullName = Unicode
    firstName = Unicode
    lastName = Unicode
    username = Unicode
    password = Unicode
    dateOfBirth = LocalTime
    createDate = LocalTime
    lastUpdateDate = LocalTime
    customerType = Unicode
    industryType = Unicode
    leadSourceType = Unicode
    ratingType = Unicode
    relationships = Array(Relationship)
    addresses = Array(Address)
    phoneNos = Array(PhoneNo)
    crmForms = Array(CrmForms)
    MasterOptIn = Boolean


# --- the contacts -----------------------------------------------------------------------------------------------------


def contact(number):
    """They change one a minute, and each has something that the one before lacks."""
    updated = datetime.datetime(2024, 3, 1, 9) + datetime.timedelta(minutes=number)
    return ContactRecord(
        entityId=FIRST + number,
        externalId=f"M-{number}" if number % 3 == 0 else None,
        deleted=False,
        fullName=f"Zoë & Company {number}",
        firstName="Zoë",
        lastName=f"& Company {number}",
        password="never-store-this" if number % 5 == 0 else None,
        dateOfBirth=datetime.datetime(1980, 2, 29) if number % 2 else UNSET,
        createDate=datetime.datetime(2012, 5, 1),
        lastUpdateDate=updated,
        customerType="Customer",
        relationships=[Relationship(entityId=1, entityType=2, name="Employer"), None] if number % 4 == 0 else [],
        addresses=[Address(addressTypeID=2, addressLine1=f"{number} Main St", city="Sydney", zipcode="2000", countryCode="AU")],
        phoneNos=[
            PhoneNo(phoneNoTypeID=5, phoneNo=f"555-0{number:03}"),
            PhoneNo(phoneNoTypeID=7, phoneNo=f"zoe.{number}@example.org")],
        crmForms=[CrmForms(formId=9, formName="Newsletter", crmFormFields=[
            CrmFormFields(fieldId=1, fieldTypeId=1, fieldName="Why?", fieldValue="a < b")])] if number % 6 == 0 else [],
        MasterOptIn=number % 2 == 0)


ALL = [contact(number) for number in range(CONTACTS)]
# When contacts that are written were changed: after all others.
WRITTEN_AT = datetime.datetime(2024, 6, 1)


def write(record):
    """Writes what a record holds, and leaves the rest of the contact with its `externalId` alone. An `emailAddress` is
    kept as it came, for people to see it."""
    if not record.externalId:
        raise Fault("Server", "Server was unable to process request. ---> ERROR: which contact?")
    known = next((contact for contact in ALL if contact.externalId == record.externalId), None)
    if not known:
        known = ContactRecord(entityId=FIRST + len(ALL), externalId=record.externalId, createDate=WRITTEN_AT)
        ALL.append(known)
    for name in ContactRecord.get_flat_type_info(ContactRecord):
        value = getattr(record, name)
        if value is not None and name != "entityId":
            setattr(known, name, value)
    known.lastUpdateDate = WRITTEN_AT


# --- the service ------------------------------------------------------------------------------------------------------


def let_in(*credentials):
    if credentials != (USERNAME, PASSWORD, SITE_ID):
        raise Fault("Server", "Server was unable to process request. ---> ERROR: who are you?")


class CatalystCRMWebservice(ServiceBase):
    @srpc(
        Unicode, Unicode, Integer32, LocalTime, Integer32, Boolean,
        _returns=(Array(ContactRecord), Integer32, Boolean),
        _out_variable_names=("ContactList_RetrieveResult", "recordStart", "moreRecords"))
    def ContactList_Retrieve(username, password, siteId, lastUpdateDate, recordStart, moreRecords):
        let_in(username, password, siteId)
        listed = [contact for contact in ALL if contact.lastUpdateDate >= lastUpdateDate]
        end = recordStart + PAGE
        return listed[recordStart:end], recordStart, end < len(listed)

    @srpc(Unicode, Unicode, Integer32, Array(ContactRecord))
    def ContactList_UpdateInsert(username, password, siteId, contactsList):
        let_in(username, password, siteId)
        for record in contactsList:
            write(record)


def application(protocol, media_type):
    soap = WsgiApplication(Application(
        [CatalystCRMWebservice], NAMESPACE, in_protocol=protocol(validator="lxml"), out_protocol=protocol()))

    def answer(environment, start_response):
        if environment.get("CONTENT_TYPE", "").split(";")[0] != media_type:
            start_response("415 Unsupported Media Type", [])
            return []
        return soap(environment, start_response)

    return answer


VERSIONS = {"1.1": (Soap11, "text/xml"), "1.2": (Soap12, "application/soap+xml")}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


class Server(WSGIServer):
    def server_bind(self):
        """Without looking up its own name, which can take long."""
        socket.socket.bind(self.socket, self.server_address)
        host, port = self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = host, port
        self.setup_environ()


def main():
    version, port = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with make_server("127.0.0.1", port, application(*VERSIONS[version]), Server, Quiet) as server:
        print(f"http://127.0.0.1:{server.server_port}{PATH}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
