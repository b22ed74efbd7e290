"""Kill a repair in the middle, anywhere: nothing is lost, and the next one goes on."""

import json
import time
import uuid

import pytest
from bson import Binary

from tests.processes import QUICK, make_deployment
from tests.test_crash import CREATE, KILLED, RESUME, template

__all__ = ["template"]
pytestmark = pytest.mark.needs_mongod

LATE = 130  # more than are carried in one go
MOVE = "\nlifecycle.move_organization(o.pk, '{kind}', by='command:test')\n" + RESUME
SETUP = f"""
from tenancy import lifecycle
from tenancy.models import Organization
{CREATE}
o = Organization.objects.get()
"""
REPAIR = """
import json, os
from dataclasses import asdict
from tenancy.mongo import strays
{patch}
from tenancy.doctor import check_tenants
found = check_tenants(by="command:test", repair={repair})
print(json.dumps([(each.code, each.repaired, each.reason) for each in found.findings]))
"""
HOME = """
import json
from tenancy.access import with_collection
from tenancy.models import Organization
o = Organization.objects.get()
page = with_collection(o.pk, "main", lambda each: each.list_page(limit=1000), by="command:test")
print(json.dumps({each["_id"]: each["n"] for each in page.documents}))
"""
LEFTOVER = """
from django.utils import timezone
from tenancy.models import Operation, Organization
o = Organization.objects.get()
ended = timezone.now()
target = {"kind": "database", "cluster": "default", "namespace": f"org_{o.pk.hex}"}
Operation.objects.create(organization=o, kind="move", status="failed", blocking=False,
    params={"source": {}, "target": target}, state={"leftover": True}, not_before=ended,
    ended_at=ended, by="command:test")
print(target["namespace"])
"""
DIES_AT_THE_DROP = "strays.drop_physical = lambda *_: os._exit(137)"


@pytest.fixture
def deployment(tmp_path, template, mongo_client):
    home = tmp_path / uuid.uuid4().hex[:12]
    deployment = make_deployment(home, mongo_client, template, TENANCY_NAMING="id", **QUICK)
    yield deployment
    names = mongo_client.list_database_names()
    (organization,) = _run(deployment, "from tenancy.models import Organization\nprint(json.dumps("
                           "[each.pk.hex for each in Organization.objects.all()]))")  # fmt: skip
    for name in {f"org_{organization}", deployment.tenants.name} & set(names):
        mongo_client.drop_database(name)


def _run(deployment, code):
    done = deployment.python("import json\n" + code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def repair(deployment, *, repair=True):
    return _run(deployment, REPAIR.format(patch="", repair=repair))


def late(number, _id):
    return {"_id": _id, "n": number, "_meta": {"rev": 1, "updated_at": _now()}}


def _now():
    from bson.datetime_ms import DatetimeMS

    return DatetimeMS(time.time_ns() // 1_000_000)


def moved_with_strays(deployment, route):
    """Move acme along the route, and write where it lived before its last move."""
    done = deployment.python(SETUP + "".join(MOVE.format(kind=kind) for kind in route))
    assert done.returncode == 0, done.stderr
    organization = _run(
        deployment,
        "from tenancy.models import Organization\n"
        "print(json.dumps(Organization.objects.get().pk.hex))",
    )
    if route[-2] == "shared":
        owner = Binary(bytes.fromhex(organization), 4)
        strays = deployment.tenants["shared"]
        keys = [{"o": owner, "c": "main", "k": f"late {n}"} for n in range(LATE)]
    else:
        strays = deployment.tenants.client[f"org_{organization}"]["main"]
        keys = [f"late {n}" for n in range(LATE)]
    strays.insert_many([late(n, key) for n, key in enumerate(keys)])
    return strays


@pytest.mark.parametrize("route", [("shared", "database"), ("database", "shared")], ids="-".join)
def test_late_writes_survive_a_repair_that_dies_anywhere(deployment, route):
    strays = moved_with_strays(deployment, route)
    everything = {f"late {n}": n for n in range(LATE)}
    points = ["repair.carried", "repair.removed", "repair.carried", "repair.emptied"]

    for point in points:
        done = deployment.python(
            REPAIR.format(patch="", repair=True), TENANTRY_FAILPOINT=point
        )  # fmt: skip
        assert done.returncode == KILLED, (point, done.stderr)
        assert len(_run(deployment, HOME)) + strays.count_documents({}) >= LATE
        if route[0] == "shared" and point == "repair.emptied":
            break
        if point == "repair.emptied":  # only the empty collection is left
            patch = REPAIR.format(patch=DIES_AT_THE_DROP, repair=True)
            assert deployment.python(patch).returncode == KILLED

    repair(deployment)
    assert repair(deployment, repair=False) == []
    assert _run(deployment, HOME) == everything


def test_a_leftover_copy_whose_repair_dies_is_removed_by_the_next(deployment, mongo_client):
    assert deployment.python(SETUP).returncode == 0
    namespace = deployment.python(LEFTOVER).stdout.strip()
    mongo_client[namespace]["main"].insert_one({"_id": "copied"})
    mongo_client[namespace]["notes"].insert_one({"_id": "copied"})
    assert [code for code, _, _ in repair(deployment, repair=False)] == ["leftover_copy"]

    killed = REPAIR.format(patch="", repair=True)
    done = deployment.python(killed, TENANTRY_FAILPOINT="repair.dropped")
    assert done.returncode == KILLED, done.stderr

    assert repair(deployment) == []
    assert namespace not in mongo_client.list_database_names()
