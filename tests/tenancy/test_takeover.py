"""A runner that slept while another took over does no harm; a step that fails loses nothing."""

import threading
from dataclasses import replace

import pytest
from django.db import connection

from tenancy import catalog, lifecycle, operations
from tenancy.access import with_collection
from tenancy.doctor import check_tenants
from tenancy.exceptions import (
    ClusterUnavailable,
    Defect,
    NameTaken,
    NotDeleted,
    OperationRunning,
    TenancyError,
)
from tenancy.journal import KINDS
from tenancy.models import Operation, Organization
from tenancy.mongo import provisioning
from tenancy.operations import resume_operations
from tests.conftest import ACTOR, Cast

pytestmark = pytest.mark.usefixtures("quick")

SECONDS = 10
RENAME_STEPS = [step.name for step in KINDS["rename"].steps[1:]]
IN_FRONT = [name for name in RENAME_STEPS if name != "unfence"]


@pytest.fixture
def documents(acme, mongo):
    mongo["org_acme"].insert_many([{"_id": n} for n in range(5)])
    mongo["org_acme"].create_index("n")
    return [*range(5)]


def change_step(monkeypatch, kind: str, name: str, change) -> None:
    """Put `change(run, the step's own function)` in the place of a step's function."""
    steps = [
        replace(step, run=lambda run, own=step.run: change(run, own)) if step.name == name else step
        for step in KINDS[kind].steps
    ]
    monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], steps=tuple(steps)))


def run_everything() -> None:
    """Run all that is open, whenever it is due."""
    for _ in range(4):
        Operation.objects.open().update(not_before="2000-01-01T00:00:00Z")
        resume_operations()


def assert_whole(acme: Cast, mongo, documents) -> None:
    """Every document is served, nothing waits, nothing is left over."""
    catalog.clear_cache()
    page = with_collection(
        acme.id, "main", lambda collection: collection.list_page(limit=100), by=ACTOR
    )
    assert [document["_id"] for document in page.documents] == documents
    namespace = catalog.get_tenant(acme.id).address.namespace
    assert "n_1" in mongo[namespace].index_information()
    assert check_tenants(by=ACTOR, repair=False).findings == []


class Sleeper:
    """A runner in a thread that falls asleep at the beginning of a step."""

    def __init__(self, act) -> None:
        self.asleep, self.wake, self.error = threading.Event(), threading.Event(), None
        self._act = act
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._act()
        except TenancyError as error:
            self.error = error
        finally:
            connection.close()

    def sleep(self, run, own) -> None:
        """Be the step: sleep, once, for longer than the lease."""
        if threading.current_thread() is self._thread and not self.asleep.is_set():
            self.asleep.set()
            assert self.wake.wait(SECONDS)
            run.lease_ends = 0  # what its clock says when it wakes up
        own(run)

    def start(self) -> None:
        self._thread.start()
        assert self.asleep.wait(SECONDS)
        Operation.objects.open().update(lease_until="2000-01-01T00:00:00Z")

    def end(self) -> None:
        self.wake.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@pytest.mark.parametrize("and_back", [False, True], ids=["stays", "and-back"])
@pytest.mark.parametrize("step", IN_FRONT)
def test_rename_that_slept_in_a_step_does_no_harm(
    acme, mongo, documents, monkeypatch, step, and_back
):
    sleeper = Sleeper(lambda: lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR))
    change_step(monkeypatch, "rename", step, sleeper.sleep)
    sleeper.start()
    run_everything()
    assert Organization.objects.get(pk=acme.id).name == "Umbrella"
    if and_back:
        lifecycle.rename_organization(acme.id, "Acme", by=ACTOR)

    sleeper.end()

    assert isinstance(sleeper.error, OperationRunning)
    run_everything()
    assert_whole(acme, mongo, documents)


def test_return_that_slept_before_its_pause_does_not_move_live_data(
    acme, mongo, documents, monkeypatch
):
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    run_everything()
    sleeper = Sleeper(lambda: lifecycle.rename_organization(acme.id, "Acme", by=ACTOR))
    change_step(monkeypatch, "rename", "pause", sleeper.sleep)
    sleeper.start()
    run_everything()

    sleeper.end()

    assert isinstance(sleeper.error, OperationRunning)
    assert_whole(acme, mongo, documents)


