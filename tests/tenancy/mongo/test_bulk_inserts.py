"""The quick way of the inserts of a bulk, beside that of any other document."""

from unittest.mock import patch
from uuid import UUID

import pytest
from bson import Int64, ObjectId
from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import PayloadTooLarge, PlanLimitReached, SchemaViolation, TenancyError
from tenancy.mongo import bulk as bulk_module
from tenancy.mongo import inserting
from tenancy.mongo.bulk_input import make_change
from tenancy.mongo.bulk_inserts import ID_MARGIN_BYTES, make_inserts
from tenancy.mongo.bulk_plan import Inserts
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.handles import accept
from tenancy.mongo.limited import LimitedCollection
from tenancy.mongo.writing import elements_of
from tenancy.names import PlacementAddress
from tenancy.schemas import CompiledSchema, Violations, _Check
from tests.tenancy.mongo.test_quick_documents import KEYS, OID, VALUES

META = {"rev": 1, "by": "user:1"}
MAX_BYTES = 10_000
NAMES = KEYS | st.sampled_from(["_id", "_meta", "_x"])
CONTENTS = st.dictionaries(NAMES, VALUES, max_size=4) | st.just({"a": "x" * 400})
GIVEN = st.none() | st.sampled_from(["own", Int64(5), ObjectId(OID)])
SCHEMAS = [
    {"properties": {"a": {"type": ["string", "integer"]}, "b": {"maxProperties": 0}}},
    {"additionalProperties": {"not": {"required": ["$oid"]}}, "maxProperties": 2},
    {"properties": {"_id": {"type": "integer"}}},
    {"required": ["_id"], "properties": {"_id": {"type": "object"}, "a": {"type": "number"}}},
]
DATED = {"at": {"$date": "2026-01-31T09:30:00Z"}}


def collection(kind, check, sort=TenantCollection, **more):
    namespace = f"org_{UUID(int=1).hex}"
    address = PlacementAddress(kind, "main", "tenantry", namespace, "mongodb://127.0.0.1:1")
    return sort(address, "main", by="user:1", max_bytes=400, check=check, **more)


def insert(documents, changes):
    """Do inserts as a bulk does; return what is sent for each of them, or why it is not."""
    sent, told, noted = [], [], {}
    documents._insert_unordered = lambda rows: sent.extend(rows) or {}
    documents._tell_change = lambda count, size: told.append((count, size))
    with (
        patch.object(inserting, "first_meta", lambda by: META),
        patch.object(bulk_module, "RUN_MIN_INSERTS", 1),
    ):
        if isinstance(changes, Inserts):
            documents.insert_together(changes, noted.update)
        else:
            documents.bulk(list(enumerate(changes)), noted.update, in_steps=False)
    assert list(noted) == list(range(len(changes)))
    rows = iter(sent)
    found = [reason(each.error) if each.error else next(rows).raw for each in noted.values()]
    return found, told


def one_by_one(documents, changes):
    """Return the same of documents as `_ready` makes them."""
    found, sizes = [], []
    for change in changes:
        try:
            if change.error is not None:
                raise change.error
            raw, size = documents._ready(change.whole().fields, elements_of({"_meta": META}))
        except TenancyError as error:
            found.append(reason(error))
        else:
            found.append(raw.raw)
            sizes.append(size)
    return found, [(len(sizes), sum(sizes))]


def reason(error):
    return type(error), error.detail, error.errors


@given(
    st.lists(st.tuples(CONTENTS, GIVEN), min_size=1, max_size=4),
    st.booleans(),
    st.sampled_from([MAX_BYTES, 100 + ID_MARGIN_BYTES]),
)
def test_inserts_that_are_made_together_are_those_that_are_made_one_by_one(rows, apart, most):
    contents, given = [each for each, _ in rows], [each for _, each in rows if apart]

    many = make_inserts(contents, given or None, most)

    for change, content, own in zip(many, contents, given or [None] * len(rows), strict=True):
        alone = make_change("insert", own, content, if_rev=None, max_bytes=most)
        mine = change.whole()
        assert type(mine.error) is type(alone.error)
        assert mine.error is None or reason(mine.error) == reason(alone.error)
        is_new = own is None and "_id" not in content
        anyhow = {"_id": 0} if is_new else {}
        assert list(mine.fields) == list(alone.fields)
        assert elements_of(mine.fields | anyhow) == elements_of(alone.fields | anyhow)
        assert type(mine.document_id) is type(alone.document_id)
        assert is_new or mine.document_id == alone.document_id
        assert mine.is_id_apart is alone.is_id_apart


