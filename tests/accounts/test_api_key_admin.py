"""Operators see keys and end them; nothing they are shown opens anything."""

import uuid

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.api_keys import KeyTerms, get_key_holder, issue_key
from accounts.exceptions import TokenRevoked
from accounts.models import ApiKey, User
from tenancy.models import AuditEvent
from tests.conftest import ACTOR

LIST = "/admin/accounts/apikey/"


@pytest.fixture
def key(acme):
    return issue_key(acme.id, KeyTerms("Robot", "editor"), by=ACTOR)


@pytest.fixture
def other(globex):
    return issue_key(globex.id, KeyTerms("Android", "viewer"), by=ACTOR)


def operator_who_may(*codenames, **powers):
    user = User.objects.create(email=f"{uuid.uuid4().hex}@example.com", is_staff=True, **powers)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return user, client


@pytest.fixture
def operator(mongo):
    return operator_who_may(is_superuser=True)[1]


def revoke(client, *keys):
    chosen = [str(key.row.pk) for key in keys]
    data = {"action": "revoke_selected", "_selected_action": chosen}
    return client.post(LIST, data, follow=True)


def test_pages_show_neither_secret_nor_digest(operator, key):
    ApiKey.objects.update(previous_digest="abc123" * 10)
    page = reverse("admin:accounts_apikey_change", args=[key.row.pk])

    for url in (LIST, page):
        text = operator.get(url).content.decode()
        assert "Robot" in text
        for hidden in (key.secret.split("_")[2], key.row.digest, "abc123"):
            assert hidden not in text


@pytest.mark.parametrize("words", ["robot", "acme", "id of the key"])
def test_keys_are_found_by_name_organization_and_id(operator, key, other, words):
    words = str(key.row.pk) if words.startswith("id") else words

    found = operator.get(LIST, {"q": words}).context["cl"].result_list

    assert [row.name for row in found] == ["Robot"]


def test_revoking_ends_the_chosen_ones_and_says_so_in_the_audit(operator, key, other):
    assert get_key_holder(key.secret)

    page = revoke(operator, key)
    revoke(operator, key)

    assert "1 API key revoked." in page.content.decode()
    with pytest.raises(TokenRevoked):
        get_key_holder(key.secret)
    assert get_key_holder(other.secret)
    event = AuditEvent.objects.get(action="api_key.revoked")
    assert event.actor.startswith("user:")
    assert event.details == {"key": str(key.row.pk), "role": "editor"}


def test_who_may_only_look_does_not_revoke(key):
    _, viewer = operator_who_may("view_apikey")

    revoke(viewer, key)

    assert viewer.get(LIST).status_code == 200
    assert get_key_holder(key.secret)


def test_nobody_adds_changes_or_deletes_a_key(operator, key):
    page = reverse("admin:accounts_apikey_change", args=[key.row.pk])

    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.post(page, {"name": "Mine", "role": "admin"}).status_code == 403
    assert operator.post(page.replace("change", "delete"), {"post": "yes"}).status_code == 403
    assert ApiKey.objects.get().name == "Robot"


def test_state_is_shown(operator, key):
    page = reverse("admin:accounts_apikey_change", args=[key.row.pk])
    assert "Live" in operator.get(page).content.decode()

    ApiKey.objects.update(expires_at=timezone.now())
    assert "Expired" in operator.get(page).content.decode()


def test_outsiders_and_members_are_sent_to_the_login(acme, key):
    member = Client()
    member.force_login(acme.users["alice"])

    for client in (Client(), member):
        assert client.get(LIST).url.startswith("/admin/login/")
        assert client.post(LIST, {"action": "revoke_selected"}).url.startswith("/admin/login/")
