"""The audit log over REST: pages, filters, and whether it is whole."""

from datetime import timedelta

import pytest

from tenancy.audit import record_event
from tenancy.context import Origin, origin_context
from tenancy.models import AuditEvent
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, refused, send

LOG = "/api/v1/organization/audit-log"


@pytest.fixture
def filled(acme):
    """An organization with a dozen events of three kinds."""
    with origin_context(Origin("request-1", "203.0.113.7")):
        for number in range(4):
            record_event(acme.organization, "session.opened", by="user:a", n=number)
            record_event(acme.organization, "session.ended", by="user:b", n=number)
            record_event(acme.organization, "sessions.other", by="key:c", n=number)
    return acme


def read(client, **parameters):
    answer = client.get(LOG, parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()


def actions(client, **parameters):
    return {event["action"] for event in read(client, **parameters)["data"]}


def test_events_come_the_newest_first(alice, filled):
    events = read(alice)["data"]

    sequences = [event["sequence"] for event in events]
    assert sequences == sorted(sequences, reverse=True)
    assert sequences[-1] == 1
    assert events[-1]["action"] == "organization.created"


def test_events_do_not_tell_how_many_others_have(alice, acme, filled, globex):
    for who in (globex, acme):
        record_event(who.organization, "session.opened", by=ACTOR)

    event = read(alice, limit=1)["data"][0]
    row = AuditEvent.objects.get(hash=event["hash"])
    assert row.pk != row.sequence
    assert row.pk not in event.values()
    assert str(row.pk) not in event.values()


def test_an_event_says_who_what_when_and_from_where(alice, filled):
    event = read(alice, action="sessions.other")["data"][0]

    row = AuditEvent.objects.get(hash=event["hash"])
    assert event == {
        "sequence": row.sequence, "at": row.at.isoformat(),
        "action": "sessions.other", "actor": "key:c", "details": {"n": 3},
        "request_id": "request-1", "address": "203.0.113.7", "hash": row.hash,
    }  # fmt: skip


def test_what_a_request_does_is_recorded_with_its_id_and_address(alice, acme):
    answer = send(
        alice, "PATCH", "/api/v1/organization", {"name": "Acme Two"}, X_Request_Id="my-request"
    )
    assert answer.status_code == 200, answer.content

    event = read(alice, action="organization.renamed")["data"][0]
    assert (event["request_id"], event["address"]) == ("my-request", "127.0.0.1")
    assert event["actor"] == f"user:{acme.users['alice'].pk}"


def test_pages_have_every_event_once_while_new_ones_come(alice, filled):
    seen, cursor = [], None
    while True:
        page = read(alice, limit=3, **({"cursor": cursor} if cursor else {}))
        seen += [event["sequence"] for event in page["data"]]
        record_event(filled.organization, "session.opened", by=ACTOR)
        cursor = page["page"]["next"]
        if cursor is None:
            break

    assert seen == list(range(seen[0], 0, -1))


def test_filters_choose_by_action_and_actor(alice, filled):
    assert actions(alice, action="session.opened", actor="user:a") == {"session.opened"}
    assert actions(alice, action="session.ended", actor="user:a") == set()
    assert actions(alice, action="session.*", actor="user:b") == {"session.ended"}
    assert actions(alice, action="sessions.*") == {"sessions.other"}
    assert actions(alice, action="sess_ons.*") == set()


def test_filters_choose_by_time(alice, filled):
    middle = AuditEvent.objects.in_chain(str(filled.id)).order_by("sequence")[5].at

    after = read(alice, since=middle.isoformat())["data"]
    before = read(alice, until=middle.isoformat().replace("+00:00", "Z"))["data"]

    whole = AuditEvent.objects.in_chain(str(filled.id)).count()
    assert len(after) + len(before) == whole
    assert [event["sequence"] for event in before] == [5, 4, 3, 2, 1]
    assert read(alice, until=(middle - timedelta(days=2)).date().isoformat())["data"] == []


def test_a_cursor_is_for_its_filter_and_organization(alice, filled, charlie):
    cursor = read(alice, limit=2)["page"]["next"]

    refused(alice.get(LOG, {"cursor": cursor, "action": "session.*"}), 400, "cursor_invalid")
    refused(charlie.get(LOG, {"cursor": cursor}), 400, "cursor_invalid")
    refused(alice.get(LOG, {"cursor": f"{cursor}x"}), 400, "cursor_invalid")


@pytest.mark.parametrize(
    "parameters",
    [
        {"action": "session"}, {"action": "*"}, {"action": ""}, {"action": "a.b\x00"},
        {"action": "x" * 500}, {"action": "SESSION.opened"}, {"action": "session.%"},
        {"actor": "alice@example.com"}, {"actor": ""}, {"actor": "user:\x00"},
        {"actor": "user:" + "x" * 300}, {"since": "yesterday"}, {"until": ""},
        {"since": "2026-13-01"}, {"since": "\x00"}, {"until": "0001-01-01T00:00:00+23:59"},
        {"until": "2026-01-01T00:00:00 00:00"}, {"verify": "yes"}, {"verify": ""},
        {"limit": "0"}, {"limit": "1001"}, {"actoin": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_a_parameter_that_is_none_is_refused(alice, parameters):
    answer = alice.get(LOG, parameters)

    assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


def test_only_those_who_may_read_it_do(filled, bob, vera, charlie, nobody):
    for client in (bob, vera):
        refused(client.get(LOG), 403, "permission_denied")
    refused(nobody.get(LOG), 401, "not_authenticated")
    assert all(event["details"].get("n") is None for event in read(charlie)["data"])


def test_documents_leave_no_event(alice, acme):
    before = len(read(alice)["data"])

    send(alice, "POST", DOCUMENTS, {"n": 1})

    assert len(read(alice)["data"]) == before


def test_it_says_whether_it_is_whole(alice, filled):
    page = read(alice, verify="true", limit=1)

    newest = page["data"][0]
    assert page["verification"] == {
        "verified": True, "events": newest["sequence"], "from": 1, "head": newest["hash"],
        "broken": None,
    }  # fmt: skip
    assert "verification" not in read(alice, verify="false")


def test_it_says_what_is_wrong(alice, filled):
    changed = AuditEvent._base_manager.filter(chain=str(filled.id), sequence=4)
    changed.update(actor="user:z")

    found = read(alice, verify="true")["verification"]

    assert (found["verified"], found["events"]) == (False, 3)
    assert (found["broken"]["flaw"], found["broken"]["sequence"]) == ("changed", 4)
    assert "id" not in found["broken"]


def test_a_long_chain_is_verified_at_its_end(alice, filled, monkeypatch):
    monkeypatch.setattr("tenancy.api.audit.VERIFY_MAX_EVENTS", 5)

    found = read(alice, verify="true")["verification"]

    total = AuditEvent.objects.in_chain(str(filled.id)).count()
    assert (found["verified"], found["events"], found["from"]) == (True, 5, total - 4)
