"""The quick way of an insert through a bulk, beside that of any other document."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import PayloadTooLarge, SchemaViolation, TenancyError
from tenancy.mongo.bulk_input import make_change, make_insert, make_inserts
from tenancy.mongo.document_rules import decode_document
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.writing import elements_of, with_id
from tenancy.names import PlacementAddress
from tenancy.schemas import CompiledSchema, Violations, _Check
from tests.tenancy.mongo.test_quick_documents import KEYS, VALUES

META = elements_of({"_meta": {"rev": 1, "by": "user:1"}})
NAMES = KEYS | st.sampled_from(["_id", "_meta", "_x"])
SCHEMAS = [
    {"properties": {"a": {"type": ["string", "integer"]}, "b": {"maxProperties": 0}}},
    {"additionalProperties": {"not": {"required": ["$oid"]}}, "maxProperties": 2},
    {"properties": {"_id": {"type": "integer"}}},
    {"required": ["_id"], "properties": {"_id": {"type": "object"}, "a": {"type": "number"}}},
]


def collection(kind, check):
    namespace = f"org_{UUID(int=1).hex}"
    address = PlacementAddress(kind, "main", "tenantry", namespace, "mongodb://127.0.0.1:1")
    return TenantCollection(address, "main", by="user:1", max_bytes=400, check=check)


def outcome(act):
    try:
        sent, size = act()
    except TenancyError as error:
        return type(error), error.detail, error.errors
    return sent.raw, size


@given(
    st.dictionaries(NAMES, VALUES, max_size=4) | st.just({"a": "x" * 400}),
    st.sampled_from(SCHEMAS),
    st.sampled_from(["shared", "collection"]),
    st.booleans(),
)
def test_an_insert_is_sent_sized_and_judged_as_any_document(raw, schema, kind, warns):
    quick, careful = [Violations() if warns else None for _ in range(2)]
    change = make_insert(raw, 10_000)
    if change.error is not None:
        same = make_change("insert", None, raw, if_rev=None, max_bytes=10_000)
        assert same._replace(error=None) == change._replace(error=None)
        assert outcome(lambda: decode_document(raw))[0] is type(change.error)
        return
    compiled = CompiledSchema.of(schema)
    ours = collection(kind, _Check(lambda: compiled, quick))
    theirs = collection(kind, _Check(lambda: compiled, careful))

    found = outcome(lambda: ours._ready_to_insert(change, META))

    whole = with_id(change.document_id, decode_document(raw))
    assert found == outcome(lambda: theirs._ready(whole, META))
    assert change.whole().fields == whole
    if warns:
        assert quick.of(change.document_id) == careful.of(change.document_id)


def test_a_plain_document_is_neither_copied_nor_encoded_twice():
    raw = {"a": 1, "b": [None, {"c": [1.5, "x"]}], "d": {"e": []}}

    change = make_insert(raw, 10_000)

    assert change.fields is raw
    assert elements_of(raw) in change.encoded
    for own in ({**raw, "_id": 5}, {**raw, "n": 2**40}, {"at": {"$date": "2026-01-31T09:30:00Z"}}):
        change = make_insert(own, 10_000)
        assert change.encoded is None
        assert next(iter(change.fields)) == "_id"


def test_what_is_too_large_or_against_the_schema_is_refused_on_the_quick_way_too():
    compiled = CompiledSchema.of({"required": ["a"]})
    documents = collection("collection", _Check(lambda: compiled, None))

    for raw, error in (({"b": 1}, SchemaViolation), ({"a": "x" * 500}, PayloadTooLarge)):
        change = make_insert(raw, 10_000)
        assert change.encoded is not None
        assert outcome(lambda change=change: documents._ready_to_insert(change, META))[0] is error


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3))
def test_inserts_that_are_made_together_are_those_that_are_made_one_by_one(contents):
    many = make_inserts(contents, 200)

    for content, change in zip(contents, many, strict=True):
        alone = make_insert(content, 200)
        assert type(change.error) is type(alone.error)
        mine, other = (each.whole().fields for each in (change, alone))
        assert list(mine) == list(other)
        assert elements_of({**mine, "_id": 0}) == elements_of({**other, "_id": 0})


def test_many_documents_pass_only_if_each_would():
    needs_a, sees_id = [CompiledSchema.of({"required": [name]}) for name in ("a", "_id")]
    good, bad = {"a": 1}, {"b": 1}

    assert _Check(lambda: needs_a, None).passes([good, good])
    assert _Check(lambda: None, None).passes([bad])
    assert not _Check(lambda: needs_a, None).passes([good, bad])
    assert not _Check(lambda: sees_id, None).passes([good])
    assert not _Check(lambda: needs_a, Violations()).passes([good])
