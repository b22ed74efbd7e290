"""What filters and pipelines from clients find in the shared collection, and in an own one.

The own collection says how it has to be; the shared one holds the same ids of neighbours, too.
"""

from contextlib import suppress
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, encode
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenancy.exceptions import InvalidInput, QueryTooComplex
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.filters import compile_filter
from tenancy.mongo.pipelines import compile_pipeline
from tenancy.mongo.query_errors import query_errors
from tenancy.names import PlacementAddress

pytestmark = pytest.mark.needs_mongod

ACME = UUID("7f000000-0000-4000-8000-000000000001")
BESIDE = [
    (UUID("7f000000-0000-4000-8000-000000000000"), "main"),
    (UUID("7f000000-0000-4000-8000-000000000002"), "main"),
    (ACME, "mai"), (ACME, "main0"),
]  # fmt: skip
CANARY = "canary of a neighbour"
AUTHOR = "user:who-wrote-it"
OWNER = Binary(ACME.bytes, 4)
OID = "59a47286cfa9a3a73e51e72c"
# What clients can use as ids, and what others may have left, such as a made-up stored `_id`.
IDS = [
    *[None, True, -1, 0, 2, Int64(2**53 + 1), 2.5, Decimal128("7.5"), float("nan"), "", "main"],
    *[ObjectId(OID), OWNER, Binary(b"x", 0), {}, {"a": 1}, {"k": 1}, {"a": {"b": None}}],
    *[{"o": OWNER, "c": "main", "k": 1}, {"k": {"k": 1}}, {"a": [1, 2]}],
]  # fmt: skip


def documents_of(owner, logical, kind):
    address = PlacementAddress(
        kind, "default", django_settings.TENANCY_DATABASE, f"org_{owner.hex}",
        django_settings.MONGODB_URI,
    )  # fmt: skip
    return TenantCollection(address, logical, by=AUTHOR, max_bytes=100_000)


@pytest.fixture
def pair(tenant_data):
    """Acme's documents in an own collection, and in the shared one among neighbours."""
    for owner, logical in BESIDE:
        neighbour = documents_of(owner, logical, "shared")
        neighbour.insert_many({"_id": each, "n": CANARY, "x": [CANARY]} for each in IDS)
    both = [documents_of(ACME, "main", kind) for kind in ("collection", "shared")]
    for documents in both:
        documents.insert_many(
            {"_id": each, "n": n, "x": [n % 3, {"k": n, "_id": n % 2}], "k": n % 2}
            for n, each in enumerate(IDS)
        )
    return both


