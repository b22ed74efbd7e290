"""What operators do to people in the admin site is in the audit, without what they typed."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts.admin.forms import PasswordForm, UserForm
from accounts.authenticators import enable, offer_authenticator
from accounts.locking import lock_user
from accounts.models import Membership, User
from accounts.passwords import matches
from accounts.roles import Role
from tenancy.models import AuditEvent
from tests.accounts.authenticator import code_of
from tests.conftest import PASSWORD, found_organization, hashed_password

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

NEW = "a new pass-phrase 2"
LOGIN = "/admin/login/"


@pytest.fixture
def root():
    return User.objects.create(
        email="root@example.com", password=hashed_password(), is_staff=True, is_superuser=True
    )


@pytest.fixture
def operator(root):
    client = Client()
    client.force_login(root)
    return client


@pytest.fixture
def initech():
    return found_organization("Initech")


@pytest.fixture
def peter(initech):
    user = User.objects.create(email="peter@example.com", password=hashed_password())
    Membership.objects.create(user=user, organization=initech, role=Role.EDITOR)
    return user


def change(operator, user, **changes):
    given = {"email": user.email, "name": user.name, "is_active": "on"} | changes
    inlines = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    data = {name: value for name, value in given.items() if value is not None} | inlines
    answer = operator.post(reverse("admin:accounts_user_change", args=[user.pk]), data)
    assert answer.status_code == 302
    user.refresh_from_db()


def recorded(act):
    """Return the events of what is done: chain, action, actor and details of each."""
    before = AuditEvent.objects.count()
    act()
    rows = AuditEvent.objects.order_by("pk")[before:]
    return [(row.chain, row.action, row.actor, row.details) for row in rows]


def of_the_service(action, actor, **details):
    return [("service", action, actor, details)]


def test_right_password_of_an_operator(root):
    given = {"username": "ROOT@example.com", "password": PASSWORD}

    events = recorded(lambda: Client().post(LOGIN, given))

    actor = f"user:{root.pk}"
    assert events == of_the_service("operator.signed_in", actor, user=str(root.pk), methods="pwd")


def test_second_factor_of_an_operator(root):
    device = offer_authenticator(root).device
    enable(device, by="command:test")
    client = Client()
    client.force_login(root)

    events = recorded(
        lambda: client.post("/admin/second-factor/", {"code": code_of(device.secret, steps=1)})
    )

    (event,) = events
    assert (event[1], event[3]["methods"]) == ("operator.signed_in", "pwd otp")


@pytest.mark.parametrize(
    ("who", "password"),
    [("root", "wrong"), ("peter", "wrong"), ("peter", PASSWORD), ("nobody", "wrong")],
)
def test_refused_sign_ins(root, peter, who, password):
    given = {"username": f"{who}@example.com", "password": password}

    events = recorded(lambda: Client().post(LOGIN, given))

    user = {"root": str(root.pk), "peter": str(peter.pk)}.get(who)
    assert events == of_the_service("operator.refused", "anonymous", user=user)


def test_new_user(operator, root):
    given = {"email": "m@example.com", "name": "Milton", "password1": NEW, "password2": NEW}

    events = recorded(lambda: operator.post("/admin/accounts/user/add/", given))

    user = str(User.objects.get(email="m@example.com").pk)
    assert events == of_the_service("user.created", f"user:{root.pk}", user=user)


@pytest.mark.parametrize(
    ("changes", "action", "details"),
    [
        ({"email": "pete@example.com", "name": "P"}, "user.changed", {"email": True, "name": True}),
        ({"is_active": None}, "user.locked", {}),
    ],
)
def test_changes_of_a_user(operator, root, peter, changes, action, details):
    events = recorded(lambda: change(operator, peter, **changes))

    organization = str(peter.memberships.get().organization_id)
    told = {"user": str(peter.pk), **details}
    assert events == [(organization, action, f"user:{root.pk}", told)]


def test_user_who_is_let_in_again(operator, peter):
    lock_user(peter, by="command:test")

    events = recorded(lambda: change(operator, peter))

    assert [action for _, action, _, _ in events] == ["user.unlocked"]


def test_what_changes_nothing_is_not_recorded(operator, peter):
    assert recorded(lambda: change(operator, peter)) == []


def test_powers_given_and_taken(operator, root, peter):
    group = Group.objects.create(name="support")
    given = recorded(lambda: change(operator, peter, is_staff="on", groups=[group.pk]))
    taken = recorded(lambda: change(operator, peter))

    actor, user = f"user:{root.pk}", str(peter.pk)
    fields = {"fields": ["groups", "is_staff"], "user": user, "superuser": False}
    action = "operator.powers_changed"
    assert given == of_the_service(action, actor, operator=True, **fields)
    assert taken == of_the_service(action, actor, operator=False, **fields)
    assert not peter.groups.exists()


@pytest.mark.parametrize(
    ("given", "usable"),
    [
        ({"password1": NEW, "password2": NEW, "set-password": "1"}, True),
        ({"usable_password": "false", "unset-password": "1"}, False),
    ],
)
def test_password_that_an_operator_sets_or_takes(operator, root, peter, initech, given, usable):
    url = reverse("admin:auth_user_password_change", args=[peter.pk])

    events = recorded(lambda: operator.post(url, given))

    told = {"user": str(peter.pk), "usable": usable}
    assert events == [(str(initech.pk), "password.set", f"user:{root.pk}", told)]


def test_ones_own_password(operator, root):
    given = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}

    events = recorded(lambda: operator.post("/admin/password_change/", given))

    assert events == of_the_service("password.changed", f"user:{root.pk}", user=str(root.pk))


def meanwhile(monkeypatch, act):
    """Do something once the page was read and before it is saved."""
    clean = UserForm.clean_email

    def clean_late(form):
        act()
        return clean(form)

    monkeypatch.setattr(UserForm, "clean_email", clean_late)


def test_a_lock_and_a_password_of_the_same_moment_stay(operator, peter, monkeypatch):
    def lock():
        lock_user(peter, by="command:test")
        User.objects.filter(pk=peter.pk).update(password="another")

    meanwhile(monkeypatch, lock)

    change(operator, peter, name="Pete")

    assert (peter.name, peter.is_active, peter.password) == ("Pete", False, "another")


def test_a_lock_stays_while_a_password_is_set(operator, peter, monkeypatch):
    check = PasswordForm.validate_password_for_user

    def check_late(form, user, **options):
        lock_user(peter, by="command:test")
        return check(form, user, **options)

    monkeypatch.setattr(PasswordForm, "validate_password_for_user", check_late)
    url = reverse("admin:auth_user_password_change", args=[peter.pk])

    operator.post(url, {"password1": NEW, "password2": NEW, "set-password": "1"})

    peter.refresh_from_db()
    assert (peter.is_active, matches(NEW, peter)) == (False, True)


def test_user_who_is_deleted_meanwhile_is_not_brought_back(operator, monkeypatch):
    user = User.objects.create(email="gone@example.com")
    meanwhile(monkeypatch, lambda: User.objects.filter(pk=user.pk).delete())
    inlines = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    given = {"email": user.email, "name": "Back", "is_active": "on"} | inlines

    url = reverse("admin:accounts_user_change", args=[user.pk])

    assert operator.post(url, given).status_code == 404
    assert not User.objects.filter(name="Back").exists()
