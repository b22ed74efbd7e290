"""Requests to the API pass the middleware of pages, and are answered as if they did not."""

import pytest
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.test import Client, RequestFactory
from django.urls import get_resolver
from django_otp.middleware import OTPMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

from accounts import tokens
from accounts.exceptions import NotAuthenticated, TokenExpired
from config.shortcut import API, ApiShortcut

PASSED = [
    SecurityMiddleware, WhiteNoiseMiddleware, SessionMiddleware, CommonMiddleware,
    CsrfViewMiddleware, AuthenticationMiddleware, OTPMiddleware, MessageMiddleware,
    XFrameOptionsMiddleware,
]  # fmt: skip
OBEYED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
PRODUCTION = {
    "SECURE_SSL_REDIRECT": True,
    "SECURE_HSTS_SECONDS": 3_600,
    "SECURE_HSTS_PRELOAD": True,
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
}


@pytest.fixture
def chain():
    """Return what answers behind the first middleware, as Django has put it together."""
    client = Client()
    client.get("/livez")
    layer = client.handler._middleware_chain.__wrapped__
    while not isinstance(layer, ApiShortcut):
        layer = layer._get_response.__wrapped__
    return layer


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


def test_the_api_passes_all_of_the_middleware_in_one_step(chain, monkeypatch):
    passed = []
    for kind in PASSED:
        monkeypatch.setattr(kind, "__call__", lambda layer, request: passed.append(layer))

    chain(RequestFactory().get("/livez"))

    assert [type(layer) for layer in chain._layers] == PASSED
    assert not passed


@pytest.mark.parametrize("path", ["/livez", "/api/v1/organization", "/nothing", "/admin/login/"])
@pytest.mark.django_db
def test_every_answer_carries_the_headers_that_browsers_obey(path):
    answer = Client().get(path)

    assert {name: answer[name] for name in OBEYED} == OBEYED
    assert int(answer["Content-Length"]) == len(answer.content)
    assert answer["X-Request-Id"]


@pytest.mark.parametrize("secure", [True, False])
@pytest.mark.parametrize("path", ["/livez", "/api/v1/organization", "/org/get", "/api/v1/none"])
@pytest.mark.django_db
def test_an_answer_has_the_headers_that_the_long_way_gives_it(path, secure, settings):
    for name, value in PRODUCTION.items():
        setattr(settings, name, value)
    headers = {"x-forwarded-proto": "https" if secure else "http"}

    short = Client().get(path, headers=headers)
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "Shortcut" not in each]
    long = Client().get(path, headers=headers)

    assert short.status_code == long.status_code
    assert {**short.headers, "X-Request-Id": ""} == {**long.headers, "X-Request-Id": ""}
    assert ("Strict-Transport-Security" in short) is secure


@pytest.mark.django_db
def test_a_host_that_is_refused_gets_the_headers_of_the_long_way(settings):
    for name, value in PRODUCTION.items():
        setattr(settings, name, value)
    headers = {"host": "there.example", "x-forwarded-proto": "https", "x-request-id": "same"}

    short = Client().get("/api/v1/organization", headers=headers)
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "Shortcut" not in each]
    long = Client().get("/api/v1/organization", headers=headers)

    assert short.status_code == long.status_code == 400
    assert dict(short.headers) == dict(long.headers)
    assert "Strict-Transport-Security" in short
    assert short["X-Content-Type-Options"] == "nosniff"


def test_what_a_view_says_itself_is_not_overwritten(chain):
    chain._view = lambda _: HttpResponse(b"1", headers={"X-Frame-Options": "SAMEORIGIN"})

    assert chain(RequestFactory().get("/livez"))["X-Frame-Options"] == "SAMEORIGIN"


def test_a_host_that_is_not_ours_is_refused_also_after_one_that_is(settings):
    settings.ALLOWED_HOSTS = ["here.example"]
    client = Client()

    def status(host):
        return client.get("/livez", headers={"host": host}).status_code

    assert [status(f"{each}.example") for each in ("here", "here", "there", "here")] == [
        200, 200, 400, 200,
    ]  # fmt: skip

    settings.ALLOWED_HOSTS = ["there.example"]
    assert (status("here.example"), status("there.example")) == (400, 200)


def test_hosts_that_are_remembered_are_bounded(settings, chain):
    settings.ALLOWED_HOSTS = ["*"]

    for number in range(100):
        chain(RequestFactory().get("/livez", headers={"host": f"h{number}.example"}))

    assert len(chain._good_hosts) <= 64


def test_every_route_of_the_api_takes_the_short_way():
    routes = [str(each.pattern).lstrip("^") for each in get_resolver().url_patterns]

    assert {f"/{route}" for route in routes if not f"/{route}".startswith(API)} == {
        "/", "/health", "/.well-known/jwks.json", "/api/docs", "/admin/login", "/admin/",
    }  # fmt: skip


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
