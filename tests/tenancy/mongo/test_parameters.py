"""Query parameters: simple filters, sorts, fields."""

import pytest

from tenancy.exceptions import InvalidParameter, UnknownParameter, ValidationFailed
from tenancy.mongo.filters import compile_filter
from tenancy.mongo.parameters import filter_of
from tenancy.mongo.projections import checked_fields, checked_sort, parse_fields, parse_sort
from tests.hostile_queries import FIELDS, OID, SIMPLE, SORTS

RESERVED = frozenset(("limit", "cursor", "sort", "fields", "filter", "count", "types"))
UUID = "3b241101-e2bb-4255-8caf-4136c566a962"

VALUES = {
    "1": 1, "-1.5e3": -1500.0, "true": True, "null": None, "Ada": "Ada", "01": "01", "1a": "1a",
    "": "", "True": "True", "NaN": "NaN", '"1"': "1", '"a,b"': "a,b", "str:1": "1", "str:": "",
    "str:oid:x": "oid:x", f"oid:{OID}": {"$oid": OID}, f"uuid:{UUID}": {"$uuid": UUID}, OID: OID,
    "int:7": {"$numberLong": "7"}, "decimal:1.10": {"$numberDecimal": "1.10"}, "$a": "$a",
    "date:2020-01-31": {"$date": "2020-01-31T00:00:00Z"}, f'{{"$oid": "{OID}"}}': {"$oid": OID},
    "date:2020-01-31T09:30:00Z": {"$date": "2020-01-31T09:30:00Z"}, "oids:x": "oids:x",
}  # fmt: skip


def test_a_value_has_the_type_that_it_looks_like():
    for text, value in VALUES.items():
        found = filter_of([("a", text)], RESERVED)
        assert found == {"a": {"$eq": value}}
        assert type(found["a"]["$eq"]) is type(value)
        compile_filter(found)
    assert filter_of([("_id", OID)], RESERVED) == {"_id": {"$eq": {"$oid": OID}}}


def test_each_operator_has_its_filter():
    for name in ("eq", "ne", "gt", "gte", "lt", "lte"):
        assert filter_of([(f"a.b__{name}", "3")], RESERVED) == {"a.b": {f"${name}": 3}}
    assert filter_of([("a__in", "1,x,null")], RESERVED) == {"a": {"$in": [1, "x", None]}}
    assert filter_of([("a__nin", '["x,y", 2]')], RESERVED) == {"a": {"$nin": ["x,y", 2]}}
    assert filter_of([("a__exists", "false")], RESERVED) == {"a": {"$exists": False}}
    for text in ("(a+)+$", "a.b", "€", '"q"', "str:1", "1"):
        compiled = compile_filter(filter_of([("a__startswith", text)], RESERVED))
        assert compiled["a"]["$regex"].startswith("^")
    assert compiled == {"a": {"$regex": "^1"}}


def test_parameters_are_anded_and_those_of_the_route_left_out():
    pairs = [("a__gte", "1"), ("limit", "5"), ("a__lt", "3"), ("b", "x")]

    assert filter_of(pairs, RESERVED) == {
        "$and": [{"a": {"$gte": 1}}, {"a": {"$lt": 3}}, {"b": {"$eq": "x"}}]
    }
    assert filter_of([("limit", "5")], RESERVED) is None


def test_what_is_hostile_or_a_slip_is_refused():
    for code, name, text in SIMPLE:
        with pytest.raises(InvalidParameter) as refused:
            filter_of([(name, text)], RESERVED)
        assert (name, text, refused.value.code) == (name, text, code)


def test_a_slip_is_told_what_was_meant_and_how_to_mean_it():
    with pytest.raises(UnknownParameter, match=r"Did you mean “limit”.*“limt__eq=”"):
        filter_of([("limt", "5")], RESERVED)
    assert filter_of([("limt__eq", "5")], RESERVED) == {"limt": {"$eq": 5}}
    with pytest.raises(UnknownParameter, match="Did you mean “gt"):
        filter_of([("age__gtt", "5")], RESERVED)
    with pytest.raises(InvalidParameter, match="__in"):
        filter_of([("a", "1"), ("a", "2")], RESERVED)


def test_sorts_have_one_meaning_however_they_are_spelled():
    keys = [("a.b", -1), ("_meta.rev", 1), ("_id", 1)]

    assert parse_sort("-a.b,_meta.rev,_id") == keys
    for raw in ("-a.b,_meta.rev,_id", ["-a.b", "_meta.rev", "_id"], [list(key) for key in keys]):
        assert checked_sort(raw, "/sort") == keys


def test_fields_are_named_or_left_out():
    assert parse_fields("a,b.c,_id,_meta.rev") == {"a": 1, "b.c": 1, "_meta": 1}
    assert parse_fields("_id") == {"_meta": 1}
    assert parse_fields("-a,-b.c") == checked_fields(["-a", "-b.c"]) == {"a": 0, "b.c": 0}


def test_hostile_sorts_and_fields_are_refused():
    for parse, check, texts in (
        (parse_sort, checked_sort, SORTS), (parse_fields, checked_fields, FIELDS)
    ):  # fmt: skip
        for text in texts:
            with pytest.raises(InvalidParameter) as refused:
                parse(text)
            assert (text, refused.value.code) == (text, "invalid_parameter")
            with pytest.raises(ValidationFailed):
                check(text.split(","), "/x")
        for raw in (None, 1, {}, [], [1], [None], {"a": 1}, [["a", 1, 1]], [["a", True]], [["a"]]):
            with pytest.raises(ValidationFailed) as refused:
                check(raw, "/x")
            assert refused.value.errors[0].pointer.startswith("/x")
    for raw in ([["a", 2]], [["$a", 1]], [["a", 1], ["a", -1]], [["a", 1.0]], [["a", "1"]]):
        with pytest.raises(ValidationFailed):
            checked_sort(raw, "/sort")
