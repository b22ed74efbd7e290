"""What is computed once is what MongoDB would have computed for each element, in every document."""

import itertools

import pytest
from django.conf import settings

from tenancy.mongo.clients import get_client
from tenancy.mongo.hoisting import hoisted

VALUES = [1, None, "t", {}, {"a": 1, "b": "x"}, [], [1, {"a": 2}], [[{"a": 1}], {"b": []}]]
STAGES = [
    ("$project", {"a": {"x": "$b.a"}}),
    ("$project", {"a": {"x": "$b.a", "a": 1}, "b": 1}),
    ("$project", {"_id": 0, "a.x": {"$ifNull": ["$b.a", "$$REMOVE"]}, "all": "$$ROOT"}),
    ("$project", {"a": {"x": {"y": "$b.a"}, "z": "$b"}, "n": {"$type": "$a"}}),
    ("$project", {"a": {"x": ["$b.a", "$c"]}, "c": {"$mergeObjects": ["$$CURRENT", {"q": 1}]}}),
    ("$project", {"new": {"a": "$a.a", "b": "$b.b"}, "a": "$b.a"}),
    ("$set", {"a": {"x": "$b.a"}}),
    ("$set", {"a.x": "$b.a", "b.y": "$a.a"}),
    ("$set", {"a.a": "$missing.at", "b": "$$ROOT.a"}),
    ("$set", {"a": {"a": {"$literal": "$b.a"}, "b": "$$REMOVE"}, "n": 1}),
    ("$set", {"b.x": [], "a.y": "$b.a"}),
]
FREE = [
    ("$set", {"a": "$b.a", "n": {"$mergeObjects": ["$$ROOT", {"x": "$b.a"}]}}),
    ("$project", {"a": {"x": "$b", "y": 1, "z": "text"}, "b.c": 1}),
    ("$project", {"a.b": 0}),
    ("$group", {"_id": {"a": "$b.a"}}),
]


@pytest.fixture
def collection():
    """A collection with every pair of values in its documents."""
    database = get_client(settings.MONGODB_URI)[settings.TENANCY_DATABASE]
    found = database["hoisting"]
    pairs = itertools.product(VALUES, repeat=2)
    found.insert_many([{"_id": n, "a": a, "b": b, "c": n} for n, (a, b) in enumerate(pairs)])
    yield found
    found.drop()


@pytest.mark.needs_mongod
@pytest.mark.parametrize(("name", "fields"), STAGES)
def test_what_is_hoisted_gives_the_same_for_every_document(collection, name, fields):
    stages = hoisted(name, fields)
    assert len(stages) > 1

    found = [*collection.aggregate([{"$sort": {"_id": 1}}, *stages])]

    assert found == [*collection.aggregate([{"$sort": {"_id": 1}}, {name: fields}])]
    assert [str(each) for each in found] == [  # the order of fields, too
        str(each) for each in collection.aggregate([{"$sort": {"_id": 1}}, {name: fields}])
    ]


def test_what_costs_nothing_for_an_element_stays_as_it_is():
    for name, fields in FREE:
        assert hoisted(name, fields) == [{name: fields}]


@pytest.mark.needs_mongod
def test_two_large_arrays_are_no_bomb(collection):
    many = {"_id": "many", "who": [None] * 60_000, "address": [{"city": None}] * 25_000}
    collection.insert_one(many)
    made = hoisted("$project", {"who": {"city": "$address.city"}})

    # One by one, the elements would take more memory than there is.
    pipeline = [{"$match": {"_id": "many"}}, *made, {"$project": {"n": {"$size": "$who"}}}]
    assert [*collection.aggregate(pipeline, maxTimeMS=60_000)] == [{"_id": "many", "n": 60_000}]
