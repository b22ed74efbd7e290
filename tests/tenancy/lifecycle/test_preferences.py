"""Settings are merged and bounded; with a new name they change together or not at all."""

import pytest

from tenancy import lifecycle
from tenancy.models import AuditEvent, Organization
from tests.conftest import ACTOR
from tests.http import pointers, refused
from tests.servers import at_once

pytestmark = pytest.mark.usefixtures("quick")

ROUTE = "/api/v1/organization"
TOO_GREAT = ["1e300", "-1e19", "9223372036854775808.0", "9.3e18", "-1e308"]
NUMBERS = [1e16, 1.5e17, -9e18, -0.0, 0.1, 1.0, 1e15, 1e-7, 5e-324, 2**63 - 1, -(2**63), True]
# Great ones whole, and no negative zero: so PostgreSQL gives them back, too.
KEPT_NUMBERS = [10**16, 15 * 10**16, -9 * 10**18, 0.0, *NUMBERS[4:]]


def settings_of(cast):
    return Organization.objects.get(pk=cast.id).settings


def test_settings_are_merged(acme, alice):
    alice.patch(ROUTE, {"settings": {"theme": {"dark": True, "size": 3}, "beta": [1, None]}})

    answer = alice.patch(ROUTE, {"settings": {"theme": {"size": None}, "lang": "fi"}})

    expected = {"theme": {"dark": True}, "beta": [1, None], "lang": "fi"}
    assert answer.json()["settings"] == expected
    assert alice.get(ROUTE).json()["settings"] == expected


def test_event_tells_how_many_settings_and_nothing_of_them(acme, alice):
    alice.patch(ROUTE, {"settings": {"bob@example.com": "https://secret.example/token"}})

    event = AuditEvent.objects.order_by("id").last()
    assert (event.action, event.details) == ("organization.changed", {"settings": 1})


def test_what_changes_nothing_is_not_recorded(acme, alice):
    alice.patch(ROUTE, {"settings": {"a": 1}})
    before = AuditEvent.objects.count()

    assert alice.patch(ROUTE, {"settings": {"a": 1, "b": None}}).status_code == 200
    assert alice.patch(ROUTE, {"two_factor_required": False}).status_code == 200

    assert AuditEvent.objects.count() == before


def test_name_settings_and_policy_in_one_request(acme, alice):
    answer = alice.patch(ROUTE, {"name": "Umbrella", "settings": {"a": 1}})

    assert (answer.json()["name"], answer.json()["settings"]) == ("Umbrella", {"a": 1})


def test_taken_name_changes_no_settings(acme, globex, alice):
    body = {"name": "Globex", "settings": {"a": 1}, "two_factor_required": True}

    refused(alice.patch(ROUTE, body), 409, "name_taken")

    assert settings_of(acme) == {}
    assert alice.get(ROUTE).json()["two_factor_required"] is False


def test_too_many_settings_change_no_name(acme, alice):
    alice.patch(ROUTE, {"settings": {"a": "x" * 10_000}})

    body = {"name": "Umbrella", "settings": {"b": "x" * 10_000}}
    assert pointers(refused(alice.patch(ROUTE, body), 422, "validation_failed")) == ["/settings"]

    assert alice.get(ROUTE).json()["name"] == "Acme"
    assert set(settings_of(acme)) == {"a"}


@pytest.mark.parametrize("size", [16_384, 16_385])
def test_settings_are_bounded_in_bytes(acme, alice, size):
    answer = alice.patch(ROUTE, {"settings": {"a": "x" * (size - len('{"a":""}'))}})

    assert answer.status_code == (200 if size == 16_384 else 422)


def deep(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        (None, "/settings"), ([], "/settings"), ("x", "/settings"), (1, "/settings"),
        (True, "/settings"), ({"a": {"b": "nul\x00"}}, "/settings/a/b"),
        ({"a/b": ["nul\x00"]}, "/settings/a~1b/0"), ({"a": "é" * 9_000}, "/settings"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_with_a_pointer(acme, alice, given, pointer):
    body = refused(alice.patch(ROUTE, {"settings": given}), 422, "validation_failed")

    assert pointers(body) == [pointer]
    assert settings_of(acme) == {}


@pytest.mark.parametrize("number", TOO_GREAT)
def test_a_number_that_would_not_come_back_is_refused(acme, alice, number):
    raw = f'{{"settings": {{"a": {{"b": [{number}]}}}}}}'.encode()

    answer = alice.generic("PATCH", ROUTE, raw, content_type="application/json")

    assert pointers(refused(answer, 422, "validation_failed")) == ["/settings/a/b/0"]
    assert settings_of(acme) == {}


def test_numbers_come_back_as_they_were_put_in(acme, alice):
    answer = alice.patch(ROUTE, {"settings": {"numbers": NUMBERS}})

    assert repr(answer.json()["settings"]["numbers"]) == repr(KEPT_NUMBERS)
    assert repr(alice.get(ROUTE).json()["settings"]["numbers"]) == repr(KEPT_NUMBERS)


@pytest.mark.parametrize("number", [10**300, -(10**19), 2**64, 1e300])
def test_a_number_that_was_kept_before_spoils_no_answer(acme, alice, number):
    Organization.objects.filter(pk=acme.id).update(settings={"a": [number]})

    answer = alice.patch(ROUTE, {"settings": {"b": 1}})

    assert (answer.status_code, alice.get(ROUTE).status_code) == (200, 200)
    assert alice.get(ROUTE).json()["settings"] == {"a": [float(number)], "b": 1}


@pytest.mark.parametrize("levels", [33, 60, 5_000])
def test_deep_settings_are_refused(acme, alice, levels):
    raw = b'{"settings": ' + b'{"a": ' * levels + b"1" + b"}" * levels + b"}"

    answer = alice.generic("PATCH", ROUTE, raw, content_type="application/json")

    assert answer.status_code in {400, 422}
    assert settings_of(acme) == {}


@pytest.mark.parametrize(
    "raw", ['{"a": 1e999}', '{"a": NaN}', '{"a": 1, "a": 2}', '{"\\u0000": 1}']
)
def test_what_is_no_json_value_is_refused(acme, alice, raw):
    body = f'{{"settings": {raw}}}'.encode()

    answer = alice.generic("PATCH", ROUTE, body, content_type="application/json")

    assert answer.status_code in {400, 422}


@pytest.mark.parametrize("value", [None, 0, 1, "true", [], {}])
def test_policy_is_a_json_boolean(acme, alice, value):
    body = refused(alice.patch(ROUTE, {"two_factor_required": value}), 422, "validation_failed")

    assert pointers(body) == ["/two_factor_required"]


def test_empty_body_says_what_could_be_in_it(acme, alice):
    body = refused(alice.patch(ROUTE, {}), 422, "validation_failed")

    assert "settings" in body["errors"][0]["message"]


def test_settings_changed_at_once_are_all_there(acme):
    def put(number):
        from django.db import connection

        try:
            preferences = lifecycle.Preferences(settings={f"k{number}": number})
            lifecycle.change_organization(acme.id, preferences, by=ACTOR)
        finally:
            connection.close()

    at_once([lambda number=number: put(number) for number in range(8)])

    assert settings_of(acme) == {f"k{number}": number for number in range(8)}


def test_values_that_look_like_extended_json_stay_what_they_are(acme, alice):
    settings = {"id": {"$oid": "0" * 24}, "big": 2**53 + 1, "text": "日本"}

    assert alice.patch(ROUTE, {"settings": settings}).json()["settings"] == settings
    assert alice.get(ROUTE).json()["settings"] == settings
