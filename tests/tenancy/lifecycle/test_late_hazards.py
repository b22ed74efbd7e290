"""What else happens while a write is late: questions, clones, lost history, suspensions, clocks."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from tenancy import access, admission, late_answers, lifecycle
from tenancy.exceptions import Conflict, OutcomeUnknown
from tenancy.lifecycle import cloning, copies, pause, switching
from tenancy.models import Organization
from tenancy.mongo import changes, copying, late_writes
from tenancy.operations import run_inline
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, send
from tests.moves import address_of, ids_of, place_of
from tests.stragglers import SECONDS, Straggler, move_past

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]

BULK = "/api/v1/collections/main/bulk"
LOOKS_MAX = 100


class Endless(BaseException):
    """It would never end."""


@pytest.fixture
def asked(monkeypatch):
    """Is set when a late writer has asked."""
    own, event = late_writes.ask, threading.Event()

    def ask(source):
        try:
            return own(source)
        finally:
            event.set()

    monkeypatch.setattr(late_writes, "ask", ask)
    return event


def write(client):
    """Write what is committed where a straggler can be held; look for it."""
    operations = [{"op": "insert", "document": {"n": 1}}] * 2
    answer = send(client, "POST", BULK, {"operations": operations, "atomic": True})
    return answer, send(client, "GET", DOCUMENTS)


def test_a_question_right_before_the_end_hides_the_end_from_nobody(acme, monkeypatch):
    monkeypatch.setattr(changes, "BATCH_CHANGES", 1)
    own, look, looks = copying.Copy.write_sentinel, copies.CopyRun.catch_late, []

    def write_after_a_question(copy, name):
        if name.startswith("late"):
            looks.append(0)
            late_writes.ask(address)
        return own(copy, name)

    def counted(run, *, until=None):
        looks[:] = [count + 1 for count in looks]
        if looks and looks[0] > LOOKS_MAX:
            raise Endless
        return look(run, until=until)

    address = address_of(acme.id)
    monkeypatch.setattr(copying.Copy, "write_sentinel", write_after_a_question)
    monkeypatch.setattr(copies.CopyRun, "catch_late", counted)

    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert looks
    assert place_of(acme.id)[0] == "database"


def test_a_clone_that_is_undone_takes_no_question_along(acme, asked, monkeypatch):
    clone = cloning.begin_clone(acme.id, "Copy of it", by=ACTOR)
    straggler = Straggler(acme.client("bob"), write)

    def let_it_write():
        with pytest.raises(Conflict):
            run_inline(clone)
        straggler.commit()
        assert asked.wait(SECONDS)

    move_past(acme.id, straggler, "database", monkeypatch, first=let_it_write)

    answer, seen = straggler.answer
    assert answer.status_code == 200
    assert len(seen.json()["data"]) == 2


def test_without_its_history_a_move_waits_for_what_is_late(acme, asked, monkeypatch):
    monkeypatch.setattr(late_answers, "WAIT_MAX_SECONDS", SECONDS)
    straggler = Straggler(acme.client("bob"), write)

    def let_it_write_and_lose_track():
        threading.Timer(0.3, straggler.commit).start()
        raise changes.HistoryLost

    move_past(acme.id, straggler, "database", monkeypatch, first=let_it_write_and_lose_track)

    answer, seen = straggler.answer
    assert asked.is_set()
    assert answer.status_code == 200
    assert len(seen.json()["data"]) == 2


def test_what_nobody_looked_out_for_any_more_is_not_claimed(acme, monkeypatch):
    """It was committed when all that was late had been carried: no deadline has ended it."""
    straggler = Straggler(acme.client("bob"), write)
    own = late_writes.close

    def commit_after_the_end(source):
        own(source)
        straggler.commit()

    monkeypatch.setattr(late_writes, "close", commit_after_the_end)

    move_past(acme.id, straggler, "database", monkeypatch, first=lambda: None)

    answer, _ = straggler.answer
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")


def test_a_suspension_before_the_answer_does_not_deny_what_was_done(acme, asked, monkeypatch):
    def create(client):
        return send(client, "POST", DOCUMENTS, {"n": 1}, Idempotency_Key="k")

    straggler = Straggler(acme.client("bob"), create)

    def let_it_write():
        straggler.commit()
        assert asked.wait(SECONDS)
        lifecycle.suspend_organization(acme.id, by=ACTOR)

    move_past(acme.id, straggler, "database", monkeypatch, first=let_it_write)
    lifecycle.resume_organization(acme.id, by=ACTOR)

    answer = straggler.answer
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    assert create(acme.client("bob")).status_code == 201
    assert len(ids_of(acme.id)) == 1


def test_a_bulk_that_goes_on_elsewhere_finds_what_it_has_written(acme, asked, monkeypatch):
    operations = []
    for n in range(90):
        operations.append({"op": "insert", "document": {"_id": f"d{n}", "n": n}})
        if n % 9 == 8:  # one transaction for all: a hundred operations
            operations.append({"op": "replace", "id": f"d{n}", "document": {"n": -n}})
    operations += [{"op": "patch", "id": each, "patch": {"a": 1}} for each in ("d0", "nothing")]

    def bulk(client):
        answer = send(client, "POST", BULK, {"operations": operations})
        return answer, send(client, "GET", f"{DOCUMENTS}?limit=200")

    straggler = Straggler(acme.client("bob"), bulk)

    def let_it_write():
        straggler.commit()
        assert asked.wait(SECONDS)

    move_past(acme.id, straggler, "database", monkeypatch, first=let_it_write)

    answer, seen = straggler.answer
    results = answer.json()["results"]
    assert [results[100]["status"], results[101]["status"]] == [200, 404]
    assert len(seen.json()["data"]) == 90
    assert seen.json()["data"][0]["a"] == 1


class Writer:
    """One write in a thread, and when it was answered."""

    def __init__(self, organization_id):
        self.answered_at, self.error = None, None
        self.is_inside, self._goes_on = threading.Event(), threading.Event()
        self._organization_id = organization_id
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        def insert(documents):
            self.is_inside.set()
            assert self._goes_on.wait(SECONDS)
            return documents.insert({"n": 1})

        try:
            access.with_collection(self._organization_id, "main", insert, by=ACTOR)
            self.answered_at = time.monotonic()
        except OutcomeUnknown as error:
            self.error = error
        finally:
            connection.close()

    def start(self):
        """Begin, once."""
        if self._thread.ident is None:
            self._thread.start()

    def go_on(self):
        self._goes_on.set()

    def end(self, seconds=SECONDS):
        self._thread.join(seconds)


@pytest.fixture
def switched_at(monkeypatch):
    """Gets the time at which the switch was committed."""
    own, at = switching._switch_rows, []

    def switch(*given, **named):
        own(*given, **named)
        at.append(time.monotonic())

    monkeypatch.setattr(switching, "_switch_rows", switch)
    return at


@pytest.mark.parametrize("ahead", [0.0, 0.095])
def test_clocks_that_differ_do_not_let_an_answer_come_before_the_switch(
    acme, switched_at, monkeypatch, ahead
):
    theirs = SimpleNamespace(now=lambda: timezone.now() + timedelta(seconds=ahead))
    monkeypatch.setattr(pause, "timezone", theirs)
    monkeypatch.setattr(switching, "timezone", theirs)
    writer, prove, rows = Writer(acme.id), switching._bring_over_and_prove, switching._switch_rows

    def prove_beside_the_writer(run, copy, begins):
        writer.start()
        writer.is_inside.wait(1.0)  # or it came so late that it waits for the pause
        return prove(run, copy, begins)

    def switch_while_it_writes(*given, **named):
        writer.go_on()
        writer.end(0.3)
        rows(*given, **named)

    monkeypatch.setattr(switching, "_bring_over_and_prove", prove_beside_the_writer)
    monkeypatch.setattr(switching, "_switch_rows", switch_while_it_writes)

    lifecycle.move_organization(acme.id, "database", by=ACTOR)
    writer.end()

    assert writer.error is None
    assert writer.answered_at > switched_at[0]
    assert len(ids_of(acme.id)) == 1


def test_a_pause_that_lapses_in_the_commit_is_not_taken_for_its_end(acme, switched_at, monkeypatch):
    monkeypatch.setattr(switching, "PAUSE_LAPSES_SECONDS", 1.5)
    writer, own = Writer(acme.id), switching._check_pause
    writer.go_on()

    def check_and_stand_still(organization):
        own(organization)
        time.sleep(1.5)
        writer.start()
        writer.end(1.0)

    monkeypatch.setattr(switching, "_check_pause", check_and_stand_still)

    lifecycle.move_organization(acme.id, "database", by=ACTOR)
    writer.end()

    assert writer.error is None
    assert writer.answered_at > switched_at[0]
    assert len(ids_of(acme.id)) == 1


def test_who_waits_for_an_answer_keeps_to_the_share_of_the_organization(acme):
    gate = admission.Gate(seats=4, places=0, patience_seconds=0.1)
    is_written, goes_on = threading.Event(), threading.Event()

    def insert(documents):
        documents.insert({"n": 1})
        now = timezone.now()
        Organization.objects.filter(pk=acme.id).update(
            pause_from=now, pause_until=now + timedelta(seconds=1)
        )
        time.sleep(0.06)  # longer than the TTL of these tests
        is_written.set()

    def work():
        seat = gate.enter()
        admission.sit(seat)
        try:
            access.with_collection(acme.id, "main", insert, by=ACTOR)
        finally:
            gate.leave(seat)
            admission.sit(None)
            goes_on.set()
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert is_written.wait(SECONDS)
    shares = []
    while not goes_on.wait(0.01):
        shares.append(sum(gate.shares.in_work.values()))
    thread.join()

    assert shares.count(1) > len(shares) / 2


def test_who_asks_before_the_switch_is_answered_by_it(acme, monkeypatch):
    announce, switch = switching.announce_pause, switching._switch_rows
    source, asked, told = address_of(acme.id), [], []

    def announce_and_ask(run, **options):
        announce(run, **options)
        asked.append(late_writes.ask(source))

    def look_and_switch(*given, **named):
        told.append(late_writes.is_answered(source, asked[-1]))
        switch(*given, **named)

    monkeypatch.setattr(switching, "announce_pause", announce_and_ask)
    monkeypatch.setattr(switching, "_switch_rows", look_and_switch)

    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert set(told) == {True}
