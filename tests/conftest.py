"""The cast and the stage of every test.

acme has alice (owner), bob (editor) and vera (viewer); globex has charlie (owner), the outsider.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from pymongo import MongoClient
from pymongo.database import Database
from rest_framework.test import APIClient

from accounts import background, last_used
from accounts.limit_stores import forget_everything as forget_counts
from accounts.login import sign_in
from accounts.models import Membership, User
from accounts.principals import forget_members
from accounts.roles import Role
from accounts.sessions import Device
from tenancy import catalog, encryption, invalidation, lifecycle, usage
from tenancy.lifecycle.clusters import add_cluster
from tenancy.lifecycle.preferences import forget_settings
from tenancy.models import Cluster, Organization, Plan
from tenancy.names import OWN_DATABASE, PlacementAddress, namespace_of_id
from tenancy.slots import SLOTS
from tenancy.slugs import forget_slugs
from tests.environment import SECOND_URI
from tests.kept_rows import written
from tests.places import CAST, PLACES, Behind, Place, Stored, clear_database
from tests.shortcuts import shortcuts

PASSWORD = "correct horse 9 battery"
ACTOR = "command:test"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Put the test catalog into a file: threads and processes share it as they do in service."""
    from django.db import connections

    name = settings.TENANTRY_HOME / "test-catalog.sqlite3"
    connections["default"].settings_dict["TEST"]["NAME"] = str(name)


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says something about the machine, not about the product.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    config.addinivalue_line("markers", "everywhere: runs once at each place, if it needs MongoDB")
    config.addinivalue_line("markers", "once: cannot depend on the place, whatever its module says")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `everywhere` for every kind of placement and way of naming."""
    test, is_real = metafunc.definition, metafunc.config.getoption("--mongo") == "real"
    is_everywhere = test.get_closest_marker("everywhere") and not test.get_closest_marker("once")
    if is_real and is_everywhere and "place" in metafunc.fixturenames:
        metafunc.parametrize("place", PLACES, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of whole services first: they take longest, and nobody should wait for them."""
    items.sort(key=lambda item: Path(item.fspath).parent != Path(__file__).parent)
    if config.getoption("--mongo") == "mock":
        reason = pytest.mark.skip(reason="--mongo=mock: the fake has not what this needs")
        for item in items:
            if "needs_mongod" in item.keywords or "mongo" not in Path(item.fspath).parts:
                item.add_marker(reason)


def make_fake_client() -> Any:
    """Return the in-memory fake of a client; it knows no codec options and keeps values as is."""
    import mongomock

    class FakeClient(mongomock.MongoClient):
        def get_database(self, name: str, codec_options: Any = None) -> Any:
            return super().get_database(name)

    return FakeClient()


@pytest.fixture(scope="session", autouse=True)
def once_for_all() -> Iterator[None]:
    with shortcuts():
        yield


