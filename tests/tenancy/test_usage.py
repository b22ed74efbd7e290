"""What organizations use is counted along with writes, by any number of processes."""

import json
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError

from tenancy import catalog, measurement, usage
from tenancy.access import with_collection
from tenancy.management import worker
from tenancy.models import Organization, Usage
from tenancy.usage import Counter, Used
from tests.conftest import ACTOR
from tests.forks import ROOT
from tests.http import DOCUMENTS, document_url, send
from tests.placements import place
from tests.processes import make_deployment


def written(cast):
    """Return what the catalog says once everything counted here is in it."""
    usage.flush()
    return Usage.objects.filter(pk=cast.id).values_list("documents", "bytes").first() or (0, 0)


def stored_bytes(mongo, name="org_acme"):
    """Return the bytes of the fields of all documents, computed by MongoDB."""
    fields = [{"$unset": "_meta"}, {"$group": {"_id": 0, "n": {"$sum": {"$bsonSize": "$$ROOT"}}}}]
    found = list(mongo[name].aggregate(fields))
    return found[0]["n"] if found else 0


@pytest.fixture(autouse=True)
def no_thread(monkeypatch):
    """Nothing is flushed but by the test."""
    monkeypatch.setattr(Counter, "_start", lambda self: None)


def test_every_kind_of_write_is_counted(acme, alice, mongo):
    send(alice, "POST", DOCUMENTS, {"text": "x" * 100})
    send(alice, "PUT", document_url("a"), {"text": "x" * 10})
    send(alice, "PUT", document_url("a"), {"text": "x" * 500})
    send(alice, "PATCH", document_url("a"), {"more": "y" * 50})
    send(alice, "PUT", document_url("b"), {"n": 1})
    alice.delete(document_url("b"))
    with_collection(acme.id, "main", lambda there: there.insert_many([{"n": 1}] * 3), by=ACTOR)

    assert written(acme) == (5, stored_bytes(mongo))


def test_what_changes_nothing_counts_nothing(acme, alice, mongo):
    send(alice, "PUT", document_url("a"), {"n": 1})
    before = written(acme)

    send(alice, "PUT", document_url("a"), {"n": 2})
    send(alice, "PUT", document_url("a"), {}, If_None_Match="*")
    alice.delete(document_url("nothing"))
    alice.get(document_url("a"))

    assert written(acme) == before


def test_many_threads_lose_nothing(acme):
    barrier = threading.Barrier(8)

    def count(_):
        barrier.wait()
        for _ in range(2_000):
            usage.record_change(acme.id, 1, 3)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))

    assert written(acme) == (16_000, 48_000)


def test_changes_that_come_while_others_are_written_are_kept(acme, monkeypatch):
    usage.record_change(acme.id, 1, 10)
    real = usage._write

    def write(changes):
        usage.record_change(acme.id, 2, 20)
        real(changes)

    monkeypatch.setattr(usage, "_write", write)
    usage.flush()
    monkeypatch.setattr(usage, "_write", real)

    assert written(acme) == (3, 30)


def test_what_the_catalog_does_not_take_is_kept_for_the_next_time(acme, monkeypatch):
    def fail(changes):
        usage.record_change(acme.id, 2, 20)
        raise DatabaseError

    usage.record_change(acme.id, 1, 10)
    monkeypatch.setattr(usage, "_write", fail)
    with pytest.raises(DatabaseError):
        usage.flush()
    monkeypatch.undo()

    assert written(acme) == (3, 30)


def test_an_organization_that_is_gone_holds_up_nobody(acme):
    usage.record_change(uuid.uuid4(), 1, 1)
    usage.record_change(acme.id, 1, 1)

    assert written(acme) == (1, 1)


def test_memory_is_bounded_while_the_catalog_is_away(monkeypatch):
    monkeypatch.setattr(usage, "ENTRIES_MAX", 5)
    counter = Counter()

    for number in range(50):
        counter.add(uuid.UUID(int=number), Used(1, 1))
        counter.add(uuid.UUID(int=0), Used(1, 1))

    assert len(counter._changes) == 5
    assert counter.since(uuid.UUID(int=0), 0.0) == Used(51, 51)


