"""RFC 7396 over BSON values."""

from copy import deepcopy

import pytest
from bson.binary import Binary
from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.objectid import ObjectId

from tenancy.mongo.merge_patch import apply_merge_patch

# RFC 7396, appendix A
APPENDIX = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
OBJECT_ID = ObjectId("6b00a685daa855e4d99114b4")
BSON_VALUES = [
    *[OBJECT_ID, DatetimeMS(-5), Decimal128("1.10"), Int64(3), Binary(b"x", 4), 2.0, True],
    *[[None, {"a": None}], "", 0, False],
]


@pytest.mark.parametrize(("target", "patch", "result"), APPENDIX)
def test_the_examples_of_the_rfc_hold(target, patch, result):
    assert apply_merge_patch(target, patch) == result


@pytest.mark.parametrize("value", BSON_VALUES, ids=repr)
@pytest.mark.parametrize("target", [{}, {"k": 1}, {"k": {"deep": 1}}, {"k": OBJECT_ID}], ids=repr)
def test_a_bson_value_replaces_whatever_was_there(target, value):
    merged = apply_merge_patch(target, {"k": value})["k"]

    assert merged is value


@pytest.mark.parametrize("value", BSON_VALUES, ids=repr)
def test_an_object_replaces_a_bson_value(value):
    assert apply_merge_patch({"k": value}, {"k": {"a": 1, "b": None}}) == {"k": {"a": 1}}


def test_keys_stay_in_place_and_new_ones_come_last():
    merged = apply_merge_patch({"z": 1, "a": 2, "m": 3}, {"b": 4, "a": 5})

    assert list(merged) == ["z", "a", "m", "b"]


def test_a_key_with_a_dot_is_a_key_and_not_a_path():
    assert apply_merge_patch({"a": {"b": 1}}, {"a.b": 2}) == {"a": {"b": 1}, "a.b": 2}


def test_target_and_patch_stay_as_they_were():
    target, patch = {"a": {"b": {"c": 1}}}, {"a": {"b": {"c": None, "d": 1}}}
    before = deepcopy((target, patch))

    apply_merge_patch(target, patch)

    assert (target, patch) == before


def test_a_patch_applied_twice_changes_nothing_more():
    for target, patch, _ in APPENDIX:
        once = apply_merge_patch(target, patch)
        assert apply_merge_patch(once, patch) == once
