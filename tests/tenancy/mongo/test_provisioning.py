"""Create, list and drop what a placement consists of, at every kind, among neighbours."""

from contextlib import contextmanager

import pytest
from bson import MaxKey, MinKey

from tenancy.exceptions import TenantBusy
from tenancy.mongo import provisioning
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.provisioning import (
    create_collection,
    drop_collection,
    drop_empty,
    drop_namespace,
    has_documents,
    list_namespace,
)
from tests.places import PLACES, clear_database

pytestmark = [pytest.mark.needs_mongod, pytest.mark.everywhere]

LOGICAL = ["a", "main", "mai", "main0", "orders", "z-1_b"]


def documents_at(address, logical="main"):
    return TenantCollection(address, logical, by="user:1", max_bytes=1_000)


def fill(address, *logical, count=3):
    for name in logical:
        assert documents_at(address, name).insert_many({"_id": n} for n in range(count)) == count


def ids_of(stored):
    return [row["_id"] for row in stored.find(sort=[("_id", 1)])]


@pytest.fixture
def address(place, behind, tenant_data):
    """Where acme lives, alone; see `beside`."""
    acme = place.address("acme")
    yield acme
    if place.kind in {"database", "cluster"}:
        clear_database(behind.stored(acme).collection.database)


@pytest.fixture
def beside(place, behind, tenant_data):
    """Others with a name that begins like acme's, or an id next to it; theirs has to stay."""
    are_named = place == PLACES["collection-name"]
    slugs = ("acme_corp", "acm", "acme2", "acmeorders") if are_named else ("globex",)
    others = [place.address(slug) for slug in slugs]
    for other in others:
        fill(other, "main", "orders")
    yield others
    for other in others:
        for logical in ("main", "orders"):
            assert ids_of(behind.stored(other, logical)) == [0, 1, 2]
        drop_namespace(other)


@contextmanager
def nothing_allowed():
    raise TenantBusy
    yield


class Guard:
    """A guard that counts its blocks, and refuses one after so many."""

    def __init__(self, allowed=1_000):
        self.blocks, self.allowed = 0, allowed

    @contextmanager
    def __call__(self):
        if self.blocks == self.allowed:
            raise TenantBusy
        self.blocks += 1
        yield


# --- create and list


def test_nothing_is_listed_of_a_namespace_that_has_nothing(address, beside):
    assert list_namespace(address) == {}
    assert not has_documents(address, "main")


def test_a_collection_may_be_created_twice(address, behind, beside):
    for _ in range(2):
        create_collection(address, "main")

    fill(address, "main")
    create_collection(address, "main")

    assert ids_of(behind.stored(address)) == [0, 1, 2]


def test_what_has_documents_is_listed_by_its_logical_name(address, beside):
    fill(address, *LOGICAL)

    found = list_namespace(address)

    assert sorted(found) == sorted(LOGICAL)
    assert {name: each.name for name, each in found.items()} == {
        name: address.physical(name) for name in LOGICAL
    }
    assert not any(each.is_view for each in found.values())


def test_an_empty_collection_is_listed_unless_it_leaves_no_trace(address, place):
    create_collection(address, "main")

    assert list(list_namespace(address)) == ([] if place.kind == "shared" else ["main"])


def test_a_collection_with_any_id_has_documents_and_is_listed(address, behind):
    for number, document_id in enumerate([None, MinKey(), MaxKey(), {}, ""]):
        behind.stored(address, f"c{number}").insert_one({"_id": document_id})

    assert list(list_namespace(address)) == ["c0", "c1", "c2", "c3", "c4"]
    assert all(has_documents(address, f"c{number}") for number in range(5))


def test_documents_of_one_collection_are_none_of_another(address, beside):
    fill(address, "main")

    assert has_documents(address, "main")
    assert not any(has_documents(address, name) for name in LOGICAL if name != "main")


# --- drop


def test_a_collection_is_dropped_alone_and_may_be_dropped_again(address, behind, beside):
    fill(address, *LOGICAL)

    for _ in range(2):
        drop_collection(address, "main")

    assert sorted(list_namespace(address)) == sorted(set(LOGICAL) - {"main"})
    assert not has_documents(address, "main")
    assert ids_of(behind.stored(address, "orders")) == [0, 1, 2]


