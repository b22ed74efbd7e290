"""`manage.py demo`: a cast and documents to try things out with."""

from dataclasses import replace
from io import StringIO
from itertools import islice

import pytest
from django.core.management import CommandError, call_command

from accounts.demonstration import CASTS, DEMO_PASSWORD, OPERATOR_EMAIL
from accounts.demonstration_documents import spell_documents
from accounts.management.commands import demo
from accounts.models import Membership, User
from accounts.passwords import matches
from tenancy.access import decode_document
from tenancy.models import Organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod]


@pytest.fixture
def few(monkeypatch):
    """The same cast with fewer documents."""
    casts = [replace(cast, documents=dict.fromkeys(cast.documents, 30)) for cast in CASTS]
    monkeypatch.setattr(demo, "CASTS", casts)


def run(*arguments):
    out = StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue()


def stored(mongo):
    return sum(mongo[name].count_documents({}) for name in mongo.list_collection_names())


def test_it_makes_people_organizations_and_thousands_of_documents(mongo):
    text = run()

    roles = Membership.objects.values_list("organization__name", "user__name", "role")
    assert set(roles) == {
        ("Acme Corp", "Alice", "owner"),
        ("Acme Corp", "Bob", "editor"),
        ("Acme Corp", "Vera", "viewer"),
        ("Globex", "Charlie", "owner"),
    }
    assert stored(mongo) == 4_000
    assert DEMO_PASSWORD in text
    assert matches(DEMO_PASSWORD, User.objects.get(email="alice@example.com"))


def test_repeating_it_adds_nothing(mongo, few):
    run()
    before = stored(mongo)

    text = run()

    assert stored(mongo) == before == 180
    assert Organization.objects.count() == 2
    assert "with the password it had" in text


def test_a_renamed_organization_is_found_again(mongo, few):
    run()
    Organization.objects.filter(name="Acme Corp").update(name="Acme International")

    run()

    assert Organization.objects.count() == 2


def test_the_operators_password_is_shown_once_and_can_be_reset(mongo, few):
    def shown(text):
        return text.partition("password ")[2].partition(" ")[0]

    first, second = shown(run()), shown(run("--reset-passwords"))
    operator = User.objects.get(email=OPERATOR_EMAIL)

    assert first != second
    assert matches(second, operator)
    assert (operator.is_staff, operator.is_superuser) == (True, True)


def test_it_refuses_production(settings, db):
    settings.TENANTRY_PRODUCTION = True

    with pytest.raises(CommandError, match="not in production"):
        run()

    assert not User.objects.exists()


def test_without_the_service_it_says_how_to_start_it(settings, db, tmp_path):
    settings.MONGODB_URI, settings.TENANTRY_HOME = "", tmp_path

    with pytest.raises(CommandError, match="make run"):
        run()


def test_a_service_that_was_killed_is_not_running(settings, db, tmp_path):
    settings.MONGODB_URI = ""
    settings.TENANTRY_HOME = tmp_path
    (tmp_path / "mongod").mkdir()
    (tmp_path / "mongod" / "uri").write_text("mongodb://127.0.0.1:9/?directConnection=true")

    with pytest.raises(CommandError, match="the service is not running"):
        run()

    assert not User.objects.exists()


@pytest.mark.parametrize("collection", ["main", "customers", "orders"])
def test_documents_are_varied_valid_and_the_same_each_time(collection):
    documents = list(spell_documents(collection, 60, 1))

    assert list(islice(spell_documents(collection, 60, 1), 60)) == documents
    assert len({frozenset(document) for document in documents}) > 1
    assert all(decode_document(document) for document in documents)
