"""The quick way of an insert through a bulk, beside that of any other document."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tenancy.exceptions import PayloadTooLarge, SchemaViolation, TenancyError
from tenancy.mongo.bulk_input import make_change, make_insert
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
