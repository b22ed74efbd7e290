"""A thread that stands still between reading where a tenant lives and asking there."""

import threading
from contextlib import contextmanager

import pytest
from django.db import connection

from tenancy import lifecycle
from tenancy.mongo import copying
from tenancy.mongo.clients import ClusterCall
from tests.conftest import ACTOR
from tests.moves import call, count_of, fill, ids_of

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]
SECONDS = 20


class Sleeper:
    """A call in a thread of its own, which is held when it is about to be sent."""

    def __init__(self, organization_id, do):
        self.answers = []
        self._holds, self._wakes = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(organization_id, do))

    def _work(self, organization_id, do):
        try:
            self.answers.append(call(organization_id, do))
        except Exception as error:  # noqa: BLE001 -- the test shows it
            self.answers.append(error)
        finally:
            connection.close()

    def hold(self):
        if threading.current_thread() is self._thread:
            self._holds.set()
            assert self._wakes.wait(SECONDS)

    def wake(self):
        """Let it go on, and wait for its answer."""
        self._wakes.set()
        self._thread.join(SECONDS)

    @contextmanager
    def asleep(self, monkeypatch):
        enter = ClusterCall.__enter__

        def hold_and_enter(guarded):
            self.hold()
            return enter(guarded)

        monkeypatch.setattr(ClusterCall, "__enter__", hold_and_enter)
        self._thread.start()
        assert self._holds.wait(SECONDS)
        try:
            yield
        finally:
            self.wake()


@pytest.mark.parametrize("kind", ["shared", "database"])
def test_nothing_is_written_where_the_tenant_lived_before(acme, monkeypatch, kind):
    fill(acme.id, 5)
    sleeper = Sleeper(acme.id, lambda documents: documents.insert({"_id": "mine"})["_id"])

    with sleeper.asleep(monkeypatch):
        lifecycle.move_organization(acme.id, kind, by=ACTOR)

    assert sleeper.answers == ["mine"]
    assert ids_of(acme.id) == {0, 1, 2, 3, 4, "mine"}


def test_documents_are_counted_where_they_are(acme, monkeypatch):
    fill(acme.id)
    sleeper = Sleeper(acme.id, lambda documents: documents.count())

    with sleeper.asleep(monkeypatch):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert sleeper.answers == [50]


def test_what_was_acknowledged_right_after_a_switch_is_there_at_once(acme, monkeypatch):
    fill(acme.id)
    sleeper = Sleeper(acme.id, lambda documents: documents.insert({"_id": "mine"})["_id"])
    late, seen = copying.Copy.catch_late, []

    def wake_and_look(*arguments, **options):
        if not seen:
            sleeper.wake()
            seen.append(ids_of(acme.id))
        return late(*arguments, **options)

    monkeypatch.setattr(copying.Copy, "catch_late", wake_and_look)
    with sleeper.asleep(monkeypatch):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert sleeper.answers == ["mine"]
    assert "mine" in seen[0]
    assert count_of(acme.id) == 51
