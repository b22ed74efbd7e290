"""Operators sign users out, lock and unlock them; it bites at once, and it is recorded."""

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client

from accounts.authenticators import reset_two_factor
from accounts.locking import lock_user, unlock_user
from accounts.models import Session, TotpDevice, User
from tenancy.models import AuditEvent
from tests.conftest import ACTOR, PASSWORD
from tests.http import refused

USERS = "/admin/accounts/user/"
ORGANIZATION = "/api/v1/organization"


@pytest.fixture
def root(db):
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def operator(root):
    client = Client()
    client.force_login(root)
    return client


def act(client, action, *users):
    chosen = [str(user.pk) for user in users]
    return client.post(USERS, {"action": action, "_selected_action": chosen}, follow=True)


def log_in(nobody, who):
    return nobody.post("/api/v1/auth/login", {"email": f"{who}@example.com", "password": PASSWORD})


def test_locked_user_is_refused_at_once_and_unlocked_user_signs_in(operator, acme, bob, nobody):
    assert bob.get(ORGANIZATION).status_code == 200

    page = act(operator, "lock_selected", acme.users["bob"])

    assert "1 user locked." in page.content.decode()
    refused(bob.get(ORGANIZATION), 401, "token_revoked")
    refused(log_in(nobody, "bob"), 401, "invalid_credentials")

    act(operator, "unlock_selected", acme.users["bob"])

    refused(bob.get(ORGANIZATION), 401, "token_revoked")
    assert log_in(nobody, "bob").status_code == 200


def test_lock_is_recorded_in_each_organization_of_the_user_once(acme):
    bob = acme.users["bob"]

    assert (lock_user(bob, by=ACTOR), lock_user(bob, by=ACTOR)) == (True, False)
    assert (unlock_user(bob, by=ACTOR), unlock_user(bob, by=ACTOR)) == (True, False)

    events = AuditEvent.objects.filter(action__startswith="user.").order_by("sequence")
    assert [(each.organization, each.action) for each in events] == [
        (acme.organization, "user.locked"),
        (acme.organization, "user.unlocked"),
    ]


def test_lock_of_a_user_without_organization_is_the_service_s(db):
    loner = User.objects.create_user("loner@example.com", PASSWORD)

    lock_user(loner, by=ACTOR)

    event = AuditEvent.objects.get()
    assert (event.organization, event.chain, event.action) == (None, "service", "user.locked")


def test_sign_out_ends_every_session_of_the_chosen(operator, acme):
    for who in ("alice", "bob", "bob"):
        acme.client(who)

    page = act(operator, "sign_out_selected", acme.users["bob"])

    assert "2 sessions ended." in page.content.decode()
    assert [each.user.email for each in Session.objects.filter(revoked_at=None)] == [
        "alice@example.com"
    ]


def test_operator_does_not_lock_themselves_out(operator, root):
    act(operator, "lock_selected", root)

    root.refresh_from_db()
    assert root.is_active


def staff(email, *permissions):
    user = User.objects.create_user(email, PASSWORD, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_staff_locks_users_and_no_other_operator(root, acme):
    clerk = staff("clerk@example.com", "view_user", "change_user")

    page = act(clerk, "lock_selected", root, acme.users["bob"])

    assert "1 user locked." in page.content.decode()
    assert "1 left out: only a superuser changes operators." in page.content.decode()
    root.refresh_from_db()
    assert root.is_active


def test_who_may_only_look_has_no_actions(acme):
    reader = staff("reader@example.com", "view_user")

    act(reader, "lock_selected", acme.users["bob"])

    assert User.objects.get(email="bob@example.com").is_active
    assert "lock_selected" not in reader.get(USERS).content.decode()


def test_page_of_a_user_leads_to_their_sessions(operator, acme):
    acme.client("bob")

    page = operator.get(f"{USERS}{acme.users['bob'].pk}/change/").content.decode()

    assert "1 open" in page
    link = f"/admin/accounts/session/?user__id__exact={acme.users['bob'].pk}"
    assert link in page
    assert operator.get(link).status_code == 200


# --- An operator's own sessions at the admin site -------------------------------------------------


def end_by_lock(user):
    lock_user(user, by=ACTOR)
    unlock_user(user, by=ACTOR)


def end_by_command(user):
    call_command("revoke_sessions", "--user", user.email)


def end_by_command_for_all(user):
    call_command("revoke_sessions", "--all")


def end_by_sign_out(user):
    root = User.objects.create_superuser("other-root@example.com", PASSWORD)
    client = Client()
    client.force_login(root)
    act(client, "sign_out_selected", user)


def end_by_reset(user):
    device = TotpDevice.objects.create(user=user, confirmed=True, secret_encrypted="x")
    assert reset_two_factor(user, by=ACTOR)
    assert not TotpDevice.objects.filter(pk=device.pk).exists()


@pytest.mark.parametrize(
    "end", [end_by_lock, end_by_command, end_by_command_for_all, end_by_sign_out, end_by_reset]
)
def test_what_ends_sessions_ends_those_at_the_admin_site(root, operator, end):
    operator.get(USERS)
    client = Client()
    client.force_login(root)
    assert client.get(USERS).status_code == 200

    end(root)

    assert client.get(USERS).status_code == 302
