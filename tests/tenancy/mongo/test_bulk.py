"""A bulk gives what the same single calls give, whatever is in it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from bson import encode
from bson.datetime_ms import DatetimeMS
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tenancy.exceptions import (
    BulkAborted,
    DocumentNotFound,
    FieldError,
    NothingToMatch,
    PlanLimitReached,
    SchemaViolation,
    StalePlacement,
    TenancyError,
)
from tenancy.mongo import bulk as bulk_module
from tenancy.mongo.bulk_plan import Change
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.limited import LimitedCollection
from tenancy.mongo.revisions import IfMatch
from tenancy.mongo.writing import with_id
from tests.places import PLACES

pytestmark = [pytest.mark.needs_mongod]
everywhere = pytest.mark.everywhere

MAX_BYTES = 300
FAR = DatetimeMS(253_402_300_800_000)  # beyond what Python has for dates
CUT = "a" + "日" * 60  # MongoDB cuts it in the middle of a letter in its messages
KINDS = ["shared", "collection-name"]
ANY = IfMatch(None)


def no_bad_words(fields):
    if fields.get("word") == "bad":
        raise SchemaViolation(errors=[FieldError("/word", "schema_violation", "No.")])


def open_collection(address, logical="main", **kept):
    kept = {"by": "user:1", "max_bytes": MAX_BYTES, "check": no_bad_words, **kept}
    return TenantCollection(address, logical, **kept)


@pytest.fixture
def documents(address, tenant_data):
    return open_collection(address)


@pytest.fixture
def stored(address, tenant_data, behind):
    return behind.stored(address)


def change(op, document_id, fields=None, if_rev=None):
    return Change(op, document_id, with_id(document_id, fields or {}), if_rev)


def do(documents, changes, *, in_steps=False):
    """Do a bulk; return its outcomes in order."""
    noted = {}
    documents.bulk(list(enumerate(changes)), noted.update, in_steps=in_steps)
    assert sorted(noted) == list(range(len(changes)))
    return [noted[number] for number in sorted(noted)]


def effects(outcomes):
    return [
        (each.effect, each.revision, each.error and each.error.code, told(each.error))
        for each in outcomes
    ]


def told(error):
    return error and (error.detail, error.errors, error.extra)


# --- the same as single calls


def _single(documents, each):
    """Do one operation by the call that has its own route."""
    at = None if each.if_rev is None else IfMatch(frozenset({each.if_rev}))
    if each.op == "insert":
        return "created", documents.insert(each.fields)
    if each.op == "upsert" and each.if_rev is None:
        document, is_new = documents.replace(each.document_id, each.fields)
        return "created" if is_new else "changed", document
    if each.op in ("replace", "upsert"):
        return "changed", _replace(documents, each, at)
    if each.op == "patch":
        return "changed", documents.patch(each.document_id, each.fields, if_match=at)
    return "deleted", documents.delete(each.document_id, if_match=at)


def _replace(documents, each, at):
    """Replace a document that has to be there, which a route has only with a condition."""
    try:
        return documents.replace(each.document_id, each.fields, if_match=at or ANY)[0]
    except NothingToMatch:
        if at is not None:
            raise
        raise DocumentNotFound from None


def single(documents, each):
    try:
        effect, document = _single(documents, each)
    except TenancyError as error:
        return "failed", None, error.code, told(error)
    return effect, document and document["_meta"]["rev"], None, None


IDS = st.sampled_from(["a", "b", 1])
VALUES = st.one_of(
    st.integers(-3, 3),
    st.sampled_from(["bad", "x" * 400, {"p": 1}, {"q": {"r": 2}}, [1], True]),
    st.sampled_from([FAR, [FAR], CUT]),
)
FIELDS = st.dictionaries(st.sampled_from(["word", "n", "deep"]), VALUES, max_size=3)
PATCHES = st.dictionaries(
    st.sampled_from(["word", "n", "deep"]), st.one_of(VALUES, st.none()), max_size=3
)
REVISIONS = st.one_of(st.none(), st.integers(0, 3))
CHANGES = st.one_of(
    st.builds(change, st.just("insert"), IDS, FIELDS),
    st.builds(change, st.sampled_from(["replace", "upsert"]), IDS, FIELDS, REVISIONS),
    st.builds(change, st.just("patch"), IDS, PATCHES, REVISIONS),
    st.builds(change, st.just("delete"), IDS, st.just({}), REVISIONS),
)


def content(documents):
    """Return what a collection holds, in the order of the fields, but for the times."""
    found = {}
    for document in documents.list_page(limit=100).documents:
        meta = document.pop("_meta")
        found[document["_id"]] = encode(document), meta["rev"]
    return found


_numbers = count()


def new_pair(kind, behind, **kept):
    """Make two empty collections; where there can be one, each with a unique index on `n`."""
    address = PLACES[kind].address("acme")
    names = [f"{side}{next(_numbers)}" for side in "lr"]
    if kind != "shared":
        for name in names:
            behind.stored(address, name).create_index("n", unique=True, sparse=True)
    return [open_collection(address, name, **kept) for name in names]


def assert_equal_to_single_calls(kind, behind, monkeypatch, changes):
    for in_steps, run_min in ((False, 2), (False, 1000), (True, 2)):
        monkeypatch.setattr(bulk_module, "RUN_MIN_INSERTS", run_min)
        used = [], []
        left, right = new_pair(kind, behind)
        left._tell_change, right._tell_change = (lambda *n, u=u: u.append(n) for u in used)

        outcomes = do(left, changes, in_steps=in_steps)

        assert effects(outcomes) == [single(right, each) for each in changes]
        assert content(left) == content(right)
        assert total(used[0]) == total(used[1])


def total(used):
    return [sum(each) for each in zip((0, 0), *used, strict=True)]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(CHANGES, min_size=1, max_size=9), kind=st.sampled_from(KINDS))
def test_a_bulk_gives_what_the_same_single_calls_give(
    changes, kind, behind, tenant_data, monkeypatch
):
    assert_equal_to_single_calls(kind, behind, monkeypatch, changes)


def is_against_unique_n(outcome):
    _, _, code, said = outcome
    return code == "already_exists" and [each.pointer for each in said[1]] == ["/n"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(CHANGES, min_size=1, max_size=6), kind=st.sampled_from(KINDS))
@example(
    changes=[
        change("replace", 1, {"n": 0}), change("patch", "a", {"n": 0}), change("insert", "a"),
    ],
    kind="collection-name",
)  # fmt: skip
def test_an_atomic_bulk_does_what_single_calls_do_or_nothing(changes, kind, behind, tenant_data):
    left, right = new_pair(kind, behind)
    before = [change("insert", "a", {"n": 9}), change("insert", 1, {})]
    do(left, before)
    do(right, before)
    untouched = content(left)

    aborted = None
    try:
        done = left.bulk_atomically(list(enumerate(changes)))
    except BulkAborted as error:
        aborted = error.errors[0]

    if aborted is None:
        assert effects(done.values()) == [single(right, each) for each in changes]
        assert content(left) == content(right)
        return
    assert content(left) == untouched
    number = int(aborted.pointer.split("/")[2])
    alone = [single(right, each) for each in changes[: number + 1]]
    # What a unique index is against is found by writing, and where a failure is known nothing is.
    first = next((at for at, each in enumerate(alone) if is_against_unique_n(each)), number)
    assert [code for _, _, code, _ in alone[:first]] == [None] * first
    assert first < number or alone[number][2] == aborted.code


# --- runs of inserts


def inserts(ids, **fields):
    return [change("insert", each, {"n": n, **fields}) for n, each in enumerate(ids)]


@everywhere
def test_a_run_of_inserts_is_one_command_and_refuses_only_what_is_taken(
    documents, stored, monkeypatch
):
    stored.insert_one({"_id": 30})

    outcomes = do(documents, inserts([*range(50), 7]))

    failed = [number for number, each in enumerate(outcomes) if each.error]
    assert failed == [30, 50]
    assert {outcomes[number].error.code for number in failed} == {"already_exists"}
    assert documents.count() == 50


@everywhere
def test_a_duplicate_in_the_middle_costs_nothing_else(documents, stored, place):
    if place.kind != "shared":
        stored.create_index("n", unique=True)
    middle = change("insert", "twin", {"n": 3})
    changes = [*inserts(range(60)), middle, change("patch", 5, {"n": 4}), *inserts(range(60, 70))]
    changes = [
        *changes[:61], change("replace", 200, {}), *changes[61:62], change("delete", 0),
    ]  # fmt: skip

    outcomes = do(documents, changes, in_steps=True)

    is_twin = place.kind != "shared"
    assert [number for number, each in enumerate(outcomes) if each.error] == (
        [60, 61, 62] if is_twin else [61]
    )
    assert documents.count() == (59 if is_twin else 60)


@everywhere
def test_what_was_inserted_before_a_rename_is_not_inserted_again(documents, monkeypatch):
    """MongoDB refuses the rest of a batch with a code for each: a view stands there now."""
    insert = documents._insert_unordered
    monkeypatch.setattr(
        documents,
        "_insert_unordered",
        lambda rows: insert(rows[:10]) or dict.fromkeys(range(10, len(rows)), StalePlacement()),
    )
    changes, noted = list(enumerate(inserts(range(30)))), {}
    with pytest.raises(StalePlacement):
        documents.bulk(changes, noted.update, in_steps=False)
    assert sorted(noted) == list(range(10))
    monkeypatch.undo()

    documents.bulk(changes[10:], noted.update, in_steps=False)

    assert {each.effect for each in noted.values()} == {"created"}
    assert documents.count() == 30


def test_a_view_at_the_old_name_stops_a_bulk_with_nothing_lost(behind, tenant_data):
    left, _ = new_pair("collection-name", behind)
    physical = left._collection
    do(left, inserts(range(3)))
    physical.rename("org_acme.elsewhere")
    physical.database.command("create", physical.name, viewOn="org_acme.elsewhere")

    for changes in (inserts(range(10, 40)), [change("patch", 1, {"n": 7})], [change("delete", 1)]):
        for in_steps in (False, True):
            with pytest.raises(StalePlacement):
                do(left, changes, in_steps=in_steps)
            with pytest.raises(StalePlacement):
                left.bulk_atomically(list(enumerate(changes)))

    assert physical.database["org_acme.elsewhere"].count_documents({}) == 3


@everywhere
def test_what_is_not_found_is_believed_only_at_the_current_placement(address, tenant_data):
    def moved():
        raise StalePlacement

    documents = open_collection(address, confirm_absent=moved)
    for op in ("replace", "upsert", "patch", "delete"):
        with pytest.raises(StalePlacement):
            do(documents, [change(op, "nothing")])
    assert documents.count() == 0


# --- several at once


def in_parallel(*calls):
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait(timeout=10)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(timeout=60) for each in [pool.submit(run, call) for call in calls]]


@everywhere
def test_two_bulks_at_once_lose_no_update_and_atomic_ones_do_not_mix(address, tenant_data):
    do(open_collection(address), inserts(range(5)))

    def patches(who):
        return [change("patch", each, {who: 1, "last": who}) for each in range(5)]

    def atomic(who):
        open_collection(address).bulk_atomically(list(enumerate(patches(who))))

    def plain(who):
        assert not [each for each in do(open_collection(address), patches(who)) if each.error]

    whos = "abcd"
    in_parallel(*[lambda who=who: (plain if who == "a" else atomic)(who) for who in whos])

    found = open_collection(address).list_page(limit=10).documents
    assert {each["_meta"]["rev"] for each in found} == {1 + len(whos)}
    assert all(each[who] == 1 for each in found for who in whos)
    last = [each["last"] for each in found if each["last"] != "a"]
    assert len(set(last)) <= 1 or "a" in {each["last"] for each in found}


# --- limits


def test_a_bulk_that_does_not_fit_fails_by_operation_or_whole(address, tenant_data):
    used = [0, 0]

    def tell(documents, size):
        used[0] += documents
        used[1] += size

    def assert_room(documents, size):
        if used[0] + documents > 25:
            raise PlanLimitReached(extra={"limit": 25})

    documents = LimitedCollection(
        address, "main", by="user:1", max_bytes=MAX_BYTES, assert_room=assert_room, on_change=tell
    )

    with pytest.raises(BulkAborted) as aborted:
        documents.bulk_atomically(list(enumerate(inserts(range(40)))))
    assert used == [0, 0]
    assert aborted.value.errors[0].pointer == "/operations/25"
    assert aborted.value.errors[0].code == "plan_limit_reached"
    outcomes = do(documents, inserts(range(40)))

    codes = [each.error and each.error.code for each in outcomes]
    assert codes == [None] * 25 + ["plan_limit_reached"] * 15
    assert (documents.count(), used[0]) == (25, 25)
    assert [each.error for each in do(documents, [change("delete", 0), *inserts([99])])] == [
        None
    ] * 2
