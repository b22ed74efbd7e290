"""Acts of one organization wait for each other in one order, on either catalog."""

import json

import pytest

from tests.postgres_catalog import postgres_catalog
from tests.processes import QUICK, make_deployment


def broken(home, client, **environment):
    environment = {**QUICK, "EMAIL_URL": "dummymail://", "RATE_LIMITS": "off", **environment}
    deployment = make_deployment(home, client, TENANCY_NAMING="id", **environment)
    done = deployment.python("from tests.deadlocks import run; print(run())")
    client.drop_database(deployment.tenants)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.xdist_group("postgres")
def test_everyday_acts_at_once_do_not_lock_each_other_out_on_postgresql(tmp_path, mongo_client):
    with postgres_catalog() as url:
        assert broken(tmp_path / "deadlocks", mongo_client, DATABASE_URL=url) == {}
