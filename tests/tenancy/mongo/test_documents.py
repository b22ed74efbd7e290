"""TenantCollection: revisions, conditions, races, order and size."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from uuid import UUID

import pytest
from bson import encode
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo.errors import DuplicateKeyError

from tenancy.exceptions import (
    AlreadyExists,
    DocumentNotFound,
    NothingToMatch,
    PayloadTooLarge,
    PreconditionFailed,
    RevisionConflict,
    ValidationFailed,
)
from tenancy.mongo import documents as documents_module
from tenancy.mongo.documents import START, TenantCollection
from tenancy.mongo.revisions import IfMatch

pytestmark = pytest.mark.everywhere

AUTHOR = "user:1"
MAX_BYTES = 1_048_576
UUID_ID = Binary.from_uuid(UUID("3b241101-e2bb-4255-8caf-4136c566a962"))

# Not what an API client can store, but what somebody else may have left in the collection.
FOREIGN_META = {
    "none": None,
    "null": {"_meta": None},
    "text": {"_meta": "text"},
    "empty": {"_meta": {}},
    **{f"revision {rev!r}": {"_meta": {"rev": rev}} for rev in (None, "7", 7.5, True)},
}


def at(*revisions):
    return IfMatch(frozenset(revisions))


ANY = IfMatch(None)
NOTHING = at()  # what a weak or foreign ETag becomes


@pytest.fixture
def stored(address, tenant_data, behind):
    return behind.stored(address)


@pytest.fixture
def documents(address, tenant_data):
    return TenantCollection(address, "main", by=AUTHOR, max_bytes=MAX_BYTES)


def in_parallel(*calls):
    """Run the calls in threads that start at once; return their results in order."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait(timeout=10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=30) for future in [pool.submit(run, c) for c in calls]]


# --- insert and get


def test_insert_makes_an_id_and_begins_at_revision_one(documents):
    document = documents.insert({"name": "Ada"})

    assert isinstance(document["_id"], ObjectId)
    assert document["_meta"]["rev"] == 1
    assert document["_meta"]["created_at"] == document["_meta"]["updated_at"]
    assert documents.get(document["_id"])["name"] == "Ada"


def test_insert_keeps_an_id_that_is_given(documents):
    for document_id in ("a/b", 7, ObjectId(), UUID_ID):
        assert documents.insert({"n": 1, "_id": document_id})["_id"] == document_id
        assert documents.get(document_id)["n"] == 1


def test_who_wrote_is_stored_and_not_shown(documents, stored):
    shown = documents.insert({"_id": 1})

    assert stored.find_one()["_meta"]["by"] == AUTHOR
    assert shown["_meta"].keys() == {"rev", "created_at", "updated_at"}
    assert documents.get(1)["_meta"].keys() == {"rev", "created_at", "updated_at"}


def test_insert_under_a_taken_id_is_refused_and_changes_nothing(documents, stored):
    documents.insert({"_id": 1, "n": "first"})

    with pytest.raises(AlreadyExists) as caught:
        documents.insert({"_id": 1, "n": "second"})

    assert [error.pointer for error in caught.value.errors] == ["/_id"]
    assert stored.find_one()["n"] == "first"


@pytest.mark.needs_mongod
@pytest.mark.parametrize("write", ["insert", "replace", "patch"])
def test_conflict_on_another_unique_field_names_the_field_and_not_the_value(
    documents, stored, write
):
    stored.create_index([("email", 1), ("team", 1)], unique=True)
    documents.insert({"_id": 1, "email": "secret@example.com", "team": "red"})
    documents.insert({"_id": 2, "email": "other@example.com", "team": "red"})
    fields = {"email": "secret@example.com", "team": "red"}

    with pytest.raises(AlreadyExists) as caught:
        getattr(documents, write)(*([fields] if write == "insert" else [2, fields]))

    error = caught.value
    assert [each.pointer for each in error.errors] == ["/email", "/team"]
    assert "email, team" in error.detail
    assert "secret" not in f"{error} {error.detail} {error.errors} {error.hint} {error.extra}"


def test_a_missing_document_is_not_found(documents):
    for call in (documents.get, documents.delete, lambda each: documents.patch(each, {"a": 1})):
        with pytest.raises(DocumentNotFound):
            call("nothing")


def test_create_refuses_a_taken_id_as_a_failed_precondition(documents):
    assert documents.create("x", {"n": 1})["_meta"]["rev"] == 1

    with pytest.raises(PreconditionFailed):
        documents.create("x", {"n": 2})

    assert documents.get("x")["n"] == 1


