"""Whatever a filter finds is changed, or nothing."""

import time

import pytest

from tenancy.exceptions import (
    AlreadyExists,
    ClusterUnavailable,
    Defect,
    FieldError,
    MaxAffectedExceeded,
    PayloadTooLarge,
    PlanLimitReached,
    QueryTimeout,
    SchemaViolation,
    StalePlacement,
    TransactionConflict,
    ValidationFailed,
)
from tenancy.mongo import many as many_module
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.limited import LimitedCollection
from tests.tenancy.mongo.test_documents import in_parallel

pytestmark = [pytest.mark.everywhere, pytest.mark.needs_mongod]
MAX_BYTES = 300


def refuse_bad(fields):
    if fields.get("word") == "bad":
        raise SchemaViolation(errors=[FieldError("/word", "schema_violation", "No.")])


@pytest.fixture
def used():
    return []


@pytest.fixture
def documents(address, tenant_data, used):
    collection = TenantCollection(
        address, "main", by="user:2", max_bytes=MAX_BYTES, check=refuse_bad,
        on_change=lambda *change: used.append(change),
    )  # fmt: skip
    collection.insert_many({"_id": n, "n": n, "even": n % 2 == 0} for n in range(10))
    used.clear()
    return collection


@pytest.fixture
def stored(documents, address, behind):
    return behind.stored(address)


def test_update_many_patches_what_is_found_and_counts_what_changed(documents, stored, used):
    documents.patch(2, {"state": "done"})
    used.clear()

    done = documents.update_many({"even": True}, {"state": "done", "even": None}, max_affected=5)

    assert (done.matched, done.changed) == (5, 5)
    again = documents.update_many({"state": "done"}, {"state": "done"}, max_affected=5)
    assert (again.matched, again.changed) == (5, 0)
    rows = stored.find({"state": "done"})
    assert {row["_id"]: row["_meta"]["rev"] for row in rows} == {0: 2, 2: 3, 4: 2, 6: 2, 8: 2}
    assert all("even" not in row and row["_meta"]["by"] == "user:2" for row in rows)
    grown = len("state") + 1 + 1 + 4 + len("done") + 1 - (len("even") + 1 + 1 + 1)
    lost = -(len("even") + 1 + 1 + 1)
    assert used == [(0, 4 * grown + lost), (0, 0)]


def test_a_patch_that_changes_only_a_type_is_a_change(documents, stored):
    documents.update_many({"_id": 1}, {"n": 1.0}, max_affected=1)

    assert isinstance(stored.find_one({"_id": 1})["n"], float)
    assert stored.find_one({"_id": 1})["_meta"]["rev"] == 2


def test_delete_many_deletes_what_is_found(documents, stored, used):
    done = documents.delete_many({"even": True}, max_affected=5)

    assert (done.matched, done.changed) == (5, 5)
    assert sorted(row["_id"] for row in stored.find()) == [1, 3, 5, 7, 9]
    assert [number for number, _ in used] == [-5]
    assert documents.delete_many({}, max_affected=5).changed == 5
    assert sum(size for _, size in used) < 0


def test_more_than_allowed_are_not_touched(documents, stored, used):
    before = stored.find()
    for change in (
        lambda: documents.update_many({"even": True}, {"x": 1}, max_affected=4),
        lambda: documents.delete_many({}, max_affected=9),
    ):
        with pytest.raises(MaxAffectedExceeded) as refused:
            change()
        bound = refused.value.extra["max_affected"]
        assert refused.value.extra["matched_at_least"] == bound + 1
    assert (stored.find(), used) == (before, [])


def test_one_document_that_may_not_change_keeps_all_as_they_are(documents, stored, used, place):
    if place.kind != "shared":
        stored.create_index("u", unique=True, sparse=True)
    cases = [
        ({"word": "bad"}, SchemaViolation, {}),
        ({"word": "x" * 400}, PayloadTooLarge, {}),
        *([({"u": 1}, AlreadyExists, {"even": True})] if place.kind != "shared" else []),
        ({"_id": 3}, ValidationFailed, {}),
    ]
    before = stored.find()
    for patch, error, query in cases:
        with pytest.raises(error) as refused:
            documents.update_many(query, patch, max_affected=100)
        assert "id" in refused.value.extra or "_id" in patch
    assert (stored.find(), used) == (before, [])


def test_a_growth_for_which_there_is_no_room_is_refused_whole(address, documents, stored):
    def assert_room(documents, size):
        if size > 100:
            raise PlanLimitReached

    limited = LimitedCollection(
        address, "main", by="user:1", max_bytes=MAX_BYTES, assert_room=assert_room
    )
    before = stored.find()
    with pytest.raises(PlanLimitReached):
        limited.update_many({}, {"x": "y" * 20}, max_affected=100)
    assert stored.find() == before
    assert limited.update_many({"_id": 1}, {"x": "y" * 20}, max_affected=1).changed == 1


