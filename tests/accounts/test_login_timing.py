"""The time of an answer does not tell whether there is an account: the work for both is the same.

What is counted here is what takes time: hashes with their costs, statements of the catalog, and
tasks left for later. `make bench` measures it over HTTP, with real hashes, by the clock.
"""

import re
from typing import NamedTuple

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import background, login
from accounts.hashing import CURRENT_FORM, form_of
from accounts.models import User
from accounts.passwords import forget_forms, hash_password
from tenancy.models import AuditEvent
from tests.cheap_hashing import form_with
from tests.conftest import PASSWORD

LOG_IN, FORGET = "/api/v1/auth/login", "/api/v1/auth/password/forgot"
OTHER, KNOWN, UNKNOWN = "other@example.com", "alice@example.com", "nobody@example.com"
WRONG = "wrong horse 9 battery"
TOO_LONG = "x" * 129
VALUES = re.compile(r"'(?:[^']|'')*'|\b[0-9a-f]{32}\b|\b\d+(?:\.\d+)?\b")


class Work(NamedTuple):
    """What a request has made the service do before its answer."""

    answer: tuple[int, str]
    hashes: list[str | None]
    statements: list[str]
    tasks: int


@pytest.fixture
def work_of(monkeypatch, nobody):
    """Return what is done for a request."""
    hashes, tasks = [], []
    verify = Argon2PasswordHasher.verify

    def noted(hasher, password, encoded):
        hashes.append(form_of(encoded))
        return verify(hasher, password, encoded)

    class Later:
        add = staticmethod(tasks.append)

    monkeypatch.setattr(Argon2PasswordHasher, "verify", noted)
    monkeypatch.setattr(background, "_worker", Later())

    def find_out(path, body):
        hashes.clear()
        tasks.clear()
        with CaptureQueriesContext(connection) as queries:
            answer = nobody.post(path, body)
        said = answer.json()
        shapes = [VALUES.sub("?", query["sql"]) for query in queries]
        told = (answer.status_code, said.get("detail", str(said)))
        return Work(told, list(hashes), shapes, len(tasks))

    return find_out


def both(work_of, path, **fields):
    """Return what is done for a known and an unknown address, the first and the second time."""
    work_of(path, {"email": OTHER} | fields)  # what is done once for each address or process
    rounds = [[work_of(path, {"email": each} | fields) for each in (KNOWN, UNKNOWN)] for _ in "12"]
    return [tuple(each) for each in rounds]


@pytest.mark.parametrize("password", [WRONG, TOO_LONG])
def test_sign_in_is_the_same_work_for_known_and_unknown_addresses(acme, work_of, password):
    for known, unknown in both(work_of, LOG_IN, password=password):
        assert known == unknown
        assert known.answer[0] == 401
        assert known.hashes == [CURRENT_FORM]
        assert known.statements
    events = AuditEvent.objects.filter(action="session.refused").values_list("details", flat=True)
    assert [bool(details["user"]) for details in events].count(True) == 2


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize("password", [WRONG, TOO_LONG])
def test_hashes_of_earlier_costs_do_not_tell_who_has_them(work_of, password):
    earlier = form_with((16, 1))
    User.objects.filter(email=KNOWN).update(
        password=hash_password(PASSWORD).replace(CURRENT_FORM, earlier)
    )
    forget_forms()
    try:
        for known, unknown in both(work_of, LOG_IN, password=password):
            assert known == unknown
            assert sorted(known.hashes) == sorted({CURRENT_FORM, earlier})
    finally:
        forget_forms()


@pytest.mark.usefixtures("acme")
def test_who_is_not_active_any_more_looks_like_nobody(work_of):
    User.objects.filter(email=KNOWN).update(is_active=False)

    for known, unknown in both(work_of, LOG_IN, password=PASSWORD):
        assert known == unknown


@pytest.mark.usefixtures("acme")
def test_forgetting_is_the_same_work_for_known_and_unknown_addresses(work_of):
    for known, unknown in both(work_of, FORGET):
        assert known == unknown
        assert known.tasks == 1


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("matches", lambda own: lambda password, user: user is not None and own(password, user)),
        ("_record_refusal", lambda own: lambda user: user and own(user)),
    ],
)
def test_the_comparison_sees_what_is_left_out(work_of, monkeypatch, name, instead):
    monkeypatch.setattr(login, name, instead(getattr(login, name)))

    for known, unknown in both(work_of, LOG_IN, password=WRONG):
        assert known.answer == unknown.answer
        assert known != unknown
