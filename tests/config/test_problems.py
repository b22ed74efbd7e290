"""One table of statuses, one shape of problems, and an API document that is true."""

import json
import logging
import re
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.management import call_command
from django.middleware.common import CommonMiddleware
from django.test import Client
from django.urls import get_resolver
from drf_spectacular.validation import validate_schema
from rest_framework import exceptions as drf
from rest_framework.test import APIClient, APIRequestFactory

from accounts import exceptions as accounts
from config import problems
from config.documentation import TOO_LONG
from config.problems import FOREIGN, STATUS, describe, status_of
from config.shortcut import ApiShortcut
from tenancy import exceptions as tenancy
from tenancy.api.organizations import OrganizationViewSet

CODES = {  # API.md, section 1
    400: "malformed_json unknown_parameter invalid_parameter cursor_invalid invalid_id "
    "malformed_request",
    401: "not_authenticated token_expired token_revoked invalid_credentials two_factor_required "
    "two_factor_invalid refresh_reused",
    403: "permission_denied organization_suspended two_factor_enrollment_required "
    "plan_limit_reached",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "already_exists name_taken revision_conflict last_owner operation_running "
    "idempotency_in_progress bulk_aborted not_deleted not_cancellable",
    410: "invitation_expired organization_deleted",
    412: "precondition_failed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "validation_failed schema_violation operator_not_allowed stage_not_allowed "
    "query_too_complex sort_needs_index idempotency_key_reused type_not_allowed invalid_document "
    "import_stopped max_affected_exceeded placement_unsupported",
    428: "precondition_required",
    429: "rate_limited",
    500: "internal",
    503: "tenant_busy cluster_unavailable cluster_full outcome_unknown overloaded",
    504: "query_timeout",
}
MEMBERS = {
    "type", "title", "status", "code", "detail", "instance", "request_id", "retryable", "errors",
}  # fmt: skip
ROUTE = "/api/v1/organization"
SECRET = "mongodb://root:hunter2@db.internal"


def tree(root):
    return {root}.union(*(tree(child) for child in root.__subclasses__()))


ERRORS = sorted(
    (kind for kind in tree(tenancy.TenancyError) if kind.__module__.split(".")[0] != "tests"),
    key=lambda kind: kind.__qualname__,
)
ABSTRACT = {tenancy.NotServed, tenancy.Unavailable, tenancy.InvalidInput, accounts.AccountsError}
REQUEST = APIRequestFactory().get("/somewhere")


@pytest.fixture
def client():
    return APIClient(raise_request_exception=False)


def assert_problem(answer, status, code):
    body = json.loads(answer.content)
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert set(body) >= MEMBERS
    assert body["request_id"] == answer["X-Request-Id"]
    assert body["retryable"] == (status in {429, 503, 504})
    return body


# --- The table ----------------------------------------------------------------------------------


def test_walk_of_the_tree_finds_both_apps():
    names = {kind.__name__ for kind in ERRORS}

    assert {"TenancyError", "NameTaken", "EmailTaken", "TokenExpired", "OutcomeUnknown"} <= names
    assert len(names) >= 40


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if kind not in ABSTRACT])
def test_every_error_has_a_status_with_a_code_of_the_contract(kind):
    status = status_of(kind())

    assert kind.code in CODES[status].split()


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_says_one_sentence(kind):
    error = kind()

    assert error.detail == str(error) == kind.default_detail
    assert re.fullmatch(r"[A-Z].+[.]", error.detail)


def test_abstract_errors_are_raised_nowhere():
    names = "|".join(kind.__name__ for kind in ABSTRACT)
    sources = [
        path.read_text()
        for app in ("accounts", "config", "tenancy")
        for path in (settings.BASE_DIR / app).rglob("*.py")
    ]

    assert len(sources) > 40
    assert not [found for text in sources for found in re.findall(rf"raise (?:{names})\b", text)]


@pytest.mark.parametrize(("status", "code", "detail"), FOREIGN.values())
def test_what_django_and_drf_raise_has_a_code_of_the_contract(status, code, detail):
    assert code in CODES[status].split()
    assert detail.endswith(".")


