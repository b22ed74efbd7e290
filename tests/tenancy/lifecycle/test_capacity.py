"""No cluster is filled up until it dies: what would be too much is refused before."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.db import connections

from accounts.models import Membership, User
from benchmarks.local_processes import start_mongod
from tenancy import lifecycle
from tenancy.access import with_collection
from tenancy.exceptions import ClusterFull, ClusterUnavailable
from tenancy.lifecycle import capacity
from tenancy.lifecycle.capacity import (
    FILES_IN_RESERVE,
    Capacity,
    assert_capacity,
    capacity_of,
    forget_loads,
)
from tenancy.models import Cluster, Operation, Organization
from tenancy.mongo import embedded
from tenancy.mongo.cluster_probe import Load
from tests.conftest import ACTOR, PASSWORD

pytestmark = [pytest.mark.needs_mongod, pytest.mark.usefixtures("quick", "mongo")]

FILES_OF_A_TENANT = 2
TENANTS = 20
OPEN_FILES = 600  # the reserve, its own, some connections, and some tenants


@pytest.fixture
def cluster(mongo):
    return Cluster.objects.create(alias="default", ceiling=10)


@pytest.fixture
def load(monkeypatch):
    """What a measurement finds; `measured` counts them."""
    found = {"load": Load(0, 0), "measured": 0}

    def measure(uri):
        found["measured"] += 1
        if isinstance(found["load"], Exception):
            raise found["load"]
        return found["load"]

    monkeypatch.setattr(capacity, "measure_load", measure)
    return found


def until_full(call, times):
    """Call with 0, 1, 2... and return the answers before ClusterFull, which must come."""
    answers = []
    for number in range(times):
        try:
            answers.append(call(number))
        except ClusterFull:
            return answers
    pytest.fail("it was never full")


@pytest.mark.parametrize(
    ("found", "more", "fits"),
    [
        (Capacity(8, 10), 2, True),
        (Capacity(8, 10), 3, False),
        (Capacity(8, 10_000, 998, 1_000), 1, True),
        (Capacity(8, 10_000, 998, 1_000), 2, False),
        (Capacity(8, 10_000, 998, None), 2, True),
    ],
)
def test_room_is_below_the_ceiling_and_the_limit_of_open_files(found, more, fits):
    assert found.has_room(more) is fits


def test_connections_and_a_reserve_count_as_files(cluster, load):
    load["load"] = Load(3, 4, internal_files=36, connections=10, max_open_files=1_000)

    found = capacity_of(cluster)

    assert (found.used, found.files) == (7, 7 + 36 + 2 * 10 + FILES_IN_RESERVE)
    assert found.share == pytest.approx(0.7)


def test_what_was_promised_counts_until_it_is_measured(cluster, load, monkeypatch):
    for _ in range(5):
        assert_capacity(cluster, 1, 1)
    with pytest.raises(ClusterFull):
        assert_capacity(cluster, 1, 0)
    assert load["measured"] == 1

    monkeypatch.setattr(capacity, "LOAD_SECONDS", 0.0)
    monkeypatch.setattr(capacity, "UNSEEN_SECONDS", 0.0)
    assert_capacity(cluster, 1, 1)  # nothing was made of the promises


def test_nothing_more_always_fits(cluster, load):
    load["load"] = ClusterUnavailable()

    assert_capacity(cluster, 0, 0)
    with pytest.raises(ClusterUnavailable):
        assert_capacity(cluster, 1, 0)


def test_of_many_at_once_as_many_get_room_as_there_is(cluster, load):
    def take(_):
        try:
            assert_capacity(cluster, 1, 1)
        except ClusterFull:
            return 0
        finally:
            connections.close_all()
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(take, range(64))) == 5


def test_operators_are_warned_once_a_minute(cluster, load, caplog):
    with caplog.at_level(logging.WARNING, "tenantry.capacity"):
        for _ in range(3):
            assert_capacity(cluster, 1, 1)
        assert caplog.messages == []
        for _ in range(3):
            until_full(lambda _: assert_capacity(cluster, 1, 1), 5)

    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("Cluster default is nearly full: 8 of 10 collections")


def test_what_a_server_does_not_tell_the_catalog_does(cluster, load, acme):
    load["load"] = Load()
    forget_loads()
    lifecycle.declare_collection(acme.id, "orders", by=ACTOR)
    forget_loads()

    assert capacity_of(Cluster.objects.get()).used == 4


def test_sign_up_on_a_full_cluster_is_a_problem_that_leaves_nothing(nobody, cluster):
    Cluster.objects.update(ceiling=1)

    answer = nobody.post(
        "/api/v1/auth/signup",
        {"organization_name": "Acme", "email": "a@example.com", "password": PASSWORD},
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "cluster_full")
    assert answer.headers["Content-Type"] == "application/problem+json"
    for model in (Organization, Operation, User, Membership):
        assert not model.objects.exists()


def test_sign_ups_at_once_do_not_overfill(cluster, mongo):
    already = capacity_of(cluster).used
    Cluster.objects.update(ceiling=already + TENANTS * FILES_OF_A_TENANT)

    def create(number):
        try:
            lifecycle.create_organization(f"Tenant {number}", by=ACTOR)
        except ClusterFull:
            return 0
        finally:
            connections.close_all()
        return 1

    with ThreadPoolExecutor(8) as pool:
        made = sum(pool.map(create, range(TENANTS + 10)))

    assert made <= TENANTS
    assert len(mongo.list_collection_names()) == made > 0


# --- A real server with few files ---------------------------------------------------------------


@pytest.fixture
def narrow(tmp_path, mongo, settings, monkeypatch):
    """The default cluster on a mongod that may open just enough files for some tenants."""
    mongod = tmp_path / "mongod"
    mongod.write_text(f'#!/bin/sh\nulimit -n {OPEN_FILES}\nexec {embedded.find_mongod()} "$@"\n')
    mongod.chmod(0o755)
    monkeypatch.setattr(embedded, "find_mongod", lambda: mongod)
    server = start_mongod(tmp_path / "narrow")
    settings.MONGODB_URI = server.uri
    yield server
    server.stop(Event())


def test_mongod_with_few_files_refuses_new_tenants_and_lives(narrow, nobody):
    made = until_full(
        lambda number: lifecycle.create_organization(f"Tenant {number}", by=ACTOR), TENANTS * 3
    )
    assert 1 <= len(made) <= (OPEN_FILES - FILES_IN_RESERVE) / FILES_OF_A_TENANT

    answer = nobody.post(
        "/api/v1/auth/signup",
        {"organization_name": "Late", "email": "late@example.com", "password": PASSWORD},
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "cluster_full")
    until_full(lambda n: lifecycle.declare_collection(made[0].pk, f"c{n}", by=ACTOR), TENANTS * 3)
    for row in made:
        with_collection(row.pk, "main", lambda documents: documents.insert({"_id": 1}), by=ACTOR)
    os.kill(narrow._process.pid, 0)
    assert narrow.why_ended() is None
    assert Organization.objects.count() == len(made)
