"""Pipelines: the stages and expressions that are allowed, and where the rest is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenancy.exceptions import InvalidInput, QueryTooComplex, StageNotAllowed
from tenancy.mongo.expression_operators import ACCUMULATORS, OPERATORS
from tenancy.mongo.filters import LOGICAL, ON_FIELDS
from tenancy.mongo.pipelines import STAGES, compile_pipeline
from tests.hostile_queries import PIPELINES
from tests.tenancy.mongo.test_filters import json, names_in

HIDES = {"$unset": "_meta.by"}
SAME = [
    {"$group": {"_id": None, "n": {"$sum": 1}, "x": {"$push": "$$ROOT"}, "c": {"$count": {}}}},
    {"$group": {"_id": {"year": {"$year": "$_meta.created_at"}, "k": "$a.b"}}},
    {"$project": {"_id": 0, "a": 1, "b.c": True, "d": {"$concat": ["$a", "-", "$b"]}}},
    {"$project": {"a": 0, "_meta": 0}},
    {"$project": {"_meta.rev": 1}},
    {"$set": {"a": {"$map": {"input": "$x", "as": "e", "in": {"$gt": ["$$e.n", "$least"]}}}}},
    {"$set": {"a": {"$filter": {"input": "$x", "cond": {"$in": ["$$this", [1, 2]]}}}}},
    {"$set": {"a": {"$let": {"vars": {"t": "$x"}, "in": {"$add": ["$$t", "$$NOW", 1]}}}}},
    {"$set": {"a": {"$cond": [{"$eq": ["$a", 1]}, "$$REMOVE", {"b": ["$c"]}]}}},
    {"$set": {"a": {"$switch": {"branches": [{"case": True, "then": 1}], "default": "$b"}}}},
    {"$set": {"a": {"$literal": {"b": "$not a path"}}, "b": {"$month": {"date": "$d"}}}},
    {"$set": {"a": {"$dateTrunc": {"date": "$d", "unit": "day", "timezone": "UTC"}}}},
    {"$set": {"a": {"$sortArray": {"input": "$x", "sortBy": {"n": -1, "_id": 1}}}}},
    {"$unset": ["a", "b.c", "_meta"]},
    {"$unwind": {"path": "$a.b", "includeArrayIndex": "i", "preserveNullAndEmptyArrays": True}},
    {"$count": "n"},
    {"$bucket": {"groupBy": "$a", "boundaries": [0, 5], "output": {"n": {"$avg": "$b"}}}},
    {"$sortByCount": {"$toLower": "$a"}},
    {"$facet": {"a": [{"$match": {"b": 1}}, {"$count": "n"}], "b": [{"$limit": 5}], "c": []}},
]


def test_what_is_allowed_stays_as_it_is():
    for stage in SAME:
        assert compile_pipeline([stage]) == [HIDES, stage]


def test_who_wrote_is_hidden_behind_what_an_index_serves():
    lead = [{"$match": {"a": 1}}, {"$sort": {"a": -1, "_id": 1}}, {"$skip": 0}, {"$limit": 10_000}]

    assert compile_pipeline([]) == [HIDES]
    assert compile_pipeline(lead) == [*lead, HIDES]
    assert compile_pipeline([*lead, *SAME[:1], *lead]) == [*lead, HIDES, *SAME[:1], *lead]


def test_boundaries_are_data():
    bucket = {"groupBy": "$a", "boundaries": ["$a", "$b"], "default": "$$ROOT"}

    compiled = compile_pipeline([{"$bucket": bucket}])[1]["$bucket"]

    assert compiled["boundaries"] == [{"$literal": "$a"}, {"$literal": "$b"}]
    assert compiled["default"] == {"$literal": "$$ROOT"}


def test_what_is_hostile_is_refused_at_its_place():
    for code, pointer, raw in PIPELINES:
        with pytest.raises(InvalidInput) as refused:
            compile_pipeline(raw)
        error = refused.value
        assert (raw, error.code, error.errors[0].pointer) == (raw, code, f"/pipeline{pointer}")
        assert error.errors[0].code == code


def test_a_slip_is_told_what_was_meant():
    with pytest.raises(StageNotAllowed, match="Did you mean “\\$match”"):
        compile_pipeline([{"$mtch": {}}])


def concatenated(field, times):
    return {"$concatArrays": [f"${field}"] * times}


# ruff: noqa: E501 -- one pipeline a line
GROUPED = [{"$unwind": "$a"}, {"$group": {"_id": None, "x": {"$push": "$k"}}}]
MAPPED = {"$map": {"input": "$a", "in": {"x": "$$this", "y": {"$concat": ["-", "$$this"]}}}}
# Each of them made MongoDB allocate gigabytes, of documents of 1 MiB.
BOMBS = [
    [*GROUPED, {"$set": {"y": concatenated("x", 30)}}, {"$set": {"z": concatenated("y", 30)}}],
    [*GROUPED, {"$set": {"y": concatenated("x", 12)}}],
    [*GROUPED, {"$project": {"n": {"$size": concatenated("x", 12)}}}],
    [*GROUPED, {"$set": {"y": {"$map": {"input": "$x", "in": {"v": "$$this"}}}}}],
    [*GROUPED, {"$set": {"y": {"$objectToArray": "$x"}}}],
    [*GROUPED, *[{"$set": {f"y{n}": concatenated("x", 2)}} for n in range(6)]],
    [*GROUPED, {"$set": {f"y{n}": concatenated("x", 2) for n in range(6)}}],
    [*GROUPED, {"$project": {"n": {"$setEquals": ["$x"] * 5}}}],
    [{"$set": {"y": concatenated("a", 15)}}, {"$set": {"z": concatenated("y", 60)}}],
    [{"$project": {"n": {"$size": {"$setUnion": ["$a"] * 200}}}}],
    [{"$set": {"y": {"$map": {"input": "$a", "in": {f"f{n}": {"x": "$$this"} for n in range(60)}}}}}],
    [{"$set": {"y": {"$map": {"input": "$a", "in": {"$concat": ["x" * 60_000, "$$this"]}}}}}],
    [{"$set": {"y": {"$map": {"input": {"$split": ["$a", ","]}, "in": {"x": ["$$this"] * 9, "y": ["$$this"] * 90}}}}}],
    [{"$set": {"a.b": {"$concat": ["x" * 60_000, {"$toString": "$n"}]}}}, {"$group": {"_id": "$a"}}],
    [{"$set": {"a": {"b": {"$concatArrays": ["$c", "$c"]}}}}, {"$group": {"_id": "$a"}}],
    [{"$project": {"who": {"city": "$address.city"}}}, {"$group": {"_id": None, "all": {"$addToSet": "$who"}}}],
    [{"$set": {"a": {"b": {"$map": {"input": "$c", "in": {f"f{n}": "$$this" for n in range(60)}}}}}}],
    [{"$set": {"a.b": "$c"}}, {"$set": {"d": {"$map": {"input": "$a", "in": {"$slice": ["$$this.b", 9]}}}}}],
    [{"$facet": {f"f{n}": [*GROUPED, {"$set": {"y": concatenated("x", 2)}}] for n in range(5)}}],
    [{"$sort": {"n": 1}}, {"$facet": {f"f{n}": [{"$sortByCount": "$a"}] for n in range(10)}}],
    [{"$facet": {"f": []}}, {"$set": {"y": concatenated("f", 12)}}],
]  # fmt: skip
# What people do, and documents of 1 MiB have room for.
EVERYDAY = [
    [{"$group": {"_id": "$k", "all": {"$push": "$$ROOT"}}}, {"$set": {"all": {"$slice": ["$all", 5]}}}],
    [*GROUPED, {"$project": {"n": {"$size": "$x"}, "x": {"$sortArray": {"input": "$x", "sortBy": 1}}}}],
    [{"$group": {"_id": "$k", "x": {"$push": {"k": "$a", "v": "$b"}}}}, {"$set": {"x": {"$arrayToObject": "$x"}}}],
    [{"$set": {"x": {"$arrayToObject": {"$map": {"input": {"$objectToArray": "$a"}, "in": {"k": "$$this.k", "v": "$$this.v"}}}}}}],
    [{"$set": {"lines": MAPPED}}, {"$set": {"lines": MAPPED}}, {"$unwind": "$lines"}, {"$sortByCount": "$lines.x"}],
    [{"$project": {"who": {"name": "$n", "city": "$city"}, "sum": {"$sum": "$a.b"}}}, {"$sort": {"sum": 1}}],
    [{"$project": {"who": {"city": "$address.city"}}}],
    [{"$project": {"who": {f"f{n}": f"$a.f{n}" for n in range(30)}, "what": {"n": {"first": "$n.0"}}}}],
    [{"$set": {"address.full": {"$concat": ["$address.street", " ", "$address.city"]}}}, {"$sort": {"address.full": 1}}],
    [{"$facet": {f"f{n}": [{"$sortByCount": "$a"}, {"$limit": 5}] for n in range(10)}}],
    [{"$group": {"_id": {"y": "$y", "m": "$m"}, "n": {"$sum": 1}}}, {"$project": {"y": "$_id.y", "m": "$_id.m", "n": 1}}],
]  # fmt: skip


def test_no_pipeline_makes_mongodb_allocate_more_than_there_is():
    for raw in BOMBS:
        with pytest.raises(QueryTooComplex):
            assert not compile_pipeline(raw), raw


def test_what_people_ask_for_every_day_is_not_too_much():
    for raw in EVERYDAY:
        assert compile_pipeline(raw)


def test_larger_documents_have_room_for_less():
    raw = [{"$set": {"x": concatenated("a", 45)}}]

    assert compile_pipeline(raw, document_bytes=1_048_576)
    with pytest.raises(QueryTooComplex):
        compile_pipeline(raw, document_bytes=16 * 1_048_576)


words = st.sampled_from([*STAGES, *sorted(OPERATORS), *sorted(ACCUMULATORS), "$function", "a"])
expressions = st.recursive(
    st.sampled_from(["$a", "$$ROOT", "$$this", "$$v", "$_meta.by", "text", 1, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(words, inner, min_size=1, max_size=1),
        st.fixed_dictionaries({"$map": st.fixed_dictionaries({"input": inner, "in": inner})}),
        json,
    ),
    max_leaves=6,
)
hostile_stages = st.one_of(
    st.dictionaries(st.sampled_from([*STAGES]), expressions | json, min_size=1, max_size=1),
    st.builds(lambda each: {"$set": {"x": each}}, expressions),
    st.builds(lambda each: {"$group": {"_id": each, "x": {"$push": each}}}, expressions),
    st.builds(lambda each: {"$facet": {"x": [{"$project": {"x": each}}]}}, expressions),
)
KNOWN = {*STAGES, *OPERATORS, *ACCUMULATORS, *LOGICAL, *ON_FIELDS}


@settings(max_examples=300, deadline=None)
@given(st.lists(hostile_stages, max_size=3) | json)
def test_any_json_is_compiled_or_refused_with_a_place(raw):
    compiled, places = None, []
    try:
        compiled = compile_pipeline(raw)
    except InvalidInput as error:
        places = [each.pointer for each in error.errors]

    if compiled is None:
        assert places[0].startswith("/pipeline")
    else:
        assert {name for name in names_in(compiled) if name.startswith("$")} <= KNOWN
