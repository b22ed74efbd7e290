"""What only the admin site needs is done for the admin site alone."""

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.test import Client
from django.urls import get_resolver
from django.utils.module_loading import import_string
from django_otp.middleware import OTPMiddleware

from accounts import tokens
from accounts.exceptions import NotAuthenticated, TokenExpired
from config.admin_only import AdminOnly

DJANGOS = [
    SessionMiddleware, CsrfViewMiddleware, AuthenticationMiddleware, OTPMiddleware,
    MessageMiddleware,
]  # fmt: skip
OBEYED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def test_the_middleware_is_djangos_own_in_its_order(settings):
    named = [import_string(name) for name in settings.MIDDLEWARE]

    assert [kind for each in named for kind in DJANGOS if issubclass(each, kind)] == DJANGOS


@pytest.mark.django_db
def test_the_admin_site_has_sessions_and_the_api_has_not():
    client = Client()

    page, health = client.get("/admin/login/"), client.get("/livez")

    assert page.wsgi_request.session is not None
    assert not page.wsgi_request.user.is_authenticated
    assert "csrftoken" in page.cookies
    assert not hasattr(health.wsgi_request, "session")
    assert not health.cookies


@pytest.mark.django_db
def test_a_form_of_the_admin_site_needs_its_token():
    client = Client(enforce_csrf_checks=True)

    assert client.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 403


def test_what_is_asked_for_most_is_tried_first():
    first = str(get_resolver().url_patterns[0].pattern)

    assert first.startswith("api/v1/collections/")


def test_a_token_that_is_kept_still_ends_and_falls_with_its_key(alice, settings):
    token = alice._credentials["HTTP_AUTHORIZATION"].split()[1]
    assert tokens.read_access_token(token) == tokens.read_access_token(token)
    for key, kept in list(tokens._verified.items()):
        tokens._verified[key] = kept._replace(expires_at=0)
    with pytest.raises(TokenExpired):
        tokens.read_access_token(token)
    tokens._verified.clear()

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 9, []
    with pytest.raises(NotAuthenticated):
        tokens.read_access_token(token)


@pytest.mark.django_db
def test_the_api_passes_all_that_is_of_the_admin_site_in_one_step(settings, monkeypatch):
    named = [import_string(name) for name in settings.MIDDLEWARE]
    row = [each for each in named if issubclass(each, AdminOnly)]
    passed = []
    asked = AdminOnly.__call__
    monkeypatch.setattr(
        AdminOnly, "__call__", lambda layer, request: passed.append(layer) or asked(layer, request)
    )

    Client().get("/livez")
    of_the_api = len(passed)
    Client().get("/admin/login/")

    assert [type(each) for each in passed] == [row[0], *row]
    assert of_the_api == 1


@pytest.mark.parametrize("path", ["/livez", "/api/v1/organization", "/nothing", "/admin/login/"])
@pytest.mark.django_db
def test_every_answer_carries_the_headers_that_browsers_obey(path):
    answer = Client().get(path)

    assert {name: answer[name] for name in OBEYED} == OBEYED
    assert int(answer["Content-Length"]) == len(answer.content)
    assert answer["X-Request-Id"]


@pytest.mark.django_db
def test_a_host_that_is_not_ours_is_refused(settings):
    settings.ALLOWED_HOSTS = ["here.example"]

    assert Client().get("/livez", headers={"host": "elsewhere.example"}).status_code == 400
