"""How the routes of COMPAT.md are asked, and what a refusal of theirs looks like."""

from rest_framework.test import APIClient

from accounts.models import User
from tenancy.models import Organization
from tests.conftest import PASSWORD

FORM = "application/x-www-form-urlencoded"


def get(client, name):
    """Ask for an organization by its name."""
    return client.get("/org/get", {"organization_name": name})


def login(email, password=PASSWORD):
    return APIClient().post("/admin/login", {"email": email, "password": password})


def assert_problem(answer, status, code=None):
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code or body["code"])
    assert answer["Content-Type"] == "application/problem+json"
    assert body["detail"]


def state(cast):
    """Return all that a refused request must leave as it was."""
    row = Organization.objects.get(pk=cast.id)
    users = list(User.objects.order_by("email").values_list("email", "password", "is_active"))
    return row.name, row.slug, row.status, row.placement.namespace, users
