"""Every kind of placement and cluster: what is wrong is found, and what is not is left alone."""

import json
import uuid
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.utils import timezone

from tenancy import catalog, encryption, lifecycle
from tenancy.doctor import Scope, diagnosis, summarize_tenants
from tenancy.doctor.repairs import attempt_repair
from tenancy.lifecycle.capacity import Capacity
from tenancy.lifecycle.move_plans import Place
from tenancy.models import Cluster, Collection, Operation, OperationStatus, Organization
from tenancy.mongo import clients, late_writes, provisioning
from tenancy.mongo.changes import SENTINELS
from tenancy.mongo.copying import RawCollection
from tests.conftest import ACTOR
from tests.tenancy.doctor.checking import check, codes, finish_everything, left_alone, mended

pytestmark = pytest.mark.needs_mongod
everywhere = pytest.mark.everywhere


def address_of(cast):
    cast.organization.refresh_from_db()
    return catalog.address_of(cast.organization.placement)


def purge(cast):
    lifecycle.delete_organization(cast.id, by=ACTOR, purge=True)
    finish_everything()


def put(address, logical, document_id="late"):
    RawCollection(address, logical).write_mark(document_id)


def at(kind, cluster):
    """Return where an organization could live that the catalog does not know."""
    row = Cluster.objects.get(alias=cluster)
    return catalog.address_at(kind, row, f"org_{uuid.uuid4().hex}")


def undone_move(cast, kind, *, cluster="default"):
    """Return where a move has left a copy that it could not remove."""
    target = Place(kind, cluster, f"org_{cast.id.hex}")
    ended = timezone.now()
    row = Operation.objects.create(
        organization=cast.organization, kind="move", status=OperationStatus.FAILED, blocking=False,
        params={"source": {}, "target": vars(target)}, state={"leftover": True},
        not_before=ended, ended_at=ended, by=ACTOR,
    )  # fmt: skip
    put(target.address, "main", "copied")
    return row, target.address


@everywhere
def test_nothing_is_wrong_in_every_state_and_at_every_place(mongo, acme, globex):
    lifecycle.declare_collection(acme.id, "notes", by=ACTOR)
    put(address_of(acme), "notes")
    lifecycle.suspend_organization(globex.id, by=ACTOR)
    assert codes() == []

    lifecycle.delete_organization(acme.id, by=ACTOR)

    assert codes() == []


@everywhere
def test_data_of_a_purged_organization_is_told_and_kept(acme, globex, behind):
    address, stored = address_of(acme), behind.stored_of(acme.organization)
    purge(acme)
    stored.insert_one({"_id": "late"})

    left_alone("data_of_purged")

    assert provisioning.has_documents(address, "main")


@everywhere
def test_a_collection_that_the_catalog_does_not_know_is_declared(acme, globex, patient):
    put(address_of(acme), "notes")

    mended("undeclared_collection")

    assert "notes" in catalog.declared_collections(acme.id)
    assert provisioning.has_documents(address_of(acme), "notes")


@everywhere
def test_what_a_dropped_collection_is_swept_of_is_no_finding(acme):
    lifecycle.declare_collection(acme.id, "notes", by=ACTOR)
    lifecycle.drop_collection(acme.id, "notes", by=ACTOR)
    put(address_of(acme), "notes")

    assert codes(repair=True) == []
    assert "notes" not in catalog.declared_collections(acme.id)


@everywhere
def test_sentinels_that_a_copy_has_left_are_removed(acme, globex):
    put(address_of(acme), SENTINELS)

    mended("leftover_sentinel")

    assert list(provisioning.list_namespace(address_of(acme))) in (["main"], [])


@everywhere
def test_questions_that_nobody_answers_any_more_are_removed(acme):
    late_writes.leave_mark(address_of(acme))
    assert late_writes.ask(address_of(acme)) == 1

    mended("leftover_sentinel")

    assert list(provisioning.list_namespace(address_of(acme))) in (["main"], [])


@everywhere
def test_a_sentinel_with_a_document_beside_it_is_kept(acme, behind):
    stored = behind.stored_of(acme.organization, SENTINELS)
    stored.insert_one({"_id": "x", "precious": True})

    assert left_alone("leftover_sentinel", repairable=True) == "There is more than marks."

    assert stored.count_documents({}) == 1


@everywhere
def test_a_sentinel_beside_a_running_operation_is_no_finding(acme):
    put(address_of(acme), SENTINELS)
    Operation.objects.create(
        organization=acme.organization, kind="move", not_before=timezone.now(), by=ACTOR
    )

    assert codes(repair=True) == []


def test_what_a_clone_writes_to_its_source_is_no_finding(acme, globex):
    put(address_of(acme), SENTINELS)
    params = {"source_organization": str(acme.id)}
    Operation.objects.create(
        organization=globex.organization, kind="clone", params=params,
        not_before=timezone.now(), by=ACTOR,
    )  # fmt: skip

    assert codes(repair=True) == []


