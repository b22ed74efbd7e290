"""Redis behind the caches keeps what they promise: ages, changes, integrity, and no waiting."""

import logging
import threading

import pytest
from redis import Redis

from accounts.models import Membership
from tenancy import caching, catalog, second_level
from tenancy.caching import AgedCache
from tenancy.models import Cluster, Organization
from tenancy.second_level import SecondLevel
from tests.redis_servers import running_redis, wait_until
from tests.servers import at_once

MAX_AGE = 3_600.0
ORGANIZATION = "/api/v1/organization"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(autouse=True)
def redis(settings, server, monkeypatch, patient_redis):
    """An empty Redis behind the caches."""
    settings.REDIS_URL, settings.CACHE_IN_REDIS = server.url, True
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = MAX_AGE
    monkeypatch.setattr(second_level, "PROBE_SECONDS", 0.05)
    second_level.forget_links()
    with Redis(port=server.port) as client:
        client.flushall()
        yield client
    second_level.forget_links()


def link_to(url):
    return second_level._links[url]


def values_in(server):
    """Return the names of what is kept for the cache of `Process`."""
    names = server.keys()
    return [name for name in names if ":cache:test:" in name]


class Process:
    """A process with a cache of its own, and what it has read of the catalog."""

    def __init__(self, rows, name="test"):
        self.rows, self.reads = rows, 0
        second = SecondLevel(
            name, spell=str, dump=lambda value: [value], load=self.load, lives=lambda: MAX_AGE
        )
        self.cache = AgedCache(self.read, max_entries=3, name="test", second=second)

    def load(self, kept, began):
        return kept[0]

    def read(self, key):
        self.reads += 1
        return self.rows.get(key)

    def find(self, key="acme", max_age=MAX_AGE):
        return self.cache.find(key, max_age)


def at(found, redis):
    """Return what is found as it would be when the clock of Redis shows that."""
    return found._replace(now=found.now._replace(redis=redis))


@pytest.fixture
def rows():
    return {"acme": "editor"}


@pytest.fixture
def one(rows):
    return Process(rows)


@pytest.fixture
def other(rows):
    return Process(rows)


def test_what_one_process_has_read_another_need_not_read(one, other):
    assert one.find() == other.find() == "editor"

    assert (one.reads, other.reads) == (1, 0)


def test_age_of_zero_never_comes_from_redis(one, other, rows):
    one.find()
    rows["acme"] = "viewer"

    assert other.find(max_age=0) == "viewer"


def test_what_is_older_than_allowed_is_read(one, other, redis, monkeypatch):
    one.find()
    found = other.cache._second.find("acme")
    aged = at(found, found.now.redis + 5)
    monkeypatch.setattr(other.cache._second, "find", lambda key: aged)

    assert other.find(max_age=5.0) == "editor"
    assert other.reads == 1


def test_age_goes_on_in_the_process_that_took_it(one, other, monkeypatch):
    one.find()
    found = other.cache._second.find("acme")
    aged = at(found, found.read_at.redis + 60)
    monkeypatch.setattr(other.cache._second, "find", lambda key: aged)
    assert other.find(max_age=100.0) == "editor"
    assert other.reads == 0
    now = caching.seconds()

    monkeypatch.setattr(caching, "seconds", lambda: now + 41)
    monkeypatch.setattr(other.cache._second, "find", lambda key: None)
    other.find(max_age=100.0)

    assert other.reads == 1  # 60 and 41 seconds


def test_clock_of_redis_that_was_set_back_makes_nothing_younger(one, other, monkeypatch):
    one.find()
    found = other.cache._second.find("acme")
    monkeypatch.setattr(other.cache._second, "find", lambda key: at(found, found.read_at.redis - 1))

    other.find()

    assert other.reads == 1


def test_clock_of_redis_that_stands_still_makes_nothing_younger(one, other, monkeypatch):
    one.find()
    found = other.cache._second.find("acme")
    late = found.now._replace(redis=found.read_at.redis, machine=found.now.machine + 60)
    monkeypatch.setattr(other.cache._second, "find", lambda key: found._replace(now=late))

    assert other.find(max_age=59) == "editor"
    assert other.reads == 1


