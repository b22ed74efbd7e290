"""What reaches the source after the switch of a move is carried over, once, and no obstacle."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings

from tenancy import lifecycle
from tenancy.doctor import check_tenants
from tenancy.exceptions import PlacementDisturbed
from tenancy.lifecycle import copies
from tenancy.models import AuditEvent
from tenancy.mongo import copying
from tenancy.mongo.indexes import IndexSpec
from tests.conftest import ACTOR
from tests.moves import address_of, call, fill, ids_of, last_move, run_due

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


class Killed(BaseException):
    """The runner dies."""


def stamped(document, when):
    return {**document, "_meta": {"rev": 1, "created_at": when, "updated_at": when}}


@pytest.fixture
def first_look(monkeypatch):
    """Call with what happens right before the first look at what arrives late."""
    own, looks = copying.Copy.catch_late, []

    def install(happens):
        def happen_and_look(copy, *arguments, **options):
            if not looks:
                looks.append(True)
                happens()
            return own(copy, *arguments, **options)

        monkeypatch.setattr(copying.Copy, "catch_late", happen_and_look)

    return install


def test_what_was_carried_is_not_carried_again(acme, behind, monkeypatch):
    fill(acme.id, 3)
    source = behind.stored_of(acme.organization)
    own, state = copying.Copy.catch_late, {"looks": 0, "carried": False}

    def look_until_killed(copy, *arguments, **options):
        if state["carried"]:
            monkeypatch.setattr(copying.Copy, "catch_late", own)
            call(acme.id, lambda documents: documents.delete("late"))
            raise Killed
        if not state["looks"]:
            source.insert_one(stamped({"_id": "late"}, datetime.now(UTC)))
        state["looks"] += 1
        found = own(copy, *arguments, **options)
        state["carried"] = found[0] > 0 and "late" in ids_of(acme.id)
        return found

    monkeypatch.setattr(copying.Copy, "catch_late", look_until_killed)
    monkeypatch.setattr(copies, "BEAT_SECONDS", 60.0)
    with pytest.raises(Killed):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)
    run_due(1)

    assert last_move().status == "succeeded"
    assert ids_of(acme.id) == {0, 1, 2}


def test_what_was_stamped_before_the_switch_and_arrived_after_it_is_found(
    acme, behind, monkeypatch
):
    fill(acme.id, 3)
    source = behind.stored_of(acme.organization)

    def lose_track(*_, **__):
        switched = datetime.fromtimestamp(last_move().state["switched_at_ms"] / 1000, UTC)
        sent = switched - timedelta(seconds=settings.TENANCY_OPERATION_TIMEOUT * 0.6)
        source.insert_one(stamped({"_id": "late"}, sent))
        raise PlacementDisturbed

    monkeypatch.setattr(copying.Copy, "catch_late", lose_track)
    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert ids_of(acme.id) == {0, 1, 2, "late"}


def test_a_late_document_that_a_unique_index_refuses_is_set_aside(acme, behind, first_look):
    spec = IndexSpec("email_1", (("email", 1),), unique=True)
    lifecycle.declare_index(acme.id, "main", spec, by=ACTOR)
    source = behind.stored_of(acme.organization)

    def write_twice():
        source.insert_one(stamped({"_id": "late", "email": "x"}, datetime.now(UTC)))
        call(acme.id, lambda documents: documents.insert({"_id": "retried", "email": "x"}))

    first_look(write_twice)
    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert last_move().status == "succeeded"
    assert ids_of(acme.id) == {"retried"}
    aside = behind.first[address_of(acme.id).database]["main.~stray"]
    assert [document["_id"] for document in aside.find()] == ["late"]
    found = check_tenants(by=ACTOR, repair=False).findings
    assert "leftover_aside" in {finding.code for finding in found}
    events = AuditEvent.objects.filter(organization=acme.id).exclude(action="organization.moved")
    assert [event for event in events if "aside" in f"{event.action} {event.details}"]


def test_a_late_document_without_proper_metadata_does_no_harm(acme, behind, first_look):
    source = behind.stored_of(acme.organization)
    first_look(lambda: source.insert_one({"_id": "odd", "_meta": None}))

    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert last_move().status == "succeeded"
    assert behind.stored_of(acme.organization).count_documents({"_id": "odd"}) == 1
