"""A chain holds, however many write to it at once, on either catalog."""

import json

import pytest

from tests.audit_races import THREADS
from tests.postgres_catalog import postgres_catalog
from tests.processes import make_deployment

EVENTS = 20


def race(home, client, **environment):
    deployment = make_deployment(home, client, **environment)
    done = deployment.python(f"from tests.audit_races import run; print(run({EVENTS}))")
    verified = deployment.manage("verify_audit")
    client.drop_database(deployment.tenants)
    assert done.returncode == 0, done.stderr
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return json.loads(done.stdout)


def assert_all_are_chained(report):
    assert report["failures"] == []
    assert report["recorded"] == EVENTS * THREADS * 3 // 2
    assert report["whole"] == [True, True]
    assert report["events"] == [1 + EVENTS * THREADS, 1 + EVENTS * THREADS // 2]


def test_16_threads_write_one_chain_on_sqlite(tmp_path, mongo_client):
    assert_all_are_chained(race(tmp_path / "audit_sqlite", mongo_client))


@pytest.mark.xdist_group("postgres")
def test_16_threads_write_one_chain_on_postgresql(tmp_path, mongo_client):
    with postgres_catalog() as url:
        assert_all_are_chained(race(tmp_path / "audit_postgres", mongo_client, DATABASE_URL=url))


@pytest.mark.xdist_group("postgres")
def test_what_postgresql_gives_back_is_what_was_hashed(tmp_path, mongo_client):
    odd = "[1e16, 1.5e300, 1e-7, -0.0, 0.1, 1.0, float('nan'), 2**70, 'a\\x00b', 'ü✓🙂', {'b': 1}]"
    code = f"""
from tenancy.audit import record_event
from tenancy.context import Origin, origin_context
for address in ("203.0.113.7", "::ffff:203.0.113.7", "2001:db8::1", "fe80::1%eth0", None):
    with origin_context(Origin("r", address)):
        record_event(None, "thing.done", by="command:test", odd={odd})
"""
    with postgres_catalog() as url:
        deployment = make_deployment(tmp_path / "audit_values", mongo_client, DATABASE_URL=url)
        assert deployment.python(code).returncode == 0
        verified = deployment.json("verify_audit", "--service")

    assert verified["broken"] == 0
    assert verified["chains"][0]["events"] == 5
