"""What lasts is decided by the rows: a credential that ended elsewhere changes nothing here.

The credential is used here first, and ended behind the back of this process: it is believed still
to those who read. What it may change is asked of the rows, in the transaction of the change.
"""

import pytest
from django.utils import timezone

from accounts.accepting import accept_signed_in
from accounts.api_keys import (
    KeyTerms,
    change_key,
    create_key,
    get_key_holder,
    issue_key,
    revoke_as,
    rotate_key,
)
from accounts.exceptions import AccountsError, PermissionDenied, TokenRevoked
from accounts.invitations import invite, resend, revoke
from accounts.models import ApiKey, Invitation, Membership, Session, User
from accounts.ownership import (
    change_role,
    check_role_change,
    found_organization,
    leave_organization,
    remove_member,
    transfer_ownership,
)
from accounts.roles import Role
from accounts.sessions import Device
from tenancy.models import AuditEvent, Organization
from tests.conftest import ACTOR
from tests.invitations import MARY, last_token, principal_of

pytestmark = pytest.mark.usefixtures("quick")

WIDE = ["members.manage", "members.read", "documents.read", "organization.read"]


class Scene:
    """acme, with a key, an invitation and a member to be changed."""

    def __init__(self, cast):
        self.cast = cast
        self.key = issue_key(cast.id, KeyTerms("Robot", "viewer"), by=ACTOR).row.pk
        self.invitation = invite(principal_of(cast, "alice"), MARY, Role.VIEWER).pk
        self.bob = Membership.objects.get(user=cast.users["bob"]).pk


@pytest.fixture
def scene(acme):
    return Scene(acme)


ROBOT = KeyTerms("New", "viewer")
OF_MEMBERS = {
    "invite": lambda by, scene: invite(by, "olga@example.com", Role.VIEWER),
    "resend": lambda by, scene: resend(by, scene.invitation),
    "revoke-invitation": lambda by, scene: revoke(by, scene.invitation),
    "change-role": lambda by, scene: change_role(by, scene.bob, Role.VIEWER),
    "check-role": lambda by, scene: check_role_change(by, scene.bob, Role.VIEWER),
    "remove": lambda by, scene: remove_member(by, scene.bob),
}
OF_PEOPLE = OF_MEMBERS | {
    "create-key": lambda by, scene: create_key(by, ROBOT),
    "change-key": lambda by, scene: change_key(by, scene.key, {"name": "Mine"}),
    "rotate-key": lambda by, scene: rotate_key(by, scene.key),
    "revoke-key": lambda by, scene: revoke_as(by, scene.key),
    "transfer": lambda by, scene: transfer_ownership(by, scene.bob),
    "leave": lambda by, scene: leave_organization(by),
    "found": lambda by, scene: found_organization(by, "Another"),
}


def sign_out(by):
    Session.objects.filter(pk=by.session_id).update(revoked_at=timezone.now())


def expire(by):
    Session.objects.filter(pk=by.session_id).update(expires_at=timezone.now())


def remove(by):
    Membership.objects.filter(pk=by.membership_id).delete()


def demote(by):
    Membership.objects.filter(pk=by.membership_id).update(role=Role.VIEWER)


def deactivate(by):
    User.objects.filter(pk=by.user_id).update(is_active=False)


def state():
    """Return all that must stay as it was."""
    models = (ApiKey, Invitation, Membership, AuditEvent)
    rows = [list(model.objects.order_by("pk").values()) for model in models]
    return rows, Organization.objects.count()


def refusals(acts, by, scene):
    """Try everything; return the class of each refusal by its name, None for what was done."""
    found = dict.fromkeys(acts)
    for name, act in acts.items():
        try:
            act(by, scene)
        except AccountsError as error:
            found[name] = type(error)
    return found


@pytest.mark.parametrize("end", [sign_out, expire, remove, deactivate])
def test_who_is_signed_out_elsewhere_changes_nothing(acme, scene, end):
    by = principal_of(acme, "alice")
    end(by)
    before = state()

    assert refusals(OF_PEOPLE, by, scene) == dict.fromkeys(OF_PEOPLE, TokenRevoked)

    assert state() == before


def test_who_was_demoted_elsewhere_changes_nothing(acme, scene):
    acts = {name: act for name, act in OF_PEOPLE.items() if name not in {"leave", "found"}}
    by = principal_of(acme, "alice")
    demote(by)
    before = state()

    assert refusals(acts, by, scene) == dict.fromkeys(acts, PermissionDenied)

    assert state() == before


@pytest.mark.parametrize("loss", ["revoked_at", "expires_at"])
def test_key_that_ended_elsewhere_changes_nothing(acme, scene, loss):
    issued = issue_key(acme.id, KeyTerms("HR", "admin", WIDE), by=ACTOR)
    by = get_key_holder(issued.secret)
    ApiKey.objects.filter(pk=issued.row.pk).update(**{loss: timezone.now()})
    before = state()

    assert refusals(OF_MEMBERS, by, scene) == dict.fromkeys(OF_MEMBERS, TokenRevoked)

    assert state() == before


def test_who_is_signed_out_elsewhere_joins_nothing(acme, globex):
    by = principal_of(globex, "charlie")
    invite(principal_of(acme, "alice"), "charlie@example.com", Role.VIEWER)
    sign_out(by)

    with pytest.raises(TokenRevoked):
        accept_signed_in(last_token(), by, device=Device())
    assert acme.organization.memberships.count() == 3
