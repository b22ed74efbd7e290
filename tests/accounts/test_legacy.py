"""The five routes of COMPAT.md: what existing clients send. Changes are in test_legacy_changes."""

import re
from urllib.parse import urlencode

import pytest
from django.urls import resolve
from rest_framework.test import APIClient

from accounts.models import Membership, User
from accounts.principals import forget_members
from tenancy import lifecycle
from tenancy.models import Operation, Organization
from tenancy.operations import resume_operations
from tests.conftest import ACTOR, PASSWORD
from tests.legacy_client import FORM, assert_problem, get, login, state

pytestmark = pytest.mark.usefixtures("quick")

BODY = {"organization_name": "Umbrella Corp", "email": "Dora@Example.com", "password": PASSWORD}


def create(client, **changes):
    return client.post("/org/create", BODY | changes)


# --- / and /health ------------------------------------------------------------------------------


def test_root_says_what_this_is(db, nobody):
    body = nobody.get("/").json()

    assert body["name"] == "Tenantry"
    assert body["version"]
    assert body["links"]["docs"] == "/api/docs"


def test_health_is_healthy(db, nobody):
    answer = nobody.get("/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


# --- POST /org/create ---------------------------------------------------------------------------


def test_create_answers_with_the_fields_twice(naming, mongo, nobody):
    body = create(nobody).json()

    row = Organization.objects.get()
    fields = {
        "id": str(row.pk),
        "organization_id": str(row.pk),
        "organization_name": "Umbrella Corp",
        "collection_name": "org_umbrella_corp" if naming == "name" else f"org_{row.pk.hex}",
        "admin_email": "dora@example.com",
        "created_at": row.created_at.isoformat(),
    }
    assert body.pop("message").endswith("created successfully")
    assert body.pop("organization") == fields
    assert body == fields
    assert fields["collection_name"] in mongo.list_collection_names()


def test_create_is_201_and_the_admin_can_sign_in(mongo, nobody):
    assert create(nobody).status_code == 201
    assert login("dora@example.com").status_code == 200


def test_create_takes_the_other_names_of_the_fields(mongo, nobody):
    body = {"organization_name": "Umbrella", "admin_email": "d@example.com"}

    answer = nobody.post("/org/create", body | {"admin_password": PASSWORD, "plan": "gold"})

    assert answer.status_code == 201
    assert login("d@example.com").status_code == 200


@pytest.mark.parametrize("form", [FORM, "multipart"])
def test_create_and_login_take_forms(mongo, nobody, form):
    kind = {"content_type": FORM} if form == FORM else {"format": "multipart"}
    encode = urlencode if form == FORM else dict

    assert nobody.post("/org/create", encode(BODY), **kind).status_code == 201
    credentials = {"email": "dora@example.com", "password": PASSWORD}
    assert nobody.post("/admin/login", encode(credentials), **kind).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [{"organization_name": "ACME"}, {"organization_name": " acme! "},
     {"email": "ALICE@example.com"}],
    ids=repr,
)  # fmt: skip
def test_create_with_a_name_or_address_taken_is_400_and_leaves_nothing(
    acme, nobody, mongo, changes
):
    before = state(acme), sorted(mongo.list_collection_names())

    assert_problem(create(nobody, **changes), 400)

    assert (state(acme), sorted(mongo.list_collection_names())) == before
    assert Organization.objects.count() == 1


@pytest.mark.parametrize(
    "changes",
    [{"organization_name": name}
     for name in ("", "  ", "$", "..", "/", "a" * 300, "x\x00", "\u202ex", "admin", "config",
                  "local", None, 5, [], {"$ne": 1})]
    + [{"email": value} for value in ("", "dora", None, [], "d@e.x\x00")]
    + [{"password": value} for value in ("", "short", None, 5, [], "x" * 129)],
    ids=lambda changes: repr(changes)[:40],
)  # fmt: skip
def test_create_with_hostile_fields_is_422_and_leaves_nothing(mongo, nobody, changes):
    answer = create(nobody, **changes)

    assert_problem(answer, 422, "validation_failed")
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/{next(iter(changes))}"}
    assert not Organization.objects.exists()
    assert not User.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"x"', "[{}]", '{"a":1,"a":2}', "\xff"])
def test_create_with_a_body_that_is_no_object_is_refused(mongo, nobody, body):
    answer = nobody.generic("POST", "/org/create", body, content_type="application/json")

    assert answer.status_code in {400, 422}
    assert_problem(answer, answer.status_code)


@pytest.mark.parametrize("name", ["system.users", "Ünïcode Ltd", "東京", "🚀", ".*x", "a/b"])
def test_odd_but_readable_names_have_a_collection_of_their_own(mongo, nobody, name):
    body = create(nobody, organization_name=name).json()

    assert body["organization_name"] == name
    assert body["collection_name"] not in {"org_", "org"}
    assert get(nobody, name).json()["id"] == body["id"]


