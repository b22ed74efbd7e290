"""Organizations are created, renamed, suspended, deleted and restored, under both namings."""

import pytest
from django.conf import settings

from tenancy import catalog, lifecycle, operations
from tenancy.exceptions import (
    ClusterUnavailable,
    Conflict,
    InvalidName,
    NameTaken,
    NotDeleted,
    OperationNotFound,
    OperationRunning,
    OrganizationDeleted,
    OrganizationNotFound,
)
from tenancy.models import (
    AuditEvent,
    Operation,
    Organization,
    OrganizationStatus,
    Placement,
    SlugReservation,
)
from tenancy.mongo import fences
from tenancy.operations import begin_operation, resume_operations
from tests.conftest import ACTOR

pytestmark = pytest.mark.usefixtures("quick")


def names(mongo):
    return sorted(name for name in mongo.list_collection_names() if not name.startswith("system."))


def test_create_makes_the_main_collection(mongo, naming):
    organization = lifecycle.create_organization("Acme", by=ACTOR)

    expected = "org_acme" if naming == "name" else f"org_{organization.pk.hex}"
    assert organization.status == OrganizationStatus.ACTIVE
    assert names(mongo) == [expected]
    assert organization.placement.namespace == expected


def test_create_is_journalled_and_audited(mongo):
    organization = lifecycle.create_organization("Acme", by=ACTOR)

    operation = Operation.objects.get(organization=organization)
    assert (operation.kind, operation.status, operation.blocking) == ("create", "succeeded", False)
    assert list(AuditEvent.objects.values_list("action", "actor")) == [
        ("organization.created", ACTOR)
    ]


@pytest.mark.parametrize("other", ["Acme", "ACME", " acme ", "Acme!", "Ácme"])
def test_two_names_with_one_slug_are_one_name(mongo, naming, other):
    lifecycle.create_organization("Acme", by=ACTOR)

    with pytest.raises(NameTaken):
        lifecycle.create_organization(other, by=ACTOR)

    assert Organization.objects.count() == 1
    assert len(names(mongo)) == 1


def test_create_over_foreign_data_is_refused_and_leaves_it_alone(mongo):
    mongo["org_acme"].insert_one({"_id": 1})

    with pytest.raises(NameTaken):
        lifecycle.create_organization("Acme", by=ACTOR)

    assert mongo["org_acme"].count_documents({}) == 1
    assert not Organization.objects.exists()
    assert not SlugReservation.objects.exists()


def test_create_without_a_cluster_frees_the_name(mongo, settings):
    reachable = settings.MONGODB_URI
    settings.MONGODB_URI = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"

    with pytest.raises(ClusterUnavailable):
        lifecycle.create_organization("Acme", by=ACTOR)

    settings.MONGODB_URI = reachable
    assert not Organization.objects.exists()
    assert lifecycle.create_organization("Acme", by=ACTOR).status == "active"


def test_what_comes_along_with_a_failed_creation_is_rolled_back(mongo):
    def fail(organization):
        raise InvalidName

    with pytest.raises(InvalidName):
        lifecycle.create_organization("Acme", by=ACTOR, on_reserve=fail)

    assert not Organization.objects.exists()
    assert not Operation.objects.exists()
    assert names(mongo) == []


def test_rename_moves_documents_and_indexes(acme, mongo, naming):
    lifecycle.declare_collection(acme.id, "orders", by=ACTOR)
    address = catalog.get_tenant(acme.id, max_age=0).address
    for logical in ("main", "orders"):
        mongo[address.physical(logical)].insert_many([{"_id": i, "n": i} for i in range(10)])
        mongo[address.physical(logical)].create_index("n", unique=True)

    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    address = catalog.get_tenant(acme.id, max_age=0).address
    for logical in ("main", "orders"):
        assert mongo[address.physical(logical)].count_documents({}) == 10
        assert mongo[address.physical(logical)].index_information()["n_1"]["unique"]


def test_rename_by_name_renames_collections_and_fences_the_old_name(acme, mongo):
    mongo["org_acme"].insert_one({"_id": 1})

    organization = lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    assert organization.placement.namespace == "org_umbrella"
    assert organization.placement.epoch == 2
    views = {row["name"]: row["type"] for row in mongo.list_collections()}
    assert views["org_acme"] == "view"
    assert mongo["org_acme"].find_one() == {"_id": 1}


