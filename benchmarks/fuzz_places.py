"""Organizations to be fuzzed in: each operation has its own, with what it asks for in it.

A request can only be carried out that names something which is there. So a place knows, by the
names of the OpenAPI document, the parameters and fields that hold in it; and when a request has
used them up (a token that works once, a session that was ended), the operation gets a new place.
"""

import base64
import http.client
import itertools
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django_otp.oath import totp

LETTER_SECONDS, POLL_SECONDS = 20.0, 0.02  # letters leave after the answer
BETWEEN_LETTERS = "-" * 79  # as Django writes them to files
PASSWORD = "correct horse 9 battery"
DOCUMENTS = 200
API = "/api/v1"
AUTH, ORGANIZATION = f"{API}/auth", f"{API}/organization"
# Each process numbers its people itself; the number of the process keeps them apart.
_numbers = itertools.count(1)


def call(port: int, method: str, path: str, body: Any = None, token: str = "") -> Any:
    """Send one request and return its body. Raises RuntimeError for a refusal."""
    status, found = ask(port, method, path, body, token)
    if status >= 300:
        raise RuntimeError(f"{method} {path} was answered {status}: {str(found)[:500]}")
    return found


def ask(port: int, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
    """Send one request and return its status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


@dataclass
class Place:
    """An organization of its own, its owner's token, and what is there."""

    port: int
    token: str
    slug: str
    email: str
    # By the names of parameters and fields; a function is asked at each request.
    known: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request as the owner and return its body."""
        return call(self.port, method, path, body, self.token)

    def find(self, name: str) -> Any:
        """Return what holds for a parameter or a field, None where nothing is known."""
        value = self.known.get(name)
        return value() if callable(value) else value


def make_place(port: int, label: str) -> Place:
    """Sign up and make what the operation `METHOD path` asks for."""
    number = f"{os.getpid()}-{next(_numbers)}"
    name, email = f"Fuzzed {number}", f"owner{number}@example.com"
    person = {"organization_name": name, "email": email, "password": PASSWORD}
    answer = call(port, "POST", f"{AUTH}/signup", person)
    slug = answer["organization"]["slug"]
    place = Place(port, answer["access_token"], slug, email)
    place.known |= {"current_password": PASSWORD, "refresh_token": answer["refresh_token"]}
    place.known |= {"new_password": f"{PASSWORD} {number}"}
    for pattern, furnish in FURNITURE:
        if re.search(pattern, label):
            furnish(place)
    return place


def _documents(place: Place) -> None:
    for collection in ("main", "spare"):
        operations = [
            {"op": "insert", "document": {"_id": f"d{n}", "n": n, "tags": ["a"], "name": f"N {n}"}}
            for n in range(DOCUMENTS)
        ]
        bulk = f"{API}/collections/{collection}/bulk"
        place.call("POST", bulk, {"operations": operations})
    numbers = itertools.cycle(range(DOCUMENTS))
    place.known["document_id"] = lambda: f"d{next(numbers)}"


def _index(place: Place) -> None:
    index = {"keys": [["n", 1]]}
    made = place.call("POST", f"{API}/collections/main/indexes", index)
    place.known["name"] = made["name"]


def _new_address(place: Place) -> None:
    numbers = itertools.count(1)
    place.known["email"] = lambda: f"new{next(numbers)}.{place.email}"
    place.known["organization_name"] = lambda: f"New {next(numbers)} of {place.slug}"
    place.known["password"] = PASSWORD


def _credentials(place: Place) -> None:
    place.known |= {"email": place.email, "password": PASSWORD, "organization": place.slug}
    place.known |= {"admin_email": place.email, "admin_password": PASSWORD}


def _own_name(place: Place) -> None:
    own = place.call("GET", ORGANIZATION)["name"]
    place.known |= {"confirm": place.slug, "organization_name": own, "old_name": own}
    place.known |= {"old_organization_name": own}


def _collection(place: Place) -> None:
    place.known["confirm"] = "main"


def _key(place: Place) -> None:
    body = {"name": "Fuzzed", "role": "editor"}
    place.known["key_id"] = place.call("POST", f"{ORGANIZATION}/api-keys", body)["id"]


def _session(place: Place) -> None:
    body = {"email": place.email, "password": PASSWORD}
    place.known["session_id"] = call(place.port, "POST", f"{AUTH}/login", body)["session_id"]


def _operation(place: Place) -> None:
    place.call("POST", f"{API}/collections", {"name": "spare"})
    place.call("DELETE", f"{API}/collections/spare?confirm=spare")
    place.known["operation_id"] = place.call("GET", f"{API}/operations")["data"][0]["id"]


def _invitation(place: Place, role: str = "editor") -> None:
    guest = f"guest.{place.email}"
    body = {"email": guest, "role": role}
    place.known["invitation_id"] = place.call("POST", f"{ORGANIZATION}/invitations", body)["id"]
    place.known |= {"token": read_letter(guest, r"/invitations/([\w-]+)"), "password": PASSWORD}


def _member(place: Place, role: str = "editor") -> None:
    _invitation(place, role)
    accept = f"{API}/invitations/{place.known['token']}/accept"
    call(place.port, "POST", accept, {"password": PASSWORD})
    members = place.call("GET", f"{ORGANIZATION}/members")["data"]
    other = next(each["id"] for each in members if each["user"]["email"] != place.email)
    place.known |= {"member_id": other, "member": other}


def _other_owner(place: Place) -> None:
    _member(place, "owner")


def _deleted(place: Place) -> None:
    place.call("DELETE", ORGANIZATION, {"confirm": place.slug})
    body = {"email": place.email, "password": PASSWORD, "organization": place.slug}
    place.token = call(place.port, "POST", f"{AUTH}/login", body)["access_token"]


def _authenticator(place: Place) -> bytes:
    body = {"current_password": PASSWORD}
    secret = place.call("POST", f"{AUTH}/two-factor/totp", body)["secret"]
    key = base64.b32decode(secret)
    place.known["code"] = lambda: f"{totp(key):06}"
    return key


def _second_factor(place: Place) -> None:
    key = _authenticator(place)
    confirm = f"{AUTH}/two-factor/totp/confirm"
    codes = place.call("POST", confirm, {"code": place.find("code")})["recovery_codes"]
    remaining = iter(codes)
    place.known |= {"recovery_code": lambda: next(remaining, codes[0])}
    place.known["code"] = lambda: f"{totp(key, drift=1):06}"  # the one of now has been used


def _half_signed_in(place: Place) -> None:
    _second_factor(place)
    body = {"email": place.email, "password": PASSWORD}
    _status, problem = ask(place.port, "POST", f"{AUTH}/login", body, "")
    place.known["two_factor_token"] = problem["two_factor_token"]


def _reset_token(place: Place) -> None:
    call(place.port, "POST", f"{AUTH}/password/forgot", {"email": place.email})
    place.known["token"] = read_letter(place.email, r"With this token:\s+(\S+)")


def read_letter(address: str, pattern: str) -> str:
    """Return what the pattern finds in a letter to somebody. Raises RuntimeError if none comes."""
    deadline = time.monotonic() + LETTER_SECONDS
    while time.monotonic() < deadline:
        for file in sorted(Path(os.environ["FUZZ_LETTERS"]).iterdir(), reverse=True):
            for text in file.read_text().split(BETWEEN_LETTERS):  # those of a second may share one
                if f"To: {address}\n" in text and (found := re.search(pattern, text)):
                    return found[1]
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"There is no letter to {address}.")


# Of these one that is carried out leaves less than it found: tokens and sessions that are dead,
# things that are gone, an organization that is called or owned otherwise.
USED_UP = re.compile(
    r"DELETE (?!\S+/documents/)"
    r"|POST \S+/(logout|logout-all|change|reset|refresh|verify|confirm|totp|recovery-codes"
    r"|accept|leave|restore|transfer|rotate|delete-many)$"
    r"|(PATCH|PUT) \S+/(me|organization|update)$"
)
# A pattern of operations, and what is made for them.
FURNITURE: tuple[tuple[str, Callable[[Place], Any]], ...] = (
    (r"/collections", _documents),
    (r"/indexes/{name}", _index),
    (r"DELETE \S+/collections/{collection}$", _collection),
    (r"/signup$|/org/create|POST \S+/invitations$|PATCH \S+/me$", _new_address),
    (r"/login$|/password/forgot$", _credentials),
    (r"DELETE \S+/organization$|/org/(get|update|delete)$", _own_name),
    (r"{key_id}", _key),
    (r"{session_id}", _session),
    (r"{operation_id}", _operation),
    (r"{invitation_id}|/invitations/{token}", _invitation),
    (r"{member_id}|/transfer$", _member),
    (r"/leave$|DELETE \S+/me$", _other_owner),
    (r"/restore$", _deleted),
    (r"/totp/confirm$", _authenticator),
    (r"DELETE \S+/totp$|/recovery-codes$", _second_factor),
    (r"/two-factor/verify$", _half_signed_in),
    (r"/password/reset$", _reset_token),
)
