"""Sign up: what is answered, what is written, and what is left behind by a refusal."""

import pytest
from django.contrib.auth.hashers import identify_hasher

from accounts.models import Membership, Session, User
from accounts.roles import Role
from tenancy.models import AuditEvent, Operation, Organization
from tests.conftest import PASSWORD

pytestmark = pytest.mark.usefixtures("quick")

SIGN_UP, LOG_IN = "/api/v1/auth/signup", "/api/v1/auth/login"
BODY = {"organization_name": "Umbrella", "email": "Dora@Example.com", "password": PASSWORD}


def pointers(answer):
    return {error["pointer"]: error["code"] for error in answer.json()["errors"]}


def assert_problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


@pytest.fixture
def nothing_is_left(mongo):
    """Afterwards there are no more rows and collections than before."""

    def state():
        return (
            [model.objects.count() for model in (Organization, User, Membership, Session)],
            Operation.objects.open().count(),
            sorted(mongo.list_collection_names()),
        )

    before = state()
    yield
    assert state() == before


def test_signup_answers_with_all_that_a_client_needs(mongo, nobody):
    answer = nobody.post(SIGN_UP, BODY | {"name": "Dora"})

    body = answer.json()
    membership = Membership.objects.get()
    identity = str(membership.organization_id)
    organization = {"id": identity, "slug": "umbrella", "name": "Umbrella", "role": "owner"}
    assert (answer.status_code, answer["Location"]) == (201, "/api/v1/organization")
    assert body["user"] == {
        "id": str(membership.user_id), "email": "dora@example.com", "name": "Dora",
    }  # fmt: skip
    assert body["organization"] == organization
    assert body["memberships"] == [organization]
    assert (body["token_type"], body["expires_in"]) == ("bearer", 600)
    assert body["session_id"] == str(Session.objects.get().pk)


def test_signup_makes_the_organization_its_collection_and_one_owner(mongo, nobody):
    nobody.post(SIGN_UP, BODY)

    organization, user = Organization.objects.get(), User.objects.get()
    assert (organization.status, organization.slug) == ("active", "umbrella")
    assert "org_umbrella" in mongo.list_collection_names()
    assert [(row.user, row.role) for row in Membership.objects.all()] == [(user, Role.OWNER)]
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
    assert [(event.action, event.actor) for event in AuditEvent.objects.order_by("sequence")] == [
        ("organization.created", f"user:{user.pk}"),
        ("session.opened", f"user:{user.pk}"),
    ]


def test_token_of_a_signup_works_at_once(mongo, nobody):
    token = nobody.post(SIGN_UP, BODY).json()["access_token"]
    nobody.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    assert nobody.post("/api/v1/collections/main/documents", {"n": 1}).status_code == 201


def test_signup_is_blind_to_a_credential_sent_along(mongo, nobody):
    nobody.credentials(HTTP_AUTHORIZATION="Bearer of.bad.news")

    assert nobody.post(SIGN_UP, BODY).status_code == 201


def test_signup_remembers_the_device(mongo, nobody):
    nobody.post(SIGN_UP, BODY, headers={"User-Agent": "curl/8"}, REMOTE_ADDR="192.0.2.7")

    session = Session.objects.get()
    assert (session.user_agent, session.address) == ("curl/8", "192.0.2.7")


@pytest.mark.parametrize("missing", sorted(BODY))
def test_missing_field_is_pointed_at(nothing_is_left, nobody, missing):
    answer = nobody.post(SIGN_UP, {name: BODY[name] for name in BODY if name != missing})

    assert_problem(answer, 422, "validation_failed")
    assert pointers(answer) == {f"/{missing}": "required"}


@pytest.mark.parametrize("value", [None, True, 5, 1.5, [], ["x"], {}, {"$ne": 1}], ids=repr)
@pytest.mark.parametrize("field", [*sorted(BODY), "name"])
def test_value_of_a_wrong_type_is_pointed_at(nothing_is_left, nobody, field, value):
    answer = nobody.post(SIGN_UP, BODY | {field: value})

    assert_problem(answer, 422, "validation_failed")
    assert set(pointers(answer)) == {f"/{field}"}


def test_every_wrong_field_is_pointed_at(nothing_is_left, nobody):
    answer = nobody.post(SIGN_UP, {"name": []})

    assert set(pointers(answer)) == {"/organization_name", "/email", "/password", "/name"}


def test_unknown_field_is_refused_with_the_nearest_name(nothing_is_left, nobody):
    answer = nobody.post(SIGN_UP, BODY | {"organisation_name": "X", "a/b~c": 1})

    assert set(pointers(answer)) == {"/organisation_name", "/a~1b~0c"}
    assert "Did you mean “organization_name”?" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("body", [None, [], "text", 5, [BODY]], ids=repr)
def test_body_that_is_no_object_is_refused(nothing_is_left, nobody, body):
    answer = nobody.generic("POST", SIGN_UP, _json(body), content_type="application/json")

    assert_problem(answer, 422, "validation_failed")


def _json(value):
    import json

    return json.dumps(value)