@pytest.fixture(autouse=True)
def fake_mongod(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --mongo=mock, put the in-memory fake in the place of the driver's client."""
    if request.config.getoption("--mongo") == "mock":
        from tenancy.mongo import clients

        client = request.getfixturevalue("mongo_client")
        monkeypatch.setattr(clients, "get_client", lambda uri: client)
        monkeypatch.setattr(settings, "MONGODB_URI", "mongodb://fake")


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """No test sees what another one cached, or counted."""
    catalog.clear_cache()
    forget_slugs()
    forget_settings()
    usage.forget_changes()
    forget_members()
    forget_counts()
    SLOTS.forget()
    yield
    catalog.clear_cache()
    forget_slugs()
    forget_settings()
    usage.forget_changes()
    forget_members()


@pytest.fixture(autouse=True)
def no_late_notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """When keys and sessions were used is written by tests that ask for it, and by no thread."""
    monkeypatch.setattr(last_used.Notebook, "_start", lambda self: None)
    last_used.forget_uses()
    yield
    last_used.forget_uses()


@pytest.fixture(autouse=True)
def no_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes are told to other processes by tests that ask for it, and by no thread."""
    monkeypatch.setattr(invalidation, "_find_channel", lambda: None)


@pytest.fixture(scope="session")
def mongo_client(request: pytest.FixtureRequest) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the test's own, to look behind the product's back."""
    if request.config.getoption("--mongo") == "mock":
        yield make_fake_client()
        return
    with MongoClient(settings.MONGODB_URI) as client:
        yield client


@pytest.fixture(scope="session")
def second_client() -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the second mongod, to look behind the product's back."""
    with MongoClient(os.environ[SECOND_URI]) as client:
        yield client


@pytest.fixture
def place(request: pytest.FixtureRequest, settings: Any) -> Place:
    """Where organizations live in this test; see the mark `everywhere`."""
    if not hasattr(request, "param"):
        return PLACES["collection-name"]
    chosen = PLACES[request.param]
    settings.TENANCY_NAMING = chosen.naming
    return chosen


@pytest.fixture
def tenant_data(
    mongo_client: MongoClient[dict[str, Any]], place: Place
) -> Iterator[Database[dict[str, Any]]]:
    """The tenants' database, empty before and after, for tests that need no catalog."""
    shared = mongo_client[settings.TENANCY_DATABASE]
    clear_database(shared)
    yield shared
    clear_database(shared)


@pytest.fixture
def mongo(
    request: pytest.FixtureRequest,
    db: None,
    transactional_db: None,
    tenant_data: Database[dict[str, Any]],
    place: Place,
) -> Iterator[Database[dict[str, Any]]]:
    """The tenants' database, empty before and after, beside an empty catalog."""
    if "naming" in request.fixturenames:
        request.getfixturevalue("naming")  # before anybody creates an organization
    if place.kind == "collection":
        yield tenant_data
        return
    Plan.objects.update_or_create(code=Plan.DEFAULT, defaults={"default_kind": place.kind})
    if place.kind == "cluster":
        for alias in CAST:  # each gets a cluster to itself; it is one mongod under two URIs
            sealed = encryption.encrypt(f"{place.uri}&appName={alias}")
            Cluster.objects.create(alias=alias, uri_encrypted=sealed)
    behind = request.getfixturevalue("behind")
    yield tenant_data
    behind.clear()


@pytest.fixture
def behind(request: pytest.FixtureRequest, mongo_client: MongoClient[dict[str, Any]]) -> Behind:
    """Both deployments, behind the product's back."""
    if request.config.getoption("--mongo") == "mock":
        return Behind(mongo_client, mongo_client)
    return Behind(mongo_client, request.getfixturevalue("second_client"))


@pytest.fixture
def second_cluster(mongo: Any, second_client: MongoClient[dict[str, Any]]) -> Iterator[Cluster]:
    """A second deployment, without data before and after."""
    second_client.drop_database(settings.TENANCY_DATABASE)
    yield add_cluster("second", os.environ[SECOND_URI], by=ACTOR)
    for organization_id in Organization.objects.values_list("pk", flat=True):
        second_client.drop_database(namespace_of_id(organization_id))
    second_client.drop_database(settings.TENANCY_DATABASE)


@pytest.fixture
def address(place: Place, behind: Behind, tenant_data: Any) -> Iterator[PlacementAddress]:
    """Where acme lives, for tests of the data plane alone; what others have there must stay."""
    acme = place.address("acme")
    behind.move_neighbours_in(acme)
    before = [neighbour.find() for neighbour in behind.neighbours(acme)]
    yield acme
    assert [neighbour.find() for neighbour in behind.neighbours(acme)] == before
    if place.kind in OWN_DATABASE:
        for slug in CAST:
            stored = behind.stored(place.address(slug))
            clear_database(stored.collection.database)


@pytest.fixture(params=["name", "id"])
def naming(request: pytest.FixtureRequest, settings: Any) -> str:
    """Run the test under both ways of naming."""
    settings.TENANCY_NAMING = request.param
    return str(request.param)


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do at once what requests leave for later, such as letters: see `mail.outbox`."""
    monkeypatch.setattr(background, "_worker", SimpleNamespace(add=background.run))


@pytest.fixture
def quick(settings: Any) -> None:
    """Shorten what protocols wait for: what is tested is their order, not their length."""
    settings.TENANCY_CATALOG_TTL = 0.05
    settings.TENANCY_OPERATION_TIMEOUT = 1.2


@pytest.fixture
def patient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Redis take its time, as where the cores are taken: only a frozen one takes all of it."""
    monkeypatch.setattr("accounts.redis_windows.REDIS_TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr("tenancy.redis_channel.TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr("tenancy.second_level.TIMEOUT_SECONDS", 2.0)


@dataclass
class Cast:
    """An organization and its people."""

    organization: Organization
    users: dict[str, User] = field(default_factory=dict)

    @property
    def id(self) -> Any:
        return self.organization.pk

    @property
    def slug(self) -> str:
        return str(self.organization.slug)

    def client(self, who: str) -> APIClient:
        """Return an HTTP client that is signed in as one of the people."""
        membership = Membership.objects.get(user=self.users[who], organization=self.organization)
        client = APIClient()
        token = sign_in(self.users[who], membership, Device()).access_token
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return client


@cache
def hashed_password() -> str:
    """Return the hash of PASSWORD, computed once."""
    return make_password(PASSWORD)


def make_cast(name: str, people: dict[str, Role]) -> Cast:
    """Create an organization with people."""

    def add_people(organization: Organization) -> None:
        for who, role in people.items():
            user = User.objects.create(email=email_of(who), password=hashed_password())
            Membership.objects.create(user=user, organization=organization, role=role)

    made = written(
        (name, *people.items()),
        lambda: lifecycle.create_organization(name, by=ACTOR, on_reserve=add_people),
    )
    users = User.objects.in_bulk([email_of(who) for who in people], field_name="email")
    return Cast(made, {who: users[email_of(who)] for who in people})


def email_of(who: str) -> str:
    """Return the address of one of the people."""
    return f"{who}@example.com"


def found_organization(name: str) -> Organization:
    """Create an organization without people, by an operator."""
    return written(name, lambda: lifecycle.create_organization(name, by=ACTOR))


@pytest.fixture
def acme(mongo: Any) -> Cast:
    people = {"alice": Role.OWNER, "bob": Role.EDITOR, "vera": Role.VIEWER}
    return make_cast("Acme", people)


@pytest.fixture
def globex(mongo: Any) -> Cast:
    return make_cast("Globex", {"charlie": Role.OWNER})


@pytest.fixture
def stored(acme: Cast, behind: Behind) -> Stored:
    """What MongoDB has in acme's main collection."""
    return behind.stored_of(acme.organization)


@pytest.fixture
def alice(acme: Cast) -> APIClient:
    return acme.client("alice")


@pytest.fixture
def bob(acme: Cast) -> APIClient:
    return acme.client("bob")


@pytest.fixture
def vera(acme: Cast) -> APIClient:
    return acme.client("vera")


@pytest.fixture
def charlie(globex: Cast) -> APIClient:
    return globex.client("charlie")


@pytest.fixture
def nobody() -> APIClient:
    """Someone without any credential."""
    return APIClient()


@cache
def _openapi() -> bytes:
    return APIClient().get("/api/v1/openapi.json").content


@pytest.fixture
def document(db: None) -> dict[str, Any]:
    """The OpenAPI document as it is served; made once, for that takes a second."""
    found: dict[str, Any] = json.loads(_openapi())
    return found
