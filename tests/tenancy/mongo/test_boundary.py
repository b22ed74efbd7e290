"""The boundary of the shared collection: what a tenant can ask, and what it costs."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp, encode
from pymongo import MongoClient
from pymongo.monitoring import CommandListener

from tenancy.exceptions import AlreadyExists, DocumentNotFound, TenancyError, ValidationFailed
from tenancy.mongo import clients
from tenancy.mongo.boundary import SHARED_ID_EXTRA_BYTES, boundary_of
from tenancy.mongo.documents import START, TenantCollection
from tenancy.names import PlacementAddress

pytestmark = pytest.mark.needs_mongod

ACME = UUID("7f000000-0000-4000-8000-000000000001")
# The outsider, and two whose ids are next to acme's in the index.
OTHERS = [
    UUID("3b241101-e2bb-4255-8caf-4136c566a962"),
    UUID("7f000000-0000-4000-8000-000000000000"),
    UUID("7f000000-0000-4000-8000-000000000002"),
]
CANARY = "canary of another tenant"
OWNER = Binary(ACME.bytes, 4)
OID = ObjectId("59a47286cfa9a3a73e51e72c")

# Values that MongoDB takes as an `_id`, each type of BSON, and some that a hostile tenant made.
LIKE_ACMES = {"o": OWNER, "c": "main", "k": 1}
IDS = [
    *[None, False, True, -1, 0, 1, 2.5, Int64(2**53 + 1), Decimal128("7.5"), float("nan")],
    *[float("-inf"), "", "a", "main", "a\uffff", str(LIKE_ACMES), OID, Timestamp(1, 1)],
    *[Binary(ACME.bytes, 4), Binary(b"", 0), Binary(b"\xff" * 40, 0), MinKey()],
    *[datetime(1960, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)],
    *[{}, {"a": 1}, {"a": None}, {"a": {"b": 2}}, {"k": 1}, {"o": OWNER}, {"c": "main"}],
    *[LIKE_ACMES, {"o": OWNER, "c": "main"}, {"c": "main", "k": 1, "o": OWNER}],
    *[{"o": OWNER, "c": MaxKey(), "k": MaxKey()}, {"o": OWNER, "c": "main", "k": LIKE_ACMES}],
]
# The same numbers under another type are the same `_id`.
TWINS = {-1: -1.0, 0: Int64(0), 1: 1.0, 2.5: Decimal128("2.5")}


def place_of(organization_id, kind="shared"):
    from django.conf import settings

    namespace = f"org_{organization_id.hex}"
    return PlacementAddress(
        kind, "default", settings.TENANCY_DATABASE, namespace, settings.MONGODB_URI
    )


def documents_of(organization_id, logical="main", kind="shared", **options):
    address = place_of(organization_id, kind)
    return TenantCollection(address, logical, by="user:1", max_bytes=100_000, **options)


def twin(value):
    numbers = (int, float)
    return TWINS.get(value, value) if type(value) in numbers else value


def neighbours():
    """Return collections that lie before, behind and between what is acme's `main`."""
    yield from (documents_of(each) for each in OTHERS)
    yield from (documents_of(ACME, logical) for logical in ("mai", "main0", "a", "z"))


@pytest.fixture
def own(tenant_data):
    """Acme's documents in a collection of its own: how it has to be."""
    documents = documents_of(ACME, kind="collection")
    documents.insert_many({"_id": each, "n": n, "x": [n % 3]} for n, each in enumerate(IDS))
    return documents


@pytest.fixture
def shared(own):
    """The same in the shared collection, among others that use the same ids."""
    documents = documents_of(ACME)
    for neighbour in neighbours():
        made = ({"_id": twin(each), "n": CANARY, "x": CANARY} for each in reversed(IDS))
        assert neighbour.insert_many(made) == len(IDS)
    documents.insert_many({"_id": each, "n": n, "x": [n % 3]} for n, each in enumerate(IDS))
    return documents


def bare(document):
    """Return a document as bytes, without the times of its writes."""
    meta = document.get("_meta")
    kept = {key: value for key, value in document.items() if key != "_meta"}
    return encode({"rev": meta and meta.get("rev"), "document": kept})


