"""Whatever is done in whatever order: the shared collection answers as an own one does."""

from uuid import UUID

import pytest
from bson import Binary, Int64, ObjectId, encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenancy.exceptions import TenancyError
from tenancy.mongo.documents import START, TenantCollection
from tenancy.mongo.revisions import IfMatch
from tenancy.names import PlacementAddress

pytestmark = pytest.mark.needs_mongod

ACME = UUID("7f000000-0000-4000-8000-000000000001")
GLOBEX = UUID("7f000000-0000-4000-8000-000000000002")
SCENES = [(ACME, "main"), (ACME, "main0"), (GLOBEX, "main")]
MAX_BYTES = 400

# Few ids, so that operations meet; what an API client can use, and what others may have left.
ids = st.sampled_from(
    [
        *[None, True, 0, 1, Int64(1), 1.0, 2.5, "", "a", "ab", "main"],
        *[ObjectId("59a47286cfa9a3a73e51e72c"), Binary(ACME.bytes, 4), {"a": 1}, {"k": 1}],
        *[{"a": {"b": None}}, {"o": Binary(ACME.bytes, 4), "c": "main", "k": 1}],
    ]
)
scalars = st.sampled_from([None, True, 0, 1, Int64(2**40), 1.5, "", "a", "$n", "x" * 150])
names = st.sampled_from(["n", "o", "c", "k", "x"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
    max_leaves=4,
)
fields = st.dictionaries(names, values, max_size=3)
conditions = st.sampled_from(
    [None, IfMatch(None), *[IfMatch(frozenset(each)) for each in ((1,), (2,), (0, 3), ())]]
)

comparisons = st.one_of(
    st.builds(
        lambda operator, value: {operator: value},
        st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]),
        ids | scalars,
    ),
    st.builds(
        lambda operator, value: {operator: value},
        st.sampled_from(["$in", "$nin"]),
        st.lists(ids, max_size=3),
    ),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
    st.builds(
        lambda value: {"$type": value},
        st.sampled_from(["object", "number", "string", "null", ["bool", "binData"]]),
    ),
    st.builds(lambda value: {"$regex": f"^{value}"}, st.sampled_from(["a", "m"])),
)
several = st.builds(lambda one, other: {**one, **other}, comparisons, comparisons)
operators = st.one_of(comparisons, several, st.builds(lambda each: {"$not": each}, comparisons))
paths = st.sampled_from(["_id", "_id", "_id", "_id.a", "_id.k", "_id.o", "n", "k", "x", "o.c"])
plain = st.dictionaries(paths, st.one_of(operators, ids), max_size=2)
filters = st.recursive(
    plain,
    lambda inner: st.builds(
        lambda operator, parts, beside: {**beside, operator: parts},
        st.sampled_from(["$and", "$or", "$nor"]),
        st.lists(inner, min_size=1, max_size=2),
        plain,
    ),
    max_leaves=3,
)
stages = st.lists(
    st.one_of(
        st.builds(lambda each: {"$match": each}, filters),
        st.sampled_from(
            [
                {"$sort": {"n": 1, "_id": -1}}, {"$set": {"k": "$_id.k", "i": "$_id"}},
                {"$unset": "n"}, {"$project": {"_id": 1, "x": 1}}, {"$unwind": "$x"},
                {"$set": {"_id.z": 1}}, {"$group": {"_id": "$_id", "c": {"$sum": 1}}},
                {"$group": {"_id": "$_id.k", "c": {"$max": "$_id"}}},
                {"$facet": {"n": [{"$match": {"_id": 1}}, {"$count": "n"}]}},
            ]
        ),
    ),
    max_size=4,
)  # fmt: skip

steps = st.one_of(
    st.tuples(st.just("insert"), st.builds(lambda each, rest: {**rest, "_id": each}, ids, fields)),
    st.tuples(st.just("create"), ids, fields),
    st.tuples(st.just("replace"), ids, fields, conditions),
    st.tuples(st.just("patch"), ids, fields, conditions),
    st.tuples(st.just("patch"), ids, st.builds(lambda each: {"_id": each, "n": 1}, ids)),
    st.tuples(st.just("delete"), ids, conditions),
    st.tuples(st.just("get"), ids),
    st.tuples(st.just("count"), filters),
    st.tuples(st.just("page"), st.integers(1, 4), st.just(START) | ids, filters),
    st.tuples(st.just("aggregate"), stages),
)


def timeless(value):
    """Return a value without the times of writes, encoded: 1 and 1.0 are not the same."""
    if isinstance(value, dict) and isinstance(value.get("_meta"), dict):
        value = {**value, "_meta": value["_meta"].get("rev")}
    return encode({"": value})


class Scene:
    """One logical collection of one tenant, at one placement."""

    def __init__(self, owner, logical, kind, database, uri):
        address = PlacementAddress(kind, "default", database, f"org_{owner.hex}", uri)
        self.changes = []
        self.documents = TenantCollection(
            address,
            logical,
            by="user:1",
            max_bytes=MAX_BYTES,
            on_change=lambda *change: self.changes.append(change),
        )

    def answer(self, step):
        """Return what a step answers, or how it is refused."""
        name, *arguments = step
        try:
            return getattr(self, name)(*arguments)
        except TenancyError as error:
            return type(error), str(error), error.detail, tuple(error.errors), str(error.extra)

    def insert(self, document):
        return timeless(self.documents.insert(document))

    def create(self, document_id, document):
        return timeless(self.documents.create(document_id, document))

    def replace(self, document_id, document, condition):
        replaced, is_new = self.documents.replace(document_id, document, if_match=condition)
        return timeless(replaced), is_new

    def patch(self, document_id, patch, condition=None):
        return timeless(self.documents.patch(document_id, patch, if_match=condition))

    def delete(self, document_id, condition):
        return self.documents.delete(document_id, if_match=condition)

    def get(self, document_id):
        return timeless(self.documents.get(document_id))

    def count(self, query):
        return self.documents.count(query)

    def page(self, limit, after, query):
        page = self.documents.list_page(limit=limit, after=after, query=query)
        return [timeless(each) for each in page.documents], page.has_more

    def aggregate(self, pipeline):
        """Return what comes out, in any order: only a sort at the end would promise one."""
        return sorted(timeless(each) for each in self.documents.aggregate(pipeline))


def clear(tenant_data):
    for name in tenant_data.list_collection_names():
        tenant_data[name].delete_many({})


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, len(SCENES) - 1), steps), min_size=1, max_size=15))
def test_any_sequence_gives_the_answers_of_an_own_collection(tenant_data, settings, sequence):
    clear(tenant_data)
    where = settings.TENANCY_DATABASE, settings.MONGODB_URI
    own = [Scene(*scene, "collection", *where) for scene in SCENES]
    shared = [Scene(*scene, "shared", *where) for scene in SCENES]

    for number, step in sequence:
        assert shared[number].answer(step) == own[number].answer(step)

    for one, other in zip(shared, own, strict=True):
        assert one.page(1_000, START, {}) == other.page(1_000, START, {})
        assert one.changes == other.changes
