"""A keyed write that is committed at the source after its repeat at the target is not doubled."""

from collections import OrderedDict

import pytest

from tests.http import DOCUMENTS, send
from tests.moves import live_at
from tests.stragglers import Straggler, move_past

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]

COLLECTION = "/api/v1/collections/main"
DOCUMENT = {"n": 1}
INSERTS = {"operations": [{"op": "insert", "document": DOCUMENT}] * 2}


def create(client):
    return send(client, "POST", DOCUMENTS, DOCUMENT, Idempotency_Key="k")


def bulk(client):
    return send(client, "POST", f"{COLLECTION}/bulk", INSERTS, Idempotency_Key="k")


def put_in(client):
    lines = b'{"n": 1}\n{"n": 1}\n'
    return send(
        client, "POST", f"{COLLECTION}/import", lines, "application/x-ndjson", Idempotency_Key="k"
    )


@pytest.fixture(autouse=True)
def no_room_is_known(monkeypatch):
    """Between tests the records are dropped, their index too."""
    monkeypatch.setattr("tenancy.mongo.once._ensured", OrderedDict())


@pytest.fixture
def move_beside(acme, second_cluster, monkeypatch):
    """Move acme; a straggler begins before the switch and is committed after its repeat."""

    def move(straggler, repeat, kind):
        def repeat_and_commit():
            repeat()
            straggler.commit()

        move_past(acme.id, straggler, kind, monkeypatch, first=repeat_and_commit)

    return move


@pytest.mark.parametrize("ask", [create, bulk, put_in])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("shared", "collection"),
        ("collection", "database"),
        ("shared", "database"),
        ("database", "shared"),
        ("shared", "cluster"),
    ],
)
def test_a_late_write_and_its_repeat_are_one(acme, move_beside, behind, source, target, ask):
    live_at(acme.id, source)
    acme.organization.refresh_from_db()
    straggler, client, answers = Straggler(acme.client("bob"), ask), acme.client("bob"), []

    move_beside(straggler, lambda: answers.append(ask(client)), target)

    acme.organization.refresh_from_db()
    final = ask(client)
    stored = behind.stored_of(acme.organization).find()
    assert straggler.answer.status_code in (200, 201)
    assert len(stored) == (1 if ask is create else 2)
    assert final.status_code == straggler.answer.status_code
    if ask is create:
        assert final.json()["_id"] == {"$oid": str(stored[0]["_id"])}
        assert straggler.answer.content == final.content
        assert "Idempotent-Replayed" not in straggler.answer.headers
    if answers[0].status_code == final.status_code:
        assert final.content == answers[0].content


def test_a_late_write_without_a_repeat_is_carried(acme, move_beside, behind):
    straggler = Straggler(acme.client("bob"), create)

    move_beside(straggler, lambda: None, "database")

    acme.organization.refresh_from_db()
    assert straggler.answer.status_code == 201
    assert len(behind.stored_of(acme.organization).find()) == 1
    assert create(acme.client("bob")).content == straggler.answer.content
    assert len(behind.stored_of(acme.organization).find()) == 1
