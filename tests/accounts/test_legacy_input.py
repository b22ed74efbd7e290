"""The compatibility routes take what they understand, and do nothing at all about the rest."""

import json
from urllib.parse import urlencode

import pytest

from accounts.models import User
from tenancy.models import Organization
from tests.conftest import PASSWORD
from tests.http import pointers, refused, send

pytestmark = pytest.mark.usefixtures("quick")

FORM = "application/x-www-form-urlencoded"
NEW = {"organization_name": "Umbrella", "email": "dora@example.com", "password": PASSWORD}
NO_OBJECTS = [b"[]", b'["Globex"]', b'"Globex"', b"5", b"null", b"true", b'[{"a": 1}]']
MISSPELT = [
    "organisation_name", "name", "organization_name[]", "organization_name ", "Organization_Name",
    "organization", "old_name", "x" * 200,
]  # fmt: skip


@pytest.fixture(autouse=True)
def both(acme, globex):
    """Two organizations: the token's own and another."""


def statuses():
    return list(Organization.objects.order_by("name").values_list("name", "status"))


UNTOUCHED = [("Acme", "active"), ("Globex", "active")]


def put(client, body, **query):
    return client.put("/org/update", body, query_params=query)


# --- What is not read is not taken for nothing --------------------------------------------------


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_delete_with_a_body_that_is_no_object_deletes_nothing(alice, body):
    problem = refused(send(alice, "DELETE", "/org/delete", body), 422, "validation_failed")

    assert (problem["detail"], pointers(problem)) == ("The body must be an object.", [""])
    assert statuses() == UNTOUCHED


@pytest.mark.parametrize("name", MISSPELT)
@pytest.mark.parametrize("where", ["body", "query", "form"])
def test_delete_with_a_field_of_another_name_deletes_nothing(alice, where, name):
    if where == "body":
        answer = alice.delete("/org/delete", {name: "Globex"})
    elif where == "form":
        answer = alice.delete("/org/delete", urlencode({name: "Globex"}), content_type=FORM)
    else:
        answer = alice.delete("/org/delete", query_params={name: "Globex"})

    problem = refused(answer, 422, "validation_failed")
    assert [error["code"] for error in problem["errors"]] == ["unknown_field"]
    assert pointers(problem)[0].startswith("/" + name[:60])
    assert "“organization_name”" in problem["detail"]
    assert statuses() == UNTOUCHED


def test_delete_with_a_known_and_an_unknown_field_deletes_nothing(alice):
    answer = alice.delete("/org/delete?name=Acme", {"organization_name": "Acme"})

    assert pointers(refused(answer, 422, "validation_failed")) == ["/name"]
    assert statuses() == UNTOUCHED


@pytest.mark.parametrize("kind", [FORM, "multipart/form-data; boundary=x"])
def test_delete_with_a_form_that_holds_nothing_deletes_nothing(alice, kind):
    answer = send(alice, "DELETE", "/org/delete", b"&&", kind)

    refused(answer, 422, "validation_failed")
    assert statuses() == UNTOUCHED


@pytest.mark.parametrize("headers", [{"HTTP_TRANSFER_ENCODING": "chunked"}, {}])
def test_delete_with_a_body_of_unknown_length_deletes_nothing(alice, headers):
    body = b'{"organization_name": "Globex"}'
    length = "" if headers else "many"

    answer = alice.generic(
        "DELETE", "/org/delete", body, "application/json", CONTENT_LENGTH=length, **headers
    )

    refused(answer, 400, "malformed_json")
    assert statuses() == UNTOUCHED


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_delete_without_any_field_deletes_the_own(alice, body):
    assert send(alice, "DELETE", "/org/delete", body).status_code == 200
    assert ("Globex", "active") in statuses()
    assert ("Acme", "active") not in statuses()


@pytest.mark.parametrize("body", NO_OBJECTS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/org/update?new_name=X"), ("POST", "/org/create"), ("POST", "/admin/login")],
)
def test_body_that_is_no_object_is_said_to_be_none(alice, method, path, body):
    problem = refused(send(alice, method, path, body), 422, "validation_failed")

    assert problem["detail"] == "The body must be an object."
    assert statuses() == UNTOUCHED


# --- Contradictions -----------------------------------------------------------------------------

CONTRADICTIONS = [
    ({"new_name": "One", "new_organization_name": "Two"}, {}, "/new_organization_name"),
    ({"old_organization_name": "Acme", "old_name": "acme", "new_name": "X"}, {}, "/old_name"),
    ({"new_name": "One"}, {"new_name": "Two"}, "/new_name"),
    ({"new_name": "One"}, {"new_organization_name": "Two"}, "/new_name"),
    ({}, {"organization_name": ["One", "Two"]}, "/organization_name"),
    ({"email": "a@example.com", "admin_email": "b@example.com"}, {}, "/admin_email"),
    ({"new_name": None}, {"new_name": "One"}, "/new_name"),
]


