"""Invite somebody, read their letters, and do as they do."""

import re

from django.core import mail
from rest_framework.test import APIClient

from accounts.models import Invitation, Membership, User
from accounts.principals import Member, get_member
from accounts.tokens import read_access_token
from tests.conftest import PASSWORD

INVITATIONS = "/api/v1/organization/invitations"
MARY = "mary@example.com"
NEW_PASSWORD = "a new pass-phrase 2"


def letters():
    """Return every letter of this test."""
    return mail.outbox


def last_token():
    """Return the token in the last letter."""
    return re.findall(r"/invitations/(inv_[\w-]+)", letters()[-1].body)[0]


def ask(client, email=MARY, role="editor"):
    """Invite somebody; return the answer."""
    answer = client.post(INVITATIONS, {"email": email, "role": role})
    assert answer.status_code == 201, answer.content
    return answer.json()


def look(token):
    """Look at an invitation, as anybody can who has the letter."""
    return APIClient().get(f"/api/v1/invitations/{token}")


def accept(token, client=None, **body):
    """Accept with a body."""
    return (client or APIClient()).post(f"/api/v1/invitations/{token}/accept", body)


def accept_without_body(token, client):
    """Accept as who is signed in."""
    return client.generic("POST", f"/api/v1/invitations/{token}/accept")


def change(invitation, **values):
    """Change the row of an invitation behind the product's back."""
    Invitation.objects.filter(pk=invitation["id"]).update(**values)


def make_account(email=MARY, **fields):
    """Make an account that belongs nowhere."""
    return User.objects.create_user(email, PASSWORD, **fields)


def roles_of(email):
    """Return the roles that an address has anywhere."""
    return list(Membership.objects.filter(user__email=email).values_list("role", flat=True))


def principal_of(cast, who) -> Member:
    """Return one of the cast as somebody who makes a request."""
    token = cast.client(who)._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    return get_member(read_access_token(token))