def test_unfencing_that_slept_does_not_drop_a_collection_that_came_back(
    acme, mongo, documents, monkeypatch
):
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    Operation.objects.open().update(not_before="2000-01-01T00:00:00Z")
    sleeper = Sleeper(resume_operations)
    change_step(monkeypatch, "rename", "unfence", sleeper.sleep)
    sleeper.start()
    lifecycle.rename_organization(acme.id, "Acme", by=ACTOR)

    sleeper.end()

    run_everything()
    assert_whole(acme, mongo, documents)


@pytest.mark.parametrize("after_its_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", RENAME_STEPS)
def test_rename_whose_step_fails_three_times_loses_nothing(
    acme, mongo, documents, monkeypatch, step, after_its_effect
):
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", (0, 0))

    def fail(run, own):
        if after_its_effect:
            own(run)
        raise Defect

    with monkeypatch.context() as broken:
        change_step(broken, "rename", step, fail)
        try:
            lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
        except Defect:
            assert step != "unfence"
        run_everything()

    run_everything()

    assert not Operation.objects.open().exists()
    mended = check_tenants(by=ACTOR, repair=True)
    assert all(finding.repaired for finding in mended.findings), mended.findings
    assert_whole(acme, mongo, documents)


def test_unfencing_without_a_cluster_is_put_off_and_not_undone(acme, mongo, documents, monkeypatch):
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", (0, 0))
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    with monkeypatch.context() as down:
        down.setattr(provisioning, "list_namespace", _unreachable)
        run_everything()

    waiting = Operation.objects.get(kind="rename")

    assert (waiting.status, waiting.undoing, waiting.step) == ("pending", False, "switch")
    run_everything()
    assert_whole(acme, mongo, documents)


def _unreachable(*_):
    raise ClusterUnavailable


def test_purge_that_began_to_drop_cannot_be_restored(acme, mongo, documents, monkeypatch):
    lifecycle.delete_organization(acme.id, by=ACTOR)
    Operation.objects.open().update(not_before="2000-01-01T00:00:00Z")
    monkeypatch.setattr(provisioning, "drop_namespace", _die)
    with pytest.raises(SystemExit):
        resume_operations()
    Operation.objects.open().update(lease_until="2000-01-01T00:00:00Z")

    with pytest.raises(NotDeleted):
        lifecycle.restore_organization(acme.id, by=ACTOR)


def _die(*_):
    raise SystemExit


def test_purge_that_slept_drops_nothing_of_a_restored_organization(
    acme, mongo, documents, monkeypatch
):
    lifecycle.delete_organization(acme.id, by=ACTOR)
    Operation.objects.open().update(not_before="2000-01-01T00:00:00Z")
    sleeper = Sleeper(resume_operations)
    change_step(monkeypatch, "purge", "drop", sleeper.sleep)
    sleeper.start()
    lifecycle.restore_organization(acme.id, by=ACTOR)

    sleeper.end()

    assert_whole(acme, mongo, documents)


def test_undone_return_leaves_the_fences_of_the_rename_before_to_be_removed(
    acme, mongo, documents, monkeypatch
):
    monkeypatch.setattr(operations, "RETRY_DELAYS_SECONDS", (0, 0))
    lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)
    with monkeypatch.context() as broken:
        change_step(broken, "rename", "pause", lambda run, own: _unreachable())
        with pytest.raises(ClusterUnavailable):
            lifecycle.rename_organization(acme.id, "Acme", by=ACTOR)

    run_everything()

    assert Organization.objects.get(pk=acme.id).name == "Umbrella"
    assert_whole(acme, mongo, documents)


def test_rename_does_not_take_a_place_where_foreign_collections_lie(acme, mongo, documents):
    mongo["org_umbrella.Orders"].insert_one({"_id": "foreign"})

    with pytest.raises(NameTaken):
        lifecycle.rename_organization(acme.id, "Umbrella", by=ACTOR)

    assert mongo["org_umbrella.Orders"].count_documents({}) == 1
    assert Organization.objects.get(pk=acme.id).name == "Acme"


def test_purge_finds_what_an_earlier_way_of_naming_left(mongo, settings):
    settings.TENANCY_NAMING = "id"
    organization = lifecycle.create_organization("Acme", by=ACTOR)
    settings.TENANCY_NAMING = "name"
    lifecycle.rename_organization(organization.pk, "Umbrella", by=ACTOR)

    lifecycle.delete_organization(organization.pk, by=ACTOR, purge=True)
    run_everything()

    assert [name for name in mongo.list_collection_names() if name.startswith("org_")] == []
