"""A cluster dies or freezes beside a move: it waits, or gives up; nobody loses anything."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from pymongo.change_stream import ChangeStream
from pymongo.errors import OperationFailure

from benchmarks.local_processes import start_mongod
from tenancy import lifecycle
from tenancy.exceptions import (
    ClusterUnavailable,
    Conflict,
    OutcomeUnknown,
    PlacementDisturbed,
    TenancyError,
    Unavailable,
)
from tenancy.journal import KINDS
from tenancy.lifecycle import copies, moving
from tenancy.lifecycle.clusters import ClusterTraits, add_cluster, get_cluster, remove_cluster
from tenancy.lifecycle.copies import CopyRun
from tenancy.models import AuditEvent, Cluster, Operation, Organization
from tenancy.mongo import provisioning
from tenancy.mongo.changes import Changes, note_time
from tenancy.mongo.copying import Copy
from tenancy.mongo.documents import START
from tenancy.mongo.indexes import IndexSpec
from tenancy.mongo.raw_collections import RawCollection
from tests.conftest import ACTOR
from tests.tenancy.lifecycle.test_moving import PAUSE_SECONDS, Clients, fill, place

pytestmark = [
    pytest.mark.needs_mongod,
    pytest.mark.usefixtures("quick"),
    pytest.mark.xdist_group("outage"),
]

# Long enough for a mongod to come back after kill -9, and short enough to wait for.
PATIENCE_SECONDS = (0.5,) * 20
HASTE_SECONDS = (0.1, 0.1)
BOUND_SECONDS = 15.0
# What a request may take: as long as the longest pause there may be, and some more.
PAUSE_BOUND_SECONDS = 3.0


class Victim:
    """A mongod that a test may kill, freeze and start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.start()

    def start(self) -> None:
        self.server = start_mongod(self._folder)

    def signal(self, number: int) -> None:
        os.kill(self.server._process.pid, number)

    def die(self) -> None:
        self.signal(signal.SIGKILL)
        self.server._process.wait(10)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def make_ready(self) -> None:
        """Bring it back, whatever was done to it."""
        if self.server._process.poll() is None:
            self.thaw()
        else:
            self.start()


@pytest.fixture(scope="module")
def mongod(tmp_path_factory) -> Iterator[Victim]:
    victim = Victim(tmp_path_factory.mktemp("victim"))
    yield victim
    victim.make_ready()
    victim.server.stop(Event())


@pytest.fixture
def victim(acme, mongod, settings) -> Iterator[Victim]:
    """A mongod that is the cluster `victim`; with acme beside it, and an index."""
    mongod.make_ready()
    add_cluster("victim", mongod.server.uri, ClusterTraits(accepts_new=False), by=ACTOR)
    lifecycle.declare_index(acme.id, "main", IndexSpec("s_1", (("s", 1),)), by=ACTOR)
    fill(acme.id)
    yield mongod
    mongod.make_ready()


class Users(Clients):
    """Clients that live with errors of a cluster; what may have happened is not expected."""

    def __init__(self, organization_id: Any) -> None:
        super().__init__(organization_id, 3)
        self.longest = 0.0
        self.served = 0

    def _step(self, chance: Any, worker: int) -> None:
        key, n = f"{worker}-{chance.randrange(100)}", chance.randrange(10**6)
        began = time.monotonic()
        try:
            if chance.random() < 0.5:
                self.call(lambda documents: documents.replace(key, {"n": n}))
                self.expected[key] = n
            elif key in self.expected:
                self._look(key, self.expected[key])
            self.served += 1
        except OutcomeUnknown:
            self.expected.pop(key, None)
        except Unavailable:
            pass  # nothing was written
        self.longest = max(self.longest, time.monotonic() - began)
        self._stop.wait(PAUSE_SECONDS)

    def check(self) -> None:
        """Compare what is there with what was acknowledged, and with what nobody has changed."""
        found = self._all()
        assert self.wrong == []
        assert self.served > 20
        assert {key: found.get(key) for key in self.expected} == self.expected
        assert [key for key in found if not isinstance(key, str)] == list(range(2_500))

    def _all(self) -> dict[Any, int]:
        rows: list[dict[str, Any]] = []
        while page := self._page(rows[-1]["_id"] if rows else START):
            rows += page
        return {row["_id"]: row["n"] for row in rows}

    def _page(self, after: Any) -> list[dict[str, Any]]:
        return self.call(lambda documents: documents.list_page(limit=1000, after=after)).documents


def set_patience(monkeypatch, delays: tuple[float, ...]) -> None:
    """Let every step of a move be tried again after these delays."""
    steps = [replace(step, retry_delays=delays) for step in KINDS["move"].steps]
    monkeypatch.setitem(KINDS, "move", replace(KINDS["move"], steps=tuple(steps)))


