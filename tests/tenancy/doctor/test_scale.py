"""How many commands and queries an examination takes: counted, not timed."""

from collections import Counter
from functools import partial

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from tenancy import catalog, lifecycle
from tenancy.lifecycle.capacity import forget_loads
from tenancy.models import Organization, Plan
from tenancy.mongo import clients, inventory
from tenancy.names import namespace_of_id
from tests.conftest import ACTOR
from tests.tenancy.doctor.checking import check, codes

pytestmark = pytest.mark.needs_mongod
OWN = set()


class Commands(CommandListener):
    """Remembers the commands that are for this test's own databases: others use the server, too."""

    def __init__(self):
        self.names = []

    def started(self, event):
        if event.database_name in {settings.TENANCY_DATABASE, "admin", *OWN}:
            self.names.append(event.command_name)

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.fixture
def cost(mongo, behind, monkeypatch):
    """A function that returns the catalog queries and MongoDB commands of an examination."""
    listener = Commands()
    monkeypatch.setattr(clients, "MongoClient", partial(MongoClient, event_listeners=[listener]))
    clients.close_clients()

    def measure():
        assert codes() == []
        forget_loads()
        OWN.clear()
        OWN.update(
            namespace_of_id(each) for each in Organization.objects.values_list("pk", flat=True)
        )
        listener.names.clear()
        with CaptureQueriesContext(connection) as queries:
            assert check().findings == []
        return len(queries), Counter(listener.names)

    yield measure
    clients.close_clients()
    behind.clear()


def populate(kind, count):
    Plan.objects.update_or_create(code=Plan.DEFAULT, defaults={"default_kind": kind})
    catalog.clear_cache()
    for number in range(count):
        lifecycle.create_organization(f"{kind} {number}", by=ACTOR)


def test_shared_tenants_cost_nothing_each(cost, behind, monkeypatch):
    monkeypatch.setattr(inventory, "IDS_IN_A_LOOK", 5)
    populate("shared", 2)
    before = cost()

    for number in range(30):
        more = lifecycle.create_organization(f"More {number}", by=ACTOR)
        behind.stored_of(more).insert_one({"_id": 1})

    assert cost() == before


def test_a_tenant_with_collections_of_its_own_costs_one_command(cost):
    populate("collection", 2)
    queries, commands = cost()

    for number in range(20):
        lifecycle.create_organization(f"More {number}", by=ACTOR)

    assert cost() == (queries, commands + Counter(listIndexes=20))


def test_a_tenant_with_its_own_database_costs_two_commands(cost):
    populate("database", 2)
    queries, commands = cost()

    for number in range(10):
        lifecycle.create_organization(f"More {number}", by=ACTOR)

    more = Counter(listIndexes=10, listCollections=10)
    assert cost() == (queries, commands + more)
