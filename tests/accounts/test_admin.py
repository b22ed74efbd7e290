"""Operators see people, set passwords and end sessions; only superusers make operators."""

import uuid

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, Session, User
from accounts.passwords import matches
from accounts.roles import Role
from accounts.sessions import Device, open_session
from tenancy.models import AuditEvent
from tests.conftest import found_organization

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

OLD = "an old pass-phrase 1"
NEW = "a new pass-phrase 2"
USERS = "/admin/accounts/user/"
SESSIONS = "/admin/accounts/session/"


@pytest.fixture
def root():
    return User.objects.create_superuser("root@example.com", OLD)


@pytest.fixture
def operator(root):
    client = Client()
    client.force_login(root)
    return client


def operator_who_may(*codenames):
    user = User.objects.create(email=f"{uuid.uuid4().hex}@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return user, client


@pytest.fixture
def initech():
    return found_organization("Initech")


@pytest.fixture
def peter(initech):
    user = User.objects.create(email="peter@example.com", name="Peter")
    membership = Membership.objects.create(user=user, organization=initech, role=Role.EDITOR)
    open_session(membership, Device("Firefox", "10.0.0.1"))
    return user


def page_of(user):
    return reverse("admin:accounts_user_change", args=[user.pk])


def password_page(user):
    return reverse("admin:auth_user_password_change", args=[user.pk])


def open_sessions(user):
    return Session.objects.filter(user=user, revoked_at=None).count()


def input_for(user, **changes):
    given = {"email": user.email, "name": user.name, "is_active": "on"} | changes
    inlines = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    return {name: value for name, value in given.items() if value is not None} | inlines


def text_of(response):
    return response.content.decode()


def test_outsiders_and_members_are_sent_to_the_login(peter):
    member = Client()
    member.force_login(peter)
    pages = [USERS, SESSIONS, page_of(peter), password_page(peter), f"{USERS}add/"]

    for client in (Client(), member):
        for url in [*pages, "/admin/accounts/membership/"]:
            assert client.get(url).url.startswith("/admin/login/")
            assert client.post(url, {"email": "x@example.com"}).url.startswith("/admin/login/")
    assert User.objects.count() == 1


def test_an_operator_signs_in_with_any_spelling_of_the_address(root):
    client = Client()

    answer = client.post("/admin/login/", {"username": "ROOT@example.com", "password": OLD})

    assert answer.status_code == 302
    assert "_auth_user_id" in client.session


def test_the_page_of_an_organization_shows_its_people(operator, initech, peter):
    page = operator.get(reverse("admin:tenancy_organization_change", args=[initech.pk]))

    assert [table.title for table in page.context["tables"]] == ["People", "Operations", "Audit"]
    assert page_of(peter) in text_of(page)


def test_people_are_shown_to_those_who_may_view_memberships(initech, peter):
    _, viewer = operator_who_may("view_organization")

    page = viewer.get(reverse("admin:tenancy_organization_change", args=[initech.pk]))

    assert "peter@example.com" not in text_of(page)


def test_users_are_searched_and_filtered(operator, root, peter):
    def emails(**query):
        return [row.email for row in operator.get(USERS, query).context["cl"].result_list]

    assert emails(q="peter") == ["peter@example.com"]
    assert emails(q=str(peter.pk)) == ["peter@example.com"]
    assert emails(is_staff__exact="1") == ["root@example.com"]


def test_the_page_of_a_user_shows_memberships_and_no_secret(operator, peter, initech):
    peter.set_password(OLD)
    peter.save()

    page = text_of(operator.get(page_of(peter)))

    assert "Initech" in page
    assert "argon2" not in page


def test_a_user_is_added_with_a_hashed_password(operator):
    given = {"email": " Milton@Example.com ", "name": "", "password1": NEW, "password2": NEW}

    operator.post(f"{USERS}add/", given)

    user = User.objects.get(email="milton@example.com")
    assert user.password.startswith("argon2$argon2id$")
    assert matches(NEW, user)
    assert (user.is_staff, user.is_active) == (False, True)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("short", "at least 10 characters"), ("x1" * 65, "longer than 128"), ("password12", "common")],
)
def test_a_weak_password_is_refused_with_the_reason(operator, password, reason):
    given = {"email": "m@example.com", "password1": password, "password2": password}

    page = operator.post(f"{USERS}add/", given)

    assert reason in text_of(page)
    assert User.objects.count() == 1


def test_an_address_in_another_spelling_is_refused(operator, peter):
    given = {"email": "PETER@example.com", "password1": NEW, "password2": NEW}

    page = operator.post(f"{USERS}add/", given)

    assert "already exists" in text_of(page)


def test_deactivating_a_user_ends_the_sessions(operator, peter):
    assert open_sessions(peter) == 1

    operator.post(page_of(peter), input_for(peter, is_active=None))

    peter.refresh_from_db()
    assert (peter.is_active, open_sessions(peter)) == (False, 0)


def test_another_address_ends_the_sessions_and_another_name_does_not(operator, peter):
    operator.post(page_of(peter), input_for(peter, name="Pete"))
    assert open_sessions(peter) == 1

    operator.post(page_of(peter), input_for(peter, email="pete@example.com"))
    assert open_sessions(peter) == 0


def test_another_password_ends_the_sessions(operator, peter):
    operator.post(password_page(peter), {"password1": NEW, "password2": NEW, "set-password": "1"})

    peter.refresh_from_db()
    assert matches(NEW, peter)
    assert open_sessions(peter) == 0


