"""PUT /org/update and DELETE /org/delete of COMPAT.md: three shapes, and no half-done change."""

from urllib.parse import urlencode

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from accounts.roles import Role
from tenancy import catalog, lifecycle
from tenancy.exceptions import ClusterUnavailable
from tenancy.models import Operation, Organization
from tests.conftest import ACTOR, make_cast
from tests.legacy_client import FORM, assert_problem, get, login, state

pytestmark = pytest.mark.usefixtures("quick")

NEW_PASSWORD = "another horse 10 battery"


def update(client, **body):
    return client.put("/org/update", body)


def delete(client, name=None):
    query = {} if name is None else {"organization_name": name}
    return client.delete("/org/delete", query_params=query)


@pytest.fixture
def acme_with_document(acme, mongo):
    mongo[acme.organization.placement.namespace].insert_one({"_id": 1})
    return acme


def documents_of(cast, mongo):
    return mongo[catalog.get_tenant(cast.id, max_age=0).address.physical("main")].find().to_list()


# --- PUT /org/update ----------------------------------------------------------------------------

SHAPES = {
    "S1": {"organization_name": "Umbrella"},
    "S2": {"organization_name": "Acme", "new_organization_name": "Umbrella"},
    "S2 alone": {"new_organization_name": "Umbrella"},
    "S3": {"old_organization_name": "acme", "new_organization_name": "Umbrella"},
    "S3 short": {"old_name": "ACME", "new_name": "Umbrella"},
    "S3 mixed": {"old_name": "Acme", "new_organization_name": "Umbrella"},
}


