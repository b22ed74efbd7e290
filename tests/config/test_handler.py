"""The application that the web server calls does what Django's own does."""

import gc
import io
import json
import time

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import connection
from django.test import override_settings
from django.urls import get_urlconf
from rest_framework.request import Request
from rest_framework.response import Response

from config.handler import Handler, look_after_connections
from tenancy.api.viewsets import ApiViewSet

SIGNALS = (request_started, request_finished)


@pytest.fixture
def application():
    """Return the handler; what it changes for its process is put back."""
    before = [(signal, list(signal.receivers)) for signal in SIGNALS]
    yield Handler()
    for signal, receivers in before:
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


def ask(application, path, *, method="GET", query="", body=b"", **headers):
    """Return the status, headers and body of an answer."""
    said = {}
    environ = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "tenantry.path": path,
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(), "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json", **headers,
    }  # fmt: skip
    answer = application(environ, lambda status, all_: said.update(status=status, headers=all_))
    content = b"".join(answer)
    answer.close()
    return said["status"], said["headers"], content


@pytest.mark.parametrize(
    ("path", "query"),
    [("/livez", ""), ("/livez", "x=%C3%A9&x=2"), ("/api/v1/none", ""), ("/api/v1/organization", ""),
     ("/org/get", "organization_name=Acme"), ("/nothing", ""), ("/", ""), ("/api/v1/\xff", "")],
)  # fmt: skip
@pytest.mark.django_db
def test_an_answer_is_djangos(application, path, query):
    ours, theirs = (ask(each, path, query=query, HTTP_X_REQUEST_ID="same")
                    for each in (application, WSGIHandler()))  # fmt: skip

    assert ours[0] == theirs[0]
    assert sorted(ours[1]) == sorted(theirs[1])
    assert ours[2] == theirs[2]