@pytest.mark.needs_mongod
def test_create_does_not_blame_the_id_for_another_field(documents, stored):
    stored.create_index("email", unique=True)
    documents.insert({"_id": 1, "email": "a@example.com"})

    with pytest.raises(AlreadyExists) as caught:
        documents.create(2, {"email": "a@example.com"})

    assert [error.pointer for error in caught.value.errors] == ["/email"]


@pytest.mark.needs_mongod
def test_insert_many_leaves_what_is_there_and_counts_what_is_new(documents):
    documents.insert({"_id": 2, "n": "first"})

    assert documents.insert_many({"_id": n, "n": "second"} for n in range(4)) == 3

    assert documents.get(2)["n"] == "first"
    assert documents.get(3)["_meta"]["rev"] == 1


# --- documents that somebody else has written


@pytest.mark.needs_mongod
@pytest.mark.parametrize("foreign", FOREIGN_META.values(), ids=FOREIGN_META)
@pytest.mark.parametrize("condition", [None, at(0)], ids=str)
def test_a_document_without_our_metadata_is_at_revision_zero(documents, stored, foreign, condition):
    stored.insert_many([{"_id": i, "n": i, **(foreign or {})} for i in range(3)])

    assert documents.get(0)["_meta"]["rev"] == 0
    assert documents.list_page(limit=1).documents[0]["_meta"]["rev"] == 0
    assert documents.replace(0, {"m": 1}, if_match=condition)[0]["_meta"]["rev"] == 1
    assert documents.patch(1, {"m": 1}, if_match=condition)["_meta"]["rev"] == 1
    documents.delete(2, if_match=condition)
    assert [row["_meta"]["rev"] for row in stored.find()] == [1, 1]


@pytest.mark.needs_mongod
def test_a_document_at_revision_zero_does_not_match_others(documents, stored):
    stored.insert_one({"_id": 1})

    for refused in (at(1), NOTHING):
        with pytest.raises(PreconditionFailed):
            documents.replace(1, {}, if_match=refused)

    assert stored.find_one() == {"_id": 1}


@pytest.mark.needs_mongod
def test_foreign_integer_ids_are_reached_whatever_their_width(documents, stored):
    stored.insert_many([{"_id": 1}, {"_id": Int64(2)}, {"_id": 3.0}])

    for wanted in (Int64(1), 2, Int64(3)):
        assert documents.patch(wanted, {"a": 1})["_meta"]["rev"] == 1
        assert documents.replace(wanted, {"_id": wanted, "a": 2})[1] is False

    assert stored.count_documents({"a": 2}) == 3


# --- replace


@pytest.mark.needs_mongod
def test_replace_creates_and_then_replaces(documents):
    created, is_new = documents.replace("x", {"a": 1})
    assert (is_new, created["_meta"]["rev"]) == (True, 1)

    replaced, is_new = documents.replace("x", {"b": 2})

    assert (is_new, replaced["_meta"]["rev"]) == (False, 2)
    assert replaced["_meta"]["created_at"] == created["_meta"]["created_at"]
    assert replaced == documents.get("x")
    assert "a" not in replaced


@pytest.mark.needs_mongod
def test_replace_keeps_the_order_of_keys(documents):
    fields = {"z": 1, "a": {"y": 1, "b": 2}, "m": 3}

    shown, _ = documents.replace("x", fields)
    assert list(shown) == list(documents.get("x")) == ["_id", "z", "a", "m", "_meta"]
    assert list(documents.get("x")["a"]) == ["y", "b"]


@pytest.mark.needs_mongod
@pytest.mark.parametrize(
    "value",
    ["$name", "$$ROOT", "$$REMOVE", {"a": "$name"}, ["$name", {"b": "$$NOW"}], 1, True, None, {}],
    ids=repr,
)
def test_replace_stores_what_looks_like_an_expression_as_it_is(documents, stored, value):
    documents.replace("x", {"name": "Ada", "v": value})
    assert stored.find_one()["v"] == value

    documents.replace("x", {"name": "Ada", "v": value}, if_match=at(1))

    assert stored.find_one()["v"] == value


@pytest.mark.needs_mongod
def test_an_author_that_looks_like_an_expression_is_stored_as_it_is(address, stored):
    TenantCollection(address, "main", by="$name", max_bytes=MAX_BYTES).replace(1, {"name": "Ada"})

    assert stored.find_one()["_meta"]["by"] == "$name"


@pytest.mark.needs_mongod
@pytest.mark.parametrize("condition", [ANY, at(1), NOTHING], ids=str)
def test_a_conditional_replace_creates_nothing(documents, stored, condition):
    with pytest.raises(NothingToMatch):
        documents.replace("x", {"a": 1}, if_match=condition)

    assert stored.count_documents({}) == 0


