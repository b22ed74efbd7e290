"""Who is told that a write was accepted finds it, also when it came late to where it was left."""

import time
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from tenancy import access, catalog, late_answers, lifecycle
from tenancy.clock import CLOCK_SKEW_SECONDS
from tenancy.exceptions import ClusterUnavailable, Defect, OrganizationNotFound, OutcomeUnknown
from tenancy.lifecycle.copies import CopyRun
from tenancy.models import Organization
from tenancy.mongo import late_writes
from tenancy.mongo.clients import Document
from tests.conftest import ACTOR
from tests.http import DOCUMENTS, send
from tests.moves import address_of, call, ids_of, last_move, live_at, place_of, run_due
from tests.stragglers import SECONDS, Straggler, move_past

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]

BULK = {"operations": [{"op": "insert", "document": {"n": 1}}] * 2, "atomic": True}


class Killed(BaseException):
    """The runner dies."""


@pytest.fixture
def asked(monkeypatch):
    """Is set when a late writer has asked."""
    own, event = late_writes.ask, Event()

    def ask(source):
        number = own(source)
        event.set()
        return number

    monkeypatch.setattr(late_writes, "ask", ask)
    return event


def write_atomically(client):
    """A write without a key that is committed where a straggler can be held."""
    answer = send(client, "POST", "/api/v1/collections/main/bulk", BULK)
    seen = send(client, "GET", DOCUMENTS)
    return answer, seen


@pytest.mark.parametrize(
    ("source", "target"),
    [("collection", "database"), ("database", "shared"), ("shared", "cluster")],
)
def test_what_came_late_is_answered_when_it_is_home(
    acme, second_cluster, asked, monkeypatch, source, target
):
    live_at(acme.id, source)
    straggler = Straggler(acme.client("bob"), write_atomically)
    unanswered = []

    def let_it_write():
        straggler.commit()
        assert asked.wait(SECONDS)
        unanswered.append(straggler.answer is None)

    move_past(acme.id, straggler, target, monkeypatch, first=let_it_write)

    answer, seen = straggler.answer
    assert place_of(acme.id)[0] == target
    assert unanswered == [True], answer.content
    assert answer.status_code == 200, answer.content
    assert len(seen.json()["data"]) == 2


def test_who_is_not_told_does_not_claim_to_know(acme, second_cluster, asked, monkeypatch):
    monkeypatch.setattr(late_answers, "WAIT_MAX_SECONDS", 0.2)
    straggler = Straggler(acme.client("bob"), write_atomically)

    def die():
        straggler.commit()
        assert asked.wait(SECONDS)
        raise Killed

    with pytest.raises(Killed):
        move_past(acme.id, straggler, "database", monkeypatch, first=die)
    answer, _ = straggler.answer
    run_due(1)

    assert answer.status_code == 503
    assert answer.json()["code"] == "outcome_unknown"
    assert "accepted while the organization was being moved" in answer.json()["detail"]
    assert last_move().status == "succeeded"
    assert len(ids_of(acme.id)) == 2


def test_the_next_runner_answers_who_asked_the_one_that_died(acme, asked, monkeypatch):
    answered = []
    monkeypatch.setattr(late_answers, "WAIT_MAX_SECONDS", SECONDS)
    straggler = Straggler(acme.client("bob"), write_atomically)
    own = late_writes.answer
    monkeypatch.setattr(late_writes, "answer", lambda *given: answered.append(own(*given)))

    def die():
        straggler.commit()
        assert asked.wait(SECONDS)
        monkeypatch.setattr(straggler, "end", lambda: None)  # it waits for the next runner
        raise Killed

    with pytest.raises(Killed):
        move_past(acme.id, straggler, "database", monkeypatch, first=die)
    run_due(1)
    Straggler.end(straggler)

    answer, seen = straggler.answer
    assert answer.status_code == 200
    assert len(seen.json()["data"]) == 2
    assert len(answered) == 1


def test_a_question_that_was_seen_and_not_answered_is_answered_by_the_next_runner(
    acme, asked, monkeypatch
):
    monkeypatch.setattr(late_answers, "WAIT_MAX_SECONDS", SECONDS)
    straggler = Straggler(acme.client("bob"), write_atomically)
    own, answer, answered = CopyRun.answer_late_writers, late_writes.answer, []
    monkeypatch.setattr(late_writes, "answer", lambda *given: answered.append(answer(*given)))

    def let_it_write():
        straggler.commit()
        assert asked.wait(SECONDS)
        monkeypatch.setattr(straggler, "end", lambda: None)  # it waits for the next runner

    def die_when_asked(copy):
        if asked.is_set():
            monkeypatch.setattr(CopyRun, "answer_late_writers", own)
            copy.beat(now=True)  # what was seen is not looked at again
            raise Killed
        own(copy)

    monkeypatch.setattr(CopyRun, "answer_late_writers", die_when_asked)
    with pytest.raises(Killed):
        move_past(acme.id, straggler, "database", monkeypatch, first=let_it_write)
    run_due(1)
    Straggler.end(straggler)

    said, seen = straggler.answer
    assert said.status_code == 200
    assert len(seen.json()["data"]) == 2
    assert len(answered) == 1


