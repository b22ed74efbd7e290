"""Indexes are read with all their options, built once, and dropped in silence."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pymongo
import pytest
from bson.codec_options import CodecOptions
from bson.datetime_ms import DatetimeMS
from bson.raw_bson import RawBSONDocument

from tenancy.exceptions import AlreadyExists, Conflict, OutcomeUnknown, StalePlacement
from tenancy.mongo.clients import close_clients, get_client
from tenancy.mongo.fences import fence_collection, move_collection
from tenancy.mongo.indexes import IndexSpec, build_indexes, drop_index, list_indexes
from tenancy.mongo.provisioning import create_collection

pytestmark = pytest.mark.needs_mongod

STATUS = IndexSpec("status_1", (("status", 1),))
EMAIL = IndexSpec("email_1", (("email", 1),), unique=True, sparse=True)
SEEN = IndexSpec("seen_1", (("seen", 1),), ttl_seconds=3600)
PAIR = IndexSpec("a.b_1_c_-1", (("a.b", 1), ("c", -1)))
SECONDS = 30.0


@pytest.fixture
def collection(address, tenant_data):
    create_collection(address, "main")
    return tenant_data["org_acme"]


@pytest.fixture
def shared(address):
    return replace(address, kind="shared")


def raw_indexes(database, name):
    """Return what MongoDB says of the indexes, byte for byte."""
    raw = database.with_options(codec_options=CodecOptions(RawBSONDocument))
    answer = raw.command("listIndexes", name, codec_options=raw.codec_options)
    return [row.raw for row in answer["cursor"]["firstBatch"]]


def build(address, *specs, seconds=SECONDS):
    build_indexes(address, "main", list(specs), timeout_seconds=seconds)


def test_what_is_built_is_what_is_listed(address, collection):
    build(address, STATUS, EMAIL, SEEN, PAIR)

    assert list_indexes(address, "main") == [PAIR, EMAIL, SEEN, STATUS]


def test_building_may_be_repeated(address, collection):
    build(address, STATUS)
    build(address, STATUS, EMAIL)

    assert list_indexes(address, "main") == [EMAIL, STATUS]


def test_nothing_to_build_makes_no_collection(address, tenant_data):
    build(address)

    assert tenant_data.list_collection_names() == []


def test_a_missing_collection_has_no_indexes(address, tenant_data):
    assert list_indexes(address, "main") == []


@pytest.mark.parametrize(
    ("keys", "options"),
    [
        ([("text", "text"), ("n", 1)], {"weights": {"text": 3}, "default_language": "german"}),
        ([("place", "2dsphere")], {}),
        ([("spot", "2d")], {"min": -10, "max": 10}),
        ([("$**", 1)], {"wildcardProjection": {"a": 1, "_id": 0}}),
        ([("n", "hashed")], {}),
        ([("n", 1)], {"collation": {"locale": "de", "strength": 2}, "hidden": True}),
        ([("n", -1)], {"partialFilterExpression": {"at": {"$gt": DatetimeMS(2**52)}}}),
    ],
    ids=["text", "2dsphere", "2d", "wildcard", "hashed", "collation", "partial"],
)
def test_what_an_operator_made_travels_with_all_its_options(
    address, collection, tenant_data, keys, options
):
    collection.create_index(keys, name="theirs", **options)
    other = address.at("org_other")

    build_indexes(other, "main", list_indexes(address, "main"), timeout_seconds=SECONDS)

    assert raw_indexes(tenant_data, "org_other") == raw_indexes(tenant_data, "org_acme")
    assert list_indexes(other, "main") == list_indexes(address, "main")


def test_a_direction_of_another_number_type_is_the_same_one(address, collection, tenant_data):
    index = {"key": {"n": 1.0, "m": -1.0}, "name": "n_1_m_-1"}
    tenant_data.command("createIndexes", "org_acme", indexes=[index])

    build(address, *list_indexes(address, "main"))

    assert list_indexes(address, "main") == [IndexSpec("n_1_m_-1", (("n", 1), ("m", -1)))]


def test_a_time_to_live_of_another_number_type_is_the_same_one(address, collection):
    collection.create_index("n", expireAfterSeconds=90.0)

    assert list_indexes(address, "main")[0].ttl_seconds == 90


def test_duplicates_are_refused_without_their_values(address, collection):
    collection.insert_many([{"email": "secret@example.com"} for _ in range(2)])

    with pytest.raises(AlreadyExists) as caught:
        build(address, STATUS, EMAIL)

    assert "email_1" in caught.value.detail
    assert "secret" not in str(vars(caught.value))
    assert [error.code for error in caught.value.errors] == ["duplicate_values"]
    assert list_indexes(address, "main") == []


def test_another_definition_under_the_same_name_is_a_conflict(address, collection):
    build(address, STATUS)

    with pytest.raises(Conflict, match="“status_1” of another definition"):
        build(address, replace(STATUS, keys=(("status", -1),)))
    with pytest.raises(Conflict, match="“status_1” of another definition"):
        build(address, replace(STATUS, sparse=True))

    assert list_indexes(address, "main") == [STATUS]


def test_the_same_keys_under_another_name_are_a_conflict(address, collection):
    build(address, STATUS)

    with pytest.raises(Conflict, match="“status_1” has the same keys"):
        build(address, replace(STATUS, name="mine"))


def test_a_fence_is_a_stale_placement(address, collection):
    move_collection(address, "org_acme", "org_umbrella")
    fence_collection(address, "org_acme", "org_umbrella")

    for call in (
        lambda: build(address, STATUS),
        lambda: list_indexes(address, "main"),
        lambda: drop_index(address, "main", "status_1"),
    ):
        with pytest.raises(StalePlacement):
            call()


def test_many_builders_of_one_index_all_succeed(address, collection):
    collection.insert_many([{"status": n} for n in range(20_000)])
    barrier = threading.Barrier(8)

    def run(_):
        barrier.wait()
        build(address, STATUS)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))

    assert list_indexes(address, "main") == [STATUS]


@pytest.fixture
def impatient(address, collection, settings):
    """A process whose ordinary calls get 50 ms, and which is connected already."""
    settings.TENANCY_OPERATION_TIMEOUT = 0.05
    close_clients()
    with pymongo.timeout(SECONDS):
        get_client(address.uri).admin.command("ping")
    yield
    close_clients()


def test_a_long_build_outlasts_the_deadline_of_ordinary_calls(address, collection, impatient):
    collection.insert_many([{"n": n, "text": "x" * 50} for n in range(60_000)])
    specs = [IndexSpec(f"i{n}", (("text", 1), (f"n{n}", 1), ("n", 1))) for n in range(6)]

    with pytest.raises(OutcomeUnknown):
        build(address, *specs, seconds=0.05)
    build(address, *specs)

    with pymongo.timeout(SECONDS):
        assert len(list_indexes(address, "main")) == 6


def test_dropping_is_silent_about_what_is_missing(address, collection):
    build(address, STATUS, EMAIL)

    for _ in range(2):
        drop_index(address, "main", "status_1")
    drop_index(address, "notes", "status_1")

    assert list_indexes(address, "main") == [EMAIL]


def test_a_shared_collection_has_no_index_of_a_tenant(shared, tenant_data):
    build(shared, STATUS)
    drop_index(shared, "main", "status_1")

    assert list_indexes(shared, "main") == []
    assert tenant_data.list_collection_names() == []