# --- GET /org/get -------------------------------------------------------------------------------


def test_get_is_public_and_says_nothing_of_the_admin(acme, nobody, charlie):
    for client in (nobody, charlie):
        body = get(client, "acme").json()
        assert (body["organization_name"], body["collection_name"]) == ("Acme", "org_acme")
        assert "admin_email" not in str(body)
        assert "example.com" not in str(body)


def test_get_shows_the_admin_to_the_own_token(acme, alice, vera):
    for client in (alice, vera):
        body = get(client, "Acme").json()
        assert body["admin_email"] == body["organization"]["admin_email"] == "alice@example.com"


@pytest.mark.parametrize("header", ["Bearer x.y.z", "Bearer", "Basic YTpi", "nonsense"])
def test_get_with_a_token_that_is_not_good_is_public(acme, nobody, header):
    nobody.credentials(HTTP_AUTHORIZATION=header)

    answer = get(nobody, "Acme")

    assert (answer.status_code, "admin_email" in answer.json()) == (200, False)


@pytest.mark.parametrize(
    "name",
    [".*", "^A.*$", "A.me", "Acm", "unknown", "", " ", "$", "..", "{}", '{"$ne":null}', "a" * 300],
)
def test_get_of_an_unknown_name_is_404_whatever_it_looks_like(acme, nobody, name):
    assert_problem(get(nobody, name), 404, "not_found")


@pytest.mark.parametrize(
    "query", ["", "?name=Acme", "?organization_name[$ne]=x", "?organization_name=%00"]
)
def test_get_without_the_parameter_is_422(acme, nobody, query):
    assert_problem(nobody.get(f"/org/get{query}"), 422, "validation_failed")


def test_get_finds_a_suspended_but_no_deleted_organization(acme, nobody):
    lifecycle.suspend_organization(acme.id, by=ACTOR)
    assert get(nobody, "Acme").status_code == 200

    lifecycle.delete_organization(acme.id, by=ACTOR)

    assert_problem(get(nobody, "Acme"), 404)


# --- POST /admin/login ----------------------------------------------------------------------------


def test_login_answers_with_the_fields_of_old(acme, nobody):
    body = login("Alice@EXAMPLE.com").json()

    assert body.pop("access_token")
    assert body.pop("refresh_token")
    assert 0 < body.pop("refresh_expires_in") <= 14 * 24 * 3600
    assert body == {
        "token_type": "bearer",
        "expires_in": 600,
        "admin_id": str(acme.users["alice"].pk),
        "organization_id": str(acme.id),
        "organization_name": "Acme",
        "email": "alice@example.com",
    }


def test_token_of_a_login_works_on_both_sides(acme, nobody):
    token = nobody.post(
        "/admin/login", {"admin_email": "alice@example.com", "admin_password": PASSWORD}
    )
    nobody.credentials(HTTP_AUTHORIZATION=f"Bearer {token.json()['access_token']}")

    assert nobody.get("/api/v1/organization").status_code == 200
    assert get(nobody, "Acme").json()["admin_email"] == "alice@example.com"


@pytest.mark.parametrize(
    ("email", "password"),
    [("alice@example.com", "wrong horse 9 battery"), ("nobody@example.com", PASSWORD),
     ("alice@example.com", PASSWORD + " "), ("' OR 1=1 --", PASSWORD)],
)  # fmt: skip
def test_bad_login_is_401(acme, email, password):
    answer = login(email, password)

    assert_problem(answer, 401, "invalid_credentials")
    assert answer["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize(
    "body", [{}, {"email": "a@example.com"}, {"email": {"$ne": 1}, "password": {"$ne": 1}}]
)
def test_login_without_its_fields_is_422(db, nobody, body):
    assert_problem(nobody.post("/admin/login", body), 422, "validation_failed")


def test_admin_of_a_deleted_organization_cannot_sign_in(acme):
    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)
    assert login("alice@example.com").status_code in {401, 410}

    Operation.objects.open().update(not_before=acme.organization.created_at)
    resume_operations()

    assert_problem(login("alice@example.com"), 401, "invalid_credentials")


def test_admin_site_has_its_own_login_page(db, nobody):
    assert_problem(nobody.get("/admin/login"), 405, "method_not_allowed")

    page = nobody.get("/admin/login/")
    assert (page.status_code, page["Content-Type"]) == (200, "text/html; charset=utf-8")


