"""Copies between placements of every kind: ranges, changes, proof, and late writes."""

import uuid
from contextlib import nullcontext
from itertools import permutations

import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, encode
from django.conf import settings

from tenancy.exceptions import AlreadyExists, PlacementDisturbed
from tenancy.mongo.changes import Change, Changes, note_time
from tenancy.mongo.copying import Copy
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.provisioning import create_collection, drop_namespace, get_collection
from tenancy.mongo.raw_collections import BATCH_DOCUMENTS, CHUNK_IDS, END, FIRST, RawCollection
from tenancy.mongo.raw_documents import id_of
from tenancy.names import PlacementAddress

pytestmark = pytest.mark.needs_mongod
KINDS = ("shared", "collection", "database")
MIXED = [
    None, True, 1, 2.5, Int64(2**40), Decimal128("7.7"), "", "text", ObjectId(), Binary(b"x"),
    {"a": 1}, {"o": 1, "c": "main", "k": 2},
]  # fmt: skip


def address_for(kind, namespace):
    own = kind == "database"
    database = namespace if own else settings.TENANCY_DATABASE
    return PlacementAddress(kind, "default", database, namespace, settings.MONGODB_URI)


@pytest.fixture
def namespace(tenant_data):
    name = f"org_{uuid.uuid4().hex}"
    yield name
    drop_namespace(address_for("database", name))


ROUTES = list(permutations(KINDS, 2))
TO_OWN = [route for route in ROUTES if route[1] != "shared"]


@pytest.fixture(params=ROUTES, ids="-to-".join)
def copy(request, namespace, neighbour):
    """A copy from one kind to another, begun before anything is written."""
    source, target = (address_for(kind, namespace) for kind in request.param)
    create_collection(source, "main")
    changes = Changes(source, since=note_time(source))
    yield Copy(source, target, changes, nullcontext)
    changes.close()


@pytest.fixture
def neighbour(namespace):
    """Somebody else in the shared collection, with the same ids; checked at the end."""
    other = RawCollection(address_for("shared", f"org_{uuid.uuid4().hex}"), "main")
    mine = [encode({"_id": each, "mine": True}) for each in (0, 1, "text")]
    other.insert(mine)
    yield
    assert sorted(other.read_range(FIRST, END)) == sorted(mine)


def both(copy, logical="main"):
    return copy._both(logical)


def fill(copy, count):
    documents = [encode({"_id": n, "n": n, "_meta": {"rev": 1}}) for n in range(count)]
    both(copy)[0].insert(documents)
    return documents


def run_copy(copy):
    end = copy.find_end("main")
    return sum(part.documents for part in copy.copy_batches("main", FIRST, end))


def test_mixed_ids_arrive_as_they_are(copy):
    source, target = both(copy)
    documents = [encode({"_id": each, "n": n}) for n, each in enumerate(MIXED)]
    source.insert(documents)

    run_copy(copy)

    assert sorted(target.read_range(FIRST, END)) == sorted(documents)
    assert target.count() == len(MIXED)


@pytest.mark.parametrize("count", [0, 1, BATCH_DOCUMENTS, BATCH_DOCUMENTS + 1, 2 * BATCH_DOCUMENTS])
def test_batches_end_where_they_should(copy, count):
    documents = fill(copy, count)

    run_copy(copy)

    assert both(copy)[1].read_range(FIRST, END) == documents
    assert sum(part.documents for part in copy.compare("main")) == count
    assert copy.prove() == 0


def test_a_copy_goes_on_where_it_stopped_and_may_repeat_a_batch(copy):
    documents = fill(copy, 2_500)
    end = copy.find_end("main")
    first = next(copy.copy_batches("main", FIRST, end))

    list(copy.copy_batches("main", FIRST, end))
    list(copy.copy_batches("main", first.start, end))

    assert both(copy)[1].read_range(FIRST, END) == documents


def test_changes_are_applied_and_proven(copy):
    fill(copy, 50)
    run_copy(copy)
    writer = TenantCollection(copy._addresses[0], "main", by="t", max_bytes=10**6)
    writer.replace(1, {"n": "changed"})
    writer.delete(2)
    writer.insert({"_id": "new"})

    seen, sentinel = False, copy.write_sentinel("s")
    while not seen:
        _, seen = copy.catch_up(until=sentinel)

    assert copy.prove() == 0
    source, target = both(copy)
    assert target.read_range(FIRST, END) == source.read_range(FIRST, END)