def at_point(monkeypatch, module: Any, point: str, do: Any) -> Event:
    """Do something once, where a move comes by; then the event is set."""
    done = Event()

    def reached(name: str) -> None:
        if name == point and not done.is_set():
            do()
            done.set()

    monkeypatch.setattr(module, "fail_point", reached)
    return done


class Mover:
    """A thread that moves: a mongod ends with the thread that has started it, which is the test."""

    def __init__(self, organization_id: Any, kind: str, cluster: str) -> None:
        self.error: TenancyError | None = None
        self.seconds = 0.0
        self._wanted = (organization_id, kind, cluster)
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        organization_id, kind, cluster = self._wanted
        began = time.monotonic()
        try:
            lifecycle.move_organization(organization_id, kind, cluster=cluster, by=ACTOR)
        except TenancyError as error:
            self.error = error
        finally:
            self.seconds = time.monotonic() - began
            connection.close()

    def end(self) -> TenancyError | None:
        """Return why it could not be done, once it has ended."""
        self._thread.join(BOUND_SECONDS * 2)
        assert not self._thread.is_alive(), "it never ends"
        return self.error


def undone(acme) -> AuditEvent:
    """Return what the audit says of the move that was given up."""
    return AuditEvent.objects.get(organization=acme.id, action="organization.move_undone")


def assert_at_source(acme, clients: Users) -> None:
    assert place(acme.id) == ("collection", "default")
    assert Organization.objects.get(pk=acme.id).pause_from is None
    assert not Operation.objects.open().exists()
    clients.check()


def test_a_target_that_dies_in_the_copy_and_comes_back_is_waited_for(acme, victim, monkeypatch):
    set_patience(monkeypatch, PATIENCE_SECONDS)
    dead = at_point(monkeypatch, copies, "move.copying", victim.die)
    clients = Users(acme.id)

    with clients.working():
        mover = Mover(acme.id, "database", "victim")
        assert dead.wait(BOUND_SECONDS)
        time.sleep(0.5)
        victim.make_ready()
        assert mover.end() is None

    assert place(acme.id) == ("database", "victim")
    clients.check()


def test_a_target_that_stays_away_is_given_up_and_cleaned_by_the_next_move(
    acme, victim, monkeypatch
):
    set_patience(monkeypatch, HASTE_SECONDS)
    at_point(monkeypatch, copies, "move.copying", victim.die)
    clients = Users(acme.id)

    with clients.working():
        error = Mover(acme.id, "cluster", "victim").end()

    assert isinstance(error, Unavailable)
    row = Operation.objects.get(kind="move")
    assert (row.status, row.error, row.state["leftover"]) == ("failed", error.detail, True)
    assert undone(acme).details["leftover"] is True
    assert undone(acme).details["reason"] == error.detail
    assert get_cluster("victim").dedicated_to is None
    assert_at_source(acme, clients)

    victim.make_ready()
    assert Mover(acme.id, "cluster", "victim").end() is None
    assert place(acme.id) == ("cluster", "victim")
    clients.check()


def test_a_source_that_dies_in_the_catch_up_and_comes_back_is_waited_for(acme, victim, monkeypatch):
    lifecycle.move_organization(acme.id, "database", cluster="victim", by=ACTOR)
    set_patience(monkeypatch, PATIENCE_SECONDS)
    own, dead = copies.CopyRun.settle, Event()

    def settle(copy: Any) -> None:
        if not dead.is_set():
            victim.die()
            dead.set()
        own(copy)

    monkeypatch.setattr(copies.CopyRun, "settle", settle)
    clients = Users(acme.id)

    with clients.working():
        mover = Mover(acme.id, "collection", "default")
        assert dead.wait(BOUND_SECONDS)
        time.sleep(0.5)
        victim.make_ready()
        assert mover.end() is None

    assert place(acme.id) == ("collection", "default")
    clients.check()


def test_a_target_that_freezes_in_the_copy_costs_a_bounded_time(acme, victim, monkeypatch):
    set_patience(monkeypatch, HASTE_SECONDS)
    at_point(monkeypatch, copies, "move.copying", victim.freeze)
    clients = Users(acme.id)

    with clients.working():
        mover = Mover(acme.id, "database", "victim")
        error = mover.end()

    assert isinstance(error, Unavailable)
    assert mover.seconds < BOUND_SECONDS
    assert undone(acme).details["leftover"] is True
    assert_at_source(acme, clients)


