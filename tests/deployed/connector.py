"""What an InTouch Connector sends to a deployed stack, and what it is answered."""

import base64
import re

CONNECTOR_SECRET = {"username": "intouch", "password": "only-the-connector-knows-c4e8"}
# What a request to fetch must say.
OF_CLUB = "?provider=INTOUCH&client_id=c-1&club_id=k-1"


def connector(stack, method, resource, document=None, query="", login=CONNECTOR_SECRET, media_type="application/xml"):
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
    """The uuid that a push was answered with: the answer is the vendor's, byte for byte."""
    status, headers, document = answer
    if status != 200 or headers.get_content_type() != "application/xml":
        raise AssertionError(f"answered {status}: {document}")
    found = re.fullmatch(
        r'<response xmlns="http://www\.intouchfollowup\.com/api/2011-11"><uuid>([0-9a-f-]{36})</uuid></response>', document)
    if not found:
        raise AssertionError(f"answered {document}")
    return found.group(1)
