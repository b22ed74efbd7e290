"""The API document says what the routes take; its pages are read and nothing else."""

import pytest
from rest_framework.test import APIClient

from tests.http import refused

FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}
NAMES = {
    "organization_name", "old_organization_name", "new_organization_name", "old_name", "new_name",
}  # fmt: skip
ACCOUNT = {"email", "password", "admin_email", "admin_password"}
PAGES = ["/api/docs", "/api/v1/openapi.json"]


@pytest.fixture
def client(db):
    return APIClient(raise_request_exception=False)


def body_of(document, method, path):
    return document["paths"][path][method]["requestBody"]


def fields_of(body, media_type="application/json"):
    return set(body["content"][media_type]["schema"]["properties"])


def parameters_of(document, method, path):
    found = document["paths"][path][method]["parameters"]
    return {each["name"] for each in found if each["in"] == "query"}


def test_bodies_of_delete_are_described(document):
    new = body_of(document, "delete", "/api/v1/organization")
    old = body_of(document, "delete", "/org/delete")

    assert (fields_of(new), new["required"]) == ({"confirm", "purge"}, True)
    assert (fields_of(old), old["required"]) == ({"organization_name"}, False)
    assert "x-delete-body" not in str(document)


def test_update_is_described_with_every_name_that_it_takes(document):
    assert fields_of(body_of(document, "put", "/org/update")) == NAMES | ACCOUNT
    assert parameters_of(document, "put", "/org/update") == NAMES | ACCOUNT


def test_create_and_login_are_described_with_the_names_of_the_account(document):
    assert fields_of(body_of(document, "post", "/org/create")) == {
        "organization_name", "code", *ACCOUNT,
    }  # fmt: skip
    assert fields_of(body_of(document, "post", "/admin/login")) == {"code", *ACCOUNT}


@pytest.mark.parametrize(
    ("method", "path"),
    [("post", "/admin/login"), ("post", "/org/create"), ("put", "/org/update"),
     ("delete", "/org/delete")],
)  # fmt: skip
def test_forms_are_described_where_they_are_taken(document, method, path):
    assert set(body_of(document, method, path)["content"]) == {"application/json", *FORMS}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["options", "post", "put", "patch", "delete"])
def test_pages_have_no_other_method_than_reading(client, path, method):
    answer = getattr(client, method)(path, headers={"Accept": "text/html"})

    if path == "/api/docs":
        refused(answer, 405, "method_not_allowed")
        assert answer["Allow"] == "GET, HEAD"
    assert answer.status_code in {405, 406}


@pytest.mark.parametrize("path", PAGES)
def test_pages_in_another_format_are_a_problem_in_json(client, path):
    refused(client.get(path, headers={"Accept": "image/png"}), 406, "not_acceptable")


def test_pages_can_be_asked_for_their_head(client):
    assert client.head("/api/docs", headers={"Accept": "text/html"}).status_code == 200
    assert client.head("/api/v1/openapi.json").status_code == 200