# --- several processes

WRITES = """
import sys
from tenancy import access
from tenancy.models import Organization
o = Organization.objects.get()
for number in range(int(sys.argv[1])):
    access.with_collection(o.pk, "main", lambda c: c.insert({"n": "x" * 10}), by="command:test")
"""


def test_several_processes_at_once_lose_nothing(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path / uuid.uuid4().hex[:12], mongo_client)
    deployment.python(
        "from tenancy import lifecycle\nlifecycle.create_organization('Acme', by='command:test')"
    )
    code = "import django; django.setup()\n" + WRITES
    children = [
        subprocess.Popen([sys.executable, "-c", code, "150"], cwd=ROOT, env=deployment.environment)
        for _ in range(4)
    ]

    assert [child.wait(60) for child in children] == [0, 0, 0, 0]

    shown = deployment.python("from tenancy.models import Usage\nprint(Usage.objects.get())")
    assert shown.stdout.strip() == f"600 documents, {stored_bytes(deployment.tenants)} bytes"
    mongo_client.drop_database(deployment.tenants)


def test_a_forked_child_does_not_write_what_its_parent_has_counted(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path / uuid.uuid4().hex[:12], mongo_client)
    done = deployment.python(
        "import multiprocessing as m\n"
        "from tenancy import lifecycle, usage\n"
        "from tenancy.models import Usage\n"
        "o = lifecycle.create_organization('Acme', by='command:test')\n"
        "usage.record_change(o.pk, 1, 10)\n"
        "def child(): usage.record_change(o.pk, 2, 20)\n"
        "from django.db import connections; connections.close_all()\n"
        "p = m.get_context('fork').Process(target=child); p.start(); p.join()\n"
        "assert p.exitcode == 0\n"
        "usage.flush(); print(Usage.objects.get())"
    )

    assert done.stdout.strip() == "3 documents, 30 bytes", done.stderr
    mongo_client.drop_database(deployment.tenants)


# --- limits


def limit(cast, **limits):
    plan = Organization.objects.get(pk=cast.id).plan
    for name, value in limits.items():
        setattr(plan, name, value)
    plan.save()
    catalog.forget_tenant(cast.id)


def refused_at(answer, name):
    body = answer.json()
    assert (answer.status_code, body["code"], body["name"]) == (403, "plan_limit_reached", name)
    return body


def test_one_document_more_than_the_plan_allows_is_refused(acme, alice, mongo):
    limit(acme, max_documents=3)
    for number in range(3):
        assert send(alice, "POST", DOCUMENTS, {"n": number}).status_code == 201

    for method, path, headers in (
        ("POST", DOCUMENTS, {}),
        ("PUT", document_url("new"), {}),
        ("PUT", document_url("new"), {"If_None_Match": "*"}),
    ):
        body = refused_at(send(alice, method, path, {"n": 1}, **headers), "documents")
        assert (body["limit"], body["used"]) == (3, 3)
    assert mongo["org_acme"].count_documents({}) == 3


def test_what_makes_nothing_more_is_allowed_at_the_limit(acme, alice, mongo):
    limit(acme, max_documents=1)
    send(alice, "PUT", document_url("a"), {"n": 1})

    assert send(alice, "PUT", document_url("a"), {"n": "longer"}).status_code == 200
    assert send(alice, "PATCH", document_url("a"), {"m": 2}).status_code == 200
    assert alice.delete(document_url("a")).status_code == 204
    assert send(alice, "PUT", document_url("b"), {"n": 1}).status_code == 201