# --- Credentials and headers ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer x.y.z", "Basic YTpi", "nonsense", "Bearer ä"]
)
@pytest.mark.parametrize(("method", "path"), [("put", "/org/update"), ("delete", "/org/delete")])
def test_missing_or_malformed_token_is_401(acme, nobody, method, path, header):
    if header is not None:
        nobody.credentials(HTTP_AUTHORIZATION=header)

    answer = getattr(nobody, method)(path, {"organization_name": "Acme"})

    assert_problem(answer, 401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert Organization.objects.get(pk=acme.id).status == "active"


def test_token_whose_user_is_gone_is_401(acme, alice):
    User.objects.filter(email="alice@example.com").delete()
    forget_members()

    assert_problem(alice.put("/org/update", {"new_name": "X"}), 401, "token_revoked")


def test_token_whose_user_has_just_gone_elsewhere_is_401(acme, alice):
    """Another process has deleted the user; the rows this one knows are still young enough."""
    assert alice.get("/api/v1/organization").status_code == 200
    User.objects.filter(email="alice@example.com").delete()

    assert_problem(alice.put("/org/update", {"password": PASSWORD + "!"}), 401, "token_revoked")


ANSWERS = [
    ("post", "/org/create", BODY, 201),
    ("post", "/org/create", {}, 422),
    ("post", "/org/create", BODY | {"organization_name": "Acme"}, 400),
    ("get", "/org/create", None, 405),
    ("get", "/org/get", {"organization_name": "Acme"}, 200),
    ("get", "/org/get", {"organization_name": "unknown"}, 404),
    ("get", "/org/get", None, 422),
    ("put", "/org/update", {"new_name": "X"}, 401),
    ("delete", "/org/delete", None, 401),
    ("post", "/admin/login", {"email": "alice@example.com", "password": PASSWORD}, 200),
    ("post", "/admin/login", {"email": "alice@example.com", "password": "wrong"}, 401),
    ("get", "/admin/login", None, 405),
    ("options", "/org/get", None, 200),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
def test_every_answer_is_marked_as_deprecated(acme, nobody, method, path, body, status):
    answer = getattr(nobody, method)(path, body)

    assert answer.status_code == status
    assert answer["Deprecation"].startswith("@")
    assert re.fullmatch(r'</api/v1/[a-z/]+>; rel="successor-version"', answer["Link"])


def test_marks_lead_to_routes_that_exist(acme, nobody):
    successors = {
        path: nobody.options(path)["Link"].partition(">")[0][1:]
        for path in ("/org/get", "/org/create", "/admin/login")
    }

    assert all(map(resolve, successors.values()))
    assert successors["/admin/login"] == "/api/v1/auth/login"


def test_name_that_is_misspelled_is_guessed(db, nobody):
    answer = nobody.get("/org/get", {"organisation_name": "Acme"})

    assert_problem(answer, 422, "validation_failed")
    problem = answer.json()
    assert "Did you mean “organization_name”?" in problem["detail"]
    assert problem["errors"][0]["pointer"] == "/organisation_name"


def test_creating_says_where_it_is(mongo, nobody):
    body = {"organization_name": "Zoë & Co", "email": "z@example.com", "password": PASSWORD}

    made = nobody.post("/org/create", body)

    assert nobody.get(made["Location"]).json()["organization_name"] == "Zoë & Co"


@pytest.mark.parametrize(("method", "body"), [("put", {"new_name": "X"}), ("delete", None)])
def test_answers_to_a_token_are_marked_too(acme, alice, method, body):
    path = "/org/update" if method == "put" else "/org/delete"

    answer = getattr(alice, method)(path, body)

    assert (answer.status_code, answer["Deprecation"]) == (200, "@1795132800")


@pytest.mark.parametrize("path", ["/org/create", "/org/get", "/org/update", "/org/delete"])
def test_routes_have_no_other_spelling(db, nobody, path):
    assert_problem(nobody.get(f"{path}/"), 404, "not_found")


def test_the_address_of_the_admin_is_the_one_there_is_now(alice, bob, acme, settings):
    settings.ACCOUNTS_ROW_TTL = 3_600
    assert get(bob, "Acme").json()["admin_email"] == "alice@example.com"

    changed = alice.put("/org/update", {"email": "ada@example.com"})
    assert changed.status_code == 200, changed.content
    assert get(bob, "Acme").json()["admin_email"] == "ada@example.com"

    row = Membership.objects.get(organization=acme.id, user__email="bob@example.com")
    asked = {"member": str(row.pk)}
    handed_over = sign_in_again("ada@example.com").post("/api/v1/organization/transfer", asked)
    assert handed_over.status_code == 200, handed_over.content
    owner = sign_in_again("bob@example.com")
    assert get(owner, "Acme").json()["admin_email"] == "bob@example.com"


def sign_in_again(email):
    client = APIClient()
    body = {"email": email, "password": PASSWORD}
    token = client.post("/api/v1/auth/login", body).json()["access_token"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_a_name_that_is_not_utf_8_is_refused_and_not_guessed_at(acme, alice):
    for raw in ("Acme%ff", "acme%c0%af"):
        assert_problem(alice.get(f"/org/get?organization_name={raw}"), 400, "invalid_parameter")
