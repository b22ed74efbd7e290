"""Operators read invitations, find them and take them back; a token is nothing they see."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Invitation, User
from tenancy.models import AuditEvent
from tests.conftest import PASSWORD
from tests.invitations import ask, last_token, look

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

PAGE = "/admin/accounts/invitation/"


@pytest.fixture
def root():
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def operator(root):
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def rows(alice, charlie):
    ask(alice, "mary@example.com", "editor")
    ask(alice, "nora@example.com", "admin")
    ask(charlie, "olga@example.com", "viewer")
    return {row.email: row for row in Invitation.objects.all()}


def page_of(row):
    return reverse("admin:accounts_invitation_change", args=[row.pk])


def revoke(client, *rows):
    chosen = {"action": "revoke_selected", "_selected_action": [str(row.pk) for row in rows]}
    return client.post(PAGE, chosen, follow=True)


def test_they_are_searched_and_filtered(operator, rows):
    def emails(**query):
        return {row.email for row in operator.get(PAGE, query).context["cl"].result_list}

    assert emails() == set(rows)
    assert emails(q="mary@") == {"mary@example.com"}
    assert emails(q="globex") == {"olga@example.com"}
    assert emails(q="alice@example.com") == {"mary@example.com", "nora@example.com"}
    assert emails(q=str(rows["olga@example.com"].pk)) == {"olga@example.com"}
    assert emails(role__exact="admin") == {"nora@example.com"}


def test_a_page_shows_no_token(operator, rows):
    token = last_token()
    for page in (operator.get(PAGE), operator.get(page_of(rows["olga@example.com"]))):
        text = page.content.decode()

        assert "olga@example.com" in text
        assert "Open" in text
        assert token not in text
        assert rows["olga@example.com"].digest not in text


def test_they_are_taken_back_with_a_trace(operator, root, acme, rows):
    token = last_token()
    answer = revoke(operator, rows["nora@example.com"], rows["olga@example.com"])

    assert "2 invitations revoked." in answer.content.decode()
    assert look(token).status_code == 410
    left = Invitation.objects.get(revoked_at=None)
    assert left.email == "mary@example.com"
    event = AuditEvent.objects.get(organization=acme.organization, action="invitation.revoked")
    assert event.actor == f"user:{root.pk}"
    assert event.details == {"invitation": str(rows["nora@example.com"].pk), "role": "admin"}
    assert "0 invitations revoked." in revoke(operator, rows["olga@example.com"]).content.decode()


def test_nobody_edits_adds_or_deletes_them(operator, rows):
    row = rows["mary@example.com"]

    assert operator.get(f"{PAGE}add/").status_code == 403
    assert operator.post(page_of(row), {"role": "owner"}).status_code == 403
    assert operator.post(f"{PAGE}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Invitation.objects.get(pk=row.pk).role == "editor"


def test_who_may_only_look_takes_nothing_back(acme, rows, django_user_model):
    from django.contrib.auth.models import Permission

    viewer = django_user_model.objects.create(email="viewer@example.com", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_invitation"))
    client = Client()
    client.force_login(viewer)

    assert client.get(PAGE).status_code == 200
    revoke(client, *rows.values())
    assert Invitation.objects.filter(revoked_at=None).count() == 3


def test_outsiders_are_sent_to_the_login(acme, rows):
    member = Client()
    member.force_login(acme.users["alice"])

    for client in (Client(), member):
        for url in (PAGE, page_of(rows["mary@example.com"])):
            assert client.get(url).url.startswith("/admin/login/")