def test_bytes_are_limited_and_what_shrinks_is_allowed(acme, alice, mongo):
    limit(acme, max_bytes=1_000)
    assert send(alice, "PUT", document_url("a"), {"text": "x" * 800}).status_code == 201

    refused_at(send(alice, "PUT", document_url("b"), {"text": "x" * 400}), "bytes")
    refused_at(send(alice, "POST", DOCUMENTS, {"text": "x" * 400}), "bytes")
    refused_at(send(alice, "PUT", document_url("a"), {"text": "x" * 1_200}), "bytes")
    refused_at(send(alice, "PATCH", document_url("a"), {"more": "x" * 400}), "bytes")
    limit(acme, max_bytes=500)  # the plan has become smaller than what is there
    assert send(alice, "PATCH", document_url("a"), {"text": "x" * 790}).status_code == 200
    assert send(alice, "PUT", document_url("a"), {"text": "x" * 780}).status_code == 200
    assert alice.get(document_url("a")).status_code == 200
    assert alice.delete(document_url("a")).status_code == 204


def test_a_batch_that_has_no_room_is_refused_as_a_whole(acme, mongo):
    limit(acme, max_documents=5)

    with pytest.raises(Exception, match="allows 5 documents"):
        with_collection(acme.id, "main", lambda c: c.insert_many([{"n": 1}] * 6), by=ACTOR)

    assert mongo["org_acme"].count_documents({}) == 0


def test_the_limit_counts_what_was_flushed_since_the_tenant_was_read(acme, alice, settings):
    settings.TENANCY_CATALOG_TTL = 60
    limit(acme, max_documents=2)
    for _ in range(2):
        send(alice, "POST", DOCUMENTS, {})
    usage.flush()

    refused_at(send(alice, "POST", DOCUMENTS, {}), "documents")


def test_what_one_organization_uses_is_not_held_against_another(acme, globex, alice, charlie):
    limit(acme, max_documents=1)  # one plan for both

    for client in (alice, charlie):
        assert send(client, "PUT", document_url("a"), {}).status_code == 201


# --- measurement


@pytest.mark.parametrize("kind", ["collection", "shared"])
def test_a_measurement_agrees_with_what_was_counted(acme, globex, alice, charlie, mongo, kind):
    place(acme.organization, kind)
    place(globex.organization, kind)
    for number in range(20):
        send(alice, "PUT", document_url(f"{number}"), {"text": "x" * number})
        send(alice, "PUT", document_url(f"{number}", "notes"), {"n": number})
    send(charlie, "PUT", document_url("c"), {"n": 1})
    counted = written(acme)
    Usage.objects.filter(pk=acme.id).update(documents=0, bytes=0)

    found = measurement.measure_usage(acme.id)

    assert (found.documents, found.bytes) == written(acme) == counted
    assert measurement.measure_usage(globex.id).documents == 1


def test_an_organization_without_documents_uses_nothing(acme):
    assert measurement.measure_usage(acme.id) == measurement.NOTHING
    assert Usage.objects.get(pk=acme.id).measured_at is not None


def test_the_one_not_measured_for_the_longest_time_comes_first(acme, globex, monkeypatch):
    measurement.measure_usage(acme.id)
    monkeypatch.setattr(measurement, "CANDIDATES", 1)

    assert measurement.least_recently_measured(3) == [globex.id]
    measurement.measure_usage(globex.id)
    assert measurement.least_recently_measured(3) == [acme.id]


def test_the_organization_tells_what_it_uses(acme, vera, alice):
    limit(acme, max_documents=10)
    send(alice, "PUT", document_url("a"), {"n": 1})

    body = vera.get("/api/v1/organization/usage").json()

    assert (body["documents"], body["limits"]["documents"]) == (1, 10)
    assert vera.get("/api/v1/organization").json()["usage"]["documents"] == 1


def test_the_worker_and_the_command_measure(acme, globex, alice, capsys):
    send(alice, "PUT", document_url("a"), {"n": 1})

    worker.measure_some()
    assert set(Usage.objects.values_list("documents", flat=True)) == {0, 1}

    call_command("measure_usage", as_json=True)
    rows = json.loads(capsys.readouterr().out)["usage"]
    assert [(row["organization"], row["documents"]) for row in rows] == [("acme", 1), ("globex", 0)]
    call_command("measure_usage", "acme")
    assert "globex" not in capsys.readouterr().out
    with pytest.raises(CommandError):
        call_command("measure_usage", "nobody")