@pytest.mark.parametrize("forget", ["forget", "forget_if", "clear"])
def test_what_is_from_before_a_change_is_not_taken_from_redis(one, other, rows, forget):
    one.find()
    rows["acme"] = "viewer"
    arguments = {"forget": ["acme"], "forget_if": [lambda value: True], "clear": []}

    for process in (one, other):
        getattr(process.cache, forget)(*arguments[forget])
        assert process.find() == "viewer"


def test_what_is_absent_is_not_kept(one, redis):
    assert one.find("globex") is None

    assert redis.keys() == []


def test_waiting_threads_get_nothing_older_than_they_allow(one, other, rows, monkeypatch):
    """Whoever reads takes what is an hour old from Redis; who waits for that allows a minute."""
    monkeypatch.setattr(caching, "WAIT_MAX_SECONDS", 10)
    one.find()
    rows["acme"] = "viewer"
    find, asked, go = other.cache._second.find, threading.Event(), threading.Event()

    def slow_find(key):
        asked.set()
        assert go.wait(10)
        found = find(key)
        return at(found, found.read_at.redis + 3_000)

    monkeypatch.setattr(other.cache._second, "find", slow_find)

    def second():
        assert asked.wait(10)
        return other.find(max_age=60)

    def release():
        wait_until(lambda: other.cache.counts().waits)
        go.set()

    answers = at_once([other.find, second, release])

    assert answers[:2] == ["editor", "viewer"]


def test_machine_that_has_just_started_believes_what_is_older_than_itself(
    one, other, rows, monkeypatch
):
    monkeypatch.setattr(caching, "seconds", lambda: 5.0)
    one.find()
    rows["acme"] = "viewer"
    find = other.cache._second.find

    def find_old(key):
        found = find(key)
        return at(found, found.read_at.redis + 60)

    monkeypatch.setattr(other.cache._second, "find", find_old)

    assert other.find() == "editor"


# --- Who can write in Redis ---------------------------------------------------------------------


def test_value_of_another_key_cache_or_secret_is_not_believed(one, rows, redis, settings):
    one.find()
    (name,) = redis.keys()
    sealed = redis.get(name)
    rows["globex"] = "viewer"
    thief, stranger = Process(rows), Process(rows, name="another")
    thief.find("globex")
    stranger.find()
    names = redis.keys()
    for each in names:
        redis.set(each, sealed)

    assert Process(rows).find("globex") == "viewer"
    assert (second := Process(rows, name="another")).find() == "editor"
    assert second.reads == 1
    settings.SECRET_KEY = "another secret of an installation"
    assert (later := Process(rows)).find() == "editor"
    assert later.reads == 1


def test_no_byte_of_a_value_can_be_changed(one, rows, redis):
    one.find()
    (name,) = redis.keys()
    sealed = redis.get(name)

    for place in range(len(sealed)):
        redis.set(name, bytes([*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]]))
        assert Process(rows).cache._second.find("acme").value is None


@pytest.mark.parametrize("raw", [b"", b"x", b"\x80\x04." * 40, b"x" * 100_000])
def test_garbage_is_read_from_the_catalog(one, other, redis, raw):
    one.find()
    redis.set(redis.keys()[0], raw)

    assert other.find() == "editor"
    assert other.reads == 1


def test_another_type_in_the_place_of_a_value_is_overwritten(one, other, redis, settings):
    one.find()
    (name,) = redis.keys()
    redis.delete(name)
    redis.rpush(name, "x")

    assert other.find() == "editor"
    assert not link_to(settings.REDIS_URL).is_broken
    assert redis.type(name) == b"string"


def test_value_of_another_version_is_read_from_the_catalog(one, other, monkeypatch):
    one.find()
    monkeypatch.setattr(other, "load", lambda kept, began: kept["a name"])
    other.cache._second.load = other.load

    assert other.find() == "editor"


def test_names_and_values_are_bounded_in_time(one, redis):
    one.find()
    (name,) = redis.keys()

    assert name.startswith(b"tenantry:cache:test:")
    assert b"acme" not in name
    assert 0 < redis.pttl(name) <= MAX_AGE * 1_000


# --- Redis that fails ---------------------------------------------------------------------------


