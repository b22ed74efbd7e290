"""Whoever asks for the same at the same time waits for one read, and gets nothing too old by it."""

import sys
import threading
from types import SimpleNamespace

import pytest
from django.db import OperationalError, transaction

from tenancy import caching
from tenancy.caching import AgedCache, all_counts
from tenancy.exceptions import NotFound
from tests.redis_servers import wait_until
from tests.servers import at_once

MAX_AGE = 5.0
SECONDS = 10


class Catalog:
    """What the cache reads: slowly, while `is_slow`; each read waits until it is let go."""

    def __init__(self):
        self.value, self.error = "editor", None
        self.reads, self.under_way, self.is_slow = 0, 0, False
        self.go = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, key):
        with self._lock:
            self.reads += 1
            self.under_way += 1
            seen, error, is_slow = self.value, self.error, self.is_slow
        if is_slow:
            assert self.go.wait(SECONDS)
        self.under_way -= 1
        if error is not None:
            raise error
        return seen


@pytest.fixture
def catalog():
    return Catalog()


@pytest.fixture
def cache(catalog):
    return AgedCache(catalog, max_entries=3, name="test")


@pytest.fixture
def patient(monkeypatch):
    """Wait for another thread's read as long as it takes."""
    monkeypatch.setattr(caching, "WAIT_MAX_SECONDS", SECONDS)


class Asked:
    """A thread that asks for the key, and what came of it."""

    def __init__(self, cache, max_age=MAX_AGE):
        self.value = self.error = None

        def ask():
            try:
                self.value = cache.find("key", max_age)
            except Exception as error:  # noqa: BLE001 -- it is what is tested
                self.error = error

        self._thread = threading.Thread(target=ask)
        self._thread.start()

    def answer(self):
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        return self.error or self.value


def ask_slowly(catalog, cache, max_age=MAX_AGE):
    """Return a thread that asks, once its read is under way and has seen what there is."""
    catalog.is_slow, before = True, catalog.reads
    asked = Asked(cache, max_age)
    wait_until(lambda: catalog.reads > before)
    catalog.is_slow = False
    return asked


def test_thirty_two_threads_cost_one_read(catalog, cache, patient):
    catalog.is_slow = True

    def ask():
        return cache.find("key", MAX_AGE)

    def let_go():
        wait_until(lambda: cache.counts().waits == 31)
        catalog.go.set()
        return "editor"

    answers = at_once([ask] * 32 + [let_go])

    assert answers == ["editor"] * 33
    assert catalog.reads == 1
    assert cache.counts()[:3] == (0, 1, 31)


def test_thirty_two_threads_without_any_order_cost_one_read(catalog, cache):
    for _ in range(50):
        cache.clear()
        before = catalog.reads

        at_once([lambda: cache.find("key", MAX_AGE)] * 32)

        assert catalog.reads == before + 1


def test_age_of_zero_is_never_a_read_that_began_before(catalog, cache, patient):
    first = ask_slowly(catalog, cache)
    catalog.value = "viewer"  # the first has seen the editor

    assert cache.find("key", 0) == "viewer"

    catalog.go.set()
    assert first.answer() == "editor"
    assert cache.find("key", MAX_AGE) == "viewer"  # the older read, though later, is not kept


def test_read_that_began_too_long_ago_is_not_waited_for(catalog, cache, patient, monkeypatch):
    clock = SimpleNamespace(at=100.0)
    monkeypatch.setattr(caching, "seconds", lambda: clock.at)
    first = ask_slowly(catalog, cache)
    catalog.value, clock.at = "viewer", 100.0 + MAX_AGE

    assert cache.find("key", MAX_AGE) == "viewer"

    catalog.go.set()
    first.answer()


def test_many_who_ask_for_age_of_zero_share_what_began_after_they_asked(catalog, cache):
    for _ in range(20):
        before, changed = catalog.reads, threading.Event()

        def change(changed=changed):
            catalog.value = object()
            changed.set()
            return catalog.value

        def ask(changed=changed):
            changed.wait(SECONDS)
            return cache.find("key", 0)

        answers = at_once([change, *[ask] * 31])

        assert set(answers) == {catalog.value}
        assert catalog.reads <= before + 31


@pytest.mark.parametrize("forget", ["forget", "forget_if", "clear"])
def test_read_from_before_a_change_is_not_joined_after_it(catalog, cache, patient, forget):
    first = ask_slowly(catalog, cache)
    catalog.value = "viewer"
    arguments = {"forget": ["key"], "forget_if": [lambda value: False], "clear": []}
    getattr(cache, forget)(*arguments[forget])

    assert cache.find("key", MAX_AGE) == "viewer"

    catalog.go.set()
    assert first.answer() == "editor"
    assert cache.find("key", MAX_AGE) == "viewer"


