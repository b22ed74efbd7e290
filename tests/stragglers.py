"""A request that stands still while its organization moves, as on a machine that has no time."""

import threading
from contextlib import contextmanager

import pymongo
from django.db import connection

from tenancy import lifecycle
from tenancy.lifecycle import switching
from tenancy.mongo import clients, copying
from tenancy.mongo.handles import Handle
from tests.conftest import ACTOR

SECONDS = 20.0


class Straggler:
    """A write that stands still when all of it is sent and nothing is committed."""

    def __init__(self, client, ask):
        self.answer = None
        self._stands, self._goes_on = threading.Event(), threading.Event()
        self._committed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(client, ask))

    def _run(self, client, ask):
        try:
            self.answer = ask(client)
        finally:
            self._stands.set()
            self._committed.set()
            connection.close()

    @contextmanager
    def held(self):
        """Stand still at the end of the block, once; what follows is the commit."""
        is_first = threading.current_thread() is self._thread and not self._stands.is_set()
        yield
        if is_first:
            self._stands.set()
            assert self._goes_on.wait(SECONDS)

    def tell_commit(self):
        if threading.current_thread() is self._thread and self._goes_on.is_set():
            self._committed.set()

    def start(self):
        self._thread.start()
        assert self._stands.wait(SECONDS)

    def commit(self):
        self._goes_on.set()
        assert self._committed.wait(SECONDS)

    def end(self):
        self._goes_on.set()
        self._thread.join(SECONDS)


def move_past(organization_id, straggler, kind, monkeypatch, *, first):
    """Move; a straggler begins before the switch. `first()` comes before the look at what is late.

    It may raise: then so does the move.
    """
    transaction, announce = Handle._transaction, switching.announce_pause
    look = copying.Copy.catch_late

    @contextmanager
    def stand_before_the_commit(documents):
        with transaction(documents), straggler.held():
            yield
        straggler.tell_commit()

    def begin(run, **options):
        monkeypatch.setattr(switching, "announce_pause", announce)
        straggler.start()
        announce(run, **options)

    def look_after_the_first(copy, *arguments, **options):
        monkeypatch.setattr(copying.Copy, "catch_late", look)
        first()
        return look(copy, *arguments, **options)

    # Nothing runs into a deadline because the test takes its time.
    monkeypatch.setattr(clients, "call_deadline", lambda: pymongo.timeout(SECONDS))
    monkeypatch.setattr(Handle, "_transaction", stand_before_the_commit)
    monkeypatch.setattr(switching, "announce_pause", begin)
    monkeypatch.setattr(copying.Copy, "catch_late", look_after_the_first)
    options = {"cluster": "second"} if kind == "cluster" else {}
    try:
        lifecycle.move_organization(organization_id, kind, by=ACTOR, **options)
    finally:
        straggler.end()