@everywhere
def test_what_is_missing_is_told_and_not_made_anew(acme, globex, place):
    lifecycle.declare_collection(acme.id, "notes", by=ACTOR)
    Collection.objects.update(created_at=timezone.now() - timedelta(days=1))
    address = address_of(acme)
    if place.kind == "shared":
        provisioning.drop_physical(address, "shared")
        left_alone("missing_collection")
        return
    provisioning.drop_collection(address, "notes")
    left_alone("missing_collection")

    provisioning.drop_namespace(address)

    expected = {"missing_database"} if place.kind in {"database", "cluster"} else set()
    assert {code for code, _ in codes(repair=True)} == expected or {"missing_collection"}


@pytest.mark.parametrize("cluster", ["default", "second"])
@pytest.mark.parametrize("kind", ["shared", "collection"])
def test_orphans_with_documents_are_told_and_kept(acme, second_cluster, kind, cluster):
    address = at(kind, cluster)
    put(address, "main", "precious")

    left_alone({"shared": "orphan_documents"}.get(kind, "orphan_collection"))

    assert check().findings[0].cluster == cluster
    assert provisioning.has_documents(address, "main")


@pytest.mark.parametrize("cluster", ["default", "second"])
def test_empty_orphans_are_dropped(acme, second_cluster, cluster):
    address = at("collection", cluster)
    for logical in ("main", "notes"):
        provisioning.create_collection(address, logical)

    found = check(repair=True).findings

    assert [(each.code, each.repaired) for each in found] == [("orphan_collection", True)] * 2
    assert (codes(), provisioning.list_namespace(address)) == ([], {})


@pytest.mark.parametrize("name", ["org_ghost.main", "org_ghost.~main", "org_ghost.A b"])
def test_an_orphan_is_dropped_by_the_name_that_it_has(acme, mongo, name):
    mongo["org_ghost"].insert_one({"_id": "precious"})
    mongo.create_collection(name)

    found = check(repair=True).findings

    assert [(each.where, each.repaired) for each in found] == [
        (name, True), ("org_ghost", False)
    ]  # fmt: skip
    assert mongo["org_ghost"].find_one() == {"_id": "precious"}
    assert name not in mongo.list_collection_names()


@pytest.mark.parametrize("name", ["org_ghost.main", "org_ghost.~main", "org_ghost.A b"])
def test_an_orphan_with_documents_is_known_by_the_name_that_it_has(acme, mongo, name):
    mongo[name].insert_one({"_id": "precious"})

    left_alone("orphan_collection")

    assert mongo[name].find_one() == {"_id": "precious"}


@pytest.mark.parametrize("cluster", ["default", "second"])
def test_a_database_of_an_unknown_organization_is_a_warning_and_kept(
    acme, second_cluster, cluster, behind
):
    """Another service may use the cluster, too: even an empty one is not ours to drop."""
    address = at("database", cluster)
    provisioning.create_collection(address, "main")

    result = check(repair=True)

    mine = [each for each in result.warnings if each.namespace == address.namespace]
    assert [(each.code, each.cluster, each.repaired) for each in mine] == [
        ("orphan_database", cluster, False)
    ]
    assert (result.findings, list(provisioning.list_namespace(address))) == ([], ["main"])
    provisioning.drop_namespace(address)


def test_an_empty_database_of_a_purged_organization_is_dropped(acme, globex):
    lifecycle.move_organization(acme.id, "database", by=ACTOR)
    finish_everything()
    address = address_of(acme)
    purge(acme)
    for logical in ("main", "notes"):
        provisioning.create_collection(address, logical)

    mended("data_of_purged")

    assert provisioning.list_namespace(address) == {}


def test_a_database_of_a_purged_organization_that_gets_a_document_is_kept(acme, globex):
    lifecycle.move_organization(acme.id, "database", by=ACTOR)
    finish_everything()
    address = address_of(acme)
    purge(acme)
    provisioning.create_collection(address, "main")
    (finding,) = check().findings
    put(address, "notes", "precious")

    tried = attempt_repair(finding, by=ACTOR)

    assert (tried.repaired, tried.reason) == (False, "It holds documents by now.")
    assert provisioning.has_documents(address, "notes")
    assert set(provisioning.list_namespace(address)) == {"main", "notes"}
    provisioning.drop_namespace(address)


def test_documents_that_nobody_can_own_are_told(acme, mongo):
    mongo["shared"].insert_many([{"_id": 1}, {"_id": {"o": "x", "c": "main", "k": 1}}])

    left_alone("orphan_documents")


@pytest.mark.parametrize("kind", ["shared", "database"])
def test_a_copy_that_an_undone_move_has_left_is_dropped(acme, globex, kind):
    row, address = undone_move(acme, kind)

    mended("leftover_copy")

    row.refresh_from_db()
    assert (provisioning.list_namespace(address), row.state) == ({}, {})


@pytest.mark.parametrize("kind", ["shared", "database"])
def test_a_copy_with_later_documents_is_kept(acme, behind, kind):
    _, address = undone_move(acme, kind)
    later = timezone.now() + timedelta(seconds=5)
    behind.stored(address).insert_one({"_id": "late", "_meta": {"updated_at": later}})

    reason = left_alone("leftover_copy", repairable=True)

    assert reason == "Documents there were written after the move had ended."
    assert behind.stored(address).count_documents({}) == 2


