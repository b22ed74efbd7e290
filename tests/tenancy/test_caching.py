"""What is cached is never older than allowed, never from before a change, never too much."""

import threading
from types import SimpleNamespace

import pytest

from tenancy import caching
from tenancy.caching import AgedCache

MAX_AGE = 5.0


class Rows:
    """What the cache reads: one value for all, and what to do while somebody reads it."""

    def __init__(self):
        self.value, self.reads, self.meanwhile = "editor", 0, lambda: None

    def __call__(self, key):
        self.reads += 1
        seen = self.value
        self.meanwhile()
        return seen


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def cache(rows):
    return AgedCache(rows, max_entries=3, name="test")


@pytest.fixture
def now(monkeypatch):
    clock = SimpleNamespace(at=100.0)
    monkeypatch.setattr(caching, "seconds", lambda: clock.at)
    return clock


def test_value_is_used_until_it_is_as_old_as_allowed(rows, cache, now):
    for now.at in (100.0, 104.9, 105.0, 109.9, 110.0):
        cache.find("key", MAX_AGE)

    assert rows.reads == 3


def test_age_counts_from_before_the_read(rows, cache, now):
    rows.meanwhile = lambda: setattr(now, "at", now.at + 4)  # a slow read
    cache.find("key", MAX_AGE)

    now.at = 105.5  # 1.5 s after the answer came, 5.5 s after it was asked for
    cache.find("key", MAX_AGE)

    assert rows.reads == 2


def test_age_of_zero_always_reads(rows, cache):
    cache.find("key", 0)
    cache.find("key", 0)

    assert rows.reads == 2


@pytest.mark.parametrize("change", ["clear", "forget"])
def test_read_that_overlaps_a_change_is_not_kept(rows, cache, change):
    def change_meanwhile():
        rows.value, rows.meanwhile = None, lambda: None
        getattr(cache, change)(*(["key"] if change == "forget" else []))

    rows.meanwhile = change_meanwhile
    assert cache.find("key", MAX_AGE) == "editor"  # asked before the change

    assert cache.find("key", MAX_AGE) is None


def test_thread_that_read_before_a_change_does_not_bring_the_old_value_back(rows, cache):
    has_read, changed = threading.Event(), threading.Event()
    rows.meanwhile = lambda: (has_read.set(), changed.wait(5))
    reader = threading.Thread(target=cache.find, args=["key", MAX_AGE])
    reader.start()
    assert has_read.wait(5)

    rows.value, rows.meanwhile = None, lambda: None
    cache.clear()
    changed.set()
    reader.join(5)

    assert cache.find("key", MAX_AGE) is None


def test_what_is_absent_is_not_kept(rows, cache):
    rows.value = None
    assert cache.find("key", MAX_AGE) is None

    rows.value = "viewer"

    assert cache.find("key", MAX_AGE) == "viewer"


def test_size_is_bounded_and_the_oldest_goes_first(rows, cache):
    for key in "abcde":
        cache.find(key, MAX_AGE)

    for key in "cde":
        cache.find(key, MAX_AGE)

    assert rows.reads == 5
    assert len(cache._entries) == 3