@pytest.mark.parametrize("where", ["body", "query", "form"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_update_renames_in_every_shape(acme_with_document, alice, mongo, shape, where):
    if where == "query":
        answer = alice.put("/org/update", query_params=shape)
    elif where == "form":
        answer = alice.put("/org/update", urlencode(shape), content_type=FORM)
    else:
        answer = update(alice, **shape)

    body = answer.json()
    assert (answer.status_code, body["old_name"], body["new_name"]) == (200, "Acme", "Umbrella")
    assert (body["organization_name"], body["collection_name"]) == ("Umbrella", "org_umbrella")
    assert body["organization"]["organization_name"] == "Umbrella"
    assert body["message"].endswith("updated successfully")
    assert documents_of(acme_with_document, mongo) == [{"_id": 1}]


def test_update_under_naming_by_id_keeps_the_collection(mongo, settings):
    settings.TENANCY_NAMING = "id"
    cast = make_cast("Acme", {"alice": Role.OWNER})

    body = update(cast.client("alice"), organization_name="Initech").json()

    assert (body["organization_name"], body["collection_name"]) == ("Initech", f"org_{cast.id.hex}")


@pytest.mark.parametrize("name", ["Acme", "acme", " ACME "])
def test_update_s1_with_the_own_name_moves_nothing(acme_with_document, alice, mongo, name):
    body = update(alice, organization_name=name).json()

    assert (body["collection_name"], body["old_name"]) == ("org_acme", "Acme")
    assert Organization.objects.get(pk=acme_with_document.id).slug == "acme"
    assert documents_of(acme_with_document, mongo) == [{"_id": 1}]


def test_update_s1_with_the_own_name_changes_the_account_alone(acme, alice):
    body = update(alice, organization_name="Acme", email="Alicia@Example.com").json()

    assert body["old_name"] == body["new_name"] == "Acme"
    assert not Operation.objects.filter(kind="rename").exists()
    assert login("alicia@example.com").status_code == 200


@pytest.mark.parametrize(
    "body", [{"organization_name": "GLOBEX"}, {"new_name": "globex"}], ids=repr
)
def test_update_to_the_name_of_another_is_400_and_touches_nobody(acme, globex, alice, body):
    before = state(acme), state(globex)

    answer = update(alice, **body, email="new@example.com", password=NEW_PASSWORD)

    assert_problem(answer, 400, "name_taken")
    assert (state(acme), state(globex)) == before
    assert alice.get("/api/v1/organization").status_code == 200


@pytest.mark.parametrize(
    "body",
    [{"organization_name": "Globex", "new_organization_name": "Initech"},
     {"old_organization_name": "globex", "new_organization_name": "Initech"},
     {"old_name": "GLOBEX", "new_name": "Initech"},
     {"old_name": "Globex"},
     {"old_name": "Globex", "email": "new@example.com"}],
    ids=repr,
)  # fmt: skip
def test_update_of_another_organization_is_403_and_touches_nobody(acme, globex, alice, body):
    before = state(acme), state(globex)

    assert_problem(update(alice, **body), 403, "permission_denied")

    assert (state(acme), state(globex)) == before


@pytest.mark.parametrize("name", ["unknown", ".*", "$", "a" * 300])
def test_update_of_an_unknown_organization_is_404(acme, alice, name):
    before = state(acme)

    assert_problem(update(alice, old_name=name, new_name="Initech"), 404, "not_found")

    assert state(acme) == before


@pytest.mark.parametrize("body", [{}, {"unknown": 1}], ids=repr)
def test_update_of_nothing_is_422(acme, alice, body):
    assert_problem(update(alice, **body), 422, "validation_failed")


@pytest.mark.parametrize("name", ["", "  ", "$", "..", "a" * 300, "\u202ex", "admin", None, 5, []])
def test_update_to_a_hostile_name_is_422_and_changes_nothing(acme, alice, name):
    before = state(acme)

    for field in ("organization_name", "new_organization_name", "new_name"):
        assert_problem(update(alice, **{field: name, "password": NEW_PASSWORD}), 422)

    assert state(acme) == before


def test_update_of_address_and_password_ends_older_sessions(acme, alice):
    other = acme.client("alice")

    answer = update(alice, admin_email="Alicia@Example.com", admin_password=NEW_PASSWORD)

    assert answer.status_code == 200
    for client in (alice, other):
        assert_problem(client.get("/api/v1/organization"), 401, "token_revoked")
    assert_problem(login("alice@example.com"), 401, "invalid_credentials")
    assert_problem(login("alicia@example.com"), 401, "invalid_credentials")
    assert login("ALICIA@example.com", NEW_PASSWORD).status_code == 200


def test_update_of_the_account_leaves_colleagues_signed_in(acme, alice, bob):
    update(alice, password=NEW_PASSWORD)

    assert bob.get("/api/v1/organization").status_code == 200


def test_update_of_name_and_account_together(acme_with_document, alice, mongo):
    answer = update(alice, new_name="Umbrella", email="a@example.com", password=NEW_PASSWORD)

    assert answer.json()["organization_name"] == "Umbrella"
    assert login("a@example.com", NEW_PASSWORD).json()["organization_name"] == "Umbrella"
    assert documents_of(acme_with_document, mongo) == [{"_id": 1}]


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"email": "BOB@example.com"}, 400), ({"email": "nonsense"}, 422), ({"email": ["x"]}, 422),
     ({"password": "short"}, 422), ({"password": ""}, 422)],
    ids=repr,
)  # fmt: skip
def test_update_with_a_bad_account_renames_nothing(acme, alice, changes, status):
    before = state(acme)

    assert_problem(update(alice, new_name="Umbrella", **changes), status)

    assert state(acme) == before
    assert alice.get("/api/v1/organization").status_code == 200


def test_rename_that_fails_half_way_leaves_the_old_credentials(acme, alice, mongo):
    mongo["org_umbrella"].insert_one({"_id": "foreign"})  # found after the reservation
    before = state(acme)

    answer = update(alice, new_name="Umbrella", email="new@example.com", password=NEW_PASSWORD)

    assert_problem(answer, 400, "name_taken")
    assert state(acme) == before
    assert login("alice@example.com").status_code == 200