@given(
    st.lists(CONTENTS, min_size=1, max_size=4),
    st.sampled_from(SCHEMAS),
    st.sampled_from(["shared", "collection"]),
    st.booleans(),
)
def test_inserts_are_sent_sized_and_judged_as_any_documents(contents, schema, kind, warns):
    quick, careful = [Violations() if warns else None for _ in range(2)]
    compiled = CompiledSchema.of(schema)
    ours = collection(kind, _Check(lambda: compiled, quick))
    theirs = collection(kind, _Check(lambda: compiled, careful))
    changes = make_inserts(contents, None, MAX_BYTES)

    assert insert(ours, changes) == one_by_one(theirs, changes)

    ids = [change.document_id for change in changes]
    for change in changes if warns else ():
        if ids.count(change.document_id) > 1:  # which of them is stored, MongoDB says
            continue
        assert quick.of(change.document_id) == careful.of(change.document_id)


def test_only_what_is_doubtful_is_looked_at_alone():
    plain = {"a": 1, "b": [None, {"c": [1.5, "x"]}], "d": {"e": []}}
    others = [{**plain, "_id": "own"}, {**plain, "n": 2**40}, {**plain, "n": 2**60}, DATED]
    wrong = [{"a.b": 1}, {"_x": 1}, {"_id": ""}, {"_id": True}, {"a": {"$code": "x"}}]

    with patch("tenancy.mongo.bulk_inserts.make_change", wraps=make_change) as alone:
        mixed = make_inserts([plain, *others, *wrong, {**plain, "_meta": {}}], None, MAX_BYTES)
        fine = make_inserts([plain, *others], None, MAX_BYTES)

    assert [call.args[2] for call in alone.call_args_list] == wrong
    assert [each.error is None for each in mixed] == [True] * 5 + [False] * 5 + [True]
    assert isinstance(fine, Inserts)
    assert fine[0].fields is plain
    assert [each.is_json for each in mixed[:5]] == [True, True, False, False, False]
    assert [each.document_id == "own" for each in fine] == [False, True, False, False, False]


@pytest.mark.parametrize("more", [{}, {"x": DATED["at"]}, {"_id": 7}, {"_id": {"$uuid": "x"}}])
def test_what_is_wrong_with_a_document_says_nothing_of_those_beside_it(more):
    compiled = CompiledSchema.of({"required": ["a"]})
    documents = collection("collection", _Check(lambda: compiled, None))
    contents = [{"a": 1}, {"b": 1, **more}, {"a": "x" * 500}, {"a": 2}]

    found, told = insert(documents, make_inserts(contents, None, MAX_BYTES))

    is_unreadable = more.get("_id") == {"$uuid": "x"}
    assert found[1][0].code == ("invalid_document" if is_unreadable else SchemaViolation.code)
    assert found[2][0] is PayloadTooLarge
    assert [isinstance(each, bytes) for each in found] == [True, False, False, True]
    assert told[0][0] == 2


def test_a_number_that_json_rounds_is_judged_as_it_is_spelled():
    compiled = CompiledSchema.of({"properties": {"n": {"type": "integer"}}})
    documents = collection("collection", _Check(lambda: compiled, None))
    contents = [{"n": 2**53 - 1}, {"n": 2**53}, {"n": [2**60]}]

    found, _ = insert(documents, make_inserts(contents, None, MAX_BYTES))

    assert [isinstance(each, bytes) for each in found] == [True, False, False]
    assert one_by_one(documents, make_inserts(contents, None, MAX_BYTES))[0][1:] == found[1:]


def test_a_batch_without_room_is_asked_for_one_by_one():
    asked = []

    def no_room(documents, size):
        asked.append(documents)
        raise PlanLimitReached

    documents = collection(
        "collection", lambda fields: None, LimitedCollection, assert_room=no_room
    )
    in_segments = []
    documents._in_segments = lambda part, note: in_segments.extend(part)

    documents.insert_together(make_inserts([{"n": n} for n in range(30)], None, 100_000), None)

    assert asked[0] == 30
    assert [number for number, _ in in_segments] == list(range(30))


def test_of_many_documents_those_are_fine_that_would_be_alone():
    needs_a, sees_id = [CompiledSchema.of({"required": [name]}) for name in ("a", "_id")]
    good, bad, warned = {"a": Int64(2**60)}, {"b": 1}, Violations()

    def fine(compiled, noted=None):
        is_json = [True, True, False, True, False]
        return _Check(lambda: compiled, noted).find_fine([{"a": 1}, bad, good, bad, bad], is_json)

    assert fine(needs_a) == fine(needs_a, warned) == [True, False, True, False, False]
    assert fine(None) == [True] * 5
    assert fine(sees_id) == [False] * 5
    warned.note("x", needs_a.find_errors(bad))
    assert fine(needs_a, warned) == [False] * 5
    assert collection("shared", accept)._find_fine([bad, bad], [True, False]) == [True, True]
    assert collection("shared", lambda fields: None)._find_fine([bad], [True]) == [False]