def test_a_broken_view_is_a_problem_without_a_stack_trace(application, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("tenancy.api.health.HealthViewSet.livez", broken)

    status, headers, body = ask(application, "/livez")

    assert status == "500 Internal Server Error"
    assert ("Content-Type", "application/problem+json") in headers
    assert b"secret" not in body


JSON = "application/json"
MANY = "&".join(f"p{number}=1" for number in range(1_001))
FORM = "application/x-www-form-urlencoded"
UNREADABLE = {
    "an encoding that there is not": f"{JSON}; charset*=foo''x",
    "parts that contradict each other": f"{JSON}; charset*=;charset*0*",
    "a NUL": f"{JSON}; charset=a\0",
}
OF_THE_API, OF_PAGES = ("/livez", "/api/v1/organization", "/api/v1/none"), ("/health", "/", "/none")


def refused(application, path, **request):
    """Return the problem of an answer that has whatever an answer has."""
    given = {"HTTP_X_REQUEST_ID": "same", **request}
    status, headers, body = ask(application, path, **given)
    said, problem = dict(headers), json.loads(body)
    assert status == "400 Bad Request"
    assert said["Content-Type"] == "application/problem+json"
    assert said["X-Request-Id"] == problem["request_id"] == "same"
    assert said["X-Content-Type-Options"] == "nosniff"
    assert {"type", "title", "errors", "retryable"} < problem.keys()
    assert (problem["status"], problem["instance"]) == (400, path)
    return problem


@pytest.mark.parametrize("path", [*OF_THE_API, *OF_PAGES])
@pytest.mark.parametrize("kind", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.django_db
def test_a_content_type_that_cannot_be_read_is_a_problem(application, path, kind):
    problem = refused(application, path, CONTENT_TYPE=kind)

    assert problem["code"] == "invalid_parameter"
    assert "Content-Type" in problem["detail"]


@pytest.mark.parametrize("encoding", ["base64", "undefined"])
@pytest.mark.django_db
def test_an_encoding_that_is_none_of_text_is_a_problem_where_a_query_is_read_by_it(
    application, encoding
):
    request = {"query": "a=1", "CONTENT_TYPE": f"{JSON}; charset={encoding}"}

    assert all(
        "Content-Type" in refused(application, path, **request)["detail"] for path in OF_PAGES
    )
    assert ask(application, "/livez", **request)[0] == ask(application, "/livez", query="a=1")[0]


@pytest.mark.parametrize("path", ["/api/v1/errors", "/health"])
@pytest.mark.parametrize("kind", [JSON, f"{JSON}; charset=utf-8", f"{JSON}; charset=base64"])
def test_too_many_parameters_are_a_problem_whatever_the_content_type(application, path, kind):
    problem = refused(application, path, query=MANY, CONTENT_TYPE=kind)

    assert (problem["code"], problem["detail"]) == (
        "invalid_parameter", "There are more than 1,000 parameters.",
    )  # fmt: skip


@pytest.mark.parametrize("path", ["/livez", "/health"])
@pytest.mark.parametrize("kind", [f"{JSON}; charset=utf-8", f"{JSON}; charset=none", "; charset="])
def test_a_content_type_that_says_nothing_of_use_is_no_problem(application, path, kind):
    assert ask(application, path, CONTENT_TYPE=kind)[0] == "200 OK"


def test_people_at_the_admin_site_get_a_page(application):
    status, headers, _ = ask(application, "/admin/login/", CONTENT_TYPE=UNREADABLE["a NUL"])

    assert status == "400 Bad Request"
    assert dict(headers)["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("kind", "body"),
    [(f"{FORM}; charset=iso-8859-1", b"a=1"), (f"{FORM}; charset=base64", b"a=1"),
     ("multipart/form-data; charset=base64; boundary=x", b"--x--\r\n"),
     ("multipart/form-data; charset=undefined; boundary=x", b"--x--\r\n")],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/admin/login/", "/admin/"])
@pytest.mark.django_db
def test_a_form_in_an_encoding_that_cannot_be_read_gets_a_page(application, path, kind, body):
    status, headers, _ = ask(
        application, path, method="POST", CONTENT_TYPE=kind, CONTENT_LENGTH=str(len(body)),
        HTTP_COOKIE=f"csrftoken={'a' * 32}", **{"wsgi.input": io.BytesIO(body)},
    )  # fmt: skip

    assert status == "400 Bad Request"
    assert dict(headers)["Content-Type"].startswith("text/html")


def test_listeners_hear_of_every_request(application):
    heard = []

    def listen(**_):
        heard.append(1)

    for signal in SIGNALS:
        signal.connect(listen)
    ask(application, "/livez")

    assert len(heard) == 2


@pytest.mark.parametrize("path", ["/livez", "/"])
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_has_lapsed_is_closed_before_and_after_a_request(
    application, path, monkeypatch
):
    closed = []
    monkeypatch.setattr(connection, "close", lambda: closed.append(1))
    connection.ensure_connection()

    ask(application, path)
    assert not closed

    connection.close_at = time.monotonic() - 1
    ask(application, path)
    connection.close_at = None

    assert len(closed) == 2


@pytest.mark.django_db(transaction=True)
def test_a_broken_connection_is_replaced(monkeypatch):
    connection.ensure_connection()
    connection.errors_occurred = True
    monkeypatch.setattr(connection, "is_usable", lambda: False)

    look_after_connections()

    assert connection.connection is None


def test_a_request_leaves_nothing_in_its_thread(application):
    with override_settings(ROOT_URLCONF="config.urls"):
        ask(application, "/livez")

    assert get_urlconf() is None


DOCUMENTS = "/api/v1/collections/main/documents"


def parts_of_requests():
    """Return how many views, requests and answers of the API are in memory."""
    kinds = [type(each) for each in gc.get_objects()]
    return sum(issubclass(each, ApiViewSet | Request | Response) for each in kinds)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/livez", b""), ("GET", "/api/v1/organization", b""), ("GET", DOCUMENTS, b""),
        ("GET", f"{DOCUMENTS}/none", b""), ("PUT", f"{DOCUMENTS}/a", b'{"n": 1}'),
        ("POST", "/api/v1/collections/main/bulk", b'{"operations": [{"op": "insert"}]}'),
        ("POST", DOCUMENTS, b"{"), ("DELETE", "/api/v1/organization/members", b"{}"),
        ("GET", "/api/v1/none", b""),
    ],
)  # fmt: skip
@pytest.mark.needs_mongod
def test_nothing_of_a_request_waits_for_the_collector(application, alice, method, path, body):
    said = {"HTTP_AUTHORIZATION": alice._credentials["HTTP_AUTHORIZATION"]}
    ask(application, path, method=method, body=body, **said)
    gc.collect()
    before = parts_of_requests()  # other tests may have left some

    gc.disable()
    try:
        ask(application, path, method=method, body=body, **said)
        after = parts_of_requests()
    finally:
        gc.enable()

    assert after == before