@pytest.mark.needs_mongod
@pytest.mark.parametrize("condition", [ANY, at(2), at(9, 2)], ids=str)
@pytest.mark.parametrize("write", ["replace", "patch", "delete"])
def test_a_condition_that_holds_lets_the_write_pass(documents, stored, condition, write):
    documents.replace("x", {"a": 1})
    documents.replace("x", {"a": 2})

    getattr(documents, write)(*["x", {"a": 3}][: 1 + (write != "delete")], if_match=condition)

    assert stored.count_documents({"a": 2}) == 0


@pytest.mark.needs_mongod
@pytest.mark.parametrize("condition", [at(1), at(0), at(3, 9), NOTHING], ids=str)
@pytest.mark.parametrize("write", ["replace", "patch", "delete"])
def test_a_condition_that_does_not_hold_names_the_current_revision(
    documents, stored, condition, write
):
    documents.replace("x", {"a": 1})
    documents.replace("x", {"a": 2})

    with pytest.raises(PreconditionFailed) as caught:
        getattr(documents, write)(*["x", {"a": 3}][: 1 + (write != "delete")], if_match=condition)

    assert caught.value.extra == {"current": '"r2"'}
    assert (stored.find_one()["a"], stored.find_one()["_meta"]["rev"]) == (2, 2)


@pytest.mark.parametrize("write", ["replace", "patch", "create"])
def test_another_id_in_the_body_is_refused(documents, stored, write):
    for other in ("y", 1, ObjectId()):
        with pytest.raises(ValidationFailed) as caught:
            getattr(documents, write)("1", {"_id": other})
        assert caught.value.errors[0].pointer == "/_id"

    assert stored.count_documents({}) == 0


@pytest.mark.needs_mongod
def test_two_creators_of_one_id_make_one_document_of_two_revisions(documents, stored):
    for round_ in range(30):
        answers = in_parallel(
            lambda n=round_: documents.replace(n, {"by": "left"}),
            lambda n=round_: documents.replace(n, {"by": "right"}),
        )

        assert sorted(created for _, created in answers) == [False, True]
        assert sorted(document["_meta"]["rev"] for document, _ in answers) == [1, 2]
        assert stored.find_one({"_id": round_})["_meta"]["rev"] == 2


@pytest.mark.parametrize(("lost", "outcome"), [(1, None), (2, AlreadyExists)])
def test_a_creation_lost_to_another_is_repeated_once(documents, monkeypatch, lost, outcome):
    answers = iter(
        [DuplicateKeyError("taken")] * lost + [{"_id": 1, "_meta": {"rev": 4}, "size": 40}]
    )

    def find_one_and_update(*_, **__):
        if isinstance(answer := next(answers), Exception):
            raise answer
        return answer

    monkeypatch.setattr(type(documents._collection), "find_one_and_update", find_one_and_update)
    with pytest.raises(outcome) if outcome else nullcontext():
        assert documents.replace(1, {})[0]["_meta"]["rev"] == 5


# --- patch


def test_patch_merges_removes_and_keeps_the_rest(documents):
    created = documents.insert({"_id": 1, "a": {"b": 1, "c": 2}, "d": [1], "e": 3})

    patched = documents.patch(1, {"a": {"b": None, "n": 5}, "d": [2, None], "e": None})

    assert patched == documents.get(1)
    assert {key: patched[key] for key in patched if key[0] != "_"} == {
        "a": {"c": 2, "n": 5},
        "d": [2, None],
    }
    assert patched["_meta"]["rev"] == 2
    assert patched["_meta"]["created_at"] == created["_meta"]["created_at"]


def test_patch_keeps_the_order_of_keys_and_shows_metadata_last(documents):
    documents.insert({"_id": 1, "z": 1, "a": 1})

    documents.patch(1, {"m": "$z", "z": 2})

    assert documents.get(1)["m"] == "$z"
    assert list(documents.get(1)) == ["_id", "z", "a", "m", "_meta"]


def test_eight_patches_at_once_all_arrive(documents):
    documents.insert({"_id": 1})

    in_parallel(*[lambda n=n: documents.patch(1, {f"k{n}": n}) for n in range(8)])

    document = documents.get(1)
    assert {key: document[key] for key in document if key[0] == "k"} == {
        f"k{n}": n for n in range(8)
    }
    assert document["_meta"]["rev"] == 9