def test_fences_go_when_a_straggler_can_no_longer_come(acme, mongo):
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    waiting = Operation.objects.get(kind="rename")
    assert (waiting.status, waiting.blocking, waiting.step) == ("pending", False, "switch")

    Operation.objects.update(not_before=waiting.created_at)
    resume_operations()

    assert names(mongo) == ["org_umbrella"]
    assert Operation.objects.get(pk=waiting.pk).status == "succeeded"


def test_rename_by_id_touches_no_collection(mongo, settings):
    settings.TENANCY_NAMING = "id"
    organization = lifecycle.create_organization("Acme", by=ACTOR)
    before = names(mongo)

    renamed = lifecycle.rename_organization(organization.pk, "Umbrella", by=ACTOR)

    assert (renamed.name, renamed.slug) == ("Umbrella", "umbrella")
    assert renamed.placement.epoch == 1
    assert names(mongo) == before


def test_rename_to_the_same_name_changes_nothing(acme, mongo):
    lifecycle.rename_organization(acme.id, "Acme", by=ACTOR)

    assert not Operation.objects.filter(kind="rename").exists()
    assert names(mongo) == ["org_acme"]


def test_rename_to_another_case_keeps_the_documents(acme, mongo):
    mongo["org_acme"].insert_one({"_id": 1})

    organization = lifecycle.rename_organization(acme.id, "ACME", by=ACTOR)

    assert (organization.name, organization.slug) == ("ACME", "acme")
    assert mongo["org_acme"].count_documents({}) == 1


def test_rename_onto_another_name_is_refused_and_changes_nothing(acme, globex, mongo, naming):
    before = names(mongo)

    with pytest.raises(NameTaken):
        lifecycle.rename_organization(acme.id, "GLOBEX", by=ACTOR)

    assert Organization.objects.get(pk=acme.id).name == "Acme"
    assert names(mongo) == before
    assert not Operation.objects.open().exists()


def test_rename_onto_foreign_data_is_undone(acme, mongo):
    mongo["org_acme"].insert_one({"_id": 1})
    mongo["org_umbrella"].insert_one({"_id": "foreign"})

    with pytest.raises(NameTaken):
        lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    row = Organization.objects.get(pk=acme.id)
    assert (row.name, row.slug, row.pause_from) == ("Acme", "acme", None)
    assert mongo["org_umbrella"].find_one() == {"_id": "foreign"}
    assert not SlugReservation.objects.filter(slug="umbrella").exists()


def test_rename_back_at_once_takes_the_fence_over(acme, mongo):
    mongo["org_acme"].insert_one({"_id": 1})
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    organization = lifecycle.rename_organization(acme.id, "Acme", by=ACTOR)

    assert organization.placement.namespace == "org_acme"
    assert mongo["org_acme"].count_documents({}) == 1
    Operation.objects.open().update(not_before=organization.created_at)
    resume_operations()
    assert names(mongo) == ["org_acme"]


def test_chain_of_renames_ends_with_one_collection(acme, mongo):
    mongo["org_acme"].insert_one({"_id": 1})

    for name in ("B", "C", "Acme", "B"):
        lifecycle.rename_organization(acme.id, name, by=ACTOR)
    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    assert names(mongo) == ["org_b"]
    assert mongo["org_b"].count_documents({}) == 1


def test_retired_slug_is_not_given_to_others(acme, mongo, settings):
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    with pytest.raises(NameTaken, match="kept free until"):
        lifecycle.create_organization("Acme", by=ACTOR)


def test_slug_is_given_out_again_after_its_retirement(mongo, settings):
    settings.TENANCY_NAMING = "id"
    first = lifecycle.create_organization("Acme", by=ACTOR)
    lifecycle.rename_organization(first.pk, "Umbrella", by=ACTOR)
    settings.TENANCY_SLUG_RETIREMENT *= 0

    second = lifecycle.create_organization("Acme", by=ACTOR)

    assert second.slug == "acme"
    assert second.pk != first.pk


def test_suspend_and_resume_change_the_status_alone(acme):
    assert lifecycle.suspend_organization(acme.id, by=ACTOR, reason="unpaid")
    assert not lifecycle.suspend_organization(acme.id, by=ACTOR)
    assert Organization.objects.get(pk=acme.id).status == "suspended"

    assert lifecycle.resume_organization(acme.id, by=ACTOR)

    assert Organization.objects.get(pk=acme.id).status == "active"
    assert AuditEvent.objects.get(action="organization.suspended").details == {"reason": "unpaid"}


def test_rename_does_not_resume_a_suspended_organization(acme):
    lifecycle.suspend_organization(acme.id, by=ACTOR)

    assert lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR).status == "suspended"