def told(call):
    """Return what a call answers, or how it refuses, in a form that compares."""
    try:
        return call()
    except TenancyError as error:
        return type(error), str(error), error.detail, tuple(error.errors), str(error.extra)


def walk(documents, limit, query=None):
    given, after = [], START
    for _ in range(len(IDS) + 2):
        page = documents.list_page(limit=limit, after=after, query=query)
        given += [bare(document) for document in page.documents]
        if not page.has_more:
            return given
        after = page.documents[-1]["_id"]
    raise AssertionError("the walk does not end")


# --- ids


def test_a_stored_id_is_owner_collection_key_in_this_order():
    boundary = boundary_of(place_of(ACME), "orders")

    stored = boundary.stored_id(7)

    assert list(stored.items()) == [("o", Binary(ACME.bytes, 4)), ("c", "orders"), ("k", 7)]
    assert boundary.shown_id(stored) == 7


@pytest.mark.parametrize("logical", ["a", "main", "o" * 63])
def test_a_stored_document_is_longer_by_what_the_boundary_says(logical):
    boundary = boundary_of(place_of(ACME), logical)

    longer = len(encode({"_id": boundary.stored_id(7)})) - len(encode({"_id": 7}))

    assert longer == boundary.id_extra_bytes == SHARED_ID_EXTRA_BYTES + len(logical)
    assert boundary_of(place_of(ACME, "collection"), logical).id_extra_bytes == 0


def test_a_shared_placement_whose_namespace_is_from_a_slug_has_no_owner():
    address = place_of(ACME).at("org_acme")

    with pytest.raises(ValueError, match="hexadecimal"):
        boundary_of(address, "main")


@pytest.mark.parametrize("each", IDS, ids=repr)
def test_each_id_is_got_alone(shared, own, each):
    assert bare(shared.get(each)) == bare(own.get(each))
    assert bare(shared.get(twin(each))) == bare(own.get(each))


def test_an_id_that_only_others_have_is_not_there(shared):
    for neighbour in neighbours():
        neighbour.insert({"_id": "theirs", "n": CANARY})

    for call in (shared.get, shared.delete, lambda each: shared.patch(each, {"a": 1})):
        for each in ("theirs", {"o": Binary(OTHERS[0].bytes, 4), "c": "main", "k": "theirs"}):
            with pytest.raises(DocumentNotFound):
                call(each)


@pytest.mark.parametrize("limit", [1, 2, 7, 1_000])
def test_pages_give_what_pages_of_an_own_collection_give(shared, own, limit):
    assert walk(shared, limit) == walk(own, limit)
    assert len(walk(shared, limit)) == len(IDS)


def test_writes_leave_others_alone(shared):
    before = [walk(neighbour, 1_000) for neighbour in neighbours()]

    for each in IDS:
        shared.patch(each, {"m": 1})
        shared.replace(each, {"m": 2})
    for each in IDS:
        shared.delete(twin(each))

    assert shared.list_page(limit=5).documents == []
    assert [walk(neighbour, 1_000) for neighbour in neighbours()] == before


def test_a_taken_id_is_refused_in_the_same_words(shared, own):
    for each in IDS:
        for call in (
            lambda documents, each=each: documents.insert({"_id": each}),
            lambda documents, each=each: documents.create(each, {}),
            lambda documents, each=each: documents.patch(each, {"_id": "other"}),
            lambda documents, each=each: documents.replace(f"no {each}", {"_id": each}),
        ):
            answer = told(lambda call=call: call(shared))
            assert answer == told(lambda call=call: call(own))
            assert issubclass(answer[0], TenancyError)
            assert not {CANARY, "'k'", "dup key", OWNER.hex()} & set(map(str, answer))


def test_an_id_of_others_can_be_used(shared):
    documents_of(OTHERS[0]).insert({"_id": "new"})

    assert shared.insert({"_id": "new"})["_meta"]["rev"] == 1
    with pytest.raises(AlreadyExists):
        shared.insert({"_id": "new"})


@pytest.mark.parametrize("patch", [{"_id": LIKE_ACMES}, {"_id": {"k": 2}}, {"_id": None}], ids=str)
def test_a_patch_moves_no_document_to_another_tenant(shared, patch):
    with pytest.raises(ValidationFailed):
        shared.patch(1, patch)