def test_a_preview_changes_nothing(documents, stored):
    before = stored.find()

    found = documents.preview_many({"even": True})

    assert (found.matched, found.ids) == (5, [0, 2, 4, 6, 8])
    assert stored.find() == before


def test_that_nothing_matched_is_believed_only_at_the_current_placement(address, tenant_data):
    def moved():
        raise StalePlacement

    stale = TenantCollection(
        address, "main", by="user:1", max_bytes=MAX_BYTES, confirm_absent=moved
    )
    for call in (
        lambda: stale.update_many({}, {"x": 1}, max_affected=1),
        lambda: stale.delete_many({}, max_affected=1),
        lambda: stale.preview_many({}),
    ):
        with pytest.raises(StalePlacement):
            call()


def test_updates_at_once_lose_nothing(documents, stored):
    def mark(who):
        return lambda: documents_of(documents).update_many({}, {who: 1}, max_affected=10)

    in_parallel(mark("a"), mark("b"), lambda: documents_of(documents).patch(5, {"c": 1}))

    assert all(row["a"] == row["b"] == 1 for row in stored.find())
    assert stored.find_one({"_id": 5})["c"] == 1
    assert stored.find_one({"_id": 5})["_meta"]["rev"] == 4


def documents_of(other):
    return TenantCollection(other.address, "main", by="user:1", max_bytes=MAX_BYTES)


@pytest.mark.once
def test_what_would_take_too_long_is_undone_in_time(documents, stored, monkeypatch, settings):
    settings.TENANCY_OPERATION_TIMEOUT = 0.5
    monkeypatch.setattr(many_module, "STEP_DOCUMENTS", 2)
    step = documents._update_step

    def slow_step(ids, patch):
        done = step(ids, patch)
        event_free_wait(0.15)
        return done

    monkeypatch.setattr(documents, "_update_step", slow_step)
    before = stored.find()

    with pytest.raises(QueryTimeout) as refused:
        documents.update_many({}, {"x": 1}, max_affected=10)

    assert "narrower" in refused.value.detail
    assert stored.find() == before
    # Nothing holds the documents any longer.
    assert documents_of(documents).patch(0, {"y": 1})["_meta"]["rev"] == 2


def event_free_wait(seconds):
    """Keep the thread busy as long as work of that length would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


@pytest.mark.once
def test_who_runs_out_of_time_because_others_won_is_told_so(documents, monkeypatch, settings):
    settings.TENANCY_OPERATION_TIMEOUT = 1.0
    step = documents._update_step
    winners = iter(range(100))

    def overtaken_step(ids, patch):
        documents_of(documents).patch(5, {"winner": next(winners)})
        event_free_wait(0.3)
        return step(ids, patch)

    monkeypatch.setattr(documents, "_update_step", overtaken_step)

    with pytest.raises(TransactionConflict):
        documents.update_many({}, {"x": 1}, max_affected=10)

    assert next(winners) < 10
    assert "x" not in documents_of(documents).get(5)


@pytest.fixture
def attempts(documents, monkeypatch, settings):
    """What the attempts of a change, one after the other, end with, within 0.1 s."""
    settings.TENANCY_OPERATION_TIMEOUT = 0.1
    ends = []

    def find(*_):
        end, seconds = ends.pop(0)
        event_free_wait(seconds)
        raise end

    monkeypatch.setattr(documents, "_find_affected", find)
    return ends


@pytest.mark.once
def test_no_attempt_begins_when_the_time_is_over(documents, attempts):
    attempts[:] = [(TransactionConflict(), 0.1), (Defect(), 0)]
    with pytest.raises(TransactionConflict):
        documents.update_many({}, {"x": 1}, max_affected=10)
    assert len(attempts) == 1


@pytest.mark.once
def test_what_is_not_answered_until_the_time_is_over_has_taken_too_long(documents, attempts):
    attempts[:] = [(ClusterUnavailable(), 0.1)]
    with pytest.raises(QueryTimeout):
        documents.delete_many({}, max_affected=10)

    attempts[:] = [(TransactionConflict(), 0), (ClusterUnavailable(), 0.1)]
    with pytest.raises(TransactionConflict):
        documents.update_many({}, {"x": 1}, max_affected=10)


@pytest.mark.once
def test_a_cluster_that_is_gone_before_the_time_is_over_is_called_so(documents, attempts, settings):
    settings.TENANCY_OPERATION_TIMEOUT = 60
    attempts[:] = [(ClusterUnavailable(), 0)]
    with pytest.raises(ClusterUnavailable):
        documents.update_many({}, {"x": 1}, max_affected=10)