def test_what_differs_is_found_whoever_did_it(copy):
    fill(copy, 20)
    run_copy(copy)
    target = both(copy)[1]
    target.replace_ids([3], [encode({"_id": 3, "n": "other"})])
    target.replace_ids([4], [])
    target.insert([encode({"_id": "ghost"})])

    differing = sum(part.differing for part in copy.compare("main"))

    assert (differing, copy.prove()) == (3, 3)
    copy.mend()
    assert copy.prove() == 0


def test_a_late_write_comes_over_unless_a_later_one_is_there(copy):
    fill(copy, 1)
    run_copy(copy)
    source, target = copy._addresses
    late = TenantCollection(source, "main", by="late", max_bytes=10**6)
    new = TenantCollection(target, "main", by="new", max_bytes=10**6)
    sentinel = copy.write_sentinel("before")
    while not copy.catch_up(until=sentinel)[1]:
        pass
    late.insert({"_id": "only late"})
    late.replace("both", {"by": "late"})
    new.replace("both", {"by": "new"})
    late.delete(0)

    mark = copy.write_sentinel("after")
    while not copy.catch_late(2**41, until=mark)[1]:
        pass

    assert new.get("both")["by"] == "new"
    assert new.get("only late")["_id"] == "only late"
    assert new.count() == 2


@pytest.mark.parametrize("copy", TO_OWN, indirect=True, ids="-to-".join)
def test_a_unique_index_in_the_way_is_said_so(copy):
    fill(copy, 1)
    run_copy(copy)
    get_collection(copy._addresses[1], "main").create_index("n", unique=True)

    with pytest.raises(AlreadyExists, match="n"):
        both(copy)[1].insert([encode({"_id": "other", "n": 0})])


def test_who_drops_the_source_is_noticed(namespace):
    source = address_for("collection", namespace)
    create_collection(source, "main")
    with Changes(source, since=note_time(source)) as changes:
        get_collection(source, "main").drop()

        with pytest.raises(PlacementDisturbed):
            all(changes.read_some() == [] for _ in range(100))


def test_changes_go_on_from_a_token(namespace):
    source = address_for("shared", namespace)
    since, place = note_time(source), RawCollection(source, "main")
    place.insert([encode({"_id": 1})])
    with Changes(source, since=since) as first:
        while not first.read_some():
            pass
        token = first.token
    place.insert([encode({"_id": 2})])

    found = []
    with Changes(source, since=since, token=token) as second:
        while not found:
            found = second.read_some()

    assert found == [Change("main", 2)]


def test_a_document_larger_than_a_batch_is_a_batch(namespace):
    place = RawCollection(address_for("database", namespace), "main")
    place.insert([encode({"_id": n, "blob": "x" * 9_000_000}) for n in range(4)])

    found, start = [], FIRST
    while start is not END:
        documents, start = place.read_some(start)
        found += [id_of(document) for document in documents]

    assert found == [0, 1, 2, 3]


def test_the_ends_of_a_range_are_of_every_type(namespace):
    place = RawCollection(address_for("shared", namespace), "main")
    place.insert([encode({"_id": each}) for each in MIXED])

    assert len(place.read_range(MinKey(), MaxKey())) == len(MIXED)
    assert [id_of(each) for each in place.read_range("", "text")] == [""]


def test_fewer_documents_are_read_at_once_after_large_ones(namespace):
    place = RawCollection(address_for("database", namespace), "main")
    place.insert(encode({"_id": n}) for n in range(1_000))
    place.insert(encode({"_id": n, "text": "x" * 200_000}) for n in range(1_000, 1_120))
    place.read_some(FIRST, 900)
    chunks = place.in_chunks([*range(1_000, 1_120), *range(900)])

    sizes = []
    for chunk in chunks:
        list(place.read_ids(chunk))
        sizes.append(len(chunk))

    first, second, third = sizes
    assert first == CHUNK_IDS
    assert second < 100
    assert third == 1_020 - first - second