def test_a_refused_password_ends_no_session(operator, peter):
    page = operator.post(password_page(peter), {"password1": "short", "password2": "short"})

    assert "at least 10 characters" in text_of(page)
    assert open_sessions(peter) == 1


def test_taking_the_password_away_ends_the_sessions(operator, peter):
    peter.set_password(OLD)
    peter.save()

    operator.post(password_page(peter), {"usable_password": "false", "unset-password": "1"})

    peter.refresh_from_db()
    assert (peter.has_usable_password(), open_sessions(peter)) == (False, 0)


def test_ones_own_new_password_needs_the_old_one_and_ends_the_sessions(operator, root, initech):
    membership = Membership.objects.create(user=root, organization=initech, role=Role.VIEWER)
    open_session(membership, Device())
    url = "/admin/password_change/"

    operator.post(url, {"old_password": NEW, "new_password1": NEW, "new_password2": NEW})
    assert open_sessions(root) == 1

    operator.post(url, {"old_password": OLD, "new_password1": NEW, "new_password2": NEW})
    root.refresh_from_db()
    assert (matches(NEW, root), open_sessions(root)) == (True, 0)
    assert operator.get("/admin/").status_code == 200  # this sign-in goes on


def test_a_password_set_here_opens_the_site_however_it_is_composed(operator, peter):
    composed, decomposed = "caf\u00e9 au lait 77", "cafe\u0301 au lait 77"
    User.objects.filter(pk=peter.pk).update(is_staff=True)
    given = {"password1": decomposed, "password2": decomposed, "set-password": "1"}
    operator.post(password_page(peter), given)

    for typed in (composed, decomposed):
        client = Client()
        client.post("/admin/login/", {"username": peter.email, "password": typed})
        assert "_auth_user_id" in client.session


def test_an_operator_who_is_no_superuser_gives_no_powers(peter):
    _, client = operator_who_may("view_user", "change_user")

    client.post(page_of(peter), input_for(peter, name="Pete", is_staff="on", is_superuser="on"))

    peter.refresh_from_db()
    assert (peter.name, peter.is_staff, peter.is_superuser) == ("Pete", False, False)


def test_an_operator_who_is_no_superuser_changes_no_other_operator(root):
    user, client = operator_who_may("view_user", "change_user")

    assert client.post(page_of(root), input_for(root, name="X")).status_code == 403
    given = {"password1": NEW, "password2": NEW, "set-password": "1"}
    assert client.post(password_page(root), given).status_code == 403
    client.post(page_of(user), input_for(user, is_superuser="on"))

    root.refresh_from_db()
    user.refresh_from_db()
    assert (root.name, matches(OLD, root), user.is_superuser) == ("", True, False)


def test_users_are_not_deleted(operator, peter):
    assert operator.post(f"{USERS}{peter.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=peter.pk).exists()


def test_memberships_are_read_only_on_the_page_of_a_user(operator, peter):
    membership = peter.memberships.get()
    assert f"/admin/accounts/membership/{membership.pk}/change/" in text_of(
        operator.get(page_of(peter))
    )

    inline = {"memberships-TOTAL_FORMS": 1, "memberships-INITIAL_FORMS": 1}
    inline |= {"memberships-0-id": membership.pk, "memberships-0-role": "owner"}
    operator.post(page_of(peter), input_for(peter) | inline)
    membership.refresh_from_db()
    assert membership.role == "editor"


def test_sessions_are_revoked_and_that_is_audited(operator, root, peter, initech):
    session = peter.sessions.get()
    assert "Open" in text_of(operator.get(SESSIONS))

    operator.post(SESSIONS, {"action": "revoke_selected", "_selected_action": session.pk})

    assert open_sessions(peter) == 0
    assert "Revoked" in text_of(operator.get(f"{SESSIONS}{session.pk}/change/"))
    event = AuditEvent.objects.first()
    assert (event.action, event.actor) == ("session.revoked", f"user:{root.pk}")
    assert event.organization == initech


def test_revoking_needs_the_permission(peter):
    _, viewer = operator_who_may("view_session")
    session = peter.sessions.get()

    viewer.post(SESSIONS, {"action": "revoke_selected", "_selected_action": session.pk})

    assert open_sessions(peter) == 1


# --- Pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/nothing", "/admin/tenancy/nothing/", "/admin/x/y/z/"])
def test_what_is_not_there_is_a_page(operator, path):
    answer = operator.get(path)

    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_refused_request_to_the_admin_site_is_a_page(client):
    answer = client.get("/admin/", headers={"Host": "evil.example"})

    assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["/administration", "/admin", "/api/v1/nothing"])
def test_other_paths_keep_their_problems(operator, path):
    answer = operator.get(path)

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_login_without_a_destination_leads_to_the_admin_site(root):
    answer = Client().post("/admin/login/", {"username": root.email, "password": OLD})

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("stored", ["peter@example.com", "Peter@Example.com"])
def test_address_that_is_taken_is_refused_in_words(operator, root, peter, stored):
    User.objects.filter(pk=peter.pk).update(email=stored)

    add = {"email": "PETER@example.com", "name": "", "password1": NEW, "password2": NEW}
    for page in (
        operator.post(f"{USERS}add/", add | {"usable_password": "true"}),
        operator.post(page_of(root), input_for(root, email="peter@EXAMPLE.com")),
    ):
        text = text_of(page)
        assert page.status_code == 200
        assert "user_email_once_any_case" not in text
        assert "e-mail address already" in text