def test_fields_named_like_parts_of_the_stored_id_are_plain_fields(shared):
    fields = {"o": "o", "c": "c", "k": {"o": OWNER}}
    shared.replace("x", fields)
    shared.patch("x", {"k": {"c": 1}, "o": None})

    document = shared.get("x")

    assert document == {
        "_id": "x",
        "c": "c",
        "k": {"o": OWNER, "c": 1},
        "_meta": document["_meta"],
    }
    assert shared.count({"c": "c", "k.o": OWNER}) == 1


# --- filters

OPERATORS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]
TYPES = [
    *["double", "string", "object", "array", "binData", "objectId", "bool", "date", "null", "int"],
    *["long", "decimal", "number", "timestamp", "minKey", "maxKey"],
]
VALUES = [*IDS, MaxKey(), 3, "zzz", Int64(1), 1.0, Decimal128("1"), {"b": 1}, [1], []]


def filters_on_ids():
    """Return filters on `_id`, by operator."""
    for value in VALUES:
        yield {"_id": value}
        yield from ({"_id": {operator: value}} for operator in OPERATORS)
        yield {"_id": {"$in": [value, "a", 1]}}
        yield {"_id": {"$nin": [value, "a", 1]}}
        yield {"_id": {"$not": {"$gte": value}}}
        yield {"_id": {"$gt": value, "$lte": "main"}}
        yield {"_id": {"$gte": 0, "$gt": value, "$ne": 1}}
        yield {"_id": {"$eq": value, "$exists": True}}
        yield {"_id": {"$all": [value]}}
        yield {"_id": {"$in": [value, "a", 1], "$gt": 0}}
        yield {"_id": {"$eq": value, "$nin": [1, "a"]}}
        yield {"_id": {"$lt": value}, "n": {"$gt": 3}}


FILTERS = [
    *[{"_id": {"$exists": True}}, {"_id": {"$exists": False}}, {"_id": {"$in": []}}],
    *[{"_id": {"$nin": []}}, {"_id": {"$size": 1}}, {"_id": {"$mod": [2, 1]}}],
    *[{"_id": {"$regex": "^a"}}, {"_id": {"$not": {"$regex": "^a"}}}],
    *[{"_id": {"$elemMatch": {"$gt": 0}}}],
    *[{"_id": {"$type": name}} for name in TYPES],
    *[{"_id": {"$not": {"$type": name}}} for name in TYPES],
    *[{"_id": {"$type": ["string", "object"]}}],
    *[{f"_id.{path}": None} for path in ("a", "a.b", "k", "o", "c", "k.k", "k.o", "_id", "x")],
    *[{f"_id.{path}": {"$exists": True}} for path in ("a", "a.b", "k", "o", "c", "k.k", "x")],
    *[{"_id.o": OWNER}, {"_id.c": "main"}, {"_id.k": 1}, {"_id.k": LIKE_ACMES}, {"_id.a": 1}],
    *[{"_id.c": {"$ne": "main"}}, {"_id.o": {"$nin": [OWNER]}}, {"_id.k": {"$type": "int"}}],
    *[{"_id": {"$type": "object"}, "_id.k": 1}, {"_id": LIKE_ACMES, "_id.k": 1}],
    *[{"n": {"$gt": 3}}, {"x": 1}, {"x": {"$elemMatch": {"$eq": 2}}}, {"n": CANARY}],
    *[{"x": {"$elemMatch": {"_id": 1}}}, {"k": 1}, {"o": None}, {"_meta.rev": 1}, {}],
]


def nested(query):
    """Return the same filter under each logical operator, and beside others."""
    yield {"$and": [query]}
    yield {"$or": [query, {"n": 5}]}
    yield {"$nor": [query]}
    yield {"$and": [{"$or": [query, {"_id": "a"}]}, {"$nor": [{"_id": 1}]}]}
    yield {"_id": {"$gte": 0}, "$or": [query, {"_id": {"$lt": 2}}]}
    yield {"_id": 1, "$nor": [query]}
    yield {"$nor": [{"$and": [query, {"n": {"$gte": 0}}]}]}