@pytest.mark.parametrize("kind", ["shared", "collection", "database"])
def test_questions_are_answered_in_their_order(acme, kind):
    live_at(acme.id, kind)
    source = address_of(acme.id)

    assert late_writes.ask(source) is None
    late_writes.leave_mark(source)
    late_writes.leave_mark(source)
    assert late_writes.open_question(source) is None
    first, second = late_writes.ask(source), late_writes.ask(source)
    assert late_writes.open_question(source) == second
    late_writes.answer(source, first)
    late_writes.leave_mark(source)
    assert late_writes.is_answered(source, first)
    assert not late_writes.is_answered(source, second)
    late_writes.answer(source, second)
    late_writes.answer(source, first)
    assert late_writes.is_answered(source, second)
    assert late_writes.open_question(source) is None
    late_writes.close(source)
    late_writes.close(source)
    assert late_writes.is_answered(source, second) is None
    assert late_writes.ask(source) is None


@pytest.fixture
def insert_slowly():
    """Insert a document, stand still until the snapshot is old; do something then."""

    def insert(organization_id, then) -> list[Document]:
        calls = []

        def act(documents):
            calls.append(documents.insert({"n": 1}))
            time.sleep(0.06)  # longer than the TTL of these tests
            then()
            return calls[-1]

        assert access.with_collection(organization_id, "main", act, by=ACTOR) == calls[-1]
        return calls

    return insert


def test_a_pause_without_a_move_is_waited_out(acme, insert_slowly):
    def pause():
        begins = timezone.now()
        Organization.objects.filter(pk=acme.id).update(
            pause_from=begins, pause_until=begins + timedelta(seconds=0.2)
        )

    began = timezone.now()
    written = insert_slowly(acme.id, pause)

    assert len(written) == 1
    assert timezone.now() - began > timedelta(seconds=0.2)
    assert not catalog.get_tenant(acme.id, max_age=0).is_paused


def test_nobody_is_asked_where_the_organization_still_is(acme, insert_slowly):
    late_writes.leave_mark(address_of(acme.id))  # a move is under way

    assert len(insert_slowly(acme.id, lambda: None)) == 1
    assert late_writes.open_question(address_of(acme.id)) is None


def test_a_pause_that_was_known_may_have_begun(acme, settings):
    settings.TENANCY_CATALOG_TTL = 20.0
    tenant, now = catalog.get_tenant(acme.id, max_age=0), timezone.now()

    assert late_answers.is_in_time(tenant)
    assert late_answers.is_in_time(replace(tenant, pause_from=now + timedelta(seconds=20)))
    assert not late_answers.is_in_time(replace(tenant, pause_from=now))
    soon = now + timedelta(seconds=CLOCK_SKEW_SECONDS / 4)  # by another machine's clock it is on
    assert not late_answers.is_in_time(replace(tenant, pause_from=soon))
    lapsed = replace(tenant, pause_from=now - timedelta(seconds=9), pause_until=now)
    assert not late_answers.is_in_time(lapsed)


def test_a_rename_of_the_collections_leaves_nobody_to_ask(acme, insert_slowly, naming):
    written = insert_slowly(
        acme.id, lambda: lifecycle.rename_organization(acme.id, "Acme Two", by=ACTOR)
    )

    assert [document["_id"] for document in written] == list(ids_of(acme.id))


@pytest.mark.parametrize(
    "error", [OperationalError("gone"), InterfaceError("closed"), ClusterUnavailable(), Defect()]
)
def test_without_an_answer_from_the_catalog_or_the_source_nothing_is_claimed(
    acme, insert_slowly, monkeypatch, error
):
    own = catalog.get_tenant

    def fail(*_, **__):
        monkeypatch.setattr(catalog, "get_tenant", own)
        raise error

    with pytest.raises(OutcomeUnknown):
        insert_slowly(acme.id, lambda: monkeypatch.setattr(catalog, "get_tenant", fail))

    assert len(ids_of(acme.id)) == 1


def test_a_purge_meanwhile_does_not_undo_an_answer(acme, insert_slowly, monkeypatch):
    def find_nobody(*_, **__):
        raise OrganizationNotFound

    written = insert_slowly(
        acme.id, lambda: monkeypatch.setattr(catalog, "get_tenant", find_nobody)
    )

    assert len(written) == 1


def test_reads_and_refusals_are_not_asked_for(acme, monkeypatch):
    def never(_):
        raise AssertionError

    monkeypatch.setattr(access, "came_late", never)

    def read(documents):
        time.sleep(0.06)
        return documents.count()

    call(acme.id, lambda documents: documents.insert({"_id": 1}))
    assert call(acme.id, read) == 1
