"""What may go wrong around the switch of a move, and what an earlier move has left behind."""

import time
from contextlib import suppress
from datetime import timedelta
from threading import Event

import pytest
from django.db import OperationalError, connection

from tenancy import catalog, lifecycle, operations
from tenancy.exceptions import (
    ClusterUnavailable,
    NotCancellable,
    OperationCancelled,
    TenancyError,
    TenantBusy,
)
from tenancy.lifecycle import copied_indexes, copies, moving, pause, switching
from tenancy.models import Collection, Organization
from tenancy.mongo import copying, provisioning
from tenancy.mongo.indexes import IndexSpec, list_indexes
from tests.conftest import ACTOR
from tests.moves import (
    address_of,
    call,
    count_of,
    fill,
    ids_of,
    last_move,
    live_at,
    place_of,
    run_due,
)

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick")]


# --- recording and cancelling


def test_what_was_committed_and_not_recorded_is_gone_on_with(acme, monkeypatch):
    fill(acme.id, 5)
    source, record = address_of(acme.id), operations._record

    def forget_the_switch(run, step):
        if step.name == "switch":
            raise OperationalError("database is locked")
        record(run, step)

    with monkeypatch.context() as patch, suppress(TenancyError):
        patch.setattr(operations, "RETRY_DELAYS_SECONDS", (0, 0))
        patch.setattr(operations, "_record", forget_the_switch)
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert (last_move().status, place_of(acme.id)) == ("pending", ("database", "default"))
    run_due(1)
    assert last_move().status == "succeeded"
    assert provisioning.list_namespace(source) == {}
    assert count_of(acme.id) == 5


def test_a_wish_to_cancel_in_the_pause_is_heard(acme, monkeypatch):
    fill(acme.id, 3)
    announce = switching.announce_pause

    def announce_and_cancel(run, **bounds):
        announce(run, **bounds)
        operations.request_cancel(run.operation.pk)

    monkeypatch.setattr(switching, "announce_pause", announce_and_cancel)
    with pytest.raises(OperationCancelled):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert (last_move().status, place_of(acme.id)[0]) == ("cancelled", "collection")
    assert Organization.objects.get(pk=acme.id).pause_from is None
    assert count_of(acme.id) == 3


def test_nothing_is_cancelled_once_it_has_taken_effect(acme, monkeypatch):
    fill(acme.id, 3)
    own, refused = switching._switch_rows, []

    def switch_and_cancel(run, *arguments, **options):
        own(run, *arguments, **options)
        with pytest.raises(NotCancellable):
            operations.request_cancel(run.operation.pk)
        refused.append(True)

    monkeypatch.setattr(switching, "_switch_rows", switch_and_cancel)
    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert refused
    assert (last_move().status, place_of(acme.id)[0]) == ("succeeded", "database")


def test_nobody_waits_for_a_build_to_cancel(acme, monkeypatch):
    lifecycle.declare_index(acme.id, "main", IndexSpec("n_1", (("n", 1),)), by=ACTOR)
    fill(acme.id, 3)
    ended, asked = Event(), []

    def build(*_, **__):
        operations.request_cancel(last_move().pk)
        connection.close()
        asked.append(time.monotonic())
        ended.wait(10)

    monkeypatch.setattr(copied_indexes.indexes, "build_indexes", build)
    with pytest.raises(OperationCancelled):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)
    took = time.monotonic() - asked[0]
    ended.set()

    assert took < 5
    assert last_move().status == "cancelled"


def test_a_pause_that_could_not_be_announced_in_time_does_not_stay(acme, monkeypatch):
    fill(acme.id, 3)
    monkeypatch.setattr(pause, "CLOCK_SKEW_SECONDS", -0.01)  # every commit is too slow
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", (0,))
    announce, before = switching.announce_pause, []

    def look_and_announce(run, **bounds):
        before.append(Organization.objects.get(pk=acme.id).pause_from)
        announce(run, **bounds)

    monkeypatch.setattr(switching, "announce_pause", look_and_announce)
    with pytest.raises(TenantBusy):
        lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert before == [None, None]
    assert Organization.objects.get(pk=acme.id).pause_from is None


# --- indexes and collections


def test_documents_expire_only_where_the_organization_lives(acme, monkeypatch):
    specs = [IndexSpec("at_1", (("at", 1),), ttl_seconds=60), IndexSpec("n_1", (("n", 1),))]
    for spec in specs:
        lifecycle.declare_index(acme.id, "main", spec, by=ACTOR)
    target = lifecycle.plan_move(acme.id, "database").target.address
    own, built = copies.CopyRun.verify, []

    def verify_and_look(copy):
        own(copy)
        built.append({spec.name for spec in list_indexes(target, "main")})

    monkeypatch.setattr(copies.CopyRun, "verify", verify_and_look)
    lifecycle.move_organization(acme.id, "database", by=ACTOR)

    assert built == [{"n_1"}]
    assert sorted(list_indexes(target, "main"), key=lambda spec: spec.name) == specs


def test_a_collection_made_beside_a_move_is_at_the_target_only(acme, monkeypatch):
    source, own = address_of(acme.id), catalog.get_tenant

    def read_and_move(*arguments, **options):
        tenant = own(*arguments, **options)
        if Collection.objects.filter(name="orders").exists():  # and is to be made in MongoDB next
            monkeypatch.setattr(catalog, "get_tenant", own)
            lifecycle.move_organization(acme.id, "database", by=ACTOR)
        return tenant

    monkeypatch.setattr(catalog, "get_tenant", read_and_move)
    lifecycle.declare_collection(acme.id, "orders", by=ACTOR)

    assert provisioning.list_namespace(source) == {}
    assert {"main", "orders"} <= provisioning.list_namespace(address_of(acme.id)).keys()


# --- what was left behind


def test_what_an_undone_move_has_left_is_nothing_to_come_back_to(acme, monkeypatch):
    live_at(acme.id, "database")
    fill(acme.id, 5)

    def unreachable(*_, **__):
        raise ClusterUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(operations, "RETRY_DELAYS_SECONDS", ())
        patch.setattr(copying.Copy, "prove", lambda copy: 1)
        patch.setattr(moving.provisioning, "drop_namespace", unreachable)
        with pytest.raises(TenancyError, match="differ"):
            lifecycle.move_organization(acme.id, "collection", by=ACTOR)
    call(acme.id, lambda documents: documents.delete(3))
    lifecycle.rename_organization(acme.id, "Beta", by=ACTOR)
    lifecycle.move_organization(acme.id, "collection", by=ACTOR)
    lifecycle.rename_organization(acme.id, "Acme", by=ACTOR)

    assert address_of(acme.id).namespace == "org_acme"
    assert ids_of(acme.id) == {0, 1, 2, 4}


def test_a_purge_leaves_alone_who_has_the_name_now(acme, settings):
    settings.TENANCY_SLUG_RETIREMENT = timedelta(0)
    lifecycle.move_organization(acme.id, "database", by=ACTOR)
    lifecycle.rename_organization(acme.id, "Beta", by=ACTOR)
    other = lifecycle.create_organization("Acme", by=ACTOR)
    fill(other.pk, 7)

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)

    assert address_of(other.pk).namespace == "org_acme"
    assert count_of(other.pk) == 7


def test_what_is_called_as_if_it_were_main_is_not_taken_for_it(acme, mongo):
    fill(acme.id, 5)
    mongo["org_acme.main"].insert_one({"_id": "foreign"})

    assert provisioning.list_namespace(address_of(acme.id))["main"].name == "org_acme"
    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    assert mongo.list_collection_names() == []