def found(documents, query):
    """Return what a filter finds by every way there is."""
    listed = [bare(each) for each in documents.list_page(limit=1_000, query=query).documents]
    later = documents.list_page(limit=1_000, after=0, query=query).documents
    matched = documents.aggregate([{"$match": query}])
    matched_late = documents.aggregate([{"$sort": {"n": 1}}, {"$match": query}])
    return {
        "list": listed,
        "later": [bare(each) for each in later],
        "count": documents.count(query),
        "match": sorted(bare(each) for each in matched),
        "late": sorted(bare(each) for each in matched_late),
    }


@pytest.mark.parametrize("nesting", [None, *range(7)])
def test_a_filter_finds_what_it_finds_in_an_own_collection(shared, own, nesting):
    plain = [*filters_on_ids(), *FILTERS] if nesting is None else [*filters_on_ids()][::7] + FILTERS
    for query in plain:
        asked = query if nesting is None else [*nested(query)][nesting]
        mine, theirs = found(own, asked), found(shared, asked)
        assert theirs == mine, asked
        assert CANARY.encode() not in b"".join(theirs["list"] + theirs["match"]), asked


@pytest.mark.parametrize("query", [{}, {"_id": {"$nin": ["a"]}}, {"$nor": [{"_id": {"$gt": 0}}]}])
def test_pages_of_a_filter_are_those_of_an_own_collection(shared, own, query):
    assert walk(shared, 2, query) == walk(own, 2, query)


# --- pipelines

PIPELINES = [
    [],
    [{"$count": "n"}],
    [{"$match": {"_id": "nothing"}}, {"$count": "n"}],
    [{"$sort": {"_id": 1}}],
    [{"$sort": {"_id": -1}}, {"$limit": 4}],
    [{"$sort": {"_id.a": 1, "_id": 1}}],
    [{"$sort": {"n": -1}}, {"$skip": 3}, {"$match": {"_id": {"$gt": ""}}}],
    [{"$match": {"_id.k": 1}}, {"$project": {"_id": 1}}],
    [{"$match": {"_id": {"$type": "object"}}}, {"$set": {"k": "$_id.k", "o": "$_id.o"}}],
    [{"$set": {"k": "$_id.k"}}, {"$match": {"k": {"$exists": True}, "_id.o": OWNER}}],
    [{"$group": {"_id": "$_id", "n": {"$sum": 1}}}],
    [{"$group": {"_id": {"$type": "$_id"}, "ids": {"$sum": 1}}}],
    [{"$group": {"_id": None, "least": {"$min": "$_id"}, "most": {"$max": "$_id"}}}],
    [{"$group": {"_id": "$_id.k", "n": {"$sum": 1}}}, {"$match": {"_id": 1}}],
    [{"$sortByCount": "$_id.a"}],
    [{"$facet": {"all": [{"$count": "n"}], "one": [{"$match": {"_id": 1}}, {"$unset": "_meta"}]}}],
    [{"$facet": {"o": [{"$match": {"_id.o": {"$exists": True}}}, {"$count": "n"}]}}],
    [{"$unset": "_id"}, {"$match": {"_id": None}}, {"$count": "n"}],
    [{"$project": {"_id": 0, "id": "$_id"}}, {"$match": {"id": {"$gte": {"a": 1}}}}],
    [{"$unwind": "$x"}, {"$group": {"_id": "$x", "n": {"$sum": 1}}}],
    [{"$project": {"_id.k": 1}}],
    [{"$set": {"_id.z": 1}}, {"$unset": "_meta"}],
    [{"$match": {"$or": [{"_id": 1}, {"_id": "a"}]}}, {"$match": {"_id": {"$ne": "a"}}}],
    [{"$bucket": {"groupBy": "$_id", "boundaries": [0, 2, 9], "default": "else"}}],
]


@pytest.mark.parametrize("stages", PIPELINES, ids=str)
def test_a_pipeline_gives_what_it_gives_in_an_own_collection(shared, own, stages):
    theirs, mine = ([bare(row) for row in each.aggregate(stages)] for each in (shared, own))
    is_sorted = any("$sort" in stage for stage in stages)

    assert (theirs if is_sorted else sorted(theirs)) == (mine if is_sorted else sorted(mine))
    assert CANARY.encode() not in b"".join(theirs)


# --- what it costs

TENANTS = [UUID(int=(0x7F << 120) + number) for number in range(50)]
EACH_HAS = 20


