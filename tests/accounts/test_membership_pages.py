"""Operators change roles and remove members under the rules of owners."""

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import Membership, Session, User
from tenancy.models import AuditEvent
from tests.http import refused

pytestmark = pytest.mark.usefixtures("quick")

PAGES = "/admin/accounts/membership/"


def membership(cast, who):
    return Membership.objects.get(user=cast.users[who])


def operator_who_may(*codenames):
    user = User.objects.create(email=f"{'.'.join(codenames)}@example.net", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root(mongo):
    return User.objects.create_superuser("root@example.net", "an old pass-phrase 1")


@pytest.fixture
def operator(root):
    client = Client()
    client.force_login(root)
    return client


def change(client, row, role):
    return client.post(f"{PAGES}{row.pk}/change/", {"role": role})


def remove(client, row):
    return client.post(f"{PAGES}{row.pk}/delete/", {"post": "yes"})


def test_operator_changes_a_role_and_it_holds_at_once(acme, operator, root, bob):
    assert bob.get("/api/v1/organization").status_code == 200

    assert change(operator, membership(acme, "bob"), "viewer").status_code == 302

    assert (membership(acme, "bob").role, membership(acme, "bob").epoch) == ("viewer", 2)
    refused(bob.get("/api/v1/organization"), 401, "token_revoked")
    event = AuditEvent.objects.get(action="member.role_changed")
    assert (event.actor, event.organization_id) == (f"user:{root.pk}", acme.id)


def test_operator_makes_an_owner(acme, operator):
    change(operator, membership(acme, "bob"), "owner")
    change(operator, membership(acme, "alice"), "admin")

    assert (membership(acme, "bob").role, membership(acme, "alice").role) == ("owner", "admin")


def test_operator_removes_a_member_and_their_sessions(acme, operator, bob):
    assert remove(operator, membership(acme, "bob")).status_code == 302

    refused(bob.get("/api/v1/organization"), 401, "token_revoked")
    assert not acme.users["bob"].memberships.exists()
    assert Session.objects.get(user=acme.users["bob"]).revoked_for == "member_removed"
    assert AuditEvent.objects.filter(action="member.removed").count() == 1


def test_operator_leaves_no_organization_without_an_owner(acme, operator):
    row = membership(acme, "alice")

    page = change(operator, row, "viewer")
    assert "would have no owner" in page.content.decode()

    answer = operator.post(f"{PAGES}{row.pk}/delete/", {"post": "yes"}, follow=True)
    assert "would have no owner" in answer.content.decode()
    assert membership(acme, "alice").role == "owner"


@pytest.mark.parametrize("role", ["", "boss", "owner\x00"])
def test_what_is_no_role_is_refused_on_the_page(acme, operator, role):
    assert change(operator, membership(acme, "bob"), role).status_code == 200

    assert membership(acme, "bob").role == "editor"


def test_user_and_organization_of_a_membership_are_fixed(acme, globex, operator):
    row = membership(acme, "bob")

    operator.post(
        f"{PAGES}{row.pk}/change/",
        {"role": "viewer", "user": acme.users["vera"].pk, "organization": globex.id, "epoch": 9},
    )

    now = membership(acme, "bob")
    assert (now.organization_id, now.role, now.epoch) == (acme.id, "viewer", 2)


def test_operator_without_the_permission_reads_only(acme, mongo):
    reader = operator_who_may("view_membership")
    row = membership(acme, "bob")

    assert reader.get(f"{PAGES}{row.pk}/change/").status_code == 200
    assert change(reader, row, "owner").status_code == 403
    assert remove(reader, row).status_code == 403
    assert operator_who_may("view_user").get(PAGES).status_code == 403
    assert membership(acme, "bob").role == "editor"


def test_members_of_the_service_are_sent_to_the_login(acme):
    client = Client()
    client.force_login(acme.users["alice"])

    assert change(client, membership(acme, "bob"), "owner")["Location"].startswith("/admin/login/")
    assert membership(acme, "bob").role == "editor"


def test_nobody_is_removed_by_the_dozen(acme, operator):
    row = membership(acme, "bob")

    operator.post(PAGES, {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})

    assert Membership.objects.filter(pk=row.pk).exists()