@pytest.mark.parametrize("kind", ["shared", "database"])
def test_a_copy_to_which_the_organization_has_moved_since_is_kept(acme, behind, kind):
    row, address = undone_move(acme, kind)
    (finding,) = check().findings
    lifecycle.move_organization(acme.id, kind, by=ACTOR)
    finish_everything()
    Operation.objects.filter(pk=row.pk).update(state={"leftover": True})  # as if nobody had noted
    put(address, "main", "kept")

    tried = attempt_repair(finding, by=ACTOR)

    assert (tried.repaired, tried.reason) == (False, "The organization lives there.")
    assert codes(repair=True) == []
    assert behind.stored(address).count_documents({"_id": "kept"}) == 1


def test_home_is_home_under_another_alias_too(acme, second_cluster, patient):
    """What is found by one alias of a deployment is mended for who lives there by another."""
    lifecycle.move_organization(acme.id, "database", cluster="second", by=ACTOR)
    finish_everything()
    sealed = encryption.encrypt(f"{catalog.cluster_address(second_cluster)[0]}&appName=other")
    Cluster.objects.create(alias="a-second-name", uri_encrypted=sealed)
    put(address_of(acme), "notes")
    (found,) = check().findings
    assert found.cluster == "a-second-name"

    mended("undeclared_collection")


def test_two_aliases_of_one_deployment_are_one_place(acme, second_cluster):
    """A tenant's database is no stray because another alias shows it, too."""
    lifecycle.move_organization(acme.id, "database", cluster="second", by=ACTOR)
    finish_everything()
    uri, _ = catalog.cluster_address(second_cluster)
    sealed = encryption.encrypt(f"{uri}&appName=other")
    Cluster.objects.create(alias="a-second-name", uri_encrypted=sealed, database="elsewhere")

    assert codes(repair=True) == []
    assert check().clusters == 3


@pytest.fixture
def away(second_cluster, monkeypatch):
    """Return the second cluster, which cannot be reached."""
    monkeypatch.setattr(clients, "SERVER_SELECTION_TIMEOUT_MS", 100)
    dead = f"mongodb://127.0.0.1:1/?appName={uuid.uuid4().hex}"

    def leave():
        rows = Cluster.objects.filter(alias="second")
        rows.update(uri_encrypted=encryption.encrypt(dead))
        catalog.clear_cache()

    return leave


def test_a_cluster_that_is_away_hides_nothing_of_the_others(acme, globex, away, mongo):
    lifecycle.move_organization(globex.id, "database", cluster="second", by=ACTOR)
    finish_everything()
    home = address_of(globex)
    mongo.create_collection("org_ghost")
    put(catalog.address_at("shared", Cluster.objects.get(alias="default"), home.namespace), "main")
    away()

    found = {(each.code, each.cluster, each.repaired) for each in check(repair=True).findings}

    assert found == {
        ("cluster_unreachable", "second", False), ("orphan_collection", "default", True),
    }  # fmt: skip


def test_a_cluster_that_is_away_and_that_nobody_needs_is_a_warning(acme, away):
    away()

    result = check()

    assert [each.code for each in result.findings] == []
    assert "idle_cluster_unreachable" in {each.code for each in result.warnings}


def test_an_organization_outside_of_its_region_is_told(acme):
    Organization.objects.filter(pk=acme.id).update(region="eu")

    left_alone("wrong_region")


def test_an_organization_on_the_cluster_of_another_one_is_told(acme, globex, second_cluster):
    lifecycle.move_organization(globex.id, "cluster", cluster="second", by=ACTOR)
    finish_everything()
    assert codes() == []
    Cluster.objects.filter(alias="second").update(dedicated_to=acme.organization)

    left_alone("wrong_dedication")


def test_a_full_cluster_is_a_warning(acme, monkeypatch):
    monkeypatch.setattr(diagnosis, "capacity_of", lambda row: Capacity(90, 100))

    result = check()

    assert result.wrong == []
    assert "cluster_nearly_full" in {each.code for each in result.warnings}


def test_one_organization_or_one_cluster_may_be_asked_about(acme, globex, second_cluster, mongo):
    for cast in (acme, globex):
        put(address_of(cast), "notes")
    put(at("shared", "second"), "main")

    mine = check(scope=Scope(organization_id=acme.id))
    there = check(scope=Scope(cluster="second"))

    assert [each.organization for each in mine.findings] == ["acme"]
    assert [each.code for each in there.findings] == ["orphan_documents"]
    assert there.clusters == 1


def test_a_summary_is_short(acme, mongo):
    for number in range(30):
        mongo[f"org_ghost_{number}"].insert_one({})

    found = summarize_tenants(by=ACTOR)

    assert (found.wrong, found.organizations, found.clusters) == (30, 1, 1)
    assert [(each.code, each.count, len(each.examples)) for each in found.groups] == [
        ("orphan_collection", 30, 5)
    ]


def test_nothing_of_a_uri_is_told(acme, second_cluster, mongo):
    put(at("shared", "second"), "main")

    assert "mongodb" not in json.dumps(asdict(check()), default=str)
