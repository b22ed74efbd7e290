"""The counterparts do what they stand for, and fail where they do not."""

import orjson
import pytest
from bson import ObjectId
from django.conf import settings

from benchmarks.load_process import LoadFailed, LoadProcess
from benchmarks.raw_client import TASKS, RawPlan, Threads

pytestmark = [pytest.mark.needs_mongod, pytest.mark.once]


@pytest.fixture
def documents(tenant_data):
    return tenant_data["raw"]


def test_read_finds_every_document_in_turn_and_fails_without_one(documents):
    documents.insert_many([{"_id": f"d{number}"} for number in range(2)])
    read = TASKS["read"](documents, ids="d%d", total=2)

    assert [read(number) for number in range(4)] == [0, 0, 0, 0]
    documents.delete_one({"_id": "d1"})
    with pytest.raises(LoadFailed):
        read(1)


def test_list_makes_the_json_of_a_whole_page(documents):
    stored = [{"_id": ObjectId(), "n": number} for number in range(3)]
    documents.insert_many(stored)
    expected = orjson.dumps([{"_id": str(each["_id"]), "n": each["n"]} for each in stored[:2]])

    assert TASKS["list"](documents, wanted={}, limit=2)(0) == len(expected)
    with pytest.raises(LoadFailed):
        TASKS["list"](documents, wanted={}, limit=4)(0)


def test_create_and_bulk_store_what_they_parse(documents):
    TASKS["create"](documents, body=b'{"n": 1}')(0)
    bulk = {"operations": [{"op": "insert", "document": {"n": number}} for number in (2, 3)]}
    TASKS["bulk"](documents, body=orjson.dumps(bulk))(0)

    assert sorted(each["n"] for each in documents.find()) == [1, 2, 3]


def test_replace_goes_from_revision_to_revision(documents):
    replace = TASKS["replace"](documents, ids="p%d", body=b'{"n": 7}')
    replace(0), replace(1)

    assert documents.find_one() == {"_id": "p0", "n": 7, "_meta": {"rev": 3}}
    documents.update_one({"_id": "p0"}, {"$set": {"_meta.rev": 9}})
    with pytest.raises(LoadFailed):
        replace(2)


def test_export_makes_a_line_of_every_document(documents):
    documents.insert_many([{"_id": number} for number in range(3)])

    assert TASKS["export"](documents)(0) == 3 * len(b'{"_id":0}\n')


def test_every_thread_does_the_task_at_least_once_and_a_failure_is_told():
    assert Threads(lambda _: 2, 3).run(0.0).body_bytes == 6
    with pytest.raises(ZeroDivisionError):
        Threads(lambda number: 1 // (number - 2), 3).run(0.0)


def test_plan_runs_in_a_process_with_its_own_client(documents):
    documents.insert_one({"_id": "d0"})
    options = {"ids": "d%d", "total": 1}
    plan = RawPlan(settings.MONGODB_URI, documents.database.name, "raw", "read", options, threads=2)

    with LoadProcess(plan) as load:
        assert load.run(0.0).count == 2