@pytest.mark.parametrize("outage", ["kill", "freeze"])
def test_redis_that_fails_is_asked_once_and_looked_for(tmp_path, settings, rows, outage):
    with running_redis(tmp_path) as own:
        settings.REDIS_URL = own.url
        process = Process(rows)
        process.find("warm")
        getattr(own, outage)()

        answers = [process.find(f"org-{number}") for number in range(200)]

        assert answers == [None] * 200
        link = link_to(own.url)
        assert link.is_broken
        own.thaw() if outage == "freeze" else own.start()
        wait_until(lambda: not link.is_broken)
        process.find()
        assert len(values_in(own)) == 1


# What a server that answers PING may refuse, and how it is brought to it and from it.
REFUSALS = {
    "full": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "a replica": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    "not permitted": ("ACL SETUSER default -set", "ACL SETUSER default +@all"),
    "not to be read": ("ACL SETUSER default -@read", "ACL SETUSER default +@all"),
}


@pytest.fixture
def looks(monkeypatch):
    """The threads that have looked for Redis, and how often each has asked it."""
    look, probe, seen = second_level._Link._look, second_level._probe, []

    def counted(link):
        seen.append(0)
        look(link)

    def asked(redis):
        seen[-1] += 1
        return probe(redis)

    monkeypatch.setattr(second_level._Link, "_look", counted)
    monkeypatch.setattr(second_level, "_probe", asked)
    return seen


@pytest.mark.parametrize("refusal", REFUSALS)
def test_redis_that_refuses_commands_is_left_alone_until_it_does_not(
    tmp_path, settings, looks, caplog, refusal
):
    refuse, allow = REFUSALS[refusal]
    process = Process({f"org-{number}": "editor" for number in range(200)})
    with running_redis(tmp_path) as own, Redis(port=own.port) as client:
        settings.REDIS_URL = own.url
        client.execute_command(refuse)

        with caplog.at_level(logging.WARNING, "tenantry.caches"):
            answers = [process.find(each) for each in process.rows]
            wait_until(lambda: looks and looks[0] >= 3)
            answers += [process.find(each) for each in process.rows]

        assert answers == ["editor"] * 400
        assert len(looks) == len(caplog.records) == 1
        link = link_to(own.url)
        assert link.is_broken
        client.execute_command(allow)
        wait_until(lambda: not link.is_broken)
        process.find("org-0")
        assert len(values_in(own)) == 1


def test_redis_is_not_looked_for_at_once(tmp_path, settings, looks, rows, monkeypatch):
    monkeypatch.setattr(second_level, "PROBE_SECONDS", 60.0)
    with running_redis(tmp_path) as own:
        settings.REDIS_URL = own.url
        own.configure("maxmemory", "1")
        process = Process(rows)
        process.find()
        own.configure("maxmemory", "0")

        process.find("globex")

        assert link_to(own.url).is_broken
        assert looks == [0]


def test_it_is_off_unless_it_is_switched_on(one, settings, redis):
    settings.CACHE_IN_REDIS = False

    one.find()

    assert redis.keys() == []


# --- What is kept -------------------------------------------------------------------------------


def test_organization_comes_back_as_it_was_and_its_uri_stays_encrypted(acme, redis):
    Cluster.objects.filter(alias="default").update(note="")
    catalog.clear_cache()
    first = catalog.get_tenant(acme.id)
    (name,) = redis.keys("tenantry:cache:tenants:*")
    secret = first.address.uri.encode()

    catalog._cache._entries.clear()  # as another process, that has heard of no change
    catalog._cache._changed = 0.0
    Organization.objects.filter(pk=acme.id).update(region="elsewhere")
    second = catalog.get_tenant(acme.id)

    assert second == first.__class__(**{**vars(first), "read_at": second.read_at})
    assert second.read_at <= first.read_at + 0.5
    assert secret not in redis.get(name)


def test_member_comes_back_as_they_were_and_a_change_here_bites_at_once(acme, bob, redis):
    assert bob.get(ORGANIZATION).status_code == 200
    from accounts import principals

    (claims,) = principals._members._entries
    before = principals.get_member(claims)
    principals._members._entries.clear()
    principals._members._changed = 0.0
    row = Membership.objects.get(user=acme.users["bob"])
    Membership.objects.filter(pk=row.pk).update(epoch=row.epoch + 1)

    assert principals.get_member(claims) == before  # of Redis, and as old as is allowed
    principals.forget_members(user_id=row.user_id)
    assert bob.get(ORGANIZATION).status_code == 401