@pytest.mark.parametrize(
    "error",
    [drf.ParseError(), drf.AuthenticationFailed(), drf.NotAuthenticated(), drf.PermissionDenied(),
     drf.NotFound(), drf.MethodNotAllowed("X"), drf.NotAcceptable(),
     drf.UnsupportedMediaType("x/y")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_error_of_drf_keeps_its_status(error):
    assert describe(error, REQUEST)["status"] == error.status_code


@pytest.mark.parametrize("kind", [SuspiciousOperation, BadRequest])
def test_what_django_refuses_is_400_without_its_text(kind):
    body = describe(kind(SECRET), REQUEST)

    assert (body["status"], body["code"]) == (400, "malformed_request")
    assert SECRET not in str(body)


def test_nearest_class_decides_and_a_view_may_override():
    class Odd(tenancy.NameTaken):
        pass

    assert status_of(Odd()) == 409
    assert status_of(Odd(), {tenancy.AlreadyExists: 400}) == 400
    assert status_of(Odd(), {tenancy.AlreadyExists: 400, tenancy.NameTaken: 418}) == 418
    assert status_of(tenancy.OperationRunning(), {tenancy.AlreadyExists: 400}) == 409
    assert status_of(ValueError()) == 500


def test_problem_carries_pointers_hint_and_extra():
    error = tenancy.PlanLimitReached(
        errors=[tenancy.FieldError("/name", "x", "No.")], hint="Pay.", extra={"limit": 5}
    )

    body = describe(error, REQUEST)

    assert (body["hint"], body["limit"]) == ("Pay.", 5)
    assert body["errors"] == [{"pointer": "/name", "code": "x", "message": "No."}]


def test_no_status_is_in_the_table_in_vain():
    assert set(STATUS.values()) <= set(CODES)
    assert all(issubclass(kind, tenancy.TenancyError) for kind in STATUS)


@pytest.mark.parametrize(
    ("kind", "retry"),
    [(tenancy.TenantBusy, "1"), (tenancy.ClusterUnavailable, "1"), (tenancy.OutcomeUnknown, "1"),
     (tenancy.NameTaken, None)],
)  # fmt: skip
def test_retry_after_tells_when_waiting_helps(alice, monkeypatch, kind, retry):
    answer = ask_failing(alice, monkeypatch, kind())

    assert answer.get("Retry-After") == retry
    assert answer.json()["retryable"] == (retry is not None)


def ask_failing(client, monkeypatch, error):
    def fail(self, request):
        raise error

    monkeypatch.setattr(OrganizationViewSet, "retrieve", fail)
    return client.get(ROUTE)


# --- The shape ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1", "/api/v1/", "/api/v1/organization/", "/api/v1/organizationx",
             "/api//v1/organization", "/api/v1/collections/main/x", "/%00", "/ä", "/" + "a" * 2000],
)  # fmt: skip
def test_path_that_is_no_route_is_a_404(db, client, path):
    body = assert_problem(client.get(path), 404, "not_found")

    assert body["title"] == "Not Found"
    assert body["type"] == "/api/docs#not_found"