def test_empty_body_is_malformed_json(nothing_is_left, nobody):
    assert_problem(nobody.post(SIGN_UP), 400, "malformed_json")


def test_unknown_parameter_is_refused(nothing_is_left, nobody):
    assert_problem(nobody.post(f"{SIGN_UP}?password=x", BODY), 400, "unknown_parameter")


@pytest.mark.parametrize(
    "email",
    ["", " ", "dora", "dora@", "@example.com", "dora@example", "a b@example.com",
     "dora@exa mple.com", "dora@example.com\n.org", "\x00@example.com", "dora@example.com\x00",
     "d" * 250 + "@example.com", "x" * 2000, "dora@example.com,eve@example.com"],
)  # fmt: skip
def test_what_is_no_address_is_pointed_at(nothing_is_left, nobody, email):
    answer = nobody.post(SIGN_UP, BODY | {"email": email})

    assert_problem(answer, 422, "validation_failed")
    assert set(pointers(answer)) == {"/email"}


@pytest.mark.parametrize(
    "name", ["", "   ", "$", "..", "/", "a" * 300, "\x00", "\u202eX", "admin", "x" * 2000]
)
def test_hostile_name_is_pointed_at(nothing_is_left, nobody, name):
    answer = nobody.post(SIGN_UP, BODY | {"organization_name": name})

    assert_problem(answer, 422, "validation_failed")
    assert set(pointers(answer)) == {"/organization_name"}


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "blank"),
        ("short", "password_too_short"),
        ("password1234", None),
        ("1234567890123", "password_entirely_numeric"),
        ("qwertyuiop", "password_too_common"),
        ("dora@example.com", "password_too_similar"),
        ("x" * 129, "too_long"),
        ("correct horse " * 500, "max_length"),
        ("long enough\x00", "null_characters_not_allowed"),
    ],
)
def test_unusable_password_is_refused_with_every_reason(nothing_is_left, nobody, password, code):
    answer = nobody.post(SIGN_UP, BODY | {"password": password})

    if code is None:
        assert_problem(answer, 422, "validation_failed")
    assert set(pointers(answer)) == {"/password"}
    assert code in {None, *(error["code"] for error in answer.json()["errors"])}
    assert not password or password not in answer.json()["detail"]


def test_password_of_128_characters_is_accepted_and_none_is_cut(mongo, nobody):
    password = "pass-" + "ä" * 122  # 249 bytes
    assert nobody.post(SIGN_UP, BODY | {"password": password + "x"}).status_code == 201

    for wrong in (password + "y", password, password[:72]):
        assert_problem(nobody.post(LOG_IN, credentials(password=wrong)), 401, "invalid_credentials")

    assert nobody.post(LOG_IN, credentials(password=password + "x")).status_code == 200


def credentials(email="dora@example.com", password=PASSWORD, **more):
    return {"email": email, "password": password} | more


def test_password_is_one_in_every_unicode_spelling(mongo, nobody):
    composed, decomposed, wide = "pässwörd-ﬁve", "pässwörd-ﬁve", "pässwörd-five"
    nobody.post(SIGN_UP, BODY | {"password": decomposed})

    for spelling in (composed, decomposed, wide):
        assert nobody.post(LOG_IN, credentials(password=spelling)).status_code == 200


def test_spaces_around_a_password_belong_to_it(mongo, nobody):
    nobody.post(SIGN_UP, BODY | {"password": f" {PASSWORD} "})

    assert nobody.post(LOG_IN, credentials()).status_code == 401
    assert nobody.post(LOG_IN, credentials(password=f" {PASSWORD} ")).status_code == 200


def test_password_is_stored_as_argon2id(mongo, nobody):
    nobody.post(SIGN_UP, BODY)

    stored = User.objects.get().password
    assert stored.startswith("argon2$argon2id$")
    assert identify_hasher(stored).algorithm == "argon2"
    assert PASSWORD not in stored


@pytest.mark.parametrize(
    "email",
    ["alice@example.com", "ALICE@Example.COM", " Alice@example.com ", "\uff41lice@example.com"],
)
def test_address_taken_in_any_spelling_leaves_nothing_behind(acme, nothing_is_left, nobody, email):
    answer = nobody.post(SIGN_UP, BODY | {"email": email})

    assert_problem(answer, 409, "already_exists")
    assert pointers(answer) == {"/email": "already_exists"}


@pytest.mark.parametrize("name", ["Acme", "ACME", "  acme ", "Acme!", "Ácme"])
def test_name_taken_leaves_nobody_behind(acme, nothing_is_left, nobody, name):
    answer = nobody.post(SIGN_UP, BODY | {"organization_name": name})

    assert_problem(answer, 409, "name_taken")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/organization_name"]


def test_cluster_out_of_reach_leaves_nothing_behind(nothing_is_left, nobody, settings):
    settings.MONGODB_URI = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"

    answer = nobody.post(SIGN_UP, BODY)

    assert_problem(answer, 503, "cluster_unavailable")
    assert answer["Retry-After"] == "1"
