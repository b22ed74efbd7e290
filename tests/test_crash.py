"""Kill the process after every step of every operation: a new one finishes it or undoes it."""

import json
import uuid
from pathlib import Path

import pytest

from tenancy.checks import fail_points
from tests.processes import QUICK, Deployment, make_deployment

KILLED = 137

CREATE = "lifecycle.create_organization('Acme', by='command:test')"
RENAME = "lifecycle.rename_organization(o.pk, 'Umbrella', by='command:test')"
PURGE = "lifecycle.delete_organization(o.pk, by='command:test', purge=True)"
ACTS = {"create": CREATE, "rename": RENAME, "delete": PURGE, "purge": PURGE}
# The steps that wait for one operation timeout are run by whoever resumes.
IN_BACKGROUND = {"rename.unfence", "purge.sweep", "purge.erase"}

ACT = """
from tenancy import lifecycle
from tenancy.models import Organization
o = Organization.objects.first()
{act}
"""
RESUME = """
import time
from tenancy import lifecycle
from tenancy.models import Operation
from tenancy.operations import resume_operations
deadline = time.monotonic() + 15
while Operation.objects.open().exists() and time.monotonic() < deadline:
    resume_operations()
    time.sleep(0.05)
"""
STATE = """
import json
from tenancy.models import *
from django.forms.models import model_to_dict
o = Organization.objects.first()
print(json.dumps({
    "name": o and o.name, "status": o and o.status, "paused": bool(o and o.pause_from),
    "open": Operation.objects.open().count(),
    "namespaces": list(Placement.objects.values_list("namespace", flat=True)),
    "reserved": [each.slug for each in SlugReservation.objects.filter(retired_at=None)],
}))
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, mongo_client) -> Path:
    """A migrated catalog, copied by every test."""
    home = tmp_path_factory.mktemp("template")
    make_deployment(home, mongo_client)
    return home / "catalog.sqlite3"


@pytest.fixture(params=["name", "id"])
def deployment(request, tmp_path, template, mongo_client):
    home = tmp_path / uuid.uuid4().hex[:12]
    deployment = make_deployment(
        home, mongo_client, template, TENANCY_NAMING=request.param, **QUICK
    )
    yield deployment
    mongo_client.drop_database(deployment.tenants)


def crash(deployment: Deployment, point: str) -> None:
    """Let a process die at the fail point, in the foreground or in the background."""
    kind = point.partition(".")[0]
    if kind != "create":
        assert deployment.python(ACT.format(act=CREATE)).returncode == 0
        plant_documents(deployment)
    dies_later = point in IN_BACKGROUND
    foreground = {} if dies_later else {"TENANTRY_FAILPOINT": point}
    done = deployment.python(ACT.format(act=ACTS[kind]), **foreground)
    if dies_later:
        assert done.returncode == 0, done.stderr
        done = deployment.python(RESUME, TENANTRY_FAILPOINT=point)
    assert done.returncode == KILLED, (point, done.stderr)


def plant_documents(deployment: Deployment) -> None:
    database = deployment.tenants
    for name in [name for name in database.list_collection_names() if name.startswith("org_")]:
        database[name].insert_many([{"_id": n, "n": n} for n in range(20)])
        database[name].create_index("n")


def state_after_resume(deployment: Deployment) -> dict:
    resumed = deployment.python(RESUME + STATE)
    assert resumed.returncode == 0, resumed.stderr
    return json.loads(resumed.stdout)


def points_of(*kinds: str) -> list[str]:
    found = [point for point in fail_points() if point.partition(".")[0] in kinds]
    return [point for point in found if not point.endswith(".undo")]


BY_NAME = pytest.mark.parametrize("deployment", ["name"], indirect=True)


def test_every_step_of_every_operation_is_tested_here():
    undos = ["create.undo", "rename.undo", "move.undo", "clone.undo"]

    # tests/test_crash_collections.py, test_crash_moves.py and test_crash_clones.py
    elsewhere = points_of("drop_collection", "move", "clone")
    here = points_of("create", "rename", "delete", "purge")
    assert {*here, *undos, *elsewhere} == set(fail_points())


@pytest.mark.parametrize("point", points_of("create"))
def test_creation_is_finished_by_the_next_process(deployment, point):
    crash(deployment, point)

    state = state_after_resume(deployment)

    assert (state["name"], state["status"], state["open"]) == ("Acme", "active", 0)
    assert deployment.physical() == state["namespaces"]
    assert deployment.manage("check_tenants").returncode == 0


# With naming `id` a rename is one catalog transaction: it has no other step.
RENAMES = [("name", point) for point in points_of("rename")] + [("id", "rename.reserve")]


@pytest.mark.parametrize(("deployment", "point"), RENAMES, indirect=["deployment"])
def test_rename_is_finished_by_the_next_process(deployment, point):
    crash(deployment, point)

    state = state_after_resume(deployment)

    assert (state["name"], state["paused"], state["open"]) == ("Umbrella", False, 0)
    assert state["reserved"] == ["umbrella"]
    assert deployment.physical() == state["namespaces"]
    collection = deployment.tenants[state["namespaces"][0]]
    assert collection.count_documents({}) == 20
    assert "n_1" in collection.index_information()
    assert deployment.manage("check_tenants").returncode == 0


@pytest.mark.parametrize("deployment", ["id"], indirect=True)
def test_rename_with_naming_id_has_no_step_after_its_first(deployment):
    assert deployment.python(ACT.format(act=CREATE)).returncode == 0
    before = deployment.physical()

    done = deployment.python(ACT.format(act=RENAME), TENANTRY_FAILPOINT="rename.rename_collections")

    assert done.returncode == 0, done.stderr
    assert deployment.physical() == before
    assert state_after_resume(deployment)["name"] == "Umbrella"


@pytest.mark.parametrize("point", points_of("delete", "purge"))
def test_deletion_is_finished_by_the_next_process(deployment, point):
    crash(deployment, point)

    state = state_after_resume(deployment)

    assert (state["name"], state["status"], state["open"]) == ("", "purged", 0)
    assert (state["namespaces"], state["reserved"]) == ([], [])
    assert deployment.physical() == []
    assert deployment.manage("check_tenants").returncode == 0


def test_kept_documents_are_the_same_ones(deployment):
    crash(deployment, "rename.reserve")
    state = state_after_resume(deployment)

    found = deployment.tenants[state["namespaces"][0]].find().sort("_id")

    assert [document["_id"] for document in found] == list(range(20))


@BY_NAME  # with naming `id` a rename moves nothing that could be undone
def test_undo_of_a_rename_that_was_interrupted_is_finished(deployment):
    assert deployment.python(ACT.format(act=CREATE)).returncode == 0
    plant_documents(deployment)
    deployment.tenants["org_umbrella"].insert_one({"_id": "foreign"})

    done = deployment.python(ACT.format(act=RENAME), TENANTRY_FAILPOINT="rename.undo")

    assert done.returncode == KILLED
    state = state_after_resume(deployment)
    assert (state["name"], state["paused"], state["open"]) == ("Acme", False, 0)
    assert deployment.physical() == ["org_acme", "org_umbrella"]


@BY_NAME  # with naming `id` nothing foreign can lie in the way
def test_undo_of_a_creation_that_was_interrupted_is_finished(deployment):
    deployment.tenants["org_acme"].insert_one({"_id": "foreign"})

    done = deployment.python(ACT.format(act=CREATE), TENANTRY_FAILPOINT="create.undo")

    assert done.returncode == KILLED
    state = state_after_resume(deployment)
    assert (state["name"], state["open"], state["reserved"]) == (None, 0, [])
    assert deployment.tenants["org_acme"].count_documents({}) == 1
