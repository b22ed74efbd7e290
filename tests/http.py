"""Send requests to the API, and judge its refusals, as a client would."""

import json
import re
from urllib.parse import quote

DOCUMENTS = "/api/v1/collections/main/documents"
PROBLEM_MEMBERS = frozenset(
    ("type", "title", "status", "code", "detail", "instance", "request_id", "retryable", "errors")
)
# Words of the driver, of SQL, of Python and of physical places: none may leave.
INTERNALS = (
    *("pymongo", "Traceback", "E11000", "mongodb://", "tenantry_test", "org_acme", "sqlite"),
    *("_id.k", "keyPattern"),
)
# A namespace from an id, or an owner inside the shared collection.
HEXADECIMAL_NAMES = re.compile(r"org_[0-9a-f]{32}|\$binary")


def document_url(segment, collection="main"):
    """Return the path of a document, its id percent-encoded."""
    return f"/api/v1/collections/{collection}/documents/{quote(segment, safe='')}"


def send(client, method, path, body=b"", content_type="application/json", **headers):
    """Send a body as it is, if it is bytes; headers are spelled `If_Match`."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.generic(method, path, raw, content_type=content_type, headers=named)


def refused(answer, status, code):
    """Assert that an answer is a problem of RFC 9457 that gives nothing away; return it."""
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert set(body) >= PROBLEM_MEMBERS
    assert body["request_id"] == answer["X-Request-Id"]
    assert body["instance"] == answer.wsgi_request.path
    assert body["detail"]
    assert not [word for word in INTERNALS if word in answer.content.decode()]
    assert not HEXADECIMAL_NAMES.search(answer.content.decode())
    return body


def pointers(problem):
    """Return where the input was wrong."""
    return [error["pointer"] for error in problem["errors"]]
