"""The admin site behind a second factor: nobody passes without, nobody is left outside."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.authenticators import enable, offer_authenticator, reset_two_factor
from accounts.models import RecoveryCode, TotpDevice, User
from accounts.passwords import hash_password
from tenancy.models import AuditEvent
from tests.accounts.authenticator import code_of, standing_still, wrong_code_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick", "mongo")]

PASSWORD = "an old pass-phrase 1"
LOGIN = "/admin/login/"
CODE_PAGE = "/admin/second-factor/"
ENROLL_PAGE = "/admin/authenticator/"
USERS = "/admin/accounts/user/"
PAGES = [
    "/admin/", USERS, "/admin/tenancy/organization/", "/admin/doctor/", "/admin/password_change/",
    "/admin/jsi18n/", "/admin/no-such-page/", "/admin/autocomplete/",
]  # fmt: skip


@pytest.fixture(autouse=True)
def strict(settings):
    settings.ADMIN_TWO_FACTOR = True
    settings.RATE_LIMITS = False


@pytest.fixture
def root():
    return User.objects.create_superuser("root@example.com", PASSWORD)


@pytest.fixture
def client(root):
    """Somebody who is signed in as root, by password alone."""
    client = Client()
    client.force_login(root)
    return client


def enroll(user):
    """Give a user an authenticator behind the pages' back; return its secret and codes."""
    device = offer_authenticator(user).device
    return device.secret, enable(device, by="command:test")


def log_in(user, client=None, **query):
    client = client or Client()
    url = LOGIN + (f"?next={query['next']}" if query else "")
    answer = client.post(url, {"username": user.email, "password": PASSWORD})
    assert answer.status_code == 302
    return client


def text_of(answer):
    return answer.content.decode()


def secret_on(page):
    return re.search(r"<code>([A-Z2-7]{32})</code>", text_of(page))[1]


def is_inside(client):
    return client.get(USERS).status_code == 200


def is_kept_out(client):
    answers = [client.get(url) for url in PAGES] + [client.post(url) for url in PAGES]
    return all(each.status_code == 302 and LOGIN in each["Location"] for each in answers)


# --- Who has an authenticator -------------------------------------------------------------------


def test_password_leads_to_the_code_and_the_code_to_the_wanted_page(root):
    secret, _ = enroll(root)
    client = log_in(root, next=USERS)
    assert is_kept_out(client)

    asked = client.get(f"{LOGIN}?next={USERS}")
    assert asked["Location"] == f"{CODE_PAGE}?next=%2Fadmin%2Faccounts%2Fuser%2F"
    page = client.get(asked["Location"])
    assert f'name="next" value="{USERS}"' in text_of(page)
    answer = client.post(CODE_PAGE, {"code": code_of(secret), "next": USERS})

    assert answer["Location"] == USERS
    assert is_inside(client)


def test_session_has_a_new_key_after_the_code(root):
    secret, _ = enroll(root)
    client = log_in(root)
    before = client.session.session_key

    client.post(CODE_PAGE, {"code": code_of(secret)})

    assert client.session.session_key != before


def test_recovery_code_opens_the_site_once(root):
    _, codes = enroll(root)
    first, second = log_in(root), log_in(root)

    first.post(CODE_PAGE, {"code": codes[0].lower()})
    refused = second.post(CODE_PAGE, {"code": codes[0]})

    assert is_inside(first)
    assert "not valid" in text_of(refused)
    assert is_kept_out(second)
    event = AuditEvent.objects.get(action="two_factor.recovery_code_used")
    assert (event.organization, event.actor) == (None, f"user:{root.pk}")


def test_wrong_code_lets_nobody_in_and_costs_a_pause(root):
    secret, _ = enroll(root)
    client = log_in(root)

    with standing_still():
        page = client.post(CODE_PAGE, {"code": wrong_code_of(secret)})
        early = client.post(CODE_PAGE, {"code": code_of(secret)})

    assert "wait 1 s" in text_of(page)
    assert "comes too soon" in text_of(early)
    assert is_kept_out(client)


def test_code_works_once(root):
    secret, _ = enroll(root)
    first, second, code = log_in(root), log_in(root), code_of(secret)

    for client in (first, second):
        client.post(CODE_PAGE, {"code": code})

    assert (is_inside(first), is_kept_out(second)) == (True, True)