class Commands(CommandListener):
    """Remembers every command that reads, to ask MongoDB how it was answered."""

    def __init__(self):
        self.sent = []

    def started(self, event):
        if event.command_name in {"find", "aggregate", "count"}:
            self.sent.append(dict(event.command))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


def statistics_in(plan):
    """Return every `executionStats` in an explanation, however deep."""
    if isinstance(plan, list):
        return [each for part in plan for each in statistics_in(part)]
    if not isinstance(plan, dict):
        return []
    own = [plan["executionStats"]] if "executionStats" in plan else []
    return own + [each for value in plan.values() for each in statistics_in(value)]


def stages_in(plan):
    """Return the name of every stage, and the index of every scan."""
    if isinstance(plan, list):
        return {each for part in plan for each in stages_in(part)}
    if not isinstance(plan, dict):
        return set()
    own = {plan[key] for key in ("stage", "indexName") if isinstance(plan.get(key), str)}
    return own | {each for value in plan.values() for each in stages_in(value)}


@pytest.fixture
def commands(tenant_data, monkeypatch):
    """What the product's client reads, while fifty tenants share the collection."""
    rows = [
        {"_id": {"o": Binary(owner.bytes, 4), "c": logical, "k": number}, "n": number % 5}
        for owner in TENANTS
        for logical in ("main", "orders")
        for number in range(EACH_HAS)
    ]
    tenant_data["shared"].insert_many(rows)
    listener = Commands()
    monkeypatch.setattr(clients, "MongoClient", partial(MongoClient, event_listeners=[listener]))
    clients.close_clients()
    yield listener.sent
    clients.close_clients()


NOT_EXPLAINED = {
    *["lsid", "$db", "$clusterTime", "txnNumber", "maxTimeMS", "readConcern", "$readPreference"]
}
OPERATOR_ID = {"_id": {"$gte": 15}}
DEEP = {"$or": [{"_id": 1}, {"n": 1}]}
# A read, and how many keys it may look at: one more tells that there is nothing more.
READS = {
    "get": (lambda documents: documents.get(7), 1),
    "list": (lambda documents: documents.list_page(limit=1_000), EACH_HAS + 1),
    "first page": (lambda documents: documents.list_page(limit=5), 6),
    "later page": (lambda documents: documents.list_page(limit=5, after=9), 8),
    "last page": (lambda documents: documents.list_page(limit=50, after=9), EACH_HAS),
    "filtered": (lambda documents: documents.list_page(limit=50, query={"n": 1}), EACH_HAS + 1),
    "filtered by id": (lambda documents: documents.list_page(limit=50, query=OPERATOR_ID), 6),
    "some ids": (lambda documents: documents.count({"_id": {"$in": [1, 2, 99]}}), 7),
    "count": (lambda documents: documents.count(), EACH_HAS + 1),
    "count by id": (lambda documents: documents.count(OPERATOR_ID), 6),
    "count deep": (
        lambda documents: documents.count({"$or": [{"_id": 1}, {"n": 1}]}),
        EACH_HAS + 1,
    ),
    "aggregate": (lambda documents: list(documents.aggregate([{"$count": "n"}])), EACH_HAS + 1),
    "first match": (lambda documents: list(documents.aggregate([{"$match": OPERATOR_ID}])), 6),
    "late match": (
        lambda documents: list(documents.aggregate([{"$sort": {"n": 1}}, {"$match": OPERATOR_ID}])),
        EACH_HAS + 1,
    ),
}


@pytest.mark.parametrize(("read", "most"), READS.values(), ids=READS)
def test_a_read_looks_at_the_tenants_own_keys_alone(commands, tenant_data, read, most):
    read(documents_of(TENANTS[25]))

    (sent,) = commands
    kept = {key: value for key, value in sent.items() if key not in NOT_EXPLAINED}
    plan = tenant_data.command({"explain": kept, "verbosity": "executionStats"})
    assert max(each["totalKeysExamined"] for each in statistics_in(plan)) <= most
    assert max(each["totalDocsExamined"] for each in statistics_in(plan)) <= most
    assert "COLLSCAN" not in stages_in(plan)
    assert stages_in(plan) & {"IDHACK", "_id_"}