def test_a_target_that_freezes_under_an_index_build_costs_a_bounded_time(acme, victim, monkeypatch):
    set_patience(monkeypatch, HASTE_SECONDS)
    own = moving.build_copied_indexes

    def freeze_then_build(copy: Any) -> None:
        victim.freeze()
        own(copy)

    monkeypatch.setattr(moving, "build_copied_indexes", freeze_then_build)
    clients = Users(acme.id)

    with clients.working():
        mover = Mover(acme.id, "database", "victim")
        error = mover.end()

    assert isinstance(error, Unavailable)
    assert mover.seconds < BOUND_SECONDS
    assert_at_source(acme, clients)


def test_a_target_that_freezes_in_the_pause_does_not_prolong_it(
    acme, victim, monkeypatch, settings
):
    settings.TENANCY_OPERATION_TIMEOUT = 5.0  # longer than a pause may be
    set_patience(monkeypatch, HASTE_SECONDS)
    own = copies.CopyRun.see_all

    def freeze_then_see(copy: Any, *, max_seconds: float | None) -> None:
        if max_seconds is not None:
            victim.freeze()
        own(copy, max_seconds=max_seconds)

    monkeypatch.setattr(copies.CopyRun, "see_all", freeze_then_see)
    clients = Users(acme.id)

    with clients.working():
        mover = Mover(acme.id, "database", "victim")
        assert mover.end() is not None

    assert_at_source(acme, clients)
    assert clients.longest < PAUSE_BOUND_SECONDS


def test_a_source_whose_oplog_is_too_short_is_given_up_at_once(acme, victim, monkeypatch):
    set_patience(monkeypatch, (60.0,) * 8)

    def lose_history() -> None:
        # What mongod says once the oplog has run over; none does within the time of a test.
        def watch(*_: Any, **__: Any) -> Any:
            raise OperationFailure("Resume of change stream was not possible", code=286)

        monkeypatch.setattr(ChangeStream, "try_next", watch)

    at_point(monkeypatch, copies, "move.copying", lose_history)
    clients = Users(acme.id)

    with clients.working():
        mover = Mover(acme.id, "database", "victim")
        error = mover.end()

    assert isinstance(error, PlacementDisturbed)
    assert "oplog" in undone(acme).details["reason"]
    assert mover.seconds < 30  # it has not waited for another attempt
    assert_at_source(acme, clients)
    assert (
        provisioning.list_namespace(lifecycle.plan_move(acme.id, "database").target.address) == {}
    )


def test_a_cluster_that_is_gone_from_the_catalog_ends_a_move_there(acme, victim, monkeypatch):
    """`remove_cluster` refuses that; whoever deletes the row all the same blocks nobody."""
    set_patience(monkeypatch, HASTE_SECONDS)

    def remove() -> None:
        with pytest.raises(Conflict):
            remove_cluster(get_cluster("victim"), by=ACTOR)
        Cluster.objects.filter(alias="victim").delete()
        victim.freeze()

    at_point(monkeypatch, copies, "move.copying", remove)
    clients = Users(acme.id)

    with clients.working():
        error = Mover(acme.id, "database", "victim").end()

    assert error is not None
    assert undone(acme).details["leftover"] is True
    assert_at_source(acme, clients)


def test_a_change_that_could_not_be_applied_is_not_forgotten(acme, globex, monkeypatch):
    source, target = (lifecycle.plan_move(cast.id, "shared").source for cast in (acme, globex))
    changes = Changes(source.address, since=note_time(source.address))
    copy = Copy(source.address, target.address, changes, nullcontext)
    fill(acme.id, 3)

    with monkeypatch.context() as down:
        down.setattr(RawCollection, "replace_ids", _unreachable)
        with pytest.raises(ClusterUnavailable):
            copy.catch_up()
    while copy.catch_up()[0]:
        pass
    changes.close()

    assert RawCollection(target.address, "main").count() == 3


def _unreachable(*_: Any) -> None:
    raise ClusterUnavailable


@pytest.mark.parametrize(("looks", "expected"), [([1000, 1000, 7], 3), ([1000] * 99, 4)])
def test_a_long_copy_keeps_up_with_its_changes_in_a_share_of_the_time(monkeypatch, looks, expected):
    now, seen = [1_000.0], []

    def catch_up(copy: Any) -> tuple[int, bool]:
        now[0] += 0.3
        seen.append(looks[len(seen)])
        return seen[-1], False

    copy = CopyRun.__new__(CopyRun)
    copy.copy, copy._caught_up_at = Copy.__new__(Copy), 0.0
    monkeypatch.setattr(Copy, "catch_up", catch_up)
    monkeypatch.setattr(CopyRun, "beat", lambda copy: None)
    monkeypatch.setattr(copies, "time", SimpleNamespace(monotonic=lambda: now[0]))

    copy.keep_up()
    copy.keep_up()  # a moment later: there is no need

    assert len(seen) == expected
