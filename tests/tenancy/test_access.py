"""Renames and pauses are invisible: calls wait, are repeated, and nothing is denied by mistake."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from tenancy import access, catalog, lifecycle
from tenancy.access import with_collection
from tenancy.clock import seconds
from tenancy.exceptions import (
    AlreadyExists,
    CollectionNotFound,
    DocumentNotFound,
    OrganizationDeleted,
    OrganizationSuspended,
    Overslept,
    PreconditionFailed,
    StalePlacement,
    TenantBusy,
)
from tenancy.models import Operation, Organization, OrganizationStatus
from tenancy.mongo.revisions import IfMatch
from tenancy.operations import resume_operations
from tests.conftest import ACTOR

pytestmark = pytest.mark.usefixtures("quick")


class Recorded:
    """A call that remembers at which physical collections it was made."""

    def __init__(self, call):
        self.call = call
        self.at = []

    def __call__(self, documents):
        self.at.append(documents._name)
        return self.call(documents)


def run(cast, call, name="main"):
    return with_collection(cast.id, name, call, by=ACTOR)


def pause(cast, *, since=1.0):
    pause_from = timezone.now() - timedelta(seconds=since)
    Organization.objects.filter(pk=cast.id).update(pause_from=pause_from)
    catalog.clear_cache()


def end_pause(cast):
    Organization.objects.filter(pk=cast.id).update(pause_from=None)


def keep_serving(cast, tenant, settings):
    """Make this process believe for long that the tenant is still what it was."""
    settings.TENANCY_CATALOG_TTL = 60
    catalog._cache._entries[cast.id] = (seconds(), tenant)


@pytest.fixture
def asleep(acme, mongo, settings):
    """acme was renamed, its fence stands, and this process has not noticed."""
    run(acme, lambda documents: documents.insert({"_id": 1, "n": 1}))
    tenant = catalog.get_tenant(acme.id, max_age=0)
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    keep_serving(acme, tenant, settings)
    return acme


@pytest.fixture
def asleep_for_long(asleep, settings):
    """The same, and the fence is gone: nothing is at the old name."""
    tenant = catalog.get_tenant(asleep.id)
    Operation.objects.open().update(not_before=asleep.organization.created_at)
    resume_operations()
    keep_serving(asleep, tenant, settings)
    return asleep


# --- pauses


@pytest.mark.everywhere
def test_a_call_waits_for_the_end_of_a_pause_and_goes_on(acme, monkeypatch):
    run(acme, lambda documents: documents.insert({"_id": 1}))
    pause(acme)
    polled, read = threading.Semaphore(0), catalog._read_tenant
    monkeypatch.setattr(
        catalog._cache,
        "_read",
        lambda organization_id: (polled.release(), read(organization_id))[1],
    )
    get = Recorded(lambda documents: documents.get(1))

    def call_and_close():
        try:
            return run(acme, get)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(call_and_close)
        for _ in range(3):
            assert polled.acquire(timeout=5)
        assert not waiting.done()
        assert get.at == []
        end_pause(acme)
        assert waiting.result(timeout=5)["_id"] == 1


def test_a_pause_that_lasts_too_long_is_busy(acme, monkeypatch):
    monkeypatch.setattr(access, "PAUSE_MAX_SECONDS", 0.1)
    pause(acme)
    call, begun = Recorded(lambda documents: documents.get(1)), time.monotonic()

    with pytest.raises(TenantBusy):
        run(acme, call)

    assert call.at == []
    assert time.monotonic() - begun >= 0.1


def test_an_announced_pause_does_not_hold_anybody_up_before_it_begins(acme, monkeypatch):
    monkeypatch.setattr(access, "PAUSE_MAX_SECONDS", 0)
    pause(acme, since=-60)

    assert run(acme, lambda documents: documents.insert({"_id": 1}))["_id"] == 1


def test_nothing_found_in_a_pause_is_looked_for_again_after_it(acme, settings, monkeypatch):
    tenant, read, paused = catalog.get_tenant(acme.id, max_age=0), catalog._read_tenant, []

    def read_and_end_pause(organization_id):
        fresh = read(organization_id)
        paused.append(fresh.is_paused)
        if len(paused) == 3:
            end_pause(acme)
        return fresh

    monkeypatch.setattr(catalog._cache, "_read", read_and_end_pause)
    pause(acme)
    keep_serving(acme, tenant, settings)
    recorded = Recorded(lambda documents: documents.get("missing"))

    with pytest.raises(DocumentNotFound):
        run(acme, recorded)

    assert len(recorded.at) == 2
    assert paused[:3] == [True] * 3


# --- status


@pytest.mark.parametrize(
    ("status", "refusal"),
    [
        (OrganizationStatus.SUSPENDED, OrganizationSuspended),
        (OrganizationStatus.DELETING, OrganizationDeleted),
        (OrganizationStatus.PROVISIONING, TenantBusy),
    ],
)
def test_an_organization_that_is_not_active_is_refused(acme, status, refusal):
    Organization.objects.filter(pk=acme.id).update(status=status)
    catalog.clear_cache()
    call = Recorded(lambda documents: documents.get(1))

    with pytest.raises(refusal):
        run(acme, call)

    assert call.at == []


def test_every_status_is_served_or_refused():
    served = {OrganizationStatus.ACTIVE}

    assert access._NOT_SERVED.keys() | served | {OrganizationStatus.PURGED} == set(
        OrganizationStatus
    )


@pytest.mark.everywhere
@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lifecycle.suspend_organization, OrganizationSuspended),
        (lifecycle.delete_organization, OrganizationDeleted),
    ],
)
def test_nothing_found_tells_that_the_organization_was_stopped(acme, settings, change, refusal):
    tenant = catalog.get_tenant(acme.id, max_age=0)
    change(acme.id, by=ACTOR)
    keep_serving(acme, tenant, settings)

    with pytest.raises(refusal):
        run(acme, lambda documents: documents.get("missing"))


# --- a placement left behind


def test_a_read_passes_the_fence_without_a_look_at_the_catalog(asleep, django_assert_num_queries):
    get = Recorded(lambda documents: documents.get(1))

    with django_assert_num_queries(0):
        assert run(asleep, get)["n"] == 1

    assert get.at == ["org_acme"]


@pytest.mark.parametrize(
    ("write", "left"),
    [
        (lambda documents: documents.insert({"_id": 2, "n": 2}), {1: 1, 2: 2}),
        (lambda documents: documents.create(2, {"n": 2}), {1: 1, 2: 2}),
        (lambda documents: documents.replace(1, {"n": 3}), {1: 3}),
        (lambda documents: documents.replace(1, {"n": 3}, if_match=IfMatch(None)), {1: 3}),
        (lambda documents: documents.patch(1, {"n": 3}), {1: 3}),
        (lambda documents: documents.delete(1), {}),
    ],
    ids=["insert", "create", "replace", "replace-if-match", "patch", "delete"],
)
def test_a_write_refused_by_the_fence_is_repeated_once_at_the_new_place(asleep, mongo, write, left):
    recorded = Recorded(write)

    run(asleep, recorded)

    assert recorded.at == ["org_acme", "org_umbrella"]
    assert {row["_id"]: row["n"] for row in mongo["org_umbrella"].find()} == left
    assert {row["_meta"]["rev"] for row in mongo["org_umbrella"].find()} <= {1, 2}


@pytest.mark.parametrize(
    "call",
    [
        lambda documents: documents.get(1),
        lambda documents: documents.patch(1, {"m": 1}),
        lambda documents: documents.replace(1, {"n": 1}, if_match=IfMatch(frozenset({1})))[0],
        lambda documents: documents.patch(1, {"m": 1}, if_match=IfMatch(None)),
    ],
    ids=["get", "patch", "replace-if-match", "patch-if-match"],
)
def test_what_is_missing_at_an_old_place_is_found_at_the_new_one(asleep_for_long, mongo, call):
    recorded = Recorded(call)

    assert run(asleep_for_long, recorded)["n"] == 1

    assert recorded.at == ["org_acme", "org_umbrella"]
    assert mongo.list_collection_names(filter={"name": "org_acme"}) == []


def test_a_delete_that_found_nothing_at_an_old_place_is_repeated(asleep_for_long, mongo):
    recorded = Recorded(lambda documents: documents.delete(1))

    run(asleep_for_long, recorded)

    assert recorded.at == ["org_acme", "org_umbrella"]
    assert mongo["org_umbrella"].count_documents({}) == 0


def test_a_put_that_found_nothing_at_an_old_place_replaces_and_creates_nothing(
    asleep_for_long, mongo
):
    _, was_created = run(asleep_for_long, lambda documents: documents.replace(1, {"n": 2}))

    assert not was_created
    assert mongo["org_umbrella"].find_one({"_id": 1})["_meta"]["rev"] == 2
    assert "org_acme" not in mongo.list_collection_names()


def test_an_empty_page_of_an_old_place_is_read_again(asleep_for_long):
    recorded = Recorded(lambda documents: documents.list_page(limit=5))

    assert [row["_id"] for row in run(asleep_for_long, recorded).documents] == [1]

    assert recorded.at == ["org_acme", "org_umbrella"]


def test_a_later_page_at_a_fence_is_read_again(asleep):
    recorded = Recorded(lambda documents: documents.list_page(limit=5, after=0))

    assert [row["_id"] for row in run(asleep, recorded).documents] == [1]

    assert recorded.at == ["org_acme", "org_umbrella"]


@pytest.mark.everywhere
def test_a_collection_made_by_another_process_is_found(acme, settings):
    tenant = catalog.get_tenant(acme.id, max_age=0)
    lifecycle.declare_collection(acme.id, "orders", by=ACTOR)
    keep_serving(acme, tenant, settings)

    assert run(acme, lambda documents: documents.list_page(limit=1), "orders").documents == []


# --- an unchanged placement


@pytest.mark.everywhere
def test_nothing_found_at_the_current_place_is_believed_after_one_look(acme):
    get = Recorded(lambda documents: documents.get("missing"))
    page = Recorded(lambda documents: documents.list_page(limit=5))

    with pytest.raises(DocumentNotFound):
        run(acme, get)
    assert run(acme, page).documents == []

    assert (len(get.at), len(page.at)) == (1, 1)


@pytest.mark.everywhere
def test_an_unknown_collection_is_not_found(acme):
    call = Recorded(lambda documents: documents.get(1))

    for name in ("orders", "Orders", "a/b", ""):
        with pytest.raises(CollectionNotFound):
            run(acme, call, name)

    assert call.at == []


@pytest.mark.everywhere
def test_positive_answers_ask_the_catalog_nothing(acme, settings, django_assert_num_queries):
    settings.TENANCY_CATALOG_TTL = 60
    catalog.get_tenant(acme.id, max_age=0)

    with django_assert_num_queries(0):
        run(acme, lambda documents: documents.insert({"_id": 1}))
        run(acme, lambda documents: documents.get(1))
        run(acme, lambda documents: documents.list_page(limit=1))
        run(acme, lambda documents: documents.replace(1, {"n": 1}))
        run(acme, lambda documents: documents.patch(1, {"n": 2}))
        run(acme, lambda documents: documents.delete(1))


@pytest.mark.everywhere
@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (lambda documents: documents.insert({"_id": 1}), AlreadyExists),
        (lambda documents: documents.create(1, {}), PreconditionFailed),
        (
            lambda documents: documents.delete(1, if_match=IfMatch(frozenset({9}))),
            PreconditionFailed,
        ),
    ],
    ids=["insert", "create", "delete"],
)
def test_a_refusal_is_not_repeated(acme, call, refusal):
    run(acme, lambda documents: documents.insert({"_id": 1}))
    recorded = Recorded(call)

    with pytest.raises(refusal):
        run(acme, recorded)

    assert len(recorded.at) == 1


def test_a_placement_that_stays_stale_is_busy_in_the_end(acme):
    def refuse(documents):
        raise StalePlacement

    recorded = Recorded(refuse)
    with pytest.raises(TenantBusy) as caught:
        run(acme, recorded)

    assert len(recorded.at) == access.ATTEMPTS
    assert type(caught.value) is TenantBusy


@pytest.mark.parametrize("how", ["with_collection", "at_placement"])
def test_a_thread_that_stands_still_again_and_again_has_not_tried_yet(acme, monkeypatch, how):
    naps, check = iter(range(3 * access.ATTEMPTS)), access._assert_fresh

    def check_after_a_nap(tenant):
        if next(naps, None) is not None:
            raise Overslept
        check(tenant)

    monkeypatch.setattr(access, "_assert_fresh", check_after_a_nap)

    if how == "with_collection":
        assert run(acme, lambda documents: "answered") == "answered"
    else:
        assert access.at_placement(acme.id, lambda address: "answered") == "answered"


def test_a_thread_that_only_stands_still_is_busy_in_the_end(acme, monkeypatch):
    def sleep(tenant):
        raise Overslept

    monkeypatch.setattr(access, "_assert_fresh", sleep)
    monkeypatch.setattr(access, "PAUSE_MAX_SECONDS", 0.05)

    with pytest.raises(TenantBusy):
        access.at_placement(acme.id, lambda address: "answered")
