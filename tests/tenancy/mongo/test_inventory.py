"""What is in the shared collection and not expected there: compared with a look at everything."""

import random
import uuid

import pytest
from bson import Binary, MaxKey
from pymongo.monitoring import CommandListener

from tenancy.mongo import clients, inventory
from tenancy.mongo.inventory import SharedRange, list_unexpected
from tests.places import PLACES

pytestmark = [pytest.mark.needs_mongod]


@pytest.fixture
def shared(tenant_data):
    return tenant_data["shared"]


@pytest.fixture
def address(place):
    return PLACES["shared"].address("anybody")


def put(shared, owner, logical, *keys):
    shared.insert_many([{"_id": {"o": Binary(owner.bytes, 4), "c": logical, "k": k}} for k in keys])


@pytest.mark.parametrize("seed", range(8))
def test_exactly_what_is_not_known_is_found(shared, address, monkeypatch, seed):
    monkeypatch.setattr(inventory, "GAPS_IN_A_LOOK", 7)
    monkeypatch.setattr(inventory, "IDS_IN_A_LOOK", 5)
    chance = random.Random(seed)
    owners = [uuid.UUID(int=chance.getrandbits(128)) for _ in range(25)]
    owners += [uuid.UUID(int=owners[0].int + 1), uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]
    known, there = set(), set()
    for owner in owners:
        for logical in chance.sample(["a", "main", "main0", "mai", "~sentinel", "z-9"], 3):
            if chance.random() < 0.6:
                known.add((owner, logical))
            if chance.random() < 0.7:
                there.add((owner, logical))
                put(shared, owner, logical, *chance.sample([0, 1, "x", None, "", True, 2.5], 4))

    found = list_unexpected(address, known)

    assert sorted(found) == sorted(SharedRange(*each) for each in there - known)
    assert len(found) == len(set(found))


def test_many_documents_of_one_owner_are_passed_by(shared, address, monkeypatch):
    monkeypatch.setattr(inventory, "IDS_IN_A_LOOK", 5)
    first, second = sorted([uuid.uuid4(), uuid.uuid4()])
    put(shared, first, "main", *range(100))
    put(shared, second, "main", 1)

    assert list_unexpected(address, []) == [(first, "main"), (second, "main")]


@pytest.mark.parametrize(
    "odd", [1, "text", Binary(b"x" * 16, 3), {}, {"a": 1}, {"o": 1}, {"o": Binary(b"x" * 16, 5)}]
)
def test_what_nobody_can_own_is_found(shared, address, odd):
    shared.insert_one({"_id": odd})

    assert list_unexpected(address, [(uuid.uuid4(), "main")]) == [(None, None)]


@pytest.mark.parametrize("rest", [{}, {"c": 5, "k": 1}, {"c": "notes"}, {"c": "x", "k": 1, "z": 1}])
def test_what_lies_in_no_collection_is_its_owners(shared, address, rest, monkeypatch):
    monkeypatch.setattr(inventory, "IDS_IN_A_LOOK", 1)
    owner, other = sorted([uuid.uuid4(), uuid.uuid4()])
    shared.insert_one({"_id": {"o": Binary(owner.bytes, 4), **rest}})
    put(shared, other, "main", 1)

    assert list_unexpected(address, [(owner, "main")]) == [(owner, None), (other, "main")]


def test_what_is_known_stays_so_behind_what_lies_in_no_collection(shared, address, monkeypatch):
    monkeypatch.setattr(inventory, "IDS_IN_A_LOOK", 1)
    owner = uuid.uuid4()
    put(shared, owner, "main", *range(10))
    shared.insert_one({"_id": {"o": Binary(owner.bytes, 4), "c": "main"}})

    assert list_unexpected(address, [(owner, "main")]) == [(owner, None)]


def test_ids_that_nobody_makes_do_not_hold_it_up(shared, address, monkeypatch):
    monkeypatch.setattr(inventory, "IDS_IN_A_LOOK", 2)
    owner = uuid.uuid4()
    shared.insert_many(
        {"_id": {"o": Binary(owner.bytes, 4), "c": "notes", name: value}}
        for name in ("k", "x", "z")
        for value in (1, 2, MaxKey())
    )

    assert set(list_unexpected(address, [])) == {(owner, "notes"), (owner, None)}


def test_a_thousand_tenants_cost_a_few_commands_that_read_no_document(
    shared, address, monkeypatch, tenant_data
):
    known = [(uuid.uuid4(), "main") for _ in range(1_000)]
    for owner, logical in known:
        put(shared, owner, logical, 1, 2)
    seen = []

    class Listener(CommandListener):
        def started(self, event):
            seen.append(event.command_name)

        def succeeded(self, event):
            pass

        def failed(self, event):
            pass

    original = clients.MongoClient
    monkeypatch.setattr(
        clients, "MongoClient", lambda *a, **k: original(*a, event_listeners=[Listener()], **k)
    )
    clients.close_clients()
    tenant_data.client.admin.command("ping")

    assert list_unexpected(address, known) == []

    assert seen == ["find"] * 4
    clients.close_clients()
