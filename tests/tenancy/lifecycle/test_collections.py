"""Collections are dropped for good, whatever late writes make of them."""

import time

import pytest

from tenancy import catalog, lifecycle
from tenancy.access import with_collection
from tenancy.exceptions import (
    CollectionNotFound,
    OperationRunning,
    ValidationFailed,
)
from tenancy.journal import begin_operation
from tenancy.lifecycle.renaming import RENAME
from tenancy.models import AuditEvent, Collection, Index, Operation, Usage
from tenancy.mongo import provisioning
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.indexes import IndexSpec
from tenancy.operations import resume_operations
from tests.conftest import ACTOR
from tests.placements import place

pytestmark = pytest.mark.usefixtures("quick")


def write(cast, name, *ids):
    if name not in catalog.declared_collections(cast.id):
        lifecycle.declare_collection(cast.id, name, by=ACTOR)
    for each in ids:
        with_collection(cast.id, name, lambda there: there.insert({"_id": each}), by=ACTOR)  # noqa: B023


def drop(cast, name="notes"):
    return lifecycle.drop_collection(cast.id, name, by=ACTOR)


def finish():
    deadline = time.monotonic() + 15
    while Operation.objects.open().exists() and time.monotonic() < deadline:
        resume_operations()
        time.sleep(0.05)
    assert not Operation.objects.open().exists()


def straggler(cast, name="notes"):
    """Return the collection as a process has it that does not know yet."""
    address = catalog.address_of(cast.organization.placement)
    return TenantCollection(address, name, by=ACTOR, max_bytes=1_000)


@pytest.fixture(params=["shared", "collection", "database"])
def everywhere(request, acme, globex):
    """acme and globex with documents, in every kind of placement."""
    for cast in (acme, globex):
        if request.param != "collection":
            place(cast.organization, request.param)
        write(cast, "notes", 1, 2)
        write(cast, "main", 1)
        write(cast, "notes-2", 1)
    yield acme
    if request.param != "collection":
        for cast in (acme, globex):
            provisioning.drop_namespace(catalog.address_of(cast.organization.placement))


def counts(cast):
    address = catalog.address_of(cast.organization.placement)
    names = ("main", "notes", "notes-2")
    return [TenantCollection(address, name, by=ACTOR, max_bytes=1).count() for name in names]


def test_its_documents_are_gone_and_nobody_else_s(everywhere, globex):
    drop(everywhere)

    assert (counts(everywhere), counts(globex)) == ([1, 0, 1], [1, 2, 1])
    assert catalog.declared_collections(everywhere.id) == ["main", "notes-2"]
    with pytest.raises(CollectionNotFound):
        drop(everywhere)


def test_what_a_late_write_makes_of_it_is_dropped(everywhere, globex):
    drop(everywhere)
    straggler(everywhere).insert({"_id": "late"})

    finish()

    assert (counts(everywhere), counts(globex)) == ([1, 0, 1], [1, 2, 1])


def test_nothing_is_dropped_before_every_process_knows(acme, mongo, settings):
    settings.TENANCY_CATALOG_TTL = 5  # longer than a runner waits
    write(acme, "notes", 1)

    operation = drop(acme)

    assert (operation.step, operation.status) == ("reserve", "pending")
    assert mongo["org_acme.notes"].count_documents({}) == 1
    Operation.objects.update(not_before=operation.created_at)
    finish()
    assert "org_acme.notes" not in mongo.list_collection_names()


def test_main_stays(acme, mongo):
    with pytest.raises(ValidationFailed, match="always there"):
        drop(acme, "main")

    assert mongo.list_collection_names() == ["org_acme"]


def test_the_same_name_is_free_again_when_late_writes_were_looked_for(acme, mongo):
    write(acme, "notes", 1)
    drop(acme)

    with pytest.raises(OperationRunning):
        lifecycle.declare_collection(acme.id, "notes", by=ACTOR)
    write(acme, "others", 1)
    finish()
    write(acme, "notes", "new")
    resume_operations()

    assert [each["_id"] for each in mongo["org_acme.notes"].find()] == ["new"]


def test_its_indexes_go_with_it(acme, mongo):
    write(acme, "notes", 1)
    lifecycle.declare_index(acme.id, "notes", IndexSpec("", (("n", 1),)), by=ACTOR)

    drop(acme)

    assert not Index.objects.exists()
    assert list(Collection.objects.values_list("name", flat=True)) == ["main"]
    assert AuditEvent.objects.filter(action="collection.dropped").count() == 1


def test_another_operation_goes_first(acme, mongo):
    write(acme, "notes", 1)
    begin_operation(RENAME, acme.organization, {}, by=ACTOR, leased=False)

    with pytest.raises(OperationRunning):
        drop(acme)

    assert mongo["org_acme.notes"].count_documents({}) == 1
    assert "notes" in catalog.declared_collections(acme.id)


def test_a_rename_may_follow_at_once_and_is_not_disturbed(acme, mongo):
    write(acme, "notes", 1)
    drop(acme)
    straggler(acme).insert({"_id": "late"})

    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    finish()

    real = [name for name in mongo.list_collection_names() if not name.startswith("system.")]
    assert real == ["org_umbrella"]


def test_looking_for_late_writes_waits_while_another_operation_runs(acme, mongo):
    write(acme, "notes", 1)
    drop(acme)
    begin_operation(RENAME, acme.organization, {}, by=ACTOR, delay_seconds=60)
    sweep = Operation.objects.get(kind="drop_collection")
    Operation.objects.filter(pk=sweep.pk).update(not_before=sweep.created_at)

    resume_operations()

    sweep.refresh_from_db()
    assert sweep.status == "pending"
    assert "goes first" in sweep.error


def test_a_deletion_may_follow_at_once(acme, mongo):
    write(acme, "notes", 1)
    drop(acme)

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    finish()

    assert mongo.list_collection_names() == []


def test_what_was_dropped_is_not_used_any_more(everywhere):
    drop(everywhere)
    finish()

    used = Usage.objects.get(organization=everywhere.organization)
    assert used.documents == sum(counts(everywhere)) == 2
    assert 0 < used.bytes < 60