plain = st.sampled_from(
    [
        *[None, True, False, -1, 0, 1, 2, 2.5, "", "a", "main", {}, {"a": 1}, {"k": 1}, [], [1, 2]],
        *[{"$oid": OID}, {"$uuid": str(ACME)}, {"$numberDouble": "NaN"}, {"a": {"b": None}}],
        *[{"$numberDecimal": "7.5"}, {"$numberLong": "9007199254740993"}, {"a": [1, 2]}],
        *[{"o": {"$uuid": str(ACME)}, "c": "main", "k": 1}, {"k": {"k": 1}}, CANARY],
        *[{"$binary": {"base64": "eA==", "subType": "00"}}, {"$numberDouble": "-Infinity"}],
    ]
)
conditions = st.one_of(
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), plain,
    ),
    st.builds(
        lambda name, values: {name: values},
        st.sampled_from(["$in", "$nin", "$all"]), st.lists(plain, max_size=3),
    ),
    st.sampled_from(
        [
            *[{"$exists": True}, {"$exists": False}, {"$size": 2}, {"$mod": [2, 0]}],
            *[{"$type": "object"}, {"$type": ["null", "number"]}, {"$type": -1}, {"$type": 127}],
            *[{"$regex": "^ma"}, {"$elemMatch": {"$gte": 1}}, {"$elemMatch": {"k": {"$gt": 3}}}],
            *[{"$elemMatch": {"_id": 1}}, {"$elemMatch": {"$or": [{"_id": 0}, {"k": 2}]}}],
            *[{"$all": [{"$elemMatch": {"_id": 1}}]}, {"$elemMatch": {}}],
        ]
    ),
)  # fmt: skip
operators = st.recursive(
    st.one_of(conditions, st.builds(lambda one, other: {**one, **other}, conditions, conditions)),
    lambda inner: st.builds(lambda each: {"$not": each}, inner),
    max_leaves=2,
)
paths = st.sampled_from(
    ["_id", "_id", "_id", "_id.k", "_id.o", "_id.c", "_id.a", "_id.a.b", "_id.a.0", "x", "x.k", "k"]
)
fields = st.dictionaries(paths, operators | plain, max_size=2)
filters = st.recursive(
    fields,
    lambda inner: st.builds(
        lambda name, parts, beside: {**beside, name: parts},
        st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, min_size=1, max_size=2), fields,
    ),
    max_leaves=4,
)  # fmt: skip
expressions = st.recursive(
    st.sampled_from(
        [
            *[
                "$n",
                "$_id",
                "$_id.k",
                "$x",
                "$$ROOT",
                "$_meta",
                "$x.k",
                "$none",
                "text",
                1,
                0,
                None,
            ],
            *["$$REMOVE", {"$literal": "$_meta.by"}, {"$literal": {"a": [1]}}, "$$ROOT._meta", []],
        ]
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda name, values: {name: values},
            st.sampled_from(
                [
                    *[
                        "$eq",
                        "$gt",
                        "$and",
                        "$add",
                        "$divide",
                        "$concat",
                        "$concatArrays",
                        "$ifNull",
                    ],
                    *[
                        "$mergeObjects",
                        "$setUnion",
                        "$arrayElemAt",
                        "$in",
                        "$min",
                        "$slice",
                        "$pow",
                    ],
                    *["$substrCP", "$mod", "$cmp", "$arrayToObject", "$log"],
                ]
            ),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(
            lambda name, value: {name: value},
            st.sampled_from(
                [
                    *[
                        "$type",
                        "$size",
                        "$toString",
                        "$toInt",
                        "$toDate",
                        "$year",
                        "$objectToArray",
                    ],
                    *["$isArray", "$not", "$toLower", "$reverseArray", "$sum", "$toObjectId"],
                ]
            ),
            inner,
        ),
        st.builds(lambda a, b: {"$cond": {"if": a, "then": b, "else": a}}, inner, inner),
        st.builds(lambda a: {"$map": {"input": "$x", "in": {"$add": ["$$this", a]}}}, inner),
        st.builds(lambda a: {"$filter": {"input": a, "cond": {"$gt": ["$$this", "$n"]}}}, inner),
        st.builds(lambda a: {"$let": {"vars": {"v": a}, "in": ["$$v", a]}}, inner),
        st.builds(lambda a: {"a": a, "b": "$k"}, inner),
        st.builds(lambda a: {"$convert": {"input": a, "to": "int"}}, inner),
        st.builds(lambda a: {"$sortArray": {"input": a, "sortBy": {"k": -1}}}, inner),
        st.builds(lambda a: {"$dateToString": {"date": a, "format": "%Y"}}, inner),
    ),
    max_leaves=5,
)
stages = st.one_of(
    st.builds(lambda each: {"$match": each}, filters),
    st.builds(lambda each: {"$set": {"e": each}}, expressions),
    st.builds(lambda each: {"$project": {"e": each, "n": 1}}, expressions),
    st.builds(lambda each: {"$group": {"_id": each, "c": {"$sum": 1}}}, expressions),
    st.builds(lambda each: {"$group": {"_id": "$k", "c": {"$max": each}}}, expressions),
    st.builds(lambda each: {"$sortByCount": each}, st.sampled_from(["$_id", "$k", "$x"])),
    st.sampled_from(
        [
            *[{"$sort": {"_id": 1}}, {"$sort": {"n": -1}}, {"$unset": "n"}, {"$unwind": "$x"}],
            *[{"$count": "c"}, {"$project": {"_id": 0, "x": 1}}, {"$project": {"_meta": 0}}],
            *[{"$facet": {"a": [{"$match": {"_id": 1}}], "b": [{"$count": "c"}]}}],
            *[{"$bucket": {"groupBy": "$n", "boundaries": [0, 5], "default": "$rest"}}],
            *[{"$unwind": {"path": "$x", "includeArrayIndex": "i"}}, {"$set": {"_id": "$_id.k"}}],
        ]
    ),
)
quick = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def timeless(value):
    """Return a value as bytes, without the times of writes."""
    text = encode({"": without_times(value)})
    assert CANARY.encode() not in text
    assert AUTHOR.encode() not in text
    return text


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if not k.endswith("ed_at")}
    return [without_times(each) for each in value] if isinstance(value, list) else value


@quick
@given(filters)
def test_a_filter_finds_the_same_wherever_the_documents_are(pair, raw):
    query = {}
    with suppress(QueryTooComplex):
        query = compile_filter(raw)

    own, shared = [
        [timeless(each) for each in documents.list_page(limit=100, query=query).documents]
        for documents in pair
    ]

    assert shared == own
    assert [documents.count(query) for documents in pair] == [len(own)] * 2


def outcome(documents, pipeline):
    """Return what comes out, in any order, or how it is refused: never as a defect."""
    try:
        with query_errors():
            cursor = documents._collection.aggregate(documents._boundary.pipeline(pipeline))
            return sorted(timeless(each) for each in cursor)
    except InvalidInput as error:
        return type(error)


@quick
@given(st.lists(stages, max_size=4))
def test_a_pipeline_makes_the_same_wherever_the_documents_are(pair, raw):
    pipeline = []
    with suppress(QueryTooComplex):
        pipeline = compile_pipeline(raw)

    own, shared = [outcome(documents, pipeline) for documents in pair] if pipeline else (0, 0)

    assert shared == own


def test_who_wrote_a_document_comes_out_of_no_stage(pair):
    looks = [
        *["$$ROOT", "$_meta", "$$CURRENT._meta", {"$objectToArray": "$$ROOT._meta"}],
        {"$objectToArray": "$_meta"},
    ]
    for look in looks:
        for raw in (
            [{"$set": {"e": look}}],
            [{"$sort": {"n": 1}}, {"$limit": 3}, {"$group": {"_id": look}}],
            [{"$facet": {"a": [{"$project": {"e": look}}]}}],
            [{"$group": {"_id": None, "e": {"$push": look}}}],
        ):
            for documents in pair:
                assert isinstance(outcome(documents, compile_pipeline(raw)), list)


def test_a_first_match_and_sort_use_the_index(pair):
    own = pair[0]
    own._collection.create_index([("k", 1), ("n", 1)])
    pipeline = compile_pipeline(
        [{"$match": {"k": 1}}, {"$sort": {"n": 1}}, {"$group": {"_id": "$x"}}]
    )

    plan = own._collection.database.command(
        "explain", {"aggregate": own._collection.name, "pipeline": pipeline, "cursor": {}}
    )

    assert "IXSCAN" in str(plan)
    assert "COLLSCAN" not in str(plan)
    assert "'stage': 'SORT'" not in str(plan)
    assert "'$sort'" not in str(plan["stages"])
