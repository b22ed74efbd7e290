"""An organization keeps an owner, whoever does what at once, on either catalog."""

import json

import pytest

from tests.postgres_catalog import postgres_catalog
from tests.processes import make_deployment

REFUSALS = {
    "done", "last_owner", "permission_denied", "not_found", "token_revoked", "validation_failed",
}  # fmt: skip


@pytest.fixture
def postgres():
    """The URL of a database of its own on a running PostgreSQL."""
    with postgres_catalog() as url:
        yield url


def report(home, client, **environment):
    deployment = make_deployment(home, client, EMAIL_URL="dummymail://", **environment)
    done = deployment.python("from tests.ownership_races import run; print(run())")
    client.drop_database(deployment.tenants)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_rules_held(found):
    owners, departures, founders = found["owners"], found["departures"], found["founders"]
    assert owners["orphans"] == 0
    assert set(owners["outcomes"]) <= REFUSALS
    # Whoever signs in with an account that is just going is told one of these.
    known = REFUSALS | {"invalid_credentials", "revision_conflict", "not_authenticated"}
    assert set(departures["outcomes"]) <= known
    assert founders["owned"] == 20
    assert founders["outcomes"] == {"done": 1, "plan_limit_reached": 5}


def test_owners_at_once_on_sqlite(tmp_path, mongo_client):
    assert_rules_held(report(tmp_path / "owners_sqlite", mongo_client))


@pytest.mark.xdist_group("postgres")
def test_owners_at_once_on_postgresql(tmp_path, mongo_client, postgres):
    assert_rules_held(report(tmp_path / "owners_postgres", mongo_client, DATABASE_URL=postgres))
