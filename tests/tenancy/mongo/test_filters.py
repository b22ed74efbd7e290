"""Filters: what is allowed, what it becomes, and where the rest is refused."""

import pytest
from bson import Int64, ObjectId, encode
from bson.datetime_ms import DatetimeMS
from hypothesis import given, settings
from hypothesis import strategies as st

from tenancy.exceptions import InvalidInput, OperatorNotAllowed
from tenancy.mongo.filter_operators import OPERATORS
from tenancy.mongo.filters import LOGICAL, canonical, compile_filter, equalities_of, fields_of
from tests.hostile_queries import FILTERS, OID

SAME = [
    *[{}, {"a": 1}, {"a": None}, {"a": {}}, {"a": []}, {"a.b.0": "x"}, {"a": {"b": {"c": [1]}}}],
    *[{"a": {operator: 1}} for operator in ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")],
    *[{"a": {"$in": []}}, {"a": {"$nin": [1, "a", None, [1], {"b": 1}]}}, {"a": {"$all": [1]}}],
    *[{"a": {"$exists": True}}, {"a": {"$size": 0}}, {"a": {"$mod": [-4, 0]}}],
    *[{"a": {"$type": "string"}}, {"a": {"$type": [2, "number"]}}, {"a": {"$type": -1}}],
    *[{"a": {"$not": {"$gt": 1, "$lt": 3}}}, {"a": {"$not": {"$regex": "^a"}}}],
    *[{"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, {"a": {"$elemMatch": {"_id": 1, "b.c": 2}}}],
    *[{"a": {"$elemMatch": {"$or": [{"_x": 1}]}}}, {"a": {"$all": [{"$elemMatch": {"b": 1}}]}}],
    *[{"$and": [{"a": 1}, {"$or": [{"b": 1}, {"$nor": [{"c": 1}]}]}]}, {"$or": [{}]}],
    *[{"_id": 1}, {"_id.k": 1}, {"_meta.rev": 3}, {"a": {"$regex": "^äß €\n-/_ 9"}}],
    *[{"a": {"$in": [1] * 1_000}}, {"$or": [{"a": 1}] * 100}, {"where": 1, "ref": 2, "id": 3}],
]


def test_what_is_allowed_stays_as_it_is():
    for raw in SAME:
        assert compile_filter(raw) == raw


def test_wrappers_become_values():
    compiled = compile_filter(
        {"a": {"$oid": OID}, "b": {"$gt": {"$date": {"$numberLong": "5"}}}, "c": {"$in": [2**40]}}
    )

    wanted = {"a": ObjectId(OID), "b": {"$gt": DatetimeMS(5)}, "c": {"$in": [2**40]}}
    assert encode(compiled) == encode(wanted)
    assert isinstance(compiled["c"]["$in"][0], Int64)


def test_a_prefix_is_escaped_so_that_an_index_serves_it():
    compiled = compile_filter({"a": {"$regex": "^a\\.b\\-c\\\\d"}})

    assert compiled == {"a": {"$regex": "^a\\.b-c\\\\d"}}


def test_what_is_hostile_is_refused_at_its_place():
    for code, pointer, raw in FILTERS:
        with pytest.raises(InvalidInput) as refused:
            compile_filter(raw, "/filter")
        error = refused.value
        assert (raw, error.code, error.errors[0].pointer) == (raw, code, f"/filter{pointer}")
        assert error.errors[0].code == code


def test_a_slip_is_told_what_was_meant():
    with pytest.raises(OperatorNotAllowed, match="Did you mean “\\$gte”"):
        compile_filter({"a": {"$gtee": 1}})


def test_the_same_filter_has_one_text():
    one = compile_filter({"a": 1, "b": {"$gt": 1, "$lt": 2}, "$or": [{"c": {"d": 1, "e": 2}}]})
    other = compile_filter(
        {"$or": [{"c": {"$eq": {"d": 1, "e": 2}}}], "b": {"$lt": 2, "$gt": 1}, "a": {"$eq": 1}}
    )

    assert canonical(one) == canonical(other)
    for raw in ({"a": 1}, {"a": "1"}, {"a": 1.5}, {"a": {"$ne": 1}}, {"a": {"$in": [1]}}, {}):
        assert canonical(compile_filter(raw)) != canonical(one)
    assert canonical({"c": {"d": 1, "e": 2}}) != canonical({"c": {"e": 2, "d": 1}})
    assert canonical({"a": ObjectId(OID)}) != canonical({"a": OID})


def test_the_fields_of_a_filter_and_those_it_fixes_are_known():
    query = compile_filter(
        {
            "a": 1, "b": {"$eq": None}, "c": {"$gt": 1}, "d": [1], "e": {"$eq": 1, "$lt": 3},
            "$and": [{"f.g": "x"}, {"$or": [{"h": 1}]}, {"$and": [{"i": 1}]}], "$nor": [{"j": 1}],
        }
    )  # fmt: skip

    assert fields_of(query) == {"a", "b", "c", "d", "e", "f.g", "h", "i", "j"}
    assert equalities_of(query) == {"a": 1, "b": None, "e": 1, "f.g": "x", "i": 1}


words = st.sampled_from(
    [
        *[*OPERATORS, *LOGICAL, "$not", "$elemMatch", "$where", "$expr", "$oid", "$date", "$code"],
        *["$regex", "$ref", "$numberLong", "a", "a.b", "_id", "_meta.by", "", "$", "\0"],
    ]
)
json = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), words,
        st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["^a", OID, "string"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(words | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
FORBIDDEN = ("$where", "$expr", "$code", "$function", "$ref", "_meta.by")


def names_in(value):
    """Return every key of what was compiled."""
    if isinstance(value, dict):
        return {*value, *(name for each in value.values() for name in names_in(each))}
    return {name for each in value for name in names_in(each)} if isinstance(value, list) else set()


@settings(max_examples=300, deadline=None)
@given(json)
def test_any_json_is_compiled_or_refused_with_a_place(raw):
    compiled = None
    try:
        compiled = compile_filter(raw, "/filter")
    except InvalidInput as error:
        places = [each.pointer for each in error.errors]
    if compiled is None:
        assert places[0].startswith("/filter")
        return

    dollars = {name for name in names_in(compiled) if name.startswith("$")}
    assert dollars <= {*OPERATORS, *LOGICAL, "$not", "$elemMatch"}
    assert compile_filter(raw) == compiled
    assert canonical(compiled)


@settings(max_examples=200, deadline=None)
@given(st.lists(json, max_size=2), st.sampled_from(FORBIDDEN), json, st.lists(words, max_size=4))
def test_a_forbidden_key_is_refused_wherever_it_is(beside, forbidden, value, path):
    raw = {forbidden: value}
    for word in path:
        raw = {word: [*beside, raw] if word in LOGICAL else raw}

    with pytest.raises(InvalidInput):
        compile_filter(raw)