def test_delete_can_be_restored_until_its_purge(acme, mongo, naming):
    mongo[acme.organization.placement.namespace].insert_one({"_id": 1})
    operation = lifecycle.delete_organization(acme.id, by=ACTOR)
    assert (operation.kind, operation.status) == ("purge", "pending")
    assert Organization.objects.get(pk=acme.id).status == "deleting"

    lifecycle.restore_organization(acme.id, by=ACTOR)

    assert Organization.objects.get(pk=acme.id).status == "active"
    assert mongo[acme.organization.placement.namespace].count_documents({}) == 1
    assert not Operation.objects.open().exists()


def test_what_is_not_deleted_cannot_be_restored(acme):
    with pytest.raises(NotDeleted):
        lifecycle.restore_organization(acme.id, by=ACTOR)


def test_deleted_organization_is_neither_renamed_nor_deleted_again(acme):
    lifecycle.delete_organization(acme.id, by=ACTOR)

    with pytest.raises(OrganizationDeleted):
        lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    with pytest.raises(OrganizationDeleted):
        lifecycle.delete_organization(acme.id, by=ACTOR)


def test_purge_has_dropped_the_data_when_it_returns(acme, globex, mongo, naming):
    mongo[acme.organization.placement.namespace].insert_one({"_id": 1})
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)

    assert names(mongo) == [globex.organization.placement.namespace]
    with pytest.raises(NotDeleted):
        lifecycle.restore_organization(acme.id, by=ACTOR)


def test_purge_sweeps_what_came_back_and_leaves_a_tombstone(acme, mongo, naming):
    namespace = acme.organization.placement.namespace
    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    mongo[namespace].insert_one({"_id": "straggler"})

    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    row = Organization.objects.get(pk=acme.id)
    assert (row.status, row.name, row.slug) == ("purged", "", None)
    assert names(mongo) == []
    assert not Placement.objects.filter(organization=row).exists()
    assert SlugReservation.objects.get(slug="acme").retired_at is not None
    with pytest.raises(OrganizationNotFound):
        catalog.get_tenant(acme.id, max_age=0)


def test_purge_due_after_the_grace_runs_by_itself(acme, mongo):
    lifecycle.delete_organization(acme.id, by=ACTOR)
    assert resume_operations() == []

    for _ in range(2):
        Operation.objects.open().update(not_before=acme.organization.created_at)
        resume_operations()

    assert Organization.objects.get(pk=acme.id).status == "purged"


def test_second_operation_waits_for_none_but_is_refused(acme):
    begin_operation(_rename_kind(), acme.organization, {}, by=ACTOR)

    with pytest.raises(OperationRunning):
        lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)


def _rename_kind():
    from tenancy.operations import KINDS

    return KINDS["rename"]


def test_declared_collection_exists_in_mongodb(acme, mongo):
    assert lifecycle.declare_collection(acme.id, "orders", by=ACTOR)
    assert not lifecycle.declare_collection(acme.id, "orders", by=ACTOR)

    assert "org_acme.orders" in names(mongo)
    assert catalog.get_tenant(acme.id).collections == {"main", "orders"}


def test_settings_are_quick_here():
    assert settings.TENANCY_CATALOG_TTL < 0.1


def test_undo_keeps_indexes_though_a_straggler_wrote_at_the_old_name(acme, mongo, monkeypatch):
    mongo["org_acme"].insert_one({"_id": 1})
    mongo["org_acme"].create_index("n")

    def fail(address, old, new):
        mongo["org_acme"].replace_one({"_id": "straggler"}, {}, upsert=True)
        raise Conflict("The fence cannot be put up.")

    monkeypatch.setattr(fences, "fence_collection", fail)
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", (0, 0))

    with pytest.raises(Conflict):
        lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    assert names(mongo) == ["org_acme"]
    assert {row["_id"] for row in mongo["org_acme"].find()} == {1, "straggler"}
    assert "n_1" in mongo["org_acme"].index_information()
    assert Organization.objects.get(pk=acme.id).pause_from is None


def test_operation_that_was_undone_cannot_be_retried(acme, mongo):
    mongo["org_umbrella"].insert_one({"_id": "foreign"})
    with pytest.raises(NameTaken):
        lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    with pytest.raises(OperationNotFound):
        operations.retry_operation(Operation.objects.get(kind="rename").pk)

    assert Operation.objects.get(kind="rename").status == "failed"