def test_a_namespace_is_dropped_alone_and_may_be_dropped_again(address, behind, beside):
    fill(address, *LOGICAL)

    assert [drop_namespace(address), drop_namespace(address)] == [len(LOGICAL), 0]

    assert list_namespace(address) == {}
    assert [behind.stored(address, name).find() for name in LOGICAL] == [[]] * len(LOGICAL)


def test_an_own_database_goes_with_its_namespace(address, place, behind):
    """And with it what else lies there: nobody's but acme's."""
    database = behind.stored(address).collection.database
    fill(address, "main")
    database["Not a logical name"].insert_one({})

    drop_namespace(address)

    is_own = place.kind in {"database", "cluster"}
    assert (address.database in database.client.list_database_names()) != is_own


def test_a_collection_that_was_dropped_can_be_used_again(address):
    fill(address, "main")
    drop_namespace(address)

    fill(address, "main", count=2)

    assert documents_at(address).count() == 2


def test_every_batch_of_a_drop_is_guarded(address, place, behind, monkeypatch, beside):
    monkeypatch.setattr(provisioning, "DROP_BATCH", 5)
    for count in (1, 4, 5, 6, 10, 11):
        fill(address, "main", count=count)
        guard = Guard()

        drop_collection(address, "main", guard)

        assert guard.blocks == (count // 5 + 1 if place.kind == "shared" else 1)
        assert behind.stored(address).find() == []


def test_a_drop_whose_guard_refuses_drops_nothing(address, behind, beside):
    fill(address, "main", "orders")

    for call in (
        lambda: drop_collection(address, "main", nothing_allowed),
        lambda: drop_namespace(address, nothing_allowed),
    ):
        with pytest.raises(TenantBusy):
            call()

    assert ids_of(behind.stored(address)) == ids_of(behind.stored(address, "orders")) == [0, 1, 2]


def test_a_drop_that_was_cut_short_is_finished_by_its_repeat(address, behind, monkeypatch, beside):
    monkeypatch.setattr(provisioning, "DROP_BATCH", 2)
    fill(address, *LOGICAL)

    for allowed in range(len(LOGICAL)):
        with pytest.raises(TenantBusy):
            drop_namespace(address, Guard(allowed=min(allowed, 1)))
    drop_namespace(address)

    assert [behind.stored(address, name).find() for name in LOGICAL] == [[]] * len(LOGICAL)


# --- drop what is empty


def test_only_what_is_empty_is_dropped(address, place, beside):
    fill(address, "orders")
    create_collection(address, "main")
    create_collection(address, "a")

    for _ in range(2):
        drop_empty(address)

    assert list(list_namespace(address)) == ["orders"]
    assert documents_at(address, "orders").count() == 3


@pytest.mark.once  # at each place of one's own: the shared collection has no views of a tenant
@pytest.mark.parametrize("place", [name for name in PLACES if name != "shared"], indirect=True)
def test_a_view_under_a_namespace_is_dropped_and_what_it_shows_stays(address, place, behind):
    fill(address, "orders")
    database = behind.stored(address).collection.database
    database.create_collection(address.physical("main"), viewOn=address.physical("orders"))
    assert [name for name, each in list_namespace(address).items() if each.is_view] == ["main"]

    drop_empty(address)

    assert list(list_namespace(address)) == ["orders"]
    drop_namespace(address)
    clean = database.list_collection_names()
    assert [name for name in clean if not name.startswith("system.")] == []


# --- names


def test_prefixes_of_names_are_no_prefixes_of_namespaces(address, behind):
    """`.` ends a namespace: neither `org_acme-x` nor `org_acme/x`, were they there, is acme's."""
    database = behind.stored(address).collection.database
    for suffix in ("-x", "/x", "_x", "x", "0"):
        database[f"{address.physical('main')}{suffix}"].insert_one({})
    fill(address, "main", "orders")

    found = list_namespace(address)

    own_database = address.kind in {"database", "cluster"}
    assert {"main", "orders"} <= set(found)
    assert own_database or set(found) == {"main", "orders"}