def test_wrong_password_is_refused_before_anything_is_asked(root):
    enroll(root)

    answer = Client().post(LOGIN, {"username": root.email, "password": "wrong pass-phrase 1"})

    assert answer.status_code == 200
    assert "correct email and password" in text_of(answer)


@pytest.mark.parametrize("code", ["", "\0", "x" * 65, "\u20ac", "12345"])
def test_hostile_code_is_refused_on_the_page(root, code):
    enroll(root)
    client = log_in(root)

    answer = client.post(CODE_PAGE, {"code": code})

    assert answer.status_code == 200
    assert is_kept_out(client)


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"]
)
def test_code_leads_to_no_other_site(root, url):
    secret, _ = enroll(root)
    client = log_in(root)

    assert client.post(CODE_PAGE, {"code": code_of(secret), "next": url})["Location"] == "/admin/"


def test_operator_with_an_authenticator_is_asked_whatever_the_setting(root, client, settings):
    settings.ADMIN_TWO_FACTOR = False
    assert is_inside(client)

    secret, _ = enroll(root)

    assert is_kept_out(client)
    client.post(CODE_PAGE, {"code": code_of(secret)})
    assert is_inside(client)


def test_verified_session_ends_with_the_authenticator(root):
    secret, _ = enroll(root)
    client = log_in(root)
    client.post(CODE_PAGE, {"code": code_of(secret)})
    assert is_inside(client)

    reset_two_factor(root, by="command:test")
    enroll(root)

    assert is_kept_out(client)


def test_code_of_one_operator_opens_nothing_to_another(root):
    secret, codes = enroll(root)
    other = User.objects.create_superuser("other@example.com", PASSWORD)
    enroll(other)
    client = log_in(other)

    for code in (code_of(secret), codes[0]):
        client.post(CODE_PAGE, {"code": code})

    assert is_kept_out(client)
    again = log_in(root, client)
    again.post(CODE_PAGE, {"code": codes[1]})
    log_in(other, again)
    assert is_kept_out(again)


def test_one_who_was_verified_is_not_asked_again(root):
    _, codes = enroll(root)
    client = log_in(root)
    client.post(CODE_PAGE, {"code": codes[0]})

    assert client.get(f"{CODE_PAGE}?next={USERS}")["Location"] == USERS
    assert client.get(LOGIN)["Location"] == "/admin/"


# --- Who has none -------------------------------------------------------------------------------


def test_session_from_before_the_setting_must_enroll_first(client, settings):
    settings.ADMIN_TWO_FACTOR = False
    assert is_inside(client)

    settings.ADMIN_TWO_FACTOR = True

    assert is_kept_out(client)
    assert client.get(LOGIN, follow=True).redirect_chain[-1][0] == ENROLL_PAGE


def test_operator_enrolls_and_is_inside(root, client):
    page = client.post(ENROLL_PAGE, {"current_password": PASSWORD, "next": USERS})
    secret = secret_on(page)
    assert "<svg" in text_of(page)
    assert "no-store" in page["Cache-Control"]
    assert is_kept_out(client)

    done = client.post(ENROLL_PAGE, {"code": code_of(secret), "next": USERS})

    codes = re.findall(r"<li>([0-9A-Z-]{19})</li>", text_of(done))
    assert len(codes) == RecoveryCode.objects.filter(user=root).count() == 10
    assert f'href="{USERS}"' in text_of(done)
    assert is_inside(client)
    event = AuditEvent.objects.get(action="two_factor.enabled")
    assert (event.organization, event.actor) == (None, f"user:{root.pk}")
    assert [letter.subject for letter in mail.outbox] == ["Two factors are on"]


def test_wrong_first_code_shows_the_same_picture_again(client):
    secret = secret_on(client.post(ENROLL_PAGE, {"current_password": PASSWORD}))

    page = client.post(ENROLL_PAGE, {"code": wrong_code_of(secret)})

    assert secret_on(page) == secret
    assert "not valid" in text_of(page)
    assert is_kept_out(client)