def test_patch_gives_up_when_others_keep_winning(documents, monkeypatch):
    documents.insert({"_id": 1})
    monkeypatch.setattr(documents_module, "PATCH_ATTEMPTS", 3)

    class Unlucky(TenantCollection):
        def _read(self, document_id):
            document = super()._read(document_id)
            documents.patch(1, {"winner": True})
            return document

    unlucky = Unlucky(documents._address, "main", by=AUTHOR, max_bytes=MAX_BYTES)
    with pytest.raises(RevisionConflict):
        unlucky.patch(1, {"loser": True})

    assert "loser" not in documents.get(1)


# --- delete


@pytest.mark.needs_mongod
def test_delete_removes_one_document(documents, stored):
    for document_id in (1, 2):
        documents.insert({"_id": document_id})

    documents.delete(1)

    assert [row["_id"] for row in stored.find()] == [2]


# --- list

MIXED_IDS = [
    *[None, -5, 0, 3.5, Int64(2**53 + 1), Decimal128("4"), "", "a", "ä", "a/b", {"k": 1}],
    *[UUID_ID, Binary(b"x", 0), ObjectId(), ObjectId(), False, True],
    *[datetime(1960, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), float("nan")],
]


def walk(documents, limit):
    after, pages = START, []
    while len(pages) <= len(MIXED_IDS) + 1:
        page = documents.list_page(limit=limit, after=after)
        pages.append([document["n"] for document in page.documents])
        if not page.has_more:
            return pages
        after = page.documents[-1]["_id"]
    raise AssertionError(f"the walk does not end: {pages}")


@pytest.mark.needs_mongod
@pytest.mark.parametrize("limit", [1, 2, 3, 7, len(MIXED_IDS), 1_000])
def test_pages_over_ids_of_all_types_give_each_document_once_in_order(documents, stored, limit):
    stored.insert_many([{"_id": id_, "n": n} for n, id_ in enumerate(MIXED_IDS)])

    pages = walk(documents, limit)

    given = [n for page in pages for n in page]
    assert given == [row["n"] for row in stored.find(sort=[("_id", 1)])]
    assert sorted(given) == list(range(len(MIXED_IDS)))
    assert all(len(page) == limit for page in pages[:-1])


@pytest.mark.needs_mongod
def test_a_page_goes_on_after_a_document_that_was_deleted(documents):
    for document_id in range(5):
        documents.insert({"_id": document_id})
    first = documents.list_page(limit=2)
    documents.delete(first.documents[-1]["_id"])

    rest = documents.list_page(limit=9, after=first.documents[-1]["_id"])

    assert [document["_id"] for document in rest.documents] == [2, 3, 4]


def test_an_empty_collection_is_an_empty_page(documents):
    page = documents.list_page(limit=5)

    assert (page.documents, page.has_more) == ([], False)


@pytest.mark.needs_mongod
def test_a_missing_collection_has_no_later_page(documents):
    assert documents.list_page(limit=5, after=3).documents == []


@pytest.mark.parametrize(("limit", "more"), [(2, True), (3, False), (4, False)])
def test_a_page_knows_whether_there_are_more(documents, limit, more):
    for document_id in range(3):
        documents.insert({"_id": document_id})

    page = documents.list_page(limit=limit)

    assert (len(page.documents), page.has_more) == (min(limit, 3), more)


# --- size


def of_size(size):
    """Return fields that have this many bytes as BSON, their id `x` included."""
    return {"text": "t" * (size - len(encode({"_id": "x", "text": ""})))}


@pytest.mark.needs_mongod
def test_a_document_of_exactly_the_limit_goes_in_by_every_way(address, tenant_data):
    documents = TenantCollection(address, "main", by=AUTHOR, max_bytes=1_000)

    documents.insert({"_id": "x", **of_size(1_000)})
    documents.replace("x", of_size(1_000))
    documents.patch("x", of_size(1_000))

    assert documents.get("x")["_meta"]["rev"] == 3


@pytest.mark.parametrize("write", ["create", "replace", "patch"])
def test_a_document_over_the_limit_is_refused_and_changes_nothing(address, stored, write):
    documents = TenantCollection(address, "main", by=AUTHOR, max_bytes=1_000)
    documents.insert({"_id": "x", "text": "short"})

    with pytest.raises(PayloadTooLarge, match="1,001 bytes; 1,000 are allowed"):
        getattr(documents, write)("x", of_size(1_001))

    assert stored.find_one()["text"] == "short"


def test_a_patch_may_not_grow_a_document_over_the_limit(address, tenant_data):
    documents = TenantCollection(address, "main", by=AUTHOR, max_bytes=1_000)
    documents.insert({"_id": "x", "a": "t" * 600})

    with pytest.raises(PayloadTooLarge):
        documents.patch("x", {"b": "t" * 600})

    assert "b" not in documents.get("x")
