"""Events from before there were chains get theirs when the catalog is migrated."""

import json

import pytest

from tests.postgres_catalog import postgres_catalog
from tests.processes import make_deployment

BEFORE = "0003_pause_until"
# As many as an old catalog may hold of one organization, of another, and of the service.
MAKE = """
import json
from django.db import connection
from tenancy import lifecycle
first = lifecycle.create_organization("First", by="command:test")
lifecycle.create_organization("Second", by="command:test")
lifecycle.rename_organization(first.pk, "Renamed", by="user:x")
"""
INSERT = """
import datetime, json
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
app = ("tenancy", "0003_pause_until")
apps = MigrationExecutor(connection).loader.project_state([app]).apps
events, organizations = (apps.get_model("tenancy", n) for n in ("AuditEvent", "Organization"))
nested = {"b": [1, {"z": None, "a": [True, 2.5, "ü✓"]}], "a": {}, "large": 2**60}
for number in range(30):
    whose = [None, *organizations.objects.order_by("slug")][number % 3]
    events.objects.create(organization=whose, action="old.act", actor="user:y", details=nested)
moment = datetime.datetime(2025, 1, 1, 12, tzinfo=datetime.timezone.utc)  # without a fraction
events.objects.filter(pk__lte=events.objects.order_by("pk")[5].pk).update(at=moment)
print(events.objects.count())
"""


def migrate_there_and_back(home, client, **environment):
    deployment = make_deployment(home, client, **environment)
    assert deployment.python(MAKE).returncode == 0
    back = deployment.manage("migrate", "tenancy", BEFORE, "--verbosity=0")
    assert back.returncode == 0, back.stderr
    inserted = deployment.python(INSERT)
    assert inserted.returncode == 0, inserted.stderr
    forward = deployment.manage("migrate", "--verbosity=0")
    assert forward.returncode == 0, forward.stderr
    client.drop_database(deployment.tenants)
    return int(inserted.stdout), deployment


def assert_all_are_chained(count, deployment):
    verified = deployment.manage("verify_audit", "--json")
    assert verified.returncode == 0, verified.stdout
    chains = json.loads(verified.stdout)["chains"]
    assert {chain["organization"] for chain in chains} == {None, "renamed", "second"}
    assert sum(chain["events"] for chain in chains) == count >= 33


def test_old_events_are_chained_on_sqlite(tmp_path, mongo_client):
    count, deployment = migrate_there_and_back(tmp_path / "old_sqlite", mongo_client)

    assert_all_are_chained(count, deployment)
    tampered = "from django.db import connection as c; c.cursor().execute({!r})".format(
        "UPDATE tenancy_auditevent SET actor = 'user:z' WHERE chain = 'service' AND sequence = 2"
    )
    assert deployment.python(tampered).returncode == 0
    found = deployment.manage("verify_audit")
    assert found.returncode == 1
    assert "service: CHANGED at sequence 2, id" in found.stdout


@pytest.mark.xdist_group("postgres")
def test_old_events_are_chained_on_postgresql(tmp_path, mongo_client):
    with postgres_catalog() as url:
        assert_all_are_chained(
            *migrate_there_and_back(tmp_path / "old_postgres", mongo_client, DATABASE_URL=url)
        )