def test_failed_rename_leaves_a_later_change_of_the_password(acme, alice, monkeypatch):
    def fail(organization_id, name, *, by, on_reserve, pointer):
        on_reserve(acme.organization)
        User.objects.filter(email="new@example.com").update(password="changed once more")
        raise ClusterUnavailable

    monkeypatch.setattr(lifecycle, "rename_organization", fail)

    answer = update(alice, new_name="Umbrella", email="new@example.com", password=NEW_PASSWORD)

    assert_problem(answer, 503, "cluster_unavailable")
    assert User.objects.get(email="new@example.com").password == "changed once more"


def test_update_of_the_account_does_not_bring_an_older_name_back(acme, alice, settings):
    """Another process has renamed; this one still knows the old name."""
    settings.TENANCY_CATALOG_TTL = 60
    assert alice.get("/api/v1/organization").json()["name"] == "Acme"
    Organization.objects.filter(pk=acme.id).update(name="Acme Two")

    body = update(alice, email="a@example.com").json()

    assert body["organization_name"] == "Acme Two"
    assert Organization.objects.get(pk=acme.id).name == "Acme Two"


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_update_and_delete_need_an_admin(acme, who):
    before = state(acme)

    for answer in (update(acme.client(who), new_name="X"), delete(acme.client(who))):
        assert_problem(answer, 403, "permission_denied")

    assert state(acme) == before


def test_update_of_a_suspended_organization_is_refused(acme, alice):
    lifecycle.suspend_organization(acme.id, by=ACTOR)

    assert_problem(update(alice, new_name="X"), 403, "organization_suspended")


# --- DELETE /org/delete -------------------------------------------------------------------------


def delete_with_body(client, name="Acme"):
    return client.delete("/org/delete", {"organization_name": name})


WAYS = {
    "neither": delete,
    "query": lambda client: delete(client, "ACME"),
    "body": delete_with_body,
    "empty body": lambda client: client.delete("/org/delete", {}),
    "form": lambda client: client.delete(
        "/org/delete", "organization_name=Acme", content_type=FORM
    ),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_delete_drops_the_data_before_it_answers(acme_with_document, globex, alice, mongo, way):
    answer = way(alice)

    assert (answer.status_code, list(answer.json())) == (200, ["message"])
    assert answer.json()["message"] == "Organization 'Acme' deleted successfully"
    assert mongo.list_collection_names() == ["org_globex"]
    assert_problem(get(APIClient(), "Acme"), 404)


@pytest.mark.parametrize("way", [delete, delete_with_body])
@pytest.mark.parametrize("name", ["Globex", "unknown", "$", ".*"])
def test_delete_naming_another_deletes_nothing(acme, globex, alice, way, name):
    before = state(acme), state(globex)

    assert_problem(way(alice, name), 403 if name == "Globex" else 404)

    assert (state(acme), state(globex)) == before


def test_delete_goes_by_the_name_that_another_process_has_just_given(acme_with_document, alice):
    assert alice.get("/api/v1/organization").status_code == 200  # it is kept in this process
    row = Organization.objects.filter(pk=acme_with_document.id)
    row.update(name="Umbrella", slug="umbrella")

    assert_problem(delete(alice, "Acme"), 404)
    assert row.get().status == "active"
    assert delete(alice, "Umbrella").status_code == 200


@pytest.mark.parametrize(
    "query", ["organization_name=Globex", "organization_name=Acme&organization_name=Globex"]
)
def test_delete_that_names_two_organizations_deletes_neither(acme, globex, alice, query):
    answer = alice.delete(f"/org/delete?{query}", {"organization_name": "Acme"})

    assert_problem(answer, 422)
    assert {"active"} == set(Organization.objects.values_list("status", flat=True))


@pytest.mark.parametrize("name", ["", None, 5, []])
def test_delete_with_a_name_that_is_none_deletes_nothing(acme, alice, name):
    answer = delete_with_body(alice, name)

    assert answer.status_code in {404, 422}
    assert Organization.objects.get(pk=acme.id).status == "active"


def test_token_of_a_deleted_organization_is_dead(acme, alice):
    delete(alice)

    for answer in (delete(alice), update(alice, new_name="X"), alice.get("/api/v1/organization")):
        assert_problem(answer, 401, "token_revoked")
