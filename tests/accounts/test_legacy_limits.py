"""What the compatibility routes do not take, and do not tell."""

import pytest

from accounts.principals import forget_members
from tenancy.models import Organization
from tests.http import refused


@pytest.mark.parametrize("path", ["/admin/login", "/org/create"])
@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"],
)
def test_form_is_no_larger_than_json_may_be(db, nobody, path, content_type):
    body = b"email=" + b"a" * (8 * 1_048_576)

    refused(nobody.generic("POST", path, body, content_type=content_type), 413,
            "payload_too_large")  # fmt: skip


def test_member_without_the_factor_that_is_asked_for_is_told_no_address(acme, vera):
    path = "/org/get?organization_name=Acme"
    assert vera.get(path).json()["admin_email"] == "alice@example.com"

    Organization.objects.filter(pk=acme.id).update(two_factor_required=True)
    forget_members()

    answer = vera.get(path)
    assert answer.status_code == 200
    assert "admin_email" not in answer.json()


@pytest.mark.parametrize("email", ["bob@example.com", "nobody-knows@example.com"])
def test_address_is_not_changed_the_old_way_where_letters_prove_it(acme, alice, settings, email):
    settings.ACCOUNTS_SIGNUP = "confirmed"

    problem = refused(alice.put("/org/update", {"email": email}), 422, "validation_failed")

    assert [error["pointer"] for error in problem["errors"]] == ["/email"]
    assert alice.put("/org/update", {"email": "Alice@example.com"}).status_code == 200