def test_method_that_is_not_there_is_a_405(db, client):
    answer = client.put("/api/v1/auth/login", {})

    assert_problem(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*", "text/plain;q=1"])
def test_answer_in_another_format_is_a_406(alice, accept):
    assert_problem(alice.get(ROUTE, headers={"Accept": accept}), 406, "not_acceptable")


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/*", "application/json; charset=utf-8",
               "text/html, application/json;q=0.1"],
)  # fmt: skip
def test_answer_in_json_is_given_to_whoever_takes_it(alice, accept):
    assert alice.get(ROUTE, headers={"Accept": accept}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense", ""]
)
def test_body_in_another_format_is_a_415(db, client, kind):
    answer = client.generic("POST", "/api/v1/auth/login", b"{}", content_type=kind)

    assert_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"{'a': 1}", b'{"a": 01}', b"[" * 60_000])
def test_body_that_is_no_json_is_a_4xx(db, client, body):
    answer = client.generic("POST", "/api/v1/auth/login", body, content_type="application/json")

    assert answer.status_code in {400, 422}
    assert_problem(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize("given", ["a", "Trace-1.2_3", "x" * 64])
def test_request_id_of_the_caller_is_kept(db, client, given):
    answer = client.get("/nothing", headers={"X-Request-Id": given})

    assert answer["X-Request-Id"] == answer.json()["request_id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "a\nb", "ä", "<script>", "a;b", "{}"])
def test_ill_formed_request_id_is_replaced(db, client, given):
    answer = client.get("/nothing", headers={"X-Request-Id": given})

    assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-Id"])
    assert_problem(answer, 404, "not_found")


@pytest.mark.parametrize("path", ["/", "/health", "/livez", ROUTE, "/nothing", "/admin/login/"])
def test_every_answer_has_a_request_id_of_its_own(db, client, path):
    assert client.get(path)["X-Request-Id"] != client.get(path)["X-Request-Id"]


@pytest.fixture
def logged():
    """What the product's logger was told; the suite's own handlers see nothing of it."""
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    problems.logger.addHandler(handler)
    yield records
    problems.logger.removeHandler(handler)


@pytest.mark.parametrize(
    "error",
    [ValueError(SECRET), KeyError(SECRET), RecursionError(SECRET), MemoryError(SECRET)],
    ids=repr,
)
def test_unforeseen_exception_is_a_500_without_its_text(acme, alice, monkeypatch, logged, error):
    answer = ask_failing(alice, monkeypatch, error)

    body = assert_problem(answer, 500, "internal")
    assert body["detail"] == tenancy.TenancyError.default_detail
    assert SECRET not in answer.content.decode()
    (record,) = logged
    assert record.exc_info[1] is error
    assert body["request_id"] in record.getMessage()
    assert str(acme.id) in record.getMessage()


def test_defect_of_ours_is_a_500_and_is_logged(alice, monkeypatch, logged):
    answer = ask_failing(alice, monkeypatch, tenancy.OperationFailed("The operation failed."))

    assert_problem(answer, 500, "internal")
    assert len(logged) == 1


def test_refusals_are_answered_and_not_logged(alice, client, logged):
    client.get(ROUTE)
    alice.patch(ROUTE, {"name": "$"})
    client.get("/nothing")

    assert logged == []


@pytest.mark.parametrize(
    ("route", "where", "fails"),
    [(ROUTE, ApiShortcut, "_is_for_us"), ("/", CommonMiddleware, "process_request")],
)
def test_failure_outside_of_a_view_is_a_500_without_its_text(
    db, client, monkeypatch, route, where, fails
):
    def fail(self, request):
        raise ValueError(SECRET)

    monkeypatch.setattr(where, fails, fail)

    answer = client.get(route)

    assert_problem(answer, 500, "internal")
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "a b", "x" * 300, "[::"]
)
def test_host_that_is_not_allowed_is_a_400_without_html(db, client, host):
    answer = client.get("/", headers={"Host": host})

    assert_problem(answer, 400, "malformed_request")
    assert b"<" not in answer.content


def test_other_sites_cannot_post_with_a_cookie_and_need_none(db):
    answer = Client(enforce_csrf_checks=True).post(
        "/api/v1/auth/login", {}, content_type="application/json"
    )

    assert_problem(answer, 422, "validation_failed")


# --- The API document ---------------------------------------------------------------------------


def test_document_is_valid_openapi_3_1(document):
    assert document["openapi"].startswith("3.1")
    validate_schema(document)


def test_generating_the_document_prints_no_warning(tmp_path, capsys):
    target = tmp_path / "openapi.json"

    call_command(
        "spectacular", validate=True, fail_on_warn=True, format="openapi-json", file=str(target)
    )

    assert capsys.readouterr().err == ""
    assert json.loads(target.read_text())["openapi"].startswith("3.1")


def api_routes():
    """Return (path, method) of every route of the API in config/urls.py."""
    for pattern in get_resolver().url_patterns:
        actions = getattr(getattr(pattern, "callback", None), "actions", None)
        if actions:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern))
            path = re.sub(r"\(\?P\{(\w+)\}(?:\[\^/\]\+|\(\?s:\.\+\))\)", r"{\1}", path).strip("^$")
            yield from ((f"/{path}", method) for method in actions if method != "head")


def test_document_names_every_route_of_the_api_and_no_other(document):
    described = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method in {"get", "post", "put", "patch", "delete"}
    }

    routes = set(api_routes())
    assert len(routes) >= 18
    assert described == routes


# They take nothing and are for everybody: there is nothing in them to refuse.
TELLING = {"/", "/health", "/livez", "/readyz", "/metrics"}


def operations(document):
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if path not in TELLING
    ]


def test_telling_routes_are_described_without_a_token(document):
    for path in TELLING:
        operation = document["paths"][path]["get"]
        assert (operation["tags"], operation.get("security", [])) == (["health"], [])
        assert "200" in operation["responses"]


def test_every_route_has_a_summary_a_tag_and_answers(document):
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert len(operation["tags"]) == 1
        assert any(status.startswith("2") for status in operation["responses"])
        assert any(status.startswith("4") for status in operation["responses"])


def test_every_problem_is_described_as_one(document):
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status in TOO_LONG:  # of the HTTP server, which knows no problems
                assert set(answer) == {"description"}
            elif int(status) >= 400:
                assert set(answer["content"]) == {"application/problem+json"}, (path, method)
                assert int(status) in CODES


def test_credential_is_asked_for_where_it_is_needed(document):
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    public = {
        "/api/v1/auth/signup", "/api/v1/auth/login", "/api/v1/auth/refresh",
        "/api/v1/auth/signup/confirm", "/api/v1/auth/password/forgot",
        "/api/v1/auth/password/reset",
        "/api/v1/auth/two-factor/verify", "/api/v1/invitations/{token}", "/org/create",
        "/admin/login", "/.well-known/jwks.json", "/api/v1/errors",
    }  # fmt: skip
    for path, _, operation in operations(document):
        if path in public:
            assert operation.get("security", []) == []
        elif path == "/org/get":
            assert operation["security"] == [{"bearer": []}, {"apiKey": []}, {}]
        elif path == "/api/v1/invitations/{token}/accept":
            assert operation["security"] == [{"bearer": []}, {}]
        else:
            assert operation["security"] in ([{"bearer": []}], [{"bearer": []}, {"apiKey": []}])
            assert "401" in operation["responses"]


def test_compatibility_routes_are_tagged_and_deprecated(document):
    for path, _, operation in operations(document):
        is_old = not path.startswith(("/api/", "/.well-known/"))
        assert (operation["tags"] == ["compatibility"]) is is_old
        assert operation.get("deprecated", False) is is_old


def test_operations_have_names_of_their_own(document):
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert len(names) == len(set(names))


class Sources(HTMLParser):
    """Collect what a page loads."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        if tag in {"script", "link", "img", "iframe"}:
            self.found += [value for name, value in attrs if name in {"src", "href"}]


def test_docs_page_loads_nothing_from_elsewhere(db, client):
    page = client.get("/api/docs", headers={"Accept": "text/html"})
    sources = Sources()
    sources.feed(page.content.decode())

    assert page.status_code == 200
    assert len(sources.found) >= 3
    assert all(source.startswith("/static/") for source in sources.found)
    assert "/api/v1/openapi.json" in page.content.decode()
    assert not re.findall(r"""["']https?://""", page.content.decode())


def test_assets_of_the_docs_page_are_served(db, client):
    sources = Sources()
    sources.feed(client.get("/api/docs", headers={"Accept": "text/html"}).content.decode())

    for source in sources.found:
        answer = client.get(source)
        assert answer.status_code == 200, source
        answer.close()


@pytest.mark.parametrize("path", ["/", "/health", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_routes_that_only_tell_refuse_to_be_written_to(path, method):
    answer = getattr(Client(enforce_csrf_checks=True), method)(path)

    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"
