"""Nobody gives a role that holds more than they have: not by a letter, not to a member."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.api_keys import KeyTerms, forget_keys, issue_key
from accounts.exceptions import PermissionDenied
from accounts.invitations import invite, resend, revoke
from accounts.key_terms import scopes_of
from accounts.models import ApiKey, Invitation, Membership
from accounts.ownership import Operator, change_role
from accounts.principals import KeyHolder
from accounts.roles import Role
from tests.conftest import ACTOR
from tests.http import refused
from tests.invitations import INVITATIONS, MARY, NEW_PASSWORD, accept, ask, change, last_token, look

pytestmark = pytest.mark.usefixtures("quick")

MEMBERS = "/api/v1/organization/members"
EDITORS = [*scopes_of("editor"), "members.manage"]


def program(cast, scopes, collections=None):
    """Return an HTTP client that shows a new key of the role admin."""
    terms = KeyTerms("HR", "admin", scopes, collections)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=issue_key(cast.id, terms, by=ACTOR).secret)
    return client


def membership(cast, who):
    return Membership.objects.get(user=cast.users[who], organization=cast.organization)


def give(client, cast, who, role):
    return client.patch(f"{MEMBERS}/{membership(cast, who).pk}", {"role": role})


@pytest.mark.parametrize(
    ("scopes", "collections", "may_give"),
    [
        (["members.manage", "members.read"], ["only"], set()),
        (["members.manage", "members.read"], None, set()),
        (EDITORS, ["only"], set()),
        ([*scopes_of("viewer"), "members.manage"], None, {"viewer"}),
        (EDITORS, None, {"editor", "viewer"}),
        (None, None, {"editor", "viewer"}),  # no key manages keys, and admins do
    ],
    ids=["narrow", "narrow-everywhere", "editor-in-one", "viewer", "editor", "widest"],
)
def test_key_gives_no_role_that_holds_more(acme, scopes, collections, may_give):
    client = program(acme, scopes, collections)

    for role in Role.values:
        invited = client.post(INVITATIONS, {"email": f"{role}@example.com", "role": role})
        changed = give(client, acme, "vera", role)

        if role in may_give:
            assert (invited.status_code, changed.status_code) == (201, 200)
        else:
            refused(invited, 403, "permission_denied")
            refused(changed, 403, "permission_denied")
    made = set(Invitation.objects.values_list("role", flat=True))
    assert made == may_give
    assert membership(acme, "vera").role == "viewer"


@pytest.mark.parametrize(
    ("giver", "may_give"),
    [
        ("owner", {"owner", "admin", "editor", "viewer"}), ("admin", {"admin", "editor", "viewer"}),
        ("editor", set()), ("viewer", set()),
    ],
)  # fmt: skip
def test_people_give_up_to_their_own_role(acme, giver, may_give):
    Membership.objects.filter(user=acme.users["bob"]).update(role=giver)
    client = acme.client("bob")

    given = {role for role in Role.values
             if client.post(INVITATIONS, {"email": f"{role}@example.com", "role": role})
             .status_code == 201}  # fmt: skip

    assert given == may_give


def test_operator_gives_every_role(acme):
    operator = Operator(acme.id, user_id=acme.users["vera"].pk)

    assert change_role(operator, membership(acme, "bob").pk, Role.OWNER).role == "owner"


def test_wide_key_does_not_send_an_admins_invitation_again(acme, alice):
    invitation = ask(alice, role="admin")
    change(invitation, sent_at=timezone.now() - timedelta(hours=1))

    answer = program(acme, None).post(f"{INVITATIONS}/{invitation['id']}/resend")

    refused(answer, 403, "permission_denied")
    assert Invitation.objects.get().invited_by_key is None


def test_key_takes_an_invitation_back_that_it_could_not_make(acme, alice):
    admins, owners = ask(alice, role="admin"), ask(alice, "olga@example.com", role="owner")
    client = program(acme, ["members.manage"])

    assert client.delete(f"{INVITATIONS}/{admins['id']}").status_code == 204
    refused(client.delete(f"{INVITATIONS}/{owners['id']}"), 403, "permission_denied")


@pytest.mark.parametrize(
    "loss",
    [
        {"scopes": ["members.manage"]}, {"collections": ["only"]}, {"role": "viewer"},
        {"expires_at": timezone.now()}, {"revoked_at": timezone.now()},
    ],
    ids=lambda loss: next(iter(loss)),
)  # fmt: skip
def test_invitation_is_worth_what_its_key_may_give_now(acme, loss):
    ask(program(acme, EDITORS))
    token = last_token()
    assert look(token).status_code == 200

    ApiKey.objects.update(**loss)

    refused(look(token), 410, "invitation_expired")
    refused(accept(token, password=NEW_PASSWORD), 410, "invitation_expired")


@pytest.mark.parametrize(
    "loss", [{"scopes": ["members.manage"]}, {"collections": ["only"]}], ids=["scopes", "list"]
)
def test_key_that_was_narrowed_elsewhere_gives_nothing_here(acme, alice, loss):
    row = issue_key(acme.id, KeyTerms("HR", "admin", EDITORS), by=ACTOR).row
    theirs = Invitation.objects.get(pk=ask(alice, "olga@example.com")["id"])
    stale = KeyHolder(acme.id, "admin", scopes=frozenset(EDITORS), key_id=row.pk)
    ApiKey.objects.update(**loss)
    forget_keys()

    for act in (
        lambda: invite(stale, MARY, Role.EDITOR),
        lambda: resend(stale, theirs.pk),
        lambda: change_role(stale, membership(acme, "vera").pk, Role.EDITOR),
    ):
        with pytest.raises(PermissionDenied):
            act()
    revoke(stale, theirs.pk)  # what it still may
