"""A keyed write that is committed at the source after its repeat at the target is not doubled."""

import threading
from collections import OrderedDict
from contextlib import contextmanager

import pymongo
import pytest
from django.db import connection

from tenancy import lifecycle
from tenancy.lifecycle import switching
from tenancy.mongo import clients, copying
from tenancy.mongo.handles import Handle
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, send
from tests.moves import live_at

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]

COLLECTION = "/api/v1/collections/main"
SECONDS = 20.0
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


class Straggler:
    """A write that stands still when all of it is sent and nothing is committed."""

    def __init__(self, client, ask):
        self.answer = None
        self._stands, self._goes_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(client, ask))

    def _run(self, client, ask):
        try:
            self.answer = ask(client)
        finally:
            self._stands.set()
            connection.close()

    def hold(self):
        if threading.current_thread() is self._thread and not self._stands.is_set():
            self._stands.set()
            assert self._goes_on.wait(SECONDS)

    def start(self):
        self._thread.start()
        assert self._stands.wait(SECONDS)

    def commit(self):
        self._goes_on.set()
        self._thread.join(SECONDS)


@pytest.fixture
def move_beside(acme, second_cluster, monkeypatch):
    """Move acme; a straggler begins before the switch and is committed after its repeat."""

    def move(straggler, repeat, kind):
        transaction, announce = Handle._transaction, switching.announce_pause
        look = copying.Copy.catch_late

        @contextmanager
        def stand_before_the_commit(documents):
            with transaction(documents):
                yield
                straggler.hold()

        def begin(run, **options):
            monkeypatch.setattr(switching, "announce_pause", announce)
            straggler.start()
            announce(run, **options)

        def repeat_and_commit(copy, *arguments, **options):
            monkeypatch.setattr(copying.Copy, "catch_late", look)
            repeat()
            straggler.commit()
            return look(copy, *arguments, **options)

        # Nothing runs into a deadline because the test takes its time.
        monkeypatch.setattr(clients, "call_deadline", lambda: pymongo.timeout(SECONDS))
        monkeypatch.setattr(Handle, "_transaction", stand_before_the_commit)
        monkeypatch.setattr(switching, "announce_pause", begin)
        monkeypatch.setattr(copying.Copy, "catch_late", repeat_and_commit)
        options = {"cluster": "second"} if kind == "cluster" else {}
        lifecycle.move_organization(acme.id, kind, by=ACTOR, **options)

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