def test_change_of_one_does_not_undo_the_reads_of_others(catalog, cache, patient):
    first = ask_slowly(catalog, cache)
    cache.forget("another")
    catalog.go.set()
    first.answer()

    cache.find("key", MAX_AGE)

    assert catalog.reads == 1


def test_error_reaches_all_who_wait_and_is_not_kept(catalog, cache, patient):
    catalog.error = OperationalError("the catalog is gone")
    first = ask_slowly(catalog, cache)
    others = [Asked(cache) for _ in range(7)]
    wait_until(lambda: cache.counts().waits == 7)
    error, catalog.error = catalog.error, None
    catalog.go.set()

    assert {asked.answer() for asked in (first, *others)} == {error}
    assert cache.find("key", MAX_AGE) == "editor"
    assert catalog.reads == 2


def test_error_of_one_read_leaves_what_is_known_to_those_who_may_use_it(catalog, cache):
    cache.find("key", MAX_AGE)
    catalog.error = OperationalError("the catalog is gone")

    with pytest.raises(OperationalError):
        cache.find("key", 0)

    assert cache.find("key", MAX_AGE) == "editor"


@pytest.mark.parametrize("refusal", [None, NotFound("It is not there.")])
def test_what_has_just_been_made_is_there_for_those_who_ask_then(catalog, cache, patient, refusal):
    catalog.value, catalog.error = None, refusal
    first = ask_slowly(catalog, cache)
    catalog.value, catalog.error = "editor", None
    second = Asked(cache)
    wait_until(lambda: cache.counts().waits == 1)
    catalog.go.set()

    assert first.answer() is refusal
    assert second.answer() == "editor"
    assert catalog.reads == 2


def test_refusal_takes_away_what_was_known(catalog, cache):
    cache.find("key", MAX_AGE)
    catalog.error = NotFound("It is not there any more.")
    with pytest.raises(NotFound):
        cache.find("key", 0)
    catalog.error, catalog.value = None, "viewer"

    assert cache.find("key", MAX_AGE) == "viewer"


def test_nobody_waits_for_ever_for_a_read_that_hangs(catalog, cache, monkeypatch):
    monkeypatch.setattr(caching, "WAIT_MAX_SECONDS", 0.05)
    hangs = ask_slowly(catalog, cache)

    answers = at_once([lambda: cache.find("key", MAX_AGE)] * 8)

    assert answers == ["editor"] * 8
    catalog.go.set()
    hangs.answer()


def test_reader_that_is_interrupted_leaves_nobody_waiting(catalog, cache, patient):
    catalog.error = KeyboardInterrupt()
    catalog.is_slow = True

    def interrupted():
        with pytest.raises(KeyboardInterrupt):
            cache.find("key", MAX_AGE)

    reader = threading.Thread(target=interrupted)
    reader.start()
    wait_until(lambda: catalog.reads)
    catalog.is_slow, catalog.error = False, None
    waiting = Asked(cache)
    wait_until(lambda: cache.counts().waits == 1)
    catalog.go.set()

    assert waiting.answer() == "editor"
    reader.join(SECONDS)


@pytest.mark.django_db(transaction=True)
def test_what_a_transaction_sees_is_for_its_thread_alone(catalog, cache, patient):
    first = ask_slowly(catalog, cache)
    with transaction.atomic():
        catalog.value = "uncommitted"
        assert cache.find("key", MAX_AGE) == "uncommitted"
    catalog.value = "editor"
    catalog.go.set()

    assert first.answer() == "editor"
    assert cache.find("key", MAX_AGE) == "editor"


def test_nothing_stays_of_reads_that_have_ended(catalog, cache, patient):
    catalog.error = OperationalError("the catalog is gone")
    with pytest.raises(OperationalError):
        cache.find("key", MAX_AGE)
    cache.forget("key")

    assert cache._under_way == {}


def test_hits_are_counted_to_the_last_one_in_threads(cache):
    cache.find("key", MAX_AGE)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def ask():
        for _ in range(20_000):
            cache.find("key", 60)

    try:
        at_once([ask] * 8)
    finally:
        sys.setswitchinterval(interval)

    assert cache.counts()[:3] == (160_000, 1, 0)


def test_evictions_and_sizes_are_counted(cache):
    for key in "abcde":
        cache.find(key, MAX_AGE)

    assert cache.counts()._asdict() == {
        "hits": 0, "misses": 5, "waits": 0, "evictions": 2, "entries": 3, "max_entries": 3,
    }  # fmt: skip
    assert all_counts()["test"] == cache.counts()
