"""The doctor: each thing that can be wrong is planted, found, and mended or left alone."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from tenancy import lifecycle, operations
from tenancy.doctor import check_tenants, examination, holds, repairs
from tenancy.doctor.diagnosis import diagnose
from tenancy.doctor.survey import take_survey
from tenancy.exceptions import NameTaken
from tenancy.leases import host_identity
from tenancy.lifecycle import renaming
from tenancy.models import (
    Collection,
    Operation,
    OperationStatus,
    Organization,
    OrganizationStatus,
    Plan,
    SlugReservation,
)
from tenancy.mongo import clients, fences, strays

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod]

BY = "command:test"
NOBODY = f"{host_identity()}/999999999/1/dead"


@pytest.fixture(autouse=True)
def impatient_doctor(monkeypatch, quick):
    """The second look follows the first at once."""
    monkeypatch.setattr(examination, "SECOND_LOOK_SECONDS", 0.0)


@pytest.fixture
def patient(mongo, settings):
    """An organization to examine: `main` with a document, at org_acme."""
    settings.TENANCY_NAMING = "name"
    organization = lifecycle.create_organization("Acme", by=BY)
    mongo["org_acme"].insert_one({"_id": "kept", "_meta": {"rev": 1}})
    return organization


def check(*, repair=False):
    return check_tenants(by=BY, repair=repair)


def codes(*, repair=False):
    """Return (code, where, repaired) of every finding."""
    found = check(repair=repair).findings
    return [(each.code, each.where, each.repaired) for each in found]


def physical(mongo):
    return sorted(name for name in mongo.list_collection_names() if name != "system.views")


def finish_everything():
    while (due := Operation.objects.open().order_by("not_before").first()) is not None:
        Operation.objects.filter(pk=due.pk).update(not_before=timezone.now())
        operations.resume_operations()


def rename(organization, name):
    lifecycle.rename_organization(organization.pk, name, by=BY)
    finish_everything()


def purge(organization):
    lifecycle.delete_organization(organization.pk, by=BY, purge=True)
    finish_everything()


def begin_rename(organization, **changes):
    """Reserve a rename and leave it there, as a process does that dies."""
    new = renaming._NewName("Umbrella", "umbrella", "/name")
    run = renaming._begin(organization.pk, new, by=BY, on_reserve=None)
    Operation.objects.filter(pk=run.operation.pk).update(**changes)
    return run.operation


def mended(code, where):
    """Check that it is found, mended once, and not found again."""
    assert codes() == [(code, where, False)]
    assert codes(repair=True) == [(code, where, True)]
    assert codes() == []


def left_alone(code, where, *, repairable=False):
    """Check that it is found, and still found after a repair."""
    assert [finding.repairable for finding in check().findings] == [repairable]
    assert codes() == [(code, where, False)]
    assert codes(repair=True) == [(code, where, False)]
    assert codes() == [(code, where, False)]


def test_nothing_is_wrong_with_organizations_in_every_state(mongo, naming):
    for name in ("Active", "Suspended", "Deleted", "Purged"):
        lifecycle.create_organization(name, by=BY)
    by_slug = {row.slug: row for row in Organization.objects.all()}
    lifecycle.suspend_organization(by_slug["suspended"].pk, by=BY)
    lifecycle.delete_organization(by_slug["deleted"].pk, by=BY)
    lifecycle.delete_organization(by_slug["purged"].pk, by=BY, purge=True)
    lifecycle.rename_organization(by_slug["active"].pk, "Renamed", by=BY)
    mongo["reports_of_somebody_else"].insert_one({})

    result = check()

    assert result.findings == []
    assert result.organizations == 4


def test_what_is_seen_once_only_is_no_finding(mongo, patient, monkeypatch):
    mongo.create_collection("org_half_seen")
    monkeypatch.setattr(
        examination.time, "sleep", lambda seconds: mongo.drop_collection("org_half_seen")
    )

    assert codes() == []


def test_organization_that_an_operation_was_at_during_the_survey_is_left_alone(mongo, patient):
    survey = take_survey()
    survey.traces.clear()
    assert [finding.code for finding in diagnose(survey)] == ["missing_collection"]

    Operation.objects.update(updated_at=timezone.now() + timedelta(minutes=1))
    survey = take_survey()
    survey.traces.clear()

    assert diagnose(survey) == []


def test_number_of_queries_does_not_grow_with_organizations(
    mongo, patient, django_assert_max_num_queries
):
    for number in range(20):
        lifecycle.create_organization(f"Tenant {number}", by=BY)

    with django_assert_max_num_queries(12):
        assert codes() == []


def test_missing_main_is_reported_and_never_made_anew(mongo, patient):
    mongo.drop_collection("org_acme")

    left_alone("missing_collection", "org_acme")

    assert physical(mongo) == []
    assert f'db.getSiblingDB("{mongo.name}").createCollection' in check().findings[0].what


@pytest.mark.parametrize("state", ["suspended", "deleting"])
def test_missing_main_is_reported_in_every_state_that_keeps_data(mongo, patient, state):
    if state == "suspended":
        lifecycle.suspend_organization(patient.pk, by=BY)
    else:
        lifecycle.delete_organization(patient.pk, by=BY)
    mongo.drop_collection("org_acme")

    left_alone("missing_collection", "org_acme")


def test_collection_whose_declaration_was_interrupted_is_made(mongo, patient):
    Collection.objects.create(organization=patient, name="notes")

    mended("missing_collection", "org_acme.notes")

    assert "org_acme.notes" in physical(mongo)


def test_collection_that_has_been_missing_for_long_is_not_made_anew(mongo, patient):
    lifecycle.declare_collection(patient.pk, "notes", by=BY)
    Collection.objects.update(created_at=timezone.now() - timedelta(hours=2))
    mongo.drop_collection("org_acme.notes")

    left_alone("missing_collection", "org_acme.notes")


def test_undeclared_collection_is_declared(mongo, patient):
    mongo["org_acme.notes"].insert_one({"_id": 1})

    mended("undeclared_collection", "org_acme.notes")

    assert Collection.objects.filter(organization=patient, name="notes").exists()
    assert mongo["org_acme.notes"].count_documents({}) == 1


def test_undeclared_collection_with_an_impossible_name_is_left_alone(mongo, patient):
    mongo["org_acme.No Such"].insert_one({})

    left_alone("undeclared_collection", "org_acme.No Such")


def test_undeclared_collection_beyond_the_plan_is_left_alone_with_the_reason(mongo, patient):
    Plan.objects.update(max_collections=1)
    mongo["org_acme.notes"].insert_one({})

    left_alone("undeclared_collection", "org_acme.notes", repairable=True)

    assert check(repair=True).findings[0].reason == "The plan allows 1 collections."


def test_undeclared_collection_of_a_suspended_organization_is_left_alone(mongo, patient):
    lifecycle.suspend_organization(patient.pk, by=BY)
    mongo["org_acme.notes"].insert_one({})

    left_alone("undeclared_collection", "org_acme.notes")


def test_empty_orphan_is_dropped(mongo, patient):
    mongo.create_collection("org_ghost")

    mended("orphan_collection", "org_ghost")

    assert physical(mongo) == ["org_acme"]
    assert not SlugReservation.objects.filter(slug="ghost").exists()
    assert Organization.objects.count() == 1


@pytest.mark.parametrize("name", ["org_ghost", "org_ghost.notes", "org_Odd-Name", "org_g.~stray"])
def test_orphan_with_documents_is_never_dropped(mongo, patient, name):
    mongo[name].insert_one({"_id": "precious"})

    left_alone("orphan_collection", name)

    assert mongo[name].find_one() == {"_id": "precious"}


def test_orphan_that_got_a_document_since_it_was_found_is_kept(mongo, patient):
    mongo.create_collection("org_ghost")
    (finding,) = check().findings
    mongo["org_ghost"].insert_one({"_id": "precious"})

    tried = repairs.attempt_repair(finding, by=BY)

    assert (tried.repaired, tried.reason) == (False, "It holds documents by now.")
    assert mongo["org_ghost"].find_one() == {"_id": "precious"}


def test_orphan_that_gets_a_document_before_the_drop_is_kept(mongo, patient, monkeypatch):
    mongo.create_collection("org_ghost")
    move = fences.move_collection

    def insert_and_move(address, old, new):
        if old == "org_ghost":
            mongo[old].insert_one({"_id": "precious"})
        move(address, old, new)

    monkeypatch.setattr(strays.fences, "move_collection", insert_and_move)

    assert codes(repair=True) == [("orphan_collection", "org_ghost", False)]
    assert physical(mongo) == ["org_acme", "org_ghost"]
    assert mongo["org_ghost"].find_one() == {"_id": "precious"}


def test_orphan_whose_name_is_given_to_somebody_meanwhile_is_kept(mongo, patient):
    mongo.create_collection("org_ghost")
    (finding,) = check().findings
    lifecycle.create_organization("Ghost", by=BY)

    tried = repairs.attempt_repair(finding, by=BY)

    assert (tried.repaired, "taken" in tried.reason) == (False, True)
    assert "org_ghost" in physical(mongo)
    assert codes() == []


def test_name_is_held_while_something_goes_from_there(mongo, patient):
    with holds.unused("org_ghost", None), pytest.raises(NameTaken):
        holds.reserve_slug(patient, "ghost")

    assert not SlugReservation.objects.filter(slug="ghost").exists()


def test_data_of_a_purged_organization_is_dropped_if_empty(mongo, naming):
    acme = lifecycle.create_organization("Acme", by=BY)
    namespace = acme.placement.namespace
    purge(acme)
    mongo.create_collection(namespace)

    mended("data_of_purged", namespace)


def test_documents_of_a_purged_organization_are_reported_and_kept(mongo, naming):
    acme = lifecycle.create_organization("Acme", by=BY)
    namespace = acme.placement.namespace
    purge(acme)
    mongo[namespace].insert_one({"_id": "late"})

    left_alone("data_of_purged", namespace)

    assert check().findings[0].organization == str(acme.pk)
    assert mongo[namespace].count_documents({}) == 1


def test_stray_collection_is_carried_home(mongo, patient):
    rename(patient, "Umbrella")
    mongo["org_acme"].insert_one({"_id": "late"})

    mended("stray_collection", "org_acme")

    assert {row["_id"] for row in mongo["org_umbrella"].find()} == {"kept", "late"}
    assert physical(mongo) == ["org_umbrella"]


def test_stray_collection_is_left_to_the_rename_that_guards_its_name(mongo, patient):
    lifecycle.rename_organization(patient.pk, "Umbrella", by=BY)
    mongo.drop_collection("org_acme")
    mongo["org_acme"].insert_one({"_id": "late"})

    assert codes(repair=True) == []
    finish_everything()

    assert {row["_id"] for row in mongo["org_umbrella"].find()} == {"kept", "late"}


def test_stray_collection_of_a_deleted_organization_is_left_to_its_purge(mongo, patient):
    rename(patient, "Umbrella")
    mongo["org_acme"].insert_one({"_id": "late"})
    lifecycle.delete_organization(patient.pk, by=BY)

    assert codes(repair=True) == []
    assert mongo["org_acme"].count_documents({}) == 1


@pytest.mark.parametrize("aside", ["org_acme.~stray", "org_umbrella.~stray"])
def test_leftover_aside_is_carried_home(mongo, patient, aside):
    rename(patient, "Umbrella")
    mongo[aside].insert_one({"_id": "late"})

    mended("leftover_aside", aside)

    assert {row["_id"] for row in mongo["org_umbrella"].find()} == {"kept", "late"}
    assert physical(mongo) == ["org_umbrella"]


def test_aside_of_a_named_collection_is_carried_to_that_collection(mongo, patient):
    lifecycle.declare_collection(patient.pk, "notes", by=BY)
    mongo["org_acme.notes.~stray"].insert_one({"_id": "late"})

    mended("leftover_aside", "org_acme.notes.~stray")

    assert mongo["org_acme.notes"].find_one({"_id": "late"})


@pytest.mark.parametrize("old", ["org_acme", "org_of_nobody"])
def test_leftover_fence_is_dropped(mongo, patient, old):
    rename(patient, "Umbrella")
    mongo.create_collection(old, viewOn="org_umbrella")

    mended("leftover_fence", old)

    assert mongo["org_umbrella"].count_documents({}) == 1


def test_fence_of_an_open_rename_is_no_finding(mongo, patient):
    lifecycle.rename_organization(patient.pk, "Umbrella", by=BY)
    assert mongo["org_acme"].options() == {"viewOn": "org_umbrella", "pipeline": []}

    assert codes(repair=True) == []
    assert "org_acme" in physical(mongo)


def test_view_that_is_no_fence_is_left_alone(mongo, patient):
    mongo.create_collection("org_acme.report", viewOn="org_acme")

    left_alone("leftover_fence", "org_acme.report")


def test_operation_of_a_dead_runner_is_run(mongo, patient):
    row = begin_rename(patient, lease_owner=NOBODY)

    mended("stuck_operation", f"operation {row.pk}")

    patient.refresh_from_db()
    assert (patient.slug, patient.pause_from) == ("umbrella", None)
    assert mongo["org_umbrella"].count_documents({}) == 1


def test_operation_of_a_live_runner_is_no_finding(mongo, patient):
    begin_rename(patient, not_before=timezone.now() - timedelta(hours=1))

    assert codes(repair=True) == []


@pytest.mark.parametrize(("seconds", "findings"), [(30, 0), (90, 1)])
def test_operation_without_a_runner_is_stuck_a_minute_after_it_was_due(
    mongo, patient, seconds, findings
):
    begin_rename(patient, lease_until=None, not_before=timezone.now() - timedelta(seconds=seconds))

    assert len(codes()) == findings


def test_stuck_operation_that_ends_undone_counts_as_mended(mongo, patient):
    row = begin_rename(patient, lease_owner=NOBODY)
    mongo["org_umbrella"].insert_one({"_id": "foreign"})

    found = codes(repair=True)

    assert ("stuck_operation", f"operation {row.pk}", True) in found
    assert ("orphan_collection", "org_umbrella", False) in found
    row.refresh_from_db()
    assert (row.status, mongo["org_acme"].count_documents({})) == (OperationStatus.FAILED, 1)


def test_operation_of_an_unknown_kind_is_left_alone(mongo, patient):
    row = begin_rename(patient, kind="from_a_later_version", lease_owner=NOBODY)

    left_alone("stuck_operation", f"operation {row.pk}")


def test_stale_pause_is_ended(mongo, patient):
    Organization.objects.update(pause_from=timezone.now())

    mended("stale_pause", "organization acme")

    patient.refresh_from_db()
    assert patient.pause_from is None


def test_pause_of_a_running_rename_is_no_finding(mongo, patient):
    begin_rename(patient)
    Organization.objects.update(pause_from=timezone.now())

    assert codes(repair=True) == []
    patient.refresh_from_db()
    assert patient.pause_from is not None


def test_failed_purge_is_retried(mongo, patient):
    lifecycle.delete_organization(patient.pk, by=BY)
    fail_purge(purge_after=timezone.now() - timedelta(minutes=1))

    mended("failed_purge", "organization acme")
    finish_everything()

    patient.refresh_from_db()
    assert (patient.status, physical(mongo)) == (OrganizationStatus.PURGED, [])


def test_failed_purge_is_not_retried_while_the_organization_can_be_restored(mongo, patient):
    lifecycle.delete_organization(patient.pk, by=BY)
    fail_purge(purge_after=timezone.now() + timedelta(days=1))

    left_alone("failed_purge", "organization acme")

    assert mongo["org_acme"].count_documents({}) == 1


def fail_purge(*, purge_after):
    Organization.objects.update(purge_after=purge_after)
    ended = {"status": OperationStatus.FAILED, "blocking": False, "ended_at": timezone.now()}
    Operation.objects.filter(kind="purge").update(**ended)


def test_creation_that_nobody_will_finish_is_finished(mongo, patient):
    mongo["org_acme"].delete_many({})
    Organization.objects.update(status=OrganizationStatus.PROVISIONING)

    mended("stuck_provisioning", "organization acme")

    patient.refresh_from_db()
    assert patient.status == OrganizationStatus.ACTIVE


def test_unfinished_creation_with_documents_is_left_alone(mongo, patient):
    Organization.objects.update(status=OrganizationStatus.PROVISIONING)

    left_alone("stuck_provisioning", "organization acme")

    assert mongo["org_acme"].count_documents({}) == 1
    assert Organization.objects.count() == 1


def test_cluster_that_cannot_be_reached_is_the_only_finding(settings, monkeypatch, db):
    monkeypatch.setattr(clients, "SERVER_SELECTION_TIMEOUT_MS", 100)
    settings.MONGODB_URI = f"mongodb://127.0.0.1:1/?appName={uuid.uuid4().hex}"

    assert codes(repair=True) == [("cluster_unreachable", "cluster default", False)]


def test_repairs_are_in_the_audit(mongo, patient):
    Organization.objects.update(pause_from=timezone.now())

    check(repair=True)

    event = patient.audit_events.get(action="organization.repaired")
    assert event.actor == BY
    assert event.details == {"finding": "stale_pause"}
