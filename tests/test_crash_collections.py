"""Kill the process between the catalog and MongoDB: a new one finishes what was begun."""

import uuid

import pytest

from tests.processes import QUICK, make_deployment
from tests.test_crash import CREATE, KILLED, RESUME, points_of, template

__all__ = ["template"]

SETUP = f"""
from tenancy import lifecycle
from tenancy.mongo.indexes import IndexSpec
{CREATE}
from tenancy.models import Organization
o = Organization.objects.get()
lifecycle.declare_collection(o.pk, "notes", by="command:test")
"""
BEGIN = """
import os
from tenancy import lifecycle
from tenancy.lifecycle import indexes
from tenancy.models import Organization
from tenancy.mongo.indexes import IndexSpec
o = Organization.objects.get()
"""
DROP = BEGIN + "lifecycle.drop_collection(o.pk, 'notes', by='command:test')\n"
DECLARE = (
    BEGIN
    + """
indexes._build = lambda *_, **__: os._exit(137)
lifecycle.declare_index(o.pk, 'notes', IndexSpec('', (('n', 1),)), by='command:test')
"""
)


@pytest.fixture
def deployment(tmp_path, template, mongo_client):
    home = tmp_path / uuid.uuid4().hex[:12]
    deployment = make_deployment(home, mongo_client, template, **QUICK)
    done = deployment.python(SETUP)
    assert done.returncode == 0, done.stderr
    deployment.tenants["org_acme.notes"].insert_one({"_id": 1, "n": 1})
    yield deployment
    mongo_client.drop_database(deployment.tenants)


@pytest.mark.parametrize("point", points_of("drop_collection"))
def test_a_drop_is_finished_by_the_next_process(deployment, point):
    in_background = point == "drop_collection.sweep"
    foreground = {} if in_background else {"TENANTRY_FAILPOINT": point}
    done = deployment.python(DROP, **foreground)
    if in_background:
        assert done.returncode == 0, done.stderr
        done = deployment.python(RESUME, TENANTRY_FAILPOINT=point)
    assert done.returncode == KILLED, done.stderr

    assert deployment.python(RESUME).returncode == 0

    assert deployment.physical() == ["org_acme"]
    assert deployment.manage("check_tenants").returncode == 0
    assert deployment.json("show_operations", "--open")["total"] == 0


def test_an_index_that_was_declared_and_not_built_is_built_by_the_next_process(deployment):
    assert deployment.python(DECLARE).returncode == KILLED
    assert "n_1" not in deployment.tenants["org_acme.notes"].index_information()

    (found,) = deployment.json("check_tenants")["findings"]
    assert (found["code"], found["organization"]) == ("missing_index", "acme")
    assert deployment.manage("check_tenants", "--repair").returncode == 0

    assert "n_1" in deployment.tenants["org_acme.notes"].index_information()
    assert deployment.manage("check_tenants").returncode == 0
