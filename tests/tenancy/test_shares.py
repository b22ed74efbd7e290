"""One organization leaves seats to the others, and nobody keeps one that is given back."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from tenancy import access, catalog, shares
from tenancy.admission import Gate, InShare, sit, step_out
from tenancy.exceptions import OutcomeUnknown, TenantBusy
from tenancy.lanes import Lanes
from tenancy.lifecycle import indexes
from tenancy.models import Organization
from tenancy.mongo.clients import ClusterCall
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, refused, send
from tests.redis_servers import wait_until

ACME, GLOBEX = 1, 2
SEATS, SHARE = 8, 4
SECONDS = 20.0
INDEXES = "/api/v1/collections/main/indexes"


@pytest.fixture(autouse=True)
def _no_seat():
    yield
    sit(None)


@pytest.fixture
def gate():
    return Gate(seats=SEATS, places=0, patience_seconds=0)


@pytest.fixture
def always(monkeypatch):
    """Whoever waits does so until a place is handed over."""
    monkeypatch.setattr(shares, "LOOKS", 10**6)


@contextmanager
def seated(gate):
    seat = gate.enter()
    sit(seat)
    try:
        yield
    finally:
        sit(None)
        gate.leave(seat)


def fill(subject, organization_id, count=SHARE):
    for _ in range(count):
        subject.enter(organization_id)


def see_another(subject):
    subject.enter(GLOBEX)
    subject.leave(GLOBEX)


class Comer(threading.Thread):
    """One above the share; started when they stand in line or are through."""

    def __init__(self, subject):
        super().__init__()
        self.subject, self.is_in = subject, False
        before = len(subject._lines.get(ACME, ()))
        self.start()
        while len(subject._lines.get(ACME, ())) == before and self.is_alive():
            self.join(0.001)

    def run(self):
        self.subject.enter(ACME)
        self.is_in = True


def test_who_is_alone_has_all_seats(gate):
    fill(gate.shares, ACME, SEATS)

    assert gate.shares.in_work == {ACME: SEATS}


def test_who_was_alone_for_long_has_all_seats_again(gate, monkeypatch):
    fill(gate.shares, ACME, SHARE)
    see_another(gate.shares)
    monkeypatch.setattr(shares, "OTHERS_SECONDS", -1.0)

    gate.shares.enter(ACME)

    assert gate.shares.in_work == {ACME: SHARE + 1}


def test_beside_others_the_surplus_is_refused_and_others_are_not(gate, monkeypatch):
    monkeypatch.setattr(shares, "LOOK_SECONDS", 0.001)
    see_another(gate.shares)
    fill(gate.shares, ACME)

    with pytest.raises(TenantBusy, match="as many requests"):
        gate.shares.enter(ACME)
    gate.shares.enter(GLOBEX)

    assert gate.shares.in_work == {ACME: SHARE, GLOBEX: 1}


def test_after_one_waited_in_vain_others_are_refused_at_once_until_something_ends(
    gate, monkeypatch, always
):
    see_another(gate.shares)
    fill(gate.shares, ACME)
    with monkeypatch.context() as impatient:
        impatient.setattr(shares, "LOOKS", 1)
        with pytest.raises(TenantBusy):
            gate.shares.enter(ACME)

    with pytest.raises(TenantBusy):
        gate.shares.enter(ACME)  # it would wait for ever
    gate.shares.leave(ACME)
    gate.shares.enter(ACME)
    waiting = Comer(gate.shares)
    gate.shares.leave(ACME)
    waiting.join(SECONDS)

    assert waiting.is_in
    assert gate.shares.in_work == {ACME: SHARE}


@pytest.mark.usefixtures("always")
def test_places_are_handed_over_in_the_order_of_coming(gate):
    see_another(gate.shares)
    fill(gate.shares, ACME)
    first, second = Comer(gate.shares), Comer(gate.shares)

    gate.shares.leave(ACME)
    first.join(SECONDS)
    assert (first.is_in, second.is_in) == (True, False)
    gate.shares.leave(ACME)
    second.join(SECONDS)
    assert second.is_in


@pytest.mark.usefixtures("always")
def test_who_waits_makes_way_when_somebody_wants_the_seat():
    wanted = threading.Event()
    subject = shares.Shares(SEATS, wanted.is_set)
    see_another(subject)
    fill(subject, ACME)

    def come():
        with pytest.raises(TenantBusy):
            subject.enter(ACME)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(come)
        wanted.set()
        waiting.result(SECONDS)


@pytest.mark.parametrize(("seats", "share"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (24, 12)])
def test_half_is_left_to_others_and_at_least_one_is_had(seats, share, monkeypatch):
    monkeypatch.setattr(shares, "LOOKS", 0)
    subject = shares.Shares(seats, lambda: False)
    see_another(subject)
    fill(subject, ACME, share)

    with pytest.raises(TenantBusy):
        subject.enter(ACME)


def test_nothing_is_kept_of_an_organization_that_has_nothing_to_do(gate, monkeypatch):
    monkeypatch.setattr(shares, "LOOKS", 0)
    see_another(gate.shares)
    for owner in range(10, 110):
        fill(gate.shares, owner)
        with pytest.raises(TenantBusy):
            gate.shares.enter(owner)
        for _ in range(SHARE):
            gate.shares.leave(owner)

    assert not gate.shares._inside
    assert not gate.shares._lines
    assert not gate.shares._stuck


def test_who_waits_for_a_share_keeps_no_request_from_being_taken(monkeypatch):
    monkeypatch.setattr(shares, "LOOK_SECONDS", 0.001)
    lanes, seen = Lanes(1), []
    full = shares.Shares(SEATS, lambda: seen.append(lanes.active) or True)
    see_another(full)
    fill(full, ACME)

    def enter(protocol, scope):
        with suppress(TenantBusy):
            full.enter(ACME)

    waits = threading.Thread(target=lanes.wrap(enter, lambda _: True), args=(None, None))
    waits.start()
    waits.join()

    assert seen == [0]  # there is room for another thread to take requests


def test_who_has_no_seat_takes_none_from_anybody(gate):
    with InShare(UUID(int=ACME)):
        assert gate.shares.in_work == {}
    with seated(gate):
        step_out()
        with InShare(UUID(int=ACME)):
            assert gate.shares.in_work == {}


def test_who_steps_out_while_at_work_gives_the_place_back(gate):
    with seated(gate):
        with InShare(UUID(int=ACME)):
            assert gate.shares.in_work == {ACME: 1}
            step_out()
        assert gate.shares.in_work == {}


def test_threads_that_come_and_go_leave_nothing_behind(gate):
    together = threading.Barrier(SEATS)

    def work(number):
        together.wait(SECONDS)
        for _ in range(500):
            with suppress(TenantBusy), seated(gate), InShare(UUID(int=number // (SHARE + 1))):
                pass

    with ThreadPoolExecutor(SEATS) as pool:
        list(pool.map(work, range(SEATS)))

    assert gate.shares.in_work == {}
    assert not gate.shares._lines
    assert not gate.shares._stuck
    assert gate.in_work == 0


# --- requests


class Slow:
    """Calls of an organization that stand still at MongoDB, in seats."""

    def __init__(self, gate, cast):
        self.gate, self.cast = gate, cast
        self.is_over, self.errors = threading.Event(), []
        self._inside = threading.Semaphore(0)

    def __call__(self, _documents):
        self._inside.release()
        assert self.is_over.wait(SECONDS)
        raise OutcomeUnknown

    def work(self, _number):
        try:
            with seated(self.gate):
                access.with_collection(self.cast.id, "main", self, by=ACTOR)
        except Exception as error:  # noqa: BLE001 -- the test compares it
            self.errors.append(type(error))
        finally:
            connections.close_all()

    def wait_inside(self, count):
        for _ in range(count):
            assert self._inside.acquire(timeout=SECONDS)


def assert_one_is_refused_and_the_other_answered(gate, one, other):
    """`one` is of an organization that has its share of the seats."""
    with seated(gate):
        refusal = one.get(DOCUMENTS)
    with seated(gate):
        answer = other.get(DOCUMENTS)

    assert (refusal.status_code, refusal.json()["code"]) == (503, "tenant_busy")
    assert refusal.headers["Retry-After"] == "1"
    assert answer.status_code == 200


def test_an_organization_with_slow_requests_keeps_nobody_out(gate, acme, globex, bob, charlie):
    with seated(gate):
        assert charlie.get(DOCUMENTS).status_code == 200
    slow = Slow(gate, acme)
    with ThreadPoolExecutor(SHARE) as pool:
        working = [pool.submit(slow.work, number) for number in range(SHARE)]
        slow.wait_inside(SHARE)
        try:
            assert_one_is_refused_and_the_other_answered(gate, bob, charlie)
        finally:
            slow.is_over.set()
        for each in working:
            each.result(SECONDS)

    assert slow.errors == [OutcomeUnknown] * SHARE
    assert (gate.shares.in_work, gate.in_work) == ({}, 0)
    with seated(gate):
        assert bob.get(DOCUMENTS).status_code == 200


def test_an_organization_that_is_being_moved_keeps_nobody_out(gate, acme, globex, bob, charlie):
    """Its requests wait until it has been; no more of them than is its share."""
    with seated(gate):
        assert charlie.get(DOCUMENTS).status_code == 200
    Organization.objects.filter(pk=acme.id).update(pause_from=timezone.now())
    catalog.forget_tenant(acme.id)
    slow = Slow(gate, acme)
    slow.is_over.set()
    with ThreadPoolExecutor(SHARE) as pool:
        waiting = [pool.submit(slow.work, number) for number in range(SHARE)]
        wait_until(lambda: gate.shares.in_work.get(acme.id.int) == SHARE)
        try:
            assert_one_is_refused_and_the_other_answered(gate, bob, charlie)
        finally:
            Organization.objects.filter(pk=acme.id).update(pause_from=None)
        for each in waiting:
            each.result(SECONDS)

    assert slow.errors == [OutcomeUnknown] * SHARE  # they went on
    assert (gate.shares.in_work, gate.in_work) == ({}, 0)


def test_an_organization_that_waits_for_indexes_keeps_nobody_out(
    gate, alice, bob, charlie, monkeypatch
):
    begun, is_over, build = threading.Semaphore(0), threading.Event(), indexes._build
    monkeypatch.setattr(
        indexes,
        "_build",
        lambda *given, **how: begun.release() or (is_over.wait(SECONDS) and build(*given, **how)),
    )

    def create(number):
        with seated(gate):
            answer = send(alice, "POST", INDEXES, {"keys": [[f"f{number}", 1]]})
        connections.close_all()
        return answer.status_code

    with seated(gate):
        assert charlie.get(DOCUMENTS).status_code == 200
        assert bob.get(DOCUMENTS).status_code == 200
    with ThreadPoolExecutor(SHARE) as pool:
        waiting = [pool.submit(create, number) for number in range(SHARE)]
        assert all(begun.acquire(timeout=SECONDS) for _ in range(SHARE))
        try:
            assert_one_is_refused_and_the_other_answered(gate, bob, charlie)
        finally:
            is_over.set()

    assert [each.result(SECONDS) for each in waiting] == [201] * SHARE
    assert (gate.shares.in_work, gate.in_work) == ({}, 0)


def test_a_part_of_what_is_within_the_share_takes_no_more_of_it(gate):
    see_another(gate.shares)
    fill(gate.shares, ACME, SHARE - 1)
    with seated(gate), InShare(UUID(int=ACME)):
        for _ in range(2):
            with InShare(UUID(int=ACME)):
                assert gate.shares.in_work[ACME] == SHARE
        assert gate.shares.in_work[ACME] == SHARE
    assert gate.shares.in_work[ACME] == SHARE - 1


def test_what_changes_collections_is_begun_within_the_share_or_not_at_all(
    gate, acme, alice, monkeypatch
):
    assert send(alice, "POST", INDEXES, {"keys": [["n", 1]]}).status_code == 201
    monkeypatch.setattr(shares, "LOOKS", 1)
    see_another(gate.shares)
    fill(gate.shares, acme.id.int)

    for method, path, body in (
        ("POST", "/api/v1/collections", {"name": "more"}),
        ("PUT", "/api/v1/collections/more/documents/a", {}),
        ("POST", INDEXES, {"keys": [["m", 1]]}),
        ("DELETE", f"{INDEXES}/n_1", b""),
    ):
        with seated(gate):
            refused(send(alice, method, path, body), 503, "tenant_busy")

    assert {row["name"] for row in alice.get("/api/v1/collections").json()["data"]} == {"main"}
    assert [row["name"] for row in alice.get(INDEXES).json()["data"]] == ["n_1"]
    assert gate.shares.in_work == {acme.id.int: SHARE}


def test_a_cluster_that_refuses_leaves_no_place_taken(gate, acme, monkeypatch):
    def refuse(_call):
        raise OutcomeUnknown

    monkeypatch.setattr(ClusterCall, "__enter__", refuse)
    with seated(gate), pytest.raises(OutcomeUnknown):
        access.with_collection(acme.id, "main", lambda documents: 1, by=ACTOR)

    assert gate.shares.in_work == {}