def test_enrollment_needs_the_password_in_this_session(root, client):
    page = client.post(ENROLL_PAGE, {"current_password": "wrong pass-phrase 1"})
    assert "not your password" in text_of(page)
    offer = offer_authenticator(root)  # by somebody else, in another session

    page = client.post(ENROLL_PAGE, {"code": code_of(offer.secret)})

    assert offer.secret not in text_of(page)
    assert not TotpDevice.objects.filter(confirmed=True).exists()
    assert is_kept_out(client)


def test_offer_that_lapsed_is_not_shown(client):
    secret = secret_on(client.post(ENROLL_PAGE, {"current_password": PASSWORD}))
    TotpDevice.objects.update(created_at=timezone.now() - timedelta(minutes=16))

    page = client.post(ENROLL_PAGE, {"code": code_of(secret)})

    assert "waited too long" in text_of(page)
    assert is_kept_out(client)


def test_one_who_has_an_authenticator_cannot_enroll_another(root):
    enroll(root)
    client = log_in(root)

    for body in ({"current_password": PASSWORD}, {"code": "123456"}):
        assert CODE_PAGE in client.post(ENROLL_PAGE, body)["Location"]
    assert TotpDevice.objects.count() == 1


def test_pages_before_the_site_are_for_operators_only(root):
    member = User.objects.create(email="peter@example.com", password=hash_password(PASSWORD))
    signed_in = Client()
    signed_in.force_login(member)

    for client in (Client(), signed_in):
        for url in (CODE_PAGE, ENROLL_PAGE):
            for answer in (client.get(url), client.post(url, {"current_password": PASSWORD})):
                assert answer["Location"] == LOGIN
    assert not TotpDevice.objects.exists()


def test_pages_before_the_site_show_nothing_of_it(client):
    page = text_of(client.get(ENROLL_PAGE))

    assert "organization" not in page.lower()
    assert "/admin/accounts/" not in page


@pytest.mark.parametrize("url", [CODE_PAGE, ENROLL_PAGE])
def test_pages_before_the_site_are_protected_against_forgery(root, url):
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)

    assert client.post(url, {"code": "1", "current_password": PASSWORD}).status_code == 403


def test_one_can_leave_without_a_code(root, client):
    enroll(root)

    assert client.post(CODE_PAGE, {"leave": "1"})["Location"] == LOGIN
    assert "_auth_user_id" not in client.session


# --- What stays, and the reset ------------------------------------------------------------------


def test_own_password_is_changed_by_our_rules_behind_the_code(root):
    _, codes = enroll(root)
    client = log_in(root)
    client.post(CODE_PAGE, {"code": codes[0]})
    weak = {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}

    assert "at least 10" in text_of(client.post("/admin/password_change/", weak))
    fresh = "a new pass-phrase 2"
    good = {"old_password": PASSWORD, "new_password1": fresh, "new_password2": fresh}
    answer = client.post("/admin/password_change/", good)

    assert answer["Location"] == reverse("admin:password_change_done")
    assert is_inside(client)


def test_operators_reset_the_factor_of_users_and_only_superusers_that_of_operators(root, settings):
    settings.ADMIN_TWO_FACTOR = False
    member = User.objects.create(email="peter@example.com")
    for user in (root, member):
        enroll(user)
    other = User.objects.create_superuser("other@example.com", PASSWORD)
    User.objects.filter(pk=other.pk).update(is_superuser=False)
    other.user_permissions.set(permissions())
    client = log_in(other)
    mail.outbox.clear()

    chosen = {"action": "reset_two_factor_selected", "_selected_action": [root.pk, member.pk]}
    answer = client.post(USERS, chosen, follow=True)

    assert "1 user reset" in text_of(answer)
    assert "1 left out" in text_of(answer)
    assert TotpDevice.objects.get().user == root
    assert not RecoveryCode.objects.filter(user=member).exists()
    event = AuditEvent.objects.get(action="two_factor.reset")
    assert (event.actor, event.details) == (f"user:{other.pk}", {"user": str(member.pk)})
    assert [letter.to for letter in mail.outbox] == [["peter@example.com"]]


def permissions():
    from django.contrib.auth.models import Permission

    return Permission.objects.filter(codename__in=["view_user", "change_user"])