@pytest.mark.parametrize(("body", "query", "pointer"), CONTRADICTIONS, ids=repr)
def test_update_that_contradicts_itself_is_refused(alice, body, query, pointer):
    problem = refused(put(alice, body, **query), 422, "validation_failed")

    assert pointers(problem) == [pointer]
    assert pointer[1:] in problem["detail"]
    assert statuses() == UNTOUCHED


def test_update_that_repeats_itself_is_taken(alice):
    body = {"new_name": "Umbrella", "new_organization_name": "Umbrella"}

    assert put(alice, body, new_name=["Umbrella", "Umbrella"]).status_code == 200
    assert ("Umbrella", "active") in statuses()


def test_form_that_contradicts_itself_is_refused(alice):
    answer = alice.put("/org/update", "new_name=One&new_name=Two", content_type=FORM)

    assert pointers(refused(answer, 422, "validation_failed")) == ["/new_name"]


@pytest.mark.parametrize(("path", "field"), [("/org/create", "email"), ("/admin/login", "email")])
def test_sign_up_and_login_that_contradict_themselves_are_refused(nobody, path, field):
    body = NEW | {f"admin_{field}": "somebody@example.com"}

    assert pointers(refused(nobody.post(path, body), 422, "validation_failed")) == ["/admin_email"]
    assert statuses() == UNTOUCHED


def test_get_of_two_names_is_refused(nobody):
    answer = nobody.get("/org/get?organization_name=Acme&organization_name=Globex")

    refused(answer, 422, "validation_failed")


@pytest.mark.parametrize(
    "body", [{"old_name": "Acme", "organization_name": "Globex", "new_name": "X"},
             {"old_name": "Acme", "organization_name": "Globex"}], ids=repr,
)  # fmt: skip
def test_every_current_name_is_checked(alice, body):
    refused(put(alice, body), 403, "permission_denied")

    assert statuses() == UNTOUCHED


# --- Pointers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["organization_name", "new_organization_name", "new_name"])
@pytest.mark.parametrize(("name", "status"), [("$", 422), ("GLOBEX", 400), (5, 422)])
def test_pointer_of_a_new_name_is_the_field_that_was_used(alice, field, name, status):
    answer = put(alice, {field: name})

    assert (answer.status_code, pointers(answer.json())) == (status, [f"/{field}"])


@pytest.mark.parametrize("prefix", ["", "admin_"])
@pytest.mark.parametrize(
    ("field", "value", "status"),
    [("email", "dora", 422), ("email", "ALICE@example.com", 400), ("email", 5, 422),
     ("password", "short", 422)],
)  # fmt: skip
def test_pointer_of_the_account_is_the_field_that_was_used(
    nobody, bob, prefix, field, value, status
):
    body = {prefix + name: NEW[name] for name in ("email", "password")} | {prefix + field: value}

    answer = nobody.post("/org/create", body | {"organization_name": "Umbrella"})

    assert answer.status_code == status
    assert {error["pointer"] for error in answer.json()["errors"]} == {f"/{prefix}{field}"}
    assert User.objects.count() == 4


def test_pointer_of_a_taken_address_in_an_update_is_the_field_that_was_used(alice):
    answer = put(alice, {"new_name": "Umbrella", "admin_email": "charlie@example.com"})

    assert (answer.status_code, pointers(answer.json())) == (400, ["/admin_email"])
    assert statuses() == UNTOUCHED


def test_missing_fields_are_pointed_at_by_their_own_names(nobody):
    answer = nobody.post("/org/create", {"admin_email": "dora@example.com"})

    assert set(pointers(answer.json())) == {"/organization_name", "/password"}


# --- One name -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ACME", " acme ", "acme!", "Acme"])
@pytest.mark.parametrize("more", [{}, {"email": "alicia@example.com"}], ids=repr)
def test_the_own_name_in_another_spelling_is_no_rename(acme, alice, name, more):
    body = put(alice, {"organization_name": name} | more).json()

    assert (body["organization_name"], body["old_name"], body["new_name"]) == ("Acme",) * 3
    assert statuses() == UNTOUCHED


def test_the_own_name_in_another_spelling_is_a_rename_when_it_is_a_new_name(alice):
    body = put(alice, {"organization_name": "Acme", "new_organization_name": "ACME"}).json()

    assert json.dumps(statuses()).count("ACME") == 1
    assert (body["old_name"], body["new_name"]) == ("Acme", "ACME")
